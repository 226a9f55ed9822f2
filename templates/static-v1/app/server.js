'use strict';
// 안내 페이지의 서버예요. 글, 사진, 색은 content.json에 있고, 생김새는 public/style.css에 있어요.
// 여기서는 그 내용으로 페이지를 만들어요. 이 파일(server.js)은 방문자에게 보이지 않아요.
//
// second.html을 만들면 /second 에서 열려요. index.html을 만들면 이 페이지 대신 그것이 열려요.
const { existsSync } = require('node:fs');
const path = require('node:path');
const site = require('site');

const app = site.create();
const { html } = site;

// 직접 만든 주소를 더하고 싶다면 여기에 쓰세요. 다음 줄의 맨 앞 //를 지우면 /hello 가 열려요.
// app.get('/hello', (req, res) => res.send('안녕하세요!'));

const WORDS = {
  ko: { skip: '본문으로 건너뛰기', nav: '페이지 안', about: '소개', news: '소식', visit: '오시는 길', photos: '사진', address: '주소', map: '지도에서 보기' },
  en: { skip: 'Skip to the text', nav: 'On this page', about: 'About', news: 'News', visit: 'Find us', photos: 'Pictures', address: 'Address', map: 'On a map' },
};

// 손으로 쓴 index.html이 있으면 그것이 먼저예요.
const isByHand = () => ['index.html', 'public/index.html'].some((file) => existsSync(path.join(__dirname, file)));

app.page('/', (req) => {
  if (isByHand()) return undefined;
  const page = app.content();
  const lang = site.language(req, page.language);
  const words = WORDS[lang];
  const hasVisit = page.facts.length > 0 || page.place !== '';
  const parts = [
    page.about.length > 0 && ['about', page.aboutTitle || words.about, words.about],
    page.news.length > 0 && ['news', page.newsTitle || words.news, words.news],
    hasVisit && ['visit', page.visitTitle || words.visit, words.visit],
  ].filter(Boolean);
  const titleOf = Object.fromEntries(parts);
  const map = `${lang === 'ko' ? 'https://map.kakao.com/link/search/' : 'https://www.google.com/maps/search/?api=1&query='}${encodeURIComponent(page.place)}`;

  return {
    lang,
    title: page.name || page.headline,
    description: site.plain(page.lead),
    picture: page.picture,
    look: page,
    body: html`
      <a class="skip" href="#main">${words.skip}</a>
      <header class="bar">
        <a class="brand" href="#top">${page.name}</a>
        ${parts.length > 0 && html`<nav aria-label="${words.nav}">${parts.map(([id, , short]) => html`<a href="#${id}">${short}</a>`)}</nav>`}
      </header>
      <main id="main">
        <section class="hero" id="top">
          <div>
            ${page.kicker && html`<p class="kicker">${page.kicker}</p>`}
            <h1>${page.headline || page.name}</h1>
            <div class="lead">${site.rich(page.lead)}</div>
            ${page.buttons.length > 0 && html`<p class="buttons">${page.buttons.filter((each) => each.link).map((each, at) => html`<a class="button${at > 0 ? ' quiet' : ''}" href="${each.link}">${each.title || each.link}</a> `)}</p>`}
          </div>
          ${page.picture && site.image(page.picture, { eager: true })}
        </section>

        ${page.about.length > 0 && html`
        <section id="about">
          <h2>${titleOf.about}</h2>
          <ul class="cards">${page.about.map((each) => html`<li>${each.title && html`<h3>${each.title}</h3>`}${site.rich(each.text)}</li>`)}</ul>
        </section>`}

        ${page.photos.length > 0 && html`
        <section class="photos" aria-label="${words.photos}">
          ${page.photos.map((photo) => html`<figure>${site.image(photo)}${photo.caption && html`<figcaption>${photo.caption}</figcaption>`}</figure>`)}
        </section>`}

        ${page.news.length > 0 && html`
        <section id="news">
          <h2>${titleOf.news}</h2>
          <ul class="news">${page.news.map((each) => html`<li>${each.date && html`<time datetime="${each.date}">${dayOf(each.date, lang)}</time>`}<div>${site.rich(each.text)}</div></li>`)}</ul>
        </section>`}

        ${hasVisit && html`
        <section id="visit" class="visit">
          <h2>${titleOf.visit}</h2>
          <dl>
            ${page.place && html`<div><dt>${words.address}</dt><dd>${page.place} <a href="${map}" rel="noopener">${words.map}</a></dd></div>`}
            ${page.facts.map((each) => html`<div><dt>${each.title}</dt><dd>${each.link ? html`<a href="${each.link}">${each.text || each.link}</a>` : each.text}</dd></div>`)}
          </dl>
        </section>`}
      </main>
      ${page.footer && html`<footer><p>${page.footer}</p></footer>`}`,
  };
});

function dayOf(day, lang) {
  const options = { timeZone: 'UTC', month: 'long', day: 'numeric' };
  return new Intl.DateTimeFormat(lang === 'ko' ? 'ko-KR' : 'en-GB', options).format(new Date(`${day}T00:00:00Z`));
}

app.start();
