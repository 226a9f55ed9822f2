// What Docker said when the image that all apps run in was built last: asked for when somebody opens it.

import { html, useSignal } from "../lib/html.js";
import { exact, t, when } from "../lib/i18n.js";
import { Failure, useRead } from "../lib/ui.js";

/** @param {{ mark: unknown }} props  another image, or another failure, is another log */
export function BuildLog({ mark }) {
  const open = useSignal(false);
  return html`<details class="details" onToggle=${(/** @type {any} */ event) => (open.value = event.currentTarget.open)}>
    <summary>${t("admin.image.log")}</summary>
    <div>${open.value && html`<${Lines} mark=${mark} />`}</div>
  </details>`;
}

/** @param {{ mark: unknown }} props */
function Lines({ mark }) {
  const { data, error } = useRead("/image-log", mark);
  if (error) return html`<${Failure} error=${error} />`;
  if (!data) return null;
  if (!data.at) return html`<p class="soft">${t("admin.image.log.none")}</p>`;
  return html`<p class="soft"><time datetime=${data.at} title=${exact(data.at)}>${when(data.at)}</time></p>
    <pre class="build-log" role="region" tabindex="0" aria-label=${t("admin.image.log")}>${data.lines.join("\n")}</pre>`;
}
