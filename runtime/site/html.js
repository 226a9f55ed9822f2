'use strict';
// Markup in which nothing that somebody typed becomes code.

/** Markup that is safe to send. Made by `html` and `rich` only. */
class Html {
  constructor(text) {
    this.text = text;
  }
  toString() {
    return this.text;
  }
}

function escape(text) {
  return text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

/** html`<p>${text}</p>`: what is put in is shown as it was written, whatever it is. Lists are put in one after the other. */
function html(strings, ...values) {
  return new Html(strings.reduce((all, part, at) => all + markup(values[at - 1]) + part));
}

function markup(value) {
  if (value instanceof Html) return value.text;
  if (Array.isArray(value)) return value.map(markup).join('');
  if (value === undefined || value === null || value === false || value === true) return '';
  return escape(String(value));
}

const ADDRESS = /^(?:https?:\/\/[^\s/?#]+|mailto:[^\s@]+@|tel:[+\d])\S*$/i;

/** Whether it may stand in `href`: https, http, mailto or tel, and nothing that runs. */
function isAddress(text) {
  return [...text].length <= 2000 && ADDRESS.test(text);
}

/**
 * Long text as people write it in a box: an empty line begins a paragraph, `- ` a point of a list, **so** is bold and
 * [so](https://example.org) a link. Everything else is text.
 */
function rich(text) {
  const blocks = [];
  let lines = [];
  let points = [];
  const close = () => {
    if (points.length) blocks.push(`<ul>${points.map((point) => `<li>${inline(point)}</li>`).join('')}</ul>`);
    if (lines.length) blocks.push(`<p>${lines.map(inline).join('<br>')}</p>`);
    [lines, points] = [[], []];
  };
  for (const line of text.split('\n').map((each) => each.trim())) {
    const point = /^[-*•] +(.+)$/.exec(line)?.[1];
    if (line === '' || (point ? lines.length : points.length)) close();
    if (point) points.push(point);
    else if (line !== '') lines.push(line);
  }
  close();
  return new Html(blocks.join('\n'));
}

/** The same as one line without any marks: for a description. */
function plain(text, max = 200) {
  const flat = text
    .replace(/\[([^\]\n]{1,200})\]\([^()\s]{1,2000}\)/g, '$1')
    .replaceAll('**', '')
    .replace(/^[-*•] +/gm, '')
    .replace(/\s+/g, ' ')
    .trim();
  return flat.length > max ? `${[...flat].slice(0, max - 1).join('')}…` : flat;
}

function inline(line) {
  return replace(line, /\*\*([^*]+)\*\*/g, ([, bold]) => `<strong>${links(bold)}</strong>`, links);
}

function links(text) {
  return replace(text, /\[([^\]]{1,200})\]\(([^()\s]{1,2000})\)/g, ([whole, words, address]) =>
    isAddress(address) ? `<a href="${escape(address)}" rel="noopener nofollow">${escape(words)}</a>` : escape(whole), escape);
}

function replace(text, pattern, matched, between) {
  let [result, at] = ['', 0];
  for (const match of text.matchAll(pattern)) {
    result += between(text.slice(at, match.index)) + matched(match);
    at = match.index + match[0].length;
  }
  return result + between(text.slice(at));
}

module.exports = { Html, escape, html, isAddress, plain, rich };
