'use strict';
// 방명록의 서버예요. 인사말과 사진은 content.json에, 버튼에 쓰는 말은 texts.js에, 생김새는 public/style.css에 있어요.
// 여기서는 글을 받아 두고, 주인이 고른 글을 보여 줘요. 이 파일은 방문자에게 보이지 않아요.
const site = require('site');
const texts = require('./texts');

const app = site.create({ strict: true });
const { html } = site;

const PAGE = 20;
const MOST = 20_000; // 이보다 많으면 더 받지 않아요
const MOST_WAITING = 300;
const DAY = 86_400_000;

// 저장 기능(API)을 켰을 때만 글을 받아요.
const book = app.apiEnabled ? openBook() : null;

function openBook() {
  // 이미 있는 표는 고치지 마세요. 새 칸이 필요하면 목록 끝에 'ALTER TABLE …'을 하나 더하세요.
  const db = app.database([
    `CREATE TABLE entries (
       id         INTEGER PRIMARY KEY AUTOINCREMENT,
       name       TEXT NOT NULL,
       text       TEXT NOT NULL,
       mood       TEXT NOT NULL,
       state      TEXT NOT NULL,               -- waiting(기다림), shown(보임), hidden(감춤)
       reply      TEXT NOT NULL DEFAULT '',
       created_at TEXT NOT NULL                -- 2026-11-22T12:00:00.000Z
     ) STRICT;
     CREATE INDEX entries_by_state ON entries (state, id)`,
  ]);
  const columns = 'id, name, text, mood, state, reply, created_at AS createdAt';
  return {
    page: db.prepare(`SELECT ${columns} FROM entries WHERE state = ? AND id < ? ORDER BY id DESC LIMIT ?`),
    count: db.prepare('SELECT count(*) AS n FROM entries WHERE state = ?'),
    all: db.prepare('SELECT count(*) AS n FROM entries'),
    get: db.prepare(`SELECT ${columns} FROM entries WHERE id = ?`),
    same: db.prepare('SELECT 1 FROM entries WHERE name = ? AND text = ? AND created_at > ?'),
    add: db.prepare('INSERT INTO entries (name, text, mood, state, created_at) VALUES (@name, @text, @mood, @state, @createdAt)'),
    state: db.prepare('UPDATE entries SET state = ? WHERE id = ?'),
    reply: db.prepare("UPDATE entries SET reply = ?, state = 'shown' WHERE id = ?"),
    remove: db.prepare('DELETE FROM entries WHERE id = ?'),
  };
}

// 한 집에서 10분에 3번, 모두 합해 60번까지 쓸 수 있어요.
const flood = site.limiter({ each: 3, all: 60, minutes: 10 });

const isOwner = (req) => site.visitor(req) === 'owner';

/** 왜 새 글을 받지 않는지. 받는다면 null. */
function closedBecause(content, words) {
  if (!book) return words.off;
  if (!content.open) return words.closed;
  return content.moderate && !site.visitor.known ? words.direct : null;
}

// --- 방명록 -----------------------------------------------------------------------------------------------------------

app.page('/', (req) => guestbook(req));

