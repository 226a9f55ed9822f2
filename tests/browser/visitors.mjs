// Visitors: a diary that is everybody's to read and its owner's to write, then private, then shown to two people, one by a link and
// one by a password, who are both shown out again. Given: portal, word, pictures (a folder).

import assert from 'node:assert/strict';
import { given, inChromium, step } from './chromium.mjs';
import { DESK, HOSTILE, person, PHONE } from './dashboard.mjs';

const { portal, word } = given;
const PASSWORD = 'four words for an operator';
const OWN = '분홍 우산 두 개';
const SITE_PASSWORD = '우리 집 마당 감나무';
const FIRST = '오늘은 첫눈이 왔다';
const SECOND = '아무도 모르게 쓴 일기';
const SMALLEST = { width: 360, height: 640 };
const MINUTE = 60_000;
const site = portal.replace('//', '//alice-diary.');
const live = portal.replace('//', '//alice-live.');

/** A picture of a page of the gate on a small phone, a usual one and a desk. */
async function looks(one, name) {
  for (const viewport of [SMALLEST, DESK, PHONE]) {
    await one.page.setViewportSize(viewport);
    await one.look(name);
  }
}

/** What a page that is open gets of its site now: the status of each. */
async function statuses({ page }) {
  return page.evaluate(
    (asked) => Promise.all(asked.map(async ([method, path]) => (await fetch(path, { method, headers: { Accept: 'application/json' } })).status)),
    ALL,
  );
}
const ALL = [['GET', '/'], ['HEAD', '/'], ['GET', '/diary.js'], ['GET', '/icon.svg'], ['GET', '/api/entries'], ['GET', '/api/entries/1'], ['OPTIONS', '/api/entries']];

/** Whoever may only read sees no way to write, and is refused it. */
async function onlyReads(one) {
  const { page } = one;
  await page.waitForSelector('.entry');
  assert.equal(await page.locator('#write').isVisible(), false);
  await page.click('.entry');
  await page.waitForSelector('#reader[open]');
  assert.equal(await page.locator('#reader-delete').isVisible(), false);
  await page.click('#reader-close');
  const refused = await page.evaluate(async () => {
    const headers = { Accept: 'application/json', 'Content-Type': 'application/json' };
    const written = await fetch('/api/entries', { method: 'POST', headers, body: '{"body":"not mine"}' });
    const deleted = await fetch('/api/entries/1', { method: 'DELETE', headers });
    return [written.status, (await written.json()).code, deleted.status, (await deleted.json()).code];
  });
  assert.deepEqual(refused, [403, 'read-only', 403, 'read-only']);
}

/** Whoever is shut out sees a page that says so, and nothing of the site. */
async function isShutOut({ page, context }) {
  // Its own policy lets that page fetch nothing, so each address is opened.
  for (const path of ['/diary.js', '/icon.svg', '/api/entries', '/api/entries/1', '/#/1', '/']) {
    const answer = await page.goto(site + path);
    // A change of what stands behind # is no request.
    if (answer) assert.equal(answer.status(), 403, path);
    const text = await page.content();
    for (const secret of [FIRST, SECOND, '일기', 'style.css', 'mood']) assert.ok(!text.includes(secret), secret);
  }
  assert.deepEqual(await context.cookies(site), [], 'nothing is kept in the browser of a stranger');
}

async function write(page, text) {
  await page.fill('#body', text);
  await page.click('#save');
  await page.waitForFunction((text) => document.querySelector('.entry')?.textContent.includes(text), text);
}

/** What the owner presses in the dashboard, and the tab it opens: the site, as its owner. */
async function opened(one, selector) {
  const [tab] = await Promise.all([one.context.waitForEvent('page'), one.page.click(selector)]);
  await tab.waitForURL(`${site}/`);
  await tab.waitForSelector('#write:not([hidden])');
  return tab;
}

/** The answer is in when the message says whom it is for now. */
async function setView({ page }, circle) {
  await page.click(`.visitors input[name=view][value=${circle}]`);
  await page.waitForSelector('.toast');
  await page.waitForFunction((circle) => document.querySelector(`.visitors input[name=view][value=${circle}]`).checked, circle);
  await page.waitForFunction(
    async (circle) => (await (await fetch('/apps/alice/diary/visitors')).json()).data.visitors.view === circle,
    circle,
  );
}

