/* SPDX-License-Identifier: MIT */
/* Listeners: addresses, conflicts, shortages, socket files. */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/error.h"
#include "net/stream.h"

/* --- A loop, a log, and what was accepted ----------------------------------*/

enum { CLIENTS = 8 };

typedef struct acceptor {
  unsigned count;
  unsigned wanted; /* for turn_until_accepted */
  unsigned pause_at, close_at;
  int reentry;
} acceptor;

static dw_allocator allocator;
static dw_loop loop;
static acceptor accepted;
static unsigned warnings;
static dw_log logger;

static void count_warning_cb(void *data, int level, const char *text,
                             const dewar_log_field *fields, size_t count) {
  (void)data, (void)text, (void)fields, (void)count;
  if (level >= DEWAR_WARN) warnings++;
}

static void open_loop(void) {
  dw_allocator_init(&allocator, NULL, NULL);
  logger = (dw_log){.sink = count_warning_cb, .level = DEWAR_DEBUG};
  if (dw_loop_init(&loop, NULL, &allocator, &logger) != 0) abort();
  accepted = (acceptor){0};
  warnings = 0;
}

static void close_loop(void) {
  dw_loop_deinit(&loop);
  CHECK_INT(allocator.used, 0);
}

static bool is_set(void *data) { return *(bool *)data; }

static void set_closed(void *data) { *(bool *)data = true; }

static void close_listener(dw_listener *l) {
  bool closed = false;
  dw_listener_close(l, set_closed, &closed);
  CHECK(!closed);
  CHECK_INT(dw_loop_run(&loop, is_set, &closed), 0);
}

static void accept_cb(dw_listener *l, dw_stream *s) {
  acceptor *seen = l->data;
  seen->count++;
  seen->reentry = dw_loop_run(l->loop, NULL, NULL);
  dw_stream_close(s, false, NULL);
  if (seen->count == seen->pause_at) dw_listener_pause(l);
  if (seen->count == seen->close_at) dw_listener_close(l, NULL, NULL);
}

static bool has_accepted(void *data) {
  acceptor *seen = data;
  return seen->count >= seen->wanted;
}

static void turn_until_accepted(unsigned count) {
  accepted.wanted = count;
  CHECK_INT(dw_loop_run(&loop, has_accepted, &accepted), 0);
  CHECK_INT(accepted.count, count);
}

static void turn_a_few_times(void) {
  for (int i = 0; i < 5; i++) dw_loop_turn(&loop, false);
}

static dw_listener *listen_tcp(const char *host, int port) {
  dw_listener *l;
  int err = dw_listener_open_tcp(&loop, host, port, accept_cb, &accepted, &l);
  CHECK_INT(err, 0);
  if (err) abort();
  return l;
}

static int listen_error(const char *host, int port) {
  dw_listener *l;
  int err = dw_listener_open_tcp(&loop, host, port, accept_cb, &accepted, &l);
  CHECK((l == NULL) == (err < 0));
  if (!err) close_listener(l);
  return err;
}

static int connect_tcp(int port) {
  struct sockaddr_in in = {.sin_family = AF_INET,
                           .sin_port = htons((uint16_t)port),
                           .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&in, sizeof(in)) != 0) abort();
  return fd;
}

static int option(int fd, int level, int name) {
  int value = -1;
  socklen_t len = sizeof(value);
  getsockopt(fd, level, name, &value, &len);
  return value;
}

/* --- Addresses -------------------------------------------------------------*/

TEST(takes_a_free_port_and_says_which) {
  open_loop();
  dw_listener *l = listen_tcp("127.0.0.1", 0);
  int port = dw_listener_port(l);
  CHECK(port > 0 && port < 65536);
  int fd = connect_tcp(port);
  turn_until_accepted(1);
  close(fd);
  close_listener(l);
  close_loop();
}

TEST(resolves_localhost_to_ipv4_first) {
  open_loop();
  dw_listener *l = listen_tcp("localhost", 0);
  int fd = connect_tcp(dw_listener_port(l));
  turn_until_accepted(1);
  close(fd);
  close_listener(l);
  close_loop();
}

static bool has_ipv6(void) {
  struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
                             .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  bool can = bind(fd, (struct sockaddr *)&in6, sizeof(in6)) == 0;
  close(fd);
  return can;
}

static void check_ipv6_peer_cb(dw_listener *l, dw_stream *s) {
  char text[64];
  int port;
  dw_stream_peer(s, text, sizeof(text), &port);
  CHECK_STR(text, "::1");
  CHECK(port > 0);
  accept_cb(l, s);
}

