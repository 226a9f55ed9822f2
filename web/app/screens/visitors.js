// Who may enter one site: everyone, people who are invited, or only oneself; the links and the password for guests.

import { call, pathOf } from "../lib/api.js";
import { html, useEffect, useSignal } from "../lib/html.js";
import { exact, t, when } from "../lib/i18n.js";
import { ShareDialog } from "../lib/invitation.js";
import { seen } from "../lib/live.js";
import { addressForOthers } from "../lib/site-address.js";
import { Act, Choice, Failure, Field, Icon, Password, say, told, useForm, useRead } from "../lib/ui.js";
import { CIRCLES, circleWord, nameOf, narrower, whoMay } from "../lib/words.js";

/** @typedef {import("../types.js").AppView} AppView */
/** @typedef {import("../types.js").Audience} Audience */
/** @typedef {import("../types.js").GuestLink} GuestLink */

/** @param {{ site: AppView }} props */
export function Visitors({ site }) {
  const { view, change } = site.visitors;
  /** @param {Audience} newView @param {Audience} newChange @param {boolean} [isUndo] */
  async function set(newView, newChange, isUndo = false) {
    try {
      const visitors = { view: newView, change: newChange };
      seen(await call("PUT", `/apps/${pathOf(site.app)}/visitors`, { body: { visitors } }));
      say(t("visitors.now", { who: circleWord(newView) }), isUndo ? {} : { action: { text: t("undo"), run: () => set(view, change, true) } });
    } catch (error) {
      say(told(error), { tone: "bad" });
    }
  }
  /** Whoever may change something may see it. @param {Audience} chosen */
  const setView = (chosen) => set(chosen, narrower(chosen, change));
  const choices = CIRCLES.slice(CIRCLES.indexOf(view));
  return html`<section class="panel visitors">
    <h2>${t("visitors.title")}</h2>
    <${Choice} name="view" column label=${t("visitors.title")} value=${view} onChange=${setView}
      options=${CIRCLES.map((circle) => [circle, circleWord(circle)])} />
    <p class="soft">${whoMay(view, change)}</p>
    ${choices.length > 1 &&
    html`<h3>${t("visitors.change")}</h3>
      <${Choice} name="change" column label=${t("visitors.change")} value=${change} onChange=${(/** @type {Audience} */ chosen) => set(view, chosen)}
        options=${choices.map((circle) => [circle, circleWord(circle)])} />`}
    ${(view === "guests" || change === "guests") && html`<${Guests} site=${site} /><${Out} site=${site} />`}
  </section>`;
}

