--- How the pages for developers look, and the script of their copy button.

local M = {}

M.css = [[
:root { color-scheme: light dark; --ink: #1f2430; --soft: #697080; --line: #e3e6ec; --paper: #f7f8fa; --card: #fff;
  --code: #fbfbfd; --red: #b3313f; --mark: #fdeef0; --edge: #d9525f; --blue: #2f62b5;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono",
    Menlo, Consolas, monospace; }
@media (prefers-color-scheme: dark) { :root { --ink: #e3e6ee; --soft: #98a0b2; --line: #2b303b; --paper: #14161b;
  --card: #1a1d24; --code: #16191f; --red: #ff8f98; --mark: #3c2127; --edge: #e06a75; --blue: #8db4f8; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; }
header, main { max-width: 66rem; margin: 0 auto; padding: 0 clamp(1rem, 4vw, 2.5rem); }
header { padding-top: clamp(1.5rem, 5vw, 3.25rem); padding-bottom: .5rem; }
.request { margin: 0 0 .9rem; color: var(--soft); font: .875rem/1.5 var(--mono); overflow-wrap: anywhere; }
.request b { color: var(--ink); font-weight: 600; }
h1 { margin: 0; color: var(--red); font-size: 1.05rem; font-weight: 650; letter-spacing: .005em; }
.message { margin: .3rem 0 0; font-size: clamp(1.2rem, 3.2vw, 1.6rem); font-weight: 550; line-height: 1.35;
  letter-spacing: -.012em; white-space: pre-wrap; overflow-wrap: anywhere; }
h2 { margin: 2.4rem 0 .7rem; font-size: 1rem; font-weight: 650; }
h2 small { color: var(--soft); font-size: .85rem; font-weight: 400; }
.note { color: var(--soft); margin: .3rem 0 0; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; margin: 0 0 .6rem;
  overflow: hidden; }
summary { cursor: pointer; list-style: none; padding: .65rem 1rem; display: flex; gap: .3rem 1rem; flex-wrap: wrap;
  align-items: baseline; justify-content: space-between; }
summary::-webkit-details-marker { display: none; }
summary::before { content: ""; align-self: center; width: .38rem; height: .38rem; margin-right: -.35rem; flex: none;
  border: solid var(--soft); border-width: 0 1.5px 1.5px 0; transform: rotate(-45deg); }
details[open] > summary::before { transform: rotate(45deg); }
summary:focus-visible { outline: 2px solid var(--blue); outline-offset: -2px; border-radius: .6rem; }
summary b { flex: 1; font-weight: 600; min-width: 8rem; overflow-wrap: anywhere; }
summary code, .where { color: var(--soft); font: .8125rem/1.5 var(--mono); overflow-wrap: anywhere; }
summary small { color: var(--soft); }
.bar + .card, main > section.card:first-child { margin-top: 1rem; }
.others { border-style: dashed; background: none; }
.others > summary { color: var(--soft); font-size: .9rem; padding: .45rem 1rem; }
.others > summary b { font-weight: 400; }
.others .card { margin: 0 .7rem .6rem; }
.plain { padding: .45rem 1rem; display: flex; gap: .3rem 1rem; flex-wrap: wrap; justify-content: space-between; }
.link { margin: .1rem 0 .7rem; padding-left: 1.05rem; color: var(--soft); font-size: .9rem; }
.link::before { content: "\21B3"; margin-right: .5rem; }
pre { margin: 0; font: .8125rem/1.65 var(--mono); tab-size: 4; }
.source { overflow-x: auto; border-top: 1px solid var(--line); background: var(--code); padding: .5rem 0; }
.source ol { margin: 0; padding: 0; list-style: none; min-width: max-content; }
.source li { padding: 0 1rem 0 0; border-left: 3px solid transparent; white-space: pre; }
.source i { display: inline-block; width: 3.6rem; padding-right: 1rem; text-align: right; color: var(--soft);
  font-style: normal; user-select: none; opacity: .75; }
.source .here { background: var(--mark); border-left-color: var(--edge); }
.source .here i { color: var(--red); opacity: 1; }
.trace { padding: .7rem 1rem; overflow-x: auto; }
h3 { margin: 0; padding: .65rem 1rem .15rem; border-top: 1px solid var(--line); color: var(--soft);
  font-size: .8125rem; font-weight: 600; }
dl { margin: 0; padding: .3rem 1rem .8rem; font: .8125rem/1.6 var(--mono); display: grid;
  grid-template-columns: minmax(6rem, max-content) 1fr; gap: .1rem 1.4rem; }
dt { max-width: 16rem; overflow-wrap: anywhere; }
dd { margin: 0; min-width: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
dd small { color: var(--soft); font-size: .75rem; margin-left: .7rem; white-space: nowrap; }
section dl { padding-top: .7rem; }
h3 + dl { padding-top: .15rem; }
.name { color: var(--blue); }
.bar { display: flex; gap: .8rem; align-items: center; margin: 1.1rem 0 0; }
button { font: 500 .9rem/1.4 system-ui, sans-serif; color: inherit; background: var(--card); cursor: pointer;
  border: 1px solid var(--line); border-radius: .45rem; padding: .4rem .9rem; }
button:hover { border-color: var(--soft); }
textarea { display: block; width: 100%; height: 24rem; border: 0; border-top: 1px solid var(--line);
  padding: .8rem 1rem;
  background: var(--code); color: inherit; font: .8125rem/1.6 var(--mono); resize: vertical; }
a { color: var(--blue); }
table { width: 100%; border-collapse: collapse; font: .8125rem/1.6 var(--mono); }
td { padding: .4rem 1rem; border-top: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
tr:first-child td { border-top: 0; }
td:first-child { width: 1%; padding-right: 1.5rem; white-space: nowrap; color: var(--soft); }
td:last-child { color: var(--soft); text-align: right; }
footer { max-width: 66rem; margin: 0 auto; padding: 1.6rem clamp(1rem, 4vw, 2.5rem) 3rem; color: var(--soft);
  font-size: .875rem; }
@media (max-width: 40rem) {
  summary code, .plain code { flex-basis: 100%; padding-left: 1.05rem; }
  .plain code:only-child { padding-left: 0; }
  dl { grid-template-columns: 1fr; } dd { padding-left: 1rem; margin-bottom: .3rem; }
  .source i { width: 2.8rem; padding-right: .7rem; }
  td:last-child { display: none; }
}
]]

M.script = [[
(function () {
  var button = document.getElementById("copy"), all = document.getElementById("all");
  var label = button.textContent;
  function told(text) {
    button.textContent = text;
    setTimeout(function () { button.textContent = label; }, 1600);
  }
  function by_hand() {
    document.getElementById("text").open = true;
    all.focus();
    all.select();
    var ok = false;
    try { ok = document.execCommand("copy"); } catch (e) { ok = false; }
    told(ok ? "Copied" : "Press Ctrl+C");
  }
  button.hidden = false;
  button.addEventListener("click", function () {
    if (!navigator.clipboard) return by_hand();
    navigator.clipboard.writeText(all.value).then(function () { told("Copied"); }, by_hand);
  });
})();
]]

return M
