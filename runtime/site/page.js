'use strict';
// Pages that the server writes, and forms that work without a script.

const { createHash } = require('node:crypto');
const express = require('express');
const { html, Html } = require('./html');
const { look } = require('./look');
const { refuse } = require('./refusal');
const { language, origin } = require('./visitors');

/** Gives the app `page(path, make)` and `form(path, make)`. */
function addPages(app, policy) {
  app.page = (path, make) => {
    app.get(path, async (req, res, next) => {
      const page = await make(req, res);
      // It leaves this one to what comes after it, such as a file.
      if (page === undefined && !res.headersSent) return next();
      return answer(req, res, page);
    });
  };
  // What `make` returns is where the visitor goes next, or the page that says what is missing.
  app.form = (path, make) => {
    app.post(path, fromThisSite, express.urlencoded({ extended: false, limit: '64kb', parameterLimit: 50 }), async (req, res) => {
      req.body ??= {};
      const next = await make(req, res);
      if (typeof next === 'string') return res.redirect(303, next);
      return answer(req, res, next);
    });
  };

  function answer(req, res, page) {
    if (page === undefined || res.headersSent) return;
    const style = `${look(page.look ?? {})}${page.style ?? ''}`;
    const hash = createHash('sha256').update(style).digest('base64');
    // Inline style counts only by its digest where the site is strict; elsewhere a digest would forbid all other.
    if (!policy.includes("'unsafe-inline'")) {
      res.set('Content-Security-Policy', policy.replace("style-src 'self'", `style-src 'self' 'sha256-${hash}'`));
    }
    res.status(page.status ?? 200).vary('Accept-Language');
    res.set('Cache-Control', page.personal ? 'no-store' : 'no-cache');
    res.type('html').send(document(req, page, style));
  }
}

// A page of another site may link here, but it sends nothing in the visitor's name.
function fromThisSite(req, _res, next) {
  const site = req.get('Sec-Fetch-Site');
  const from = req.get('Origin');
  const own = site ? site === 'same-origin' || site === 'none' : !from || from === origin(req);
  if (!own) refuse(403, 'cross-site', { ko: '다른 사이트에서는 보낼 수 없어요', en: 'pages of other sites cannot send anything here' });
  next();
}

function document(req, page, style) {
  const { title, description = '', picture, scripts = [], body } = page;
  // Of what its owner wrote, which is more than the buttons: it is read aloud in that language.
  const lang = /[가-힣]/.test(title + description) ? 'ko' : (page.lang ?? language(req));
  const home = origin(req);
  const own = home + new URL(req.originalUrl, 'http://x').pathname;
  // Messengers show the picture of a shared link only by its whole address.
  const shown = picture && home ? `${home}/${encodePath(picture.src)}` : null;
  return html`<!doctype html>
<html lang="${lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<title>${title}</title>
<meta name="description" content="${description}">
<meta name="color-scheme" content="light dark">
${page.hidden && html`<meta name="robots" content="noindex">`}
<meta property="og:type" content="website">
<meta property="og:title" content="${title}">
<meta property="og:description" content="${description}">
<meta property="og:locale" content="${lang === 'ko' ? 'ko_KR' : 'en_US'}">
${home && html`<meta property="og:url" content="${own}">`}
${shown && html`<meta property="og:image" content="${shown}">
${picture.width && html`<meta property="og:image:width" content="${picture.width}">
<meta property="og:image:height" content="${picture.height}">`}
<meta property="og:image:alt" content="${picture.alt}">
<meta name="twitter:image" content="${shown}">`}
<meta name="twitter:card" content="${shown ? 'summary_large_image' : 'summary'}">
<meta name="twitter:title" content="${title}">
<meta name="twitter:description" content="${description}">
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<style>${new Html(style)}</style>
<link rel="stylesheet" href="/style.css">
${scripts.map((script) => html`<script src="${script}" defer></script>`)}
</head>
<body>
${body}
</body>
</html>
`.text;
}

/** <img> of a picture of the content; `eager` for what is seen first. */
function image(picture, { eager = false, name = '' } = {}) {
  const { src, alt, width, height } = picture;
  return html`<img src="/${encodePath(src)}" alt="${alt}"${width && html` width="${width}" height="${height}"`}${name && html` class="${name}"`}${!eager && html` loading="lazy"`} decoding="async">`;
}

function encodePath(path) {
  return path.split('/').map(encodeURIComponent).join('/');
}

module.exports = { addPages, image };
