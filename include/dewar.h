/* SPDX-License-Identifier: MIT */
/* dewar.h: a web runtime for Lua, inside a C program.
 *
 *     #include <dewar.h>
 *     #include <stdio.h>
 *
 *     static int health(dewar_exchange *x, void *data) {
 *       (void)data;
 *       return dewar_respond(x, 200, "text/plain", "fine\n", 5);
 *     }
 *
 *     int main(void) {
 *       dewar_runtime *rt;
 *       int code = dewar_new(&rt, NULL);
 *       if (code < 0) return 1;
 *       if (dewar_load_file(rt, "app.lua") < 0 ||         // Lua routes,
 *           dewar_get(rt, "/health", health, NULL) < 0 || // a C one beside,
 *           dewar_listen(rt, "127.0.0.1", 8000) < 0 ||
 *           dewar_run(rt) < 0)                            // until dewar_stop
 *         fprintf(stderr, "%s\n", dewar_error(rt));
 *       dewar_free(rt);
 *     }
 *
 * The parts: the runtime, serving, C views, requests without a socket. What
 * holds for all of them:
 *
 * Results. A function that returns int returns 0, or a negative code: one of
 *   libuv's (UV_EADDRINUSE, UV_ENOMEM...), passed on as it is, or one of
 *   DEWAR_ERRORS below. dewar_strerror explains a code; dewar_error(rt) says
 *   what was wrong this time, with a Lua traceback where there is one. Every
 *   misuse that can be noticed is such a code, in every build: a NULL that is
 *   no argument (DEWAR_EINVAL), a call that comes at the wrong time
 *   (DEWAR_EMISUSE), one that would turn the loop inside of itself
 *   (DEWAR_EREENTRY).
 *
 * Threads. A runtime belongs to one thread, the one that turns its loop. Only
 *   dewar_post and dewar_stop may be called from others (but from no signal
 *   handler). Nothing is global: runtimes live side by side, each in a thread
 *   of its own or several in one.
 *
 * Ownership. What is passed in is copied, but for callbacks' data, which is
 *   only passed on. What is returned, and what a callback is given, is
 *   borrowed: until the request ends (dewar_exchange_*), for the call (log
 *   records, responses), until the next call on the runtime (dewar_error).
 *
 * Manners. The library never exits or aborts the process, installs no signal
 *   handler, prints nothing; a client that goes away raises no SIGPIPE. Memory
 *   that runs out is a code, or a 503 for the request it happened to.
 *
 * Units. Times are seconds, sizes are bytes, text is UTF-8 and ends in a NUL
 *   where no length goes with it.
 */
#ifndef DEWAR_H
#define DEWAR_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DEWAR_VERSION_MAJOR 0
#define DEWAR_VERSION_MINOR 1
#define DEWAR_VERSION_PATCH 0
#define DEWAR_VERSION "0.1.0"

#if defined(_WIN32)
#define DEWAR_API __declspec(dllexport)
#elif defined(__GNUC__)
#define DEWAR_API __attribute__((visibility("default")))
#else
#define DEWAR_API
#endif

/* Dewar's own codes: DEWAR_ and a name, a number, what dewar_strerror says. */
#define DEWAR_ERRORS(X)                                                        \
  X(EINVAL, -10001, "invalid argument")                                        \
  X(EMISUSE, -10002, "call not allowed in this state")                         \
  X(ELUA, -10003, "the Lua code failed")                                       \
  X(EAPP, -10004, "the file did not return a Dewar app")                       \
  X(EREENTRY, -10005, "the loop is already running")                           \
  X(EDEADLOCK, -10006, "nothing is left that could finish this wait")          \
  X(ETOOBIG, -10007, "too large")                                              \
  X(EPARSE, -10008, "malformed input")                                         \
  X(EEXIST, -10009, "already there")                                           \
  X(ENOTFOUND, -10010, "not there")                                            \
  X(ECANCELED, -10011, "cancelled")                                            \
  X(ETIMEOUT, -10012, "out of time")                                           \
  X(ECLOSED, -10013, "closed")

enum dewar_code {
  DEWAR_OK = 0,
#define DEWAR_X(name, number, text) DEWAR_##name = number,
  DEWAR_ERRORS(DEWAR_X)
#undef DEWAR_X
};

/* A loop, a Lua state, an app, and what they need. */
typedef struct dewar_runtime dewar_runtime;
/* One request in flight and its answer. */
typedef struct dewar_exchange dewar_exchange;

/* --- The runtime -----------------------------------------------------------*/

enum dewar_level {
  DEWAR_DEBUG = 10,
  DEWAR_INFO = 20,
  DEWAR_WARN = 30,
  DEWAR_ERROR = 40
};

typedef struct dewar_log_field {
  const char *name;
  const char *value; /* as text, whatever it is */
  int is_number;     /* the text is a number, or true or false */
} dewar_log_field;

