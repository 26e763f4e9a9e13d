/* SPDX-License-Identifier: MIT */
/* The spool: what stays in memory, what goes to the disk and comes back, files
 * made of it, and that nothing is left, neither memory nor descriptors,
 * whenever it is freed. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* mkdtemp */
#endif
#include "unit.h"

#include <dirent.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/disk.h"
#include "http/spool.h"

static dw_allocator memory;
static dw_loop loop;
static dw_spool *spool;
static char folder[64];
static unsigned calls;

static unsigned open_files(void) {
  unsigned n = 0;
  DIR *d = opendir("/proc/self/fd");
  while (d && readdir(d)) n++;
  if (d) closedir(d);
  return n;
}

static void begin(void) {
  snprintf(folder, sizeof folder, "/tmp/spool-XXXXXX");
  if (!mkdtemp(folder)) abort();
  setenv("TMPDIR", folder, 1);
  dw_allocator_init(&memory, NULL, NULL);
  if (dw_loop_init(&loop, NULL, &memory, NULL) != 0) abort();
  calls = 0;
}

static unsigned files_in_folder(void) {
  unsigned n = 0;
  DIR *d = opendir(folder);
  for (struct dirent *e; d && (e = readdir(d));) n += e->d_name[0] != '.';
  if (d) closedir(d);
  return n;
}

static void end(void) {
  dw_loop_deinit(&loop);
  CHECK_INT(memory.used, 0);
  CHECK_INT(files_in_folder(), 0);
  rmdir(folder);
}

static void count_cb(void *data) {
  (void)data;
  calls++;
}

static bool was_called(void *data) { return calls > *(unsigned *)data; }

static void wait_call(void) {
  unsigned before = calls;
  CHECK_INT(dw_loop_run(&loop, was_called, &before), 0);
}

/* Waits for the disk as a reader of a form does. */
static int finish(dw_spool *s) {
  int code;
  while ((code = dw_spool_finish(s)) > 0) {
    dw_spool_wait(s, count_cb, NULL);
    wait_call();
  }
  return code;
}

/* A byte for each place, so that a range tells where it was. */
static char byte_at(uint64_t at) { return (char)(at * 7 + at / 251); }

static int append(dw_spool *s, size_t len) {
  static char bytes[256 * 1024];
  uint64_t at = dw_spool_size(s);
  for (size_t i = 0; i < len; i++) bytes[i] = byte_at(at + i);
  return dw_spool_append(s, dw_slice_of(bytes, len));
}

static bool is_range(const char *bytes, dw_extent e) {
  for (uint64_t i = 0; i < e.len; i++)
    if (bytes[i] != byte_at(e.at + i)) return false;
  return true;
}

static char *in_folder(const char *name) {
  static char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void check_file(const char *path, dw_extent e) {
  static char bytes[1024 * 1024];
  FILE *f = fopen(path, "rb");
  REQUIRE(f);
  CHECK_INT(fread(bytes, 1, sizeof bytes, f), e.len);
  CHECK(is_range(bytes, e));
  fclose(f);
}

static int save(dw_extent e, const char *path) {
  dw_spool_job *j;
  int code = dw_spool_save(spool, e, path, count_cb, NULL, &j);
  if (code < 0) return code;
  wait_call();
  code = j->code;
  dw_spool_job_drop(j);
  return code;
}

static void open_spool(uint64_t most, size_t size) {
  CHECK_INT(dw_spool_new(&spool, &loop, most), 0);
  for (size_t n; size > 0; size -= n) {
    n = size < 50000 ? size : 50000;
    CHECK_INT(append(spool, n), 0);
    if (!dw_spool_full(spool)) continue;
    dw_spool_wait(spool, count_cb, NULL);
    wait_call();
  }
  CHECK_INT(finish(spool), 0);
}

/* --- Where bytes are -------------------------------------------------------*/

TEST(keeps_in_memory_what_is_small) {
  begin();
  unsigned before = open_files();
  open_spool(1000, 1000);
  dw_extent e = {10, 980};
  const char *bytes = dw_spool_bytes(spool, e);
  REQUIRE(bytes);
  CHECK(is_range(bytes, e));
  CHECK_INT(open_files(), before);
  dw_spool_free(spool);
  end();
}

TEST(puts_on_the_disk_what_is_larger_under_no_name) {
  begin();
  unsigned before = open_files();
  open_spool(1000, 1001);
  CHECK(!dw_spool_bytes(spool, (dw_extent){0, 1}));
  CHECK_INT(open_files(), before + 1);
  CHECK_INT(files_in_folder(), 0);
  dw_spool_free(spool);
  CHECK_INT(dw_loop_run(&loop, NULL, NULL), 0);
  CHECK_INT(open_files(), before);
  end();
}

TEST(reads_ranges_back) {
  static const dw_extent ranges[] = {{0, 700000}, {0, 1}, {699999, 1},
                                     {131071, 2}, {5, 0}, {200000, 262144}};
  begin();
  open_spool(1000, 700000);
  CHECK_INT(dw_spool_size(spool), 700000);
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
    dw_spool_job *j;
    CHECK_INT(dw_spool_read(spool, ranges[i], count_cb, NULL, &j), 0);
    wait_call();
    CHECK_INT(j->code, 0);
    CHECK(is_range(j->bytes, ranges[i]));
    dw_spool_job_drop(j);
  }
  dw_spool_free(spool);
  end();
}

