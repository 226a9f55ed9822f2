// The form to sign in with: a screen of its own, and over whatever somebody was doing when the session ended.

import { Refusal } from "./api.js";
import { html, useSignal } from "./html.js";
import { t } from "./i18n.js";
import { enter } from "./session.js";
import { Failure, Field, Icon, Password, useFirstFocus, useForm } from "./ui.js";

/** @param {{ name?: string, onDone?: () => void }} props */
export function EnterForm({ name = "", onDone }) {
  const username = useSignal(name);
  const password = useSignal("");
  const word = useSignal("");
  const asksWord = useSignal(false);
  const code = useSignal("");
  const asksCode = useSignal(false);
  const { error, busy, submit } = useForm();
  const nameField = useFirstFocus(!name);

  async function signIn() {
    try {
      await enter(username.value.trim(), password.value, { firstWord: word.value, code: code.value });
      onDone?.();
    } catch (why) {
      if (why instanceof Refusal && (why.code === "first-word-needed" || why.code === "wrong-first-word")) asksWord.value = true;
      // That a code is asked for is no failure: whoever has one expects it.
      const asked = why instanceof Refusal && why.code === "code-needed" && !asksCode.value;
      if (!asked) throw why;
      asksCode.value = true;
    }
  }

  return html`<form class="stack" onSubmit=${(/** @type {Event} */ event) => submit(event, signIn)} novalidate>
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
    ${asksCode.value &&
    html`<${CodeField} value=${code.value} label=${t("enter.code")} hint=${t("enter.code.hint")} onInput=${(/** @type {string} */ text) => (code.value = text)} />`}
    <${Failure} error=${error.value} />
    <button class="button main wide" aria-busy=${busy.value ? "true" : undefined}>
      ${busy.value && html`<${Icon} name="loader-circle" class="turns" />`}<span>${t("enter.go")}</span>
    </button>
  </form>`;
}

/**
 * A code of the phone, or a recovery code in its place; phones offer one that came by message.
 * @param {{ value: string, label: string, hint: string, onInput: (text: string) => void }} props
 */
export function CodeField({ value, label, hint, onInput }) {
  const place = useFirstFocus(true);
  return html`<${Field} label=${label} id="code" hint=${hint}>
    <input id="code" name="code" value=${value} autocomplete="one-time-code" autocapitalize="off" autocorrect="off" spellcheck=${false}
      maxlength="40" enterkeyhint="go" ref=${place} aria-describedby="code-hint" onInput=${(/** @type {any} */ event) => onInput(event.currentTarget.value)} />
  <//>`;
}
