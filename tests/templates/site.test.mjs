import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { dataFolder, startIn } from './app.mjs';

const KOREAN = { 'Accept-Language': 'ko-KR,ko;q=0.9,en;q=0.8', Accept: 'text/html' };
const ENGLISH = { 'Accept-Language': 'en-US,en;q=0.9,ko;q=0.8', Accept: 'text/html' };

/** A site of these files; `server` is what stands between `create` and `start`. */
function folder(t, files = {}, server = '') {
  const root = mkdtempSync(path.join(tmpdir(), 'site-test-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const all = { 'server.js': `const site = require('site');\nconst app = site.create();\n${server}\napp.start();\n`, 'index.html': 'first', ...files };
  for (const [name, text] of Object.entries(all)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), text);
  }
  return root;
}

const site = (t, files, server, env) => startIn(t, folder(t, files, server), env);

describe('pages', () => {
  it('are found by short addresses, beside server.js and in public/', async (t) => {
    const app = await site(t, {
      'second.html': 'second', 'sub/index.html': 'sub', 'public/third.html': 'third', 'public/deep/er/index.html': 'deeper',
      'public/second.html': 'public comes first', '한글.html': '글', 'public/a b.html': 'blank',
    });
    for (const [where, text] of [
      ['/', 'first'], ['/index.html', 'first'], ['/?x=1', 'first'], ['/second', 'public comes first'], ['/second.html', 'public comes first'],
      ['/sub/', 'sub'], ['/sub/index.html', 'sub'], ['/third', 'third'], ['/deep/er/', 'deeper'],
      ['/%ED%95%9C%EA%B8%80', '글'], ['/a%20b', 'blank'],
    ]) {
      const { status, body } = await app.raw(where);
      assert.deepEqual([status, body], [200, text], where);
    }
    const page = await app.get('/third');
    assert.match(page.headers.get('content-type'), /^text\/html/);
    assert.equal(page.headers.get('cache-control'), 'no-cache');
    assert.equal((await app.raw('/third', { 'If-None-Match': page.headers.get('etag') })).status, 304);
  });

  it('whose name a Mac has written are found by what people type', async (t) => {
    const app = await site(t, { [`${'소개'.normalize('NFD')}.html`]: 'about' });
    assert.equal((await app.raw(`/${encodeURIComponent('소개')}`)).body, 'about');
  });

  it('of a folder get their slash, so that their pictures are found, and nobody is led elsewhere', async (t) => {
    const app = await site(t, { 'sub/index.html': 'sub', 'public/x:y/index.html': 'odd' });
    const answer = await app.get('/sub?a=1', { redirect: 'manual' });
    assert.equal(answer.status, 301);
    assert.equal(answer.headers.get('location'), './sub/?a=1');
    assert.equal((await app.get('/x:y', { redirect: 'manual' })).headers.get('location'), './x%3Ay/');
    for (const where of ['//example.org/sub', '//sub', '/\\sub', '/%2f%2fexample.org/sub']) {
      assert.equal((await app.raw(where)).status, 404, where);
    }
  });

  it('are all that is shown of the folder beside public/', async (t) => {
    const app = await site(t, {
      'notes.txt': 'private', 'secret': 'private', 'lib/helper.js': 'private', '.hidden.html': 'private', '.git/index.html': 'private',
      'node_modules/x/index.html': 'private', 'public/.env': 'private', 'secret.js': 'private',
    });
    for (const where of [
      '/notes.txt', '/secret', '/secret.js', '/lib/helper.js', '/lib/', '/.hidden', '/.hidden.html', '/.git/', '/node_modules/x/', '/.env',
      '/server.js', '/server', '/../server.js', '/%2e%2e/server.js', '/..%2findex.html', '/sub/../../x', '/index.html%00', '/index.html/',
    ]) {
      const { status, body } = await app.raw(where);
      assert.ok(status === 404 || (status === 400 && where.includes('%00')), `${where} answered ${status}`);
      assert.doesNotMatch(body, /private|require/, where);
    }
  });
});

