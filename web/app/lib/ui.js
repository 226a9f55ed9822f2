// The parts that screens are put together from.

import { call, Away, Refusal } from "./api.js";
import { html, signal, useEffect, useLayoutEffect, useRef, useSignal } from "./html.js";
import { isText, t } from "./i18n.js";
import { icons } from "../vendor/icons.js";

/** @typedef {keyof typeof import("./texts.js").texts} TextKey */

/** Decoration: what it means is said beside it. @param {{ name: string, class?: string }} props */
export function Icon({ name, class: more = "" }) {
  const shapes = icons[name] ?? [];
  return html`<svg class=${`icon ${more}`} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
    ${shapes.map(([Shape, attributes]) => html`<${Shape} ...${attributes} />`)}
  </svg>`;
}

/** What is said to screen readers, politely. */
export const announcement = signal("");

/** @typedef {{ id: number, text: string, tone?: "bad", action?: { text: string, run: () => void } }} Toast */

/** @type {import("../vendor/signals.js").Signal<Toast[]>} */
export const toasts = signal(/** @type {Toast[]} */ ([]));
let nextToast = 1;

/**
 * A word at the bottom of the screen.
 * @param {string} text
 * @param {{ tone?: "bad", action?: Toast["action"], stays?: number }} [how] `stays`: milliseconds
 * @returns takes it away
 */
export function say(text, how = {}) {
  const id = nextToast++;
  const away = () => {
    toasts.value = toasts.value.filter((toast) => toast.id !== id);
  };
  /** @type {Toast} */
  const toast = { id, text };
  if (how.tone) toast.tone = how.tone;
  if (how.action) {
    const { run, text: label } = how.action;
    toast.action = {
      text: label,
      run: () => {
        away();
        run();
      },
    };
  }
  toasts.value = [...toasts.value.slice(-2), toast];
  setTimeout(away, how.stays ?? 5000);
  return away;
}

export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">
    ${toasts.value.map(
      (toast) => html`<div class="toast" data-tone=${toast.tone} key=${toast.id}>
        <span>${toast.text}</span>
        ${toast.action && html`<button type="button" class="plain" onClick=${toast.action.run}>${toast.action.text}</button>`}
      </div>`,
    )}
    <span class="unseen">${announcement.value}</span>
  </div>`;
}

/** A failure in the reader's words; what the server said is for whoever wants to know. @param {unknown} error */
export function told(error) {
  if (error instanceof Away) return t("error.away");
  if (error instanceof Refusal) {
    const key = `code.${error.code}`;
    if (isText(key)) return t(key, { n: error.after });
  }
  return t("error.unknown");
}

/** @param {{ error: unknown, id?: string }} props */
export function Failure({ error, id }) {
  if (!error) return null;
  const detail = error instanceof Refusal ? error.message : error instanceof Error ? error.message : "";
  return html`<div class="failure" id=${id} role="alert">
    <${Icon} name="circle-alert" />
    <div>
      <p>${told(error)}</p>
      ${detail && html`<${Details}>${detail}<//>`}
    </div>
  </div>`;
}

/** @param {{ children?: any, label?: string, open?: boolean }} props */
export function Details({ children, label, open = false }) {
  return html`<details class="details" open=${open}><summary>${label ?? t("details")}</summary><div>${children}</div></details>`;
}

/**
 * Shows that it works, and how that ends. A failure is the caller's to show.
 * @param {{ onClick: () => unknown, busy?: string, class?: string, icon?: string, disabled?: boolean, children?: any,
 *   [more: string]: any }} props
 */
export function Act({ onClick, busy, class: kind = "", icon, disabled, children, ...rest }) {
  const working = useSignal(false);
  async function run() {
    if (working.value) return;
    working.value = true;
    try {
      await onClick();
    } finally {
      working.value = false;
    }
  }
  return html`<button type="button" class=${`button ${kind}`} onClick=${run} disabled=${disabled}
    aria-busy=${working.value ? "true" : undefined} ...${rest}>
    ${working.value ? html`<${Icon} name="loader-circle" class="turns" />` : icon && html`<${Icon} name=${icon} />`}
    <span>${working.value && busy ? busy : children}</span>
  </button>`;
}

/**
 * @param {{ label: string, id: string, hint?: any, error?: any, children: any }} props
 */
export function Field({ label, id, hint, error, children }) {
  return html`<div class="field">
    <label for=${id}>${label}</label>
    ${children}
    ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
    ${error && html`<p class="wrong" id=${`${id}-error`}><${Icon} name="circle-alert" />${error}</p>`}
  </div>`;
}

/**
 * The focus goes to what gets this as its `ref`, once, when it appears: `autofocus` only works for what the page began with.
 * @param {boolean} wanted
 */
export function useFirstFocus(wanted) {
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    if (wanted) place.current?.focus();
  }, []);
  return place;
}

/** What is typed into a form, and what came of it. */
export function useForm() {
  const error = useSignal(/** @type {unknown} */ (null));
  const busy = useSignal(false);
  /** @param {Event} event @param {() => Promise<void>} work */
  async function submit(event, work) {
    event.preventDefault();
    if (busy.value) return;
    busy.value = true;
    error.value = null;
    try {
      await work();
    } catch (why) {
      error.value = why;
    } finally {
      busy.value = false;
    }
  }
  return { error, busy, submit };
}

/**
 * A password, shown or hidden.
 * @param {{ id: string, label: string, value: string, onInput: (text: string) => void, autocomplete: string, hint?: any,
 *   error?: any, focus?: boolean }} props
 */
export function Password({ id, label, value, onInput, autocomplete, hint, error, focus }) {
  const shown = useSignal(false);
  const place = useFirstFocus(!!focus);
  return html`<${Field} label=${label} id=${id} hint=${hint} error=${error}>
    <div class="with-button">
      <input id=${id} name=${id} type=${shown.value ? "text" : "password"} value=${value} required autocomplete=${autocomplete}
        autocapitalize="off" autocorrect="off" spellcheck=${false} ref=${place}
        aria-describedby=${[hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || undefined}
        aria-invalid=${error ? "true" : undefined}
        onInput=${(/** @type {any} */ event) => onInput(event.currentTarget.value)} />
      <button type="button" class="button icon-only" aria-pressed=${shown.value ? "true" : "false"}
        aria-label=${t("password.show")} onClick=${() => (shown.value = !shown.value)}>
        <${Icon} name=${shown.value ? "eye-off" : "eye"} />
      </button>
    </div>
  <//>`;
}

