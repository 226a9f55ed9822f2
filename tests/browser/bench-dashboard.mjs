// See scripts/bench-dashboard. Given: portal, root (of the installation), word.

import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { given, inChromium } from './chromium.mjs';
import { framesPerSecond } from './dashboard.mjs';

const { portal, root, word } = given;
const PASSWORD = 'four words for a benchmark';
/** WebPageTest's "3G Fast". */
const FAST_3G = { offline: false, latency: 150, downloadThroughput: 1_600_000 / 8, uploadThroughput: 768_000 / 8 };

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const print = (what, found, budget) => console.log(`${what.padEnd(58)} ${found.padStart(22)}   ${budget}`);

await inChromium(async (browser) => {
  const context = await browser.newContext({ locale: 'ko-KR', viewport: { width: 390, height: 844 } });
  const page = await context.newPage();
  await page.goto(`${portal}/first#${word}`);
  await page.waitForSelector('#new');
  await page.fill('#new', PASSWORD);
  await page.click('form .main');
  await page.waitForSelector('.site-card');
  const { cookies } = await context.storageState();

  // A phone: nothing in its cache, its processor four times slower.
  async function firstLoad(address, there, signedIn) {
    const times = [];
    let bytes = 0;
    for (let run = 0; run < 5; run++) {
      const phone = await browser.newContext({ locale: 'ko-KR', viewport: { width: 390, height: 844 } });
      if (signedIn) await phone.addCookies(cookies);
      const one = await phone.newPage();
      const debug = await phone.newCDPSession(one);
      await debug.send('Network.enable');
      await debug.send('Network.emulateNetworkConditions', FAST_3G);
      await debug.send('Emulation.setCPUThrottlingRate', { rate: 4 });
      bytes = 0;
      debug.on('Network.loadingFinished', (event) => (bytes += event.encodedDataLength));
      // There, painted, and the page takes input again.
      await one.addInitScript((there) => {
        const look = () => {
          if (!document.querySelector(there)) return requestAnimationFrame(look);
          return requestAnimationFrame(() => setTimeout(() => (window.ready = performance.now())));
        };
        look();
      }, there);
      await one.goto(`${portal}${address}`);
      times.push(await one.waitForFunction(() => window.ready).then((handle) => handle.jsonValue()));
      await phone.close();
    }
    return { time: median(times), bytes };
  }
  const enter = await firstLoad('/enter', '#username', false);
  print('sign-in page, first load, 4 × slower phone on 3G Fast', `${(enter.time / 1000).toFixed(2)} s, ${(enter.bytes / 1024).toFixed(0)} KB`, '≤ 2 s, ≤ 100 KB');
  const home = await firstLoad('/', '.site-card', true);
  print('home with 300 sites, first load, the same', `${(home.time / 1000).toFixed(2)} s, ${(home.bytes / 1024).toFixed(0)} KB`, '≤ 2 s (its data comes on top of the 100 KB)');
  const all = await firstLoad('/all', 'tbody tr', true);
  print('table of 300 apps, first load, the same', `${(all.time / 1000).toFixed(2)} s, ${(all.bytes / 1024).toFixed(0)} KB`, '');

  // A desk: the table scrolls while ten manifests a second change, and somebody searches.
  const desk = await browser.newContext({ locale: 'ko-KR', viewport: { width: 1280, height: 800 } });
  await desk.addCookies(cookies);
  const table = await desk.newPage();
  await table.goto(`${portal}/all`);
  await table.waitForFunction(() => document.querySelectorAll('tbody tr').length === 300);
  const empty = await desk.newPage();
  const free = await framesPerSecond(empty);
  await empty.close();
  print('an empty page, for comparison: what this machine gives', `${free.toFixed(0)} frames/s`, '');
  for (const rate of [1, 4]) {
    const debug = await desk.newCDPSession(table);
    await debug.send('Emulation.setCPUThrottlingRate', { rate });
    let number = 0;
    const editing = setInterval(() => {
      number = (number % 300) + 1;
      const name = String(number).padStart(3, '0');
      const text = `template: static-v1\nstate: stopped\nmemory: ${64 + (Date.now() % 64)}m\n`;
      writeFile(path.join(root, 'apps.d', `user${number % 9}-app${name}.yaml`), text);
    }, 100);
    const frames = await table.evaluate(
      () =>
        new Promise((done) => {
          const gaps = [];
          let before = performance.now();
          const end = before + 5_000;
          const bottom = document.documentElement.scrollHeight - innerHeight;
          const next = (now) => {
            gaps.push(now - before);
            before = now;
            scrollTo(0, (Math.sin(now / 700) / 2 + 0.5) * bottom);
            if (now < end) requestAnimationFrame(next);
            else done(gaps.slice(1));
          };
          requestAnimationFrame(next);
        }),
    );
    clearInterval(editing);
    const sorted = frames.toSorted((a, b) => a - b);
    const rates = `${(frames.length / 5).toFixed(0)} frames/s, 95 % in ${sorted[Math.floor(sorted.length * 0.95)].toFixed(0)} ms`;
    print(`300 rows scrolled while 10 a second change${rate > 1 ? `, ${rate} × slower` : ''}`, rates, rate > 1 ? '' : '60 frames/s');
    const typed = await table.evaluate(async () => {
      const field = document.querySelector('input[type=search]');
      const begun = performance.now();
      field.value = 'app29';
      field.dispatchEvent(new Event('input', { bubbles: true }));
      await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      const took = performance.now() - begun;
      field.value = '';
      field.dispatchEvent(new Event('input', { bubbles: true }));
      return took;
    });
    print(`a search among them shows${rate > 1 ? `, ${rate} × slower` : ''}`, `${typed.toFixed(0)} ms`, '');
  }
});
