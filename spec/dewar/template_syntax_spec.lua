-- What may stand in a template: tags, white space, Lua, and what is said of
-- mistakes.

local dewar = require "dewar"

local app = dewar.app()

local function render(text, values)
  return app:render_template_string(text, values)
end

local function failure(text, values)
  local ok, err = pcall(render, text, values)
  assert.is_false(ok, "rendered: " .. tostring(err))
  return err
end

describe("a template", function()
  it("is text as it is, whatever its bytes", function()
    local bytes = {}
    for c = 1, 255 do bytes[c] = string.char(c) end
    local text = "\0" .. table.concat(bytes) .. "\r\n%> \\n ]] ]=] \" ' <"
    assert.are.equal(text, render(text))
    assert.are.equal("", render "")
    assert.are.equal("x", render "\xEF\xBB\xBFx") -- a byte order mark is none of it
  end)

  it("gives out values escaped, or raw", function()
    assert.are.equal("&lt;b&gt; <b>", render("<%= v %> <%- v %>", { v = "<b>" }))
    assert.are.equal("<i> <i>", render("<%= v %> <%- v %>", { v = dewar.markup "<i>" }))
    assert.are.equal("1 1.5 true", render "<%= 1 %> <%= 1.5 %> <%= true %>")
    assert.are.equal("2", render("<%=n%>", { n = 2 }))
  end)

  it("gives out nothing for nil, and the first of several values", function()
    assert.are.equal("[][][a]", render "[<%= nothing %>][<%- nothing %>][<%= ('aXb'):gsub('Xb', '') %>]")
    assert.are.equal("[]", render("[<%= f() %>]", { f = function() end }))
  end)

  it("takes HTML from what has __html, and text from what has __tostring", function()
    local html = setmetatable({}, { __html = function() return "<hr>" end })
    local text = setmetatable({}, { __tostring = function() return "<text>" end })
    assert.are.equal("<hr> &lt;text&gt; <text>", render("<%= h %> <%= t %> <%- t %>", { h = html, t = text }))
  end)

  it("refuses to give out tables and functions", function()
    assert.are.equal("<template>:2: a table has no text: give one of its fields, or a __tostring to its metatable",
      failure("\n<%= v %>", { v = {} }))
    assert.are.equal("<template>:3: a function has no text; call it", failure("\n\n<%- v %>", { v = function() end }))
  end)

  it("runs Lua: loops, conditions, locals, functions", function()
    assert.are.equal("1,2,3.", render [[<% for i = 1, 3 do %><%= i %><% if i < 3 then %>,<% else %>.<% end end %>]])
    assert.are.equal("ab", render [[<% local t = { "a", "b" }
      for _, v in ipairs(t) do %><%= v %><% end %>]])
    assert.are.equal("xx", render [[<% local n = 0 repeat n = n + 1 %>x<% until n == 2 %>]])
    assert.are.equal("xx", render [[<% local n = 0 while n < 2 do n = n + 1 %>x<% end %>]])
    assert.are.equal("13", render [[<% for i = 1, 3 do if i == 2 then goto next end %><%= i %><% ::next:: end %>]])
    assert.are.equal("b", render("<% if a then %>a<% elseif b then %>b<% else %>c<% end %>", { b = true }))
  end)

  it("has functions that give out what stands in them, wherever they are called", function()
    local field = [[<% local function field(name) %><input name="<%= name %>"><% end %>]]
    assert.are.equal('<input name="a&amp;">', render(field .. "<% field 'a&' %>"))
    assert.are.equal('<input name="b">', render(field .. "<%= field 'b' %>"))
    assert.are.equal('1<input name="c">2', render(field .. "1<%- field 'c' %>2"))
    assert.are.equal("<p>in</p>", render [[<% local function p(body) %><p><% body() %></p><% end
      p(function() %>in<% end) %>]])
  end)

  it("returns early", function()
    assert.are.equal("a", render "a<% return %>b")
    assert.are.equal("a", render "a<% if true then return end %>b")
    assert.are.equal("ab", render "<% local function f() %>a<% return %>c<% end f() %>b")
  end)

  it("keeps what it writes to itself", function()
    local values = { a = 1 }
    assert.are.equal("2 3", render("<% a = 2 b = 3 %><%= a %> <%= b %>", values))
    assert.are.same({ a = 1 }, values)
    assert.are.equal("", render "<%= b %>")
    assert.is_nil(rawget(_G, "b"))
  end)

  it("has comments, which may have anything in them", function()
    assert.are.equal("ab", render "a<%# if x then <%= \" %>b")
    assert.are.equal("ab", render "a<%#\n\n%>b")
    assert.are.equal("ab", render "a<% -- it's a comment %>b")
    assert.are.equal("ab", render "a<% --[[ %> ]] %>b")
    assert.are.equal("a1b", render "a<%= 1 -- one %>b")
    assert.are.equal("a1b", render "a<%= 1 -- one\n%>b")
  end)

  it("finds the end of a tag behind strings and long brackets", function()
    assert.are.equal("%> %> %> \" \\", render [==[<%- "%>" %> <%- '%>' %> <%- [[%>]] %> <%- "\"" %> <%- '\\' %>]==])
    assert.are.equal("]]%>", render "<%- [=[]]%>]=] %>")
    assert.are.equal("ab", render "<%- 'a\\z   \n b' %>")
    assert.are.equal("1", render "<%- ({ 1, 2 })[({1})[1]] %>")
  end)

  it("has <%% for <%", function()
    assert.are.equal("<%= x %> <% %>", render "<%%= x %> <%% %>")
    assert.are.equal("<<%1", render "<<%%<%= 1 %>")
  end)

  it("removes white space where it is told to", function()
    assert.are.equal("a\nb\n", render "a\n<% local x -%>\nb\n")
    assert.are.equal("a\nb\n", render "a\r\n<% local x -%>  \r\nb\n":gsub("\r", ""))
    assert.are.equal("a b", render "a <% local x -%>b")
    assert.are.equal("a\nb", render "a\n   <%~ local x %>\nb")
    assert.are.equal("ab", render "a \n\t <%~ local x ~%> \n b")
    assert.are.equal("a1b", render "a \n<%~= 1 ~%>\n b")
    assert.are.equal("a<b", render "a \n<%~- '<' ~%>\n b")
    assert.are.equal("a\nb", render "a\n<%# no -%>\nb")
    assert.are.equal("ab", render "a\n<%~# no ~%>\nb")
    assert.are.equal("2", render "<%= 1 - -1 -%>")
    assert.are.equal("-2", render "<%- -2 -%>\n")
    assert.are.equal("1\n2\n3\n", render "<% for i = 1, 3 do -%>\n<%= i %>\n<% end -%>\n")
  end)

  it("works out an expression before what stands behind it, after what stands before it", function()
    local log = {}
    local function f(x) log[#log + 1] = x return x end
    assert.are.equal("a1b2c", render("a<%= f(1) %>b<%= f(2) %>c", { f = f }))
    assert.are.same({ 1, 2 }, log)
  end)

  it("holds many tags", function()
    local text = ("<%= i %>,"):rep(5000)
    assert.are.equal(("7,"):rep(5000), render(text, { i = 7 }))
  end)
end)

describe("what Lua a template has", function()
  it("is what has no effect elsewhere", function()
    for _, name in ipairs { "io", "require", "package", "debug", "load", "loadfile", "dofile", "print", "_G",
      "collectgarbage", "warn" } do
      assert.are.equal("nil", render("<%= tostring(" .. name .. ") %>"), name)
    end
    assert.are.equal("nil nil", render "<%= tostring(os.execute) %> <%= tostring(os.getenv) %>")
    for _, name in ipairs { "string", "table", "math", "utf8", "coroutine", "os" } do
      assert.are.equal("table", render("<%= type(" .. name .. ") %>"))
    end
  end)

  it("has generators", function()
    assert.are.equal("12", render [[<% for i in coroutine.wrap(function()
      coroutine.yield(1) coroutine.yield(2) end) do %><%= i %><% end %>]])
  end)
end)

describe("a mistake", function()
  --- The message for a text, with its line.
  local function said(text)
    local err = failure(text)
    assert.is_true(dewar.TemplateSyntaxError:is(err), tostring(err))
    assert.are.equal("<template>", err.template)
    return err.message, err.line
  end

  it("in what a template runs has the line", function()
    assert.are.equal("<template>:4: attempt to call a nil value (global 'f')",
      failure "a\n<%# two\nlines %>\n<% f() %>\n")
    assert.are.equal("<template>:3: attempt to index a nil value (global 'user')", failure "a\n\nb <%= user.name %>")
    assert.are.equal("<template>:3: no", failure "<%\n\nerror('no') %>")
    assert.are.equal("<template>:5: no", failure "<% local s = [[\n\n]] ~%>\n\n<% error 'no' %>")
    assert.are.equal("<template>:4: no", failure "<%%\r\n<%~ -- x\r\n%>\r\n<% error 'no' %>")
  end)

  it("has the line in the traceback, too", function()
    local _, trace = xpcall(render, debug.traceback, "<% local function f() %>\n<% error 'no' %>\n<% end %>\n<% f() %>")
    assert.matches("^<template>:2: no\n", trace)
    assert.matches("<template>:2: in ", trace)
    assert.matches("<template>:4: in ", trace)
  end)

  it("in the Lua of a tag is told in its terms", function()
    assert.are.equal("<template>:2: 'then' expected near '%>'", (said "\n<% if x %>\n\n<% end %>"))
    assert.are.equal("<template>:1: syntax error near '%>'", (said "<% x %>\n<%= 1 %>"))
    assert.are.equal("<template>:2: a string isn't closed", (said "\n<% local x = \"abc %>\n"))
    assert.are.equal("<template>:2: a string isn't closed", (said "\n<% local x = 'abc %>"))
    assert.matches("^<template>:3: .* near 'y'$", (said "\n\n<%= x y %>\n"))
  end)

  it("in what is opened and closed names both", function()
    local message, line = said "a\n<% for i = 1, 2 do %>\n"
    assert.are.equal("<template>:2: the 'do' that starts here isn't closed: its <% end %> is missing", message)
    assert.are.equal(2, line)
    assert.are.equal("<template>:3: this 'end' closes nothing", (said "\n\n<% end %>"))
    assert.are.equal("<template>:3: this 'until' can't close the 'if' of line 1",
      (said "<% if x then %>\n\n<% until x %>"))
    assert.are.equal("<template>:3: this 'end' can't close the 'repeat' of line 2",
      (said "<% local x\nrepeat %>\n<% end %>"))
  end)

  it("in a tag itself is told where it starts", function()
    assert.are.equal("<template>:2: the tag isn't closed: its %> is missing", (said "a\n<% if x\n\n"))
    assert.are.equal("<template>:2: the tag isn't closed: its %> is missing", (said "a\n<%= x"))
    assert.are.equal("<template>:1: the tag isn't closed: its %> is missing", (said "<%"))
    assert.are.equal("<template>:2: the comment isn't closed: its %> is missing", (said "a\n<%# x\n"))
    assert.are.equal("<template>:3: a long string or comment isn't closed", (said "a\n<%\n--[[ %>\n"))
    assert.are.equal("<template>:1: this tag gives nothing: it needs an expression", (said "<%= %>"))
    assert.are.equal("<template>:1: this tag gives nothing: it needs an expression", (said "<%- -- x %>"))
    assert.matches("^<template>:2: an expression must be whole within its tag",
      (said "\n<%= f(function() %>x<% end) %>"))
  end)
end)

describe("escaping", function()
  local attacks = {
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "' onmouseover='alert(1)", "</title><script>",
    "<!--", "]]>", "&lt;", "<svg/onload=alert(1)>", "\0<b>", "<\nscript>", "'\"><>&", "%>", "<%= x %>",
  }

  it("leaves nothing of an attack, in text and in quoted attributes", function()
    for _, attack in ipairs(attacks) do
      local page = render("<p title=\"<%= v %>\" class='<%= v %>'><%= v %></p>", { v = attack })
      local one, two, three = page:match "^<p title=\"([^\"]*)\" class='([^']*)'>(.*)</p>$"
      assert.are.equal(dewar.escape(attack), one)
      assert.are.equal(one, two)
      assert.are.equal(one, three)
      assert.is_nil(one:find "[<>\"']", attack)
    end
  end)

  it("is not undone by functions, joining or capture", function()
    for _, attack in ipairs(attacks) do
      local values = { v = attack, m = dewar.markup "<b>" }
      local safe = dewar.escape(attack)
      assert.are.equal("<b>" .. safe, render("<%= m .. v %>", values))
      assert.are.equal(safe .. "<b>", render("<%= v .. m %>", values))
      assert.are.equal(safe, render("<% local c = capture(function() %><%= v %><% end) %><%= c %>", values))
    end
  end)

  it("keeps JSON within its script and its attribute", function()
    for _, attack in ipairs(attacks) do
      local page = render("<script>x = <%= tojson(v) %></script><p data-x='<%= tojson(v) %>'>", { v = { attack } })
      local script, attribute = page:match "^<script>x = (.*)</script><p data%-x='(.*)'>$"
      assert.are.equal(script, attribute)
      assert.is_nil(script:find "[<>&']")
      assert.are.same({ attack }, dewar.json.decode(script))
    end
    assert.are.equal([["\u2028\u2029"]], render("<%= tojson(v) %>", { v = "\u{2028}\u{2029}" }))
  end)
end)
