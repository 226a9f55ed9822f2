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
// The card of the dashboard shows the upper part of a page, twice as sharp as its largest size.
const CARD = { width: 600, height: 400 };
const MOST = 40 * 1024;

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
    if (look) return await lookAt(browser, template, url);
    const page = await browser.newPage({ viewport: CARD, deviceScaleFactor: 1, locale: 'ko-KR', colorScheme: 'light', reducedMotion: 'reduce' });
    await open(page, url);
    webp(await page.screenshot(), path.join(TEMPLATES, template, 'preview.webp'));
    await page.close();
  } finally {
    end();
  }
}

async function lookAt(browser, template, url) {
  mkdirSync(look, { recursive: true });
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
