-- Flashed messages.
local dewar = require "dewar"
local clean = require "spec.support.clean"

clean.watch(before_each, after_each)

describe("flashed messages", function()
  local app, client, view

  before_each(function()
    app = dewar.app { config = { TESTING = true, SECRET_KEY = "a key for specs" } }
    app:get("/", function(req) return dewar.json.encode(view(req) or dewar.null) end)
    client = app:test_client()
  end)
  after_each(function() client:close() end)

  local function ask(f)
    view = f
    return client:get("/"):json()
  end

  it("are kept for the next page, and shown once", function()
    ask(function()
      dewar.flash "saved"
      dewar.flash("the disk is full", "warning")
    end)
    ask(function() end)
    assert.are.same({ "saved", "the disk is full" }, ask(function() return dewar.get_flashed_messages() end))
    assert.is_nil(client.cookies.session)
    assert.are.same({}, ask(function() return dewar.array(dewar.get_flashed_messages()) end))
  end)

  it("are the same however often a request asks", function()
    ask(function() dewar.flash "one" end)
    ask(function()
      local first = dewar.get_flashed_messages()
      table.remove(first)
      dewar.flash "for the next page"
      assert.are.same({ "one" }, dewar.get_flashed_messages())
      dewar.await(dewar.spawn(function()
        assert.are.same({ "one" }, dewar.get_flashed_messages())
      end))
    end)
    assert.are.same({ "for the next page" }, ask(function() return dewar.get_flashed_messages() end))
  end)

  it("can be shown by the request that flashed them", function()
    assert.are.same({ "now" }, ask(function()
      dewar.flash "now"
      return dewar.get_flashed_messages()
    end))
    assert.is_nil(client.cookies.session)
  end)

  it("come with their categories, or only those of some", function()
    ask(function()
      dewar.flash "one"
      dewar.flash("two", "error")
      dewar.flash("three", "note")
    end)
    ask(function()
      assert.are.same({ { "message", "one" }, { "error", "two" }, { "note", "three" } },
        dewar.get_flashed_messages { with_categories = true })
      assert.are.same({ "two", "three" }, dewar.get_flashed_messages { category_filter = { "note", "error" } })
      assert.are.same({ { "error", "two" } },
        dewar.get_flashed_messages { category_filter = { "error" }, with_categories = true })
      assert.are.same({}, dewar.get_flashed_messages { category_filter = { "other" } })
      assert.are.equal(3, #dewar.get_flashed_messages { category_filter = {} })
    end)
  end)

  it("may be markup, and anything that a session may hold", function()
    ask(function()
      dewar.flash(dewar.markup "<b>bold</b>")
      dewar.flash { n = 5 }
    end)
    ask(function()
      local messages = dewar.get_flashed_messages()
      assert.are.equal(dewar.markup "<b>bold</b>", messages[1])
      assert.are.same({ n = 5 }, messages[2])
    end)
  end)

  it("are told to who listens to message_flashed", function()
    local told = {}
    dewar.signals.message_flashed:connected_to(function(sender, fields)
      told[#told + 1] = { sender, fields.message, fields.category }
    end, function()
      ask(function() dewar.flash("listen", "note") end)
    end)
    assert.are.same(1, #told)
    assert.is_true(rawequal(app, told[1][1]))
    assert.are.same({ "listen", "note" }, { told[1][2], told[1][3] })
  end)

  it("outlive whatever else stands at their place", function()
    for _, odd in ipairs { 5, "text", { 5, {}, { "message" }, { "message", "kept" } } } do
      client:session(function(session) session._flashes = odd end)
      local expected = type(odd) == "table" and { "kept" } or {}
      ask(function() assert.are.same(expected, dewar.get_flashed_messages()) end)
      client:session(function(session) session._flashes = type(odd) ~= "table" and odd or nil end)
      ask(function() dewar.flash "new" end)
      ask(function() assert.are.same({ "new" }, dewar.get_flashed_messages()) end)
    end
  end)

  it("say at the caller's line what is wrong", function()
    local function raises(message, f)
      local ok, err = pcall(f)
      assert.is_false(ok)
      assert.matches("flash_spec.lua:%d+: " .. message, err)
    end
    raises("flash works inside a request only", function() dewar.flash "x" end)
    raises("get_flashed_messages works inside a request only", function() dewar.get_flashed_messages() end)
    raises("flash takes a message; got nil", function() ask(function() dewar.flash() end) end)
    raises("flash takes a message that a session can hold; got a function",
      function() ask(function() dewar.flash(print) end) end)
    raises("a flashed message's category is a string; got a table",
      function() ask(function() dewar.flash("x", {}) end) end)
    raises("get_flashed_messages: unknown option 'with_categorys'; did you mean 'with_categories'?",
      function() ask(function() dewar.get_flashed_messages { with_categorys = true } end) end)
    raises("get_flashed_messages: the option 'category_filter' is a table; got a string",
      function() ask(function() dewar.get_flashed_messages { category_filter = "x" } end) end)
    app.config.SECRET_KEY = nil
    raises("the session can't be changed as the app has no secret key",
      function() ask(function() dewar.flash "x" end) end)
  end)
end)
