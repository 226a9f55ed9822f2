// A text editor for files: colours, line numbers, search, suggestions and marks where something is wrong. CodeMirror, fetched when
// the first editor is opened, and each language when a file of it is.
//
// `mount` knows nothing of Preact: a screen gives it an empty element, and keeps the text by itself from `onChange`.
// Tab leaves the editor, as on every page, unless a suggestion is open; Ctrl+] and Ctrl+[ indent.

import { PHRASES } from "./editor-phrases.js";
import { LOOK, theme } from "./editor-theme.js";
import { t } from "./i18n.js";
import { announcement } from "./ui.js";

/** @typedef {import("../vendor/codemirror/core.js").EditorView} View */
/** @typedef {"css" | "html" | "javascript" | "json" | "markdown" | "yaml" | "text"} Language */
/** Both count from one; without a column the whole line is meant. @typedef {{ line: number, column?: number, message: string, kind?: "error" | "warning" }} Diagnostic */
/** What is between `from` and `to` is replaced by the one that is taken. @typedef {{ from: number, to: number, options: { text: string, detail: string }[] }} Completion */
/**
 * @typedef {object} Options
 * @property {string} text
 * @property {Language} language
 * @property {string} label  its name, for who hears the page
 * @property {string} [id]  of the element that takes the focus
 * @property {string} [describedBy]  ids of elements that say more
 * @property {boolean} [readOnly]
 * @property {Diagnostic[]} [diagnostics]
 * @property {(text: string) => void} [onChange]  not called for what `setText` does
 * @property {() => void} [onSave]  Ctrl+S, on a Mac Cmd+S
 * @property {(text: string, caret: number, asked: boolean) => Completion | null} [complete]  what could be written here; `asked`: by Ctrl+Space
 */
/**
 * @typedef {object} Editor
 * @property {() => string} text
 * @property {(text: string) => void} setText  keeps the caret and what can be undone
 * @property {(found: Diagnostic[]) => void} setDiagnostics  those of before go
 * @property {(readOnly: boolean) => void} setReadOnly
 * @property {(line: number) => void} goTo  selects that line, in sight
 * @property {() => void} focus
 * @property {() => void} destroy
 */

const ENDINGS = /** @type {Record<string, Language>} */ ({
  css: "css", htm: "html", html: "html", svg: "html", xml: "html", cjs: "javascript", js: "javascript", mjs: "javascript", json: "json",
  markdown: "markdown", md: "markdown", yaml: "yaml", yml: "yaml",
});

/** By the ending of its name. @param {string} file @returns {Language} */
export function languageOf(file) {
  return ENDINGS[file.split(".").pop()?.toLowerCase() ?? ""] ?? "text";
}

/** @type {Record<Language, () => Promise<any>>} */
const LANGUAGES = {
  css: () => import("../vendor/codemirror/css.js").then(({ css }) => css()),
  html: () => import("../vendor/codemirror/html.js").then(({ html }) => html()),
  javascript: () => import("../vendor/codemirror/javascript.js").then(({ javascript }) => javascript()),
  json: () => import("../vendor/codemirror/json.js").then(({ json }) => json()),
  markdown: () => import("../vendor/codemirror/markdown.js").then(({ markdown }) => markdown()),
  yaml: () => import("../vendor/codemirror/yaml.js").then(({ yaml }) => yaml()),
  text: async () => [],
};

