/* SPDX-License-Identifier: MIT */
/* Listening sockets. Accepting goes on whatever accept says: an error of one
 * connection is passed over; a shortage (of file descriptors, of memory) stops
 * accepting for a moment, while clients wait in the backlog. Owner: who opened
 * it, until dw_listener_close. Thread: the loop's. */
#define _GNU_SOURCE /* accept4 */

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "net/stream.h"
#include "net/uv_stream.h"

enum {
  ACCEPTS_PER_EVENT = 64, /* before others have their turn */
  ACCEPTS_SHARED = 1,     /* where other processes accept, too, and are idle */
  RETRY_MS = 100,         /* after a shortage */
  WARN_SECONDS = 10,      /* between two warnings of it */
  UNSENT_MAX = 128 * 1024 /* bytes that the system holds for a slow client */
};

typedef struct listener {
  dw_listener base;
  uv_poll_t poll;
  dw_timer retry; /* active: a shortage is waited out */
  int fd;
  int port;
  int batch; /* accepts before others have their turn */
  bool paused;
  bool closing;
  double next_warning;
  char *path; /* of the socket file; NULL where there is none to unlink */
  dev_t dev;  /* which file it is, in case another has taken its place */
  ino_t ino;
  void (*close_cb)(void *data);
  void *close_data;
} listener;

static listener *of(dw_listener *l) { return DW_CONTAINER(l, listener, base); }

static int last_error(void) { return uv_translate_sys_error(errno); }

/* --- Accepting -------------------------------------------------------------*/

static void poll_cb(uv_poll_t *poll, int status, int events);

static void update_poll(listener *l) {
  if (l->paused || dw_timer_active(&l->retry))
    uv_poll_stop(&l->poll);
  else
    uv_poll_start(&l->poll, UV_READABLE, poll_cb); /* has a socket of its own */
}

static void retry_cb(dw_timer *retry) { update_poll(retry->data); }

static void wait_out_shortage(listener *l, int err) {
  dw_loop *loop = l->base.loop;
  dw_timer_start(loop, &l->retry, RETRY_MS);
  update_poll(l);
  double now = dw_loop_seconds(loop);
  if (now < l->next_warning) return;
  l->next_warning = now + WARN_SECONDS;
  dw_logf(loop->log, DEWAR_WARN,
          "can't accept connections at present: %s; new ones have to wait",
          dw_strerror(err));
}

/* Errors of one connection, that ended before it was accepted. */
static bool is_passing(int err) {
  switch (err) {
  case UV_EINTR:
  case UV_ECONNABORTED:
  case UV_EPROTO:
  case UV_ENETDOWN:
  case UV_ENOPROTOOPT:
  case UV_EHOSTDOWN:
  case UV_EHOSTUNREACH:
  case UV_ENETUNREACH:
  case UV_ENOTSUP:
  case UV_ETIMEDOUT:
  case UV_EPERM: /* a firewall's rule */
    return true;
  default:
    return false;
  }
}

/* Whether to go on accepting at once. */
static bool survive(listener *l, int err) {
  if (err == UV_EAGAIN) return false;
  if (!is_passing(err)) {
    wait_out_shortage(l, err);
    return false;
  }
  if (err != UV_EINTR)
    dw_logf(l->base.loop->log, DEWAR_INFO, "a connection was not accepted: %s",
            dw_strerror(err));
  return true;
}

