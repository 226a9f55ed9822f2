// 있으면 더 편한 것들. 없어도 초대장은 그대로 보여요.

// 계좌번호 복사하기
for (const button of document.querySelectorAll('button.copy')) {
  button.hidden = !navigator.clipboard;
  const before = button.textContent;
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = button.dataset.copied;
      setTimeout(() => (button.textContent = before), 2000);
    } catch {
      // 브라우저가 허락하지 않았어요. 길게 눌러 복사하면 돼요.
    }
  });
}

// 못 온다면 몇 명인지 묻지 않아요.
const people = document.querySelector('input[name="people"]')?.closest('label');
for (const choice of document.querySelectorAll('input[name="answer"]')) {
  choice.addEventListener('change', () => (people.hidden = choice.value === 'no'));
}

// 두 번 눌러도 한 번만 보내요.
for (const form of document.querySelectorAll('form')) {
  form.addEventListener('submit', () => setTimeout(() => (form.querySelector('button').disabled = true)));
}
// 뒤로 왔을 때 다시 누를 수 있게
addEventListener('pageshow', () => document.querySelectorAll('form button').forEach((button) => (button.disabled = false)));
