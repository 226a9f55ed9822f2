// Where somebody is signed in, each to be ended by itself.

import { call } from "../lib/api.js";
import { html, useSignal } from "../lib/html.js";
import { exact, t, when } from "../lib/i18n.js";
import { Act, Failure, Icon, say, told, useRead } from "../lib/ui.js";

/** @typedef {{ id: number, current: boolean, createdAt: string, expiresAt: string, address: string, agent: string }} Session */

/** The first that fits; those that pretend to be another come before it. @type {[begins: RegExp, name: string][]} */
const BROWSERS = [
  [/SamsungBrowser/, "Samsung Internet"],
  [/KAKAOTALK/, "KakaoTalk"],
  [/NAVER\(/, "NAVER"],
  [/Whale/, "Whale"],
  [/Edg/, "Edge"],
  [/OPR/, "Opera"],
  [/Firefox|FxiOS/, "Firefox"],
  [/Chrome|CriOS/, "Chrome"],
  [/Safari/, "Safari"],
  [/curl/, "curl"],
];

/** @type {[is: RegExp, name: string][]} */
const DEVICES = [
  [/iPhone/, "iPhone"],
  [/iPad/, "iPad"],
  [/Android/, "Android"],
  [/Windows/, "Windows"],
  [/Macintosh/, "Mac"],
  [/CrOS/, "Chromebook"],
  [/Linux/, "Linux"],
];

/** What a browser calls itself, in short. @param {string} agent */
function deviceOf(agent) {
  const first = (/** @type {[RegExp, string][]} */ table) => table.find(([is]) => is.test(agent))?.[1];
  return [first(BROWSERS), first(DEVICES)].filter(Boolean).join(" · ") || t("sessions.unknown");
}

export function Sessions() {
  const mark = useSignal(0);
  const { data, error } = useRead("/auth/sessions", mark.value);
  /** @type {Session[]} */
  const all = data ?? [];
  const sessions = [...all.filter((one) => one.current), ...all.filter((one) => !one.current)];

  /** @param {Session} session */
  async function end(session) {
    try {
      await call("DELETE", `/auth/sessions/${session.id}`);
      say(t("sessions.ended", { device: deviceOf(session.agent) }));
    } catch (why) {
      say(told(why), { tone: "bad" });
    }
    mark.value += 1;
  }

  return html`<section class="panel sessions">
    <h2>${t("sessions.title")}</h2>
    <p class="soft">${t("sessions.text")}</p>
    <${Failure} error=${error} />
    <ul class="rows">${sessions.map(
      (session) => html`<li class="row" key=${session.id}>
        <${Icon} name=${/Mobile|Android|iPhone/.test(session.agent) ? "smartphone" : "monitor"} />
        <span class="row-main"><b>${deviceOf(session.agent)}</b><br />
          <span class="soft"><time datetime=${session.createdAt} title=${exact(session.createdAt)}>${when(session.createdAt)}</time>${session.address && ` · ${session.address}`}</span></span>
        ${session.current
          ? html`<span class="badge">${t("sessions.current")}</span>`
          : html`<${Act} onClick=${() => end(session)} aria-label=${t("sessions.end.name", { device: deviceOf(session.agent) })}>${t("sessions.end")}<//>`}
      </li>`,
    )}</ul>
  </section>`;
}
