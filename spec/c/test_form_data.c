/* SPDX-License-Identifier: MIT */
/* Forms of multipart/form-data without an app: what they hold, their limits,
 * and that feeding stops where the disk is behind. */
#include "unit.h"

#include "base/error.h"
#include "http/form_data.h"

static const char type[] = "multipart/form-data; boundary=b";

static const char body[] =
    "--b\r\nContent-Disposition: form-data; name=a\r\n\r\none\r\n"
    "--b\r\nContent-Disposition: form-data; name=f; filename=x\r\n"
    "Content-Type: text/plain\r\n\r\nsome content\r\n"
    "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n"
    "--b\r\nContent-Disposition: form-data; name=f; filename=\"\"\r\n\r\n\r\n"
    "--b\r\nContent-Disposition: form-data; name=g; filename=y\r\n\r\nmore\r\n"
    "--b--\r\n";

static dw_allocator memory;
static dw_loop loop;
static dw_form_data *form;
static const dw_form_limits limits = {500, 1000, 1000};

static void begin(const dw_form_limits *l) {
  dw_allocator_init(&memory, NULL, NULL);
  if (dw_loop_init(&loop, NULL, &memory, NULL) != 0) abort();
  CHECK_INT(dw_form_data_new(&form, &loop, dw_slice_str(type), l), 0);
}

static void end(void) {
  dw_form_data_free(form);
  dw_loop_deinit(&loop);
  CHECK_INT(memory.used, 0);
}

static int feed(const char *text) {
  size_t used;
  return dw_form_data_feed(form, dw_slice_str(text), &used);
}

static void check_file(const dw_upload *u, const char *name,
                       const char *filename, const char *content) {
  REQUIRE(u);
  CHECK_SLICE(u->name, name);
  CHECK_SLICE(u->filename, filename);
  const char *bytes = dw_spool_bytes(form->spool, u->content);
  REQUIRE(bytes);
  CHECK_SLICE(dw_slice_of(bytes, (size_t)u->content.len), content);
}

static void check_whole(void) {
  CHECK_INT(dw_form_data_finish(form), 0);
  CHECK_INT(form->nfields, 2);
  CHECK_SLICE(form->fields->pair.name, "a");
  CHECK_SLICE(form->fields->pair.value, "one");
  CHECK_SLICE(form->fields->next->pair.value, "");
  CHECK(!form->fields->next->next);
  CHECK_INT(form->nuploads, 2);
  check_file(form->uploads, "f", "x", "some content");
  CHECK_SLICE(form->uploads->content_type, "text/plain");
  CHECK_INT(form->uploads->nheaders, 2);
  check_file(form->uploads->next, "g", "y", "more");
  CHECK(!form->uploads->next->has_content_type);
  CHECK(!form->uploads->next->next);
}

TEST(holds_fields_and_files_in_their_order) {
  begin(&limits);
  CHECK_INT(feed(body), 0);
  check_whole();
  end();
}

TEST(holds_the_same_byte_by_byte) {
  begin(&limits);
  for (size_t i = 0; body[i]; i++) {
    char one[2] = {body[i], '\0'};
    CHECK_INT(feed(one), 0);
  }
  check_whole();
  end();
}

static void check_refused(const dw_form_limits *l, int status) {
  begin(l);
  CHECK_INT(feed(body), status ? DEWAR_EPARSE : 0);
  CHECK_INT(form->fault.status, status);
  CHECK_INT(feed("x"), status ? DEWAR_EPARSE : 0); /* for good */
  CHECK_INT(dw_form_data_finish(form), status ? DEWAR_EPARSE : 0);
  end();
}

TEST(has_limits_and_stays_refused) {
  check_refused(&(dw_form_limits){3, 5, UINT64_MAX}, 0);
  check_refused(&(dw_form_limits){2, 5, 0}, 413);
  check_refused(&(dw_form_limits){3, 4, 0}, 413);
  check_refused(&(dw_form_limits){UINT64_MAX, UINT64_MAX, UINT64_MAX}, 0);
}

TEST(stays_refused_where_it_ends_too_early) {
  begin(&limits);
  CHECK_INT(feed("--b\r\n"), 0);
  CHECK_INT(dw_form_data_finish(form), DEWAR_EPARSE);
  CHECK_INT(dw_form_data_finish(form), DEWAR_EPARSE);
  CHECK_INT(form->fault.status, 400);
  end();
}

TEST(takes_no_more_than_the_disk) {
  static char content[1024 * 1024];
  static const dw_form_limits all_on_disk = {0, 1, 0};
  size_t used, total = 0;
  begin(&all_on_disk);
  CHECK_INT(feed("--b\r\nContent-Disposition: form-data; name=a; filename=b"
                 "\r\n\r\n"),
            0);
  for (int i = 0; i < 8; i++) {
    CHECK_INT(dw_form_data_feed(form, dw_slice_of(content, 65536), &used), 0);
    total += used;
  }
  CHECK(dw_spool_full(form->spool));
  CHECK_INT(total, 4 * 65536);
  CHECK_INT(used, 0);
  end();
}

static int use_all(dw_allocator *a, void *data) {
  (void)data;
  int code = dw_loop_init(&loop, NULL, a, NULL);
  if (code < 0) return code;
  code = dw_form_data_new(&form, &loop, dw_slice_str(type), &limits);
  if (code == 0) {
    code = feed(body);
    if (code < 0) CHECK_INT(feed(body), code);
    int finished = dw_form_data_finish(form);
    if (code < 0) CHECK_INT(finished, code);
    if (code == 0) code = finished;
    dw_spool_free(dw_form_data_take_spool(form));
    dw_form_data_free(form);
  }
  dw_loop_deinit(&loop);
  return code;
}

TEST(survives_failing_allocations) { unit_failing_allocations(use_all, NULL); }
