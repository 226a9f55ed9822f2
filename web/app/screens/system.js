// How the server itself is doing, and what waits for a decision of whoever runs it.

import { call, pathOf } from "../lib/api.js";
import { html } from "../lib/html.js";
import { exact, t, when } from "../lib/i18n.js";
import { daemon } from "../lib/live.js";
import { Link } from "../lib/router.js";
import { Act, Details, Heading, Icon, say, told, useRead } from "../lib/ui.js";

/** @typedef {import("../types.js").Daemon} Daemon */
/** @typedef {{ what: string, tone: "good" | "busy" | "warn" | "bad", found: any }} Check */

export function System() {
  const known = daemon.value;
  return html`
    <header class="screen-head"><${Heading} title=${t("system.title")}>${t("system.title")}<//>
      <${Act} icon="refresh-cw" onClick=${again}>${t("system.again")}<//></header>
    ${known?.held && html`<${Held} held=${known.held} />`}
    ${known && html`<section class="panel wide"><ul class="checks">${checksOf(known).map((check) => html`<${Row} check=${check} key=${check.what} />`)}</ul></section>`}
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
          ? html`${image.reason}<${Details} label=${t("admin.image.log")}><pre>${(image.log ?? []).join("\n")}</pre><//>`
          : image.state === "building"
            ? image.step
            : image.state === "ready"
              ? t(image.built ? "admin.image.built" : "admin.image.brought")
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
  if (known.fileProblems.length) {
    checks.push({ what: t("admin.files"), tone: "warn", found: list(known.fileProblems.map((one) => `${one.file}: ${one.message}`)) });
  }
  return checks;
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

/** What was done to everything. @param {{ mark: unknown }} props */
function Recent({ mark }) {
  const { data } = useRead("/events/log?limit=50", mark);
  /** @type {import("../types.js").AppEvent[]} */
  const events = data ?? [];
  return html`<section class="timeline">
    <h2>${t("system.recent")}</h2>
    <ol class="events">${events.map(
      (event) => html`<li key=${event.at + event.app + event.what} data-kind=${event.kind}>
        <span><time datetime=${event.at} title=${exact(event.at)}>${when(event.at)}</time>${event.app && html` · <${Link} href=${`/sites/${pathOf(event.app)}`}>${event.app}<//>`}</span>
        <span>${event.what}</span><span class="soft">${event.cause}</span></li>`,
    )}</ol>
  </section>`;
}
