// One word for how a site is doing: colour, icon and word.

import { html } from "./html.js";
import { Icon } from "./ui.js";
import { circleWord, stateOf } from "./words.js";

/** @param {{ app: import("../types.js").AppView }} props */
export function State({ app }) {
  const { text, tone, icon } = stateOf(app);
  return html`<span class="state" data-tone=${tone}><${Icon} name=${icon} class=${icon === "loader-circle" ? "turns" : ""} />${text}</span>`;
}

/** Who may see it, as little as that can be said. @param {{ site: import("../types.js").AppView }} props */
export function Audience({ site }) {
  const { view } = site.visitors;
  const icon = { everyone: "globe", guests: "users-round", owner: "lock" }[view];
  return html`<span class="state audience" data-view=${view}><${Icon} name=${icon} />${circleWord(view)}</span>`;
}