/**
 * One of a few. `column`: each on a line of its own.
 * @param {{ name: string, label: string, value: string, options: [string, string][], onChange: (value: any) => void, column?: boolean }} props
 */
export function Choice({ name, label, value, options, onChange, column }) {
  return html`<div class=${`choice ${column ? "column" : ""}`} role="radiogroup" aria-label=${label}>
    ${options.map(
      ([key, text]) => html`<label key=${key}><input type="radio" name=${name} value=${key} checked=${value === key}
        onChange=${() => onChange(key)} /><span>${text}</span></label>`,
    )}
  </div>`;
}

/** The heading of a screen: the focus goes there when it opens. @param {{ children?: any, title?: string, quiet?: boolean }} props */
export function Heading({ children, title, quiet }) {
  const place = useRef(/** @type {HTMLElement | null} */ (null));
  useLayoutEffect(() => {
    document.title = title ? `${title} · minipaas` : "minipaas";
  }, [title]);
  useEffect(() => {
    const taken = document.activeElement && document.activeElement !== document.body && document.contains(document.activeElement);
    if (!quiet && !taken) place.current?.focus({ preventScroll: true });
  }, []);
  return html`<h1 tabindex="-1" ref=${place}>${children}</h1>`;
}

/** @param {string} text */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without TLS a page has no clipboard: the old way still works.
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "unseen";
    (document.querySelector("dialog[open]") ?? document.body).append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  say(t("copied"));
}

/** @param {{ text: string, label?: string }} props */
export function CopyButton({ text, label }) {
  return html`<button type="button" class="button" onClick=${() => copy(text)}><${Icon} name="copy" /><span>${label ?? t("copy")}</span></button>`;
}

/** A QR code, drawn here: nothing is asked of anybody. @param {{ text: string, label: string }} props */
export function Qr({ text, label }) {
  const path = useSignal("");
  const size = useSignal(0);
  useEffect(() => {
    let wanted = true;
    import("../vendor/qrcode.js").then(({ qrcode }) => {
      if (!wanted) return;
      const code = qrcode(0, "M");
      code.addData(text);
      code.make();
      const count = code.getModuleCount();
      let drawn = "";
      for (let row = 0; row < count; row++) {
        for (let column = 0; column < count; column++) {
          if (code.isDark(row, column)) drawn += `M${column + 4} ${row + 4}h1v1h-1z`;
        }
      }
      size.value = count + 8;
      path.value = drawn;
    });
    return () => {
      wanted = false;
    };
  }, [text]);
  const edge = size.value || 41;
  return html`<svg class="qr" viewBox=${`0 0 ${edge} ${edge}`} role="img" aria-label=${label} shape-rendering="crispEdges">
    <rect width=${edge} height=${edge} fill="#fff" /><path d=${path.value} fill="#000" />
  </svg>`;
}

/**
 * A window over the screen. Esc closes it, and so does a click beside it.
 * @param {{ title: string, onClose: () => void, children?: any, class?: string }} props
 */
export function Dialog({ title, onClose, children, class: kind = "" }) {
  const place = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => {
    const dialog = place.current;
    const before = document.activeElement;
    dialog?.showModal();
    return () => {
      dialog?.close();
      if (before instanceof HTMLElement && document.contains(before)) before.focus();
    };
  }, []);
  return html`<dialog class=${`dialog ${kind}`} ref=${place} aria-label=${title} onCancel=${(/** @type {Event} */ event) => {
    event.preventDefault();
    onClose();
  }} onClick=${(/** @type {MouseEvent} */ event) => event.target === place.current && onClose()}>
    <div class="dialog-body">
      <div class="dialog-head"><h2>${title}</h2>
        <button type="button" class="button icon-only" aria-label=${t("close")} onClick=${onClose}><${Icon} name="x" /></button>
      </div>
      ${children}
    </div>
  </dialog>`;
}

/**
 * Reads something once, and again when `key` changes; what is there stays until the new one has come.
 * @param {string} path @param {unknown} [key]
 */
export function useRead(path, key) {
  const data = useSignal(/** @type {any} */ (null));
  const error = useSignal(/** @type {unknown} */ (null));
  useEffect(() => {
    const stop = new AbortController();
    call("GET", path, { signal: stop.signal }).then(
      (value) => {
        data.value = value;
        error.value = null;
      },
      (why) => {
        if (!stop.signal.aborted) error.value = why;
      },
    );
    return () => stop.abort();
  }, [path, key]);
  return { data: data.value, error: error.value };
}
