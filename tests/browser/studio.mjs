// The studio: a beginner fills in an invitation on a phone, publishes it, changes a date, and goes back. Given: portal, word, pictures.

import assert from 'node:assert/strict';
import { given, inChromium, step } from './chromium.mjs';
import { DESK, person, PHONE } from './dashboard.mjs';

const { portal, word } = given;
const PASSWORD = '보라색 고양이 산책';
const TECHNICAL = [/docker/i, /container/i, /manifest/i, /yaml/i, /json/i, /deploy/i, /version/i, /컨테이너/, /매니페스트/, /버전/, /배포/];

const until = async (what, holds) => {
  const end = Date.now() + 30_000;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `not within 30 s: ${what}`);
    await new Promise((later) => setTimeout(later, 50));
  }
};

async function signIn({ page, click }) {
  await page.fill('#username', 'admin');
  await page.fill('#password', PASSWORD);
  await click('form .main');
  await page.waitForSelector('nav');
}

/** A JPEG as a phone makes it: lying on its side, with where it was taken. */
async function photo(page, width, height, colour) {
  const base64 = await page.evaluate(
    ([width, height, colour]) => {
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [width, height];
      const pen = canvas.getContext('2d');
      pen.fillStyle = colour;
      pen.fillRect(0, 0, width, height);
      return canvas.toDataURL('image/jpeg').split(',')[1];
    },
    [width, height, colour],
  );
  const jpeg = Buffer.from(base64, 'base64');
  const entry = (tag, type, count, value) => {
    const one = Buffer.alloc(12);
    one.writeUInt16BE(tag, 0);
    one.writeUInt16BE(type, 2);
    one.writeUInt32BE(count, 4);
    if (type === 3) one.writeUInt16BE(value, 8);
    else one.writeUInt32BE(value, 8);
    return one;
  };
  // Orientation 6, and a place with a latitude.
  const ifd = Buffer.concat([Buffer.from([0, 2]), entry(0x0112, 3, 1, 6), entry(0x8825, 4, 1, 38), Buffer.alloc(4)]);
  const gps = Buffer.concat([Buffer.from([0, 1]), entry(1, 2, 2, 0x4e000000), Buffer.alloc(4)]);
  const exif = Buffer.concat([Buffer.from('Exif\0\0MM\0\x2a\0\0\0\x08', 'latin1'), ifd, gps]);
  const head = Buffer.alloc(4);
  head.writeUInt16BE(0xffe1, 0);
  head.writeUInt16BE(exif.length + 2, 2);
  return Buffer.concat([jpeg.subarray(0, 2), head, exif, jpeg.subarray(2)]);
}

const draftOf = async (one, name) => (await one.call('GET', `/apps/mom/${name}/draft`)).data;
const saved = (page, text = /저장했어요/) => page.waitForFunction((pattern) => new RegExp(pattern).test(document.querySelector('.studio-bar p')?.textContent ?? ''), text.source);

async function noJargon(page) {
  const text = await page.evaluate(() => document.querySelector('main').innerText);
  for (const technical of TECHNICAL) assert.doesNotMatch(text, technical);
}

async function publish(page, toast) {
  await page.click('.studio-bar .main');
  // What the one before said goes first.
  await page.waitForFunction((words) => ![...document.querySelectorAll('.toast')].some((one) => one.textContent.includes(words)), toast);
  await page.waitForFunction((words) => [...document.querySelectorAll('.toast')].some((one) => one.textContent.includes(words)), toast, { timeout: 60_000 });
}

