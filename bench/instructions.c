/* SPDX-License-Identifier: MIT */
/* instructions APP REQUEST BATCH COUNT: lets an app answer COUNT batches of
 * BATCH equal pipelined requests over an in-memory connection. It is run under
 * callgrind with --toggle-collect=measured, so that start-up and the warm-up
 * don't count. REQUEST is a file with the bytes of one request. Prints how many
 * requests were measured and how many were sent in all, the size of an answer,
 * and how many allocations and growths the measured ones took. */
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "app/client.h"
#include "runtime.h"

enum { WARM_UP = 300, REQUEST_MAX = 64 * 1024, TURNS_MAX = 100000 };

typedef struct bench {
  dewar_runtime *rt;
  dw_client *client;
  char *batch;
  size_t batch_len;
  size_t received;
  size_t answers; /* the size of those to a batch */
  long batches;   /* sent so far */
  bool over;
} bench;

/* Lua's seed is made of the time, and the seed decides about collisions in its
 * tables: a clock that stands still makes runs comparable. Lua's library finds
 * this one in front of libc's. */
__attribute__((visibility("default"))) time_t time(time_t *out) {
  if (out) *out = 1700000000;
  return 1700000000;
}

/* --- The client ------------------------------------------------------------*/

static void data_cb(dw_client *c, dw_slice bytes) {
  bench *b = c->data;
  if (b->received == 0 && strncmp(bytes.ptr, "HTTP/1.1 200", 12) != 0) {
    fprintf(stderr, "%.*s\n", DW_FMT(bytes));
    exit(1);
  }
  b->received += bytes.len;
}

static void done_cb(dw_client *c, int status) {
  bench *b = c->data;
  (void)status;
  b->over = true;
}

static const dw_client_events events = {.data_cb = data_cb, .done_cb = done_cb};

static void send_batch(bench *b) {
  b->received = 0;
  b->batches++;
  if (dw_client_send(b->client, dw_slice_of(b->batch, b->batch_len)) < 0) {
    fprintf(stderr, "instructions: the connection is closed\n");
    exit(1);
  }
}

static void run_batches(bench *b, long count) {
  for (long i = 0; i < count; i++) {
    send_batch(b);
    for (int turns = 0; b->received < b->answers; turns++) {
      if (b->over || turns == TURNS_MAX) {
        fprintf(stderr, "instructions: %zu bytes of %zu came\n", b->received,
                b->answers);
        exit(1);
      }
      dewar_poll(b->rt);
    }
  }
}

/* callgrind collects what happens within this function. */
void measured(bench *b, long count);
__attribute__((noinline)) void measured(bench *b, long count) {
  run_batches(b, count);
}

/* How long the answers to a batch are: what comes until nothing more does. */
static void learn_answers(bench *b) {
  send_batch(b);
  size_t before = 0;
  for (int quiet = 0; quiet < 100; quiet++) {
    dewar_poll(b->rt);
    if (b->received != before) quiet = 0;
    before = b->received;
  }
  b->answers = b->received;
}

/* --- Setting up ------------------------------------------------------------*/

static bool read_request(bench *b, const char *path, int times) {
  char text[REQUEST_MAX];
  FILE *file = fopen(path, "rb");
  if (!file) return false;
  size_t len = fread(text, 1, sizeof text, file);
  fclose(file);
  b->batch_len = len * (size_t)times;
  b->batch = malloc(b->batch_len);
  if (!b->batch) return false;
  for (int i = 0; i < times; i++) memcpy(b->batch + len * (size_t)i, text, len);
  return len > 0;
}

static void log_to_stderr(void *data, int level, const char *text,
                          const dewar_log_field *fields, size_t count) {
  (void)data, (void)level, (void)fields, (void)count;
  fprintf(stderr, "%s\n", text);
}

static bool start(bench *b, const char *app) {
  dewar_options options;
  dewar_options_init(&options);
  options.log = log_to_stderr;
  options.log_level = DEWAR_WARN;
  if (dewar_new(&b->rt, &options) < 0) return false;
  if (dewar_load_file(b->rt, app) < 0) {
    fprintf(stderr, "%s\n", dewar_error(b->rt));
    return false;
  }
  return dw_runtime_activate(b->rt) == 0 &&
         dw_client_connect(&b->client, b->rt->server, &events, b) == 0;
}

int main(int argc, char **argv) {
  if (argc != 5) {
    fprintf(stderr, "usage: instructions APP REQUEST BATCH COUNT\n");
    return 2;
  }
  bench b = {0};
  int batch = atoi(argv[3]);
  long count = atol(argv[4]);
  if (batch < 1 || count < 1 || !read_request(&b, argv[2], batch)) {
    fprintf(stderr, "instructions: no request in %s\n", argv[2]);
    return 2;
  }
  if (!start(&b, argv[1])) return 1;
  learn_answers(&b);
  run_batches(&b, WARM_UP / batch + 1);
  lua_gc(dewar_lua(b.rt), LUA_GCCOLLECT); /* all start at the same point */
  uint64_t calls = b.rt->alloc.calls;
  measured(&b, count);
  calls = b.rt->alloc.calls - calls;
  printf("{\"requests\": %ld, \"sent\": %ld, \"answer\": %zu, "
         "\"allocations\": %llu}\n",
         count * batch, b.batches * batch, b.answers / (size_t)batch,
         (unsigned long long)calls);
  dw_client_close(b.client, false);
  dewar_free(b.rt);
  free(b.batch);
  return 0;
}
