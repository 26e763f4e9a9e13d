-- The books. A real library would ask a database.

local M = {}

local books = {
  { id = 1, title = "Programming in Lua", author = "Ierusalimschy", shelf = "computers" },
  { id = 2, title = "The C Programming Language", author = "Kernighan", shelf = "computers" },
  { id = 3, title = "Moby-Dick; or, The Whale", author = "Melville", shelf = "sea" },
}

--- All of them, or those of a shelf.
function M.list(shelf)
  local found = {}
  for _, book in ipairs(books) do
    if not shelf or book.shelf == shelf then found[#found + 1] = book end
  end
  return found
end

function M.find(id)
  return books[id]
end

--- The names of the shelves, in order.
function M.shelves()
  local names, seen = {}, {}
  for _, book in ipairs(books) do
    if not seen[book.shelf] then
      seen[book.shelf] = true
      names[#names + 1] = book.shelf
    end
  end
  return names
end

return M
