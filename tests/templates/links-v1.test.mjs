import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { shipped, siteOf } from './shipped.mjs';

describe('links-v1', () => {
  shipped('links-v1', { ko: /이 페이지 공유하기/, en: /Share this page/ });

  it('shows its links in order, each once, and leaves out what leads nowhere', async (t) => {
    const app = await siteOf(t, 'links-v1', (content) => ({
      ...content,
      links: [
        { title: '둘', link: 'https://two.example/' }, { title: '하나', link: 'mailto:a@example.org' },
        { title: '없음', link: '' }, { title: '', link: 'https://nameless.example/' }, { title: '나쁨', link: 'javascript:alert(1)' },
      ],
    }));
    const { text } = await app.page();
    assert.deepEqual([...text.matchAll(/<li><a href="([^"]+)"/g)].map(([, link]) => link), ['https://two.example/', 'mailto:a@example.org']);
    assert.doesNotMatch(text, /없음|나쁨|nameless/);
  });

  it('has no button that does nothing where scripts are off', async (t) => {
    const app = await siteOf(t, 'links-v1');
    assert.match((await app.page()).text, /<button type="button" hidden/);
    const off = await siteOf(t, 'links-v1', (content) => ({ ...content, share: false }));
    assert.doesNotMatch((await off.page()).text, /<button|<script/);
  });
});