static bool accept_one(listener *l) {
  struct sockaddr_storage peer = {.ss_family = AF_UNIX};
  socklen_t len = sizeof(peer);
  struct sockaddr *address = (struct sockaddr *)&peer;
  int fd = accept4(l->fd, address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return survive(l, last_error());

  dw_stream *stream;
  int err = dw_uv_stream_open(&stream, l->base.loop, fd, address);
  if (err) {
    close(fd);
    dw_logf(l->base.loop->log, DEWAR_WARN, "a connection was dropped: %s",
            dw_strerror(err));
    return true;
  }
  l->base.accept_cb(&l->base, stream);
  return true;
}

static void poll_cb(uv_poll_t *poll, int status, int events) {
  listener *l = DW_CONTAINER(poll, listener, poll);
  dw_loop *loop = l->base.loop;
  (void)events;
  dw_loop_enter(loop);
  bool more = true;
  for (int i = 0; i < l->batch && more; i++)
    more = accept_one(l) && !l->paused && !l->closing;
  /* An error made libuv stop the handle. */
  bool waits = l->closing || l->paused || dw_timer_active(&l->retry);
  if (status < 0 && !waits) wait_out_shortage(l, status);
  dw_loop_leave(loop);
}

void dw_listener_pause(dw_listener *base) {
  of(base)->paused = true;
  update_poll(of(base));
}

void dw_listener_resume(dw_listener *base) {
  of(base)->paused = false;
  update_poll(of(base));
}

/* --- Opening and closing ---------------------------------------------------*/

static int port_of(int fd) {
  struct sockaddr_storage own = {0};
  socklen_t len = sizeof(own);
  if (getsockname(fd, (struct sockaddr *)&own, &len) != 0) return 0;
  if (own.ss_family == AF_INET)
    return ntohs(((struct sockaddr_in *)&own)->sin_port);
  if (own.ss_family == AF_INET6)
    return ntohs(((struct sockaddr_in6 *)&own)->sin6_port);
  return 0;
}

int dw_listener_open_fd(dw_loop *loop, int fd, dw_accept_cb cb, void *data,
                        dw_listener **out) {
  *out = NULL;
  listener *l = dw_zalloc(loop->alloc, sizeof(*l));
  if (!l) return UV_ENOMEM;
  int err = uv_poll_init(loop->uv, &l->poll, fd);
  if (err) {
    dw_free(loop->alloc, l, sizeof(*l));
    return err;
  }
  l->base = (dw_listener){.loop = loop, .accept_cb = cb, .data = data};
  l->fd = fd;
  l->port = port_of(fd);
  l->batch = ACCEPTS_SHARED;
  dw_timer_init(&l->retry, retry_cb, l);
  update_poll(l);
  *out = &l->base;
  return 0;
}

int dw_listener_fd(const dw_listener *base) {
  return DW_CONTAINER(base, const listener, base)->fd;
}

int dw_listener_port(const dw_listener *base) {
  return DW_CONTAINER(base, const listener, base)->port;
}

static void free_path(listener *l) {
  if (l->path) dw_free(l->base.loop->alloc, l->path, strlen(l->path) + 1);
}

static void closed_cb(uv_handle_t *handle) {
  listener *l = DW_CONTAINER((uv_poll_t *)handle, listener, poll);
  dw_loop *loop = l->base.loop;
  void (*cb)(void *data) = l->close_cb;
  void *data = l->close_data;
  free_path(l);
  dw_free(loop->alloc, l, sizeof(*l));
  dw_loop_enter(loop);
  if (cb) cb(data);
  dw_loop_leave(loop);
}

static void unlink_path(const listener *l) {
  struct stat now;
  if (!l->path || lstat(l->path, &now) != 0) return;
  if (now.st_dev == l->dev && now.st_ino == l->ino) unlink(l->path);
}

void dw_listener_close(dw_listener *base, void (*cb)(void *data), void *data) {
  listener *l = of(base);
  l->closing = true;
  l->close_cb = cb;
  l->close_data = data;
  dw_timer_stop(base->loop, &l->retry);
  unlink_path(l);
  uv_close((uv_handle_t *)&l->poll, closed_cb);
  close(l->fd);
}

/* --- TCP -------------------------------------------------------------------*/

/* All hold for the connections that are accepted, too; only the first is not
 * meant for them. The last keeps the system from taking megabytes for each
 * client that doesn't read: what is beyond waits in the stream's queue, which
 * is seen and limited. */
static int set_tcp_options(int fd) {
  int on = 1, unsent = UNSENT_MAX;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
    return last_error();
#ifdef TCP_NOTSENT_LOWAT
  setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
#endif
  return 0;
}

static int bind_and_listen(int fd, const struct sockaddr *address,
                           socklen_t len) {
  if (bind(fd, address, len) != 0 || listen(fd, SOMAXCONN) != 0)
    return last_error();
  return 0;
}

static int new_socket(int family) {
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  return fd < 0 ? last_error() : fd;
}

/* A listening socket, or a negative code. */
static int listen_on(const struct addrinfo *info) {
  int fd = new_socket(info->ai_family);
  if (fd < 0) return fd;
  int err = set_tcp_options(fd);
  if (!err) err = bind_and_listen(fd, info->ai_addr, info->ai_addrlen);
  if (!err) return fd;
  close(fd);
  return err;
}

/* The first of the addresses that this machine has; IPv4 goes before IPv6, for
 * a name like localhost stands for both. */
static int listen_on_any(const struct addrinfo *list) {
  int fd = UV_EADDRNOTAVAIL;
  for (int pass = 0; pass < 2; pass++) {
    for (const struct addrinfo *i = list; i; i = i->ai_next) {
      if ((i->ai_family == AF_INET) != (pass == 0)) continue;
      fd = listen_on(i);
      if (fd != UV_EADDRNOTAVAIL && fd != UV_EAFNOSUPPORT) return fd;
    }
  }
  return fd;
}

int dw_listener_open_tcp(dw_loop *loop, const char *host, int port,
                         dw_accept_cb cb, void *data, dw_listener **out) {
  *out = NULL;
  if (port < 0 || port > 65535 || !*host) return DEWAR_EINVAL;
  char service[8];
  snprintf(service, sizeof(service), "%d", port);
  struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                           .ai_socktype = SOCK_STREAM};
  uv_getaddrinfo_t lookup;
  int err = uv_getaddrinfo(loop->uv, &lookup, NULL, host, service, &hints);
  if (err) return err;
  int fd = listen_on_any(lookup.addrinfo);
  uv_freeaddrinfo(lookup.addrinfo);
  if (fd < 0) return fd;
  err = dw_listener_open_fd(loop, fd, cb, data, out);
  if (err)
    close(fd);
  else
    of(*out)->batch = ACCEPTS_PER_EVENT;
  return err;
}

