// Where one is: the address, as parts. Every screen has one that survives reload and back.

import { html, signal } from "./html.js";

function here() {
  const { pathname, search, hash } = window.location;
  return { path: pathname, parts: pathname.split("/").filter(Boolean), query: new URLSearchParams(search), hash };
}

export const place = signal(here());

window.addEventListener("popstate", () => {
  place.value = here();
});

/** @param {string} address @param {{ replace?: boolean }} [how] */
export function go(address, how = {}) {
  const from = window.location.pathname;
  if (how.replace) window.history.replaceState(null, "", address);
  else window.history.pushState(null, "", address);
  place.value = here();
  if (from !== window.location.pathname) window.scrollTo(0, 0);
}

/**
 * A link to another screen of the dashboard. With a modifier key it is a link like any other.
 * @param {{ href: string, class?: string, children?: any, [more: string]: any }} props
 */
export function Link({ href, children, ...rest }) {
  /** @param {MouseEvent} event */
  function follow(event) {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(href);
  }
  return html`<a href=${href} onClick=${follow} ...${rest}>${children}</a>`;
}
