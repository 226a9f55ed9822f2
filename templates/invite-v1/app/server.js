'use strict';
// 초대장의 서버예요. 초대장의 글과 사진은 content.json에, 버튼에 쓰는 말은 texts.js에, 생김새는 public/style.css에 있어요.
// 여기서는 그것으로 화면을 만들고 답장을 받아 둬요. 이 파일은 방문자에게 보이지 않아요.
const site = require('site');
const texts = require('./texts');

const app = site.create({ strict: true });
const { html } = site;
const MOST_REPLIES = 2000;

// 답장은 저장 기능(API)이 켜져 있고, 누가 주인인지 알 수 있을 때만 받아요. 주인만 볼 수 있어야 하니까요.
const replies = app.apiEnabled && site.visitor.known ? openReplies() : null;

function openReplies() {
  // 이미 있는 표는 고치지 마세요. 새 칸이 필요하면 목록 끝에 'ALTER TABLE …'을 하나 더하세요.
  const db = app.database([
    `CREATE TABLE replies (
       id      INTEGER PRIMARY KEY AUTOINCREMENT,
       name    TEXT NOT NULL,
       answer  TEXT NOT NULL,       -- yes, maybe, no
       people  INTEGER NOT NULL,
       note    TEXT NOT NULL,
       sent_at TEXT NOT NULL        -- 2027-04-01T12:00:00.000Z
     ) STRICT`,
  ]);
  const count = db.prepare('SELECT count(*) AS n FROM replies');
  const add = db.prepare('INSERT INTO replies (name, answer, people, note, sent_at) VALUES (@name, @answer, @people, @note, @sentAt)');
  const all = db.prepare('SELECT id, name, answer, people, note, sent_at AS sentAt FROM replies ORDER BY id DESC');
  const remove = db.prepare('DELETE FROM replies WHERE id = ?');
  return { all: () => all.all(), count: () => count.get().n, add: (reply) => add.run(reply), remove: (id) => remove.run(id) };
}

// 한 집에서 10분에 5번, 모두 합해 100번까지 보낼 수 있어요.
const flood = site.limiter({ each: 5, all: 100, minutes: 10 });

// --- 초대장 ----------------------------------------------------------------------------------------------------------

app.page('/', (req) => invitation(req));

