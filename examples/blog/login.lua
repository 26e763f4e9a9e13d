--- Who is there. The session has the user's id and nothing else.

local dewar = require "dewar"

---@param store blog.Store
return function(store)
  local login = {}

  --- The user of a request, or nil; the same however often it is asked.
  ---@return blog.User?
  function login.user(req)
    local g = req.g
    if g.user == nil then
      local id = req.session.user
      g.user = id and store:user(id) or false
    end
    return g.user or nil
  end

  --- From here on the browser is the user's. What the session had before, the
  --- secret of its forms above all, belonged to nobody.
  function login.enter(req, user, remember)
    login.leave(req)
    req.session.user = user.id
    if remember then req.session._permanent = true end
    req.g.user = user
  end

  function login.leave(req)
    for key in pairs(req.session) do req.session[key] = nil end
    req.g.user = false
  end

  local nobody -- a hash to compare with where there is no such user

  --- The user of that name and password, or nil. It takes as long where there is
  --- no such user: time tells nobody which names there are.
  ---@return blog.User?
  function login.check(name, password)
    local user = store:user_named(name)
    if not user and not nobody then
      nobody = dewar.generate_password_hash("nobody", dewar.current_app.config.PASSWORD_METHOD)
    end
    local fits = dewar.check_password_hash(user and user.hash or nobody, password)
    return user and fits and user or nil
  end

  --- A view for those who are logged in; the others are asked to log in first.
  function login.required(view)
    return function(req, ...)
      if not login.user(req) then
        dewar.flash("Please log in first.", "notice")
        return dewar.redirect(dewar.url_for("auth.login", { next = req.path }), 303)
      end
      return view(req, ...)
    end
  end

  return login
end
