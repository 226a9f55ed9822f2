// A new site: what it is made from, then its name. What was typed survives a reload.

import { Refusal, call, pathOf } from "../lib/api.js";
import { html, useEffect, useSignal } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { local, tab } from "../lib/kept.js";
import { apps, seen } from "../lib/live.js";
import { go, Link, place } from "../lib/router.js";
import { isAdmin, me } from "../lib/session.js";
import { addressHere } from "../lib/site-address.js";
import { Choice, Failure, Field, Heading, Icon, useFirstFocus, useRead } from "../lib/ui.js";
import { Cover } from "../lib/cover.js";
import { CIRCLES, circleWord, nameOf, narrower, ownerOf, templateName, whoMay } from "../lib/words.js";
import { shortAddress, TemplateCard } from "./home.js";

/** @typedef {import("../types.js").Template} Template */

const NAME = /^[a-z][a-z0-9-]{1,28}[a-z0-9]$/;
const OWNER = /^[a-z][a-z0-9]{2,19}$/;
/** Until somebody who types has paused. */
const PAUSE_MS = 200;

export function New() {
  const { data, error } = useRead("/templates");
  /** @type {Template[] | null} */
  const templates = data && data.filter((/** @type {Template} */ one) => !one.problem);
  const chosen = templates?.find((one) => one.id === place.value.query.get("template"));
  if (chosen) return html`<${Naming} template=${chosen} key=${chosen.id} />`;
  return html`
    <header class="screen-head"><${Heading} title=${t("new.title")}>${t("new.title")}<//></header>
    <p class="soft">${t("new.text")}</p>
    <${Failure} error=${error} />
    ${templates?.length === 0 && html`<p>${t("new.none")}</p>`}
    <ul class="cards">${(templates ?? []).map((one) => html`<li key=${one.id}><${TemplateCard} template=${one} /></li>`)}</ul>
  `;
}

/** Whose site it is: one's own name; whoever runs the box makes them for others too. */
function usualOwner() {
  const name = me.value?.username ?? "";
  if (!isAdmin.value) return name;
  const kept = local.read("owner") ?? "";
  if (OWNER.test(kept)) return kept;
  const owners = [...(apps.value?.keys() ?? [])].map(ownerOf);
  return owners[0] ?? (OWNER.test(name) && name !== "admin" ? name : "");
}

/** @param {string} owner @param {string} template */
function freeName(owner, template) {
  const base = template.replace(/-v\d+$/, "").slice(0, 24);
  const taken = new Set([...(apps.value?.keys() ?? [])].filter((app) => ownerOf(app) === owner).map(nameOf));
  for (let number = 1; ; number++) {
    const name = number === 1 ? base : `${base}-${number}`;
    if (!taken.has(name)) return name;
  }
}