function guestbook(req, { problem, typed = {}, status } = {}) {
  const content = app.content();
  const lang = site.language(req, content.language);
  const words = texts[lang];
  const owner = isOwner(req);
  const before = site.number(req.query.before, 'before', { otherwise: Number.MAX_SAFE_INTEGER });
  const entries = book ? book.page.all('shown', before, PAGE + 1) : [];
  const more = entries.length > PAGE;
  const shown = entries.slice(0, PAGE);
  const isFirst = req.query.before === undefined;
  const closed = closedBecause(content, words);

  return {
    lang,
    status,
    title: content.title,
    description: site.plain(content.intro),
    picture: content.cover,
    look: content,
    personal: owner || problem !== undefined,
    hidden: !isFirst,
    scripts: ['/guestbook.js'],
    body: html`
      <main>
        <header>
          ${content.cover && html`<div class="cover">${site.image(content.cover, { eager: true })}</div>`}
          <h1>${content.title}</h1>
          <div class="intro">${site.rich(content.intro)}</div>
        </header>
        ${owner && book && isFirst && forOwner(words, lang)}
        ${isFirst && (closed ? html`<p class="closed">${closed}</p>` : form(content, words, { problem, typed }))}
        ${book && html`
        <section aria-labelledby="entries">
          <h2 id="entries">${words.entries(book.count.get('shown').n)}</h2>
          ${shown.length === 0 && html`<p class="soft">${words.none}</p>`}
          <ul class="entries">${shown.map((entry) => html`<li id="e${entry.id}">${card(entry, words, lang)}${owner && tools(entry, words)}</li>`)}</ul>
          <p class="pages">
            ${!isFirst && html`<a class="button quiet" href="/">${words.newest}</a>`}
            ${more && html`<a class="button quiet" href="/?before=${shown.at(-1).id}">${words.older}</a>`}
          </p>
        </section>`}
      </main>
      <footer>${!owner && book && site.visitor.known && html`<a href="/.paas/owner?to=/">${words.owner}</a>`}</footer>`,
  };
}

function form(content, words, { problem, typed }) {
  return html`
    <form method="post" action="/entries#write" id="write" class="write">
      <h2>${words.write}</h2>
      ${problem && html`<p class="problem" role="alert">${problem}</p>`}
      <label>${words.text}<textarea name="text" rows="4" maxlength="500" required placeholder="${content.ask}">${typed.text}</textarea></label>
      <label>${words.name}<input name="name" maxlength="30" required autocomplete="nickname" value="${typed.name}"></label>
      <fieldset><legend>${words.mood}</legend><div class="moods">
        ${Object.entries(words.moods).map(([mood, means]) => html`
          <label class="mood"><input type="radio" name="mood" value="${mood}" aria-label="${means}"${typed.mood === mood && html` checked`}><span aria-hidden="true">${mood}</span></label>`)}
      </div></fieldset>
      <label class="trap" aria-hidden="true">Website<input name="website" tabindex="-1" autocomplete="off"></label>
      <div class="send">${content.moderate && html`<small>${words.first}</small>`}<button class="button">${words.send}</button></div>
    </form>`;
}

function card(entry, words, lang) {
  return html`
    <article>
      <p class="text">${entry.text}</p>
      <p class="from">${entry.mood && html`<span class="face" aria-hidden="true">${entry.mood}</span>`}<b>${entry.name}</b> <time datetime="${entry.createdAt}">${dayOf(entry.createdAt, lang)}</time></p>
      ${entry.reply && html`<div class="reply"><b>${words.reply}</b><p class="text">${entry.reply}</p></div>`}
    </article>`;
}

// --- 주인만 보는 것 ---------------------------------------------------------------------------------------------------

function forOwner(words, lang) {
  const waiting = book.page.all('waiting', Number.MAX_SAFE_INTEGER, 50);
  const hidden = book.page.all('hidden', Number.MAX_SAFE_INTEGER, 50);
  const list = (entries) => html`<ul class="entries">${entries.map((entry) => html`<li>${card(entry, words, lang)}${tools(entry, words)}</li>`)}</ul>`;
  return html`
    <section class="owner" id="waiting" aria-label="${words.mine}">
      <h2>${waiting.length ? words.waiting(book.count.get('waiting').n) : words.nothingWaiting}</h2>
      ${waiting.length > 0 && list(waiting)}
      ${hidden.length > 0 && html`<details><summary>${words.hidden} ${book.count.get('hidden').n}</summary>${list(hidden)}</details>`}
    </section>`;
}

function tools(entry, words) {
  const button = (action, what, kind = 'link') => html`
    <form method="post" action="/entries/${entry.id}/${action}"><button class="${kind}" aria-label="${words.by(what, entry.name)}">${what}</button></form>`;
  return html`
    <div class="tools">
      ${entry.state !== 'shown' ? button('show', words.show, 'button small') : button('hide', words.hide)}
      ${entry.state === 'waiting' && button('hide', words.hide)}
      ${button('delete', words.remove)}
      <details><summary>${words.answer}</summary>
        <form method="post" action="/entries/${entry.id}/reply">
          <label>${words.reply}<textarea name="reply" rows="2" maxlength="500">${entry.reply}</textarea></label>
          <button class="button small">${words.saveReply}</button>
        </form>
      </details>
    </div>`;
}