/* One record of the log. The text of a failure has a traceback in it, on lines
 * of its own. Each request is a record of level DEWAR_INFO, once it is over,
 * with the fields method, path, status, size, seconds and remote. Called on the
 * runtime's thread, from anywhere; it must not call back into the runtime. */
typedef void (*dewar_log_cb)(void *data, int level, const char *text,
                             const dewar_log_field *fields, size_t count);

/* realloc and free in one, as lua_Alloc: nsize 0 frees ptr, which may be NULL,
 * and returns NULL; else NULL says that there is no memory, and ptr stays as it
 * was. osize is the size that ptr was given, 0 where it is NULL. Called on the
 * runtime's thread. */
typedef void *(*dewar_alloc_cb)(void *data, void *ptr, size_t osize,
                                size_t nsize);

/* What dewar_new may be told. All zero is the default. */
typedef struct dewar_options {
  /* sizeof(dewar_options), which dewar_options_init sets: so that a host which
   * was compiled with an older header goes on working. 0 means the same. */
  size_t size;
  /* A uv_loop_t of the host's, which the host runs (or dewar_run does). NULL: a
   * loop of the runtime's own. The host closes it, after dewar_free. */
  void *loop;
  /* A lua_State of the host's, with its libraries open. NULL: one of the
   * runtime's own, with all standard libraries. In the host's, `require` finds
   * Dewar's modules, and the functions of `coroutine` are replaced by ones that
   * let the runtime wait; dewar_free puts back what was there, and leaves the
   * state open. A state has one runtime at a time: DEWAR_EEXIST. */
  void *lua;
  /* Where all memory comes from, that of the runtime's own Lua state included.
   * NULL: realloc and free. What the scripts in a host's lua_State have kept of
   * Dewar's objects goes back when Lua collects them, at lua_close at the
   * latest. */
  dewar_alloc_cb alloc;
  void *alloc_data;
  /* Gets the log's records. NULL: nobody does. */
  dewar_log_cb log;
  void *log_data;
  /* Records below this dewar_level are dropped; 0 means DEWAR_INFO. */
  int log_level;
} dewar_options;

/* The defaults. */
DEWAR_API void dewar_options_init(dewar_options *options);

/* Makes a runtime with an app that has no routes. options may be NULL. On
 * failure *out is NULL, and nothing is left to be freed. */
DEWAR_API int dewar_new(dewar_runtime **out, const dewar_options *options);

/* Ends everything and gives it back. What was posted is run; what still runs is
 * cancelled, and its teardown awaited, for which the loop is turned; the app
 * has its end (see dewar_run), unless it had it before, and its errors are
 * logged; then listening sockets are closed, and all memory is freed. NULL is a
 * no-op. DEWAR_EREENTRY, and nothing has happened: from inside a callback of
 * this runtime, or from a Lua function of a script that is being loaded. (A
 * host that runs its own loop doesn't call it from any callback of that loop.)
 * Threads that use dewar_post must have ended, or use it no more. */
DEWAR_API int dewar_free(dewar_runtime *rt);

/* Runs a Lua file, which returns an app: its routes, hooks and error handlers
 * serve from now on, and C views with them, whether they were added before or
 * come after. Comes before the first request, and only once, unless it fails;
 * a script that waits (dewar.sleep...) turns the loop meanwhile.
 * DEWAR_ELUA: the script failed, and dewar_error has its message and where.
 * DEWAR_EAPP: it returned something else. UV_ENOENT...: it can't be read.
 * DEWAR_EEXIST: a C view has one of its routes. */
DEWAR_API int dewar_load_file(dewar_runtime *rt, const char *path);
/* The same with len bytes of Lua text, called `name` in messages; NULL for
 * "string". No precompiled code. */
DEWAR_API int dewar_load_string(dewar_runtime *rt, const char *text, size_t len,
                                const char *name);

/* What the last failed call on rt found wrong, for people to read; "" if none
 * has failed. Never NULL. */
DEWAR_API const char *dewar_error(const dewar_runtime *rt);
/* What a code means, libuv's included: "address already in use". Never NULL;
 * static; from any thread. */
DEWAR_API const char *dewar_strerror(int code);
/* DEWAR_VERSION of the library, which may be another than the header's. */
DEWAR_API const char *dewar_version(void);

/* The lua_State in use, for the host's own libraries and globals: at the top
 * level, not while a script runs in it. */
DEWAR_API void *dewar_lua(dewar_runtime *rt);
/* The uv_loop_t in use. */
DEWAR_API void *dewar_loop(dewar_runtime *rt);
/* Bytes that are taken from the allocator now. */
DEWAR_API size_t dewar_memory(const dewar_runtime *rt);

