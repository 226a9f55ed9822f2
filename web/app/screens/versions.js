// What a site was before: who changed what and when, what is not published yet, and back to any of it.

import { call, pathOf } from "../lib/api.js";
import { html, useSignal } from "../lib/html.js";
import { exact, t, when } from "../lib/i18n.js";
import { apps, seen } from "../lib/live.js";
import { PublishZip } from "../lib/publish-zip.js";
import { Link } from "../lib/router.js";
import { isAdmin } from "../lib/session.js";
import { Act, Details, Heading, Icon, say, told, useRead } from "../lib/ui.js";
import { nameOf } from "../lib/words.js";
import { GitAddress } from "./git-address.js";
import { Preview, lookAt } from "./preview.js";

/** @typedef {import("../types.js").Version} Version */
/** @typedef {import("../types.js").FileChange} FileChange */
/** @typedef {import("../types.js").PreviewView} PreviewView */

/** @param {{ app: string }} props */
export function Versions({ app }) {
  const site = apps.value?.get(app);
  const turns = useSignal(0);
  const looking = useSignal(/** @type {PreviewView | null} */ (null));
  const { data, error } = useRead(`/apps/${pathOf(app)}/versions`, `${site?.fileDigest} ${site?.container ?? ""} ${turns.value}`);
  const title = t("versions.title", { name: nameOf(app) });

  /** @param {string} id */
  async function back(id) {
    const before = data?.running;
    try {
      const answer = await call("POST", `/apps/${pathOf(app)}/versions/${id}/restore`);
      seen(answer);
      const undo = before && before !== id ? { action: { text: t("undo"), run: () => void back(before) }, stays: 15000 } : {};
      if (answer.converged) say(t("versions.done"), undo);
      else say(t("versions.slow"), undo);
    } catch (why) {
      say(told(why), { tone: "bad" });
    }
    turns.value += 1;
  }

  async function publish() {
    try {
      const answer = await call("POST", `/apps/${pathOf(app)}/deploy`);
      seen(answer);
      say(t(answer.converged ? "versions.published" : "versions.slow"));
    } catch (why) {
      say(told(why), { tone: "bad" });
    }
    turns.value += 1;
  }

  return html`
    <p class="back"><${Link} href=${`/sites/${pathOf(app)}`}><${Icon} name="arrow-left" />${nameOf(app)}<//></p>
    <${Heading} title=${title}>${title}<//>
    <p class="soft">${t("versions.text")}</p>
    ${error !== null && html`<p class="soft">${told(error)}</p>`}
    <${Preview} app=${app} looking=${looking} />
    ${data?.unpublished?.length > 0 &&
    html`<section class="panel">
      <h2>${t("versions.draft")}</h2>
      <p>${inWords(data.unpublished)}</p>
      <div class="actions"><${Act} class="main" icon="check" busy=${t("versions.publish.busy")} onClick=${publish}>${t("versions.publish")}<//></div>
    </section>`}
    ${data && html`<${PublishZip} app=${app} onDone=${() => (turns.value += 1)} />`}
    ${data &&
    html`<section class="timeline">
      <ol>
        ${data.versions.map(
          (/** @type {Version} */ one) => html`<li key=${one.id}>
            <${Icon} name=${one.id === data.running ? "check" : "clock"} />
            <span>${whatOf(one)}${one.id === data.running ? html` <b>${t("versions.now")}</b>` : !one.healthy && html` <b>${t("versions.never")}</b>`}
              <br /><span class="soft">${exact(one.at)}${isAdmin.value ? `, ${one.by}, ${one.id}` : ""}</span>
              ${one.changes.length > 0 && html`<${Details} label=${t("versions.files", { n: one.changes.length })}><ul>${one.changes.map((file) => html`<li key=${file.path}>${oneInWords(file)}</li>`)}</ul><//>`}
              ${one.id !== data.running && html`<${Act} icon="eye" busy=${t("preview.busy")} onClick=${() => lookAt(app, one.id, looking)}>${t("preview.look")}<//>
                <${Act} icon="undo-2" busy=${t("versions.back.busy")} onClick=${() => back(one.id)}>${t("versions.back")}<//>`}
              <a class="plain" href=${`/apps/${pathOf(app)}/versions/${one.id}/archive`} download><${Icon} name="download" />${t("versions.download")}</a>
            </span>
            <time class="soft" datetime=${one.at} title=${exact(one.at)}>${when(one.at)}</time>
          </li>`,
        )}
      </ol>
    </section>
    <${GitAddress} app=${app} />`}
  `;
}

/** @param {Version} one */
function whatOf(one) {
  if (one.door === "template") return t("versions.made");
  if (one.door === "saved") return t("versions.saved");
  if (one.door === "before") return t("versions.before");
  if (one.door === "publish" && one.message !== "published") return one.message;
  const changed = one.changes.length > 0 ? inWords(one.changes) : t("versions.same");
  return one.door === "push" ? t("versions.pushed", { first: one.message || changed }) : changed;
}

/** @param {FileChange} file */
function oneInWords(file) {
  if (file.kind === "added") return t("versions.added", { file: file.path });
  return file.kind === "removed" ? t("versions.removed", { file: file.path }) : t("versions.changed", { file: file.path });
}

/** The first, and how many more. @param {FileChange[]} changes */
function inWords(changes) {
  const [first] = changes;
  if (!first) return "";
  const more = changes.length - 1;
  return more > 0 ? t("versions.more", { first: oneInWords(first), n: more }) : oneInWords(first);
}