TEST(holds_little_of_what_is_on_the_disk) {
  begin();
  open_spool(100000, 20 * 1000 * 1000);
  CHECK(memory.peak < 1500 * 1000);
  dw_spool_free(spool);
  end();
}

TEST(says_when_the_disk_is_behind) {
  begin();
  CHECK_INT(dw_spool_new(&spool, &loop, 0), 0);
  unsigned n = 0;
  while (!dw_spool_full(spool) && n++ < 100)
    CHECK_INT(append(spool, 64 * 1024), 0);
  CHECK_INT(n, 4); /* one batch under way, another one there */
  dw_spool_wait(spool, count_cb, NULL);
  wait_call();
  dw_spool_free(spool);
  end();
}

/* --- Files -----------------------------------------------------------------*/

TEST(makes_files_of_what_is_in_memory) {
  dw_extent e = {100, 500};
  begin();
  open_spool(1000, 1000);
  CHECK_INT(save(e, in_folder("a")), 0);
  check_file(in_folder("a"), e);
  CHECK_INT(save((dw_extent){3, 0}, in_folder("a")), 0);
  check_file(in_folder("a"), (dw_extent){3, 0});
  unlink(in_folder("a"));
  dw_spool_free(spool);
  end();
}

TEST(makes_files_of_what_is_on_the_disk) {
  static const dw_extent ranges[] = {{0, 300000}, {7, 200000}, {299999, 1}};
  begin();
  open_spool(0, 300000);
  for (size_t i = 0; i < 3; i++) {
    CHECK_INT(save(ranges[i], in_folder("a")), 0);
    check_file(in_folder("a"), ranges[i]);
    unlink(in_folder("a"));
  }
  dw_spool_free(spool);
  end();
}

TEST(makes_files_that_are_independent_and_have_the_usual_mode) {
  dw_extent all = {0, 300000};
  struct stat a, b;
  mode_t mask = umask(027);
  begin();
  open_spool(0, 300000);
  CHECK_INT(save(all, in_folder("a")), 0);
  CHECK_INT(save(all, in_folder("b")), 0);
  CHECK_INT(stat(in_folder("a"), &a), 0);
  CHECK_INT(stat(in_folder("b"), &b), 0);
  CHECK(a.st_ino != b.st_ino);
  CHECK_INT(a.st_mode & 0777, 0640);
  CHECK_INT(b.st_mode & 0777, 0640);
  CHECK_INT(save(all, in_folder("a")), 0); /* onto itself, maybe */
  check_file(in_folder("a"), all);
  check_file(in_folder("b"), all);
  unlink(in_folder("a"));
  unlink(in_folder("b"));
  dw_spool_free(spool);
  umask(mask);
  end();
}

