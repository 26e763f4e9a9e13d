/* SPDX-License-Identifier: MIT */
/* Finding a file below a folder, and nowhere else. Linux does that in one call,
 * openat2, which can also be told to give up rather than wait for a disk: so
 * what is in use is found on the loop's thread at once, and everything else in
 * the pool. Elsewhere, and for absolute links that stay inside, the path is
 * resolved first and compared. look() runs on either thread and allocates
 * nothing. Owner: see file.h. */
#define _GNU_SOURCE /* O_PATH */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#ifdef __linux__
#include <linux/magic.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#endif
#if defined(SYS_openat2) && defined(__has_include)
#if __has_include(<linux/openat2.h>)
#include <linux/openat2.h>
#endif
#endif

#include "base/error.h"

#ifndef O_PATH
#define O_PATH O_RDONLY
#endif

/* A pipe that lies there must not hold up whoever opens it. */
enum { OPEN_FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };

typedef struct lookup {
  const char *root, *path, *index; /* root "": none */
  const char *const *siblings;
  unsigned wanted;
  bool nowait; /* EAGAIN rather than waiting */
  int root_fd;
} lookup;

struct dw_file_search {
  dw_work work;
  dw_file_found_cb cb; /* NULL: dropped */
  void *data;
  dw_file *file; /* to be filled in */
  lookup lookup;
  dw_file_found found;
  size_t size;
  char text[]; /* root, path, index */
};

static int last_error(void) { return uv_translate_sys_error(errno); }

/* --- Opening below the root ------------------------------------------------*/

#ifdef RESOLVE_BENEATH

static int open_how_at(int folder, const char *path, int flags,
                       uint64_t resolve) {
  struct open_how how = {.flags = (uint64_t)(unsigned)flags,
                         .resolve = resolve | RESOLVE_NO_MAGICLINKS};
  return (int)syscall(SYS_openat2, folder, path, &how, sizeof how);
}

#ifdef RESOLVE_CACHED
#define NOWAIT (RESOLVE_CACHED | RESOLVE_NO_XDEV)
#else
#define NOWAIT UINT64_C(0)
#endif

static int open_at(const lookup *l, const char *path, int flags) {
  return open_how_at(l->root_fd, path, flags,
                     RESOLVE_BENEATH | (l->nowait ? NOWAIT : 0));
}

/* Opening asks only the system's memory: no network, no process of a user. */
static bool is_local(int fd) {
  static const unsigned types[] = {EXT4_SUPER_MAGIC,  XFS_SUPER_MAGIC,
                                   BTRFS_SUPER_MAGIC, TMPFS_MAGIC,
                                   F2FS_SUPER_MAGIC,  OVERLAYFS_SUPER_MAGIC};
  struct statfs st;
  if (fstatfs(fd, &st) != 0) return false;
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
    if ((unsigned)st.f_type == types[i]) return true;
  return false;
}

static int open_root(const lookup *l) {
  int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  if (!l->nowait) return open(l->root, flags);
  int fd = open_how_at(AT_FDCWD, l->root, flags, NOWAIT & ~RESOLVE_NO_XDEV);
  if (fd < 0 || is_local(fd)) return fd;
  close(fd);
  errno = EAGAIN;
  return -1;
}

