// When a site rests because nobody comes, whether it does now, and what a person may do about it.

import { call, pathOf } from "../lib/api.js";
import { html } from "../lib/html.js";
import { exact, t, when } from "../lib/i18n.js";
import { seen } from "../lib/live.js";
import { Act, Field, say, told } from "../lib/ui.js";

/** @typedef {import("../types.js").AppView} AppView */

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** What is offered, in seconds without a visitor; 0: never. */
const OFFERED = [0, 10 * MINUTE, 30 * MINUTE, 2 * HOUR, DAY];

/** @param {{ site: AppView }} props */
export function Sleep({ site }) {
  const now = site.sleep?.afterSeconds ?? 0;
  const choices = OFFERED.includes(now) ? OFFERED : [...OFFERED, now].sort((a, b) => a - b);
  /** @param {number} seconds @param {boolean} [isUndo] */
  async function set(seconds, isUndo = false) {
    try {
      const sleep = seconds ? { after: `${seconds}s` } : "never";
      seen(await call("PUT", `/apps/${pathOf(site.app)}/sleep`, { body: { sleep } }));
      say(t("sleep.changed", { when: whenOf(seconds) }), isUndo ? {} : { action: { text: t("undo"), run: () => set(now, true) } });
    } catch (error) {
      say(told(error), { tone: "bad" });
    }
  }
  return html`<section class="panel sleep">
    <h2>${t("sleep.title")}</h2>
    <p class="soft">${t("sleep.text")}</p>
    <${Field} label=${t("sleep.when")} id="sleep-after">
      <select id="sleep-after" value=${String(now)} onChange=${(/** @type {any} */ event) => set(Number(event.currentTarget.value))}>
        ${choices.map((seconds) => html`<option value=${String(seconds)} key=${seconds}>${whenOf(seconds)}</option>`)}
      </select>
    <//>
    ${site.sleep && html`<${Now} site=${site} sleep=${site.sleep} />`}
  </section>`;
}

/** @param {{ site: AppView, sleep: NonNullable<AppView["sleep"]> }} props */
function Now({ site, sleep }) {
  /** @param {"sleep" | "wake"} verb */
  async function turn(verb) {
    try {
      await call("POST", `/apps/${pathOf(site.app)}/${verb}`, { body: {} });
      say(t(verb === "sleep" ? "sleep.asked" : "sleep.waking"));
    } catch (error) {
      say(told(error), { tone: "bad" });
    }
  }
  return html`${sleep.since && html`<p class="sleep-since" title=${exact(sleep.since)}>${t("sleep.since", { when: when(sleep.since) })}</p>`}
    ${sleep.wakes > 0 && html`<p class="soft sleep-wakes">${t("sleep.wakes", { n: sleep.wakes })}${sleep.wokenBy && ` · ${t("sleep.last", { when: when(sleep.wokenBy.at) })}`}</p>`}
    ${site.desired === "running" &&
    (sleep.since
      ? html`<${Act} class="turn" icon="play" onClick=${() => turn("wake")}>${t("sleep.wake")}<//>`
      : html`<${Act} class="turn" icon="moon" onClick=${() => turn("sleep")}>${t("sleep.rest")}<//>`)}`;
}

/** @param {number} seconds without a visitor */
function whenOf(seconds) {
  if (seconds === 0) return t("sleep.never");
  if (seconds % DAY === 0) return t("sleep.days", { n: seconds / DAY });
  if (seconds % HOUR === 0) return t("sleep.hours", { n: seconds / HOUR });
  if (seconds % MINUTE === 0) return t("sleep.minutes", { n: seconds / MINUTE });
  return t("sleep.seconds", { n: seconds });
}
