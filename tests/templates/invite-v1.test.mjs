import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { dataFolder } from './app.mjs';
import { shipped, siteOf } from './shipped.mjs';

const DAY = 86_400_000;
const OWNER = { 'X-Paas-Visitor': 'owner' };
const env = (t, more = {}) => ({ ENABLE_API: 'true', KNOWS_VISITORS: 'true', SQLITE_PATH: dataFolder(t), ...more });
const soon = (days) => new Date(Date.now() + days * DAY + 9 * 3_600_000).toISOString().slice(0, 10);
// The date of the sample passes one day.
const coming = (content) => ({ ...content, when: `${soon(42)}T13:00:00+09:00`, rsvpUntil: '' });

async function invite(t, change = (content) => content, more = {}) {
  const app = await siteOf(t, 'invite-v1', (content) => change(coming(content)), env(t, more));
  app.reply = (fields, headers = {}) =>
    app.get('/rsvp', {
      method: 'POST', redirect: 'manual', body: new URLSearchParams(fields),
      headers: { 'Accept-Language': 'ko', Accept: 'text/html', ...headers },
    });
  return app;
}

describe('invite-v1', () => {
  shipped('invite-v1', { ko: /달력에 넣기/, en: /Add to calendar/, env });

  it('says when and where as it is there, and how many days are left', async (t) => {
    const app = await invite(t, (content) => ({ ...content, place: '서울시 "중구" & 종로' }));
    const { text } = await app.page();
    assert.match(text, /42일 남았어요/);
    assert.match(text, /오후 1시/);
    assert.match(text, /map\.kakao\.com\/link\/search\/%EC%84%9C%EC%9A%B8%EC%8B%9C%20%22/);
    assert.match((await app.page('/', { 'Accept-Language': 'en' })).text, /1:00 pm[^]*42 days to go/);
    for (const [days, said] of [[0, '바로 오늘이에요'], [1, '1일 남았어요'], [-3, '함께해 주셔서 고맙습니다']]) {
      const other = await invite(t, (content) => ({ ...content, when: `${soon(days)}T00:30:00+09:00` }));
      const page = (await other.page()).text;
      assert.ok(page.includes(said), said);
      assert.match(page, /오전 12시 30분/);
    }
    const without = await invite(t, (content) => ({ ...content, when: '', place: '', placeName: '' }));
    assert.doesNotMatch((await without.page()).text, /남았어요|지도|달력/);
    assert.equal((await without.get('/invite.ics')).status, 404);
  });

  it('gives the date to a calendar', async (t) => {
    const app = await invite(t, (content) => ({ ...content, when: '2027-05-15T13:00:00+09:00', placeName: '정원; 2층, A', title: '가'.repeat(60) }));
    const response = await app.get('/invite.ics');
    const text = await response.text();
    assert.match(response.headers.get('content-type'), /^text\/calendar/);
    assert.match(text, /DTSTART:20270515T040000Z\r\nDTEND:20270515T060000Z/);
    assert.ok(text.replaceAll('\r\n ', '').includes('정원\\; 2층\\, A'));
    for (const line of text.split('\r\n')) assert.ok(Buffer.byteLength(line) <= 75, line);
  });

  it('takes answers without a script, and shows them to its owner only', async (t) => {
    const app = await invite(t);
    const sent = await app.reply({ name: '할머니', answer: 'yes', people: '2', note: '<b>꼭</b> 갈게' });
    assert.deepEqual([sent.status, sent.headers.get('location')], [303, '/thanks']);
    assert.match((await app.page('/thanks')).text, /답장 고마워요/);
    await app.reply({ name: '이웃', answer: 'no', people: '9' });
    for (const headers of [{}, { 'X-Paas-Visitor': 'guest' }, { 'X-Paas-Visitor': 'everyone' }]) {
      for (const where of ['/', '/guests', '/guests.csv']) {
        const { text } = await app.page(where, headers);
        assert.doesNotMatch(text, /할머니|갈게<|이웃/, where);
      }
      assert.equal((await app.page('/guests', headers)).status, 403);
      assert.equal((await app.page('/guests.csv', headers)).status, 403);
      assert.equal((await app.get('/guests/1/delete', { method: 'POST', headers })).status, 403);
    }
    const list = await app.page('/guests', OWNER);
    assert.match(list.text, /오시는 분 2명 · 갈게요\s1 · 아직\s몰라요\s0 · 못\s가요\s1/);
    assert.match(list.text, /할머니[^]*&#60;b&#62;꼭/);
    assert.equal(list.headers.get('cache-control'), 'no-store');
    assert.match((await app.page('/', OWNER)).text, /href="\/guests"/);
    const gone = await app.get('/guests/1/delete', { method: 'POST', headers: OWNER, redirect: 'manual' });
    assert.equal(gone.status, 303);
    assert.doesNotMatch((await app.page('/guests', OWNER)).text, /할머니/);
  });

  it('makes a table in which nothing that a guest wrote is calculated', async (t) => {
    const app = await invite(t);
    await app.reply({ name: '=HYPERLINK("http://evil")', answer: 'yes', note: 'a "b"\n+c' });
    const text = await (await app.get('/guests.csv', { headers: { ...OWNER, 'Accept-Language': 'ko' } })).text();
    assert.ok(text.includes(`"'=HYPERLINK(""http://evil"")","갈게요","1","a ""b""\n+c"`), text);
  });

  it('asks again for what is missing, and keeps what was typed', async (t) => {
    const app = await invite(t);
    for (const fields of [{}, { name: '', answer: 'yes' }, { name: '가', answer: 'perhaps' }, { name: '가'.repeat(41), answer: 'yes' }, { name: '가', answer: 'yes', people: '0' }, { name: '가', answer: 'yes', people: '21' }, { name: '가', answer: 'yes', note: 'x'.repeat(301) }, { name: '가', answer: 'toString' }]) {
      const response = await app.reply(fields);
      assert.equal(response.status, 400, JSON.stringify(fields));
      assert.match(await response.text(), /role="alert">이름과/);
    }
    const again = await (await app.reply({ name: '"><script>', answer: 'yes', people: 'x', note: '</textarea><b>' })).text();
    assert.match(again, /value="&#34;&#62;&#60;script&#62;"/);
    assert.match(again, /&#60;\/textarea&#62;&#60;b&#62;<\/textarea>/);
    assert.match(again, /value="yes" required checked/);
    assert.doesNotMatch((await app.page('/guests', OWNER)).text, /class="replies"/);
  });

  it('is not flooded: by one, by a robot, by pages of another site', async (t) => {
    const app = await invite(t);
    for (let turn = 0; turn < 5; turn++) assert.equal((await app.reply({ name: '가', answer: 'yes' })).status, 303);
    assert.equal((await app.reply({ name: '가', answer: 'yes' })).status, 429);
    assert.equal((await app.reply({ name: '나', answer: 'yes' }, { 'X-Real-IP': '10.1.1.1' })).status, 303);
    assert.equal((await app.reply({ name: '로봇', answer: 'yes', website: 'http://x' }, { 'X-Real-IP': '10.1.1.2' })).status, 303);
    assert.equal((await app.reply({ name: '남', answer: 'yes' }, { 'X-Real-IP': '10.1.1.3', 'Sec-Fetch-Site': 'cross-site' })).status, 403);
    const { text } = await app.page('/guests', OWNER);
    assert.match(text, /갈게요\s6/);
    assert.doesNotMatch(text, /로봇|>남</);
  });

  it('asks nobody after the last day, when its owner does not want it, or where no owner could see the answers', async (t) => {
    const over = await invite(t, (content) => ({ ...content, rsvpUntil: soon(-2) }));
    assert.match((await over.page()).text, /답장 받는 날이 지났어요/);
    assert.equal((await over.reply({ name: '가', answer: 'yes' })).status, 403);
    const last = await invite(t, (content) => ({ ...content, rsvpUntil: soon(0) }));
    assert.equal((await last.reply({ name: '가', answer: 'yes' })).status, 303, 'the last day is one of them');
    for (const app of [await invite(t, (content) => ({ ...content, rsvp: false })), await invite(t, undefined, { ENABLE_API: 'false' }), await invite(t, undefined, { KNOWS_VISITORS: '' })]) {
      assert.doesNotMatch((await app.page()).text, /action="\/rsvp/);
      assert.notEqual((await app.reply({ name: '가', answer: 'yes' })).status, 303);
    }
    const direct = await invite(t, undefined, { KNOWS_VISITORS: '' });
    assert.equal((await direct.page('/guests', OWNER)).status, 404, 'anybody could say to be the owner');
  });

  it('keeps its answers through a restart', async (t) => {
    const file = dataFolder(t);
    const first = await invite(t, undefined, { SQLITE_PATH: file });
    await first.reply({ name: '할머니', answer: 'yes' });
    await first.stop('SIGKILL');
    const second = await invite(t, undefined, { SQLITE_PATH: file });
    assert.match((await second.page('/guests', OWNER)).text, /할머니/);
  });
});
