-- examples/quickstart: in the process, and as the command serves it.
local dewar = require "dewar"
local example = require "spec.support.example"
local process = require "spec.support.process"

describe("the quickstart", function()
  local client

  before_each(function() client = example.load("quickstart/app.lua"):test_client() end)
  after_each(function() client:close() end)

  it("greets with a page", function()
    local res = client:get("/")
    assert.are.equal("<h1>Hello, World!</h1>", res.body)
    assert.are.equal("text/html; charset=utf-8", res.headers.content_type)
  end)

  it("greets by name, as text", function()
    local res = client:get("/hello/Ada%20%3Cb%3E")
    assert.are.equal("Hello, Ada <b>!\n", res.body)
    assert.are.equal("text/plain; charset=utf-8", res.headers.content_type)
  end)

  it("lists notes as JSON", function()
    local notes = client:get("/notes"):json().notes
    assert.are.equal(2, #notes)
    assert.are.same({ id = 1, text = "Water the plants" }, notes[1])
  end)

  it("shows a note, or says that there is none", function()
    assert.are.equal("Water the plants", client:get("/notes/1"):json().text)
    local res = client:get("/notes/99")
    assert.are.equal(404, res.status)
    assert.are.same({ error = "There is no such note.", path = "/notes/99" }, res:json())
    assert.are.equal(404, client:get("/notes/first").status)
  end)

  it("takes a note, and says where it is", function()
    local res = client:post("/notes", { json = { text = "Sleep" } })
    assert.are.equal(201, res.status)
    assert.are.equal("/notes/3", res.headers.location)
    assert.are.same({ id = 3, text = "Sleep" }, client:get("/notes/3"):json())
  end)

  it("refuses a note without a text, and what is no JSON", function()
    local res = client:post("/notes", { json = { title = "Sleep" } })
    assert.are.equal(400, res.status)
    assert.is_truthy(res:json().error:find("'text'", 1, true))
    assert.are.equal(415, client:post("/notes", { form = { text = "Sleep" } }).status)
  end)

  it("says which methods there are", function()
    local res = client:delete("/notes/1")
    assert.are.equal(405, res.status)
    assert.are.equal("GET, HEAD, OPTIONS", res.headers.allow)
  end)

  it("tells the time a view took in every answer", function()
    for _, path in ipairs { "/", "/nowhere" } do
      assert.is_truthy(client:get(path).headers.server_timing:find "^view;dur=%d")
    end
  end)

  it("makes tea while it serves others", function()
    local order = {}
    local function get(path)
      return function()
        client:get(path)
        order[#order + 1] = path
      end
    end
    dewar.gather(get "/tea?seconds=0.2", get "/tea?seconds=0.1", get "/notes")
    assert.are.same({ "/notes", "/tea?seconds=0.1", "/tea?seconds=0.2" }, order)
  end)
end)

describe("the quickstart, served by the command", function()
  after_each(process.stop_all)

  it("answers over a socket, and stops when asked to", function()
    local server = process.serve("examples/quickstart/app.lua")
    assert.are.equal("<h1>Hello, World!</h1>", (process.get(server.url .. "/")))
    local body = process.get(server.url .. "/notes", "--json", '{"text":"Sleep"}')
    assert.are.same({ id = 3, text = "Sleep" }, dewar.json.decode(body))
    assert.are.equal('{"after":0,"tea":"ready"}\n', (process.get(server.url .. "/tea?seconds=0")))
    server:signal "TERM"
    assert.are.equal(0, server:wait())
  end)
end)
