// What hostile apps do to the portal's cookie, in a browser that holds it: steal it, hide it, make requests too large.
// Given: domain, gatewayPort, portalPort. The apps `bob-evil` and `eve-other` run hostile/.

import assert from 'node:assert/strict';
import { request } from 'node:http';
import { given, inChromium, step } from './chromium.mjs';

const { domain, gatewayPort, portalPort } = given;
const SESSION = 'paas_portal_session';
const PASSWORD = 'a long word for the browser test';
const APPS = ['bob-evil', 'eve-other'].map((app) => `${app}.${domain}`);
// Every address at which the portal answers to a browser.
const PORTALS = [`${domain}:${portalPort}`, `portal.${domain}:${portalPort}`, `${domain}:${gatewayPort}`, `portal.${domain}:${gatewayPort}`];

// A call of the API by a page of the portal itself.
async function call(page, method, path, body) {
  return page.evaluate(
    async ([method, path, body]) => {
      const headers = body ? { 'Content-Type': 'application/json' } : {};
      const answer = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
      return { status: answer.status, code: (await answer.json()).code };
    },
    [method, path, body],
  );
}

// Of somebody who sends what no browser would.
async function statusOfSignIn(name) {
  const headers = { Host: `${name}:${portalPort}`, 'Content-Type': 'application/json' };
  return new Promise((done, fail) => {
    const asked = request({ host: '127.0.0.1', port: portalPort, method: 'POST', path: '/auth/login', headers }, (answer) => {
      answer.resume();
      done(answer.statusCode);
    });
    asked.on('error', fail);
    asked.end(JSON.stringify({ username: 'admin', password: PASSWORD }));
  });
}

async function signIn(page, password) {
  const { status, code } = await call(page, 'POST', '/auth/login', { username: 'admin', password });
  assert.equal(status, 200, `signing in: ${code}`);
}

async function open(page, address) {
  const answer = await page.goto(`http://${address}`, { waitUntil: 'load' });
  return { status: answer.status(), headers: await answer.allHeaders(), text: await answer.text() };
}

// Whatever the apps' servers were sent so far.
async function seenByApps(page) {
  const seen = [];
  for (const app of APPS) {
    seen.push(...JSON.parse((await open(page, `${app}:${gatewayPort}/seen`)).text));
  }
  return seen;
}

async function sessions(context) {
  const cookies = await context.cookies();
  return cookies.filter((cookie) => cookie.name === SESSION && /^[0-9a-f]{64}$/.test(cookie.value));
}

