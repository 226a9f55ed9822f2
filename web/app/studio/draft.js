// What somebody is changing of a site: kept on the server within a second of typing, in this browser at once, and published as a whole.

import { Away, Refusal, call, pathOf } from "../lib/api.js";
import { signal } from "../lib/html.js";
import { local } from "../lib/kept.js";

/** @typedef {import("../types.js").Studio} Told */
/** @typedef {import("../types.js").Problem} Problem */
/** @typedef {Record<string, any>} Content */
/** @typedef {{ path: string, content: string | null }} FileEdit `null` removes it */
/** @typedef {"kept" | "typing" | "saving" | "unsaved" | "elsewhere"} Keeping */

/** After the last key. */
const PAUSE_MS = 700;
/** While somebody goes on typing. */
const LATEST_MS = 1500;
/** After a failure. */
const AGAIN_MS = 3000;

/** As JSON, whatever the order of its fields. @param {unknown} value @returns {string} */
function written(value) {
  return JSON.stringify(value, (_, one) => (one && typeof one === "object" && !Array.isArray(one) ? Object.fromEntries(Object.entries(one).sort()) : one));
}

/** Everything about one site that is being changed. */
export class Draft {
  /** @param {string} app */
  constructor(app) {
    this.app = app;
    this.path = `/apps/${pathOf(app)}/draft`;
    this.place = `draft ${app}`;
    this.told = signal(/** @type {Told | null} */ (null));
    this.content = signal(/** @type {Content} */ ({}));
    /** Files that are changed by hand. */
    this.files = signal(/** @type {FileEdit[]} */ ([]));
    this.problems = signal(/** @type {Problem[]} */ ([]));
    this.keeping = signal(/** @type {Keeping} */ ("kept"));
    this.failure = signal(/** @type {unknown} */ (null));
    /** Whether there is something that is not published. */
    this.changed = signal(false);
    this.revision = 0;
    this.base = "";
    this.dirty = false;
    this.since = 0;
    this.timer = 0;
    /** One call after the other: each has to know the revision of the one before. @type {Promise<unknown>} */
    this.turn = Promise.resolve();
  }

  /** Reads it anew from the server. What this browser has kept and the server has not is put on top. */
  async open() {
    const told = /** @type {Told} */ (await call("GET", this.path));
    this.revision = told.draft?.revision ?? 0;
    this.base = told.draft ? told.base : told.running;
    this.problems.value = told.problems;
    this.content.value = told.draft?.content ?? told.content;
    this.files.value = told.draft?.files ?? [];
    this.changed.value = told.draft !== null;
    this.keeping.value = "kept";
    this.dirty = false;
    this.told.value = told;
    const kept = this.#kept();
    if (kept && kept.base === this.base && kept.revision === this.revision) {
      this.content.value = kept.content;
      this.files.value = kept.files ?? [];
      this.#touch();
    } else {
      local.write(this.place, null);
    }
  }

  /** @returns {{ base: string, revision: number, content: Content, files?: FileEdit[] } | null} */
  #kept() {
    try {
      return JSON.parse(local.read(this.place) ?? "null");
    } catch {
      return null;
    }
  }

  /** @param {string} name @param {unknown} value */
  set(name, value) {
    this.content.value = { ...this.content.value, [name]: value };
    this.#touch();
  }

  /** What a file holds from now on; `null`: it goes; `undefined`: as it was. @param {string} path @param {string | null | undefined} content */
  setFile(path, content) {
    const others = this.files.value.filter((one) => one.path !== path);
    this.files.value = content === undefined ? others : [...others, { path, content }];
    this.#touch();
  }

  /** As the server takes it. */
  #all() {
    // Without a form there is nothing that is filled in.
    return { ...(this.told.value?.schema && { content: this.content.value }), files: this.files.value };
  }

  #touch() {
    const now = Date.now();
    if (!this.dirty) this.since = now;
    this.dirty = true;
    this.changed.value = true;
    this.keeping.value = "typing";
    local.write(this.place, JSON.stringify({ base: this.base, revision: this.revision, content: this.content.value, files: this.files.value }));
    clearTimeout(this.timer);
    this.timer = setTimeout(() => void this.save(), Math.max(0, Math.min(PAUSE_MS, this.since + LATEST_MS - now)));
  }

  /** Keeps what was typed. Afterwards `keeping` tells how that went. @param {{ keepalive?: boolean }} [how] */
  save(how = {}) {
    clearTimeout(this.timer);
    return this.#inTurn(async () => {
      if (!this.dirty) return;
      this.dirty = false;
      this.keeping.value = "saving";
      const { base, revision } = this;
      const all = this.#all();
      try {
        const kept = await call("PUT", this.path, { body: { base, revision, ...all }, keepalive: how.keepalive ?? false });
        this.revision = kept.revision;
        this.problems.value = kept.problems;
        this.failure.value = null;
        if (!this.dirty) {
          local.write(this.place, null);
          this.keeping.value = "kept";
        }
      } catch (error) {
        if (error instanceof Refusal && error.code === "draft-changed" && (await this.#isThere(all))) return;
        this.#failed(error);
      }
    });
  }

  /** A page that went away sent this very text as its last word. @param {{ content?: Content, files: FileEdit[] }} all */
  async #isThere(all) {
    try {
      const told = /** @type {Told} */ (await call("GET", this.path));
      if (!told.draft || written([told.draft.content, told.draft.files ?? []]) !== written([all.content, all.files])) return false;
      this.revision = told.draft.revision;
      this.problems.value = told.problems;
      if (!this.dirty) this.keeping.value = "kept";
      return true;
    } catch {
      return false;
    }
  }

  /** @param {unknown} error */
  #failed(error) {
    this.dirty = true;
    this.failure.value = error;
    if (error instanceof Refusal && error.code === "draft-changed") {
      this.keeping.value = "elsewhere";
      return;
    }
    this.keeping.value = "unsaved";
    const passes = error instanceof Away || (error instanceof Refusal && (error.status >= 500 || error.code === "sign-in"));
    if (passes) this.timer = setTimeout(() => void this.save(), AGAIN_MS);
  }

  /** Another window was faster, and this one counts. */
  async insist() {
    const told = /** @type {Told} */ (await call("GET", this.path));
    this.revision = told.draft?.revision ?? 0;
    this.base = told.draft ? told.base : told.running;
    this.dirty = true;
    await this.save();
  }

  /** Sends a picture along. @param {string} name below `public/` @param {Blob} picture */
  upload(name, picture) {
    return this.#inTurn(async () => {
      const address = `${this.path}/files/public/${name.split("/").map(encodeURIComponent).join("/")}`;
      const kept = await call("PUT", address, { bytes: picture });
      this.revision = kept.revision;
      this.changed.value = true;
    });
  }

  /** Where a picture of the content is for this page. @param {string} src */
  address(src) {
    return `${this.path}/files/public/${src.split("/").map(encodeURIComponent).join("/")}`;
  }

  /** What was typed is kept first. @param {boolean} over @returns {Promise<any>} the site */
  async publish(over = false) {
    await this.save();
    if (this.dirty) throw this.failure.value;
    return this.#inTurn(() => call("POST", `${this.path}/publish`, { body: { over } }));
  }

  async discard() {
    clearTimeout(this.timer);
    this.dirty = false;
    local.write(this.place, null);
    await this.#inTurn(() => call("DELETE", this.path, { body: {} }));
    await this.open();
  }

  /** @template T @param {() => Promise<T>} work @returns {Promise<T>} */
  #inTurn(work) {
    const done = this.turn.then(work, work);
    this.turn = done.catch(() => {});
    return done;
  }
}
