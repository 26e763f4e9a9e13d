/* SPDX-License-Identifier: MIT */
/* Forms of multipart/form-data. */
#include "http/form_data.h"

#include "base/error.h"

int dw_form_data_new(dw_form_data **out, dw_loop *loop, dw_slice content_type,
                     const dw_form_limits *limits) {
  dw_form_data *f = *out = dw_zalloc(loop->alloc, sizeof *f);
  if (!f) return DW_ENOMEM;
  f->limits = *limits;
  f->last_field = &f->fields;
  f->last_upload = &f->uploads;
  dw_arena_init(&f->arena, loop->alloc, NULL, 0);
  dw_buffer_init(&f->value, loop->alloc, 0);
  dw_multipart_init(&f->parser, loop->alloc, content_type);
  if (dw_spool_new(&f->spool, loop, limits->spool) == 0) return 0;
  dw_form_data_free(f);
  *out = NULL;
  return DW_ENOMEM;
}

void dw_form_data_free(dw_form_data *f) {
  if (!f) return;
  dw_spool_free(f->spool);
  dw_multipart_deinit(&f->parser);
  dw_buffer_deinit(&f->value);
  dw_allocator *a = f->arena.alloc;
  dw_arena_deinit(&f->arena);
  dw_free(a, f, sizeof *f);
}

dw_spool *dw_form_data_take_spool(dw_form_data *f) {
  dw_spool *s = f->spool;
  f->spool = NULL;
  return s;
}

static int refuse(dw_form_data *f, int status, const char *reason) {
  if (status == 503) return DW_ENOMEM;
  f->fault = dw_fault_make(status, reason);
  return DEWAR_EPARSE;
}

/* --- Parts -----------------------------------------------------------------*/

static bool copy(dw_arena *arena, dw_slice *s) {
  if (s->len == 0) return true;
  const char *made = dw_arena_copy(arena, s->ptr, s->len);
  if (!made) return false;
  s->ptr = made;
  return true;
}

static dw_upload *new_upload(dw_form_data *f, const dw_part *part) {
  dw_arena *arena = &f->arena;
  dw_upload *u = dw_arena_zalloc(arena, sizeof *u);
  if (!u) return NULL;
  u->name = part->name;
  u->filename = part->filename;
  u->content_type = part->content_type;
  u->has_content_type = part->has_content_type;
  u->nheaders = part->nheaders;
  u->headers = dw_arena_alloc(arena, part->nheaders * sizeof *u->headers);
  if (!u->headers || !copy(arena, &u->name) || !copy(arena, &u->filename) ||
      !copy(arena, &u->content_type))
    return NULL;
  memcpy(u->headers, part->headers, part->nheaders * sizeof *u->headers);
  for (size_t i = 0; i < u->nheaders; i++)
    if (!copy(arena, &u->headers[i].name) || !copy(arena, &u->headers[i].value))
      return NULL;
  u->content.at = dw_spool_size(f->spool);
  return u;
}

static dw_form_field *new_field(dw_form_data *f, const dw_part *part) {
  dw_form_field *field = dw_arena_zalloc(&f->arena, sizeof *field);
  if (!field) return NULL;
  field->pair = (dw_pair){part->name, DW_EMPTY};
  return copy(&f->arena, &field->pair.name) ? field : NULL;
}

static int begin_part(dw_form_data *f) {
  const dw_part *part = &f->parser.part;
  if (f->parts == f->limits.parts)
    return refuse(f, 413, "it has more parts than MAX_FORM_PARTS allows");
  f->parts++;
  if (part->is_file)
    f->upload = new_upload(f, part);
  else
    f->field = new_field(f, part);
  return f->upload || f->field ? 0 : DW_ENOMEM;
}

static int take_data(dw_form_data *f, dw_slice data) {
  if (f->upload) return dw_spool_append(f->spool, data);
  if (data.len > f->limits.memory - f->memory)
    return refuse(f, 413,
                  "its fields are larger than MAX_FORM_MEMORY_SIZE allows");
  f->memory += data.len;
  return dw_buffer_append_slice(&f->value, data);
}

/* A browser sends a file that nobody has chosen as one without name or content.
 */
static void end_upload(dw_form_data *f) {
  dw_upload *u = f->upload;
  f->upload = NULL;
  u->content.len = dw_spool_size(f->spool) - u->content.at;
  if (u->filename.len == 0 && u->content.len == 0) return;
  *f->last_upload = u;
  f->last_upload = &u->next;
  f->nuploads++;
}

static int end_field(dw_form_data *f) {
  dw_form_field *field = f->field;
  field->pair.value = dw_buffer_slice(&f->value);
  if (!copy(&f->arena, &field->pair.value)) return DW_ENOMEM;
  f->value.len = 0;
  f->field = NULL;
  *f->last_field = field;
  f->last_field = &field->next;
  f->nfields++;
  return 0;
}

static int take_event(dw_form_data *f, dw_multipart_event event,
                      dw_slice data) {
  switch (event) {
  case DW_MULTIPART_PART:
    return begin_part(f);
  case DW_MULTIPART_DATA:
    return take_data(f, data);
  case DW_MULTIPART_PART_END:
    if (f->field) return end_field(f);
    end_upload(f);
    return 0;
  case DW_MULTIPART_ERROR:
    return refuse(f, f->parser.fault.status, f->parser.fault.reason);
  default:
    return 0;
  }
}

/* --- The form --------------------------------------------------------------*/

int dw_form_data_feed(dw_form_data *f, dw_slice bytes, size_t *used) {
  *used = 0;
  while (*used < bytes.len && f->failed == 0 && !dw_spool_full(f->spool)) {
    size_t n;
    dw_slice data;
    dw_multipart_event event = dw_multipart_feed(&f->parser, bytes.ptr + *used,
                                                 bytes.len - *used, &n, &data);
    *used += n;
    f->failed = take_event(f, event, data);
  }
  return f->failed;
}

int dw_form_data_finish(dw_form_data *f) {
  if (f->failed == 0 && dw_multipart_finish(&f->parser) == DW_MULTIPART_ERROR)
    f->failed = take_event(f, DW_MULTIPART_ERROR, DW_EMPTY);
  return f->failed < 0 ? f->failed : dw_spool_finish(f->spool);
}
