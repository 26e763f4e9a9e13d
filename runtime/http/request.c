/* SPDX-License-Identifier: MIT */
/* Questions to a parsed request. */
#include "http/request.h"

dw_slice dw_request_header(dw_request *r, const char *name) {
  dw_slice value;
  bool failed;
  if (!dw_header_join(r->headers, r->nheaders, dw_slice_str(name), &r->arena,
                      &value, &failed))
    return DW_EMPTY;
  return value;
}
