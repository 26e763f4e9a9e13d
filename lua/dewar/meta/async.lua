---@meta dewar.async
-- Tasks, waits and synchronisation (bindings/await.c, task_object.c, join.c, gather.c,
-- group.c, scope.c, sync.c, queue.c, ensure_sync.c). Times are seconds; outside of tasks
-- every call that waits turns the loop until it is done.

---@class dewar
local dewar = {}

---What can be awaited: a task; a coroutine made by `coroutine.create`, which
---runs to its end; or a value whose metatable has `__await(self)`, which is
---called in the awaiting task, may wait, and returns the results.
---@alias dewar.Awaitable dewar.Task | thread | table | userdata

---A task: a function that runs concurrently. As a to-be-closed variable it is
---cancelled, and its end is waited for, when the block is left.
---@class dewar.Task
---@field status "pending"|"running"|"done"|"failed"|"cancelled"
---@field id integer as in `dewar.tasks()`
---@field name string? what it was set to; else where its function is defined, while it lives
local Task = {}

---Cancels it: `dewar.Cancelled` is raised at the wait that it is in, and again at
---every later one. One that has not started never does. What has ended stays as
---it is.
function Task:cancel() end

---Waits. `sleep(0)` is `yield()`, `sleep(math.huge)` is for ever.
---@param seconds number at least 0
function dewar.sleep(seconds) end

---Lets other tasks run.
function dewar.yield() end

---The seconds of a clock that never goes back; where it starts is not said.
---@return number seconds
---@nodiscard
function dewar.now() end

---Starts a task. It begins when the caller next waits, in the order of spawning,
---belongs to the task that made it (outside any to the runtime), and is cancelled
---and waited for when that ends. An error that nobody awaits is logged.
---@param fn function
---@param ... any its arguments
---@return dewar.Task
function dewar.spawn(fn, ...) end

---Waits for an awaitable and returns its results, or raises its error. Awaiting a
---task that was cancelled raises `dewar.Cancelled`; running out of time raises
---`dewar.TimeoutError` and leaves a task running, but ends anything else.
---@param awaitable dewar.Awaitable
---@param seconds number? for ever without it
---@return any ...
function dewar.await(awaitable, seconds) end

---@class dewar.GatherOptions
---@field limit? integer how many functions run at once

---Runs all at once, waits for all, and returns the first result of each: one
---value each, or, of a list, a list. The first error cancels the rest, waits for
---its end, and is raised; so does a cancellation of the caller. Options stand
---behind or before the functions, or behind the list.
---@param ... function | dewar.Awaitable | dewar.GatherOptions
---@return any ...
---@overload fun(list: (function | dewar.Awaitable)[], options?: dewar.GatherOptions): any[]
function dewar.gather(...) end

---@class dewar.RaceOptions
---@field success? boolean errors count only if all fail

---Runs all at once, and returns the results of the first that ends, or raises its
---error. The others are cancelled, and have ended by then.
---@param ... function | dewar.Awaitable | dewar.RaceOptions
---@return any ...
---@overload fun(list: (function | dewar.Awaitable)[], options?: dewar.RaceOptions): any
function dewar.race(...) end

---@class dewar.ScopeOptions
---@field timeout? number seconds; then `dewar.TimeoutError` is raised

---A stretch of a task that owns tasks: what `dewar.scope` gives its function.
---@class dewar.Scope
local Scope = {}

---Starts a task that belongs to the scope. One that has been cancelled starts
---nothing any more, and one that has ended raises.
---@param fn function
---@param ... any its arguments
---@return dewar.Task
function Scope:spawn(fn, ...) end

---Cancels all that is inside: the tasks, and the function of the scope.
function Scope:cancel() end

---Calls fn(scope, ...) in place, and waits for the tasks that it has spawned by
---scope:spawn. The first error, of a task or of fn, cancels all that is inside,
---and is raised when it has ended. Returns what fn does, or nothing where
---scope:cancel() has interrupted it.
---@param options dewar.ScopeOptions
---@param fn fun(scope: dewar.Scope, ...: any): any
---@param ... any
---@return any ...
---@overload fun(fn: (fun(scope: dewar.Scope, ...: any): any), ...: any): any
function dewar.scope(options, fn, ...) end

