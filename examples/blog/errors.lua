--- Errors, as pages for people and as JSON for programs. `require "errors"(app)`
--- sets them up.

local dewar = require "dewar"

local M = {}

local TITLES = {
  [400] = "That didn’t make sense",
  [403] = "This isn’t yours",
  [404] = "Nothing here",
  [405] = "Not in this way",
  [413] = "Too much at once",
  [429] = "One at a time",
  [500] = "Something broke",
}

local HINTS = {
  [403] = "You may read it, though.",
  [404] = "The address may be mistyped, or what was here has been taken away.",
  [413] = "A photo may have up to %s. Go back, and choose a smaller one.",
  [429] = "That was a little often. Wait for a moment, then try again.",
  [500] = "It isn’t your fault, and somebody has been told.",
}

function M.json(_, err)
  return { error = err.message, status = err.status }, err.status, err.headers
end

function M.page(req, err)
  local hint = HINTS[err.status]
  if dewar.CSRFError:is(err) then
    hint = "This form was open for too long, or didn’t come from here. "
      .. "Go back, load the page again, and send it once more."
  elseif err.status == 413 then
    hint = hint:format(("%d MB"):format(req.app.config.MAX_CONTENT_LENGTH // (1024 * 1024)))
  end
  local page = dewar.render_template("error.html", {
    status = err.status,
    title = TITLES[err.status] or "This didn’t work",
    hint = hint or err.message,
  })
  return page, err.status, err.headers
end

-- What matches no route belongs to no blueprint, so the path says whose it is.
local function set_up(_, app)
  app:errorhandler(dewar.HTTPError, function(req, err)
    local answer = req.path:find "^/api/" and M.json or M.page
    return answer(req, err)
  end)
end

return setmetatable(M, { __call = set_up })
