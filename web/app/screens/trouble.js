// What is wrong with a site, what to do about it, and the one button for that.

import { call, pathOf } from "../lib/api.js";
import { html } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { seen } from "../lib/live.js";
import { Link } from "../lib/router.js";
import { isAdmin } from "../lib/session.js";
import { Act, Details, Icon, say, told, useRead } from "../lib/ui.js";

/** @param {{ app: string, trouble: import("../lib/words.js").Trouble }} props */
export function TroubleCard({ app, trouble }) {
  async function again() {
    try {
      const data = await call("POST", `/apps/${pathOf(app)}/deploy`);
      seen(data);
      if (data.converged) say(t("trouble.solved"));
      else say(t("trouble.still"), { tone: "bad" });
    } catch (error) {
      say(told(error), { tone: "bad" });
    }
  }
  return html`<section class="trouble" data-tone=${trouble.tone}>
    <${Icon} name=${trouble.tone === "busy" ? "clock" : "triangle-alert"} />
    <div>
      <h2>${trouble.what}</h2>
      ${!(isAdmin.value && (trouble.forAdmin || trouble.inSettings)) && html`<p>${trouble.todo}</p>`}
      ${trouble.inSettings && html`<${WrongLine} app=${app} mark=${trouble.message} />`}
      ${trouble.action === "again" && html`<${Act} onClick=${again} icon="refresh-cw" busy=${t("trouble.again.busy")}>${t("trouble.again")}<//>`}
      <${Details} open=${isAdmin.value && trouble.forAdmin}>${trouble.message}<//>
    </div>
  </section>`;
}

/** The line of the settings that is wrong, as it stands there, and the way to mend it. @param {{ app: string, mark: string }} props */
function WrongLine({ app, mark }) {
  const path = `${pathOf(app)}/manifest`;
  const { data } = useRead(`/apps/${path}`, mark);
  const line = data?.problem?.line ?? 0;
  return html`${line > 0 && html`<p>${t("trouble.settings.line", { n: line })}</p><pre class="wrong-line">${data.text.split("\n")[line - 1]}</pre>`}
    ${isAdmin.value && html`<${Link} class="button" href=${`/sites/${path}`}><${Icon} name="settings" /><span>${t("trouble.settings.mend")}</span><//>`}`;
}
