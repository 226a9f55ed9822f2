// What must hold on every screen of somebody who is signed in: the keyboard gets everywhere, and a desk at 200 % and the narrowest
// screen lose nothing. Given: portal, word, pictures (a folder); the app `eve-page` runs.

import assert from 'node:assert/strict';
import { given, inChromium, step } from './chromium.mjs';
import { DESK, person, PHONE, tabbed } from './dashboard.mjs';

const { portal, word } = given;

/** The screens, and what shows that each is there. */
const EVERYWHERE = [
  ['', '.site-card'], ['new', '.template-card'], ['new?template=static-v1', '#name'], ['all', 'tbody tr'], ['system', '.checks li'], ['me', '.sessions .row'],
  ['people', '.row.person'], ['people/admin', '.choice'], ['sites/eve/page', '.timeline li'], ['sites/eve/page/history', '.timeline li'],
  ['sites/eve/page/log', '.log'], ['sites/eve/page/manifest', '#manifest'],
];

await inChromium(async (browser) => {
  const one = await person(browser, { viewport: DESK, locale: 'en-GB' });
  const { page } = one;
  await page.goto(`${portal}/first#${word}`);
  await page.waitForSelector('#new');
  await page.fill('#new', 'four words for everywhere');
  await page.click('form .main');
  await page.waitForSelector('.site-card');

  step('the keyboard alone gets everywhere, in order, and its place is to be seen');
  for (const viewport of [DESK, PHONE]) {
    await page.setViewportSize(viewport);
    for (const [address, there] of EVERYWHERE) {
      await page.goto(`${portal}/${address}`);
      await page.waitForSelector(there);
      assert.ok((await tabbed(page, `/${address}`)) > 5);
    }
  }

  step('a desk at 200 %, and the narrowest, 320 px wide, which is also a desk at 400 %');
  for (const viewport of [{ width: 640, height: 400 }, { width: 320, height: 640 }]) {
    await page.setViewportSize(viewport);
    for (const [address, there] of EVERYWHERE) {
      await page.goto(`${portal}/${address}`);
      await page.waitForSelector(there);
      await one.look(`narrow-${address.replace(/^(sites\/eve|people)\//, '').split('?')[0].replaceAll('/', '-') || 'home'}`);
    }
  }
  await one.leave();
});
