// A site that rests: when, since when, let rest and opened by hand; a visitor who waits and is carried on; a form that is sent to it.
// What the server holds, and a site for which it has no room.
// Given: portal, word, pictures (a folder), root (of the installation, to edit files as people do). The site is there already, awake, and takes four seconds to boot.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { given, inChromium, step } from './chromium.mjs';
import { DESK, person, PHONE, picture } from './dashboard.mjs';

const { portal, root, word } = given;
const PASSWORD = 'four words for an operator';
const site = portal.replace('//', '//alice-slow.');

const restOf = async (one) => (await one.call('GET', '/apps/alice/slow')).data;

/** By the button, until the screen says since when. */
async function letRest({ page }) {
  await page.click('.sleep .turn');
  await page.waitForSelector('.sleep-since', { timeout: 30_000 });
}

await inChromium(async (browser) => {
  const one = await person(browser, { viewport: DESK });
  const { page } = one;
  await page.goto(`${portal}/first#${word}`);
  await page.waitForSelector('#new');
  await page.fill('#new', PASSWORD);
  await page.click('form .main');
  await page.waitForSelector('.site-card-link');

  step('when it rests is chosen, and taken back');
  await page.goto(`${portal}/sites/alice/slow`);
  await page.waitForSelector('#sleep-after');
  assert.equal(await page.inputValue('#sleep-after'), String(2 * 3600));
  await page.selectOption('#sleep-after', '0');
  await page.waitForSelector('.toast button');
  await page.waitForSelector('.sleep .turn', { state: 'detached' });
  assert.equal((await restOf(one)).sleep, undefined);
  await page.click('.toast button');
  await page.waitForSelector('.sleep .turn');
  assert.equal((await restOf(one)).sleep.afterSeconds, 2 * 3600);
  await page.evaluate(() => document.querySelector('.sleep').scrollIntoView());
  await one.look('site-sleep');

  step('it is let rest, and says since when');
  await letRest(one);
  assert.match(await page.textContent('.site-head .state'), /쉬고 있어요/);
  assert.match(await page.textContent('.sleep-since'), /쉬기 시작한 때: 방금/);
  await one.look('site-resting');
  await page.goto(`${portal}/all`);
  await page.waitForSelector('tbody tr');
  await page.selectOption('select[aria-label="보여줄 것"]', 'resting');
  await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 1);
  assert.match(await page.textContent('tbody td[data-label="쉼"]'), /방금/);
  await one.look('all-resting');
  await page.selectOption('select[aria-label="보여줄 것"]', 'all');

  step('whoever opens it sees that it is being opened, and is carried on');
  const guest = await person(browser, { viewport: PHONE });
  const begun = Date.now();
  const first = await guest.page.goto(`${site}/hello?who=nobody`);
  const waited = Date.now() - begun;
  assert.equal(first.status(), 503);
  assert.ok(waited > 1_900, `shown after ${waited} ms`);
  assert.match(await guest.page.textContent('h1'), /여는 중/);
  assert.equal(await guest.page.locator('script').count(), 0);
  await picture(guest.page, 'waking', 'ko');
  await guest.page.waitForFunction(() => document.querySelector('h1')?.textContent === 'awake');
  console.log(`  there after ${Date.now() - begun} ms`);
  assert.equal(guest.page.url(), `${site}/hello?who=nobody`);

  step('its owner sees that somebody came, and by what, not who');
  await page.goto(`${portal}/sites/alice/slow`);
  await page.waitForSelector('.sleep-wakes');
  assert.match(await page.textContent('.sleep-wakes'), /1번 다시 열렸어요/);
  await page.click('.timeline .details summary');
  const events = await page.textContent('.timeline .details');
  assert.match(events, /the app was woken/);
  assert.match(events, /a request for \/hello by Mozilla\/5\.0/);
  assert.doesNotMatch(events, /nobody!|who=/);
  const { wokenBy } = (await restOf(one)).sleep;
  assert.equal(wokenBy.path, '/hello');
  assert.match(wokenBy.agent, /Mozilla/);

  step('whoever runs the server sees how many sites it holds');
  await page.goto(`${portal}/system`);
  await page.waitForFunction(() => /이만한 사이트 약 \d+개 가운데 1개가 열려 있어요/.test(document.querySelector('.checks')?.textContent));
  await page.goto(`${portal}/sites/alice/slow`);
  await page.waitForSelector('.sleep .turn');

  step('a form that is sent to it arrives, and nobody is shown a page instead');
  await letRest(one);
  await guest.page.bringToFront();
  await guest.page.fill('input', 'umbrella');
  const [answer] = await Promise.all([guest.page.waitForNavigation(), guest.page.click('button')]);
  assert.equal(answer.status(), 200);
  assert.equal(answer.request().method(), 'POST');
  assert.equal(await guest.page.textContent('h1'), 'heard word=umbrella');
  await guest.leave();

  step('in English, on a phone; it is opened by hand');
  await page.bringToFront();
  await page.goto(`${portal}/me`);
  await page.click('.choice input[value=en]');
  await page.setViewportSize(PHONE);
  await page.goto(`${portal}/sites/alice/slow`);
  await page.waitForSelector('.sleep .turn');
  assert.match(await page.textContent('.sleep'), /Let it rest now/);
  await letRest(one);
  assert.match(await page.textContent('.sleep-since'), /Resting since/);
  await page.evaluate(() => document.querySelector('.sleep').scrollIntoView());
  await one.look('site-resting');
  await page.click('.sleep .turn');
  await page.waitForSelector('.sleep-since', { state: 'detached' });
  await page.waitForSelector('.site-head .state[data-tone=good]');

  step('a site for which there is no memory waits, says so, and opens by itself');
  const env = path.join(root, '.env');
  const settings = await readFile(env, 'utf8');
  await writeFile(env, settings.replace('PAAS_MEMORY_RESERVE=0', 'PAAS_MEMORY_RESERVE=4000g'));
  await page.waitForSelector('.sleep-since', { timeout: 30_000 });
  await writeFile(path.join(root, 'apps.d/alice-second.yaml'), 'template: static-v1\nmemory: 64m\n');
  await page.goto(`${portal}/sites/alice/second`);
  await page.waitForSelector('.trouble');
  assert.match(await page.textContent('.trouble'), /short of memory/);
  await one.look('no-room');
  await page.goto(`${portal}/me`);
  await page.click('.choice input[value=ko]');
  await page.goto(`${portal}/sites/alice/second`);
  await page.waitForSelector('.trouble');
  assert.match(await page.textContent('.trouble'), /메모리가 모자라서 기다리고 있어요/);
  await one.look('no-room');
  await writeFile(env, settings);
  await page.waitForSelector('.site-head .state[data-tone=good]', { timeout: 30_000 });
  await one.leave();
});
