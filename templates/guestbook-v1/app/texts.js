'use strict';
// 버튼과 안내에 쓰는 말이에요. 인사말은 content.json에 있어요.

module.exports = {
  ko: {
    write: '글 남기기', name: '이름', text: '글', mood: '마음', send: '남기기',
    first: '주인이 먼저 읽고 나서 보여 드려요.', missing: '이름과 글을 적어 주세요. 이름은 30자, 글은 500자까지예요.', same: '방금 남긴 글이에요. 잘 받아 두었어요.',
    full: '방명록이 가득 찼어요.', closed: '지금은 새 글을 받지 않아요.',
    thanks: '고마워요', thanksShown: '글을 남겼어요.', thanksWaiting: '잘 받았어요. 주인이 읽고 나면 여기에 보여요.', back: '방명록으로',
    entries: (count) => `남겨 주신 글 ${count}개`, none: '아직 글이 없어요. 첫 글을 남겨 볼까요?', older: '더 보기', newest: '처음으로', reply: '주인의 답',
    owner: '주인 들어가기', waiting: (count) => `기다리는 글 ${count}개`, nothingWaiting: '기다리는 글이 없어요.', show: '보이기', hide: '감추기', remove: '지우기', answer: '답하기', hidden: '감춘 글', saveReply: '답 남기기',
    only: '이 일은 주인만 할 수 있어요.', off: '글을 받으려면 사이트의 저장 기능을 켜 주세요.', direct: '누가 주인인지 알 수 없는 설정이라, 먼저 읽고 보여 줄 수가 없어요. 그래서 새 글을 받지 않아요.',
    by: (what, name) => `${name}의 글 ${what}`, mine: '주인의 방명록', moods: { '🌷': '꽃', '😊': '웃음', '👏': '박수', '🍀': '행운', '💌': '편지', '☕': '커피' },
  },
  en: {
    write: 'Leave a word', name: 'Name', text: 'Words', mood: 'Mood', send: 'Send',
    first: 'The host reads it first.', missing: 'Please write your name and some words: a name of at most 30 characters, and at most 500 for the words.', same: 'That has just arrived already.',
    full: 'This guestbook is full.', closed: 'No new entries are taken now.',
    thanks: 'Thank you', thanksShown: 'Your words are there.', thanksWaiting: 'They have arrived, and appear once the host has read them.', back: 'To the guestbook',
    entries: (count) => (count === 1 ? '1 entry' : `${count} entries`), none: 'Nothing here yet. Will you be the first?', older: 'Older ones', newest: 'Newest', reply: 'The host says',
    owner: 'For the host', waiting: (count) => (count === 1 ? '1 waits for you' : `${count} wait for you`), nothingWaiting: 'Nothing waits.', show: 'Show', hide: 'Hide', remove: 'Delete', answer: 'Reply', hidden: 'Hidden', saveReply: 'Send reply',
    only: 'Only the host can do this.', off: 'To receive entries, switch on the storage of this site.', direct: 'This server cannot tell who the host is, so nothing could be read before it is shown. No new entries are taken.',
    by: (what, name) => `${what}: what ${name} wrote`, mine: 'The host\'s view', moods: { '🌷': 'flower', '😊': 'smile', '👏': 'applause', '🍀': 'luck', '💌': 'letter', '☕': 'coffee' },
  },
};
