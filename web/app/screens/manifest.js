// The manifest as it is on disk: checked while it is typed, saved only over what was seen. What somebody else has written
// meanwhile is put together with one's own, place by place.

import { ask, call, pathOf, Refusal } from "../lib/api.js";
import { html, useEffect, useRef, useSignal } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { tab } from "../lib/kept.js";
import { apps, seen } from "../lib/live.js";
import { Link } from "../lib/router.js";
import { Act, Failure, Heading, Icon, say } from "../lib/ui.js";
import { CodeField } from "../lib/code-field.js";
import { complete } from "../lib/complete.js";
import { Conflict } from "./conflict.js";
import { nameOf, templateText } from "../lib/words.js";

/** @typedef {{ line: number, column: number, message: string, help?: string }} Problem */
/** @typedef {{ text: string, etag: string }} File */

/** Until somebody who types has paused. */
const PAUSE_MS = 250;

/** @param {{ app: string }} props */
export function Manifest({ app }) {
  const path = `/apps/${pathOf(app)}/manifest`;
  const draft = `manifest ${app}`;
  /** What the text was made from. */
  const base = useSignal(/** @type {File | null} */ (null));
  const text = useSignal("");
  const problem = useSignal(/** @type {Problem | null} */ (null));
  /** What is on disk now, when it is neither one's own nor what that was made from. */
  const theirs = useSignal(/** @type {File | null} */ (null));
  const error = useSignal(/** @type {unknown} */ (null));
  const schema = useSignal(/** @type {any} */ (null));
  /** Values that the schema does not know. @type {import("../vendor/signals.js").Signal<Record<string, import("../lib/complete.js").Option[]>>} */
  const known = useSignal({});
  const editor = useRef(/** @type {import("../lib/editor.js").Editor | null} */ (null));
  const digest = apps.value?.get(app)?.fileDigest;
  const dirty = !!base.value && text.value !== base.value.text;

  async function load() {
    try {
      const { data, etag } = await ask("GET", path);
      const file = { text: data.text, etag: etag ?? "" };
      const kept = JSON.parse(tab.read(draft) ?? "null");
      if (!base.value) {
        base.value = kept ? { text: kept.base, etag: kept.etag } : file;
        text.value = kept ? kept.text : file.text;
      }
      if (file.etag === base.value.etag) theirs.value = null;
      else if (text.value === base.value.text || text.value === file.text) take(file);
      else theirs.value = file;
    } catch (why) {
      error.value = why;
    }
  }
  /** @param {File} file */
  function take(file) {
    base.value = file;
    text.value = file.text;
    theirs.value = null;
    tab.write(draft, null);
  }

  useEffect(() => {
    load();
  }, [app, digest]);

  useEffect(() => {
    fetch("/manifest.schema.json").then((answer) => answer.json()).then((found) => (schema.value = found), () => {});
    call("GET", "/templates").then(
      (/** @type {import("../types.js").Template[]} */ templates) => {
        known.value = { template: templates.filter((one) => !one.problem).map((one) => ({ text: one.id, detail: templateText(one) })) };
      },
      () => {},
    );
  }, []);

  useEffect(() => {
    if (!base.value) return undefined;
    tab.write(draft, dirty ? JSON.stringify({ text: text.value, base: base.value.text, etag: base.value.etag }) : null);
    const stop = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const data = await call("POST", `${path}/check`, { body: { text: text.value }, signal: stop.signal });
        problem.value = data.problem;
      } catch {
        // Away: it is said on top, and asked again with the next letter.
      }
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [text.value, base.value]);

  async function save() {
    error.value = null;
    const mine = text.value;
    try {
      const { data, etag } = await ask("PUT", `${path}?wait=0`, { body: { text: mine }, ifMatch: base.value?.etag ?? "" });
      base.value = { text: mine, etag: etag ?? "" };
      theirs.value = null;
      tab.write(draft, null);
      seen(data);
      say(t("manifest.saved"));
    } catch (why) {
      if (why instanceof Refusal && why.code === "etag-mismatch") await load();
      else error.value = why;
    }
  }

  /** What was put together is one's own from now on, made from what is on disk. @param {string} wanted */
  function settle(wanted) {
    if (!theirs.value) return;
    if (wanted === theirs.value.text) return take(theirs.value);
    base.value = theirs.value;
    text.value = wanted;
    theirs.value = null;
    editor.current?.focus();
  }

  /** On an empty line only who asks for it gets everything. @param {string} typed @param {number} caret @param {boolean} asked */
  function suggest(typed, caret, asked) {
    const isEmpty = /(^|\n) *$/.test(typed.slice(0, caret));
    return schema.value && (asked || !isEmpty) ? complete(typed, caret, schema.value, known.value) : null;
  }

  return html`
    <p class="back"><${Link} href=${`/sites/${pathOf(app)}`}><${Icon} name="arrow-left" />${nameOf(app)}<//></p>
    <header class="screen-head"><${Heading} title=${t("manifest.title", { app })}>${t("manifest.title", { app })}<//></header>
    <${Failure} error=${error.value} />
    ${base.value && theirs.value && html`<${Conflict} base=${base.value.text} mine=${text.value} theirs=${theirs.value.text} onTake=${settle} />`}
    ${base.value && html`
      <div class="editor">
        <${CodeField} id="manifest" language="yaml" label=${t("manifest.title", { app })} text=${text.value} editor=${editor}
          diagnostics=${problem.value ? [problem.value] : []} describedBy="manifest-verdict manifest-keys"
          onInput=${(/** @type {string} */ typed) => (text.value = typed)} onSave=${() => dirty && !problem.value && !theirs.value && save()} complete=${suggest} />
        <p class="soft" id="manifest-keys">${t("manifest.keys")}</p>
        <div id="manifest-verdict" class="verdict" data-tone=${problem.value ? "bad" : "good"}>
          ${problem.value ? html`<${Wrong} problem=${problem.value} text=${text.value} onJump=${(/** @type {number} */ line) => editor.current?.goTo(line)} />` : html`<p class="state" data-tone="good"><${Icon} name="circle-check" />${t("manifest.good")}</p>`}
        </div>
      </div>
      <div class="actions">
        <${Act} class="main" onClick=${save} disabled=${!dirty || !!problem.value || !!theirs.value}>${t("manifest.save")}<//>
        <button type="button" class="button" disabled=${!dirty} onClick=${() => base.value && take(base.value)}><${Icon} name="undo-2" /><span>${t("manifest.undo")}</span></button>
      </div>`}
  `;
}

/** @param {{ problem: Problem, text: string, onJump: (line: number) => void }} props */
function Wrong({ problem, text, onJump }) {
  const line = text.split("\n")[problem.line - 1];
  return html`<p class="wrong"><${Icon} name="circle-alert" />${problem.message}${problem.help && ` (${problem.help})`}</p>
    ${problem.line > 0 && html`<button type="button" class="plain" onClick=${() => onJump(problem.line)}>${t("manifest.line", { n: problem.line })}</button>
      ${line !== undefined && html`<pre>${line}</pre>`}`}`;
}
