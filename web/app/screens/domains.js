// A site's own host names: which it has, whether they lead here, and what to set where a name was bought.

import { call, pathOf } from "../lib/api.js";
import { html, useSignal } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { seen } from "../lib/live.js";
import { Act, CopyButton, Failure, Field, Icon, say, told, useForm, useRead } from "../lib/ui.js";
import { nameOf } from "../lib/words.js";

/** @typedef {import("../types.js").AppView} AppView */
/** @typedef {import("../types.js").OwnDomain} OwnDomain */

/** @param {{ site: AppView }} props */
export function Domains({ site }) {
  const asked = useSignal(false);
  const has = (site.addresses ?? []).length > 0 || site.conditions.some((one) => one.type === "DomainTaken" && one.status);
  return html`<section class="panel domains">
    <h2>${t("domains.title")}</h2>
    ${has || asked.value
      ? html`<${Names} site=${site} />`
      : html`<p class="soft">${t("domains.text")}</p>
          <button type="button" class="button" onClick=${() => (asked.value = true)}><${Icon} name="plus" /><span>${t("domains.open")}</span></button>`}
  </section>`;
}

/** @param {{ site: AppView }} props */
function Names({ site }) {
  const path = `/apps/${pathOf(site.app)}/domains`;
  const mark = useSignal(0);
  const { data, error } = useRead(path, `${site.fileDigest} ${(site.addresses ?? []).length} ${mark.value}`);
  const again = () => (mark.value += 1);
  /** @type {OwnDomain[]} */
  const domains = data?.domains ?? [];

  /** @param {OwnDomain} domain */
  async function remove(domain) {
    try {
      seen(await call("DELETE", `${path}/${domain.name}`));
      const back = async () => {
        try {
          seen(await call("POST", path, { body: { name: domain.name } }));
        } catch (why) {
          say(told(why), { tone: "bad" });
        }
        again();
      };
      say(t("domains.gone", { name: domain.shown }), { action: { text: t("undo"), run: back } });
    } catch (why) {
      say(told(why), { tone: "bad" });
    }
    again();
  }

  return html`<${Failure} error=${error} />
    <ul class="rows">${domains.map(
      (domain) => html`<li class="row" key=${domain.name} data-state=${domain.state} data-leads=${domain.leads}>
        <${Icon} name=${isOpen(domain) ? "check" : "triangle-alert"} />
        <span class="row-main"><b>${domain.shown}</b><br /><span class="soft">${stateOf(domain)}</span></span>
        <${Act} onClick=${() => remove(domain)} aria-label=${t("domains.remove.name", { name: domain.shown })}>${t("domains.remove")}<//>
      </li>`,
    )}</ul>
    ${domains.length > 0 && html`<${Act} icon="refresh-cw" onClick=${again}>${t("domains.again")}<//>`}
    <${NewName} path=${path} onDone=${again} />
    ${data && html`<${HowTo} records=${data.records} />`}`;
}

/** @param {OwnDomain} domain */
function isOpen({ state, leads }) {
  return state === "inForce" && (leads === "here" || leads === "unknown");
}

/** @param {OwnDomain} domain */
function stateOf({ state, heldBy, leads }) {
  if (state === "taken") return t("domains.taken", { name: heldBy ? nameOf(heldBy) : "–" });
  if (state === "ofTheServer") return t("domains.server");
  if (leads === "here") return t(state === "inForce" ? "domains.here" : "domains.pending");
  if (leads === "elsewhere") return t("domains.elsewhere");
  return t(leads === "nowhere" ? "domains.nowhere" : "domains.unknown");
}

/** @param {{ path: string, onDone: () => void }} props */
function NewName({ path, onDone }) {
  const name = useSignal("");
  const { error, submit } = useForm();
  async function add() {
    // Whoever copies it from the address line has more than the name.
    const bare = name.value.trim().replace(/^https?:\/\//i, "").replace(/\/.*$/, "");
    seen(await call("POST", path, { body: { name: bare } }));
    say(t("domains.added", { name: bare }));
    name.value = "";
    onDone();
  }
  return html`<form onSubmit=${(/** @type {Event} */ event) => submit(event, add)}>
    <${Field} label=${t("domains.name")} id="domain-name">
      <input id="domain-name" value=${name.value} required maxlength="253" autocomplete="off" autocapitalize="none" spellcheck=${false} inputmode="url"
        placeholder="www.example.kr" onInput=${(/** @type {any} */ event) => (name.value = event.currentTarget.value)} />
    <//>
    <${Failure} error=${error.value} />
    <button class="button wide add-domain"><${Icon} name="plus" /><span>${t("domains.add")}</span></button>
  </form>`;
}

/** @param {{ records: { alias: string | null, addresses: string[] } }} props */
function HowTo({ records: { alias, addresses } }) {
  if (!alias) return html`<p class="soft how-to">${t("domains.local")}</p>`;
  return html`<div class="how-to">
    <h3>${t("domains.how")}</h3>
    <p class="soft">${t("domains.how.alias")}</p>
    <p class="address-large">CNAME ${alias}</p>
    <${CopyButton} text=${alias} label=${t("copy")} />
    ${addresses.length > 0 && html`<p class="soft">${t("domains.how.address", { address: addresses.join(", ") })}</p>`}
    <p class="soft">${t("domains.how.wait")}</p>
  </div>`;
}
