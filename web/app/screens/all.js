// Every site of the server, for whoever runs it: trouble first, searched, filtered, sorted; started and stopped right here.

import { cores, size } from "../lib/amount.js";
import { call, pathOf } from "../lib/api.js";
import { inFrames } from "../lib/frames.js";
import { Line } from "../lib/graph.js";
import { html, signal, useEffect, useRef } from "../lib/html.js";
import { exact, t, when } from "../lib/i18n.js";
import { apps, seen } from "../lib/live.js";
import { Link } from "../lib/router.js";
import { addressHere, ownerAddress } from "../lib/site-address.js";
import { Act, Heading, Icon, say, told } from "../lib/ui.js";
import { usageOf, useUsages } from "../lib/usage.js";
import { State } from "../lib/state.js";
import { nameOf, ownerOf, stateOf, urgency } from "../lib/words.js";
import { shortAddress } from "./home.js";

/** @typedef {import("../types.js").AppView} AppView */
/** @typedef {import("../types.js").AppEvent} AppEvent */
/** @typedef {"trouble" | "name" | "restarts" | "started" | "cpu" | "memory"} Order */

// They outlive the screen: whoever comes back finds the table as it was.
const words = signal("");
const show = signal(/** @type {"all" | "trouble" | "open" | "resting" | "closed"} */ ("all"));
const owner = signal("");
const order = signal(/** @type {Order} */ ("trouble"));

/** @type {Record<Order, (a: AppView, b: AppView) => number>} */
const ORDERS = {
  trouble: (a, b) => urgency(a) - urgency(b) || (a.app < b.app ? -1 : 1),
  name: (a, b) => (a.app < b.app ? -1 : 1),
  restarts: (a, b) => b.restarts - a.restarts || (a.app < b.app ? -1 : 1),
  cpu: (a, b) => (usageOf(b.app).peek()?.now.cpuMillis ?? -1) - (usageOf(a.app).peek()?.now.cpuMillis ?? -1) || (a.app < b.app ? -1 : 1),
  memory: (a, b) => (usageOf(b.app).peek()?.now.memoryBytes ?? -1) - (usageOf(a.app).peek()?.now.memoryBytes ?? -1) || (a.app < b.app ? -1 : 1),
  started: (a, b) => (b.startedAt ?? "").localeCompare(a.startedAt ?? "") || (a.app < b.app ? -1 : 1),
};

/** @type {Record<string, (app: AppView) => boolean>} */
const SHOWN = {
  all: () => true,
  trouble: (app) => urgency(app) < 2,
  open: (app) => app.desired === "running",
  resting: (app) => app.phase === "Asleep",
  closed: (app) => app.desired !== "running",
};

