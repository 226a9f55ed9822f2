// What the module `site` makes of content.json, and the markup it puts it into.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, it } from 'node:test';
import { startIn } from './app.mjs';

// Not by NODE_PATH alone: in the runtime image the packages are in /node_modules.
const require = createRequire(import.meta.url);
const part = (name) => require(path.join(path.dirname(require.resolve('site')), name));
const { fitting, contentOf } = part('content.js');
const { html, isAddress, plain, rich } = part('html.js');
const { contrast, look } = part('look.js');

describe('a value', () => {
  const { cases } = JSON.parse(readFileSync(path.join(import.meta.dirname, 'fits.json'), 'utf8'));
  for (const { field, fits, not } of cases) {
    it(`of ${JSON.stringify(field)} is used when it fits, and else not`, () => {
      const used = (value) => fitting({ properties: { it: field } }, { it: value }).it;
      for (const value of fits) assert.deepEqual(bare(used(value)), bare(value), JSON.stringify(value));
      for (const value of not) assert.notDeepEqual(used(value), value, JSON.stringify(value));
    });
  }
  // A picture always has an alt and a caption, an item all its fields, a colour small letters, a text one kind of line end.
  const bare = (value) => JSON.parse(JSON.stringify(value, (key, each) => {
    if (['alt', 'caption', 'name'].includes(key) && each === '') return undefined;
    return key === 'later' ? undefined : typeof each === 'string' && key !== 'src' ? each.replaceAll('\r\n', '\n').replace(/^#\w+$/, (colour) => colour.toLowerCase()) : each;
  }));

  it('that does not fit gives way to the one that its field begins with', () => {
    const schema = { properties: { a: { 'x-kind': 'text', default: 'x' }, b: { 'x-kind': 'switch' }, c: { 'x-kind': 'colour', default: '#112233' }, d: { 'x-kind': 'later' }, e: { 'x-kind': 'font', enum: ['sans'] }, f: 7 } };
    const nothing = { a: 'x', b: false, c: '#112233', d: undefined, e: 'sans', f: undefined };
    for (const content of [{}, null, [], 'x', { a: 5, b: 'yes', c: 'red', d: 1, e: 'x', more: 1 }]) assert.deepEqual(fitting(schema, content), nothing);
    assert.deepEqual(fitting(null, {}), {});
    assert.deepEqual(fitting({ properties: 5 }, {}), {});
    assert.equal(Object.hasOwn(fitting({ properties: { toString: { 'x-kind': 'text' } } }, {}), 'toString'), true);
    assert.equal(fitting({ properties: { toString: { 'x-kind': 'text' } } }, {}).toString, '', 'what every object has is nobody\'s content');
  });

  it('is taken out of a list alone, and the others stay', () => {
    const schema = { properties: { all: { 'x-kind': 'gallery', maxItems: 2 } } };
    assert.deepEqual(fitting(schema, { all: [1, { src: 'a.webp' }, { src: '../b.webp' }, { src: 'c.webp' }, { src: 'd.webp' }] }).all.map((each) => each.src), ['a.webp', 'c.webp']);
  });
});

describe('content.json', () => {
  const files = (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'content-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    return { folder, write: (name, text) => writeFileSync(path.join(folder, name), text) };
  };
  const SCHEMA = JSON.stringify({ properties: { name: { 'x-kind': 'text', default: 'nobody' } } });

  it('is read anew when it changes, and while it is broken the last one counts', (t) => {
    const { folder, write } = files(t);
    t.mock.method(console, 'error', () => {});
    write('content.schema.json', SCHEMA);
    const content = contentOf(folder);
    assert.equal(content().name, 'nobody');
    write('content.json', '\uFEFF{"name": "봄"}');
    assert.equal(content().name, '봄');
    write('content.json', '{"name": "여름",}');
    assert.equal(content().name, '봄');
    assert.match(console.error.mock.calls[0].arguments[0], /content\.json cannot be read/);
    content();
    assert.equal(console.error.mock.callCount(), 1, 'told once');
    write('content.json', '{"name": "가을"}');
    assert.equal(content().name, '가을');
  });

  it('that is broken from the start, huge, or without a schema harms nothing', (t) => {
    const { folder, write } = files(t);
    t.mock.method(console, 'error', () => {});
    assert.deepEqual(contentOf(folder)(), {});
    write('content.schema.json', SCHEMA);
    write('content.json', '{');
    assert.equal(contentOf(folder)().name, 'nobody');
    write('content.json', `{"name": "x", "more": "${'x'.repeat(300_000)}"}`);
    assert.equal(contentOf(folder)().name, 'nobody');
  });
});

describe('markup', () => {
  it('shows what is put in as it was written', () => {
    assert.equal(html`<p title="${'"><script>'}">${'<b>&\''}</p>`.text, '<p title="&#34;&#62;&#60;script&#62;">&#60;b&#62;&#38;&#39;</p>');
    assert.equal(html`${[html`<i>`, 'a<', [1, 0]]}${null}${undefined}${false}${true}`.text, '<i>a&#60;10');
    assert.equal(html`${{ text: '<b>' }}${{ toString: () => '<u>' }}`.text, '[object Object]&#60;u&#62;');
  });

  it('of long text knows bold, links, lists and paragraphs, and nothing else', () => {
    const made = (text) => rich(text).text;
    assert.equal(made('하나\n둘\n\n셋'), '<p>하나<br>둘</p>\n<p>셋</p>');
    assert.equal(made('- a\n* b\nc'), '<ul><li>a</li><li>b</li></ul>\n<p>c</p>');
    assert.equal(made('**굵게 [여기](https://e.org/?a=1&b="2")**'), '<p><strong>굵게 <a href="https://e.org/?a=1&#38;b=&#34;2&#34;" rel="noopener nofollow">여기</a></strong></p>');
    assert.equal(made('<img src=x onerror=alert(1)>'), '<p>&#60;img src=x onerror=alert(1)&#62;</p>');
    for (const address of ['javascript:alert(1)', 'JAVASCRIPT:x', 'data:text/html,x', '//e.org', '" onclick="x', 'https://']) {
      assert.doesNotMatch(made(`[x](${address})`), /<a /, address);
    }
    assert.equal(made('** ** [] [](x) **a'), '<p><strong> </strong> [] [](x) **a</p>');
    assert.equal(made(''), '');
  });

  it('takes no longer than the text is long', () => {
    for (const text of ['['.repeat(5000), '**'.repeat(2500), '[a]('.repeat(1250), '- '.repeat(2500), '[a](https://e'.repeat(400)]) {
      const before = performance.now();
      rich(text);
      plain(text);
      assert.ok(performance.now() - before < 250, text.slice(0, 12));
    }
  });

  it('has a short form for descriptions', () => {
    assert.equal(plain('**하나**\n- [둘](https://e.org)  셋'), '하나 둘 셋');
    assert.equal(plain('가'.repeat(300), 10), `${'가'.repeat(9)}…`);
  });

  it('links to nothing that runs', () => {
    for (const text of ['javascript:x', 'vbscript:x', 'java\nscript:x', 'https:', 'file:///etc/passwd']) assert.equal(isAddress(text), false, text);
    assert.equal(isAddress(`https://e.org/${'x'.repeat(2000)}`), false);
  });
});

describe('a colour', () => {
  it('can be read on both themes, whichever was chosen', () => {
    for (const accent of ['#000000', '#ffffff', '#ffff00', '#c2573a', '#7f7f7f', '#0000ff', '#00ff88', '#fafafa']) {
      const [light, dark] = [...look({ accent }).matchAll(/--accent:(#\w+);--on-accent:(#\w+)/g)].map(([, colour, on]) => ({ colour, on }));
      for (const [{ colour, on }, papers] of [[light, ['#ffffff', '#faf6ef', '#f1eae0']], [dark, ['#1b1815', '#272220', '#2c2622']]]) {
        assert.ok(contrast(colour, on) >= 4.5, `${accent}: ${colour} under ${on}`);
        for (const paper of papers) assert.ok(contrast(colour, paper) >= 4.5, `${accent}: ${colour} on ${paper}`);
      }
    }
    assert.match(look({ font: 'no such' }), /--font:"Apple SD Gothic Neo"/);
  });
});

describe('pages and forms', () => {
  const site = (t, server, env) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'pages-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    mkdirSync(path.join(folder, 'public'));
    writeFileSync(path.join(folder, 'server.js'), `const site = require('site');\nconst app = site.create({ strict: true });\n${server}\napp.start();\n`);
    return startIn(t, folder, env);
  };
  const FORM = { 'Content-Type': 'application/x-www-form-urlencoded' };

  it('have a head that shared links show, whatever it says', async (t) => {
    const app = await site(t, `app.page('/', () => ({ lang: 'en', title: '</title><script>', description: '"', picture: { src: 'a b.webp', alt: '"', width: 3, height: 2 }, body: site.html\`<p>x</p>\` }));`);
    const answer = await app.raw('/?q="><script>', { Host: 'alice-x.example.org', 'X-Forwarded-Proto': 'https' });
    assert.match(answer.body, /og:image" content="https:\/\/alice-x\.example\.org\/a%20b\.webp"/);
    assert.match(answer.body, /og:url" content="https:\/\/alice-x\.example\.org\/"/);
    assert.match(answer.body, /twitter:card" content="summary_large_image"/);
    assert.doesNotMatch(answer.body, /<script/);
    assert.doesNotMatch((await app.raw('/', { Host: 'evil"><script>' })).body, /<script|og:image/);
    const response = await app.get('/');
    assert.match(response.headers.get('content-security-policy'), /style-src 'self' 'sha256-[^']+=';/);
    assert.equal((await app.raw('/', { Host: new URL(app.url).host, 'If-None-Match': response.headers.get('etag') })).status, 304);
  });

  it('say the language of what their owner wrote, whatever that of the buttons is', async (t) => {
    const app = await site(t, `app.page('/ko', () => ({ lang: 'en', title: '봄', body: '' })); app.page('/en', () => ({ lang: 'ko', title: 'Spring', body: '' })); app.page('/', () => ({ title: 'Spring', body: '' }));`);
    const told = async (where, headers) => /<html lang="(\w+)">/.exec((await app.raw(where, headers)).body)[1];
    assert.deepEqual([await told('/ko'), await told('/en'), await told('/', { 'Accept-Language': 'en' })], ['ko', 'ko', 'en']);
  });

  it('take what this site\'s pages send, and nothing else', async (t) => {
    const app = await site(t, `app.form('/say', ({ body }) => { site.text(body, 'text', { required: true, max: 5 }); return '/thanks'; });`);
    const send = (body, headers = {}) => app.get('/say', { method: 'POST', body, headers: { ...FORM, ...headers }, redirect: 'manual' });
    const sent = await send('text=hi');
    assert.deepEqual([sent.status, sent.headers.get('location')], [303, '/thanks']);
    for (const headers of [{ 'Sec-Fetch-Site': 'cross-site' }, { 'Sec-Fetch-Site': 'same-site' }, { Origin: 'https://evil.example' }]) {
      assert.equal((await send('text=hi', headers)).status, 403);
    }
    assert.equal((await send('text=hi', { Origin: app.url })).status, 303);
    for (const body of ['', 'text=', 'text=123456', 'text=a&text=b', 'text[a]=b', '__proto__=x']) assert.equal((await send(body)).status, 400, body);
    assert.equal((await send(`text=${'x'.repeat(70_000)}`)).status, 413);
    assert.equal((await app.get('/say')).status, 404);
  });

  it('are not sent as often as somebody likes, and one network does not shut out the others at once', async (t) => {
    const app = await site(t, `const limit = site.limiter({ each: 2, all: 5, minutes: 1 }); app.form('/say', (req) => { limit.take(req); return '/'; });`);
    const say = async (from) => (await app.get('/say', { method: 'POST', headers: { ...FORM, 'X-Real-IP': from }, redirect: 'manual' })).status;
    const told = [];
    for (const from of ['10.0.0.1', '10.0.0.1', '10.0.0.1', '2001:db8:1:2::1', '2001:db8:1:2:ffff::9', '2001:db8:1:2::3', '10.0.0.2', '10.0.0.3']) told.push(await say(from));
    assert.deepEqual(told, [303, 303, 429, 303, 303, 429, 303, 429]);
  });

  it('believe who comes only where the gateway tells', async (t) => {
    const server = `app.get('/who', (req, res) => res.send(site.visitor(req)));`;
    for (const [env, header, told] of [[{}, 'owner', 'everyone'], [{ KNOWS_VISITORS: 'true' }, 'owner', 'owner'], [{ KNOWS_VISITORS: 'true' }, 'admin', 'everyone'], [{ KNOWS_VISITORS: 'true' }, 'guest', 'guest']]) {
      const app = await site(t, server, env);
      assert.equal((await app.raw('/who', { 'X-Paas-Visitor': header })).body, told);
    }
  });
});
