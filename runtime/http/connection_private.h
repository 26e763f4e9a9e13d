/* SPDX-License-Identifier: MIT */
/* What the files of a connection share: connection.c, input.c, body.c, reply.c.
 */
#ifndef DW_HTTP_CONNECTION_PRIVATE_H
#define DW_HTTP_CONNECTION_PRIVATE_H

#include "http/connection.h"

/* Sends what was gathered. 0, or a code: then the connection is closed. */
int dw_connection_flush(dw_connection *c);
/* The same with more bytes behind it, which aren't copied if they go at once.
 */
int dw_connection_send(dw_connection *c, dw_slice more);
/* The same at the end of this turn, or now where it is a lot. */
void dw_connection_flush_soon(dw_connection *c);
/* A connection has an output buffer only while it has output: one goes from
 * hand to hand. */
void dw_connection_take_output(dw_connection *c);
void dw_connection_drop_output(dw_connection *c);
/* What a stream's encoder still keeps back is given to the output. */
void dw_reply_settle(dw_transaction *t);
/* The state's deadline, from now; 0: none. */
void dw_connection_deadline(dw_connection *c, uint64_t ms);
/* More bytes were queued: the peer has to take some of all that is, in time. */
void dw_connection_queued(dw_connection *c, size_t more);
/* Between requests: the deadline of an idle connection. */
void dw_connection_idle(dw_connection *c);
/* Goes on with the bytes that are held. */
void dw_connection_input(dw_connection *c);
void dw_connection_read_cb(dw_stream *s, const char *bytes, ssize_t len);
/* Reads if bytes are welcome now, else not. */
void dw_connection_update_reading(dw_connection *c);
/* Closes at once; whoever works for the client is told that it is gone. */
void dw_connection_close(dw_connection *c);
/* Tells whoever works for the client that it is gone; once. */
void dw_connection_gone(dw_connection *c);
/* Everything is answered that will be: sends it, ends our side, and lets the
 * peer's rest run dry, so that a reset doesn't destroy the answer on its way
 * (RFC 9112, 9.6). */
void dw_connection_finish(dw_connection *c);
/* Answers a malformed request; nothing behind it is ever read as another. */
void dw_connection_reject(dw_connection *c, int status, const char *reason);

/* The rest of an answered request's body has been swallowed, or won't be. */
void dw_connection_drained(dw_connection *c);

/* Writes the head of an answer (reply.c). 0, or DW_ENOMEM, and then nothing. */
int dw_reply_head(dw_transaction *t, dw_response *r, dw_framing framing,
                  uint64_t length);
/* Whether something is under way that the client has to take first. */
bool dw_connection_backed_up(dw_connection *c);
/* Whoever waited for room goes on; it may be the connection's last use. */
void dw_connection_tell_drained(dw_connection *c);
/* The transaction goes, or its connection is closed: a file's sending ends. */
void dw_transfer_end(dw_transaction *t);

/* With an arena that has room for so many bytes, and some more. NULL without
 * memory. */
dw_transaction *dw_transaction_new(dw_connection *c, size_t room);
void dw_transaction_free(dw_transaction *t);

/* Whether the connection can be used again behind the request's body: it has
 * ended, or what nobody has read of it is little enough to be swallowed. One
 * that waits for 100 Continue may follow or not (RFC 9110, 10.1.1). */
bool dw_body_allows_reuse(const dw_transaction *t);
/* A code of libuv's, or a status. What arrived before stays readable. */
void dw_body_fail(dw_transaction *t, int failed, const char *reason);

#endif
