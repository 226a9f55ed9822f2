// Giving up a site with all that was written in it. It asks for the name, because it is not taken back here.

import { call, pathOf } from "../lib/api.js";
import { html, useSignal } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { seen } from "../lib/live.js";
import { go } from "../lib/router.js";
import { Dialog, Failure, Field, Icon, say, useFirstFocus, useForm } from "../lib/ui.js";
import { nameOf } from "../lib/words.js";

/** @param {{ app: string }} props */
export function Purge({ app }) {
  const open = useSignal(false);
  return html`<button type="button" class="plain purge" onClick=${() => (open.value = true)}><${Icon} name="trash-2" /><span>${t("purge.open")}</span></button>
    ${open.value && html`<${PurgeDialog} app=${app} onClose=${() => (open.value = false)} />`}`;
}

/** @param {{ app: string, onClose: () => void }} props */
function PurgeDialog({ app, onClose }) {
  const typed = useSignal("");
  const place = useFirstFocus(true);
  const { error, busy, submit } = useForm();
  const name = nameOf(app);
  async function purge() {
    seen(await call("DELETE", `/apps/${pathOf(app)}?wait=0`, { body: { keepData: false } }));
    say(t("purge.done", { name }));
    onClose();
    go("/");
  }
  return html`<${Dialog} title=${t("purge.title", { name })} onClose=${onClose}>
    <p>${t("purge.text")}</p>
    <form class="stack" onSubmit=${(/** @type {Event} */ event) => (typed.value === name ? submit(event, purge) : event.preventDefault())}>
      <${Field} label=${t("purge.name", { name })} id="purge-name">
        <input id="purge-name" ref=${place} value=${typed.value} autocomplete="off" autocapitalize="off" spellcheck=${false}
          onInput=${(/** @type {any} */ event) => (typed.value = event.currentTarget.value)} />
      <//>
      <${Failure} error=${error.value} />
      <button class="button danger" disabled=${typed.value !== name} aria-busy=${busy.value ? "true" : undefined}><${Icon} name="trash-2" /><span>${t("purge.go")}</span></button>
    </form>
  <//>`;
}
