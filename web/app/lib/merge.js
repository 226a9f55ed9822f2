// Three states of one text, line by line: what it was made from, mine, and what somebody else made of it meanwhile.

/** @typedef {{ kind: "same", lines: string[] }} Same */
/**
 * Where mine and theirs are not the same. `by`: who has changed it. `line`: where it begins in theirs, from one.
 * @typedef {{ kind: "hunk", by: "mine" | "theirs" | "both", line: number, base: string[], mine: string[], theirs: string[] }} Hunk
 */

/** @param {string} base @param {string} mine @param {string} theirs @returns {(Same | Hunk)[]} */
export function compare(base, mine, theirs) {
  const [o, a, b] = [base, mine, theirs].map((text) => text.split("\n"));
  if (!o || !a || !b) return [];
  const [inMine, inTheirs] = [kept(o, a), kept(o, b)];
  /** @type {(Same | Hunk)[]} */
  const parts = [];
  let [i, m, n] = [0, 0, 0];
  while (i < o.length || m < a.length || n < b.length) {
    // The next line that is in all three.
    let next = i;
    while (next < o.length && (inMine[next] === -1 || inTheirs[next] === -1)) next++;
    const [endMine, endTheirs] = next < o.length ? [inMine[next] ?? 0, inTheirs[next] ?? 0] : [a.length, b.length];
    add(parts, { base: o.slice(i, next), mine: a.slice(m, endMine), theirs: b.slice(n, endTheirs), line: n + 1 });
    [i, m, n] = [next, endMine, endTheirs];
    if (i < o.length) {
      add(parts, { base: [], mine: [o[i++] ?? ""], theirs: [b[n++] ?? ""], line: n });
      m++;
    }
  }
  return parts;
}

/** @param {(Same | Hunk)[]} parts @param {{ base: string[], mine: string[], theirs: string[], line: number }} part */
function add(parts, { base, mine, theirs, line }) {
  const last = parts.at(-1);
  const equal = (/** @type {string[]} */ one, /** @type {string[]} */ other) => one.length === other.length && one.every((text, at) => text === other[at]);
  if (equal(mine, theirs)) {
    if (mine.length === 0) return;
    if (last?.kind === "same") last.lines.push(...mine);
    else parts.push({ kind: "same", lines: mine });
    return;
  }
  const by = equal(mine, base) ? "theirs" : equal(theirs, base) ? "mine" : "both";
  parts.push({ kind: "hunk", by, line, base, mine, theirs });
}

/** The text of what was chosen, hunk by hunk. @param {(Same | Hunk)[]} parts @param {("mine" | "theirs")[]} chosen */
export function merged(parts, chosen) {
  let hunk = 0;
  return parts.flatMap((part) => (part.kind === "same" ? part.lines : chosen[hunk++] === "mine" ? part.mine : part.theirs)).join("\n");
}

/**
 * For each line of one where it is in the other, or -1 (longest common subsequence; manifests are short).
 * @param {string[]} one @param {string[]} other
 */
function kept(one, other) {
  const rest = Array.from({ length: one.length + 1 }, () => new Uint16Array(other.length + 1));
  const length = (/** @type {number} */ a, /** @type {number} */ b) => rest[a]?.[b] ?? 0;
  for (let a = one.length - 1; a >= 0; a--) {
    const row = /** @type {Uint16Array} */ (rest[a]);
    for (let b = other.length - 1; b >= 0; b--) row[b] = one[a] === other[b] ? length(a + 1, b + 1) + 1 : Math.max(length(a + 1, b), length(a, b + 1));
  }
  const places = new Int32Array(one.length).fill(-1);
  for (let a = 0, b = 0; a < one.length && b < other.length; ) {
    if (one[a] === other[b]) places[a++] = b++;
    else if (length(a + 1, b) >= length(a, b + 1)) a++;
    else b++;
  }
  return places;
}
