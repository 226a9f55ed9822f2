// A link that lets somebody in: shown once, as a QR code, to be copied or sent.

import { html } from "./html.js";
import { t } from "./i18n.js";
import { CopyButton, Dialog, Icon, Qr } from "./ui.js";

/** @typedef {{ name: string, token: string, path: string, url: string, expiresAt: string }} InvitationLink */

/** The portal as it was opened here; at the server itself that name leads nobody else here. @param {InvitationLink} link */
function addressOf(link) {
  const { hostname, origin } = window.location;
  return /^(?:localhost|127\.|\[::1\])/.test(hostname) ? link.url : origin + link.path;
}

/** @param {{ link: InvitationLink, isReset: boolean, onClose: () => void }} props */
export function LinkDialog({ link, isReset, onClose }) {
  const { name } = link;
  const share = { title: "minipaas", text: t(isReset ? "link.send.reset" : "link.send.text", { name }) };
  return html`<${ShareDialog} title=${t(isReset ? "link.reset" : "link.title", { name })} text=${t("link.text")} address=${addressOf(link)}
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
