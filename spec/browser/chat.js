// SPDX-License-Identifier: MIT
// examples/chat in two tabs.
'use strict';

const assert = require('node:assert/strict');
const { eventually, open, run, serve, shoot } = require('./support');

const APP = 'examples/chat/app.lua';

run(async (step) => {
  const server = await serve([APP]);
  const ada = await open(server.url);
  const bob = await open(server.url);
  const texts = (page) => page.locator('#log .text').allInnerTexts();
  const people = (page) => page.locator('#people li span:last-child').allInnerTexts();
  const shows = (page, what, wanted) => eventually(`${wanted}`,
    async () => JSON.stringify(await what(page)) === JSON.stringify(wanted));

  async function enter(page, name) {
    await page.getByLabel('Your name').fill(name);
    await page.getByRole('button', { name: 'Come in' }).click();
  }

  async function say(page, text) {
    await page.getByLabel('Say something').fill(text);
    await page.getByLabel('Say something').press('Enter');
  }

  await step('asks for a name', async () => {
    await ada.goto(server.url);
    assert.equal(new URL(ada.url()).pathname, '/lobby');
    assert.ok(!await ada.locator('#say').isVisible());
    await enter(ada, 'Ada');
    await ada.getByText('here as Ada').waitFor();
    assert.deepEqual(await people(ada), ['Ada']);
  });

  await step('refuses one that is taken', async () => {
    await bob.goto(`${server.url}/lobby`);
    await enter(bob, 'ada');
    await bob.getByText('ada is here already.').waitFor();
    await enter(bob, 'Bob');
    await shows(ada, people, ['Ada', 'Bob']);
    await ada.getByText('Bob came in').waitFor();
  });

  await step('passes on what is said, as text', async () => {
    await say(ada, 'Is anybody <b>here</b>?');
    await say(bob, 'Only me, and it is late. The kettle is on, though, so if you come by within the hour there is tea.');
    await say(ada, 'On my way.');
    const all = ['Is anybody <b>here</b>?',
      'Only me, and it is late. The kettle is on, though, so if you come by within the hour there is tea.', 'On my way.'];
    await shows(bob, async (page) => (await texts(page)).sort(), [...all].sort());
    assert.deepEqual(await texts(bob), await texts(ada));
    assert.equal(await ada.locator('#log .mine').count(), 2);
    assert.equal(await bob.locator('#log .mine').count(), 1);
  });

  await step('keeps rooms apart', async () => {
    await bob.getByRole('link', { name: 'tea' }).click();
    await shows(bob, people, ['Bob']);
    assert.deepEqual(await texts(bob), []);
    await shows(ada, people, ['Ada']);
    await ada.getByText('Bob left').waitFor();
    await say(ada, 'Gone already?');
    await bob.getByRole('link', { name: 'lobby' }).click();
    await shows(bob, async (page) => (await texts(page)).length, 4);
    await shows(ada, people, ['Ada', 'Bob']);
    await shoot(ada, 'chat');
  });

  await step('comes again by itself, and shows each message once', async () => {
    await server.stop();
    await bob.getByText('connecting again').waitFor();
    await serve([APP], {}, new URL(server.url).port);
    await bob.getByText('here as Bob').waitFor();
    await ada.getByText('here as Ada').waitFor();
    await say(bob, 'A new server, the same page.');
    await ada.getByText('A new server, the same page.').waitFor();
    assert.deepEqual((await people(bob)).sort(), ['Ada', 'Bob']);
  });

  await step('tells of a tab that is closed', async () => {
    await bob.close();
    await shows(ada, people, ['Ada']);
  });

  await step('had nothing to complain about', () => {
    const expected = /WebSocket connection to .* failed/; // while there was no server
    for (const page of [ada, bob]) assert.deepEqual(page.complaints.filter((text) => !expected.test(text)), []);
  });
});
