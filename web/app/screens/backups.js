// What a site's data was before, day by day: back to any of it, and back again; whether each backup was tried out, and a copy to take away.

import { call, pathOf } from "../lib/api.js";
import { html, useSignal } from "../lib/html.js";
import { dayAndWeekday, exact, t, when } from "../lib/i18n.js";
import { apps, seen } from "../lib/live.js";
import { Link } from "../lib/router.js";
import { isAdmin } from "../lib/session.js";
import { Act, Heading, Icon, say, told, useRead } from "../lib/ui.js";
import { nameOf } from "../lib/words.js";

/** @typedef {import("../types.js").Backup} Backup */

const MEGABYTE = 1024 * 1024;

/** @param {{ app: string }} props */
export function Backups({ app }) {
  const turns = useSignal(0);
  const { data, error } = useRead(`/apps/${pathOf(app)}/backups`, `${turns.value}`);
  const title = t("backups.title", { name: nameOf(app) });
  const there = apps.value?.has(app);

  /** @param {string} path @param {"backups.done" | "backups.checked"} done */
  async function ask(path, done) {
    try {
      const answer = await call("POST", `/apps/${pathOf(app)}/backups${path}`);
      say(t(answer.backup ? done : "backups.slow"));
    } catch (why) {
      say(told(why), { tone: "bad" });
    }
    turns.value += 1;
  }

  /** @param {string} path */
  async function back(path) {
    try {
      const answer = await call("POST", `/apps/${pathOf(app)}${path}`);
      seen(await call("GET", `/apps/${pathOf(app)}`));
      const undo = { action: { text: t(answer.restored?.of ? "backups.undo" : "backups.redo"), run: () => void back("/restore/undo") }, stays: 15000 };
      if (!answer.restored) say(t("backups.slow"));
      else if (answer.ready) say(t(answer.restored.of ? "backups.back.done" : "backups.undone"), undo);
      else say(t("backups.back.unwell"), { ...undo, tone: "bad" });
    } catch (why) {
      say(told(why), { tone: "bad" });
    }
    turns.value += 1;
  }

  const restored = data?.restored;
  return html`
    <p class="back"><${Link} href=${`/sites/${pathOf(app)}`}><${Icon} name="arrow-left" />${nameOf(app)}<//></p>
    <${Heading} title=${title}>${title}<//>
    <p class="soft">${t("backups.text")}</p>
    ${error !== null && html`<p class="soft">${told(error)}</p>`}
    ${data?.problem && html`<p class="backup-problem"><${Icon} name="triangle-alert" />${t("backups.problem")}${isAdmin.value && html` <span class="soft">${data.problem}</span>`}</p>`}
    ${data?.restore_problem && html`<p class="backup-problem"><${Icon} name="triangle-alert" />${t("backups.back.failed")}${isAdmin.value && html` <span class="soft">${data.restore_problem}</span>`}</p>`}
    ${data?.restoring && html`<p class="soft">${t("backups.back.busy")}</p>`}
    ${restored &&
    html`<section class="panel restored">
      <p>${restored.of ? t("backups.restored", { when: exact(restored.of) }) : t("backups.undone")}</p>
      <div class="actions"><${Act} icon="undo-2" busy=${t("backups.back.busy")} onClick=${() => back("/restore/undo")}>${t(restored.of ? "backups.undo" : "backups.redo")}<//></div>
    </section>`}
    ${there && html`<div class="actions"><${Act} class="main" icon="check" busy=${t("backups.now.busy")} onClick=${() => ask("", "backups.done")}>${t("backups.now")}<//></div>`}
    ${data?.next && html`<p class="soft">${t("backups.next", { when: exact(data.next) })}</p>`}
    ${data?.backups.length === 0 && html`<p>${t("backups.none")}</p>`}
    ${byDay(data?.backups ?? []).map(
      ([name, backups]) => html`<section class="timeline backups" key=${name}>
      <h2>${name}</h2>
      <ol>
        ${backups.map(
          (one) => html`<li key=${one.id}>
            <${Icon} name=${isProven(one) ? "check" : "clock"} />
            <span>${whyOf(one)} <b data-proven=${isProven(one) ? "" : undefined}>${proofOf(one)}</b>
              <br /><span class="soft">${exact(one.at)}, ${sizeOf(one)}${isProven(one) ? `, ${t("backups.files", { n: one.proof?.files ?? 0 })}` : ""}${isAdmin.value ? `, ${one.id}` : ""}</span>
              <span class="actions">
                ${there && !isBroken(one) && html`<${Act} class="restore" icon="undo-2" busy=${t("backups.back.busy")} onClick=${() => back(`/backups/${one.id}/restore`)}>${t("backups.back")}<//>`}
                <a class="button" href=${`/apps/${pathOf(app)}/backups/${one.id}`} download><${Icon} name="download" /><span>${t("backups.get")}</span></a>
                <${Act} busy=${t("backups.check.busy")} class="check" onClick=${() => ask(`/${one.id}/check`, "backups.checked")}>${t("backups.check")}<//>
              </span>
            </span>
            <time class="soft" datetime=${one.at} title=${exact(one.at)}>${when(one.at)}</time>
          </li>`,
        )}
      </ol>
    </section>`,
    )}
  `;
}

/** Newest first, with the day's name. @param {Backup[]} backups @returns {[string, Backup[]][]} */
function byDay(backups) {
  /** @type {Map<string, Backup[]>} */
  const days = new Map();
  for (const one of backups) {
    const name = dayAndWeekday(one.at);
    days.set(name, [...(days.get(name) ?? []), one]);
  }
  return [...days];
}

/** @param {Backup} one */
function isBroken(one) {
  return Boolean(one.proof?.problem);
}

/** @param {Backup} one */
function isProven(one) {
  return one.proof !== undefined && !one.proof.problem;
}

/** @param {Backup} one */
function proofOf(one) {
  if (!one.proof) return t("backups.unproven");
  return t(one.proof.problem ? "backups.broken" : "backups.proven");
}

/** @param {Backup} one */
function whyOf(one) {
  if (one.why === "asked") return t("backups.why.asked");
  if (one.why === "restore") return t("backups.why.restore");
  return t(one.why === "purge" ? "backups.why.purge" : "backups.why.schedule");
}

/** @param {Backup} one */
function sizeOf(one) {
  return one.bytes < MEGABYTE ? `${Math.ceil(one.bytes / 1024)} KB` : `${Math.round(one.bytes / MEGABYTE)} MB`;
}
