// Where a site is: for this very browser, and for any device of the home.
//
// `*.localhost` means the device in one's hand, so another one is given an address with the server's own in it. The daemon
// knows both.

import { call } from "./api.js";
import { signal } from "./html.js";

/** @typedef {{ site: string, siteElsewhere: string | null, portal: string, portalElsewhere: string | null, isPublic?: boolean }} Addresses */

/** `null`: not told yet. @type {import("../vendor/signals.js").Signal<Addresses | null>} */
export const addresses = signal(/** @type {Addresses | null} */ (null));

let lastAsked = 0;
const AGAIN_MS = 10_000;

/** Asks once more, in a while at the earliest. */
async function learn() {
  if (Date.now() - lastAsked < AGAIN_MS) return;
  lastAsked = Date.now();
  try {
    addresses.value = await call("GET", "/addresses");
  } catch {
    // What the daemon calls a site's address is shown as it is.
  }
}

/** Over when the addresses are known, or will not be soon: for whoever leaves the page at once. */
export const learnt = learn();

/** Whether this browser runs on the server itself, as far as its address tells. */
function isAtServer() {
  return isLocal(window.location.hostname);
}

/** @param {string} hostname */
function isLocal(hostname) {
  return /(?:^|\.)localhost$|^127\.|^\[::1\]$/.test(hostname);
}

/** Whether other devices would look for it on themselves. @param {string} url */
export function isOnlyHere(url) {
  return isLocal(new URL(url).hostname);
}

/** Whether it leads here from within the home only. @param {string} url */
export function isForHomeOnly(url) {
  return /\.nip\.io$/.test(new URL(url).hostname);
}

/** A page of a site as this browser reaches it. @param {string} url as the daemon gives it */
export function addressHere(url) {
  if (!isAtServer()) return elsewhere(url) ?? asCome(url);
  return asCome(url);
}

/** The same for whoever gets a link, a QR code or a piece of paper. @param {string} url */
export function addressForOthers(url) {
  return elsewhere(url) ?? asCome(url);
}

/** A page of the portal for them. @param {{ path: string, url: string }} page */
export function portalForOthers({ path, url }) {
  // Whoever gets it need not be at home.
  if (addresses.value?.isPublic) return url;
  if (!isAtServer()) return window.location.origin + path;
  const portal = addresses.value?.portalElsewhere;
  return portal ? portal + path : url;
}

/** @param {string} url @returns {string | null} */
function elsewhere(url) {
  const known = addresses.value;
  const [before = "", after = ""] = (known?.site ?? "").split("{name}");
  const name = /^[a-z0-9-]+/.exec(url.slice(before.length))?.[0] ?? "";
  const rest = url.slice(before.length + name.length);
  if (!known || !url.startsWith(before) || !rest.startsWith(after)) {
    // The settings have changed.
    learn();
    return null;
  }
  return known.siteElsewhere && known.siteElsewhere.replace("{name}", name) + rest.slice(after.length);
}

/**
 * The settings know no proxy that adds TLS or takes another port: whoever came here that way goes on that way.
 * @param {string} url
 */
function asCome(url) {
  const { protocol, hostname, port } = window.location;
  const address = new URL(url);
  const domain = hostname.replace(/^portal\./, "");
  if (protocol !== "https:" || !address.hostname.endsWith(`.${domain}`)) return url;
  return `https://${address.hostname}${port ? `:${port}` : ""}${url.slice(address.origin.length)}`;
}

/**
 * Where its owner opens a site: where not everybody may do everything, by the way on which the site gets to know who comes.
 * @param {import("../types.js").AppView} site
 */
export function ownerAddress({ url, visitors }) {
  return addressHere(visitors.change === "everyone" ? url : new URL("/.paas/owner?to=%2F", url).href);
}
