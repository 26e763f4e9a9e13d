-- SPDX-License-Identifier: MIT
-- What wrk sends, from the environment:
--   BENCH_METHOD, BENCH_BODY (a file), BENCH_HEADERS ("Name: value" lines)
--   BENCH_PATHS     lines; each request has the next one
--   BENCH_PIPELINE  how many requests are written at once
-- At the end a line of JSON tells what came; times are in microseconds.

local pipeline = tonumber(os.getenv "BENCH_PIPELINE" or "1")

wrk.method = os.getenv "BENCH_METHOD" or "GET"
if os.getenv "BENCH_BODY" then
  local file = assert(io.open(os.getenv "BENCH_BODY", "rb"))
  wrk.body = file:read "*a"
  file:close()
end
local fields = os.getenv "BENCH_HEADERS" or ""
for name, value in fields:gmatch "([^:\n]+): ([^\n]*)" do
  wrk.headers[name] = value
end

local paths = {}
for path in (os.getenv "BENCH_PATHS" or ""):gmatch "[^\n]+" do
  paths[#paths + 1] = path
end
wrk.path = paths[1] or "/"

-- Without a function `request` wrk sends the same bytes again and again, and
-- costs least.
if #paths > 1 or pipeline > 1 then
  local batches, turn = {}, 0

  function init()
    for i = 1, #paths do
      local requests = {}
      for k = 1, pipeline do
        requests[k] = wrk.format(nil, paths[(i + k - 2) % #paths + 1])
      end
      batches[i] = table.concat(requests)
    end
  end

  function request()
    turn = turn % #batches + 1
    return batches[turn]
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(("bench {\"requests\": %d, \"seconds\": %.6f, \"p50\": %d, "
    .. "\"p99\": %d, \"max\": %d, \"connect\": %d, \"read\": %d, "
    .. "\"write\": %d, \"status\": %d, \"timeout\": %d}\n")
    :format(summary.requests, summary.duration / 1e6, latency:percentile(50),
      latency:percentile(99), latency.max, errors.connect, errors.read,
      errors.write, errors.status, errors.timeout))
end
