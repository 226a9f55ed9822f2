// See scripts/template-pictures.

import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inChromium } from '../../tests/browser/chromium.mjs';
import { pictures } from './art.mjs';

const TEMPLATES = path.join(import.meta.dirname, '../../templates');
const NODE = process.env.MINIPAAS_NODE ?? process.execPath;
const NODE_PATH = process.env.MINIPAAS_NODE_PATH ?? '/node_modules';
// As the card of the dashboard shows it.
const CARD = { width: 600, height: 432 };
// From how far away, where the best is not on top.
const AWAY = { 'album-v1': 1.5, 'guestbook-v1': 1.5, 'invite-v1': 2, 'links-v1': 1.25, 'static-v1': 1.5 };
const MOST = 40 * 1024;

// A guestbook without guests shows little.
const GUESTS = {
  'guestbook-v1': [
    ['/entries', { name: '은하', text: '사진 속 나무 아래에서 한참 쉬다 가요. 다음엔 도시락을 싸 올게요.', mood: '🍀' }],
    ['/entries', { name: '옆집 할머니', text: '글씨가 큼직해서 좋구나.\n자주 들르마.', mood: '🌷' }],
    ['/entries', { name: 'Theo', text: 'Found this by chance and stayed for a while. Thank you.', mood: '☕' }],
    ['/entries/1/reply', { reply: '도시락 기다릴게요. 돗자리는 제가 펼게요.' }],
    ['/entries/2/show', {}],
    ['/entries/3/show', {}],
    ['/entries', { name: '지나가던 이', text: '아직 주인이 읽지 않은 글이에요.', mood: '😊' }],
  ],
  'invite-v1': [
    ['/rsvp', { name: '할머니', answer: 'yes', people: '2', note: '곱게 하고 가마.' }],
    ['/rsvp', { name: '지훈', answer: 'maybe', people: '1' }],
  ],
};
// What the owner alone sees, and where a visitor goes next.
const MORE = {
  'guestbook-v1': [['/', 'owner'], ['/thanks', 'everyone']],
  'invite-v1': [['/guests', 'owner'], ['/guests', 'everyone'], ['/thanks', 'everyone']],
  'album-v1': [['/photo/sea', 'everyone']],
};

let networks = 0;
const work = mkdtempSync(path.join(tmpdir(), 'template-pictures-'));
const args = process.argv.slice(3);
const art = args[0] === '--art' && args.shift();
const axe = readFileSync(path.join(process.env.MINIPAAS_BROWSER, 'node_modules/axe-core/axe.min.js'), 'utf8');
const look = args[0] === '--look' && path.resolve(args.splice(0, 2)[1]);
const wanted = args.length ? args : readdirSync(TEMPLATES);

try {
  await inChromium(async (browser) => {
    if (art) for (const [file, svg] of pictures) if (wanted.includes(file.split('/')[0])) await draw(browser, file, svg);
    for (const template of wanted) await photograph(browser, template);
  });
} finally {
  rmSync(work, { recursive: true, force: true });
}

async function draw(browser, file, svg) {
  const [, width, height] = /width="(\d+)" height="(\d+)"/.exec(svg).map(Number);
  const page = await browser.newPage({ viewport: { width, height } });
  await page.setContent(`<style>body{margin:0}svg{display:block}</style>${svg}`);
  webp(await page.screenshot(), path.join(TEMPLATES, file));
  await page.close();
}

async function photograph(browser, template) {
  const { url, end } = await serve(template);
  try {
    for (const [where, fields] of GUESTS[template] ?? []) {
      const as = where.includes('/', 1) ? 'owner' : 'everyone';
      await fetch(url + where, { method: 'POST', body: new URLSearchParams(fields), headers: { 'X-Paas-Visitor': as, 'X-Real-IP': `10.0.0.${++networks}` }, redirect: 'manual' });
    }
    if (look) return await lookAt(browser, template, url);
    const away = AWAY[template] ?? 1;
    const viewport = { width: Math.round(CARD.width * away), height: Math.round(CARD.height * away) };
    const page = await browser.newPage({ viewport, deviceScaleFactor: 1 / away, locale: 'ko-KR', colorScheme: 'light', reducedMotion: 'reduce' });
    const devtools = await page.context().newCDPSession(page);
    await devtools.send('Emulation.setScrollbarsHidden', { hidden: true });
    await open(page, url);
    webp(await page.screenshot(), path.join(TEMPLATES, template, 'preview.webp'));
    await page.close();
  } finally {
    end();
  }
}

