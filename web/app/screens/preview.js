// What of a site its owner looks at before others see it: how far it is, the way there, and until when.
//
// It is asked for again and again, since the stream of changes tells of sites only.

import { Refusal, call, pathOf } from "../lib/api.js";
import { html, useEffect } from "../lib/html.js";
import { exact, t, until } from "../lib/i18n.js";
import { addressHere } from "../lib/site-address.js";
import { Act, Details, Icon, say, told } from "../lib/ui.js";

/** @typedef {import("../types.js").PreviewView} PreviewView */
/** @typedef {import("../vendor/signals.js").Signal<PreviewView | null>} Looking */

const SOON_MS = 1000;
const LATER_MS = 20_000;

/** Begins to look at a version. @param {string} app @param {string} version @param {Looking} looking */
export async function lookAt(app, version, looking) {
  try {
    looking.value = await call("POST", `/apps/${pathOf(app)}/preview`, { body: { version } });
    document.getElementById("preview")?.scrollIntoView({ block: "nearest" });
  } catch (why) {
    say(told(why), { tone: "bad" });
  }
}

/** @param {PreviewView | null} preview */
const isOnItsWay = (preview) => ["preparing", "starting", "ending"].includes(preview?.state ?? "");

/** @param {{ app: string, looking: Looking }} props */
export function Preview({ app, looking }) {
  const path = `/apps/${pathOf(app)}/preview`;
  const preview = looking.value;

  useEffect(() => {
    const stop = new AbortController();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    async function look() {
      try {
        looking.value = await call("GET", path, { signal: stop.signal });
      } catch (why) {
        if (stop.signal.aborted) return;
        if (why instanceof Refusal && why.status === 404) looking.value = null;
      }
      if (!stop.signal.aborted && looking.value) timer = setTimeout(look, isOnItsWay(looking.value) ? SOON_MS : LATER_MS);
    }
    timer = setTimeout(look, isOnItsWay(looking.value) ? SOON_MS : 0);
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [path, preview?.since]);

  async function end() {
    try {
      await call("DELETE", path);
      looking.value = null;
      say(t("preview.ended"));
    } catch (why) {
      say(told(why), { tone: "bad" });
    }
  }

  if (!preview || preview.state === "ending") return null;
  const address = addressHere(new URL("/.paas/owner?to=%2F", preview.url).href);
  const failed = preview.state === "failed";
  return html`<section class="panel" id="preview" aria-live="polite" data-state=${preview.state}>
    <h2>${t("preview.title")}</h2>
    ${failed
      ? html`<p><${Icon} name="circle-alert" /> ${t("preview.failed")}</p>
          <${Details}><p>${preview.reason}</p>${preview.log && html`<pre>${preview.log.join("\n")}</pre>`}<//>`
      : preview.state === "ready"
        ? html`<p>${t("preview.ready")} <span class="soft" title=${exact(preview.until)}>${t("preview.until", { time: until(preview.until) })}</span></p>`
        : html`<p><${Icon} name="loader-circle" class="turns" /> ${t(preview.state === "preparing" ? "preview.preparing" : "preview.starting")}</p>`}
    <div class="actions">
      ${preview.state === "ready" &&
      html`<a class="button main" href=${address} target="_blank" rel="noopener"><${Icon} name="external-link" /><span>${t("preview.open")}</span></a>`}
      <${Act} icon="x" busy=${t("preview.end.busy")} onClick=${end}>${t("preview.end")}<//>
    </div>
  </section>`;
}
