/* SPDX-License-Identifier: MIT */
/* Media types. Each line of the system's list is a type and its suffixes; they
 * go into an open hash table that is made once. */
#include "http/mime.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

enum { LIST_MAX = 1024 * 1024, SUFFIX_MAX = 32 };

struct dw_mime_entry {
  dw_slice suffix; /* in lower case; ptr NULL: free */
  const char *type;
};

#define UTF8 "; charset=utf-8"

/* What a web site is made of. */
static const struct {
  const char *suffix, *type;
} known[] = {
    {"html", "text/html" UTF8},
    {"htm", "text/html" UTF8},
    {"css", "text/css" UTF8},
    {"js", "text/javascript" UTF8},
    {"mjs", "text/javascript" UTF8},
    {"json", "application/json"},
    {"map", "application/json"},
    {"webmanifest", "application/manifest+json"},
    {"wasm", "application/wasm"},
    {"txt", "text/plain" UTF8},
    {"csv", "text/csv" UTF8},
    {"md", "text/markdown" UTF8},
    {"xml", "text/xml" UTF8},
    {"xhtml", "application/xhtml+xml" UTF8},
    {"atom", "application/atom+xml" UTF8},
    {"rss", "application/rss+xml" UTF8},
    {"svg", "image/svg+xml" UTF8},
    {"png", "image/png"},
    {"jpg", "image/jpeg"},
    {"jpeg", "image/jpeg"},
    {"gif", "image/gif"},
    {"webp", "image/webp"},
    {"avif", "image/avif"},
    {"ico", "image/vnd.microsoft.icon"},
    {"woff", "font/woff"},
    {"woff2", "font/woff2"},
    {"ttf", "font/ttf"},
    {"otf", "font/otf"},
    {"mp3", "audio/mpeg"},
    {"ogg", "audio/ogg"},
    {"wav", "audio/x-wav"},
    {"mp4", "video/mp4"},
    {"webm", "video/webm"},
    {"pdf", "application/pdf"},
    {"zip", "application/zip"},
    {"gz", "application/gzip"},
    {"tar", "application/x-tar"},
    {"lua", "text/x-lua" UTF8},
};

static bool ends_with(dw_slice s, const char *end) {
  size_t n = strlen(end);
  return s.len >= n && memcmp(s.ptr + s.len - n, end, n) == 0;
}

bool dw_mime_is_text(dw_slice type) {
  static const char *const others[] = {
      "application/ecmascript", "application/javascript",
      "application/sql",        "application/xml",
      "application/xml-dtd",    "application/xml-external-parsed-entity"};
  if (type.len > 5 && memcmp(type.ptr, "text/", 5) == 0) return true;
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    if (dw_slice_equal(type, dw_slice_str(others[i]))) return true;
  return ends_with(type, "+xml");
}

/* --- Reading ---------------------------------------------------------------*/

void dw_mime_init(dw_mime *m, dw_allocator *a) {
  *m = (dw_mime){.slots = NULL};
  dw_arena_init(&m->arena, a, NULL, 0);
}

void dw_mime_deinit(dw_mime *m) { dw_arena_deinit(&m->arena); }

/* The whole file in the arena; "" where there is none. 0 or DW_ENOMEM. */
static int read_list(dw_mime *m, const char *path, dw_slice *out) {
  struct stat st;
  *out = DW_EMPTY;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return 0;
  int code = 0;
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= LIST_MAX) {
    char *text = dw_arena_alloc(&m->arena, (size_t)st.st_size + 1);
    ssize_t n = text ? read(fd, text, (size_t)st.st_size) : -1;
    if (!text) code = DW_ENOMEM;
    if (n > 0) *out = dw_slice_of(text, (size_t)n);
  }
  close(fd);
  return code;
}

/* The next word of a line, which a comment ends. */
static bool next_word(dw_slice *line, dw_slice *word) {
  size_t i = 0;
  while (i < line->len && strchr(" \t\r", line->ptr[i])) i++;
  size_t first = i;
  while (i < line->len && !strchr(" \t\r", line->ptr[i])) i++;
  *word = dw_slice_of(line->ptr + first, i - first);
  *line = dw_slice_of(line->ptr + i, line->len - i);
  return word->len > 0 && *word->ptr != '#';
}

