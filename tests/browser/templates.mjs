// What is made of each template: on a phone, in both themes, with scripts and without; and what its owner does with it.
// Given: portal, word, pictures (a folder).

import assert from 'node:assert/strict';
import { given, inChromium, step } from './chromium.mjs';
import { DESK, HOSTILE, person, PHONE } from './dashboard.mjs';

const { portal, word } = given;
const address = (name, path = '/') => {
  const url = new URL(path, portal);
  url.hostname = `alice-${name}.${url.hostname}`;
  return url.href;
};

await inChromium(async (browser) => {
  step('everybody can use the first page of each, in both languages and themes');
  const stranger = await person(browser);
  const { page } = stranger;
  for (const name of ['links', 'album', 'guestbook', 'invite', 'page']) {
    await page.goto(address(name));
    await stranger.look(`template-${name}`);
    assert.equal(await page.getAttribute('meta[property="og:image"]', 'content').then((image) => new URL(image).host), new URL(address(name)).host);
  }
  const english = await person(browser, { locale: 'en-GB', viewport: DESK });
  for (const [name, said] of [['links', 'Share this page'], ['album', '8 pictures'], ['guestbook', 'Leave a word'], ['invite', 'Will you come?'], ['page', 'On a map']]) {
    await english.page.goto(address(name));
    assert.ok((await english.page.textContent('body')).includes(said), said);
    await english.look(`template-${name}-english`);
  }
  await english.leave();

  step('an album is leafed through with a finger, keys and the back button, and is still there');
  await page.goto(address('album'));
  await page.click('.photos li:nth-child(2) a');
  await page.waitForSelector('dialog[open]');
  await stranger.look('template-album-large');
  await page.keyboard.press('ArrowRight');
  assert.match(await page.textContent('.large .count'), /3 \/ 8/);
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog:not([open])', { state: 'attached' });
  await page.waitForFunction(() => /photo\/mountains$/.test(document.activeElement.href));
  await page.click('.photos li:nth-child(1) a');
  await page.waitForSelector('dialog[open]');
  await page.goBack();
  await page.waitForSelector('dialog:not([open])', { state: 'attached' });
  assert.equal(page.url(), address('album'));

  step('all of it works without scripts');
  const plain = await browser.newContext({ locale: 'ko-KR', viewport: PHONE, javaScriptEnabled: false });
  const bare = await plain.newPage();
  await bare.goto(address('album'));
  await bare.click('.photos li:nth-child(6) a');
  assert.equal(bare.url(), address('album', '/photo/city'));
  await bare.click('a[rel=next]');
  assert.equal(bare.url(), address('album', '/photo/flowers'));
  await bare.goto(address('guestbook'));
  await bare.fill('textarea[name=text]', `눈 오는 날 들렀어요 ${HOSTILE}`);
  await bare.fill('#write input[name=name]', '은하');
  await bare.click('#write .button');
  assert.match(await bare.textContent('h1'), /고마워요/);
  await bare.goto(address('invite'));
  await bare.fill('.rsvp input[name=name]', '할머니');
  await bare.check('input[name=answer][value=yes]', { force: true });
  await bare.fill('.rsvp textarea', HOSTILE);
  await bare.click('.rsvp .button');
  assert.match(await bare.textContent('h1'), /답장 고마워요/);
  await plain.close();

  step('what is wrong is said beside what was typed');
  await page.goto(address('guestbook'));
  await page.fill('textarea[name=text]', '이름을 잊었어요');
  await page.$eval('#write', (form) => form.setAttribute('novalidate', ''));
  await page.click('#write .button');
  await page.waitForSelector('[role=alert]');
  assert.equal(await page.inputValue('textarea[name=text]'), '이름을 잊었어요');
  await stranger.look('template-guestbook-again');

  step('a stranger sees nothing that is the owner\'s');
  await page.goto(address('guestbook'));
  assert.ok(!(await page.textContent('body')).includes('눈 오는 날'));
  await page.goto(address('invite', '/guests'));
  assert.ok(!(await page.textContent('body')).includes('할머니'));
  await stranger.look('template-invite-stranger');
  await page.goto(address('links', '/nothing'));
  await stranger.look('template-nothing');

  step('its owner does, by way of the portal, and lets it be seen');
  const owner = await person(browser);
  await owner.page.goto(`${portal}/first#${word}`);
  await owner.page.fill('#new', '보라색 고양이 산책');
  await owner.page.click('form .main');
  await owner.page.waitForSelector('nav');
  await owner.page.goto(address('guestbook', '/.paas/owner?to=/'));
  await owner.page.waitForSelector('#waiting .entries');
  await owner.look('template-guestbook-owner');
  await owner.page.click('#waiting .button.small >> nth=0');
  await owner.page.waitForSelector('.entries [id^=e]');
  await owner.page.goto(address('invite', '/.paas/owner?to=/guests'));
  await owner.page.waitForSelector('.replies li');
  assert.match(await owner.page.textContent('main'), /할머니/);
  await owner.look('template-invite-owner');
  await owner.leave();
  await page.goto(address('guestbook'));
  assert.ok((await page.textContent('.entries')).includes('눈 오는 날 들렀어요 "><img'));
  await stranger.look('template-guestbook-shown');
  await stranger.leave();
});
