// Keys for programs: made, shown once, revoked.

import { call } from "../lib/api.js";
import { html, useSignal } from "../lib/html.js";
import { t, when } from "../lib/i18n.js";
import { Act, CopyButton, Failure, Field, say, told, useRead } from "../lib/ui.js";

/** @typedef {{ id: number, name: string, prefix: string, createdAt: string, lastUsedAt: string | null }} Key */

export function Keys() {
  const mark = useSignal(0);
  const { data, error } = useRead("/api-keys", mark.value);
  const name = useSignal("");
  const secret = useSignal("");
  const failed = useSignal(/** @type {unknown} */ (null));
  /** @type {Key[]} */
  const keys = data ?? [];

  /** @param {Event} event */
  async function make(event) {
    event.preventDefault();
    failed.value = null;
    try {
      const made = await call("POST", "/api-keys", { body: name.value.trim() ? { name: name.value.trim() } : {} });
      secret.value = made.secret;
      name.value = "";
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

  return html`<section class="panel">
    <h2>${t("keys.title")}</h2>
    <p class="soft">${t("keys.text")}</p>
    <${Failure} error=${error} />
    ${secret.value &&
    html`<div class="secret" role="status"><p>${t("keys.once")}</p><code>${secret.value}</code><${CopyButton} text=${secret.value} /></div>`}
    <ul class="rows">${keys.map(
      (key) => html`<li class="row" key=${key.id}>
        <span class="row-main"><b>${key.name}</b> <code>${key.prefix}…</code><br /><span class="soft">${key.lastUsedAt ? t("keys.used", { when: when(key.lastUsedAt) }) : t("keys.unused")}</span></span>
        <${Act} class="danger" onClick=${() => revoke(key)} aria-label=${t("keys.revoke.name", { name: key.name })}>${t("keys.revoke")}<//>
      </li>`,
    )}</ul>
    <form class="stack" onSubmit=${make}>
      <${Field} label=${t("keys.name")} id="key-name">
        <input id="key-name" value=${name.value} maxlength="60" autocomplete="off" onInput=${(/** @type {any} */ event) => (name.value = event.currentTarget.value)} />
      <//>
      <${Failure} error=${failed.value} />
      <button class="button"><span>${t("keys.make")}</span></button>
    </form>
  </section>`;
}
