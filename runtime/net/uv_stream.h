/* SPDX-License-Identifier: MIT */
/* Streams over connected sockets, TCP's and Unix's. Thread: the loop's. */
#ifndef DW_NET_UV_STREAM_H
#define DW_NET_UV_STREAM_H

#include <sys/socket.h>

#include "net/stream.h"

/* Makes a stream of a connected socket; peer is its other side's address. 0,
 * and the socket belongs to the stream; or a negative code, and it is still the
 * caller's. */
int dw_uv_stream_open(dw_stream **out, dw_loop *loop, int fd,
                      const struct sockaddr *peer);

#endif
