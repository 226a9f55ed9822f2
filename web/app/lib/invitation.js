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
  const address = addressOf(link);
  const text = t(isReset ? "link.send.reset" : "link.send.text", { name: link.name });
  return html`<${Dialog} title=${t(isReset ? "link.reset" : "link.title", { name: link.name })} onClose=${onClose} class="share">
    <p>${t("link.text")}</p>
    <${Qr} text=${address} label=${t("link.qr", { name: link.name })} />
    <p class="secret link-text"><code>${address}</code></p>
    <p class="soft">${t("link.once")}</p>
    <div class="actions">
      <${CopyButton} text=${address} label=${t("link.copy")} />
      ${"share" in navigator &&
      html`<button type="button" class="button main" onClick=${() => navigator.share({ url: address, title: "minipaas", text }).catch(() => {})}>
        <${Icon} name="share-2" /><span>${t("site.send")}</span>
      </button>`}
    </div>
  <//>`;
}
