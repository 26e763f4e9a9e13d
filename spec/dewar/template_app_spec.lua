-- Templates of an app: where they are found, what is at hand in them, when they
-- are read again, what else may render them.

local dewar = require "dewar"
local templates = require "spec.support.templates"

local function message(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok, "no error, but " .. tostring(err))
  return tostring(err), err
end

describe("an app's templates", function()
  after_each(templates.clean)

  describe("are found", function()
    it("in 'templates' beside the file that made the app, or where it says", function()
      local app = dewar.app()
      assert.are.equal("spec/dewar", app.root_path)
      assert.are.equal("templates", app.template_folder)
      local text = message(app.render_template, app, "x.html")
      assert.matches("there is no template 'x.html' in spec/dewar/templates$", text)
      app = dewar.app { template_folder = "../fixtures" }
      assert.matches("in spec/dewar/../fixtures$", (message(app.render_template, app, "x.html")))
    end)

    it("by names with folders, and of a list the first that there is", function()
      local app = templates.app { ["a/b/c.html"] = "c", ["d.html"] = "d" }
      assert.are.equal("c", app:render_template "a/b/c.html")
      assert.are.equal("d", app:render_template { "none.html", "d.html", "a/b/c.html" })
    end)

    it("in the app's folder before those of blueprints, in their order", function()
      local app = templates.app { ["one.html"] = "app" }
      local first = dewar.blueprint("first", { template_folder = templates.folder {
        ["one.html"] = "first", ["two.html"] = "first" } })
      local second = dewar.blueprint("second", { template_folder = templates.folder {
        ["two.html"] = "second", ["three.html"] = "second" } })
      local nested = dewar.blueprint("nested", { template_folder = templates.folder { ["four.html"] = "nested" } })
      second:register_blueprint(nested)
      app:register_blueprint(first)
      app:register_blueprint(second)
      app:register_blueprint(dewar.blueprint "none")
      for name, text in pairs { one = "app", two = "first", three = "second", four = "nested" } do
        assert.are.equal(text, app:render_template(name .. ".html"))
      end
      local _, err = message(app.render_template, app, "five.html")
      assert.is_true(dewar.TemplateNotFound:is(err))
      assert.are.equal("five.html", err.template)
      assert.are.same({ app.template_folder, first.template_folder, second.template_folder, nested.template_folder },
        err.folders)
    end)

    it("beside the file that made their blueprint", function()
      assert.are.equal("spec/dewar", dewar.blueprint("x").root_path)
    end)

    it("and say why one that is there can't be read", function()
    local app = templates.app { ["page.html"] = "\n<% include('loop.html', nil, { optional = true }) %>" }
    assert(os.execute(("ln -s loop.html '%s/loop.html'"):format(app.template_folder)))
    local ok, err = pcall(app.render_template, app, "loop.html")
    assert.is_false(ok)
    assert.matches("^the template 'loop.html' can't be read: .*loop.html: ", err)
    ok, err = pcall(app.render_template, app, { "none.html", "loop.html", "page.html" })
    assert.is_false(ok)
    assert.matches("^the template 'loop.html' can't be read: ", err)
    ok, err = pcall(app.render_template, app, "page.html")
    assert.is_false(ok)
    assert.matches("page.html:2: the template 'loop.html' can't be read: ", err)
  end)

  it("only inside of their folder", function()
      local outer = templates.folder { ["secret.html"] = "secret", ["inner/page.html"] = "page" }
      local app = dewar.app { template_folder = outer .. "/inner" }
      assert.are.equal("page", app:render_template "page.html")
      for _, name in ipairs { "../secret.html", "./page.html", "x/../../secret.html", "x/../page.html", "//page.html",
        "/page.html", outer .. "/secret.html", "..\\secret.html", "page.html\0.txt", "", ".", "..", "page.html/",
        "a//b" } do
        local text, err = message(app.render_template, app, name)
        assert.is_true(dewar.TemplateNotFound:is(err), name)
        assert.matches("can't be a template's name, which is a path inside of", text)
      end
      assert.matches("there is no template 'inner'", (message(app.render_template, dewar.app {
        template_folder = outer }, "inner")))
    end)
  end)

  it("are escaped by their extension", function()
    local files = {}
    for _, name in ipairs { "a.html", "a.htm", "a.xml", "a.xhtml", "a.svg", "a.HTML", "a.txt.html" } do
      files[name] = 1
    end
    for _, name in ipairs { "b.txt", "b", "b.html.txt", "b.md", "html", "b.js" } do files[name] = 0 end
    for name in pairs(files) do files[name] = "<%= v %><%- v %>" .. files[name] end
    local app = templates.app(files)
    for name, text in pairs(files) do
      assert.are.equal(text:find "1$" and "&lt;<1" or "<<0", app:render_template(name, { v = "<" }), name)
    end
    assert.are.equal("&lt;", app:render_template_string("<%= v %>", { v = "<" }))
  end)

  it("are escaped as the app says", function()
    local app = templates.app { ["a.md"] = "<%= '<' %>", ["a.html"] = "<%= '<' %>" }
    function app:select_autoescape(name)
      return name:find "%.md$" ~= nil or dewar.App.select_autoescape(self, name)
    end
    assert.are.equal("&lt;&lt;", app:render_template "a.md" .. app:render_template "a.html")
  end)

  describe("have at hand", function()
    it("the request, g, the app, its config and url_for", function()
      local app = dewar.app { name = "shop", config = { SITE = "Shop" } }
      app:get("/user/<name>", { endpoint = "user" }, function(req)
        req.g.user = "<Ada>"
        return dewar.render_template_string [[<%= request.path %> <%= g.user %> <%= config.SITE %> <%=
          current_app.name %> <%= url_for("user", { name = "a b", q = "1", r = 2 }) %> <%= request.args.x %>]]
      end)
      local client <close> = app:test_client()
      assert.are.equal("/user/Bo &lt;Ada&gt; Shop shop /user/a%20b?q=1&amp;r=2 y", client:get("/user/Bo?x=y").body)
    end)

    it("the session and its flashed messages", function()
      local app = dewar.app { config = { SECRET_KEY = "dev" } }
      app:get("/", function()
        dewar.session.user = "<Ada>"
        dewar.flash("Saved & sent", "info")
        return dewar.render_template_string [[<%= session.user %>: <%
          for _, m in ipairs(get_flashed_messages { with_categories = true }) do %><%= m[1] %> <%= m[2] %><% end %>]]
      end)
      local client <close> = app:test_client()
      assert.are.equal("&lt;Ada&gt;: info Saved &amp; sent", client:get("/").body)
    end)

    it("no request outside of one", function()
      local app = dewar.app()
      app:get("/x", { endpoint = "x" }, function() return "" end)
      assert.are.equal("nil /x", app:render_template_string [[<%= tostring(request) %> <%= url_for "x" %>]])
    end)

    it("nothing of another app's request", function()
      local app, other = dewar.app(), dewar.app { name = "other" }
      app:get("/", function()
        return other:render_template_string "<%= tostring(request) %> <%= current_app.name %>"
      end)
      local client <close> = app:test_client()
      assert.are.equal("nil other", client:get("/").body)
    end)

    it("errors of url_for at their line", function()
      local app = dewar.app()
      local text, err = message(app.render_template_string, app, "\n\n<%= url_for 'nowhere' %>")
      assert.matches("nowhere", text)
      assert.is_true(dewar.BuildError:is(err))
      assert.matches("^<template>:2: url_for takes an endpoint's name",
        (message(app.render_template_string, app, "\n<%= url_for() %>")))
    end)

    it("values, with all that their metatable finds", function()
      local app = dewar.app()
      local values = setmetatable({ a = 1 }, { __index = { b = 2, url_for = 3 } })
      assert.are.equal("1 2 3 nil function", app:render_template_string(
        "<%= a %> <%= b %> <%= url_for %> <%= tostring(c) %> <%= type(ipairs) %>", values))
    end)

    it("functions of the app: globals, filters, which may wait", function()
      local app = dewar.app()
      assert.are.equal("table", type(app:template_global("site", { name = "<S>" })))
      app:template_global("now", function() dewar.sleep(0) return "now" end)
      app:template_global("later", dewar.async(function(x) dewar.sleep(0) return "later " .. x end))
      local shout = app:template_filter("shout", function(text, mark) return text:upper() .. (mark or "!") end)
      assert.are.equal("A!", shout "a")
      app:template_filter("slow", dewar.async(function(text) dewar.sleep(0) return "slow " .. text end))
      app:template_filter("upper", function() return "own" end)
      assert.are.equal("&lt;S&gt; now later 1 HI! HI? HEY! slow x own own 3", dewar.run(app.render_template_string, app,
        [[<%= site.name %> <%= now() %> <%= later(1) %> <%= shout("hi") %> <%= shout("hi", "?") %> <%=
          filters.shout "hey" %> <%= slow "x" %> <%= upper "x" %> <%= filters.upper "x" %> <%=
          filters.length "abc" %>]]))
    end)

    it("what was added after a first rendering", function()
      local app = dewar.app()
      assert.are.equal("nil", app:render_template_string "<%= type(x) %>")
      app:template_global("x", 5)
      assert.are.equal("number", app:render_template_string "<%= type(x) %>")
    end)

    it("functions of blueprints, for the whole app", function()
      local app, bp = dewar.app(), dewar.blueprint "bp"
      bp:app_template_filter("f", function(v) return v + 1 end)
      bp:app_template_global("x", 5)
      app:register_blueprint(bp)
      assert.are.equal("6", app:render_template_string "<%= f(x) %>")
    end)
  end)

  describe("get values of context processors", function()
    it("of the app, the outer blueprint and the inner, under their own", function()
      local app, outer, inner = dewar.app(), dewar.blueprint "outer", dewar.blueprint "inner"
      local function gives(...)
        local names = { ... }
        return function(req)
          dewar.sleep(0)
          local values = {}
          for _, name in ipairs(names) do values[name] = names[1] .. (req and req.path or "") end
          return values
        end
      end
      app:context_processor(gives("a", "b", "c", "d", "e"))
      outer:context_processor(gives("b", "c", "d"))
      inner:context_processor(gives("c", "d"))
      outer:app_context_processor(gives("x", "e"))
      local text = "<%= a %> <%= b %> <%= c %> <%= d %> <%= e %> <%= x %>"
      local function view() return dewar.render_template_string(text, { d = "own" }) end
      app:get("/", view)
      outer:get("/o", view)
      inner:get("/i", view)
      outer:register_blueprint(inner)
      app:register_blueprint(outer)
      local client <close> = app:test_client()
      assert.are.equal("a/ a/ a/ own x/ x/", client:get("/").body)
      assert.are.equal("a/o b/o b/o own x/o x/o", client:get("/o").body)
      assert.are.equal("a/i b/i c/i own x/i x/i", client:get("/i").body)
      assert.are.equal("a a a own x x", dewar.run(app.render_template_string, app, text, { d = "own" }))
    end)

    it("that may be async, or give nothing", function()
      local app = dewar.app()
      app:context_processor(dewar.async(function() dewar.sleep(0) return { a = 1 } end))
      app:context_processor(function() end)
      assert.are.equal("1", app:render_template_string "<%= a %>")
    end)

    it("but tables they must be", function()
      local app = dewar.app()
      app:context_processor(function() return "x" end)
      assert.matches("a context processor returns a table of values; it returned a string",
        (message(app.render_template_string, app, "")))
    end)

    it("once a rendering, for includes and layouts, too", function()
      local app, n = templates.app { ["base.html"] = "<% block 'b' %><% end %>", ["part.html"] = "<%= n %>",
        ["page.html"] = "<% extends 'base.html' %><% block 'b' %><% include 'part.html' %><%= n %><% end %>" }, 0
      app:context_processor(function() n = n + 1 return { n = n } end)
      assert.are.equal("11", app:render_template "page.html")
      assert.are.equal("22", app:render_template "page.html")
    end)
  end)

  describe("are read", function()
    it("once", function()
      local app = templates.app { ["a.html"] = "1" }
      assert.are.equal("1", app:render_template "a.html")
      templates.write(app, "a.html", "2")
      assert.are.equal("1", app:render_template "a.html")
    end)

    it("again, when one of them has changed, in debug", function()
      local app = templates.app({ ["base.html"] = "1<% block 'b' %><% end %>", ["part.html"] = "1",
        ["page.html"] = "<% extends 'base.html' %><% block 'b' %>1<% include 'part.html' %><% end %>",
      }, { DEBUG = true })
      assert.are.equal("111", app:render_template "page.html")
      for i, change in ipairs { { "base.html", "2<% block 'b' %><% end %>", "211" }, { "part.html", "2", "212" },
        { "page.html", "<% extends 'base.html' %><% block 'b' %>2<% include 'part.html' %><% end %>", "222" } } do
        templates.write(app, change[1], change[2])
        assert.are.equal(change[3], app:render_template "page.html", i)
      end
      templates.write(app, "part.html", "<% if x %>")
      assert.matches("part.html:1: ", (message(app.render_template, app, "page.html")))
      templates.write(app, "part.html", "3")
      assert.are.equal("223", app:render_template "page.html")
    end)

    it("again with TEMPLATES_AUTO_RELOAD, and not without it", function()
      local app = templates.app({ ["a.html"] = "1" }, { TEMPLATES_AUTO_RELOAD = true })
      assert.are.equal("1", app:render_template "a.html")
      templates.write(app, "a.html", "2")
      assert.are.equal("2", app:render_template "a.html")
      app.config.DEBUG, app.config.TEMPLATES_AUTO_RELOAD = true, false
      templates.write(app, "a.html", "3")
      assert.are.equal("2", app:render_template "a.html")
      app.config.TEMPLATES_AUTO_RELOAD = nil
      assert.are.equal("3", app:render_template "a.html")
    end)

    it("from where they are now, in debug", function()
      local app = templates.app({}, { DEBUG = true })
      local bp = dewar.blueprint("bp", { template_folder = templates.folder { ["a.html"] = "blueprint" } })
      app:register_blueprint(bp)
      assert.are.equal("blueprint", app:render_template "a.html")
      templates.write(app, "a.html", "app")
      assert.are.equal("app", app:render_template "a.html")
      os.remove(app.template_folder .. "/a.html")
      assert.are.equal("blueprint", app:render_template "a.html")
      os.remove(bp.template_folder .. "/a.html")
      assert.matches("there is no template", (message(app.render_template, app, "a.html")))
    end)

    it("for each app anew", function()
      local one, two = templates.app { ["a.html"] = "1" }, templates.app { ["a.html"] = "2" }
      assert.are.equal("12", one:render_template "a.html" .. two:render_template "a.html")
    end)
  end)

  it("in strings are kept, but not for ever", function()
    local app = dewar.app()
    local function n()
      local count = 0
      for _, kept in ipairs { app._string_templates.new, app._string_templates.old } do
        for _ in pairs(kept) do count = count + 1 end
      end
      return count
    end
    for i = 1, 1000 do assert.are.equal(tostring(i), app:render_template_string(i .. "")) end
    assert.is_true(n() < 200)
    local kept = n()
    app:render_template_string "1000"
    assert.are.equal(kept, n())
  end)

  it("fail with their own path and line, through a request, too", function()
    local app = templates.app { ["page.html"] = "\n\n<% error 'oh' %>" }
    app.config.TESTING = true
    app:get("/", function() return dewar.render_template "page.html" end)
    local client <close> = app:test_client()
    local text = message(client.get, client, "/")
    local folder = app.template_folder:gsub("%p", "%%%0")
    assert.matches("^" .. folder .. "/page.html:3: oh\n", text)
    assert.matches("traceback:.*" .. folder .. "/page.html:3: in ", text)
  end)

  it("have a path without the app's own folder", function()
    local folder = templates.folder { ["views/page.html"] = "\n<% error 'oh' %>" }
    local file = assert(io.open(folder .. "/app.lua", "w"))
    file:write 'local app = require "dewar".app { template_folder = "views" } return app'
    file:close()
    local app = dofile(folder .. "/app.lua")
    assert.are.equal(folder, app.root_path)
    assert.are.equal("views/page.html:2: oh", (message(app.render_template, app, "page.html")))
    app = dewar.app { root_path = folder, template_folder = "views" }
    assert.are.equal("views/page.html:2: oh", (message(app.render_template, app, "page.html")))
  end)

  it("are found beside a file that ends with the call which makes its app", function()
    local folder = templates.folder {
      ["tail/app.lua"] = 'return require "dewar".app()',
      ["tail/part.lua"] = 'return require "dewar".blueprint "part"',
      ["tail/templates/page.html"] = "here",
    }
    local path = package.path
    package.path = folder .. "/?.lua;" .. path
    local modules = { (require "tail.app"), (require "tail.part") }
    package.path = path
    package.loaded["tail.app"], package.loaded["tail.part"] = nil, nil
    modules[3] = dofile(folder .. "/tail/app.lua")
    for _, module in ipairs(modules) do assert.are.equal(folder .. "/tail", module.root_path) end
    assert.are.equal("here", modules[1]:render_template "page.html")
  end)

  it("tell of themselves by signals", function()
    local log = {}
    local function note(what)
      return function(sender, fields)
        dewar.sleep(0)
        log[#log + 1] = { what, sender, fields.template, fields.context.x, fields.context.y }
        fields.context.y = "seen"
      end
    end
    local folder = templates.folder { ["a.html"] = "<%= x %> <%= y %>" }
    local app = dewar.app { template_folder = folder }
    local before, after = note "before", note "after"
    dewar.signals.before_render_template:connect(before, app)
    dewar.signals.template_rendered:connect(after, app)
    assert.are.equal("1 seen", dewar.run(app.render_template, app, "a.html", { x = 1 }))
    assert.are.same({ { "before", app, "a.html", 1, nil }, { "after", app, "a.html", 1, "seen" } }, log)
    log = {}
    dewar.run(function()
      local pieces = app:stream_template_string("<%= x %>", { x = 2 })
      assert.are.equal(1, #log)
      assert.are.equal("2", pieces())
      assert.are.equal(1, #log)
      assert.is_nil(pieces())
    end)
    assert.are.same({ { "before", app, nil, 2, nil }, { "after", app, nil, 2, "seen" } }, log)
    dewar.signals.before_render_template:disconnect(before, app)
    dewar.signals.template_rendered:disconnect(after, app)
  end)

  describe("may be rendered by another engine", function()
    --- {{name}} is a value.
    local function fill(text, context)
      return (text:gsub("{{(%w+)}}", function(name) return dewar.escape(context[name]) end))
    end

    it("with the same context", function()
      local app, seen = dewar.app { name = "toy" }, nil
      app.template_engine = {
        render = function(of, name, context)
          dewar.sleep(0)
          seen = { of, name, next(context) }
          return fill("{{greeting}}, {{name}} of {{site}}: " .. context.url_for("hi"), context)
        end,
        render_string = function(_, text, context) return fill(text, context) end,
      }
      app:context_processor(function() return { site = "<S>", name = "nobody" } end)
      app:template_global("greeting", "Hello")
      app:get("/hi", { endpoint = "hi" }, function() return dewar.render_template("x.toy", { name = "Ada" }) end)
      app:get("/string", function() return dewar.render_template_string("{{name}} <%= name %>", { name = "<" }) end)
      app:get("/stream", function() return dewar.stream_template("x.toy", { name = "Bo" }) end)
      local client <close> = app:test_client()
      assert.are.equal("Hello, Ada of &lt;S&gt;: /hi", client:get("/hi").body)
      assert.are.equal(app, seen[1])
      assert.are.equal("x.toy", seen[2])
      assert.are.equal("&lt; <%= name %>", client:get("/string").body)
      assert.are.equal("Hello, Bo of &lt;S&gt;: /hi", client:get("/stream").body)
    end)

    it("that streams itself, and may be async", function()
      local app = dewar.app()
      app.template_engine = {
        render = dewar.async(function() dewar.sleep(0) return "whole" end),
        stream = function(_, name)
          return coroutine.wrap(function() coroutine.yield "pieces of " coroutine.yield(name) end)
        end,
      }
      local pieces = {}
      for piece in app:stream_template "x" do pieces[#pieces + 1] = piece end
      assert.are.same({ "pieces of ", "x" }, pieces)
      assert.are.equal("whole", app:render_template "x")
    end)

    it("around the one that was there", function()
      local app = templates.app { ["a.html"] = "a" }
      local engine = app.template_engine
      app.template_engine = { render = function(...) return "<!-- -->" .. engine.render(...) end }
      assert.are.equal("<!-- -->a", app:render_template "a.html")
    end)

    it("which must have what is called", function()
      local app = dewar.app()
      app.template_engine = {}
      for method, call in pairs { render_template = "render(app, name, context)",
        render_template_string = "render_string(app, text, context)",
        stream_template = "stream(app, name, context)" } do
        local text = message(function() local _ = app[method](app, "x") end)
        assert.matches("^spec/dewar/template_app_spec.lua:%d+: " .. method .. ": the app's template_engine has no ",
          text)
        assert.is_truthy(text:find(call, 1, true))
      end
      app.template_engine = 5
      assert.matches("app.template_engine must be a table with a function render; it is a number",
        (message(app.render_template, app, "x")))
    end)
  end)

  it("are as their page in docs/ has them", function()
    local file = assert(io.open "docs/templates.md")
    local page = file:read "a"
    file:close()
    local files = {}
    for text in page:gmatch "\n```html\n(.-)```" do
      local name = text:match "^<%%# templates/(%S+) %-%%>\n"
      if name then files[name] = text end
    end
    local app = templates.app(files)
    local values = { post = { title = "A & B", author = { name = "Ada" } }, user = { email = "a@b" } }
    assert.are.equal([[
<!doctype html>
<title>A &amp; B - My site</title>
<main>

<h1>A &amp; B</h1>
<p class="author">Ada</p>

</main>
]], app:render_template("page.html", values))
    assert.matches("<title>My site</title>\n<main>\n</main>\n$", app:render_template "base.html")
    assert.are.equal([[
<form method="post">
<label>Email <input name="email" value="a@b"></label>
</form>
]], app:render_template("form.html", values))
    assert.are.equal("<h1><b>A &amp; B</b></h1> <nav><b>A &amp; B</b></nav>\n",
      app:render_template("twice.html", values))
  end)

  it("refuse misuse at the caller's line", function()
    local app = dewar.app()
    local bp = dewar.blueprint "b"
    for text, f in pairs {
      ["render_template takes a template's name, or a list of names; got a number"] = function()
        local _ = app:render_template(5)
      end,
      ["got an empty list"] = function() local _ = app:render_template {} end,
      ["stream_template takes a template's name, or a list of names; got a nil"] = function()
        local _ = app:stream_template()
      end,
      ["render_template_string takes a template as a text; got a table"] = function()
        local _ = app:render_template_string {}
      end,
      ["render_template: the values are a table by name; got a string"] = function()
        local _ = app:render_template("x", "y")
      end,
      ["render_template was used outside of an app's task; call app:render_template instead"] = function()
        local _ = dewar.render_template "x"
      end,
      ["stream_template_string was used outside of an app's task"] = function()
        local _ = dewar.stream_template_string "x"
      end,
      ["template_filter: the first argument is a name as Lua has them; got 'a b'"] = function()
        app:template_filter("a b", print)
      end,
      ["a name as Lua has them; got 'end'"] = function() app:template_global("end", 1) end,
      ["a name as Lua has them; got a number"] = function() bp:app_template_filter(5, print) end,
      ["app_template_global: the first argument is a name"] = function() bp:app_template_global("", 1) end,
      ["template_filter: the filter must be a function; got a number"] = function() app:template_filter("f", 5) end,
      ["app_template_filter: the filter must be a function; got nil"] = function() bp:app_template_filter "f" end,
      ["template_global: the second argument is the value; got nil"] = function() app:template_global "f" end,
      ["app_template_global: the second argument is the value; got nil"] = function() bp:app_template_global "f" end,
      ["context_processor: its argument must be a function; got a table"] = function() app:context_processor {} end,
      ["app_context_processor: its argument must be a function"] = function() bp:app_context_processor() end,
      ["config.TEMPLATES_AUTO_RELOAD is a boolean; got a string"] = function()
        app.config.TEMPLATES_AUTO_RELOAD = "yes"
      end,
    } do
      local said = message(f)
      assert.matches("^spec/dewar/template_app_spec.lua:%d+: ", said)
      assert.is_truthy(said:find(text, 1, true), said .. "\nshould contain: " .. text)
    end
  end)

  it("refuse misuse inside of a request at the caller's line", function()
    local app = dewar.app { config = { TESTING = true } }
    app:get("/", function()
      local _ = dewar.render_template(5)
      return ""
    end)
    local client <close> = app:test_client()
    assert.matches("^spec/dewar/template_app_spec.lua:%d+: render_template takes", (message(client.get, client, "/")))
    for name, f in pairs { template_filter = print, template_global = print, context_processor = print } do
      local said = message(function() app[name](app, name ~= "context_processor" and "x" or f, f) end)
      assert.matches("^spec/dewar/template_app_spec.lua:%d+: " .. name .. " was called after the app had handled", said)
    end
  end)
end)
