// Small graphs: a line over time, and bars of days. What they show is said in words beside them or in their label.

import { html } from "./html.js";

const [WIDTH, HEIGHT] = [240, 48];

/**
 * @param {{ points: (number | null)[], most: number, limit?: number | undefined, label: string, class?: string }} props
 *   `null`: not known, so the line has a gap there; `most`: what reaches the top
 */
export function Line({ points, most, limit, label, class: kind = "" }) {
  const across = WIDTH / Math.max(points.length - 1, 1);
  const down = (/** @type {number} */ value) => HEIGHT - 1 - (Math.min(value, most) / (most || 1)) * (HEIGHT - 2);
  let [line, area, from] = ["", "", -1];
  const close = (/** @type {number} */ to) => {
    if (from >= 0) area += `L${place(to * across)} ${HEIGHT}L${place(from * across)} ${HEIGHT}Z`;
    from = -1;
  };
  points.forEach((value, index) => {
    if (value === null) return close(index - 1);
    const at = `${place(index * across)} ${place(down(value))}`;
    // One alone would be invisible.
    if (from < 0) {
      line += `M${at}h.01`;
      area += `M${at}`;
      from = index;
    } else {
      line += `L${at}`;
      area += `L${at}`;
    }
    return undefined;
  });
  close(points.length - 1);
  return html`<svg class=${`graph ${kind}`} viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${label}>
    <path class="graph-area" d=${area} /><path class="graph-line" d=${line} />
    ${limit !== undefined && limit <= most && html`<path class="graph-limit" d=${`M0 ${place(down(limit))}H${WIDTH}`} />`}
  </svg>`;
}

/** @param {number} value */
function place(value) {
  return Math.round(value * 10) / 10;
}

/** @param {{ values: number[], label: string }} props */
export function Bars({ values, label }) {
  const most = Math.max(...values, 1);
  const across = WIDTH / values.length;
  return html`<svg class="graph bars" viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${label}>
    ${values.map((value, index) => {
      // A day without anybody is a line on the ground.
      const tall = value ? Math.max((value / most) * (HEIGHT - 2), 3) : 1;
      return html`<rect key=${index} class=${value ? "bar" : "bar none"} x=${place(index * across + 1)} y=${place(HEIGHT - tall)} width=${place(across - 2)} height=${place(tall)} />`;
    })}
  </svg>`;
}