async function lookAt(browser, template, url) {
  mkdirSync(look, { recursive: true });
  for (const [at, [where, visitor]] of (MORE[template] ?? []).entries()) {
    for (const colorScheme of ['light', 'dark']) {
      const extraHTTPHeaders = { 'X-Paas-Visitor': visitor };
      const page = await browser.newPage({ viewport: { width: 390, height: 844 }, colorScheme, locale: 'ko-KR', reducedMotion: 'reduce', extraHTTPHeaders });
      await open(page, url + where);
      await judge(page, `${template}${where} ${visitor} ${colorScheme}`);
      await page.screenshot({ path: path.join(look, `${template}-more${at}-${colorScheme}.png`), fullPage: true });
      await page.close();
    }
  }
  for (const [name, viewport] of [['phone', { width: 390, height: 844 }], ['desk', { width: 1280, height: 800 }]]) {
    for (const colorScheme of ['light', 'dark']) {
      for (const locale of name === 'phone' && colorScheme === 'light' ? ['ko-KR', 'en-GB'] : ['ko-KR']) {
        const page = await browser.newPage({ viewport, colorScheme, locale, reducedMotion: 'reduce' });
        await open(page, url);
        // Pictures load as one comes near them.
        await page.evaluate(async () => {
          for (let y = 0; y < document.body.scrollHeight; y += 400) {
            scrollTo(0, y);
            await new Promise((done) => setTimeout(done, 40));
          }
          scrollTo(0, 0);
        });
        await judge(page, `${template} ${name} ${colorScheme} ${locale}`);
        await page.screenshot({ path: path.join(look, `${template}-${name}-${colorScheme}-${locale.slice(0, 2)}.png`), fullPage: true });
        if (name === 'desk' && colorScheme === 'light') {
          await page.emulateMedia({ media: 'print' });
          await page.screenshot({ path: path.join(look, `${template}-print.png`), fullPage: true });
        }
        await page.close();
      }
    }
  }
}

/** That everybody can use it, and that nothing hangs over the edge of a phone. */
async function judge(page, what) {
  await page.evaluate(axe);
  const wrong = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document);
    const wide = document.documentElement.scrollWidth > innerWidth ? ['it is wider than the screen'] : [];
    return [...wide, ...violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => `${node.target} ${node.failureSummary}`).join('\n  ')}`)];
  });
  if (wrong.length === 0) return;
  console.error(`${what}:\n  ${wrong.join('\n  ')}`);
  process.exitCode = 1;
}

async function open(page, url) {
  await page.goto(url, { waitUntil: 'networkidle' });
  await page.evaluate(() => document.fonts.ready);
}

/** WebP as good as fits. */
function webp(png, target) {
  const source = path.join(work, 'picture.png');
  mkdirSync(path.dirname(target), { recursive: true });
  writeFileSync(source, png);
  for (const quality of [86, 80, 74, 66, 58, 48, 38]) {
    execFileSync('cwebp', ['-quiet', '-m', '6', '-q', `${quality}`, source, '-o', target]);
    if (statSync(target).size <= MOST) break;
  }
  console.log(`${path.relative(TEMPLATES, target)}: ${Math.ceil(statSync(target).size / 1024)} KiB`);
}

function serve(template) {
  const child = spawn(NODE, ['server.js'], {
    cwd: path.join(TEMPLATES, template, 'app'),
    env: { PATH: process.env.PATH, NODE_PATH, NODE_ENV: 'production', PORT: '0', ENABLE_API: 'true', KNOWS_VISITORS: 'true', SQLITE_PATH: path.join(work, `${template}.sqlite3`) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  return new Promise((resolve, reject) => {
    child.stdout.on('data', (text) => {
      const port = /listening on port (\d+)/.exec(text)?.[1];
      if (port) resolve({ url: `http://127.0.0.1:${port}`, end: () => child.kill() });
    });
    child.on('exit', (code) => reject(new Error(`${template} ended with ${code}`)));
  });
}
