/* SPDX-License-Identifier: MIT */
/* A main for fuzzers that are built without libFuzzer: feeds them the files of
 * the folders, and the files, that are named on the command line, then bytes of
 * its own making from fixed seeds. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LARGEST = 1 << 20, LARGEST_MUTATED = 1 << 14, MUTATIONS = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned inputs;

/* In memory of exactly its size, so that a read past the end is seen. */
static void feed(const uint8_t *bytes, size_t size) {
  uint8_t *exact = calloc(size ? size : 1, 1);
  if (!exact) abort();
  memcpy(exact, bytes, size);
  LLVMFuzzerTestOneInput(exact, size);
  free(exact);
  inputs++;
}

static uint32_t next(uint32_t *state) { /* xorshift */
  *state ^= *state << 13;
  *state ^= *state >> 17;
  *state ^= *state << 5;
  return *state;
}

/* A few bytes changed, and cut somewhere: the same for every run. */
static void feed_mutated(uint8_t *bytes, size_t size) {
  uint32_t state = 2463534242u ^ (uint32_t)size;
  if (!size || size > LARGEST_MUTATED) return;
  for (int i = 0; i < MUTATIONS; i++) {
    bytes[next(&state) % size] = (uint8_t)next(&state);
    feed(bytes, size - (i % 2 ? next(&state) % size : 0));
  }
}

static int feed_file(const char *path) {
  static uint8_t bytes[LARGEST];
  FILE *file = fopen(path, "rb");
  if (!file) {
    perror(path);
    return 1;
  }
  size_t size = fread(bytes, 1, sizeof bytes, file);
  fclose(file);
  feed(bytes, size);
  feed_mutated(bytes, size);
  return 0;
}

static int feed_path(const char *path) {
  DIR *folder = opendir(path);
  if (!folder) return feed_file(path);
  int status = 0;
  struct dirent *entry;
  while ((entry = readdir(folder))) {
    char name[4096];
    if (entry->d_name[0] == '.') continue;
    snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
    status |= feed_file(name);
  }
  closedir(folder);
  return status;
}

int main(int argc, char **argv) {
  int status = 0;
  feed((const uint8_t *)"", 0);
  for (int i = 1; i < argc; i++) status |= feed_path(argv[i]);
  printf("%u inputs\n", inputs);
  return inputs > 1 ? status : 1;
}
