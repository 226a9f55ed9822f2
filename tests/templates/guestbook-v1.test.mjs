import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dataFolder } from './app.mjs';
import { shipped, siteOf } from './shipped.mjs';

const OWNER = { 'X-Paas-Visitor': 'owner' };
const env = (t, more = {}) => ({ ENABLE_API: 'true', KNOWS_VISITORS: 'true', SQLITE_PATH: dataFolder(t), ...more });

async function book(t, change, more) {
  const app = await siteOf(t, 'guestbook-v1', change, env(t, more));
  app.post = (where, fields = {}, headers = {}) =>
    app.get(where, {
      method: 'POST', redirect: 'manual', body: new URLSearchParams(fields),
      headers: { 'Accept-Language': 'ko', Accept: 'text/html', ...headers },
    });
  // Each from a network of its own, so that the flood protection is in no test's way but its own.
  let network = 0;
  app.write = (fields, headers = {}) => app.post('/entries', { name: '은하', ...fields }, { 'X-Real-IP': `10.0.0.${++network % 250}`, ...headers });
  return app;
}

describe('guestbook-v1', () => {
  shipped('guestbook-v1', { ko: /글 남기기/, en: /Leave a word/, env });

  it('shows an entry once its owner has picked it', async (t) => {
    const app = await book(t);
    const sent = await app.write({ text: '잘 쉬다 가요', mood: '🍀' });
    assert.deepEqual([sent.status, sent.headers.get('location')], [303, '/thanks']);
    assert.match((await app.page('/thanks')).text, /주인이 읽고 나면/);
    for (const headers of [{}, { 'X-Paas-Visitor': 'guest' }]) assert.doesNotMatch((await app.page('/', headers)).text, /잘 쉬다/);
    const owner = await app.page('/', OWNER);
    assert.match(owner.text, /기다리는 글 1개[^]*잘 쉬다/);
    assert.equal(owner.headers.get('cache-control'), 'no-store');

    assert.equal((await app.post('/entries/1/show', {}, OWNER)).status, 303);
    assert.match((await app.page()).text, /남겨 주신 글 1개[^]*잘 쉬다/);
    await app.post('/entries/1/reply', { reply: '또 <b>오세요' }, OWNER);
    assert.match((await app.page()).text, /주인의 답[^]*또 &#60;b&#62;오세요/);
    await app.post('/entries/1/hide', {}, OWNER);
    assert.doesNotMatch((await app.page()).text, /잘 쉬다/);
    assert.match((await app.page('/', OWNER)).text, /감춘 글 1/);
    await app.post('/entries/1/delete', {}, OWNER);
    assert.doesNotMatch((await app.page('/', OWNER)).text, /잘 쉬다/);
    assert.equal((await app.post('/entries/1/show', {}, OWNER)).status, 404);
  });

  it('lets nobody but its owner pick, hide, delete or answer', async (t) => {
    const app = await book(t);
    await app.write({ text: '하나' });
    for (const headers of [{}, { 'X-Paas-Visitor': 'guest' }, { 'X-Paas-Visitor': 'admin' }, { ...OWNER, 'Sec-Fetch-Site': 'cross-site' }]) {
      for (const action of ['show', 'hide', 'delete', 'reply']) assert.equal((await app.post(`/entries/1/${action}`, { reply: 'x' }, headers)).status, 403, action);
      assert.doesNotMatch((await app.page('/', headers['Sec-Fetch-Site'] ? {} : headers)).text, /\/entries\/1\/|하나/);
    }
    for (const id of ['0', 'x', '1.5', '99999999999999999999']) assert.equal((await app.post(`/entries/${id}/show`, {}, OWNER)).status, 400, id);
  });

  it('shows entries at once when its owner wants it so, and the owner\'s own always', async (t) => {
    const app = await book(t, (content) => ({ ...content, moderate: false }));
    await app.write({ text: '바로 보여요' });
    assert.match((await app.page()).text, /바로 보여요/);
    const moderated = await book(t);
    await moderated.write({ name: '주인', text: '어서 오세요' }, OWNER);
    assert.match((await moderated.page()).text, /어서 오세요/);
  });

  it('asks again for what is missing, and keeps what was typed', async (t) => {
    const app = await book(t);
    for (const fields of [{}, { text: ' ' }, { text: 'x', name: '' }, { text: 'x'.repeat(501) }, { text: 'x', name: '가'.repeat(31) }]) {
      const response = await app.write(fields);
      assert.equal(response.status, 400, JSON.stringify(fields));
      assert.match(await response.text(), /role="alert">이름과 글/);
    }
    const again = await (await app.write({ name: '"><script>', text: '' })).text();
    assert.match(again, /value="&#34;&#62;&#60;script&#62;"/);
    assert.equal((await app.write({ text: 'x', mood: 'toString' })).status, 303);
    assert.doesNotMatch((await app.page('/', OWNER)).text, /toString/);
  });

  it('shows what was written as text, and no name that turns the line around', async (t) => {
    const app = await book(t, (content) => ({ ...content, moderate: false }));
    await app.write({ name: '\u202e주인\u0007 ', text: '<img src=x onerror=alert(1)>\n\n\n\n\n끝 https://spam.example' });
    const { text } = await app.page();
    assert.match(text, /<b>주인<\/b>/);
    assert.match(text, /&#60;img src=x onerror=alert\(1\)&#62;\n\n끝/);
    assert.doesNotMatch(text, /<a [^>]*spam/);
  });

  it('is not flooded', async (t) => {
    const app = await book(t);
    const from = { 'X-Real-IP': '10.9.9.9' };
    const told = [];
    for (let turn = 0; turn < 4; turn++) told.push((await app.write({ text: `${turn}` }, from)).status);
    assert.deepEqual(told, [303, 303, 303, 429]);
    const busy = await app.write({ text: 'kept' }, from);
    assert.match(await busy.text(), /잠시 쉬었다가[^]*>kept<\/textarea>/);
    const twice = [await app.write({ text: '한 번만' }), await app.write({ text: '한 번만' })];
    assert.deepEqual(twice.map(({ status }) => status), [303, 409]);
    assert.equal((await app.write({ text: 'robot', website: 'x' })).status, 303);
    assert.equal((await app.write({ text: 'other site' }, { 'Sec-Fetch-Site': 'same-site' })).status, 403);
    const { text } = await app.page('/', OWNER);
    assert.match(text, /기다리는 글 4개/);
    assert.doesNotMatch(text, /robot|other site/);
  });

  it('takes nothing that nobody could read first, and nothing when it is closed', async (t) => {
    for (const [change, more, said] of [
      [(content) => ({ ...content, open: false }), {}, /지금은 새 글을 받지 않아요/],
      [undefined, { ENABLE_API: 'false' }, /저장 기능을 켜/],
      [undefined, { KNOWS_VISITORS: '' }, /누가 주인인지 알 수 없는/],
    ]) {
      const app = await book(t, change, more);
      assert.match((await app.page()).text, said);
      assert.doesNotMatch((await app.page()).text, /action="\/entries#write"/);
      assert.notEqual((await app.write({ text: 'x' })).status, 303);
      if (more.KNOWS_VISITORS === '') assert.equal((await app.post('/entries/1/show', {}, OWNER)).status, 403, 'anybody could say to be the owner');
    }
    const direct = await book(t, (content) => ({ ...content, moderate: false }), { KNOWS_VISITORS: '' });
    assert.equal((await direct.write({ text: '열려 있어요' })).status, 303);
  });

  it('comes in pages, newest first', async (t) => {
    const app = await book(t, (content) => ({ ...content, moderate: false }));
    for (let turn = 1; turn <= 25; turn++) await app.write({ text: `글 ${turn}번` });
    const first = (await app.page()).text;
    assert.deepEqual([/글 25번/.test(first), /글 5번/.test(first)], [true, false]);
    const second = await app.page(/href="(\/\?before=\d+)"/.exec(first)[1]);
    assert.deepEqual([/글 5번/.test(second.text), /글 6번/.test(second.text)], [true, false]);
    assert.doesNotMatch(second.text, /<textarea/);
    for (const where of ['/?before=0', '/?before=x', '/?before=1&before=2']) assert.equal((await app.page(where)).status, 400, where);
  });

  it('survives a restart', async (t) => {
    const file = dataFolder(t);
    const first = await book(t, undefined, { SQLITE_PATH: file });
    await first.write({ text: '남아 있어요' });
    await first.stop('SIGKILL');
    const second = await book(t, undefined, { SQLITE_PATH: file });
    assert.match((await second.page('/', OWNER)).text, /남아 있어요/);
  });
});
