/* SPDX-License-Identifier: MIT */
/* Files by descriptors and paths, blocking. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_TMPFILE, copy_file_range */
#endif
#include "base/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

enum { COPY = 64 * 1024 };

/* --- Without a name --------------------------------------------------------*/

static int named_and_removed(const char *folder) {
  char path[PATH_MAX];
  int len = snprintf(path, sizeof path, "%s/dewar-XXXXXX", folder);
  if (len < 0 || (size_t)len >= sizeof path) return -ENAMETOOLONG;
  int fd = mkostemp(path, O_CLOEXEC);
  if (fd < 0) return -errno;
  unlink(path);
  return fd;
}

int dw_disk_temporary(const char *folder, bool *nameable) {
  *nameable = false;
#ifdef O_TMPFILE
  /* Nobody else can open it; once it has a name, it has the usual mode. */
  int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
  *nameable = fd >= 0;
  if (fd >= 0) return fd;
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL &&
      errno != ENOENT)
    return -errno;
#endif
  return named_and_removed(folder);
}

int dw_disk_link(int fd, const char *path) {
  char own[32];
  snprintf(own, sizeof own, "/proc/self/fd/%d", fd);
  return linkat(AT_FDCWD, own, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0 ? -errno
                                                                      : 0;
}

/* --- Reading and writing ---------------------------------------------------*/

int dw_disk_write(int fd, dw_slice bytes, uint64_t at) {
  for (size_t done = 0; done < bytes.len;) {
    ssize_t n =
        pwrite(fd, bytes.ptr + done, bytes.len - done, (off_t)(at + done));
    if (n < 0 && errno != EINTR) return -errno;
    if (n > 0) done += (size_t)n;
  }
  return 0;
}

int dw_disk_read(int fd, char *out, size_t len, uint64_t at) {
  for (size_t done = 0; done < len;) {
    ssize_t n = pread(fd, out + done, len - done, (off_t)(at + done));
    if (n < 0 && errno != EINTR) return -errno;
    if (n == 0) return UV_EOF;
    if (n > 0) done += (size_t)n;
  }
  return 0;
}

/* The target may be a pipe or a device. */
static int write_on(int fd, const char *bytes, size_t len) {
  for (size_t done = 0; done < len;) {
    ssize_t n = write(fd, bytes + done, len - done);
    if (n < 0 && errno != EINTR) return -errno;
    if (n > 0) done += (size_t)n;
  }
  return 0;
}

/* --- Making files ----------------------------------------------------------*/

typedef struct target {
  const char *path;
  int fd;
  bool made; /* it wasn't there */
  bool same; /* it is the source */
} target;

/* What is there is emptied only once it is known to be another file than the
 * source, which may have been given this very name. */
static int open_target(target *t, const char *path, int source) {
  struct stat from, to;
  *t = (target){.path = path, .made = true};
  t->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (t->fd < 0 && errno == EEXIST) {
    t->made = false;
    t->fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  }
  if (t->fd < 0) return -errno;
  if (t->made || fstat(t->fd, &to) < 0 || !S_ISREG(to.st_mode)) return 0;
  t->same = source >= 0 && fstat(source, &from) == 0 &&
            from.st_dev == to.st_dev && from.st_ino == to.st_ino;
  if (t->same || ftruncate(t->fd, 0) == 0) return 0;
  int code = -errno;
  close(t->fd);
  return code;
}

/* Some file systems tell only now that there was no room. */
static int close_target(target *t, int code) {
  if (close(t->fd) < 0 && errno != EINTR && code == 0) code = -errno;
  if (code < 0 && t->made) unlink(t->path);
  return code;
}

int dw_disk_make(const char *path, dw_slice bytes) {
  target t;
  int code = open_target(&t, path, -1);
  if (code < 0) return code;
  return close_target(&t, write_on(t.fd, bytes.ptr, bytes.len));
}

/* Within the system, where it can: some file systems share the blocks. */
static int copy_inside(int from, int to, uint64_t *at, uint64_t *len) {
  while (*len > 0) {
    loff_t offset = (loff_t)*at;
    size_t most = *len < SSIZE_MAX ? (size_t)*len : SSIZE_MAX;
    ssize_t n = copy_file_range(from, &offset, to, NULL, most, 0);
    if (n <= 0) return n < 0 ? -errno : 0;
    *at += (uint64_t)n;
    *len -= (uint64_t)n;
  }
  return 0;
}

static int copy_by_hand(int from, int to, uint64_t at, uint64_t len) {
  char bytes[COPY];
  while (len > 0) {
    size_t n = len < COPY ? (size_t)len : COPY;
    int code = dw_disk_read(from, bytes, n, at);
    if (code == 0) code = write_on(to, bytes, n);
    if (code < 0) return code;
    at += n;
    len -= n;
  }
  return 0;
}

int dw_disk_copy(int fd, uint64_t at, uint64_t len, const char *path) {
  target t;
  int code = open_target(&t, path, fd);
  if (code < 0) return code;
  if (!t.same) {
    code = copy_inside(fd, t.fd, &at, &len);
    if (code != -ENOSPC && code != -EDQUOT && code != -EFBIG)
      code = copy_by_hand(fd, t.fd, at, len);
  }
  return close_target(&t, code);
}
