--- Makes the app. Nothing of it is global, so that a spec makes one for itself,
--- with a folder of its own.

local dewar = require "dewar"
local prose = require "prose"
local Store = require "store"


---@param settings? table over those of the environment
return function(settings)
  local app = dewar.app { name = "blog" }
  app.config:from_mapping {
    BLOG_TITLE = "Kept Warm",
    BLOG_TAGLINE = "Notes on things that last a little longer.",
    POSTS_PER_PAGE = 5,
    DATA_FOLDER = app.root_path .. "/data",
    MAX_CONTENT_LENGTH = 4 * 1024 * 1024,
    SESSION_COOKIE_SAMESITE = "Lax",
    LOGINS_PER_MINUTE = 20,
    PASSWORD_METHOD = "scrypt",
  }
  app.config:from_prefixed_env "BLOG" -- BLOG_SECRET_KEY, BLOG_DATA_FOLDER...
  app.config:from_mapping(settings or {})

  local store = Store.open(app.config.DATA_FOLDER)
  app.config.SECRET_KEY = app.config.SECRET_KEY or store:secret()
  local login = require "login"(store)

  -- Whoever guesses passwords is slowed down before anything else happens.
  app:use(dewar.middleware.rate_limit {
    limit = app.config.LOGINS_PER_MINUTE,
    per = 60,
    key = function(req)
      if req.method == "POST" and req.path == "/login" then return req.remote_addr or "here" end
    end,
  })
  app:use(dewar.middleware.security_headers {
    csp = {
      default_src = "self",
      object_src = "none",
      base_uri = "none",
      form_action = "self",
      frame_ancestors = "none",
    },
  })
  -- The API takes JSON and no cookies: no page of another site can send that.
  app:use(dewar.middleware.csrf { exempt = { "api.*" } })

  app:register_blueprint(require "auth"(store, login))
  app:register_blueprint(require "posts"(store, login))
  app:register_blueprint(require "api"(store, login))
  require "errors"(app)

  app:template_filter("prose", prose.html)
  app:template_filter("excerpt", prose.excerpt)
  -- For all templates: who reads. It is a function, as only a page that asks
  -- opens the session: the feed is the same for everybody.
  app:context_processor(function(req)
    return { reader = function() return req and login.user(req) end }
  end)

  app:command("seed", {
    help = "Writes an author and some posts to begin with.",
    { "--posts", type = "integer", default = 12, help = "how many" },
    { "--password", default = "correct horse", help = "of the author, Ada" },
  }, function(args)
    local hash = dewar.generate_password_hash(args.password, app.config.PASSWORD_METHOD)
    require "seed"(store, args.posts, hash, os.time())
    print(("There are %d posts now; log in as Ada with '%s'."):format(store:count(), args.password))
  end)

  return app
end
