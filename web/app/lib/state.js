// One word for how a site is doing: colour, icon and word.

import { html } from "./html.js";
import { Icon } from "./ui.js";
import { stateOf } from "./words.js";

/** @param {{ app: import("../types.js").AppView }} props */
export function State({ app }) {
  const { text, tone, icon } = stateOf(app);
  return html`<span class="state" data-tone=${tone}><${Icon} name=${icon} class=${icon === "loader-circle" ? "turns" : ""} />${text}</span>`;
}