await inChromium(async (browser) => {
  const first = await person(browser);
  await first.page.goto(`${portal}/first#${word}`);
  await first.page.waitForSelector('#new');
  await first.page.fill('#new', PASSWORD);
  await first.page.click('form .main');
  await first.page.waitForSelector('.welcome .template-card');
  await first.leave();

  step('an invitation, on a phone');
  const one = await person(browser, { viewport: PHONE });
  const { page } = one;
  await page.goto(`${portal}/new?template=invite-v1`);
  await page.waitForSelector('#username');
  await signIn(one);
  await page.waitForSelector('#name');
  await page.fill('#owner', 'mom');
  await page.fill('#name', 'party');
  await page.waitForSelector('.address-card[data-tone=good]');
  await page.click('form .main');
  await page.waitForSelector('.ready', { timeout: 60_000 });
  await page.goto(`${portal}/sites/mom/party`);
  await page.waitForSelector('.site-head');
  await page.click('a[href="/sites/mom/party/edit"]');
  await page.waitForSelector('#field-title');
  await one.look('studio');
  await noJargon(page);

  step('what is typed is on the server within two seconds, and after a reload');
  await page.fill('#field-title', '윤서의 첫 생일');
  const begun = Date.now();
  await until('the title is kept', async () => (await draftOf(one, 'party')).draft?.content?.title === '윤서의 첫 생일');
  const took = Date.now() - begun;
  console.log(`  kept after ${took} ms`);
  assert.ok(took <= 2_000, `${took} ms`);
  await page.reload();
  await page.waitForSelector('#field-title');
  assert.equal(await page.inputValue('#field-title'), '윤서의 첫 생일');
  // Not even when the page goes right after the last key.
  await page.fill('#field-eyebrow', '첫 생일이에요');
  await page.reload();
  await page.waitForSelector('#field-title');
  assert.equal(await page.inputValue('#field-eyebrow'), '첫 생일이에요');
  await saved(page);

  step('light formatting by buttons');
  await page.fill('#field-message', '와 주세요');
  await page.evaluate(() => document.querySelector('#field-message').setSelectionRange(0, 1));
  await page.click('.rich:has(#field-message) .rich-bar button:nth-child(1)');
  assert.equal(await page.inputValue('#field-message'), '**와** 주세요');

  step('pictures: turned upright, smaller, and without where they were taken');
  const large = await photo(page, 2400, 1200, '#336699');
  await page.setInputFiles('#field-cover', { name: 'IMG_0001.JPG', mimeType: 'image/jpeg', buffer: large });
  await page.waitForSelector('dialog.cutting canvas');
  await one.look('studio-crop');
  await page.click('.cutting .choice input[value=square]');
  await page.click('.cutting .main');
  await page.waitForFunction(() => document.querySelector('#field-cover-field img')?.naturalWidth > 0);
  await until('the cover is in the draft', async () => /^photos\//.test((await draftOf(one, 'party')).draft.content.cover.src));
  const { content } = (await draftOf(one, 'party')).draft;
  assert.deepEqual([content.cover.width, content.cover.height], [1200, 1200], 'cut to a square of the short side');
  const two = [await photo(page, 1600, 800, '#993366'), await photo(page, 1000, 500, '#669933')];
  await page.setInputFiles('#field-photos', two.map((buffer, at) => ({ name: `사진 ${at} 🌊.jpg`, mimeType: 'image/jpeg', buffer })));
  await page.waitForFunction(() => document.querySelectorAll('#field-photos-field .item').length === 4);
  await saved(page);
  const { photos } = (await draftOf(one, 'party')).draft.content;
  // On its side in the file, upright here.
  assert.deepEqual([photos[2].width, photos[2].height], [800, 1600]);
  const sent = await page.evaluate(async (src) => {
    const answer = await fetch(`/apps/mom/party/draft/files/public/${src}`);
    return { kind: answer.headers.get('content-type'), text: new TextDecoder('latin1').decode(await answer.arrayBuffer()) };
  }, photos[2].src);
  assert.equal(sent.kind, 'image/webp');
  assert.ok(!sent.text.includes('Exif') && !sent.text.includes('MM\0'), 'nothing of the camera is left');
  // The first two are the template's.
  for (let gone = 0; gone < 2; gone++) await page.click('#field-photos-field .item .order button:nth-child(3)');
  await page.waitForFunction(() => document.querySelectorAll('#field-photos-field .item').length === 2);
  await page.fill('#field-photos-0-caption', '백일 때');
  await saved(page);
  await page.locator('#field-photos-field').scrollIntoViewIfNeeded();
  await one.look('studio-pictures');

  step('what is no picture is refused in plain words');
  for (const [name, mimeType, bytes, words] of [
    ['a.heic', 'image/heic', '\0\0\0\x18ftypheic', 'HEIC'],
    ['a.svg', 'image/svg+xml', '<svg xmlns="http://www.w3.org/2000/svg" onload="window.hurt=1"/>', 'SVG'],
    ['a.jpg', 'image/jpeg', 'no picture', '사진으로 열 수 없어요'],
  ]) {
    await page.setInputFiles('#field-photos', { name, mimeType, buffer: Buffer.from(bytes, 'latin1') });
    await page.waitForFunction((words) => [...document.querySelectorAll('.toast')].some((toast) => toast.textContent.includes(words)), words);
  }

  step('a field that does not fit says so, and nothing is published');
  await page.click('#field-contacts-field .item summary >> nth=0');
  await page.fill('#field-contacts-0-link', 'javascript:alert(1)');
  await saved(page);
  await page.waitForSelector('#field-contacts-0-link-error');
  await publish(page, '빨간 글');
  assert.ok(await page.evaluate(() => document.activeElement?.id === 'field-contacts-0-link'), 'the focus is where it has to be mended');
  await one.look('studio-wrong');
  await page.fill('#field-contacts-0-link', 'tel:010-0000-0000');
  await saved(page);

  step('published, and a guest sees it');
  await publish(page, '올렸어요');
  await one.look('studio-published');
  const guest = await person(browser, { viewport: PHONE });
  const site = portal.replace('//', '//mom-party.');
  await guest.page.goto(site);
  assert.match(await guest.page.textContent('h1'), /윤서의 첫 생일/);
  assert.equal(await guest.page.$$eval('.photos img', (all) => all.length), 2);
  assert.match(await guest.page.textContent('.photos'), /백일 때/);
  const before = await guest.page.textContent('.when .large');

  step('another date, published; and back by one');
  await page.fill('#field-when', '2027-06-20T15:30');
  await saved(page);
  assert.match((await draftOf(one, 'party')).draft.content.when, /^2027-06-20T15:30:00\+09:00$/);
  await publish(page, '올렸어요');
  await guest.page.reload();
  assert.match(await guest.page.textContent('.when .large'), /6월 20일/);
  await page.locator('.toast button').last().click();
  await page.waitForFunction(() => [...document.querySelectorAll('.toast')].some((toast) => toast.textContent.includes('되돌렸어요')), null, { timeout: 60_000 });
  await guest.page.reload();
  assert.equal(await guest.page.textContent('.when .large'), before);
  await guest.leave();

  step('the history tells in a sentence what was done, and leads back again');
  await page.goto(`${portal}/sites/mom/party/history`);
  await page.waitForSelector('.timeline li');
  const told = await page.textContent('.timeline');
  assert.match(told, /언제를 바꿈/);
  assert.match(told, /사진 3장을 바꿈/);
  await one.look('studio-history');

  step('two windows of one person');
  const other = await one.context.newPage();
  for (const each of [page, other]) {
    await each.goto(`${portal}/sites/mom/party/edit`);
    await each.waitForSelector('#field-title');
  }
  await other.fill('#field-title', '다른 창');
  await saved(other);
  await page.fill('#field-title', '이 창');
  await page.waitForSelector('.failure .actions');
  await one.look('studio-elsewhere');
  await page.click('.failure .actions button:nth-child(1)');
  await saved(page);
  assert.equal((await draftOf(one, 'party')).draft.content.title, '이 창');
  await other.close();
  await page.click('.studio-bar .actions button:nth-child(2)');
  await page.waitForFunction(() => document.querySelector('#field-title').value === '윤서의 첫 생일');
  assert.equal((await draftOf(one, 'party')).draft, null);
  await one.leave();

  step('on a desk, in English');
  const desk = await person(browser, { viewport: DESK, locale: 'en-GB' });
  await desk.page.goto(`${portal}/sites/mom/party/edit`);
  await desk.page.waitForSelector('#username');
  await signIn(desk);
  await desk.page.waitForSelector('#field-title');
  await desk.page.fill('#field-placeName', 'The garden');
  await saved(desk.page, /Saved\. Not published/);
  await publish(desk.page, 'Published.');
  await desk.look('studio');
  const text = await desk.page.evaluate(() => [...document.querySelectorAll('label, legend, button, .hint')].map((one) => one.textContent).join(' '));
  assert.doesNotMatch(text.replace('한국어', '').replaceAll(/신랑|신부|민준|서연|측|첫|번째/g, ''), /[가-힣]{3,}/);

  step('the files themselves');
  await desk.page.click('a[href="/sites/mom/party/files"]');
  await desk.page.waitForSelector('.file-list button');
  await desk.page.fill('#search', 'style');
  await desk.page.click('.files .file-list button');
  await desk.page.waitForSelector('.cm-content');
  await desk.page.click('.cm-content');
  await desk.page.keyboard.press('Control+End');
  await desk.page.keyboard.type('/* 한글 */');
  await saved(desk.page, /Saved\. Not published/);
  await desk.page.fill('#search', '');
  for (const [name, wrong] of [['../x', true], ['public/.git/x', true], ['public/style.css', true], ['public/about.html', false]]) {
    await desk.page.click('.files section:first-child .actions button');
    await desk.page.fill('#file-name', name);
    assert.equal(await desk.page.isDisabled('dialog .main'), wrong, name);
    if (wrong) await desk.page.keyboard.press('Escape');
    else await desk.page.click('dialog .main');
    await desk.page.waitForSelector('dialog', { state: 'detached' });
  }
  await desk.page.waitForSelector('.one-file[aria-label="public/about.html"] .cm-content');
  await desk.page.click('.cm-content');
  await desk.page.keyboard.type('<h1>About us</h1>');
  await saved(desk.page, /Saved\. Not published/);
  await until('both are in the draft', async () => (await draftOf(desk, 'party')).draft?.files?.some((file) => file.content.includes('About us')));
  assert.equal((await draftOf(desk, 'party')).draft.files.length, 2);
  await desk.look('studio-files');
  await publish(desk.page, 'Published.');
  const about = await desk.context.newPage();
  await about.goto(`${site}/about.html`);
  assert.match(await about.textContent('h1'), /About us/);
  await about.close();
  await desk.leave();
});
