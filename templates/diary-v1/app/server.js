'use strict';
// The diary's server: one page, and with ENABLE_API=true the entries in SQLite behind /api/entries.
//
// Only index.html and the files in public/ can be fetched. Everything else here, this file included, answers 404.

const path = require('node:path');
const express = require('express');

const settings = {
  port: Number(process.env.PORT ?? 3000),
  api: process.env.ENABLE_API === 'true',
  database: process.env.SQLITE_PATH ?? '/data/db.sqlite3',
};

const LIMITS = { title: 100, body: 10_000, request: '64kb', page: 100 };
const MOODS = ['', 'happy', 'calm', 'love', 'tired', 'sad'];

// --- The entries -----------------------------------------------------------------------------------------------------

// Each entry of this list brings the file one version further. Never edit one that was released: append.
const MIGRATIONS = [
  `CREATE TABLE entries (
     id         INTEGER PRIMARY KEY AUTOINCREMENT,  -- a deleted entry's address is never given to another
     title      TEXT NOT NULL,
     body       TEXT NOT NULL,
     mood       TEXT NOT NULL,
     created_at TEXT NOT NULL                       -- ISO 8601, UTC
   ) STRICT`,
];

function openDatabase(file) {
  // Loaded only when it is used: without the API the app takes less memory.
  const Database = require('better-sqlite3');
  // For a moment during a deploy the old and the new container share this file. WAL lets one write while the other
  // reads, and the timeout makes two writers wait for each other instead of failing.
  const db = new Database(file, { timeout: 3000 });
  // Switching a new file to WAL needs it alone and does not wait by itself, so two first starts at once take turns.
  for (let attempt = 1; ; attempt++) {
    try {
      db.pragma('journal_mode = WAL');
      break;
    } catch (error) {
      if (error.code !== 'SQLITE_BUSY' || attempt === 50) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100);
    }
  }
  // Safe in WAL mode against a crash of the app; a power cut may cost the last second, never the file.
  db.pragma('synchronous = NORMAL');
  db.transaction(() => {
    const version = db.pragma('user_version', { simple: true });
    MIGRATIONS.slice(version).forEach((sql) => db.exec(sql));
    if (version < MIGRATIONS.length) db.pragma(`user_version = ${MIGRATIONS.length}`);
  }).immediate();
  return db;
}

function openEntries(file) {
  const db = openDatabase(file);
  const columns = 'id, title, body, mood, created_at AS createdAt';
  const summary = 'id, title, substr(body, 1, 160) AS excerpt, mood, created_at AS createdAt';
  const list = db.prepare(
    `SELECT ${summary} FROM entries WHERE (created_at, id) < (?, ?) ORDER BY created_at DESC, id DESC LIMIT ?`,
  );
  const get = db.prepare(`SELECT ${columns} FROM entries WHERE id = ?`);
  const add = db.prepare(
    `INSERT INTO entries (title, body, mood, created_at) VALUES (@title, @body, @mood, @createdAt) RETURNING ${columns}`,
  );
  const remove = db.prepare('DELETE FROM entries WHERE id = ?');
  return {
    page(before, limit) {
      const from = before === undefined ? ['9999', 0] : cursorOf(get.get(before));
      const rows = list.all(...from, limit + 1);
      return { entries: rows.slice(0, limit), next: rows.length > limit ? rows[limit - 1].id : null };
    },
    get: (id) => get.get(id),
    add: (entry) => add.get(entry),
    remove: (id) => remove.run(id).changes === 1,
    close: () => db.close(),
  };
}

function cursorOf(entry) {
  if (!entry) throw new Refusal(400, 'unknown-cursor', 'before: 그런 일기가 없어요');
  return [entry.createdAt, entry.id];
}

// --- What is accepted ------------------------------------------------------------------------------------------------

class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

function textField(input, name, { max, required }) {
  const value = input[name] ?? '';
  if (typeof value !== 'string') throw new Refusal(400, 'bad-field', `${name}: 글자여야 해요`);
  const text = value.toWellFormed().replaceAll('\r\n', '\n').trim();
  if (required && text === '') throw new Refusal(400, 'bad-field', `${name}: 비어 있어요`);
  if (text.length > max) throw new Refusal(400, 'bad-field', `${name}: ${max}자까지 쓸 수 있어요`);
  return text;
}