async function invited(admin, name) {
  const { data } = await admin.call('POST', '/users', { name });
  return portal + data.path;
}

async function accept(one, link) {
  await one.page.goto(link);
  await one.page.fill('#new', OWN);
  await one.page.click('form .main');
  await one.page.waitForSelector('.template-card img');
}

await inChromium(async (browser) => {
  step('two people are invited');
  const admin = await person(browser, { viewport: DESK });
  await admin.page.goto(`${portal}/first#${word}`);
  await admin.page.fill('#new', PASSWORD);
  await admin.page.click('form .main');
  await admin.page.waitForSelector('.welcome');
  const links = [await invited(admin, 'alice'), await invited(admin, 'bob')];

  step('one takes it up on a phone, and has a diary');
  const alice = await person(browser);
  await accept(alice, links[0]);
  await alice.page.click('.template-card a[href*="diary-v1"]');
  await alice.page.fill('#name', 'diary');
  await alice.page.waitForSelector('.address-card[data-tone=good]');
  assert.ok(await alice.page.isChecked('input[name=view][value=everyone]'), 'what the template suggests');
  assert.match(await alice.page.textContent('.naming'), /쓰고 지우는 것은 나만/);
  await alice.page.click('input[name=view][value=owner]');
  await alice.look('visitors-new');
  await alice.page.reload();
  await alice.page.waitForSelector('.address-card[data-tone=good]');
  assert.ok(await alice.page.isChecked('input[name=view][value=owner]'), 'what was chosen survives a reload');
  await alice.page.click('form .main');
  await alice.page.waitForSelector('.ready .qr path[d^=M]', { timeout: MINUTE });
  await alice.look('visitors-ready');

  step('it is opened from the dashboard, and knows its owner');
  let diary = await opened(alice, '.ready .button.main');
  await write(diary, FIRST);
  assert.match(await diary.textContent('#where'), /주인으로 들어와 있어요/);
  assert.ok(!diary.url().includes('paas'), diary.url());
  await diary.close();

  step('it is private from its first moment; then everybody may read it, and nobody else write');
  const stranger = await person(browser);
  await isShutOut(stranger);
  await alice.page.goto(`${portal}/sites/alice/diary`);
  await setView(alice, 'everyone');
  await stranger.page.goto(site);
  await onlyReads(stranger);
  await stranger.look('diary-to-read');
  assert.deepEqual(await statuses(stranger), [200, 200, 200, 200, 200, 200, 405]);

  step('private by one word: a stranger sees a friendly page, and nothing of the diary');
  await setView(alice, 'owner');
  await alice.page.locator('.visitors').scrollIntoViewIfNeeded();
  await alice.look('visitors-owner');
  // The page that was open before gets nothing new.
  assert.deepEqual(await statuses(stranger), ALL.map(() => 403));
  await isShutOut(stranger);
  await looks(stranger, 'gate-owner');
  const english = await person(browser, { locale: 'en-GB' });
  await isShutOut(english);
  await looks(english, 'gate-owner');
  await stranger.page.goto(`${site}/.paas/nothing`);
  await looks(stranger, 'gate-nothing');

  step('its owner opens it all the same, and writes');
  diary = await opened(alice, '.actions .button.main');
  await write(diary, SECOND);
  await diary.close();
  await alice.page.click('.actions .button:nth-child(2)');
  await alice.page.waitForSelector('dialog .qr path[d^=M]');
  await alice.look('share-private');
  await alice.page.keyboard.press('Escape');
  await alice.page.waitForSelector('dialog', { state: 'detached' });

  step('a link shows it to one person, who cannot write');
  await setView(alice, 'guests');
  await alice.page.fill('#guest-name', '할머니');
  await alice.page.click('.make-link');
  await alice.page.waitForSelector('dialog .qr path[d^=M]');
  // What is shown works on another device, which is not where this test runs.
  const shown = new URL(await alice.page.textContent('dialog .link-text code'));
  assert.match(shown.pathname + shown.hash, /^\/\.paas\/enter#[0-9a-f]{64}$/);
  assert.match(shown.hostname, /^alice-diary\./);
  const link = site + shown.pathname + shown.hash;
  await alice.look('guest-link');
  await alice.page.keyboard.press('Escape');
  await alice.page.waitForSelector('dialog', { state: 'detached' });
  const grandma = await person(browser, { viewport: SMALLEST });
  await grandma.page.goto(link);
  await grandma.page.waitForURL(`${site}/`);
  await onlyReads(grandma);
  assert.match(await grandma.page.textContent('#list'), new RegExp(`${SECOND}.*${FIRST}`));
  await grandma.look('diary-guest');
  const [pass, ...others] = await grandma.context.cookies();
  assert.deepEqual(others, []);
  assert.deepEqual([pass.name, pass.httpOnly, pass.sameSite, pass.domain], ['paas_visitor', true, 'Lax', new URL(site).hostname]);
  assert.equal(await grandma.page.evaluate(() => document.cookie), '');
  await isShutOut(stranger);
  await looks(stranger, 'gate-guests');
  await isShutOut(english);
  await looks(english, 'gate-guests');

  step('the entrance without a link, and with one that opens nothing');
  for (const one of [stranger, english]) {
    await one.page.goto(`${site}/.paas/enter`);
    await looks(one, 'gate-enter');
    await one.page.goto(`${site}/.paas/enter#${'0'.repeat(64)}`);
    await one.page.waitForSelector('[role=alert]');
    assert.equal(one.page.url(), `${site}/.paas/enter`);
    await looks(one, 'gate-enter-over');
  }

  step('the password is the other way in');
  await alice.page.waitForSelector('.visitors .row');
  await alice.page.fill('#site-password', '우리집');
  await alice.page.click('.visitors form:has(#site-password) .actions .button');
  await alice.page.waitForSelector('.visitors .failure');
  await alice.page.locator('#site-password').scrollIntoViewIfNeeded();
  await alice.look('visitors-password-short');
  await alice.page.fill('#site-password', SITE_PASSWORD);
  await alice.page.click('.visitors form:has(#site-password) .actions .button');
  await alice.page.waitForFunction(() => document.querySelectorAll('.visitors form:has(#site-password) .actions .button').length === 2);
  await alice.page.locator('#site-password').scrollIntoViewIfNeeded();
  await alice.look('visitors-guests');
  const friend = await person(browser);
  for (const one of [friend, english]) {
    await one.page.goto(`${site}/?page=2`);
    await looks(one, 'gate-password');
    await one.page.fill('input[type=password]', HOSTILE);
    await one.page.click('form button');
    await one.page.waitForSelector('[role=alert]');
    await looks(one, 'gate-password-wrong');
  }
  await friend.page.fill('input[type=password]', SITE_PASSWORD);
  await friend.page.keyboard.press('Enter');
  await friend.page.waitForURL(`${site}/?page=2`);
  await onlyReads(friend);
  await english.page.goto(`${site}/.paas/enter`);
  await looks(english, 'gate-enter-password');
  await stranger.page.goto(`${site}/.paas/enter`);
  await looks(stranger, 'gate-enter-password');

  step('too many wrong ones have to wait');
  // The pause grows with each: sooner or later it is longer than this machine takes for a try.
  const isPaused = async () => /쉬어야/.test((await stranger.page.locator('[role=alert]').allTextContents()).join());
  for (let n = 0; !(await isPaused()); n++) {
    assert.ok(n < 30, 'guessing is not slowed down');
    await stranger.page.fill('input[type=password]', `wrong ${n}`);
    await Promise.all([stranger.page.waitForNavigation(), stranger.page.click('form:has(input[type=password]) button')]);
  }
  await looks(stranger, 'gate-too-often');

  step('guests who may write have a form, and whoever only reads is shown the way in');
  await setView(alice, 'everyone');
  await alice.page.click('.visitors input[name=change][value=guests]');
  await alice.page.waitForFunction(async () => (await (await fetch('/apps/alice/diary/visitors')).json()).data.visitors.change === 'guests');
  await friend.page.reload();
  await friend.page.waitForSelector('#write:not([hidden])');
  assert.match(await friend.page.textContent('#where'), /초대받은 사람으로/);
  await english.page.goto(site);
  await onlyReads(english);
  await english.page.click('#where a');
  await english.page.waitForSelector('input[type=password]');
  await setView(alice, 'guests');

  step('what is taken back opens nothing from the next request on');
  await alice.page.click('.visitors .row button');
  await alice.page.waitForSelector('.visitors .row', { state: 'detached' });
  assert.deepEqual(await statuses(grandma), ALL.map(() => 403));
  await grandma.page.reload();
  await grandma.page.waitForSelector('input[type=password]');
  assert.ok(!(await grandma.page.content()).includes(FIRST));
  await grandma.page.goto('about:blank');
  await grandma.page.goto(link);
  await grandma.page.waitForSelector('[role=alert]');
  // Who came by the password is not concerned, until that is gone as well.
  await friend.page.reload();
  await friend.page.waitForSelector('.entry');
  await alice.page.click('.visitors form:has(#site-password) .actions .button:nth-child(2)');
  await alice.page.waitForFunction(() => document.querySelectorAll('.visitors form:has(#site-password) .actions .button').length === 1);
  assert.deepEqual(await statuses(friend), ALL.map(() => 403));

  step('its owner signs in from the gate itself, and is back where they wanted to go');
  const phone = await person(browser);
  await phone.page.goto(`${site}/?page=3`);
  await phone.page.click('a[href^="/.paas/owner"]');
  await phone.page.fill('#username', 'alice');
  await phone.page.fill('#password', OWN);
  await phone.page.click('form .main');
  await phone.page.waitForURL(`${site}/?page=3`);
  await phone.page.waitForSelector('#write:not([hidden])');
  await write(phone.page, '전화기에서 쓴 일기');
  await phone.page.click('.entry');
  await phone.page.click('#reader-delete');
  await phone.page.click('#confirm-yes');
  await phone.page.waitForFunction(() => document.querySelectorAll('.entry').length === 2);

  step('somebody else with an account is no owner');
  const bob = await person(browser);
  await accept(bob, links[1]);
  await bob.page.goto(site);
  await bob.page.click('a[href^="/.paas/owner"]');
  await bob.page.waitForSelector('.outside .button.main');
  await bob.look('visit-refused');
  // On a device that two share.
  await bob.page.click('.outside .button.main');
  await bob.page.fill('#username', 'alice');
  await bob.page.fill('#password', OWN);
  await bob.page.click('form .main');
  await bob.page.waitForURL(`${site}/`);
  await bob.page.waitForSelector('#write:not([hidden])');
  await isShutOut(stranger);

  step('everybody out: the owner as well, who comes in again');
  // A word of before may still be there.
  const ended = alice.page.waitForResponse((answer) => answer.url().endsWith('/visitors/sign-out'));
  await alice.page.locator('.visitors > .button').click();
  assert.ok((await ended).ok());
  await phone.page.reload();
  assert.match(await phone.page.textContent('h1'), /초대한 사람만/);
  diary = await opened(alice, '.actions .button.main');
  await diary.close();

  step('an open event stream and an open WebSocket end with the pass');
  const writer = await person(browser, { viewport: DESK });
  assert.equal((await alice.call('POST', '/apps?wait=60', { userid: 'alice', appname: 'live', templateId: 'live-v1' })).ok, true);
  assert.equal((await alice.call('PUT', '/apps/alice/live/visitors', { visitors: 'guests' })).ok, true);
  const made = (await alice.call('POST', '/apps/alice/live/visitors/links', { name: '친구' })).data;
  await writer.page.goto(made.url);
  await writer.page.waitForURL(`${live}/`);
  await writer.page.waitForFunction(() => window.opened.length === 2);
  assert.deepEqual(await writer.page.evaluate(() => window.ended), []);
  const [{ id }] = (await alice.call('GET', '/apps/alice/live/visitors')).data.links;
  const begun = Date.now();
  await alice.call('DELETE', `/apps/alice/live/visitors/links/${id}`);
  await writer.page.waitForFunction(() => new Set(window.ended).size === 2);
  assert.ok(Date.now() - begun < 2000, `${Date.now() - begun} ms`);

  for (const one of [admin, alice, stranger, english, grandma, friend, phone, bob]) await one.leave();
});
