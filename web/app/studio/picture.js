// Pictures of a site: chosen, dropped or pasted, made smaller here, and sent along with the draft.

import { html, useEffect, useRef, useSignal } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { Choice, Dialog, Icon, say, told } from "../lib/ui.js";
import { Order } from "./form.js";
import { ready, taken } from "./scale.js";

/** @typedef {import("./form.js").Inner} Inner */
/** @typedef {{ src: string, alt?: string, caption?: string, width?: number, height?: number }} Shown */

/** @param {Inner} props */
export function Picture({ draft, value, onChange, id }) {
  const place = useChosen(draft, 1, ([one]) => one && onChange(one));
  return html`<div class="drop" ...${place.drop}>
    ${value?.src && html`<img src=${draft.address(value.src)} alt="" />`}
    <div class="actions">
      <${Choose} id=${id} label=${t(value?.src ? "studio.picture.other" : "studio.picture.choose")} place=${place} />
      ${value?.src && html`<button type="button" class="button" onClick=${() => onChange(null)}><${Icon} name="trash-2" /><span>${t("studio.picture.remove")}</span></button>`}
    </div>
    ${value?.src && html`<${Words} id=${id} value=${value} onChange=${onChange} caption=${false} />`}
    <${Crop} place=${place} />
  </div>`;
}

/** @param {Inner} props */
export function Gallery({ draft, field, value, onChange, id }) {
  /** @type {Shown[]} */
  const all = Array.isArray(value) ? value : [];
  const most = field.maxItems ?? 60;
  const place = useChosen(draft, most - all.length, (chosen) => onChange([...all, ...chosen]));
  return html`<div class="drop" ...${place.drop}>
    <ol class="items">
      ${all.map(
        (one, index) => html`<li key=${one.src} class="item">
          <div class="shown"><img src=${draft.address(one.src)} alt="" loading="lazy" />
            <${Words} id=${`${id}-${index}`} value=${one} caption=${true}
              onChange=${(/** @type {Shown} */ to) => onChange(all.map((each, at) => (at === index ? to : each)))} /></div>
          <${Order} all=${all} index=${index} name=${one.caption || t("studio.picture.n", { n: index + 1 })} onChange=${onChange} />
        </li>`,
      )}
    </ol>
    ${all.length < most && html`<${Choose} id=${id} label=${t("studio.picture.add")} place=${place} many=${true} />`}
    <${Crop} place=${place} />
  </div>`;
}

/** What is seen in it, for whoever does not see it; asked for, never waited for. @param {{ id: string, value: Shown, onChange: (to: Shown) => void, caption: boolean }} props */
function Words({ id, value, onChange, caption }) {
  return html`<div class="stack words">
    <div class="field"><label for=${`${id}-alt`}>${t("studio.alt")}</label>
      <input id=${`${id}-alt`} maxlength="200" value=${value.alt ?? ""} placeholder=${t("studio.alt.example")}
        onInput=${(/** @type {any} */ event) => onChange({ ...value, alt: event.currentTarget.value })} /></div>
    ${caption &&
    html`<div class="field"><label for=${`${id}-caption`}>${t("studio.caption")}</label>
      <input id=${`${id}-caption`} maxlength="200" value=${value.caption ?? ""}
        onInput=${(/** @type {any} */ event) => onChange({ ...value, caption: event.currentTarget.value })} /></div>`}
  </div>`;
}

/** @param {{ id: string, label: string, place: ReturnType<typeof useChosen>, many?: boolean }} props */
function Choose({ id, label, place, many = false }) {
  return html`<label class="button choose" aria-busy=${place.busy.value ? "true" : undefined}>
    <${Icon} name=${place.busy.value ? "loader-circle" : "plus"} class=${place.busy.value ? "turns" : ""} /><span>${place.busy.value ? t("studio.picture.busy") : label}</span>
    <input id=${id} class="unseen" type="file" accept="image/jpeg,image/png,image/webp,image/gif,image/avif,image/*" multiple=${many}
      onChange=${(/** @type {any} */ event) => {
        void place.take([...event.currentTarget.files]);
        event.currentTarget.value = "";
      }} />
  </label>`;
}

/**
 * From a file to a picture of the draft. A single one is shown first, to be cut and turned.
 * @param {import("./draft.js").Draft} draft @param {number} most @param {(chosen: Shown[]) => void} onChosen
 */
