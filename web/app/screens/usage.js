// What one app used in the last day, against what it may use.

import { call, pathOf } from "../lib/api.js";
import { cores, size } from "../lib/amount.js";
import { Line } from "../lib/graph.js";
import { html, useEffect, useSignal } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { Icon } from "../lib/ui.js";
import { useRepeated } from "../lib/usage.js";

/** @typedef {import("../types.js").Usage} Usage */

/** @param {{ app: string, mark: unknown }} props */
export function UsagePanel({ app, mark }) {
  const usage = useSignal(/** @type {Usage | null} */ (null));
  async function ask() {
    if (document.hidden) return;
    try {
      usage.value = await call("GET", `/apps/${pathOf(app)}/usage`);
    } catch {
      // Away, or just made: it is asked again.
    }
  }
  useRepeated(ask);
  useEffect(() => {
    ask();
  }, [mark]);
  const known = usage.value;
  if (!known) return null;
  const { limits, now, samples } = known;
  const of = (/** @type {"cpuMillis" | "memoryBytes" | "diskBytes"} */ what) => daily(known, what);
  return html`<section class="panel wide usage">
    <h2>${t("admin.usage")}</h2>
    <div class="usage-graphs">
      <${One} icon="cpu" what=${t("admin.cpu")} now=${now.cpuMillis} limit=${limits?.cpuMillis} points=${of("cpuMillis")} say=${cores} />
      <${One} icon="server" what=${t("admin.ram")} now=${now.memoryBytes} limit=${limits?.memoryBytes} points=${of("memoryBytes")} say=${size} />
      <${One} icon="hard-drive" what=${t("admin.disk")} now=${now.diskBytes} points=${of("diskBytes")} say=${size} />
    </div>
    <p class="soft">${samples.length < 2 ? t("admin.usage.young") : t("admin.usage.text")}</p>
  </section>`;
}

/** A point for each sample of the last day, whether it is there or not. @param {Usage} usage @param {"cpuMillis" | "memoryBytes" | "diskBytes"} what */
function daily({ samples, everySeconds, now }, what) {
  const step = everySeconds * 1000;
  const last = Math.floor(Date.now() / step);
  const count = 86_400_000 / step;
  /** @type {(number | null)[]} */
  const points = Array.from({ length: count + 1 }, () => null);
  for (const sample of samples) {
    const index = Math.round(Date.parse(sample.at) / step) - last + count - 1;
    if (index >= 0 && index < count) points[index] = sample[what];
  }
  points[count] = now[what];
  return points;
}

/** @param {{ icon: string, what: string, now: number | null, limit?: number, points: (number | null)[], say: (value: number) => string }} props */
function One({ icon, what, now, limit, points, say }) {
  const known = points.filter((value) => value !== null);
  const top = Math.max(...known, 0);
  // The limit is the top, unless so little of it is used that nothing could be seen.
  const most = limit && top * 4 >= limit ? Math.max(limit, top) : top * 1.25;
  const text = now === null ? t("admin.usage.none") : limit ? t("admin.usage.now", { now: say(now), limit: say(limit) }) : say(now);
  const label = t("admin.usage.label", { what, now: now === null ? "–" : say(now), most: say(top) });
  return html`<figure>
    <figcaption><${Icon} name=${icon} /><b>${what}</b><span>${text}</span></figcaption>
    <${Line} points=${points} most=${most} limit=${limit} label=${label} />
    <p class="soft axis"><span>${t("admin.usage.from")}</span><span>${known.length > 0 ? t("admin.usage.most", { most: say(top) }) : ""}</span><span>${t("time.now")}</span></p>
  </figure>`;
}
