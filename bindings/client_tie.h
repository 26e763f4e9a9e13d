/* SPDX-License-Identifier: MIT */
/* Between client.c and client_tie.c. The userdata may be collected at any time,
 * which disconnects; the tie between it and its dw_client lives as long as the
 * latter. What an exchange could not deal with is kept in a table that the
 * registry holds by the tie's address, since ended_cb must not allocate.
 * Thread: the loop's. */
#ifndef DW_BINDINGS_CLIENT_TIE_H
#define DW_BINDINGS_CLIENT_TIE_H

#include "app/client.h"
#include "bindings/app.h"
#include "bindings/task.h"

/* What somebody waits for. */
typedef enum dw_want {
  DW_WANT_NOTHING,
  DW_WANT_HEAD,  /* of the answer */
  DW_WANT_DATA,  /* some of its body */
  DW_WANT_WHOLE, /* the end of it all */
  DW_WANT_ROOM,  /* to send more */
  DW_WANT_REST,  /* raw: no answer comes without more bytes or time */
  DW_WANT_TURNS, /* raw: what was sent has arrived */
  DW_WANT_CLOSED /* both ends, and no exchange left */
} dw_want;

typedef struct dw_lua_client dw_lua_client;

typedef struct dw_tie {
  dw_script *script;
  dw_list node; /* of the script's clients */
  dw_client *client;
  dw_lua_client *owner; /* NULL: it was collected */
  dw_deferred quiet;    /* counts the drains without news */
} dw_tie;

struct dw_lua_client {
  dw_script *script;
  dw_tie *tie; /* NULL: closed */
  dw_buffer data;
  dw_wake wake;
  uint8_t want;
  uint8_t drains; /* without news */
  bool head, done;
  int status; /* of a request that is done */
};

/* Places in the table of what an exchange left. */
enum {
  DW_LEFT_KIND = 1,
  DW_LEFT_ERROR,
  DW_LEFT_TRACEBACK,
  DW_LEFT_COUNT = DW_LEFT_TRACEBACK
};

/* Connects c to an app that has been activated. 0 or a code. */
int dw_tie_open(lua_State *L, dw_lua_client *c, dw_lua_app *app);
/* Disconnects without waiting. */
void dw_tie_drop(dw_lua_client *c, bool reset);
/* The same where the userdata goes. */
void dw_tie_cut(dw_lua_client *c);

/* Whether what it waits for is there. */
bool dw_tie_satisfied(const dw_lua_client *c);
/* Who waits for quiet begins to count again; who is satisfied is woken. */
void dw_tie_news(dw_lua_client *c);

/* Pushes the table of what the last exchange left. */
void dw_tie_push_left(lua_State *L, const dw_tie *t);
/* Empties it; allocates nothing. */
void dw_tie_clear_left(lua_State *L, const dw_tie *t);

#endif
