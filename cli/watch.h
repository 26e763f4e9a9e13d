/* SPDX-License-Identifier: MIT */
/* Watching files and folders for changes. It only says that something may have
 * changed: what, whoever looks finds out. Owner: who opened it. Thread: the
 * loop's. */
#ifndef DW_CLI_WATCH_H
#define DW_CLI_WATCH_H

#include "base/list.h"
#include "base/loop.h"

typedef struct dw_watch {
  dw_loop *loop;
  dw_list paths;
  unsigned open; /* handles, those included whose close is under way */
  void (*change_cb)(void *data);
  void *data;
} dw_watch;

void dw_watch_init(dw_watch *w, dw_loop *loop, void (*cb)(void *data),
                   void *data);
/* Idempotent for a path. A negative code: it can't be watched. */
int dw_watch_add(dw_watch *w, const char *path);
/* Begins to close all; w->open is 0 when that is done. */
void dw_watch_close(dw_watch *w);

#endif
