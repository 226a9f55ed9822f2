// A card for the wall or a letter: the site's name, its QR code and its address. Seen on paper only.

import { html } from "./html.js";
import { t } from "./i18n.js";
import { Icon, Qr } from "./ui.js";
import { isForHomeOnly, isOnlyHere } from "./site-address.js";

/** @param {{ name: string, address: string, short: string }} props */
export function ShareCard({ name, address, short }) {
  return html`<section class="share-card" aria-hidden="true">
    <p class="share-card-name">${name}</p>
    <${Qr} text=${address} label="" />
    <p class="share-card-address">${short}</p>
    <p>${t(isOnlyHere(address) ? "share.here" : "qr.text")}</p>
    ${isForHomeOnly(address) && html`<p>${t("card.home")}</p>`}
  </section>`;
}

/** Opens the browser's own print view, of which the style sheet leaves the card only. */
export function PrintButton() {
  return html`<button type="button" class="button" onClick=${() => window.print()}><${Icon} name="printer" /><span>${t("card.print")}</span></button>`;
}