// --- 글 받기 ----------------------------------------------------------------------------------------------------------

if (book) {
  app.form('/entries', (req) => {
    const content = app.content();
    const lang = site.language(req, content.language);
    const words = texts[lang];
    const closed = closedBecause(content, words);
    if (closed) return guestbook(req, { status: 403, problem: closed });
    // 사람 눈에 안 보이는 칸을 채우는 것은 로봇뿐이에요. 받은 척만 해요.
    if (req.body.website) return '/thanks';
    try {
      const entry = {
        name: oneLine(site.text(req.body, 'name', { max: 30, required: true })),
        text: site.text(req.body, 'text', { max: 500, required: true }).replace(/\n{3,}/g, '\n\n'),
        mood: Object.hasOwn(words.moods, req.body.mood ?? '') ? req.body.mood : '',
        // 주인이 쓴 글은 기다리지 않아요.
        state: content.moderate && !isOwner(req) ? 'waiting' : 'shown',
        createdAt: new Date().toISOString(),
      };
      // 두 번 눌렀어요.
      if (book.same.get(entry.name, entry.text, new Date(Date.now() - DAY).toISOString())) site.refuse(409, 'same', words.same);
      if (book.all.get().n >= MOST || (entry.state === 'waiting' && book.count.get('waiting').n >= MOST_WAITING)) site.refuse(507, 'full', words.full);
      if (!isOwner(req)) flood.take(req);
      book.add.run(entry);
      return '/thanks';
    } catch (error) {
      if (!(error instanceof site.Refusal)) throw error;
      const known = ['same', 'full', 'too-many'].includes(error.code);
      return guestbook(req, { status: error.status, problem: known ? error.words[lang] : words.missing, typed: onlyText(req.body) });
    }
  });

  app.page('/thanks', (req) => {
    const content = app.content();
    const lang = site.language(req, content.language);
    const words = texts[lang];
    return {
      lang, title: words.thanks, look: content, hidden: true, scripts: ['/guestbook.js'],
      body: html`<main class="short"><h1>${words.thanks}</h1><p>${content.moderate ? words.thanksWaiting : words.thanksShown}</p><p><a class="button quiet" href="/">${words.back}</a></p></main>`,
    };
  });

  // 주인이 하는 일: 보이기, 감추기, 지우기, 답하기.
  const asOwner = (action, run) =>
    app.form(`/entries/:id/${action}`, (req) => {
      if (!isOwner(req)) site.refuse(403, 'owner-only', { ko: texts.ko.only, en: texts.en.only });
      const entry = book.get.get(site.number(req.params.id, 'id')) ?? site.refuse(404, 'not-found', { ko: '그 글은 이미 없어요', en: 'that entry is gone' });
      run(entry, req);
      return entry.state === 'shown' && action !== 'delete' && action !== 'hide' ? `/#e${entry.id}` : '/';
    });
  asOwner('show', ({ id }) => book.state.run('shown', id));
  asOwner('hide', ({ id }) => book.state.run('hidden', id));
  asOwner('delete', ({ id }) => book.remove.run(id));
  asOwner('reply', ({ id }, req) => book.reply.run(site.text(req.body, 'reply', { max: 500 }), id));
}

// 글자의 방향을 바꾸거나 겹쳐 쌓는 글자로 남의 이름을 흉내 내지 못하게 해요.
function oneLine(text) {
  return text.replace(/[\s\p{Cc}\p{Bidi_Control}]+/gu, ' ').trim();
}

function onlyText(body) {
  return Object.fromEntries(['name', 'text', 'mood'].map((name) => [name, typeof body[name] === 'string' ? body[name] : '']));
}

function dayOf(time, lang) {
  return new Intl.DateTimeFormat(lang === 'ko' ? 'ko-KR' : 'en-GB', { timeZone: 'Asia/Seoul', year: 'numeric', month: 'long', day: 'numeric' }).format(new Date(time));
}

app.start();
