/* SPDX-License-Identifier: MIT */
/* What a client accepts (RFC 9110, 12.5): the headers Accept, Accept-Language,
 * Accept-Encoding and Accept-Charset. All of it works on the header's text and
 * allocates nothing; slices lie in that text. What is malformed is passed over,
 * and a header without anything that makes sense counts as absent. Thread: any.
 */
#ifndef DW_HTTP_ACCEPT_H
#define DW_HTTP_ACCEPT_H

#include <stdbool.h>

#include "base/slice.h"

typedef enum dw_accept_kind {
  DW_ACCEPT_MEDIA,
  DW_ACCEPT_LANGUAGE,
  DW_ACCEPT_ENCODING,
  DW_ACCEPT_CHARSET
} dw_accept_kind;

enum { DW_QUALITY_MAX = 1000 }; /* weights are thousandths */

typedef struct dw_accept_range {
  dw_slice value;      /* "text/html", "en-GB", "gzip", a wildcard */
  dw_slice parameters; /* as they were sent, the weight among them; may be "" */
  int quality;         /* 1000 where none was sent */
} dw_accept_range;

/* Takes the next range that makes sense off *rest, in the header's order;
 * false: there is none left. One with a weight that can't be read makes none.
 */
bool dw_accept_next(dw_accept_kind kind, dw_slice *rest, dw_accept_range *out);
/* Takes the next of a range's parameters that isn't the weight off *rest, as it
 * was sent: `level=1`, `title="a;b"`. */
bool dw_accept_parameter(dw_slice *rest, dw_slice *out);

typedef struct dw_accept_match {
  int quality;   /* 0: not acceptable */
  int closeness; /* how closely it is meant: 0 not at all, 1 by a wildcard */
} dw_accept_match;

/* What the header thinks of a value; the closest range decides. Parameters of a
 * media range must be the value's, too, but for a charset that the value
 * doesn't name. "en" stands for "en-GB", and "en-GB" for "en" where nothing
 * else does. Without a header everything is acceptable, of codings only
 * identity is meant.
 */
dw_accept_match dw_accept_find(dw_accept_kind kind, dw_slice header,
                               dw_slice value);
/* How much a range says: a wildcard nothing, a media type with parameters or a
 * language with subtags the more, the more of them it has. */
int dw_accept_specificity(dw_accept_kind kind, const dw_accept_range *range);
/* The index of the offer with the greatest quality, of several the one that is
 * meant most closely, of these the first; -1: none is acceptable. */
int dw_accept_best(dw_accept_kind kind, dw_slice header, const dw_slice *offers,
                   int n);
/* Whether the value can be asked for: "type/subtype" and parameters, or a word;
 * no wildcard. */
bool dw_accept_is_value(dw_accept_kind kind, dw_slice value);

#endif
