/* SPDX-License-Identifier: MIT */
/* Streams: the same scenarios over TCP, Unix sockets and the in-memory pair. */
#include "unit.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/buffer.h"
#include "base/error.h"
#include "net/stream.h"
#include "net/uv_stream.h"

/* --- One end, and what happened to it --------------------------------------*/

typedef enum on_event { NOTHING, STOP_READING, CLOSE } on_event;

typedef struct end {
  dw_stream *stream;
  dw_buffer in;
  unsigned reads;
  bool ended;
  int error;
  unsigned written; /* write callbacks */
  int status;       /* the last one's */
  bool closed;
  on_event on_read, on_write;
} end;

typedef enum kind { TCP, UNIX, PAIR, KINDS } kind;

static dw_allocator allocator;
static dw_loop loop;
static end a, b;
static kind current;
static bool inside; /* a call on a stream: nothing may call back meanwhile */

static uv_buf_t buf(const char *text, size_t len) {
  return uv_buf_init((char *)(uintptr_t)text, (unsigned)len);
}

static void closed_cb(dw_stream *s) {
  CHECK(!inside);
  ((end *)s->data)->closed = true;
}

static void close_end(end *e, bool reset) {
  inside = true;
  dw_stream_close(e->stream, reset, closed_cb);
  inside = false;
  e->stream = NULL;
}

static void react(end *e, on_event reaction) {
  if (reaction == STOP_READING) dw_stream_read_stop(e->stream);
  if (reaction == CLOSE) close_end(e, false);
}

static void read_cb(dw_stream *s, const char *bytes, ssize_t len) {
  end *e = s->data;
  CHECK(!inside && !e->ended && !e->error && e->stream);
  CHECK(loop.running > 0);
  e->reads++;
  if (len > 0) CHECK_INT(dw_buffer_append(&e->in, bytes, (size_t)len), 0);
  e->ended = len == 0;
  if (len < 0) e->error = (int)len;
  react(e, e->on_read);
}

static void write_cb(dw_stream *s, int status) {
  end *e = s->data;
  CHECK(!inside && e->stream);
  e->written++;
  e->status = status;
  react(e, e->on_write);
}

static void adopt(end *e, dw_stream *s) {
  *e = (end){.stream = s};
  dw_buffer_init(&e->in, &allocator, 0);
  s->data = e;
  s->read_cb = read_cb;
  s->write_cb = write_cb;
}

/* --- Turning the loop until something is so --------------------------------*/

static bool is_true(void *data) { return *(bool *)data; }

static void turn_until(bool *condition) {
  CHECK_INT(dw_loop_run(&loop, is_true, condition), 0);
}

typedef struct length {
  const end *e;
  size_t len;
} length;

static bool has_length(void *data) {
  const length *l = data;
  return l->e->in.len >= l->len || l->e->ended || l->e->error;
}

static void turn_until_read(const end *e, size_t len) {
  length wanted = {e, len};
  CHECK_INT(dw_loop_run(&loop, has_length, &wanted), 0);
  CHECK_INT(e->in.len, len);
}

static bool has_written(void *data) {
  const length *l = data;
  return l->e->written >= l->len;
}

static void turn_until_written(const end *e, unsigned count) {
  length wanted = {e, count};
  CHECK_INT(dw_loop_run(&loop, has_written, &wanted), 0);
  CHECK_INT(e->written, count);
}

static bool has_error(void *data) { return ((end *)data)->error != 0; }

static void turn_a_few_times(void) {
  for (int i = 0; i < 5; i++) dw_loop_turn(&loop, false);
}

/* --- Connecting ------------------------------------------------------------*/

static void accept_cb(dw_listener *l, dw_stream *s) {
  CHECK(!inside);
  *(dw_stream **)l->data = s;
}

static int connect_to(struct sockaddr *address, socklen_t len) {
  int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, address, len) != 0) abort();
  return fd;
}

static bool is_accepted(void *data) { return *(dw_stream **)data != NULL; }

static char socket_path[64];