TEST(writes_through_links_and_into_devices) {
  dw_extent e = {0, 300000};
  struct stat st;
  begin();
  open_spool(0, 300000);
  CHECK_INT(symlink("a", in_folder("link")), 0);
  CHECK_INT(save(e, in_folder("link")), 0);
  CHECK_INT(lstat(in_folder("link"), &st), 0);
  CHECK(S_ISLNK(st.st_mode));
  check_file(in_folder("a"), e);
  CHECK_INT(save(e, "/dev/null"), 0);
  CHECK_INT(stat("/dev/null", &st), 0);
  CHECK(S_ISCHR(st.st_mode));
  unlink(in_folder("link"));
  unlink(in_folder("a"));
  dw_spool_free(spool);
  end();
}

TEST(says_why_a_file_cannot_be_made) {
  dw_extent e = {0, 3000};
  begin();
  open_spool(0, 3000);
  CHECK_INT(save(e, in_folder("no/a")), UV_ENOENT);
  CHECK_INT(save(e, folder), UV_EISDIR);
  CHECK_INT(save(e, "/dev/full"), UV_ENOSPC);
  dw_spool_free(spool);
  open_spool(9000, 3000);
  CHECK_INT(save(e, in_folder("no/a")), UV_ENOENT);
  CHECK_INT(save(e, "/dev/full"), UV_ENOSPC);
  dw_spool_free(spool);
  end();
}

TEST(says_why_there_is_no_temporary_file) {
  begin();
  setenv("TMPDIR", "/tmp/there/is/no/such/folder", 1);
  CHECK_INT(dw_spool_new(&spool, &loop, 0), 0);
  CHECK_INT(append(spool, 1), 0);
  CHECK_INT(finish(spool), UV_ENOENT);
  CHECK_INT(append(spool, 1), UV_ENOENT);
  dw_spool_free(spool);
  end();
}

/* --- The end at any time ---------------------------------------------------*/

TEST(may_be_freed_with_anything_under_way) {
  unsigned before;
  begin();
  before = open_files();
  CHECK_INT(dw_spool_new(&spool, &loop, 0), 0);
  CHECK_INT(append(spool, 200000), 0);
  dw_spool_wait(spool, count_cb, NULL);
  dw_spool_free(spool); /* writing */
  dw_spool_job *read, *saving;
  open_spool(0, 100000);
  CHECK_INT(dw_spool_read(spool, (dw_extent){0, 100000}, count_cb, NULL, &read),
            0);
  CHECK_INT(dw_spool_save(spool, (dw_extent){5, 100}, in_folder("a"), count_cb,
                          NULL, &saving),
            0);
  calls = 0;
  dw_spool_free(spool);
  dw_spool_job_drop(read);
  dw_spool_job_drop(saving);
  CHECK_INT(dw_loop_run(&loop, NULL, NULL), 0);
  CHECK_INT(calls, 0);
  check_file(in_folder("a"), (dw_extent){5, 100}); /* nobody stopped it */
  unlink(in_folder("a"));
  CHECK_INT(open_files(), before);
  end();
}

static int use_all(dw_allocator *a, void *data) {
  dw_spool_job *j = NULL;
  uint64_t most = *(uint64_t *)data;
  dw_extent e = {1, 150000};
  int code = dw_loop_init(&loop, NULL, a, NULL);
  if (code < 0) return code;
  code = dw_spool_new(&spool, &loop, most);
  for (int i = 0; i < 4 && code == 0; i++) code = append(spool, 50000);
  if (code == 0) code = finish(spool);
  if (code == 0 && most == 0)
    code = dw_spool_read(spool, e, count_cb, NULL, &j);
  if (code == 0 && most == 0) wait_call();
  dw_spool_job_drop(j);
  j = NULL;
  if (code == 0)
    code = dw_spool_save(spool, e, "/dev/null", count_cb, NULL, &j);
  if (code == 0) wait_call();
  dw_spool_job_drop(j);
  dw_spool_free(spool);
  dw_loop_deinit(&loop);
  return code;
}

TEST(survives_failing_allocations) {
  uint64_t most = 0;
  unsigned before = open_files();
  setenv("TMPDIR", "/tmp", 1);
  unit_failing_allocations(use_all, &most);
  most = 1000000;
  unit_failing_allocations(use_all, &most);
  CHECK_INT(open_files(), before);
}
