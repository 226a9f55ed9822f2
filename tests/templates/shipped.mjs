// What is asked of every template that is driven by content.json.
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { it } from 'node:test';
import { startIn, templateFile } from './app.mjs';

const require = createRequire(import.meta.url);
const { fitting } = require(path.join(path.dirname(require.resolve('site')), 'content.js'));

const readJson = (template, file) => JSON.parse(readFileSync(templateFile(template, file), 'utf8'));

/** A site made from the template, with `change` applied to its content. */
export async function siteOf(t, template, change = (content) => content, env = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), `${template}-`));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(templateFile(template, 'app'), folder, { recursive: true });
  const file = path.join(folder, 'content.json');
  const content = change(JSON.parse(readFileSync(file, 'utf8')));
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  const app = await startIn(t, folder, env);
  app.folder = folder;
  app.page = async (where = '/', headers = {}) => {
    const response = await app.get(where, { headers: { Accept: 'text/html', 'Accept-Language': 'ko', ...headers } });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  return app;
}

/**
 * The tests that are the same for all. `ko` and `en` are words of the template in both languages; an open one may show pictures of
 * other sites and have style in its markup, because its owner may write more pages by hand.
 */
export function shipped(template, { ko, en, env = () => ({}), isOpen = false }) {
  const site = (t, change) => siteOf(t, template, change, env(t));

  it('brings content that fits its schema, in Korean and in English', () => {
    const schema = readJson(template, 'app/content.schema.json');
    const without = (value) => JSON.parse(JSON.stringify(value, (key, each) => (['alt', 'caption'].includes(key) && each === '' ? undefined : each)));
    for (const file of ['app/content.json', 'content.en.json']) {
      const content = readJson(template, file);
      assert.deepEqual(without(fitting(schema, content)), without(content), file);
    }
    assert.match(JSON.stringify(readJson(template, 'app/content.json')), /[가-힣]/);
    assert.doesNotMatch(JSON.stringify(readJson(template, 'content.en.json')), /[가-힣]/);
    assert.deepEqual(Object.keys(schema.properties).sort(), [...schema['x-order']].sort());
  });

  it('brings every picture that its content names, none above 40 KiB', () => {
    assert.ok(statSync(templateFile(template, 'preview.webp')).size <= 40 * 1024);
    for (const file of ['app/content.json', 'content.en.json']) {
      for (const [, src] of JSON.stringify(readJson(template, file)).matchAll(/"src":"([^"]+)"/g)) {
        assert.ok(statSync(templateFile(template, `app/public/${src}`)).size <= 40 * 1024, src);
      }
    }
  });

  it('serves its page with all files that it names, and nothing runs in it but its own', async (t) => {
    const app = await site(t);
    const { status, headers, text } = await app.page();
    assert.equal(status, 200);
    assert.match(headers.get('content-security-policy'), /default-src 'none'; script-src 'self'; style-src 'self'/);
    if (!isOpen) {
      assert.match(headers.get('content-security-policy'), /style-src 'self' 'sha256-/);
      assert.doesNotMatch(headers.get('content-security-policy'), /unsafe|https?:/);
    }
    assert.doesNotMatch(text, /\sstyle="|\son[a-z]+="|<script(?![^>]*\ssrc=)|undefined|\[object/);
    const files = [...text.matchAll(/(?:src|href)="(\/[^"#?]*)"/g)].map(([, file]) => file).filter((file) => !file.startsWith('/.paas/'));
    assert.ok(files.includes('/style.css'));
    for (const file of new Set(files)) assert.equal((await app.raw(file)).status, 200, file);
  });

  it('tells a shared link\'s title, text and picture', async (t) => {
    const app = await site(t);
    const { body } = await app.raw('/', { Host: 'alice-x.example.org', 'X-Forwarded-Proto': 'https', 'Accept-Language': 'ko' });
    for (const property of ['og:title', 'og:description', 'og:image', 'og:url']) {
      assert.match(body, new RegExp(`<meta property="${property}" content="[^"]+">`), property);
    }
    assert.match(body, /og:image" content="https:\/\/alice-x\.example\.org\/[^"]+\.webp"/);
  });

  it('speaks Korean and English, by the visitor or as its owner wants', async (t) => {
    const app = await site(t);
    assert.match((await app.page()).text, ko);
    assert.match((await app.page('/', { 'Accept-Language': 'en-GB,en;q=0.9' })).text, en);
    const fixed = await site(t, (content) => ({ ...content, language: 'en' }));
    assert.match((await fixed.page()).text, en);
  });

  it('stays open whatever is in its content', async (t) => {
    const nasty = '"><script>alert(1)</script><img src=x onerror=alert(1)>';
    const spoilt = (value) => {
      if (typeof value === 'string') return nasty;
      if (Array.isArray(value)) return value.map(spoilt);
      if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, spoilt(each)]));
      return value;
    };
    for (const change of [() => ({}), () => '[]', () => '{', () => 'null', spoilt, (content) => Object.fromEntries(Object.keys(content).map((key) => [key, 7]))]) {
      const app = await site(t, change);
      const { status, text } = await app.page();
      assert.equal(status, 200);
      assert.doesNotMatch(text, /<script>|<img src=x|undefined|\[object/);
    }
  });

  it('hides its source, and says friendly what is not there', async (t) => {
    const app = await site(t);
    for (const where of ['/server.js', '/content.json', '/content.schema.json', '/public/style.css', '/..%2fcontent.json', '/%2e%2e/server.js', '/.env', '/server', '/%E0%A4%A']) {
      const { status, body } = await app.raw(where, { Accept: 'text/html', 'Accept-Language': 'ko' });
      assert.equal(status, 404, where);
      assert.match(body, /여기에는 아무것도 없어요/);
    }
  });

  it('has a print style, both themes, and respects who wants no motion', () => {
    const style = readFileSync(templateFile(template, 'app/public/style.css'), 'utf8');
    for (const media of ['@media print', 'prefers-color-scheme: dark', 'prefers-reduced-motion: reduce']) assert.ok(style.includes(media), media);
    assert.doesNotMatch(style, /url\(|@import|https?:/);
  });

  it('answers /healthz and ends with 0 at SIGTERM', async (t) => {
    const app = await site(t);
    assert.equal((await (await app.get('/healthz')).json()).ok, true);
    assert.deepEqual(await app.stop(), { code: 0, signal: null });
  });
}
