// Keys for programs: made, narrowed to one site or to publishing, shown once, revoked.

import { call } from "../lib/api.js";
import { html, useSignal } from "../lib/html.js";
import { t, when } from "../lib/i18n.js";
import { apps } from "../lib/live.js";
import { isAdmin } from "../lib/session.js";
import { Act, CopyButton, Failure, Field, say, told, useRead } from "../lib/ui.js";
import { nameOf } from "../lib/words.js";

/** @typedef {{ id: number, name: string, prefix: string, createdAt: string, lastUsedAt: string | null, app: string | null, deployOnly: boolean }} Key */

export function Keys() {
  const mark = useSignal(0);
  const { data, error } = useRead("/api-keys", mark.value);
  const name = useSignal("");
  const app = useSignal("");
  const deployOnly = useSignal(false);
  const secret = useSignal("");
  const failed = useSignal(/** @type {unknown} */ (null));
  /** @type {Key[]} */
  const keys = data ?? [];
  const choices = [...(apps.value?.keys() ?? [])];
  /** Of one's own sites the owner goes without saying. @param {string} one */
  const siteName = (one) => (isAdmin.value ? one : nameOf(one));
  /** @param {Key} key */
  function scopeOf(key) {
    if (key.app) return t(key.deployOnly ? "keys.only.both" : "keys.only.app", { name: siteName(key.app) });
    return t(key.deployOnly ? "keys.only.deploy" : "keys.all");
  }

  /** @param {Event} event */
  async function make(event) {
    event.preventDefault();
    failed.value = null;
    try {
      const called = name.value.trim();
      const body = { ...(called && { name: called }), ...(app.value && { app: app.value }), deployOnly: deployOnly.value };
      const made = await call("POST", "/api-keys", { body });
      secret.value = made.secret;
      name.value = "";
      app.value = "";
      deployOnly.value = false;
      mark.value += 1;
    } catch (why) {
      failed.value = why;
    }
  }
  /** @param {Key} key */
  async function revoke(key) {
    try {
      await call("DELETE", `/api-keys/${key.id}`);
      say(t("keys.revoked", { name: key.name }));
      mark.value += 1;
    } catch (why) {
      say(told(why), { tone: "bad" });
    }
  }

  return html`<section class="panel keys">
    <h2>${t("keys.title")}</h2>
    <p class="soft">${t("keys.text")}</p>
    <${Failure} error=${error} />
    ${secret.value &&
    html`<div class="secret" role="status"><p>${t("keys.once")}</p><code>${secret.value}</code><${CopyButton} text=${secret.value} /></div>`}
    <ul class="rows">${keys.map(
      (key) => html`<li class="row" key=${key.id}>
        <span class="row-main"><b>${key.name}</b> <code>${key.prefix}…</code><br /><span>${scopeOf(key)}</span><br /><span class="soft">${key.lastUsedAt ? t("keys.used", { when: when(key.lastUsedAt) }) : t("keys.unused")}</span></span>
        <${Act} class="danger" onClick=${() => revoke(key)} aria-label=${t("keys.revoke.name", { name: key.name })}>${t("keys.revoke")}<//>
      </li>`,
    )}</ul>
    <form class="stack" onSubmit=${make}>
      <${Field} label=${t("keys.name")} id="key-name">
        <input id="key-name" value=${name.value} maxlength="60" autocomplete="off" onInput=${(/** @type {any} */ event) => (name.value = event.currentTarget.value)} />
      <//>
      <${Field} label=${t("keys.app")} id="key-app">
        <select id="key-app" value=${app.value} onChange=${(/** @type {any} */ event) => (app.value = event.currentTarget.value)}>
          <option value="">${t("keys.all")}</option>
          ${choices.map((one) => html`<option value=${one} key=${one}>${siteName(one)}</option>`)}
        </select>
      <//>
      <label class="check"><input type="checkbox" id="key-deploy" checked=${deployOnly.value}
        onChange=${(/** @type {any} */ event) => (deployOnly.value = event.currentTarget.checked)} /><span>${t("keys.deploy")}</span></label>
      <${Failure} error=${failed.value} />
      <button class="button"><span>${t("keys.make")}</span></button>
    </form>
  </section>`;
}
