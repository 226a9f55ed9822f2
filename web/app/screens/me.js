// About the person: language, colours, password; and the way out.

import { call } from "../lib/api.js";
import { html, signal } from "../lib/html.js";
import { language, speak, t } from "../lib/i18n.js";
import { local } from "../lib/kept.js";
import { isAdmin, leave, me } from "../lib/session.js";
import { shown } from "../lib/shortcuts.js";
import { Act, Choice, Details, Heading, say, told } from "../lib/ui.js";
import { Keys } from "./keys.js";
import { PasswordForm } from "./password.js";
import { SecondStep } from "./second-step.js";
import { Sessions } from "./sessions.js";

/** @typedef {"auto" | "light" | "dark"} Theme */

const theme = signal(/** @type {Theme} */ (document.documentElement.dataset.theme ?? "auto"));

/** @param {Theme} chosen */
function paint(chosen) {
  theme.value = chosen;
  local.write("theme", chosen === "auto" ? null : chosen);
  if (chosen === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = chosen;
}

/** For when a password or a key may have come into other hands. */
async function everywhere() {
  try {
    await call("POST", "/auth/revoke-all");
    window.location.assign("/");
  } catch (error) {
    say(told(error), { tone: "bad" });
  }
}

export function Me() {
  return html`
    <header class="screen-head"><${Heading} title=${t("me.title")}>${t("me.title")}<//></header>
    <p class="soft">${t("me.name", { name: me.value?.username ?? "" })}</p>
    <section class="panel">
      <h2>${t("me.language")}</h2>
      <${Choice} name="language" label=${t("me.language")} value=${language.value} onChange=${speak}
        options=${[["ko", t("language.ko")], ["en", t("language.en")]]} />
      <h2>${t("me.theme")}</h2>
      <${Choice} name="theme" label=${t("me.theme")} value=${theme.value} onChange=${paint}
        options=${[["auto", t("theme.auto")], ["light", t("theme.light")], ["dark", t("theme.dark")]]} />
      <button type="button" class="plain" onClick=${() => (shown.value = true)}>${t("keys.help.open")}</button>
    </section>
    <section class="panel">
      <h2>${t("password.change")}</h2>
      <${PasswordForm} onDone=${() => say(t("password.saved"))} />
    </section>
    <${SecondStep} />
    <${Sessions} />
    ${isAdmin.value ? html`<${Keys} />` : html`<${Details} label=${t("keys.title")}><${Keys} /><//>`}
    <section class="panel">
      <${Act} icon="log-out" onClick=${() => leave()}>${t("leave")}<//>
      <p class="soft">${t("leave.all.text")}</p>
      <${Act} class="danger" onClick=${everywhere}>${t("leave.all")}<//>
    </section>
  `;
}