export function All() {
  const table = useRef(/** @type {HTMLElement | null} */ (null));
  const before = useRef(/** @type {string[]} */ ([]));
  useUsages(!!apps.value);
  useChanges();

  const all = [...(apps.value?.values() ?? [])];
  const owners = [...new Set(all.map((app) => ownerOf(app.app)))];
  const typed = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const kept = all.filter((app) => {
    const fits = () => {
      const text = `${app.app} ${app.phase} ${app.template ?? ""} ${stateOf(app).text} ${app.url}`.toLowerCase();
      return typed.every((word) => text.includes(word));
    };
    return (typed.length === 0 || fits()) && SHOWN[show.value]?.(app) && (!owner.value || ownerOf(app.app) === owner.value);
  });
  kept.sort(ORDERS[order.value]);
  // Rows do not jump under a finger or away from the focus: what is new comes on top, the rest stays where it is.
  const held = table.current?.matches(":hover, :focus-within") ? before.current : [];
  const place = new Map(held.map((name, index) => [name, index]));
  if (held.length > 0) kept.sort((a, b) => (place.get(a.app) ?? -1) - (place.get(b.app) ?? -1));
  before.current = kept.map((app) => app.app);

  return html`
    <header class="screen-head"><${Heading} title=${t("all.title")}>${t("all.title")}<//><span class="soft">${t("all.count", { n: kept.length, all: all.length })}</span></header>
    <div class="tools" role="search">
      <input type="search" aria-label=${t("all.search")} placeholder=${t("all.search")} value=${words.value} autocomplete="off"
        onInput=${(/** @type {any} */ event) => (words.value = event.currentTarget.value)} />
      <${Select} label=${t("all.show")} value=${show} options=${[["all", t("all.show.all")], ["trouble", t("all.show.trouble")], ["open", t("all.show.open")], ["resting", t("all.show.resting")], ["closed", t("all.show.closed")]]} />
      <${Select} label=${t("all.owner")} value=${owner} options=${[["", t("all.owner.all")], ...owners.map((name) => [name, name])]} />
      <${Select} label=${t("all.order")} value=${order} options=${[["trouble", t("all.order.trouble")], ["name", t("all.order.name")], ["restarts", t("all.order.restarts")], ["started", t("all.order.started")], ["cpu", t("admin.order.cpu")], ["memory", t("admin.order.memory")]]} />
    </div>
    <div class="table-frame" ref=${table} onPointerLeave=${() => (before.current = [])}>
      <table class="table">
        <thead><tr><th scope="col">${t("all.site")}</th><th scope="col">${t("fact.phase")}</th><th scope="col">${t("all.address")}</th>
          <th scope="col">${t("admin.cpu")}</th><th scope="col">${t("admin.ram")}</th><th scope="col">${t("admin.disk")}</th>
          <th scope="col">${t("all.rest")}</th><th scope="col">${t("all.restarts")}</th><th scope="col">${t("all.changed")}</th><th scope="col"><span class="unseen">${t("all.do")}</span></th></tr></thead>
        <tbody>${kept.map(rowOf)}</tbody>
      </table>
      ${apps.value && kept.length === 0 && html`<p class="nothing">${all.length ? t("all.nothing") : t("home.empty.title")}</p>`}
    </div>
  `;
}

/** @param {{ label: string, value: import("../vendor/signals.js").Signal<any>, options: [string, string][] }} props */
function Select({ label, value, options }) {
  return html`<select aria-label=${label} value=${value.value} onChange=${(/** @type {any} */ event) => (value.value = event.currentTarget.value)}>
    ${options.map(([key, text]) => html`<option value=${key} key=${key}>${text}</option>`)}
  </select>`;
}

/** A row is made anew when its site has changed, and looked at again only then: of hundreds few do. @type {WeakMap<AppView, any>} */
const rows = new WeakMap();

/** @param {AppView} app */
function rowOf(app) {
  const row = rows.get(app) ?? html`<${Row} app=${app} key=${app.app} />`;
  rows.set(app, row);
  return row;
}

