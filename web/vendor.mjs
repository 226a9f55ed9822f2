// Writes the vendored files of the dashboard into a folder: see scripts/vendor-web.
//
// The modules are taken as their authors ship them; only the editor is bundled (codemirror.mjs). Two things are changed: a bare name in an import becomes the path of the
// file beside it, because a browser knows no node_modules, and the pointer to a source map goes.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleEditor, editorPackages } from "./codemirror.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
const target = process.argv[2];
if (!target) throw new Error("usage: node vendor.mjs FOLDER");

/** @type {[name: string, file: string, vendored: string][]} */
const MODULES = [
  ["preact", "dist/preact.mjs", "preact.js"],
  ["preact", "hooks/dist/hooks.mjs", "hooks.js"],
  ["@preact/signals-core", "dist/signals-core.mjs", "signals-core.js"],
  ["@preact/signals", "dist/signals.mjs", "signals.js"],
  ["htm", "dist/htm.mjs", "htm.js"],
  ["qrcode-generator", "dist/qrcode.mjs", "qrcode.js"],
];

const PATHS = {
  preact: "./preact.js",
  "preact/hooks": "./hooks.js",
  "@preact/signals-core": "./signals-core.js",
};

/** What of it the dashboard uses; one line a type, in `types`. */
const TYPES = {
  "preact.d.ts": 'export * from "preact";\n',
  "hooks.d.ts": 'export * from "preact/hooks";\n',
  "signals.d.ts": 'export * from "@preact/signals";\n',
  "htm.d.ts": 'import htm from "htm";\nexport default htm;\n',
  "qrcode.d.ts":
    "interface Code { addData(text: string): void; make(): void; getModuleCount(): number; isDark(row: number, column: number): boolean }\n" +
    'export const qrcode: (type: 0, correction: "L" | "M" | "Q" | "H") => Code;\n',
};

const ICONS = [
  "arrow-down", "arrow-left", "arrow-up", "bell", "check", "chevron-right", "circle-alert", "circle-check", "circle-pause", "clock", "copy", "cpu",
  "download", "ellipsis", "external-link", "eye", "eye-off", "file-text", "globe", "hard-drive", "history", "house",
  "key-round", "languages", "layout-grid", "link", "loader-circle", "lock", "log-out", "moon", "network", "package", "pause",
  "play", "plus", "printer", "qr-code", "refresh-cw", "search", "server", "settings", "share-2", "sun", "trash-2", "triangle-alert",
  "monitor", "smartphone", "undo-2", "user-round", "users-round", "wifi-off", "x",
];

function version(name) {
  return JSON.parse(readFileSync(join(here, "node_modules", name, "package.json"), "utf8")).version;
}

function module(name, file) {
  const text = readFileSync(join(here, "node_modules", name, file), "utf8");
  const local = text
    .replace(/\bfrom\s*(["'])([^"'.][^"']*)\1/g, (_, quote, bare) => {
      if (!PATHS[bare]) throw new Error(`${name}: imports ${bare}, which is not vendored`);
      return `from${quote}${PATHS[bare]}${quote}`;
    })
    .replace(/\n?\/\/# sourceMappingURL=.*\s*$/, "");
  return `// ${name} ${version(name)}, see LICENSES. Written by scripts/vendor-web.\n${local.trimEnd()}\n`;
}

/** The elements inside an icon, without the frame that all of them have in common. */
function icon(name) {
  const text = readFileSync(join(here, "node_modules/lucide-static/icons", `${name}.svg`), "utf8");
  const shapes = [...text.matchAll(/<(path|circle|rect|line|polyline|polygon|ellipse)\s([^>]*?)\/>/g)];
  return shapes.map(([, shape, attributes]) => {
    const pairs = [...attributes.matchAll(/([a-z0-9-]+)="([^"]*)"/g)].map(([, key, value]) => [key, value]);
    return [shape, Object.fromEntries(pairs)];
  });
}

function licence(name, file) {
  const text = readFileSync(join(here, "node_modules", name, file), "utf8");
  return `${name} ${version(name)}\n\n${text.trim()}\n`;
}

/** Packages of one author share one text. */
function editorLicences() {
  /** @type {Map<string, string[]>} */
  const texts = new Map();
  for (const name of editorPackages(here)) {
    const text = readFileSync(join(here, "node_modules", name, "LICENSE"), "utf8").trim();
    texts.set(text, [...(texts.get(text) ?? []), `${name} ${version(name)}`]);
  }
  return [...texts].map(([text, names]) => `${names.join("\n")}\n\n${text}\n`);
}

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
for (const [name, file, vendored] of MODULES) writeFileSync(join(target, vendored), module(name, file));
for (const [file, text] of Object.entries(TYPES)) writeFileSync(join(target, file), text);
const editor = join(target, "codemirror");
for (const [file, text] of await bundleEditor(here, editor)) writeFileSync(join(editor, file), text);
const icons = ICONS.map((name) => `  ${JSON.stringify(name)}: ${JSON.stringify(icon(name))},`).join("\n");
writeFileSync(
  join(target, "icons.js"),
  `// Of lucide ${version("lucide-static")}, see LICENSES. Written by scripts/vendor-web.\n` +
    "/** @type {Record<string, [string, Record<string, string>][]>} */\n" +
    `export const icons = {\n${icons}\n};\n`,
);
const qr =
  "qrcode-generator " + version("qrcode-generator") + "\n\nCopyright (c) 2009 Kazuhiko Arase, http://www.d-project.com/\n" +
  "Licensed under the MIT license: http://www.opensource.org/licenses/mit-license.php\n";
writeFileSync(
  join(target, "LICENSES"),
  [
    licence("preact", "LICENSE"),
    licence("@preact/signals-core", "LICENSE"),
    licence("@preact/signals", "LICENSE"),
    licence("htm", "LICENSE"),
    qr,
    licence("lucide-static", "LICENSE"),
    ...editorLicences(),
  ].join(`\n${"-".repeat(80)}\n\n`),
);