function invitation(req, { problem, typed = {}, status } = {}) {
  const invite = app.content();
  const lang = site.language(req, invite.language);
  const words = texts[lang];
  const isOwner = site.visitor(req) === 'owner';
  const when = invite.when ? moment(invite.when, lang) : null;
  const query = encodeURIComponent([invite.place, invite.placeName].filter(Boolean)[0] ?? '');

  return {
    lang,
    status,
    title: [invite.eyebrow, invite.title].filter(Boolean).join(' · '),
    description: [when?.text, invite.placeName].filter(Boolean).join(', ') || site.plain(invite.message),
    picture: invite.cover,
    look: invite,
    personal: isOwner || problem !== undefined,
    scripts: ['/invite.js'],
    body: html`
      <main>
        <header class="cover">
          ${invite.cover && site.image(invite.cover, { eager: true })}
          <div class="names">
            ${invite.eyebrow && html`<p class="eyebrow">${invite.eyebrow}</p>`}
            <h1>${invite.title}</h1>
            ${when && html`<p class="date"><time datetime="${invite.when}">${when.text}</time></p>`}
            ${invite.placeName && html`<p class="where">${invite.placeName}</p>`}
          </div>
        </header>

        ${invite.message && html`<section class="message">${site.rich(invite.message)}</section>`}

        ${when && html`
          <section class="when">
            <h2>${words.when}</h2>
            <p class="large">${when.day}<br>${when.time}</p>
            ${invite.whenNote && html`<p class="soft">${invite.whenNote}</p>`}
            ${invite.countdown && html`<p class="countdown" data-when="${invite.when}">${words.days(daysUntil(invite.when))}</p>`}
            <p><a class="button quiet" href="/invite.ics">${words.calendar}</a></p>
          </section>`}

        ${(invite.place || invite.placeName) && html`
          <section class="place">
            <h2>${words.where}</h2>
            ${invite.placeName && html`<p class="large">${invite.placeName}</p>`}
            ${invite.place && html`<address>${invite.place}</address>`}
            <p class="maps" role="group" aria-label="${words.maps}">
              ${lang === 'ko' && html`<a class="button quiet" href="https://map.kakao.com/link/search/${query}" rel="noopener">${words.kakao}</a>
              <a class="button quiet" href="https://map.naver.com/p/search/${query}" rel="noopener">${words.naver}</a>`}
              <a class="button quiet" href="https://www.google.com/maps/search/?api=1&amp;query=${query}" rel="noopener">${words.google}</a>
            </p>
            ${invite.placeNote && html`<div class="how"><h3>${words.how}</h3>${site.rich(invite.placeNote)}</div>`}
          </section>`}

        ${invite.photos.length > 0 && html`
          <section class="photos" aria-label="${words.photos}">
            ${invite.photos.map((photo) => html`<figure>${site.image(photo)}${photo.caption && html`<figcaption>${photo.caption}</figcaption>`}</figure>`)}
          </section>`}

        ${replies && invite.rsvp && rsvp(invite, words, lang, { problem, typed })}

        ${invite.contacts.length > 0 && html`
          <section class="contacts">
            <h2>${words.contacts}</h2>
            <ul>${invite.contacts.filter((each) => each.link).map((each) => html`<li><a class="button quiet" href="${each.link}">${each.who || each.link}</a></li>`)}</ul>
          </section>`}

        ${invite.accounts.length > 0 && html`
          <section class="accounts">
            <details><summary>${words.accounts}</summary>
              <ul>${invite.accounts.map((each) => html`
                <li><span><b>${each.who}</b> <span class="number">${each.number}</span></span>
                  <button type="button" class="copy" hidden data-copy="${each.number}" data-copied="${words.copied}" aria-label="${words.copy}: ${each.who}">${words.copy}</button></li>`)}
              </ul>
            </details>
          </section>`}
      </main>
      <footer>
        ${isOwner && !replies && invite.rsvp && html`<p>${words.off}</p>`}
        ${replies && (isOwner ? html`<a href="/guests">${words.list}</a>` : html`<a href="/.paas/owner?to=/guests">${words.owner}</a>`)}
      </footer>`,
  };
}

function rsvp(invite, words, lang, { problem, typed }) {
  const choice = (value) => html`
    <label class="choice"><input type="radio" name="answer" value="${value}" required${typed.answer === value && html` checked`}><span>${words[value]}</span></label>`;
  return html`
    <section class="rsvp" id="rsvp">
      <h2>${words.rsvp}</h2>
      ${invite.rsvpNote && html`<p class="soft">${invite.rsvpNote}</p>`}
      ${isOver(invite) ? html`<p>${words.over}</p>` : html`
      <form method="post" action="/rsvp#rsvp">
        ${problem && html`<p class="problem" role="alert">${problem}</p>`}
        <label>${words.name}<input name="name" maxlength="40" required autocomplete="name" value="${typed.name}"></label>
        <fieldset><legend>${words.answer}</legend><div class="choices">${['yes', 'maybe', 'no'].map(choice)}</div></fieldset>
        <label>${words.people}<input name="people" type="number" min="1" max="20" inputmode="numeric" value="${typed.people ?? 1}"></label>
        <label>${words.note} <small>${words.optional}</small><textarea name="note" rows="3" maxlength="300">${typed.note}</textarea></label>
        <label class="trap" aria-hidden="true">Website<input name="website" tabindex="-1" autocomplete="off"></label>
        <button class="button">${words.send}</button>
        <p class="soft small">${words.private}${invite.rsvpUntil && html` ${words.until(dayOf(invite.rsvpUntil, lang))}`}</p>
      </form>`}
    </section>`;
}

// --- 답장 ------------------------------------------------------------------------------------------------------------

