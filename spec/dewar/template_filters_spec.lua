-- The functions that templates have for values.

local dewar = require "dewar"

local app = dewar.app()

--- What the expression gives out.
local function shows(expression, values)
  return app:render_template_string("<%= " .. expression .. " %>", values)
end

local function check(cases, values)
  for i = 1, #cases, 2 do assert.are.equal(cases[i + 1], shows(cases[i], values), cases[i]) end
end

local function failure(expression, values)
  local ok, err = pcall(shows, expression, values)
  assert.is_false(ok, expression)
  return tostring(err)
end

describe("of text", function()
  it("default stands for what is missing or empty", function()
    check({ "default(nil, 'x')", "x", "default('', 'x')", "x", "default(0, 'x')", "0", "default('a', 'x')", "a" })
  end)

  it("upper, lower, capitalize, title change letters", function()
    check({ "upper 'aBc ä'", "ABC ä", "lower 'ABC'", "abc", "capitalize 'hELLO wORLD'", "Hello world",
      "title \"it's a äb-cd\"", "It&#39;s A äb-Cd", "upper(nil)", "", "upper(5)", "5" })
  end)

  it("trim, replace, indent", function()
    check({ "trim '  a b\\n'", "a b", "trim ''", "", "replace('a.b.c', '.', '%1')", "a%1b%1c",
      "replace('aXa', 'X', '')", "aa", "indent('a\\nb\\n\\nc')", "a\n    b\n\n    c", "indent('a\\nb', 1)", "a\n b",
      "indent('a\\nb', '> ')", "a\n&gt; b" })
    assert.matches("<template>:1: replace: what is replaced must be a text; got a nil", failure "replace('a')")
  end)

  it("truncate keeps words and characters whole", function()
    check({ "truncate('a quick fox', 11)", "a quick fox", "truncate('a quick fox', 10)", "a quick…",
      "truncate('a quick fox', 8)", "a quick…", "truncate('a quick fox', 7)", "a…", "truncate('quickfox', 4)", "qui…",
      "truncate('äöüäöü', 4)", "äöü…", "truncate('a quick fox', 10, '...')", "a quick...",
      "truncate('a quick fox', 7, '')", "a quick", "truncate('abc', 1)", "…", "truncate('abcdef', 2, '...')", "...",
      "truncate(nil, 5)", "", "truncate('<b>bold</b>', 6)", "&lt;b&gt;bo…" })
    for _, n in ipairs { "0", "1.5", "'x'", "nil" } do
      assert.matches("<template>:1: truncate: the length must be a positive whole number",
        failure("truncate('a', " .. n .. ")"))
    end
  end)

  it("never break on bytes that are no UTF-8", function()
    for _, text in ipairs { "\x80abc def", "\xff\xfe\xff\xfe", "a\xe4b\xe4c", "\x80\x80\x80\x80", "ä\xc3" } do
      for n = 1, 5 do shows("truncate(v, " .. n .. ")", { v = text }) end
      shows("title(v) .. capitalize(v) .. length(v)", { v = text })
    end
  end)
end)

