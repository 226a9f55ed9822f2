// Where a site's files are cloned from and pushed to, for whoever works with git.

import { pathOf } from "../lib/api.js";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { Link } from "../lib/router.js";
import { CopyButton, Details } from "../lib/ui.js";

/** @param {{ app: string }} props */
export function GitAddress({ app }) {
  const address = `${window.location.origin}/git/${pathOf(app)}.git`;
  return html`<section class="git">
    <${Details} label=${t("git.title")}>
      <p>${t("git.text")}</p>
      <p><code>${address}</code></p>
      <div class="actions"><${CopyButton} text=${address} label=${t("git.copy")} /></div>
      <ol>
        <li><code>git clone ${address}</code></li>
        <li>${t("git.password")} <${Link} href="/me">${t("git.key")}<//></li>
        <li>${t("git.push")} <code>git push</code></li>
      </ol>
    <//>
  </section>`;
}
