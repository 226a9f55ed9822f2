// How the server itself is doing, and what waits for a decision of whoever runs it.

import { size } from "../lib/amount.js";
import { call, pathOf } from "../lib/api.js";
import { html, useSignal } from "../lib/html.js";
import { exact, t, when } from "../lib/i18n.js";
import { daemon } from "../lib/live.js";
import { Link } from "../lib/router.js";
import { useSearch } from "../lib/shortcuts.js";
import { BuildLog } from "./build-log.js";
import { npmChecks } from "./system-npm.js";
import { Act, Details, Heading, Icon, say, told, useRead } from "../lib/ui.js";
import { Plan } from "./plan.js";

/** @typedef {import("../types.js").Daemon} Daemon */
/** @typedef {import("../types.js").Setting} Setting */
/** @typedef {import("../types.js").Machine} Machine */
/** @typedef {{ what: string, tone: "good" | "busy" | "warn" | "bad", found: any }} Check */

export function System() {
  const known = daemon.value;
  const { data } = useRead("/settings", known?.lastResync);
  /** @type {{ file: string, settings: Setting[], machine: Machine } | null} */
  const inForce = data;
  return html`
    <header class="screen-head"><${Heading} title=${t("system.title")}>${t("system.title")}<//>
      <${Act} icon="refresh-cw" onClick=${again}>${t("system.again")}<//></header>
    ${known?.held && html`<${Held} held=${known.held} />`}
    ${known && html`<section class="panel wide"><ul class="checks">${[...checksOf(known), ...(inForce ? machineOf(inForce.machine) : [])].map((check) => html`<${Row} check=${check} key=${check.what} />`)}</ul></section>`}
    <${Everything} mark=${known?.lastResync} />
    ${inForce && html`<${Settings} told=${inForce} />`}
    <${Recent} mark=${known?.lastResync} />
    <p class="soft">${known && t("system.version", { version: known.version })} <a href="/docs">${t("system.api")}</a></p>
  `;
}

async function again() {
  try {
    await call("POST", "/resync");
    say(t("system.again.done"));
  } catch (error) {
    say(told(error), { tone: "bad" });
  }
}