describe("of HTML", function()
  it("nl2br, striptags", function()
    check({ "nl2br 'a<\\nb\\r\\nc'", "a&lt;<br>\nb<br>\nc", "nl2br(markup '<b>\\n')", "<b><br>\n", "nl2br(nil)", "",
      "striptags(v)", "A &amp; B &lt;c&gt;", "striptags 'a'", "a", "striptags(nil)", "" },
      { v = " <p class='x'>A &amp; <!-- <b>no --><b>B</b>\n  &lt;c&gt;</p> " })
  end)

  it("markup, escape", function()
    check({ "markup '<b>'", "<b>", "escape '<b>'", "&lt;b&gt;", "escape(escape '<b>')", "&lt;b&gt;",
      "escape(markup '<b>')", "<b>", "markup('<b>%s</b>'):format('<')", "<b>&lt;</b>" })
  end)

  it("tojson", function()
    check({ "tojson { a = 1 }", '{"a":1}', "tojson '<'", '"\\u003c"', "tojson(nil)", "null", "tojson(array {})", "[]",
      "tojson(null)", "null", "tojson(markup '<b>')", '"\\u003cb\\u003e"', "tojson { 1, 2.5, true }", "[1,2.5,true]" })
    assert.matches("<template>:1: ", failure "tojson(tojson)")
  end)

  it("attributes are sorted, escaped, and have proper names", function()
    check({ "attributes { class = 'a \"b\"', id = 5, disabled = true, hidden = false }",
      ' class="a &quot;b&quot;" disabled id="5"', "attributes {}", "",
      "attributes { title = markup('A &amp; \"B\"') }", ' title="A &amp; &quot;B&quot;"',
      "attributes { ['data-x'] = '', ['@click'] = '<' }", ' @click="&lt;" data-x=""' })
    for _, name in ipairs { "a b", "a>", "a=b", "a\"", "", "a/", "a\n" } do
      assert.matches("<template>:1: attributes: '.*' can't be an attribute's name",
        failure("attributes { [n] = 1 }", { n = name }))
    end
    assert.matches("attributes: it takes a table by name; got a nil", failure "attributes(nil)")
  end)

  it("urlencode", function()
    check({ "urlencode 'a b/ä&'", "a%20b%2F%C3%A4%26", "urlencode(nil)", "", "urlencode(5)", "5",
      "urlencode { b = 'x y', a = { 1, 2 }, ['c&'] = '=' }", "a=1&amp;a=2&amp;b=x%20y&amp;c%26=%3D" })
  end)
end)

describe("of numbers and dates", function()
  it("plural", function()
    check({ "plural(1, 'reply', 'replies')", "1 reply", "plural(0, 'reply', 'replies')", "0 replies",
      "plural(2, 'post')", "2 posts", "plural('1', 'post')", "1 post" })
    assert.matches("<template>:1: plural: the value must be a number; got a nil", failure "plural(nil, 'x')")
  end)

  it("round, number, filesize", function()
    check({ "round(2.5)", "3", "round(-2.4)", "-2", "round(2.345, 1)", "2.3", "round('2', 2)", "2.00",
      "number(1234567.891)", "1,234,568", "number(1234567.891, 2)", "1,234,567.89", "number(123)", "123",
      "number(-1234)", "-1,234", "number(1000, 0, '.')", "1.000", "number(123456, 0, ' ')", "123 456",
      "number(0)", "0", "number(1e3, 1, '')", "1000.0", "number(1/0)", "inf", "number(999999)", "999,999",
      "filesize(0)", "0 bytes", "filesize(1)", "1 byte", "filesize(999)", "999 bytes", "filesize(13500)", "13.5 kB",
      "filesize(999960)", "1.0 MB", "filesize(5e9)", "5.0 GB", "filesize(3e18)", "3000.0 PB" })
    assert.matches("<template>:1: filesize: the value must be a number; got a table", failure "filesize {}")
  end)

  it("date", function()
    check({ "date(0, '!%Y-%m-%d %H:%M')", "1970-01-01 00:00", "date(86400.75, '!%d.%m.%Y')", "02.01.1970",
      "date(nil)", "",
      "date(1e9) == os.date('%Y-%m-%d', 1000000000)", "true" })
    assert.matches("<template>:1: date: the value must be a number", failure "date 'today'")
  end)
end)

