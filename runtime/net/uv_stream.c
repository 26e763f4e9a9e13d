/* SPDX-License-Identifier: MIT */
/* Streams over sockets: libuv tells when a socket is ready, the bytes are moved
 * here. uv_stream_t would move them with write(2), which raises SIGPIPE once
 * the peer is gone, and would take twice the memory; send has MSG_NOSIGNAL.
 * An idle stream holds no buffer: it reads into the loop's. Files go by
 * sendfile in the thread pool, as a page that isn't in memory makes it wait for
 * the disk. Owner: see stream.h. Thread: the loop's, but for job_run. */
#include "net/uv_stream.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "net/sendfile.h"
#include "net/write_queue.h"

enum {
  READS_PER_EVENT = 4, /* before the others have their turn */
  SENDS_PER_EVENT = 16,
  BUFS_PER_SEND = 16, /* of the queue */
  BUFS_MAX = 1024     /* what Linux takes in one call */
};

/* A file that is being sent. */
typedef struct file_job {
  dw_work work;
  struct socket_stream *stream;
  dw_file *file;
  uint64_t offset, left;
  dw_sendfile result;
} file_job;

typedef struct socket_stream {
  dw_stream base;
  uv_poll_t poll;
  file_job *job; /* NULL mostly */
  dw_write_queue queue;
  int fd;
  int broken;     /* the code that sending failed with, or 0 */
  uint8_t polled; /* the events that poll is started for */
  bool reading;
  bool ended; /* the last read told of an end or an error */
  bool shut;  /* our side ends, or will after the queue */
  bool closing;
  bool closed;  /* the poll handle is */
  bool working; /* the job is in the pool, and with it the socket */
  uint8_t family; /* of the peer's address */
  uint16_t port;
  uint8_t address[16];
} socket_stream;

static socket_stream *of(dw_stream *s) {
  return DW_CONTAINER(s, socket_stream, base);
}

/* --- What to wait for ------------------------------------------------------*/

static void poll_cb(uv_poll_t *poll, int status, int events);

static uint8_t wanted(const socket_stream *s) {
  bool sends = !dw_write_queue_empty(&s->queue) || (s->job && !s->working);
  return (uint8_t)((s->reading ? UV_READABLE : 0) | (sends ? UV_WRITABLE : 0));
}

static void poll_exactly(socket_stream *s, uint8_t events) {
  if (s->polled == events) return;
  s->polled = events;
  /* This can only fail where two handles share a socket. */
  if (events)
    uv_poll_start(&s->poll, events, poll_cb);
  else
    uv_poll_stop(&s->poll);
}

/* Waiting for bytes goes on after read_stop until some arrive: stopping and
 * starting again in the meantime costs no system call. */
static void poll_lazily(socket_stream *s) {
  uint8_t events = wanted(s);
  if ((events | (s->polled & UV_READABLE)) != s->polled)
    poll_exactly(s, events);
}

/* --- Reading ---------------------------------------------------------------*/

static int last_error(void) { return uv_translate_sys_error(errno); }

static ssize_t receive_once(socket_stream *s) {
  ssize_t len;
  do len = recv(s->fd, s->base.loop->read_buffer, DW_READ_BUFFER, 0);
  while (len < 0 && errno == EINTR);
  return len < 0 ? last_error() : len;
}

static void receive(socket_stream *s) {
  for (int i = 0; i < READS_PER_EVENT && s->reading; i++) {
    ssize_t len = receive_once(s);
    if (len == UV_EAGAIN) return;
    if (len <= 0) {
      s->reading = false;
      s->ended = true;
    }
    s->base.read_cb(&s->base, s->base.loop->read_buffer, len);
    if (len < DW_READ_BUFFER) return; /* that was all there is */
  }
}

static int read_start(dw_stream *base) {
  socket_stream *s = of(base);
  s->reading = true;
  s->ended = false;
  poll_lazily(s);
  return 0;
}

static void read_stop(dw_stream *base) { of(base)->reading = false; }

/* --- Writing ---------------------------------------------------------------*/

/* One buffer, as most answers are, costs the kernel a tenth less by send than
 * by sendmsg, which has a list to copy in. */
static ssize_t send_bufs(int fd, const uv_buf_t *bufs, unsigned n) {
  if (n == 1) return send(fd, bufs->base, bufs->len, MSG_NOSIGNAL);
  /* libuv promises that a uv_buf_t can stand for an iovec. */
  struct msghdr message = {.msg_iov = (struct iovec *)bufs,
                           .msg_iovlen = n < BUFS_MAX ? n : BUFS_MAX};
  return sendmsg(fd, &message, MSG_NOSIGNAL);
}

/* The number of bytes sent, 0 where it would block, or a negative code. */
static ssize_t send_once(socket_stream *s, const uv_buf_t *bufs, unsigned n) {
  ssize_t len;
  do len = send_bufs(s->fd, bufs, n);
  while (len < 0 && errno == EINTR);
  if (len >= 0) return len;
  int err = last_error();
  return err == UV_EAGAIN || err == UV_ENOBUFS ? 0 : err;
}

