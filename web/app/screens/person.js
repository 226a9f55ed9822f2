// One person, for whoever runs the server: what they may do, a new link, and how they leave.

import { Refusal, call, pathOf } from "../lib/api.js";
import { html, useSignal } from "../lib/html.js";
import { t, until, when } from "../lib/i18n.js";
import { LinkDialog } from "../lib/invitation.js";
import { go, Link } from "../lib/router.js";
import { look, me } from "../lib/session.js";
import { Act, Choice, Dialog, Failure, Field, Heading, Icon, say, told, useRead } from "../lib/ui.js";
import { nameOf } from "../lib/words.js";
import { standing } from "./people.js";

/** @typedef {import("../types.js").PersonView} PersonView */

/** @param {{ person: string }} props */
export function OnePerson({ person: name }) {
  const mark = useSignal(0);
  const { data, error } = useRead(`/users/${encodeURIComponent(name)}`, mark.value);
  /** @type {PersonView | null} */
  const person = data;
  const back = html`<p class="back"><${Link} href="/people"><${Icon} name="arrow-left" />${t("people.title")}<//></p>`;
  if (!person) {
    const missing = error instanceof Refusal && (error.code === "no-such-user" || error.code === "bad-path");
    return html`${back}${missing
      ? html`<section class="welcome"><${Heading} title=${t("person.missing")}>${t("person.missing")}<//></section>`
      : html`<${Heading} title=${name}>${name}<//><${Failure} error=${error} />`}`;
  }
  const { text, tone, icon } = standing(person);
  return html`${back}
    <header class="screen-head"><${Heading} title=${person.name}>${person.name}<//>
      <span class="state" data-tone=${tone}><${Icon} name=${icon} />${text}</span></header>
    <p class="soft">${t("person.since", { when: when(person.createdAt) })}</p>
    <${Sites} person=${person} key=${`${person.maxApps}`} onDone=${() => (mark.value += 1)} />
    <${Role} person=${person} onDone=${() => (mark.value += 1)} />
    ${person.secondStep && person.name !== me.value?.username && html`<${Lost} person=${person} onDone=${() => (mark.value += 1)} />`}
    <${NewLink} person=${person} onDone=${() => (mark.value += 1)} />
    <${Leaving} person=${person} />
  `;
}

/** Their sites, and how many they may have. @param {{ person: PersonView, onDone: () => void }} props */
function Sites({ person, onDone }) {
  const { apps, appsAllowed, maxApps } = person;
  const most = useSignal(maxApps === null ? "" : String(maxApps));
  const error = useSignal(/** @type {unknown} */ (null));
  const fits = /^\d{0,4}$/.test(most.value);
  const wrong = fits ? null : t("quota.wrong");

  /** @param {Event} event */
  async function save(event) {
    event.preventDefault();
    if (!fits) {
      document.getElementById("quota")?.focus();
      return;
    }
    error.value = null;
    try {
      const now = await call("PATCH", `/users/${person.name}`, { body: { maxApps: most.value === "" ? null : Number(most.value) } });
      say(t("quota.saved", { n: now.appsAllowed }));
      onDone();
    } catch (why) {
      error.value = why;
    }
  }

  return html`<section class="panel">
    <h2>${t("person.sites")}</h2>
    ${apps.length === 0
      ? html`<p class="soft">${t("people.sites.none")}</p>`
      : html`<ul class="names">${apps.map((app) => html`<li key=${app}><${Link} href=${`/sites/${pathOf(app)}`}>${nameOf(app)}<//></li>`)}</ul>`}
    <form class="stack quota" onSubmit=${save} novalidate>
      <${Field} label=${t("quota.label")} id="quota" hint=${wrong ? null : t(maxApps === null ? "quota.default" : "quota.own", { n: appsAllowed })} error=${wrong}>
        <div class="with-button">
          <input id="quota" value=${most.value} inputmode="numeric" autocomplete="off" maxlength="5" placeholder=${maxApps === null ? String(appsAllowed) : ""}
            aria-invalid=${wrong ? "true" : undefined} aria-describedby=${wrong ? "quota-error" : "quota-hint"}
            onInput=${(/** @type {any} */ event) => (most.value = event.currentTarget.value.trim())} />
          <button class="button"><span>${t("quota.save")}</span></button>
        </div>
      <//>
      <${Failure} error=${error.value} />
    </form>
  </section>`;
}

/** @param {{ person: PersonView, onDone: () => void }} props */
function Role({ person, onDone }) {
  /** @param {string} role @param {boolean} [isUndo] */
  async function change(role, isUndo = false) {
    const before = person.role;
    try {
      await call("PATCH", `/users/${person.name}`, { body: { role } });
      // Whoever gives away their own right sees less from now on.
      if (person.name === me.value?.username) await look();
      else say(t(role === "admin" ? "role.now.admin" : "role.now.member", { name: person.name }), isUndo ? {} : { action: { text: t("undo"), run: () => change(before, true) } });
    } catch (error) {
      say(told(error), { tone: "bad" });
    }
    onDone();
  }
  return html`<section class="panel">
    <h2>${t("person.role")}</h2>
    <${Choice} name="role" label=${t("person.role")} value=${person.role} onChange=${change}
      options=${[["member", t("role.member")], ["admin", t("role.admin")]]} />
    <p class="soft">${t(person.role === "admin" ? "role.admin.text" : "role.member.text")}</p>
  </section>`;
}

/** @param {{ person: PersonView, onDone: () => void }} props */
function NewLink({ person, onDone }) {
  const link = useSignal(/** @type {import("../lib/invitation.js").InvitationLink | null} */ (null));
  const isReset = person.state !== "invited";
  async function make() {
    try {
      link.value = await call("POST", `/users/${person.name}/invitation`, { body: {} });
      onDone();
    } catch (error) {
      say(told(error), { tone: "bad" });
    }
  }
  return html`<section class="panel">
    <h2>${t(isReset ? "person.reset" : "person.again")}</h2>
    <p class="soft">${t(isReset ? "person.reset.text" : "person.again.text")}</p>
    ${person.invitedUntil && html`<p class="soft">${t("person.until", { when: until(person.invitedUntil) })}</p>`}
    <${Act} icon="link" class="new-link" onClick=${make}>${t("person.link")}<//>
    ${link.value && html`<${LinkDialog} link=${link.value} isReset=${isReset} onClose=${() => (link.value = null)} />`}
  </section>`;
}

/** For whoever has lost their phone, and the recovery codes with it. @param {{ person: PersonView, onDone: () => void }} props */
function Lost({ person, onDone }) {
  async function off() {
    try {
      await call("DELETE", `/users/${person.name}/totp`);
      say(t("step.is.off"));
    } catch (error) {
      say(told(error), { tone: "bad" });
    }
    onDone();
  }
  return html`<section class="panel">
    <h2>${t("step.title")}</h2>
    <p class="soft">${t("step.lost")}</p>
    <${Act} class="step-lost" onClick=${off}>${t("step.off")}<//>
  </section>`;
}

/** @param {{ person: PersonView }} props */
function Leaving({ person }) {
  const asking = useSignal(false);
  const then = useSignal("keep");
  const error = useSignal(/** @type {unknown} */ (null));
  const { name, apps } = person;
  if (name === me.value?.username) return null;
  async function remove() {
    error.value = null;
    try {
      const removed = await call("DELETE", `/users/${name}`, { body: { apps: apps.length ? then.value : "keep" } });
      if (removed.failed.length) {
        say(t("leaving.failed", { names: removed.failed.map((/** @type {any} */ one) => one.app).join(", ") }), { tone: "bad", stays: 15_000 });
      } else {
        say(t("leaving.done", { name }));
      }
      go("/people", { replace: true });
    } catch (why) {
      error.value = why;
    }
  }
  return html`<section class="farewell">
    <p class="soft">${t("leaving.text")}</p>
    <${Act} class="danger" onClick=${() => (asking.value = true)}>${t("leaving.open", { name })}<//>
    ${asking.value &&
    html`<${Dialog} title=${t("leaving.title", { name })} onClose=${() => (asking.value = false)}>
      <p>${t("leaving.ends")}</p>
      ${apps.length > 0 &&
      html`<div class="field"><b>${t("leaving.apps", { n: apps.length })}</b>
        <ul class="names">${apps.map((app) => html`<li key=${app}>${nameOf(app)}</li>`)}</ul>
        <${Choice} name="then" column label=${t("leaving.apps", { n: apps.length })} value=${then.value} onChange=${(/** @type {string} */ chosen) => (then.value = chosen)}
          options=${[["keep", t("leaving.keep")], ["stop", t("leaving.stop")], ["delete", t("leaving.delete")]]} /></div>`}
      <${Failure} error=${error.value} />
      <div class="actions">
        <button type="button" class="button" onClick=${() => (asking.value = false)}>${t("leaving.no")}</button>
        <${Act} class="danger leave-now" onClick=${remove}>${t("leaving.go", { name })}<//>
      </div>
    <//>`}
  </section>`;
}
