--- Posts to begin with, by an author called Ada. A line is a paragraph.
-- luacheck: no max line length

local POSTS = {
  { "The flask that forgot the weather", [[
James Dewar wanted to keep liquid air liquid, and so he put one glass into another and took away what was between them. Nothing, it turned out, is the best insulation there is.

He didn't patent it. Two glassblowers in Berlin did, called it a *thermos*, and kept a nation's coffee warm.

## What it does

A vacuum flask adds nothing. It has no battery and no opinion. It merely refuses to let the outside in and the inside out, and that turns out to be most of what you want from a container.

> Hot things stay hot, cold things stay cold. How does it know?

It doesn't, and that is the whole trick.]] },
  { "Small enough to hold", [[
There is a size at which a tool stops being a place you live in and becomes a thing you hold. A pocket knife has it. So do a bicycle and, I think, Lua: some thirty files of C that you can read in a week of evenings.

Things of that size share a few manners:

- they begin at once, and end when asked
- they do what they did yesterday
- you can see all the way around them

None of that makes them better than what is large. It makes them *yours*, which is another matter.]] },
  { "On waiting", [[
A program that waits badly holds everybody up. A program that waits well is hardly there at all: it puts down what it was doing, remembers the page, and lets somebody else have the chair.

I used to mark every function that might wait with a word of its own, until half of the words in my programs were that one. Now a function that waits looks like any other. `dewar.sleep(1)` sleeps; the rest of the house goes on.

The kettle takes four minutes. I have written this in three.]] },
  { "A recipe for slow tea", [[
Warm the flask first. Everybody skips this, and then wonders.

- two spoons of leaves, not the dust
- water that has stopped boiling
- six minutes, by a clock and not by feeling

Pour it off the leaves into the warm flask, and leave the house. It will be exactly right at the second bench, where the path comes out of the wood.]] },
  { "What the cold keeps", [[
At seventy-seven kelvin a rose breaks like porcelain, lead rings like a bell, and a memory chip remembers what you thought you had switched off.

Cold doesn't stop time. It only asks everything to hurry less, and most things, politely, do.]] },
  { "Notes from a quiet server", [[
It is Sunday, and the log has eleven lines. Somebody in Oslo has read the post about tea. A feed reader asks every hour whether there is anything new, is told `304`, and goes away satisfied.

I like these small conversations. *Is there anything?* — No. — *Thank you.* The web could be quieter than it is.]] },
}

---@param store blog.Store
---@param count integer how many posts
---@param hash string of Ada's password
---@param now integer when the last one was written
return function(store, count, hash, now)
  local author = store:user_named "Ada" or store:add_user("Ada", hash)
  for i = count, 1, -1 do
    local text = POSTS[(i - 1) % #POSTS + 1]
    local round = (i - 1) // #POSTS
    local title = round == 0 and text[1] or ("%s, part %d"):format(text[1], round + 1)
    store:add_post(author, { title = title, body = text[2] }, now - i * 3 * 24 * 3600)
  end
end
