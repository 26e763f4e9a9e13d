-- Templates that wait, and templates that are sent in pieces.

local clean = require "spec.support.clean"
local dewar = require "dewar"
local templates = require "spec.support.templates"

describe("a template that waits", function()
  clean.watch(before_each, after_each)
  after_each(templates.clean)

  it("may do so wherever it runs Lua", function()
    local app = templates.app {
      ["base.html"] = [[<% wait() %><% block "b" %><% end %><%= wait "end" %>]],
      ["macros.html"] = [[<% wait() function m() %><%= wait "macro" %><% end %>]],
      ["part.html"] = [[<%= wait "include" %>]],
      ["page.html"] = [[<% wait() extends "base.html" %><% local m = import "macros.html" %><% block "b" %><%
        for x in rows() do %><%= x %>,<% end %><%- wait "raw" %>,<% if wait(true) then %>if,<% end
        %><% m.m() %>,<% include "part.html" %>,<%= capture(wait, "nothing") %><%
        local c = capture(function() %><%= wait "capture" %><% end) %><%= c %>,<%= object %>,<%= object.field %>,<%
        for x in coroutine.wrap(function() coroutine.yield(wait "generator") end) do %><%= x %>,<% end
        super() %><% end %>]],
    }
    local function wait(x)
      dewar.sleep(0)
      return x
    end
    local values = {
      wait = wait,
      rows = function()
        local n = 0
        return function()
          n = n + 1
          return wait(n < 3 and n or nil)
        end
      end,
      object = setmetatable({}, {
        __html = function() return wait "object" end,
        __index = function() return wait "field" end,
      }),
    }
    local want = "1,2,raw,if,macro,include,capture,object,field,generator,end"
    app:get("/", function() return dewar.render_template("page.html", values) end)
    app:get("/stream", function() return dewar.stream_template("page.html", values) end)
    local client <close> = app:test_client()
    assert.are.equal(want, client:get("/").body)
    assert.are.equal(want, client:get("/stream").body)
    -- Outside of a task, a wait turns the loop.
    assert.are.equal(want, app:render_template("page.html", values))
  end)

  it("doesn't see what another one shows meanwhile", function()
    local app = dewar.app()
    app:get("/<name>", function(req, name)
      dewar.g.name = name
      return dewar.render_template_string([[<% for i = 1, 5 do wait() %><%= name %><%= g.name %><%
        local c = capture(function() wait() %><%= request.path %><% end) %><%= c %>,<% end %>]],
        { name = name, wait = function() dewar.sleep(0) end })
    end)
    local client <close> = app:test_client()
    local function get(name)
      return function() return client:get("/" .. name).body end
    end
    local a, b, c = dewar.gather(get "a", get "b", get "c")
    assert.are.equal(("aa/a,"):rep(5), a)
    assert.are.equal(("bb/b,"):rep(5), b)
    assert.are.equal(("cc/c,"):rep(5), c)
  end)

  it("leaves nothing behind when its client goes away", function()
    local app, ended = dewar.app(), false
    app:get("/", function()
      return dewar.render_template_string("<% wait() %>", { wait = function()
        local _ <close> = setmetatable({}, { __close = function() ended = true end })
        dewar.sleep(100)
      end })
    end)
    local client = app:test_client()
    local task = dewar.spawn(client.get, client, "/")
    dewar.sleep(0.01)
    task:cancel()
    pcall(dewar.await, task)
    client:close()
    assert.is_true(ended)
  end)
end)

