--- Users and posts: in memory, and in a file of JSON that is written at each
--- change. A larger blog would ask a database here, and wait for it; whoever
--- calls these methods wouldn't notice.

local dewar = require "dewar"

---@class blog.User
---@field id integer
---@field name string
---@field hash string of the password

---@class blog.Post
---@field id integer
---@field author integer
---@field title string
---@field body string
---@field photo? string name of a file in the store's folder
---@field alt? string what the photo shows
---@field created integer
---@field updated integer

---@class blog.Store
local Store = {}
Store.__index = Store

local function read(path)
  local file = io.open(path, "rb")
  if not file then return nil end
  local text = file:read "a"
  file:close()
  return text
end

--- Writes a whole file or nothing: a crash in between leaves the old one.
local function write(path, text)
  local part = path .. ".part"
  local file = assert(io.open(part, "wb"))
  assert(file:write(text))
  assert(file:close())
  assert(os.rename(part, path))
end

---@param folder string which is there
---@return blog.Store
function Store.open(folder)
  local text = read(folder .. "/blog.json")
  local data = text and dewar.json.decode(text) or { users = {}, posts = {}, last_id = 0 }
  return setmetatable({ folder = folder, data = data }, Store)
end

function Store:_save()
  dewar.array(self.data.users)
  dewar.array(self.data.posts)
  write(self.folder .. "/blog.json", dewar.json.encode(self.data))
end

function Store:_new_id()
  self.data.last_id = self.data.last_id + 1
  return self.data.last_id
end

local function find(list, id)
  for i, item in ipairs(list) do
    if item.id == id then return item, i end
  end
end

--- A key for sessions, made when it is first needed, so that nobody is logged
--- out by a restart.
---@return string
function Store:secret()
  local path = self.folder .. "/secret_key"
  local key = read(path)
  if not key then
    local random <close> = assert(io.open("/dev/urandom", "rb"))
    key = random:read(32):gsub(".", function(c) return ("%02x"):format(c:byte()) end)
    write(path, key)
  end
  return key
end

-- --- Users --------------------------------------------------------------------

---@return blog.User?
function Store:user(id)
  return (find(self.data.users, id))
end

--- Names that differ only in case are the same.
---@return blog.User?
function Store:user_named(name)
  for _, user in ipairs(self.data.users) do
    if user.name:lower() == name:lower() then return user end
  end
end

--- The new user; nil if the name is taken.
---@return blog.User?
function Store:add_user(name, hash)
  if self:user_named(name) then return nil end
  local user = { id = self:_new_id(), name = name, hash = hash }
  table.insert(self.data.users, user)
  self:_save()
  return user
end

-- --- Posts --------------------------------------------------------------------

---@return integer
function Store:count()
  return #self.data.posts
end

---@return blog.Post?
function Store:post(id)
  return (find(self.data.posts, id))
end

--- The posts of a page, the newest first, and how many pages there are.
---@return blog.Post[], integer
function Store:page(number, size)
  local posts = self.data.posts
  local found, newest = {}, #posts - (number - 1) * size
  for i = newest, math.max(newest - size + 1, 1), -1 do found[#found + 1] = posts[i] end
  return found, math.max(1, (#posts + size - 1) // size)
end

--- The posts before and behind it in time, as far as there are any.
---@return blog.Post? older, blog.Post? newer
function Store:neighbours(post)
  local _, i = find(self.data.posts, post.id)
  return self.data.posts[i - 1], self.data.posts[i + 1]
end

---@param fields table title, body, photo, alt
---@return blog.Post
function Store:add_post(author, fields, time)
  local now = time or os.time()
  local post = { id = self:_new_id(), author = author.id, created = now, updated = now }
  for name, value in pairs(fields) do post[name] = value end
  table.insert(self.data.posts, post)
  self:_save()
  return post
end

--- What `fields` says is changed; false takes a field away.
function Store:change_post(post, fields)
  local photo = post.photo
  for name, value in pairs(fields) do post[name] = value or nil end
  post.updated = os.time()
  self:_save()
  if photo and photo ~= post.photo then os.remove(self:path(photo)) end
end

function Store:remove_post(post)
  local _, i = find(self.data.posts, post.id)
  table.remove(self.data.posts, i)
  self:_save()
  if post.photo then os.remove(self:path(post.photo)) end
end

--- Where a photo lies.
---@return string
function Store:path(name)
  return self.folder .. "/" .. name
end

return Store
