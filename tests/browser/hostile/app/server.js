'use strict';
// A hostile app: it remembers every cookie that any request brought, and sets what it likes for the whole domain.

const http = require('node:http');

const seen = new Set();

const sets = {
  // What the portal's session is called, for the whole domain and for the paths of the portal that come first.
  '/toss': (domain) =>
    ['/', '/apps', '/apps/', '/auth', '/auth/', '/auth/me'].map(
      (path) => `paas_portal_session=tossed; Domain=${domain}; Path=${path}`,
    ),
  // Nine of 3.9 KB: the heads of all requests below the domain would be too large to be read.
  '/bomb': (domain) => [...Array(9).keys()].map((n) => `bomb${n}=${'x'.repeat(3900)}; Domain=${domain}; Path=/`),
};

http
  .createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://app');
    if (pathname !== '/healthz') seen.add(request.headers.cookie ?? '');
    if (pathname === '/seen') {
      response.setHeader('Content-Type', 'application/json');
      response.end(JSON.stringify([...seen]));
      return;
    }
    const cookies = sets[pathname]?.(searchParams.get('domain'));
    if (cookies) response.setHeader('Set-Cookie', cookies);
    response.setHeader('Content-Type', 'text/html');
    response.end('<!doctype html><title>hostile</title><h1>hello</h1>');
  })
  .listen(3000);
