// Before anything is painted: the colours and the language that were chosen, else those of the browser. No module, because
// a module runs only after the first paint.
"use strict";
(function () {
  var root = document.documentElement;
  /** @param {string} name */
  function kept(name) {
    try {
      return localStorage.getItem(name);
    } catch {
      return null;
    }
  }
  var theme = kept("theme");
  if (theme === "light" || theme === "dark") root.dataset.theme = theme;
  var language = kept("language");
  if (language !== "ko" && language !== "en") language = /^ko\b/i.test(navigator.language) ? "ko" : "en";
  root.lang = language;
})();