if (replies) {
  app.form('/rsvp', (req) => {
    const invite = app.content();
    const words = texts[site.language(req, invite.language)];
    // 사람 눈에 안 보이는 칸을 채우는 것은 로봇뿐이에요. 받은 척만 해요.
    if (req.body.website) return '/thanks';
    if (!invite.rsvp || isOver(invite)) return invitation(req, { status: 403, problem: words.over });
    try {
      const name = site.text(req.body, 'name', { max: 40, required: true });
      const note = site.text(req.body, 'note', { max: 300 });
      const { answer } = req.body;
      if (!['yes', 'maybe', 'no'].includes(answer)) site.refuse(400, 'bad-field', words.missing);
      const people = answer === 'no' ? 0 : site.number(req.body.people || '1', 'people', { max: 20 });
      flood.take(req);
      if (replies.count() >= MOST_REPLIES) site.refuse(507, 'full', words.full);
      replies.add({ name, answer, people, note, sentAt: new Date().toISOString() });
      return '/thanks';
    } catch (error) {
      if (!(error instanceof site.Refusal)) throw error;
      const asked = ['too-many', 'full'].includes(error.code) ? error.words[site.language(req, invite.language)] : words.missing;
      return invitation(req, { status: error.status, problem: asked, typed: onlyText(req.body) });
    }
  });

  app.page('/thanks', (req) => {
    const invite = app.content();
    const lang = site.language(req, invite.language);
    const words = texts[lang];
    return {
      lang, title: words.thanks, look: invite, hidden: true,
      body: html`<main class="short"><h1>${words.thanks}</h1><p>${words.thanksText}</p><p><a class="button quiet" href="/">${words.back}</a></p></main>`,
    };
  });

  app.page('/guests', (req) => {
    const invite = app.content();
    const lang = site.language(req, invite.language);
    const words = texts[lang];
    if (site.visitor(req) !== 'owner') {
      return {
        lang, status: 403, title: words.guests, look: invite, hidden: true, personal: true,
        body: html`<main class="short"><h1>${words.guests}</h1><p>${words.only}</p><p><a class="button" href="/.paas/owner?to=/guests">${words.owner}</a></p><p><a href="/">${words.back}</a></p></main>`,
      };
    }
    const all = replies.all();
    const of = (answer) => all.filter((each) => each.answer === answer);
    const people = of('yes').reduce((sum, each) => sum + each.people, 0);
    return {
      lang, title: words.guests, look: invite, hidden: true, personal: true,
      body: html`
        <main class="list">
          <p><a href="/">← ${words.back}</a></p>
          <h1>${words.guests}</h1>
          ${all.length === 0 ? html`<p>${words.nobody}</p>` : html`
          <p>${words.sum(people, of('yes').length, of('maybe').length, of('no').length)}</p>
          <ul class="replies">${all.map((each) => html`
            <li>
              <p><b>${each.name}</b> <span class="answer" data-answer="${each.answer}">${words[each.answer]}${each.people > 1 && ` · ${each.people}`}</span></p>
              ${each.note && html`<p class="note">${each.note}</p>`}
              <form method="post" action="/guests/${each.id}/delete"><time datetime="${each.sentAt}">${dayOf(each.sentAt, lang)}</time>
                <button class="link" aria-label="${words.removeName(each.name)}">${words.remove}</button></form>
            </li>`)}
          </ul>
          <p><a class="button quiet" href="/guests.csv" download>${words.save}</a></p>`}
        </main>`,
    };
  });

  app.form('/guests/:id/delete', (req) => {
    ownerOnly(req);
    replies.remove(site.number(req.params.id, 'id'));
    return '/guests';
  });

  app.get('/guests.csv', (req, res) => {
    ownerOnly(req);
    const lang = site.language(req, app.content().language);
    const words = texts[lang];
    const rows = replies.all().map((each) => [each.name, words[each.answer], each.people, each.note, each.sentAt]);
    const text = [words.columns, ...rows].map((row) => row.map(cell).join(',')).join('\r\n');
    // 맨 앞 표시가 있어야 엑셀이 한글을 알아봐요.
    res.set('Cache-Control', 'no-store').attachment('guests.csv').type('text/csv').send(`\uFEFF${text}\r\n`);
  });
}

function ownerOnly(req) {
  if (site.visitor(req) !== 'owner') site.refuse(403, 'owner-only', { ko: texts.ko.only, en: texts.en.only });
}

