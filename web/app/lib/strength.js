// A hint while a password is chosen. The server decides; this only says beforehand what it would say, and what is better.

/** @typedef {"short" | "long" | "weak" | "fair" | "good"} Strength */

/** @param {string} password @param {string} [name] of the person @returns {Strength} */
export function strengthOf(password, name = "") {
  const letters = [...password.normalize("NFC")];
  if (letters.length < 8) return "short";
  if (new TextEncoder().encode(password.normalize("NFC")).length > 72) return "long";
  const plain = password.toLowerCase();
  if (name && plain.includes(name.toLowerCase()) && letters.length < name.length + 6) return "weak";
  if (new Set(letters).size < 5 || /^(?:0123|1234|abcd|qwer|asdf|password)/.test(plain)) return "weak";
  const kinds = [/\p{Ll}/u, /\p{Lu}/u, /\d/, /[^\p{L}\d]/u, /[가-힣]/].filter((kind) => kind.test(password)).length;
  // A Korean syllable says more than a letter.
  const length = letters.reduce((sum, letter) => sum + (/[가-힣]/.test(letter) ? 1.6 : 1), 0);
  return length + kinds * 2 >= 16 ? "good" : "fair";
}
