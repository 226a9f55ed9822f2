// The files of a site, for whoever is curious: a list, an editor, what is changed, and the same publish and undo as everywhere.

import { call, pathOf, textOf } from "../lib/api.js";
import { CodeField } from "../lib/code-field.js";
import { languageOf } from "../lib/editor.js";
import { html, useEffect, useMemo, useRef, useSignal } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { apps } from "../lib/live.js";
import { Link } from "../lib/router.js";
import { Act, Dialog, Failure, Field, Heading, Icon, say, told } from "../lib/ui.js";
import { nameOf } from "../lib/words.js";
import { Draft } from "../studio/draft.js";
import { Bar, Elsewhere, keepOnLeaving } from "./edit.js";

/** Larger ones are no text that a person has written. */
const MOST_TEXT = 256 << 10;

/** @param {{ app: string }} props */
export function Files({ app }) {
  const draft = useMemo(() => new Draft(app), [app]);
  const error = useSignal(/** @type {unknown} */ (null));
  const there = useSignal(/** @type {{ path: string, bytes: number }[]} */ ([]));
  const chosen = useSignal("");
  const search = useSignal("");
  const studio = draft.told.value;
  const title = t("files.title", { name: nameOf(app) });

  useEffect(() => {
    draft.open().catch((why) => (error.value = why));
    return keepOnLeaving(draft);
  }, [app]);
  useEffect(() => {
    if (!studio) return;
    call("GET", `/apps/${pathOf(app)}/versions/${draft.base}`).then(
      (one) => (there.value = one.content),
      (why) => (error.value = why),
    );
  }, [studio]);

  const edits = draft.files.value;
  const gone = edits.filter((one) => one.content === null).map((one) => one.path);
  const added = edits.filter((one) => one.content !== null && !there.value.some((file) => file.path === one.path)).map((one) => one.path);
  const names = [...there.value.map((file) => file.path).filter((path) => !gone.includes(path)), ...added].sort();
  const shown = names.filter((path) => path.toLowerCase().includes(search.value.trim().toLowerCase()));
  return html`
    <p class="back"><${Link} href=${`/sites/${pathOf(app)}/edit`}><${Icon} name="arrow-left" />${t("studio.title", { name: nameOf(app) })}<//></p>
    <${Heading} title=${title}>${title}<//>
    <p class="soft">${t("files.text")}</p>
    ${error.value !== null && html`<${Failure} error=${error.value} />`}
    ${studio &&
    html`<${Elsewhere} draft=${draft} />
      <div class="files">
        <section aria-label=${t("files.list")}>
          <${Field} label=${t("files.search")} id="search">
            <input id="search" type="search" value=${search.value} onInput=${(/** @type {any} */ event) => (search.value = event.currentTarget.value)} />
          <//>
          <ul class="file-list">
            ${shown.map(
              (path) => html`<li key=${path}><button type="button" class="plain" aria-current=${chosen.value === path ? "true" : undefined}
                onClick=${() => (chosen.value = path)}>${path}</button></li>`,
            )}
          </ul>
          <${More} draft=${draft} names=${names} onMade=${(/** @type {string} */ path) => (chosen.value = path)} />
        </section>
        <${OneFile} key=${chosen.value} draft=${draft} path=${chosen.value} names=${names} known=${there.value.find((file) => file.path === chosen.value)}
          onGo=${(/** @type {string} */ path) => (chosen.value = path)} />
      </div>
      <${Changes} draft=${draft} known=${there.value.map((file) => file.path)} />
      <${Bar} draft=${draft} site=${apps.value?.get(app)} />`}
  `;
}

/** Whether a file may have that name. @param {string} path */
function isName(path) {
  const parts = path.split("/");
  return path.length > 0 && path.length <= 200 && !/[\\\p{Cc}]/u.test(path) && parts.every((part) => part !== "" && part !== "." && part !== ".." && part.toLowerCase() !== ".git");
}

/** @param {{ draft: Draft, names: string[], onMade: (path: string) => void }} props */
function More({ draft, names, onMade }) {
  const asking = useSignal(false);

  /** @param {File[]} files */
  async function add(files) {
    for (const file of files) {
      const path = `public/${file.name.normalize("NFC")}`;
      try {
        if (!isName(path)) say(t("files.name.wrong"), { tone: "bad" });
        else if (file.type.startsWith("image/") && file.type !== "image/svg+xml") await draft.upload(path.slice("public/".length), file);
        else if (file.size > MOST_TEXT) say(t("files.other"), { tone: "bad" });
        else draft.setFile(path, await file.text());
        onMade(path);
      } catch (why) {
        say(told(why), { tone: "bad", stays: 10000 });
      }
    }
  }

  return html`<div class="actions">
    <button type="button" class="button" onClick=${() => (asking.value = true)}><${Icon} name="plus" /><span>${t("files.new")}</span></button>
    <label class="button choose"><${Icon} name="download" /><span>${t("files.add")}</span>
      <input id="add" class="unseen" type="file" multiple onChange=${(/** @type {any} */ event) => {
        void add([...event.currentTarget.files]);
        event.currentTarget.value = "";
      }} /></label>
    ${asking.value &&
    html`<${Name} title=${t("files.new")} value="public/" names=${names} onClose=${() => (asking.value = false)} onDone=${(/** @type {string} */ path) => {
      asking.value = false;
      draft.setFile(path, "");
      onMade(path);
    }} />`}
  </div>`;
}

