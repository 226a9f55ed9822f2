// What apps use, asked for again and again as long as somebody looks.

import { call } from "./api.js";
import { inFrames } from "./frames.js";
import { signal, useEffect } from "./html.js";

/** @typedef {import("../types.js").ShortUsage} ShortUsage */

/** The daemon takes a sample every five minutes; what is used at the moment is asked for oftener. */
const EVERY_MS = 30_000;

/** One for each app, so that only the rows that changed are drawn again. @type {Map<string, import("../vendor/signals.js").Signal<ShortUsage | null>>} */
const known = new Map();

/** @param {string} app */
export function usageOf(app) {
  let one = known.get(app);
  if (!one) {
    one = signal(/** @type {ShortUsage | null} */ (null));
    known.set(app, one);
  }
  return one;
}

async function ask() {
  if (document.hidden) return;
  try {
    /** @type {ShortUsage[]} */
    const all = await call("GET", "/usage");
    const fresh = all.filter((usage) => JSON.stringify(usageOf(usage.app).peek()) !== JSON.stringify(usage));
    inFrames(fresh, (usage) => {
      usageOf(usage.app).value = usage;
    });
  } catch {
    // Away: it is said on top, and asked again.
  }
}

/** Keeps what `usageOf` tells current; `wanted`: not before the apps themselves are there. @param {boolean} wanted */
export function useUsages(wanted) {
  useRepeated(ask, wanted);
}

/** @param {() => void} work @param {boolean} [wanted] */
export function useRepeated(work, wanted = true) {
  useEffect(() => {
    if (!wanted) return undefined;
    work();
    const timer = setInterval(work, EVERY_MS);
    return () => clearInterval(timer);
  }, [wanted]);
}