/* --- Serving ---------------------------------------------------------------*/

/* Opens a listening socket, on an address or a name; several may be open. Port
 * 0 takes a free one: see dewar_port. UV_EADDRINUSE: somebody has the port,
 * maybe another runtime; dewar_error names the address. DEWAR_EMISUSE: after
 * dewar_stop, or too many are open.
 *
 * The first one runs what the app that was loaded wants to have run before it
 * serves (before_serving, and while_serving up to its serve()), and turns the
 * loop meanwhile. DEWAR_ELUA: that has failed, or would have to wait inside of
 * a callback; then nothing listens, and the next call tries again. */
DEWAR_API int dewar_listen(dewar_runtime *rt, const char *host, int port);
/* The same on a unix socket, a file that goes with dewar_stop or dewar_free.
 * One that a dead process has left is replaced. */
DEWAR_API int dewar_listen_unix(dewar_runtime *rt, const char *path);
/* The port of the last dewar_listen that went well; 0 without one. */
DEWAR_API int dewar_port(const dewar_runtime *rt);

/* Turns the loop until dewar_stop has finished its work, or until nothing is
 * left to do: where nothing listens, no request runs, no task waits. After a
 * stop, when all else is over, it runs what the app wants to have run at its
 * end (while_serving behind its serve(), after_serving), which has
 * SHUTDOWN_TIMEOUT. DEWAR_ELUA: that has failed. DEWAR_EREENTRY: from inside a
 * callback. */
DEWAR_API int dewar_run(dewar_runtime *rt);

/* For a host with a loop of another kind: one turn that doesn't block, when
 * dewar_backend_fd is readable, when dewar_backend_timeout has passed, and
 * after calls on the runtime. > 0 while something is alive, 0 when nothing is
 * (a dewar_post may come even then), or a negative code: DEWAR_EREENTRY from
 * inside a callback. */
DEWAR_API int dewar_poll(dewar_runtime *rt);
/* A descriptor that is readable when dewar_poll has something to do. Borrowed,
 * for poll, epoll and the like; never to be read from. Or a negative code. */
DEWAR_API int dewar_backend_fd(const dewar_runtime *rt);
/* Seconds until the next dewar_poll is due, 0 for at once; < 0: not before the
 * descriptor is readable. */
DEWAR_API double dewar_backend_timeout(const dewar_runtime *rt);

/* Stops gracefully: listening sockets close, idle connections too; requests and
 * tasks that run may finish within the app's SHUTDOWN_TIMEOUT (10), and are
 * cancelled after that. Then dewar_run returns. Called again, it cancels at
 * once. A stopped runtime doesn't listen again. From any thread; UV_ENOMEM. */
DEWAR_API int dewar_stop(dewar_runtime *rt);

/* Calls fn(data) on the runtime's thread in one of the next turns, in order.
 * From any thread, until dewar_free begins; posts that are left then are called
 * by it. The way back for a worker thread: see dewar_defer. UV_ENOMEM. */
DEWAR_API int dewar_post(dewar_runtime *rt, void (*fn)(void *data), void *data);

/* --- C views ---------------------------------------------------------------*/

/* Answers a request: by dewar_respond before it returns 0, or later, if it
 * calls dewar_defer (or dewar_exchange_body) and returns 0. Anything else, such
 * as a negative code, or 0 with neither, becomes a 500 and a record in the log.
 * The hooks and error handlers of the Lua app apply as they do to views in Lua.
 *
 * Until the answer is sent, x is good for the calls below, on the runtime's
 * thread. After it, x may be gone: an answer is the last thing to be done with
 * it. */
typedef int (*dewar_view_cb)(dewar_exchange *x, void *data);

/* Adds a route before the first request. methods is a list such as "GET, POST",
 * NULL for GET; GET brings HEAD along, and OPTIONS is answered by itself. rule
 * is as in Lua: "/native/<int:id>", with the converters string, int, float,
 * path, uuid and any, and, once it is loaded, the app's own.
 * DEWAR_EINVAL: something is wrong with the rule, and dewar_error says where.
 * DEWAR_EEXIST: the rule is taken. DEWAR_EMISUSE: after the first request. */
DEWAR_API int dewar_route(dewar_runtime *rt, const char *methods,
                          const char *rule, dewar_view_cb view, void *data);
/* The same for GET. */
DEWAR_API int dewar_get(dewar_runtime *rt, const char *rule, dewar_view_cb view,
                        void *data);

/* The runtime that x belongs to. */
DEWAR_API dewar_runtime *dewar_exchange_runtime(const dewar_exchange *x);

/* The request. All of these return NULL where there is no such thing, or no
 * memory; what they return lives as long as the request. */

