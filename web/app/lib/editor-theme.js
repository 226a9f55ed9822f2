// How the editor looks: the tokens of the page, so both themes at once.

/** @param {typeof import("../vendor/codemirror/core.js").tags} tags @returns {Parameters<typeof import("../vendor/codemirror/core.js").HighlightStyle.define>[0]} */
export function theme(tags) {
  return [
    { tag: [tags.propertyName, tags.definition(tags.propertyName), tags.attributeName], color: "var(--accent-strong)" },
    { tag: [tags.keyword, tags.tagName, tags.heading, tags.atom, tags.bool], color: "var(--accent)", fontWeight: "600" },
    { tag: [tags.string, tags.attributeValue, tags.url, tags.link], color: "var(--good)" },
    { tag: [tags.number, tags.color, tags.unit, tags.escape, tags.regexp], color: "var(--warn)" },
    { tag: [tags.comment, tags.meta, tags.processingInstruction], color: "var(--ink-soft)" },
    { tag: tags.strong, fontWeight: "700" },
    { tag: tags.emphasis, fontStyle: "italic" },
    { tag: tags.invalid, color: "var(--bad)" },
  ];
}

/** Never over the page's other windows, and never narrower letters than a phone leaves alone when one types. */
export const LOOK = {
  "&": { color: "var(--ink)", background: "var(--surface)", border: "1px solid var(--edge)", borderRadius: "var(--radius)", maxBlockSize: "var(--editor-most, none)" },
  "&.cm-focused": { outline: "3px solid var(--focus)", outlineOffset: "1px" },
  ".cm-scroller": { font: "max(0.875rem, var(--editor-letters, 0px))/1.6 var(--mono)", overflow: "auto" },
  ".cm-content, .cm-gutter": { minBlockSize: "var(--editor-least, 18rem)" },
  ".cm-content": { paddingBlock: "var(--s-3)", caretColor: "var(--ink)" },
  ".cm-line": { paddingInline: "var(--s-2) var(--s-3)" },
  ".cm-gutters": { background: "var(--sunken)", color: "var(--ink-soft)", border: "none", borderStartStartRadius: "var(--radius)", borderEndStartRadius: "var(--radius)" },
  ".cm-activeLineGutter": { background: "var(--accent-soft)", color: "var(--accent-strong)" },
  "&.cm-focused .cm-matchingBracket": { background: "var(--accent-soft)", outline: "1px solid var(--accent)" },
  ".cm-selectionMatch": { background: "var(--accent-soft)" },
  ".cm-searchMatch": { background: "var(--warn-soft)", outline: "1px solid var(--warn)" },
  ".cm-searchMatch-selected": { background: "var(--accent-soft)", outline: "2px solid var(--accent)" },
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--bad) 1.5px", textUnderlineOffset: "3px" },
  ".cm-lintRange-warning": { backgroundImage: "none", textDecoration: "underline wavy var(--warn) 1.5px", textUnderlineOffset: "3px" },
  ".cm-lint-marker": { inlineSize: "0.8rem", blockSize: "0.8rem", marginBlockStart: "0.3rem", borderRadius: "50%" },
  ".cm-lint-marker-error": { content: "''", background: "var(--bad)" },
  ".cm-lint-marker-warning": { content: "''", background: "var(--warn)", borderRadius: "2px" },
  ".cm-tooltip": { background: "var(--surface)", color: "var(--ink)", border: "1px solid var(--edge)", borderRadius: "var(--radius)", boxShadow: "var(--shadow-2)", maxInlineSize: "min(30rem, 92vw)" },
  ".cm-diagnostic": { padding: "var(--s-2) var(--s-3)", fontFamily: "inherit", borderInlineStart: "4px solid transparent" },
  ".cm-diagnostic-error": { borderInlineStartColor: "var(--bad)" },
  ".cm-diagnostic-warning": { borderInlineStartColor: "var(--warn)" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": { fontFamily: "inherit", maxBlockSize: "16rem", maxInlineSize: "min(30rem, 92vw)", padding: "var(--s-1)" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { display: "grid", alignContent: "center", minBlockSize: "32px", padding: "var(--s-1) var(--s-2)", borderRadius: "4px", fontSize: "var(--small)", lineHeight: "1.4", cursor: "pointer" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li:hover": { background: "var(--sunken)" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": { background: "var(--accent-soft)", color: "var(--accent-strong)" },
  ".cm-completionLabel": { fontFamily: "var(--mono)", fontWeight: "700" },
  ".cm-completionDetail": { marginInlineStart: "0", fontStyle: "normal", color: "var(--ink-soft)", whiteSpace: "normal" },
  ".cm-panels": { background: "var(--sunken)", color: "var(--ink)", zIndex: "3" },
  ".cm-panels.cm-panels-top": { borderBlockEnd: "1px solid var(--line)", borderStartStartRadius: "var(--radius)", borderStartEndRadius: "var(--radius)" },
  ".cm-panel.cm-search": { display: "flex", flexWrap: "wrap", alignItems: "center", gap: "var(--s-2)", padding: "var(--s-2)", paddingInlineEnd: "var(--s-7)" },
  ".cm-panel.cm-search br": { display: "none" },
  ".cm-panel.cm-search label": { display: "inline-flex", alignItems: "center", gap: "var(--s-1)", minBlockSize: "var(--touch)", fontSize: "var(--small)" },
  ".cm-panel.cm-search input, .cm-panel.cm-search button, .cm-panel.cm-search label": { margin: "0" },
  ".cm-textfield": { minBlockSize: "var(--touch)", padding: "0 var(--s-2)", border: "1px solid var(--edge)", borderRadius: "var(--radius)", background: "var(--surface)", color: "var(--ink)", fontSize: "1rem" },
  ".cm-button": { minBlockSize: "var(--touch)", padding: "0 var(--s-3)", border: "1px solid var(--edge)", borderRadius: "var(--radius)", backgroundImage: "none", background: "var(--surface)", color: "var(--ink)", fontSize: "var(--small)", cursor: "pointer" },
  ".cm-panel.cm-search [name=close], .cm-panel.cm-panel-lint [name=close]": { minInlineSize: "var(--touch)", minBlockSize: "var(--touch)", insetBlockStart: "var(--s-2)", insetInlineEnd: "var(--s-2)", fontSize: "1.25rem", color: "var(--ink)", cursor: "pointer" },
};
