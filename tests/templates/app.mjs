// Starts a template's server as the container does, and takes it apart again.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';

const TEMPLATES = process.env.TEMPLATES_DIR ?? path.join(import.meta.dirname, '../../templates');

export const templateFile = (template, file) => path.join(TEMPLATES, template, file);

export function dataFolder(test) {
  const folder = mkdtempSync(path.join(tmpdir(), 'template-test-'));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  return path.join(folder, 'db.sqlite3');
}

export const start = (test, template, env) => startIn(test, templateFile(template, 'app'), env);

/** Resolves once the app says its port; rejects with its output when it ends before. */
export async function startIn(test, folder, env = {}) {
  const child = spawn(process.execPath, ['server.js'], {
    cwd: folder,
    env: { PATH: process.env.PATH, NODE_PATH: process.env.NODE_PATH ?? '', NODE_ENV: 'production', PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  test.after(() => child.kill('SIGKILL'));
  const app = { child, output: '' };
  // Known from the start, so that no test can ask for the end after it has passed.
  app.ended = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
  await new Promise((resolve, reject) => {
    const read = (chunk) => {
      app.output += chunk;
      const port = /listening on port (\d+)/.exec(app.output)?.[1];
      if (port) {
        app.port = Number(port);
        resolve();
      }
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.on('close', (code) => reject(new Error(`the app ended with ${code} before listening:\n${app.output}`)));
  });
  app.url = `http://127.0.0.1:${app.port}`;
  app.get = (where, options) => fetch(app.url + where, options);
  app.send = (method, where, body, headers = {}) =>
    fetch(app.url + where, {
      method,
      headers: { 'Content-Type': 'application/json', ...headers },
      body: typeof body === 'string' || body === undefined ? body : JSON.stringify(body),
    });
  // As written: fetch would tidy up the path and add headers of its own.
  app.raw = (where, headers = {}) =>
    new Promise((resolve, reject) => {
      http.get({ port: app.port, path: where, headers, agent: false }, (response) => {
        let body = '';
        response.on('data', (chunk) => (body += chunk));
        response.on('end', () => resolve({ status: response.statusCode, body }));
      }).on('error', reject);
    });
  app.stop = (signal = 'SIGTERM') => {
    child.kill(signal);
    return app.ended;
  };
  return app;
}
