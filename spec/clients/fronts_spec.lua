-- Behind real proxies, which keep a few connections to the server and send the
-- requests of all their clients on them: both must agree on where each request
-- and each answer ends. A front that isn't installed is left out.
local http = require "spec.support.http"
local process = require "spec.support.process"
local tcp = require "spec.support.tcp"

local APP = [[
local dewar = require "dewar"
local app = dewar.app { config = { ACCESS_LOG = false, BODY_TIMEOUT = 2 } }
local smuggled = 0
app:after_request(function(req, res)
  res.headers["X-Id"] = req.headers["X-Id"] or "none"
  return res
end)
app:get("/smuggled", function()
  smuggled = smuggled + 1
  return "smuggled"
end)
app:get("/smuggled/count", function() return ("%d"):format(smuggled) end)
local function any(rule, view) app:route(rule, { methods = { "GET", "POST", "PUT" } }, view) end
any("/echo", function(req) return req:body() end)
any("/ignore", function() return "ignored" end)
any("/late", function()
  dewar.sleep(0.005)
  return "late"
end)
any("/empty/<int:status>", function(_, status) return "", status end)
any("/stream", function()
  return coroutine.wrap(function()
    for i = 1, 20 do
      coroutine.yield(("%d,"):format(i))
      if i % 7 == 0 then dewar.sleep(0.001) end
    end
  end)
end)
any("/sized", function()
  return coroutine.wrap(function()
    for _ = 1, 10 do coroutine.yield "0123456789" end
  end), 200, { ["Content-Length"] = "100" }
end)
any("/large", function() return ("x"):rep(300000) end)
any("/error", function() error "intended" end)
app:route("/<path:rest>", { methods = { "GET", "POST", "PUT" } }, function() return "other" end)
return app
]]

local HAPROXY = [[
global
  maxconn 100
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
  timeout http-request 2s
  http-reuse always
frontend front
  bind 127.0.0.1:%d
  default_backend back
backend back
  server dewar %s maxconn 2
]]

local NGINX = [[
daemon off;
master_process off;
pid pid;
error_log stderr crit;
events {}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  upstream back {
    server %s;
    keepalive 2;
  }
  server {
    listen 127.0.0.1:%d;
    client_header_timeout 2s;
    client_body_timeout 2s;
    location / {
      proxy_pass http://back;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_request_buffering %s;
      proxy_read_timeout 5s;
    }
  }
}
]]

local folder, server, front

local function free_port()
  local socket = require "cqueues.socket"
  local listener = socket.listen("127.0.0.1", 0)
  listener:listen()
  local _, _, port = listener:localname()
  listener:close()
  return math.tointeger(port)
end

local fronts = {
  haproxy = function(address, port)
    local path = process.write(folder .. "/haproxy.cfg", HAPROXY:format(port, address))
    return { "-db", "-q", "-f", path }
  end,
  nginx = function(address, port)
    local path = process.write(folder .. "/nginx.conf", NGINX:format(address, port, "on"))
    return { "-e", "stderr", "-p", folder, "-c", path }
  end,
  ["nginx without buffers"] = function(address, port)
    local path = process.write(folder .. "/nginx.conf", NGINX:format(address, port, "off"))
    return { "-e", "stderr", "-p", folder, "-c", path }
  end,
}

local function start(program, make)
  local port = free_port()
  process.start { program, table.unpack(make(server.url:match "//(.*)$", port)) }
  front = ("http://127.0.0.1:%d"):format(port)
  process.eventually("the front", function()
    local conn = tcp.connect(front)
    if conn then conn:close() end
    return conn
  end)
end

-- --- Requests and what has to come back --------------------------------------------

local STREAM = {}
for i = 1, 20 do STREAM[i] = i .. "," end
STREAM = table.concat(STREAM)

-- Looks like a request, and is none.
local DECOY = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

