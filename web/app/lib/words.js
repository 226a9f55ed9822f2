// What the daemon says, in the words of people. A beginner's words are the first; the technical ones are a click away.

import { t } from "./i18n.js";

/** @typedef {import("../types.js").AppView} AppView */
/** @typedef {import("../types.js").AppEvent} AppEvent */
/** @typedef {keyof typeof import("./texts.js").texts} TextKey */
/** @typedef {"good" | "busy" | "quiet" | "warn" | "bad"} Tone */

/** @type {Record<string, [text: TextKey, tone: Tone, icon: string]>} */
const PHASES = {
  Running: ["state.open", "good", "circle-check"],
  Stopped: ["state.closed", "quiet", "circle-pause"],
  Asleep: ["state.resting", "quiet", "moon"],
  Starting: ["state.opening", "busy", "loader-circle"],
  Updating: ["state.changing", "busy", "refresh-cw"],
  Stopping: ["state.closing", "busy", "loader-circle"],
  Deleting: ["state.deleting", "busy", "loader-circle"],
  Deleted: ["state.deleted", "quiet", "trash-2"],
  CrashLoop: ["state.keepsStopping", "bad", "triangle-alert"],
  Degraded: ["state.notOpening", "bad", "triangle-alert"],
  DeployFailed: ["state.previous", "warn", "triangle-alert"],
  Invalid: ["state.settings", "warn", "triangle-alert"],
  Conflict: ["state.blocked", "bad", "triangle-alert"],
  Held: ["state.waits", "warn", "clock"],
  Unknown: ["state.unknown", "quiet", "clock"],
};

/** @param {AppView} app @returns {{ text: string, tone: Tone, icon: string }} */
export function stateOf(app) {
  const [key, tone, icon] = PHASES[app.phase] ?? ["state.unknown", "quiet", "clock"];
  return { text: t(key), tone, icon };
}

/** Trouble first, then what is on its way, then the rest. @param {AppView} app */
export function urgency(app) {
  const order = { bad: 0, warn: 1, busy: 2, good: 3, quiet: 4 };
  // Without the word for it: a long table asks thousands of times.
  return order[PHASES[app.phase]?.[1] ?? "quiet"];
}

/** `forAdmin`: only whoever runs the box can do something.
 * `inSettings`: a line of the site's settings is wrong.
 * @typedef {{ what: string, todo: string, forAdmin: boolean, inSettings: boolean, action: "again" | null, tone: Tone, message: string }} Trouble */

/** @type {Record<string, [what: TextKey, todo: TextKey, action: "again" | null, tone: Tone]>} */
const TROUBLES = {
  OutOfMemory: ["trouble.memory", "trouble.memory.todo", "again", "bad"],
  Crashing: ["trouble.crash", "trouble.crash.todo", "again", "bad"],
  Ended: ["trouble.crash", "trouble.crash.todo", "again", "bad"],
  CrashLoop: ["trouble.crash", "trouble.crash.todo", "again", "bad"],
  NotAnswering: ["trouble.silent", "trouble.silent.todo", "again", "bad"],
  StoppedAnswering: ["trouble.hangs", "trouble.silent.todo", "again", "bad"],
  BeingReplaced: ["trouble.hangs", "trouble.hangs.todo", null, "bad"],
  ReplacedAgain: ["trouble.hangsAgain", "trouble.hangsAgain.todo", "again", "bad"],
  DeployFailed: ["trouble.previous", "trouble.previous.todo", "again", "warn"],
  Invalid: ["trouble.settings", "trouble.settings.todo", null, "warn"],
  TemplateMissing: ["trouble.template", "trouble.admin.todo", null, "bad"],
  QuotaExceeded: ["trouble.full", "trouble.full.todo", null, "warn"],
  NotEnoughMemory: ["trouble.noRoom", "trouble.noRoom.todo", null, "warn"],
  Conflict: ["trouble.blocked", "trouble.admin.todo", null, "bad"],
  ImageMissing: ["trouble.preparing", "trouble.preparing.todo", null, "busy"],
  NetworkMissing: ["trouble.preparing", "trouble.preparing.todo", null, "busy"],
  EngineUnreachable: ["trouble.server", "trouble.server.todo", null, "warn"],
  ManifestsUnavailable: ["trouble.server", "trouble.admin.todo", null, "warn"],
  DomainTaken: ["trouble.domain", "trouble.admin.todo", null, "warn"],
  BackupFailed: ["trouble.backup", "trouble.backup.todo", null, "warn"],
  DiskPressure: ["trouble.disk", "trouble.disk.todo", null, "warn"],
  RemovalHeld: ["trouble.removal", "trouble.admin.todo", null, "warn"],
  Tombstone: ["trouble.removal", "trouble.admin.todo", null, "warn"],
};

/** Conditions that a beginner need not know of. */
const HARMLESS = new Set(["Ready", "LimitsNotEnforced", "WaitsToMove"]);

