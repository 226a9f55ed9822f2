// The portal's API. What it refuses is a `Refusal` with its code; when nothing answers at all it is `Away`.

import { signal } from "./html.js";
import { language } from "./i18n.js";

/** The API said no, and why. */
export class Refusal extends Error {
  /** @param {number} status @param {string} code @param {string} message @param {number} after seconds until the next try */
  constructor(status, code, message, after) {
    super(message);
    this.status = status;
    this.code = code;
    this.after = after;
  }
}

/** Nobody answered: the daemon restarts, or there is no network. */
export class Away extends Error {}

/** The session ended while somebody worked: they sign in again over what they were doing. */
export const expired = signal(false);

/**
 * @typedef {object} Options
 * @property {unknown} [body] sent as JSON
 * @property {Blob} [bytes] sent as they are
 * @property {string} [ifMatch]
 * @property {boolean} [keepalive] the page may be closing
 * @property {AbortSignal} [signal]
 */

/**
 * @param {string} method
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<any>} the `data` of the answer
 */
export async function call(method, path, options = {}) {
  const { data } = await ask(method, path, options);
  return data;
}

/**
 * The same with the answer's status and entity tag.
 * @param {string} method
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<{ data: any, status: number, etag: string | null }>}
 */
export async function ask(method, path, options = {}) {
  /** @type {Record<string, string>} */
  const headers = { accept: "application/json", "accept-language": language.value };
  if (options.body !== undefined) headers["content-type"] = "application/json";
  if (options.ifMatch) headers["if-match"] = options.ifMatch;
  let answer, envelope;
  try {
    answer = await fetch(path, {
      method,
      headers,
      body: options.bytes ?? (options.body === undefined ? null : JSON.stringify(options.body)),
      keepalive: options.keepalive ?? false,
      signal: options.signal ?? null,
    });
    envelope = await answer.json();
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Away(String(error));
  }
  if (envelope?.ok === true) return { data: envelope.data, status: answer.status, etag: answer.headers.get("etag") };
  const code = String(envelope?.code ?? "");
  // A wrong password is answered with 401 as well, and ends no session.
  if (code === "sign-in" && path !== "/auth/me") expired.value = true;
  throw new Refusal(answer.status, code, String(envelope?.error ?? ""), Number(answer.headers.get("retry-after") ?? 0));
}

/**
 * What a file of a site holds.
 * @param {string} path
 * @returns {Promise<string>} as text, with U+FFFD for what is none
 */
export async function textOf(path) {
  let answer;
  try {
    answer = await fetch(path, { headers: { "accept-language": language.value } });
    if (answer.ok) return await answer.text();
  } catch (error) {
    throw new Away(String(error));
  }
  const envelope = await answer.json().catch(() => null);
  throw new Refusal(answer.status, String(envelope?.code ?? ""), String(envelope?.error ?? ""), 0);
}

/** @param {string} app as in `alice-diary` @returns the path of the app below `/apps` and `/sites` */
export function pathOf(app) {
  return app.replace("-", "/");
}