// 엑셀은 =, +, -, @ 로 시작하는 칸을 계산식으로 알아요. 손님이 쓴 글이 계산되면 안 돼요.
function cell(value) {
  const text = String(value).replaceAll('"', '""');
  return `"${/^[=+\-@\t\r]/.test(text) ? "'" : ''}${text}"`;
}

function onlyText(body) {
  return Object.fromEntries(['name', 'answer', 'people', 'note'].map((name) => [name, typeof body[name] === 'string' ? body[name] : '']));
}

// --- 날짜 ------------------------------------------------------------------------------------------------------------

/** 초대장에 적힌 그곳의 시각 그대로. 보는 사람이 다른 나라에 있어도 달라지지 않아요. */
function moment(when, lang) {
  const there = new Date(`${when.slice(0, 19)}Z`);
  const say = (options) => new Intl.DateTimeFormat(lang === 'ko' ? 'ko-KR' : 'en-GB', { timeZone: 'UTC', ...options }).format(there);
  const day = say({ year: 'numeric', month: 'long', day: 'numeric', weekday: 'long' });
  const minutes = there.getUTCMinutes() !== 0;
  const time = lang === 'ko'
    ? `${there.getUTCHours() < 12 ? '오전' : '오후'} ${there.getUTCHours() % 12 || 12}시${minutes ? ` ${there.getUTCMinutes()}분` : ''}`
    : say({ hour: 'numeric', minute: '2-digit', hour12: true });
  return { day, time, text: `${day} ${time}` };
}

function dayOf(day, lang) {
  const options = { timeZone: 'Asia/Seoul', month: 'long', day: 'numeric' };
  return new Intl.DateTimeFormat(lang === 'ko' ? 'ko-KR' : 'en-GB', options).format(new Date(day.length === 10 ? `${day}T12:00:00+09:00` : day));
}

const offsetOf = (when) => (/Z$/.test(when) ? 0 : (Number(when.slice(-6, -3)) * 60 + Math.sign(Number(`${when.at(-6)}1`)) * Number(when.slice(-2))) * 60_000);

/** 그곳의 날짜로 며칠 남았는지. */
function daysUntil(when) {
  const today = new Date(Date.now() + offsetOf(when)).toISOString().slice(0, 10);
  return Math.round((Date.parse(when.slice(0, 10)) - Date.parse(today)) / 86_400_000);
}

/** 답장 받는 마지막 날은 그날이 다 갈 때까지예요. */
function isOver(invite) {
  const offset = invite.when ? offsetOf(invite.when) : 9 * 3_600_000;
  return invite.rsvpUntil !== '' && new Date(Date.now() + offset).toISOString().slice(0, 10) > invite.rsvpUntil;
}

app.get('/invite.ics', (req, res, next) => {
  const invite = app.content();
  if (!invite.when) return next();
  const stamp = (time) => new Date(time).toISOString().replace(/[-:]|\.\d+/g, '');
  const escaped = (text) => text.replace(/[\\;,]/g, '\\$&').replaceAll('\n', '\\n');
  // 한 줄은 75바이트까지예요. 한글은 세 바이트라 20자씩 끊어요.
  const line = (name, text) => `${name}:${[...escaped(text)].map((letter, at) => (at > 0 && at % 20 === 0 ? `\r\n ${letter}` : letter)).join('')}`;
  const start = Date.parse(invite.when);
  const lines = [
    'BEGIN:VCALENDAR', 'VERSION:2.0', 'PRODID:-//minipaas//invite-v1//', 'BEGIN:VEVENT',
    `UID:${stamp(start)}@invite`, `DTSTAMP:${stamp(start)}`, `DTSTART:${stamp(start)}`, `DTEND:${stamp(start + 2 * 3_600_000)}`,
    line('SUMMARY', [invite.eyebrow, invite.title].filter(Boolean).join(' · ')),
    line('LOCATION', [invite.placeName, invite.place].filter(Boolean).join(', ')),
    'END:VEVENT', 'END:VCALENDAR',
  ];
  return res.set('Cache-Control', 'no-cache').attachment('invite.ics').type('text/calendar').send(`${lines.join('\r\n')}\r\n`);
});

app.start();
