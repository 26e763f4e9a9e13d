/* SPDX-License-Identifier: MIT */
/* Connected sockets for scripts, over the transport seam (net/stream.h). */
#ifndef DW_BINDINGS_SOCKET_H
#define DW_BINDINGS_SOCKET_H

#include "bindings/script.h"
#include "net/stream.h"

typedef struct dw_socket dw_socket;

/* Pushes a socket that is closed as yet. */
dw_socket *dw_socket_new(lua_State *L);
/* From now on the stream belongs to the socket. Never raises. */
void dw_socket_take(dw_script *s, dw_socket *k, dw_stream *stream);

/* Adds the table `net` to the module table on top: sockets, names, listening.
 */
void dw_net_open(lua_State *L, dw_script *s);
/* Parts of it, into the table on top. */
void dw_connect_open(lua_State *L, dw_script *s);
void dw_accepting_open(lua_State *L, dw_script *s);
void dw_dns_open(lua_State *L, dw_script *s);

/* Adds the table `processes` to the module table on top. */
void dw_process_open(lua_State *L, dw_script *s);

#endif
