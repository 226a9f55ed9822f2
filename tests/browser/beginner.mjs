// A beginner's way: from the address that the server printed to a site of their own, and what one does with it afterwards.
// Given: portal, word, pictures (a folder), restart (a file: made when the daemon is to be restarted).

import assert from 'node:assert/strict';
import { access, writeFile } from 'node:fs/promises';
import { given, inChromium, step } from './chromium.mjs';
import { DESK, HOSTILE, person, PHONE, picture } from './dashboard.mjs';

const { portal, word, restart } = given;
const PASSWORD = '보라색 고양이 산책';
const MINUTE = 60_000;

const until = async (what, holds) => {
  const end = Date.now() + 30_000;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `not within 30 s: ${what}`);
    await new Promise((later) => setTimeout(later, 50));
  }
};
const exists = (file) => access(file).then(() => true, () => false);

async function signIn({ page, click }) {
  await page.fill('#username', 'admin');
  await page.fill('#password', PASSWORD);
  await click('form .main');
  await page.waitForSelector('nav');
}

// From signing in to the site's own page; `owner` is asked of whoever runs the box only.
async function make(one, { owner, name, template = 'diary-v1', look = false }) {
  const { page, click } = one;
  const begun = Date.now();
  const before = one.clicks;
  await page.goto(portal);
  await page.waitForSelector('#username');
  if (look) await one.look('enter');
  await signIn(one);
  await click('a[href="/new"]');
  await page.waitForSelector('.template-card img');
  if (look) await one.look('templates');
  await click(`.template-card a[href*="${template}"]`);
  await page.fill('#owner', owner);
  await page.fill('#name', name);
  await page.waitForSelector('.address-card[data-tone=good]');
  if (look) await one.look('name');
  await click('form .main');
  await page.waitForSelector('.ready .qr path[d^=M]', { timeout: MINUTE });
  if (look) await one.look('ready');
  const steps = await page.$$eval('.steps li', (all) => all.map((step) => step.dataset.state));
  assert.deepEqual(steps, Array(5).fill('done'));
  const [site] = await Promise.all([one.context.waitForEvent('page'), click('.ready .button.main')]);
  // By way of the portal, so that the site knows its owner.
  await site.waitForURL(portal.replace('//', `//${owner}-${name}.`) + '/');
  if (template === 'diary-v1') assert.match(await site.title(), /일기장/);
  if (look) await picture(site, 'own', await page.evaluate(() => document.documentElement.lang));
  await site.close();
  const seconds = (Date.now() - begun) / 1000;
  const clicks = one.clicks - before;
  assert.ok(clicks <= 6, `${clicks} clicks`);
  assert.ok(seconds <= 60, `${seconds} s`);
  return `${clicks} clicks, ${seconds.toFixed(1)} s`;
}

