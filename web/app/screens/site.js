// One site: open it, show it to somebody, close and open it, see what happened, delete it.

import { call, pathOf } from "../lib/api.js";
import { Fragment, html, useSignal } from "../lib/html.js";
import { exact, t, when } from "../lib/i18n.js";
import { apps, seen } from "../lib/live.js";
import { useSearch } from "../lib/shortcuts.js";
import { bringBack, leaving, remove } from "../lib/remove.js";
import { go, Link } from "../lib/router.js";
import { isAdmin } from "../lib/session.js";
import { PublishZip } from "../lib/publish-zip.js";
import { PrintButton, ShareCard } from "../lib/share-card.js";
import { addressForOthers, addressHere, isOnlyHere, ownerAddress } from "../lib/site-address.js";
import { Act, CopyButton, Details, Dialog, Heading, Icon, Qr, say, told, useRead } from "../lib/ui.js";
import { Cover } from "../lib/cover.js";
import { State } from "../lib/state.js";
import { eventOf, nameOf, troublesOf, whoOf } from "../lib/words.js";
import { shortAddress } from "./home.js";
import { Waiting } from "./plan.js";
import { Domains } from "./domains.js";
import { Purge } from "./purge.js";
import { Sleep } from "./sleep.js";
import { TroubleCard } from "./trouble.js";
import { UsagePanel } from "./usage.js";
import { Visitors } from "./visitors.js";
import { Visits } from "./visits.js";

/** @typedef {import("../types.js").AppView} AppView */
/** @typedef {import("../types.js").AppEvent} AppEvent */

/** @param {{ app: string }} props */
export function Site({ app }) {
  const site = apps.value?.get(app);
  if (!apps.value) return html`<${Heading} title=${nameOf(app)}>${nameOf(app)}<//>`;
  if (!site) return html`<${Missing} app=${app} />`;
  const going = leaving.value.has(app);
  const gone = site.desired === "deleted";
  return html`
    <p class="back"><${Link} href="/"><${Icon} name="arrow-left" />${t("home.title")}<//></p>
    <div class="site" data-going=${going ? "" : undefined}>
      <section class="site-head">
        <${Cover} app=${app} template=${site.template} />
        <div>
          <${Heading} title=${nameOf(app)}>${nameOf(app)}<//>
          <p><${State} app=${site} /></p>
          <p class="address"><a href=${ownerAddress(site)} target="_blank" rel="noopener">${shortAddress(addressHere(site.url))}</a></p>
          ${(site.addresses ?? []).map((own) => html`<p class="address" key=${own.url}><a href=${own.url} target="_blank" rel="noopener">${own.shown}</a></p>`)}
        </div>
      </section>
      ${gone ? html`<${Deleted} site=${site} />` : html`<${Actions} site=${site} />`}
      ${troublesOf(site).map((trouble) => html`<${TroubleCard} app=${app} trouble=${trouble} key=${trouble.what} />`)}
      ${isAdmin.value && html`<${Waiting} site=${site} />`}
      ${!gone && html`<${Visits} app=${app} />`}
      ${!gone && html`<${Visitors} site=${site} />`}
      ${!gone && html`<${Domains} site=${site} />`}
      ${!gone && html`<${Sleep} site=${site} />`}
      <${Timeline} site=${site} />
      ${isAdmin.value && !gone && html`<${UsagePanel} app=${app} mark=${site.container} />`}
      ${isAdmin.value && html`<${ForAdmins} site=${site} />`}
      ${!gone && html`<${Farewell} site=${site} />`}
      ${gone && isAdmin.value && html`<section class="farewell"><p class="soft">${t("purge.kept")}</p><${Purge} app=${app} /></section>`}
    </div>
  `;
}

/** @param {{ app: string }} props */
function Missing({ app }) {
  return html`<section class="welcome">
    <${Heading} title=${t("site.missing")}>${t("site.missing")}<//>
    <p class="soft">${t("site.missing.text", { name: nameOf(app) })}</p>
    <${Link} class="button main" href="/">${t("home.title")}<//>
  </section>`;
}

