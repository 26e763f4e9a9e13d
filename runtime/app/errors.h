/* SPDX-License-Identifier: MIT */
/* Error classes as dispatch sees them: a tree by parent pointers, with a status
 * where the class is an HTTP error. The built-in ones are constants; a script
 * adds its own (bindings/errors.c), which live as long as the script. Lookup of
 * handlers walks this tree: see hooks.h. */
#ifndef DW_APP_ERRORS_H
#define DW_APP_ERRORS_H

#include <stdbool.h>

typedef struct dw_error_class dw_error_class;
struct dw_error_class {
  const dw_error_class *parent;
  const char *name;
  int status; /* 0: no HTTP error */
};

extern const dw_error_class dw_error_base;      /* dewar.Error */
extern const dw_error_class dw_error_http;      /* dewar.HTTPError */
extern const dw_error_class dw_error_cpu_limit; /* dewar.CPULimitError */
extern const dw_error_class dw_error_timeout;   /* dewar.TimeoutError */
extern const dw_error_class dw_error_cancelled; /* dewar.Cancelled: no parent */
/* dewar.WebSocketClosed: the client's side has closed. */
extern const dw_error_class dw_error_websocket_closed;

/* The class of a registered 4xx or 5xx status ("NotFound"), or NULL. */
const dw_error_class *dw_error_for_status(int status);
/* The sentence that is shown to the client where there is no better one. */
const char *dw_error_description(int status);

bool dw_error_class_is(const dw_error_class *c, const dw_error_class *of);

#endif
