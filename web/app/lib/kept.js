// Small things that the browser keeps: choices for good (`local`), what was typed until the tab closes (`tab`). A browser that
// keeps nothing is no reason to fail.

/** @param {() => Storage} storage */
function store(storage) {
  return {
    /** @param {string} name */
    read(name) {
      try {
        return storage().getItem(name);
      } catch {
        return null;
      }
    },
    /** @param {string} name @param {string | null} value */
    write(name, value) {
      try {
        if (value === null) storage().removeItem(name);
        else storage().setItem(name, value);
      } catch {
        // Full, or switched off.
      }
    },
  };
}

export const local = store(() => localStorage);
export const tab = store(() => sessionStorage);
