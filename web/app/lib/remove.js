// Deleting a site can be taken back for a few seconds before anything is done at all, and afterwards by bringing it back.

import { call, pathOf } from "./api.js";
import { signal } from "./html.js";
import { t } from "./i18n.js";
import { seen } from "./live.js";
import { say, told } from "./ui.js";
import { nameOf } from "./words.js";

/** Sites that are about to be deleted. @type {import("../vendor/signals.js").Signal<Set<string>>} */
export const leaving = signal(/** @type {Set<string>} */ (new Set()));

const GRACE_MS = 8_000;

/** @type {Map<string, () => void>} */
const due = new Map();

/** @param {string} app */
export function remove(app) {
  leaving.value = new Set([...leaving.value, app]);
  const timer = setTimeout(() => finish(false), GRACE_MS);
  const away = say(t("delete.going", { name: nameOf(app) }), {
    stays: GRACE_MS,
    action: {
      text: t("undo"),
      run: () => {
        clearTimeout(timer);
        stay();
        say(t("delete.undone", { name: nameOf(app) }));
      },
    },
  });
  function stay() {
    due.delete(app);
    leaving.value = new Set([...leaving.value].filter((one) => one !== app));
  }
  /** @param {boolean} closing the page goes away, so nobody is left to wait for an answer */
  async function finish(closing) {
    clearTimeout(timer);
    away();
    due.delete(app);
    try {
      const data = await call("DELETE", `/apps/${pathOf(app)}?wait=0`, { body: { keepData: true }, keepalive: closing });
      seen(data);
      say(t("delete.done", { name: nameOf(app) }));
    } catch (error) {
      say(told(error), { tone: "bad" });
    } finally {
      stay();
    }
  }
  due.set(app, () => finish(true));
}

window.addEventListener("pagehide", () => {
  for (const finish of [...due.values()]) finish();
});

/** Makes a deleted site again, with what it had written. @param {string} app */
export async function bringBack(app) {
  const detail = await call("GET", `/apps/${pathOf(app)}`);
  const [userid, appname] = pathOf(app).split("/");
  const data = await call("POST", "/apps?wait=0", {
    body: { userid, appname, templateId: detail.manifest.template, enableApi: detail.manifest.enableApi ?? false },
  });
  seen(data);
}