/** @param {{ title: string, value: string, names: string[], onClose: () => void, onDone: (path: string) => void }} props */
function Name({ title, value, names, onClose, onDone }) {
  const name = useSignal(value);
  const path = name.value.trim().normalize("NFC");
  const wrong = names.includes(path) ? t("files.name.taken") : !isName(path) && path !== value ? t("files.name.wrong") : "";
  return html`<${Dialog} title=${title} onClose=${onClose}>
    <form class="stack" onSubmit=${(/** @type {Event} */ event) => {
      event.preventDefault();
      if (!wrong && isName(path)) onDone(path);
    }}>
      <${Field} label=${t("files.name")} id="file-name" hint=${t("files.name.hint")} error=${wrong}>
        <input id="file-name" value=${name.value} autocapitalize="off" autocorrect="off" spellcheck=${false}
          aria-describedby=${["file-name-hint", wrong && "file-name-error"].filter(Boolean).join(" ")} aria-invalid=${wrong ? "true" : undefined}
          onInput=${(/** @type {any} */ event) => (name.value = event.currentTarget.value)} />
      <//>
      <button class="button main" disabled=${!!wrong || path === value}>${t("files.make")}</button>
    </form>
  <//>`;
}

/**
 * @param {{ draft: Draft, path: string, names: string[], known: { path: string, bytes: number } | undefined, onGo: (path: string) => void }} props
 */
function OneFile({ draft, path, names, known, onGo }) {
  const text = useSignal(/** @type {string | null} */ (null));
  const error = useSignal(/** @type {unknown} */ (null));
  const renaming = useSignal(false);
  const editor = useRef(/** @type {import("../lib/editor.js").Editor | null} */ (null));
  const edit = draft.files.value.find((one) => one.path === path);
  const isPicture = /\.(?:webp|jpe?g|png|gif|avif)$/i.test(path);

  useEffect(() => {
    if (!path || isPicture) return;
    if (edit) text.value = edit.content ?? "";
    else if (known && known.bytes <= MOST_TEXT) {
      textOf(`/apps/${pathOf(draft.app)}/versions/${draft.base}/files/${path.split("/").map(encodeURIComponent).join("/")}`).then(
        (found) => (text.value = found),
        (why) => (error.value = why),
      );
    }
  }, [path, known?.path]);

  if (!path) return html`<p class="soft">${t("files.closed")}</p>`;
  const isText = text.value !== null && !text.value.includes("\0") && !text.value.includes("\ufffd");

  /** @param {string} to */
  function rename(to) {
    renaming.value = false;
    draft.setFile(to, text.value ?? "");
    draft.setFile(path, known ? null : undefined);
    onGo(to);
  }

  return html`<section class="one-file" aria-label=${path}>
    <h2>${path}</h2>
    ${error.value !== null && html`<${Failure} error=${error.value} />`}
    ${isPicture && html`<img src=${draft.address(path.replace(/^public\//, ""))} alt="" />`}
    ${!isPicture && text.value !== null && !isText && html`<p class="soft">${t("files.other")}</p>`}
    ${isText &&
    html`<${CodeField} text=${text.value ?? ""} language=${languageOf(path)} label=${path} id="code" editor=${editor} diagnostics=${wrongIn(path, text.value ?? "")}
      onSave=${() => void draft.save()} onInput=${(/** @type {string} */ now) => {
        text.value = now;
        draft.setFile(path, now);
      }} />`}
    <div class="actions">
      ${isText && path !== "server.js" && html`<button type="button" class="button" onClick=${() => (renaming.value = true)}>${t("files.rename")}</button>`}
      ${path === "server.js"
        ? html`<p class="soft">${t("files.needed")}</p>`
        : (known || edit) &&
          html`<button type="button" class="button danger" onClick=${() => {
            draft.setFile(path, known ? null : undefined);
            onGo("");
          }}><${Icon} name="trash-2" /><span>${t("files.remove", { file: path })}</span></button>`}
    </div>
    ${renaming.value && html`<${Name} title=${t("files.rename")} value=${path} names=${names.filter((name) => name !== path)} onClose=${() => (renaming.value = false)} onDone=${rename} />`}
  </section>`;
}

/** What is wrong with a file, as far as it can be told here. @param {string} path @param {string} text @returns {import("../lib/editor.js").Diagnostic[]} */
function wrongIn(path, text) {
  if (languageOf(path) !== "json") return [];
  try {
    JSON.parse(text);
    return [];
  } catch (error) {
    const said = String(error);
    const line = Number(/line (\d+)/.exec(said)?.[1] ?? 0) || text.slice(0, Number(/position (\d+)/.exec(said)?.[1] ?? text.length)).split("\n").length;
    return [{ line, message: t("files.json", { line }) }];
  }
}

/** @param {{ draft: Draft, known: string[] }} props */
function Changes({ draft, known }) {
  const edits = draft.files.value;
  if (edits.length === 0) return null;
  /** @param {import("../studio/draft.js").FileEdit} one */
  const what = (one) => (one.content === null ? "files.removed" : known.includes(one.path) ? "files.changed" : "files.added");
  return html`<section class="panel" id="changes">
    <h2>${t("files.changes")}</h2>
    <ul class="file-list">
      ${edits.map(
        (one) => html`<li key=${one.path}><span>${one.path} <b>${t(what(one))}</b></span>
          <${Act} icon="undo-2" aria-label=${t("files.back", { file: one.path })} onClick=${() => draft.setFile(one.path, undefined)}>${t("undo")}<//></li>`,
      )}
    </ul>
  </section>`;
}
