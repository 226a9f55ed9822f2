// Between a site and the portal: whoever is signed in here as the site's owner goes back to it and may come in there.

import { Away, Refusal, call, pathOf } from "../lib/api.js";
import { html, useEffect, useSignal } from "../lib/html.js";
import { t } from "../lib/i18n.js";
import { Outside } from "../lib/outside.js";
import { Link, place } from "../lib/router.js";
import { leave, me } from "../lib/session.js";
import { addressHere, learnt } from "../lib/site-address.js";
import { Failure, Heading } from "../lib/ui.js";
import { nameOf } from "../lib/words.js";

const AGAIN_MS = 1000;

export function Visit() {
  const error = useSignal(/** @type {unknown} */ (null));
  const { query } = place.value;
  const app = query.get("site") ?? "";

  useEffect(() => {
    const body = { browser: query.get("browser") ?? "", path: query.get("to") ?? "/", at: query.get("at") ?? undefined };
    let isGone = false;
    /** Until somebody answers. @returns {Promise<any>} */
    const ask = () =>
      call("POST", `/apps/${pathOf(app)}/visitors/hand-over`, { body }).catch(async (why) => {
        if (!(why instanceof Away) || isGone) throw why;
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
        return ask();
      });
    learnt.then(ask).then(
      // What opens the site stands behind `#`: it is sent to nobody, and not kept in the history.
      (way) => window.location.replace(addressHere(way.url)),
      (why) => {
        error.value = why;
      },
    );
    return () => {
      isGone = true;
    };
  }, [app]);

  /** Comes back here, where somebody is asked for first. */
  async function asAnother() {
    await leave(window.location.href);
  }

  const failed = error.value !== null;
  const isOther = error.value instanceof Refusal && error.value.status === 404;
  return html`<${Outside}>
    <${Heading} title=${t("visit.title")} key=${failed}>${failed ? t("visit.refused") : t("visit.title")}<//>
    ${failed
      ? html`${isOther
            ? html`<p>${t("visit.other", { me: me.value?.username ?? "", name: nameOf(app) })}</p>
                <button type="button" class="button main wide" onClick=${asAnother}>${t("visit.again")}</button>`
            : html`<${Failure} error=${error.value} /><p class="soft">${t("visit.refused.text")}</p>`}
          <${Link} class="button wide" href="/">${t("home.title")}<//>`
      : html`<p class="soft">${t("visit.text", { name: nameOf(app) })}</p>`}
  <//>`;
}
