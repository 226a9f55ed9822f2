import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { start } from './app.mjs';

describe('static-v1', () => {
  it('serves its page and every file the page names', async (t) => {
    const app = await start(t, 'static-v1');
    const response = await app.get('/');
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-security-policy'), /script-src 'self'/);
    const page = await response.text();
    assert.match(page, /<html lang="ko">/);
    const files = [...page.matchAll(/(?:src|href)="([a-z][^":#]*)"/g)].map(([, file]) => file);
    assert.ok(files.includes('style.css'));
    for (const file of files.filter((file) => !/[가-힣]/.test(file))) {
      assert.equal((await app.get(`/${file}`)).status, 200, file);
    }
  });

  it('hides its source and has no API', async (t) => {
    const app = await start(t, 'static-v1', { ENABLE_API: 'true' });
    for (const where of ['/server.js', '/package.json', '/public/style.css', '/..%2fserver.js', '/api/entries', '/.env', '/%E0%A4%A']) {
      assert.equal((await app.raw(where)).status, 404, where);
    }
    assert.equal((await app.get('/', { method: 'POST' })).status, 404);
  });

  it('is revalidated by its ETag', async (t) => {
    const app = await start(t, 'static-v1');
    const etag = (await app.get('/')).headers.get('etag');
    assert.equal((await app.raw('/', { 'If-None-Match': etag })).status, 304);
  });

  it('answers /healthz and ends with 0 at SIGTERM', async (t) => {
    const app = await start(t, 'static-v1');
    assert.deepEqual(await (await app.get('/healthz')).json(), { ok: true, api: false });
    assert.deepEqual(await app.stop(), { code: 0, signal: null });
    assert.match(app.output, /stopped/);
  });
});
