// The picture of a site: its template's, in a colour of the site's own.

import { html, useSignal } from "./html.js";
import { hueOf, nameOf } from "./words.js";

/** Templates whose picture is among the dashboard's own files. */
const SHAPES = /** @type {Record<string, string>} */ ({
  diary: "M14 10c6-2 12-1 18 3 6-4 12-5 18-3v34c-6-2-12-1-18 3-6-4-12-5-18-3ZM32 13v34",
  static: "M12 12h40v40H12ZM12 22h40M18 30h16M18 36h28M18 42h22",
});

/** @param {{ app?: string, template?: string | undefined, class?: string }} props */
export function Cover({ app, template = "", class: kind = "" }) {
  const failed = useSignal(false);
  const family = template.replace(/-v\d+$/, "");
  const hue = hueOf(app ? nameOf(app) : family);
  return html`<div class=${`cover ${kind}`} style=${{ "--hue": hue }} aria-hidden="true">
    ${template && !failed.value
      ? html`<img src=${`/templates/${template}/preview`} alt="" loading="lazy" onError=${() => (failed.value = true)} />`
      : html`<svg viewBox="0 0 64 64"><path d=${SHAPES[family] ?? SHAPES.static} /></svg>`}
  </div>`;
}
