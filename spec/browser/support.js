// SPDX-License-Identifier: MIT
// What the scripts of this folder have in common: an app that is served, a
// browser with a profile of its own, steps that are told, pictures.
'use strict';

const assert = require('node:assert/strict');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { chromium } = require('playwright-core');

const LIMIT = 30000; // milliseconds after which a step gives up
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];
const SCREENS = { desktop: { width: 1200, height: 820 }, phone: { width: 390, height: 844 } };

const cleanups = [];

function folder() {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'dewar-browser-'));
  cleanups.push(() => fs.rmSync(made, { recursive: true, force: true, maxRetries: 5 }));
  return made;
}

const dewar = path.join(process.env.BUILD, 'bin', 'dewar');

// Runs the command to its end.
function command(words, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(dewar, words, { env: { ...process.env, ...env }, stdio: 'inherit' });
    child.on('error', reject);
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`dewar ended with ${code}`))));
  });
}

// Serves an app, on a free port unless one is given, until `stop()` or the end of
// the script; its URL, and what it has logged.
function serve(words, env, port = 0) {
  const child = spawn(dewar, ['run', ...words, '--port', String(port)],
    { env: { ...process.env, ...env }, stdio: ['ignore', 'inherit', 'pipe'] });
  const server = { log: '' };
  const ended = new Promise((resolve) => child.on('exit', resolve));
  server.stop = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  cleanups.push(server.stop);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', () => reject(new Error(`the server has ended:\n${server.log}`)));
    child.stderr.on('data', (data) => {
      server.log += data;
      const url = server.log.match(/http:\/\/[\d.]+:\d+/);
      if (url && !server.url) {
        server.url = url[0];
        resolve(server);
      }
    });
  });
}

// A page in a browser that has seen nothing yet. `page.complaints` is what its
// console said was wrong, and each request to somewhere else. That a document
// itself came with an error status is no complaint, nor is an icon that nobody
// has promised.
async function open(origin) {
  const context = await chromium.launchPersistentContext(folder(), {
    executablePath: process.env.CHROMIUM, headless: true, args: FLAGS, viewport: SCREENS.desktop,
  });
  cleanups.push(() => context.close());
  context.setDefaultTimeout(LIMIT);
  const page = context.pages()[0] || await context.newPage();
  const documents = new Set();
  page.complaints = [];
  page.on('request', (request) => {
    if (request.isNavigationRequest()) documents.add(request.url());
    if (!request.url().startsWith(origin)) page.complaints.push(`a request to ${request.url()}`);
  });
  page.on('console', (message) => {
    const status = /^Failed to load resource: the server responded with a status of/;
    if (message.type() !== 'error' && message.type() !== 'warning') return;
    const where = message.location().url;
    if (status.test(message.text()) && (documents.has(where) || where === `${origin}/favicon.ico`)) return;
    page.complaints.push(`${message.text()} (${where})`);
  });
  page.on('pageerror', (error) => page.complaints.push(String(error)));
  return page;
}

// Pictures of a page: on a desktop and on a phone, light and dark.
async function shoot(page, name) {
  const into = path.join(process.env.BUILD, 'screenshots');
  fs.mkdirSync(into, { recursive: true });
  for (const [screen, size] of Object.entries(SCREENS)) {
    await page.setViewportSize(size);
    for (const colorScheme of ['light', 'dark']) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: path.join(into, `${name}-${screen}-${colorScheme}.png`), fullPage: true });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
      assert.ok(!wide, `${name} is wider than a ${screen}`);
    }
  }
  await page.setViewportSize(SCREENS.desktop);
  await page.emulateMedia({ colorScheme: 'light' });
}

// Calls f until it gives something.
async function eventually(what, f) {
  const end = Date.now() + LIMIT;
  for (;;) {
    const result = await f();
    if (result) return result;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// Runs `main(step)`; `step(name, f)` runs f and tells that.
async function run(main) {
  let failed = null;
  try {
    await main(async (name, f) => {
      try {
        await f();
        console.log(`ok   ${name}`);
      } catch (error) {
        console.log(`FAIL ${name}`);
        throw error;
      }
    });
  } catch (error) {
    failed = error;
  }
  for (const cleanup of cleanups.reverse()) await cleanup();
  if (failed) {
    console.error(failed);
    process.exitCode = 1;
  }
}

module.exports = { SCREENS, command, eventually, folder, open, run, serve, shoot };
