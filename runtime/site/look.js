'use strict';
// The owner's colour and letters, as style. Whatever colour is chosen, what is written in it or on it can be read: it is
// made darker for the light theme and lighter for the dark one until the contrast is that of WCAG AA.

const PAPERS = { light: '#f1eae0', dark: '#2c2622' };
const CONTRAST = 4.6;

const FONTS = {
  sans: '"Apple SD Gothic Neo", "Noto Sans KR", "Noto Sans CJK KR", "Malgun Gothic", system-ui, sans-serif',
  serif: '"Nanum Myeongjo", "Noto Serif KR", "Noto Serif CJK KR", AppleMyungjo, Batang, Georgia, serif',
  round: 'ui-rounded, "NanumSquareRound", "Nanum Gothic", "Apple SD Gothic Neo", "Noto Sans KR", "Noto Sans CJK KR", system-ui, sans-serif',
};

/** Custom properties: --accent, --on-accent and --font. */
function look({ accent = '#a8481c', font = 'sans' }) {
  const light = readable(accent, PAPERS.light, '#000000');
  const dark = readable(accent, PAPERS.dark, '#ffffff');
  const on = (colour) => (contrast(colour, '#ffffff') >= CONTRAST ? '#ffffff' : '#16120f');
  return (
    `:root{--accent:${light};--on-accent:${on(light)};--own:${accent};--font:${FONTS[font] ?? FONTS.sans}}` +
    `@media (prefers-color-scheme:dark){:root{--accent:${dark};--on-accent:${on(dark)}}}` +
    `@media print{:root{--accent:${light};--on-accent:#ffffff}}`
  );
}

function readable(colour, paper, towards) {
  for (let part = 0; part < 1; part += 0.02) {
    const mixed = mix(colour, towards, part);
    if (contrast(mixed, paper) >= CONTRAST) return mixed;
  }
  return towards;
}

const channels = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

function mix(one, other, part) {
  const to = channels(other);
  return `#${channels(one).map((value, at) => Math.round(value + (to[at] - value) * part).toString(16).padStart(2, '0')).join('')}`;
}

function luminance(colour) {
  const [red, green, blue] = channels(colour).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one, other) {
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}

module.exports = { contrast, look };