/** @param {HTMLElement} place @param {Options} options @returns {Promise<Editor>} */
export async function mount(place, { text, language, label, id, describedBy, readOnly = false, diagnostics = [], onChange, onSave, complete }) {
  const [code, spoken] = await Promise.all([import("../vendor/codemirror/core.js"), LANGUAGES[language]()]);
  const { EditorState, EditorView, keymap } = code;
  const writing = new code.Compartment();
  const verdict = new code.Compartment();
  /** Set while the page itself changes the text. */
  let quiet = false;
  /** Came while a syllable was put together, which a change of the page would break off. @type {Diagnostic[] | null} */
  let waiting = null;

  const view = new EditorView({
    parent: place,
    doc: text,
    extensions: [
      // A file keeps the ends of lines that it has.
      EditorState.lineSeparator.of(/\r\n/.test(text) && !/(^|[^\r])\n/.test(text) ? "\r\n" : "\n"),
      EditorState.phrases.of(Object.fromEntries(Object.entries(PHRASES).map(([phrase, key]) => [phrase, t(key)]))),
      writing.of(EditorState.readOnly.of(readOnly)),
      verdict.of([]),
      EditorView.contentAttributes.of({ "aria-label": label, ...(id && { id }), ...(describedBy && { "aria-describedby": describedBy }) }),
      EditorView.lineWrapping,
      code.lineNumbers(),
      code.highlightActiveLineGutter(),
      code.history(),
      code.indentOnInput(),
      code.indentUnit.of("  "),
      code.bracketMatching(),
      code.closeBrackets(),
      code.highlightSelectionMatches(),
      code.search({ top: true }),
      code.lintGutter(),
      spoken,
      code.syntaxHighlighting(code.HighlightStyle.define(theme(code.tags))),
      EditorView.theme(LOOK),
      complete ? suggestions(code, complete) : [],
      keymap.of([
        { key: "Mod-s", preventDefault: true, run: () => (onSave?.(), true) },
        ...code.closeBracketsKeymap,
        ...code.defaultKeymap,
        ...code.searchKeymap,
        ...code.historyKeymap,
        ...code.lintKeymap,
      ]),
      EditorView.updateListener.of((update) => {
        if (update.docChanged && !quiet) onChange?.(update.state.sliceDoc());
        const offered = code.currentCompletions(update.state).length;
        if (offered > 0 && code.currentCompletions(update.startState).length === 0) announcement.value = t("suggest.count", { n: offered });
      }),
      EditorView.domEventHandlers({ beforeinput: (event, view) => overwrite(code, event, view) }),
      EditorView.domEventObservers({ compositionend: () => void setTimeout(() => waiting && mark(waiting)) }),
    ],
  });

  /** @param {Diagnostic[]} found */
  function mark(found) {
    waiting = view.compositionStarted ? found : null;
    if (waiting) return;
    const marks = found.map((one) => ({ ...range(view, one), severity: one.kind ?? "error", message: one.message }));
    const attributes = found.some((one) => (one.kind ?? "error") === "error") ? { "aria-invalid": "true" } : {};
    view.dispatch(code.setDiagnostics(view.state, marks), { effects: verdict.reconfigure(EditorView.contentAttributes.of(attributes)) });
  }
  if (diagnostics.length > 0) mark(diagnostics);

  return {
    text: () => view.state.sliceDoc(),
    setText(wanted) {
      const before = view.state.sliceDoc();
      if (wanted === before) return;
      quiet = true;
      view.dispatch({ changes: change(view.state.doc.toString(), wanted.replaceAll(view.state.lineBreak, "\n")) });
      quiet = false;
    },
    setDiagnostics: mark,
    setReadOnly: (wanted) => view.dispatch({ effects: writing.reconfigure(EditorState.readOnly.of(wanted)) }),
    goTo(line) {
      const { from, to } = view.state.doc.line(Math.min(Math.max(line, 1), view.state.doc.lines));
      view.dispatch({ selection: { anchor: from, head: to }, effects: EditorView.scrollIntoView(from, { y: "center" }) });
      view.focus();
    },
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}

/** What differs, without what both begin and end with: the caret stays where it is. @param {string} before @param {string} after */
function change(before, after) {
  let from = 0;
  while (from < before.length && before[from] === after[from]) from++;
  let end = 0;
  while (end < Math.min(before.length, after.length) - from && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  return { from, to: before.length - end, insert: after.slice(from, after.length - end) };
}

/**
 * Letters in place of what is selected. Chromium would give them the old ones' look by an inline style, which the page's policy
 * refuses with a noise in the console.
 * @param {typeof import("../vendor/codemirror/core.js")} code @param {InputEvent} event @param {View} view
 */
function overwrite(code, event, view) {
  const { from, to, empty } = view.state.selection.main;
  const typed = event.data;
  if (event.inputType !== "insertText" || !typed || empty || !event.cancelable || view.composing || view.state.readOnly) return false;
  const replace = () => view.state.update(view.state.replaceSelection(typed), { userEvent: "input.type", scrollIntoView: true });
  const isTaken = view.state.facet(code.EditorView.inputHandler).some((handle) => handle(view, from, to, typed, replace));
  if (!isTaken) view.dispatch(replace());
  return true;
}

/** From there to the end of the line, or all that is written in it. @param {View} view @param {Diagnostic} one */
function range(view, { line, column }) {
  const whole = view.state.doc.line(Math.min(Math.max(line, 1), view.state.doc.lines));
  const begin = whole.text.length - whole.text.trimStart().length;
  const from = whole.from + Math.min(column ? column - 1 : begin, whole.text.trimEnd().length);
  return { from, to: whole.from + whole.text.trimEnd().length };
}

/**
 * They come while one types, the arrow keys choose, Enter takes what was chosen, Tab the chosen or the first, Esc sends them away.
 * @param {typeof import("../vendor/codemirror/core.js")} code @param {NonNullable<Options["complete"]>} complete
 */
function suggestions(code, complete) {
  /** @param {View} view */
  function take(view) {
    if (code.completionStatus(view.state) !== "active") return false;
    return code.acceptCompletion(view) || (code.moveCompletionSelection(true)(view) && code.acceptCompletion(view));
  }
  return [
    code.autocompletion({
      activateOnTypingDelay: 0,
      interactionDelay: 0,
      // Enter stays a new line until an arrow was pressed.
      selectOnOpen: false,
      icons: false,
      // After a key its values.
      activateOnCompletion: (option) => /\s$/.test(String(option.apply)),
      override: [
        ({ state, pos, explicit }) => {
          const found = complete(state.doc.toString(), pos, explicit);
          return found && { from: found.from, to: found.to, filter: false, options: found.options.map(({ text, detail }) => ({ label: text.trim(), apply: text, detail })) };
        },
      ],
    }),
    code.Prec.highest(code.keymap.of([{ key: "Tab", run: take }])),
  ];
}
