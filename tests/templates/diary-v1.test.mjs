import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { dataFolder, start, templateFile } from './app.mjs';

const diary = (test, file = dataFolder(test)) => start(test, 'diary-v1', { ENABLE_API: 'true', SQLITE_PATH: file });

async function answers(promise, status, code) {
  const response = await promise;
  const body = await response.text();
  assert.equal(response.status, status, body);
  if (code === undefined) return body === '' ? null : JSON.parse(body);
  assert.match(response.headers.get('content-type'), /^application\/json/);
  const answer = JSON.parse(body);
  assert.equal(answer.code, code);
  assert.ok(answer.error.length > 0);
  return answer;
}

describe('the page', () => {
  it('is served with its files, and nothing in it needs an inline script or style', async (t) => {
    const app = await diary(t);
    for (const [where, type] of [
      ['/', 'text/html'], ['/style.css', 'text/css'], ['/diary.js', 'text/javascript'],
      ['/icon.svg', 'image/svg+xml'], ['/app.webmanifest', 'application/manifest+json'],
    ]) {
      const response = await app.get(where);
      assert.equal(response.status, 200, where);
      assert.ok(response.headers.get('content-type').startsWith(type), where);
      assert.equal(response.headers.get('x-content-type-options'), 'nosniff');
      const policy = response.headers.get('content-security-policy');
      assert.match(policy, /default-src 'none'/);
      assert.doesNotMatch(policy, /unsafe|https?:/);
      assert.equal(response.headers.get('x-powered-by'), null);
    }
    const page = await (await app.get('/')).text();
    assert.match(page, /<html lang="ko">/);
    assert.doesNotMatch(page, /\sstyle=|\son[a-z]+=|<style|<script(?![^>]*\ssrc=)|(?:src|href)="(?:https?:)?\/\//);
    for (const [, file] of page.matchAll(/(?:src|href)="([a-z][^"#]*)"/g)) {
      assert.equal((await app.get(`/${file}`)).status, 200, file);
    }
  });

  it('is revalidated by its ETag, and HEAD answers without a body', async (t) => {
    const app = await diary(t);
    for (const where of ['/', '/style.css']) {
      const first = await app.get(where);
      assert.equal(first.headers.get('cache-control'), 'no-cache');
      const etag = first.headers.get('etag');
      assert.ok(etag);
      assert.equal((await app.raw(where, { 'If-None-Match': etag })).status, 304);
      const head = await app.get(where, { method: 'HEAD' });
      assert.equal(head.status, 200);
      assert.equal(head.headers.get('content-length'), first.headers.get('content-length'));
      assert.equal(await head.text(), '');
    }
  });

  it('shows what changes something only once it knows that the visitor may', async (t) => {
    const page = await (await (await diary(t)).get('/')).text();
    for (const id of ['write', 'invite', 'reader-delete']) assert.match(page, new RegExp(`id="${id}"[^>]* hidden>`), id);
  });

  it('puts the text of entries on the screen as text only', () => {
    const script = readFileSync(templateFile('diary-v1', 'app/public/diary.js'), 'utf8');
    assert.doesNotMatch(script, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function/);
  });
});

describe('the source', () => {
  it('cannot be fetched, however the path is written', async (t) => {
    const app = await diary(t);
    const paths = [
      '/server.js', '/package.json', '/template.json', '/public/diary.js', '/node_modules/express/package.json',
      '/../server.js', '/public/../server.js', '/..%2fserver.js', '/%2e%2e/server.js', '/..\\server.js', '/%5c..%5cserver.js',
      '//server.js', '/./server.js', '/server.js/', '/SERVER.JS', '/.env', '/.git/config', '/data/db.sqlite3', '/db.sqlite3',
      '/../../data/db.sqlite3', '/server.js%00.css',
    ];
    for (const where of paths) {
      const { status, body } = await app.raw(where);
      assert.ok(status === 404 || (status === 400 && where.includes('%00')), `${where} answered ${status}`);
      assert.doesNotMatch(body, /require|express|SQLite format/, where);
    }
  });

  it('is not reached by a path that is no valid encoding either', async (t) => {
    const app = await diary(t);
    assert.equal((await app.raw('/%E0%A4%A')).status, 404);
    assert.equal((await app.raw('/api/entries/%E0%A4%A')).status, 400);
  });
});

describe('entries', () => {
  it('are written, listed newest first, read and deleted', async (t) => {
    const app = await diary(t);
    const none = { entries: [], next: null, visitor: 'everyone', writers: null };
    assert.deepEqual(await answers(app.get('/api/entries'), 200), none);

    const response = await app.send('POST', '/api/entries', { title: ' 첫 일기 ', body: '눈이 왔다.\r\n좋았다.', mood: 'happy' });
    assert.equal(response.status, 201);
    const first = await response.json();
    assert.equal(response.headers.get('location'), `/api/entries/${first.id}`);
    assert.equal(response.headers.get('cache-control'), 'no-store');
    assert.deepEqual({ ...first, createdAt: 'x' }, { id: 1, title: '첫 일기', body: '눈이 왔다.\n좋았다.', mood: 'happy', createdAt: 'x' });
    assert.ok(Math.abs(Date.parse(first.createdAt) - Date.now()) < 60_000);

    const second = await answers(app.send('POST', '/api/entries', { body: '둘째' }), 201);
    const { entries } = await answers(app.get('/api/entries'), 200);
    assert.deepEqual(entries.map((entry) => entry.id), [second.id, first.id]);
    assert.equal(entries[0].excerpt, '둘째');
    assert.deepEqual(await answers(app.get('/api/entries/1'), 200), first);

    const gone = await app.send('DELETE', '/api/entries/1');
    assert.equal(gone.status, 204);
    await answers(app.get('/api/entries/1'), 404, 'no-entry');
    await answers(app.send('DELETE', '/api/entries/1'), 404, 'no-entry');
    assert.equal((await answers(app.get('/api/entries'), 200)).entries.length, 1);
  });

  it('keep their date when they come from a browser, and their number is never given again', async (t) => {
    const app = await diary(t);
    const old = await answers(app.send('POST', '/api/entries', { body: '옛날', createdAt: '2024-01-02T03:04:05+09:00' }), 201);
    assert.equal(old.createdAt, '2024-01-01T18:04:05.000Z');
    await app.send('DELETE', `/api/entries/${old.id}`);
    const next = await answers(app.send('POST', '/api/entries', { body: '다음' }), 201);
    assert.ok(next.id > old.id);
  });

  it('are shown with who is looking and may write, as the gateway says, and where there is none everybody may', async (t) => {
    const app = await diary(t);
    for (const [sent, visitor, writers] of [
      [{}, 'everyone', null],
      [{ 'X-Paas-Visitor': 'everyone' }, 'everyone', null],
      [{ 'X-Paas-Visitor': 'everyone', 'X-Paas-Read-Only': 'owner' }, 'everyone', 'owner'],
      [{ 'X-Paas-Visitor': 'guest', 'X-Paas-Read-Only': 'owner' }, 'guest', 'owner'],
      [{ 'X-Paas-Visitor': 'everyone', 'X-Paas-Read-Only': 'guests' }, 'everyone', 'guests'],
      [{ 'X-Paas-Visitor': 'owner' }, 'owner', null],
    ]) {
      const page = await answers(app.get('/api/entries', { headers: sent }), 200);
      assert.deepEqual([page.visitor, page.writers], [visitor, writers], JSON.stringify(sent));
    }
  });

  it('come in pages', async (t) => {
    const app = await diary(t);
    for (let day = 1; day <= 5; day++) {
      await answers(app.send('POST', '/api/entries', { body: `${day}`, createdAt: `2026-01-0${day}T00:00:00Z` }), 201);
    }
    const seen = [];
    let next = '';
    do {
      const page = await answers(app.get(`/api/entries?limit=2${next}`), 200);
      seen.push(page.entries.map((entry) => entry.excerpt).join(''));
      next = page.next === null ? null : `&before=${page.next}`;
    } while (next !== null);
    assert.deepEqual(seen, ['54', '32', '1']);
    for (const query of ['limit=0', 'limit=101', 'limit=x', 'before=-1', 'before=1.5', 'limit=1&limit=2']) {
      await answers(app.get(`/api/entries?${query}`), 400, 'bad-number');
    }
    await answers(app.get('/api/entries?before=999'), 400, 'unknown-cursor');
  });

  it('keep text that looks like code as it is', async (t) => {
    const app = await diary(t);
    const nasty = `<script>alert(1)</script>'); DROP TABLE entries; -- \u0000 \u202e 👩‍👩‍👧`;
    const { id } = await answers(app.send('POST', '/api/entries', { title: '<b>', body: nasty }), 201);
    assert.equal((await answers(app.get(`/api/entries/${id}`), 200)).body, nasty);
  });

  it('survive a restart, and kill -9 loses none that was confirmed', async (t) => {
    const file = dataFolder(t);
    const first = await diary(t, file);
    const confirmed = [];
    const writing = (async () => {
      for (;;) confirmed.push((await answers(first.send('POST', '/api/entries', { body: `${confirmed.length}` }), 201)).id);
    })().catch(() => {});
    while (confirmed.length < 50) await pause(5);
    await first.stop('SIGKILL');
    await writing;
    const second = await diary(t, file);
    for (const id of confirmed) await answers(second.get(`/api/entries/${id}`), 200);
  });
});

describe('bad input', () => {
  const long = (count) => '가'.repeat(count);
  const refused = [
    ['nothing', '', 'bad-field'],
    ['broken JSON', '{"body":', 'bad-json'],
    ['a list', '[]', 'bad-body'],
    ['a word', '"hello"', 'bad-body'],
    ['null', 'null', 'bad-body'],
    ['no text', { title: 'only a title' }, 'bad-field'],
    ['blanks', { body: ' \n ' }, 'bad-field'],
    ['a number as text', { body: 5 }, 'bad-field'],
    ['an object as title', { body: 'x', title: {} }, 'bad-field'],
    ['a title too long', { body: 'x', title: long(101) }, 'bad-field'],
    ['a text too long', { body: long(10_001) }, 'bad-field'],
    ['an unknown mood', { body: 'x', mood: 'angry' }, 'bad-field'],
    ['a mood from the prototype', { body: 'x', mood: 'toString' }, 'bad-field'],
    ['a date that is none', { body: 'x', createdAt: 'yesterday' }, 'bad-field'],
    ['a date to come', { body: 'x', createdAt: '2999-01-01T00:00:00Z' }, 'bad-field'],
    ['a date as number', { body: 'x', createdAt: 0 }, 'bad-field'],
  ];
  it('is answered 400 in JSON and stores nothing', async (t) => {
    const app = await diary(t);
    for (const [what, body, code] of refused) {
      await t.test(what, () => answers(app.send('POST', '/api/entries', body), 400, code));
    }
    assert.equal((await answers(app.get('/api/entries'), 200)).entries.length, 0);
  });

  it('ends exactly at the limits', async (t) => {
    const app = await diary(t);
    await answers(app.send('POST', '/api/entries', { title: long(100), body: long(10_000) }), 201);
    await answers(app.send('POST', '/api/entries', { body: 'x', filler: 'y'.repeat(70_000) }), 413, 'too-large');
  });

  it('of another type than JSON is answered 415', async (t) => {
    const app = await diary(t);
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
      await answers(app.send('POST', '/api/entries', '{"body":"x"}', { 'Content-Type': type }), 415, 'not-json');
    }
  });

  it('as a number of an entry is answered 400', async (t) => {
    const app = await diary(t);
    for (const id of ['0', '-1', '1.5', 'abc', '01', '1e3', '99999999999999999999', '%00']) {
      await answers(app.get(`/api/entries/${id}`), 400, 'bad-number');
      await answers(app.send('DELETE', `/api/entries/${id}`), 400, 'bad-number');
    }
    await answers(app.get('/api/entries/12345'), 404, 'no-entry');
  });

  it('as a method is answered 405, as a path 404', async (t) => {
    const app = await diary(t);
    for (const [method, where] of [['PUT', '/api/entries'], ['DELETE', '/api/entries'], ['POST', '/api/entries/1'], ['PATCH', '/api/entries/1']]) {
      const response = await app.send(method, where, '{}');
      assert.ok(response.headers.get('allow').includes('GET'));
      assert.equal(response.status, 405);
      assert.equal((await response.json()).code, 'bad-method');
    }
    for (const where of ['/api', '/api/', '/api/nothing', '/api/entries/1/2', '/API/entries']) {
      assert.equal((await app.get(where)).status, 404, where);
    }
  });

  it('from a page of another site is answered 403', async (t) => {
    const app = await diary(t);
    for (const site of ['cross-site', 'same-site']) {
      await answers(app.send('POST', '/api/entries', { body: 'x' }, { 'Sec-Fetch-Site': site }), 403, 'cross-site');
      await answers(app.send('DELETE', '/api/entries/1', undefined, { 'Sec-Fetch-Site': site }), 403, 'cross-site');
    }
    await answers(app.send('POST', '/api/entries', { body: 'x' }, { 'Sec-Fetch-Site': 'same-origin' }), 201);
  });
});

describe('with the API off', () => {
  it('the page works, the API says so, and no database appears', async (t) => {
    const file = dataFolder(t);
    for (const value of ['false', '', 'TRUE']) {
      const app = await start(t, 'diary-v1', { ENABLE_API: value, SQLITE_PATH: file });
      assert.equal((await app.get('/')).status, 200);
      await answers(app.get('/api/entries'), 404, 'api-off');
      await answers(app.send('POST', '/api/entries', { body: 'x' }), 404, 'api-off');
      assert.deepEqual(await answers(app.get('/healthz'), 200), { ok: true, api: false });
      assert.deepEqual(await app.stop(), { code: 0, signal: null });
    }
    assert.equal(existsSync(file), false);
  });
});

describe('two generations on one file', () => {
  it('start together on a new file, write together and see each other', async (t) => {
    for (let round = 0; round < 3; round++) {
      const file = dataFolder(t);
      const [old, fresh] = await Promise.all([diary(t, file), diary(t, file)]);
      const write = async (app, name) => {
        for (let n = 0; n < 40; n++) await answers(app.send('POST', '/api/entries', { body: `${name}${n}` }), 201);
      };
      await Promise.all([write(old, 'old'), write(fresh, 'fresh')]);
      assert.equal((await answers(fresh.get('/api/entries?limit=100'), 200)).entries.length, 80);
      assert.deepEqual(await old.stop(), { code: 0, signal: null });
      await answers(fresh.send('POST', '/api/entries', { body: 'after' }), 201);
      assert.equal((await answers(fresh.get('/api/entries?limit=100'), 200)).entries.length, 81);
      await fresh.stop();
    }
  });
});

describe('health and start', () => {
  it('answers /healthz', async (t) => {
    const app = await diary(t);
    assert.deepEqual(await answers(app.get('/healthz'), 200), { ok: true, api: true });
  });

  it('fails to start with a reason when the port or the database cannot be used', async (t) => {
    const app = await diary(t);
    const env = { ENABLE_API: 'true', SQLITE_PATH: dataFolder(t) };
    await assert.rejects(start(t, 'diary-v1', { ...env, PORT: `${app.port}` }), /EADDRINUSE/);
    await assert.rejects(start(t, 'diary-v1', { ...env, PORT: 'http' }), /PORT is http, expected/);
    await assert.rejects(start(t, 'diary-v1', { ...env, SQLITE_PATH: '/nowhere/db.sqlite3' }), /directory does not exist/);
  });
});

describe('SIGTERM', () => {
  it('lets a request finish that was being sent, and ends with 0 and a database of one file', async (t) => {
    const file = dataFolder(t);
    const app = await diary(t, file);
    const body = JSON.stringify({ body: '보내는 중' });
    const agent = new http.Agent({ keepAlive: true });
    const request = http.request({
      port: app.port, method: 'POST', path: '/api/entries', agent,
      headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) },
    });
    const answered = new Promise((resolve, reject) => request.on('response', resolve).on('error', reject));
    request.write(body.slice(0, 5));
    while (!(await connections(app))) await pause(10);
    app.child.kill('SIGTERM');
    while (!app.output.includes('finishing')) await pause(10);
    request.end(body.slice(5));
    const response = await answered;
    response.resume();
    assert.equal(response.statusCode, 201);
    assert.deepEqual(await app.ended, { code: 0, signal: null });
    assert.ok(existsSync(file));
    assert.ok(!existsSync(`${file}-wal`));
  });

  it('does not wait for idle connections, nor for ever for a silent one', async (t) => {
    const app = await diary(t);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 3 });
    await Promise.all([1, 2, 3].map(() => new Promise((resolve, reject) => {
      http.get({ port: app.port, path: '/healthz', agent }, (response) => response.resume().on('end', resolve)).on('error', reject);
    })));
    const idleSince = Date.now();
    assert.deepEqual(await app.stop(), { code: 0, signal: null });
    assert.ok(Date.now() - idleSince < 3000, 'idle connections held it up');

    const stuck = await diary(t);
    const socket = net.connect(stuck.port, '127.0.0.1').on('error', () => {});
    socket.write('POST /api/entries HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{');
    while (!(await connections(stuck))) await pause(10);
    const stuckSince = Date.now();
    assert.deepEqual(await stuck.stop(), { code: 0, signal: null });
    assert.ok(Date.now() - stuckSince < 9000, 'a silent client held it longer than Docker waits');
  });

  it('stops at SIGINT too', async (t) => {
    const app = await diary(t);
    assert.deepEqual(await app.stop('SIGINT'), { code: 0, signal: null });
  });
});

// True once the server has seen what was sent on other connections: answers come in the order of arrival at its one thread.
async function connections(app) {
  const response = await app.get('/healthz', { headers: { Connection: 'close' } });
  await response.text();
  return response.ok;
}
