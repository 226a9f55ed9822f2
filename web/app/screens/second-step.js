// A second step when signing in: switched on with a phone, its recovery codes shown once, and switched off again.

import { call } from "../lib/api.js";
import { html, useSignal } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { CodeField } from "../lib/enter-form.js";
import { CopyButton, Details, Failure, Icon, Password, Qr, say, useForm, useRead } from "../lib/ui.js";

export function SecondStep() {
  const mark = useSignal(0);
  const { data, error } = useRead("/auth/totp", mark.value);
  const codes = useSignal(/** @type {string[] | null} */ (null));
  const again = () => (mark.value += 1);
  return html`<section class="panel second-step">
    <h2>${t("step.title")}</h2>
    <${Failure} error=${error} />
    ${codes.value && html`<${Codes} codes=${codes.value} onDone=${() => (codes.value = null)} />`}
    ${data?.state === "on" && !codes.value && html`<${On} left=${data.recoveryCodesLeft} onDone=${again} />`}
    ${data && data.state !== "on" && !codes.value && html`<${Off} onDone=${(/** @type {string[]} */ made) => {
      codes.value = made;
      again();
    }} />`}
  </section>`;
}

/** @param {{ onDone: (codes: string[]) => void }} props */
function Off({ onDone }) {
  const begun = useSignal(/** @type {{ secret: string, uri: string } | null} */ (null));
  const asked = useSignal(false);
  const password = useSignal("");
  const code = useSignal("");
  const { error, busy, submit } = useForm();

  if (!asked.value) {
    return html`<p class="soft">${t("step.text")}</p>
      <button type="button" class="button step-begin" onClick=${() => (asked.value = true)}>${t("step.begin")}</button>`;
  }
  if (!begun.value) {
    const begin = async () => {
      begun.value = await call("POST", "/auth/totp", { body: { currentPassword: password.value } });
    };
    return html`<form class="stack" onSubmit=${(/** @type {Event} */ event) => submit(event, begin)} novalidate>
      <${Password} id="step-password" label=${t("password.current")} value=${password.value} autocomplete="current-password" focus
        onInput=${(/** @type {string} */ text) => (password.value = text)} />
      <${Failure} error=${error.value} />
      <button class="button main wide" aria-busy=${busy.value ? "true" : undefined}><span>${t("step.next")}</span></button>
    </form>`;
  }
  const confirm = async () => {
    const { recoveryCodes } = await call("POST", "/auth/totp/confirm", { body: { code: code.value } });
    onDone(recoveryCodes);
  };
  return html`<form class="stack" onSubmit=${(/** @type {Event} */ event) => submit(event, confirm)} novalidate>
    <p>${t("step.scan")}</p>
    <${Qr} text=${begun.value.uri} label=${t("step.qr")} />
    <p><a class="button wide" href=${begun.value.uri}>${t("step.here")}</a></p>
    <${Details} label=${t("step.type")}><p class="secret"><code class="step-secret">${begun.value.secret}</code><${CopyButton} text=${begun.value.secret} /></p><//>
    <${CodeField} value=${code.value} label=${t("step.code")} hint=${t("step.code.hint")} onInput=${(/** @type {string} */ text) => (code.value = text)} />
    <${Failure} error=${error.value} />
    <button class="button main wide" aria-busy=${busy.value ? "true" : undefined}><span>${t("step.on")}</span></button>
  </form>`;
}

/** @param {{ codes: string[], onDone: () => void }} props */
function Codes({ codes, onDone }) {
  return html`<div class="secret" role="status">
      <p><b>${t("step.is.on")}</b></p><p>${t("step.codes")}</p>
      <ul class="step-codes">${codes.map((code) => html`<li key=${code}><code>${code}</code></li>`)}</ul>
      <${CopyButton} text=${codes.join("\n")} label=${t("step.codes.copy")} />
    </div>
    <button type="button" class="button main wide" onClick=${onDone}>${t("step.codes.kept")}</button>`;
}

/** @param {{ left: number, onDone: () => void }} props */
function On({ left, onDone }) {
  const asked = useSignal(false);
  const password = useSignal("");
  const code = useSignal("");
  const { error, busy, submit } = useForm();
  const end = async () => {
    await call("DELETE", "/auth/totp", { body: { currentPassword: password.value, code: code.value } });
    say(t("step.is.off"));
    onDone();
  };
  return html`<p class="state" data-tone="good"><${Icon} name="circle-check" />${t("step.is.on")}</p>
    <p class=${left < 3 ? "wrong" : "soft"}>${t("step.left", { n: left })}</p>
    ${asked.value
      ? html`<form class="stack" onSubmit=${(/** @type {Event} */ event) => submit(event, end)} novalidate>
          <${Password} id="step-password" label=${t("password.current")} value=${password.value} autocomplete="current-password" focus
            onInput=${(/** @type {string} */ text) => (password.value = text)} />
          <${CodeField} value=${code.value} label=${t("step.code")} hint=${t("enter.code.hint")} onInput=${(/** @type {string} */ text) => (code.value = text)} />
          <${Failure} error=${error.value} />
          <button class="button danger wide" aria-busy=${busy.value ? "true" : undefined}><span>${t("step.off")}</span></button>
        </form>`
      : html`<button type="button" class="button step-end" onClick=${() => (asked.value = true)}>${t("step.off")}</button>`}`;
}
