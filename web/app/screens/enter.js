// Sign in; and the first time of an installation, which leads straight to a password of one's own.

import { EnterForm } from "../lib/enter-form.js";
import { html, useEffect, useSignal } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { tab } from "../lib/kept.js";
import { go, Link, place } from "../lib/router.js";
import { enter } from "../lib/session.js";
import { addresses, addressHere } from "../lib/site-address.js";
import { Failure, Heading } from "../lib/ui.js";
import { Outside } from "../lib/outside.js";

export function Enter() {
  return html`<${Outside}>
    <${Heading} title=${t("enter.title")}>${t("enter.title")}<//>
    <${EnterForm} />
    <${ForVisitors} />
  <//>`;
}

/** Whoever typed the server's address may have looked for a site. */
function ForVisitors() {
  const known = addresses.value;
  if (!known) return null;
  const address = addressHere(known.site.replace("{name}", "name")).replace("//name.", `//${t("enter.sites.name")}.`);
  return html`<p class="soft for-visitors">${t("enter.sites")}<br /><span class="address">${address}</span></p>`;
}

/** Everybody knows the first password; what counts besides is the word behind `#`, or that one sits at the server. */
const FIRST = "admin";

export function First() {
  const error = useSignal(/** @type {unknown} */ (null));
  const word = useSignal("");
  useEffect(() => {
    // Out of the address: it would stay in the history, and on the screen.
    const given = decodeURIComponent(place.value.hash.slice(1)) || tab.read("first") || "";
    tab.write("first", given);
    word.value = given;
    go("/first", { replace: true });
    begin(given);
  }, []);

  /** @param {string} given */
  async function begin(given) {
    try {
      await enter(FIRST, FIRST, { firstWord: given });
      tab.write("first", null);
    } catch (why) {
      error.value = why;
    }
  }

  return html`<${Outside}>
    <${Heading} title=${t("first.title")}>${t("first.title")}<//>
    ${error.value
      ? html`<${Failure} error=${error.value} /><p>${t("first.else")}</p>
          <${Link} class="button wide" href="/enter">${t("enter.title")}<//>`
      : html`<p class="soft">${t("first.wait")}</p>`}
  <//>`;
}
