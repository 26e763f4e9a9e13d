/* SPDX-License-Identifier: MIT */
/* The calls on a stream, whatever its kind: they go to its type. Owner: see
 * stream.h. Thread: the loop's. */
#include "net/stream.h"

#include <assert.h>

int dw_stream_read_start(dw_stream *s) {
  assert(s->read_cb);
  return s->type->read_start(s);
}

void dw_stream_read_stop(dw_stream *s) { s->type->read_stop(s); }

ssize_t dw_stream_try_write(dw_stream *s, const uv_buf_t *bufs, unsigned n) {
  return s->type->try_write(s, bufs, n);
}

int dw_stream_write(dw_stream *s, const uv_buf_t *bufs, unsigned n) {
  return s->type->write(s, bufs, n);
}

bool dw_stream_writes_files(const dw_stream *s) {
  return s->type->write_file != NULL;
}

int dw_stream_write_file(dw_stream *s, dw_file *file, uint64_t offset,
                         uint64_t len) {
  if (!s->type->write_file) return UV_ENOSYS;
  s->file_error = 0;
  return s->type->write_file(s, file, offset, len);
}

int dw_stream_shutdown(dw_stream *s) { return s->type->shutdown(s); }

void dw_stream_close(dw_stream *s, bool reset, dw_close_cb cb) {
  /* What is still under way has nobody to call but close_cb. */
  s->read_cb = NULL;
  s->write_cb = NULL;
  s->close_cb = cb;
  s->type->close(s, reset);
}

size_t dw_stream_peer(dw_stream *s, char *out, size_t size, int *port) {
  return s->type->peer(s, out, size, port);
}
