// A page that stays connected twice: by an event stream and by a WebSocket. `window.opened` and `window.ended` say how that goes.

const { createHash } = require('node:crypto');
const { createServer } = require('node:http');

const PAGE = `<!doctype html><html lang="en"><title>live</title><h1>live</h1><script>
  window.opened = [];
  window.ended = [];
  const stream = new EventSource('/stream');
  stream.onopen = () => opened.push('stream');
  stream.onerror = () => ended.push('stream');
  const socket = new WebSocket('ws://' + location.host + '/socket');
  socket.onopen = () => opened.push('socket');
  socket.onclose = () => ended.push('socket');
</script></html>`;

const server = createServer((request, response) => {
  if (request.url === '/stream') {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    const timer = setInterval(() => response.write('data: still here\n\n'), 200);
    response.on('close', () => clearInterval(timer));
    response.write('data: welcome\n\n');
    return;
  }
  response.setHeader('Content-Type', 'text/html');
  response.end(PAGE);
});
server.on('upgrade', (request, socket) => {
  const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  socket.on('error', () => {});
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
});
server.listen(process.env.PORT);
process.on('SIGTERM', () => process.exit(0));
