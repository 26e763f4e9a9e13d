-- What browsers are told: lua/dewar/middleware/security_headers.lua.

local dewar = require "dewar"
local refuses = require("spec.support.caller").refuses
local security_headers = dewar.middleware.security_headers

local function headers_of(options, scheme, view)
  local app = dewar.app()
  app:use(dewar.middleware.proxy_fix())
  app:use(security_headers(options))
  app:get("/", view or function() return "ok" end)
  local client <close> = app:test_client()
  local res = client:get("/", { headers = { ["X-Forwarded-Proto"] = scheme } })
  return res.headers, res
end

describe("security_headers", function()
  it("has defaults that nearly every page can live with", function()
    local headers = headers_of()
    assert.are.equal("nosniff", headers["X-Content-Type-Options"])
    assert.are.equal("SAMEORIGIN", headers["X-Frame-Options"])
    assert.are.equal("strict-origin-when-cross-origin", headers["Referrer-Policy"])
    assert.are.equal("same-origin", headers["Cross-Origin-Opener-Policy"])
    assert.are.equal("base-uri 'self'; frame-ancestors 'self'; object-src 'none'", headers["Content-Security-Policy"])
    for _, name in ipairs { "Strict-Transport-Security", "Permissions-Policy", "Cross-Origin-Resource-Policy",
      "Content-Security-Policy-Report-Only" } do
      assert.is_nil(headers[name])
    end
  end)

  it("asks for https only over https", function()
    assert.are.equal("max-age=31536000", headers_of(nil, "https")["Strict-Transport-Security"])
    assert.are.equal("max-age=60", headers_of({ hsts = 60 }, "https")["Strict-Transport-Security"])
    assert.are.equal("max-age=5; includeSubDomains; preload", headers_of(
      { hsts = { max_age = 5, include_subdomains = true, preload = true } }, "https")["Strict-Transport-Security"])
    assert.is_nil(headers_of({ hsts = false }, "https")["Strict-Transport-Security"])
    assert.is_nil(headers_of({ hsts = 60 }, "http")["Strict-Transport-Security"])
  end)

  it("lets each be turned off", function()
    local headers = headers_of { nosniff = false, frame_options = false, referrer_policy = false, csp = false,
      opener_policy = false }
    for _, name in ipairs { "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Content-Security-Policy",
      "Cross-Origin-Opener-Policy" } do
      assert.is_nil(headers[name], name)
    end
  end)

  it("lets each be another", function()
    local headers = headers_of { frame_options = "DENY", referrer_policy = "no-referrer", opener_policy = "unsafe-none",
      permissions_policy = "camera=()", resource_policy = "same-site", csp = "default-src 'none'" }
    assert.are.equal("DENY", headers["X-Frame-Options"])
    assert.are.equal("no-referrer", headers["Referrer-Policy"])
    assert.are.equal("unsafe-none", headers["Cross-Origin-Opener-Policy"])
    assert.are.equal("camera=()", headers["Permissions-Policy"])
    assert.are.equal("same-site", headers["Cross-Origin-Resource-Policy"])
    assert.are.equal("default-src 'none'", headers["Content-Security-Policy"])
  end)

  it("leaves what a view has set", function()
    local headers = headers_of(nil, "https", function()
      return "ok", nil, { ["X-Frame-Options"] = "DENY", ["Content-Security-Policy"] = "default-src *",
        ["Strict-Transport-Security"] = "max-age=1" }
    end)
    assert.are.equal("DENY", headers["X-Frame-Options"])
    assert.are.equal("default-src *", headers["Content-Security-Policy"])
    assert.are.equal("max-age=1", headers["Strict-Transport-Security"])
    assert.are.equal("nosniff", headers["X-Content-Type-Options"])
  end)

  it("is on error pages, too", function()
    local _, res = headers_of(nil, nil, function() dewar.abort(404) end)
    assert.are.equal(404, res.status)
    assert.are.equal("nosniff", res.headers["X-Content-Type-Options"])
  end)

  it("writes a policy of directives, with quotes where they belong", function()
    assert.are.equal("default-src 'self'; img-src 'self' data: https://img.example; "
      .. "script-src 'unsafe-inline' 'sha256-abc=' https://*.example/100%25; upgrade-insecure-requests",
      headers_of { csp = {
        default_src = "self",
        img_src = { "self", "data:", "https://img.example" },
        script_src = { "unsafe-inline", "sha256-abc=", "https://*.example/100%25" },
        upgrade_insecure_requests = true,
        style_src = false,
      } } ["Content-Security-Policy"])
  end)

  it("has a nonce of its own for each response, which the view can ask for", function()
    local asked
    local function get()
      return headers_of({ csp = { script_src = { "self", "nonce" } }, csp_report_only = { style_src = "nonce" } }, nil,
        function()
          asked = dewar.csp_nonce()
          assert(dewar.csp_nonce() == asked)
          return "ok"
        end)
    end
    local headers = get()
    local first = asked
    assert.are.equal("script-src 'self' 'nonce-" .. first .. "'", headers["Content-Security-Policy"])
    assert.are.equal("style-src 'nonce-" .. first .. "'", headers["Content-Security-Policy-Report-Only"])
    assert.matches("^[%w_-]+$", first)
    assert.are.equal(22, #first)
    get()
    assert.are_not.equal(first, asked)
  end)

  it("has a nonce in the header also where only the body's stream will ask for it", function()
    local headers, res = headers_of({ csp = { script_src = "nonce" } }, nil, function()
      return coroutine.wrap(function() coroutine.yield(dewar.csp_nonce()) end)
    end)
    assert.are.equal("script-src 'nonce-" .. res.body .. "'", headers["Content-Security-Policy"])
  end)

  it("gives no nonce outside of requests", function()
    refuses(function() dewar.csp_nonce() end, "csp_nonce was used outside of a request")
  end)

  it("tells who misuses it what is wrong", function()
    refuses(function() security_headers { hst = 1 } end, "unknown option 'hst'; did you mean 'hsts'%?")
    refuses(function() security_headers { hsts = { maxage = 1 } } end, "hsts: unknown option 'maxage'")
    refuses(function() security_headers { hsts = "1" } end, "'hsts' is a table, a number of seconds, or false")
    refuses(function() security_headers { hsts = -1 } end, "hsts.max_age is a number of seconds; got %-1")
    refuses(function() security_headers { frame_options = "NEVER" } end, "'frame_options' can't be 'NEVER'")
    refuses(function() security_headers { frame_options = "DENY, SAMEORIGIN" } end, "there are: DENY, SAMEORIGIN$")
    refuses(function() security_headers { referrer_policy = "origin, never" } end, "there are: no%-referrer, ")
    refuses(function() security_headers { permissions_policy = "a\nb" } end, "can't have line feeds")
    refuses(function() security_headers { csp = "default-src 'self'\n" } end, "can't have line feeds")
    assert.is_table(security_headers { referrer_policy = "no-referrer, strict-origin" })
    refuses(function() security_headers { referrer_policy = 1 } end, "'referrer_policy' is a string or false")
    refuses(function() security_headers { nosniff = "no" } end, "'nosniff' is a boolean")
    refuses(function() security_headers { csp = 1 } end, "'csp' is a table of directives")
    refuses(function() security_headers { csp = { scrpt_src = "self" } } end, "did you mean 'script_src'%?")
    refuses(function() security_headers { csp = { script_src = "a; b" } } end, "csp.script_src is a source")
    refuses(function() security_headers { csp = { script_src = { 1 } } } end, "csp.script_src is .* got a number")
  end)
end)
