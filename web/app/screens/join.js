// An invitation is taken up: whose it is, a password of their own, and in. The same link mends a forgotten password.

import { Refusal, call, expired } from "../lib/api.js";
import { CodeField } from "../lib/enter-form.js";
import { html, useEffect, useSignal } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { tab } from "../lib/kept.js";
import { Outside } from "../lib/outside.js";
import { go, Link, place } from "../lib/router.js";
import { me } from "../lib/session.js";
import { strengthOf } from "../lib/strength.js";
import { Failure, Field, Heading, Icon, Password, say, useForm } from "../lib/ui.js";
import { Meter } from "./password.js";

/** @typedef {{ name: string, role: string, isReset: boolean, needsCode: boolean, expiresAt: string }} Invitation */

export function Join() {
  const token = useSignal("");
  const invitation = useSignal(/** @type {Invitation | null} */ (null));
  const error = useSignal(/** @type {unknown} */ (null));
  const { hash } = place.value;

  useEffect(() => {
    // Out of the address: it would stay in the history, and on the screen. Another link may be opened over this page.
    const given = hash.slice(1) || tab.read("join") || "";
    tab.write("join", given);
    if (hash) go("/join", { replace: true });
    if (given === token.value && invitation.value) return;
    token.value = given;
    look(given);
  }, [hash]);

  /** @param {string} given */
  async function look(given) {
    error.value = null;
    try {
      invitation.value = await call("GET", `/invitations/${encodeURIComponent(given || "-")}`);
    } catch (why) {
      invitation.value = null;
      error.value = why;
    }
  }

  const found = invitation.value;
  if (found) return html`<${Choose} invitation=${found} token=${token.value} key=${token.value} />`;
  const over = error.value instanceof Refusal;
  return html`<${Outside}>
    <${Heading} title=${t("join.title")} key=${over}>${over ? t("join.over") : t("join.title")}<//>
    ${over && html`<p>${t("join.over.text")}</p><${Link} class="button wide" href="/">${t("enter.title")}<//>`}
    ${error.value && !over
      ? html`<${Failure} error=${error.value} />
          <button type="button" class="button wide" onClick=${() => look(token.value)}>${t("away.retry")}</button>`
      : null}
    ${!error.value && html`<p class="soft">${t("join.wait")}</p>`}
  <//>`;
}

/** @param {{ invitation: Invitation, token: string }} props */
function Choose({ invitation, token }) {
  const { name, isReset, needsCode } = invitation;
  const code = useSignal("");
  const chosen = useSignal("");
  const { error, busy, submit } = useForm();
  const strength = strengthOf(chosen.value, name);
  const fits = strength !== "short" && strength !== "long";

  async function accept() {
    if (!fits) {
      document.getElementById("new")?.focus();
      return;
    }
    const who = await call("POST", `/invitations/${encodeURIComponent(token)}`, { body: { password: chosen.value, ...(needsCode && { code: code.value }) } });
    tab.write("join", null);
    // What this browser has read belongs to somebody else.
    if (me.value && me.value.username !== who.username) {
      window.location.replace(isReset ? "/" : "/new");
      return;
    }
    expired.value = false;
    me.value = who;
    say(t(isReset ? "password.saved" : "join.done"));
    go(isReset ? "/" : "/new", { replace: true });
  }

  return html`<${Outside}>
    <${Heading} quiet title=${t("join.title")}>${t(isReset ? "join.reset" : "join.hello")}<//>
    <p>${t(isReset ? "join.reset.text" : "join.text")}</p>
    ${me.value && me.value.username !== name && html`<p class="soft">${t("join.other", { name: me.value.username ?? "" })}</p>`}
    <form class="stack" onSubmit=${(/** @type {Event} */ event) => submit(event, accept)} novalidate>
      <${Field} label=${t("enter.name")} id="username" hint=${t("join.name.hint")}>
        <input id="username" name="username" value=${name} autocomplete="username" readonly aria-describedby="username-hint" />
      <//>
      <${Password} id="new" label=${t("join.password")} value=${chosen.value} autocomplete="new-password" focus
        onInput=${(/** @type {string} */ text) => (chosen.value = text)}
        hint=${html`<${Meter} strength=${strength} typed=${chosen.value !== ""} />`} />
      ${needsCode && html`<${CodeField} value=${code.value} label=${t("enter.code")} hint=${t("enter.code.hint")} onInput=${(/** @type {string} */ text) => (code.value = text)} />`}
      <${Failure} error=${error.value} />
      <button class="button main wide" aria-busy=${busy.value ? "true" : undefined}>
        ${busy.value && html`<${Icon} name="loader-circle" class="turns" />`}<span>${t(isReset ? "password.save" : "join.go")}</span>
      </button>
    </form>
  <//>`;
}
