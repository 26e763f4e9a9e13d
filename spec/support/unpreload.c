/* SPDX-License-Identifier: MIT */
/* Preloaded behind a sanitizer's runtime: keeps it out of the programs that the
 * process starts, some of which (curl) hang under it. */
#include <stdlib.h>

__attribute__((constructor)) static void unpreload(void) {
  unsetenv("LD_PRELOAD");
}