TEST(listens_on_ipv6) {
  if (!has_ipv6()) return;
  open_loop();
  dw_listener *l;
  CHECK_INT(
      dw_listener_open_tcp(&loop, "::1", 0, check_ipv6_peer_cb, &accepted, &l),
      0);
  struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
                             .sin6_port = htons((uint16_t)dw_listener_port(l)),
                             .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  CHECK_INT(connect(fd, (struct sockaddr *)&in6, sizeof(in6)), 0);
  turn_until_accepted(1);
  close(fd);
  close_listener(l);
  close_loop();
}

TEST(refuses_what_is_no_address_of_this_machine) {
  open_loop();
  CHECK_INT(listen_error("192.0.2.1", 0), UV_EADDRNOTAVAIL);
  CHECK_INT(listen_error("127.0.0.1", -1), DEWAR_EINVAL);
  CHECK_INT(listen_error("127.0.0.1", 65536), DEWAR_EINVAL);
  CHECK_INT(listen_error("", 0), DEWAR_EINVAL);
  CHECK_INT(allocator.used, DW_READ_BUFFER);
  close_loop();
}

/* --- Conflicts -------------------------------------------------------------*/

TEST(a_port_in_use_is_an_error_at_once) {
  open_loop();
  dw_listener *l = listen_tcp("127.0.0.1", 0);
  int port = dw_listener_port(l);
  CHECK_INT(listen_error("127.0.0.1", port), UV_EADDRINUSE);
  CHECK_INT(listen_error("0.0.0.0", port), UV_EADDRINUSE);
  CHECK_INT(option(dw_listener_fd(l), SOL_SOCKET, SO_REUSEPORT), 0);
  close_listener(l);
  CHECK_INT(listen_error("127.0.0.1", port), 0);
  close_loop();
}

TEST(a_port_can_be_taken_again_while_old_connections_linger) {
  open_loop();
  dw_listener *l = listen_tcp("127.0.0.1", 0);
  int port = dw_listener_port(l);
  int fd = connect_tcp(port);
  turn_until_accepted(1); /* the server's side closes first: TIME_WAIT */
  char byte;
  CHECK_INT(recv(fd, &byte, 1, 0), 0);
  close(fd);
  close_listener(l);
  CHECK_INT(listen_error("127.0.0.1", port), 0);
  close_loop();
}

/* --- Accepting -------------------------------------------------------------*/

static void connect_all(int port, int *fds) {
  for (int i = 0; i < CLIENTS; i++) fds[i] = connect_tcp(port);
}

static void close_all(const int *fds) {
  for (int i = 0; i < CLIENTS; i++) close(fds[i]);
}

TEST(accepts_nothing_while_it_is_paused) {
  open_loop();
  dw_listener *l = listen_tcp("127.0.0.1", 0);
  int fds[CLIENTS];
  dw_listener_pause(l);
  dw_listener_pause(l);
  connect_all(dw_listener_port(l), fds);
  turn_a_few_times();
  CHECK_INT(accepted.count, 0);
  dw_listener_resume(l);
  dw_listener_resume(l);
  turn_until_accepted(CLIENTS);
  close_all(fds);
  close_listener(l);
  close_loop();
}

TEST(may_be_paused_from_its_callback) {
  open_loop();
  dw_listener *l = listen_tcp("127.0.0.1", 0);
  int fds[CLIENTS];
  accepted.pause_at = 3;
  connect_all(dw_listener_port(l), fds);
  turn_a_few_times();
  CHECK_INT(accepted.count, 3);
  dw_listener_resume(l);
  turn_until_accepted(CLIENTS);
  close_all(fds);
  close_listener(l);
  close_loop();
}

TEST(may_be_closed_from_its_callback) {
  open_loop();
  dw_listener *l = listen_tcp("127.0.0.1", 0);
  int fds[CLIENTS];
  accepted.close_at = 3;
  connect_all(dw_listener_port(l), fds);
  CHECK_INT(dw_loop_run(&loop, NULL, NULL), 0); /* nothing stays alive */
  CHECK_INT(accepted.count, 3);
  CHECK_INT(accepted.reentry, DEWAR_EREENTRY);
  close_all(fds);
  close_loop();
}

static int accepted_fd(int port) {
  for (int fd = 3; fd < 256; fd++) {
    struct sockaddr_in own = {0}, peer;
    socklen_t len = sizeof(own), peer_len = sizeof(peer);
    if (getsockname(fd, (struct sockaddr *)&own, &len) != 0) continue;
    if (own.sin_family != AF_INET || ntohs(own.sin_port) != port) continue;
    if (getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0) return fd;
  }
  return -1;
}

