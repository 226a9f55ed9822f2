import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, it } from 'node:test';
import { start } from './app.mjs';
import { shipped, siteOf } from './shipped.mjs';

describe('static-v1', () => {
  shipped('static-v1', { ko: /지도에서 보기/, en: /On a map/, isOpen: true });

  it('shows what is filled in, and no heading over nothing', async (t) => {
    const app = await siteOf(t, 'static-v1');
    const { text } = await app.page();
    for (const said of ['천천히 고르는 작은 책방', '손으로 고른 책', '12월 3일', '<strong>겨울 책 꾸러미</strong>', 'href="tel:02-000-0000"']) {
      assert.ok(text.includes(said), said);
    }
    const bare = await siteOf(t, 'static-v1', ({ name, headline }) => ({ name, headline }));
    assert.doesNotMatch((await bare.page()).text, /<h2|<nav|<dl|<footer/);
  });

  it('gives way to a page that its owner wrote by hand, and opens others beside it', async (t) => {
    const app = await siteOf(t, 'static-v1');
    writeFileSync(path.join(app.folder, 'second.html'), 'second');
    assert.equal(await (await app.get('/second')).text(), 'second');
    writeFileSync(path.join(app.folder, 'index.html'), 'by hand');
    assert.equal(await (await app.get('/')).text(), 'by hand');
  });

  it('has no API', async (t) => {
    const app = await start(t, 'static-v1', { ENABLE_API: 'true' });
    assert.equal((await app.raw('/api/entries')).status, 404);
    assert.equal((await app.get('/', { method: 'POST' })).status, 404);
    assert.deepEqual(await (await app.get('/healthz')).json(), { ok: true, api: true });
  });
});