static int open_listener(kind k, dw_stream **accepted, dw_listener **l) {
  if (k == TCP)
    return dw_listener_open_tcp(&loop, "127.0.0.1", 0, accept_cb, accepted, l);
  snprintf(socket_path, sizeof(socket_path), "/tmp/dewar-stream-%d.sock",
           (int)getpid());
  return dw_listener_open_unix(&loop, socket_path, accept_cb, accepted, l);
}

static int connect_client(const dw_listener *l) {
  struct sockaddr_in in = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)dw_listener_port(l)),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  memcpy(un.sun_path, socket_path, sizeof(socket_path));
  if (in.sin_port) return connect_to((struct sockaddr *)&in, sizeof(in));
  return connect_to((struct sockaddr *)&un, sizeof(un));
}

/* A connected socket whose other side is *accepted. */
static int open_half(kind k, dw_stream **accepted) {
  dw_listener *l;
  *accepted = NULL;
  if (open_listener(k, accepted, &l) != 0) abort();
  int fd = connect_client(l);
  CHECK_INT(dw_loop_run(&loop, is_accepted, accepted), 0);
  dw_listener_close(l, NULL, NULL);
  return fd;
}

static void start_loop(void) {
  dw_allocator_init(&allocator, NULL, NULL);
  if (dw_loop_init(&loop, NULL, &allocator, NULL) != 0) abort();
}

static void open_ends(kind k) {
  start_loop();
  current = k;
  dw_stream *left, *right;
  if (k == PAIR) {
    if (dw_pair_open(&loop, &left, &right) != 0) abort();
  } else {
    int fd = open_half(k, &right);
    struct sockaddr_in peer = {.sin_family = k == TCP ? AF_INET : AF_UNIX};
    if (dw_uv_stream_open(&left, &loop, fd, (struct sockaddr *)&peer) != 0)
      abort();
  }
  adopt(&a, left);
  adopt(&b, right);
}

static void close_ends(void) {
  end *ends[] = {&a, &b};
  for (int i = 0; i < 2; i++) {
    end *e = ends[i];
    if (e->stream) close_end(e, false);
    if (!e->closed) turn_until(&e->closed);
    dw_buffer_deinit(&e->in);
  }
  dw_loop_deinit(&loop);
  CHECK_INT(allocator.used, 0);
}

/* One test for each kind. */
#define EACH_KIND(name)                                                        \
  static void each_##name(void);                                               \
  TEST(name) {                                                                 \
    for (kind k = 0; k < KINDS; k++) {                                         \
      open_ends(k);                                                            \
      each_##name();                                                           \
      close_ends();                                                            \
    }                                                                          \
  }                                                                            \
  static void each_##name(void)

/* --- Calls on an end -------------------------------------------------------*/

static void start(end *e) {
  inside = true;
  CHECK_INT(dw_stream_read_start(e->stream), 0);
  inside = false;
}

static ssize_t try_write(end *e, const char *text, size_t len) {
  uv_buf_t b1 = buf(text, len);
  inside = true;
  ssize_t written = dw_stream_try_write(e->stream, &b1, 1);
  inside = false;
  return written;
}

static int queue(end *e, const char *text, size_t len) {
  uv_buf_t b1 = buf(text, len);
  inside = true;
  int err = dw_stream_write(e->stream, &b1, 1);
  inside = false;
  return err;
}

static void send_text(end *e, const char *text) {
  CHECK_INT(try_write(e, text, strlen(text)), strlen(text));
}

static int shut(end *e) {
  inside = true;
  int err = dw_stream_shutdown(e->stream);
  inside = false;
  return err;
}

/* --- Bytes -----------------------------------------------------------------*/

EACH_KIND(carries_bytes_both_ways) {
  start(&a);
  start(&b);
  send_text(&a, "ping");
  turn_until_read(&b, 4);
  send_text(&b, "pong!");
  turn_until_read(&a, 5);
  CHECK_SLICE(dw_buffer_slice(&b.in), "ping");
  CHECK_SLICE(dw_buffer_slice(&a.in), "pong!");
}

