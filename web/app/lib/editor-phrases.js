// What CodeMirror says, by its own words.

/** @type {Record<string, keyof typeof import("./texts.js").texts>} */
export const PHRASES = {
  Completions: "suggest.title",
  Diagnostics: "editor.problems",
  "No diagnostics": "editor.no-problem",
  Find: "editor.find",
  Replace: "editor.replace-with",
  next: "editor.next",
  previous: "editor.previous",
  all: "editor.all",
  "match case": "editor.case",
  "by word": "editor.word",
  regexp: "editor.pattern",
  replace: "editor.replace",
  "replace all": "editor.replace-all",
  "replaced match on line $": "editor.replaced",
  "replaced $ matches": "editor.replaced-all",
  "current match": "editor.match",
  "on line": "editor.on-line",
  close: "close",
  "Go to line": "editor.line",
  go: "editor.go",
  "Selection deleted": "editor.deleted",
  "Control character": "editor.control",
};