static void check_options_cb(dw_listener *l, dw_stream *s) {
  int fd = accepted_fd(dw_listener_port(l));
  CHECK(fd >= 0);
  CHECK_INT(option(fd, IPPROTO_TCP, TCP_NODELAY), 1);
  CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
  CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
  CHECK(fcntl(dw_listener_fd(l), F_GETFD) & FD_CLOEXEC);
  accept_cb(l, s);
}

TEST(what_it_accepts_sends_without_delay_and_is_not_inherited) {
  open_loop();
  dw_listener *l;
  CHECK_INT(dw_listener_open_tcp(&loop, "127.0.0.1", 0, check_options_cb,
                                 &accepted, &l),
            0);
  int fd = connect_tcp(dw_listener_port(l));
  turn_until_accepted(1);
  close(fd);
  close_listener(l);
  close_loop();
}

/* --- Shortages -------------------------------------------------------------*/

static struct rlimit old_limit;

static void allow_no_more_files(void) {
  getrlimit(RLIMIT_NOFILE, &old_limit);
  struct rlimit none = {.rlim_cur = 3, .rlim_max = old_limit.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
}

static void allow_files_cb(dw_timer *t) {
  (void)t;
  setrlimit(RLIMIT_NOFILE, &old_limit);
}

TEST(waits_without_spinning_while_there_are_no_file_descriptors) {
  open_loop();
  dw_listener *l = listen_tcp("127.0.0.1", 0);
  int fds[CLIENTS];
  connect_all(dw_listener_port(l), fds);
  allow_no_more_files();
  dw_timer t;
  dw_timer_init(&t, allow_files_cb, NULL);
  dw_timer_start(&loop, &t, 250); /* two or three attempts later */
  unsigned turns = 0;
  while (accepted.count < CLIENTS) {
    dw_loop_turn(&loop, true);
    turns++;
  }
  CHECK(turns < 50);
  CHECK_INT(warnings, 1);
  close_all(fds);
  close_listener(l);
  close_loop();
}

TEST(may_be_paused_or_closed_during_a_shortage) {
  open_loop();
  dw_listener *l = listen_tcp("127.0.0.1", 0);
  int fds[CLIENTS];
  connect_all(dw_listener_port(l), fds);
  allow_no_more_files();
  while (warnings == 0) dw_loop_turn(&loop, true);
  dw_listener_pause(l);
  dw_listener_resume(l);
  CHECK_INT(dw_loop_turn(&loop, false), 1);
  close_listener(l);
  CHECK_INT(loop.timers, 0);
  setrlimit(RLIMIT_NOFILE, &old_limit);
  close_all(fds);
  close_loop();
}

TEST(drops_a_connection_there_is_no_memory_for_and_goes_on) {
  open_loop();
  dw_listener *l = listen_tcp("127.0.0.1", 0);
  allocator.fail_at = allocator.calls + 1;
  int fds[CLIENTS];
  connect_all(dw_listener_port(l), fds);
  turn_until_accepted(CLIENTS - 1);
  CHECK_INT(warnings, 1);
  close_all(fds);
  close_listener(l);
  close_loop();
}

TEST(survives_clients_that_reset_before_they_are_accepted) {
  open_loop();
  dw_listener *l = listen_tcp("127.0.0.1", 0);
  for (int i = 0; i < CLIENTS; i++) {
    int fd = connect_tcp(dw_listener_port(l));
    struct linger now = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(fd);
  }
  turn_a_few_times();
  unsigned before = accepted.count;
  int fd = connect_tcp(dw_listener_port(l));
  turn_until_accepted(before + 1);
  close(fd);
  close_listener(l);
  close_loop();
}

/* --- Socket files ----------------------------------------------------------*/

static const char *path(void) {
  static char text[64];
  snprintf(text, sizeof(text), "/tmp/dewar-listener-%d.sock", (int)getpid());
  return text;
}

static int open_unix(dw_listener **l) {
  return dw_listener_open_unix(&loop, path(), accept_cb, &accepted, l);
}

static int connect_unix(void) {
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  snprintf(un.sun_path, sizeof(un.sun_path), "%s", path());
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un)) != 0) abort();
  return fd;
}

static bool exists(void) {
  struct stat file;
  return lstat(path(), &file) == 0;
}

/* A socket file that nobody listens at. */
static void leave_stale_socket(int type) {
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  snprintf(un.sun_path, sizeof(un.sun_path), "%s", path());
  int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&un, sizeof(un)) != 0) abort();
  close(fd);
}

