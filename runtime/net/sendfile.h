/* SPDX-License-Identifier: MIT */
/* sendfile(2) to a socket that doesn't block. Any thread. */
#ifndef DW_NET_SENDFILE_H
#define DW_NET_SENDFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct dw_sendfile {
  size_t sent;
  bool full;      /* the socket takes no more now */
  int code;       /* the socket's error, or 0 */
  int file_error; /* the file's: it ended early (UV_EOF), or can't be read */
} dw_sendfile;

/* Sends up to len bytes, or as many as make a good turn. It may wait for the
 * disk, and raises no SIGPIPE. */
dw_sendfile dw_sendfile_some(int socket, int file, uint64_t offset,
                             uint64_t len);

#endif