/** @param {{ site: AppView }} props */
function Actions({ site }) {
  const sharing = useSignal(false);
  const open = site.desired === "running";
  const others = addressForOthers(site.url);
  /** @param {"start" | "stop"} verb */
  async function turn(verb) {
    try {
      const data = await call("POST", `/apps/${pathOf(site.app)}/${verb}`);
      seen(data);
      if (data.converged) say(t(verb === "stop" ? "site.closed" : "site.opened"));
    } catch (error) {
      say(told(error), { tone: "bad" });
    }
  }
  return html`<div class="actions">
    ${open
      ? html`<a class="button main wide" href=${ownerAddress(site)} target="_blank" rel="noopener"><${Icon} name="external-link" /><span>${t("site.open")}</span></a>`
      : html`<${Act} class="main wide" icon="play" busy=${t("site.start.busy")} onClick=${() => turn("start")}>${t("site.start")}<//>`}
    <button type="button" class="button" onClick=${() => (sharing.value = true)}><${Icon} name="share-2" /><span>${t("site.share")}</span></button>
    ${open && html`<${Act} icon="pause" busy=${t("site.stop.busy")} onClick=${() => turn("stop")}>${t("site.stop")}<//>`}
    <${Link} class="button" href=${`/sites/${pathOf(site.app)}/edit`}><${Icon} name="file-text" /><span>${t("studio.open")}</span><//>
    ${sharing.value &&
    html`<${Dialog} title=${t("site.share.title", { name: nameOf(site.app) })} onClose=${() => (sharing.value = false)} class="share">
      <${Qr} text=${others} label=${t("qr.label", { address: shortAddress(others) })} />
      <p class="address-large">${shortAddress(others)}</p>
      <p class="soft">${t(isOnlyHere(others) ? "share.here" : "qr.text")}</p>
      ${site.visitors.view !== "everyone" && html`<p class="soft">${t(site.visitors.view === "guests" ? "site.share.guests" : "site.share.owner")}</p>`}
      <div class="actions">
        <${CopyButton} text=${others} label=${t("site.copy")} />
        <${PrintButton} />
        ${"share" in navigator &&
        html`<button type="button" class="button" onClick=${() => navigator.share({ url: others, title: nameOf(site.app) }).catch(() => {})}>
          <${Icon} name="share-2" /><span>${t("site.send")}</span>
        </button>`}
      </div>
      <${ShareCard} name=${nameOf(site.app)} address=${others} short=${shortAddress(others)} />
    <//>`}
  </div>`;
}

/** @param {{ site: AppView }} props */
function Deleted({ site }) {
  async function back() {
    try {
      await bringBack(site.app);
      go(`/sites/${pathOf(site.app)}/making`);
    } catch (error) {
      say(told(error), { tone: "bad" });
    }
  }
  return html`<div class="actions"><p>${t("site.deleted")}</p><${Act} class="main wide" icon="undo-2" onClick=${back}>${t("home.back")}<//></div>`;
}

const SHOWN = 6;

