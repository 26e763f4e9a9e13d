--- The API for programs: posts as JSON; writing by name and password.

local dewar = require "dewar"
local errors = require "errors"
local forms = require "forms"

local POST = {
  title = { label = "title", required = true, max = 120 },
  body = { label = "body", required = true, max = 50000 },
}

local PAGE_MAX, PER_PAGE_MAX = 1000000, 100

---@param store blog.Store
return function(store, login)
  local api = dewar.blueprint("api", { url_prefix = "/api" })

  local function describe(post)
    return {
      id = post.id,
      title = post.title,
      author = store:user(post.author).name,
      body = post.body,
      created = os.date("!%Y-%m-%dT%H:%M:%SZ", post.created),
      updated = os.date("!%Y-%m-%dT%H:%M:%SZ", post.updated),
      photo = post.photo and dewar.url_for("posts.photo", { name = post.photo, _external = true }),
      url = dewar.url_for("posts.show", { id = post.id, _external = true }),
    }
  end

  local function whole(text, most)
    local n = math.tointeger(tonumber(text))
    return n and n >= 1 and n <= most and n or nil
  end

  api:get("/posts", { endpoint = "list" }, function(req)
    local page = whole(req.args.page or 1, PAGE_MAX) or dewar.abort(400, "page is a whole number from 1 on")
    local size = whole(req.args.per_page or 20, PER_PAGE_MAX) or dewar.abort(400, "per_page is from 1 to 100")
    local found, pages = store:page(page, size)
    local list = {}
    for i, post in ipairs(found) do list[i] = describe(post) end
    return { posts = dewar.array(list), page = page, pages = pages }
  end)

  -- Who has this version gets a 304.
  api:get("/posts/<int:id>", { endpoint = "show" }, function(req, id)
    local post = store:post(id) or dewar.abort(404, "There is no such post.")
    local res = dewar.jsonify(describe(post))
    res:add_etag()
    return res:make_conditional(req)
  end)

  api:post("/posts", { endpoint = "create" }, function(req)
    local given = req.authorization
    local user = given and given.type == "basic" and login.check(given.username, given.password)
    if not user then
      dewar.abort(401, "Your name and password, please.", { ["WWW-Authenticate"] = 'Basic realm="blog"' })
    end
    local body = req:json()
    if type(body) ~= "table" then dewar.abort(400, "A JSON object, please.") end
    local fields, faults = forms.read(body, POST)
    if faults then return { error = "Some fields aren't right.", fields = faults }, 422 end
    local post = store:add_post(user, fields)
    return describe(post), 201, { Location = dewar.url_for(".show", { id = post.id }) }
  end)

  api:errorhandler(dewar.HTTPError, errors.json)

  return api
end
