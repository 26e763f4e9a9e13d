/* SPDX-License-Identifier: MIT */
/* A C program that serves a Lua app beside its own routes. It has a loop of its
 * own, signals of its own, and a worker thread, which answers a request that
 * the view has left pending.
 *
 *     embed [app.lua]        serves on http://127.0.0.1:8000
 *     embed --test app.lua   asks itself two questions instead, and ends
 */
#include <dewar.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

/* --- The worker: factorizes numbers in a thread of its own -----------------*/

typedef struct job {
  struct job *next;
  dewar_runtime *rt;
  dewar_exchange *x; /* who asked; NULL: nobody waits for it any more */
  unsigned long long n;
  char answer[512];
} job;

typedef struct worker {
  uv_thread_t thread;
  uv_mutex_t lock; /* of what follows */
  uv_cond_t news;
  job *first, *last;
  int closing;
} worker;

/* On the loop's thread: x may be used here, and the job is ours alone. */
static void finish(void *data) {
  job *j = data;
  if (j->x)
    dewar_respond(j->x, 200, "text/plain", j->answer, strlen(j->answer));
  free(j);
}

static void factorize(job *j) {
  unsigned long long n = j->n;
  size_t at = (size_t)sprintf(j->answer, "%llu =", n);
  const char *times = "";
  for (unsigned long long p = 2; p <= n / p; p++)
    for (; n % p == 0; n /= p, times = " *")
      at += (size_t)sprintf(j->answer + at, "%s %llu", times, p);
  if (n > 1 || !*times)
    at += (size_t)sprintf(j->answer + at, "%s %llu", times, n);
  strcpy(j->answer + at, "\n");
}

/* The next job, or NULL when there will be none. */
static job *take(worker *w) {
  uv_mutex_lock(&w->lock);
  while (!w->first && !w->closing) uv_cond_wait(&w->news, &w->lock);
  job *j = w->first;
  if (j) w->first = j->next;
  uv_mutex_unlock(&w->lock);
  return j;
}

static void work(void *data) {
  for (job *j; (j = take(data));) {
    factorize(j);
    if (dewar_post(j->rt, finish, j) < 0) abort(); /* no memory for a post */
  }
}

static void give(worker *w, job *j) {
  uv_mutex_lock(&w->lock);
  if (w->first)
    w->last->next = j;
  else
    w->first = j;
  w->last = j;
  uv_cond_signal(&w->news);
  uv_mutex_unlock(&w->lock);
}

static int worker_start(worker *w) {
  memset(w, 0, sizeof *w);
  uv_mutex_init(&w->lock);
  uv_cond_init(&w->news);
  return uv_thread_create(&w->thread, work, w);
}

/* Waits for the job in hand; the others are done, too. */
static void worker_end(worker *w) {
  uv_mutex_lock(&w->lock);
  w->closing = 1;
  uv_cond_signal(&w->news);
  uv_mutex_unlock(&w->lock);
  uv_thread_join(&w->thread);
  uv_cond_destroy(&w->news);
  uv_mutex_destroy(&w->lock);
}

/* --- A view that is answered by it -----------------------------------------*/

/* The client has gone away, or the server stops. */
static void forget(dewar_exchange *x, void *data) {
  job *j = data;
  (void)x;
  j->x = NULL;
}

static int factors(dewar_exchange *x, void *data) {
  job *j = calloc(1, sizeof *j);
  if (!j) return UV_ENOMEM; /* a 500 */
  j->rt = dewar_exchange_runtime(x);
  j->x = x;
  j->n = strtoull(dewar_exchange_arg(x, "n"), NULL, 10);
  int code = dewar_defer(x, forget, j);
  if (code < 0) {
    free(j);
    return code;
  }
  give(data, j);
  return 0;
}

/* --- The program -----------------------------------------------------------*/

static void print_log(void *data, int level, const char *text,
                      const dewar_log_field *fields, size_t count) {
  (void)data, (void)fields, (void)count;
  fprintf(stderr, "%s: %s\n", level >= DEWAR_WARN ? "dewar" : "log", text);
}

static void on_signal(uv_signal_t *handle, int number) {
  (void)number;
  dewar_stop(handle->data);
}

/* Two requests, one after the other, then the end. */
static void on_answer(void *data, int status, const dewar_response *r) {
  dewar_runtime *rt = data;
  static int asked;
  if (status < 0)
    printf("failed: %s\n", dewar_strerror(status));
  else
    printf("%d %s", r->status, r->body);
  if (asked++ == 0)
    dewar_request(rt, "GET", "/hello/embed", NULL, NULL, 0, on_answer, rt);
  else
    dewar_stop(rt);
}

static int set_up(dewar_runtime *rt, worker *w, const char *app, int test) {
  int code = dewar_load_file(rt, app);
  if (code == 0) code = dewar_get(rt, "/factors/<int:n>", factors, w);
  if (code == 0) code = dewar_listen(rt, "127.0.0.1", test ? 0 : 8000);
  if (code == 0 && test)
    code = dewar_request(rt, "GET", "/factors/360360", NULL, NULL, 0, on_answer,
                         rt);
  if (code < 0) fprintf(stderr, "%s\n", dewar_error(rt));
  return code;
}

int main(int argc, char **argv) {
  int test = argc > 1 && strcmp(argv[1], "--test") == 0;
  const char *app = argc > 1 + test ? argv[1 + test] : "app.lua";

  uv_loop_t loop;
  uv_loop_init(&loop);
  dewar_options options;
  dewar_options_init(&options);
  options.loop = &loop;
  options.log = print_log;
  dewar_runtime *rt;
  int code = dewar_new(&rt, &options);
  if (code < 0) {
    fprintf(stderr, "%s\n", dewar_strerror(code));
    return 1;
  }

  uv_signal_t interrupt;
  uv_signal_init(&loop, &interrupt);
  interrupt.data = rt;
  uv_signal_start(&interrupt, on_signal, SIGINT);
  uv_unref((uv_handle_t *)&interrupt);

  worker w;
  code = worker_start(&w);
  if (code == 0) {
    code = set_up(rt, &w, app, test);
    if (code == 0 && !test)
      printf("http://127.0.0.1:%d/hello/you and /factors/360\n",
             dewar_port(rt));
    if (code == 0) uv_run(&loop, UV_RUN_DEFAULT); /* until dewar_stop */
    worker_end(&w);
  }
  dewar_free(rt); /* which also runs what the worker has posted last */

  uv_close((uv_handle_t *)&interrupt, NULL);
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
  return code < 0;
}
