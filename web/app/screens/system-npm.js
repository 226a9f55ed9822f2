// Nginx Proxy Manager on the server's screen: one line, where the daemon looks after it.

import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";

/** @typedef {import("../types.js").Daemon} Daemon */
/** @typedef {{ what: string, tone: "good" | "busy" | "warn" | "bad", found: any }} Check */

/** @type {Record<string, [key: keyof typeof import("../lib/texts.js").texts, tone: Check["tone"]]>} */
const STATES = {
  connecting: ["npm.connecting", "busy"],
  synced: ["npm.synced", "good"],
  outOfSync: ["npm.outOfSync", "busy"],
  unreachable: ["npm.unreachable", "warn"],
  refused: ["npm.refused", "bad"],
  left: ["npm.left", "warn"],
};

/** @param {Daemon} known @returns {Check[]} */
export function npmChecks({ proxy }) {
  if (!proxy) return [];
  const [key, tone] = STATES[proxy.state] ?? /** @type {const} */ (["npm.outOfSync", "busy"]);
  const hosts = String(proxy.hosts.length);
  const said = proxy.conditions.map((condition) => condition.message);
  const found = html`${t(key, { hosts })}${said.length > 0 && html`<ul>${said.map((text) => html`<li key=${text}>${text}</li>`)}</ul>`}`;
  return [{ what: t("npm.title"), tone: tone === "good" && said.length > 0 ? "warn" : tone, found }];
}