/* A path without links in it. */
static int open_real(const lookup *l, const char *real, size_t inside,
                     int flags) {
  int fd = open_how_at(l->root_fd, real + inside, flags,
                       RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
  return fd >= 0 || errno != ENOSYS ? fd : open(real, flags | O_NOFOLLOW);
}

static bool can_be_quick(const dw_file_query *q) {
  return NOWAIT != 0 && q->root.len > 0;
}

#else

static int open_at(const lookup *l, const char *path, int flags) {
  (void)l, (void)path, (void)flags;
  errno = ENOSYS;
  return -1;
}

static int open_root(const lookup *l) {
  return open(l->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int open_real(const lookup *l, const char *real, size_t inside,
                     int flags) {
  (void)l, (void)inside;
  return open(real, flags | O_NOFOLLOW);
}

static bool can_be_quick(const dw_file_query *q) {
  (void)q;
  return false;
}

#endif

/* Joins into out, which has room for PATH_MAX; false: it is too long. */
static bool join(char *out, const char *a, const char *between, const char *b) {
  size_t na = strlen(a), nm = strlen(between), nb = strlen(b);
  if (na + nm + nb >= PATH_MAX) return false;
  memcpy(out, a, na);
  memcpy(out + na, between, nm);
  memcpy(out + na + nm, b, nb + 1);
  return true;
}

/* What lies inside once all links are resolved. */
static int open_resolved(const lookup *l, const char *path, int flags) {
  char root[PATH_MAX], joined[PATH_MAX], real[PATH_MAX];
  if (!join(joined, l->root, "/", path))
    errno = ENAMETOOLONG;
  else if (realpath(l->root, root) && realpath(joined, real)) {
    size_t n = strcmp(root, "/") == 0 ? 0 : strlen(root);
    if (strncmp(real, root, n) == 0 && real[n] == '/' && real[n + 1])
      return open_real(l, real, n + 1, flags);
    errno = EXDEV;
  }
  return -1;
}

/* A descriptor, or a negative code. */
static int open_inside(const lookup *l, const char *path, int flags) {
  int fd;
  if (l->root_fd < 0) {
    fd = open(path, flags);
  } else {
    fd = open_at(l, path, flags);
    bool unsure = fd < 0 && (errno == EXDEV || errno == ENOSYS ||
                             errno == EINVAL || errno == EPERM);
    if (unsure && l->nowait)
      errno = EAGAIN;
    else if (unsure)
      fd = open_resolved(l, path, flags);
    else if (fd < 0 && errno == EAGAIN && !l->nowait)
      fd = open_resolved(l, path, flags); /* something was renamed meanwhile */
  }
  return fd >= 0 ? fd : last_error();
}

/* --- Looking ---------------------------------------------------------------*/

/* Opens a regular file, or tells UV_EISDIR; other things aren't there. */
static int open_regular(const lookup *l, const char *path, int flags,
                        struct stat *st) {
  int fd = open_inside(l, path, flags);
  if (fd < 0) return fd;
  int code = fstat(fd, st) != 0 ? last_error() : 0;
  if (code == 0 && S_ISDIR(st->st_mode)) code = UV_EISDIR;
  if (code == 0 && !S_ISREG(st->st_mode)) code = UV_EINVAL;
  if (code == 0) return fd;
  close(fd);
  return code;
}

/* One made before the file was changed would show what is no longer there. A
 * second is granted to copies that lose the fractions. */
static bool is_fresh(const struct stat *sibling, const struct stat *file) {
  return sibling->st_mtim.tv_sec + 1 >= file->st_mtim.tv_sec;
}

/* Takes the best of the siblings in place of *fd. 0, or UV_EAGAIN. */
static int look_at_siblings(const lookup *l, const char *path, int *fd,
                            struct stat *st, dw_file_found *found) {
  const struct stat file = *st;
  for (int i = 0; l->siblings && l->siblings[i]; i++) {
    char name[PATH_MAX];
    struct stat other;
    if (!join(name, path, "", l->siblings[i])) continue;
    bool take = found->sibling < 0 && (l->wanted & (1u << i));
    int flags = take ? (int)OPEN_FLAGS : O_PATH | O_CLOEXEC;
    int sibling = open_regular(l, name, flags, &other);
    if (sibling == UV_EAGAIN && l->nowait) return UV_EAGAIN;
    if (sibling < 0) continue;
    bool fresh = is_fresh(&other, &file);
    found->varies |= fresh;
    if (!take || !fresh) {
      close(sibling);
      continue;
    }
    close(*fd);
    *fd = sibling;
    *st = other;
    found->sibling = i;
  }
  return 0;
}

static bool is_folder(const char *path) {
  size_t len = strlen(path);
  return len == 0 || path[len - 1] == '/';
}

/* A folder without the slash: 0 if it has an index. */
static int look_into(const lookup *l, const char *path) {
  char name[PATH_MAX];
  struct stat st;
  if (!*l->index || !join(name, path, "/", l->index)) return UV_ENOENT;
  int fd = open_regular(l, name, O_PATH | O_CLOEXEC, &st);
  if (fd < 0) return fd;
  close(fd);
  return 0;
}

static void fill(dw_file *f, int fd, const struct stat *st) {
  f->fd = fd;
  f->size = (uint64_t)st->st_size;
  f->modified = st->st_mtim.tv_sec;
  f->fraction = (uint32_t)st->st_mtim.tv_nsec;
}

/* The file's code; with 0 it is in *to, or, found->file being NULL, a folder.
 */
static int look_inside(const lookup *l, dw_file *to, dw_file_found *found) {
  char name[PATH_MAX];
  struct stat st;
  bool folder = is_folder(l->path);
  if (folder && !*l->index) return UV_ENOENT;
  if (!join(name, l->path, "", folder ? l->index : "")) return UV_ENOENT;
  int fd = open_regular(l, name, OPEN_FLAGS, &st);
  if (fd == UV_EISDIR && *l->root)
    return folder ? UV_ENOENT : look_into(l, name);
  if (fd < 0) return fd;
  int code = look_at_siblings(l, name, &fd, &st, found);
  if (code < 0) {
    close(fd);
    return code;
  }
  fill(to, fd, &st);
  found->file = to;
  return 0;
}

/* What is wrong with a path below a root is that nothing is there. */
static int plain_code(const lookup *l, int code) {
  if (!*l->root) return code;
  switch (code) {
  case UV_ENOTDIR:
  case UV_ENAMETOOLONG:
  case UV_ELOOP:
  case UV_EXDEV:
  case UV_EISDIR:
  case UV_EINVAL:
  case UV_ENXIO:
    return UV_ENOENT;
  default:
    return code;
  }
}

static void look(lookup *l, dw_file *to, dw_file_found *found) {
  *found = (dw_file_found){.sibling = -1};
  l->root_fd = -1;
  if (*l->root) {
    l->root_fd = open_root(l);
    if (l->root_fd < 0) {
      found->code = plain_code(l, last_error());
      return;
    }
  }
  found->code = plain_code(l, look_inside(l, to, found));
  if (l->root_fd >= 0) close(l->root_fd);
}

/* --- On the loop's thread --------------------------------------------------*/

/* Puts an unused block back. */
static void settle(dw_file *to, dw_file_found *found) {
  if (!found->file) dw_free(to->alloc, to, sizeof *to);
}

static void find_run(dw_work *work) {
  dw_file_search *s = DW_CONTAINER(work, dw_file_search, work);
  look(&s->lookup, s->file, &s->found);
}

static void find_done(dw_work *work) {
  dw_file_search *s = DW_CONTAINER(work, dw_file_search, work);
  settle(s->file, &s->found);
  if (s->cb)
    s->cb(s->data, &s->found);
  else
    dw_file_unref(s->found.file);
  dw_free(work->loop->alloc, s, sizeof *s + s->size);
}

static char *put(char *to, dw_slice text) {
  memcpy(to, text.ptr, text.len);
  to[text.len] = '\0';
  return to + text.len + 1;
}

/* The query as strings, which lie behind each other in text. */
static void fill_lookup(lookup *l, const dw_file_query *q, char *text) {
  char *path = put(text, q->root), *index = put(path, q->path);
  put(index, q->index);
  *l = (lookup){.root = text,
                .path = path,
                .index = index,
                .siblings = q->siblings,
                .wanted = q->wanted};
}

/* Whether the system could tell without looking at a disk. */
static bool find_at_once(const dw_file_query *q, dw_file *to,
                         dw_file_found *found) {
  char text[1024];
  lookup l;
  if (!can_be_quick(q) ||
      q->root.len + q->path.len + q->index.len + 3 > sizeof text)
    return false;
  fill_lookup(&l, q, text);
  l.nowait = true;
  look(&l, to, found);
  return found->code != UV_EAGAIN;
}

static int search_start(dw_file_search **out, dw_loop *loop,
                        const dw_file_query *q, dw_file *to,
                        dw_file_found_cb cb, void *data) {
  size_t size = q->root.len + q->path.len + q->index.len + 3;
  dw_file_search *s = dw_alloc(loop->alloc, sizeof *s + size);
  if (!s) return DW_ENOMEM;
  memset(s, 0, sizeof *s);
  s->cb = cb;
  s->data = data;
  s->file = to;
  s->size = size;
  fill_lookup(&s->lookup, q, s->text);
  dw_work_start(loop, &s->work, find_run, find_done);
  *out = s;
  return 0;
}

int dw_file_find(dw_file_search **out, dw_loop *loop,
                 const dw_file_query *query, dw_file_found *found,
                 dw_file_found_cb cb, void *data) {
  *out = NULL;
  dw_file *to = dw_zalloc(loop->alloc, sizeof *to);
  if (!to) return DW_ENOMEM;
  to->alloc = loop->alloc;
  to->refs = 1;
  to->fd = -1;
  if (find_at_once(query, to, found)) {
    settle(to, found);
    return 1;
  }
  int code = search_start(out, loop, query, to, cb, data);
  if (code < 0) dw_free(loop->alloc, to, sizeof *to);
  return code;
}

void dw_file_search_drop(dw_file_search *search) { search->cb = NULL; }
