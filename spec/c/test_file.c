/* SPDX-License-Identifier: MIT */
/* Finding files below a folder, reading them, and sending them by sockets. */
#define _GNU_SOURCE
#include "unit.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <utime.h>

#include "base/error.h"
#include "net/sendfile.h"
#include "net/uv_stream.h"

#define L DW_LITERAL

static const char *const siblings[] = {".br", ".gz", NULL};

/* --- A folder to look into -------------------------------------------------*/

static char folder[64], root[80];

static const char *in(const char *name) {
  static char path[200];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void write_text(const char *name, const char *text) {
  FILE *f = fopen(in(name), "wb");
  if (!CHECK(f)) return;
  fputs(text, f);
  fclose(f);
}

static void link_to(const char *target, const char *name) {
  CHECK_INT(symlink(target, in(name)), 0);
}

static void make_folder(void) {
  strcpy(folder, "/tmp/dewar-file-XXXXXX");
  REQUIRE(mkdtemp(folder));
  snprintf(root, sizeof root, "%s/root", folder);
  mkdir(in("root"), 0755);
  mkdir(in("root/docs"), 0755);
  mkdir(in("root/empty"), 0755);
  mkdir(in("rooted"), 0755);
  write_text("secret", "secret");
  write_text("rooted/secret", "secret");
  write_text("root/a.txt", "hello");
  write_text("root/docs/index.html", "index");
  link_to("a.txt", "root/inside");
  link_to("../secret", "root/outside");
  link_to("..", "root/up");
  link_to("loop", "root/loop");
  char absolute[100];
  snprintf(absolute, sizeof absolute, "%s/a.txt", root);
  link_to(absolute, "root/absolute");
  snprintf(absolute, sizeof absolute, "%s/rooted/secret", folder);
  link_to(absolute, "root/beside");
  CHECK_INT(mkfifo(in("root/pipe"), 0600), 0);
}

static void drop_folder(void) {
  char command[100];
  snprintf(command, sizeof command, "rm -r '%s'", folder);
  CHECK_INT(system(command), 0);
}

/* --- Looking ---------------------------------------------------------------*/

typedef struct search {
  dw_file_found found;
  bool done;
} search;

static dw_allocator memory;
static dw_log quiet;
static dw_loop loop;

static void begin(void) {
  dw_allocator_init(&memory, NULL, NULL);
  REQUIRE(dw_loop_init(&loop, NULL, &memory, &quiet) == 0);
}

static void end(void) {
  dw_loop_deinit(&loop);
  CHECK_INT(memory.used, 0);
}

static void found_cb(void *data, dw_file_found *found) {
  search *s = data;
  s->found = *found;
  s->done = true;
}

static bool is_done(void *data) { return ((search *)data)->done; }

static int look(dw_loop *l, const dw_file_query *query, search *s) {
  dw_file_search *op;
  *s = (search){.done = false};
  int code = dw_file_find(&op, l, query, &s->found, found_cb, s);
  if (code == 0) dw_loop_run(l, is_done, s);
  return code < 0 ? code : 0;
}

static search find(const char *path, unsigned wanted) {
  search s;
  dw_file_query query = {.root = dw_slice_str(root),
                         .path = dw_slice_str(path),
                         .index = L("index.html"),
                         .siblings = siblings,
                         .wanted = wanted};
  CHECK_INT(look(&loop, &query, &s), 0);
  return s;
}

static void check_code(const char *path, int code) {
  search s = find(path, 0);
  unit_check(s.found.code == code, __FILE__, __LINE__, "%s gives %d, not %d",
             path, s.found.code, code);
  dw_file_unref(s.found.file);
}

TEST(finds_what_lies_below_the_root) {
  make_folder();
  begin();
  search s = find("a.txt", 0);
  CHECK_INT(s.found.code, 0);
  REQUIRE(s.found.file);
  CHECK_INT(s.found.file->size, 5);
  CHECK(s.found.file->modified > 1600000000);
  CHECK_INT(s.found.sibling, -1);
  CHECK(!s.found.varies);
  dw_file_unref(s.found.file);
  check_code("inside", 0);
  check_code("absolute", 0);
  end();
  drop_folder();
}

TEST(finds_nothing_elsewhere) {
  make_folder();
  begin();
  static const char *const bad[] = {
      "nothing", "a.txt/b", "outside",        "up/secret",
      "beside",  "loop",    "pipe",           "../secret",
      "empty",   "empty/",  "up/root/a.txt/", "../rooted/secret",
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    check_code(bad[i], UV_ENOENT);
  char longest[PATH_MAX];
  memset(longest, 'a', sizeof longest - 1);
  longest[sizeof longest - 1] = '\0';
  check_code(longest, UV_ENOENT);
  strcat(root, "/none");
  check_code("a.txt", UV_ENOENT);
  end();
  drop_folder();
}

TEST(looks_for_the_index_of_a_folder) {
  make_folder();
  begin();
  search s = find("docs", 0);
  CHECK_INT(s.found.code, 0);
  CHECK(!s.found.file);
  s = find("docs/", 0);
  REQUIRE(s.found.file);
  CHECK_INT(s.found.file->size, 5);
  dw_file_unref(s.found.file);
  end();
  drop_folder();
}

TEST(takes_the_best_sibling_that_is_wanted) {
  make_folder();
  write_text("root/a.txt.gz", "123");
  begin();
  search s = find("a.txt", 3);
  REQUIRE(s.found.file);
  CHECK_INT(s.found.sibling, 1);
  CHECK_INT(s.found.file->size, 3);
  CHECK(s.found.varies);
  dw_file_unref(s.found.file);
  write_text("root/a.txt.br", "12");
  s = find("a.txt", 3);
  CHECK_INT(s.found.sibling, 0);
  dw_file_unref(s.found.file);
  s = find("a.txt", 0);
  CHECK_INT(s.found.sibling, -1);
  CHECK_INT(s.found.file->size, 5);
  CHECK(s.found.varies);
  dw_file_unref(s.found.file);
  end();
  drop_folder();
}

TEST(leaves_a_sibling_alone_that_is_older_or_leads_out) {
  make_folder();
  write_text("root/a.txt.gz", "123");
  link_to("../secret", "root/a.txt.br");
  struct utimbuf old = {1000000000, 1000000000};
  utime(in("root/a.txt.gz"), &old);
  begin();
  search s = find("a.txt", 3);
  REQUIRE(s.found.file);
  CHECK_INT(s.found.sibling, -1);
  CHECK(!s.found.varies);
  dw_file_unref(s.found.file);
  end();
  drop_folder();
}

TEST(takes_any_path_without_a_root) {
  make_folder();
  begin();
  search s;
  dw_file_query query = {
      .root = L(""), .path = dw_slice_str(in("secret")), .index = L("")};
  CHECK_INT(look(&loop, &query, &s), 0);
  REQUIRE(s.found.file);
  dw_file_load(s.found.file);
  if (s.found.file->bytes)
    CHECK_SLICE(dw_slice_of(s.found.file->bytes, 6), "secret");
  dw_file_unref(s.found.file);
  end();
  drop_folder();
}

TEST(drops_a_search_under_way) {
  make_folder();
  begin();
  search s = {.done = false};
  dw_file_search *op;
  dw_file_query query = {
      .root = L(""), .path = dw_slice_str(in("secret")), .index = L("")};
  CHECK_INT(dw_file_find(&op, &loop, &query, &s.found, found_cb, &s), 0);
  dw_file_search_drop(op);
  dw_loop_run(&loop, NULL, NULL);
  CHECK(!s.done);
  end();
  drop_folder();
}

/* --- Reading ---------------------------------------------------------------*/

static dw_file *adopt(const char *name, uint64_t start) {
  dw_file *file = NULL;
  int fd = open(in(name), O_RDONLY);
  CHECK_INT(dw_file_adopt(&file, &memory, fd, start), 0);
  close(fd);
  return file;
}

typedef struct reading {
  dw_file_read *read;
  bool done;
} reading;

static void read_cb(void *data, dw_file_read *read) {
  reading *r = data;
  CHECK(r->read == read);
  r->done = true;
}

static bool is_read(void *data) { return ((reading *)data)->done; }

TEST(reads_in_the_pool) {
  make_folder();
  begin();
  dw_file *file = adopt("root/a.txt", 1);
  CHECK_INT(file->size, 4);
  reading r = {.done = false};
  CHECK_INT(dw_file_read_start(&r.read, &loop, file, 1, 10, read_cb, &r), 0);
  dw_file_unref(file);
  dw_loop_run(&loop, is_read, &r);
  CHECK_SLICE(dw_slice_of(r.read->bytes, (size_t)r.read->len), "llo");
  dw_file_read_free(r.read);
  end();
  drop_folder();
}

TEST(drops_a_read_under_way) {
  make_folder();
  begin();
  dw_file *file = adopt("root/a.txt", 0);
  reading r = {.done = false};
  CHECK_INT(dw_file_read_start(&r.read, &loop, file, 0, 10, read_cb, &r), 0);
  dw_file_unref(file);
  dw_file_read_drop(r.read);
  dw_loop_run(&loop, NULL, NULL);
  CHECK(!r.done);
  end();
  drop_folder();
}

TEST(adopts_regular_files_only) {
  begin();
  int ends[2];
  dw_file *file;
  REQUIRE(pipe(ends) == 0);
  CHECK_INT(dw_file_adopt(&file, &memory, ends[0], 0), UV_EINVAL);
  CHECK_INT(dw_file_adopt(&file, &memory, -1, 0), UV_EBADF);
  close(ends[0]);
  close(ends[1]);
  end();
}

/* --- Sending ---------------------------------------------------------------*/

typedef struct sending {
  dw_stream *stream;
  int peer;
  bool written, closed;
  int status;
} sending;

static sending sent;

static void written_cb(dw_stream *s, int status) {
  (void)s;
  sent.status = status;
  sent.written = true;
}

static void closed_cb(dw_stream *s) {
  (void)s;
  sent.closed = true;
}

static bool is_written(void *data) {
  (void)data;
  return sent.written;
}

static void connect_stream(void) {
  int ends[2];
  sent = (sending){.status = 1};
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
  struct sockaddr peer = {.sa_family = AF_UNIX};
  CHECK_INT(dw_uv_stream_open(&sent.stream, &loop, ends[0], &peer), 0);
  sent.stream->write_cb = written_cb;
  sent.peer = ends[1];
  fcntl(sent.peer, F_SETFL, O_NONBLOCK);
}

static void close_stream(void) {
  dw_stream_close(sent.stream, false, closed_cb);
  close(sent.peer);
  dw_loop_run(&loop, NULL, NULL);
  CHECK(sent.closed);
}

static size_t read_all(char *to, size_t size) {
  ssize_t n = read(sent.peer, to, size);
  return n > 0 ? (size_t)n : 0;
}

TEST(sends_a_file_behind_what_is_queued) {
  make_folder();
  begin();
  connect_stream();
  dw_file *file = adopt("root/a.txt", 1);
  char text[] = "head ";
  uv_buf_t head = uv_buf_init(text, 5);
  CHECK(dw_stream_writes_files(sent.stream));
  CHECK_INT(dw_stream_write(sent.stream, &head, 1), 0);
  CHECK_INT(dw_stream_write_file(sent.stream, file, 1, 2), 0);
  CHECK_INT(sent.stream->queued, 7);
  dw_file_unref(file);
  while (sent.stream->queued > 0) dw_loop_turn(&loop, true);
  char got[16];
  CHECK_SLICE(dw_slice_of(got, read_all(got, sizeof got)), "head ll");
  CHECK_INT(sent.status, 0);
  CHECK_INT(sent.stream->file_error, 0);
  close_stream();
  end();
  drop_folder();
}

TEST(waits_for_a_peer_that_reads_slowly) {
  enum { SIZE = 8 * 1024 * 1024 };
  static char piece[64 * 1024];
  make_folder();
  begin();
  connect_stream();
  write_text("large", "");
  CHECK_INT(truncate(in("large"), SIZE), 0);
  dw_file *file = adopt("large", 0);
  CHECK_INT(dw_stream_write_file(sent.stream, file, 0, SIZE), 0);
  dw_file_unref(file);
  size_t total = 0, peak = memory.peak;
  while (total < SIZE) {
    dw_loop_turn(&loop, false);
    total += read_all(piece, sizeof piece);
  }
  dw_loop_run(&loop, is_written, NULL);
  CHECK_INT(sent.status, 0);
  CHECK_INT(total, SIZE);
  CHECK_INT(memory.peak, peak);
  close_stream();
  end();
  drop_folder();
}

TEST(tells_of_a_file_that_became_shorter) {
  make_folder();
  begin();
  connect_stream();
  dw_file *file = adopt("root/a.txt", 0);
  CHECK_INT(truncate(in("root/a.txt"), 2), 0);
  CHECK_INT(dw_stream_write_file(sent.stream, file, 0, 5), 0);
  dw_file_unref(file);
  dw_loop_run(&loop, is_written, NULL);
  CHECK_INT(sent.status, 0);
  CHECK_INT(sent.stream->file_error, UV_EOF);
  CHECK_INT(sent.stream->queued, 0);
  close_stream();
  end();
  drop_folder();
}

TEST(fails_without_a_signal_where_the_peer_is_gone) {
  make_folder();
  begin();
  connect_stream();
  close(sent.peer);
  dw_file *file = adopt("root/a.txt", 0);
  CHECK_INT(dw_stream_write_file(sent.stream, file, 0, 5), 0);
  dw_file_unref(file);
  dw_loop_run(&loop, is_written, NULL);
  CHECK_INT(sent.status, UV_EPIPE);
  char text[] = "x";
  uv_buf_t more = uv_buf_init(text, 1);
  CHECK_INT(dw_stream_try_write(sent.stream, &more, 1), UV_EPIPE);
  sent.peer = -1;
  close_stream();
  end();
  drop_folder();
}

TEST(closes_while_a_file_is_being_sent) {
  make_folder();
  begin();
  connect_stream();
  dw_file *file = adopt("root/a.txt", 0);
  CHECK_INT(dw_stream_write_file(sent.stream, file, 0, 5), 0);
  dw_file_unref(file);
  close_stream();
  CHECK(!sent.written);
  end();
  drop_folder();
}

/* --- Memory ----------------------------------------------------------------*/

static int scenario(dw_allocator *a, void *data) {
  dw_loop own;
  search s;
  int code = dw_loop_init(&own, NULL, a, &quiet);
  if (code < 0) return code;
  dw_file_query query = {
      .root = dw_slice_str(root), .path = L("a.txt"), .index = L("")};
  if (data)
    query = (dw_file_query){
        .root = L(""), .index = L(""), .path = dw_slice_str(in("secret"))};
  code = look(&own, &query, &s);
  if (code == 0) code = s.found.code;
  if (code == 0) dw_file_load(s.found.file);
  if (code == 0) dw_file_unref(s.found.file);
  dw_loop_deinit(&own);
  return code;
}

TEST(survives_failing_allocations) {
  make_folder();
  unit_failing_allocations(scenario, NULL);
  unit_failing_allocations(scenario, folder);
  drop_folder();
}
