// What the daemon would do now, and why; what it leaves alone, and why: "what is it waiting for?"

import { pathOf } from "../lib/api.js";
import { html, useEffect, useSignal } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { Link } from "../lib/router.js";
import { Act, Failure, Icon, useRead } from "../lib/ui.js";

/** @typedef {import("../types.js").AppView} AppView */
/** @typedef {{ app: string | null, action: string, cause: string }} Step */

/** What goes by itself within this time needs no plan. */
const PATIENCE_MS = 1500;

/** For an app that is not as its manifest says. @param {{ site: AppView }} props */
export function Waiting({ site }) {
  const waits = site.sync !== "Synced";
  const shown = useSignal(false);
  useEffect(() => {
    if (!waits) {
      shown.value = false;
      return undefined;
    }
    const timer = setTimeout(() => (shown.value = true), PATIENCE_MS);
    return () => clearTimeout(timer);
  }, [waits]);
  if (!waits || !shown.value) return null;
  const mark = `${site.phase} ${site.fileDigest} ${site.container} ${site.conditions.map((one) => one.since).join()}`;
  return html`<${Plan} path=${`/apps/${pathOf(site.app)}/plan`} mark=${mark} title=${t("admin.plan.waiting")} conditions=${site.conditions} />`;
}

/** @param {{ path: string, mark: unknown, title: string, conditions?: import("../types.js").Condition[] }} props */
export function Plan({ path, mark, title, conditions = [] }) {
  const again = useSignal(0);
  const { data, error } = useRead(path, `${mark} ${again.value}`);
  /** @type {{ steps: Step[], notes: Step[] } | null} */
  const plan = data;
  const told = conditions.filter((one) => one.status && one.type !== "Ready");
  // What hinders an app is often why it is left alone, too.
  const notes = plan?.notes.filter((note) => !told.some((one) => one.message === note.cause)) ?? [];
  const empty = plan && plan.steps.length + notes.length + told.length === 0;
  return html`<section class="panel wide plan">
    <div class="screen-head"><h2>${title}</h2><${Act} icon="refresh-cw" class="icon-only" onClick=${() => (again.value += 1)} aria-label=${t("admin.plan.again")} title=${t("admin.plan.again")}><//></div>
    <${Failure} error=${error} />
    ${told.length > 0 && html`<ul class="plan-steps">${told.map((one) => html`<li key=${one.type} data-kind="note"><${Icon} name="clock" /><div><b>${one.reason}</b><p class="soft">${one.message}</p></div></li>`)}</ul>`}
    ${plan && plan.steps.length > 0 && html`<h3>${t("admin.plan.steps")}</h3><ol class="plan-steps">${plan.steps.map((step, index) => html`<${One} step=${step} named=${!conditions.length} key=${index} icon="play" />`)}</ol>`}
    ${notes.length > 0 && html`<h3>${t("admin.plan.notes")}</h3><ul class="plan-steps">${notes.map((step, index) => html`<${One} step=${step} named=${!conditions.length} key=${index} icon="pause" />`)}</ul>`}
    ${empty && html`<p class="state" data-tone="good"><${Icon} name="circle-check" />${t("admin.plan.none")}</p>`}
  </section>`;
}

/** @param {{ step: Step, icon: string, named: boolean }} props */
function One({ step, icon, named }) {
  return html`<li><${Icon} name=${icon} /><div>
    ${named && step.app && html`<${Link} href=${`/sites/${pathOf(step.app)}`}>${step.app}<//> `}<b>${step.action}</b>
    <p class="soft">${t("admin.plan.because", { cause: step.cause })}</p></div></li>`;
}
