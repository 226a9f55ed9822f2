// Takes so long to boot that whoever opens it sees the page that waits. Every page has a form, and its answer what was sent.

const { createServer } = require('node:http');

const BOOTS_MS = 4_000;

const page = (text) => `<!doctype html><html lang="en"><meta charset="utf-8"><title>slow</title><h1>${text}</h1>
<form method="post" action="/say"><label>word <input name="word"></label><button>send</button></form></html>`;

const server = createServer((request, response) => {
  let sent = '';
  request.on('data', (chunk) => (sent += chunk));
  request.on('end', () => {
    response.setHeader('Content-Type', 'text/html');
    response.end(page(request.method === 'POST' ? `heard ${sent.replace(/[^\w=]/g, '')}` : 'awake'));
  });
});
setTimeout(() => server.listen(process.env.PORT), BOOTS_MS);
process.on('SIGTERM', () => process.exit(0));
