// Opens the error pages in Chromium, light and dark, on a desk and on a phone,
// checks what a visitor has of them, and keeps a picture of each:
//   node pages.js ADDRESS FOLDER debug|plain
// It ends with 77, and says why, where Chromium or playwright-core is missing.
"use strict";

const fs = require("fs");
const os = require("os");
const path = require("path");
const assert = require("assert");

const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((p) => fs.existsSync(p));
const FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const SIZES = { desk: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };
const PAGES = {
  debug: { failure: "/shop/7/checkout?coupon=TEA&token=hush-hush-1", missing: "/shp/7", method: "/shop" },
  plain: { failure: "/shop/7/checkout", missing: "/shp/7", method: "/shop" },
};

function skip(why) {
  console.log("skipped: " + why);
  process.exit(77);
}

async function check(page, kind, name) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth);
  assert(!wide, name + ": the page is wider than the window");
  const body = await page.content();
  if (kind === "plain") {
    assert(!/doesn't cover/.test(body), "an error's message is on a plain page");
  } else if (name === "failure") {
    assert(!/hush-hush|only-for-this-spec|tok_4Xf9a81/.test(await page.evaluate(() => document.body.innerText)));
    const open = await page.$$eval("details.call[open]", (list) => list.length);
    assert.strictEqual(open, 1);
    await page.click("#copy");
    await page.waitForFunction(() => /Copied|Ctrl/.test(document.getElementById("copy").textContent));
  }
}

async function main(address, folder, kind) {
  let playwright;
  try {
    playwright = require("playwright-core");
  } catch (e) {
    skip("playwright-core is missing; install it by npm in spec/browser");
  }
  if (!CHROMIUM) skip("Chromium is missing");
  const profile = fs.mkdtempSync(path.join(os.tmpdir(), "dewar-chromium-"));
  fs.mkdirSync(folder, { recursive: true });
  for (const scheme of ["light", "dark"]) {
    for (const size of Object.keys(SIZES)) {
      const context = await playwright.chromium.launchPersistentContext(path.join(profile, scheme + size), {
        executablePath: CHROMIUM, headless: true, args: FLAGS, colorScheme: scheme, viewport: SIZES[size] });
      try {
        const page = await context.newPage();
        const problems = [];
        page.on("pageerror", (e) => problems.push(String(e)));
        page.on("console", (m) => { if (/Content Security Policy/.test(m.text())) problems.push(m.text()); });
        for (const [name, target] of Object.entries(PAGES[kind])) {
          await page.goto(address + target);
          await page.screenshot({ path: path.join(folder, [kind, name, scheme, size].join("-") + ".png"),
            fullPage: kind === "debug" });
          await check(page, kind, name);
        }
        assert.deepStrictEqual(problems, []);
      } finally {
        await context.close();
      }
    }
  }
  fs.rmSync(profile, { recursive: true, force: true });
}

main(process.argv[2], process.argv[3], process.argv[4]).catch((e) => {
  console.error(e);
  process.exit(1);
});
