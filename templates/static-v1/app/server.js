'use strict';
// Serves one page: index.html and the files in public/. Everything else here, this file included, answers 404.

const path = require('node:path');
const express = require('express');

const life = { stopping: false };
const app = express();
app.disable('x-powered-by');
app.enable('case sensitive routing');
app.set('query parser', 'simple');

app.use((_req, res, next) => {
  res.set({
    // Pictures and videos may come from elsewhere, and style="…" in the page works: people edit this page by hand.
    // Scripts only from public/.
    'Content-Security-Policy':
      "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: https:; " +
      "font-src 'self'; media-src 'self' https:; frame-src https:; connect-src 'self'; manifest-src 'self'; " +
      "base-uri 'none'; form-action 'self' https:; frame-ancestors 'none'",
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    'Referrer-Policy': 'strict-origin-when-cross-origin',
    'Permissions-Policy': 'camera=(), geolocation=(), microphone=()',
  });
  if (life.stopping) res.set('Connection', 'close');
  next();
});

app.get('/healthz', (_req, res) => {
  res.set('Cache-Control', 'no-store').status(life.stopping ? 503 : 200).json({ ok: !life.stopping });
});

// "no-cache" means: keep it, but ask before using it. With the ETag that costs one small answer, and an edit shows at once.
app.get('/', (_req, res) => {
  res.set('Cache-Control', 'no-cache').sendFile(path.join(__dirname, 'index.html'), { cacheControl: false });
});
app.use(
  express.static(path.join(__dirname, 'public'), {
    cacheControl: false,
    setHeaders: (res) => res.set('Cache-Control', 'no-cache'),
    index: false,
    redirect: false,
    dotfiles: 'ignore',
  }),
);

app.use((_req, res) => res.status(404).type('text/plain').send('404 이 주소에는 아무것도 없어요\n'));

// Express knows an error handler by its four parameters.
app.use((error, _req, res, next) => {
  if (res.headersSent) return next(error);
  const status = error.status >= 400 && error.status < 500 ? error.status : 500;
  if (status === 500) console.error(error);
  return res.status(status).type('text/plain').send(`${status} ${status === 500 ? '서버에 문제가 생겼어요' : '요청을 이해할 수 없어요'}\n`);
});

const port = Number(process.env.PORT ?? 3000);
if (!Number.isInteger(port) || port < 0 || port > 65535) {
  throw new Error(`PORT is ${process.env.PORT}, expected a number from 0 to 65535`);
}
const server = app.listen(port, (error) => {
  if (error) throw error;
  console.log(`page: listening on port ${server.address().port}`);
});
// The gateway keeps idle connections for reuse. Closing them on this side first would race with its next request.
server.keepAliveTimeout = 120_000;
server.headersTimeout = 15_000;
server.requestTimeout = 30_000;

// Docker sends SIGTERM and kills ten seconds later. Requests being answered may finish, new ones go elsewhere.
function stop(signal) {
  if (life.stopping) return;
  life.stopping = true;
  console.log(`page: ${signal}, finishing`);
  server.close(() => {
    console.log('page: stopped');
    process.exit(0);
  });
  setInterval(() => server.closeIdleConnections(), 100).unref();
  setTimeout(() => server.closeAllConnections(), 6_000).unref();
}
process.on('SIGTERM', stop);
process.on('SIGINT', stop);
