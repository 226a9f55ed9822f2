// 있으면 더 편한 것들. 없어도 글을 남길 수 있어요.

// 두 번 눌러도 한 번만 보내요.
for (const form of document.querySelectorAll('form')) {
  form.addEventListener('submit', () => setTimeout(() => (form.querySelector('button').disabled = true)));
}
// 뒤로 왔을 때 다시 누를 수 있게
addEventListener('pageshow', () => document.querySelectorAll('form button').forEach((button) => (button.disabled = false)));

// 쓰던 글은 새로 고쳐도 남아 있어요. 보내고 나면 지워요.
const box = document.querySelector('#write textarea');
if (box) {
  box.value ||= sessionStorage.getItem('guestbook') ?? '';
  box.addEventListener('input', () => sessionStorage.setItem('guestbook', box.value));
} else if (location.pathname === '/thanks') {
  sessionStorage.removeItem('guestbook');
}
