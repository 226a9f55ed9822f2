// The editor as a part of a screen: the text is the screen's, and so is what is wrong with it.

import { mount } from "./editor.js";
import { html, useEffect, useRef, useSignal } from "./html.js";
import { t } from "./i18n.js";

/** @typedef {import("./editor.js").Editor} Editor */
/** @typedef {import("./editor.js").Options} Options */

/**
 * @param {Omit<Options, "onChange"> & { onInput: (text: string) => void, editor: { current: Editor | null } }} props
 *   `editor` holds it as soon as it is there
 */
export function CodeField(props) {
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  const there = useSignal(false);
  // What is called is always that of the latest rendering.
  const latest = useRef(props);
  latest.current = props;
  /** Typed here and not yet rendered: the editor may be letters ahead of that. @type {{ current: string[] }} */
  const typed = useRef([]);
  const { text, editor, diagnostics = [], readOnly = false } = props;

  useEffect(() => {
    let wanted = true;
    const { complete } = latest.current;
    mount(/** @type {HTMLElement} */ (place.current), {
      ...latest.current,
      onChange: (now) => {
        typed.current.push(now);
        latest.current.onInput(now);
      },
      onSave: () => latest.current.onSave?.(),
      ...(complete && { complete: (now, caret, asked) => latest.current.complete?.(now, caret, asked) ?? null }),
    }).then(
      (made) => {
        if (!wanted) return made.destroy();
        editor.current = made;
        // Typed meanwhile in another window, perhaps.
        made.setText(latest.current.text);
        there.value = true;
      },
      // The daemon was upgraded: its files have other addresses now.
      () => wanted && window.location.reload(),
    );
    return () => {
      wanted = false;
      editor.current?.destroy();
      editor.current = null;
    };
  }, []);
  useEffect(() => {
    const own = typed.current.lastIndexOf(text);
    typed.current = own < 0 ? [] : typed.current.slice(own + 1);
    if (own < 0) editor.current?.setText(text);
  }, [text]);
  useEffect(() => editor.current?.setDiagnostics(diagnostics), [JSON.stringify(diagnostics), there.value]);
  useEffect(() => editor.current?.setReadOnly(readOnly), [readOnly]);

  return html`<div class="code-field"><div ref=${place}></div>${!there.value && html`<p class="soft" role="status">${t("editor.fetching")}</p>`}</div>`;
}
