// What the dashboard's tests have in common: a person at a screen, who counts clicks, and what must hold on every screen.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { given } from './chromium.mjs';

const axe = await readFile(path.join(process.env.MINIPAAS_BROWSER, 'node_modules/axe-core/axe.min.js'), 'utf8');

const sources = given.sources ?? process.env.MINIPAAS_WEB;

export const PHONE = { width: 390, height: 844 };
export const DESK = { width: 1280, height: 800 };

/** What no page may show as anything but text. */
export const HOSTILE = `"><img src=x onerror="window.hurt=1"><script>window.hurt=2</script>{{7*7}}`;

/**
 * Somebody with a browser of their own. Whatever the page must never do is noted in `wrong`.
 */
export async function person(browser, { locale = 'ko-KR', viewport = PHONE, scheme = 'light' } = {}) {
  const context = await browser.newContext({ locale, viewport, colorScheme: scheme, reducedMotion: 'reduce' });
  if (sources) await context.route(/\/web\/[0-9a-f]{16}\//, fromSources);
  const page = await context.newPage();
  const wrong = [];
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
  });
  page.on('pageerror', (error) => wrong.push(`error: ${error.stack}`));
  page.on('console', (message) => {
    // A refused or failed request is a line of the console as well, and often what is being tried.
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) wrong.push(message.text());
  });
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol !== 'data:' && !origin.startsWith('http://') && origin !== 'null') wrong.push(`asked ${origin}`);
  });
  let clicks = 0;
  return {
    context,
    page,
    wrong,
    get clicks() {
      return clicks;
    },
    async click(selector) {
      clicks += 1;
      await page.click(selector);
    },
    /** A call of the API by the page. */
    async call(method, address, body) {
      return page.evaluate(
        async ([method, address, body]) => {
          const headers = body ? { 'Content-Type': 'application/json' } : {};
          const answer = await fetch(address, { method, headers, body: body && JSON.stringify(body) });
          return answer.json();
        },
        [method, address, body],
      );
    },
    /** A picture of the screen in both themes, and all that must hold on it. */
    async look(name) {
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        const language = await page.evaluate(() => document.documentElement.lang);
        // First, because it waits until the new colours are painted.
        await picture(page, name, language, colorScheme);
        await holds(page, `${name}, ${colorScheme}`);
      }
      await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
      assert.deepEqual(wrong, [], name);
    },
    async leave() {
      assert.deepEqual(wrong, []);
      await context.close();
    },
  };
}

/** What stands in the editor of this id. Only for short texts: it draws no more lines than there are in sight. */
export async function edited(page, id) {
  return page.evaluate((id) => [...document.querySelectorAll(`#${id} .cm-line`)].map((line) => line.textContent).join('\n'), id);
}

/** Writes this instead of all that stands there, as a person does who selects it all. */
export async function edit(page, id, text) {
  await page.focus(`#${id}`);
  await page.keyboard.press('Control+A');
  await page.keyboard.insertText(text);
}

/** Frames a second that the page paints, over two of them. */
export async function framesPerSecond(page) {
  return page.evaluate(
    () =>
      new Promise((done) => {
        let count = 0;
        const end = performance.now() + 2_000;
        const next = () => (performance.now() < end ? (count++, requestAnimationFrame(next)) : done(count / 2));
        requestAnimationFrame(next);
      }),
  );
}

/** A picture for whoever looks at how it is, under its width, language and colours. */
export async function picture(page, name, language, colors = 'light') {
  await mkdir(given.pictures, { recursive: true });
  const { width } = page.viewportSize();
  await page.screenshot({ path: path.join(given.pictures, `${name}-${width}-${language}-${colors}.png`) });
}

