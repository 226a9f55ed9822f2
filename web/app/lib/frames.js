// Much that changes at once, spread over frames, so that who scrolls meanwhile does not see it stop.

import { batch } from "./html.js";

/** So many are drawn anew in one frame. */
const IN_A_FRAME = 20;

/** @template T @param {T[]} items @param {(item: T) => void} work */
export function inFrames(items, work) {
  const rest = [...items];
  const some = () => {
    batch(() => rest.splice(0, IN_A_FRAME).forEach(work));
    if (rest.length > 0) requestAnimationFrame(some);
  };
  some();
}