/* 0, or why nothing can be sent any more. */
static int check_writable(const socket_stream *s) {
  assert(!s->job);
  if (s->broken) return s->broken;
  return s->shut ? UV_EPIPE : 0;
}

static ssize_t try_write(dw_stream *base, const uv_buf_t *bufs, unsigned n) {
  socket_stream *s = of(base);
  int err = check_writable(s);
  if (err) return err;
  return dw_write_queue_empty(&s->queue) ? send_once(s, bufs, n) : 0;
}

static int queue_write(dw_stream *base, const uv_buf_t *bufs, unsigned n) {
  socket_stream *s = of(base);
  size_t len = dw_bufs_len(bufs, n);
  int err = check_writable(s);
  if (!err)
    err = dw_write_queue_push(&s->queue, base->loop->alloc, bufs, n, len);
  if (err) return err;
  base->queued += len;
  poll_lazily(s);
  return 0;
}

static void tell_written(socket_stream *s, int status) {
  if (s->base.write_cb) s->base.write_cb(&s->base, status);
}

static void job_free(socket_stream *s);

static void fail_queue(socket_stream *s, int err) {
  s->broken = err;
  s->base.queued = 0;
  if (s->job) job_free(s); /* it waited for the queue */
  while (dw_write_queue_pop(&s->queue, s->base.loop->alloc))
    tell_written(s, err);
}

/* Whether there is more to do at once. */
static bool flush_once(socket_stream *s) {
  uv_buf_t bufs[BUFS_PER_SEND];
  unsigned n = dw_write_queue_peek(&s->queue, bufs, BUFS_PER_SEND);
  ssize_t len = n > 0 ? send_once(s, bufs, n) : 0;
  if (len < 0) {
    fail_queue(s, (int)len);
    return false;
  }
  dw_write_queue_sent(&s->queue, (size_t)len);
  s->base.queued -= (size_t)len;
  bool popped = false;
  /* A callback may close the stream, which empties the queue. */
  while (dw_write_queue_pop_sent(&s->queue, s->base.loop->alloc)) {
    popped = true;
    tell_written(s, 0);
  }
  return popped && !dw_write_queue_empty(&s->queue);
}

static int end_our_side(socket_stream *s) {
  return shutdown(s->fd, SHUT_WR) == 0 ? 0 : last_error();
}

static bool is_sent(const socket_stream *s) {
  return dw_write_queue_empty(&s->queue) && !s->job;
}

static void flush_queue(socket_stream *s) {
  if (dw_write_queue_empty(&s->queue)) return;
  for (int i = 0; i < SENDS_PER_EVENT; i++)
    if (!flush_once(s)) break;
  if (is_sent(s) && s->shut && !s->closing && !s->broken) end_our_side(s);
}

static int shut_down(dw_stream *base) {
  socket_stream *s = of(base);
  if (s->broken) return s->broken;
  if (s->shut) return 0;
  s->shut = true;
  return is_sent(s) ? end_our_side(s) : 0;
}

/* --- Files -----------------------------------------------------------------*/

static void release(socket_stream *s);

static void job_run(dw_work *work) {
  file_job *job = DW_CONTAINER(work, file_job, work);
  job->result = dw_sendfile_some(job->stream->fd, job->file->fd, job->offset,
                                 job->left);
}

static void job_free(socket_stream *s) {
  file_job *job = s->job;
  s->job = NULL;
  dw_file_unref(job->file);
  dw_free(s->base.loop->alloc, job, sizeof *job);
}

/* The last of the file was sent, or it ends too early. */
static void end_job(socket_stream *s, int file_error, int broken) {
  s->base.queued -= (size_t)s->job->left;
  job_free(s);
  s->base.file_error = file_error;
  if (broken) s->broken = broken;
  if (s->shut && !s->broken) end_our_side(s);
  tell_written(s, broken);
}

static void job_done(dw_work *work);

/* Goes on with the file, once what was queued before it is sent. */
static void start_job(socket_stream *s) {
  if (!s->job || s->working || !dw_write_queue_empty(&s->queue)) return;
  dw_work_start(s->base.loop, &s->job->work, job_run, job_done);
  s->working = true;
}

/* What came of it: some was sent, or the socket is full, or it is over. */
static void take_result(socket_stream *s) {
  file_job *job = s->job;
  s->base.queued -= job->result.sent;
  job->left -= job->result.sent;
  job->offset += job->result.sent;
  if (job->result.code < 0)
    end_job(s, 0, job->result.code);
  else if (job->left == 0 || job->result.file_error)
    end_job(s, job->result.file_error, 0);
  else if (!job->result.full)
    start_job(s);
}

static void job_done(dw_work *work) {
  socket_stream *s = DW_CONTAINER(work, file_job, work)->stream;
  s->working = false;
  if (s->closing) {
    job_free(s);
    release(s);
    return;
  }
  take_result(s);
  if (!s->closing) poll_lazily(s);
}