/* "GET". */
DEWAR_API const char *dewar_exchange_method(const dewar_exchange *x);
/* "/native/7": decoded, but for %2F and %25, and without the query. */
DEWAR_API const char *dewar_exchange_path(const dewar_exchange *x);
/* "a=1&b=2", as it was sent; "" without one. */
DEWAR_API const char *dewar_exchange_query(const dewar_exchange *x);
/* The value of a variable of the rule, as text: "7". (NULL for one that a
 * converter in Lua has made.) */
DEWAR_API const char *dewar_exchange_arg(dewar_exchange *x, const char *name);
/* The value of a header; names ignore case. The values of lines that repeat it
 * are joined by ", ". */
DEWAR_API const char *dewar_exchange_header(dewar_exchange *x,
                                            const char *name);

/* status 0, and the whole body: len bytes, borrowed until the request ends. Or
 * a negative code and NULL, and the request is answered already: DEWAR_ETOOBIG
 * (413), DEWAR_ETIMEOUT (408), DEWAR_EPARSE (400), DEWAR_ECANCELED or another
 * (nobody waits for an answer). */
typedef void (*dewar_body_cb)(dewar_exchange *x, int status, const char *body,
                              size_t len, void *data);
/* Waits for the whole body, and defers the request: the callback answers it, or
 * calls dewar_defer and leaves that to others. Calls back before it returns if
 * the body is there already. It comes as it was sent, whatever Content-Encoding
 * says of it. The limit is the app's MAX_CONTENT_LENGTH
 * (16 MiB). DEWAR_EMISUSE: it is being read already, or a hook in Lua has read
 * it. */
DEWAR_API int dewar_exchange_body(dewar_exchange *x, dewar_body_cb cb,
                                  void *data);

/* Keeps the request open after the view has returned, for dewar_respond to be
 * called later: from another callback on the runtime's thread, where a worker
 * thread gets by dewar_post. Once per request.
 *
 * cancel is called if the answer is not wanted any more: the client has gone
 * away, the request is out of time, the runtime stops. It is the last that is
 * heard of x: whatever works for the request must forget it. With cancel NULL,
 * such a request waits for its dewar_respond all the same, whose answer is then
 * dropped; only dewar_free doesn't wait for it. */
DEWAR_API int dewar_defer(dewar_exchange *x,
                          void (*cancel)(dewar_exchange *x, void *data),
                          void *data);

/* Sets a header of the answer, before dewar_respond; it replaces one of the
 * same name. DEWAR_EINVAL: the name is none, or there is a CR, an LF or a NUL
 * in the value. Content-Length and what frames a body are set by themselves. */
DEWAR_API int dewar_set_header(dewar_exchange *x, const char *name,
                               const char *value);
/* The same beside those of the same name, as Set-Cookie needs it. */
DEWAR_API int dewar_add_header(dewar_exchange *x, const char *name,
                               const char *value);

/* Answers, once: a status from 200 to 599, a content type (NULL for "text/html;
 * charset=utf-8", unless Content-Type was set), and len bytes, which are
 * copied; body may be NULL where len is 0. It is sent when the app's hooks have
 * seen it, compressed where that is worth it and the client can decode it: a
 * header "Cache-Control: no-transform" forbids that. Any failure leaves the
 * request open. DEWAR_EINVAL: as above. DEWAR_EMISUSE: it has been answered.
 * DEWAR_ECANCELED: from inside its cancel. UV_ENOMEM. */
DEWAR_API int dewar_respond(dewar_exchange *x, int status, const char *type,
                            const void *body, size_t len);

/* --- Requests without a socket ---------------------------------------------*/

typedef struct dewar_response {
  int status;          /* 200 */
  const char *headers; /* "Name: value" lines, each ended by "\r\n" */
  size_t headers_len;
  const char *body; /* what was streamed is there in one piece */
  size_t body_len;
} dewar_response;

/* status 0 and a response, borrowed for the call and with a NUL behind headers
 * and body; or NULL and why there is none, or only a part: UV_ECONNRESET (the
 * request was cut, or cancelled), UV_ENOMEM... */
typedef void (*dewar_response_cb)(void *data, int status,
                                  const dewar_response *response);

/* Sends a request to the app as a client would, without a socket: through
 * parser, limits, router, hooks and view. Calls back once, from a later turn of
 * the loop, when the answer is whole and the request's teardown is over.
 * target is "/path?query" and encoded as in a browser's address; headers are
 * lines as in dewar_response, or NULL; Host (localhost) and Content-Length are
 * added where they are missing; body may be NULL. DEWAR_EINVAL: that would be
 * another request, or none. DEWAR_ECLOSED: after dewar_stop. */
DEWAR_API int dewar_request(dewar_runtime *rt, const char *method,
                            const char *target, const char *headers,
                            const void *body, size_t len, dewar_response_cb cb,
                            void *data);

#ifdef __cplusplus
}
#endif

#endif
