-- Templates that use others: layouts with blocks, includes, imports, captures.

local dewar = require "dewar"
local templates = require "spec.support.templates"

describe("templates together", function()
  after_each(templates.clean)

  local function render(files, values, name)
    return templates.app(files):render_template(name or "page.html", values)
  end

  local function failure(files, name)
    local app = templates.app(files)
    local ok, err = pcall(app.render_template, app, name or "page.html")
    assert.is_false(ok, "rendered: " .. tostring(err))
    return (tostring(err):gsub(app.template_folder:gsub("%p", "%%%0"), "templates")), err
  end

  describe("in a layout", function()
    local BASE = [[<title><% block "title" %>Site<% end %></title><% block "body" %>-<% end %>]]

    it("show a block's own content where none is given", function()
      assert.are.equal("<title>Site</title>-", render({ ["page.html"] = BASE }))
      assert.are.equal("<title>Site</title>-", render { ["base.html"] = BASE,
        ["page.html"] = '<% extends "base.html" %>' })
    end)

    it("put their blocks in its place, and nothing else", function()
      assert.are.equal("<title>Page</title>&lt;x&gt;", render({ ["base.html"] = BASE,
        ["page.html"] = [[ignored <%# x %>
          <% extends "base.html" %> ignored <%= x %>
          <% block("title") %>Page<% end %> ignored
          <% block 'body' %><%= x %><% end %> ignored]] }, { x = "<x>" }))
    end)

    it("may go three deep, with super at each level", function()
      local files = {
        ["base.html"] = [[<% block "a" %>base<% end %>|<% block "b" %>base<% end %>|<% block "c" %>base<% end %>]],
        ["middle.html"] = [[<% extends "base.html" %><% block "a" %>middle(<% super() %>)<% end %>
          <% block "c" %>middle<% end %>]],
        ["page.html"] = [[<% extends "middle.html" %><% block "a" %>page(<%= super() %>)<% end %>
          <% block "b" %>page[<%- super() %>]<% end %>]],
      }
      assert.are.equal("page(middle(base))|page[base]|middle", render(files))
      assert.are.equal("middle(base)|base|middle", render(files, nil, "middle.html"))
      assert.are.equal("base|base|base", render(files, nil, "base.html"))
    end)

    it("may have blocks in blocks, which others override", function()
      local files = {
        ["base.html"] = [[<% block "outer" %>[<% block "inner" %>base<% end %>]<% end %>]],
        ["middle.html"] = [[<% extends "base.html" %>
          <% block "outer" %>(<% block "new" %>m<% end %><% super() %>)<% end %>]],
        ["page.html"] = [[<% extends "middle.html" %><% block "new" %>page<% super() %><% end %>
          <% block "inner" %>own<% super() %><% end %>]],
      }
      assert.are.equal("(pagem[ownbase])", render(files))
      assert.are.equal("(m[base])", render(files, nil, "middle.html"))
    end)

    it("may have blocks in loops, which see what is around them", function()
      local files = {
        ["base.html"] = [[<% for i = 1, 3 do %><% block "item" %><%= i %>,<% end %><% end %>]],
        ["page.html"] = [[<% extends "base.html" %><% local n = 0 %>
          <% block "item" %><% n = n + 1 %><%= n %>:<% super() %><% end %>]],
      }
      assert.are.equal("1,2,3,", render(files, nil, "base.html"))
      assert.are.equal("1:1,2:2,3:3,", render(files))
    end)

    it("may give it more than blocks: what they set is set there", function()
      assert.are.equal("<h1>A &amp; B</h1>", render { ["base.html"] = "<h1><%= title %></h1>",
        ["page.html"] = [[<% extends "base.html" %><% title = "A & B" %>]] })
    end)

    it("may choose it, or none", function()
      local files = {
        ["base.html"] = [[base <% block "b" %><% end %>]],
        ["other.html"] = [[other <% block "b" %><% end %>]],
        ["page.html"] = [[<% if layout then extends(layout) end %><p><% block "b" %>page<% end %></p>]],
      }
      assert.are.equal("<p>page</p>", render(files))
      assert.are.equal("base page", render(files, { layout = "base.html" }))
      assert.are.equal("other page", render(files, { layout = { "none.html", "other.html" } }))
    end)

    it("may return early from a block", function()
      assert.are.equal("<a>", render { ["page.html"] = [[<<% block "b" %>a<% return %>b<% end %>>]] })
      assert.are.equal("<a>", render { ["base.html"] = [[<<% block "b" %><% end %>>]],
        ["page.html"] = [[<% extends "base.html" %><% block "b" %>a<% if true then return end %>b<% end %>]] })
    end)

    it("are told of a block that it doesn't have", function()
      local message, err = failure { ["base.html"] = BASE,
        ["page.html"] = "<% extends 'base.html' %>\n<% block 'titel' %>x<% end %>" }
      assert.are.equal("TemplateSyntaxError: templates/page.html:2: there is no block 'titel' in 'base.html'; "
        .. "did you mean 'title'?", message)
      assert.are.equal("page.html", err.template)
      assert.are.equal(2, err.line)
    end)

    it("are told of blocks that can't be", function()
      assert.matches("page.html:2: there is a block 'a' already, at line 1",
        (failure { ["page.html"] = "<% block 'a' %><% end %>\n<% block 'a' %><% end %>" }))
      for _, tag in ipairs {
        "block(name)", "block 'a' f()", "block('a'", "block [[a]]", "block ''", "block a",
        "local b = block 'a'", "if x then block('a')",
      } do
        local closing = tag:find "if" and "<% end end %>" or "<% end %>"
        local message = failure { ["page.html"] = "\n<% " .. tag .. " %>x" .. closing }
        if tag:find "name" then
          assert.matches("page.html:2: ", message)
        else
          assert.matches("page.html:2: a block's tag holds its name, as it is, and nothing else", message)
        end
      end
      assert.matches("page.html:2: the block 'a' that starts here isn't closed",
        (failure { ["page.html"] = "\n<% block 'a' %>x\n\n" }))
      assert.matches("page.html:3: this 'until' can't close the block 'a' of line 1",
        (failure { ["page.html"] = "<% block 'a' %>\n\n<% until x %>" }))
    end)

    it("are told of super where there is none", function()
      assert.matches("page.html:2: super: no template that this one extends has a block 'a'",
        (failure { ["page.html"] = "<% block 'a' %>\n<% super() %><% end %>" }))
      assert.matches("page.html:1: super is at hand inside of a block", (failure { ["page.html"] = "<% super() %>" }))
    end)

    it("are told when they extend each other in a circle", function()
      assert.matches("b.html:2: templates extend each other in a circle: 'page.html', 'b.html', 'page.html'",
        (failure { ["page.html"] = "<% extends 'b.html' %>", ["b.html"] = "\n<% extends 'page.html' %>" }))
    end)

    it("are told of extends twice, too late, or of nothing", function()
      local files = { ["base.html"] = BASE }
      files["page.html"] = "<% extends 'base.html' %>\n<% extends 'base.html' %>"
      assert.matches("page.html:2: extends: 'base.html' is extended already", (failure(files)))
      files["page.html"] = "<% block 'title' %><% end %>\n<% extends 'base.html' %>"
      assert.matches("page.html:2: extends must come before the first block", (failure(files)))
      files["page.html"] = "\n\n<% extends(layout) %>"
      assert.matches("page.html:3: extends takes a template's name; got a nil", (failure(files)))
      files["page.html"] = "\n\n<% extends 'bse.html' %>"
      local message, err = failure(files)
      assert.matches("page.html:3: there is no template 'bse.html' in templates$", message)
      assert.is_true(dewar.TemplateNotFound:is(err))
      assert.are.equal("bse.html", err.template)
    end)

    it("fail at their own line, inside of blocks of a layout", function()
      assert.matches("^templates/page.html:3: ", (failure { ["base.html"] = BASE,
        ["page.html"] = "<% extends 'base.html' %><% block 'body' %>\n\n<% nothing() %><% end %>" }))
    end)
  end)

  describe("that include others", function()
    it("give them values on top of their own", function()
      assert.are.equal("[1 2][3 2][1 4]", render({
        ["page.html"] = [[<% include "card.html" %><% include("card.html", { a = 3 }) %><%-
          include("card.html", { b = 4 }) %>]],
        ["card.html"] = "[<%= a %> <%= b %>]",
      }, { a = 1, b = 2 }))
    end)

    it("keep their own locals and variables", function()
      assert.are.equal("nil 1", render({
        ["page.html"] = [[<% local b = 2 %><% include "card.html" %> <%= a %>]],
        ["card.html"] = "<% a = 5 %><%= tostring(b) %>",
      }, { a = 1 }))
    end)

    it("include them again and again, and themselves", function()
      local tree = { name = "a", { name = "b", { name = "c" } }, { name = "d" } }
      assert.are.equal("a(b(c)d)", render({
        ["page.html"] = [[<%= node.name %><% if #node > 0 then %>(<% for _, n in ipairs(node) do
          include("page.html", { node = n }) end %>)<% end %>]],
      }, { node = tree }))
    end)

    it("are told when that doesn't end", function()
      local message = failure { ["page.html"] = "\n<% include 'page.html' %>" }
      assert.matches("page.html:2: include: 'page.html' is 100 templates deep", message)
    end)

    it("include those with a layout of their own", function()
      assert.are.equal("1[2card2]3", render {
        ["page.html"] = [[1<% block "b" %><% include "card.html" %><% end %>3]],
        ["card.html"] = [[<% extends "frame.html" %><% block "b" %>card<% end %>]],
        ["frame.html"] = [=[[2<% block "b" %><% end %>2]]=],
      })
    end)

    it("may include the first that there is, or none", function()
      local files = { ["card.html"] = "card" }
      files["page.html"] = [[<% include { "none.html", "card.html" } %>]]
      assert.are.equal("card", render(files))
      files["page.html"] = [[<<% include("none.html", nil, { optional = true }) %>>]]
      assert.are.equal("<>", render(files))
    end)

    it("are told what is wrong", function()
      local files = { ["card.html"] = "\n<% no() %>" }
      local function said(tag)
        files["page.html"] = "\n<% " .. tag .. " %>"
        return (failure(files))
      end
      assert.matches("page.html:2: there is no template 'none.html' in templates$", said "include 'none.html'")
      assert.matches("there is no template 'a' or 'b' in", said "include { 'a', 'b' }")
      assert.matches("page.html:2: include takes a template's name; got a nil", said "include(nothing)")
      assert.matches("page.html:2: include: the values are a table by name; got a string",
        said "include('card.html', 'x')")
      assert.matches("page.html:2: include: unknown option 'optinal'; did you mean 'optional'",
        said "include('card.html', {}, { optinal = true })")
      assert.matches("^templates/card.html:2: attempt to call a nil value", said "include 'card.html'")
    end)
  end)

  describe("that import others", function()
    local FORMS = [[text around<% function field(name, value) -%>
<input name="<%= name %>" value="<%= value %>">
<%- label() %><% end %><% function label() %>(<%= site %>)<% end %>]]

    it("have their functions", function()
      assert.are.equal('<input name="a" value="&lt;">\n(Dewar)', render({
        ["forms.html"] = FORMS, ["page.html"] = [[<% local forms = import "forms.html" -%>
<% forms.field("a", "<") %>]] }, { site = "Dewar" }))
    end)

    it("have what they return", function()
      assert.are.equal("x", render { ["page.html"] = [[<% local f = import "f.html" %><% f() %>]],
        ["f.html"] = "<% local function f() %>x<% end %>\n<% return f %>\n" })
    end)

    it("run them once, wherever they are imported", function()
      local n = 0
      assert.are.equal("1 1", render({ ["page.html"] = [[<%= import("m.html").n %> <% include "part.html" %>]],
        ["part.html"] = [[<%= import("m.html").n %>]], ["m.html"] = "<% n = count() %>",
      }, { count = function() n = n + 1 return n end }))
    end)

    it("are told when that doesn't end, or there is nothing", function()
      assert.matches("import: 'a.html' is 100 templates deep",
        (failure { ["page.html"] = "<% import 'a.html' %>", ["a.html"] = "<% import 'a.html' %>" }))
      assert.matches("page.html:2: there is no template 'a.html'",
        (failure { ["page.html"] = "\n<% import 'a.html' %>" }))
      assert.matches("page.html:1: import takes a template's name", (failure { ["page.html"] = "<% import() %>" }))
    end)
  end)

  describe("that capture", function()
    it("have what was given out as a safe string", function()
      assert.are.equal("1[<b>&lt;2</b>][<b>&lt;2</b>]&lt;3<b>", render({
        ["page.html"] = [[1<% local c = capture(function() %><b><%= v %></b><% end) -%>
<% local d = capture(function(x) %><%= x %><% end, "<3") %>[<%= c %>][<%= tostring(c) and c %>]<%= d .. b %>]] },
        { v = "<2", b = dewar.markup "<b>" }))
    end)

    it("have plain text in templates that aren't HTML", function()
      assert.are.equal("<2> <", render({
        ["page.txt"] = [[<% local c = capture(function() %><<%= v %>><% end) %><%= c .. " <" %>]],
      }, { v = 2 }, "page.txt"))
    end)

    it("take a function", function()
      for _, what in ipairs { "nil", "1", "{}" } do
        assert.matches("page.html:2: capture takes a function; got a ",
          (failure { ["page.html"] = "\n<%= capture(" .. what .. ") %>" }))
      end
    end)

    it("show nothing of what failed", function()
      assert.are.equal("1 false 3", render({
        ["page.html"] = [[1 <% local ok = pcall(capture, function() %>2<% error "no" end) %><%= ok %> 3]] }))
    end)

    it("capture includes, blocks and captures", function()
      assert.are.equal("<<[card]>>", render {
        ["page.html"] = [[<% block "b" %><% local c = capture(function() %><<% local d = capture(function() %>[<%
          include "card.html" %>]<% end) %><%= d %>><% end) %><<%= c %>><% end %>]],
        ["card.html"] = "card",
      })
    end)

    it("can show a block twice", function()
      local files = {
        ["base.html"] = [[<% local title = capture(function() %><% block "title" %>Site<% end %><% end) -%>
<title><%= title %></title><h1><%= title %></h1>]],
        ["page.html"] = [[<% extends "base.html" %><% block "title" %>A &amp; B<% end %>]],
      }
      assert.are.equal("<title>A &amp; B</title><h1>A &amp; B</h1>", render(files))
    end)
  end)
end)