TEST(serves_a_socket_file_and_unlinks_it) {
  open_loop();
  dw_listener *l, *second;
  CHECK_INT(open_unix(&l), 0);
  CHECK_INT(dw_listener_port(l), 0);
  int fd = connect_unix();
  turn_until_accepted(1);
  close(fd);
  CHECK_INT(open_unix(&second), UV_EADDRINUSE);
  CHECK(exists());
  fd = connect_unix(); /* the first one still serves */
  accepted.count = 0;
  turn_until_accepted(2); /* the second one's question was a client, too */
  close(fd);
  close_listener(l);
  CHECK(!exists());
  close_loop();
}

TEST(replaces_a_stale_socket_file) {
  open_loop();
  leave_stale_socket(SOCK_STREAM);
  dw_listener *l;
  CHECK_INT(open_unix(&l), 0);
  int fd = connect_unix();
  turn_until_accepted(1);
  close(fd);
  close_listener(l);
  close_loop();
}

TEST(leaves_files_of_other_kinds_alone) {
  open_loop();
  dw_listener *l;
  int fd = open(path(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  CHECK(fd >= 0);
  close(fd);
  CHECK_INT(open_unix(&l), UV_EEXIST);
  CHECK(exists());
  unlink(path());
  CHECK_INT(symlink("/nonexistent", path()), 0);
  CHECK_INT(open_unix(&l), UV_EEXIST);
  unlink(path());
  close_loop();
}

TEST(unlinks_only_its_own_file) {
  open_loop();
  dw_listener *l;
  CHECK_INT(open_unix(&l), 0);
  unlink(path());
  int fd = open(path(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  close(fd);
  close_listener(l);
  CHECK(exists());
  unlink(path());
  close_loop();
}

TEST(refuses_paths_that_can_not_be) {
  open_loop();
  dw_listener *l;
  char text[200];
  memset(text, 'x', sizeof(text));
  text[0] = '/';
  text[199] = '\0';
  CHECK_INT(dw_listener_open_unix(&loop, text, accept_cb, NULL, &l),
            UV_ENAMETOOLONG);
  CHECK_INT(dw_listener_open_unix(&loop, "", accept_cb, NULL, &l),
            DEWAR_EINVAL);
  CHECK_INT(dw_listener_open_unix(&loop, "/nonexistent/x", accept_cb, NULL, &l),
            UV_ENOENT);
  CHECK(l == NULL);
  close_loop();
}

/* --- Sockets from elsewhere ------------------------------------------------*/

TEST(two_loops_accept_from_one_socket) {
  open_loop();
  dw_listener *l = listen_tcp("127.0.0.1", 0), *shared;
  dw_loop other;
  acceptor others = {0};
  CHECK_INT(dw_loop_init(&other, NULL, &allocator, NULL), 0);
  int copy = fcntl(dw_listener_fd(l), F_DUPFD_CLOEXEC, 0);
  CHECK_INT(dw_listener_open_fd(&other, copy, accept_cb, &others, &shared), 0);
  CHECK_INT(dw_listener_port(shared), dw_listener_port(l));
  int fds[CLIENTS];
  dw_listener_pause(l);
  connect_all(dw_listener_port(l), fds);
  others.wanted = CLIENTS;
  CHECK_INT(dw_loop_run(&other, has_accepted, &others), 0);
  CHECK_INT(accepted.count, 0);
  dw_listener_resume(l);
  turn_a_few_times();
  CHECK_INT(accepted.count, 0); /* though it was told of connections */
  close_all(fds);
  dw_listener_close(shared, NULL, NULL);
  dw_loop_deinit(&other);
  close_listener(l);
  close_loop();
}

TEST(what_is_no_socket_stays_the_callers) {
  open_loop();
  dw_listener *l;
  int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  CHECK(dw_listener_open_fd(&loop, fd, accept_cb, NULL, &l) < 0);
  CHECK(l == NULL);
  CHECK_INT(close(fd), 0);
  close_loop();
}

/* --- Failing allocations ---------------------------------------------------*/

static int open_and_close(dw_allocator *a, void *data) {
  dw_loop own;
  dw_listener *l;
  int err = dw_loop_init(&own, NULL, a, NULL);
  if (err) return err;
  if (data)
    err = dw_listener_open_unix(&own, data, accept_cb, NULL, &l);
  else
    err = dw_listener_open_tcp(&own, "127.0.0.1", 0, accept_cb, NULL, &l);
  if (!err) dw_listener_close(l, NULL, NULL);
  dw_loop_deinit(&own);
  return err;
}

TEST(opening_survives_failing_allocations) {
  unit_failing_allocations(open_and_close, NULL);
  unit_failing_allocations(open_and_close, (char *)(uintptr_t)path());
  CHECK(!exists());
}