describe("a template in pieces", function()
  clean.watch(before_each, after_each)
  after_each(templates.clean)

  local function pieces_of(pieces)
    local list = {}
    for piece in pieces do list[#list + 1] = piece end
    return list
  end

  it("gives out what is ready before something is called", function()
    local app = dewar.app()
    local log = {}
    local function note(x)
      log[#log + 1] = x
      return x
    end
    local pieces = app:stream_template_string(
      "<h1><%= title %></h1><%= note(1) %> <%= title %> <% for i = 2, 3 do note(i) %><p><%= i %></p><% end %>end",
      { title = "T", note = note })
    assert.are.same({}, log)
    assert.are.equal("<h1>T</h1>", pieces())
    assert.are.same({}, log)
    assert.are.equal("1 T ", pieces())
    assert.are.same({ 1 }, log)
    assert.are.equal("<p>2</p>", pieces())
    assert.are.same({ 1, 2 }, log)
    assert.are.equal("<p>3</p>", pieces())
    assert.are.equal("end", pieces())
    assert.is_nil(pieces())
  end)

  it("is the same in all as the whole", function()
    local app = templates.app {
      ["base.html"] = [[<html><% block "a" %>A<% end %>|<% block "b" %>B<% end %></html>]],
      ["part.html"] = [[(<%= x %><% f() %>)]],
      ["macros.html"] = [[text <% function m(x) %>{<%= f(x) %>}<% end %>]],
      ["page.html"] = [[gone <%= f() %><% extends "base.html" %> gone
        <% local macros = import "macros.html" %>
        <% block "a" %><% super() %><% for i = 1, 3 do include("part.html", { x = i }) end %><% end %>
        <% block "b" %><% local c = capture(function() macros.m(1) f() macros.m(2) end) %><%= c %><%
          macros.m(3) %><% (f or print)() %><%= f(4) %><% if f(x) then %>x<% elseif f(1) then %>y<% else %>z<% end %><%
          repeat %>r<% until f(true) %><% end %>]],
    }
    local values = { f = function(x) return x end }
    local whole = app:render_template("page.html", values)
    local list = pieces_of(app:stream_template("page.html", values))
    assert.are.equal(whole, table.concat(list))
    assert.is_true(#list > 5)
    for _, piece in ipairs(list) do assert.are_not.equal("", piece) end
  end)

  it("is nothing where there is nothing", function()
    local app = dewar.app()
    assert.are.same({}, pieces_of(app:stream_template_string ""))
    assert.are.same({}, pieces_of(app:stream_template_string("<% f() %><%= f() %>", { f = function() end })))
    assert.are.same({ "text" }, pieces_of(app:stream_template_string "text"))
  end)

  it("is sent before the template waits, with the request's context", function()
    local app, event = dewar.app(), dewar.event()
    app:get("/<name>", { endpoint = "user" }, function(_, name)
      dewar.g.name = name
      return dewar.stream_template_string([[first,<% wait() %><%= g.name %> <%= request.path %> <%=
        url_for("user", { name = "y" }) %>]], { wait = function() event:wait() end })
    end)
    app:teardown_request(function() event:clear() end)
    local client <close> = app:test_client()
    local part = client:get("/x", { stream = true })
    local chunks = part:chunks()
    assert.are.equal("first,", chunks())
    event:set()
    local rest = {}
    for chunk in chunks do rest[#rest + 1] = chunk end
    assert.are.equal("x /x /y", table.concat(rest))
  end)

  it("doesn't mix with the values of a generator in it", function()
    local app = dewar.app()
    local list = pieces_of(app:stream_template_string([[a<% for x in coroutine.wrap(function() %>b<%
      f() coroutine.yield(1) %>c<% f() coroutine.yield(2) end) do %><%= x %><% end %>d]], { f = function() end }))
    assert.are.equal("ab1c2d", table.concat(list))
  end)

  it("waits for no piece where C calls the template", function()
    local text = [[a<% local s = ("xyz"):gsub("y", function() %>Y<%= f() %><% return "-" end) %><%= s %><%
      table.sort(list, function(a, b) %>.<%= f() %><% return a < b end) %><%= list[1] %>]]
    local app = dewar.app()
    local function values() return { list = { 2, 1 }, f = function() end } end
    assert.are.equal(app:render_template_string(text, values()),
      table.concat(pieces_of(app:stream_template_string(text, values()))))
  end)

  it("is told before the first piece what can't be", function()
    local app = dewar.app { config = { TESTING = true } }
    app:context_processor(function(req)
      if req and req.args.fail then dewar.abort(418) end
    end)
    app:get("/missing", function() return dewar.stream_template "none.html" end)
    app:get("/broken", function() return dewar.stream_template_string "text <% if x %>" end)
    app:get("/processor", function() return dewar.stream_template_string "text" end)
    local client <close> = app:test_client()
    local ok, err = pcall(client.get, client, "/missing")
    assert.is_false(ok)
    assert.is_true(dewar.TemplateNotFound:is(err))
    ok, err = pcall(client.get, client, "/broken")
    assert.is_false(ok)
    assert.is_true(dewar.TemplateSyntaxError:is(err))
    assert.are.equal(418, client:get("/processor?fail=1").status)
    assert.are.equal("text", client:get("/processor").body)
  end)

  it("is cut off by an error in its midst, which is told with its line", function()
    local app = templates.app { ["page.html"] = "first\n<% wait() %>\n<% error 'oh' %>last" }
    local log, sink, torn = {}, dewar.log.sink, nil
    app:get("/", function() return dewar.stream_template("page.html", { wait = function() dewar.sleep(0) end }) end)
    app:teardown_request(function(_, err) torn = err end)
    dewar.log.sink = function(_, text) log[#log + 1] = text end
    local client = app:test_client()
    local part = client:get("/", { stream = true })
    assert.are.equal(200, part.status)
    local got = {}
    local ok, err = pcall(function()
      for chunk in part:chunks() do got[#got + 1] = chunk end
    end)
    client:close()
    dewar.log.sink = sink
    assert.is_false(ok)
    assert.are.equal("ECONNRESET", err.code)
    assert.are.equal("first\n\n", table.concat(got))
    assert.matches("page.html:3: oh$", torn)
    assert.matches("page.html:3: oh\nstack traceback:\n.*page.html:3: in ", table.concat(log, "\n"))
  end)

  it("leaves nothing behind when its client goes away", function()
    local app, ended = dewar.app(), 0
    app:get("/", function()
      return dewar.stream_template_string([[x<% local guard <close> = guard() wait() %>]], {
        wait = function() dewar.sleep(100) end,
        guard = function() return setmetatable({}, { __close = function() ended = ended + 1 end }) end,
      })
    end)
    local client <close> = app:test_client()
    local part = client:get("/", { stream = true })
    assert.are.equal("x", part:chunks()())
    part:close()
    assert.are.equal(1, ended)
  end)

  it("isn't run for HEAD", function()
    local app, ran = dewar.app(), false
    app:get("/", function() return dewar.stream_template_string("<% f() %>", { f = function() ran = true end }) end)
    local client <close> = app:test_client()
    assert.are.equal(200, client:head("/").status)
    assert.is_false(ran)
  end)
end)

describe("templates", function()
  it("give their memory back", function()
    local app = templates.app { ["base.html"] = [[<% block "b" %><% end %>]],
      ["page.html"] = [[<% extends "base.html" %><% block "b" %><%
        local c = capture(function() include "part.html" end) %><%= c %><% end %>]], ["part.html"] = "part <%= n %>" }
    local n = 0
    clean.keeps_memory(function()
      n = n + 1
      app:render_template("page.html", { n = n })
      for _ in app:stream_template("page.html", { n = n }) do end
    end)
    templates.clean()
  end)
end)
