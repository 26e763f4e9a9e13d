// SPDX-License-Identifier: MIT
// examples/blog as a visitor sees it.
'use strict';

const assert = require('node:assert/strict');
const { command, folder, open, run, serve, shoot } = require('./support');

const APP = 'examples/blog/app.lua';
const PASSWORD = 'a quiet evening';

// A photo, made by the browser itself.
const SCENE = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 600" width="900" height="600">
<defs><linearGradient id="sky" x2="0" y2="1"><stop offset="0" stop-color="#2c4a63"/>
<stop offset=".6" stop-color="#e9a27b"/><stop offset="1" stop-color="#f6d7b0"/></linearGradient></defs>
<rect width="900" height="600" fill="url(#sky)"/><circle cx="620" cy="330" r="58" fill="#fff1d6"/>
<path d="M0 420 180 300 330 400 520 260 700 390 900 290V600H0Z" fill="#54505c"/>
<path d="M0 500 240 390 430 490 640 400 900 480V600H0Z" fill="#37353f"/>
<path d="M0 560 300 500 560 560 900 520V600H0Z" fill="#211f27"/></svg>`;

run(async (step) => {
  const env = { BLOG_DATA_FOLDER: folder() };
  await command([APP, 'seed'], env);
  const { url } = await serve([APP, '--log-level', 'warn'], env);
  const page = await open(url);
  const field = (label) => page.getByLabel(label, { exact: false });
  const press = (name) => page.getByRole('button', { name }).click();
  const heading = () => page.locator('h1').innerText();
  const flashes = () => page.locator('.flash').allInnerTexts();
  const path = () => new URL(page.url()).pathname;
  const go = async (where) => (await page.goto(url + where)).status();

  async function logIn(password) {
    await go('/login');
    await field('Name').fill('grace');
    await field('Password').fill(password);
    await press('Log in');
  }

  await page.setViewportSize({ width: 900, height: 600 });
  await page.setContent(`<body style="margin:0">${SCENE}`);
  const photo = await page.screenshot();

  await step('shows the newest posts, with its style', async () => {
    assert.equal(await go('/'), 200);
    assert.equal(await heading(), 'Kept Warm');
    assert.equal(await page.locator('article').count(), 5);
    assert.match(await page.evaluate(() => getComputedStyle(document.body).fontFamily), /Charter/);
  });

  await step('leads through its pages and back', async () => {
    await page.getByRole('link', { name: 'Older' }).click();
    await page.waitForURL('**/page/2');
    await page.getByRole('link', { name: 'Older' }).click();
    await page.waitForURL('**/page/3');
    assert.equal(await page.locator('[aria-current=page]').innerText(), '3');
    assert.equal(await page.locator('article').count(), 2);
    assert.equal(await page.getByRole('link', { name: 'Older' }).count(), 0);
    await page.getByRole('link', { name: '1', exact: true }).click();
    await page.waitForURL(`${url}/`);
    await page.goBack();
    assert.equal(path(), '/page/3');
  });

  await step('says what is wrong with a name', async () => {
    await go('/register');
    await field('Name').fill('no way');
    await field('Password').fill(PASSWORD);
    await press('Make an account');
    assert.match(await page.locator('#name-error').innerText(), /letters, digits/);
    assert.equal(await field('Name').inputValue(), 'no way');
    assert.equal(await field('Password').inputValue(), '');
  });

  await step('registers, and welcomes once', async () => {
    await field('Name').fill('grace');
    await field('Password').fill(PASSWORD);
    await press('Make an account');
    await page.waitForURL('**/write');
    assert.match((await flashes()).join(), /Welcome, grace!/);
    await page.reload();
    assert.deepEqual(await flashes(), []);
  });

  await step('logs out, and shows nothing of before by the back button', async () => {
    await press('Log out');
    assert.match((await flashes()).join(), /logged out/);
    await page.goBack();
    assert.equal(await page.getByRole('button', { name: 'Log out' }).count(), 0);
    assert.equal(path(), '/login');
  });

  await step('refuses a wrong password', async () => {
    await logIn('a loud morning');
    assert.match(await page.locator('#password-error').innerText(), /don't fit/);
    await shoot(page, 'blog-login');
  });

  await step('logs in, and goes on to where one wanted to be', async () => {
    await go('/write');
    assert.match((await flashes()).join(), /Please log in/);
    await field('Name').fill('grace');
    await field('Password').fill(PASSWORD);
    await press('Log in');
    await page.waitForURL('**/write');
  });

  await step('refuses a file that is no photo, and keeps the text', async () => {
    await field('Title').fill('The ridge at five');
    await field('Text').fill('We were late, and so *saw it*.\n\n> Nobody had told us that it glows.\n\nThe tea was still hot.');
    await field('A file').setInputFiles({ name: 'cat.png', mimeType: 'image/png', buffer: Buffer.from('<html>') });
    await press('Publish');
    assert.match(await page.locator('#photo-error').innerText(), /something else/);
    assert.match(await field('Text').inputValue(), /^We were late/);
    await shoot(page, 'blog-editor');
  });

  await step('publishes a post with a photo', async () => {
    await field('A file').setInputFiles({ name: 'ridge.png', mimeType: 'image/png', buffer: photo });
    await field('What it shows').fill('The sun behind three ridges.');
    await press('Publish');
    assert.match((await flashes()).join(), /for all to read/);
    assert.equal(await heading(), 'The ridge at five');
    assert.equal(await page.locator('.prose em').innerText(), 'saw it');
    assert.equal(await page.locator('figure img').evaluate((img) => img.decode().then(() => img.naturalWidth)), 900);
  });

  await step('changes it', async () => {
    await page.getByRole('link', { name: 'Edit' }).click();
    await field('Title').fill('The ridge at six');
    await press('Save');
    assert.match((await flashes()).join(), /saved/);
    assert.equal(await heading(), 'The ridge at six');
    assert.equal(await page.locator('figure img').count(), 1);
    await page.reload();
    await shoot(page, 'blog-post');
  });

  await step('refuses a photo that is too large', async () => {
    await go('/write');
    await field('Title').fill('A whale');
    await field('Text').fill('Large.');
    await field('A file').setInputFiles({ name: 'whale.png', mimeType: 'image/png', buffer: Buffer.alloc(6e6, photo) });
    await press('Publish');
    await page.locator('.status').waitFor();
    assert.equal(await page.locator('.status').innerText(), '413');
    await shoot(page, 'blog-413');
  });

  await step('refuses a form without its token', async () => {
    await go('/write');
    await field('Title').fill('Forged');
    await field('Text').fill('By somebody else.');
    await page.locator('form.editor [name=csrf_token]').evaluate((input) => input.remove());
    await press('Publish');
    assert.equal(await page.locator('.status').innerText(), '400');
    assert.match(await page.locator('.error').innerText(), /load the page again/);
  });

  await step('has pages for what goes wrong', async () => {
    assert.equal(await go('/posts/2/edit'), 403);
    await shoot(page, 'blog-403');
    assert.equal(await go('/nowhere'), 404);
    assert.equal(await heading(), 'Nothing here');
    await shoot(page, 'blog-404');
  });

  await step('takes a post away when asked twice', async () => {
    await go('/');
    await page.getByRole('link', { name: 'The ridge at six' }).click();
    await page.locator('summary').click();
    await press('Delete it');
    assert.match((await flashes()).join(), /“The ridge at six” is gone/);
    assert.equal(await page.getByRole('link', { name: 'The ridge at six' }).count(), 0);
  });

  await step('shows a photo beside what is written about it', async () => {
    await go('/write');
    await field('Title').fill('The ridge at five');
    await field('Text').fill('We were late, and so saw what nobody had told us about: for some minutes it glows.');
    await field('A file').setInputFiles({ name: 'ridge.png', mimeType: 'image/png', buffer: photo });
    await press('Publish');
    await go('/');
    assert.equal(await page.locator('.teaser img').count(), 1);
    await shoot(page, 'blog-index');
  });

  await step('had nothing to complain about', async () => {
    assert.deepEqual(page.complaints, []);
  });
});