static bool next_line(dw_slice *text, dw_slice *line) {
  if (text->len == 0) return false;
  const char *lf = memchr(text->ptr, '\n', text->len);
  size_t len = lf ? (size_t)(lf - text->ptr) : text->len;
  *line = dw_slice_of(text->ptr, len);
  if (lf) len++;
  *text = dw_slice_of(text->ptr + len, text->len - len);
  return true;
}

static void lower(char *to, dw_slice s) {
  for (size_t i = 0; i < s.len; i++)
    to[i] =
        (char)(s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? s.ptr[i] | 0x20 : s.ptr[i]);
}

static dw_mime_entry *slot_of(dw_mime *m, dw_slice suffix) {
  size_t hash = 5381;
  for (size_t i = 0; i < suffix.len; i++)
    hash = hash * 33 ^ (unsigned char)suffix.ptr[i];
  while (true) {
    dw_mime_entry *e = &m->slots[hash++ & (m->nslots - 1)];
    if (!e->suffix.ptr || dw_slice_equal(e->suffix, suffix)) return e;
  }
}

/* The type as it is sent; NULL without memory, "" where it is none. */
static const char *content_type(dw_mime *m, dw_slice type) {
  if (!memchr(type.ptr, '/', type.len)) return "";
  char *text = dw_arena_alloc(&m->arena, type.len + sizeof UTF8);
  if (!text) return NULL;
  lower(text, type);
  bool is_text = dw_mime_is_text(dw_slice_of(text, type.len));
  memcpy(text + type.len, is_text ? UTF8 : "", is_text ? sizeof UTF8 : 1);
  return text;
}

/* All suffixes of one line; the first to name a suffix has it. */
static int add_line(dw_mime *m, dw_slice line) {
  dw_slice type, word;
  const char *text = NULL;
  if (!next_word(&line, &type)) return 0;
  while (next_word(&line, &word)) {
    if (word.len > SUFFIX_MAX) continue;
    if (!text && !(text = content_type(m, type))) return DW_ENOMEM;
    lower((char *)word.ptr, word); /* the text is our own copy */
    dw_mime_entry *e = slot_of(m, word);
    if (*text && !e->suffix.ptr) *e = (dw_mime_entry){word, text};
  }
  return 0;
}

static size_t count_words(dw_slice text) {
  size_t n = 0;
  dw_slice line, word;
  while (next_line(&text, &line))
    while (next_word(&line, &word)) n++;
  return n;
}

static int load(dw_mime *m, const char *path) {
  dw_slice text, line;
  int code = read_list(m, path, &text);
  if (code < 0 || text.len == 0) return code;
  size_t words = count_words(text);
  for (m->nslots = 16; m->nslots < words * 2;) m->nslots *= 2;
  m->slots = dw_arena_zalloc(&m->arena, m->nslots * sizeof *m->slots);
  if (!m->slots) return DW_ENOMEM;
  while (code == 0 && next_line(&text, &line)) code = add_line(m, line);
  return code;
}

void dw_mime_load(dw_mime *m, const char *path) {
  if (m->loaded) return;
  m->loaded = true;
  if (load(m, path ? path : "/etc/mime.types") == 0) return;
  dw_allocator *a = m->arena.alloc;
  dw_mime_deinit(m);
  dw_mime_init(m, a);
}

/* --- Asking ----------------------------------------------------------------*/

/* What follows the last dot of the last segment; "" where that begins it. */
static dw_slice suffix_of(dw_slice name) {
  size_t i = name.len;
  while (i > 0 && name.ptr[i - 1] != '.' && name.ptr[i - 1] != '/') i--;
  if (i < 2 || name.ptr[i - 1] != '.' || name.ptr[i - 2] == '/')
    return DW_EMPTY;
  return dw_slice_of(name.ptr + i, name.len - i);
}

const char *dw_mime_find(dw_mime *m, dw_slice name) {
  char text[SUFFIX_MAX];
  dw_slice suffix = suffix_of(name);
  if (suffix.len == 0 || suffix.len > SUFFIX_MAX) return NULL;
  lower(text, suffix);
  suffix.ptr = text;
  dw_mime_load(m, NULL);
  if (m->slots) {
    const dw_mime_entry *e = slot_of(m, suffix);
    if (e->suffix.ptr) return e->type;
  }
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (dw_slice_equal(suffix, dw_slice_str(known[i].suffix)))
      return known[i].type;
  return NULL;
}
