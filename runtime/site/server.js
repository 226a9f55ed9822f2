'use strict';
// Listening, and ending in good order.

/** Listens on PORT until SIGTERM or SIGINT; `close` runs after the last answer. */
function listen(app, life, close) {
  const port = Number(process.env.PORT ?? 3000);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw new Error(`PORT is ${process.env.PORT}, expected a number from 0 to 65535`);
  }
  const server = app.listen(port, (error) => {
    if (error) throw error;
    console.log(`site: listening on port ${server.address().port}${app.apiEnabled ? ', API on' : ''}`);
  });
  // The gateway keeps idle connections for reuse. Closing them on this side first would race with its next request.
  server.keepAliveTimeout = 120_000;
  server.headersTimeout = 15_000;
  server.requestTimeout = 30_000;

  // Docker sends SIGTERM and kills ten seconds later. Requests being answered may finish, new ones go elsewhere.
  const stop = (signal) => {
    if (life.stopping) return;
    life.stopping = true;
    console.log(`site: ${signal}, finishing`);
    server.close(() => {
      close();
      console.log('site: stopped');
      process.exit(0);
    });
    // A connection that was busy at first may be idle now, and would hold the server open.
    setInterval(() => server.closeIdleConnections(), 100).unref();
    setTimeout(() => server.closeAllConnections(), 6_000).unref();
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  return server;
}

module.exports = { listen };
