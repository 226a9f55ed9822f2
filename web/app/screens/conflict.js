// A file that somebody else has saved meanwhile: what was there, what they made of it, and one's own, place by place. Where only
// one of both has changed something that is chosen already; what is put together goes into the editor, and is saved from there.

import { html, useSignal } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { compare, merged } from "../lib/merge.js";
import { Icon } from "../lib/ui.js";

/** @typedef {import("../lib/merge.js").Hunk} Hunk */
/** @typedef {"mine" | "theirs" | undefined} Side */

/** @param {{ base: string, mine: string, theirs: string, onTake: (text: string) => void }} props */
export function Conflict({ base, mine, theirs, onTake }) {
  const parts = compare(base, mine, theirs);
  const hunks = parts.filter((part) => part.kind === "hunk");
  // Another saving, or another letter of one's own, is another question.
  const question = JSON.stringify(hunks);
  const answers = useSignal({ question, chosen: /** @type {Side[]} */ ([]) });
  const given = answers.value.question === question ? answers.value.chosen : [];
  const chosen = hunks.map((hunk, index) => given[index] ?? (hunk.by === "both" ? undefined : hunk.by));
  const open = chosen.filter((side) => !side).length;

  /** @param {number} index @param {Side} side */
  function choose(index, side) {
    answers.value = { question, chosen: chosen.map((before, at) => (at === index ? side : before)) };
  }

  return html`<section class="trouble conflict" data-tone="warn" aria-labelledby="conflict-title">
    <${Icon} name="triangle-alert" />
    <div>
      <h2 id="conflict-title">${t("manifest.conflict")}</h2>
      <p role="alert">${t("manifest.conflict.text")}</p>
      ${hunks.map((hunk, index) => html`<${Place} key=${index} hunk=${hunk} index=${index} side=${chosen[index]} onChoose=${(/** @type {Side} */ side) => choose(index, side)} />`)}
      ${open > 0 && html`<p class="soft" role="status">${t("manifest.conflict.open", { n: open })}</p>`}
      <div class="actions">
        <button type="button" class="button main" disabled=${open > 0} onClick=${() => onTake(merged(parts, /** @type {("mine" | "theirs")[]} */ (chosen)))}>${t("manifest.merge")}</button>
        <button type="button" class="button" onClick=${() => onTake(theirs)}>${t("manifest.take")}</button>
        <button type="button" class="button" onClick=${() => onTake(mine)}>${t("manifest.keep")}</button>
      </div>
    </div>
  </section>`;
}

/** @param {{ hunk: Hunk, index: number, side: Side, onChoose: (side: Side) => void }} props */
function Place({ hunk, index, side, onChoose }) {
  const by = { mine: t("manifest.by.mine"), theirs: t("manifest.by.theirs"), both: t("manifest.by.both") }[hunk.by];
  return html`<fieldset class="hunk" data-by=${hunk.by}>
    <legend>${t("manifest.place", { n: hunk.line })} · ${by}</legend>
    ${hunk.by === "both" && html`<div class="hunk-side"><b>${t("manifest.before")}</b><${Lines} lines=${hunk.base} /></div>`}
    ${(/** @type {const} */ (["theirs", "mine"])).map(
      (one) => html`<label class="hunk-side" key=${one} data-side=${one}>
        <input type="radio" name=${`hunk-${index}`} checked=${side === one} onChange=${() => onChoose(one)} />
        <b>${t(one === "mine" ? "manifest.mine" : "manifest.theirs")}</b>
        <${Lines} lines=${hunk[one]} />
      </label>`,
    )}
  </fieldset>`;
}

/** @param {{ lines: string[] }} props */
function Lines({ lines }) {
  return lines.length > 0 ? html`<code>${lines.join("\n")}</code>` : html`<span class="soft">${t("manifest.none")}</span>`;
}
