// What whoever runs the server sees and does: every site, logs as they are written, the server itself, keys.
// Given: portal, word, pictures (a folder), root (of the installation, to edit files as people do).

import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { given, inChromium, step } from './chromium.mjs';
import { DESK, framesPerSecond, HOSTILE, person, PHONE } from './dashboard.mjs';

const { portal, root, word } = given;
const PASSWORD = 'four words for an operator';
const manifest = (app) => path.join(root, 'apps.d', `${app}.yaml`);

await inChromium(async (browser) => {
  const one = await person(browser, { viewport: DESK });
  const { page } = one;
  await page.goto(`${portal}/first#${word}`);
  await page.waitForSelector('#new');
  await page.fill('#new', PASSWORD);
  await page.click('form .main');
  await page.waitForSelector('.welcome');

  step('sites that are made by files appear by themselves');
  await page.click('a[href="/all"]');
  const apps = ['ann-talk', 'ann-page', 'bob-page', 'eve-page'];
  for (const app of apps) {
    await writeFile(manifest(app), `template: ${app === 'ann-talk' ? 'chatty' : 'static'}-v1\nmemory: 64m\n`);
  }
  await page.waitForFunction((many) => document.querySelectorAll('tbody .state[data-tone=good]').length === many, apps.length, { timeout: 60_000 });
  await one.look('all');

  step('the name of a template is text, whatever it is');
  await page.goto(`${portal}/new`);
  await page.waitForSelector('.template-card');
  assert.match(await page.textContent('main'), /<b>Chatty<\/b>/);
  await one.look('templates-hostile');
  await page.goto(`${portal}/all`);
  await page.waitForSelector('tbody tr');

  step('they are searched, filtered, and turned off and on');
  await page.keyboard.press('/');
  await page.keyboard.type('page bob');
  await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 1);
  await page.fill('input[type=search]', HOSTILE);
  await page.waitForSelector('.nothing');
  await page.fill('input[type=search]', '');
  await page.selectOption('select[aria-label="주인"]', 'bob');
  await page.waitForFunction(() => document.querySelectorAll('tbody tr').length === 1);
  await page.click('tbody button');
  await page.waitForSelector('tbody .state[data-tone=quiet]');
  await page.click('tbody button');
  await page.waitForSelector('tbody .state[data-tone=good]');
  await page.selectOption('select[aria-label="주인"]', '');

  step('a manifest that becomes invalid on disk shows within two seconds, its text as text');
  const written = Date.now();
  await writeFile(manifest('bob-page'), `template: static-v1\n"${HOSTILE.replaceAll('"', '')}": yes\n`);
  await page.waitForSelector('tbody .state[data-tone=warn]', { timeout: 2_000 });
  console.log(`  after ${Date.now() - written} ms`);
  await page.click('tbody a[href="/sites/bob/page"]');
  await page.waitForSelector('.wrong-line');
  assert.match(await page.textContent('.wrong-line'), /window\.hurt=1/, 'the wrong line, as text');
  assert.equal(await page.getAttribute('.trouble a.button', 'href'), '/sites/bob/page/manifest');
  await one.look('trouble');
  await page.goBack();
  await page.waitForSelector('tbody tr');
  await writeFile(manifest('bob-page'), 'template: static-v1\nmemory: 64m\n');
  await page.waitForSelector('tbody .state[data-tone=warn]', { state: 'detached' });

  step('what is not published yet shows; it is published, and taken back');
  await writeFile(path.join(root, 'apps/eve/page/app/index.html'), '<!doctype html><title>eve</title><p>a better page</p>\n');
  await page.goto(`${portal}/sites/eve/page/history`);
  await page.waitForSelector('.panel .main');
  await one.look('history-draft');
  await page.click('.panel .main');
  await page.waitForSelector('.timeline > ol > li:nth-child(2) > span > .button');
  await page.waitForSelector('.panel', { state: 'detached' });
  const eve = await one.context.newPage();
  await eve.goto((await one.call('GET', '/apps/eve/page')).data.url);
  assert.match(await eve.textContent('body'), /a better page/);
  await page.bringToFront();
  // Its first button only looks at it.
  await page.click('.timeline > ol > li:last-child > span > .button:last-of-type');
  await page.waitForSelector('.timeline > ol > li:last-child > span > b');
  await page.waitForSelector('.toast button');
  await one.look('history');
  await eve.reload();
  assert.doesNotMatch(await eve.textContent('body'), /a better page/);

  step('a version is kept as a zip, and published again from the site\'s own screen');
  await page.bringToFront();
  const [kept] = await Promise.all([page.waitForEvent('download'), page.click('.timeline > ol > li:first-child a[download]')]);
  const zip = path.join(root, kept.suggestedFilename());
  assert.match(zip, /eve-page-[0-9a-f]{16}\.zip$/);
  await kept.saveAs(zip);
  await page.goto(`${portal}/sites/eve/page`);
  await page.waitForSelector('.publish-zip .button');
  await one.look('site-zip');
  await page.setInputFiles('.publish-zip input', { name: 'broken.zip', mimeType: 'application/zip', buffer: Buffer.from('no zip at all') });
  await page.waitForSelector('.publish-zip .failure');
  await page.setInputFiles('.publish-zip input', zip);
  await page.waitForSelector('.toast');
  await page.waitForSelector('.publish-zip .failure', { state: 'detached' });
  await eve.bringToFront();
  await eve.reload();
  assert.match(await eve.textContent('body'), /a better page/);
  await eve.close();
  await page.bringToFront();
  await page.goto(`${portal}/sites/eve/page/history`);

  step('whoever knows git finds where the files are');
  await page.click('.git summary');
  assert.equal(await page.textContent('.git p code'), `${portal}/git/eve/page.git`);
  await page.click('.git .button');
  await page.waitForSelector('.toast');
  await one.look('history-git');
  await page.goto(`${portal}/me`);
  await page.click('.choice input[value=en]');
  await page.goto(`${portal}/sites/eve/page/history`);
  await page.click('.git summary');
  assert.match(await page.textContent('.git'), /Work on it with git/);
  await one.look('history-git');
  await page.goto(`${portal}/me`);
  await page.click('.choice input[value=ko]');
  await page.goto(`${portal}/all`);

  step('a site is backed up, the backup is tried out and taken away');
  await page.goto(`${portal}/sites/eve/page`);
  await page.click('a[href="/sites/eve/page/backups"]');
  await page.click('.actions .main');
  await page.waitForSelector('.backups > ol > li');
  await page.click('.backups > ol > li button');
  await page.waitForSelector('.backups b[data-proven]');
  await one.look('backups');
  const [taken] = await Promise.all([page.waitForEvent('download'), page.click('.backups a[download]')]);
  assert.match(taken.suggestedFilename(), /^eve-page-\d{8}T\d{9}Z\.tar\.zst$/);
  assert.ok((await readFile(await taken.path())).length > 100);
  await page.goto(`${portal}/all`);

  step('what is used and how many came is drawn');
  await page.click('a[href="/all"]');
  await page.waitForSelector('tbody tr .used .graph');
  await one.look('all-usage');
  await page.click('tbody a[href="/sites/ann/talk"]');
  await page.waitForSelector('.usage figure .graph');
  await page.waitForSelector('.visits .bars');
  assert.match(await page.textContent('.visits-week'), /7일 동안 \d+명/);
  await page.evaluate(() => document.querySelector('.visits').scrollIntoView());
  await one.look('site-visits');
  await page.evaluate(() => document.querySelector('.usage').scrollIntoView());
  await one.look('site-usage');
  await page.setViewportSize(PHONE);
  await one.look('phone-usage');
  await page.evaluate(() => document.querySelector('.visits').scrollIntoView());
  await page.click('.visits summary');
  await one.look('phone-visits');
  await page.goto(`${portal}/all`);
  await page.waitForSelector('tbody tr .used .graph');
  await one.look('phone-all-usage');
  await page.setViewportSize(DESK);
  const counted = async () => (await one.call('GET', '/apps/ann/page/visits')).data.days.at(-1).visitors;
  assert.equal(await counted(), 0);
  const guest = await browser.newContext({ userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' });
  const guestPage = await guest.newPage();
  for (let times = 0; times < 2; times++) await guestPage.goto((await one.call('GET', '/apps/ann/page')).data.url);
  assert.equal(await counted(), 1, 'whoever comes twice is one');
  await guest.close();

  step('what an app waits for is told with its cause');
  await writeFile(manifest('ann-page'), 'template: static-v1\nmemory: 64m\nstartTimeout: 5m\nredeploy: wait\nmemmory: 1g\n');
  await page.goto(`${portal}/sites/ann/page`);
  await page.waitForSelector('.plan .plan-steps li');
  await one.look('plan');
  await writeFile(manifest('ann-page'), 'template: static-v1\nmemory: 64m\n');
  await page.waitForSelector('.plan', { state: 'detached' });
  await page.click('a[href="/all"]');
  await page.waitForSelector('tbody tr');

  step('a log is followed under 5,000 lines a second, searched, paused, kept');
  await page.click('a[href="/sites/ann/talk/log"]');
  await page.waitForSelector('.line');
  assert.match(await page.textContent('.log'), /<script>window.hurt=4/);
  await one.look('log');
  const address = (await one.call('GET', '/apps/ann/talk')).data.url;
  const visitor = await one.context.newPage();
  await visitor.goto(`${address}talk`);
  await page.bringToFront();
  await page.waitForFunction(() => document.querySelectorAll('.line').length >= 1_000);
  const begun = Date.now();
  // The page stays at hand meanwhile: what is typed appears, and the frames come.
  await page.fill('input[type=search]', 'much to say');
  const frames = await framesPerSecond(page);
  console.log(`  ${frames.toFixed(0)} frames/s, the box held ${await page.evaluate(() => document.querySelectorAll('.line').length)} lines`);
  assert.ok(frames > 10, `${frames} frames/s`);
  await page.click('.tools button[aria-pressed=false]');
  const before = await page.textContent('.line:last-child');
  await visitor.goto(`${address}hush`);
  assert.equal(await page.textContent('.line:last-child'), before, 'paused is paused');
  await page.fill('input[type=search]', '');
  await page.click('.tools button[aria-pressed=true]');
  await page.waitForFunction(() => document.querySelector('.line:last-child')?.textContent.startsWith('the last of'), null, { timeout: 30_000 });
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('.tools .button:last-child')]);
  assert.equal(download.suggestedFilename(), 'ann-talk.log');
  console.log(`  caught up ${Date.now() - begun} ms after the first full box`);
  await visitor.close();

  step('the server itself, and a removal of many that waits for a person');
  await page.click('a[href="/system"]');
  await page.waitForSelector('.checks li[data-tone=good]');
  await one.look('system');
  await page.click('.checks summary');
  await page.waitForSelector('.build-log');
  assert.match(await page.textContent('.build-log'), /<b>line<\/b> 399 of the build$/);
  await one.look('system-build-log');
  await page.click('.checks summary');
  await page.keyboard.press('/');
  await page.keyboard.type('eve-page container');
  await page.waitForFunction(() => document.querySelector('.timeline li') && [...document.querySelectorAll('.timeline li')].every((line) => /eve-page.*container/s.test(line.textContent)));
  await page.fill('.timeline input[type=search]', HOSTILE);
  await page.waitForSelector('.timeline .nothing');
  await one.look('system-search');
  await page.fill('.timeline input[type=search]', '');
  await page.click('.settings .plain');
  await page.waitForFunction(() => document.querySelectorAll('.settings dl > div').length > 30);
  await page.click('p > .button');
  await page.waitForSelector('.plan .state[data-tone=good]');
  await page.evaluate(() => document.querySelector('.settings').scrollIntoView());
  await one.look('system-settings');
  for (const app of apps.slice(0, 3)) await rm(manifest(app));
  await page.waitForSelector('.trouble .danger', { timeout: 30_000 });
  await one.look('held');
  assert.equal((await page.$$('.names li')).length, 3);
  await page.click('.trouble .danger');
  await page.waitForSelector('.trouble', { state: 'detached', timeout: 30_000 });

  step('what was written is given up only by name');
  await page.goto(`${portal}/sites/eve/page`);
  await page.click('.farewell .purge');
  await page.waitForSelector('#purge-name');
  await page.keyboard.type('pag');
  assert.ok(await page.isDisabled('.dialog .danger'));
  await page.keyboard.press('Enter');
  await one.look('purge');
  await page.keyboard.type('e');
  await page.click('.dialog .danger');
  await page.waitForSelector('.dialog', { state: 'detached' });
  assert.equal((await one.call('GET', '/apps/eve/page')).data.manifest.keepData, false);
  await writeFile(manifest('eve-page'), 'template: static-v1\nmemory: 64m\n');

  step('a key for a program: shown once, revoked');
  await page.click('a[href="/me"]');
  await page.fill('#key-name', '<i>script</i>');
  await page.click('form button.button:not(.main):not(.icon-only)');
  const secret = await page.textContent('.secret code');
  assert.match(secret, /^paas_/);
  await one.look('keys');
  await page.reload();
  await page.waitForSelector('.keys .row');
  assert.ok(!(await page.textContent('body')).includes(secret), 'shown once');
  await page.click('.keys .row .danger');
  await page.waitForSelector('.keys .row', { state: 'detached' });

  step('the same on a phone');
  await page.setViewportSize(PHONE);
  for (const [address, there] of [['all', 'tbody tr'], ['system', '.checks li'], ['sites/eve/page/log', '.log']]) {
    await page.goto(`${portal}/${address}`);
    await page.waitForSelector(there);
    await one.look(`phone-${address.split('/').pop()}`);
  }

  step('signed out everywhere');
  await page.goto(`${portal}/me`);
  await page.click('.panel:last-of-type .danger');
  await page.waitForSelector('#username');
  await one.leave();
});
