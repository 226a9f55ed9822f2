// A form made from a site's own schema: one field for each kind of value, for one thumb.

import { html, useSignal } from "../lib/html.js";
import { language, t } from "../lib/i18n.js";
import { Choice, Icon } from "../lib/ui.js";
import { Gallery, Picture } from "./picture.js";

/** @typedef {import("./draft.js").Draft} Draft */
/** @typedef {import("../types.js").SchemaField} SchemaField */
/**
 * @typedef {object} One what every field gets
 * @property {Draft} draft
 * @property {SchemaField} field
 * @property {string} at where it is, as `links.2.link`
 * @property {any} value
 * @property {(value: any) => void} onChange
 */

/** @param {SchemaField} field */
export function titleOf(field) {
  return language.value === "ko" ? field.title : field["x-en"].title;
}

/** @param {{ draft: Draft }} props */
export function Form({ draft }) {
  const schema = draft.told.value?.schema;
  if (!schema) return null;
  return html`<div class="stack">
    ${schema["x-order"].map(
      (/** @type {string} */ name) => html`<${One} key=${name} draft=${draft} field=${schema.properties[name]} at=${name}
        value=${valueOf(schema.properties[name], draft.content.value[name])} onChange=${(/** @type {any} */ value) => draft.set(name, value)} />`,
    )}
  </div>`;
}

/** What the site takes it for while nothing is filled in. @param {SchemaField | undefined} field @param {any} value */
function valueOf(field, value) {
  if (value !== undefined) return value;
  return field?.default;
}

/** @param {One} props */
function One(props) {
  const { field, at, draft } = props;
  const id = `field-${at.replaceAll(".", "-")}`;
  const hint = language.value === "ko" ? field.description : field["x-en"].description;
  const problem = draft.problems.value.find((one) => one.at === at && one.kind === "unfit");
  const wrong = problem && problem.message[language.value];
  const Kind = KINDS[field["x-kind"]] ?? Line;
  const about = [hint && `${id}-hint`, wrong && `${id}-error`].filter(Boolean).join(" ") || undefined;
  const isGroup = ["font", "choice", "gallery", "list", "picture"].includes(field["x-kind"]);
  const inner = html`<${Kind} ...${props} id=${id} about=${about} wrong=${!!wrong} />`;
  const notes = html`${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
    ${wrong && html`<p class="wrong" id=${`${id}-error`}><${Icon} name="circle-alert" />${wrong}</p>`}`;
  if (field["x-kind"] === "switch") return html`<div class="field" id=${`${id}-field`}>${inner}${notes}</div>`;
  if (isGroup) return html`<fieldset class="field group" id=${`${id}-field`}><legend>${titleOf(field)}</legend>${notes}${inner}</fieldset>`;
  return html`<div class="field" id=${`${id}-field`}><label for=${id}>${titleOf(field)}</label>${inner}${notes}</div>`;
}

/** @typedef {One & { id: string, about?: string, wrong: boolean }} Inner */

/** @param {any} event */
const typed = (event) => event.currentTarget.value;

/** @param {Inner & { type?: string, mode?: string }} props */
function Line({ id, field, value, onChange, about, wrong, type = "text", mode }) {
  return html`<input id=${id} type=${type} inputmode=${mode} value=${value ?? ""} maxlength=${field.maxLength ?? (field["x-kind"] === "link" ? 2000 : 200)}
    aria-describedby=${about} aria-invalid=${wrong ? "true" : undefined} onInput=${(/** @type {any} */ event) => onChange(typed(event))} />`;
}

/** @param {Inner} props */
function Address(props) {
  return html`<${Line} ...${props} type="url" mode="url" />`;
}

/** Bold, links and points of a list are marks in the text, which the site alone turns into anything. @param {Inner} props */
function Rich({ id, field, value, onChange, about, wrong }) {
  /** @param {(chosen: string) => string} change */
  function mark(change) {
    const place = /** @type {HTMLTextAreaElement | null} */ (document.getElementById(id));
    if (!place) return;
    const { selectionStart: from, selectionEnd: to } = place;
    const chosen = change(place.value.slice(from, to));
    const text = place.value.slice(0, from) + chosen + place.value.slice(to);
    onChange(text);
    place.value = text;
    place.focus();
    place.setSelectionRange(from, from + chosen.length);
  }
  const bold = () => mark((chosen) => `**${chosen || t("studio.rich.words")}**`);
  const link = () => mark((chosen) => `[${chosen || t("studio.rich.words")}](https://)`);
  const list = () => mark((chosen) => (chosen || t("studio.rich.words")).split("\n").map((line) => `- ${line}`).join("\n"));
  return html`<div class="rich">
    <div class="rich-bar" role="group" aria-label=${t("studio.rich")}>
      <button type="button" class="button" onClick=${bold}><b>${t("studio.rich.bold")}</b></button>
      <button type="button" class="button" onClick=${link}><${Icon} name="link" /><span>${t("studio.rich.link")}</span></button>
      <button type="button" class="button" onClick=${list}><span>${t("studio.rich.list")}</span></button>
    </div>
    <textarea id=${id} rows="6" value=${value ?? ""} maxlength=${field.maxLength ?? 5000} aria-describedby=${about}
      aria-invalid=${wrong ? "true" : undefined} onInput=${(/** @type {any} */ event) => onChange(typed(event))}></textarea>
  </div>`;
}

