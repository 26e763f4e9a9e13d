--- A place to talk: those who are there, and what was said last.

local dewar = require "dewar"

local HISTORY = 50 -- messages that are kept
local NAME, TEXT = 24, 500 -- characters

---@class chat.Message
---@field id integer rising, even from one start of the server to the next
---@field name string
---@field text string
---@field time integer seconds

---@class chat.Place
---@field name string
---@field room dewar.Room
---@field history chat.Message[]
---@field last integer
---@field people chat.Person[] in the order in which they came
local Place = {}
Place.__index = Place

---@class chat.Person
---@field name string
---@field ws dewar.WebSocket
---@field place chat.Place
local Person = {}
Person.__index = Person

---@return chat.Place
function Place.new(name)
  local last = os.time() * 1000
  return setmetatable({ name = name, room = dewar.room(), history = {}, last = last, people = {} }, Place)
end

function Place:tell(message)
  self.room:send(dewar.json.encode(message))
end

--- What was said behind a message, oldest first.
---@return chat.Message[]
function Place:since(id)
  local found = dewar.array {}
  for _, message in ipairs(self.history) do
    if message.id > id then found[#found + 1] = message end
  end
  return found
end

function Place:names()
  local names = dewar.array {}
  for i, person in ipairs(self.people) do names[i] = person.name end
  return names
end

--- Text as it is shown: no space at its ends, no controls within. nil if it has no
--- characters, or more than so many.
local function tidy(text, longest)
  if type(text) ~= "string" then return nil end
  text = text:gsub("%c+", " "):match "^%s*(.-)%s*$"
  local length = utf8.len(text)
  return length and length > 0 and length <= longest and text or nil
end

--- Somebody comes, or nil and why not.
---@return chat.Person?, string?
function Place:enter(ws, name)
  name = tidy(name, NAME)
  if not name then return nil, ("A name has 1 to %d characters."):format(NAME) end
  for _, person in ipairs(self.people) do
    if person.name:lower() == name:lower() then return nil, name .. " is here already." end
  end
  local person = setmetatable({ name = name, ws = ws, place = self }, Person)
  table.insert(self.people, person)
  return person
end

--- From here on everybody knows, and it hears what is said.
function Person:arrive()
  self.place.room:join(self.ws)
  self.place:tell { type = "people", people = self.place:names(), came = self.name }
end

function Person:say(text)
  text = tidy(text, TEXT)
  if not text then return end
  local place = self.place
  place.last = place.last + 1
  local message = { id = place.last, name = self.name, text = text, time = os.time() }
  table.insert(place.history, message)
  if #place.history > HISTORY then table.remove(place.history, 1) end
  place:tell { type = "said", message = message }
end

function Person:leave()
  local people = self.place.people
  for i, person in ipairs(people) do
    if person == self then table.remove(people, i) end
  end
  self.place:tell { type = "people", people = self.place:names(), left = self.name }
end

Person.__close = Person.leave

return Place
