/* SPDX-License-Identifier: MIT */
/* A C host for tests of dewar.h: a runtime whose memory is counted and whose
 * log is kept, requests that are waited for, a bare socket. Include it behind
 * unit.h. */
#ifndef DW_SPEC_HOST_H
#define DW_SPEC_HOST_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <uv.h>

#include "dewar.h"

/* What the host gave the runtime and took from it. */
typedef struct host {
  dewar_runtime *rt;
  dewar_options options;
  size_t used;         /* bytes its allocator has given out */
  size_t calls;        /* allocations asked for */
  size_t fail_at;      /* the call of this number fails; 0: none */
  bool fail_after;     /* and all later ones */
  char log[16 * 1024]; /* lines "level text name=value..." */
} host;

/* The answer to the last request. */
typedef struct reply {
  bool done;
  int code; /* of the callback */
  int status;
  char headers[2048];
  char body[4096]; /* as much as there is room for, and a NUL */
  size_t body_len;
} reply;

__attribute__((unused)) static void *host_alloc(void *data, void *ptr,
                                                size_t osize, size_t nsize) {
  host *h = data;
  if (nsize == 0) {
    if (ptr) h->used -= osize;
    free(ptr);
    return NULL;
  }
  if (!ptr || nsize > osize) {
    h->calls++;
    if (h->fail_at &&
        (h->calls == h->fail_at || (h->fail_after && h->calls > h->fail_at)))
      return NULL;
  }
  void *block = realloc(ptr, nsize);
  if (!block) return NULL;
  h->used += nsize - (ptr ? osize : 0);
  return block;
}

__attribute__((unused)) static void host_log(void *data, int level,
                                             const char *text,
                                             const dewar_log_field *fields,
                                             size_t count) {
  host *h = data;
  size_t at = strlen(h->log), room = sizeof h->log - at;
  int n = snprintf(h->log + at, room, "%d %s", level, text);
  for (size_t i = 0; i < count && n >= 0 && (size_t)n < room; i++)
    n += snprintf(h->log + at + n, room - (size_t)n, " %s=%s", fields[i].name,
                  fields[i].value);
  if (n >= 0 && (size_t)n + 1 < room) strcat(h->log, "\n");
}

__attribute__((unused)) static void host_init(host *h) {
  memset(h, 0, sizeof *h);
  dewar_options_init(&h->options);
  h->options.alloc = host_alloc;
  h->options.alloc_data = h;
  h->options.log = host_log;
  h->options.log_data = h;
}

__attribute__((unused)) static bool host_open(host *h) {
  host_init(h);
  return CHECK(dewar_new(&h->rt, &h->options) == 0) && CHECK(h->rt);
}

/* Nothing of the runtime may be left. */
__attribute__((unused)) static void host_close(host *h) {
  CHECK_INT(dewar_free(h->rt), 0);
  CHECK_INT(h->used, 0);
  h->rt = NULL;
}

/* Whether the log has a line with this in it; shows the log where not. */
__attribute__((unused)) static bool host_logged(const host *h,
                                                const char *text) {
  if (strstr(h->log, text)) return true;
  fprintf(stderr, "the log has no \"%s\":\n%s", text, h->log);
  return false;
}

__attribute__((unused)) static int host_load(host *h, const char *text) {
  int code = dewar_load_string(h->rt, text, strlen(text), "app.lua");
  if (code < 0 && code != UV_ENOMEM && !unit.failing)
    fprintf(stderr, "%s\n", dewar_error(h->rt));
  return code;
}

/* A runtime's whole life with a script, the n-th allocation failing (0: none),
 * and with fail_after all behind it: nothing may be left of it. Returns how
 * many there were. */
__attribute__((unused)) static size_t
host_live(host *h, const char *script, size_t fail_at, bool fail_after) {
  host_init(h);
  h->fail_at = fail_at;
  h->fail_after = fail_after;
  unit.failing = fail_at;
  int code = dewar_new(&h->rt, &h->options);
  if (code == 0) {
    code = host_load(h, script);
    CHECK_INT(dewar_free(h->rt), 0);
  }
  CHECK_INT(h->used, 0);
  if (h->calls < fail_at || fail_at == 0) CHECK_INT(code, 0);
  unit.failing = 0;
  return h->calls;
}

/* With each failure that the script meets and `before`, which is its beginning,
 * doesn't. */
__attribute__((unused)) static void
host_live_with_failures(host *h, const char *before, const char *script) {
  size_t from = host_live(h, before, 0, false);
  size_t to = host_live(h, script, 0, false);
  CHECK(to > from);
  for (int after = 0; after < 2; after++)
    for (size_t n = from; n <= to + 8; n++) host_live(h, script, n, after);
}

/* --- Requests --------------------------------------------------------------*/

__attribute__((unused)) static void reply_cb(void *data, int code,
                                             const dewar_response *response) {
  reply *r = data;
  CHECK(!r->done);
  r->done = true;
  r->code = code;
  CHECK((code == 0) == (response != NULL));
  if (!response) return;
  r->status = response->status;
  snprintf(r->headers, sizeof r->headers, "%.*s", (int)response->headers_len,
           response->headers);
  r->body_len = response->body_len;
  size_t kept = r->body_len < sizeof r->body ? r->body_len : sizeof r->body - 1;
  memcpy(r->body, response->body, kept);
}

/* Sends a request and turns the loop until it is over. */
__attribute__((unused)) static reply ask_with(host *h, const char *method,
                                              const char *target,
                                              const char *headers,
                                              const char *body) {
  reply r = {0};
  int code = dewar_request(h->rt, method, target, headers, body,
                           body ? strlen(body) : 0, reply_cb, &r);
  if (code < 0) {
    r.code = code;
    return r;
  }
  CHECK(!r.done);
  while (!r.done && dewar_poll(h->rt) > 0) {
    uv_loop_t *loop = dewar_loop(h->rt);
    if (!r.done && uv_backend_timeout(loop) != 0) usleep(500);
  }
  CHECK(r.done);
  return r;
}

__attribute__((unused)) static reply ask(host *h, const char *target) {
  return ask_with(h, "GET", target, NULL, NULL);
}

/* --- Sockets ---------------------------------------------------------------*/

/* A blocking connection to the runtime's port, with something sent. */
__attribute__((unused)) static int host_connect(host *h, const char *bytes) {
  struct sockaddr_in to = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)dewar_port(h->rt)),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  bool ok =
      fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
      send(fd, bytes, strlen(bytes), MSG_NOSIGNAL) == (ssize_t)strlen(bytes);
  CHECK(ok);
  return fd;
}

/* Polls until the flag is set. */
__attribute__((unused)) static void host_turn_until(host *h,
                                                    const volatile bool *flag) {
  for (int i = 0; i < 20000 && !*flag; i++) {
    dewar_poll(h->rt);
    if (!*flag) usleep(500);
  }
  CHECK(*flag);
}

#endif
