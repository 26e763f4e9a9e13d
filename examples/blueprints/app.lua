-- A library in two parts: pages for people, and an API for programs.
--
--   dewar run examples/blueprints/app.lua
--   dewar routes examples/blueprints/app.lua

local dewar = require "dewar"
local errors = require "errors"

local app = dewar.app { name = "library" }

app:register_blueprint(require "pages")
app:register_blueprint(require "api", { url_prefix = "/api" })

-- The blueprints answer for their own routes. What matches no route belongs to
-- none of them, and comes here.
app:errorhandler(dewar.HTTPError, function(req, err)
  if req.path:find "^/api/" then return errors.json(req, err) end
  return errors.page(req, err)
end)

return app