await inChromium(async (browser) => {
  step('the first sign-in, by the address that the server printed');
  const first = await person(browser);
  // Part of the page does not arrive, as when the network changes while it opens: it opens once more by itself.
  let sent = 0;
  await first.page.route('**/lib/state.js', (route) => (sent++ ? route.continue() : route.abort('connectionreset')));
  await first.page.goto(`${portal}/first#${word}`);
  await first.page.waitForSelector('#new');
  assert.equal(sent, 2);
  await first.page.unroute('**/lib/state.js');
  assert.ok(!first.page.url().includes(word), 'the word is out of the address');
  await first.look('first');
  for (const weak of ['short', 'password1']) {
    await first.page.fill('#new', weak);
    const level = await first.page.getAttribute('.meter', 'data-level');
    assert.ok(level === '0' || level === '1', `${weak}: ${level}`);
  }
  // What everybody uses is refused by the server, and said at the field.
  await first.page.click('form .main');
  await first.page.waitForSelector('.failure');
  await first.page.fill('#new', PASSWORD);
  await first.page.click('button[aria-pressed]');
  assert.equal(await first.page.getAttribute('#new', 'type'), 'text');
  await first.page.keyboard.press('Escape');
  await first.page.click('form .main');
  await first.page.waitForSelector('.welcome .template-card');
  await first.look('empty');
  await first.leave();

  step('signing in wrongly says so at the form, and the word of a second time leads to the form');
  const late = await person(browser, { locale: 'en-GB' });
  await late.page.goto(`${portal}/first#${word}`);
  await late.page.waitForSelector('.failure');
  await late.page.click('a[href="/enter"]');
  await late.page.fill('#username', HOSTILE);
  await late.page.fill('#password', 'wrong');
  await late.page.click('form .main');
  await late.page.waitForSelector('.failure');
  await late.look('wrong-password');
  await late.leave();

  let number = 0;
  for (const viewport of [PHONE, DESK]) {
    for (const locale of ['ko-KR', 'en-GB']) {
      number += 1;
      const one = await person(browser, { viewport, locale });
      const took = await make(one, { owner: 'mom', name: `diary-${number}`, look: true });
      step(`${viewport.width}×${viewport.height} ${locale}: ${took}`);
      const text = await one.page.evaluate(() => document.body.innerText);
      assert.equal(/[가-힣]/.test(text.replace('한국어', '')), locale === 'ko-KR', text);
      for (const technical of [/docker/i, /container/i, /manifest/i, /yaml/i, /컨테이너/, /매니페스트/]) {
        assert.doesNotMatch(text, technical);
      }
      await one.page.goto(portal);
      await one.page.waitForSelector('.site-card img');
      await one.look('home');
      await one.leave();
    }
  }

  const one = await person(browser);
  const { page } = one;
  await page.goto(`${portal}/sites/mom/diary-1`);
  await page.waitForSelector('#username');
  await signIn(one);

  step('an address is kept through signing in, and a site can be closed and opened');
  await page.waitForSelector('.site-head');
  assert.ok(page.url().endsWith('/sites/mom/diary-1'), page.url());
  await page.waitForSelector('.timeline li');
  await one.look('site');
  await page.click('.actions .button:nth-child(3)');
  await page.waitForSelector('.state[data-tone=quiet]');
  await one.look('closed');
  await page.click('.actions .button.main');
  await page.waitForSelector('.state[data-tone=good]');

  step('a name of its own: added, refused where it cannot be, and taken off again');
  await page.click('.domains > .button');
  await page.fill('#domain-name', 'https://WWW.Example.kr/');
  await page.click('.add-domain');
  await page.waitForSelector('.domains .row[data-state=inForce]');
  assert.equal(await page.textContent('.domains .row b'), 'www.example.kr');
  assert.equal(await page.textContent('.site-head .address:last-child'), 'www.example.kr');
  await page.fill('#domain-name', 'nas.local');
  await page.click('.add-domain');
  await page.waitForSelector('.domains .failure');
  await one.look('domains');
  const english = await person(browser, { locale: 'en-GB', viewport: DESK });
  await english.page.goto(`${portal}/sites/mom/diary-1`);
  await english.page.waitForSelector('#username');
  await signIn(english);
  await english.page.waitForSelector('.domains .row[data-state=inForce]');
  assert.match(await english.page.textContent('.domains'), /Names of its own/);
  await english.look('domains');
  await english.leave();
  // As it is where the server has a name that others find.
  const row = { name: 'a.kr', shown: 'a.kr', url: 'http://a.kr/', state: 'inForce', leads: 'elsewhere' };
  const domains = [row, { ...row, name: 'b.kr', shown: 'b.kr', state: 'taken', heldBy: 'bob-blog' }, { ...row, name: 'c.kr', shown: 'c.kr', leads: 'here' }];
  const records = { alias: 'mom-diary-1.apps.example.org', addresses: ['203.0.113.7'] };
  const told = { ok: true, data: { domains, records } };
  await page.route('**/apps/mom/diary-1/domains', (route) => route.fulfill({ json: told }), { times: 1 });
  await page.click('.domains .rows + .button');
  await page.waitForSelector('.how-to .address-large');
  assert.deepEqual(await page.$$eval('.domains .row', (all) => all.map((row) => row.dataset.leads)), ['elsewhere', 'elsewhere', 'here']);
  assert.match(await page.textContent('.how-to'), /CNAME mom-diary-1\.apps\.example\.org/);
  await one.look('domains-public');
  await page.click('.domains .rows + .button');
  await page.click('.domains .row[data-state=inForce] .button');
  await page.waitForSelector('.domains .row', { state: 'detached' });
  await page.waitForFunction(() => document.querySelectorAll('.site-head .address').length === 1);

  step('shown to somebody');
  await page.click('.actions .button:nth-child(2)');
  await page.waitForSelector('dialog .qr path[d^=M]');
  await one.look('share');

  step('a card on paper: the name, the code and the address, and nothing of the screen');
  await page.emulateMedia({ media: 'print' });
  const paper = await page.evaluate(() => document.body.innerText);
  assert.match(paper, /^\s*diary-1\s+mom-diary-1\./, paper);
  assert.ok(await page.isVisible('.share-card .qr path[d^=M]'));
  for (const unseen of ['nav', '.dialog-head', '.dialog .actions', '.timeline', '.skip']) assert.ok(!(await page.isVisible(unseen)), unseen);
  await page.screenshot({ path: `${given.pictures}/card.png` });
  await page.emulateMedia({ media: 'screen' });
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog', { state: 'detached' });

  step('a phone gets an address that it can open, wherever the page itself was opened');
  const { site, portal: here } = (await one.call('GET', '/addresses')).data;
  const phones = { site, siteElsewhere: 'http://{name}.192.168.1.10.nip.io:8080/', portal: here, portalElsewhere: 'http://192.168.1.10:8080' };
  await page.route('**/addresses', (route) => route.fulfill({ json: { ok: true, data: phones } }));
  await page.reload();
  await page.waitForSelector('.site-head');
  assert.match(await page.getAttribute('.site-head .address a', 'href'), /^http:\/\/mom-diary-1\..*localhost/);
  await page.click('.actions .button:nth-child(2)');
  await page.waitForSelector('dialog .qr path[d^=M]');
  assert.equal(await page.textContent('dialog .address-large'), 'mom-diary-1.192.168.1.10.nip.io:8080');
  await page.emulateMedia({ media: 'print' });
  assert.match(await page.evaluate(() => document.body.innerText), /nip\.io:8080[^]*와이파이/);
  await page.emulateMedia({ media: 'screen' });
  await page.keyboard.press('Escape');
  await page.unroute('**/addresses');

  step('keys: ? shows them, / searches, and both can be switched off');
  await page.goto(portal);
  await page.waitForSelector('.site-card');
  await page.keyboard.press('?');
  await page.waitForSelector('.shortcuts');
  await one.look('shortcuts');
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog', { state: 'detached' });
  await page.keyboard.press('/');
  await page.waitForSelector('main input[type=search]:focus');
  await page.keyboard.type('diary-2');
  await page.waitForFunction(() => document.querySelectorAll('.cards li').length === 1);
  await page.keyboard.type('?');
  await page.waitForSelector('.nothing');
  assert.ok(!(await page.isVisible('.shortcuts')), 'what is typed is text');
  await page.goto(`${portal}/me`);
  await page.click('.panel .plain');
  await page.uncheck('.shortcuts input');
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog', { state: 'detached' });
  await page.keyboard.press('?');
  await page.keyboard.press('/');
  assert.ok(!(await page.isVisible('.shortcuts')));
  await page.click('.panel .plain');
  await page.check('.shortcuts input');
  await page.keyboard.press('Escape');
  await page.goto(`${portal}/sites/mom/diary-1`);
  await page.waitForSelector('.site-head');

  step('deleted, taken back; deleted, brought back');
  await page.click('.farewell .danger');
  await page.waitForSelector('.site-card[data-going]');
  await page.click('.toast button');
  await page.waitForSelector('.site-card[data-going]', { state: 'detached' });
  assert.equal((await one.call('GET', '/apps/mom/diary-1')).data.desired, 'running');
  await page.goto(`${portal}/sites/mom/diary-1`);
  await page.click('.farewell .danger');
  // Whoever leaves does not wait for the end of the grace.
  await page.goto(`${portal}/`);
  await page.waitForSelector('.deleted .row');
  await one.look('deleted');
  await page.click('.deleted .row button');
  await page.waitForSelector('.ready');

  step('hostile texts stay texts');
  await page.goto(`${portal}/new?template=${encodeURIComponent(HOSTILE)}`);
  await page.waitForSelector('.template-card');
  await page.goto(`${portal}/new?template=static-v1`);
  await page.fill('#name', HOSTILE.slice(0, 30));
  await page.waitForSelector('.wrong');
  await one.look('wrong-name');
  await page.goto(`${portal}/sites/mom/nowhere`);
  await page.waitForSelector('.welcome');
  await one.look('missing');
  await page.goto(`${portal}/me`);
  await page.waitForSelector('.panel');
  await one.look('me');

  step('the language and the colours are chosen, and stay');
  await page.click('.choice input[value=en]');
  await page.click('.choice input[value=dark]');
  await page.reload();
  await page.waitForSelector('.panel');
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'en');
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
  await page.click('.choice input[value=ko]');
  await page.click('.choice input[value=auto]');

  step('a restart of the daemon is said, seen through, and costs no typed text');
  await page.goto(`${portal}/new?template=diary-v1`);
  await page.fill('#name', 'half-typ');
  await writeFile(restart, '');
  await page.waitForSelector('.away');
  await one.look('away');
  await until('the daemon is down', () => exists(`${restart}.down`));
  await page.type('#name', 'ed');
  await writeFile(`${restart}.seen`, '');
  await page.waitForSelector('.away', { state: 'detached', timeout: 30_000 });
  assert.equal(await page.inputValue('#name'), 'half-typed');
  await page.reload();
  await page.waitForSelector('#name');
  assert.equal(await page.inputValue('#name'), 'half-typed', 'not after a reload either');

  step('a session that ends in the middle of work is begun again over it');
  const { context } = one;
  const session = (await context.cookies()).find((cookie) => cookie.name === 'paas_portal_session');
  await context.clearCookies();
  await page.click('form .main');
  await page.waitForSelector('dialog #password');
  await one.look('again');
  await page.fill('dialog #password', PASSWORD);
  await page.click('dialog form .main');
  await page.waitForSelector('dialog', { state: 'detached' });
  assert.equal(await page.inputValue('#name'), 'half-typed');
  await page.click('form .main');
  await page.waitForSelector('.ready');
  assert.ok(session);
  await one.leave();
});
