-- The API for programs: a blueprint with another one in it. Registered below
-- /api, the rules of `list` begin with /api/books.

local dewar = require "dewar"
local books = require "books"
local errors = require "errors"

local api = dewar.blueprint("api")
local list = dewar.blueprint("books", { url_prefix = "/books" })

-- A book and where it is: its endpoint is "api.books.show".
local function describe(book)
  return {
    title = book.title,
    author = book.author,
    url = dewar.url_for("api.books.show", { id = book.id }),
    page = dewar.url_for("pages.book", { id = book.id, _external = true }),
  }
end

list:get("/", function(req)
  local found = {}
  for i, book in ipairs(books.list(req.args.shelf)) do found[i] = describe(book) end
  return { books = dewar.array(found) }
end)

list:get("/<int:id>", { endpoint = "show" }, function(_, id)
  return describe(books.find(id) or dewar.abort(404, "There is no such book."))
end)

api:register_blueprint(list)

-- Hooks and handlers are for the routes of this blueprint and of those in it.
api:errorhandler(dewar.HTTPError, errors.json)

api:after_request(function(_, res)
  res.headers.access_control_allow_origin = "*"
  return res
end)

return api
