// The form to sign in with: a screen of its own, and over whatever somebody was doing when the session ended.

import { Refusal } from "./api.js";
import { html, useSignal } from "./html.js";
import { t } from "./i18n.js";
import { enter } from "./session.js";
import { Failure, Field, Icon, Password, useFirstFocus } from "./ui.js";

/** @param {{ name?: string, onDone?: () => void }} props */
export function EnterForm({ name = "", onDone }) {
  const username = useSignal(name);
  const password = useSignal("");
  const word = useSignal("");
  const asksWord = useSignal(false);
  const error = useSignal(/** @type {unknown} */ (null));
  const busy = useSignal(false);
  const nameField = useFirstFocus(!name);

  /** @param {Event} event */
  async function submit(event) {
    event.preventDefault();
    if (busy.value) return;
    busy.value = true;
    error.value = null;
    try {
      await enter(username.value.trim(), password.value, word.value || undefined);
      onDone?.();
    } catch (why) {
      error.value = why;
      if (why instanceof Refusal && (why.code === "first-word-needed" || why.code === "wrong-first-word")) asksWord.value = true;
    } finally {
      busy.value = false;
    }
  }

  return html`<form class="stack" onSubmit=${submit} novalidate>
    <${Field} label=${t("enter.name")} id="username">
      <input id="username" name="username" value=${username.value} autocomplete="username" autocapitalize="off" autocorrect="off"
        spellcheck=${false} required ref=${nameField} onInput=${(/** @type {any} */ event) => (username.value = event.currentTarget.value)} />
    <//>
    <${Password} id="password" label=${t("enter.password")} value=${password.value} autocomplete="current-password" focus=${!!name}
      onInput=${(/** @type {string} */ text) => (password.value = text)} />
    ${asksWord.value &&
    html`<${Field} label=${t("enter.word")} id="word" hint=${t("enter.word.hint")}>
      <input id="word" name="word" value=${word.value} autocomplete="off" autocapitalize="off" spellcheck=${false}
        onInput=${(/** @type {any} */ event) => (word.value = event.currentTarget.value)} />
    <//>`}
    <${Failure} error=${error.value} />
    <button class="button main wide" aria-busy=${busy.value ? "true" : undefined}>
      ${busy.value && html`<${Icon} name="loader-circle" class="turns" />`}<span>${t("enter.go")}</span>
    </button>
  </form>`;
}
