'use strict';
// 안내 페이지의 서버예요. 여기는 고치지 않아도 돼요. 글은 index.html에서, 그림과 색은 public/에서 바꾸세요.
//
// second.html을 만들면 /second 에서 열려요. 이 파일(server.js)은 방문자에게 보이지 않아요.
const site = require('site');

const app = site.create();

// 직접 만든 주소를 더하고 싶다면 여기에 쓰세요. 다음 줄의 맨 앞 //를 지우면 /hello 가 열려요.
// app.get('/hello', (req, res) => res.send('안녕하세요!'));

app.start();
