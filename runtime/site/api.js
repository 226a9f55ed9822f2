'use strict';
// Everything below /api: JSON in, JSON out, and no writing from pages of another site.

const express = require('express');
const { refuse } = require('./refusal');

const BODY_LIMIT = '64kb';
const BODIES = ['post', 'put', 'patch'];

/** Gives the app `apiEnabled`, `api(path, handlers)`, and `closeApi()` for what none of them answers. */
function addApi(app, enabled) {
  const router = express.Router({ caseSensitive: true, strict: true });
  router.use((req, res, next) => {
    res.set('Cache-Control', 'no-store');
    // Other apps of this server live under the same parent domain: their pages may link here but not write here.
    const from = req.get('Sec-Fetch-Site') ?? 'none';
    const writes = req.method !== 'GET' && req.method !== 'HEAD';
    if (writes && from !== 'same-origin' && from !== 'none') {
      refuse(403, 'cross-site', { ko: '다른 사이트에서는 고칠 수 없어요', en: 'pages of other sites cannot change anything here' });
    }
    next();
  });
  app.use('/api', router);

  app.apiEnabled = enabled;
  // app.api('/notes', { get: (req) => …, post: (req, res) => … }): what a handler returns is the answer.
  app.api = (path, handlers) => {
    if (!enabled) return;
    const route = router.route(path);
    for (const [method, handler] of Object.entries(handlers)) {
      if (BODIES.includes(method)) route[method](express.json({ limit: BODY_LIMIT, strict: false }), jsonObject);
      route[method](answerWith(handler));
    }
    const allowed = Object.keys(handlers).flatMap((method) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]));
    route.all((_req, res) => {
      res.set('Allow', allowed.join(', '));
      refuse(405, 'bad-method', { ko: `${allowed.join(', ')} 만 쓸 수 있어요`, en: `only ${allowed.join(', ')} can be used here` });
    });
  };

  app.closeApi = () => {
    app.use('/api', () => {
      if (enabled) refuse(404, 'not-found', { ko: '그런 주소가 없어요', en: 'there is no such address' });
      refuse(404, 'api-off', {
        ko: '저장 기능(API)이 꺼져 있어요. 적은 것은 이 브라우저에만 보관돼요',
        en: 'the API is switched off: what is written is kept in this browser only',
      });
    });
  };
}

// Only application/json is read. A form of a foreign page cannot send that without asking first.
function jsonObject(req, _res, next) {
  if (req.body === undefined && !req.is('application/json')) {
    refuse(415, 'not-json', { ko: 'Content-Type: application/json 으로 보내 주세요', en: 'send it with Content-Type: application/json' });
  }
  if (req.body === null || typeof req.body !== 'object' || Array.isArray(req.body)) {
    refuse(400, 'bad-body', { ko: '{"title": "…"} 모양의 JSON을 보내 주세요', en: 'send JSON of the form {"title": "…"}' });
  }
  next();
}

function answerWith(handler) {
  return async (req, res) => {
    const value = await handler(req, res);
    // It has answered by itself: res.json(…), res.send(…), a stream.
    if (value === res || res.headersSent || res.writableEnded) return;
    if (value === undefined) res.status(204).end();
    else res.json(value);
  };
}

module.exports = { addApi };
