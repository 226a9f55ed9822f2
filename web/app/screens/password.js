// A new password: asked for before anything else after the first sign-in, and whenever somebody wants another.

import { Refusal, call } from "../lib/api.js";
import { html, useSignal } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { Outside } from "../lib/outside.js";
import { go } from "../lib/router.js";
import { leave, me } from "../lib/session.js";
import { strengthOf } from "../lib/strength.js";
import { Failure, Heading, Icon, Password, say, useForm } from "../lib/ui.js";

/** Of the first sign-in: nobody has to type again what everybody knows. */
const FIRST = "admin";

/** @param {{ first?: boolean, onDone?: () => void }} props */
export function PasswordForm({ first = false, onDone }) {
  const current = useSignal(first ? FIRST : "");
  const asksCurrent = useSignal(!first);
  const chosen = useSignal("");
  const { error, busy, submit } = useForm();
  const name = me.value?.username ?? "";
  const strength = strengthOf(chosen.value, name);

  async function save() {
    if (strength === "short" || strength === "long") return;
    try {
      me.value = await call("POST", "/auth/change-password", {
        body: { currentPassword: current.value, newPassword: chosen.value },
      });
      current.value = "";
      chosen.value = "";
      onDone?.();
    } catch (why) {
      // Somebody gave this account another password than the first: it has to be typed after all.
      if (!(why instanceof Refusal && why.code === "wrong-password") || asksCurrent.value) throw why;
      asksCurrent.value = true;
      current.value = "";
    }
  }

  return html`<form class="stack" onSubmit=${(/** @type {Event} */ event) => submit(event, save)} novalidate>
    <input class="unseen" type="text" name="username" autocomplete="username" value=${name} readonly tabindex="-1" aria-hidden="true" />
    ${asksCurrent.value &&
    html`<${Password} id="current" label=${t("password.current")} value=${current.value} autocomplete="current-password"
      onInput=${(/** @type {string} */ text) => (current.value = text)} />`}
    <${Password} id="new" label=${t("password.new")} value=${chosen.value} autocomplete="new-password" focus=${first}
      onInput=${(/** @type {string} */ text) => (chosen.value = text)}
      hint=${html`<${Meter} strength=${strength} typed=${chosen.value !== ""} />`} />
    <${Failure} error=${error.value} />
    <button class="button main wide" disabled=${strength === "short" || strength === "long"} aria-busy=${busy.value ? "true" : undefined}>
      ${busy.value && html`<${Icon} name="loader-circle" class="turns" />`}<span>${t("password.save")}</span>
    </button>
  </form>`;
}

/** @param {{ strength: import("../lib/strength.js").Strength, typed: boolean }} props */
export function Meter({ strength, typed }) {
  const level = { short: 0, long: 0, weak: 1, fair: 2, good: 3 }[strength];
  const text = typed ? t(`strength.${strength}`) : t("strength.advice");
  return html`<span class="meter" data-level=${typed ? level : undefined}><i></i><i></i><i></i></span><span>${text}</span>`;
}

export function FirstPassword() {
  return html`<${Outside}>
    <${Heading} title=${t("password.first.title")}>${t("password.first.title")}<//>
    <p class="soft">${t("password.first.text")}</p>
    <${PasswordForm} first onDone=${() => {
      say(t("password.saved"));
      go("/", { replace: true });
    }} />
    <button type="button" class="plain" onClick=${leave}>${t("leave")}</button>
  <//>`;
}
