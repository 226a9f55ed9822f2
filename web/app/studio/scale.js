// A picture as a camera made it → one for a page: turned upright, cut, at most 1600 points long, without where and when it was taken.
// It is drawn anew, so that nothing of the old file is left but what is seen.

/** Longest side. */
const LONGEST = 1600;
/** Larger files are not even tried: a phone would run out of memory. */
const MOST_BYTES = 60 << 20;

/** Width through height; `whole`: as it is. */
export const SHAPES = /** @type {const} */ ({ whole: 0, square: 1, wide: 4 / 3, tall: 3 / 4 });

/** @typedef {keyof typeof SHAPES} Shape */
/** @typedef {{ shape: Shape, at: number, turns: number }} Cut `at`: which part of what is too long, 0 to 1 */

/**
 * What the file shows, upright, or the text that says why nothing comes of it.
 * @param {File | Blob} file
 * @returns {Promise<ImageBitmap | "studio.picture.heic" | "studio.picture.svg" | "studio.picture.large" | "studio.picture.none">}
 */
export async function taken(file) {
  const name = "name" in file ? String(file.name).toLowerCase() : "";
  if (file.type === "image/svg+xml" || name.endsWith(".svg")) return "studio.picture.svg";
  if (file.size > MOST_BYTES) return "studio.picture.large";
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    const begin = new TextDecoder("latin1").decode(await file.slice(4, 12).arrayBuffer());
    return /^ftyp(?:hei|hev|mif|msf)/.test(begin) || /\.hei[cf]$/.test(name) ? "studio.picture.heic" : "studio.picture.none";
  }
}

/**
 * @param {ImageBitmap} bitmap @param {Cut} [cut] @param {HTMLCanvasElement} [canvas] draws there
 * @returns {Promise<{ src: string, blob: Blob, width: number, height: number }>}
 */
export async function ready(bitmap, cut = { shape: "whole", at: 0.5, turns: 0 }, canvas = document.createElement("canvas")) {
  const isTurned = cut.turns % 2 === 1;
  const [width, height] = isTurned ? [bitmap.height, bitmap.width] : [bitmap.width, bitmap.height];
  const shape = SHAPES[cut.shape] || width / height;
  const cutWidth = Math.min(width, height * shape);
  const cutHeight = Math.min(height, width / shape);
  const scale = Math.min(1, LONGEST / Math.max(cutWidth, cutHeight));
  canvas.width = Math.max(1, Math.round(cutWidth * scale));
  canvas.height = Math.max(1, Math.round(cutHeight * scale));
  const pen = canvas.getContext("2d");
  if (!pen) throw new Error("no canvas");
  pen.imageSmoothingQuality = "high";
  pen.scale(scale, scale);
  pen.translate(-(width - cutWidth) * cut.at, -(height - cutHeight) * cut.at);
  pen.translate(width / 2, height / 2);
  pen.rotate((cut.turns * Math.PI) / 2);
  pen.drawImage(bitmap, -bitmap.width / 2, -bitmap.height / 2);
  const blob = (await written(canvas, "image/webp")) ?? (await written(canvas, "image/jpeg"));
  if (!blob) throw new Error("the picture could not be written");
  const ending = blob.type === "image/webp" ? "webp" : "jpg";
  return { src: `photos/${letters()}.${ending}`, blob, width: canvas.width, height: canvas.height };
}

/** `null` where the browser cannot write that kind: it would write another one. @param {HTMLCanvasElement} canvas @param {string} kind @returns {Promise<Blob | null>} */
function written(canvas, kind) {
  return new Promise((done) => canvas.toBlob((blob) => done(blob?.type === kind ? blob : null), kind, 0.85));
}

/** No name of the camera's, which may tell more than one wants to. */
function letters() {
  return [...crypto.getRandomValues(new Uint8Array(6))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