EACH_KIND(gathers_several_buffers_into_one_write) {
  uv_buf_t bufs[] = {buf("one ", 4), buf("", 0), buf("two ", 4), buf("3", 1)};
  start(&b);
  CHECK_INT(dw_stream_try_write(a.stream, bufs, 4), 9);
  turn_until_read(&b, 9);
  CHECK_INT(b.reads, 1);
  CHECK_INT(dw_stream_write(a.stream, bufs, 4), 0);
  CHECK_INT(a.stream->queued, 9);
  turn_until_read(&b, 18);
  CHECK_INT(a.stream->queued, 0);
  CHECK_SLICE(dw_buffer_slice(&b.in), "one two 3one two 3");
}

EACH_KIND(delivers_byte_by_byte_when_so_written) {
  start(&b);
  const char text[] = "GET / HTTP/1.1";
  for (size_t i = 0; i + 1 < sizeof(text); i++) {
    CHECK_INT(try_write(&a, text + i, 1), 1);
    turn_until_read(&b, i + 1);
    CHECK_INT(b.reads, i + 1);
  }
  CHECK_SLICE(dw_buffer_slice(&b.in), text);
}

EACH_KIND(takes_many_buffers_at_once) {
  enum { MANY = 3000 };
  static uv_buf_t bufs[MANY];
  for (int i = 0; i < MANY; i++) bufs[i] = buf("xyz", 3);
  start(&b);
  ssize_t sent = dw_stream_try_write(a.stream, bufs, MANY);
  CHECK(sent > 0 && sent <= MANY * 3);
  turn_until_read(&b, (size_t)sent);
}

EACH_KIND(reads_only_between_start_and_stop) {
  send_text(&a, "early");
  turn_a_few_times();
  CHECK_INT(b.reads, 0);
  start(&b);
  start(&b);
  turn_until_read(&b, 5);
  dw_stream_read_stop(b.stream);
  dw_stream_read_stop(b.stream);
  send_text(&a, "late");
  turn_a_few_times();
  CHECK_INT(b.in.len, 5);
  start(&b);
  turn_until_read(&b, 9);
  CHECK_SLICE(dw_buffer_slice(&b.in), "earlylate");
}

EACH_KIND(may_stop_reading_from_within_the_callback) {
  b.on_read = STOP_READING;
  start(&b);
  send_text(&a, "one");
  turn_until_read(&b, 3);
  send_text(&a, "two");
  turn_a_few_times();
  CHECK_INT(b.reads, 1);
  start(&b);
  turn_until_read(&b, 6);
  CHECK_INT(b.reads, 2);
}

/* --- Back-pressure ---------------------------------------------------------*/

enum { LARGE = 1024 * 1024 };
static char large[LARGE];

static void fill_large(void) {
  for (size_t i = 0; i < LARGE; i++) large[i] = (char)(i * 7 + i / 251);
}

/* Writes until nothing more is taken; how much was. */
static size_t fill_up(end *e) {
  size_t total = 0;
  for (;;) {
    ssize_t len = try_write(e, large, LARGE);
    CHECK(len >= 0);
    if (len <= 0) return total;
    total += (size_t)len;
  }
}

EACH_KIND(stops_taking_bytes_when_nobody_reads) {
  fill_large();
  size_t taken = fill_up(&a);
  CHECK(taken > 0);
  if (current == PAIR) CHECK_INT(taken, DW_PAIR_BUFFER);
  turn_a_few_times();
  CHECK_INT(try_write(&a, "x", 1), 0);
  start(&b);
  turn_until_read(&b, taken);
  CHECK_INT(try_write(&a, "x", 1), 1);
  turn_until_read(&b, taken + 1);
}

EACH_KIND(queues_what_does_not_fit_and_tells_when_it_is_sent) {
  fill_large();
  size_t taken = fill_up(&a);
  CHECK_INT(queue(&a, large, LARGE), 0);
  CHECK_INT(queue(&a, "end", 3), 0);
  CHECK_INT(a.stream->queued, LARGE + 3);
  CHECK_INT(try_write(&a, "x", 1), 0); /* it would overtake */
  turn_a_few_times();
  CHECK_INT(a.written, 0);
  CHECK(a.stream->queued > 0);
  start(&b);
  turn_until_written(&a, 2);
  CHECK_INT(a.status, 0);
  CHECK_INT(a.stream->queued, 0);
  turn_until_read(&b, taken + LARGE + 3);
  CHECK(memcmp(b.in.ptr + taken, large, LARGE) == 0);
  CHECK(memcmp(b.in.ptr + taken + LARGE, "end", 3) == 0);
}

