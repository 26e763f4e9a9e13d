/* SPDX-License-Identifier: MIT */
/* sendfile. It has no flag against SIGPIPE, as sendmsg has one, so the signal
 * is held back from this thread and taken from it again. */
#include "net/sendfile.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#include <uv.h>

#ifdef __linux__
#include <sys/sendfile.h>
#endif

enum {
  TURN = 1024 * 1024, /* bytes, then another one has the thread */
  STEP = 256 * 1024
};

/* --- The signal ------------------------------------------------------------*/

typedef struct held {
  sigset_t before;
  bool pending; /* there was one already, which is somebody else's */
} held;

static void pipe_set(sigset_t *set) {
  sigemptyset(set);
  sigaddset(set, SIGPIPE);
}

static void hold(held *h) {
  sigset_t set, pending;
  pipe_set(&set);
  sigpending(&pending);
  h->pending = sigismember(&pending, SIGPIPE) == 1;
  pthread_sigmask(SIG_BLOCK, &set, &h->before);
}

static void let_go(const held *h, bool raised) {
  sigset_t set;
  pipe_set(&set);
  if (raised && !h->pending) {
    static const struct timespec now = {0};
    while (sigtimedwait(&set, NULL, &now) < 0 && errno == EINTR) continue;
  }
  pthread_sigmask(SIG_SETMASK, &h->before, NULL);
}

/* --- Sending ---------------------------------------------------------------*/

static ssize_t send_once(int to, int from, uint64_t offset, size_t len) {
#ifdef __linux__
  off_t at = (off_t)offset;
  return sendfile(to, from, &at, len);
#else
  char bytes[16 * 1024];
  ssize_t n = pread(from, bytes, len < sizeof bytes ? len : sizeof bytes,
                    (off_t)offset);
  if (n <= 0) {
    if (n < 0) errno = EIO;
    return n;
  }
  return write(to, bytes, (size_t)n);
#endif
}

/* Whether it is the file that failed, rather than the socket. */
static bool is_of_file(int error) {
  return error == EIO || error == EOVERFLOW || error == ESTALE ||
         error == EINVAL || error == EISDIR;
}

dw_sendfile dw_sendfile_some(int socket, int file, uint64_t offset,
                             uint64_t len) {
  dw_sendfile r = {0};
  held signal;
  bool raised = false;
  hold(&signal);
  while (r.sent < len && r.sent < TURN) {
    uint64_t left = len - r.sent;
    size_t step = left < STEP ? (size_t)left : STEP;
    ssize_t n = send_once(socket, file, offset + r.sent, step);
    if (n > 0) {
      r.sent += (size_t)n;
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    if (n == 0)
      r.file_error = UV_EOF;
    else if (errno == EAGAIN)
      r.full = true;
    else if (is_of_file(errno))
      r.file_error = uv_translate_sys_error(errno);
    else
      r.code = uv_translate_sys_error(errno);
    raised = n < 0 && errno == EPIPE;
    break;
  }
  let_go(&signal, raised);
  return r;
}
