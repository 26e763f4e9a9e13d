/* SPDX-License-Identifier: MIT */
/* What is done with files, blocking: for the pool of threads (base/work.h).
 * Codes are 0 or negative, as libuv's. Owner: who opened the descriptor.
 * Thread: any. */
#ifndef DW_BASE_DISK_H
#define DW_BASE_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* Opens a file in the folder that has no name there, so that it is gone with
 * its descriptor; nameable: dw_disk_link may give it one. The descriptor, or a
 * code. */
int dw_disk_temporary(const char *folder, bool *nameable);
/* All of the bytes; UV_EOF where there are fewer to be read. */
int dw_disk_write(int fd, dw_slice bytes, uint64_t at);
int dw_disk_read(int fd, char *out, size_t len, uint64_t at);

/* Gives a file of dw_disk_temporary a name, in the same file system and where
 * there is none of that name yet. */
int dw_disk_link(int fd, const char *path);
/* Make a file, or write over what is there, as a shell's ">" does. One that was
 * made is removed again where that fails. */
int dw_disk_make(const char *path, dw_slice bytes);
int dw_disk_copy(int fd, uint64_t at, uint64_t len, const char *path);

#endif
