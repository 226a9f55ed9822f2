// The sample pictures of the templates, drawn here, so that they are nobody else's. Each is an SVG; `scripts/template-pictures`
// makes WebP of them.

import { readFileSync } from 'node:fs';
import path from 'node:path';

/** The same numbers every time: a picture changes only when somebody changes it. */
function dice(seed) {
  let state = seed;
  return (from, to) => {
    state = (state * 1664525 + 1013904223) % 4294967296;
    return from + (state / 4294967296) * (to - from);
  };
}

const many = (count, draw) => Array.from({ length: count }, (_, at) => draw(at)).join('');
const round = (number) => Math.round(number * 10) / 10;

function svg(width, height, sky, body) {
  const stops = sky.map((colour, at) => `<stop offset="${at / (sky.length - 1)}" stop-color="${colour}"/>`).join('');
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">
<defs><linearGradient id="sky" x1="0" y1="0" x2="0" y2="1">${stops}</linearGradient>
<radialGradient id="sun"><stop offset="0" stop-color="#fff6dd"/><stop offset=".35" stop-color="#ffe9b8" stop-opacity=".9"/><stop offset="1" stop-color="#ffd9a0" stop-opacity="0"/></radialGradient>
<filter id="soft"><feGaussianBlur stdDeviation="14"/></filter></defs>
<rect width="${width}" height="${height}" fill="url(#sky)"/>${body}</svg>`;
}

/** A line of hills from left to right. */
function hills(width, height, top, swing, colour, seed) {
  const roll = dice(seed);
  const step = width / 6;
  let path = `M0 ${height}V${round(top + roll(-swing, swing))}`;
  for (let x = 0; x < width; x += step) path += `q${round(step / 2)} ${round(roll(-swing, swing))} ${round(step)} ${round(roll(-swing / 2, swing / 2))}`;
  return `<path d="${path}V${height}Z" fill="${colour}"/>`;
}

function sea(width = 1200, height = 800, { boat = true } = {}) {
  const roll = dice(7);
  const line = height * 0.56;
  const sun = [width * 0.5, line - height * 0.06];
  return svg(width, height, ['#f7b58a', '#fbd3a6', '#fdeccb', '#f6c9a0'], `
<circle cx="${sun[0]}" cy="${sun[1]}" r="${height * 0.34}" fill="url(#sun)"/>
<circle cx="${sun[0]}" cy="${sun[1]}" r="${height * 0.085}" fill="#fff3d6"/>
${hills(width, line + 2, line - height * 0.05, height * 0.05, '#d98f74', 3)}
<rect y="${line}" width="${width}" height="${height - line}" fill="#4f8a93"/>
<rect y="${line}" width="${width}" height="${(height - line) * 0.35}" fill="#e7ab84" opacity=".35"/>
${many(46, () => { const y = roll(line + 6, height); const w = roll(30, 150) * (0.4 + (y - line) / (height - line)); return `<rect x="${round(roll(-40, width))}" y="${round(y)}" width="${round(w)}" height="3" rx="1.5" fill="#fbe3c0" opacity="${round(roll(0.15, 0.55))}"/>`; })}
${many(14, (at) => `<rect x="${round(sun[0] - 60 + roll(-20, 60))}" y="${round(line + 8 + at * height * 0.022)}" width="${round(roll(40, 110))}" height="4" rx="2" fill="#fff1d0" opacity=".75"/>`)}
${boat ? `<g transform="translate(${width * 0.56} ${line + height * 0.1}) scale(${height / 800})"><path d="M-70 0h150l-26 34h-98z" fill="#7c3f2c"/><path d="M0-170v160h-58z" fill="#fffaf0"/><path d="M10-150v140h62z" fill="#f4d9b5"/><path d="M4-180v182" stroke="#5b2d20" stroke-width="6"/></g>` : ''}`);
}

function mountains(width = 1200, height = 900) {
  return svg(width, height, ['#8fb8d9', '#c9dfec', '#f6efe1'], `
<circle cx="${width * 0.74}" cy="${height * 0.22}" r="${height * 0.2}" fill="url(#sun)"/>
<path d="M0 ${height * 0.62}L${width * 0.2} ${height * 0.34} ${width * 0.33} ${height * 0.5} ${width * 0.52} ${height * 0.2} ${width * 0.72} ${height * 0.47} ${width * 0.84} ${height * 0.36} ${width} ${height * 0.56}V${height}H0Z" fill="#6f8fa8"/>
<path d="M${width * 0.52} ${height * 0.2}l-66 94 36-14 24 26 34-30 40 12z" fill="#f7f4ee"/>
${hills(width, height, height * 0.62, 60, '#547a6b', 11)}${hills(width, height, height * 0.72, 50, '#3f6553', 19)}${hills(width, height, height * 0.86, 36, '#2e4f40', 23)}
${trees(width, height * 0.9, 24, '#22402f', 5)}`);
}

function trees(width, base, count, colour, seed) {
  const roll = dice(seed);
  return many(count, () => {
    const [x, tall] = [roll(0, width), roll(60, 130)];
    return `<path d="M${round(x)} ${round(base - tall)}l${round(tall * 0.24)} ${round(tall)}h-${round(tall * 0.48)}z" fill="${colour}"/>`;
  });
}

function cafe(width = 900, height = 1200) {
  return svg(width, height, ['#e9d7c0', '#f3e6d4', '#dcc3a4'], `
<rect x="90" y="90" width="${width - 180}" height="560" rx="18" fill="#cfe3e6"/><rect x="90" y="90" width="${width - 180}" height="560" rx="18" fill="none" stroke="#8a6244" stroke-width="22"/>
<path d="M${width / 2} 90v560M90 360h${width - 180}" stroke="#8a6244" stroke-width="14"/>
<circle cx="250" cy="520" r="110" fill="#7fa37c"/><circle cx="360" cy="560" r="90" fill="#6b9169"/><circle cx="640" cy="550" r="120" fill="#86a983"/>
<rect y="820" width="${width}" height="380" fill="#a8754e"/><rect y="820" width="${width}" height="18" fill="#bd8a61"/>
<ellipse cx="450" cy="980" rx="240" ry="46" fill="#8a5b3a"/><ellipse cx="450" cy="960" rx="240" ry="46" fill="#fbf6ec"/>
<path d="M300 740h300q0 220-150 220T300 740Z" fill="#fffdf7"/><path d="M598 780q90-10 80 70t-120 60" fill="none" stroke="#fffdf7" stroke-width="26"/>
<ellipse cx="450" cy="742" rx="150" ry="32" fill="#f1e7d8"/><ellipse cx="450" cy="746" rx="130" ry="24" fill="#6b3f25"/><path d="M450 764c-60-26-36-44-12-36q12 4 12 10 0-6 12-10c24-8 48 10-12 36Z" fill="#e8c9a2"/>
${many(3, (at) => `<path d="M${390 + at * 60} 680q-26-40 0-76t0-76" fill="none" stroke="#fff" stroke-width="12" stroke-linecap="round" opacity=".55"/>`)}`);
}

function cat(width = 1200, height = 900) {
  return svg(width, height, ['#f2d8b8', '#f8e8d0', '#ead0ae'], `
<rect x="330" y="80" width="540" height="520" rx="16" fill="#bfdbe8"/><circle cx="720" cy="220" r="130" fill="url(#sun)"/><circle cx="480" cy="560" r="120" fill="#8fb386"/><circle cx="640" cy="590" r="100" fill="#7aa274"/>
<rect x="330" y="80" width="540" height="520" rx="16" fill="none" stroke="#fffaf0" stroke-width="26"/><path d="M600 80v520" stroke="#fffaf0" stroke-width="16"/>
<rect x="250" y="596" width="700" height="40" rx="12" fill="#fff7ea"/><rect y="636" width="${width}" height="264" fill="#d9b48a"/>
<path d="M640 600c-10-150 40-190 90-190s120 40 110 190z" fill="#4a3b33"/><circle cx="680" cy="400" r="74" fill="#4a3b33"/><path d="M614 372l-6-84 62 44zM746 372l6-84-62 44z" fill="#4a3b33"/>
<path d="M836 590q96 6 84-92" fill="none" stroke="#4a3b33" stroke-width="32" stroke-linecap="round"/>
<circle cx="654" cy="398" r="9" fill="#f7d774"/><circle cx="706" cy="398" r="9" fill="#f7d774"/><path d="M672 424h16l-8 9z" fill="#e89a8a"/>
<g><rect x="400" y="500" width="90" height="98" rx="10" fill="#c2573a"/><path d="M445 500q-60-60-40-130 40 40 40 130 0-110 54-150 20 90-54 150" fill="#4f7d52"/></g>`);
}

function city(width = 900, height = 1200) {
  const roll = dice(31);
  const house = (at) => {
    const [x, w, tall] = [at * 92 - 20, roll(70, 112), roll(240, 620)];
    const lights = many(16, () => `<rect x="${round(x + 10 + Math.floor(roll(0, 4)) * (w / 4.6))}" y="${round(height - tall + 24 + Math.floor(roll(0, 9)) * 44)}" width="13" height="19" rx="2" fill="#ffd98a" opacity="${round(roll(0.5, 1))}"/>`);
    return `<rect x="${round(x)}" y="${round(height - tall)}" width="${round(w)}" height="${round(tall)}" fill="${at % 2 ? '#2b3154' : '#343b63'}"/>${lights}`;
  };
  return svg(width, height, ['#1c2145', '#3d3f73', '#a4688a', '#f0a98a'], `
${many(60, () => `<circle cx="${round(roll(0, width))}" cy="${round(roll(0, height * 0.45))}" r="${round(roll(1, 3))}" fill="#fff" opacity="${round(roll(0.3, 0.9))}"/>`)}
<circle cx="650" cy="240" r="70" fill="#fff3d6"/><circle cx="622" cy="226" r="62" fill="#2b2f5c"/>
${many(11, house)}<rect y="${height - 60}" width="${width}" height="60" fill="#1d2140"/>`);
}

function flower(x, y, size, petal, heart) {
  return `<g transform="translate(${round(x)} ${round(y)}) scale(${round(size)})">${many(6, (at) => `<ellipse cx="0" cy="-24" rx="15" ry="25" fill="${petal}" transform="rotate(${at * 60})"/>`)}<circle r="13" fill="${heart}"/></g>`;
}

function flowers(width = 1200, height = 800) {
  const roll = dice(53);
  const petals = ['#f3b6b0', '#f6d6a8', '#fff6ea', '#e58f85', '#d9c3e6'];
  return svg(width, height, ['#dfeadb', '#c7dcc0', '#8fb489'], `
<circle cx="200" cy="150" r="220" fill="url(#sun)"/>
${many(70, () => `<path d="M${round(roll(0, width))} ${height}q${round(roll(-60, 60))}-200 ${round(roll(-50, 50))}-${round(roll(200, 470))}" fill="none" stroke="${roll(0, 1) > 0.5 ? '#4e7d52' : '#6a9765'}" stroke-width="7" stroke-linecap="round"/>`)}
${many(34, (at) => flower(roll(20, width - 20), roll(height * 0.3, height * 0.95), roll(0.7, 1.8), petals[at % 5], '#e3a83f'))}`);
}

function snow(width = 1200, height = 900) {
  const roll = dice(71);
  return svg(width, height, ['#7f93b5', '#b3c3da', '#e9eef5'], `
${hills(width, height, height * 0.55, 70, '#cfdbe9', 13)}${trees(width, height * 0.68, 16, '#5a7a86', 29)}${hills(width, height, height * 0.68, 50, '#eef3f9', 17)}
<g transform="translate(690 520)"><rect y="60" width="230" height="160" fill="#9a5a44"/><path d="M-34 70L115-40 264 70z" fill="#fbfdff"/><rect x="170" y="-40" width="36" height="70" fill="#7c4636"/><rect x="30" y="110" width="58" height="58" rx="6" fill="#ffd98a"/><rect x="140" y="110" width="56" height="110" rx="6" fill="#5b3326"/><path d="M188-60q30-40 4-78t14-72" fill="none" stroke="#fff" stroke-width="14" stroke-linecap="round" opacity=".6"/></g>
${hills(width, height, height * 0.84, 30, '#ffffff', 37)}
${many(130, () => `<circle cx="${round(roll(0, width))}" cy="${round(roll(0, height))}" r="${round(roll(2, 6))}" fill="#fff" opacity="${round(roll(0.4, 0.95))}"/>`)}`);
}

function picnic(width = 1200, height = 800) {
  const roll = dice(91);
  return svg(width, height, ['#a9d3e8', '#d9ecee', '#f5efdb'], `
<circle cx="980" cy="150" r="190" fill="url(#sun)"/>${hills(width, height, height * 0.5, 60, '#9cc58b', 41)}${hills(width, height, height * 0.64, 40, '#7fb072', 43)}
<g transform="translate(230 ${round(height * 0.31)})"><rect x="66" y="140" width="38" height="190" fill="#7a5238"/><circle cx="85" cy="80" r="130" fill="#5d9457"/><circle cx="0" cy="130" r="86" fill="#6aa163"/><circle cx="170" cy="130" r="90" fill="#548a50"/></g>
<g transform="translate(640 ${height - 250})"><path d="M-160 120L-70 0h330l100 120z" fill="#d9604a"/>${many(6, (at) => `<path d="M${-150 + at * 84} 120l${64 - at * 8}-120h30l-${20 - at * 6} 120z" fill="#fbeadb" opacity=".8"/>`)}
<path d="M40-8h130v-58q-65-34-130 0z" fill="#b4793f"/><path d="M56-60q48-90 98 0" fill="none" stroke="#8a5a2b" stroke-width="10"/><circle cx="250" cy="18" r="24" fill="#d33f3f"/><circle cx="294" cy="30" r="22" fill="#e7b53c"/></g>
${many(40, () => flower(roll(0, width), roll(height * 0.78, height), 0.28, '#fff', '#f0b93a'))}`);
}

/** Two rings under an arch of flowers: a wedding without faces. */
function arch(width = 1000, height = 1250) {
  const roll = dice(113);
  const petals = ['#f2b8ad', '#f9dcc8', '#fffaf2', '#e79c90', '#f4cfa0'];
  const [cx, cy, r] = [width / 2, height * 0.5, width * 0.36];
  const at = (turn, away) => [cx + Math.cos(turn) * (r + away), cy + Math.sin(turn) * (r * 1.12 + away)];
  return svg(width, height, ['#fdf3e7', '#fbe6d4', '#f3d3ba'], `
<circle cx="${cx}" cy="${cy}" r="${width * 0.5}" fill="url(#sun)"/>
<path d="M${cx - r} ${height * 0.94}V${cy}a${r} ${r * 1.12} 0 0 1 ${2 * r} 0v${height * 0.94 - cy}" fill="none" stroke="#c59a6d" stroke-width="16"/>
${many(90, () => { const [x, y] = at(roll(-Math.PI, 0), roll(-60, 50)); return `<ellipse cx="${round(x)}" cy="${round(y)}" rx="30" ry="12" fill="${roll(0, 1) > 0.5 ? '#7fa37c' : '#9dba92'}" transform="rotate(${round(roll(0, 180))} ${round(x)} ${round(y)})"/>`; })}
${many(46, (n) => { const [x, y] = at(roll(-Math.PI, 0), roll(-46, 40)); return flower(x, y, roll(0.6, 1.35), petals[n % 5], '#e3b260'); })}
${many(22, (n) => { const side = n % 2 ? 1 : -1; return `${flower(cx + side * (r + roll(-30, 40)), roll(cy, height * 0.92), roll(0.5, 1.1), petals[n % 5], '#e3b260')}`; })}
<g fill="none" stroke-width="17"><circle cx="${cx - 52}" cy="${height * 0.6}" r="88" stroke="#d9a441"/><circle cx="${cx + 52}" cy="${height * 0.6}" r="88" stroke="#e9c06a"/><path d="M${cx - 6} ${height * 0.6 - 75}a88 88 0 0 1 42 76" stroke="#d9a441"/></g>
<path d="M${cx + 30} ${height * 0.6 - 102}l24-30h-2 46l24 30-46 50z" fill="#fff" stroke="#d9b46a" stroke-width="6" stroke-linejoin="round"/>
<ellipse cx="${cx}" cy="${height * 0.95}" rx="${width * 0.48}" ry="40" fill="#e9c4a4"/>`);
}

/** Drawn by hand, for a page 480 points wide. */
function bookshop() {
  const drawn = readFileSync(path.join(import.meta.dirname, 'bookshop.svg'), 'utf8');
  return drawn.replace('<svg ', '<svg width="960" height="800" ').replace(' rx="28" fill="#dfeae3"', ' fill="#dfeae3"');
}

/** What there is to draw: where it goes, how large, and its SVG. */
export const pictures = [
  ['static-v1/app/public/hero.webp', bookshop()],
  ['links-v1/app/public/photo.webp', sea(800, 800)],
  ['album-v1/app/public/photos/sea.webp', sea(1200, 800)],
  ['album-v1/app/public/photos/cafe.webp', cafe()],
  ['album-v1/app/public/photos/mountains.webp', mountains()],
  ['album-v1/app/public/photos/cat.webp', cat()],
  ['album-v1/app/public/photos/picnic.webp', picnic()],
  ['album-v1/app/public/photos/city.webp', city()],
  ['album-v1/app/public/photos/flowers.webp', flowers()],
  ['album-v1/app/public/photos/snow.webp', snow()],
  ['guestbook-v1/app/public/cover.webp', picnic(1200, 630)],
  ['invite-v1/app/public/cover.webp', arch()],
  ['invite-v1/app/public/photos/garden.webp', flowers(1000, 750)],
  ['invite-v1/app/public/photos/evening.webp', sea(1000, 750, { boat: false })],
];
