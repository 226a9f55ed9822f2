'use strict';
// 내 링크의 서버예요. 이름, 소개, 링크는 content.json에 있고, 생김새는 public/style.css에 있어요.
// 여기서는 그 내용으로 페이지를 만들어요. 이 파일은 방문자에게 보이지 않아요.
const site = require('site');

const app = site.create({ strict: true });
const { html } = site;

const WORDS = {
  ko: { links: '링크', share: '이 페이지 공유하기', copied: '주소를 복사했어요' },
  en: { links: 'Links', share: 'Share this page', copied: 'The address is copied' },
};

app.page('/', (req) => {
  const me = app.content();
  const lang = site.language(req, me.language);
  const words = WORDS[lang];
  const links = me.links.filter((each) => each.link && each.title);

  return {
    lang,
    title: me.name,
    description: site.plain(me.intro),
    picture: me.photo,
    look: me,
    scripts: me.share ? ['/share.js'] : [],
    body: html`
      <main>
        <header>
          ${me.photo && html`<div class="photo">${site.image(me.photo, { eager: true })}</div>`}
          <h1>${me.name}</h1>
          <div class="intro">${site.rich(me.intro)}</div>
        </header>
        <nav aria-label="${words.links}">
          <ul>${links.map((each) => html`
            <li><a href="${each.link}" rel="noopener">
              ${each.emoji && html`<span class="emoji" aria-hidden="true">${each.emoji}</span>`}
              <span class="text"><b>${each.title}</b>${each.note && html`<small>${each.note}</small>`}</span>
              <span class="arrow" aria-hidden="true">→</span>
            </a></li>`)}
          </ul>
        </nav>
        ${me.share && html`<p class="share"><button type="button" hidden data-copied="${words.copied}">${words.share}</button><output></output></p>`}
      </main>`,
  };
});

app.start();
