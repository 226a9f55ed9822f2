// Calls everything in /data/targets (NAME ADDRESS PORT, one a line) from its first moment on, and answers at / with one line a
// target: NAME TRIED REACHED. What it reached for the first time is kept in /data/reached with
// the time as well, so that no restart hides it.
const { appendFileSync, readFileSync } = require('node:fs');
const { createServer } = require('node:http');
const { connect } = require('node:net');

const seen = new Map();

function targets() {
  try {
    return readFileSync('/data/targets', 'utf8').split('\n').filter(Boolean).map((line) => line.split(' '));
  } catch {
    return [];
  }
}

function call([name, host, port]) {
  const count = seen.get(name) ?? { tried: 0, reached: 0, busy: false };
  seen.set(name, count);
  if (count.busy) return;
  count.busy = true;
  count.tried += 1;
  const socket = connect({ host, port: Number(port), timeout: 1500 });
  // Only an answer counts.
  socket.on('connect', () => socket.write('GET / HTTP/1.0\r\n\r\n'));
  socket.on('data', () => {
    count.reached += 1;
    if (count.reached === 1) appendFileSync('/data/reached', `${name} ${new Date().toISOString()}\n`);
    socket.destroy();
  });
  socket.on('timeout', () => socket.destroy());
  socket.on('error', () => {});
  socket.on('close', () => { count.busy = false; });
}

setInterval(() => targets().forEach(call), 100);
targets().forEach(call);

createServer((request, response) => {
  response.end([...seen].map(([name, { tried, reached }]) => `${name} ${tried} ${reached}\n`).join(''));
}).listen(Number(process.env.PORT));

process.on('SIGTERM', () => process.exit(0));
