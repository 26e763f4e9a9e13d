/* SPDX-License-Identifier: MIT */
/* The guard behind: what a request's head says as a whole, once its lines are
 * known to be in order. Owner: dw_parser_head. Thread: the loop's. */
#ifndef DW_HTTP_HEAD_H
#define DW_HTTP_HEAD_H

#include "http/guard.h"
#include "http/request.h"

/* Reads "GET /path HTTP/1.1" into method, target (and its parts) and minor.
 * Faults: 400, 501 for a method that isn't served, 505. */
dw_fault dw_head_line(dw_request *r, dw_slice line);
/* Reads what the headers say about framing, host and connection. Faults: 400,
 * 417, 501; 503 is want of memory. */
dw_fault dw_head_fields(dw_request *r);
/* Of Connection's options; any case, any number of fields. */
typedef struct dw_connection_options {
  bool close, keep_alive, upgrade;
} dw_connection_options;
void dw_head_connection(dw_slice value, dw_connection_options *options);
/* 1*DIGIT below 2^64. */
bool dw_head_length(dw_slice value, uint64_t *length);

#endif
