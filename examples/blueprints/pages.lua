-- The pages for people.

local dewar = require "dewar"
local books = require "books"
local errors = require "errors"
local html = require "html"

local pages = dewar.blueprint("pages")

-- ".shelf" is the endpoint of that name in this blueprint.
pages:get("/", { endpoint = "shelves" }, function()
  local links = {}
  for i, name in ipairs(books.shelves()) do
    links[i] = html.link(dewar.url_for(".shelf", { name = name }), name)
  end
  return "<h1>Library</h1>\n" .. html.list(links)
end)

pages:get("/shelves/<name>", { endpoint = "shelf" }, function(_, name)
  local links = {}
  for i, book in ipairs(books.list(name)) do
    links[i] = html.link(dewar.url_for(".book", { id = book.id }), book.title)
  end
  if #links == 0 then dewar.abort(404, ("There is no shelf called %s."):format(name)) end
  return ("<h1>%s</h1>\n"):format(html.escape(name)) .. html.list(links)
end)

pages:get("/books/<int:id>", { endpoint = "book" }, function(_, id)
  local book = books.find(id) or dewar.abort(404, "There is no such book.")
  return ("<h1>%s</h1>\n<p>by %s\n<p>%s\n"):format(
    html.escape(book.title), html.escape(book.author),
    html.link(dewar.url_for("api.books.show", { id = id }), "as JSON"))
end)

pages:errorhandler(dewar.HTTPError, errors.page)

return pages
