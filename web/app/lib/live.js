// Everything the daemon knows, kept current by one stream. Screens read signals and never ask again by themselves.
//
// While the tab is in the background for a while the stream is closed: a browser allows six connections to a server, and
// forgotten tabs would use them up. It goes on where it was.

import { call, expired, Refusal } from "./api.js";
import { signal } from "./html.js";
import { me } from "./session.js";

/** @typedef {import("../types.js").AppView} AppView */
/** @typedef {import("../types.js").Daemon} Daemon */

/** By name, in order. `null`: not told yet. @type {import("../vendor/signals.js").Signal<Map<string, AppView> | null>} */
export const apps = signal(/** @type {Map<string, AppView> | null} */ (null));

/** @type {import("../vendor/signals.js").Signal<Daemon | null>} */
export const daemon = signal(/** @type {Daemon | null} */ (null));

/** Whether what is shown is current. @type {import("../vendor/signals.js").Signal<"connecting" | "live" | "away">} */
export const link = signal(/** @type {"connecting" | "live" | "away"} */ ("connecting"));

/** When it last was. */
export const lastSeen = signal(Date.now());

/** A page in the background gives up its stream after this. */
const HIDDEN_MS = 30_000;
/** The daemon sends something at least every 15 s. */
const SILENT_MS = 40_000;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

/** @type {EventSource | null} */
let stream = null;
let wait = FIRST_WAIT_MS;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** Changes wait for the next frame, or a moment longer while there are many: at once they are one rendering. @type {Map<string, AppView | null>} */
const pending = new Map();
let scheduled = false;
/** Nobody reads faster, and a long list has frames left to scroll in. */
const RENDER_MS = 100;
let flushed = 0;

function flush() {
  scheduled = false;
  flushed = Date.now();
  const known = new Map(apps.value ?? []);
  const before = known.size;
  for (const [key, app] of pending) {
    if (app) known.set(key, app);
    else known.delete(key);
  }
  const isNew = known.size > before || [...pending].some(([key, app]) => app && !apps.value?.has(key));
  pending.clear();
  apps.value = isNew ? new Map([...known].sort(([a], [b]) => (a < b ? -1 : 1))) : known;
}

/** @param {string} key @param {AppView | null} app */
function put(key, app) {
  pending.set(key, app);
  if (scheduled) return;
  scheduled = true;
  const wait = flushed + RENDER_MS - Date.now();
  // A page in the background has no frames.
  if (document.hidden || wait > 0) setTimeout(flush, wait);
  else requestAnimationFrame(flush);
}

/** What a call has answered counts at once; the stream says the same a moment later. @param {AppView} app */
export function seen(app) {
  put(app.app, app);
}

function open() {
  clearTimeout(timer);
  stream?.close();
  const opened = new EventSource("/events");
  stream = opened;
  /** @param {string} name @param {(data: any) => void} take */
  const on = (name, take) => {
    opened.addEventListener(name, (event) => {
      alive();
      take(JSON.parse(event.data));
    });
  };
  opened.addEventListener("open", alive);
  on("daemon", (data) => {
    daemon.value = data;
  });
  on("apps", (/** @type {AppView[]} */ data) => {
    pending.clear();
    apps.value = new Map(data.map((app) => [app.app, app]));
  });
  on("app", (/** @type {AppView} */ data) => put(data.app, data));
  on("gone", (data) => put(data.app, null));
  opened.addEventListener("error", () => {
    if (opened === stream) lost();
  });
}

function alive() {
  wait = FIRST_WAIT_MS;
  link.value = "live";
  lastSeen.value = Date.now();
  clearTimeout(timer);
  timer = setTimeout(lost, SILENT_MS);
}

/** The stream broke or is silent: the session may have ended, or the daemon is away. */
async function lost() {
  clearTimeout(timer);
  stream?.close();
  stream = null;
  try {
    await call("GET", "/auth/me");
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) {
      expired.value = true;
      return;
    }
    if (!(error instanceof Refusal)) link.value = "away";
  }
  // Not all browsers at the same moment.
  timer = setTimeout(open, wait * (0.75 + Math.random() / 2));
  wait = Math.min(wait * 2, LONGEST_WAIT_MS);
}

/** @type {ReturnType<typeof setTimeout> | undefined} */
let hiding;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) {
    hiding = setTimeout(() => {
      clearTimeout(timer);
      stream?.close();
      stream = null;
    }, HIDDEN_MS);
  } else if (!stream && started) {
    open();
  }
});

// A page that is left may be kept as it is, for the way back, and would keep its connection as well: after six of them the
// browser opens no more.
window.addEventListener("pagehide", () => {
  clearTimeout(timer);
  stream?.close();
  stream = null;
});
window.addEventListener("pageshow", (event) => {
  if (event.persisted && started) open();
});

let started = false;

/** Called whenever who is signed in changes. */
export function follow() {
  const wanted = !!me.value && !me.value.mustChangePassword && !expired.value;
  if (wanted && !stream) open();
  started = wanted;
}

/** Tries at once instead of after the wait. */
export function retry() {
  wait = FIRST_WAIT_MS;
  open();
}
