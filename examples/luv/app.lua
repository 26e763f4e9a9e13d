-- luv (Debian: lua-luv) on Dewar's loop: what it calls back from is waited for
-- like anything else, and a service of its own runs beside the app.
--
--   dewar run examples/luv/app.lua
--   curl -N http://127.0.0.1:5000/countdown
--   curl http://127.0.0.1:5000/daytime
--   (sleep 1; touch /tmp/new) & curl http://127.0.0.1:5000/changes

local dewar = require "dewar"
local uv = require "luv" -- behind Dewar, so that it takes its loop

local app = dewar.app()
app.config.WATCHED = "/tmp"

-- What luv's callbacks have in common: an error or nil comes first.
local function await(start)
  return dewar.await_callback(start, { error_first = true, timeout = 30 })
end

-- One piece of a stream at a time: while nobody takes it, no more is read. nil
-- is the end.
local function read(stream)
  return await(function(done)
    stream:read_start(function(err, data)
      stream:read_stop()
      done(err, data)
    end)
  end)
end

-- The name of the next file to change in a folder. The watcher goes with the
-- block, also when the client has gone away meanwhile.
app:get("/changes", function()
  local watcher <close> = uv.new_fs_event()
  local name = await(function(done)
    assert(watcher:start(app.config.WATCHED, {}, done))
  end)
  return { changed = name }
end)

app:errorhandler(dewar.TimeoutError, function()
  return "", 204
end)

-- What a program writes, while it does.
local SCRIPT = "for i in 3 2 1; do echo $i; sleep 0.1; done; echo lift-off"

app:get("/countdown", function()
  return dewar.stream(function(write)
    local out <close> = uv.new_pipe()
    local options, child = { args = { "-c", SCRIPT }, stdio = { nil, out } }, nil
    child = assert(uv.spawn("sh", options, function() child:close() end))
    local _ <close> = setmetatable({}, { -- a client that goes away takes it along
      __close = function()
        if not child:is_closing() then child:kill "sigkill" end
      end,
    })
    for piece in read, out do write(piece) end
  end), { content_type = "text/plain" }
end)

-- A service that tells the time to whoever connects (RFC 867), as long as the
-- app is served. Its callbacks run outside of any task.
local daytime

app:while_serving(function(serve)
  daytime = uv.new_tcp()
  local service <close> = daytime
  assert(service:bind("127.0.0.1", 0))
  assert(service:listen(128, function(err)
    assert(not err, err)
    local peer = uv.new_tcp()
    service:accept(peer)
    peer:write(os.date "%F %T\r\n", function() peer:close() end)
  end))
  serve()
end)

app:get("/daytime", function()
  local socket <close> = uv.new_tcp()
  await(function(done) socket:connect("127.0.0.1", daytime:getsockname().port, done) end)
  local pieces = {}
  for piece in read, socket do pieces[#pieces + 1] = piece end
  return table.concat(pieces), { content_type = "text/plain" }
end)

return app
