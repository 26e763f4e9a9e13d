/* SPDX-License-Identifier: MIT */
/* Every limit and deadline of a connection; the app's config fills it in.
 * Sizes are bytes, times are milliseconds; 0 means none. */
#ifndef DW_HTTP_LIMITS_H
#define DW_HTTP_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct dw_limits {
  uint64_t header_timeout;     /* HEADER_TIMEOUT 10 s: first byte to end */
  uint64_t body_timeout;       /* BODY_TIMEOUT 60 s: between bytes */
  uint64_t keep_alive_timeout; /* KEEP_ALIVE_TIMEOUT 75 s: between requests */
  uint64_t write_timeout;      /* WRITE_TIMEOUT 60 s: without progress */
  uint64_t request_timeout;    /* REQUEST_TIMEOUT none: 503 */
  uint64_t shutdown_timeout;   /* SHUTDOWN_TIMEOUT 10 s */
  uint64_t max_content_length; /* MAX_CONTENT_LENGTH 16 MiB; UINT64_MAX none */
  uint64_t max_form_memory_size; /* MAX_FORM_MEMORY_SIZE 500 kB: 413 */
  uint64_t max_form_parts;       /* MAX_FORM_PARTS 1000: 413 */
  uint64_t form_spool_size;      /* FORM_SPOOL_SIZE 500 kB: then on the disk */
  size_t max_target_size;        /* MAX_TARGET_SIZE 8 KiB: 414 */
  size_t max_header_size;        /* MAX_HEADER_SIZE 16 KiB, all lines: 431 */
  size_t max_headers;            /* MAX_HEADERS 100: 431 */
  size_t max_trailer_size;       /* MAX_TRAILER_SIZE 4 KiB: 431 */
  size_t max_connections;        /* MAX_CONNECTIONS none */
  uint64_t websocket_ping_interval; /* WEBSOCKET_PING_INTERVAL 20 s */
  uint64_t websocket_ping_timeout;  /* WEBSOCKET_PING_TIMEOUT 20 s */
  uint64_t websocket_max_message;   /* WEBSOCKET_MAX_MESSAGE_SIZE 16 MiB */
  size_t websocket_max_queue;       /* WEBSOCKET_MAX_QUEUE 16 messages */
  uint8_t websocket_compress;       /* WEBSOCKET_COMPRESS: a dw_ws_compress */
  bool cancel_on_disconnect;        /* CANCEL_ON_DISCONNECT true */
} dw_limits;

void dw_limits_init(dw_limits *l); /* the defaults */

enum {
  DW_MAX_CHUNK_EXTENSIONS = 4096,  /* all of a message: 400 */
  DW_MAX_EMPTY_LINES = 4,          /* CRLFs before a request line: 400 */
  DW_BODY_HIGH_WATER = 64 * 1024,  /* unread body that pauses reading */
  DW_WRITE_HIGH_WATER = 64 * 1024, /* unsent bytes that pause a stream */
  DW_DRAIN_MAX = 64 * 1024         /* unread body swallowed after an answer */
};

#endif
