// My sites: large cards, trouble first; and what to do when there is none yet.

import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { apps, daemon } from "../lib/live.js";
import { bringBack, leaving } from "../lib/remove.js";
import { go, Link } from "../lib/router.js";
import { isAdmin, me } from "../lib/session.js";
import { useSearch } from "../lib/shortcuts.js";
import { addressHere } from "../lib/site-address.js";
import { Act, Heading, Icon, say, told, useRead } from "../lib/ui.js";
import { Cover } from "../lib/cover.js";
import { Audience, State } from "../lib/state.js";
import { nameOf, ownerOf, stateOf, templateName, templateText, urgency } from "../lib/words.js";
import { pathOf } from "../lib/api.js";

/** @typedef {import("../types.js").AppView} AppView */

export function Home() {
  const known = apps.value;
  const all = [...(known?.values() ?? [])];
  const mine = isAdmin.value ? all : all.filter((app) => ownerOf(app.app) === me.value?.username);
  const alive = mine.filter((app) => app.phase !== "Deleted").sort((a, b) => urgency(a) - urgency(b));
  const deleted = mine.filter((app) => app.phase === "Deleted");
  const search = useSearch(alive.length);
  const found = alive.filter((app) => search.fits(`${app.app} ${stateOf(app).text}`));
  return html`
    <header class="screen-head">
      <${Heading} title=${t("home.title")}>${t("home.title")}<//>
      ${alive.length > 0 && html`<${Link} class="button main thumb" href="/new"><${Icon} name="plus" /><span>${t("home.new")}</span><//>`}
    </header>
    ${isAdmin.value && html`<${Box} />`}
    ${!known && html`<div class="cards" aria-busy="true"><div class="site-card waiting"></div><div class="site-card waiting"></div></div>`}
    ${known && alive.length === 0 && html`<${Welcome} />`}
    ${search.field}
    ${alive.length > 0 && found.length === 0 && html`<p class="nothing">${t("all.nothing")}</p>`}
    ${found.length > 0 && html`<ul class="cards">${found.map((app) => html`<li key=${app.app}><${SiteCard} app=${app} /></li>`)}</ul>`}
    ${deleted.length > 0 &&
    html`<section class="deleted"><h2>${t("home.deleted")}</h2>
      <ul class="rows">${deleted.map((app) => html`<li key=${app.app}><${DeletedRow} app=${app} /></li>`)}</ul>
    </section>`}
  `;
}

/** @param {{ app: AppView }} props */
function SiteCard({ app }) {
  const going = leaving.value.has(app.app);
  return html`<article class="site-card" data-going=${going ? "" : undefined}>
    <${Link} href=${`/sites/${pathOf(app.app)}`} class="site-card-link">
      <${Cover} app=${app.app} template=${app.template} />
      <div class="site-card-text">
        <h2>${nameOf(app.app)}</h2>
        <p class="soft address">${shortAddress(addressHere(app.url))}</p>
        <p><${State} app=${app} /> <${Audience} site=${app} /></p>
      </div>
    <//>
  </article>`;
}

/** @param {string} url */
export function shortAddress(url) {
  return url.replace(/^https?:\/\//, "").replace(/\/$/, "");
}

/** @param {{ app: AppView }} props */
function DeletedRow({ app }) {
  async function back() {
    try {
      await bringBack(app.app);
      go(`/sites/${pathOf(app.app)}/making`);
    } catch (error) {
      say(told(error), { tone: "bad" });
    }
  }
  return html`<div class="row">
    <span class="row-main"><b>${nameOf(app.app)}</b><span class="soft"> ${t("home.kept")}</span></span>
    <${Act} onClick=${back} icon="undo-2">${t("home.back")}<//>
  </div>`;
}

/** The first time: the nicest templates right here. */
function Welcome() {
  const { data } = useRead("/templates");
  /** @type {import("../types.js").Template[]} */
  const templates = (data ?? []).filter((/** @type {any} */ one) => !one.problem).slice(0, 3);
  return html`<section class="welcome">
    <h2>${t("home.empty.title")}</h2>
    <p class="soft">${t("home.empty.text")}</p>
    <${Link} class="button main" href="/new"><${Icon} name="plus" /><span>${t("home.new")}</span><//>
    <ul class="cards small">
      ${templates.map(
        (one) => html`<li key=${one.id}><${TemplateCard} template=${one} /></li>`,
      )}
    </ul>
  </section>`;
}

/** @param {{ template: import("../types.js").Template }} props */
export function TemplateCard({ template }) {
  return html`<article class="site-card template-card">
    <${Link} href=${`/new?template=${encodeURIComponent(template.id)}`} class="site-card-link">
      <${Cover} template=${template.id} />
      <div class="site-card-text"><h2>${templateName(template)}</h2><p class="soft">${templateText(template)}</p></div>
    <//>
  </article>`;
}

/** How the box is doing, in one line, for whoever runs it. */
function Box() {
  const known = daemon.value;
  if (!known) return null;
  const problems =
    Number(known.engine.state !== "connected") +
    Number(known.manifests.state === "unavailable") +
    Number(known.image.state === "failed") +
    Number(known.network.state === "failed") +
    Number(!!known.held) +
    known.settingsProblems.length +
    known.fileProblems.length;
  const building = known.image.state === "building";
  const tone = problems ? "warn" : building ? "busy" : "good";
  const text = problems ? t("box.problems", { n: problems }) : building ? t("box.building") : t("box.good");
  return html`<${Link} href="/system" class="box-line" data-tone=${tone}>
    <${Icon} name=${problems ? "triangle-alert" : building ? "loader-circle" : "server"} class=${building ? "turns" : ""} />
    <span>${text}</span><${Icon} name="chevron-right" />
  <//>`;
}
