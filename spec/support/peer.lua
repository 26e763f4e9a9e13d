-- A process that answers each line of JSON by another one.
--
--     local peer = Peer.start("python3 spec/peers/flask_peer.py")
--     peer:ask { ["do"] = "version" }
--     peer:close()

local json = require "dewar.core".json

local Peer = {}
Peer.__index = Peer

--- Starts a command; its answers come through a pipe that has a name meanwhile.
function Peer.start(command)
  local name = os.tmpname()
  os.remove(name)
  assert(os.execute("mkfifo " .. name))
  local requests = assert(io.popen(("exec %s >%s"):format(command, name), "w"))
  local answers = assert(io.open(name))
  os.remove(name)
  return setmetatable({ requests = requests, answers = answers }, Peer)
end

--- Sends a request and returns what it was answered.
function Peer:ask(request)
  self.requests:write(json.encode(request), "\n")
  self.requests:flush()
  local line = assert(self.answers:read "l", "the peer is gone")
  local answer = json.decode(line)
  if answer.failed then error("the peer failed: " .. answer.failed, 2) end
  return answer.ok
end

function Peer:close()
  self.requests:close()
  self.answers:close()
end

return Peer
