/* SPDX-License-Identifier: MIT */
/* core:serve: turns the loop until the app has been stopped and its requests
 * are over. What comes before and after is lua/dewar/serve.lua's. Thread: the
 * loop's, a main chunk. */
#include "bindings/app.h"
#include "bindings/errors.h"

typedef struct serving {
  const dw_lua_app *app;
  const dw_loop *loop;
  bool stopped;
  uint64_t stopped_at;
} serving;

/* Requests have their server's deadline. */
static bool requests_over(void *data) {
  serving *g = data;
  const dw_server *server = g->app->server;
  if (server->stopping && !g->stopped) {
    g->stopped = true;
    g->stopped_at = dw_loop_now(g->loop);
  }
  return server->stopping && dw_server_idle(server);
}

/* core:serve() -> seconds since it was stopped */
int dw_app_serve(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  dw_loop *loop = a->script->loop;
  if (a->script->current)
    return dw_misuse(L, "serve is for a main chunk, not for a task");
  if (loop->running)
    return dw_misuse(L, "the loop is turning already: serve was called from "
                        "inside of it");
  serving g = {.app = a, .loop = loop};
  int code = dw_loop_run(loop, requests_over, &g);
  if (code < 0) return dw_errors_raise_code(L, a->script, code, "serve");
  lua_pushnumber(L, (double)(dw_loop_now(loop) - g.stopped_at) / 1e3);
  return 1;
}
