// SPDX-License-Identifier: MIT
// node_fastify.js PORT: the views on Fastify, and BENCH_ROUTES routes with two
// typed parameters each.
const { createRequire } = require('module');
const load = createRequire(process.env.NODE_PATH + '/');
const app = load('fastify')({ logger: false, keepAliveTimeout: 300000 });

const TEXT = 'text/html; charset=utf-8';
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

app.get('/plaintext', (req, reply) => reply.type(TEXT).send('Hello, World!'));
app.get('/json', async () => ({ message: 'Hello, World!' }));
app.get('/sleep/:ms', async (req, reply) => {
  await pause(Number(req.params.ms));
  reply.type(TEXT);
  return 'slept';
});
app.post('/echo', async (req) => req.body);

for (let i = 1; i <= Number(process.env.BENCH_ROUTES || 0); i++) {
  app.get(`/r${i}/users/:id(^\\d+$)/posts/:name`, (req, reply) =>
    reply.type(TEXT).send(`${Number(req.params.id)} ${req.params.name}`));
}

app.listen({ host: '127.0.0.1', port: Number(process.argv[2]), backlog: 16384 });