function useChosen(draft, most, onChosen) {
  const busy = useSignal(false);
  const over = useSignal(/** @type {ImageBitmap | null} */ (null));

  /** @param {ImageBitmap} bitmap @param {import("./scale.js").Cut} [cut] @returns {Promise<Shown>} */
  async function send(bitmap, cut) {
    const made = await ready(bitmap, cut);
    await draft.upload(made.src, made.blob);
    return { src: made.src, alt: "", width: made.width, height: made.height };
  }

  /** @param {(File | Blob)[]} files */
  async function take(files) {
    if (busy.value || files.length === 0) return;
    busy.value = true;
    /** @type {Shown[]} */
    const chosen = [];
    try {
      for (const file of files.slice(0, most)) {
        const bitmap = await taken(file);
        if (typeof bitmap === "string") {
          say(t(bitmap), { tone: "bad", stays: 10000 });
        } else if (files.length === 1) {
          over.value = bitmap;
        } else {
          chosen.push(await send(bitmap));
        }
      }
      if (files.length > most) say(t("studio.picture.most", { n: most }), { tone: "bad" });
    } catch (error) {
      say(told(error), { tone: "bad", stays: 10000 });
    } finally {
      busy.value = false;
      if (chosen.length > 0) onChosen(chosen);
    }
  }

  /** @param {import("./scale.js").Cut} cut */
  async function finish(cut) {
    const bitmap = over.value;
    over.value = null;
    if (!bitmap) return;
    busy.value = true;
    try {
      onChosen([await send(bitmap, cut)]);
    } catch (error) {
      say(told(error), { tone: "bad", stays: 10000 });
    } finally {
      busy.value = false;
    }
  }

  const drop = {
    onDragOver: (/** @type {DragEvent} */ event) => event.preventDefault(),
    onDrop: (/** @type {DragEvent} */ event) => {
      event.preventDefault();
      void take([...(event.dataTransfer?.files ?? [])]);
    },
    onPaste: (/** @type {ClipboardEvent} */ event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length === 0) return;
      event.preventDefault();
      void take(files);
    },
  };
  return { busy, over, take, finish, drop };
}

/** @param {{ place: ReturnType<typeof useChosen> }} props */
function Crop({ place }) {
  const bitmap = place.over.value;
  return bitmap && html`<${Cutting} bitmap=${bitmap} onDone=${place.finish} onClose=${() => (place.over.value = null)} />`;
}

/** @param {{ bitmap: ImageBitmap, onDone: (cut: import("./scale.js").Cut) => void, onClose: () => void }} props */
function Cutting({ bitmap, onDone, onClose }) {
  const shape = useSignal(/** @type {import("./scale.js").Shape} */ ("whole"));
  const at = useSignal(50);
  const turns = useSignal(0);
  const place = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const cut = { shape: shape.value, at: at.value / 100, turns: turns.value };
  useEffect(() => {
    if (place.current) void ready(bitmap, cut, place.current);
  }, [shape.value, at.value, turns.value]);
  /** @type {[string, string][]} */
  const options = [
    ["whole", t("studio.crop.whole")],
    ["square", t("studio.crop.square")],
    ["wide", t("studio.crop.wide")],
    ["tall", t("studio.crop.tall")],
  ];
  return html`<${Dialog} title=${t("studio.crop")} onClose=${onClose} class="cutting">
    <canvas ref=${place} role="img" aria-label=${t("studio.crop.preview")}></canvas>
    <${Choice} name="shape" label=${t("studio.crop.shape")} value=${shape.value} options=${options} onChange=${(/** @type {any} */ to) => (shape.value = to)} />
    ${shape.value !== "whole" &&
    html`<label class="field"><span>${t("studio.crop.at")}</span><input type="range" min="0" max="100" value=${at.value}
      onInput=${(/** @type {any} */ event) => (at.value = Number(event.currentTarget.value))} /></label>`}
    <div class="actions">
      <button type="button" class="button" onClick=${() => (turns.value = (turns.value + 1) % 4)}><${Icon} name="refresh-cw" /><span>${t("studio.crop.turn")}</span></button>
      <button type="button" class="button main" onClick=${() => onDone(cut)}><${Icon} name="check" /><span>${t("studio.crop.done")}</span></button>
    </div>
  <//>`;
}
