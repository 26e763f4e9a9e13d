/* SPDX-License-Identifier: MIT */
/* The hosts that an app goes by (config TRUSTED_HOSTS): names, in lower case
 * and without a port, and ".name" for a name and all below it. Owner: the app.
 */
#ifndef DW_APP_HOSTS_H
#define DW_APP_HOSTS_H

#include <stdbool.h>

#include "base/memory.h"
#include "base/slice.h"

typedef struct dw_hosts {
  char *names; /* one behind the other, each ended by NUL; NULL: any host */
  size_t size;
} dw_hosts;

/* Replaces them; no names: any host will do. 0, DW_ENOMEM, or DEWAR_EINVAL with
 * the index of a name that is none in *bad; then nothing is changed. */
int dw_hosts_set(dw_hosts *h, dw_allocator *a, const dw_slice *names,
                 size_t count, size_t *bad);
void dw_hosts_deinit(dw_hosts *h, dw_allocator *a);
/* host: as a request has it, in lower case and without a port. */
bool dw_hosts_trust(const dw_hosts *h, dw_slice host);

#endif
