/* SPDX-License-Identifier: MIT */
/* The one transport seam: bytes in, bytes out. TCP, unix sockets, the in-memory
 * pair (and TLS, when it comes) look alike above it. A stream is owned by who
 * opened or accepted it, until dw_stream_close, which calls back once nothing
 * of it is in use any more. No callback runs from within a call on the stream.
 * Thread: the loop's. */
#ifndef DW_NET_STREAM_H
#define DW_NET_STREAM_H

#include "base/file.h"
#include "base/loop.h"
#include "base/slice.h"

typedef struct dw_stream dw_stream;

/* Bytes arrived: len > 0, valid only during the call (they lie in the loop's
 * read buffer). len 0 is the end of file; < 0 an error code. After either,
 * reading has stopped. */
typedef void (*dw_read_cb)(dw_stream *s, const char *bytes, ssize_t len);
/* All that was queued at the time of this write has been sent, or failed. */
typedef void (*dw_write_cb)(dw_stream *s, int status);
typedef void (*dw_close_cb)(dw_stream *s);

typedef struct dw_stream_type {
  const char *name; /* "tcp", "unix", "memory" */
  int (*read_start)(dw_stream *s);
  void (*read_stop)(dw_stream *s);
  ssize_t (*try_write)(dw_stream *s, const uv_buf_t *bufs, unsigned n);
  int (*write)(dw_stream *s, const uv_buf_t *bufs, unsigned n);
  /* NULL: only what is in memory can be sent. */
  int (*write_file)(dw_stream *s, dw_file *f, uint64_t offset, uint64_t len);
  int (*shutdown)(dw_stream *s);
  void (*close)(dw_stream *s, bool reset);
  size_t (*peer)(dw_stream *s, char *out, size_t size, int *port);
} dw_stream_type;

struct dw_stream {
  const dw_stream_type *type;
  dw_loop *loop;
  void *data; /* the user's */
  dw_read_cb read_cb;
  dw_write_cb write_cb;
  dw_close_cb close_cb;
  size_t queued; /* bytes given to write and not yet sent */
  int file_error; /* why a file was not sent whole; 0: it was */
};

/* Idempotent. The callback is set by the caller in s->read_cb. */
int dw_stream_read_start(dw_stream *s);
void dw_stream_read_stop(dw_stream *s);
/* Sends what can be sent at once: the number of bytes (0 where it would block,
 * or while a queued write is unfinished) or a negative code. */
ssize_t dw_stream_try_write(dw_stream *s, const uv_buf_t *bufs, unsigned n);
/* Queues a copy of the bytes; s->write_cb (may be NULL) is called when it is
 * sent, in order. 0 or a negative code, and then nothing was queued. */
int dw_stream_write(dw_stream *s, const uv_buf_t *bufs, unsigned n);
/* Queues a part of a file, which is sent without passing through our memory and
 * without waiting for a disk on the loop's thread. Nothing else may be written
 * until write_cb tells that it is sent. One that can't be read to its end, as it
 * has become shorter, say, sets s->file_error. 0, UV_ENOSYS (this kind of stream
 * can't), or a negative code. */
int dw_stream_write_file(dw_stream *s, dw_file *file, uint64_t offset,
                         uint64_t len);
bool dw_stream_writes_files(const dw_stream *s);
/* Ends our side once the queue is sent; the other side may still send. */
int dw_stream_shutdown(dw_stream *s);
/* Closes; what is queued is dropped. cb (may be NULL) is called later; then the
 * stream is freed. reset: TCP sends RST. Not idempotent. */
void dw_stream_close(dw_stream *s, bool reset, dw_close_cb cb);
/* The peer's address as text ("127.0.0.1", also for a pair; "" for a unix
 * socket); its length; *port is 0 where there is none. */
size_t dw_stream_peer(dw_stream *s, char *out, size_t size, int *port);

/* The in-memory pair: what one end writes, the other reads, in a later deferred
 * call, never on the writer's stack. Each end buffers at most DW_PAIR_BUFFER
 * unread bytes; past that, writes stay queued until the reader takes them. */
enum { DW_PAIR_BUFFER = 64 * 1024 };
int dw_pair_open(dw_loop *loop, dw_stream **a, dw_stream **b);

/* A listener accepts streams. accept_cb owns the stream it is given. */
typedef struct dw_listener dw_listener;
typedef void (*dw_accept_cb)(dw_listener *l, dw_stream *s);
struct dw_listener {
  dw_loop *loop;
  dw_accept_cb accept_cb;
  void *data; /* the user's */
};

/* Port 0 takes a free one: see dw_listener_port. A port in use is
 * UV_EADDRINUSE at once, also against another server of the same user. */
int dw_listener_open_tcp(dw_loop *loop, const char *host, int port,
                         dw_accept_cb cb, void *data, dw_listener **out);
/* A stale socket file (nobody answers there) is replaced, a live one is
 * UV_EADDRINUSE, another kind of file UV_EEXIST. The file is unlinked at the
 * close. */
int dw_listener_open_unix(dw_loop *loop, const char *path, dw_accept_cb cb,
                          void *data, dw_listener **out);
/* Takes over a listening socket that was opened elsewhere, such as one that a
 * worker process inherits: several processes may accept from one socket. After
 * a failure it is still the caller's. */
int dw_listener_open_fd(dw_loop *loop, int fd, dw_accept_cb cb, void *data,
                        dw_listener **out);
int dw_listener_fd(const dw_listener *l);   /* borrowed */
int dw_listener_port(const dw_listener *l); /* 0 for a unix socket */
/* Stops accepting (connections that wait in the backlog are left to it), and
 * goes on again: for a limit of connections. */
void dw_listener_pause(dw_listener *l);
void dw_listener_resume(dw_listener *l);
/* cb(data) is called once it is closed and freed; may be NULL. */
void dw_listener_close(dw_listener *l, void (*cb)(void *data), void *data);

#endif
