// 공유 버튼. 휴대폰에서는 공유 창을 열고, 없으면 주소를 복사해요.
const button = document.querySelector('.share button');
const said = document.querySelector('.share output');

button.hidden = !navigator.share && !navigator.clipboard;
button.addEventListener('click', async () => {
  try {
    if (navigator.share) return await navigator.share({ title: document.title, url: location.href });
    await navigator.clipboard.writeText(location.href);
    said.textContent = button.dataset.copied;
  } catch {
    // 공유 창을 그냥 닫았어요.
  }
});
