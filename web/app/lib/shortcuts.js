// Keys that work on every screen: `/` searches, `?` shows what keys there are. Whoever speaks to the computer instead of typing
// may switch them off (WCAG 2.1.4).

import { html, signal, useEffect, useRef, useSignal } from "./html.js";
import { t } from "./i18n.js";
import { local } from "./kept.js";
import { Dialog } from "./ui.js";

/** Whether they work here. */
export const on = signal(local.read("shortcuts") !== "off");

/** @param {boolean} wanted */
function turn(wanted) {
  on.value = wanted;
  local.write("shortcuts", wanted ? null : "off");
}

/** Whether the list of keys is shown. */
export const shown = signal(false);

/** Counts how often somebody wanted to search: a short list shows its field only then. */
const asked = signal(0);

/** @param {KeyboardEvent} event */
function pressed(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyped(event.target)) return;
  // What is open over the screen has the keys; Esc closes it.
  if (!on.value || document.querySelector("dialog[open]")) return;
  if (event.key === "?") {
    event.preventDefault();
    shown.value = true;
  } else if (event.key === "/") {
    event.preventDefault();
    const field = document.querySelector("main input[type=search]");
    if (field instanceof HTMLInputElement) field.focus();
    else asked.value += 1;
  }
}

/** @param {EventTarget | null} target */
function isTyped(target) {
  return target instanceof HTMLElement && (target.matches("input, textarea, select") || target.isContentEditable);
}

document.addEventListener("keydown", pressed);

/** A list of fewer is seen at a glance. */
const LONG = 7;

/**
 * The search of a list: the field, there for long lists and for short ones once `/` was pressed; and what fits what was typed.
 * @param {number} count
 * @param {boolean} [isLong]
 * @returns {{ field: any, fits: (text: string) => boolean, active: boolean }} `active`: something was typed
 */
export function useSearch(count, isLong = count >= LONG) {
  const words = useSignal("");
  const place = useRef(/** @type {HTMLInputElement | null} */ (null));
  const before = useRef(asked.value);
  const wanted = asked.value !== before.current;
  useEffect(() => {
    if (wanted) place.current?.focus();
  }, [wanted]);
  const typed = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const field =
    (isLong || (wanted && count > 0)) &&
    html`<div class="tools" role="search">
      <input type="search" ref=${place} aria-label=${t("all.search")} placeholder=${t("all.search")} value=${words.value} autocomplete="off"
        onInput=${(/** @type {any} */ event) => (words.value = event.currentTarget.value)} />
    </div>`;
  return { field, fits: (text) => typed.every((word) => text.toLowerCase().includes(word)), active: typed.length > 0 };
}

/** The list of keys. */
export function Shortcuts() {
  if (!shown.value) return null;
  /** @type {[string, string][]} */
  const keys = [
    ["/", t("keys.help.search")],
    ["?", t("keys.help.this")],
    ["Esc", t("keys.help.close")],
    ["Tab", t("keys.help.next")],
    ["Enter", t("keys.help.press")],
  ];
  return html`<${Dialog} title=${t("keys.help")} onClose=${() => (shown.value = false)} class="shortcuts">
    <dl>${keys.map(([key, what]) => html`<div key=${key}><dt><kbd>${key}</kbd></dt><dd>${what}</dd></div>`)}</dl>
    <label class="check"><input type="checkbox" checked=${on.value} onChange=${(/** @type {any} */ event) => turn(event.currentTarget.checked)} />
      <span>${t("keys.help.on")}</span></label>
  <//>`;
}