EACH_KIND(tells_of_each_queued_write_in_its_turn) {
  start(&b);
  for (int i = 0; i < 40; i++) CHECK_INT(queue(&a, "word", 4), 0);
  CHECK_INT(queue(&a, "", 0), 0);
  CHECK_INT(a.stream->queued, 160);
  CHECK_INT(a.written, 0);
  turn_until_written(&a, 41);
  turn_until_read(&b, 160);
}

EACH_KIND(writes_without_a_callback_too) {
  a.stream->write_cb = NULL;
  start(&b);
  CHECK_INT(queue(&a, "quiet", 5), 0);
  turn_until_read(&b, 5);
  CHECK_INT(a.written, 0);
}

/* --- Ends ------------------------------------------------------------------*/

EACH_KIND(ends_one_side_after_its_queue_while_the_other_still_sends) {
  fill_large();
  size_t taken = fill_up(&a);
  CHECK_INT(queue(&a, large, LARGE), 0);
  CHECK_INT(shut(&a), 0);
  CHECK_INT(shut(&a), 0);
  CHECK_INT(try_write(&a, "x", 1), UV_EPIPE);
  CHECK_INT(queue(&a, "x", 1), UV_EPIPE);
  start(&b);
  turn_until(&b.ended);
  CHECK_INT(b.in.len, taken + LARGE);
  start(&a);
  send_text(&b, "answer");
  turn_until_read(&a, 6);
  CHECK(!a.ended);
}

EACH_KIND(ends_at_once_where_nothing_is_queued) {
  CHECK_INT(shut(&a), 0);
  start(&b);
  turn_until(&b.ended);
  CHECK_INT(b.reads, 1);
  CHECK_INT(b.error, 0);
}

EACH_KIND(a_close_is_an_end_behind_the_bytes_that_were_sent) {
  send_text(&a, "bye");
  close_end(&a, false);
  CHECK(!a.closed);
  turn_until(&a.closed);
  start(&b);
  turn_until(&b.ended);
  CHECK_SLICE(dw_buffer_slice(&b.in), "bye");
}

EACH_KIND(a_reset_is_an_error_to_the_reader) {
  start(&b);
  close_end(&a, true);
  if (current == UNIX) { /* knows no reset */
    turn_until(&b.ended);
    return;
  }
  CHECK_INT(dw_loop_run(&loop, has_error, &b), 0);
  CHECK_INT(b.error, UV_ECONNRESET);
}

EACH_KIND(an_end_is_told_once_and_stops_reading) {
  start(&b);
  close_end(&a, false);
  turn_until(&b.ended);
  turn_a_few_times();
  CHECK_INT(b.reads, 1);
  bool never = false;
  CHECK_INT(dw_loop_run(&loop, is_true, &never), DEWAR_EDEADLOCK);
}

/* SIGPIPE would end this program here. */
EACH_KIND(writing_to_someone_who_is_gone_is_an_error_and_no_signal) {
  close_end(&a, current != UNIX);
  turn_until(&a.closed);
  ssize_t len = 0;
  for (int i = 0; i < 100 && len >= 0; i++) {
    len = try_write(&b, "hello", 5);
    turn_a_few_times();
  }
  CHECK(len == UV_EPIPE || len == UV_ECONNRESET);
  for (int i = 0; i < 3; i++) CHECK(try_write(&b, "again", 5) < 0);
  start(&b); /* takes the socket's pending error, so that only EPIPE is left */
  turn_a_few_times();
  CHECK(try_write(&b, "again", 5) < 0);
}

EACH_KIND(queued_writes_fail_when_the_reader_goes_away) {
  fill_large();
  fill_up(&b);
  CHECK_INT(queue(&b, large, LARGE), 0);
  CHECK_INT(queue(&b, "x", 1), 0);
  close_end(&a, true);
  turn_until_written(&b, 2);
  CHECK(b.status == UV_EPIPE || b.status == UV_ECONNRESET);
  CHECK_INT(b.stream->queued, 0);
  CHECK(queue(&b, "x", 1) < 0);
  CHECK(try_write(&b, "x", 1) < 0);
  CHECK(shut(&b) < 0);
}

