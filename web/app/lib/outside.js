// The frame of what is seen before anybody has signed in.

import { html } from "./html.js";
import { language, speak, t } from "./i18n.js";
import { Icon } from "./ui.js";

/** @param {{ children?: any }} props */
export function Outside({ children }) {
  return html`<main class="outside" id="main">
    <div class="outside-card">
      <p class="brand"><${Brand} />minipaas</p>
      ${children}
    </div>
    <button type="button" class="plain language" lang=${language.value === "ko" ? "en" : "ko"}
      onClick=${() => speak(language.value === "ko" ? "en" : "ko")}>
      <${Icon} name="languages" />${t("language.other")}
    </button>
  </main>`;
}

export function Brand() {
  return html`<svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="8" class="mark-back" />
    <path d="M7 15.5 16 8l9 7.5V24a1.5 1.5 0 0 1-1.5 1.5h-15A1.5 1.500 0 0 1 7 24Z" class="mark-house" />
    <path d="M13 25.5v-6.2a3 3 0 0 1 6 0v6.2" class="mark-back" />
  </svg>`;
}
