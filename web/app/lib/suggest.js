// A field for text with suggestions: they come while one types, the arrow keys choose, Tab or Enter takes one, Esc sends them away.
// Nothing is chosen by itself, so Enter stays a new line until an arrow was pressed.

import { html, useEffect, useRef, useSignal } from "./html.js";
import { t } from "./i18n.js";
import { announcement } from "./ui.js";

/** @typedef {import("./complete.js").Completion} Completion */

/**
 * @param {{ id: string, label: string, value: string, onInput: (text: string) => void, suggest: (text: string, caret: number) => Completion | null,
 *   wrongLine: number, describedBy: string, onSave: () => void, place: { current: HTMLTextAreaElement | null } }} props
 */
export function SuggestingText({ id, label, value, onInput, suggest, wrongLine, describedBy, onSave, place }) {
  const offered = useSignal(/** @type {Completion | null} */ (null));
  const chosen = useSignal(-1);
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  const lines = value.split("\n");

  /** On an empty line only who asks for it gets everything. @param {HTMLTextAreaElement} field @param {boolean} [asked] */
  function offer(field, asked = false) {
    const caret = field.selectionStart;
    const isEmpty = /(^|\n) *$/.test(field.value.slice(0, caret));
    const found = caret === field.selectionEnd && (asked || !isEmpty) ? suggest(field.value, caret) : null;
    offered.value = found;
    chosen.value = -1;
    if (found) announcement.value = t("suggest.count", { n: found.options.length });
  }

  /** @param {number} index */
  function take(index) {
    const [field, found] = [place.current, offered.value];
    const option = found?.options[index];
    if (!field || !found || !option) return;
    const text = field.value.slice(0, found.from) + option.text + field.value.slice(found.to);
    const caret = found.from + option.text.length;
    // The browser's own undo knows what was taken.
    field.focus();
    field.setSelectionRange(found.from, found.to);
    if (!document.execCommand("insertText", false, option.text)) field.value = text;
    field.setSelectionRange(caret, caret);
    onInput(field.value);
    offer(field);
  }

  /** @param {KeyboardEvent} event */
  function keys(event) {
    const field = /** @type {HTMLTextAreaElement} */ (event.currentTarget);
    if ((event.ctrlKey || event.metaKey) && event.key === "s") {
      event.preventDefault();
      onSave();
      return;
    }
    if (event.ctrlKey && event.key === " ") {
      event.preventDefault();
      offer(field, true);
      return;
    }
    const count = offered.value?.options.length ?? 0;
    if (count === 0 || event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : -1;
      chosen.value = chosen.value < 0 && step < 0 ? count - 1 : (chosen.value + step + count) % count;
    } else if (event.key === "Escape") offered.value = null;
    else if (event.key === "Tab" && !event.shiftKey) take(Math.max(chosen.value, 0));
    else if (event.key === "Enter" && chosen.value >= 0) take(chosen.value);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // The list stands under the letter that it completes.
  useEffect(() => {
    const [field, box, found] = [place.current, list.current, offered.value];
    if (!field || !box || !found) return;
    const { font, paddingLeft, paddingTop, lineHeight } = getComputedStyle(field);
    const before = field.value.slice(0, found.from);
    const row = before.split("\n").length;
    const canvas = document.createElement("canvas").getContext("2d");
    if (canvas) canvas.font = font;
    const across = canvas?.measureText(before.slice(before.lastIndexOf("\n") + 1)).width ?? 0;
    const left = Math.min(field.offsetLeft + parseFloat(paddingLeft) + across - field.scrollLeft, field.offsetLeft + field.clientWidth - box.offsetWidth - 4);
    box.style.insetInlineStart = `${Math.max(left, 4)}px`;
    box.style.insetBlockStart = `${field.offsetTop + parseFloat(paddingTop) + row * parseFloat(lineHeight) - field.scrollTop}px`;
    box.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [offered.value, chosen.value]);

  const options = offered.value?.options ?? [];
  return html`<div class="editor-frame">
    <ol class="line-numbers" aria-hidden="true">${lines.map((_, index) => html`<li key=${index} data-wrong=${index + 1 === wrongLine ? "" : undefined}>${index + 1}</li>`)}</ol>
    <label class="unseen" for=${id}>${label}</label>
    <textarea id=${id} ref=${place} value=${value} rows=${Math.max(12, lines.length + 2)} spellcheck=${false} autocapitalize="off" autocomplete="off"
      wrap="off" aria-invalid=${wrongLine >= 0 ? "true" : undefined} aria-describedby=${describedBy} aria-autocomplete="list" aria-haspopup="listbox"
      aria-controls=${options.length ? `${id}-options` : undefined} aria-activedescendant=${options.length && chosen.value >= 0 ? `${id}-option-${chosen.value}` : undefined}
      onKeyDown=${keys} onBlur=${() => (offered.value = null)} onClick=${() => (offered.value = null)}
      onInput=${(/** @type {any} */ event) => {
        onInput(event.currentTarget.value);
        offer(event.currentTarget);
      }}></textarea>
    ${options.length > 0 &&
    html`<ul class="suggestions" id=${`${id}-options`} role="listbox" tabindex="0" aria-label=${t("suggest.title")} ref=${list}>${options.map(
      (option, index) => html`<li key=${option.text} id=${`${id}-option-${index}`} role="option" aria-selected=${index === chosen.value ? "true" : "false"}
        onMouseDown=${(/** @type {Event} */ event) => event.preventDefault()} onClick=${() => take(index)}><b>${option.text}</b>${option.detail && html`<span>${option.detail}</span>`}</li>`,
    )}</ul>`}
  </div>`;
}
