-- Text as HTML: dewar.escape and dewar.markup.

local dewar = require "dewar"

describe("dewar.escape", function()
  it("escapes what means something in HTML", function()
    assert.are.equal("&lt;a href=&quot;x&quot;&gt;Q&amp;A&#39;s&lt;/a&gt;",
      dewar.escape "<a href=\"x\">Q&A's</a>")
    assert.are.equal("a\0&lt;b", dewar.escape "a\0<b")
    local long = ("x"):rep(5000) .. "<" .. ("y"):rep(5000)
    assert.are.equal((long:gsub("<", "&lt;")), dewar.escape(long))
  end)

  it("gives the text of other values", function()
    assert.are.equal("5", dewar.escape(5))
    assert.are.equal("2.5", dewar.escape(2.5))
    assert.are.equal("true", dewar.escape(true))
    assert.are.equal("", dewar.escape(nil))
    local object = setmetatable({}, { __tostring = function() return "<o>" end })
    assert.are.equal("&lt;o&gt;", dewar.escape(object))
  end)

  it("takes what says that it is HTML as it is, and may wait for it", function()
    local object = setmetatable({ name = "b" }, { __html = function(self)
      dewar.sleep(0)
      return "<" .. self.name .. ">"
    end })
    assert.are.equal("<b>", dewar.run(dewar.escape, object))
    local wrong = setmetatable({}, { __html = function() return 5 end })
    assert.has_error(function() dewar.escape(wrong) end, "__html must return a string; it returned a number")
  end)

  it("doesn't take a field of a table for a promise that it is HTML", function()
    local ok, err = pcall(dewar.escape, dewar.json.decode [[{"__html":"<script>"}]])
    assert.is_false(ok)
    assert.matches("a table has no text", err)
  end)

  it("refuses what has no text, at the caller's line", function()
    local ok, err = pcall(function() local _ = dewar.escape({}) end)
    assert.is_false(ok)
    assert.matches("^spec/dewar/markup_spec.lua:%d+: a table has no text: give one of its fields", err)
    ok, err = pcall(dewar.escape, function() end)
    assert.is_false(ok)
    assert.matches("a function has no text; call it", err)
  end)

  it("tells Lua's own names from values that weren't given", function()
    local app = dewar.app()
    for name, kind in pairs { error = "function", table = "table" } do
      local ok, err = pcall(app.render_template_string, app, "<%= " .. name .. " %>", { other = 1 })
      assert.is_false(ok)
      local said = ("a %s has no text; this is Lua's own '%s': was no value of that name given?"):format(kind, name)
      assert.is_truthy(tostring(err):find(said, 1, true), err)
    end
  end)
end)

describe("dewar.markup", function()
  local markup = dewar.markup

  it("is HTML already, with its text as its string", function()
    local m = markup "<b>"
    assert.are.equal("<b>", tostring(m))
    assert.are.equal("<b>", dewar.escape(m))
    assert.are.equal(3, #m)
    assert.is_true(m == markup "<b>")
    assert.is_false(m == markup "<i>")
    assert.are.equal("<b>", tostring(markup(m)))
    assert.are.equal("", tostring(markup(nil)))
  end)

  it("stays safe when it is joined: the rest is escaped", function()
    local m = "<1>" .. markup "<b>" .. "<2>" .. 3
    assert.are.equal("&lt;1&gt;<b>&lt;2&gt;3", tostring(m))
    assert.are.equal(tostring(m), dewar.escape(m))
  end)

  it("formats with its arguments escaped", function()
    local link = markup '<a href="%s" tabindex=%d>%s%s</a>'
    assert.are.equal('<a href="/?a&amp;b" tabindex=2>&lt;x&gt;<b></a>',
      tostring(link:format("/?a&b", 2, "<x>", markup "<b>")))
  end)

  it("refuses what has no text", function()
    assert.has_error(function() markup {} end)
    assert.has_error(function() return markup "x" .. {} end)
  end)
end)