/** @param {{ app: AppView }} props */
function Row({ app }) {
  const runs = app.desired === "running";
  const usage = usageOf(app.app).value;
  const now = usage?.now;
  const change = changeOf(app.app).value;
  async function turn() {
    try {
      seen(await call("POST", `/apps/${pathOf(app.app)}/${runs ? "stop" : "start"}`));
    } catch (error) {
      say(told(error), { tone: "bad" });
    }
  }
  const label = t(runs ? "all.stop" : "all.start", { name: app.app });
  return html`<tr>
    <th scope="row"><${Link} href=${`/sites/${pathOf(app.app)}`}><span class="soft">${ownerOf(app.app)}-</span>${nameOf(app.app)}<//></th>
    <td><${State} app=${app} /></td>
    <td data-label=${t("all.address")} class="all-address"><a href=${ownerAddress(app)} target="_blank" rel="noopener">${shortAddress(addressHere(app.url))}</a></td>
    <td data-label=${t("admin.cpu")}><${Used} what=${t("admin.cpu")} now=${now?.cpuMillis} day=${usage?.cpuMillis} limit=${usage?.limits?.cpuMillis} say=${cores} /></td>
    <td data-label=${t("admin.ram")}><${Used} what=${t("admin.ram")} now=${now?.memoryBytes} day=${usage?.memoryBytes} limit=${usage?.limits?.memoryBytes} say=${size} /></td>
    <td data-label=${t("admin.disk")}>${now?.diskBytes === null || now?.diskBytes === undefined ? "–" : size(now.diskBytes)}</td>
    <td data-label=${t("all.rest")}>${restOf(app)}</td>
    <td data-label=${t("all.restarts")}>${app.restarts}</td>
    <td data-label=${t("all.changed")}>${change ? html`<time datetime=${change.at} title=${exact(change.at)}>${when(change.at)}</time> <span class="soft">${byOf(change.cause)}</span>` : "–"}</td>
    <td>${app.desired !== "deleted" && html`<${Act} class="icon-only" icon=${runs ? "pause" : "play"} onClick=${turn} aria-label=${label} title=${label}><//>`}
      <${Link} class="button icon-only" href=${`/sites/${pathOf(app.app)}/log`} aria-label=${t("all.log", { name: app.app })} title=${t("all.log", { name: app.app })}><${Icon} name="file-text" /><//></td>
  </tr>`;
}

/** Since when it rests, and how often it was opened again. @param {AppView} app */
function restOf({ sleep }) {
  if (!sleep) return "–";
  const since = sleep.since && html`<time datetime=${sleep.since} title=${exact(sleep.since)}>${when(sleep.since)}</time>`;
  const wakes = sleep.wakes > 0 && html`<span class="soft">${t("all.wakes", { n: sleep.wakes })}</span>`;
  return since || wakes ? html`${since}${since && wakes ? " " : ""}${wakes}` : "–";
}

/** What is used, of what may be, and how it was in the last day. @param {{ what: string, now: number | null | undefined, day: (number | null)[] | undefined, limit: number | undefined, say: (value: number) => string }} props */
function Used({ what, now, day = [], limit, say: text }) {
  if (now === null || now === undefined) return html`–`;
  const known = day.filter((one) => one !== null);
  const top = Math.max(...known, 0);
  const most = limit && top * 4 >= limit ? Math.max(limit, top) : top * 1.25;
  const near = limit !== undefined && now >= limit * 0.9;
  return html`<span class="used" data-near=${near ? "" : undefined}><span>${text(now)}${limit ? html`<span class="soft"> / ${text(limit)}</span>` : ""}</span>
    ${known.length > 1 && html`<${Line} points=${day} most=${most} limit=${limit} label=${t("admin.usage.label", { what, now: text(now), most: text(top) })} />`}</span>`;
}

/** The last change of each app's manifest, and by whom. @type {Map<string, import("../vendor/signals.js").Signal<AppEvent | null>>} */
const changes = new Map();

/** @param {string} app */
function changeOf(app) {
  let one = changes.get(app);
  if (!one) {
    one = signal(/** @type {AppEvent | null} */ (null));
    changes.set(app, one);
  }
  return one;
}

/** Many manifests may change within a moment, and the log is long. */
const CHANGES_MS = 2_000;

/** Asked anew a moment after some manifest has another digest than before. */
function useChanges() {
  const digests = [...(apps.value?.values() ?? [])].map((app) => app.fileDigest ?? "").join();
  const waits = useRef(false);
  useEffect(() => {
    if (!digests || waits.current) return;
    waits.current = true;
    setTimeout(async () => {
      waits.current = false;
      try {
        takeChanges(await call("GET", "/events/log?limit=500"));
      } catch {
        // Away: asked again with the next change.
      }
    }, CHANGES_MS);
  }, [digests]);
}

/** Newest first. @param {AppEvent[]} events */
function takeChanges(events) {
  /** @type {Map<string, AppEvent>} */
  const last = new Map();
  for (const event of events) {
    if (event.kind === "changed" && event.app && !last.has(event.app)) last.set(event.app, event);
  }
  const fresh = [...last.values()].filter((event) => changeOf(event.app ?? "").peek()?.at !== event.at);
  inFrames(fresh, (event) => {
    changeOf(event.app ?? "").value = event;
  });
}

/** Who it was, without the way they took. @param {string} cause */
function byOf(cause) {
  return cause === "a file on disk" ? t("all.byFile") : cause.replace(/ in the portal$/, "");
}
