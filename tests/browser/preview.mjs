// A look at a version before others see it: from the history, in a tab of its own.
// Given: portal, site (the address of alice-diary), word, pictures (a folder).

import assert from 'node:assert/strict';
import { given, inChromium, step } from './chromium.mjs';
import { DESK, person, PHONE } from './dashboard.mjs';

const { portal, site, word } = given;
const PASSWORD = 'four words for an operator';
const MINUTE = 60_000;
const preview = site.replace('alice-diary', 'alice-diary--preview');

const WORDS = {
  'ko-KR': { look: '먼저 보기', ready: /나만 볼 수 있고/, until: /까지 열려 있고/, end: '그만 보기', ended: /치웠어요/ },
  'en-GB': { look: 'Look first', ready: /Only you can see it/, until: /Open until/, end: 'Stop looking', ended: /Cleared away/ },
};

async function signIn({ page }) {
  await page.goto(portal);
  await page.fill('#username', 'admin');
  await page.fill('#password', PASSWORD);
  await page.click('form .main');
  await page.waitForSelector('nav');
}

await inChromium(async (browser) => {
  step('a site with two versions');
  const admin = await person(browser, { viewport: DESK });
  await admin.page.goto(`${portal}/first#${word}`);
  await admin.page.fill('#new', PASSWORD);
  await admin.page.click('form .main');
  await admin.page.waitForSelector('nav');
  const deployed = await admin.call('POST', '/apps/alice/diary/deploy?wait=60');
  assert.equal(deployed.data.converged, true, JSON.stringify(deployed));
  await admin.leave();

  for (const [viewport, locale] of [[PHONE, 'ko-KR'], [DESK, 'en-GB']]) {
    const words = WORDS[locale];
    step(`${locale}: looking first, in a new tab`);
    const one = await person(browser, { viewport, locale });
    const { page } = one;
    await signIn(one);
    await page.goto(`${portal}/sites/alice/diary/history`);
    await page.click(`.timeline button:has-text("${words.look}")`);
    // It says at once that it is on its way, and then that it is there.
    await page.waitForSelector('#preview');
    await page.waitForSelector('#preview[data-state=ready]', { timeout: MINUTE });
    const text = await page.textContent('#preview');
    assert.match(text, words.ready);
    assert.match(text, words.until);
    await one.look('preview');
    const [tab] = await Promise.all([one.context.waitForEvent('page'), page.click('#preview a.main')]);
    await tab.waitForURL(`${preview}/`);
    await tab.waitForSelector('#write:not([hidden])');
    await tab.fill('#body', 'only a try');
    await tab.click('#save');
    await tab.waitForFunction(() => document.querySelector('.entry')?.textContent.includes('only a try'));
    await tab.close();
    const real = await (await one.context.newPage()).goto(`${site}/api/entries`);
    assert.ok(!(await real.text()).includes('only a try'), 'the real site is as it was');

    step(`${locale}: a stranger sees nothing of it`);
    const stranger = await person(browser, { locale });
    const refused = await stranger.page.goto(`${preview}/`);
    assert.equal(refused.status(), 403);
    assert.ok(!(await stranger.page.content()).includes('only a try'));
    await stranger.leave();

    step(`${locale}: enough`);
    await page.reload();
    await page.click(`#preview button:has-text("${words.end}")`);
    await page.waitForSelector('#preview', { state: 'detached' });
    assert.match(await page.textContent('.toast'), words.ended);
    await page.waitForFunction(async () => (await fetch('/apps/alice/diary/preview')).status === 404);
    await one.leave();
  }
});
