// Answers, and writes 5,000 lines a second from the moment somebody asks for /talk until somebody asks for /hush.

const { createServer } = require('node:http');

let timer;
let number = 0;
console.log('<img src=x onerror="window.hurt=3"><script>window.hurt=4</script>');

const server = createServer((request, response) => {
  if (request.url === '/talk') {
    timer ??= setInterval(() => {
      let lines = '';
      for (let n = 0; n < 250; n++) lines += `line ${++number} of a site that has much to say\n`;
      process.stdout.write(lines);
    }, 50);
  }
  if (request.url === '/hush') {
    clearInterval(timer);
    timer = undefined;
    console.log(`the last of ${number} lines`);
  }
  response.end('ok');
});
server.listen(process.env.PORT);
process.on('SIGTERM', () => server.close(() => process.exit(0)));
