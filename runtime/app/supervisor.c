/* SPDX-License-Identifier: MIT */
/* The supervisor: starting workers, hearing of them, ending them. A worker is
 * freed when both of its handles are closed. */
#include "app/supervisor.h"

#include <signal.h>
#include <string.h>

#include "base/error.h"

enum {
  BACK_OFF_MIN = 100,  /* ms before a worker is replaced, doubled each time */
  BACK_OFF_MAX = 5000, /* up to this */
  PROVEN = 10000       /* one that lived as long is no reason to wait longer */
};

typedef struct worker {
  dw_list node;
  dw_supervisor *supervisor;
  uv_process_t process;
  uv_pipe_t pipe;
  dw_buffer line;
  uint64_t started;
  dw_timer patience; /* after it was told to end */
  unsigned asked;    /* how often it was */
  unsigned handles;  /* that are open */
  bool ready;
  bool old; /* a new one is to take its place */
  bool ended;
} worker;

struct dw_supervisor {
  dw_loop *loop;
  dw_supervision what;
  dw_list workers;
  unsigned count; /* in the list */
  dw_timer later; /* when those that are missing are started */
  unsigned failures;
  bool served; /* a worker has been ready */
  bool stopping;
};

/* --- Ending ----------------------------------------------------------------*/

static void check_idle(dw_supervisor *s) {
  if (s->stopping && s->count == 0 && s->what.idle_cb)
    s->what.idle_cb(s->what.data);
}

static void closed(worker *w) {
  dw_supervisor *s = w->supervisor;
  if (--w->handles > 0) return;
  dw_list_remove(&w->node);
  s->count--;
  dw_buffer_deinit(&w->line);
  dw_free(s->loop->alloc, w, sizeof *w);
  check_idle(s);
}

static void process_closed_cb(uv_handle_t *handle) {
  closed(DW_CONTAINER((uv_process_t *)handle, worker, process));
}

static void pipe_closed_cb(uv_handle_t *handle) {
  closed(DW_CONTAINER((uv_pipe_t *)handle, worker, pipe));
}

/* The first and the second time SIGTERM, then SIGKILL. */
static void tell_to_end(worker *w) {
  dw_supervisor *s = w->supervisor;
  if (w->ended) return;
  uv_process_kill(&w->process, w->asked++ < 2 ? SIGTERM : SIGKILL);
  if (s->what.grace > 0) dw_timer_start(s->loop, &w->patience, s->what.grace);
}

static void patience_cb(dw_timer *timer) { tell_to_end(timer->data); }

void dw_supervisor_stop(dw_supervisor *s) {
  s->stopping = true;
  dw_timer_stop(s->loop, &s->later);
  for (dw_list *n = s->workers.next; n != &s->workers; n = n->next)
    tell_to_end(DW_CONTAINER(n, worker, node));
  check_idle(s);
}

/* --- Hearing of them -------------------------------------------------------*/

/* One that a new one has been waited for. */
static void end_an_old_one(dw_supervisor *s) {
  for (dw_list *n = s->workers.next; n != &s->workers; n = n->next) {
    worker *w = DW_CONTAINER(n, worker, node);
    if (!w->old || w->asked > 0 || w->ended) continue;
    tell_to_end(w);
    return;
  }
}

static void became_ready(worker *w) {
  dw_supervisor *s = w->supervisor;
  if (w->ready) return;
  w->ready = s->served = true;
  end_an_old_one(s);
  if (s->what.ready_cb) s->what.ready_cb(s->what.data, w->process.pid);
}

static void take_line(worker *w) {
  dw_slice line = dw_buffer_slice(&w->line);
  dw_supervision *what = &w->supervisor->what;
  if (line.len == 5 && memcmp(line.ptr, "ready", 5) == 0)
    became_ready(w);
  else if (what->line_cb)
    what->line_cb(what->data, w->process.pid, line);
  w->line.len = 0;
}

