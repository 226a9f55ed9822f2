'use strict';
// 사진첩의 서버예요. 사진의 차례와 글은 content.json에, 사진 파일은 public/photos/에, 생김새는 public/style.css에 있어요.
// 여기서는 그것으로 화면을 만들어요. 이 파일은 방문자에게 보이지 않아요.
const site = require('site');

const app = site.create({ strict: true });
const { html } = site;

const WORDS = {
  ko: { photos: '사진', none: '아직 사진이 없어요.', count: (count) => `사진 ${count}장`, photo: (at, count) => `사진 ${at} / ${count}`, before: '이전 사진', after: '다음 사진', back: '사진첩으로', close: '닫기', open: '크게 보기', gone: '이 사진은 이제 없어요' },
  en: { photos: 'Pictures', none: 'There are no pictures yet.', count: (count) => (count === 1 ? '1 picture' : `${count} pictures`), photo: (at, count) => `Picture ${at} of ${count}`, before: 'Previous picture', after: 'Next picture', back: 'To the album', close: 'Close', open: 'See it large', gone: 'This picture is not here any more' },
};

/** 사진마다 주소가 하나씩 있어요. 파일 이름이 바뀌지 않으면 주소도 그대로라서, 한 장만 보내 줄 수 있어요. */
function photosOf(album) {
  const taken = new Set();
  return album.photos.map((photo) => {
    const base = photo.src.split('/').at(-1).replace(/\.\w+$/, '').normalize('NFC');
    let name = base;
    for (let number = 2; taken.has(name); number++) name = `${base}-${number}`;
    taken.add(name);
    return { ...photo, name, where: `/photo/${encodeURIComponent(name)}` };
  });
}

// --- 모두 보기 --------------------------------------------------------------------------------------------------------

app.page('/', (req) => {
  const album = app.content();
  const lang = site.language(req, album.language);
  const words = WORDS[lang];
  const photos = photosOf(album);
  const facts = [album.date && dayOf(album.date, lang), album.place, photos.length > 0 && words.count(photos.length)].filter(Boolean);
  // 사진의 가로세로를 미리 알려 주면, 사진이 오기 전에도 자리가 잡혀요.
  const ratio = ({ width = 4, height = 3 }) => Math.min(3, Math.max(0.5, width / height)).toFixed(3);

  return {
    lang,
    title: album.title,
    description: site.plain(album.intro),
    picture: photos[0],
    look: album,
    style: photos.map((photo, at) => `.photos li:nth-child(${at + 1}){--ratio:${ratio(photo)}}`).join(''),
    scripts: photos.length > 0 ? ['/album.js'] : [],
    body: html`
      <main>
        <header>
          <h1>${album.title}</h1>
          ${facts.length > 0 && html`<p class="facts">${facts.join(' · ')}</p>`}
          <div class="intro">${site.rich(album.intro)}</div>
        </header>
        ${photos.length === 0 && html`<p class="none">${words.none}</p>`}
        <ul class="photos" aria-label="${words.photos}">${photos.map((photo, at) => html`
          <li><a href="${photo.where}" data-large="/${photo.src.split('/').map(encodeURIComponent).join('/')}" data-caption="${photo.caption}" data-count="${words.photo(at + 1, photos.length)}">
            ${site.image({ ...photo, alt: photo.alt || photo.caption || words.photo(at + 1, photos.length) }, { eager: at < 3 })}
            ${album.captions && photo.caption && html`<span class="caption">${photo.caption}</span>`}
          </a></li>`)}
        </ul>
      </main>
      <dialog class="large" aria-label="${words.photos}">
        <figure><img alt=""><figcaption><span class="words"></span><span class="count"></span></figcaption></figure>
        <button type="button" class="before" aria-label="${words.before}">‹</button>
        <button type="button" class="after" aria-label="${words.after}">›</button>
        <button type="button" class="close" aria-label="${words.close}">✕</button>
      </dialog>`,
  };
});

// --- 한 장 보기: 스크립트가 없을 때, 그리고 한 장만 보내 줄 때 -----------------------------------------------------------

app.page('/photo/:name', (req) => {
  const album = app.content();
  const lang = site.language(req, album.language);
  const words = WORDS[lang];
  const photos = photosOf(album);
  const at = photos.findIndex(({ name }) => name === req.params.name.normalize('NFC'));
  if (at < 0) site.refuse(404, 'not-found', { ko: WORDS.ko.gone, en: WORDS.en.gone });
  const photo = photos[at];
  const [before, after] = [photos[at - 1], photos[at + 1]];

  return {
    lang,
    title: photo.caption ? `${photo.caption} · ${album.title}` : album.title,
    description: photo.alt || site.plain(album.intro),
    picture: photo,
    look: album,
    scripts: ['/album.js'],
    body: html`
      <main class="one">
        <p class="back"><a href="/">← ${album.title || words.back}</a></p>
        <figure>
          ${site.image({ ...photo, alt: photo.alt || photo.caption || words.photo(at + 1, photos.length) }, { eager: true })}
          <figcaption>${photo.caption && html`<h1 class="words">${photo.caption}</h1>`}<span class="count">${words.photo(at + 1, photos.length)}</span></figcaption>
        </figure>
        <nav>
          ${before ? html`<a class="before" rel="prev" href="${before.where}">‹ ${words.before}</a>` : html`<span></span>`}
          ${after && html`<a class="after" rel="next" href="${after.where}">${words.after} ›</a>`}
        </nav>
      </main>`,
  };
});

function dayOf(day, lang) {
  const options = { timeZone: 'UTC', year: 'numeric', month: 'long', day: 'numeric' };
  return new Intl.DateTimeFormat(lang === 'ko' ? 'ko-KR' : 'en-GB', options).format(new Date(`${day}T00:00:00Z`));
}

app.start();