await inChromium(async (browser) => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const stolen = new Set();
  const noteSessions = async () => (await sessions(context)).forEach(({ value }) => stolen.add(value));

  step('the first password is changed, on the machine itself');
  await open(page, `${PORTALS[0]}/health`);
  await signIn(page, 'admin');
  const changed = await call(page, 'POST', '/auth/change-password', { currentPassword: 'admin', newPassword: PASSWORD });
  assert.equal(changed.status, 200, changed.code);

  step('the portal does not answer at the name of an app, so no session begins there');
  for (const app of [...APPS, `x.${APPS[0]}`]) {
    assert.equal((await open(page, `${app}:${portalPort}/health`)).status, 421, app);
    // The page that says so lets no script ask for anything.
    await assert.rejects(call(page, 'POST', '/auth/login', { username: 'admin', password: PASSWORD }), app);
    assert.equal(await statusOfSignIn(app), 421, `signing in at ${app}`);
  }

  step('signed in wherever the portal answers, the browser shows no app the session');
  for (const portal of PORTALS) {
    await open(page, `${portal}/health`);
    await signIn(page, PASSWORD);
    await noteSessions();
  }
  assert.ok(stolen.size >= PORTALS.length, `${stolen.size} sessions`);
  for (const { domain: host } of await sessions(context)) assert.ok(!host.startsWith('.'), `a session for all of ${host}`);
  for (const app of APPS) {
    for (const port of [gatewayPort, portalPort]) await open(page, `${app}:${port}/`);
    await open(page, `${app}:${gatewayPort}/again`);
    // A page of the app sends its visitor's browser to itself and to the portal in every way there is.
    await page.evaluate(async (portals) => {
      for (const target of [...portals, location.host]) {
        await fetch(`http://${target}/auth/me`, { credentials: 'include', mode: 'no-cors' }).catch(() => {});
        await new Promise((done) => {
          const picture = new Image();
          picture.onload = picture.onerror = done;
          picture.src = `http://${target}/auth/me?picture`;
        });
      }
    }, PORTALS);
  }
  // A link and a form that lead from the portal to an app carry no more.
  await open(page, `${PORTALS[2]}/health`);
  await page.evaluate((href) => location.assign(href), `http://${APPS[0]}:${gatewayPort}/linked`);
  await page.waitForURL('**/linked');

  step("junk of the session's name, set by the app's server for the whole domain, stays with the app");
  await open(page, `${APPS[0]}:${gatewayPort}/toss?domain=${domain}`);
  const kept = (await context.cookies()).filter((cookie) => cookie.value === 'tossed');
  assert.ok(kept.length > 0, 'the app sets its own cookies');
  for (const cookie of kept) assert.equal(cookie.domain, APPS[0]);

  const TOSSED = { junk: 'junk', 'like a token': 'ab'.repeat(32) };
  for (const [kind, value] of Object.entries(TOSSED)) {
    step(`junk that its script sets (${kind}) neither signs out nor keeps out`);
    await open(page, `${APPS[0]}:${gatewayPort}/`);
    const tossed = await page.evaluate(
      ([name, value, domain]) => {
        for (const path of ['/', '/apps', '/apps/', '/apps/alice', '/apps/alice/', '/auth', '/auth/', '/auth/me', '/status']) {
          document.cookie = `${name}=${value}; Domain=${domain}; Path=${path}`;
        }
        return document.cookie;
      },
      [SESSION, value, domain],
    );
    assert.ok(tossed.includes(value), 'the junk is there, else this tries nothing');
    for (const portal of PORTALS) {
      await open(page, `${portal}/health`);
      for (const path of ['/auth/me', '/apps', '/status']) {
        assert.equal((await call(page, 'GET', path)).status, 200, `${portal}${path} with junk before the session`);
      }
    }
    await open(page, `${PORTALS[2]}/health`);
    assert.equal((await call(page, 'POST', '/auth/logout')).status, 200, 'signing out');
    await signIn(page, PASSWORD);
    await noteSessions();
    assert.equal((await call(page, 'GET', '/apps')).status, 200, 'signed in again');
    const left = (await context.cookies()).filter((cookie) => cookie.value === value && cookie.path === '/apps');
    assert.deepEqual(left, [], 'signing in throws the junk away');
  }

  step("large cookies, set by the app's server for the whole domain, stay with the app");
  await open(page, `${APPS[0]}:${gatewayPort}/bomb?domain=${domain}`);
  for (const other of [...PORTALS.map((portal) => `${portal}/health`), `${APPS[1]}:${gatewayPort}/`]) {
    assert.equal((await open(page, other)).status, 200, other);
  }
  await context.clearCookies({ name: /^bomb/ });

  step('large cookies that its script sets are told of and thrown away, and all goes on');
  for (const victim of [`${PORTALS[0]}/health`, `${PORTALS[2]}/health`, `${APPS[1]}:${gatewayPort}/`]) {
    await open(page, `${APPS[0]}:${gatewayPort}/`);
    const bytes = await page.evaluate((domain) => {
      for (let n = 0; n < 9; n++) document.cookie = `bomb${n}=${'x'.repeat(3900)}; Domain=${domain}; Path=/`;
      return document.cookie.length;
    }, domain);
    assert.ok(bytes > 9 * 3900, 'the bomb is there, else this tries nothing');
    const told = await open(page, victim);
    assert.equal(told.status, 431, victim);
    assert.equal(told.headers['clear-site-data'], '"cookies"', victim);
    assert.match(told.text, /cookie/i, victim);
    assert.equal((await open(page, victim)).status, 200, `${victim}, tried again`);
  }
  await open(page, `${PORTALS[2]}/health`);
  await signIn(page, PASSWORD);
  await noteSessions();
  assert.equal((await call(page, 'GET', '/apps')).status, 200);

  step('in all this no server of an app was sent a session');
  const seen = await seenByApps(page);
  assert.ok(seen.length > 2, `the apps were asked: ${seen.length}`);
  for (const cookies of seen) {
    for (const token of stolen) assert.ok(!cookies.includes(token), `an app's server was sent a session: ${cookies}`);
  }
  console.log(`${stolen.size} sessions, ${seen.length} different Cookie headers seen by apps`);
});