/* --- Closing ---------------------------------------------------------------*/

EACH_KIND(calls_nothing_but_close_cb_after_a_close) {
  fill_large();
  fill_up(&a);
  CHECK_INT(queue(&a, large, LARGE), 0);
  start(&a);
  send_text(&b, "unread");
  close_end(&a, false);
  turn_until(&a.closed);
  CHECK_INT(a.reads, 0);
  CHECK_INT(a.written, 0);
}

EACH_KIND(may_be_closed_from_its_read_callback) {
  b.on_read = CLOSE;
  start(&b);
  send_text(&a, "x");
  turn_until(&b.closed);
  CHECK_INT(b.reads, 1);
}

EACH_KIND(may_be_closed_from_its_write_callback) {
  a.on_write = CLOSE;
  start(&b);
  for (int i = 0; i < 3; i++) CHECK_INT(queue(&a, "x", 1), 0);
  CHECK_INT(shut(&a), 0);
  turn_until(&a.closed);
  CHECK_INT(a.written, 1);
}

EACH_KIND(both_ends_may_close_at_once) {
  send_text(&a, "x");
  send_text(&b, "y");
  start(&a);
  start(&b);
  close_end(&a, false);
  close_end(&b, true);
  turn_until(&a.closed);
  turn_until(&b.closed);
  CHECK_INT(a.reads + b.reads, 0);
}

EACH_KIND(needs_no_close_callback) {
  dw_stream_close(a.stream, false, NULL);
  a.stream = NULL;
  a.closed = true;
  start(&b);
  turn_until(&b.ended);
}

/* --- What it is, what it costs ---------------------------------------------*/

EACH_KIND(knows_its_kind_and_its_peer) {
  static const char *const names[] = {"tcp", "unix", "memory"};
  char text[64] = "junk";
  int port = -1;
  CHECK_STR(b.stream->type->name, names[current]);
  size_t len = dw_stream_peer(b.stream, text, sizeof(text), &port);
  CHECK_STR(text, current == UNIX ? "" : "127.0.0.1");
  CHECK_INT(len, strlen(text));
  CHECK(current == TCP ? port > 0 : port == 0);
  CHECK_INT(dw_stream_peer(b.stream, text, 4, &port), 0);
  CHECK_INT(dw_stream_peer(b.stream, text, 0, &port), 0);
}

EACH_KIND(an_idle_stream_holds_no_buffer) {
  start(&a);
  start(&b);
  send_text(&a, "hello");
  turn_until_read(&b, 5);
  CHECK_INT(queue(&b, "hello", 5), 0);
  turn_until_read(&a, 5);
  dw_buffer_deinit(&a.in);
  dw_buffer_deinit(&b.in);
  turn_a_few_times(); /* the listener is gone by now */
  CHECK(allocator.used <= DW_READ_BUFFER + 2 * 320);
}

static int set_option(int fd, int level, int name, int value) {
  return setsockopt(fd, level, name, &value, sizeof(value));
}

TEST(an_ipv4_client_of_an_ipv6_socket_has_an_ipv4_address) {
  start_loop();
  dw_listener *l;
  dw_stream *accepted = NULL;
  int err = dw_listener_open_tcp(&loop, "::", 0, accept_cb, &accepted, &l);
  if (err == UV_EAFNOSUPPORT || err == UV_EADDRNOTAVAIL) {
    dw_loop_deinit(&loop);
    return; /* a machine without IPv6 */
  }
  CHECK_INT(err, 0);
  int fd = connect_client(l);
  CHECK_INT(dw_loop_run(&loop, is_accepted, &accepted), 0);
  char text[64];
  int port;
  CHECK_INT(dw_stream_peer(accepted, text, sizeof(text), &port), 9);
  CHECK_STR(text, "127.0.0.1");
  dw_stream_close(accepted, false, NULL);
  dw_listener_close(l, NULL, NULL);
  close(fd);
  dw_loop_deinit(&loop);
  CHECK_INT(allocator.used, 0);
}

