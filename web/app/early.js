// Before anything is painted: the colours and the language that were chosen, else those of the browser. And a page that did not
// arrive whole is opened again. No module, because a module runs only after the first paint.
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

  // The network changed while the page was on its way, or the daemon just went: it would stay empty for ever. Later each time.
  var AGAIN = "opened-again";
  var isWhole = true;
  var isLoaded = false;
  window.addEventListener("error", function (event) {
    var lost = event.target;
    var matters = lost instanceof HTMLScriptElement || (lost instanceof HTMLLinkElement && lost.rel === "stylesheet");
    if (!matters || !isWhole || isLoaded) return;
    isWhole = false;
    var times = 2;
    try {
      times = Number(sessionStorage.getItem(AGAIN)) || 0;
      sessionStorage.setItem(AGAIN, String(times + 1));
    } catch {
      // Then it is the same pause each time.
    }
    setTimeout(function () {
      window.location.reload();
    }, Math.min(500 * Math.pow(2, times), 10_000));
  }, true);
  window.addEventListener("load", function () {
    isLoaded = true;
    try {
      if (isWhole) sessionStorage.removeItem(AGAIN);
    } catch {
      // Nothing is kept there.
    }
  });
})();
