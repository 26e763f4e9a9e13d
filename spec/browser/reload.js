// SPDX-License-Identifier: MIT
// `dewar run --debug` in front of a browser: templates that change, code that
// doesn't compile, and what a visitor sees when nothing was made for it.
'use strict';

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { eventually, folder, open, run, serve, shoot } = require('./support');

const APP = `local dewar = require "dewar"
local app = dewar.app()
app:get("/", function() return dewar.render_template("page.html", { word = require "word" }) end)
require "word"
return app
`;

run(async (step) => {
  const here = folder();
  const write = (name, text) => {
    fs.writeFileSync(path.join(here, `${name}~`), text);
    fs.renameSync(path.join(here, `${name}~`), path.join(here, name)); // as editors save
  };
  fs.mkdirSync(path.join(here, 'templates'));
  write('app.lua', APP);
  write('word.lua', 'return "first"');
  write('templates/page.html', '<!doctype html>\n<title>A page</title>\n<link rel="icon" href="data:,">\n<h1><%= word %></h1>\n');
  const server = await serve([path.join(here, 'app.lua'), '--debug']);
  const page = await open(server.url);

  // Until the page says so, as somebody does who presses reload.
  const shows = (text) => eventually(text, async () => {
    await page.goto(server.url);
    return (await page.locator('body').innerText()).includes(text);
  });

  await step('shows a page', () => shows('first'));

  await step('shows what a template has become', async () => {
    write('templates/page.html', '<!doctype html>\n<title>A page</title>\n<link rel="icon" href="data:,">\n<h1>Now <%= word %></h1>\n');
    await shows('Now first');
  });

  await step('shows what a module has become', async () => {
    write('word.lua', 'return "second"');
    await shows('Now second');
  });

  await step('shows an error of syntax where it is', async () => {
    write('word.lua', '-- A word.\nlocal word = "<third>"\nlocal other == word\n\nreturn word\n');
    await shows('word.lua:3:');
    assert.match(await page.locator('body').innerText(), /local other == word/);
    await shoot(page, 'syntax-error');
  });

  await step('recovers by itself when that is right again', async () => {
    write('word.lua', 'return "<third>"');
    await page.getByRole('heading', { name: 'Now <third>' }).waitFor();
  });

  await step('has a page where there is none', async () => {
    assert.equal((await page.goto(`${server.url}/pages`)).status(), 404);
    await shoot(page, 'default-404');
  });

  await step('had nothing to complain about', () => {
    assert.deepEqual(page.complaints, []);
  });
});
