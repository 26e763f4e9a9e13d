/* SPDX-License-Identifier: MIT */
/* dewar.h: a web runtime for Lua, embedded in a C host.
 *
 *     dewar_runtime *rt;
 *     if (dewar_new(&rt, NULL) < 0) return 1;
 *     dewar_load_file(rt, "app.lua");           // Lua routes
 *     dewar_get(rt, "/health", health, NULL);   // a C route beside them
 *     dewar_listen(rt, "127.0.0.1", 8000);
 *     dewar_run(rt);                            // until dewar_stop
 *     dewar_free(rt);
 *
 * Rules that hold for all of it
 * - Results are 0 or a negative code: libuv's own (UV_EADDRINUSE...), or one of
 *   DEWAR_ERRORS. dewar_strerror explains a code; dewar_error(rt) has the text
 *   of the runtime's last failure, with a Lua traceback where there is one.
 *   Misuse returns DEWAR_EINVAL or DEWAR_EMISUSE in every build, never aborts.
 * - A runtime belongs to one thread: the one that runs its loop. Only
 *   dewar_post and dewar_stop may be called from others. There is no global
 *   state; several runtimes live side by side.
 * - `const char *` that is passed in is copied. What is returned is borrowed:
 *   until the request ends (dewar_exchange_*), or the next call on the runtime
 *   (dewar_error).
 * - The library never exits, installs no signal handler, prints nothing that
 *   was not asked for; a reset client never raises SIGPIPE.
 * - Times are seconds, sizes are bytes.
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

/* Dewar's own codes: name, number, what it says. */
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

typedef struct dewar_runtime dewar_runtime;
/* One request in flight and its answer. */
typedef struct dw_exchange dewar_exchange;

/* --- The runtime -------------------------------------------------------- */

enum dewar_level {
  DEWAR_DEBUG = 10,
  DEWAR_INFO = 20,
  DEWAR_WARN = 30,
  DEWAR_ERROR = 40
};

typedef struct dewar_log_field {
  const char *name;
  const char *value; /* text, or a number as text */
  int is_number;
} dewar_log_field;

/* One record; everything in it is borrowed for the call. An access record has
 * the fields method, path, status, size, seconds, remote. */
typedef void (*dewar_log_cb)(void *data, int level, const char *text,
                             const dewar_log_field *fields, size_t count);

/* Like lua_Alloc: nsize 0 frees; NULL otherwise is a failure. The runtime and
 * its Lua state take all their memory from it. */
typedef void *(*dewar_alloc_cb)(void *data, void *ptr, size_t osize,
                                size_t nsize);

/* All zero, or dewar_options_init, is the default. */
typedef struct dewar_options {
  size_t size;   /* sizeof(dewar_options), set by dewar_options_init */
  void *loop;    /* uv_loop_t *: the host's loop, run by the host or by us */
  void *lua;     /* lua_State *: the host's state; what Dewar replaces in it is
                    put back by dewar_free, which leaves it open */
  dewar_alloc_cb alloc; /* not with a host's lua_State's own allocator */
  void *alloc_data;
  dewar_log_cb log; /* NULL: nothing is logged */
  void *log_data;
  int log_level; /* records below are dropped; 0 means DEWAR_INFO */
} dewar_options;

DEWAR_API void dewar_options_init(dewar_options *options);

/* Makes a runtime with an empty app. options may be NULL. *out is NULL on
 * failure. */
DEWAR_API int dewar_new(dewar_runtime **out, const dewar_options *options);
/* Cancels what still runs (teardown hooks run), turns the loop until it is
 * gone, frees. NULL is a no-op. Not from inside a callback of this runtime:
 * then DEWAR_EREENTRY, and nothing has happened. */
DEWAR_API int dewar_free(dewar_runtime *rt);

/* Runs a Lua file, or a text called `name` in messages, that returns an app;
 * the app's routes serve from now on, beside the C ones. DEWAR_ELUA: it
 * failed, see dewar_error. DEWAR_EAPP: it returned something else. */
DEWAR_API int dewar_load_file(dewar_runtime *rt, const char *path);
DEWAR_API int dewar_load_string(dewar_runtime *rt, const char *text,
                                size_t len, const char *name);

/* The text of the last failure of a call on rt; "" if there was none. */
DEWAR_API const char *dewar_error(const dewar_runtime *rt);
/* What a code means; needs no runtime. Never NULL. */
DEWAR_API const char *dewar_strerror(int code);
DEWAR_API const char *dewar_version(void);

/* The lua_State and the uv_loop_t in use, for the host's own libraries. */
DEWAR_API void *dewar_lua(dewar_runtime *rt);
DEWAR_API void *dewar_loop(dewar_runtime *rt);

/* Memory taken from the allocator, now. */
DEWAR_API size_t dewar_memory(const dewar_runtime *rt);

/* --- Serving ------------------------------------------------------------- */

/* Opens a listening socket; several may be open. Port 0 takes a free one:
 * dewar_port tells which. UV_EADDRINUSE: somebody has it. */
DEWAR_API int dewar_listen(dewar_runtime *rt, const char *host, int port);
DEWAR_API int dewar_listen_unix(dewar_runtime *rt, const char *path);
/* The port of the last dewar_listen; 0 without one. */
DEWAR_API int dewar_port(const dewar_runtime *rt);

