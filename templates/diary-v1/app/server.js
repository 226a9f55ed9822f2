'use strict';
// 일기장의 서버예요. 화면은 index.html과 public/에 있고, 여기서는 일기를 저장하고, 보여 주고, 지워요.
// 이 파일은 방문자에게 보이지 않아요.
const site = require('site');

const MOODS = ['', 'happy', 'calm', 'love', 'tired', 'sad'];
const app = site.create({ strict: true });

// 저장 기능(API)을 켰을 때만 있어요. 꺼져 있으면 일기는 쓰는 사람의 브라우저에만 남아요.
if (app.apiEnabled) {
  // 이미 있는 표는 고치지 마세요. 새 칸이 필요하면 목록 끝에 'ALTER TABLE …'을 하나 더하세요.
  const db = app.database([
    `CREATE TABLE entries (
       id         INTEGER PRIMARY KEY AUTOINCREMENT,  -- 지운 일기의 번호는 다시 쓰지 않아요
       title      TEXT NOT NULL,
       body       TEXT NOT NULL,
       mood       TEXT NOT NULL,
       created_at TEXT NOT NULL                       -- 2026-11-22T12:00:00.000Z
     ) STRICT`,
  ]);
  const columns = 'id, title, body, mood, created_at AS createdAt';
  const add = db.prepare(`INSERT INTO entries (title, body, mood, created_at) VALUES (@title, @body, @mood, @createdAt) RETURNING ${columns}`);
  const get = db.prepare(`SELECT ${columns} FROM entries WHERE id = ?`);
  const remove = db.prepare('DELETE FROM entries WHERE id = ?');
  const list = db.prepare(
    `SELECT id, title, substr(body, 1, 160) AS excerpt, mood, created_at AS createdAt FROM entries
     WHERE (created_at, id) < (@createdAt, @id) ORDER BY created_at DESC, id DESC LIMIT @limit`,
  );
  // 누가 보고 있는지는 서버(게이트웨이)가 알려 줘요. 쓸 수 없는 사람이 쓰려고 하면 여기까지 오기 전에 막아 주니, 화면에서 숨기기만 하면 돼요.
  const visitorOf = ({ headers }) => ({
    visitor: headers['x-paas-visitor'] ?? 'everyone', // owner, guest, everyone
    writers: headers['x-paas-read-only'] ?? null, // 이 사람은 쓸 수 없을 때, 누가 쓸 수 있는지: guests, owner
  });
  const find = (id) => get.get(site.number(id, 'id')) ?? site.refuse(404, 'no-entry', '그런 일기가 없어요');

  app.api('/entries', {
    // 최근 것부터 limit개. 더 있으면 next가 다음 쪽의 before예요.
    get: (req) => {
      const { query } = req;
      const limit = site.number(query.limit, 'limit', { max: 100, otherwise: 50 });
      const before = query.before === undefined ? { createdAt: '9999', id: 0 } : get.get(site.number(query.before, 'before'));
      if (!before) site.refuse(400, 'unknown-cursor', 'before: 그런 일기가 없어요');
      const entries = list.all({ createdAt: before.createdAt, id: before.id, limit: limit + 1 });
      return { ...visitorOf(req), next: entries.length > limit ? entries[limit - 1].id : null, entries: entries.slice(0, limit) };
    },
    post: ({ body }, res) => {
      const mood = body.mood ?? '';
      if (!MOODS.includes(mood)) site.refuse(400, 'bad-field', `mood: ${MOODS.slice(1).join(', ')} 중 하나여야 해요`);
      const entry = add.get({
        title: site.text(body, 'title', { max: 100 }),
        body: site.text(body, 'body', { max: 10_000, required: true }),
        mood,
        createdAt: site.pastDate(body, 'createdAt'),
      });
      res.status(201).location(`/api/entries/${entry.id}`);
      return entry;
    },
  });
  app.api('/entries/:id', {
    get: ({ params }) => find(params.id),
    delete: ({ params }) => { remove.run(find(params.id).id); },
  });
}

app.start();
