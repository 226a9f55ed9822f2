// The dashboard: who is there, which screen the address names, and the frame around it.

import { expired } from "./lib/api.js";
import { EnterForm } from "./lib/enter-form.js";
import { effect, html, render, signal, useEffect } from "./lib/html.js";
import { t, when } from "./lib/i18n.js";
import { follow, lastSeen, link, retry } from "./lib/live.js";
import { Brand, Outside } from "./lib/outside.js";
import { go, Link, place } from "./lib/router.js";
import { isAdmin, look, me, unknown } from "./lib/session.js";
import { Shortcuts } from "./lib/shortcuts.js";
import { Heading, Icon, Toasts } from "./lib/ui.js";
import { Enter, First } from "./screens/enter.js";
import { Home } from "./screens/home.js";
import { FirstPassword } from "./screens/password.js";

/** Screens that are fetched when somebody goes there. @type {Record<string, () => Promise<(props: any) => any>>} */
const LATER = {
  new: () => import("./screens/new.js").then((module) => module.New),
  me: () => import("./screens/me.js").then((module) => module.Me),
  join: () => import("./screens/join.js").then((module) => module.Join),
  people: () => import("./screens/people.js").then((module) => module.People),
  person: () => import("./screens/person.js").then((module) => module.OnePerson),
  all: () => import("./screens/all.js").then((module) => module.All),
  system: () => import("./screens/system.js").then((module) => module.System),
  manifest: () => import("./screens/manifest.js").then((module) => module.Manifest),
  log: () => import("./screens/log.js").then((module) => module.Log),
  visit: () => import("./screens/visit.js").then((module) => module.Visit),
  site: () => import("./screens/site.js").then((module) => module.Site),
  backups: () => import("./screens/backups.js").then((module) => module.Backups),
  history: () => import("./screens/versions.js").then((module) => module.Versions),
  files: () => import("./screens/files.js").then((module) => module.Files),
  edit: () => import("./screens/edit.js").then((module) => module.Edit),
  making: () => import("./screens/making.js").then((module) => module.Making),
};

/** @type {import("./vendor/signals.js").Signal<Record<string, (props: any) => any>>} */
const loaded = signal(/** @type {Record<string, (props: any) => any>} */ ({}));

/** @param {{ name: string, app?: string, person?: string }} props */
function Later({ name, ...props }) {
  const Screen = loaded.value[name];
  useEffect(() => {
    if (Screen) return;
    LATER[name]?.().then(
      (screen) => {
        loaded.value = { ...loaded.value, [name]: screen };
      },
      // The daemon was upgraded: its files have other addresses now.
      () => window.location.reload(),
    );
  }, [name]);
  return Screen ? html`<${Screen} ...${props} />` : null;
}

function Screen() {
  const [first = "", user, name, view = ""] = place.value.parts;
  const app = `${user}-${name}`;
  switch (first) {
    case "":
      return html`<${Home} />`;
    case "all":
    case "system":
    case "new":
    case "me":
      return html`<${Later} name=${first} key=${first} />`;
    case "people":
      return user
        ? html`<${Later} name="person" person=${user} key=${`people/${user}`} />`
        : html`<${Later} name="people" key="people" />`;
    case "sites":
      return html`<${Later} name=${["making", "log", "manifest", "history", "backups", "edit", "files"].includes(view) ? view : "site"} app=${app} key=${app + view} />`;
    default:
      return html`<section class="welcome"><${Heading} title=${t("nowhere")}>${t("nowhere")}<//>
        <${Link} class="button main" href="/">${t("home.title")}<//></section>`;
  }
}

function Frame() {
  const [first = ""] = place.value.parts;
  const current = (/** @type {boolean} */ is) => (is ? "page" : undefined);
  return html`
    <a class="skip" href="#main">${t("skip")}</a>
    <header class="top">
      <${Link} href="/" class="brand"><${Brand} />minipaas<//>
      <nav aria-label=${t("nav")}>
        <${Link} href="/" aria-current=${current(first === "" || first === "sites" || first === "new")}><${Icon} name="house" /><span>${t("home.title")}</span><//>
        ${isAdmin.value &&
        html`<${Link} href="/all" aria-current=${current(first === "all")}><${Icon} name="layout-grid" /><span>${t("nav.all")}</span><//>
          <${Link} href="/people" aria-current=${current(first === "people")}><${Icon} name="users-round" /><span>${t("nav.people")}</span><//>
          <${Link} href="/system" aria-current=${current(first === "system")}><${Icon} name="server" /><span>${t("nav.system")}</span><//>`}
        <${Link} href="/me" aria-current=${current(first === "me")}><${Icon} name="user-round" /><span>${t("nav.me")}</span><//>
      </nav>
    </header>
    <${Away} />
    <main id="main" class="screen" data-stale=${link.value === "away" ? "" : undefined}><${Screen} /></main>
  `;
}

/** One quiet bar while the daemon is not there. */
function Away() {
  if (link.value !== "away") return null;
  return html`<div class="away" role="status">
    <${Icon} name="wifi-off" /><span>${t("away", { when: when(new Date(lastSeen.value).toISOString()) })}</span>
    <button type="button" class="plain" onClick=${retry}>${t("away.retry")}</button>
  </div>`;
}

/** Signing in again, over whatever was being done: nothing of it is lost. */
function Again() {
  return html`<dialog class="dialog" ref=${(/** @type {HTMLDialogElement | null} */ dialog) => dialog && !dialog.open && dialog.showModal()}
    onCancel=${(/** @type {Event} */ event) => event.preventDefault()} aria-label=${t("again.title")}>
    <div class="dialog-body"><h2>${t("again.title")}</h2><p class="soft">${t("again.text")}</p>
      <${EnterForm} name=${me.value?.username ?? ""} onDone=${retry} /></div>
  </dialog>`;
}

function App() {
  const who = me.value;
  const path = place.value.path;
  useEffect(() => {
    if (who && (path === "/enter" || path === "/first")) go("/", { replace: true });
  }, [who, path]);
  // An invitation is for whoever holds it, whoever is signed in at this browser.
  if (path === "/join") return html`<${Later} name="join" key="join" /><${Toasts} />`;
  if (who === undefined) {
    return html`<${Outside}>${unknown.value ? html`<p>${t("error.away")}</p><p class="soft">${t("error.away.wait")}</p>` : null}<//>`;
  }
  if (who === null) return path === "/first" ? html`<${First} /><${Toasts} />` : html`<${Enter} /><${Toasts} />`;
  if (who.mustChangePassword) return html`<${FirstPassword} /><${Toasts} />`;
  if (path === "/visit") return html`<${Later} name="visit" key="visit" /><${Toasts} />`;
  return html`<${Frame} /><${Shortcuts} /><${Toasts} />${expired.value && html`<${Again} />`}`;
}

effect(follow);
look();
render(html`<${App} />`, /** @type {HTMLElement} */ (document.getElementById("app")));