function entryFrom(input) {
  if (input === null || typeof input !== 'object' || Array.isArray(input)) {
    throw new Refusal(400, 'bad-body', '{"title": "…", "body": "…"} 모양의 JSON을 보내 주세요');
  }
  const mood = input.mood ?? '';
  if (!MOODS.includes(mood)) throw new Refusal(400, 'bad-field', `mood: ${MOODS.slice(1).join(', ')} 중 하나여야 해요`);
  return {
    title: textField(input, 'title', { max: LIMITS.title, required: false }),
    body: textField(input, 'body', { max: LIMITS.body, required: true }),
    mood,
    createdAt: dateFrom(input.createdAt),
  };
}

// Entries that a browser kept while the API was off bring their own date.
function dateFrom(value) {
  if (value === undefined) return new Date().toISOString();
  const date = typeof value === 'string' && value.length <= 40 ? new Date(value) : new Date(NaN);
  const year = date.getUTCFullYear();
  if (!(year >= 1900 && date.getTime() <= Date.now() + 86_400_000)) {
    throw new Refusal(400, 'bad-field', 'createdAt: 2026-11-22T21:00:00Z 같은 지난 날짜여야 해요');
  }
  return date.toISOString();
}

function wholeNumber(value, name, max = Number.MAX_SAFE_INTEGER) {
  const number = typeof value === 'string' && /^[1-9]\d{0,15}$/.test(value) ? Number(value) : NaN;
  if (!(number <= max)) throw new Refusal(400, 'bad-number', `${name}: 1부터 ${max}까지의 수여야 해요`);
  return number;
}

// --- The API ---------------------------------------------------------------------------------------------------------

function entriesApi(entries) {
  const api = express.Router({ caseSensitive: true, strict: true });

  api.use((req, res, next) => {
    res.set('Cache-Control', 'no-store');
    // Other apps of this server live under the same parent domain: their pages may link here but not write here.
    const from = req.get('Sec-Fetch-Site') ?? 'none';
    const writes = req.method !== 'GET' && req.method !== 'HEAD';
    if (writes && from !== 'same-origin' && from !== 'none') {
      throw new Refusal(403, 'cross-site', '다른 사이트에서는 일기를 고칠 수 없어요');
    }
    next();
  });

  api
    .route('/entries')
    .get((req, res) => {
      const before = req.query.before === undefined ? undefined : wholeNumber(req.query.before, 'before');
      const limit = req.query.limit === undefined ? 50 : wholeNumber(req.query.limit, 'limit', LIMITS.page);
      res.json(entries.page(before, limit));
    })
    // Only application/json is read. A form of a foreign page cannot send that without asking first.
    .post(express.json({ limit: LIMITS.request, strict: false }), (req, res) => {
      if (req.body === undefined && !req.is('application/json')) {
        throw new Refusal(415, 'not-json', 'Content-Type: application/json 으로 보내 주세요');
      }
      const entry = entries.add(entryFrom(req.body));
      res.status(201).location(`/api/entries/${entry.id}`).json(entry);
    })
    .all(onlyMethods('GET, HEAD, POST'));

  api
    .route('/entries/:id')
    .get((req, res) => {
      const entry = entries.get(wholeNumber(req.params.id, 'id'));
      if (!entry) throw new Refusal(404, 'no-entry', '그런 일기가 없어요');
      res.json(entry);
    })
    .delete((req, res) => {
      if (!entries.remove(wholeNumber(req.params.id, 'id'))) throw new Refusal(404, 'no-entry', '그런 일기가 없어요');
      res.status(204).end();
    })
    .all(onlyMethods('GET, HEAD, DELETE'));

  return api;
}

function onlyMethods(allowed) {
  return (_req, res) => {
    res.set('Allow', allowed);
    throw new Refusal(405, 'bad-method', `${allowed} 만 쓸 수 있어요`);
  };
}

// --- The site --------------------------------------------------------------------------------------------------------