/** @param {{ site: AppView }} props */
function Timeline({ site }) {
  const mark = `${site.fileDigest} ${site.phase} ${site.container ?? ""} ${site.restarts}`;
  const { data } = useRead(`/apps/${pathOf(site.app)}/events?limit=100`, mark);
  const all = useSignal(false);
  /** @type {AppEvent[]} */
  const events = data ?? [];
  const lines = events.map((event) => ({ event, told: eventOf(event) })).filter((line) => line.told);
  const search = useSearch(lines.length, all.value && lines.length > SHOWN);
  const fitting = search.active ? lines.filter(({ event, told: line }) => search.fits(`${line?.text} ${event.what} ${event.cause} ${exact(event.at)}`)) : lines;
  const shown = all.value || search.active ? fitting : fitting.slice(0, SHOWN);
  return html`<section class="timeline">
    <h2>${t("site.history")}</h2>
    <p><${Link} class="plain" href=${`/sites/${pathOf(site.app)}/history`}><${Icon} name="undo-2" />${t("versions.open")}<//>
      <${Link} class="plain" href=${`/sites/${pathOf(site.app)}/backups`}><${Icon} name="download" />${t("backups.open")}<//></p>
    <${PublishZip} app=${site.app} />
    ${search.field}
    ${search.active && fitting.length === 0 && html`<p class="nothing">${t("all.nothing")}</p>`}
    <ol>
      ${shown.map(
        ({ event, told: line }) => html`<li key=${event.at + event.what}>
          <${Icon} name=${line?.icon ?? "clock"} />
          <span>${line?.text}</span>
          <time class="soft" datetime=${event.at} title=${exact(event.at)}>${when(event.at)}</time>
        </li>`,
      )}
    </ol>
    ${fitting.length > shown.length &&
    html`<button type="button" class="plain" onClick=${() => (all.value = true)}>${t("site.history.all", { n: lines.length })}</button>`}
    ${isAdmin.value &&
    events.length > 0 &&
    html`<${Details} label=${t("site.history.exact")}>
      <ol class="events">${events.map(
        (event) => html`<li key=${event.at + event.what} data-kind=${event.kind}><time datetime=${event.at}>${exact(event.at)}</time>
          <span>${event.what}</span><span class="soft">${whoOf(event) ? t("site.by", { who: event.cause }) : event.cause}</span></li>`,
      )}</ol>
    <//>`}
  </section>`;
}

/** @param {AppView} site */
function sleepOf(site) {
  const sleep = site.sleep;
  if (!sleep) return "–";
  const by = sleep.wokenBy;
  const parts = [
    sleep.since ? t("fact.sleep.since", { when: exact(sleep.since) }) : t("fact.sleep.awake"),
    t("fact.sleep.wakes", { n: sleep.wakes }),
    by ? [by.path, by.agent].filter(Boolean).join(" · ") : "",
  ];
  return parts.filter(Boolean).join(" · ");
}

/** @param {{ site: AppView }} props */
function ForAdmins({ site }) {
  /** @type {[string, any][]} */
  const facts = [
    [t("fact.app"), site.app],
    [t("fact.phase"), `${site.phase} (${site.sync}, ${site.health})`],
    [t("fact.template"), site.template ?? "–"],
    [t("fact.container"), site.container?.slice(0, 12) ?? "–"],
    [t("fact.endpoint"), site.endpoint ? `${site.endpoint.ip}:${site.endpoint.port}` : "–"],
    [t("fact.limits"), site.limits ? t("fact.limits.text", { memory: site.limits.memory, cpus: site.limits.cpus, pids: site.limits.pids }) : "–"],
    [t("fact.restarts"), site.restarts],
    [t("fact.sleep"), sleepOf(site)],
    [t("fact.started"), site.startedAt ? exact(site.startedAt) : "–"],
  ];
  return html`<section class="for-admins">
    <p>
      ${site.container && html`<${Link} class="plain" href=${`/sites/${pathOf(site.app)}/log`}><${Icon} name="file-text" />${t("log.open")}<//>`}
      <${Link} class="plain" href=${`/sites/${pathOf(site.app)}/manifest`}><${Icon} name="settings" />${t("admin.manifest.open")}<//>
    </p>
    <${Details} label=${t("site.technical")}>
    <dl>${facts.map(([name, value]) => html`<${Fragment} key=${name}><dt>${name}</dt><dd>${value}</dd><//>`)}</dl>
    ${site.conditions.length > 0 &&
    html`<ul class="conditions">${site.conditions.map(
      (one) => html`<li key=${one.type}><b>${one.type}</b> ${one.status ? "" : "✗ "}${one.reason}: ${one.message}</li>`,
    )}</ul>`}
    ${site.lastExit?.log && html`<pre>${site.lastExit.log.join("\n")}</pre>`}
  <//></section>`;
}

/** @param {{ site: AppView }} props */
function Farewell({ site }) {
  const going = leaving.value.has(site.app);
  function away() {
    remove(site.app);
    go("/");
  }
  return html`<section class="farewell">
    <p class="soft">${t("site.delete.text")}</p>
    <button type="button" class="button danger" disabled=${going} onClick=${away}><${Icon} name="trash-2" /><span>${t("site.delete", { name: nameOf(site.app) })}</span></button>
    ${isAdmin.value && html`<${Purge} app=${site.app} />`}
  </section>`;
}
