// SPDX-License-Identifier: MIT
// The pages that errors are answered by: those for visitors, and those for who
// develops the app.
'use strict';

const assert = require('node:assert/strict');
const { open, run, serve, shoot } = require('./support');

const APP = 'spec/browser/pages.lua';
const SECRETS = /hush-hush|only-for-this-spec|tok_4Xf9a81/;

run(async (step) => {
  const text = (page) => page.locator('body').innerText();

  await step('for visitors say nothing of errors', async () => {
    const { url } = await serve([APP]);
    const page = await open(url);
    assert.equal((await page.goto(`${url}/shop/7/checkout`)).status(), 500);
    assert.doesNotMatch(await page.content(), /doesn't cover|doesn&#39;t cover/);
    await shoot(page, 'plain-500');
    assert.equal((await page.goto(`${url}/shp/7`)).status(), 404);
    await shoot(page, 'plain-404');
    assert.equal((await page.goto(`${url}/shop`)).status(), 405);
    await shoot(page, 'plain-405');
    assert.deepEqual(page.complaints, []);
  });

  await step('for developers have a source to look at, a button to copy, and no secrets', async () => {
    const { url } = await serve([APP, '--debug', '--no-reload']);
    const page = await open(url);
    assert.equal((await page.goto(`${url}/shop/7/checkout?coupon=TEA&token=hush-hush-1`)).status(), 500);
    assert.match(await text(page), /doesn't cover 80\.00/);
    assert.doesNotMatch(await text(page), SECRETS);
    assert.equal(await page.locator('details.call[open]').count(), 1);
    await shoot(page, 'debug-500');
    await page.locator('#copy').click();
    await page.waitForFunction(() => /Copied|Ctrl/.test(document.getElementById('copy').textContent));
    assert.equal((await page.goto(`${url}/shp/7`)).status(), 404);
    await shoot(page, 'debug-404');
    assert.equal((await page.goto(`${url}/shop`)).status(), 405);
    await shoot(page, 'debug-405');
    assert.deepEqual(page.complaints, []);
  });
});
