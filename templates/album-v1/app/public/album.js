// 사진을 누르면 그 자리에서 크게 보여 줘요. 이 파일이 없어도 사진마다 자기 화면이 있어서 볼 수 있어요.

const dialog = document.querySelector('dialog.large');
const links = [...document.querySelectorAll('.photos a')];
let at = 0;

if (dialog?.showModal) {
  const image = dialog.querySelector('img');

  const show = (next) => {
    at = (next + links.length) % links.length;
    const { large, caption, count } = links[at].dataset;
    image.src = large;
    image.alt = links[at].querySelector('img').alt;
    dialog.querySelector('.words').textContent = caption;
    dialog.querySelector('.count').textContent = count;
    // 옆 사진은 미리 받아 둬요.
    for (const beside of [at + 1, at - 1]) new Image().src = links[(beside + links.length) % links.length].dataset.large;
  };

  links.forEach((link, number) => link.addEventListener('click', (event) => {
    // 새 탭으로 열려는 사람은 그대로 두고요.
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(number);
    dialog.showModal();
    // 뒤로 가기를 누르면 사진첩을 떠나지 않고 닫혀요.
    history.pushState('large', '');
  }));

  const close = () => (history.state === 'large' ? history.back() : dialog.close());
  addEventListener('popstate', () => dialog.close());
  dialog.addEventListener('cancel', (event) => { event.preventDefault(); close(); });
  dialog.addEventListener('close', () => links[at].focus());
  dialog.querySelector('.close').addEventListener('click', close);
  dialog.querySelector('.before').addEventListener('click', () => show(at - 1));
  dialog.querySelector('.after').addEventListener('click', () => show(at + 1));
  // 사진 바깥을 누르면 닫혀요.
  dialog.addEventListener('click', (event) => { if (event.target === dialog || event.target.tagName === 'FIGURE') close(); });
  dialog.addEventListener('keydown', (event) => {
    if (event.key === 'ArrowLeft') show(at - 1);
    if (event.key === 'ArrowRight') show(at + 1);
  });

  // 옆으로 밀어 넘기기
  let from = null;
  dialog.addEventListener('pointerdown', (event) => (from = event.isPrimary ? event.clientX : null));
  dialog.addEventListener('pointerup', (event) => {
    const moved = from === null ? 0 : event.clientX - from;
    from = null;
    if (Math.abs(moved) > 48) show(at + (moved < 0 ? 1 : -1));
  });
} else if (!dialog) {
  // 한 장 보기에서는 화살표로 옮겨 가요.
  addEventListener('keydown', (event) => {
    const way = { ArrowLeft: '[rel="prev"]', ArrowRight: '[rel="next"]' }[event.key];
    if (way && !event.altKey && !event.ctrlKey && !event.metaKey) document.querySelector(way)?.click();
  });
}
