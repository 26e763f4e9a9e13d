local dewar = require "dewar"
local app = dewar.app()

app:get("/hello/<name>", function(req, name)
  dewar.sleep(0.01)
  return ("Hello, %s!\n"):format(name)
end)

-- Hooks apply to the routes of C, too.
app:after_request(function(req, res)
  res.headers["X-Served-By"] = "Dewar"
  return res
end)

return app
