// The studio: change the words and pictures of a site, publish them, take that back.

import { Refusal, call, pathOf } from "../lib/api.js";
import { html, useEffect, useMemo, useSignal } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { apps, seen } from "../lib/live.js";
import { Link } from "../lib/router.js";
import { ownerAddress } from "../lib/site-address.js";
import { Act, Dialog, Failure, Heading, Icon, announcement, say, told } from "../lib/ui.js";
import { State } from "../lib/state.js";
import { nameOf } from "../lib/words.js";
import { Draft } from "../studio/draft.js";
import { Form } from "../studio/form.js";

/** @param {{ app: string }} props */
export function Edit({ app }) {
  const draft = useMemo(() => new Draft(app), [app]);
  const error = useSignal(/** @type {unknown} */ (null));
  const site = apps.value?.get(app);
  const studio = draft.told.value;
  const title = t("studio.title", { name: nameOf(app) });

  useEffect(() => {
    draft.open().catch((why) => (error.value = why));
    return keepOnLeaving(draft);
  }, [app]);

  return html`
    <p class="back"><${Link} href=${`/sites/${pathOf(app)}`}><${Icon} name="arrow-left" />${nameOf(app)}<//></p>
    <${Heading} title=${title}>${title}<//>
    ${error.value !== null && html`<${Failure} error=${error.value} />`}
    ${studio && studio.others.length > 0 && html`<p class="soft note"><${Icon} name="users-round" />${t("studio.others")}</p>`}
    ${studio && !studio.schema && html`<p class="soft">${t("studio.none")}</p>`}
    ${studio && html`<p><${Link} class="plain" href=${`/sites/${pathOf(app)}/files`}><${Icon} name="file-text" />${t("files.open")}<//></p>`}
    ${studio?.schema &&
    html`<p class="soft">${t("studio.text")}</p>
      <${Elsewhere} draft=${draft} />
      <form class="studio" onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}><${Form} draft=${draft} /></form>
      <${Bar} draft=${draft} site=${site} />`}
  `;
}

/** The phone may go to sleep, or somebody goes elsewhere. @param {Draft} draft @returns {() => void} */
export function keepOnLeaving(draft) {
  const flush = () => {
    if (document.visibilityState === "hidden") void draft.save({ keepalive: true });
  };
  document.addEventListener("visibilitychange", flush);
  return () => {
    document.removeEventListener("visibilitychange", flush);
    void draft.save({ keepalive: true });
  };
}

/** Another window of the same person was faster. @param {{ draft: Draft }} props */
export function Elsewhere({ draft }) {
  if (draft.keeping.value !== "elsewhere") return null;
  return html`<div class="failure" role="alert"><${Icon} name="circle-alert" /><div>
    <p>${t("studio.elsewhere")}</p>
    <div class="actions">
      <${Act} onClick=${() => draft.insist()}>${t("studio.elsewhere.mine")}<//>
      <${Act} onClick=${() => draft.open()}>${t("studio.elsewhere.theirs")}<//>
    </div>
  </div></div>`;
}

const SAID = /** @type {const} */ ({
  kept: "studio.kept",
  typing: "studio.typing",
  saving: "studio.typing",
  unsaved: "studio.unsaved",
  elsewhere: "studio.unsaved",
});

/** An undo that another publishing has overtaken would undo more than it says. */
let takeAway = () => {};

/** Publish, undo and how it is kept, within the thumb's reach. @param {{ draft: Draft, site: import("../types.js").AppView | undefined }} props */
export function Bar({ draft, site }) {
  const asking = useSignal(false);
  const busy = useSignal(false);

  /** @param {string} version */
  async function back(version) {
    try {
      const answer = await call("POST", `/apps/${pathOf(draft.app)}/versions/${version}/restore`);
      seen(answer);
      say(t("studio.undone"));
    } catch (why) {
      say(told(why), { tone: "bad" });
    }
    await draft.open();
  }

  async function publish(over = false) {
    const before = draft.told.value?.running;
    asking.value = false;
    busy.value = true;
    takeAway();
    try {
      const answer = await once(() => draft.publish(over));
      seen(answer);
      await draft.open();
      const undo = before ? { action: { text: t("undo"), run: () => void back(before) }, stays: 20000 } : {};
      takeAway = say(t(answer.converged ? "studio.published" : "studio.slow"), answer.converged ? undo : { tone: "bad", stays: 15000 });
    } catch (why) {
      await failed(why);
    } finally {
      busy.value = false;
    }
  }

  /** @param {unknown} why */
  async function failed(why) {
    if (why instanceof Refusal && why.code === "edited-meanwhile") {
      asking.value = true;
      return;
    }
    say(told(why), { tone: "bad", stays: 10000 });
    if (why instanceof Refusal && why.code === "nothing-to-publish") await draft.discard();
    if (why instanceof Refusal && why.code === "content-unfit") toFirstProblem(draft);
  }

  async function discard() {
    const kept = draft.content.value;
    await draft.discard();
    say(t("studio.discarded"), {
      action: { text: t("undo"), run: () => Object.entries(kept).forEach(([name, value]) => draft.set(name, value)) },
      stays: 15000,
    });
  }

  const keeping = draft.keeping.value;
  return html`<div class="studio-bar" data-tone=${keeping === "unsaved" ? "bad" : undefined}>
    <p class="soft" aria-live="polite">${busy.value && site ? html`<${State} app=${site} />` : draft.changed.value ? t(SAID[keeping]) : t("studio.clean")}</p>
    <div class="actions">
      <${Act} class="main" icon="check" busy=${t("studio.publish.busy")} disabled=${!draft.changed.value} onClick=${() => publish()}>${t("studio.publish")}<//>
      ${draft.changed.value && html`<${Act} icon="trash-2" disabled=${busy.value} onClick=${discard}>${t("studio.discard")}<//>`}
      ${site && !draft.changed.value && html`<a class="button" href=${ownerAddress(site)} target="_blank" rel="noopener"><${Icon} name="external-link" /><span>${t("site.open")}</span></a>`}
    </div>
    ${asking.value &&
    html`<${Dialog} title=${t("studio.both")} onClose=${() => (asking.value = false)}>
      <p>${t("studio.both.text")}</p>
      <div class="actions">
        <${Act} class="main" onClick=${() => publish(true)}>${t("studio.both.mine")}<//>
        <${Act} onClick=${async () => {
          asking.value = false;
          await draft.discard();
        }}>${t("studio.both.theirs")}<//>
      </div>
    <//>`}
  </div>`;
}

/** Somebody published at the same moment: what goes together is put together by the second try. @template T @param {() => Promise<T>} work */
async function once(work) {
  try {
    return await work();
  } catch (why) {
    if (!(why instanceof Refusal) || !["published-meanwhile", "changed-meanwhile"].includes(why.code)) throw why;
    await new Promise((later) => setTimeout(later, 1500));
    return work();
  }
}

/** @param {Draft} draft */
function toFirstProblem(draft) {
  const first = draft.problems.value.find((problem) => problem.kind === "unfit");
  const place = first && document.getElementById(`field-${first.at.replaceAll(".", "-")}`);
  place?.closest("details")?.setAttribute("open", "");
  place?.focus();
  announcement.value = t("code.content-unfit");
}
