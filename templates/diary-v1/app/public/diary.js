'use strict';
// 일기장 화면의 움직임. 일기는 서버에 저장하고, 서버의 저장 기능이 꺼져 있으면 이 브라우저에 보관해요.
// 일기의 글은 언제나 textContent로만 화면에 올려요. 글 속의 <script> 같은 것이 실행될 수 없어요.

const MOODS = { happy: ['😊', '행복'], calm: ['😌', '평온'], love: ['🥰', '설렘'], tired: ['😴', '피곤'], sad: ['😢', '슬픔'] };
const KEEP = 'diary:entries';
const DRAFT = 'diary:draft';
const $ = (id) => document.getElementById(id);

// --- 일기를 두는 곳 두 가지: 서버와 브라우저. 둘은 같은 일을 할 줄 알아요. ---

class Trouble extends Error {
  constructor(message, status, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const server = {
  async call(path, options = {}) {
    let response;
    try {
      const headers = { Accept: 'application/json', ...options.headers };
      response = await fetch(`api/entries${path}`, { ...options, headers, signal: AbortSignal.timeout(15000) });
    } catch {
      throw new Trouble('서버와 연결되지 않았어요. 인터넷을 확인하고 다시 해 주세요.');
    }
    const answer = response.status === 204 ? null : await response.json().catch(() => null);
    if (!response.ok) {
      const message = answer?.error ?? '서버가 대답하지 못했어요. 잠시 후 다시 해 주세요.';
      throw new Trouble(message, response.status, answer?.code);
    }
    return answer;
  },
  page: (before) => server.call(before ? `?before=${before}` : ''),
  get: (id) => server.call(`/${id}`),
  add: (entry) =>
    server.call('', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(entry) }),
  remove: (id) => server.call(`/${id}`, { method: 'DELETE' }),
};

const browser = {
  read() {
    try {
      const entries = JSON.parse(localStorage.getItem(KEEP) ?? '[]');
      if (Array.isArray(entries)) return entries;
    } catch {
      // 망가진 내용도 버리지 않고 옆에 남겨 둬요.
      try { localStorage.setItem(`${KEEP}:broken`, localStorage.getItem(KEEP)); } catch { /* 자리도 없으면 어쩔 수 없어요 */ }
    }
    return [];
  },
  write(entries) {
    try {
      localStorage.setItem(KEEP, JSON.stringify(entries));
    } catch {
      throw new Trouble('브라우저에 보관할 자리가 없어요. 오래된 일기를 지우고 다시 해 주세요.');
    }
  },
  async page() {
    const entries = browser.read().map((entry) => ({ ...entry, excerpt: entry.body.slice(0, 160) }));
    return { entries: entries.sort((a, b) => b.createdAt.localeCompare(a.createdAt) || b.id - a.id), next: null, writers: null };
  },
  async get(id) {
    const entry = browser.read().find((each) => each.id === id);
    if (!entry) throw new Trouble('그런 일기가 없어요', 404);
    return entry;
  },
  async add(draft) {
    const entries = browser.read();
    const id = entries.reduce((highest, entry) => Math.max(highest, entry.id), 0) + 1;
    const entry = { createdAt: new Date().toISOString(), ...draft, id };
    browser.write([...entries, entry]);
    return entry;
  },
  async remove(id) {
    browser.write(browser.read().filter((entry) => entry.id !== id));
  },
};

let store = server;
let nextPage = null;
let mayWrite = null; // 아직 몰라요

// --- 누가 쓸 수 있나요: 쓸 수 없는 사람에게는 쓰는 칸도 지우는 단추도 보이지 않아요. ---

const BROWSER_ONLY = '지금은 저장 기능이 꺼져 있어서 일기가 이 브라우저에만 보관돼요. 다른 기기에서는 보이지 않고, 방문 기록을 지우면 함께 사라질 수 있어요.';
const FOR_ALL = '일기는 이 사이트의 서버에 저장돼요. 이 주소를 아는 사람은 누구나 읽고 쓸 수 있으니, 믿는 사람에게만 알려 주세요.';
const MINE = '주인으로 들어와 있어요. 일기는 이 사이트의 서버에 저장돼요. 누가 볼 수 있는지는 ‘내 웹’의 ‘누가 볼 수 있나요’에서 정해요.';
const GUEST = '초대받은 사람으로 들어와 있어요. 일기는 이 사이트의 서버에 저장돼요.';

function allow({ visitor = 'everyone', writers = null }) {
  mayWrite = writers === null;
  for (const id of ['write', 'invite', 'reader-delete']) $(id).hidden = !mayWrite;
  const where = $('where');
  if (store === browser) where.textContent = BROWSER_ONLY;
  else if (mayWrite) where.textContent = { owner: MINE, guest: GUEST }[visitor] ?? FOR_ALL;
  else if (writers === 'guests') where.replaceChildren('초대받은 사람만 쓸 수 있어요. ', way('enter', '들어가기'), ' · ', way('owner', '내 일기장이에요'));
  else where.replaceChildren('주인만 쓸 수 있어요. ', way('owner', '내 일기장이라면 로그인하고 쓰기'));
}

// /.paas/ 아래는 서버(게이트웨이)의 화면이에요. 들어온 다음에는 여기로 돌아와요.
function way(name, text) {
  const link = element('a', '', text);
  link.href = `/.paas/${name}?to=${encodeURIComponent(location.pathname)}`;
  return link;
}

// --- 날짜 ---

const format = (options) => new Intl.DateTimeFormat('ko-KR', options);
const monthName = format({ year: 'numeric', month: 'long' });
const weekday = format({ weekday: 'short' });
const fullDate = format({ dateStyle: 'full', timeStyle: 'short' });

// --- 목록 ---

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function titleOf(entry) {
  return entry.title || `${format({ month: 'long', day: 'numeric' }).format(new Date(entry.createdAt))}의 일기`;
}

function card(entry) {
  const date = new Date(entry.createdAt);
  const link = element('a', 'entry card');
  link.href = `#/${entry.id}`;
  const day = element('div', date.getDay() === 0 ? 'day sunday' : 'day');
  day.append(element('b', '', date.getDate()), element('span', '', `${weekday.format(date)}요일`));
  const text = element('div');
  text.append(element('h3', '', titleOf(entry)), element('p', '', entry.excerpt ?? entry.body));
  link.append(day, text);
  if (MOODS[entry.mood]) {
    const face = element('span', 'face', MOODS[entry.mood][0]);
    face.setAttribute('role', 'img');
    face.setAttribute('aria-label', `기분: ${MOODS[entry.mood][1]}`);
    link.append(face);
  }
  const item = element('li');
  item.append(link);
  return item;
}

function show(entries, { append }) {
  const list = $('list');
  if (!append) list.replaceChildren();
  for (const entry of entries) {
    const month = monthName.format(new Date(entry.createdAt));
    if (list.lastElementChild?.dataset.month !== month) {
      const group = element('section');
      group.dataset.month = month;
      group.append(element('h3', 'month', month), element('ul'));
      list.append(group);
    }
    list.lastElementChild.querySelector('ul').append(card(entry));
  }
  $('empty').hidden = list.childElementCount > 0;
}

async function refresh({ append = false } = {}) {
  $('list').setAttribute('aria-busy', 'true');
  try {
    const page = await store.page(append ? nextPage : undefined);
    allow(page);
    nextPage = page.next;
    $('more').hidden = nextPage === null;
    show(page.entries, { append });
    notice();
  } catch (trouble) {
    if (trouble.code === 'api-off') return useBrowser();
    // 물어볼 수 없을 때도 쓰던 글은 보여야 해요.
    if (mayWrite === null) allow({});
    notice(trouble.message, '다시 해 보기', () => refresh({ append }));
  } finally {
    $('list').setAttribute('aria-busy', 'false');
  }
  offerMove();
}

function useBrowser() {
  store = browser;
  return refresh();
}

// 저장 기능이 꺼져 있던 때 쓴 일기가 브라우저에 남아 있으면, 서버로 옮기도록 권해요.
function offerMove() {
  const kept = store === server && mayWrite ? browser.read() : [];
  if (kept.length === 0 || !$('notice').hidden) return;
  notice(`이 브라우저에 보관된 일기가 ${kept.length}편 있어요.`, '서버로 옮기기', async () => {
    try {
      for (const { id, title, body, mood, createdAt } of kept) {
        await server.add({ title, body, mood, createdAt });
        await browser.remove(id); // 한 편씩 지우니, 중간에 끊겨도 두 번 옮겨지지 않아요.
      }
      toast('일기를 모두 옮겼어요.');
    } catch (trouble) {
      toast(trouble.message);
    }
    await refresh();
  });
}

// --- 알림 ---

function notice(text, action, run) {
  const box = $('notice');
  box.hidden = text === undefined;
  box.replaceChildren();
  if (text === undefined) return;
  const button = element('button', 'quiet', action);
  button.type = 'button';
  button.addEventListener('click', () => {
    button.disabled = true;
    run();
  });
  box.append(element('p', '', text), button);
}

let toastTimer;
function toast(text) {
  const box = $('toast');
  box.textContent = text;
  box.classList.add('show');
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => box.classList.remove('show'), 4000);
}