static int write_file(dw_stream *base, dw_file *file, uint64_t offset,
                      uint64_t len) {
  socket_stream *s = of(base);
  int err = check_writable(s);
  if (err) return err;
  file_job *job = dw_zalloc(base->loop->alloc, sizeof *job);
  if (!job) return UV_ENOMEM;
  job->stream = s;
  job->file = dw_file_ref(file);
  job->offset = file->start + offset;
  job->left = len;
  s->job = job;
  base->queued += (size_t)len;
  start_job(s);
  return 0;
}

/* What can be sent is; the file comes behind the queue. */
static void flush(socket_stream *s) {
  flush_queue(s);
  if (!s->closing) start_job(s);
}

/* --- Events ----------------------------------------------------------------*/

static void poll_cb(uv_poll_t *poll, int status, int events) {
  socket_stream *s = DW_CONTAINER(poll, socket_stream, poll);
  dw_loop *loop = s->base.loop;
  bool unwanted = !s->reading && (events & UV_READABLE);
  if (status < 0) {
    /* An error waits on the socket, and libuv has stopped the handle; what it
     * is, reading or sending will tell. */
    s->polled = 0;
    events = UV_READABLE | UV_WRITABLE;
  }
  dw_loop_enter(loop);
  if (events & UV_READABLE) receive(s);
  if ((events & UV_WRITABLE) && !s->closing) flush(s);
  if (!s->closing) {
    if (unwanted || s->ended)
      poll_exactly(s, wanted(s));
    else
      poll_lazily(s);
  }
  dw_loop_leave(loop);
}

/* --- Opening and closing ---------------------------------------------------*/

/* The last use of the stream, once neither libuv nor the pool has it. */
static void release(socket_stream *s) {
  dw_loop *loop = s->base.loop;
  if (!s->closed || s->working) return;
  if (s->fd >= 0) close(s->fd);
  dw_loop_enter(loop);
  if (s->base.close_cb) s->base.close_cb(&s->base);
  dw_loop_leave(loop);
  dw_free(loop->alloc, s, sizeof(*s));
}

static void closed_cb(uv_handle_t *handle) {
  socket_stream *s = DW_CONTAINER((uv_poll_t *)handle, socket_stream, poll);
  s->closed = true;
  release(s);
}

static void close_stream(dw_stream *base, bool reset) {
  socket_stream *s = of(base);
  s->closing = true;
  s->reading = false;
  base->queued = 0;
  while (dw_write_queue_pop(&s->queue, base->loop->alloc)) continue;
  if (reset && s->family != AF_UNIX) {
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  }
  uv_close((uv_handle_t *)&s->poll, closed_cb);
  if (s->working) { /* a number that is closed may be given to another file */
    shutdown(s->fd, SHUT_RDWR);
    return;
  }
  if (s->job) job_free(s);
  close(s->fd);
  s->fd = -1;
}

/* The address is kept: once a connection is reset the system forgets it. */
static void keep_peer(socket_stream *s, const struct sockaddr *peer) {
  s->family = (uint8_t)peer->sa_family;
  if (s->family == AF_INET) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)peer;
    s->port = ntohs(in->sin_port);
    memcpy(s->address, &in->sin_addr, 4);
  } else if (s->family == AF_INET6) {
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)peer;
    s->port = ntohs(in6->sin6_port);
    memcpy(s->address, &in6->sin6_addr, 16);
    /* An IPv4 client of a socket that serves both has an IPv4 address. */
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
      s->family = AF_INET;
      memmove(s->address, s->address + 12, 4);
    }
  }
}

static size_t peer_address(dw_stream *base, char *out, size_t size, int *port) {
  socket_stream *s = of(base);
  *port = s->port;
  if (size == 0) return 0;
  out[0] = '\0';
  if (s->family != AF_INET && s->family != AF_INET6) return 0;
  if (!inet_ntop(s->family, s->address, out, (socklen_t)size)) return 0;
  return strlen(out);
}

#define SOCKET_TYPE(type_name)                                                 \
  {                                                                            \
    .name = (type_name), .read_start = read_start, .read_stop = read_stop,     \
    .try_write = try_write, .write = queue_write, .write_file = write_file,    \
    .shutdown = shut_down, .close = close_stream, .peer = peer_address         \
  }

static const dw_stream_type tcp_type = SOCKET_TYPE("tcp");
static const dw_stream_type unix_type = SOCKET_TYPE("unix");

int dw_uv_stream_open(dw_stream **out, dw_loop *loop, int fd,
                      const struct sockaddr *peer) {
  *out = NULL;
  socket_stream *s = dw_zalloc(loop->alloc, sizeof(*s));
  if (!s) return UV_ENOMEM;
  int err = uv_poll_init(loop->uv, &s->poll, fd); /* also makes it not block */
  if (err) {
    dw_free(loop->alloc, s, sizeof(*s));
    return err;
  }
  s->fd = fd;
  keep_peer(s, peer);
  s->base.type = s->family == AF_UNIX ? &unix_type : &tcp_type;
  s->base.loop = loop;
  *out = &s->base;
  return 0;
}
