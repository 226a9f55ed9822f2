// Everybody who may come in, for whoever runs the server; and the way to let one more in.

import { call } from "../lib/api.js";
import { html, useSignal } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { LinkDialog } from "../lib/invitation.js";
import { Link } from "../lib/router.js";
import { me } from "../lib/session.js";
import { useSearch } from "../lib/shortcuts.js";
import { Choice, Dialog, Failure, Field, Heading, Icon, useFirstFocus, useForm, useRead } from "../lib/ui.js";

/** @typedef {import("../types.js").PersonView} PersonView */

const NAME = /^[a-z][a-z0-9]{2,19}$/;

export function People() {
  const mark = useSignal(0);
  const { data, error } = useRead("/users", mark.value);
  const inviting = useSignal(false);
  const link = useSignal(/** @type {import("../lib/invitation.js").InvitationLink | null} */ (null));
  /** @type {PersonView[] | null} */
  const people = data;
  const search = useSearch(people?.length ?? 0);
  const found = (people ?? []).filter((person) => search.fits(`${person.name} ${standing(person).text}`));
  return html`
    <header class="screen-head">
      <${Heading} title=${t("people.title")}>${t("people.title")}<//>
      <button type="button" class="button main thumb" onClick=${() => (inviting.value = true)}><${Icon} name="plus" /><span>${t("people.invite")}</span></button>
    </header>
    <p class="soft">${t("people.text")}</p>
    <${Failure} error=${error} />
    ${search.field}
    ${people && found.length === 0 && html`<p class="nothing">${t("all.nothing")}</p>`}
    <ul class="rows">${found.map((person) => html`<li key=${person.name}><${Row} person=${person} /></li>`)}</ul>
    ${inviting.value &&
    html`<${Invite} onClose=${() => (inviting.value = false)} onDone=${(/** @type {any} */ made) => {
      inviting.value = false;
      link.value = made;
      mark.value += 1;
    }} />`}
    ${link.value && html`<${LinkDialog} link=${link.value} isReset=${false} onClose=${() => (link.value = null)} />`}
  `;
}

/** How somebody's account is. @param {PersonView} person @returns {{ text: string, tone: string, icon: string }} */
export function standing(person) {
  if (person.state === "invited") {
    return person.invitedUntil
      ? { text: t("people.invited"), tone: "busy", icon: "clock" }
      : { text: t("people.over"), tone: "warn", icon: "triangle-alert" };
  }
  if (person.invitedUntil) return { text: t("people.link"), tone: "busy", icon: "link" };
  if (person.state === "mustChangePassword") return { text: t("people.mustChange"), tone: "busy", icon: "key-round" };
  return { text: t("people.active"), tone: "good", icon: "circle-check" };
}

/** @param {{ person: PersonView }} props */
function Row({ person }) {
  const { text, tone, icon } = standing(person);
  return html`<${Link} class="row person" href=${`/people/${person.name}`}>
    <span class="row-main"><b>${person.name}</b>
      ${person.role === "admin" && html` <span class="badge">${t("role.admin")}</span>`}
      ${person.name === me.value?.username && html` <span class="badge">${t("people.me")}</span>`}<br />
      <span class="state" data-tone=${tone}><${Icon} name=${icon} />${text}</span>
      ${person.apps.length > 0 && html`<span class="soft"> · ${t("people.sites", { n: person.apps.length })}</span>`}</span>
    <${Icon} name="chevron-right" />
  <//>`;
}

/** @param {{ onClose: () => void, onDone: (link: any) => void }} props */
function Invite({ onClose, onDone }) {
  const name = useSignal("");
  const role = useSignal("member");
  const { error, busy, submit } = useForm();
  const field = useFirstFocus(true);
  const fits = NAME.test(name.value);
  const wrong = name.value.length > 2 && !fits ? t("new.owner.rule") : null;

  async function invite() {
    if (fits) onDone(await call("POST", "/users", { body: { name: name.value, role: role.value } }));
    else document.getElementById("person")?.focus();
  }

  return html`<${Dialog} title=${t("invite.title")} onClose=${onClose}>
    <form class="stack" onSubmit=${(/** @type {Event} */ event) => submit(event, invite)} novalidate>
      <${Field} label=${t("invite.name")} id="person" hint=${wrong ? null : t("invite.name.hint")} error=${wrong}>
        <input id="person" name="person" value=${name.value} autocomplete="off" autocapitalize="off" autocorrect="off" spellcheck=${false}
          maxlength="20" enterkeyhint="done" ref=${field} aria-invalid=${wrong ? "true" : undefined}
          aria-describedby=${wrong ? "person-error" : "person-hint"}
          onInput=${(/** @type {any} */ event) => (name.value = event.currentTarget.value.trim().toLowerCase())} />
      <//>
      <div class="field"><b id="role-label">${t("person.role")}</b>
        <${Choice} name="role" label=${t("person.role")} value=${role.value} onChange=${(/** @type {string} */ chosen) => (role.value = chosen)}
          options=${[["member", t("role.member")], ["admin", t("role.admin")]]} />
        <p class="hint">${t(role.value === "admin" ? "role.admin.text" : "role.member.text")}</p></div>
      <${Failure} error=${error.value} />
      <button class="button main wide" aria-busy=${busy.value ? "true" : undefined}>
        ${busy.value && html`<${Icon} name="loader-circle" class="turns" />`}<span>${t("invite.go")}</span>
      </button>
    </form>
  <//>`;
}