/** @param {{ site: AppView }} props */
function Guests({ site }) {
  const mark = useSignal(0);
  const path = `/apps/${pathOf(site.app)}/visitors`;
  const { data, error } = useRead(path, mark.value);
  const made = useSignal(/** @type {{ name: string, path: string, url: string } | null} */ (null));
  const again = () => (mark.value += 1);
  // Somebody may have come in while this was not looked at.
  useEffect(() => {
    const look = () => document.visibilityState === "visible" && again();
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, []);
  /** @type {GuestLink[]} */
  const links = data?.links ?? [];

  /** @param {GuestLink} link */
  async function takeBack(link) {
    try {
      await call("DELETE", `${path}/links/${link.id}`);
      say(t("guests.gone", { name: link.name }));
    } catch (why) {
      say(told(why), { tone: "bad" });
    }
    again();
  }

  return html`<h3>${t("guests.title")}</h3>
    <p class="soft">${t("guests.text")}</p>
    <${Failure} error=${error} />
    <ul class="rows">${links.map(
      (link) => html`<li class="row" key=${link.id}>
        <${Icon} name="link" />
        <span class="row-main"><b>${link.name}</b><br /><span class="soft">${useOf(link)}</span></span>
        <${Act} onClick=${() => takeBack(link)} aria-label=${t("guests.back.name", { name: link.name })}>${t("guests.back")}<//>
      </li>`,
    )}</ul>
    <${NewLink} path=${path} onDone=${(/** @type {any} */ link) => {
      made.value = link;
      again();
    }} />
    ${data && html`<${SitePassword} path=${path} has=${data.password} onDone=${again} />`}
    ${made.value && html`<${Made} site=${site} link=${made.value} onClose=${() => (made.value = null)} />`}`;
}

/** @param {GuestLink} link */
function useOf({ uses, lastUsedAt, expiresAt }) {
  const used = uses === 0 || !lastUsedAt ? t("guests.unused") : t("guests.used", { n: uses, when: when(lastUsedAt) });
  return html`${used}${expiresAt && html` · <time datetime=${expiresAt}>${t("guests.until", { when: exact(expiresAt) })}</time>`}`;
}

/** @param {{ path: string, onDone: (link: any) => void }} props */
function NewLink({ path, onDone }) {
  const name = useSignal("");
  const days = useSignal("");
  const { error, submit } = useForm();
  async function make() {
    const body = days.value ? { name: name.value, days: Number(days.value) } : { name: name.value };
    const link = await call("POST", `${path}/links`, { body });
    name.value = "";
    onDone(link);
  }
  return html`<form onSubmit=${(/** @type {Event} */ event) => submit(event, make)}>
    <${Field} label=${t("guests.name")} id="guest-name">
      <input id="guest-name" value=${name.value} required maxlength="40" autocomplete="off" placeholder=${t("guests.name.example")}
        onInput=${(/** @type {any} */ event) => (name.value = event.currentTarget.value)} />
    <//>
    <p class="soft">${t("guests.days")}</p>
    <${Choice} name="days" label=${t("guests.days")} value=${days.value} onChange=${(/** @type {string} */ chosen) => (days.value = chosen)}
      options=${[["", t("guests.ever")], ["30", t("guests.month")], ["1", t("guests.day")]]} />
    <${Failure} error=${error.value} />
    <button class="button wide make-link"><${Icon} name="plus" /><span>${t("guests.make")}</span></button>
  </form>`;
}

/** @param {{ site: AppView, link: { name: string, path: string, url: string }, onClose: () => void }} props */
function Made({ site, link, onClose }) {
  const { name } = link;
  return html`<${ShareDialog} title=${t("guests.made", { name })} text=${t("guests.made.text")} address=${addressForOthers(link.url)}
    qr=${t("guests.qr", { name })} once=${t("guests.once")} share=${{ title: nameOf(site.app) }} onClose=${onClose} />`;
}

/** @param {{ path: string, has: boolean, onDone: () => void }} props */
function SitePassword({ path, has, onDone }) {
  const password = useSignal("");
  const { error, submit } = useForm();
  async function save() {
    await call("PUT", `${path}/password`, { body: { password: password.value } });
    password.value = "";
    say(t("site.password.set"));
    onDone();
  }
  async function remove() {
    try {
      await call("DELETE", `${path}/password`);
      say(t("site.password.gone"));
    } catch (why) {
      say(told(why), { tone: "bad" });
    }
    onDone();
  }
  return html`<h3>${t("site.password.title")}</h3>
    <p class="soft">${has ? t("site.password.has") : t("site.password.text")}</p>
    <form onSubmit=${(/** @type {Event} */ event) => submit(event, save)}>
      <${Password} id="site-password" label=${t("site.password.new")} value=${password.value} autocomplete="new-password"
        onInput=${(/** @type {string} */ text) => (password.value = text)} />
      <${Failure} error=${error.value} />
      <div class="actions">
        <button class="button">${has ? t("site.password.change") : t("site.password.make")}</button>
        ${has && html`<${Act} onClick=${remove}>${t("site.password.remove")}<//>`}
      </div>
    </form>`;
}

/** @param {{ site: AppView }} props */
function Out({ site }) {
  async function out() {
    try {
      const { browsers } = await call("POST", `/apps/${pathOf(site.app)}/visitors/sign-out`);
      say(t("visitors.out.done", { n: browsers }));
    } catch (error) {
      say(told(error), { tone: "bad" });
    }
  }
  return html`<p class="soft">${t("visitors.out.text")}</p><${Act} icon="log-out" onClick=${out}>${t("visitors.out")}<//>`;
}
