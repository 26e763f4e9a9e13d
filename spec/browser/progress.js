// SPDX-License-Identifier: MIT
// examples/progress as somebody watches it, and leaves.
'use strict';

const assert = require('node:assert/strict');
const { eventually, open, run, serve, shoot } = require('./support');

run(async (step) => {
  const { url } = await serve(['examples/progress/app.lua', '--log-level', 'warn']);
  const page = await open(url);
  const running = async () => (await (await fetch(`${url}/running`)).json()).running;
  const percent = async () => Number(await page.getByRole('progressbar').getAttribute('aria-valuenow'));
  const count = async (below) => {
    await page.getByRole('spinbutton').fill(String(below));
    await page.getByRole('button', { name: 'Count' }).click();
  };

  await step('counts to the end', async () => {
    await page.goto(url);
    await count(200000);
    await page.getByText('primes below 200,000').waitFor();
    assert.equal(await page.locator('#found').innerText(), '17,984');
    assert.equal(await percent(), 100);
    assert.match(await page.locator('#state').innerText(), /^Done in [\d.]+ s\.$/);
    await eventually('the end', async () => await running() === 0);
  });

  await step('shows how far it is', async () => {
    await count(50000000);
    await eventually('some progress', async () => await percent() > 1);
    assert.equal(await running(), 1);
    await shoot(page, 'progress');
  });

  await step('stops when told to', async () => {
    await page.getByRole('button', { name: 'Stop' }).click();
    await page.getByText('Stopped after').waitFor();
    await eventually('the end of the job', async () => await running() === 0);
    const stopped = await percent();
    assert.ok(stopped > 0 && stopped < 100);
  });

  await step('stops when the page is left', async () => {
    await count(50000000);
    await eventually('a job', async () => await running() === 1);
    await page.goto('about:blank');
    await eventually('the end of the job', async () => await running() === 0);
  });

  await step('had nothing to complain about', () => {
    assert.deepEqual(page.complaints.filter((text) => text !== 'a request to about:blank'), []);
  });
});