function site(entries, life) {
  const app = express();
  app.disable('x-powered-by');
  app.enable('case sensitive routing');
  app.set('query parser', 'simple');

  app.use((_req, res, next) => {
    res.set({
      // Nothing from elsewhere is loaded and nothing inline runs, so text of an entry can never become code.
      'Content-Security-Policy':
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
      'X-Content-Type-Options': 'nosniff',
      'X-Frame-Options': 'DENY',
      'Referrer-Policy': 'no-referrer',
      'Cross-Origin-Resource-Policy': 'same-origin',
      'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
    });
    if (life.stopping) res.set('Connection', 'close');
    next();
  });

  app.get('/healthz', (_req, res) => {
    res.set('Cache-Control', 'no-store');
    if (life.stopping) throw new Refusal(503, 'stopping', 'stopping');
    entries?.page(undefined, 1);
    res.json({ ok: true, api: entries !== null });
  });

  if (entries) app.use('/api', entriesApi(entries));
  // Also where the API is on: an unknown path under /api is answered in JSON.
  app.use('/api', () => {
    throw entries
      ? new Refusal(404, 'not-found', '그런 주소가 없어요')
      : new Refusal(404, 'api-off', '저장 기능(API)이 꺼져 있어요. 일기는 이 브라우저에만 보관돼요');
  });

  // "no-cache" means: keep it, but ask before using it. With the ETag that costs one small answer, and a deploy shows
  // at once.
  const cached = { cacheControl: false, setHeaders: (res) => res.set('Cache-Control', 'no-cache') };
  app.get('/', (_req, res) => {
    res.set('Cache-Control', 'no-cache').sendFile(path.join(__dirname, 'index.html'), { cacheControl: false });
  });
  app.use(
    express.static(path.join(__dirname, 'public'), { ...cached, index: false, redirect: false, dotfiles: 'ignore' }),
  );

  app.use(() => {
    throw new Refusal(404, 'not-found', '이 주소에는 아무것도 없어요');
  });

  // Express knows an error handler by its four parameters.
  app.use((error, req, res, next) => {
    if (res.headersSent) return next(error);
    const { status, code, message } = explain(error);
    if (status >= 500 && status !== 503) console.error(error);
    if (status === 503) res.set('Retry-After', '1');
    res.status(status);
    if (req.path.startsWith('/api') || req.path === '/healthz') return res.json({ error: message, code });
    return res.type('text/plain').send(`${status} ${message}\n`);
  });
  return app;
}

function explain(error) {
  if (error instanceof Refusal) return error;
  switch (error.type ?? error.code) {
    case 'entity.too.large':
      return { status: 413, code: 'too-large', message: '글이 너무 길어요' };
    case 'entity.parse.failed':
      return { status: 400, code: 'bad-json', message: 'JSON을 읽을 수 없어요' };
    case 'SQLITE_BUSY':
      return { status: 503, code: 'busy', message: '저장소가 바빠요. 잠시 후 다시 해 주세요' };
    case 'SQLITE_FULL':
      return { status: 507, code: 'disk-full', message: '저장 공간이 가득 찼어요' };
  }
  // Errors of the HTTP layer (a broken % sequence, an unknown encoding) say their status themselves.
  const status = error.status >= 400 && error.status < 500 ? error.status : 500;
  return status === 500
    ? { status, code: 'internal', message: '서버에 문제가 생겼어요' }
    : { status, code: 'bad-request', message: '요청을 이해할 수 없어요' };
}

// --- Start and stop --------------------------------------------------------------------------------------------------

function main() {
  if (!Number.isInteger(settings.port) || settings.port < 0 || settings.port > 65535) {
    throw new Error(`PORT is ${process.env.PORT}, expected a number from 0 to 65535`);
  }
  const life = { stopping: false };
  const entries = settings.api ? openEntries(settings.database) : null;
  const server = site(entries, life).listen(settings.port, (error) => {
    if (error) throw error;
    const where = settings.api ? `entries in ${settings.database}` : 'API off';
    console.log(`diary: listening on port ${server.address().port}, ${where}`);
  });
  // The gateway keeps idle connections for reuse. Closing them on this side first would race with its next request.
  server.keepAliveTimeout = 120_000;
  server.headersTimeout = 15_000;
  server.requestTimeout = 30_000;

  // Docker sends SIGTERM and kills ten seconds later. Requests being answered may finish, new ones go elsewhere.
  const stop = (signal) => {
    if (life.stopping) return;
    life.stopping = true;
    console.log(`diary: ${signal}, finishing`);
    server.close(() => {
      // Closing writes the WAL back into the database, so that a copy of the one file is complete.
      entries?.close();
      console.log('diary: stopped');
      process.exit(0);
    });
    // A connection that was busy at first may be idle now, and would hold the server open.
    setInterval(() => server.closeIdleConnections(), 100).unref();
    setTimeout(() => server.closeAllConnections(), 6_000).unref();
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

main();
