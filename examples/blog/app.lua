-- A small blog: accounts, posts with pictures, a feed, an API.
--
--   dewar examples/blog/app.lua seed           some posts to begin with
--   dewar run examples/blog/app.lua --debug
--
-- How an app of several modules is put together is told in blog.lua.

return require "blog"()
