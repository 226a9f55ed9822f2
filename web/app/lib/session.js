// Who is signed in.

import { Refusal, call, expired } from "./api.js";
import { computed, signal } from "./html.js";

/** @typedef {{ username: string | null, mustChangePassword: boolean, role?: string }} Me */

/** `undefined`: not known yet; `null`: nobody. @type {import("../vendor/signals.js").Signal<Me | null | undefined>} */
export const me = signal(/** @type {Me | null | undefined} */ (undefined));

/** Nobody answered when it was asked. */
export const unknown = signal(false);

/** Whoever has no role runs the box. */
export const isAdmin = computed(() => !!me.value && (me.value.role ?? "admin") === "admin");

/** Asks until somebody answers. */
export async function look() {
  for (let wait = 500; ; wait = Math.min(wait * 2, 10_000)) {
    try {
      me.value = await call("GET", "/auth/me");
      unknown.value = false;
      return;
    } catch (error) {
      if (error instanceof Refusal && error.status === 401) {
        me.value = null;
        unknown.value = false;
        return;
      }
      unknown.value = true;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}

/**
 * @param {string} username @param {string} password
 * @param {{ firstWord?: string, code?: string }} [besides] what it may take besides; empty: nothing
 */
export async function enter(username, password, { firstWord, code } = {}) {
  const body = { username, password, ...(firstWord && { firstWord }), ...(code && { code }) };
  const who = await call("POST", "/auth/login", { body });
  const other = me.value && me.value.username !== who.username;
  expired.value = false;
  me.value = who;
  // What is on the screen belongs to somebody else.
  if (other) window.location.assign("/");
}

/** @param {string} [to] where the next one goes on */
export async function leave(to = "/") {
  try {
    await call("POST", "/auth/logout");
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
  }
  window.location.assign(to);
}
