'use strict';
// What a visitor sent and cannot be taken: thrown anywhere in a handler, answered by errors.js.

class Refusal extends Error {
  /** @param {string | {ko: string, en: string}} message what is wrong, and what would be right */
  constructor(status, code, message) {
    super(typeof message === 'string' ? message : message.en);
    this.status = status;
    this.code = code;
    this.words = typeof message === 'string' ? { ko: message, en: message } : message;
  }
}

/** Answers this request with a refusal: `refuse(404, 'no-entry', '그런 글이 없어요')`. */
function refuse(status, code, message) {
  throw new Refusal(status, code, message);
}

/** The text `name` of what was sent, without blanks around it. */
function text(input, name, { max = 1000, required = false } = {}) {
  const value = input[name] ?? '';
  if (typeof value !== 'string') refuse(400, 'bad-field', { ko: `${name}: 글자여야 해요`, en: `${name}: must be text` });
  const trimmed = value.toWellFormed().replaceAll('\r\n', '\n').trim();
  if (required && trimmed === '') refuse(400, 'bad-field', { ko: `${name}: 비어 있어요`, en: `${name}: is empty` });
  if (trimmed.length > max) {
    refuse(400, 'bad-field', { ko: `${name}: ${max}자까지 쓸 수 있어요`, en: `${name}: at most ${max} characters` });
  }
  return trimmed;
}

/** A whole number from 1 to `max` out of an address; `otherwise` when there is none. */
function number(value, name, { max = Number.MAX_SAFE_INTEGER, otherwise } = {}) {
  if (value === undefined && otherwise !== undefined) return otherwise;
  const parsed = typeof value === 'string' && /^[1-9]\d{0,15}$/.test(value) ? Number(value) : NaN;
  if (!(parsed <= max)) {
    refuse(400, 'bad-number', { ko: `${name}: 1부터 ${max}까지의 수여야 해요`, en: `${name}: must be a number from 1 to ${max}` });
  }
  return parsed;
}

/** A moment that has been, as ISO 8601 in UTC; now when none was sent. */
function pastDate(input, name) {
  const value = input[name];
  if (value === undefined) return new Date().toISOString();
  const date = typeof value === 'string' && value.length <= 40 ? new Date(value) : new Date(NaN);
  // A day of grace for clocks that are wrong.
  if (!(date.getUTCFullYear() >= 1900 && date.getTime() <= Date.now() + 86_400_000)) {
    refuse(400, 'bad-field', {
      ko: `${name}: 2026-11-22T21:00:00Z 같은 지난 날짜여야 해요`,
      en: `${name}: must be a past date such as 2026-11-22T21:00:00Z`,
    });
  }
  return date.toISOString();
}

module.exports = { Refusal, refuse, text, number, pastDate };
