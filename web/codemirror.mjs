// The editor's library, bundled once: CodeMirror comes as thirty packages that name each other, which no browser would find.
// Used by vendor.mjs.
//
// What all languages need is one file, and each language one of its own, fetched when a file of it is opened.

import { build } from "esbuild";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Each is a module's source and, word for word, its types. */
const ENTRIES = {
  core: [
    'export { Compartment, EditorState, Prec, Transaction } from "@codemirror/state";',
    'export { EditorView, drawSelection, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers, placeholder } from "@codemirror/view";',
    'export { defaultKeymap, history, historyKeymap } from "@codemirror/commands";',
    'export { bracketMatching, HighlightStyle, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";',
    'export { acceptCompletion, autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, completionStatus, currentCompletions, moveCompletionSelection, startCompletion } from "@codemirror/autocomplete";',
    'export { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";',
    'export { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";',
    'export { tags } from "@lezer/highlight";',
  ],
  css: ['export { css } from "@codemirror/lang-css";'],
  html: ['export { html } from "@codemirror/lang-html";'],
  javascript: ['export { javascript } from "@codemirror/lang-javascript";'],
  json: ['export { json } from "@codemirror/lang-json";'],
  markdown: ['export { markdown } from "@codemirror/lang-markdown";'],
  yaml: ['export { yaml } from "@codemirror/lang-yaml";'],
};

/** Styles of the page itself are allowed by its policy, a `<style>` made by a script is not: the sheet is adopted instead. */
const STYLES = ["!root.head && root.adoptedStyleSheets", "root.adoptedStyleSheets"];

/** @param {string} here the folder that holds node_modules @param {string} target */
export async function bundleEditor(here, target) {
  const entries = {
    name: "entries",
    /** @param {import("esbuild").PluginBuild} build */
    setup(build) {
      build.onResolve({ filter: /^entry:/ }, ({ path }) => ({ path: path.slice("entry:".length), namespace: "entry" }));
      build.onLoad({ filter: /.*/, namespace: "entry" }, ({ path }) => ({ contents: ENTRIES[path].join("\n"), resolveDir: here }));
      build.onLoad({ filter: /\/style-mod\.js$/ }, ({ path }) => {
        const text = readFileSync(path, "utf8");
        if (text.split(STYLES[0]).length !== 2) throw new Error("style-mod makes its sheets in another way: see STYLES");
        return { contents: text.replace(STYLES[0], STYLES[1]) };
      });
    },
  };
  await build({
    absWorkingDir: here,
    entryPoints: Object.keys(ENTRIES).map((name) => ({ in: `entry:${name}`, out: name })),
    outdir: target,
    plugins: [entries],
    bundle: true,
    splitting: true,
    format: "esm",
    target: "es2022",
    minify: true,
    charset: "utf8",
    legalComments: "none",
    chunkNames: "part-[hash]",
    banner: { js: "// CodeMirror, see ../LICENSES. Bundled by scripts/vendor-web." },
    logLevel: "warning",
  });
  return Object.entries(ENTRIES).map(([name, lines]) => /** @type {const} */ ([`${name}.d.ts`, `${lines.join("\n")}\n`]));
}

/** What ended up in it, by the names of the packages. @param {string} here */
export function editorPackages(here) {
  const scoped = ["@codemirror", "@lezer", "@marijn"].flatMap((scope) =>
    readdirSync(join(here, "node_modules", scope)).map((name) => `${scope}/${name}`));
  return [...scoped, "crelt", "style-mod", "w3c-keyname"].sort();
}
