-- The app whose error pages are looked at in a browser: see pages.js.

local dewar = require "dewar"

local app = dewar.app { config = { SECRET_KEY = "only-for-this-spec" } }
local PaymentError = dewar.Error:extend("PaymentError", {})

local function charge(user, amount)
  local card = { number = 4242, holder = user.name, token = "tok_4Xf9a81" }
  local balance = 12.5
  if amount > balance then
    error(PaymentError("the balance of 12.50 doesn't cover 80.00", { account = 7, user = user.name }))
  end
  return card
end

local function orders(user, list)
  return coroutine.wrap(function()
    for position, order in ipairs(list) do
      charge(user, order.price)
      coroutine.yield(position)
    end
  end)
end

app:get("/shop/<int:id>/checkout", { endpoint = "checkout" }, function(req, id)
  req.g.started = "just now"
  local user = { id = id, name = "Ada", roles = { "admin", "author" } }
  for position in orders(user, { { item = "Tea", price = 4 }, { item = "Kettle", price = 80 } }) do
    req.g.position = position
  end
  return "paid"
end)
app:get("/shop/<int:id>", { endpoint = "shop" }, function() return "shop" end)
app:post("/shop", { endpoint = "open" }, function() return "opened" end)
app:get("/about", { endpoint = "about" }, function() return "about" end)

return app
