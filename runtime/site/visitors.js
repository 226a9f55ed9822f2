'use strict';
// Who comes, in which language, and how often.

const { refuse } = require('./refusal');

/**
 * `owner`, `guest` or `everyone`, as the gateway says. Where nobody stands in front of the site anybody could say to be the
 * owner, so there it is `everyone`; `visitor.known` tells.
 */
function visitor(req) {
  const word = visitor.known ? req.get('X-Paas-Visitor') : undefined;
  return word === 'owner' || word === 'guest' ? word : 'everyone';
}
visitor.known = process.env.KNOWS_VISITORS === 'true';

/** `ko` or `en`: the one that is `wanted`, else what the visitor likes better. */
function language(req, wanted) {
  if (wanted === 'ko' || wanted === 'en') return wanted;
  return req.acceptsLanguages('ko', 'en') === 'en' ? 'en' : 'ko';
}

/** The address the visitor sees, for what needs a whole one: https://alice-album.example.org */
function origin(req) {
  const host = req.get('X-Forwarded-Host') ?? req.get('Host') ?? '';
  const scheme = req.get('X-Forwarded-Proto') === 'https' ? 'https' : 'http';
  return /^[a-z0-9.-]+(?::\d+)?$/i.test(host) ? `${scheme}://${host}` : '';
}

/**
 * Lets a network do something `each` times and all together `all` times within `minutes`; `take(req)` refuses what is more.
 * A network is an IPv4 address or a /64 of IPv6: what one household has.
 */
function limiter({ each, all, minutes }) {
  const span = minutes * 60_000;
  /** @type {Map<string, number[]>} */
  const times = new Map();
  let every = [];
  return {
    take(req) {
      const now = Date.now();
      const from = network(req);
      const recent = (list) => list.filter((time) => time > now - span);
      every = recent(every);
      const own = recent(times.get(from) ?? []);
      if (own.length >= each || every.length >= all) {
        refuse(429, 'too-many', { ko: '잠시 쉬었다가 다시 해 주세요', en: 'please wait a little, then try again' });
      }
      every.push(now);
      // The last one to act is the last one to be forgotten.
      times.delete(from);
      times.set(from, [...own, now]);
      if (times.size > all) times.delete(times.keys().next().value);
    },
  };
}

function network(req) {
  const address = (req.get('X-Real-IP') ?? req.socket.remoteAddress ?? '').replace(/^::ffff:(?=\d+\.)/i, '');
  if (!address.includes(':')) return address;
  const [head, tail] = address.split('::');
  const groups = head.split(':').filter(Boolean);
  const missing = tail === undefined ? 0 : 8 - groups.length - tail.split(':').filter(Boolean).length;
  return [...groups, ...Array(Math.max(0, missing)).fill('0')].slice(0, 4).join(':');
}

module.exports = { language, limiter, origin, visitor };
