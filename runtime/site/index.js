'use strict';
// 작은 웹 사이트에 늘 필요한 것들을 모아 두었어요. 쓰는 법은 docs/site.ko.md에 있어요.
// What every small web site needs; docs/site.md says how to use it.
//
//   const site = require('site');
//   const app = site.create();
//   app.start();
//
// Apps are written against this file and are never changed by an update of the image: what version 1 offers stays. What
// could not stay would get another name beside this one (`site-2`).

const express = require('express');
const { addApi } = require('./api');
const { contentOf } = require('./content');
const { openDatabase } = require('./database');
const { serveFiles } = require('./files');
const { answerErrors, notFound } = require('./errors');
const { html, plain, rich } = require('./html');
const { addPages, image } = require('./page');
const { Refusal, number, pastDate, refuse, text } = require('./refusal');
const { listen } = require('./server');
const { language, limiter, visitor } = require('./visitors');

// What a page may load. People edit their pages by hand, so pictures and videos may come from elsewhere and style="…"
// works; scripts come from the site itself.
const OPEN = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: https:; " +
    "font-src 'self'; media-src 'self' https:; frame-src https:; connect-src 'self'; manifest-src 'self'; " +
    "base-uri 'none'; form-action 'self' https:; frame-ancestors 'none'",
  'Referrer-Policy': 'strict-origin-when-cross-origin',
};
// For a page that shows what visitors wrote: nothing from elsewhere is loaded and nothing inline runs, so that no text can
// ever become code.
const STRICT = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
};
const ALWAYS = {
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
};

/**
 * An Express app that knows its files, its API and its database, and answers nothing before `start`.
 *
 * @param {{strict?: boolean, folder?: string}} options `strict` for pages that show what visitors wrote; `folder` is where
 *   index.html and public/ are, by default where server.js is.
 */
function create({ strict = false, folder = require.main?.path ?? process.cwd() } = {}) {
  const app = express();
  app.disable('x-powered-by');
  app.enable('case sensitive routing');
  app.set('query parser', 'simple');

  const life = { started: false, stopping: false };
  const databases = [];
  const headers = { ...ALWAYS, ...(strict ? STRICT : OPEN) };
  app.use((_req, res, next) => {
    res.set(headers);
    if (life.stopping) res.set('Connection', 'close');
    next();
  });

  // The daemon asks here whether the site is well.
  app.get('/healthz', (_req, res) => {
    res.set('Cache-Control', 'no-store');
    if (life.stopping) refuse(503, 'stopping', 'stopping');
    for (const db of databases) db.prepare('SELECT count(*) FROM sqlite_master').get();
    res.json({ ok: true, api: app.apiEnabled });
  });

  addApi(app, process.env.ENABLE_API === 'true');
  addPages(app, headers['Content-Security-Policy']);
  // What the owner filled in: content.json, as content.schema.json describes it.
  app.content = contentOf(folder);

  app.database = (tables, file = process.env.SQLITE_PATH ?? '/data/db.sqlite3') => {
    const db = openDatabase(file, tables);
    databases.push(db);
    return db;
  };

  app.start = () => {
    life.started = true;
    app.closeApi();
    app.use(serveFiles(folder));
    app.use(notFound);
    app.use(answerErrors(folder));
    // Closing writes the WAL back into the database, so that a copy of the one file is complete.
    return listen(app, life, () => databases.forEach((db) => db.close()));
  };

  process.on('beforeExit', () => {
    if (life.started) return;
    console.error('site: server.js ended without app.start(): put it into the last line (마지막 줄에 app.start(); 를 써 주세요)');
    process.exitCode = 1;
  });
  return app;
}

module.exports = {
  create, refuse, text, number, pastDate, Refusal,
  // Since 1.1.
  html, rich, plain, image, language, visitor, limiter,
  version: require('./package.json').version,
};
