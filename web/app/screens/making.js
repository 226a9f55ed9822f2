// What happens while a site is made, step by step with its time, and in the end the site itself: address, QR code, open.

import { pathOf } from "../lib/api.js";
import { html, useEffect } from "../lib/html.js";
import { t, took } from "../lib/i18n.js";
import { apps, daemon } from "../lib/live.js";
import { Link } from "../lib/router.js";
import { addressForOthers, addressHere, isOnlyHere, ownerAddress } from "../lib/site-address.js";
import { Audience } from "../lib/state.js";
import { announcement, CopyButton, Heading, Icon, Qr, useRead } from "../lib/ui.js";
import { nameOf, stateOf, troublesOf } from "../lib/words.js";
import { shortAddress } from "./home.js";
import { TroubleCard } from "./trouble.js";

/** @typedef {import("../types.js").AppEvent} AppEvent */
/** @typedef {{ text: string, state: "done" | "now" | "next", note: string }} Step */

/** @param {{ app: string }} props */
export function Making({ app }) {
  const site = apps.value?.get(app);
  // Each change of the site may be one more line in its history.
  const mark = site && `${site.phase} ${site.container ?? ""} ${site.conditions.length} ${daemon.value?.image.state}`;
  const { data } = useRead(`/apps/${pathOf(app)}/events?limit=50`, mark);
  const steps = stepsOf(site, data ?? []);
  const ready = site?.phase === "Running";
  useEffect(() => {
    const now = steps.find((step) => step.state === "now");
    announcement.value = ready ? t("making.ready.title") : (now?.text ?? "");
  }, [ready, steps.filter((step) => step.state === "done").length]);
  const troubles = site ? troublesOf(site).filter((one) => one.tone === "bad") : [];

  return html`
    <header class="screen-head">
      <${Heading} title=${nameOf(app)}>${ready ? t("making.ready.title") : t("making.title", { name: nameOf(app) })}<//>
    </header>
    <div class="making">
      <ol class="steps" data-ready=${ready ? "" : undefined}>
        ${steps.map(
          (step) => html`<li key=${step.text} data-state=${step.state}>
            <${Icon} name=${{ done: "check", now: "loader-circle", next: "clock" }[step.state]} class=${step.state === "now" ? "turns" : ""} />
            <span>${step.text}</span><span class="soft">${step.note}</span>
          </li>`,
        )}
      </ol>
      ${troubles.map((trouble) => html`<${TroubleCard} app=${app} trouble=${trouble} key=${trouble.what} />`)}
      ${ready && site && html`<${Ready} site=${site} />`}
      ${site && !ready && site.phase !== "Starting" && troubles.length === 0 && html`<p class="soft">${stateOf(site).text}</p>`}
    </div>
  `;
}

/** @param {{ site: import("../types.js").AppView }} props */
function Ready({ site }) {
  const [here, others] = [addressHere(site.url), addressForOthers(site.url)];
  return html`<section class="ready">
    <${Qr} text=${others} label=${t("qr.label", { address: shortAddress(others) })} />
    <p class="soft">${t(isOnlyHere(others) ? "share.here" : "qr.text")}</p>
    <p><${Audience} site=${site} /></p>
    <p class="address-large"><a href=${ownerAddress(site)} target="_blank" rel="noopener">${shortAddress(here)}</a></p>
    <div class="actions">
      <a class="button main wide" href=${ownerAddress(site)} target="_blank" rel="noopener"><${Icon} name="external-link" /><span>${t("site.open")}</span></a>
      <${CopyButton} text=${others} label=${t("site.copy")} />
      <${Link} class="button" href=${`/sites/${pathOf(site.app)}`}>${t("making.on")}<//>
    </div>
  </section>`;
}

/**
 * From the history of the site, newest first, and its state: each step with how long it took.
 * @param {import("../types.js").AppView | undefined} site
 * @param {AppEvent[]} events
 * @returns {Step[]}
 */
function stepsOf(site, events) {
  const begun = events.findIndex((event) => event.kind === "changed" && /^created|→ running/.test(event.what));
  const since = (begun < 0 ? events : events.slice(0, begun + 1)).reverse();
  /** @param {RegExp} what */
  const at = (what) => {
    const found = since.find((event) => event.kind !== "failed" && what.test(event.what));
    return found ? Date.parse(found.at) : null;
  };
  const ready = site?.conditions.find((one) => one.type === "Ready" && one.status);
  const image = daemon.value?.image;
  const moments = [
    { text: t("making.written"), at: since[0] ? Date.parse(since[0].at) : null, done: since.length > 0 || !!site, note: "" },
    { text: t("making.folder"), at: at(/^make the app's folders/), done: false, note: "" },
    { text: t("making.image"), at: null, done: image?.state === "ready", note: image?.state === "building" ? t("making.image.note") : image?.state === "ready" ? t("making.image.there") : "" },
    { text: t("making.container"), at: at(/^create container/), done: !!site?.container, note: "" },
    { text: t("making.ready"), at: ready ? Date.parse(ready.since) : null, done: site?.phase === "Running", note: "" },
  ];
  const all = moments[4]?.done;
  let last = moments[0]?.at ?? null;
  let isNow = true;
  return moments.map(({ text, at: moment, done, note }) => {
    const over = all || done || moment !== null;
    const spent = moment !== null && last !== null ? took(moment - last) : "";
    if (moment !== null) last = moment;
    /** @type {Step["state"]} */
    const state = over ? "done" : isNow ? "now" : "next";
    if (!over) isNow = false;
    return { text, state, note: note || (over ? spent : "") };
  });
}
