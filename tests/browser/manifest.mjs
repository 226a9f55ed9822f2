// The editor of a manifest: what is wrong shows where it is, Korean goes in as it is typed, two who edit at once lose nothing, and
// what could be written next is offered. Given: portal, word, pictures (a folder), root (of the installation).

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { compare, merged } from '../../web/app/lib/merge.js';
import { given, inChromium, step } from './chromium.mjs';
import { DESK, edit, edited, person, PHONE } from './dashboard.mjs';

const { portal, root, word } = given;
const PASSWORD = 'four words for an editor';
const manifest = (app) => path.join(root, 'apps.d', `${app}.yaml`);

step('whatever three texts are put together, nothing is lost of the side that is chosen');
for (const [base, mine, theirs, by] of [
  ['a\nb\nc', 'a\nB\nc', 'a\nb\nC', ['both']],
  ['a\nb\nc\nd', 'A\nb\nc\nd', 'a\nb\nc\nD', ['mine', 'theirs']],
  ['a\nb', 'a\nx\nb', 'a\nx\nb', []],
  ['', 'a', 'b', ['both']],
  ['a\nb\nc', 'a\nc', 'a\nb\nc\nd', ['mine', 'theirs']],
]) {
  const parts = compare(base, mine, theirs);
  const hunks = parts.filter((part) => part.kind === 'hunk');
  assert.deepEqual(hunks.map((hunk) => hunk.by), by, `${base} | ${mine} | ${theirs}`);
}
// A fixed seed: the same texts at every run.
let seed = 7;
const random = (below) => ((seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648), (seed >> 8) % below);
for (let round = 0; round < 2_000; round++) {
  const text = () => Array.from({ length: random(9) }, () => 'abc'[random(3)]).join('\n');
  const [base, mine, theirs] = [text(), text(), text()];
  const parts = compare(base, mine, theirs);
  const all = (side) => parts.filter((part) => part.kind === 'hunk').map(() => side);
  assert.equal(merged(parts, all('mine')), mine);
  assert.equal(merged(parts, all('theirs')), theirs);
}

