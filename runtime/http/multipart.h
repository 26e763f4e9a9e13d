/* SPDX-License-Identifier: MIT */
/* multipart/form-data (RFC 7578 in RFC 2046's clothes), as it comes: bytes in,
 * events out. Content is passed on in place; what is kept is the head of one
 * part, and the boundary. A byte that may begin a boundary is known to be the
 * boundary's own, so even a held one isn't stored. The pieces in which bytes
 * come never change a verdict. Owner: who reads a form. Thread: the loop's. */
#ifndef DW_HTTP_MULTIPART_H
#define DW_HTTP_MULTIPART_H

#include "base/buffer.h"
#include "http/guard.h"
#include "http/headers.h"

enum {
  DW_BOUNDARY_MAX = 70,        /* RFC 2046, 5.1.1 */
  DW_PART_HEAD_MAX = 8 * 1024, /* bytes of a part's headers */
  DW_PART_HEADERS_MAX = 32     /* and their number */
};

/* Of the part that has begun; all slices last until the next one begins. */
typedef struct dw_part {
  dw_slice name;
  dw_slice filename;     /* decoded; the client's word, so never a path */
  dw_slice content_type; /* "" where none was sent */
  bool is_file;          /* there is a filename; it may be "" */
  bool has_content_type;
  dw_header headers[DW_PART_HEADERS_MAX]; /* as sent, values trimmed */
  size_t nheaders;
} dw_part;

typedef enum dw_multipart_event {
  DW_MULTIPART_MORE, /* all bytes were taken */
  DW_MULTIPART_PART, /* a part begins: p->part */
  DW_MULTIPART_DATA, /* *data is a run of its content: of the input, or of p */
  DW_MULTIPART_PART_END,
  DW_MULTIPART_END,  /* the last boundary; what follows is swallowed */
  DW_MULTIPART_ERROR /* p->fault tells why; 503 is want of memory */
} dw_multipart_event;

typedef struct dw_multipart {
  dw_fault fault;
  dw_part part;
  /* Private from here on. */
  dw_buffer head; /* of a part; behind it, decoded names */
  size_t line;    /* where the head's last line begins */
  size_t matched; /* bytes of the delimiter that were seen */
  size_t
      implied; /* of these, its line break where another one serves as such */
  size_t len;  /* of the delimiter */
  uint8_t state;
  char delimiter[4 + DW_BOUNDARY_MAX]; /* CRLF, two dashes, the boundary */
} dw_multipart;

/* Whether a Content-Type is multipart/form-data, whatever its parameters. */
bool dw_multipart_is(dw_slice content_type);
/* Ready for a body of that Content-Type. Where it has no usable boundary the
 * fault is set, and the first event is an error. */
void dw_multipart_init(dw_multipart *p, dw_allocator *a, dw_slice content_type);
void dw_multipart_deinit(dw_multipart *p);
/* One event; *used bytes were taken from the front. */
dw_multipart_event dw_multipart_feed(dw_multipart *p, const char *bytes,
                                     size_t len, size_t *used, dw_slice *data);
/* The body has ended: END, or ERROR where that is too early. */
dw_multipart_event dw_multipart_finish(dw_multipart *p);

#endif
