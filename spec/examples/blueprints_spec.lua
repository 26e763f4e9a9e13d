-- examples/blueprints: two blueprints, one of them with another in it.
local example = require "spec.support.example"

describe("the library", function()
  local client, app, forget

  before_each(function()
    app, forget = example.load "blueprints/app.lua"
    client = app:test_client()
  end)

  after_each(function()
    client:close()
    forget()
  end)

  local function links(page)
    local urls = {}
    for url in page:gmatch 'href="([^"]*)"' do urls[#urls + 1] = url end
    return urls
  end

  it("leads from the shelves to the books to the API", function()
    local shelves = links(client:get("/").body)
    assert.are.same({ "/shelves/computers", "/shelves/sea" }, shelves)
    local books = links(client:get(shelves[1]).body)
    assert.are.same({ "/books/1", "/books/2" }, books)
    local api = links(client:get(books[1]).body)
    assert.are.same({ "/api/books/1" }, api)
    assert.are.same({
      title = "Programming in Lua",
      author = "Ierusalimschy",
      url = "/api/books/1",
      page = "http://localhost/books/1",
    }, client:get(api[1]):json())
  end)

  it("names its endpoints by their blueprints", function()
    assert.are.equal("/shelves/sea", app:url_for("pages.shelf", { name = "sea" }))
    assert.are.equal("/api/books/2", app:url_for("api.books.show", { id = 2 }))
  end)

  it("lists the books of a shelf", function()
    local books = client:get("/api/books/?shelf=sea"):json().books
    assert.are.equal(1, #books)
    assert.are.equal("Melville", books[1].author)
    assert.are.equal('{"books":[]}\n', client:get("/api/books/?shelf=none").body)
  end)

  it("answers errors of its pages in HTML", function()
    for _, path in ipairs { "/books/9", "/shelves/none", "/nowhere" } do
      local res = client:get(path)
      assert.are.equal(404, res.status)
      assert.is_truthy(res.body:find("<h1>404</h1>", 1, true), path)
    end
    assert.is_truthy(client:get("/shelves/%3Cb%3E").body:find("called &lt;b&gt;.", 1, true))
  end)

  it("answers errors of its API in JSON", function()
    for _, path in ipairs { "/api/books/9", "/api/nowhere" } do
      local res = client:get(path)
      assert.are.equal(404, res.status)
      assert.are.equal(404, res:json().status)
    end
    local res = client:delete("/api/books/1")
    assert.are.equal(405, res.status)
    assert.are.equal("GET, HEAD, OPTIONS", res.headers.allow)
    assert.are.equal(405, res:json().status)
  end)

  it("runs the hooks of the API for the routes of the API", function()
    assert.are.equal("*", client:get("/api/books/1").headers.access_control_allow_origin)
    assert.is_nil(client:get("/books/1").headers.access_control_allow_origin)
  end)
end)