/** @param {{ template: Template }} props */
function Naming({ template }) {
  const draft = `new ${template.id}`;
  const kept = JSON.parse(tab.read(draft) ?? "{}");
  const owner = useSignal(String(kept.owner ?? usualOwner()));
  const name = useSignal(String(kept.name ?? freeName(owner.value, template.id)));
  const suggested = template.visitors;
  /** @type {import("../vendor/signals.js").Signal<import("../types.js").Audience>} */
  const view = useSignal(CIRCLES.includes(kept.view) ? kept.view : (suggested?.view ?? "everyone"));
  const answer = useSignal(/** @type {{ url: string, taken: boolean } | null} */ (null));
  const refusal = useSignal(/** @type {unknown} */ (null));
  const error = useSignal(/** @type {unknown} */ (null));
  const busy = useSignal(false);
  const ownerField = useFirstFocus(isAdmin.value && !owner.value);
  const nameField = useFirstFocus(!isAdmin.value || !!owner.value);

  const ownerFits = OWNER.test(owner.value);
  const nameFits = NAME.test(name.value);

  useEffect(() => {
    tab.write(draft, JSON.stringify({ owner: owner.value, name: name.value, view: view.value }));
    refusal.value = null;
    if (!ownerFits || !nameFits) {
      answer.value = null;
      return undefined;
    }
    const stop = new AbortController();
    const timer = setTimeout(async () => {
      try {
        answer.value = await call("GET", `/names/${owner.value}/${name.value}`, { signal: stop.signal });
      } catch (why) {
        if (stop.signal.aborted) return;
        answer.value = null;
        if (why instanceof Refusal) refusal.value = why;
      }
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [owner.value, name.value, view.value]);

  const taken = answer.value?.taken === true;
  const wrong = name.value && !nameFits ? nameProblem(name.value) : taken ? t("new.name.taken") : null;
  const wrongOwner = owner.value && !ownerFits ? t("new.owner.rule") : refusal.value ? t("new.owner.reserved") : null;

  /** @param {Event} event */
  async function make(event) {
    event.preventDefault();
    if (busy.value) return;
    // To the field that keeps it from going on.
    const first = !ownerFits ? "owner" : !nameFits || taken ? "name" : null;
    if (first) {
      document.getElementById(first)?.focus();
      return;
    }
    busy.value = true;
    error.value = null;
    try {
      const app = await call("POST", "/apps?wait=0", {
        body: {
          userid: owner.value,
          appname: name.value,
          templateId: template.id,
          enableApi: template.supportsApi,
          ...(suggested && { visitors: { view: view.value, change: narrower(view.value, suggested.change) } }),
        },
      });
      local.write("owner", owner.value);
      tab.write(draft, null);
      seen(app);
      go(`/sites/${pathOf(app.app)}/making`, { replace: true });
    } catch (why) {
      error.value = why;
    } finally {
      busy.value = false;
    }
  }

  return html`
    <header class="screen-head"><${Heading} quiet title=${t("new.name.title")}>${t("new.name.title")}<//></header>
    <form class="naming" onSubmit=${make} novalidate>
      <div class="naming-template">
        <${Cover} template=${template.id} app=${nameFits && ownerFits ? `${owner.value}-${name.value}` : undefined} />
        <p><b>${templateName(template)}</b> <${Link} href="/new">${t("new.other")}<//></p>
      </div>
      <div class="stack">
        ${isAdmin.value &&
        html`<${Field} label=${t("new.owner")} id="owner" hint=${wrongOwner ? null : t("new.owner.hint")} error=${wrongOwner}>
          <input id="owner" name="owner" value=${owner.value} autocomplete="off" autocapitalize="off" autocorrect="off" spellcheck=${false}
            maxlength="20" ref=${ownerField} aria-invalid=${wrongOwner ? "true" : undefined}
            aria-describedby=${wrongOwner ? "owner-error" : "owner-hint"}
            onInput=${(/** @type {any} */ event) => (owner.value = event.currentTarget.value.trim().toLowerCase())} />
        <//>`}
        <${Field} label=${t("new.name")} id="name" hint=${wrong ? null : t("new.name.hint")} error=${wrong}>
          <input id="name" name="name" value=${name.value} autocomplete="off" autocapitalize="off" autocorrect="off" spellcheck=${false}
            maxlength="30" enterkeyhint="go" ref=${nameField} aria-invalid=${wrong ? "true" : undefined}
            aria-describedby=${wrong ? "name-error" : "name-hint"}
            onInput=${(/** @type {any} */ event) => (name.value = event.currentTarget.value.trim().toLowerCase())} />
        <//>
        <div class="address-card" data-tone=${answer.value && !taken ? "good" : "quiet"}>
          <p class="soft">${t("new.address")}</p>
          <p class="address-large">${answer.value ? shortAddress(addressHere(answer.value.url)) : `${owner.value || "…"}-${name.value || "…"}`}</p>
          ${answer.value && !taken && html`<p class="state" data-tone="good"><${Icon} name="circle-check" />${t("new.free")}</p>`}
        </div>
        ${suggested &&
        html`<div class="field">
          <p><b>${t("visitors.title")}</b></p>
          <${Choice} name="view" label=${t("visitors.title")} value=${view.value}
            onChange=${(/** @type {import("../types.js").Audience} */ chosen) => (view.value = chosen)}
            options=${CIRCLES.map((circle) => [circle, circleWord(circle)])} />
          <p class="hint">${whoMay(view.value, narrower(view.value, suggested.change))}</p>
        </div>`}
        <${Failure} error=${error.value} />
        <button class="button main wide thumb" aria-busy=${busy.value ? "true" : undefined}>
          ${busy.value && html`<${Icon} name="loader-circle" class="turns" />`}<span>${t("new.make")}</span>
        </button>
      </div>
    </form>
  `;
}

/** The first thing that is wrong with it. @param {string} name */
function nameProblem(name) {
  if (/[^a-z0-9-]/.test(name)) return t("new.name.letters");
  if (!/^[a-z]/.test(name)) return t("new.name.begin");
  if (name.length < 3) return t("new.name.short");
  return t("new.name.end");
}