/* --- Unix sockets ----------------------------------------------------------*/

/* Removes a socket file that nobody listens at. 0 where nothing is in the way
 * any more, or a negative code. */
static int remove_stale(const struct sockaddr_un *address) {
  struct stat file;
  if (lstat(address->sun_path, &file) != 0)
    return errno == ENOENT ? 0 : last_error();
  if (!S_ISSOCK(file.st_mode)) return UV_EEXIST;

  int probe = new_socket(AF_UNIX);
  if (probe < 0) return probe;
  int err = 0;
  if (connect(probe, (const struct sockaddr *)address, sizeof(*address)) != 0)
    err = last_error();
  close(probe);
  if (err == UV_ENOENT) return 0; /* gone meanwhile */
  if (err == UV_EACCES) return err;
  if (err != UV_ECONNREFUSED) return UV_EADDRINUSE;
  return unlink(address->sun_path) == 0 || errno == ENOENT ? 0 : last_error();
}

static int listen_at(const struct sockaddr_un *address) {
  int err = remove_stale(address);
  if (err) return err;
  int fd = new_socket(AF_UNIX);
  if (fd < 0) return fd;
  err = bind_and_listen(fd, (const struct sockaddr *)address, sizeof(*address));
  if (!err) return fd;
  close(fd);
  return err;
}

/* On success the path belongs to the listener. */
static int open_at(dw_loop *loop, char *path, const struct sockaddr_un *address,
                   dw_accept_cb cb, void *data, dw_listener **out) {
  struct stat file;
  int fd = listen_at(address);
  if (fd < 0) return fd;
  int err = lstat(path, &file) == 0 ? 0 : last_error();
  if (!err) err = dw_listener_open_fd(loop, fd, cb, data, out);
  if (err) {
    unlink(path);
    close(fd);
    return err;
  }
  listener *l = of(*out);
  l->batch = ACCEPTS_PER_EVENT;
  l->path = path;
  l->dev = file.st_dev;
  l->ino = file.st_ino;
  return 0;
}

int dw_listener_open_unix(dw_loop *loop, const char *path, dw_accept_cb cb,
                          void *data, dw_listener **out) {
  *out = NULL;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t len = strlen(path);
  if (len == 0) return DEWAR_EINVAL;
  if (len >= sizeof(address.sun_path)) return UV_ENAMETOOLONG;
  memcpy(address.sun_path, path, len + 1);

  char *copy = dw_alloc(loop->alloc, len + 1);
  if (!copy) return UV_ENOMEM;
  memcpy(copy, path, len + 1);
  int err = open_at(loop, copy, &address, cb, data, out);
  if (err) dw_free(loop->alloc, copy, len + 1);
  return err;
}