// 쓸 수 있던 사람도 오래 지나거나 주인이 바꾸면 못 쓰게 돼요.
function said({ code, message }) {
  return code === 'read-only' || code === 'owner-only' || code === 'guests-only' ? '이제 쓸 수 없게 됐어요. 새로 고치고 다시 들어와 주세요.' : message;
}

// --- 쓰기 ---

const form = $('form');

function draft() {
  return { title: form.elements.title.value.trim(), body: form.elements.body.value.trim(), mood: form.elements.mood.value };
}

function count() {
  $('count').textContent = form.elements.body.value ? `${form.elements.body.value.length.toLocaleString('ko-KR')}자` : '';
}

// 저장하기 전에 창을 닫아도 쓰던 글이 남아 있어요.
function keepDraft() {
  try {
    const now = draft();
    if (now.title || now.body || now.mood) localStorage.setItem(DRAFT, JSON.stringify({ ...now, body: form.elements.body.value }));
    else localStorage.removeItem(DRAFT);
  } catch { /* 보관할 수 없는 브라우저에서도 일기는 쓸 수 있어요 */ }
}

function restoreDraft() {
  try {
    const kept = JSON.parse(localStorage.getItem(DRAFT));
    if (!kept) return;
    form.elements.title.value = kept.title ?? '';
    form.elements.body.value = kept.body ?? '';
    form.elements.mood.value = kept.mood ?? '';
  } catch { /* 읽을 수 없으면 빈 종이로 시작해요 */ }
}

