import js from "@eslint/js";

const browser = [
  "AbortController", "document", "EventSource", "fetch", "HTMLElement", "history", "localStorage", "navigator", "requestAnimationFrame",
  "sessionStorage", "setInterval", "clearInterval", "setTimeout", "clearTimeout", "getComputedStyle", "HTMLInputElement", "HTMLLinkElement", "HTMLScriptElement", "HTMLTextAreaElement", "TextEncoder", "URL", "URLSearchParams", "window", "Blob", "CSS", "createImageBitmap", "crypto", "TextDecoder",
];

export default [
  { ignores: ["app/vendor/**"] },
  js.configs.recommended,
  {
    languageOptions: { globals: Object.fromEntries(browser.map((name) => [name, "readonly"])) },
    rules: {
      eqeqeq: "error",
      "no-eval": "error",
      "no-implied-eval": "error",
      "prefer-const": "error",
      // Nothing that a user could have written is ever markup.
      "no-restricted-properties": ["error", ...["innerHTML", "outerHTML", "insertAdjacentHTML", "dangerouslySetInnerHTML"].map((property) => ({ property }))],
      "no-restricted-syntax": ["error", { selector: "TaggedTemplateExpression TemplateElement[value.raw=/dangerouslySetInnerHTML/]", message: "text stays text" }],
    },
  },
  { files: ["app/early.js"], languageOptions: { sourceType: "script" } },
];