await inChromium(async (browser) => {
  const one = await person(browser, { viewport: DESK });
  const { page } = one;
  await page.goto(`${portal}/first#${word}`);
  await page.waitForSelector('#new');
  await page.fill('#new', PASSWORD);
  await page.click('form .main');
  await page.waitForSelector('.welcome');
  await page.click('a[href="/all"]');
  for (const app of ['bob-page', 'eve-page']) await writeFile(manifest(app), 'template: static-v1\nstate: stopped\n');
  await page.waitForFunction(() => document.querySelectorAll('tbody .state[data-tone=quiet]').length === 2);

  step('a manifest is edited: checked while typed, saved over what was seen');
  await writeFile(manifest('bob-page'), 'memory: 64m\ntemplate: static-v1\ncpus: 0.5\nstrategy: recreate\n');
  await page.goto(`${portal}/sites/bob/page/manifest`);
  await page.waitForSelector('#manifest');
  await edit(page, 'manifest', 'template: static-v1\nmemmory: 64m\n');
  await page.waitForSelector('.verdict .wrong');
  assert.match(await page.textContent('.verdict'), /memory/);
  await page.waitForSelector('#manifest .cm-lintRange-error');
  assert.equal(await page.getAttribute('#manifest', 'aria-invalid'), 'true');
  await one.look('manifest-wrong');
  await page.click('.verdict .plain');
  assert.equal(await page.evaluate(() => String(getSelection())), 'memmory: 64m');

  step('in Korean, syllable by syllable, while what is wrong is marked and the keyboard leaves when it wants');
  await page.keyboard.press('Control+Home');
  await page.keyboard.type('# ');
  const letters = await one.context.newCDPSession(page);
  // The answer of the server comes while the syllable is not done yet.
  const checked = page.waitForResponse((answer) => answer.url().endsWith('/manifest/check') && answer.request().postDataJSON().text.startsWith('# 안template'));
  for (const text of ['ㅇ', '아', '안']) {
    await letters.send('Input.imeSetComposition', { text, selectionStart: 1, selectionEnd: 1 });
    assert.match(await edited(page, 'manifest'), new RegExp(`^# ${text}template`));
  }
  await checked;
  await letters.send('Input.imeSetComposition', { text: '안녀', selectionStart: 2, selectionEnd: 2 });
  await letters.send('Input.insertText', { text: '안녕' });
  assert.match(await edited(page, 'manifest'), /^# 안녕template/);
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.querySelector('#manifest .cm-lintRange-error')?.textContent.startsWith('memmory'));
  assert.equal(await edited(page, 'manifest'), '# 안녕\ntemplate: static-v1\nmemmory: 64m\n');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.closest('.code-field')), null, 'Tab leaves the editor');
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Control+f');
  await page.keyboard.type('memm');
  await page.waitForSelector('.cm-searchMatch');
  await one.look('manifest-search');
  await page.keyboard.press('Escape');

  step('two who edit one manifest are shown to each other, and put together place by place');
  const base = 'memory: 64m\ntemplate: static-v1\ncpus: 0.5\nstrategy: recreate\n';
  await edit(page, 'manifest', `${base.replace('64m', '80m')}# bob\n`);
  await page.waitForSelector('.verdict .state');
  const second = await one.context.newPage();
  await second.goto(`${portal}/sites/bob/page/manifest`);
  await second.waitForSelector('#manifest');
  await edit(second, 'manifest', base.replace('64m', '96m').replace('0.5', '0.25'));
  await second.waitForSelector('.verdict .state');
  await second.click('.editor ~ .actions .main');
  await second.waitForFunction(() => document.querySelector('.editor ~ .actions .main').disabled);
  await page.bringToFront();
  await page.waitForSelector('.hunk[data-by=both]');
  assert.deepEqual(await page.$$eval('.hunk', (all) => all.map((hunk) => hunk.dataset.by)), ['both', 'theirs', 'mine']);
  assert.ok(await page.isDisabled('.conflict .main'), 'nobody chooses for me where both changed the same');
  await one.look('manifest-conflict');
  assert.equal(await edited(page, 'manifest'), `${base.replace('64m', '80m')}# bob\n`, 'what was typed is kept');
  await page.click('.hunk[data-by=both] [data-side=mine]');
  await page.click('.conflict .main');
  await page.waitForSelector('.conflict', { state: 'detached' });
  const together = `${base.replace('64m', '80m').replace('0.5', '0.25')}# bob\n`;
  await page.waitForFunction(() => document.querySelector('#manifest').textContent.includes('cpus: 0.25'));
  assert.equal(await edited(page, 'manifest'), together);
  await page.waitForFunction(() => !document.querySelector('.editor ~ .actions .main').disabled);
  await page.click('.editor ~ .actions .main');
  await page.waitForFunction(() => document.querySelector('.editor ~ .actions .main').disabled);
  assert.equal((await one.call('GET', '/apps/bob/page/manifest')).data.text, together);
  await second.bringToFront();
  // Nothing was typed there since, so it simply follows.
  await second.waitForFunction(() => document.querySelector('#manifest').textContent.includes('# bob'));
  await second.close();
  await page.bringToFront();

  step('the editor completes what the schema knows, by keys alone');
  await Promise.all([page.waitForResponse(/manifest\.schema\.json$/), page.goto(`${portal}/sites/eve/page/manifest`)]);
  await page.waitForSelector('#manifest');
  await page.focus('#manifest');
  await page.keyboard.press('Control+End');
  await page.keyboard.type('stra');
  await page.waitForSelector('.cm-tooltip-autocomplete li');
  await page.keyboard.press('Tab');
  await page.waitForFunction(() => document.querySelectorAll('.cm-tooltip-autocomplete li').length === 2);
  await one.look('manifest-suggestions');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  assert.match(await edited(page, 'manifest'), /^strategy: recreate$/m);
  await page.keyboard.press('Enter');
  await page.keyboard.type('visitors:');
  await page.keyboard.press('Enter');
  await page.keyboard.type('  vi');
  await page.waitForSelector('.cm-tooltip-autocomplete li');
  await page.keyboard.press('Tab');
  await page.keyboard.type('gu');
  await page.waitForSelector('.cm-tooltip-autocomplete li');
  await page.keyboard.press('Tab');
  assert.match(await edited(page, 'manifest'), /^visitors:\n {2}view: guests$/m);
  await page.keyboard.type('\ntemp');
  await page.waitForSelector('.cm-tooltip-autocomplete', { state: 'detached' });
  await page.keyboard.press('Control+A');
  await page.keyboard.type('template: ');
  await page.waitForFunction(() => document.querySelectorAll('.cm-tooltip-autocomplete li').length >= 2);
  await page.keyboard.press('Escape');
  await page.waitForSelector('.cm-tooltip-autocomplete', { state: 'detached' });
  await page.click('.actions .button:last-child');

  step('what was typed outlives a reload, and a session that ends in the middle of it');
  await edit(page, 'manifest', 'template: static-v1\nstate: stopped\n# half a thought');
  await page.waitForFunction(() => sessionStorage.length > 0 && JSON.stringify(sessionStorage).includes('half a thought'));
  await page.reload();
  await page.waitForSelector('#manifest');
  assert.match(await edited(page, 'manifest'), /# half a thought$/);
  await one.context.clearCookies();
  await page.keyboard.press('Control+End');
  await page.focus('#manifest');
  await page.keyboard.press('Control+End');
  await page.keyboard.type('\n# and the other half');
  await page.waitForSelector('dialog #password');
  await page.fill('dialog #password', PASSWORD);
  await page.click('dialog form .main');
  await page.waitForSelector('dialog', { state: 'detached' });
  assert.match(await edited(page, 'manifest'), /# half a thought\n# and the other half$/);
  await page.click('.editor ~ .actions .main');
  await page.waitForFunction(() => document.querySelector('.editor ~ .actions .main').disabled);
  assert.match((await one.call('GET', '/apps/eve/page/manifest')).data.text, /the other half$/);

  step('the same on a phone, and where it is narrowest');
  for (const viewport of [PHONE, { width: 320, height: 640 }]) {
    await page.setViewportSize(viewport);
    await page.goto(`${portal}/sites/bob/page/manifest`);
    await page.waitForSelector('#manifest');
    await one.look('manifest');
    await edit(page, 'manifest', 'template: static-v1\nmemory: 96m\n');
    await writeFile(manifest('bob-page'), `template: static-v1\nmemory: ${viewport.width}m\n`);
    await page.waitForSelector('.hunk');
    await one.look('manifest-conflict');
    await page.click('.conflict .actions .button:nth-child(2)');
    await page.waitForSelector('.conflict', { state: 'detached' });
    await page.waitForFunction((memory) => document.querySelector('#manifest').textContent.includes(memory), `memory: ${viewport.width}m`);
  }
  await one.leave();
});