const KINDS = { js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' };

// `sources`, or MINIPAAS_WEB, names a folder whose files stand in for those of the program: a change is tried without building it.
async function fromSources(route) {
  const name = new URL(route.request().url()).pathname.split('/').slice(3).join('/');
  const body = await readFile(path.join(sources, name));
  await route.fulfill({ body, contentType: KINDS[name.split('.').pop()] });
}

async function holds(page, name) {
  // Over the debugger: the page's own policy would refuse the code.
  await page.evaluate(axe);
  const found = await page.evaluate(() => window.axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  const told = found.violations.map((one) => `${one.id}: ${one.help}\n  ${one.nodes.map((node) => `${node.html} ${node.failureSummary}`).join('\n  ')}`);
  assert.deepEqual(told, [], name);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${name} is ${wide} px wider than the screen`);
  const small = await page.evaluate(() =>
    [...document.querySelectorAll('button, a.button, nav a, input:not([type=radio]):not([type=checkbox])')]
      .filter((one) => one.checkVisibility() && !one.closest('.unseen') && !one.classList.contains('unseen'))
      .filter((one) => one.getBoundingClientRect().height < 43.5)
      .map((one) => one.outerHTML.slice(0, 120)),
  );
  assert.deepEqual(small, [], `${name}: too small for a finger`);
  const moving = await page.evaluate(() =>
    document.getAnimations().filter((one) => one.playState === 'running' && Number(one.effect?.getComputedTiming().duration) > 1).map((one) => one.effect.target?.outerHTML.slice(0, 120)));
  assert.deepEqual(moving, [], `${name}: it moves for somebody who has asked for less of that`);
  assert.equal(await page.evaluate(() => window.hurt), undefined, `${name}: a text became code`);
}

/**
 * Goes through a screen by Tab alone: in the order in which it is read, each thing in sight, uncovered and marked.
 * Gives how many there were.
 */
export async function tabbed(page, name) {
  await page.evaluate(() => document.querySelector('.skip').focus());
  let before = -1;
  for (let count = 0; ; count++) {
    const at = await page.evaluate(async () => {
      // Painted as it is with the focus.
      await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
      const one = document.activeElement;
      const { left, top, width, height } = one.getBoundingClientRect();
      // The middle of what of it is in sight.
      const y = Math.min(top + height / 2, innerHeight - 2);
      const there = document.elementFromPoint(left + width / 2, Math.max(y, 1));
      const marked = (element) => element && getComputedStyle(element).outlineStyle !== 'none' && parseFloat(getComputedStyle(element).outlineWidth) > 0;
      return {
        place: [...document.querySelectorAll('*')].indexOf(one),
        what: one.outerHTML.slice(0, 120),
        ended: one === document.body,
        inSight: top < innerHeight && top + height > 0,
        covered: !(one.contains(there) || there?.contains(one) || one.closest('label')?.contains(there) || one.parentElement.contains(there)),
        marked: marked(one) || marked(one.parentElement) || marked(one.nextElementSibling) || marked(one.closest('.cm-editor')),
      };
    });
    // After the last the browser begins anew.
    if (count > 0 && (at.ended || at.place <= before)) {
      assert.ok(at.ended || at.what.includes('class="skip"'), `${name}: the focus goes back to ${at.what}`);
      return count;
    }
    before = at.place;
    assert.ok(at.inSight, `${name}: the focus is out of sight on ${at.what}`);
    assert.ok(!at.covered, `${name}: something covers ${at.what}`);
    assert.ok(at.marked, `${name}: nothing marks the focus on ${at.what}`);
    await page.keyboard.press('Tab');
  }
}

/** What an authenticator app shows for this secret, `ahead` steps of 30 s from now. */
export function phoneShows(secret, ahead = 0) {
  const letters = [...secret].map((letter) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter));
  const bits = letters.map((value) => value.toString(2).padStart(5, '0')).join('');
  const key = Buffer.from(bits.match(/.{8}/g).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(Date.now() / 30_000) + ahead));
  const hash = createHmac('sha1', key).update(counter).digest();
  const value = hash.readUInt32BE(hash[19] & 15) & 0x7fffffff;
  return String(value % 1_000_000).padStart(6, '0');
}
