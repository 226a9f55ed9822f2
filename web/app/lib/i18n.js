// The language that is spoken, and texts, times and sizes in it.

import { effect, signal } from "./html.js";
import { local } from "./kept.js";
import { texts } from "./texts.js";

/** @typedef {"ko" | "en"} Language */

/** @type {import("../vendor/signals.js").Signal<Language>} */
export const language = signal(document.documentElement.lang === "ko" ? "ko" : "en");

/** @param {Language} chosen */
export function speak(chosen) {
  local.write("language", chosen);
  language.value = chosen;
}

effect(() => {
  document.documentElement.lang = language.value;
});

/** @param {string} key @returns {key is keyof typeof texts} */
export function isText(key) {
  return Object.hasOwn(texts, key);
}

/**
 * A text by its key. `{name}` in it is replaced by the value of that name.
 * @param {keyof typeof texts} key
 * @param {Record<string, string | number>} [values]
 */
export function t(key, values) {
  const [korean, english] = /** @type {[string, string]} */ (texts[key]);
  const text = language.value === "ko" ? korean : english;
  return values ? text.replace(/\{(\w+)\}/g, (all, name) => String(values[name] ?? all)) : text;
}

// As people in each country write them, whatever the browser's own language is.
const REGION = { ko: "ko-KR", en: "en-GB" };

/** @type {Map<string, Intl.DateTimeFormat>} */
const formats = new Map();

/** @param {string} name @param {Intl.DateTimeFormatOptions} options */
function format(name, options) {
  const key = `${language.value} ${name}`;
  let made = formats.get(key);
  if (!made) {
    made = new Intl.DateTimeFormat(REGION[language.value], options);
    formats.set(key, made);
  }
  return made;
}

/** Now, to the half minute: what says "two minutes ago" follows it. */
export const now = signal(Date.now());
setInterval(() => {
  now.value = Date.now();
}, 30_000);

/** @param {number} at */
function clock(at) {
  return format("clock", { hour: "numeric", minute: "2-digit" }).format(at);
}

/** A moment as people say it. @param {string} time RFC 3339 */
export function when(time) {
  const at = Date.parse(time);
  const minutes = Math.floor((now.value - at) / 60_000);
  if (minutes < 1) return t("time.now");
  if (minutes < 60) return t("time.minutes", { n: minutes });
  const days = Math.round((midnight(now.value) - midnight(at)) / 86_400_000);
  if (days === 0) return t("time.today", { clock: clock(at) });
  if (days === 1) return t("time.yesterday", { clock: clock(at) });
  if (days < 7) return `${format("weekday", { weekday: "long" }).format(at)} ${clock(at)}`;
  return format("day", { year: "numeric", month: "long", day: "numeric" }).format(at);
}

/** A moment that is to come, as a day and its time. @param {string} time */
export function until(time) {
  return format("until", { month: "long", day: "numeric", weekday: "short", hour: "numeric", minute: "2-digit" }).format(Date.parse(time));
}

/** A day by itself. @param {string} date `2026-03-10` */
export function day(date) {
  return format("date", { month: "long", day: "numeric", timeZone: "UTC" }).format(Date.parse(`${date}T00:00:00Z`));
}

/** The day that a moment is on, here. @param {string} time RFC 3339 */
export function dayAndWeekday(time) {
  return format("dated", { year: "numeric", month: "long", day: "numeric", weekday: "long" }).format(Date.parse(time));
}

/** @param {number} at */
function midnight(at) {
  return new Date(at).setHours(0, 0, 0, 0);
}

/** To the second. @param {string} time */
export function exact(time) {
  return format("exact", { dateStyle: "long", timeStyle: "medium" }).format(Date.parse(time));
}

/** @param {number} milliseconds */
export function took(milliseconds) {
  return t("time.seconds", { n: (Math.max(milliseconds, 0) / 1000).toFixed(1) });
}
