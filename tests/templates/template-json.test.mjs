import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { describe, it } from 'node:test';
import { templateFile } from './app.mjs';

describe('template.json', () => {
  it('is judged below for every template that there is', () => {
    const named = [...readFileSync(import.meta.filename, 'utf8').matchAll(/\['([a-z]+-v\d+)',/g)].map(([, id]) => id);
    assert.deepEqual(named.sort(), readdirSync(templateFile('', '')).sort());
  });

  // Who may see and change a new site: what a template suggests is written into its manifest.
  const everyone = { visitors: 'everyone' };
  const read = { visitors: { view: 'everyone', change: 'owner' } };
  for (const [id, supportsApi, suggested] of [
    ['diary-v1', true, read], ['static-v1', false], ['links-v1', false], ['album-v1', false],
    ['guestbook-v1', true, everyone], ['invite-v1', true, everyone],
  ]) {
    it(`of ${id} says what SPEC §6 asks for`, () => {
      const { name, description, version, ...rest } = JSON.parse(readFileSync(templateFile(id, 'template.json'), 'utf8'));
      assert.deepEqual(rest, { id, supportsApi, internalPort: 3000, healthPath: '/healthz', restart: { onHang: true }, ...suggested });
      assert.match(name, /[가-힣]/);
      assert.ok(description.length > 10);
      assert.match(version, /^\d+\.\d+\.\d+$/);
      assert.ok(existsSync(templateFile(id, 'app/server.js')));
    });
  }
});
