/* SPDX-License-Identifier: MIT */
/* Who reads a request's body for Lua, and how: whole, by pieces, as a form, or
 * part by part; one of these. It begins with whoever asks for it first and ends
 * with the request. Owner: the exchange. Thread: the loop's. */
#ifndef DW_BINDINGS_READER_H
#define DW_BINDINGS_READER_H

#include "bindings/handler.h"
#include "http/form_data.h"

typedef enum dw_reader_use {
  DW_READER_NEW,
  DW_READER_WHOLE, /* body, text, json, an urlencoded form */
  DW_READER_CHUNKS,
  DW_READER_FORM, /* form and files of multipart/form-data */
  DW_READER_PARTS
} dw_reader_use;

typedef struct dw_reader {
  dw_wake wake;
  bool waiting;   /* for the spool */
  uint8_t use;    /* dw_reader_use: what the body's bytes have gone to */
  uint64_t whole; /* see dw_reader_wait */
  size_t given;   /* of body.data by chunks, not yet taken */
  dw_form_limits limits;
  size_t fed;             /* of a body that was read whole, to the form */
  dw_form_data *form;     /* being read */
  dw_spool *spool;        /* of a form that was read */
  struct dw_parts *parts; /* parts.c's own */
} dw_reader;

/* Made if need be; raises. */
dw_reader *dw_reader_of(lua_State *L, dw_exchange *x);
/* What there is of it goes at the end of the request; never raises. */
void dw_reader_release(dw_exchange *x);
/* An error of a status, as views raise them. */
int dw_reader_refuse(lua_State *L, dw_exchange *x, int status,
                     const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Raises why the body will never end, or is not allowed to. */
void dw_reader_check(lua_State *L, dw_exchange *x);
/* Whether the body is encoded; raises a 415 if it is: nothing here decodes one,
 * so that it can't be larger than what was sent. */
bool dw_reader_is_coded(dw_exchange *x);
void dw_reader_check_coding(lua_State *L, dw_exchange *x);
/* Raises unless nobody has begun to read, or it goes on in the same way. */
void dw_reader_begin(lua_State *L, dw_reader *r, dw_reader_use use);
/* Raises unless a task may begin to wait for the body here. */
dw_script *dw_reader_check_free(lua_State *L, dw_exchange *x);
/* Waits for news, then goes on with k, whose ctx is x. whole: no news is but
 * the end, and that more bytes have come than so many; 0: all is. */
int dw_reader_wait(lua_State *L, dw_exchange *x, uint64_t whole,
                   lua_KFunction k);
/* With the request object at 1: pushes the body as a string, or returns false
 * where it has to be waited for. Raises. */
bool dw_reader_push_body(lua_State *L, dw_exchange *x);

/* --- Forms (form.c), files (upload.c), parts (parts.c) ---------------------*/

/* req.max_form_memory_size and the like: true if name is one. Setting takes the
 * value at 3 and raises where it doesn't fit. */
bool dw_reader_push_limit(lua_State *L, dw_exchange *x, const char *name);
bool dw_reader_set_limit(lua_State *L, dw_exchange *x, const char *name);
/* How a form that is refused is told. */
int dw_reader_raise_fault(lua_State *L, dw_exchange *x, dw_fault fault);

/* Pushes a file of the request at index 1. */
void dw_upload_push(lua_State *L, const dw_upload *u);
/* Makes the types known; leaves nothing. */
void dw_upload_open(lua_State *L, dw_script *s);
void dw_parts_open(lua_State *L, dw_script *s);
void dw_parts_free(struct dw_parts *p);
/* parts: a method of the request. */
int dw_request_parts(lua_State *L);

/* What files and parts have in common: fields in a table, the first user value;
 * the request object, the second; and methods. */
typedef struct dw_part_type {
  const char *name;         /* of the type */
  const char *what;         /* "a file", for messages */
  const char *const *names; /* of all fields and methods, ended by NULL */
  const luaL_Reg *methods;
  const luaL_Reg *metamethods;
} dw_part_type;

/* Makes it known. The struct stays. */
void dw_part_open(lua_State *L, dw_script *s, const dw_part_type *type);
/* Makes the userdata on top one of the type, of the request at index 1; fields
 * are added by the caller to the table that is left on top of it. */
void dw_part_begin(lua_State *L, const dw_part_type *type);
/* Sets fields of the table on top. */
void dw_part_set(lua_State *L, const char *name, dw_slice value);
void dw_part_set_headers(lua_State *L, const dw_header *list, size_t n);
/* Takes the table off: the object is ready. */
void dw_part_end(lua_State *L);
/* The exchange of the object at index; raises where it is over. */
dw_exchange *dw_part_exchange(lua_State *L, int index);

#endif