describe('what is not there', () => {
  it('is a friendly page in the language of the visitor', async (t) => {
    const app = await site(t);
    const korean = await app.get('/nothing', { headers: KOREAN });
    assert.equal(korean.status, 404);
    const page = await korean.text();
    assert.match(page, /<html lang="ko">[^]*여기에는 아무것도 없어요[^]*href="\/"/);
    assert.doesNotMatch(page, /nothing/, 'what was asked for stands nowhere in the answer');
    assert.match(await (await app.get('/nothing', { headers: ENGLISH })).text(), /<html lang="en">[^]*There is nothing here/);
    assert.match(await (await app.get('/nothing')).text(), /There is nothing here/, 'who says nothing is a program');
    assert.match(korean.headers.get('vary'), /Accept-Language/);
    assert.match(korean.headers.get('content-security-policy'), /style-src 'sha256-/);
  });

  it('is JSON for programs, and below /api', async (t) => {
    const app = await site(t);
    for (const [where, headers] of [['/nothing', { Accept: 'application/json' }], ['/api/nothing', KOREAN], ['/api', KOREAN]]) {
      const answer = await app.get(where, { headers });
      assert.equal(answer.status, 404);
      assert.match((await answer.json()).code, /not-found|api-off/);
    }
    assert.equal((await app.get('/apiary', { headers: KOREAN })).headers.get('content-type').split(';')[0], 'text/html');
  });

  it('is the 404.html of the site when it has one', async (t) => {
    const app = await site(t, { '404.html': 'my own' });
    const answer = await app.get('/nothing', { headers: KOREAN });
    assert.deepEqual([answer.status, await answer.text()], [404, 'my own']);
  });
});

describe('what goes wrong', () => {
  it('is a friendly page without a word of the code, and the log has the reason', async (t) => {
    const app = await site(t, {}, `app.get('/broken', () => { throw new Error('the password is 1234'); });
      app.get('/late', async () => { throw new Error('late'); });`);
    for (const where of ['/broken', '/late']) {
      const answer = await app.get(where, { headers: KOREAN });
      assert.equal(answer.status, 500);
      const page = await answer.text();
      assert.match(page, /사이트에 문제가 생겼어요/);
      assert.doesNotMatch(page, /1234|late|server\.js/);
    }
    assert.match(await (await app.get('/broken', { headers: ENGLISH })).text(), /This site has a problem/);
    assert.match(app.output, /the password is 1234[^]*server\.js:\d+/);
    assert.equal((await app.get('/')).status, 200, 'it goes on');
  });

  it('because a file may not be read is told in the log with the remedy', async (t) => {
    const root = folder(t, { 'public/photo.jpg': 'x' });
    chmodSync(path.join(root, 'public/photo.jpg'), 0o000);
    const app = await startIn(t, root);
    const answer = await app.get('/photo.jpg', { headers: KOREAN });
    assert.equal(answer.status, 500);
    assert.match(app.output, /chmod 644 public\/photo\.jpg/);
  });

  it('by a broken address is the visitor\'s mistake', async (t) => {
    const app = await site(t);
    assert.equal((await app.raw('/%E0%A4%A')).status, 404);
  });
});

describe('addresses of one\'s own', () => {
  it('come before the files', async (t) => {
    const app = await site(t, { 'hello.html': 'file' }, `app.get('/hello', (req, res) => res.send('안녕하세요!'));`);
    assert.equal(await (await app.get('/hello')).text(), '안녕하세요!');
  });
});

describe('the API', () => {
  const notes = `app.api('/notes', {
    get: () => ['a'],
    post: ({ body }, res) => { res.status(201); return { text: site.text(body, 'text', { max: 5, required: true }) }; },
  });
  app.api('/notes/:id', { delete: () => {}, get: async ({ params }) => ({ id: site.number(params.id, 'id', { max: 9 }) }), put: (req, res) => res.json(1) });`;
  const on = { ENABLE_API: 'true' };

  it('answers with what a handler returns', async (t) => {
    const app = await site(t, {}, notes, on);
    assert.deepEqual(await (await app.get('/api/notes')).json(), ['a']);
    const made = await app.send('POST', '/api/notes', { text: ' hi ' });
    assert.deepEqual([made.status, await made.json()], [201, { text: 'hi' }]);
    assert.deepEqual(await (await app.get('/api/notes/7')).json(), { id: 7 });
    assert.equal((await app.send('DELETE', '/api/notes/7')).status, 204);
    assert.equal(await (await app.send('PUT', '/api/notes/7', {})).json(), 1);
    assert.equal(made.headers.get('cache-control'), 'no-store');
  });

  it('refuses what cannot be taken, in the language of the reader', async (t) => {
    const app = await site(t, {}, notes, on);
    for (const [method, where, body, status, code] of [
      ['POST', '/api/notes', '{', 400, 'bad-json'], ['POST', '/api/notes', '[]', 400, 'bad-body'], ['POST', '/api/notes', {}, 400, 'bad-field'],
      ['POST', '/api/notes', { text: '123456' }, 400, 'bad-field'], ['GET', '/api/notes/10', undefined, 400, 'bad-number'],
      ['PATCH', '/api/notes', {}, 405, 'bad-method'], ['GET', '/api/other', undefined, 404, 'not-found'],
    ]) {
      const answer = await app.send(method, where, body);
      assert.deepEqual([answer.status, (await answer.json()).code], [status, code], `${method} ${where} ${JSON.stringify(body)}`);
    }
    const said = async (language) => (await (await app.send('POST', '/api/notes', {}, language)).json()).error;
    assert.equal(await said({ 'Accept-Language': 'ko' }), 'text: 비어 있어요');
    assert.equal(await said({ 'Accept-Language': 'en' }), 'text: is empty');
    assert.equal((await app.send('POST', '/api/notes', 'text=x', { 'Content-Type': 'text/plain' })).status, 415);
    assert.equal((await app.send('DELETE', '/api/notes/1', undefined, { 'Sec-Fetch-Site': 'same-site' })).status, 403);
    assert.equal((await app.send('PUT', '/api/notes', {})).headers.get('allow'), 'GET, HEAD, POST');
  });

  it('is not there when it is off, and says so', async (t) => {
    const app = await site(t, {}, notes);
    const answer = await app.get('/api/notes');
    assert.deepEqual([answer.status, (await answer.json()).code], [404, 'api-off']);
    assert.deepEqual(await (await app.get('/healthz')).json(), { ok: true, api: false });
  });
});

describe('the database', () => {
  const server = (tables) => `const db = app.database(${JSON.stringify(tables)});
    app.get('/count', (req, res) => res.json(db.prepare('SELECT count(*) AS n FROM t').get().n));
    app.get('/columns', (req, res) => res.json(db.pragma('table_info(t)').map((column) => column.name)));
    app.get('/add', (req, res) => res.json(db.prepare('INSERT INTO t DEFAULT VALUES').run().changes));`;

  it('keeps what it has when a table is added to the list', async (t) => {
    const env = { SQLITE_PATH: dataFolder(t) };
    const first = await site(t, {}, server(['CREATE TABLE t (a)']), env);
    await first.get('/add');
    assert.deepEqual(await first.stop(), { code: 0, signal: null });
    const second = await site(t, {}, server(['CREATE TABLE t (a)', 'ALTER TABLE t ADD COLUMN b']), env);
    assert.equal(await (await second.get('/count')).json(), 1);
    assert.deepEqual(await (await second.get('/columns')).json(), ['a', 'b']);
  });
});

describe('a server.js', () => {
  it('that forgets app.start() is told so', async (t) => {
    const root = folder(t, { 'server.js': "require('site').create();\n" });
    await assert.rejects(startIn(t, root), /ended with 1[^]*app\.start\(\)/);
  });

  it('may be written with import as well', async (t) => {
    const root = folder(t, { 'package.json': '{"type":"module"}', 'server.js': "import site from 'site';\nsite.create().start();\n" });
    const app = await startIn(t, root);
    assert.equal(await (await app.get('/')).text(), 'first');
  });
});

describe('the module', () => {
  it('has a version, and offers no less than version 1.0 did', () => {
    const module = createRequire('/node_modules/x')('site');
    assert.match(module.version, /^1\.\d+\.\d+$/);
    assert.deepEqual(
      ['create', 'refuse', 'text', 'number', 'pastDate', 'Refusal'].filter((name) => typeof module[name] !== 'function'), [],
    );
  });
});
