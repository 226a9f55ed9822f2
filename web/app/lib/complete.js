// What could be written next in a manifest, by its schema. Knows the plain YAML that manifests are: keys, groups of keys below
// them, and one value on a line.

/** @typedef {{ text: string, detail: string }} Option */
/** @typedef {{ from: number, to: number, options: Option[] }} Completion  what is between `from` and `to` is replaced */

/** @param {any} schema @param {any} root @returns {any} */
function resolved(schema, root) {
  if (schema?.$ref) return { ...root.definitions?.[schema.$ref.split("/").pop()], ...(schema.description && { description: schema.description }) };
  if (schema?.allOf?.length === 1) return { ...resolved(schema.allOf[0], root), ...schema, allOf: undefined };
  return schema ?? {};
}

/** The forms that a value may have. @param {any} schema @param {any} root @returns {any[]} */
function forms(schema, root) {
  const whole = resolved(schema, root);
  const parts = whole.anyOf ?? whole.oneOf;
  return parts ? parts.flatMap((/** @type {any} */ part) => forms(part, root)) : [whole];
}

/** Words that may stand as a value. @param {any} schema @param {any} root @returns {Option[]} */
function words(schema, root) {
  return forms(schema, root).flatMap((form) => {
    const detail = form.description ?? "";
    if (form.const !== undefined) return [{ text: String(form.const), detail }];
    if (form.enum) return form.enum.map((/** @type {unknown} */ one) => ({ text: String(one), detail: "" }));
    if (form.type === "boolean") return ["true", "false"].map((text) => ({ text, detail: "" }));
    const listed = /^\^\((.+)\)\$$/.exec(form.pattern ?? "")?.[1]?.replace(/\([^)]*\)\?/g, "").split("|") ?? [];
    return listed.filter((text) => /^[a-z-]+$/.test(text)).map((text) => ({ text, detail: "" }));
  });
}

/** @param {any} schema @param {any} root @returns {Record<string, any>} */
function keysOf(schema, root) {
  return Object.assign({}, ...forms(schema, root).map((form) => form.properties ?? {}));
}

/** @param {string} line */
function indentOf(line) {
  return line.length - line.trimStart().length;
}

/**
 * @param {string} text @param {number} caret @param {any} schema the manifest's
 * @param {Record<string, Option[]>} more values that the schema does not know, by key
 * @returns {Completion | null}
 */
export function complete(text, caret, schema, more = {}) {
  const start = text.lastIndexOf("\n", caret - 1) + 1;
  const before = text.slice(start, caret);
  const end = text.indexOf("\n", caret);
  const after = text.slice(caret, end < 0 ? text.length : end);
  if (before.includes("#") || /\S/.test(after.replace(/^[\w-]*:?/, "").replace(/#.*/, "")) === true) return null;
  const lines = text.slice(0, start).split("\n").slice(0, -1);
  const indent = indentOf(before);
  const parents = above(lines, indent);
  let scope = schema;
  for (const parent of parents) {
    scope = keysOf(scope, schema)[parent];
    if (!scope) return null;
  }
  const keys = keysOf(scope, schema);
  const value = /^\s*([\w-]+):\s+(\S*)$/.exec(before);
  if (value) {
    const [, key = "", typed = ""] = value;
    const options = [...(parents.length === 0 ? (more[key] ?? []) : []), ...words(keys[key], schema)];
    const rest = /^[\w-]*/.exec(after)?.[0] ?? "";
    return fitting(options, typed, caret - typed.length, caret + rest.length, typed + rest);
  }
  const key = /^\s*([\w-]*)$/.exec(before);
  if (!key || after.includes(":")) return null;
  const [, typed = ""] = key;
  const rest = /^[\w-]*/.exec(after)?.[0] ?? "";
  const taken = siblings(text.split("\n"), lines.length, indent);
  const options = Object.entries(keys)
    .filter(([name]) => !taken.has(name))
    .map(([name, one]) => ({ text: `${name}: `, detail: resolved(one, schema).description ?? "" }));
  return fitting(options, typed, caret - typed.length, caret + rest.length, typed + rest);
}

/** @param {Option[]} options @param {string} typed @param {number} from @param {number} to @param {string} whole */
function fitting(options, typed, from, to, whole) {
  const small = typed.toLowerCase();
  const found = options.filter((one) => one.text.toLowerCase().startsWith(small));
  // A part of a word is good enough when nothing begins so.
  const kept = found.length > 0 ? found : options.filter((one) => small.length > 1 && one.text.toLowerCase().includes(small));
  if (kept.length === 0 || (kept.length === 1 && kept[0]?.text === whole)) return null;
  return { from, to, options: kept };
}

/** The keys that a line of this indent lies below, outermost first. @param {string[]} lines @param {number} indent */
function above(lines, indent) {
  /** @type {string[]} */
  const found = [];
  let wanted = indent;
  for (const line of [...lines].reverse()) {
    if (!line.trim() || line.trimStart().startsWith("#")) continue;
    const key = /^\s*([\w-]+):\s*(#.*)?$/.exec(line)?.[1];
    const depth = indentOf(line);
    if (depth < wanted) {
      found.unshift(key ?? "");
      wanted = depth;
    }
  }
  return found;
}

/** Keys of the same group. @param {string[]} lines @param {number} at @param {number} indent */
function siblings(lines, at, indent) {
  const taken = new Set();
  for (const step of [-1, 1]) {
    for (let index = at + step; index >= 0 && index < lines.length; index += step) {
      const line = lines[index] ?? "";
      if (!line.trim() || line.trimStart().startsWith("#")) continue;
      const depth = indentOf(line);
      if (depth < indent) break;
      const key = /^\s*([\w-]+):/.exec(line)?.[1];
      if (depth === indent && key) taken.add(key);
    }
  }
  return taken;
}
