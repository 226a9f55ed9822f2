'use strict';
// content.json: what the owner has filled in, as content.schema.json describes it (docs/templates.md has the rules). What
// does not fit stays in the file and is not shown; a site never fails because of its content.

const { readFileSync, statSync } = require('node:fs');
const path = require('node:path');
const { isAddress } = require('./html');

const MAX_FILE = 256 * 1024;
const MAX = { text: 200, rich: 5000, list: 50, gallery: 60 };
const PICTURE = /^(?!.*(?:^|\/)\.)[^\\\0-\x1f\x7f?#%]{1,200}\.(?:webp|jpe?g|png|gif|avif)$/i;
// A line break is no part of a title.
const CONTROL = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]/;

/** Reads both files of `folder`, anew whenever one of them has changed. The function that it gives answers with the values. */
function contentOf(folder) {
  const files = ['content.schema.json', 'content.json'].map((name) => path.join(folder, name));
  let seen;
  let values = {};
  return () => {
    const now = files.map(signature).join();
    if (now === seen) return values;
    seen = now;
    try {
      const [schema, content] = files.map(read);
      values = fitting(schema ?? {}, content ?? {});
    } catch (error) {
      // With what was there before: somebody is just editing it.
      console.error(`site: ${error.message}`);
      if (Object.keys(values).length === 0) values = fitting(readOr(files[0], {}), {});
    }
    return values;
  };
}

function signature(file) {
  const is = statSync(file, { throwIfNoEntry: false });
  return is ? `${is.ino} ${is.mtimeMs} ${is.size}` : 'none';
}

function read(file) {
  const is = statSync(file, { throwIfNoEntry: false });
  if (!is) return undefined;
  const name = path.basename(file);
  if (is.size > MAX_FILE) throw new Error(`${name} is larger than 256 KiB: shorten it (파일이 너무 커요)`);
  try {
    return JSON.parse(readFileSync(file, 'utf8').replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new Error(`${name} cannot be read: ${error.message} (쉼표나 따옴표가 빠졌는지 살펴보세요)`);
  }
}

function readOr(file, otherwise) {
  try {
    return read(file) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** Every field of the schema, with its value where that fits, else with what it begins with. */
function fitting(schema, content) {
  const given = isObject(content) ? content : {};
  return Object.fromEntries(
    Object.entries(isObject(schema?.properties) ? schema.properties : {}).map(([name, field]) => [name, valueOf(field, Object.hasOwn(given, name) ? given[name] : undefined)]),
  );
}

function valueOf(field, value) {
  const fit = FITS[field?.['x-kind']];
  if (!fit) return undefined;
  return fit(value, field) ?? fit(field.default, field) ?? fit(EMPTY[field['x-kind']], field) ?? null;
}

const EMPTY = { text: '', rich: '', link: '', place: '', date: '', switch: false, list: [], gallery: [] };

/** Each answers with the value as it is used, or with undefined when it does not fit. */
const FITS = {
  text: (value, field) => line(value, field.maxLength ?? MAX.text),
  place: (value, field) => line(value, field.maxLength ?? MAX.text),
  rich: (value, field) => words(value, field.maxLength ?? MAX.rich),
  link: (value) => (value === '' || (typeof value === 'string' && isAddress(value)) ? value : undefined),
  colour: (value) => (typeof value === 'string' && /^#[0-9a-f]{6}$/i.test(value) ? value.toLowerCase() : undefined),
  font: choice,
  choice,
  date: (value, field) => (value === '' || isDate(value, field.format) ? value : undefined),
  switch: (value) => (typeof value === 'boolean' ? value : undefined),
  picture,
  gallery: (value, field) => many(value, field.maxItems ?? MAX.gallery, (each) => picture(each)),
  list: (value, field) => many(value, field.maxItems ?? MAX.list, (each) => (isObject(each) ? fitting(field.items, each) : undefined)),
};

function words(value, max) {
  return typeof value === 'string' && [...value].length <= max && !CONTROL.test(value) ? value.toWellFormed().replaceAll('\r\n', '\n') : undefined;
}

function line(value, max) {
  return typeof value === 'string' && !/[\n\r\t]/.test(value) ? words(value, max) : undefined;
}

function choice(value, field) {
  const all = Array.isArray(field.enum) ? field.enum : [];
  return all.includes(value) ? value : all.includes(field.default) ? field.default : all[0];
}

function isDate(value, format) {
  if (typeof value !== 'string') return false;
  const pattern = format === 'date-time' ? /^(\d{4}-\d\d-\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(Z|[+-](0\d|1[0-4]):[0-5]\d)$/ : /^(\d{4}-\d\d-\d\d)$/;
  const day = pattern.exec(value)?.[1];
  const date = new Date(`${day}T00:00:00Z`);
  // The 31st of February is none.
  return day !== undefined && !Number.isNaN(date.getTime()) && date.toISOString().startsWith(day);
}

function picture(value) {
  if (!isObject(value) || typeof value.src !== 'string' || !PICTURE.test(value.src) || value.src.startsWith('/')) return undefined;
  const size = (number) => (Number.isInteger(number) && number > 0 && number <= 20_000 ? number : undefined);
  const [width, height] = [size(value.width), size(value.height)];
  return {
    src: value.src,
    alt: line(value.alt, MAX.text) ?? '',
    caption: line(value.caption, MAX.text) ?? '',
    ...(width && height ? { width, height } : {}),
  };
}

function many(value, max, fit) {
  if (!Array.isArray(value)) return undefined;
  return value.map(fit).filter((each) => each !== undefined).slice(0, max);
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

module.exports = { contentOf, fitting };