/** What stands in the way of a site, the worst first. @param {AppView} app @returns {Trouble[]} */
export function troublesOf(app) {
  if (app.desired === "deleted") return [];
  const held = app.conditions.filter((one) => one.status && !HARMLESS.has(one.type));
  return held.map((condition) => {
    const [what, todo, action, tone] = TROUBLES[condition.reason] ??
      TROUBLES[condition.type] ?? /** @type {const} */ (["trouble.other", "trouble.admin.todo", null, "warn"]);
    return { what: t(what), todo: t(todo), forAdmin: todo === "trouble.admin.todo", inSettings: what === "trouble.settings", action, tone, message: condition.message };
  });
}

/** Events that say something to a beginner: the first that fits. @type {[kind: string, begins: RegExp, text: TextKey, icon: string][]} */
const TOLD = [
  ["changed", /^created from/, "event.created", "plus"],
  ["changed", /`state`: \S+ → deleted/, "event.deleted", "trash-2"],
  ["changed", /`state`: \S+ → stopped/, "event.closed", "pause"],
  ["changed", /`state`: \S+ → running/, "event.opened", "play"],
  ["changed", /`redeploy`/, "event.renewed", "refresh-cw"],
  ["changed", /^edited so that it cannot be used/, "event.wrong", "triangle-alert"],
  ["changed", /`visitors`/, "event.visitors", "users-round"],
  ["changed", /^changed/, "event.settings", "settings"],
  ["changed", /^removed/, "event.deleted", "trash-2"],
  ["noticed", /^the app was woken/, "event.woken", "play"],
  ["failed", /./, "event.failed", "triangle-alert"],
  ["done", /^give up on the new container/, "event.gaveUp", "triangle-alert"],
  ["done", /^make the app's folders/, "event.folder", "package"],
  ["done", /^start container/, "event.started", "circle-check"],
];

/** @param {AppEvent} event @returns {{ text: string, icon: string } | null} */
export function eventOf(event) {
  if (event.kind === "done" && /^stop container/.test(event.what) && /^nobody has come/.test(event.cause)) {
    return { text: t("event.asleep"), icon: "moon" };
  }
  const found = TOLD.find(([kind, begins]) => kind === event.kind && begins.test(event.what));
  if (!found) return null;
  // That it was woken is told already.
  if (found[2] === "event.started" && /^somebody wants it/.test(event.cause)) return null;
  if (found[2] === "event.started" && /^it is not running/.test(event.cause)) {
    return { text: t("event.restarted"), icon: "refresh-cw" };
  }
  return { text: t(found[2]), icon: found[3] };
}

/** Who did it, as the event log names them: `admin through the portal`, `paas stop` … @param {AppEvent} event */
export function whoOf(event) {
  return event.kind === "changed" ? event.cause : "";
}

/** The name of an app without its owner's. @param {string} app */
export function nameOf(app) {
  return app.slice(app.indexOf("-") + 1);
}

/** @param {string} app */
export function ownerOf(app) {
  return app.slice(0, app.indexOf("-"));
}

/** A colour of its own for each name: 0 … 359. @param {string} name */
export function hueOf(name) {
  let hash = 7;
  for (const letter of name) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) % 36_000;
  // The golden angle keeps the colours of `diary-1` and `diary-2` apart.
  return Math.round(hash * 137.508) % 360;
}

/** What a template is called: in the reader's language where the dashboard knows it. @param {{ id: string, name: string }} template */
export function templateName({ id, name }) {
  const known = TEMPLATES[id];
  return known ? t(known[0]) : name;
}

/** @param {{ id: string, description: string }} template */
export function templateText({ id, description }) {
  const known = TEMPLATES[id];
  return known ? t(known[1]) : description;
}

/** @type {Record<string, [name: TextKey, text: TextKey]>} */
const TEMPLATES = {
  "diary-v1": ["template.diary", "template.diary.text"],
  "static-v1": ["template.page", "template.page.text"],
  "links-v1": ["template.links", "template.links.text"],
  "album-v1": ["template.album", "template.album.text"],
  "guestbook-v1": ["template.guestbook", "template.guestbook.text"],
  "invite-v1": ["template.invite", "template.invite.text"],
};

/** Wider to narrower. @type {import("../types.js").Audience[]} */
export const CIRCLES = ["everyone", "guests", "owner"];

/** @param {import("../types.js").Audience} one @param {import("../types.js").Audience} other */
export function narrower(one, other) {
  return CIRCLES.indexOf(one) < CIRCLES.indexOf(other) ? other : one;
}

/** Both in a sentence each. @param {import("../types.js").Audience} view @param {import("../types.js").Audience} change */
export function whoMay(view, change) {
  const seen = { everyone: t("visitors.everyone.text"), guests: t("visitors.guests.text"), owner: t("visitors.owner.text") }[view];
  if (view === "owner") return seen;
  const changed = { everyone: t("visitors.change.everyone"), guests: t("visitors.change.guests"), owner: t("visitors.change.owner") }[change];
  return `${seen} ${changed}`;
}

/** Who may see a site, or change something in it. @param {import("../types.js").Audience} circle */
export function circleWord(circle) {
  return { everyone: t("visitors.everyone"), guests: t("visitors.guests"), owner: t("visitors.owner") }[circle];
}