/* A line that is too long, or that there is no memory for, loses its end. */
static void take_bytes(worker *w, const char *bytes, size_t len) {
  while (len > 0) {
    const char *end = memchr(bytes, '\n', len);
    size_t part = end ? (size_t)(end - bytes) : len;
    dw_buffer_append(&w->line, bytes, part);
    if (end) take_line(w);
    part += end != NULL;
    bytes += part;
    len -= part;
  }
}

static void alloc_cb(uv_handle_t *handle, size_t suggested, uv_buf_t *out) {
  worker *w = DW_CONTAINER((uv_pipe_t *)handle, worker, pipe);
  (void)suggested;
  *out = uv_buf_init(w->supervisor->loop->read_buffer, DW_READ_BUFFER);
}

static void read_cb(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf) {
  worker *w = DW_CONTAINER((uv_pipe_t *)stream, worker, pipe);
  dw_loop *loop = w->supervisor->loop;
  dw_loop_enter(loop);
  if (len > 0)
    take_bytes(w, buf->base, (size_t)len);
  else if (len < 0)
    uv_read_stop(stream);
  dw_loop_leave(loop);
}

static unsigned missing(const dw_supervisor *s);

/* Starts those that are missing, now or after a while. */
static void replace(dw_supervisor *s) {
  if (s->stopping || s->what.patient || missing(s) == 0) return;
  uint64_t wait = 0;
  if (s->failures > 0) {
    unsigned doublings = s->failures - 1 < 8 ? s->failures - 1 : 8;
    wait = (uint64_t)BACK_OFF_MIN << doublings;
  }
  dw_timer_start(s->loop, &s->later, wait < BACK_OFF_MAX ? wait : BACK_OFF_MAX);
}

/* What the end of a worker says of the others. */
static void judge(dw_supervisor *s, const worker *w) {
  bool lasted = w->ready && dw_loop_now(s->loop) - w->started >= PROVEN;
  if (w->asked > 0) return;
  s->failures = lasted ? 0 : s->failures + 1;
  if (w->ready || s->what.patient) return;
  if (!s->served) {
    dw_supervisor_stop(s);
    return;
  }
  /* An old one goes on in place of a new one that has failed. */
  for (dw_list *n = s->workers.next; n != &s->workers; n = n->next) {
    worker *other = DW_CONTAINER(n, worker, node);
    if (!other->old || other->asked > 0 || other->ended) continue;
    other->old = false;
    return;
  }
}

static void exit_cb(uv_process_t *process, int64_t status, int number) {
  worker *w = DW_CONTAINER(process, worker, process);
  dw_supervisor *s = w->supervisor;
  dw_loop *loop = s->loop;
  dw_loop_enter(loop);
  w->ended = true;
  dw_timer_stop(loop, &w->patience);
  dw_worker_end end = {.pid = process->pid,
                       .status = (int)status,
                       .signal = number,
                       .ready = w->ready,
                       .asked = w->asked > 0};
  uv_close((uv_handle_t *)&w->process, process_closed_cb);
  uv_close((uv_handle_t *)&w->pipe, pipe_closed_cb);
  judge(s, w);
  if (s->what.end_cb) s->what.end_cb(s->what.data, &end);
  replace(s);
  dw_loop_leave(loop);
}

/* --- Starting --------------------------------------------------------------*/

/* How many are to be started: what ends, or is to be replaced, doesn't count.
 */
static unsigned missing(const dw_supervisor *s) {
  unsigned there = 0;
  for (dw_list *n = s->workers.next; n != &s->workers; n = n->next) {
    const worker *w = DW_CONTAINER(n, worker, node);
    if (!w->old && !w->ended && w->asked == 0) there++;
  }
  return there < s->what.workers ? s->what.workers - there : 0;
}

