// SPDX-License-Identifier: MIT
// node_http.js PORT: the views on node's own http module.
const http = require('http');

const TEXT = 'text/html; charset=utf-8';

function send(res, type, body) {
  res.writeHead(200, {
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
  });
  res.end(body);
}

function json(res, value) {
  send(res, 'application/json', JSON.stringify(value) + '\n');
}

function echo(req, res) {
  const chunks = [];
  req.on('data', (chunk) => chunks.push(chunk));
  req.on('end', () => json(res, JSON.parse(Buffer.concat(chunks).toString())));
}

const server = http.createServer((req, res) => {
  if (req.url === '/plaintext') return send(res, TEXT, 'Hello, World!');
  if (req.url === '/json') return json(res, { message: 'Hello, World!' });
  if (req.url === '/echo' && req.method === 'POST') return echo(req, res);
  if (req.url.startsWith('/sleep/')) {
    const ms = Number(req.url.slice('/sleep/'.length));
    return setTimeout(() => send(res, TEXT, 'slept'), ms);
  }
  res.writeHead(404);
  res.end();
});
server.keepAliveTimeout = 300000;
server.listen({ host: '127.0.0.1', port: Number(process.argv[2]), backlog: 16384 });
