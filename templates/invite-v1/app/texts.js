'use strict';
// 버튼과 안내에 쓰는 말이에요. 초대장의 글은 content.json에 있어요.

module.exports = {
  ko: {
    when: '언제', where: '어디서', how: '오시는 길', photos: '사진', contacts: '연락하기', accounts: '마음 전하실 곳', copy: '복사', copied: '복사했어요',
    maps: '지도에서 보기', kakao: '카카오맵', naver: '네이버 지도', google: '구글 지도', calendar: '달력에 넣기',
    days: (days) => (days === 0 ? '바로 오늘이에요' : days > 0 ? `${days}일 남았어요` : '함께해 주셔서 고맙습니다'),
    rsvp: '오실 수 있나요?', answer: '참석', name: '이름', yes: '갈게요', maybe: '아직 몰라요', no: '못 가요', people: '함께 오는 사람 (나까지)', note: '하고 싶은 말', optional: '없어도 돼요',
    send: '답장 보내기', until: (day) => `${day}까지 받아요`, private: '답장은 초대한 사람만 볼 수 있어요.',
    thanks: '답장 고마워요', thanksText: '잘 받았어요. 바뀌면 한 번 더 보내 주세요.', back: '초대장으로', over: '답장 받는 날이 지났어요. 직접 연락해 주세요.',
    missing: '이름과 오실 수 있는지를 알려 주세요.', full: '답장을 더 받을 수 없어요. 직접 연락해 주세요.',
    list: '답장 보기', owner: '초대한 사람 들어가기', guests: '받은 답장', nobody: '아직 답장이 없어요. 초대장 주소를 보내 보세요.', only: '이 화면은 초대한 사람만 볼 수 있어요.',
    sum: (people, yes, maybe, no) => `오시는 분 ${people}명 · 갈게요\u00a0${yes} · 아직\u00a0몰라요\u00a0${maybe} · 못\u00a0가요\u00a0${no}`, remove: '지우기', removeName: (name) => `${name}의 답장 지우기`, save: '표로 저장', off: '답장을 받으려면 사이트의 저장 기능을 켜 주세요. 지금은 답장 칸이 보이지 않아요.',
    columns: ['이름', '참석', '명', '하고 싶은 말', '보낸 때'],
  },
  en: {
    when: 'When', where: 'Where', how: 'How to get there', photos: 'Pictures', contacts: 'Contact', accounts: 'Gifts', copy: 'Copy', copied: 'Copied',
    maps: 'On a map', kakao: 'KakaoMap', naver: 'Naver Map', google: 'Google Maps', calendar: 'Add to calendar',
    days: (days) => (days === 0 ? 'It is today' : days > 1 ? `${days} days to go` : days === 1 ? 'It is tomorrow' : 'Thank you for being with us'),
    rsvp: 'Will you come?', answer: 'Your answer', name: 'Name', yes: 'I will come', maybe: 'Not sure yet', no: 'I cannot', people: 'How many of you', note: 'Anything else', optional: 'may be empty',
    send: 'Send', until: (day) => `Please answer by ${day}`, private: 'Only your hosts see the answers.',
    thanks: 'Thank you', thanksText: 'Your answer has arrived. Should it change, just send another one.', back: 'To the invitation', over: 'The time for answers is over. Please get in touch.',
    missing: 'Please give your name, and say whether you come.', full: 'No more answers can be taken. Please get in touch.',
    list: 'See the answers', owner: 'For the host', guests: 'Answers', nobody: 'No answers yet. Send somebody the address of the invitation.', only: 'Only the host sees this page.',
    sum: (people, yes, maybe, no) => `${people} people · will come ${yes} · not sure ${maybe} · cannot ${no}`, remove: 'Delete', removeName: (name) => `Delete the answer of ${name}`, save: 'Save as a table', off: 'To receive answers, switch on the storage of this site. Until then nobody is asked.',
    columns: ['Name', 'Comes', 'People', 'Note', 'Sent'],
  },
};