/* Turns the loop until dewar_stop has finished its work, or, where nothing
 * listens, until nothing is left to do. DEWAR_EREENTRY from a callback. */
DEWAR_API int dewar_run(dewar_runtime *rt);
/* One turn that doesn't block, for a host that has a loop of another kind:
 * when dewar_backend_fd is readable, or dewar_backend_timeout has passed.
 * Returns > 0 while something is alive, 0 when nothing is, or a code. */
DEWAR_API int dewar_poll(dewar_runtime *rt);
DEWAR_API int dewar_backend_fd(const dewar_runtime *rt);
/* Seconds until the next poll is due; < 0: not before the fd is readable. */
DEWAR_API double dewar_backend_timeout(const dewar_runtime *rt);

/* Stops gracefully: no new connections, what runs may finish within
 * SHUTDOWN_TIMEOUT, the rest is cancelled; then dewar_run returns. A second
 * call cancels at once. From any thread. */
DEWAR_API int dewar_stop(dewar_runtime *rt);
/* Runs fn(data) on the loop's thread, soon and in order. From any thread, until
 * dewar_free. Posts that are left when dewar_free is called run inside it. */
DEWAR_API int dewar_post(dewar_runtime *rt, void (*fn)(void *data),
                         void *data);

/* --- C views -------------------------------------------------------------- */

/* Answers with dewar_respond before it returns 0, or calls dewar_defer and
 * answers later. A negative code becomes a 500. Path variables by name:
 * dewar_exchange_arg. Hooks and error handlers of the Lua app apply. */
typedef int (*dewar_view_cb)(dewar_exchange *x, void *data);

/* Adds a route; `methods` is like "GET, POST"; NULL means GET. rule has the
 * syntax of Lua's: "/native/<int:id>". DEWAR_EINVAL: bad rule, see dewar_error.
 * DEWAR_EEXIST: the rule is taken. DEWAR_EMISUSE: after the first request. */
DEWAR_API int dewar_route(dewar_runtime *rt, const char *methods,
                          const char *rule, dewar_view_cb view, void *data);
DEWAR_API int dewar_get(dewar_runtime *rt, const char *rule,
                        dewar_view_cb view, void *data);

DEWAR_API dewar_runtime *dewar_exchange_runtime(const dewar_exchange *x);
DEWAR_API const char *dewar_exchange_method(const dewar_exchange *x);
DEWAR_API const char *dewar_exchange_path(const dewar_exchange *x);
DEWAR_API const char *dewar_exchange_query(const dewar_exchange *x);
/* The value of a path variable as text; NULL where the rule has none. */
DEWAR_API const char *dewar_exchange_arg(dewar_exchange *x, const char *name);
/* A header's value, its lines joined by ", "; NULL where there is none. */
DEWAR_API const char *dewar_exchange_header(dewar_exchange *x,
                                           const char *name);
/* Calls back with the whole body (borrowed until the request ends), or with a
 * negative code and the request is already being answered (413, 408, client
 * gone). Defers the request by itself; may call back at once. */
typedef void (*dewar_body_cb)(dewar_exchange *x, int status,
                              const char *body, size_t len, void *data);
DEWAR_API int dewar_exchange_body(dewar_exchange *x, dewar_body_cb cb,
                                 void *data);

/* Keeps the request open after the view has returned. cancel (may be NULL) is
 * called if the client goes away, time runs out or the runtime stops: the
 * request must not be touched after it. */
DEWAR_API int dewar_defer(dewar_exchange *x,
                          void (*cancel)(dewar_exchange *x, void *data),
                          void *data);
/* Sets a header of the answer, before dewar_respond. */
DEWAR_API int dewar_set_header(dewar_exchange *x, const char *name,
                               const char *value);
/* Adds one beside those of the same name: for Set-Cookie. */
DEWAR_API int dewar_add_header(dewar_exchange *x, const char *name,
                               const char *value);
/* Answers, once. type NULL: "text/html; charset=utf-8". On the loop's thread:
 * a worker thread gets there by dewar_post. */
DEWAR_API int dewar_respond(dewar_exchange *x, int status, const char *type,
                            const void *body, size_t len);

/* --- Requests without a socket ------------------------------------------- */

typedef struct dewar_response {
  int status;
  const char *headers; /* "Name: value" lines, each ended by "\r\n" */
  size_t headers_len;
  const char *body;
  size_t body_len;
} dewar_response;

/* status 0 and a response (borrowed for the call), or a negative code and
 * NULL. */
typedef void (*dewar_response_cb)(void *data, int status,
                                  const dewar_response *response);

/* Dispatches a request through parser, limits, router, hooks and view, and
 * calls back after its teardown, from a later turn of the loop. `headers` are
 * "Name: value" lines as above, or NULL; Host and Content-Length are added
 * where they are missing. */
DEWAR_API int dewar_request(dewar_runtime *rt, const char *method,
                             const char *target, const char *headers,
                             const void *body, size_t len,
                             dewar_response_cb cb, void *data);

#ifdef __cplusplus
}
#endif

#endif