/** A removal of many sites at once, their files having vanished: it waits for a person. @param {{ held: NonNullable<Daemon["held"]> }} props */
function Held({ held }) {
  async function confirm() {
    try {
      const data = await call("POST", "/confirm", { body: { token: held.token } });
      say(t("held.done", { n: data.apps.length }));
    } catch (error) {
      say(told(error), { tone: "bad" });
    }
  }
  return html`<section class="trouble" data-tone="bad">
    <${Icon} name="triangle-alert" />
    <div>
      <h2>${t("held.title", { n: held.apps.length })}</h2>
      <p>${t("held.text", { when: when(held.since) })}</p>
      <ul class="names">${held.apps.map((app) => html`<li key=${app}><${Link} href=${`/sites/${pathOf(app)}`}>${app}<//></li>`)}</ul>
      <${Act} class="danger" icon="trash-2" onClick=${confirm}>${t("held.confirm", { n: held.apps.length })}<//>
      <${Details}>${held.message}<//>
    </div>
  </section>`;
}

/** What `paas doctor` looks at, as far as the daemon knows it by itself. @param {Daemon} known @returns {Check[]} */
function checksOf(known) {
  const { engine, manifests, database, image, network } = known;
  const info = engine.info;
  /** @type {Check[]} */
  const checks = [
    {
      what: t("admin.engine"),
      tone: engine.state === "connected" ? "good" : engine.state === "connecting" ? "busy" : "bad",
      found: info
        ? t("admin.engine.text", { version: String(info.version), api: String(info.apiVersion ?? info.api_version), memory: gib(Number(info.memory)), cpus: String(info.cpus) })
        : (engine.reason ?? t("system.wait")),
    },
    {
      what: t("admin.image"),
      tone: image.state === "ready" ? "good" : image.state === "failed" ? "bad" : "busy",
      found:
        image.state === "failed"
          ? html`${image.reason}<${BuildLog} mark=${image.since} />`
          : image.state === "building"
            ? image.step
            : image.state === "ready"
              ? html`${t(image.built ? "admin.image.built" : "admin.image.brought")}${image.built && html`<${BuildLog} mark=${image.id} />`}`
              : t("system.wait"),
    },
    {
      what: t("admin.network"),
      tone: network.state === "ready" ? "good" : network.state === "failed" ? "bad" : network.state === "drifted" ? "warn" : "busy",
      found: network.message ?? (network.state === "ready" ? t("system.good") : t("system.wait")),
    },
    {
      what: t("admin.manifests"),
      tone: manifests.state === "complete" ? "good" : manifests.state === "unavailable" ? "bad" : "busy",
      found: manifests.reason ?? (manifests.state === "complete" ? t("system.good") : t("system.wait")),
    },
    { what: t("admin.database"), tone: database?.state === "unusable" ? "bad" : "good", found: database?.reason ?? t("system.good") },
    {
      what: t("admin.settings"),
      tone: known.settingsProblems.length ? "bad" : known.restartRequired.length ? "warn" : "good",
      found: known.settingsProblems.length
        ? list(known.settingsProblems)
        : known.restartRequired.length
          ? t("admin.restart", { names: known.restartRequired.join(", ") })
          : t("system.good"),
    },
  ];
  if (info) {
    const lacking = [["memoryLimit", t("admin.ram")], ["swapLimit", "swap"], ["cpuLimit", t("admin.cpu")], ["pidsLimit", "pids"]].filter(([name]) => info[String(name)] === false);
    checks.push(
      { what: t("admin.limits"), tone: lacking.length ? "warn" : "good", found: lacking.length ? t("admin.limits.lacking", { names: lacking.map(([, text]) => text).join(", ") }) : t("admin.limits.good") },
      { what: t("admin.seccomp"), tone: info.seccomp ? "good" : "warn", found: t(info.seccomp ? "admin.seccomp.good" : "admin.seccomp.lacking") },
      { what: "AppArmor", tone: info.apparmor ? "good" : "warn", found: t(info.apparmor ? "admin.apparmor.good" : "admin.apparmor.lacking") },
    );
  }
  if (known.fileProblems.length) {
    checks.push({ what: t("admin.files"), tone: "warn", found: list(known.fileProblems.map((one) => `${one.file}: ${one.message}`)) });
  }
  checks.push(...npmChecks(known));
  return checks;
}

/** Less than this is worth a word. */
const SCARCE = 0.05;

/** @param {Machine} machine @returns {Check[]} */
function machineOf(machine) {
  const { diskFreeBytes, diskTotalBytes, memoryFreeBytes, memoryTotalBytes, daemonMemoryBytes } = machine;
  /** @type {Check[]} */
  const checks = [];
  if (diskFreeBytes !== null && diskTotalBytes !== null) {
    const scarce = diskFreeBytes < diskTotalBytes * SCARCE;
    const found = t("admin.free", { free: size(diskFreeBytes), total: size(diskTotalBytes) });
    checks.push({ what: t("admin.machine.disk"), tone: scarce ? "bad" : "good", found: scarce ? `${found}. ${t("admin.disk.scarce")}` : found });
  }
  if (memoryFreeBytes !== null && memoryTotalBytes !== null) {
    const scarce = memoryFreeBytes < memoryTotalBytes * SCARCE;
    const found = t("admin.free", { free: size(memoryFreeBytes), total: size(memoryTotalBytes) });
    const own = daemonMemoryBytes === null ? "" : ` ${t("admin.own", { size: size(daemonMemoryBytes) })}`;
    checks.push({ what: t("admin.machine.memory"), tone: scarce ? "warn" : "good", found: `${found}.${own}` });
    checks.push(...roomOf(machine.room));
  }
  return checks;
}

/** How many sites the memory holds, before it is full. @param {Machine["room"]} room @returns {Check[]} */
function roomOf({ awake, asleep, waiting, fits, siteBytes, reserveBytes }) {
  if (fits === null || siteBytes === null) return [];
  const parts = [
    t("admin.room.text", { n: awake, fits, size: size(siteBytes) }),
    asleep > 0 && t("admin.room.asleep", { n: asleep }),
    t("admin.room.reserve", { size: size(reserveBytes) }),
    waiting > 0 && t("admin.room.waiting", { n: waiting }),
  ];
  return [{ what: t("admin.room"), tone: waiting > 0 ? "bad" : fits <= awake ? "warn" : "good", found: parts.filter(Boolean).join(" ") }];
}

/** @param {{ mark: unknown }} props */
function Everything({ mark }) {
  const shown = useSignal(false);
  if (!shown.value) return html`<p><button type="button" class="button" onClick=${() => (shown.value = true)}><${Icon} name="clock" /><span>${t("admin.plan.all")}</span></button></p>`;
  return html`<${Plan} path="/plan" mark=${mark} title=${t("admin.plan.all")} />`;
}

/** @param {{ told: { file: string, settings: Setting[] } }} props */
function Settings({ told }) {
  const changed = told.settings.filter((one) => one.origin !== "default");
  const whole = useSignal(false);
  const rows = whole.value ? told.settings : changed;
  return html`<section class="panel wide settings">
    <h2>${t("admin.settings.title")}</h2>
    <p class="soft">${changed.length ? t("admin.settings.text", { file: told.file }) : t("admin.settings.none", { file: told.file })}</p>
    ${rows.length > 0 &&
    html`<dl>${rows.map(
      (one) => html`<div key=${one.name}><dt><code>${one.name}</code></dt>
        <dd><code>${one.value === null ? t("admin.settings.hidden") : one.value || "–"}</code> <span class="soft">${originOf(one)}${one.restart ? ` · ${t("admin.settings.restart")}` : ""}</span></dd></div>`,
    )}</dl>`}
    <button type="button" class="plain" onClick=${() => (whole.value = !whole.value)} aria-expanded=${whole.value ? "true" : "false"}>${whole.value ? t("admin.settings.less") : t("admin.settings.all", { n: told.settings.length })}</button>
  </section>`;
}

/** @param {Setting} one */
function originOf({ origin, line }) {
  if (origin === "file") return t("admin.settings.file", { n: line ?? 0 });
  return origin === "environment" ? t("admin.settings.environment") : t("admin.settings.default");
}

/** @param {string[]} texts */
function list(texts) {
  return html`<ul>${texts.map((text) => html`<li key=${text}>${text}</li>`)}</ul>`;
}

/** @param {number} bytes */
function gib(bytes) {
  return (bytes / 2 ** 30).toFixed(1);
}

const ICONS = { good: "circle-check", busy: "loader-circle", warn: "triangle-alert", bad: "triangle-alert" };

/** @param {{ check: Check }} props */
function Row({ check }) {
  return html`<li data-tone=${check.tone}>
    <span class="state" data-tone=${check.tone}><${Icon} name=${ICONS[check.tone]} class=${check.tone === "busy" ? "turns" : ""} /><span class="unseen">${t(`tone.${check.tone}`)}</span></span>
    <b>${check.what}</b><div>${check.found}</div>
  </li>`;
}

/** As many are at hand before somebody searches. */
const AT_HAND = 50;

/** What was done to everything. @param {{ mark: unknown }} props */
function Recent({ mark }) {
  const { data } = useRead("/events/log?limit=500", mark);
  /** @type {import("../types.js").AppEvent[]} */
  const all = data ?? [];
  const search = useSearch(all.length);
  const events = search.active ? all.filter((event) => search.fits(`${event.app ?? ""} ${event.what} ${event.cause} ${exact(event.at)}`)) : all.slice(0, AT_HAND);
  return html`<section class="timeline">
    <h2>${t("system.recent")}</h2>
    ${search.field}
    ${search.active && events.length === 0 && html`<p class="nothing">${t("all.nothing")}</p>`}
    <ol class="events">${events.map(
      (event) => html`<li key=${event.at + event.app + event.what} data-kind=${event.kind}>
        <span><time datetime=${event.at} title=${exact(event.at)}>${when(event.at)}</time>${event.app && html` · <${Link} href=${`/sites/${pathOf(event.app)}`}>${event.app}<//>`}</span>
        <span>${event.what}</span><span class="soft">${event.cause}</span></li>`,
    )}</ol>
  </section>`;
}
