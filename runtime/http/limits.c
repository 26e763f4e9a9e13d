/* SPDX-License-Identifier: MIT */
/* The defaults of limits.h. */
#include "http/limits.h"

#include "http/ws_extension.h"

#define SECOND UINT64_C(1000)
#define KB UINT64_C(1000)
#define KIB ((size_t)1024)
#define MIB ((uint64_t)1024 * 1024)

void dw_limits_init(dw_limits *l) {
  *l = (dw_limits){
      .header_timeout = 10 * SECOND,
      .body_timeout = 60 * SECOND,
      .keep_alive_timeout = 75 * SECOND,
      .write_timeout = 60 * SECOND,
      .request_timeout = 0,
      .shutdown_timeout = 10 * SECOND,
      .max_content_length = 16 * MIB,
      .max_form_memory_size = 500 * KB,
      .max_form_parts = 1000,
      .form_spool_size = 500 * KB,
      .max_target_size = 8 * KIB,
      .max_header_size = 16 * KIB,
      .max_headers = 100,
      .max_trailer_size = 4 * KIB,
      .max_connections = 0,
      .websocket_ping_interval = 20 * SECOND,
      .websocket_ping_timeout = 20 * SECOND,
      .websocket_max_message = 16 * MIB,
      .websocket_max_queue = 16,
      .websocket_compress = DW_WS_COMPRESS_ALONE,
      .cancel_on_disconnect = true,
  };
}
