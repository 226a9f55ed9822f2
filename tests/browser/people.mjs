// People: an invitation made by whoever runs the server, taken up on a phone, a site of one's own; then everything that happens
// to an account afterwards. Given: portal, word, pictures (a folder).

import assert from 'node:assert/strict';
import { given, inChromium, step } from './chromium.mjs';
import { DESK, HOSTILE, person, phoneShows } from './dashboard.mjs';

const { portal, word } = given;
const SMALL = { width: 360, height: 740 };
const PASSWORD = 'four words for an operator';
const FIRST = '분홍 우산 두 개';
const SECOND = '초록 기차 세 량';
const MINUTE = 60_000;

/** The link of the dialog that is open: with an address that another device of the home can open, which this browser is not. */
async function takeLink({ page }) {
  await page.waitForSelector('dialog .qr path[d^=M]');
  const link = await page.textContent('dialog .link-text code');
  assert.match(link, /\/join#[0-9a-f]{64}$/);
  const { portalElsewhere } = (await (await page.request.get(`http://127.0.0.1:${new URL(portal).port}/addresses`)).json()).data;
  assert.ok(link.startsWith(portalElsewhere ?? portal), link);
  return { link: portal + link.slice(link.indexOf('/join')), elsewhere: link };
}
async function closeDialog({ page }) {
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog', { state: 'detached' });
}

await inChromium(async (browser) => {
  step('the first sign-in of whoever runs the server');
  const admin = await person(browser, { viewport: SMALL });
  await admin.page.goto(`${portal}/first#${word}`);
  await admin.page.waitForSelector('#new');
  await admin.page.fill('#new', PASSWORD);
  await admin.page.click('form .main');
  await admin.page.waitForSelector('.welcome');

  step('somebody is invited: a name that a site may have, and a link that is shown once');
  await admin.page.click('nav a[href="/people"]');
  await admin.page.waitForSelector('.row.person');
  await admin.look('people-one');
  await admin.page.click('.thumb');
  await admin.page.fill('#person', HOSTILE.slice(0, 19));
  await admin.page.click('dialog form .main');
  await admin.page.waitForSelector('dialog .wrong');
  await admin.page.fill('#person', 'admin');
  await admin.page.click('dialog form .main');
  await admin.page.waitForSelector('dialog .failure');
  await admin.look('invite-wrong');
  await admin.page.fill('#person', 'alice');
  await admin.page.click('dialog form .main');
  const { link, elsewhere } = await takeLink(admin);
  await admin.look('invitation-link');
  await closeDialog(admin);
  await admin.page.waitForSelector('.row.person[href="/people/alice"]');
  await admin.look('people-two');
  assert.ok(!(await admin.page.content()).includes(link.split('#')[1]), 'shown once');

  step('another device opens it by the address of the server');
  const other = await person(browser, { viewport: SMALL });
  await other.page.goto(elsewhere);
  await other.page.waitForSelector('#new');
  assert.equal(other.page.url(), elsewhere.split('#')[0]);
  // Not `leave`: without TLS the console says that such an address is not isolated from other windows.
  await other.context.close();

  step('it is taken up on a phone, and leads to a site');
  const alice = await person(browser, { viewport: SMALL });
  await alice.page.goto(link);
  await alice.page.waitForSelector('#new');
  assert.equal(alice.page.url(), `${portal}/join`, 'the token is out of the address');
  assert.equal(await alice.page.inputValue('#username'), 'alice');
  assert.deepEqual(
    [await alice.page.getAttribute('#username', 'autocomplete'), await alice.page.getAttribute('#new', 'autocomplete')],
    ['username', 'new-password'],
  );
  await alice.look('join');
  await alice.page.reload();
  await alice.page.waitForSelector('#new');
  await alice.page.fill('#new', 'short');
  await alice.page.click('form .main');
  assert.equal(alice.page.url(), `${portal}/join`);
  await alice.page.fill('#new', 'password1');
  await alice.page.click('form .main');
  await alice.page.waitForSelector('.failure');
  await alice.look('join-weak');
  await alice.page.fill('#new', FIRST);
  await alice.page.click('form .main');
  await alice.page.waitForSelector('.template-card img');
  assert.equal(alice.page.url(), `${portal}/new`);
  assert.equal(await alice.page.locator('nav a[href="/people"], nav a[href="/all"], nav a[href="/system"]').count(), 0);
  await alice.look('join-new');
  await alice.page.click('.template-card a[href*="diary-v1"]');
  await alice.page.waitForSelector('.address-card[data-tone=good]');
  assert.equal(await alice.page.locator('#owner').count(), 0, 'whose it is goes without saying');
  await alice.page.fill('#name', 'diary');
  await alice.page.waitForSelector('.address-card[data-tone=good]');
  await alice.page.click('form .main');
  await alice.page.waitForSelector('.ready .qr path[d^=M]', { timeout: MINUTE });
  await alice.page.goto(`${portal}/people`);
  await alice.page.waitForSelector('.failure');

  step('a used link says so, in English as well');
  const late = await person(browser, { viewport: SMALL, locale: 'en-GB' });
  await late.page.goto(link);
  await late.page.waitForSelector('a.button[href="/"]');
  await late.look('join-over');
  // Another one, opened over that page, is looked at anew.
  await late.page.goto(`${portal}/join#${'0'.repeat(64)}`);
  await late.page.waitForSelector('a.button[href="/"]');
  await late.page.click('a.button[href="/"]');
  await late.page.waitForSelector('#username');

  step('where somebody is signed in is listed, and ended one by one');
  await late.page.fill('#username', 'alice');
  await late.page.fill('#password', FIRST);
  await late.page.click('form .main');
  await late.page.waitForSelector('.site-card');
  await alice.page.goto(`${portal}/me`);
  await alice.page.waitForFunction(() => document.querySelectorAll('.sessions .row').length === 2);
  assert.match(await alice.page.textContent('.sessions .row:first-child'), /Chrome · Linux/);
  await alice.page.locator('.sessions').scrollIntoViewIfNeeded();
  await alice.look('sessions');
  await alice.page.click('.sessions .row button');
  await alice.page.waitForFunction(() => document.querySelectorAll('.sessions .row').length === 1);
  await late.page.waitForSelector('dialog #password', { timeout: 30_000 });
  await late.leave();

  step('a key is narrowed to one site and to publishing');
  await alice.page.click('.details > summary');
  await alice.page.fill('#key-name', 'laptop');
  await alice.page.selectOption('#key-app', 'alice-diary');
  await alice.page.check('#key-deploy');
  await alice.page.click('form:has(#key-name) button:last-of-type');
  await alice.page.waitForSelector('.secret code');
  await alice.page.locator('#key-name').scrollIntoViewIfNeeded();
  await alice.look('key-narrowed');
  const [key] = (await alice.call('GET', '/api-keys')).data;
  assert.deepEqual([key.name, key.app, key.deployOnly], ['laptop', 'alice-diary', true]);

  step('a forgotten password: a new link, and the same page says what it is for');
  await admin.page.click('.row.person[href="/people/alice"]');
  await admin.page.waitForSelector('.new-link');
  await admin.look('person');
  await admin.page.click('.new-link');
  const { link: reset } = await takeLink(admin);
  await admin.look('reset-link');
  await closeDialog(admin);
  const again = await person(browser, { viewport: SMALL, locale: 'en-GB' });
  await again.page.goto(reset);
  await again.page.waitForSelector('#new');
  await again.look('reset');
  await again.page.fill('#new', SECOND);
  await again.page.click('form .main');
  await again.page.waitForSelector('.site-card');
  assert.equal(again.page.url(), `${portal}/`);
  await alice.leave();

  step('a quota of their own: one site they have, and no other');
  await admin.page.fill('#quota', 'many');
  await admin.page.waitForSelector('.quota .wrong');
  await admin.page.fill('#quota', '1');
  await admin.page.click('.quota button');
  await admin.page.waitForSelector('.toast');
  await admin.look('quota');
  await again.page.goto(`${portal}/new?template=static-v1`);
  await again.page.fill('#name', 'another');
  await again.page.waitForSelector('.address-card[data-tone=good]');
  await again.page.click('form .main');
  await again.page.waitForSelector('.failure');
  await again.look('quota-reached');

  step('a second step: switched on with a phone, asked for at the door, taken away by whoever runs the server');
  await again.page.goto(`${portal}/me`);
  await again.page.click('.step-begin');
  await again.page.fill('#step-password', SECOND);
  await again.page.click('.second-step form .main');
  await again.page.waitForSelector('.second-step .qr path[d^=M]');
  const secret = await again.page.textContent('.step-secret');
  await again.page.fill('#code', '000000');
  await again.page.click('.second-step form .main');
  await again.page.waitForSelector('.second-step .failure');
  await again.page.locator('.second-step').scrollIntoViewIfNeeded();
  await again.look('second-step');
  await again.page.fill('#code', phoneShows(secret));
  await again.page.click('.second-step form .main');
  await again.page.waitForSelector('.step-codes');
  const recovery = await again.page.locator('.step-codes code').allTextContents();
  assert.equal(recovery.length, 10);
  await again.page.locator('.second-step').scrollIntoViewIfNeeded();
  await again.look('recovery-codes');
  await again.page.click('.second-step > .main');
  await again.page.waitForSelector('.step-end');
  const door = await person(browser, { viewport: SMALL });
  await door.page.goto(portal);
  await door.page.fill('#username', 'alice');
  await door.page.fill('#password', SECOND);
  await door.page.click('form .main');
  await door.page.waitForSelector('#code');
  assert.equal(await door.page.locator('.failure').count(), 0, 'to be asked is no failure');
  await door.look('code');
  await door.page.fill('#code', '000000');
  await door.page.click('form .main');
  await door.page.waitForSelector('.failure');
  await door.page.fill('#code', phoneShows(secret, 1));
  await door.page.click('form .main');
  await door.page.waitForSelector('.site-card');
  await door.leave();
  await admin.page.goto(`${portal}/people/alice`);
  await admin.page.click('.step-lost');
  await admin.page.waitForSelector('.step-lost', { state: 'detached' });

  step('a role is changed, and taken back');
  await admin.page.click('.choice input[value=admin]');
  await admin.page.waitForSelector('.toast button');
  await admin.page.waitForFunction(() => document.querySelector('.choice input[value=admin]').checked);
  assert.equal((await again.call('GET', '/auth/me')).data.role, 'admin');
  await admin.page.click('.toast button');
  await admin.page.waitForFunction(() => document.querySelector('.choice input[value=member]').checked);
  assert.equal((await again.call('GET', '/auth/me')).data.role, 'member');
  // There is always somebody who runs the server.
  await admin.page.goto(`${portal}/people/admin`);
  await admin.page.waitForSelector('.choice');
  assert.equal(await admin.page.locator('.farewell').count(), 0, 'nobody removes themselves');
  await admin.page.click('.choice input[value=member]');
  await admin.page.waitForSelector('.toast[data-tone=bad]');
  await admin.page.waitForFunction(() => document.querySelector('.choice input[value=admin]').checked);

  step('somebody leaves, and what becomes of their sites is asked');
  await admin.page.goto(`${portal}/people/alice`);
  await admin.page.click('.farewell .danger');
  await admin.page.waitForSelector('dialog .choice');
  await admin.look('leaving');
  await admin.page.click('dialog .choice input[value=stop]');
  await admin.page.click('dialog .leave-now');
  await admin.page.waitForSelector('.row.person[href="/people/alice"]', { state: 'detached' });
  await again.page.waitForSelector('dialog #password', { timeout: 30_000 });
  // The daemon reads the manifest a moment later.
  await admin.page.waitForFunction(async () => (await (await fetch('/apps/alice/diary')).json()).data.desired === 'stopped');
  await admin.page.goto(`${portal}/people/alice`);
  await admin.page.waitForSelector('.welcome');
  await admin.page.setViewportSize(DESK);
  await admin.page.goto(`${portal}/people`);
  await admin.page.waitForSelector('.row.person');
  await admin.look('people-desk');
  await again.leave();
  await admin.leave();
});