function complain(text) {
  $('body-error').textContent = text;
  if (text) form.elements.body.setAttribute('aria-invalid', 'true');
  else form.elements.body.removeAttribute('aria-invalid');
}

form.addEventListener('input', () => {
  complain('');
  count();
  keepDraft();
});

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const entry = draft();
  if (!entry.body) {
    complain('내용을 한 글자라도 적어 주세요.');
    form.elements.body.focus();
    return;
  }
  $('save').disabled = true;
  try {
    await store.add(entry);
    form.reset();
    count();
    keepDraft();
    toast('일기를 저장했어요.');
    await refresh();
  } catch (trouble) {
    complain(`${said(trouble)} 쓰던 글은 그대로 있어요.`);
  } finally {
    $('save').disabled = false;
  }
});

// 컴퓨터에서는 Ctrl+Enter로도 저장돼요.
form.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});

// --- 읽기와 지우기. 주소 끝의 #/3 이 "3번 일기를 펼친 상태"라서 뒤로 가기 단추로 닫혀요. ---

const reader = $('reader');
const confirmBox = $('confirm');
let open = null;

async function route() {
  const id = Number(/^#\/([1-9]\d{0,15})$/.exec(location.hash)?.[1]);
  if (!id) {
    open = null;
    confirmBox.close();
    reader.close();
    return;
  }
  try {
    const entry = await store.get(id);
    open = entry;
    const mood = MOODS[entry.mood];
    $('reader-mood').textContent = mood ? `${mood[0]} ${mood[1]} ·` : '';
    $('reader-date').textContent = fullDate.format(new Date(entry.createdAt));
    $('reader-date').dateTime = entry.createdAt;
    $('reader-title').textContent = titleOf(entry);
    $('reader-body').textContent = entry.body;
    if (!reader.open) reader.showModal();
    reader.scrollTop = 0;
    $('reader-title').focus();
  } catch (trouble) {
    leave();
    toast(trouble.message);
  }
}

function leave() {
  history.replaceState(null, '', location.pathname + location.search);
  route();
}

addEventListener('hashchange', route);
reader.addEventListener('cancel', (event) => {
  event.preventDefault(); // Esc: 주소도 함께 되돌려요.
  leave();
});
reader.addEventListener('click', (event) => {
  if (event.target !== reader) return;
  const box = reader.getBoundingClientRect();
  const inside = event.clientX >= box.left && event.clientX <= box.right && event.clientY >= box.top && event.clientY <= box.bottom;
  if (!inside) leave();
});
$('reader-close').addEventListener('click', leave);
$('reader-delete').addEventListener('click', () => {
  $('confirm-text').textContent = `“${titleOf(open)}” 일기는 지우면 되돌릴 수 없어요.`;
  confirmBox.showModal();
});
$('confirm-no').addEventListener('click', () => confirmBox.close());
$('confirm-yes').addEventListener('click', async () => {
  const button = $('confirm-yes');
  button.disabled = true;
  try {
    await store.remove(open.id);
    leave();
    toast('일기를 지웠어요.');
    await refresh();
    $('list-title').focus();
  } catch (trouble) {
    confirmBox.close();
    toast(said(trouble));
    if (trouble.status === 404) { // 다른 기기에서 먼저 지운 일기예요.
      leave();
      await refresh();
    }
  } finally {
    button.disabled = false;
  }
});

$('more').addEventListener('click', () => refresh({ append: true }));

// --- 시작 ---

$('today').textContent = format({ dateStyle: 'full' }).format(new Date());
restoreDraft();
count();
(async () => {
  if (location.protocol === 'file:') await useBrowser();
  else await refresh();
  await route();
})();