static int spawn(worker *w) {
  dw_supervisor *s = w->supervisor;
  uv_stdio_container_t files[DW_WORKER_PIPE + 1];
  for (int i = 0; i < DW_WORKER_PIPE; i++) {
    files[i].flags = UV_INHERIT_FD;
    files[i].data.fd = i == DW_WORKER_SOCKET ? s->what.socket : i;
  }
  files[DW_WORKER_PIPE].flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE;
  files[DW_WORKER_PIPE].data.stream = (uv_stream_t *)&w->pipe;
  uv_process_options_t options = {.exit_cb = exit_cb,
                                  .file = s->what.file,
                                  .args = (char **)s->what.args,
                                  .stdio_count = DW_WORKER_PIPE + 1,
                                  .stdio = files};
  int code = uv_spawn(s->loop->uv, &w->process, &options);
  if (code == 0)
    code = uv_read_start((uv_stream_t *)&w->pipe, alloc_cb, read_cb);
  return code;
}

static int start_worker(dw_supervisor *s) {
  worker *w = dw_zalloc(s->loop->alloc, sizeof *w);
  if (!w) return DW_ENOMEM;
  w->supervisor = s;
  int code = uv_pipe_init(s->loop->uv, &w->pipe, 0);
  if (code < 0) {
    dw_free(s->loop->alloc, w, sizeof *w);
    return code;
  }
  dw_buffer_init(&w->line, s->loop->alloc, DW_WORKER_LINE_MAX);
  dw_timer_init(&w->patience, patience_cb, w);
  w->started = dw_loop_now(s->loop);
  w->handles = 2;
  dw_list_push(&s->workers, &w->node);
  s->count++;
  code = spawn(w);
  if (code == 0) return 0;
  if (uv_is_active((uv_handle_t *)&w->process)) { /* it runs, but unheard */
    w->asked = 2;
    tell_to_end(w);
    return code;
  }
  w->ended = true;
  uv_close((uv_handle_t *)&w->process, process_closed_cb);
  uv_close((uv_handle_t *)&w->pipe, pipe_closed_cb);
  return code;
}

static int start_missing(dw_supervisor *s) {
  for (unsigned n = missing(s); n > 0; n--) {
    int code = start_worker(s);
    if (code < 0) return code;
  }
  return 0;
}

static void later_cb(dw_timer *timer) {
  dw_supervisor *s = timer->data;
  int code = start_missing(s);
  if (code == 0) return;
  dw_logf(s->loop->log, DEWAR_ERROR, "a worker can't be started: %s",
          dw_strerror(code));
  s->failures++;
  replace(s);
}

int dw_supervisor_start(dw_supervisor *s) {
  int code = start_missing(s);
  if (code < 0) dw_supervisor_stop(s);
  return code;
}

int dw_supervisor_reload(dw_supervisor *s, bool gently) {
  if (s->stopping) return DEWAR_EMISUSE;
  s->failures = 0;
  for (dw_list *n = s->workers.next; n != &s->workers; n = n->next) {
    worker *w = DW_CONTAINER(n, worker, node);
    if (w->old || w->asked > 0) continue;
    w->old = true;
    if (!gently || !w->ready) tell_to_end(w);
  }
  return start_missing(s);
}

void dw_supervisor_signal(dw_supervisor *s, int number) {
  for (dw_list *n = s->workers.next; n != &s->workers; n = n->next) {
    worker *w = DW_CONTAINER(n, worker, node);
    if (w->ready && !w->ended) uv_process_kill(&w->process, number);
  }
}

/* --- The object ------------------------------------------------------------*/

int dw_supervisor_new(dw_supervisor **out, dw_loop *loop,
                      const dw_supervision *what) {
  *out = NULL;
  if (what->workers < 1 || what->workers > DW_WORKERS_MAX) return DEWAR_EINVAL;
  dw_supervisor *s = dw_zalloc(loop->alloc, sizeof *s);
  if (!s) return DW_ENOMEM;
  s->loop = loop;
  s->what = *what;
  dw_list_init(&s->workers);
  dw_timer_init(&s->later, later_cb, s);
  *out = s;
  return 0;
}

bool dw_supervisor_idle(const dw_supervisor *s) { return s->count == 0; }

void dw_supervisor_free(dw_supervisor *s) {
  if (!s) return;
  dw_timer_stop(s->loop, &s->later);
  dw_free(s->loop->alloc, s, sizeof *s);
}
