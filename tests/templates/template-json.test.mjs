import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { templateFile } from './app.mjs';

describe('template.json', () => {
  for (const [id, supportsApi] of [['diary-v1', true], ['static-v1', false], ['links-v1', false]]) {
    it(`of ${id} says what SPEC §6 asks for`, () => {
      const { name, description, version, ...rest } = JSON.parse(readFileSync(templateFile(id, 'template.json'), 'utf8'));
      assert.deepEqual(rest, { id, supportsApi, internalPort: 3000, healthPath: '/healthz', restart: { onHang: true } });
      assert.match(name, /[가-힣]/);
      assert.ok(description.length > 10);
      assert.match(version, /^\d+\.\d+\.\d+$/);
      assert.ok(existsSync(templateFile(id, 'app/server.js')));
    });
  }
});
