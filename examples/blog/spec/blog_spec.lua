-- The blog, as a browser and a program see it. `dewar test` runs it.
local dewar = require "dewar"
local blog = require "blog"

local PNG = "\x89PNG\r\n\x1a\n" .. ("\0"):rep(100)

local function new_folder()
  local pipe = assert(io.popen "mktemp -d")
  local path = pipe:read "l"
  pipe:close()
  return path
end

describe("the blog", function()
  local folder, app, client

  local function open()
    app = blog {
      DATA_FOLDER = folder,
      TESTING = true,
      PASSWORD_METHOD = "scrypt:16:8:1", -- quick
      POSTS_PER_PAGE = 2,
      LOGINS_PER_MINUTE = 5,
    }
    client = app:test_client()
  end

  before_each(function()
    folder = new_folder()
    open()
  end)

  after_each(function()
    client:close()
    os.execute("rm -r " .. folder)
  end)

  local function token(path)
    return client:get(path).body:match 'name="csrf_token" value="([^"]+)"'
  end

  --- Fills in the form of a page and sends it.
  local function send(path, form, more)
    local options = { form = { csrf_token = token(path) } }
    for name, value in pairs(form) do options.form[name] = value end
    for name, value in pairs(more or {}) do options[name] = value end
    return client:post(path, options)
  end

  local function follow(path, form, more)
    more = more or {}
    more.follow_redirects = true
    return send(path, form, more)
  end

  local function register(name)
    return follow("/register", { name = name, password = "correct horse" })
  end

  local function log_in(name, password)
    return follow("/login", { name = name, password = password or "correct horse" })
  end

  local function log_out()
    return client:post("/logout", { form = { csrf_token = token "/write" }, follow_redirects = true })
  end

  local function shows(text, res)
    assert.is_truthy(res.body:find(text, 1, true), text .. " isn't in\n" .. res.body)
  end

  local function lacks(text, res)
    assert.is_nil(res.body:find(text, 1, true), text .. " is in\n" .. res.body)
  end

  local function write(title, more)
    local form = { title = title, body = "Some words." }
    return follow("/write", form, more)
  end

  describe("has accounts: it", function()
    it("registers, and greets once", function()
      local res = register "ada"
      assert.are.equal(200, res.status)
      shows("Welcome, ada!", res)
      lacks("Welcome, ada!", client:get "/write")
    end)

    it("keeps no password", function()
      register "ada"
      local file <close> = assert(io.open(folder .. "/blog.json"))
      local text = file:read "a"
      assert.is_nil(text:find("correct horse", 1, true))
      assert.is_truthy(text:find("scrypt:16:8:1$", 1, true))
    end)

    it("says what is wrong with a name and a password", function()
      local res = send("/register", { name = "<i>", password = "short" })
      assert.are.equal(422, res.status)
      shows("A name has letters, digits, _ and - only.", res)
      shows("A password needs 8 characters at least.", res)
      shows('value="&lt;i&gt;"', res)
      lacks("short", res)
    end)

    it("gives a name to one only, whatever its case", function()
      register "ada"
      log_out()
      local res = send("/register", { name = "ADA", password = "another horse" })
      assert.are.equal(422, res.status)
      shows("Somebody has this name already.", res)
    end)

    it("gives a name to one of two who ask at once", function()
      local other = app:test_client()
      local function ask(who)
        return function()
          local value = who:get("/register").body:match 'name="csrf_token" value="([^"]+)"'
          local form = { csrf_token = value, name = "ada", password = "correct horse" }
          return who:post("/register", { form = form }).status
        end
      end
      local one, two = dewar.gather(ask(client), ask(other))
      other:close()
      assert.are.equal(303 + 422, one + two)
    end)

    it("logs in by name and password, and out", function()
      register "ada"
      shows("You are logged out.", log_out())
      lacks("Log out", client:get "/")
      shows("Name and password don&#39;t fit.", log_in("ada", "wrong horse"))
      shows("Name and password don&#39;t fit.", log_in "nobody")
      lacks("Log out", client:get "/")
      shows("Good to see you, ada.", log_in "Ada")
      shows("Log out", client:get "/")
    end)

    it("remembers whoever wants that", function()
      register "ada"
      assert.is_nil(client:cookie("session").expires)
      log_out()
      send("/login", { name = "ada", password = "correct horse", remember = "on" })
      assert.is_not_nil(client:cookie("session").expires)
    end)

    it("goes on where somebody wanted to be, and nowhere else", function()
      register "ada"
      log_out()
      local res = client:get "/write"
      assert.are.equal("/login?next=%2Fwrite", res.headers.location)
      shows("Please log in first.", client:get(res.headers.location))
      res = send(res.headers.location, { name = "ada", password = "correct horse" })
      assert.are.equal("/write", res.headers.location)
      for _, elsewhere in ipairs { "//evil.example", "/\\evil.example", "https://evil.example", "/%09/evil.example" } do
        log_out()
        res = send("/login?next=" .. elsewhere, { name = "ada", password = "correct horse" })
        assert.are.equal("/", res.headers.location)
      end
    end)

    it("slows down who guesses", function()
      local statuses = {}
      for i = 1, 6 do statuses[i] = send("/login", { name = "ada", password = "guess " .. i }).status end
      assert.are.same({ 422, 422, 422, 422, 422, 429 }, statuses)
    end)

    it("makes a new secret for forms when somebody logs in", function()
      local before = token "/register"
      register "ada"
      local res = client:post("/logout", { form = { csrf_token = before } })
      assert.are.equal(400, res.status)
      shows("open for too long", res)
    end)
  end)

  describe("has posts: it", function()
    before_each(function() register "ada" end)

    it("publishes one, as text that does no harm", function()
      local body = "## A head\n\nOne <script>\nhttps://example.com/?a&b.\n\n- *x*\n- `<y>`"
      local res = follow("/write", { title = "<b>Hi</b>", body = body })
      shows("Your post is there", res)
      shows("<h1>&lt;b&gt;Hi&lt;/b&gt;</h1>", res)
      shows("<h2>A head</h2>", res)
      shows("<p>One &lt;script&gt;<br>", res)
      shows('<a href="https://example.com/?a&amp;b" rel="nofollow ugc">example.com/?a&amp;b</a>.', res)
      shows("<ul><li><em>x</em></li><li><code>&lt;y&gt;</code></li></ul>", res)
    end)

    it("says what is missing, and keeps what was written", function()
      local res = send("/write", { title = "", body = "Long\r\nthoughts" })
      assert.are.equal(422, res.status)
      shows("A title is missing.", res)
      shows('aria-describedby="title-error"', res)
      shows("Long\nthoughts</textarea>", res)
      shows("A title may have 120 characters; these are 121.", send("/write", { title = ("é"):rep(121), body = "x" }))
    end)

    it("lists them in pages, the newest first", function()
      for i = 1, 5 do write("Post " .. i) end
      local first = client:get "/"
      assert.is_true(first.body:find "Post 5" < first.body:find "Post 4")
      lacks("Post 3", first)
      shows('<a rel="next" href="/page/2">', first)
      shows('<span class="off">Newer</span>', first)
      shows("Post 3", client:get "/page/2")
      shows('<a rel="prev" href="/">', client:get "/page/2")
      shows("Post 1", client:get "/page/3")
      assert.are.equal(404, client:get("/page/4").status)
      assert.are.equal(404, client:get("/page/0").status)
      assert.are.equal("/", client:get("/page/1").headers.location)
    end)

    it("leads from one to the next", function()
      for i = 1, 3 do write("Post " .. i) end
      local post = client:get "/posts/3"
      shows("Post 1", post)
      shows("Post 3", post)
      lacks("Post 3", client:get "/posts/2")
    end)

    it("changes one", function()
      write "Before"
      shows("Some words.", client:get "/posts/2/edit")
      local res = follow("/posts/2/edit", { title = "After", body = "Other words." })
      shows("Your changes are saved.", res)
      shows("<h1>After</h1>", res)
      assert.are.equal("2", client:get("/").body:match 'href="/posts/(%d+)"')
    end)

    it("takes one away", function()
      write "Short life"
      assert.are.equal(405, client:get("/posts/2/delete").status)
      local value = token "/posts/2"
      local res = client:post("/posts/2/delete", { form = { csrf_token = value }, follow_redirects = true })
      shows("“Short life” is gone.", res)
      assert.are.equal(404, client:get("/posts/2").status)
    end)

    it("leaves those of others alone", function()
      write "Mine"
      log_out()
      register "bob"
      lacks("Delete", client:get "/posts/2")
      local res = client:get "/posts/2/edit"
      assert.are.equal(403, res.status)
      shows("isn’t yours", res)
      assert.are.equal(403, send("/posts/2/edit", { csrf_token = token "/write", title = "x", body = "y" }).status)
      assert.are.equal(403, client:post("/posts/2/delete", { form = { csrf_token = token "/write" } }).status)
      shows("<h1>Mine</h1>", client:get "/posts/2")
    end)

    it("remembers all of it", function()
      write "Kept"
      client:close()
      open()
      shows("Kept", client:get "/")
      shows("Good to see you, ada.", log_in "ada")
    end)
  end)

  describe("has photos: it", function()
    before_each(function() register "ada" end)

    local function with(photo) return { files = { photo = photo } } end
    local png = { filename = "../cat.html", content = PNG, content_type = "text/html" }

    local function source(res) return res.body:match 'src="(/photos/[^"]+)"' end

    it("shows what was sent, as what it is", function()
      local res = write("A cat", with(png))
      local src = source(res)
      local photo = client:get(src)
      assert.are.equal(PNG, photo.body)
      assert.are.equal("image/png", photo.headers.content_type)
      assert.are.equal("nosniff", photo.headers.x_content_type_options)
      assert.are.equal(304, client:get(src, { headers = { ["If-None-Match"] = photo.headers.etag } }).status)
      shows(src, client:get "/")
    end)

    it("refuses what is none", function()
      local res = send("/write", { title = "A cat", body = "Miaow" }, with { filename = "cat.png", content = "<html>" })
      assert.are.equal(422, res.status)
      shows("Photos are PNG, JPEG, GIF or WebP", res)
      shows("Miaow", res)
    end)

    it("refuses one that is too large", function()
      app.config.MAX_CONTENT_LENGTH = 2 * 1024 * 1024
      local res = write("A whale", with { filename = "whale.png", content = PNG .. ("x"):rep(3000000) })
      assert.are.equal(413, res.status)
      shows("up to 2 MB", res)
    end)

    it("replaces one, and takes it away", function()
      local function files()
        local pipe = io.popen("ls " .. folder .. "/photo-* 2>/dev/null | wc -l")
        local n = pipe:read "n"
        pipe:close()
        return n
      end
      local first = source(write("A cat", with(png)))
      local form = { title = "A cat", body = "Miaow" }
      assert.are.equal(first, source(follow("/posts/2/edit", form)))
      local second = source(follow("/posts/2/edit", form, with(png)))
      assert.are_not.equal(first, second)
      assert.are.equal(404, client:get(first).status)
      assert.are.equal(1, files())
      form.remove_photo = "on"
      assert.is_nil(source(follow("/posts/2/edit", form)))
      assert.are.equal(0, files())
      write("Another", with(png))
      client:post("/posts/3/delete", { form = { csrf_token = token "/write" } })
      assert.are.equal(0, files())
    end)

    it("serves nothing else of its folder", function()
      for _, name in ipairs { "blog.json", "secret_key", "..%2Fapp.lua", "photo-0.png" } do
        assert.are.equal(404, client:get("/photos/" .. name).status, name)
      end
    end)
  end)

  describe("is careful: it", function()
    it("refuses forms of elsewhere", function()
      for _, path in ipairs { "/register", "/login", "/logout", "/write" } do
        assert.are.equal(400, client:post(path, { form = { name = "ada" } }).status, path)
      end
    end)

    it("asks who writes to log in", function()
      local value = token "/login"
      for _, path in ipairs { "/write", "/posts/1/edit", "/posts/1/delete" } do
        local res = client:post(path, { form = { csrf_token = value } })
        assert.are.equal(303, res.status)
        assert.matches("^/login", res.headers.location)
      end
    end)

    it("has pages for errors", function()
      local res = client:get "/nowhere/<b>"
      assert.are.equal(404, res.status)
      shows("<h1>Nothing here</h1>", res)
      assert.are.equal(404, client:get("/posts/99").status)
    end)

    it("has a page for what breaks, too", function()
      client:close()
      app.config.TESTING = false
      app:get("/broken", function() error "a secret" end)
      client = app:test_client()
      local sink = dewar.log.sink
      dewar.log.sink = function() end
      local res = client:get "/broken"
      dewar.log.sink = sink
      assert.are.equal(500, res.status)
      shows("Something broke", res)
      lacks("a secret", res)
    end)

    it("lets no script run, and nobody frame it", function()
      local policy = client:get("/").headers["Content-Security-Policy"]
      assert.matches("default%-src 'self'", policy)
      assert.matches("frame%-ancestors 'none'", policy)
    end)

    it("keeps what is somebody's out of caches", function()
      assert.is_nil(client:get("/").headers.cache_control)
      register "ada"
      assert.are.equal("no-store", client:get("/").headers.cache_control)
      assert.is_nil((client:get("/feed.xml").headers.vary or ""):find "Cookie")
    end)
  end)

  describe("talks to programs: it", function()
    before_each(function()
      register "ada"
      write "One & only"
      client:close()
      client = app:test_client { cookies = false }
    end)

    local function post(json, auth) return client:post("/api/posts", { json = json, auth = auth }) end
    local ada = { "ada", "correct horse" }

    it("lists and shows", function()
      local list = client:get("/api/posts"):json()
      assert.are.equal(1, list.pages)
      assert.are.equal("One & only", list.posts[1].title)
      local one = client:get "/api/posts/2"
      assert.are.equal("ada", one:json().author)
      assert.are.equal("http://localhost/posts/2", one:json().url)
      assert.are.equal(304, client:get("/api/posts/2", { headers = { ["If-None-Match"] = one.headers.etag } }).status)
      assert.are.equal(0, #client:get("/api/posts?page=9"):json().posts)
    end)

    it("takes a post of whoever proves who they are", function()
      assert.are.equal(401, post({ title = "x", body = "y" }).status)
      assert.are.equal(401, post({ title = "x", body = "y" }, { "ada", "wrong" }).status)
      local res = post({ title = "Sent", body = "By a program" }, ada)
      assert.are.equal(201, res.status)
      assert.are.equal("Sent", client:get(res.headers.location):json().title)
    end)

    it("says what is wrong in JSON", function()
      local faults = post({ title = 1 }, ada):json().fields
      assert.are.same({ title = "title is missing.", body = "body is missing." }, faults)
      assert.are.equal(400, post("text", ada).status)
      assert.are.equal(415, client:post("/api/posts", { body = "x", auth = ada }).status)
      for _, path in ipairs { "/api/posts/99", "/api/nowhere" } do
        local res = client:get(path)
        assert.are.equal(404, res.status)
        assert.are.equal(404, res:json().status)
      end
      assert.are.equal(400, client:get("/api/posts?page=x").status)
      assert.are.equal(400, client:get("/api/posts?per_page=101").status)
      assert.are.equal("GET, HEAD, OPTIONS, POST", client:delete("/api/posts").headers.allow)
    end)

    it("has a feed, which is sent only if it has changed", function()
      local res = client:get "/feed.xml"
      assert.are.equal("application/atom+xml", res.headers.content_type:match "^[^;]+")
      shows("<title>One &amp; only</title>", res)
      shows("&lt;p&gt;Some words.&lt;/p&gt;", res)
      local headers = res.headers
      for name, value in pairs { ["If-None-Match"] = headers.etag, ["If-Modified-Since"] = headers.last_modified } do
        assert.are.equal(304, client:get("/feed.xml", { headers = { [name] = value } }).status)
      end
      post({ title = "Sent", body = "By a program" }, ada)
      assert.are.equal(200, client:get("/feed.xml", { headers = { ["If-None-Match"] = res.headers.etag } }).status)
    end)
  end)
end)

describe("prose", function()
  local prose = require "prose"

  it("knows blocks and marks", function()
    assert.are.equal("<p>a <strong>b</strong> <em>c</em></p>\n<blockquote><p>d</p></blockquote>",
      tostring(prose.html "a **b** *c*\n\n\n> d"))
  end)

  it("makes nothing of what isn't closed", function()
    assert.are.equal("<p>2 * 3 ` #</p>", tostring(prose.html "2 * 3 ` #"))
    assert.are.equal("", tostring(prose.html " \n\n "))
  end)

  it("makes short what is long, at a word's end", function()
    assert.are.equal("one two three", prose.excerpt("## Head\n\none *two*\nthree"))
    assert.are.equal("öne…", prose.excerpt("öne twö three", 6))
    assert.are.equal("a b", prose.excerpt "- a\n- b\n\n> c")
  end)
end)
