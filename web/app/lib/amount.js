// Amounts as people say them.

/** @param {number} bytes as in a manifest: `m` and `g` are powers of 1024 */
export function size(bytes) {
  if (bytes >= 2 ** 30) return `${trim(bytes / 2 ** 30)} GiB`;
  if (bytes >= 2 ** 20) return `${trim(bytes / 2 ** 20)} MiB`;
  return `${Math.round(bytes / 2 ** 10)} KiB`;
}

/** @param {number} millis thousandths of a core */
export function cores(millis) {
  return `${trim(millis / 10)} %`;
}

/** Two digits that count. @param {number} value */
function trim(value) {
  return value >= 10 ? String(Math.round(value)) : String(Math.round(value * 10) / 10);
}
