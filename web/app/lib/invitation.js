// A link that lets somebody in: shown once, as a QR code, to be copied or sent.

import { html } from "./html.js";
import { t } from "./i18n.js";
import { isOnlyHere, portalForOthers } from "./site-address.js";
import { CopyButton, Dialog, Icon, Qr } from "./ui.js";

/** @typedef {{ name: string, token: string, path: string, url: string, expiresAt: string }} InvitationLink */

/** @param {{ link: InvitationLink, isReset: boolean, onClose: () => void }} props */
export function LinkDialog({ link, isReset, onClose }) {
  const { name } = link;
  const share = { title: "minipaas", text: t(isReset ? "link.send.reset" : "link.send.text", { name }) };
  return html`<${ShareDialog} title=${t(isReset ? "link.reset" : "link.title", { name })} text=${t("link.text")} address=${portalForOthers(link)}
    qr=${t("link.qr", { name })} once=${t("link.once")} share=${share} onClose=${onClose} />`;
}

/**
 * `once`: how long it is good. `share`: what goes with it when it is sent.
 * @param {{ title: string, text: string, address: string, qr: string, once: string, share: ShareData, onClose: () => void }} props
 */
export function ShareDialog({ title, text, address, qr, once, share, onClose }) {
  return html`<${Dialog} title=${title} onClose=${onClose} class="share">
    <p>${text}</p>
    <${Qr} text=${address} label=${qr} />
    <p class="secret link-text"><code>${address}</code></p>
    ${isOnlyHere(address) && html`<p class="soft">${t("share.here")}</p>`}
    <p class="soft">${once}</p>
    <div class="actions">
      <${CopyButton} text=${address} label=${t("link.copy")} />
      ${"share" in navigator &&
      html`<button type="button" class="button main" onClick=${() => navigator.share({ url: address, ...share }).catch(() => {})}>
        <${Icon} name="share-2" /><span>${t("site.send")}</span>
      </button>`}
    </div>
  <//>`;
}