---An async function: calling it starts a task and returns it.
---@param fn function
---@return fun(...: any): dewar.Task
---@nodiscard
function dewar.async(fn) end

---Whether a value is a function that `dewar.async` has made.
---@param value any
---@return boolean
---@nodiscard
function dewar.is_async(value) end

---Calls a function that may take so long. When time is up, its waits raise
---`dewar.Cancelled`, and at its end `dewar.TimeoutError` is raised. It runs in
---place, in the same task.
---@param seconds number
---@param fn function
---@param ... any its arguments
---@return any ... its results
function dewar.timeout(seconds, fn, ...) end

---Calls a function whose waits no cancellation and no timeout around it
---interrupts. One that came meanwhile is raised when the function has returned.
---@param fn function
---@param ... any its arguments
---@return any ... its results
function dewar.shield(fn, ...) end

---Runs a function as a task and turns the loop until it has ended: for the main
---chunk of a script. Inside of a task it is an error.
---@param fn function
---@param ... any its arguments
---@return any ... its results
function dewar.run(fn, ...) end

---Something that happens, and that tasks wait for.
---@class dewar.Event
local Event = {}

---@return dewar.Event
---@nodiscard
function dewar.event() end

---It has happened: wakes all who wait, and from now on nobody does.
function Event:set() end

---It has not happened any more. Who was woken already goes on.
function Event:clear() end

---@return boolean
---@nodiscard
function Event:is_set() end

---Waits until it is set.
---@param seconds number? then `dewar.TimeoutError` is raised
function Event:wait(seconds) end

---Values handed from task to task, first in, first out; also to those who wait.
---`#queue` is how many lie in it.
---@class dewar.Queue
---@operator len: integer
local Queue = {}

---@param limit integer? how many it holds before putting waits; no limit without it
---@return dewar.Queue
---@nodiscard
function dewar.queue(limit) end

---Adds a value, waiting for a place if need be. A closed queue raises.
---@param value any not nil
---@param seconds number? then `dewar.TimeoutError` is raised
function Queue:put(value, seconds) end

---Takes the oldest value, waiting for one if need be; nil when the queue is closed
---and empty.
---@param seconds number? then `dewar.TimeoutError` is raised
---@return any value
function Queue:get(seconds) end

---An iterator over values, until the queue is closed and empty: for a `for` loop,
---and to be returned as a body in pieces or given to `dewar.sse`.
---@return fun(): any
function Queue:items() end

---Nothing can be put any more. What lies in it can still be taken; who waits to
---put gets an error, who waits to get gets nil.
function Queue:close() end

---So many may hold it at once; the others wait in line.
---@class dewar.Semaphore
local Semaphore = {}

---@param permits integer at least 1
---@return dewar.Semaphore
---@nodiscard
function dewar.semaphore(permits) end

---A semaphore of one. It knows no owner: a task that acquires it twice waits for
---itself.
---@return dewar.Semaphore
---@nodiscard
function dewar.lock() end

---Takes a permit, waiting for its turn.
---@param seconds number? then `dewar.TimeoutError` is raised
function Semaphore:acquire(seconds) end

---Gives a permit back, to who has waited longest. More often than it was acquired
---is an error.
function Semaphore:release() end

---Holds it while a function runs, whatever that one's end.
---@param fn function
---@param ... any its arguments
---@return any ... its results
function Semaphore:with(fn, ...) end

---@class dewar.App
local App = {}

---A function that, called like f, returns what f finally returns. A plain
---function comes back unchanged. An async function is wrapped: the wrapper runs it
---as a task and waits for it, inside of a task by suspending only that, outside by
---turning the loop. A coroutine is wrapped, too, and can be called once. Every
---view, hook and handler passes through this once; an app may override it.
---@param f function | thread | table | userdata
---@return function | table | userdata
function App:ensure_sync(f) end

return dewar
