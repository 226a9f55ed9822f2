// A zip (or tar) of somebody's own files takes the place of a site's.

import { call, pathOf } from "./api.js";
import { html, useRef, useSignal } from "./html.js";
import { t } from "./i18n.js";
import { seen } from "./live.js";
import { Act, Failure, say } from "./ui.js";

/** What it is, its first bytes say: browsers call the same file by several names, or by none. */
const ARCHIVE = "application/zip";

/** @param {{ app: string, onDone?: () => void }} props */
export function PublishZip({ app, onDone }) {
  const chosen = useRef(/** @type {HTMLInputElement | null} */ (null));
  const failed = useSignal(/** @type {unknown} */ (null));
  const busy = useSignal(false);

  async function send() {
    const input = chosen.current;
    const file = input?.files?.[0];
    if (!input || !file || busy.value) return;
    failed.value = null;
    busy.value = true;
    try {
      const answer = await call("POST", `/apps/${pathOf(app)}/versions?message=${encodeURIComponent(file.name)}`, { bytes: file.slice(0, file.size, ARCHIVE) });
      seen(answer);
      say(t(answer.converged ? "versions.published" : "versions.slow"));
    } catch (why) {
      failed.value = why;
    }
    // The same file can be chosen again once it was put right.
    input.value = "";
    busy.value = false;
    onDone?.();
  }

  return html`<div class="publish-zip">
    <input type="file" hidden accept=".zip,.tar,.gz,.tgz" aria-label=${t("zip.publish")} ref=${chosen} onChange=${send} />
    <${Act} icon=${busy.value ? "loader-circle" : "file-text"} disabled=${busy.value} onClick=${() => chosen.current?.click()}>
      ${busy.value ? t("versions.publish.busy") : t("zip.publish")}
    <//>
    <p class="hint">${t("zip.hint")}</p>
    <${Failure} error=${failed.value} />
  </div>`;
}
