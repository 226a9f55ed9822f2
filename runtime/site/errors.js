'use strict';
// What a visitor sees when there is nothing, or when something went wrong: a page for people, JSON for programs, in Korean
// or English.

const { createHash } = require('node:crypto');
const { existsSync } = require('node:fs');
const path = require('node:path');
const { escape } = require('./html');
const { Refusal, refuse } = require('./refusal');

function notFound() {
  refuse(404, 'not-found', { ko: '이 주소에는 아무것도 없어요', en: 'there is nothing at this address' });
}

// Express knows an error handler by its four parameters.
function answerErrors(folder) {
  return (error, req, res, next) => {
    if (res.headersSent) return next(error);
    const { status, code, words } = explain(error);
    if (status >= 500 && status !== 503) console.error(error);
    // For the owner: a picture that was copied here with its sender's rights.
    if (error?.code === 'EACCES') {
      const file = path.relative(folder, error.path ?? '');
      console.error(`site: only its owner may read ${file}: chmod 644 ${file} (이 파일을 누구나 읽을 수 있게 해 주세요)`);
    }
    if (status === 503) res.set('Retry-After', '1');
    const language = languageOf(req);
    res.status(status).vary('Accept-Language');
    if (wantsJson(req)) return res.json({ error: words[language], code });
    // A 404.html of one's own, beside server.js.
    if (status === 404 && existsSync(path.join(folder, '404.html'))) {
      return res.set('Cache-Control', 'no-cache').sendFile('404.html', { root: folder, cacheControl: false });
    }
    res.set({ 'Content-Security-Policy': PAGE_POLICY, 'Cache-Control': 'no-store' });
    return res.type('html').send(page(status, words[language], language));
  };
}

function wantsJson(req) {
  if (/^\/api(\/|$)/.test(req.path) || req.path === '/healthz') return true;
  return req.accepts(['html', 'json']) === 'json';
}

/** Korean for who likes it better than English, as the pages of the gateway. */
function languageOf(req) {
  return req.acceptsLanguages('en', 'ko') === 'ko' ? 'ko' : 'en';
}

function explain(error) {
  if (error instanceof Refusal) return error;
  switch (error?.type ?? error?.code) {
    case 'entity.too.large':
      return { status: 413, code: 'too-large', words: { ko: '글이 너무 길어요', en: 'that is too long' } };
    case 'entity.parse.failed':
      return { status: 400, code: 'bad-json', words: { ko: 'JSON을 읽을 수 없어요', en: 'this is no JSON' } };
    case 'SQLITE_BUSY':
      return { status: 503, code: 'busy', words: { ko: '저장소가 바빠요. 잠시 후 다시 해 주세요', en: 'the database is busy: try again in a moment' } };
    case 'SQLITE_FULL':
      return { status: 507, code: 'disk-full', words: { ko: '저장 공간이 가득 찼어요', en: 'the disk is full' } };
  }
  // Errors of the HTTP layer (a broken % sequence, an unknown encoding) say their status themselves.
  const status = error?.status >= 400 && error.status < 500 ? error.status : 500;
  if (status === 404) return { status, code: 'not-found', words: { ko: '이 주소에는 아무것도 없어요', en: 'there is nothing at this address' } };
  return status === 500
    ? { status, code: 'internal', words: { ko: '서버에 문제가 생겼어요', en: 'something went wrong on the server' } }
    : { status, code: 'bad-request', words: { ko: '요청을 이해할 수 없어요', en: 'the request cannot be understood' } };
}

// --- The page ----------------------------------------------------------------------------------------------------------

const STYLE = `
:root { color-scheme: light dark; --paper: #faf6ef; --ink: #2f2820; --soft: #6b6054; --accent: #a8481f; }
@media (prefers-color-scheme: dark) { :root { --paper: #1b1815; --ink: #f1eae0; --soft: #b5a999; --accent: #f0a071; } }
body { margin: 0; min-height: 100vh; display: grid; place-content: center; padding: 1.5rem; box-sizing: border-box;
  background: var(--paper); color: var(--ink); text-align: center; word-break: keep-all;
  font: 400 1.0625rem/1.6 system-ui, "Apple SD Gothic Neo", "Noto Sans KR", sans-serif; }
h1 { margin: 0; font-size: 1.5rem; line-height: 1.35; }
p { margin: .75rem 0 0; color: var(--soft); max-width: 30rem; }
a { display: inline-block; margin-top: 1rem; padding: .75rem 1.25rem; color: var(--accent); font-weight: 600; }
`;
const PAGE_POLICY =
  `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; ` +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const TEXTS = {
  ko: {
    404: ['여기에는 아무것도 없어요', '주소가 맞는지 다시 보거나, 첫 화면에서 찾아보세요.'],
    500: ['사이트에 문제가 생겼어요', '잠시 뒤에 다시 열어 보세요. 주인이라면 사이트의 로그에서 까닭을 볼 수 있어요.'],
    home: '첫 화면으로',
  },
  en: {
    404: ['There is nothing here', 'Check the address, or look for it from the first page.'],
    500: ['This site has a problem', 'Try again in a moment. If it is yours, its log says why.'],
    home: 'To the first page',
  },
};

function page(status, message, language) {
  const texts = TEXTS[language];
  const [title, advice] = texts[status] ?? (status >= 500 ? texts[500] : [message, '']);
  return `<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escape(title)}</h1>
<p>${escape(advice)}</p>
<a href="/">${texts.home}</a>
</main>
</body>
</html>
`;
}

module.exports = { notFound, answerErrors };