TEST(a_client_that_resets_while_nothing_is_read_makes_writes_fail) {
  start_loop();
  dw_stream *s;
  int fd = open_half(TCP, &s);
  adopt(&b, s);
  fill_large();
  CHECK_INT(set_option(fd, SOL_SOCKET, SO_RCVBUF, 4096), 0);
  fill_up(&b);
  CHECK_INT(queue(&b, "last", 4), 0);
  struct linger now = {.l_onoff = 1};
  CHECK_INT(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)), 0);
  close(fd);
  turn_until_written(&b, 1);
  CHECK(b.status == UV_ECONNRESET || b.status == UV_EPIPE);
  start(&b);
  turn_until(&b.ended); /* the error was told already */
  CHECK(try_write(&b, "x", 1) < 0);
  close_end(&b, false);
  turn_until(&b.closed);
  dw_loop_deinit(&loop);
  CHECK_INT(allocator.used, 0);
}

/* --- Failing allocations ---------------------------------------------------*/

typedef struct talk {
  dw_buffer got;
  bool done;
  int err;
} talk;

static void talk_read_cb(dw_stream *s, const char *bytes, ssize_t len) {
  talk *t = s->data;
  if (len > 0 && !t->err)
    t->err = dw_buffer_append(&t->got, bytes, (size_t)len);
  if (len < 0 && !t->err) t->err = (int)len;
  if (len <= 0) t->done = true;
}

static void talk_write_cb(dw_stream *s, int status) {
  talk *t = s->data;
  if (status < 0 && !t->err) t->err = status;
}

static int say(dw_stream *from, dw_stream *to, talk *t) {
  from->data = to->data = t;
  to->read_cb = talk_read_cb;
  from->write_cb = talk_write_cb;
  uv_buf_t text = buf("some bytes", 10);
  int err = dw_stream_read_start(to);
  for (int i = 0; i < 4 && !err; i++) {
    ssize_t len = dw_stream_try_write(from, &text, 1);
    err = len < 0 ? (int)len : dw_stream_write(from, &text, 1);
  }
  if (!err) err = dw_stream_shutdown(from);
  if (!err) err = dw_loop_run(to->loop, is_true, &t->done);
  return err ? err : t->err;
}

static int talk_over_pair(dw_allocator *alloc, void *data) {
  (void)data;
  dw_loop own;
  talk t = {.done = false};
  dw_stream *x, *y;
  int err = dw_loop_init(&own, NULL, alloc, NULL);
  if (err) return err;
  dw_buffer_init(&t.got, alloc, 0);
  err = dw_pair_open(&own, &x, &y);
  if (!err) {
    err = say(x, y, &t);
    if (!err) CHECK_INT(t.got.len, 50);
    dw_stream_close(x, false, NULL);
    dw_stream_close(y, false, NULL);
    dw_loop_run(&own, NULL, NULL);
  }
  dw_buffer_deinit(&t.got);
  dw_loop_deinit(&own);
  return err;
}

TEST(the_pair_survives_failing_allocations) {
  unit_failing_allocations(talk_over_pair, NULL);
}

static int talk_over_socket(dw_allocator *alloc, void *data) {
  (void)data;
  dw_loop own;
  int fds[2];
  talk t = {.done = false};
  dw_stream *x = NULL, *y = NULL;
  struct sockaddr none = {.sa_family = AF_UNIX};
  int err = dw_loop_init(&own, NULL, alloc, NULL);
  if (err) return err;
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) abort();
  dw_buffer_init(&t.got, alloc, 0);
  err = dw_uv_stream_open(&x, &own, fds[0], &none);
  if (err) close(fds[0]);
  int err2 = dw_uv_stream_open(&y, &own, fds[1], &none);
  if (err2) close(fds[1]);
  if (!err && !err2) {
    err = say(x, y, &t);
    if (!err) CHECK_INT(t.got.len, 50);
  }
  if (x) dw_stream_close(x, false, NULL);
  if (y) dw_stream_close(y, false, NULL);
  dw_buffer_deinit(&t.got);
  dw_loop_deinit(&own);
  return err ? err : err2;
}

TEST(sockets_survive_failing_allocations) {
  unit_failing_allocations(talk_over_socket, NULL);
}