describe("of lists", function()
  it("length counts characters, items, names", function()
    check({ "length 'äöü'", "3", "length(nil)", "0", "length { 1, 2 }", "2", "length { a = 1, b = 2 }", "2",
      "length(markup '<b>')", "3" })
  end)

  it("first, last, reverse, sum, map, join", function()
    check({ "first(l)", "c", "last(l)", "b", "first(nil)", "", "last {}", "", "join(reverse(l), ' ')", "b a c",
      "reverse 'abc'", "cba", "sum { 1, 2, 3 }", "6", "sum(p, 'n')", "3", "sum(nil)", "0",
      "join(map(p, 'n'), ',')", "1,2",
      "join(map(l, string.upper))", "CAB", "join(l, ', ')", "c, a, b", "join(p, '+', 'n')", "1+2", "join(nil)", "",
      "join({ '<', markup '<b>' }, '<')", "&lt;&lt;<b>", "join({ '<', '>' }, markup '<br>')", "&lt;<br>&gt;",
      "join({ '<', '>' }, '&')", "&lt;&amp;&gt;" }, { l = { "c", "a", "b" }, p = { { n = 1 }, { n = 2 } } })
  end)

  it("sort copies, and keeps equal items in order", function()
    local list = { { n = 2, t = "a" }, { n = 1, t = "b" }, { n = 2, t = "c" }, { n = 1, t = "d" } }
    check({ "join(sort(l, 'n'), '', 't')", "bdac", "join(sort(l, 'n', true), '', 't')", "acbd",
      "join(sort(l, function(i) return i.t end, true), '', 't')", "dcba", "join(sort { 3, 1, 2 })", "123",
      "join(l, '', 't')", "abcd" }, { l = list })
  end)

  it("batch, group, sorted", function()
    check({ "join(map(batch({ 1, 2, 3, 4, 5 }, 2), join), '|')", "12|34|5", "length(batch({}, 2))", "0" })
    assert.matches("<template>:1: batch: the size must be a positive whole number; got 0", failure "batch({}, 0)")
    assert.are.equal("x:13 y:2 ", app:render_template_string([[<% for _, g in ipairs(group(list, "k")) do %><%=
      g.key %>:<%= join(g, "", "n") %> <% end %>]], {
      list = { { k = "x", n = 1 }, { k = "y", n = 2 }, { k = "x", n = 3 } } }))
    assert.are.equal("1=a 2=b x=c y=d ", app:render_template_string([[<%
      for k, v in sorted(t) do %><%= k %>=<%= v %> <% end
      for _ in sorted(nil) do error "one" end %>]], { t = { y = "d", x = "c", "a", "b" } }))
  end)

  it("have room for items that lack the field", function()
    local values = { list = { { a = 1 }, {}, { a = 3 } } }
    check({ "join(list, ',', 'a')", "1,,3", "sum(list, 'a')", "4", "#map(list, 'a')", "2",
      "#group(list, 'a')", "3" }, values)
    assert.are.equal("1 1,nil 1,3 1,", app:render_template_string(
      "<% for _, g in ipairs(group(list, 'a')) do %><%= tostring(g.key) %> <%= #g %>,<% end %>", values))
  end)

  it("refuse what they can't use at the template's line", function()
    for expression, message in pairs {
      ["sort { 1, 'a' }"] = "attempt to compare string with number",
      ["sort({ { x = 1 }, {} }, 'x')"] = "attempt to compare",
      ["sum { 'a' }"] = "sum: the value must be a number; got a string",
      ["map({ 1 }, 'x')"] = "map: an item of the list is a number, which has no field 'x'",
      ["join { {} }"] = "a table has no text",
      ["upper {}"] = "a table has no text",
      ["nl2br(length)"] = "a function has no text; call it",
      ["attributes { a = {} }"] = "a table has no text",
      ["urlencode { a = { {} } }"] = "a table has no text",
      ["length(length)"] = "a function has no text; call it",
      ["sorted(5)"] = "sorted: it takes a table; got 5",
      ["round(1, 'x')"] = "round: the digits must be a whole number from 0 to 99; got a string",
      ["number(1, -1)"] = "number: the digits must be a whole number from 0 to 99; got -1",
      ["indent('a', -1)"] = "indent: it takes a number of spaces, or a text; got -1",
      ["date(1e300)"] = "date: the value must be a time in seconds; got 1e+300",
      ["date(0, {})"] = 'date: the format is a text such as "%Y-%m-%d"; got a table',
      ["date(0, '%Q')"] = "invalid conversion specifier '%Q'",
      ["plural(1)"] = "plural: the second argument is the word for one; got a nil",
      ["truncate('a', 0)"] = "truncate: the length must be a positive whole number; got 0",
    } do
      local err = failure("\n" .. expression)
      assert.matches("^<template>:2: ", err, expression)
      assert.matches(message, err, 1, true)
    end
  end)

  it("refuse what is no list", function()
    for _, name in ipairs { "first", "last", "join", "map", "sort", "sum", "group" } do
      assert.matches("<template>:1: " .. name .. ": the value must be a list; got a boolean", failure(name .. "(true)"))
    end
  end)
end)