local BODIES = {
  none = function() return {}, "", "" end,
  sized = function() return { "Content-Length: " .. #DECOY }, DECOY, DECOY end,
  chunked = function()
    return { "Transfer-Encoding: chunked" }, http.chunked(DECOY, "x", DECOY), DECOY .. "x" .. DECOY
  end,
  trailing = function()
    return { "Transfer-Encoding: chunked" }, "3;a=b\r\nabc\r\n0\r\nX: y\r\n\r\n", "abc"
  end,
  large = function()
    local body = DECOY:rep(3000)
    return { "Content-Length: " .. #body }, body, body
  end,
}

local ANSWERS = {
  ["/echo"] = function(body) return 200, body end,
  ["/ignore"] = function() return 200, "ignored" end,
  ["/late"] = function() return 200, "late" end,
  ["/empty/204"] = function() return 204, "" end,
  ["/empty/304"] = function() return 304, "" end,
  ["/empty/200"] = function() return 200, "" end,
  ["/stream"] = function() return 200, STREAM end,
  ["/sized"] = function() return 200, ("0123456789"):rep(10) end,
  ["/large"] = function() return 200, ("x"):rep(300000) end,
  ["/error"] = function() return 500 end,
}

local function sorted(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

--- Reads one answer, which may be HEAD's.
local function read_answer(conn, head)
  local text = conn:read_until "\r\n\r\n"
  while true do
    local answer = http.answers(head and text:gsub("\r\n\r\n", "\r\nX-Method: HEAD\r\n\r\n", 1)
      or text)[1]
    if not answer or answer.whole then return answer end
    local more = conn:read()
    if not more then return answer end
    text = text .. more
  end
end

local count = 0

--- Sends a request on conn, on a new one if there is none any more, and checks
--- that the answer is its own. Returns the connection if it is still there. A
--- front may close one that a request went before on whose body nobody read.
local function exchange(conn, method, path, body)
  count = count + 1
  local lines, bytes, received = BODIES[body]()
  lines[#lines + 1] = "X-Id: " .. count
  local request, answer = http.request(method, path, lines, bytes), nil
  if conn then
    conn:send(request)
    answer = read_answer(conn, method == "HEAD")
  end
  if not answer then
    if conn then conn:close() end
    conn = assert(tcp.connect(front))
    conn:send(request)
    answer = read_answer(conn, method == "HEAD")
  end
  local what = ("%s %s, body %s"):format(method, path, body)
  local status, expected = ANSWERS[path](received)
  assert.is_table(answer, what)
  assert.are.equal(status, answer.status, what)
  assert.are.equal(tostring(count), answer.headers["x-id"], what)
  assert.is_true(answer.whole, what)
  if method ~= "HEAD" and expected then assert.is_true(expected == answer.body, what) end
  if answer.headers.connection ~= "close" then return conn end
  conn:close()
end

local function smuggled()
  return tonumber((process.get(server.url .. "/smuggled/count")))
end

before_each(function()
  folder = process.folder()
  server = process.serve(process.write(folder .. "/app.lua", APP))
end)
after_each(function()
  server:signal "TERM"
  local code, err = server:wait(), server:err()
  process.stop_all()
  os.execute("rm -r " .. folder)
  assert.are.equal(0, code, err)
end)

for _, name in ipairs(sorted(fronts)) do
  local make = fronts[name]
  describe("behind " .. name, function()
    --- Starts it, if it is there.
    local function begin()
      local pipe = assert(io.popen("PATH=$PATH:/usr/sbin command -v " .. name:match "^%S+"))
      local program = pipe:read "l"
      pipe:close()
      if not program then return pending(name .. " is not installed") end
      start(program, make)
      return true
    end

    it("every answer goes to its own request", function()
      if not begin() then return end
      local conn
      for _ = 1, 2 do
        for _, path in ipairs(sorted(ANSWERS)) do
          for _, body in ipairs(sorted(BODIES)) do
            conn = exchange(conn, "POST", path, body)
          end
          conn = exchange(conn, "GET", path, "none")
          conn = exchange(conn, "HEAD", path, "none")
          conn = exchange(conn, "PUT", path, "chunked")
        end
      end
      if conn then conn:close() end
      assert.are.equal(0, smuggled())
    end)

    it("no malformed request of one client disturbs another's", function()
      if not begin() then return end
      local FILES = {
        "smuggling", "content-length", "transfer-encoding", "chunks", "trailers", "fields",
        "request-line", "pipelining",
      }
      for _, file in ipairs(FILES) do
        for _, case in ipairs(http.fixtures(file)) do
          local attacker = assert(tcp.connect(front))
          attacker:send(case.bytes)
          attacker:read(0.01)
          exchange(nil, "POST", "/echo", "sized"):close()
          attacker:close()
          exchange(nil, "GET", "/late", "none"):close()
        end
      end
      assert.are.equal(0, smuggled())
    end)
  end)
end
