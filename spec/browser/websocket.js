// SPDX-License-Identifier: MIT
// Websockets between an app and clients that others have written: Chromium, and
// the package `ws` of Node.js.
'use strict';

const assert = require('node:assert/strict');
const WebSocket = require('ws');
const { open, run, serve } = require('./support');

const APP = 'spec/browser/websocket.lua';

// A client that notes what happens; `next()` waits for it.
function connect(url, protocols, options) {
  const client = new WebSocket(url, protocols, options);
  const events = [];
  const waiting = [];
  const note = (...event) => (waiting.length ? waiting.shift()(event) : events.push(event));
  client.on('open', () => note('open', client.protocol));
  client.on('message', (data, binary) => note(binary ? 'binary' : 'text', binary ? data : data.toString()));
  client.on('pong', (data) => note('pong', data.toString()));
  client.on('close', (code, reason) => note('close', code, reason.toString()));
  client.on('error', (error) => note('error', error.message));
  client.next = () => (events.length ? Promise.resolve(events.shift())
    : new Promise((resolve) => waiting.push(resolve)));
  return client;
}

run(async (step) => {
  const server = await serve([APP]);
  const base = server.url.replace('http', 'ws');

  // --- ws ------------------------------------------------------------------------

  for (const perMessageDeflate of [true, false]) {
    await step(`ws is echoed, ${perMessageDeflate ? 'compressed' : 'plain'}`, async () => {
      const client = connect(`${base}/echo`, ['other', 'echo.v2'], { perMessageDeflate });
      assert.deepEqual(await client.next(), ['open', 'echo.v2']);
      assert.equal(client.extensions.includes('permessage-deflate'), perMessageDeflate);
      for (const size of [0, 1, 125, 126, 1000, 65535, 65536, 500000]) {
        const text = 'ä€😀 and the same words again. '.repeat(size / 36 + 1).slice(0, size);
        client.send(text);
        assert.deepEqual(await client.next(), ['text', text]);
        const bytes = Buffer.alloc(size, (i) => i * 7);
        for (let i = 0; i < size; i++) bytes[i] = (i * 31) ^ (i >> 8);
        client.send(bytes);
        const [kind, data] = await client.next();
        assert.equal(kind, 'binary');
        assert.ok(bytes.equals(data));
      }
      client.ping('are you there');
      assert.deepEqual(await client.next(), ['pong', 'are you there']);
      client.send('in ', { fin: false });
      client.send('three ', { fin: false });
      client.send('frames', { fin: true });
      assert.deepEqual(await client.next(), ['text', 'in three frames']);
      client.close(4000, 'bye');
      assert.deepEqual(await client.next(), ['close', 4000, '']);
    });
  }

  await step('ws hears codes and reasons, and of refusals', async () => {
    const closed = connect(`${base}/close`);
    assert.deepEqual(await closed.next(), ['open', '']);
    assert.deepEqual(await closed.next(), ['close', 4321, 'Schöne Grüße']);
    const failed = connect(`${base}/fail`);
    await failed.next();
    failed.send('go');
    assert.deepEqual(await failed.next(), ['close', 1011, '']);
    assert.match(server.log, /Exception on \/fail \[GET\]/);
    assert.deepEqual(await connect(`${base}/refuse`).next(), ['error', 'Unexpected server response: 403']);
    assert.deepEqual(await connect(`${base}/nowhere`).next(), ['error', 'Unexpected server response: 404']);
    const large = connect(`${base}/echo`, [], { perMessageDeflate: false });
    await large.next();
    large.send(Buffer.alloc(1024 * 1024 + 1));
    assert.deepEqual(await large.next(), ['close', 1009, 'the message is too big']);
  });

  await step('a hundred of them share a room', async () => {
    const clients = [];
    for (let i = 0; i < 100; i++) {
      const client = connect(`${base}/room/n${i}`);
      assert.deepEqual(await client.next(), ['open', '']);
      for (;;) if ((await client.next())[1] === `n${i} came`) break;
      clients.push(client);
    }
    clients[7].send('hello');
    for (const client of clients) for (;;) if ((await client.next())[1] === 'n7: hello') break;
    for (const client of clients) client.close();
  });

  // --- A browser -----------------------------------------------------------------

  const page = await open(server.url);
  await page.goto(server.url);

  // In the page: opens a websocket, sends, gives all that happened.
  const talk = (url, protocols, messages, wanted) => page.evaluate(
    ([where, names, out, count]) => new Promise((resolve) => {
      const events = [];
      let got = 0;
      const socket = new WebSocket(where, names);
      socket.binaryType = 'arraybuffer';
      socket.onopen = () => {
        events.push(['open', socket.protocol, socket.extensions]);
        for (const one of out) socket.send(typeof one === 'string' ? one : new Uint8Array(one));
      };
      socket.onmessage = ({ data }) => {
        events.push(typeof data === 'string' ? data : Array.from(new Uint8Array(data)));
        got += 1;
        if (got === count) socket.close(4001, 'enough');
      };
      socket.onclose = ({ code, reason, wasClean }) => {
        events.push(['close', code, reason, wasClean]);
        resolve(events);
      };
    }), [url, protocols, messages, wanted]);

  await step('Chromium is echoed', async () => {
    const long = 'ä€😀 '.repeat(20000);
    const events = await talk(`${base}/echo`, ['echo.v2'], ['hi', long, [0, 255, 128]], 3);
    assert.equal(events[0][1], 'echo.v2');
    assert.match(events[0][2], /permessage-deflate/);
    assert.deepEqual(events.slice(1), ['hi', long, [0, 255, 128], ['close', 4001, '', true]]);
    assert.match(await page.evaluate(() => document.cookie), /seen=yes/);
  });

  await step('Chromium hears codes and reasons', async () => {
    const events = await talk(`${base}/close`, [], [], 0);
    assert.deepEqual(events[1], ['close', 4321, 'Schöne Grüße', true]);
    assert.deepEqual((await talk(`${base}/fail`, [], ['go'], 0))[1], ['close', 1011, '', true]);
    assert.deepEqual(await talk(`${base}/refuse`, [], [], 0), [['close', 1006, '', false]]);
  });
});