/** @param {Inner} props */
function When({ id, field, value, onChange, about, wrong }) {
  const withTime = field.format === "date-time";
  const text = String(value ?? "");
  /** @param {string} chosen */
  const whole = (chosen) => (chosen && withTime ? `${chosen.slice(0, 16)}:00${zoneOf(text, chosen)}` : chosen);
  return html`<div class="with-button">
    <input id=${id} type=${withTime ? "datetime-local" : "date"} value=${withTime ? text.slice(0, 16) : text} aria-describedby=${about}
      aria-invalid=${wrong ? "true" : undefined} onInput=${(/** @type {any} */ event) => onChange(whole(typed(event)))} />
    ${text && html`<button type="button" class="button icon-only" aria-label=${t("studio.clear")} onClick=${() => onChange("")}><${Icon} name="x" /></button>`}
  </div>`;
}

/** As it was, else as this device has it on that day. @param {string} before @param {string} chosen */
function zoneOf(before, chosen) {
  const zone = /(?:Z|[+-]\d\d:\d\d)$/.exec(before.slice(16))?.[0];
  if (zone) return zone;
  const minutes = -new Date(chosen).getTimezoneOffset();
  const two = (/** @type {number} */ number) => String(Math.floor(Math.abs(number))).padStart(2, "0");
  return `${minutes < 0 ? "-" : "+"}${two(minutes / 60)}:${two(minutes % 60)}`;
}

/** @param {Inner} props */
function Colour({ id, value, onChange, about }) {
  return html`<input id=${id} type="color" class="colour" value=${/^#[0-9a-f]{6}$/i.test(value ?? "") ? value : "#888888"} aria-describedby=${about}
    onInput=${(/** @type {any} */ event) => onChange(typed(event))} />`;
}

/** @param {Inner} props */
function Few({ id, field, value, onChange }) {
  const words = field.enum ?? [];
  /** @type {[string, string][]} */
  const options = words.map((word) => {
    const label = field["x-labels"]?.[word];
    const font = /** @type {const} */ ({ sans: "studio.font.sans", serif: "studio.font.serif", round: "studio.font.round" });
    return [word, label ? label[language.value] : t(font[/** @type {"sans"} */ (word)])];
  });
  return html`<${Choice} name=${id} label=${titleOf(field)} value=${words.includes(value) ? value : words[0]} options=${options} onChange=${onChange} />`;
}

/** @param {Inner} props */
function Switch({ id, field, value, onChange, about }) {
  return html`<label class="check"><input id=${id} type="checkbox" checked=${value === true} aria-describedby=${about}
    onChange=${(/** @type {any} */ event) => onChange(event.currentTarget.checked)} /><span>${titleOf(field)}</span></label>`;
}

/** @param {Inner} props */
function List({ draft, field, at, value, onChange }) {
  const all = Array.isArray(value) ? value : [];
  const items = field.items;
  const most = field.maxItems ?? 50;
  const opened = useSignal(-1);
  if (!items) return null;
  /** @param {number} index @param {Record<string, any>} one */
  const replace = (index, one) => onChange(all.map((each, place) => (place === index ? one : each)));
  return html`<ol class="items">
      ${all.map((one, index) => {
        const name = items["x-order"].map((/** @type {string} */ each) => one?.[each]).find((/** @type {any} */ each) => typeof each === "string" && each) ?? t("studio.item", { n: index + 1 });
        return html`<li key=${index} class="item">
          <details open=${opened.value === index} onToggle=${(/** @type {any} */ event) => event.currentTarget.open && (opened.value = index)}>
            <summary><span>${name}</span></summary>
            <div class="stack">
              ${items["x-order"].map(
                (/** @type {string} */ each) => html`<${One} key=${each} draft=${draft} field=${items.properties[each]} at=${`${at}.${index}.${each}`}
                  value=${valueOf(items.properties[each], one?.[each])} onChange=${(/** @type {any} */ to) => replace(index, { ...one, [each]: to })} />`,
              )}
            </div>
          </details>
          <${Order} all=${all} index=${index} name=${name} onChange=${onChange} />
        </li>`;
      })}
    </ol>
    ${all.length < most &&
    html`<button type="button" class="button" onClick=${() => {
      opened.value = all.length;
      onChange([...all, {}]);
    }}><${Icon} name="plus" /><span>${t("studio.item.add", { title: titleOf(field) })}</span></button>`}`;
}

/** Up, down, away. @param {{ all: any[], index: number, name: string, onChange: (all: any[]) => void }} props */
export function Order({ all, index, name, onChange }) {
  /** @param {number} by */
  function move(by) {
    const moved = [...all];
    const [one] = moved.splice(index, 1);
    moved.splice(index + by, 0, one);
    onChange(moved);
  }
  return html`<div class="order">
    <button type="button" class="button icon-only" disabled=${index === 0} aria-label=${t("studio.up", { name })} onClick=${() => move(-1)}><${Icon} name="arrow-up" /></button>
    <button type="button" class="button icon-only" disabled=${index === all.length - 1} aria-label=${t("studio.down", { name })} onClick=${() => move(1)}><${Icon} name="arrow-down" /></button>
    <button type="button" class="button icon-only" aria-label=${t("studio.remove", { name })} onClick=${() => onChange(all.filter((_, place) => place !== index))}><${Icon} name="trash-2" /></button>
  </div>`;
}

/** @type {Record<string, (props: any) => any>} */
const KINDS = {
  text: Line,
  place: Line,
  rich: Rich,
  link: Address,
  date: When,
  colour: Colour,
  font: Few,
  choice: Few,
  switch: Switch,
  picture: Picture,
  gallery: Gallery,
  list: List,
};
