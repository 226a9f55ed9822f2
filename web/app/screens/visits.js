// How many came to a site: counted by the server from opened pages, without knowing who.

import { Bars } from "../lib/graph.js";
import { html } from "../lib/html.js";
import { day, t } from "../lib/i18n.js";
import { pathOf } from "../lib/api.js";
import { Details, useRead } from "../lib/ui.js";

/** @typedef {import("../types.js").VisitDay} VisitDay */

/** @param {{ app: string }} props */
export function Visits({ app }) {
  const { data } = useRead(`/apps/${pathOf(app)}/visits`);
  /** @type {VisitDay[] | null} */
  const days = data?.days ?? null;
  if (!days) return null;
  const week = days.slice(-7).reduce((sum, one) => sum + one.visitors, 0);
  const month = days.reduce((sum, one) => sum + one.visitors, 0);
  const today = days.at(-1);
  const first = days[0];
  return html`<section class="panel visits">
    <h2>${t("visits.title")}</h2>
    <p class="visits-week">${week > 0 ? t("visits.week", { n: week }) : month > 0 ? t("visits.month", { n: month }) : t("visits.none")}</p>
    ${month > 0 &&
    html`<${Bars} values=${days.map((one) => one.visitors)} label=${t("visits.label", { n: month })} />
      <p class="soft axis"><span>${first && day(first.day)}</span><span>${t("visits.today", { n: today?.visitors ?? 0 })}</span></p>`}
    <${Details} label=${t("visits.how")}><p>${t("visits.how.text")}</p>
      ${month > 0 &&
      html`<ul class="visits-days">${days
        .filter((one) => one.pages > 0)
        .reverse()
        .map((one) => html`<li key=${one.day}>${t("visits.day", { day: day(one.day), n: one.visitors, pages: one.pages })}</li>`)}</ul>`}<//>
  </section>`;
}
