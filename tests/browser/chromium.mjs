// A real Chromium for one test: a script takes `given` from here, does its work in `inChromium`, and fails by throwing.
//
// MINIPAAS_BROWSER names the folder that `scripts/browser` printed: playwright-core is there. The browser is Debian's.

import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';

const folder = process.env.MINIPAAS_BROWSER;
if (!folder) throw new Error('MINIPAAS_BROWSER is not set: let it name the folder that `scripts/browser` prints');
const { chromium } = createRequire(path.join(folder, 'package.json'))('playwright-core');

// Above what any script takes; a hanging one is told from a failing one, and leaves no browser behind.
const DEADLINE = 180_000;

// These and no others: what playwright adds by itself also turns off parts of how a browser treats cookies.
const FLAGS = [
  '--headless',
  '--hide-scrollbars', // as on a phone, where they lie over the page
  '--no-sandbox', // the tests run as root, where Chromium has none
  '--disable-gpu',
  '--disable-dev-shm-usage',
  '--no-first-run',
  '--no-startup-window',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--password-store=basic',
  // Over a pipe, so that the browser ends with this process, however that ends.
  '--remote-debugging-pipe',
];

/** What the Rust side of the test tells: addresses, ports, secrets. */
export const given = JSON.parse(process.argv[2] ?? '{}');

/** Says what is done now: when something fails, the last line tells where. */
export function step(text) {
  console.log(`- ${text}`);
}

/**
 * Runs `drive` with a browser that has a profile of its own, and ends the browser, by its own process, also after a failure.
 * Each `browser.newContext()` is a person with cookies of their own.
 */
export async function inChromium(drive) {
  const profile = await mkdtemp(path.join(tmpdir(), 'minipaas-browser-'));
  const browser = await chromium.launch({
    executablePath: process.env.MINIPAAS_CHROMIUM ?? '/usr/bin/chromium',
    args: [...FLAGS, `--user-data-dir=${profile}`],
    ignoreDefaultArgs: true,
  });
  const late = setTimeout(() => {
    console.error(`not done within ${DEADLINE / 1000} s`);
    process.exit(1); // playwright ends the browser with it
  }, DEADLINE);
  try {
    await drive(browser);
  } finally {
    clearTimeout(late);
    await browser.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
