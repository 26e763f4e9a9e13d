-- app:mount: what can be mounted where, and what is refused.
local dewar = require "dewar"
local caller = require "spec.support.caller"
local clean = require "spec.support.clean"

local outer, inner, client

before_each(function()
  outer, inner = dewar.app { name = "outer" }, dewar.app { name = "inner" }
  client = outer:test_client()
end)
after_each(function() client:close() end)
clean.watch(before_each, after_each)

local function text(words)
  return function() return words end
end

local function where(req)
  return { root = req.script_root, path = req.path, app = req.app.name }
end

describe("mounting", function()
  it("gives the app back", function()
    assert.are.equal(inner, outer:mount("/admin", inner))
  end)

  it("takes the path with its slash, too", function()
    inner:get("/", where)
    outer:mount("/admin/", inner)
    assert.are.equal("/admin", client:get("/admin/"):json().root)
  end)

  it("refuses what is no path", function()
    for _, case in ipairs {
      { nil, "the path to mount at starts with '/'; got a nil" },
      { "admin", "got 'admin'" },
      { "", "got ''" },
      { "//", "'/' has an empty segment" },
      { "/a//b", "'/a//b' has an empty segment" },
      { "/a/..", "has a segment that is '.' or '..'" },
      { "/<name>", "it is plain text, without variables and escapes" },
      { "/a%20b", "plain text" },
      { "/a?b", "plain text" },
      { "/a\nb", "plain text" },
    } do
      caller.refuses(function() outer:mount(case[1], inner) end, (case[2]:gsub("%p", "%%%0")))
    end
  end)

  it("refuses what is no app, and options that it doesn't know", function()
    caller.refuses(function() outer:mount("/admin") end, "mount takes an app, made by dewar.app%(%); got nil")
    caller.refuses(function() outer:mount("/admin", {}) end, "got a table")
    caller.refuses(function() outer:mount("/admin", inner, { hots = "x" }) end,
      "mount: unknown option 'hots'; did you mean 'host'%?")
    caller.refuses(function() outer:mount("/admin", inner, { host = 1 }) end,
      "the option 'host' is a host or a list of them; got a number")
    caller.refuses(function() outer:mount("/admin", inner, { host = {} }) end, "got an empty table")
    caller.refuses(function() outer:mount("/admin", inner, { host = { 1 } }) end, "one is a number")
    caller.refuses(function() outer:mount("/admin", inner, { host = "a b" }) end, "'a b' is no host")
    outer:mount("/admin", inner, "./admin.lua") -- as `require` gives it
  end)

  it("refuses an app in itself, and rings of apps", function()
    local third = dewar.app()
    caller.refuses(function() outer:mount("/admin", outer) end, "can't be mounted in itself")
    outer:mount("/a", inner)
    inner:mount("/b", third)
    caller.refuses(function() third:mount("/c", outer) end, "each would lead to the other")
  end)

  it("refuses a path that has an app, or would hide a rule", function()
    outer:get("/admin/users/<int:id>", text "")
    outer:mount("/other", inner)
    caller.refuses(function() outer:mount("/other/", dewar.app()) end, "'/other' has an app mounted already")
    caller.refuses(function() outer:mount("/admin", inner) end,
      "'/admin' would take all requests of this app's rule '/admin/users/<int:id>'")
    caller.refuses(function() outer:mount("/", inner) end, "would take all requests")
    outer:mount("/admin/groups", inner)
    outer:mount("/adm", inner)
  end)

  it("refuses rules that no request would come to", function()
    outer:mount("/admin", inner)
    caller.refuses(function() outer:get("/admin/x", text "") end,
      "no request would come to '/admin/x': an app is mounted at '/admin'")
    caller.refuses(function() outer:get("/admin", text "") end, "no request would come to '/admin'")
    outer:get("/admin<rest>", text "")
    outer:add_url_rule("/admin/x", { endpoint = "x", build_only = true })
    assert.are.equal("/admin/x", outer:url_for "x")
  end)

  it("leaves an app that was refused as it was", function()
    pcall(outer.mount, outer, "/a//b", inner)
    inner:get("/", text "own")
    assert.are.equal(404, client:get("/a//b/").status)
  end)

  it("must come before the first request", function()
    client:get "/"
    caller.refuses(function() outer:mount("/admin", inner) end,
      "mount was called after the app had handled its first request")
  end)

  it("makes the mounted apps final with the first request to any of them", function()
    local deep = dewar.app()
    inner:mount("/deep", deep)
    outer:mount("/admin", inner)
    deep:get("/", text "")
    client:get "/"
    caller.refuses(function() deep:get("/late", text "") end, "get was called after the app had handled its first")
    caller.refuses(function() inner:before_request(text "") end, "before_request was called after")
  end)

  it("leaves an app alone that has been served by itself", function()
    inner:get("/", text "inner")
    local own <close> = inner:test_client()
    own:get "/"
    outer:mount("/admin", inner)
    assert.are.equal("inner", client:get("/admin/").body)
  end)

  it("keeps nothing of apps that nobody has any more", function()
    clean.keeps_memory(function()
      local a, b, c = dewar.app(), dewar.app(), dewar.app()
      c:get("/", function() return a.name .. dewar.url_for "/" end)
      b:mount("/c", c)
      a:mount("/b", b)
      a:mount("/d", c, { host = "x.example" })
      local one <close> = a:test_client()
      assert(one:get("/b/c/").body == "app/b/c/")
    end)
  end)
end)
