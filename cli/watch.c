/* SPDX-License-Identifier: MIT */
/* Watching by libuv, that is by inotify where there is one. */
#include "cli/watch.h"

#include <string.h>

#include "base/error.h"

typedef struct watched {
  dw_list node;
  uv_fs_event_t event;
  dw_watch *watch;
  size_t size;
  char path[];
} watched;

void dw_watch_init(dw_watch *w, dw_loop *loop, void (*cb)(void *data),
                   void *data) {
  *w = (dw_watch){.loop = loop, .change_cb = cb, .data = data};
  dw_list_init(&w->paths);
}

static void closed_cb(uv_handle_t *handle) {
  watched *p = DW_CONTAINER((uv_fs_event_t *)handle, watched, event);
  p->watch->open--;
  dw_free(p->watch->loop->alloc, p, p->size);
}

static void changed_cb(uv_fs_event_t *event, const char *name, int events,
                       int status) {
  watched *p = DW_CONTAINER(event, watched, event);
  dw_watch *w = p->watch;
  (void)name, (void)events, (void)status;
  dw_loop_enter(w->loop);
  w->change_cb(w->data);
  dw_loop_leave(w->loop);
}

int dw_watch_add(dw_watch *w, const char *path) {
  for (dw_list *n = w->paths.next; n != &w->paths; n = n->next)
    if (strcmp(DW_CONTAINER(n, watched, node)->path, path) == 0) return 0;
  size_t len = strlen(path), size = sizeof(watched) + len + 1;
  watched *p = dw_zalloc(w->loop->alloc, size);
  if (!p) return DW_ENOMEM;
  p->watch = w;
  p->size = size;
  memcpy(p->path, path, len + 1);
  int code = uv_fs_event_init(w->loop->uv, &p->event);
  if (code < 0) {
    dw_free(w->loop->alloc, p, size);
    return code;
  }
  w->open++;
  code = uv_fs_event_start(&p->event, changed_cb, path, 0);
  if (code < 0) {
    uv_close((uv_handle_t *)&p->event, closed_cb);
    return code;
  }
  dw_list_push(&w->paths, &p->node);
  return 0;
}

void dw_watch_close(dw_watch *w) {
  for (dw_list *n; (n = dw_list_shift(&w->paths));)
    uv_close((uv_handle_t *)&DW_CONTAINER(n, watched, node)->event, closed_cb);
}
