import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { shipped, siteOf } from './shipped.mjs';

const of = (names) => (content) => ({ ...content, photos: names.map((name) => ({ src: `photos/${name}.webp`, alt: '', caption: '' })) });

describe('album-v1', () => {
  shipped('album-v1', { ko: /사진 8장/, en: /8 pictures/ });

  it('shows its pictures in order, the later ones only as one comes near, with their place kept', async (t) => {
    const app = await siteOf(t, 'album-v1');
    const { text } = await app.page();
    const order = [...text.matchAll(/<li><a href="\/photo\/(\w+)"/g)].map(([, name]) => name);
    assert.deepEqual(order, ['sea', 'cafe', 'mountains', 'cat', 'picnic', 'city', 'flowers', 'snow']);
    assert.equal([...text.matchAll(/loading="lazy"/g)].length, 5);
    assert.equal([...text.matchAll(/width="\d+" height="\d+"/g)].length, 8);
    assert.match(text, /nth-child\(2\)\{--ratio:0\.750\}/);
    assert.match(text, /2026년 10월 3일 · 강릉 · 사진 8장/);
    for (const [, alt] of text.matchAll(/<img src="[^"]+" alt="([^"]*)"/g)) assert.notEqual(alt, '');
  });

  it('has a page for each, to go through without a script and to send to somebody', async (t) => {
    const app = await siteOf(t, 'album-v1');
    const seen = [];
    for (let where = '/photo/sea'; where; ) {
      const { status, text } = await app.page(where);
      assert.equal(status, 200);
      seen.push(where);
      assert.match(text, new RegExp(`사진 ${seen.length} / 8`));
      where = /rel="next" href="([^"]+)"/.exec(text)?.[1];
    }
    assert.equal(seen.length, 8);
    const { body } = await app.raw('/photo/city', { Host: 'a.example.org', 'X-Forwarded-Proto': 'https', 'Accept-Language': 'ko' });
    assert.match(body, /og:title" content="마지막 밤 · 바다까지 사흘"/);
    assert.match(body, /og:image" content="https:\/\/a\.example\.org\/photos\/city\.webp"/);
    assert.match(body, /og:url" content="https:\/\/a\.example\.org\/photo\/city"/);
  });

  it('finds them whatever their files are called, and says when one has gone', async (t) => {
    const app = await siteOf(t, 'album-v1', of(['봄 소풍', 'a&b<c>', '__proto__', 'sea', 'other/sea', '가'.normalize('NFD')]));
    for (const name of ['봄 소풍', 'a&b<c>', '__proto__', 'sea', 'sea-2', '가', '가'.normalize('NFD')]) {
      assert.equal((await app.page(`/photo/${encodeURIComponent(name)}`)).status, 200, name);
    }
    assert.match((await app.page()).text, /href="\/photo\/a%26b%3Cc%3E"/);
    for (const name of ['moon', 'toString', '..%2fserver', '']) assert.equal((await app.page(`/photo/${name}`)).status, 404, name);
    assert.equal((await app.raw('/photo/%E0%A4%A')).status, 400);
  });

  it('is an album too when it is empty, and when it is full', async (t) => {
    const empty = await siteOf(t, 'album-v1', of([]));
    assert.match((await empty.page()).text, /아직 사진이 없어요/);
    const full = await siteOf(t, 'album-v1', of(Array.from({ length: 230 }, (_, at) => `p${at}`)));
    assert.match((await full.page()).text, /사진 200장/);
    assert.equal((await full.page('/photo/p199')).status, 200);
    assert.equal((await full.page('/photo/p200')).status, 404);
  });
});
