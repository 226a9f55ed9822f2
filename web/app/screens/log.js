// What a site writes, as it writes it: followed, paused, searched, kept as a file. Lines come by the thousand, so they are put
// on the page as they are, some times a second, and not by way of Preact.

import { call, pathOf } from "../lib/api.js";
import { html, useEffect, useRef, useSignal } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { Link } from "../lib/router.js";
import { Act, Heading, Icon, say, told } from "../lib/ui.js";
import { nameOf } from "../lib/words.js";

/** @typedef {{ source: string, at?: string, text: string }} Line */

const FIRST = 500;
/** Older ones give way, on the page and in memory. */
const MOST = 1_000;
/** Between two drawings: nobody reads faster, and the page has to answer meanwhile. */
const DRAW_MS = 200;
/** What one answer holds at most. */
const WHOLE = 10_000;

/** @param {{ app: string }} props */
export function Log({ app }) {
  const frame = useRef(/** @type {HTMLElement | null} */ (null));
  const lines = useRef(/** @type {Line[]} */ ([]));
  const fresh = useRef(/** @type {Line[]} */ ([]));
  const words = useSignal("");
  const follows = useSignal(true);
  const state = useSignal(/** @type {"open" | "ended" | "none"} */ ("open"));
  const held = useSignal(0);
  /** Paused with the button: only that goes on again. */
  const byHand = useRef(false);

  /** @param {Line} line */
  function row(line) {
    const made = document.createElement("div");
    made.className = line.source === "stderr" ? "line err" : "line";
    if (line.at) made.title = line.at;
    made.textContent = line.text;
    made.hidden = !fits(line);
    return made;
  }
  /** @param {Line} line */
  const fits = (line) => line.text.toLowerCase().includes(words.peek().toLowerCase());

  function draw() {
    const place = frame.current;
    if (!place || !follows.peek()) {
      held.value = fresh.current.length;
      return;
    }
    const come = fresh.current.splice(0).slice(-MOST);
    if (come.length === 0) return;
    lines.current = [...lines.current, ...come].slice(-MOST);
    if (come.length >= MOST) place.replaceChildren(...come.map(row));
    else {
      place.append(...come.map(row));
      while (place.childElementCount > lines.current.length) place.firstElementChild?.remove();
    }
    place.scrollTop = place.scrollHeight;
    held.value = 0;
  }

  useEffect(() => {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let wanted;
    const stream = new EventSource(`/apps/${pathOf(app)}/logs?lines=${FIRST}&follow=1`);
    /** @param {Line} line */
    function take(line) {
      fresh.current.push(line);
      // While it is paused only what would be shown is kept.
      if (fresh.current.length > MOST * 2) fresh.current = fresh.current.slice(-MOST);
      wanted ??= setTimeout(() => {
        wanted = undefined;
        draw();
      }, DRAW_MS);
    }
    stream.addEventListener("log", (event) => {
      state.value = "open";
      take(JSON.parse(event.data));
    });
    stream.addEventListener("container", () => take({ source: "stderr", text: `── ${t("log.next")} ──` }));
    stream.addEventListener("end", () => {
      state.value = "ended";
      stream.close();
    });
    stream.addEventListener("error", () => {
      // Refused: there is no log yet. Anything else is taken up again by the browser itself.
      if (stream.readyState === EventSource.CLOSED) state.value = "none";
    });
    const leave = () => stream.close();
    window.addEventListener("pagehide", leave);
    return () => {
      window.removeEventListener("pagehide", leave);
      clearTimeout(wanted);
      stream.close();
    };
  }, [app]);

  useEffect(() => {
    for (const [index, made] of [...(frame.current?.children ?? [])].entries()) {
      const line = lines.current[index];
      if (made instanceof HTMLElement && line) made.hidden = !fits(line);
    }
  }, [words.value]);

  function turn() {
    follows.value = !follows.value;
    draw();
  }
  function press() {
    byHand.current = follows.value;
    turn();
  }

  /** Scrolled away from the end, it waits; back at the end, it goes on. */
  function scrolled() {
    const place = frame.current;
    if (!place || byHand.current) return;
    const atEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
    if (follows.value !== atEnd) turn();
  }

  async function keep() {
    try {
      const data = await call("GET", `/apps/${pathOf(app)}/logs?lines=${WHOLE}`);
      const text = data.lines.map((/** @type {Line} */ line) => `${line.at ?? ""} ${line.text}\n`).join("");
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
      link.download = `${app}.log`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    } catch (error) {
      say(told(error), { tone: "bad" });
    }
  }

  return html`
    <p class="back"><${Link} href=${`/sites/${pathOf(app)}`}><${Icon} name="arrow-left" />${nameOf(app)}<//></p>
    <header class="screen-head"><${Heading} title=${t("log.title", { name: nameOf(app) })}>${t("log.title", { name: nameOf(app) })}<//></header>
    <div class="tools">
      <input type="search" aria-label=${t("log.search")} placeholder=${t("log.search")} value=${words.value} autocomplete="off"
        onInput=${(/** @type {any} */ event) => (words.value = event.currentTarget.value)} />
      <button type="button" class="button" aria-pressed=${follows.value ? "false" : "true"} onClick=${press}>
        <${Icon} name=${follows.value ? "pause" : "play"} /><span>${follows.value ? t("log.pause") : t("log.on", { n: held.value })}</span>
      </button>
      <${Act} icon="download" onClick=${keep}>${t("log.keep")}<//>
    </div>
    <div class="log" ref=${frame} role="log" aria-live="off" aria-label=${t("log.title", { name: nameOf(app) })} tabindex="0" onScroll=${scrolled}></div>
    ${state.value !== "open" && html`<p class="soft">${t(state.value === "ended" ? "log.ended" : "log.none")}</p>`}
  `;
}
