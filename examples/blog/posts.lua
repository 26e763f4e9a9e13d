--- The posts: pages of them, one of them, writing them, their photos, the feed.

local dewar = require "dewar"
local forms = require "forms"
local photos = require "photos"

local POST = {
  title = { label = "A title", required = true, max = 120 },
  body = { label = "A text", required = true, max = 50000 },
  alt = { label = "The description", max = 200 },
}

local FEED_LENGTH = 20

---@param store blog.Store
return function(store, login)
  local posts = dewar.blueprint "posts"

  local function find(id)
    return store:post(id) or dewar.abort(404, "There is no such post.")
  end

  --- The post, if it is the reader's own.
  local function find_own(req, id)
    local post = find(id)
    if post.author ~= login.user(req).id then dewar.abort(403, "Only its author may change a post.") end
    return post
  end

  posts:app_context_processor(function()
    return { author_of = function(post) return store:user(post.author).name end }
  end)

  -- /page/1 is redirected to /.
  local function index(req, number)
    local found, pages = store:page(number, req.app.config.POSTS_PER_PAGE)
    if number > pages then dewar.abort(404, ("There are %d pages."):format(pages)) end
    return dewar.render_template("posts/index.html", { posts = found, page = number, pages = pages })
  end
  posts:get("/", { endpoint = "index", defaults = { page = 1 } }, index)
  posts:get("/page/<int(min=1):page>", { endpoint = "index" }, index)

  posts:get("/posts/<int:id>", { endpoint = "show" }, function(_, id)
    local post = find(id)
    local older, newer = store:neighbours(post)
    return dewar.render_template("posts/show.html", { post = post, older = older, newer = newer })
  end)

  --- The page to write on, for a new post and for one that is there.
  local function editor(post, values, errors)
    local page = dewar.render_template("posts/edit.html", { post = post, values = values, errors = errors })
    return page, errors and 422 or 200
  end

  --- What was sent from there, and what is wrong with it.
  local function read(req)
    local values, errors = forms.read(req.form, POST)
    if not errors then values.photo, errors = photos.keep(store, req) end
    return values, errors
  end

  local create = login.required(function(req)
    if req.method ~= "POST" then return editor(nil, {}) end
    local values, errors = read(req)
    if errors then return editor(nil, values, errors) end
    local post = store:add_post(login.user(req), values)
    dewar.flash("Your post is there for all to read.", "success")
    return dewar.redirect(dewar.url_for(".show", { id = post.id }), 303)
  end)
  posts:route("/write", { endpoint = "create", methods = { "GET", "POST" } }, create)

  local change = login.required(function(req, id)
    local post = find_own(req, id)
    if req.method ~= "POST" then return editor(post, post) end
    local values, errors = read(req)
    if errors then return editor(post, values, errors) end
    if req.form.remove_photo and not values.photo then values.photo = false end
    store:change_post(post, values)
    dewar.flash("Your changes are saved.", "success")
    return dewar.redirect(dewar.url_for(".show", { id = id }), 303)
  end)
  posts:route("/posts/<int:id>/edit", { endpoint = "edit", methods = { "GET", "POST" } }, change)

  posts:post("/posts/<int:id>/delete", { endpoint = "delete" }, login.required(function(req, id)
    local post = find_own(req, id)
    store:remove_post(post)
    dewar.flash(("“%s” is gone."):format(post.title), "notice")
    return dewar.redirect(dewar.url_for ".index", 303)
  end))

  -- A photo never changes: another one has another name.
  posts:get("/photos/<name>", { endpoint = "photo" }, function(_, name)
    if not photos.is_name(name) then dewar.abort(404) end
    return dewar.send_from_directory(store.folder, name, { max_age = 365 * 24 * 3600 })
  end)

  -- Readers ask for the feed all day long; mostly they have it already.
  posts:get("/feed.xml", { endpoint = "feed" }, function(req)
    local newest = store:page(1, FEED_LENGTH)
    local updated = 0
    for _, post in ipairs(newest) do updated = math.max(updated, post.updated) end
    local res = dewar.response(dewar.render_template("feed.xml", { posts = newest, updated = updated }))
    res.mimetype = "application/atom+xml"
    res.last_modified = updated
    res:add_etag()
    return res:make_conditional(req)
  end)

  return posts
end
