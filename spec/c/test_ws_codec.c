/* SPDX-License-Identifier: MIT */
/* Frames, messages and compression of WebSockets, without a connection: what a
 * reader makes of bytes, whole and one by one. */
#include "unit.h"

#include <stdio.h>

#include "base/error.h"
#include "http/ws_codec.h"

/* --- A reader and what it told -------------------------------------------- */

typedef struct bench {
  dw_allocator alloc;
  dw_ws_pool pool;
  dw_ws ws;
  char log[512]; /* "text:hello ping: closed:1000:bye" */
} bench;

static void begin(bench *b, bool client, const dw_ws_terms *terms,
                  uint64_t max) {
  memset(b, 0, sizeof *b);
  dw_allocator_init(&b->alloc, NULL, NULL);
  dw_ws_pool_init(&b->pool, &b->alloc, client);
  dw_ws_init(&b->ws, &b->pool, terms, max);
}

static void end(bench *b) {
  dw_ws_deinit(&b->ws);
  dw_ws_pool_deinit(&b->pool);
  CHECK_INT(b->alloc.used, 0);
}

static void note(bench *b, const char *what, dw_slice data) {
  size_t len = strlen(b->log);
  snprintf(b->log + len, sizeof b->log - len, "%s%s:%.*s", len ? " " : "", what,
           data.len > 40 ? 40 : (int)data.len, data.ptr);
}

static bool told(bench *b, dw_ws_event e) {
  char code[16];
  snprintf(code, sizeof code, "%s:%d", e == DW_WS_FAILED ? "failed" : "closed",
           b->ws.code);
  switch (e) {
  case DW_WS_MESSAGE:
    note(b, b->ws.text ? "text" : "binary", b->ws.data);
    break;
  case DW_WS_PING:
    note(b, "ping", b->ws.data);
    break;
  case DW_WS_PONG:
    note(b, "pong", b->ws.data);
    break;
  case DW_WS_CLOSED:
    note(b, code, b->ws.data);
    break;
  case DW_WS_FAILED:
    note(b, code, DW_EMPTY);
    break;
  case DW_WS_MORE:
    break;
  }
  return e != DW_WS_MORE;
}

/* Reads in pieces, each in memory of exactly its size. */
static void read_in(bench *b, dw_slice bytes, size_t piece) {
  for (size_t at = 0; at < bytes.len;) {
    size_t len = bytes.len - at < piece ? bytes.len - at : piece;
    char *copy = malloc(len);
    memcpy(copy, bytes.ptr + at, len);
    dw_slice rest = dw_slice_of(copy, len);
    while (told(b, dw_ws_read(&b->ws, &rest))) continue;
    CHECK_INT(rest.len, 0);
    free(copy);
    at += len;
  }
}

/* --- Bytes ---------------------------------------------------------------- */

typedef struct frame {
  uint8_t first; /* fin, rsv and opcode */
  bool bare;     /* not masked */
  dw_slice payload;
} frame;

#define FRAME(head, text) ((frame){(head), false, DW_LITERAL(text)})
#define END ((frame){0, false, {NULL, 0}})

enum { FIN = 0x80, RSV1 = 0x40 };

static void put_frame(dw_buffer *out, const frame *f) {
  static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
  unsigned char flag = f->bare ? 0 : 0x80;
  size_t len = f->payload.len;
  dw_buffer_append_char(out, (char)f->first);
  if (len < 126) {
    dw_buffer_append_char(out, (char)(flag | len));
  } else {
    dw_buffer_append_char(out, (char)(flag | (len < 65536 ? 126 : 127)));
    for (int i = len < 65536 ? 1 : 7; i >= 0; i--)
      dw_buffer_append_char(out, (char)(len >> (8 * i) & 0xff));
  }
  if (!f->bare) dw_buffer_append(out, mask, 4);
  for (size_t i = 0; i < len; i++)
    dw_buffer_append_char(
        out, (char)(f->payload.ptr[i] ^ (f->bare ? 0 : mask[i % 4])));
}

static void check_log(dw_slice bytes, const char *log, size_t piece,
                      const dw_ws_terms *terms, uint64_t max) {
  bench b;
  begin(&b, false, terms, max);
  read_in(&b, bytes, piece);
  CHECK_STR(b.log, log);
  end(&b);
}

static void check_frames(const frame *frames, const char *log,
                         const dw_ws_terms *terms, uint64_t max) {
  static const size_t pieces[] = {1, 2, 3, 7, 1u << 20};
  dw_allocator a;
  dw_buffer bytes;
  dw_allocator_init(&a, NULL, NULL);
  dw_buffer_init(&bytes, &a, 0);
  for (; frames->payload.ptr; frames++) put_frame(&bytes, frames);
  for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)
    check_log(dw_buffer_slice(&bytes), log, pieces[i], terms, max);
  dw_buffer_deinit(&bytes);
}

#define READ(log, ...)                                                         \
  check_frames((const frame[]){__VA_ARGS__, END}, log, NULL, 1 << 20)

/* --- Messages ------------------------------------------------------------- */

TEST(reads_messages_whole_and_in_fragments) {
  READ("text:hello", FRAME(FIN | 1, "hello"));
  READ("binary:\x01\x02", FRAME(FIN | 2, "\x01\x02"));
  READ("text:", FRAME(FIN | 1, ""));
  READ("text:abc text:d", FRAME(1, "a"), FRAME(0, ""), FRAME(0, "b"),
       FRAME(FIN, "c"), FRAME(FIN | 1, "d"));
}

TEST(reads_control_frames_between_fragments) {
  READ("ping:x pong: text:ab", FRAME(1, "a"), FRAME(FIN | 9, "x"),
       FRAME(FIN | 10, ""), FRAME(FIN, "b"));
}

TEST(reads_long_messages) {
  char text[70001];
  memset(text, 'x', sizeof text);
  for (size_t len = 124; len < 129; len++) {
    frame f[] = {{FIN | 1, false, {text, len}}, END};
    char log[64];
    snprintf(log, sizeof log, "text:%.40s", text);
    check_frames(f, log, NULL, 70000);
  }
  frame f[] = {{FIN | 2, false, {text, 70000}}, END};
  char log[64];
  snprintf(log, sizeof log, "binary:%.40s", text);
  check_frames(f, log, NULL, 70000);
}

TEST(refuses_a_message_that_is_too_big) {
  const frame whole[] = {FRAME(FIN | 1, "12345"), END};
  const frame parts[] = {FRAME(1, "123"), FRAME(0, ""), FRAME(FIN, "45"), END};
  check_frames(whole, "text:12345", NULL, 5);
  check_frames(parts, "text:12345", NULL, 5);
  check_frames(whole, "failed:1009:", NULL, 4);
  check_frames(parts, "failed:1009:", NULL, 4);
}

TEST(refuses_what_breaks_the_rules) {
  READ("failed:1002:", FRAME(FIN | RSV1 | 1, "x"));
  READ("failed:1002:", FRAME(FIN | 0x20 | 1, "x"));
  READ("failed:1002:", FRAME(FIN | 0x10 | 9, ""));
  READ("failed:1002:", FRAME(FIN | 3, "x"));
  READ("failed:1002:", FRAME(FIN | 11, ""));
  READ("failed:1002:", FRAME(FIN, "nothing before"));
  READ("failed:1002:", FRAME(1, "a"), FRAME(FIN | 1, "b"));
  READ("failed:1002:", FRAME(9, "a ping in fragments"));
  READ("failed:1002:", {FIN | 1, true, DW_LITERAL("not masked")});
}

TEST(refuses_a_ping_of_126_bytes) {
  char text[126];
  memset(text, 'x', sizeof text);
  frame f[] = {{FIN | 9, false, {text, 126}}, END};
  check_frames(f, "failed:1002:", NULL, 1000);
}

/* A length is written in as few bytes as it needs, and has 63 bits. */
TEST(refuses_lengths_that_are_written_wrongly) {
  check_log(dw_slice_of("\x82\xfe\x00\x7d....", 8), "failed:1002:", 1, NULL, 9);
  check_log(dw_slice_of("\x82\xff\0\0\0\0\0\0\xff\xff....", 14),
            "failed:1002:", 1, NULL, 9);
  check_log(dw_slice_of("\x82\xff\x80\0\0\0\0\0\0\0....", 14),
            "failed:1002:", 1, NULL, 9);
}

/* --- Text ----------------------------------------------------------------- */

TEST(refuses_text_that_is_not_utf_8) {
  READ("text:\xce\xba\xe1\xbd\xb9", FRAME(FIN | 1, "\xce\xba\xe1\xbd\xb9"));
  READ("text:\xf0\x9f\x98\x80", FRAME(1, "\xf0\x9f"), FRAME(FIN, "\x98\x80"));
  READ("failed:1007:", FRAME(FIN | 1, "\xed\xa0\x80"));
  READ("failed:1007:", FRAME(FIN | 1, "\xce"));
  READ("failed:1007:", FRAME(FIN | 1, "\xf4\x90\x80\x80"));
  READ("failed:1007:", FRAME(FIN | 1, "\xc0\xaf"));
  READ("binary:\xff\xfe", FRAME(FIN | 2, "\xff\xfe"));
}

/* The byte that is wrong ends it, whatever the frame was to have behind it. */
TEST(tells_of_a_wrong_byte_as_soon_as_it_comes) {
  const frame long_frame = FRAME(FIN | 1, "ab\xff and more, much more");
  dw_allocator a;
  dw_buffer bytes;
  dw_allocator_init(&a, NULL, NULL);
  dw_buffer_init(&bytes, &a, 0);
  put_frame(&bytes, &long_frame);
  check_log(dw_slice_of(bytes.ptr, 6 + 2), "", 1, NULL, 1000);
  check_log(dw_slice_of(bytes.ptr, 6 + 3), "failed:1007:", 1, NULL, 1000);
  dw_buffer_deinit(&bytes);
}

/* --- Closing -------------------------------------------------------------- */

TEST(reads_closes) {
  READ("closed:1005:", FRAME(FIN | 8, ""));
  READ("closed:1000:", FRAME(FIN | 8, "\x03\xe8"));
  READ("closed:1000:bye", FRAME(FIN | 8, "\x03\xe8"
                                         "bye"));
  READ("closed:4999:", FRAME(FIN | 8, "\x13\x87"));
  READ("closed:1000:", FRAME(FIN | 8, "\x03\xe8"), FRAME(FIN | 1, "late"));
}

TEST(refuses_malformed_closes) {
  READ("failed:1002:", FRAME(FIN | 8, "\x03"));
  READ("failed:1007:", FRAME(FIN | 8, "\x03\xe8\xff"));
  static const uint16_t wrong[] = {0,    999,  1004, 1005, 1006,
                                   1015, 1016, 2999, 5000, 65535};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    char payload[2] = {(char)(wrong[i] >> 8), (char)(wrong[i] & 0xff)};
    frame f[] = {{FIN | 8, false, {payload, 2}}, END};
    check_frames(f, "failed:1002:", NULL, 1000);
  }
}

/* --- Both sides ----------------------------------------------------------- */

typedef struct pair {
  bench server, client;
  dw_buffer wire;
} pair;

static void begin_pair(pair *p, const dw_ws_terms *terms) {
  begin(&p->server, false, terms, 1 << 20);
  begin(&p->client, true, terms, 1 << 20);
  dw_buffer_init(&p->wire, &p->server.alloc, 0);
}

static void end_pair(pair *p) {
  dw_buffer_deinit(&p->wire);
  end(&p->client);
  end(&p->server);
}

static size_t send_over(pair *p, bool to_server, dw_slice message) {
  dw_ws *from = to_server ? &p->client.ws : &p->server.ws;
  p->wire.len = 0;
  CHECK_INT(dw_ws_write(from, true, message, &p->wire), 0);
  read_in(to_server ? &p->server : &p->client, dw_buffer_slice(&p->wire), 5);
  return p->wire.len;
}

TEST(both_sides_understand_each_other) {
  pair p;
  begin_pair(&p, NULL);
  send_over(&p, true, DW_LITERAL("to the server"));
  send_over(&p, false, DW_LITERAL("to the client"));
  p.wire.len = 0;
  dw_ws_write_control(&p.client.ws, DW_WS_OPCODE_PING, DW_LITERAL("?"),
                      &p.wire);
  dw_ws_write_close(&p.client.ws, 1001, DW_LITERAL("bye"), &p.wire);
  read_in(&p.server, dw_buffer_slice(&p.wire), 1);
  CHECK_STR(p.server.log, "text:to the server ping:? closed:1001:bye");
  p.wire.len = 0;
  dw_ws_write_close(&p.server.ws, DW_WS_NO_CODE, DW_EMPTY, &p.wire);
  read_in(&p.client, dw_buffer_slice(&p.wire), 1);
  CHECK_STR(p.client.log, "text:to the client closed:1005:");
  end_pair(&p);
}

TEST(a_client_refuses_masked_frames) {
  bench b;
  begin(&b, true, NULL, 100);
  read_in(&b, dw_slice_of("\x81\x81\1\2\3\4x", 7), 1);
  CHECK_STR(b.log, "failed:1002:");
  end(&b);
}

/* --- Compression ---------------------------------------------------------- */

static const dw_ws_terms alone = {true, true, true, 15, 15};
static const dw_ws_terms context = {true, false, false, 12, 15};
static const dw_ws_terms small_window = {true, true, true, 9, 15};

#define SENTENCE "the same words, the same words, and again the same words. "

static void check_compression(const dw_ws_terms *terms, bool shrinks) {
  pair p;
  begin_pair(&p, terms);
  char text[600];
  for (size_t i = 0; i < sizeof text; i++)
    text[i] = SENTENCE[i % (sizeof SENTENCE - 1)];
  dw_slice message = dw_slice_of(text, sizeof text);
  for (int i = 0; i < 2; i++) {
    size_t first = send_over(&p, i == 0, message);
    size_t second = send_over(&p, i == 0, message);
    CHECK(first < sizeof text / 2);
    CHECK(shrinks ? second < first : second == first || i == 0);
  }
  send_over(&p, true, DW_EMPTY);
  char log[256];
  snprintf(log, sizeof log, "text:%.40s text:%.40s", text, text);
  CHECK_STR(p.client.log, log);
  strcat(log, " text:");
  CHECK_STR(p.server.log, log);
  end_pair(&p);
}

TEST(compresses_each_message_by_itself) { check_compression(&alone, false); }

TEST(compresses_with_what_was_said_before) {
  check_compression(&context, true);
}

TEST(compresses_for_a_small_window) { check_compression(&small_window, false); }

/* From RFC 7692, 7.2.3: "Hello" in several ways of writing it. */
TEST(inflates_what_others_have_deflated) {
  check_frames((const frame[]){FRAME(FIN | RSV1 | 1, "\xf2\x48\xcd\xc9\xc9\x07"
                                                     "\x00"),
                               FRAME(FIN | RSV1 | 1, "\xf2\x00\x11\x00\x00"),
                               END},
               "text:Hello text:Hello", &context, 100);
  check_frames((const frame[]){FRAME(RSV1 | 1, "\xf2\x48\xcd"),
                               FRAME(FIN, "\xc9\xc9\x07\x00"), END},
               "text:Hello", &alone, 5);
  check_frames((const frame[]){{FIN | RSV1 | 1,
                                false,
                                {"\x00\x05\x00\xfa\xff"
                                 "Hello\x00",
                                 11}},
                               END},
               "text:Hello", &alone, 5);
  /* A block that says it is the last, and one that refers to it. */
  check_frames(
      (const frame[]){FRAME(FIN | RSV1 | 1, "\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
                      FRAME(FIN | RSV1 | 1, "\xf2\x00\x11\x00\x00"), END},
      "text:Hello text:Hello", &context, 100);
}

/* Each two bytes are such a block: it must not cost more than others. */
TEST(a_message_of_last_blocks_copies_no_window) {
  static char blocks[20001];
  for (size_t i = 0; i + 1 < sizeof blocks; i++) blocks[i] = i % 2 ? 0 : 3;
  const frame frames[] = {FRAME(FIN | RSV1 | 1, "\xf2\x48\xcd\xc9\xc9\x07\x00"),
                          {FIN | RSV1 | 1, false, {blocks, sizeof blocks}},
                          FRAME(FIN | RSV1 | 1, "\xf2\x00\x11\x00\x00"),
                          END};
  check_frames(frames, "text:Hello text: text:Hello", &context, 100);
  bench b;
  dw_buffer bytes;
  begin(&b, false, &context, 100);
  dw_buffer_init(&bytes, &b.alloc, 0);
  put_frame(&bytes, &frames[0]);
  read_in(&b, dw_buffer_slice(&bytes), 100);
  bytes.len = 0;
  put_frame(&bytes, &frames[1]);
  size_t used = b.alloc.peak = b.alloc.used;
  read_in(&b, dw_buffer_slice(&bytes), sizeof blocks + 100);
  CHECK(b.alloc.peak < used + 8 * 1024);
  dw_buffer_deinit(&bytes);
  end(&b);
}

TEST(an_uncompressed_message_may_come_all_the_same) {
  check_frames((const frame[]){FRAME(FIN | 1, "plain"), END}, "text:plain",
               &alone, 100);
}

TEST(refuses_what_can_not_be_inflated) {
  check_frames((const frame[]){FRAME(FIN | RSV1 | 1, "\xff\xff\xff\xff"), END},
               "failed:1007:", &alone, 100);
  check_frames((const frame[]){FRAME(1, "a"), FRAME(FIN | RSV1, "b"), END},
               "failed:1002:", &alone, 100);
  check_frames((const frame[]){FRAME(FIN | RSV1 | 9, ""), END},
               "failed:1002:", &alone, 100);
}

/* A few bytes on the wire, a lot behind them. */
TEST(stops_inflating_at_the_limit) {
  pair p;
  begin_pair(&p, &alone);
  size_t size = 1 << 20;
  char *zeros = calloc(1, size);
  p.server.ws.max_message = 100000;
  size_t sent = send_over(&p, true, dw_slice_of(zeros, size));
  CHECK(sent < 2000);
  CHECK_STR(p.server.log, "failed:1009:");
  CHECK(p.server.alloc.peak < 600000);
  free(zeros);
  end_pair(&p);
}

/* --- Terms ---------------------------------------------------------------- */

static void check_terms(const char *offers, dw_ws_compress how,
                        const char *answer) {
  dw_allocator a;
  dw_buffer out;
  dw_ws_terms terms, theirs;
  dw_allocator_init(&a, NULL, NULL);
  dw_buffer_init(&out, &a, 0);
  CHECK_INT(dw_ws_negotiate(dw_slice_str(offers), how, &terms, &out), 0);
  CHECK_SLICE(dw_buffer_slice(&out), answer);
  CHECK_INT(terms.on, *answer != '\0');
  CHECK(dw_ws_agree(dw_buffer_slice(&out), &theirs));
  CHECK_INT(theirs.on, terms.on);
  CHECK_INT(theirs.server_alone, terms.server_alone);
  CHECK_INT(theirs.client_alone, terms.client_alone);
  dw_buffer_deinit(&out);
}

TEST(agrees_on_terms) {
  const char *plain = "permessage-deflate; server_no_context_takeover; "
                      "client_no_context_takeover";
  check_terms("permessage-deflate", DW_WS_COMPRESS_ALONE, plain);
  check_terms(DW_WS_OFFER, DW_WS_COMPRESS_ALONE, plain);
  check_terms("x-unknown, permessage-deflate;server_max_window_bits=7 ,"
              "Permessage-Deflate",
              DW_WS_COMPRESS_ALONE, plain);
  check_terms("permessage-deflate; server_max_window_bits=\"10\"",
              DW_WS_COMPRESS_ALONE,
              "permessage-deflate; server_no_context_takeover; "
              "client_no_context_takeover; server_max_window_bits=10");
  check_terms(DW_WS_OFFER, DW_WS_COMPRESS_CONTEXT,
              "permessage-deflate; client_max_window_bits=12");
  check_terms("permessage-deflate; client_max_window_bits=9; "
              "server_no_context_takeover",
              DW_WS_COMPRESS_CONTEXT,
              "permessage-deflate; server_no_context_takeover; "
              "client_max_window_bits=9");
}

TEST(declines_terms_that_it_can_not_keep) {
  static const char *const offers[] = {
      "",
      "permessage-bzip2",
      "permessage-deflate; unknown",
      "permessage-deflate; server_max_window_bits",
      "permessage-deflate; server_max_window_bits=16",
      "permessage-deflate; server_max_window_bits=08",
      "permessage-deflate; server_max_window_bits=8",
      "permessage-deflate; client_max_window_bits=7",
      "permessage-deflate; server_no_context_takeover=1",
      "permessage-deflate; server_no_context_takeover; "
      "server_no_context_takeover",
      "permessage-deflate; client_max_window_bits; client_max_window_bits"};
  for (size_t i = 0; i < sizeof offers / sizeof offers[0]; i++)
    check_terms(offers[i], DW_WS_COMPRESS_CONTEXT, "");
  check_terms("permessage-deflate", DW_WS_COMPRESS_NEVER, "");
}

TEST(a_client_refuses_an_answer_that_it_did_not_offer) {
  dw_ws_terms terms;
  CHECK(!dw_ws_agree(DW_LITERAL("permessage-bzip2"), &terms));
  CHECK(!dw_ws_agree(DW_LITERAL("permessage-deflate; x=1"), &terms));
  CHECK(!dw_ws_agree(DW_LITERAL("permessage-deflate; client_max_window_bits"),
                     &terms));
}

/* --- For many ------------------------------------------------------------- */

TEST(encodes_once_for_all_that_are_alike) {
  bench plain, packed, own;
  begin(&plain, false, NULL, 100);
  begin(&packed, false, &alone, 100);
  begin(&own, false, &context, 100);
  char text[400];
  memset(text, 'x', sizeof text);
  dw_ws_broadcast b;
  dw_slice once, again;
  dw_ws_broadcast_init(&b, &plain.alloc, true, dw_slice_of(text, sizeof text));
  CHECK_INT(dw_ws_broadcast_for(&b, &plain.ws, &once), 1);
  CHECK_INT(once.len, sizeof text + 4);
  CHECK_INT(dw_ws_broadcast_for(&b, &plain.ws, &again), 1);
  CHECK(again.ptr == once.ptr);
  CHECK_INT(dw_ws_broadcast_for(&b, &packed.ws, &once), 1);
  CHECK(once.len < 50);
  CHECK_INT(dw_ws_broadcast_for(&b, &own.ws, &once), 0);
  dw_ws_broadcast_deinit(&b);
  end(&own);
  end(&packed);
  end(&plain);
}

/* --- Without memory ------------------------------------------------------- */

static int talk(dw_allocator *a, void *data) {
  const dw_ws_terms *terms = data;
  dw_ws_pool server_pool, client_pool;
  dw_ws server, client;
  dw_buffer wire;
  dw_ws_pool_init(&server_pool, a, false);
  dw_ws_pool_init(&client_pool, a, true);
  dw_ws_init(&server, &server_pool, terms, 10000);
  dw_ws_init(&client, &client_pool, terms, 10000);
  dw_buffer_init(&wire, a, 0);
  char text[500];
  memset(text, 'x', sizeof text);
  int code = dw_ws_write(&client, true, dw_slice_of(text, sizeof text), &wire);
  if (code == 0)
    code = dw_ws_write_control(&client, DW_WS_OPCODE_PING, DW_LITERAL("ping"),
                               &wire);
  dw_slice bytes = dw_buffer_slice(&wire);
  dw_ws_event e = DW_WS_MORE;
  while (code == 0 && (e = dw_ws_read(&server, &bytes)) != DW_WS_MORE)
    if (e == DW_WS_FAILED) {
      CHECK_INT(server.code, DW_WS_ERROR);
      code = DW_ENOMEM;
    }
  dw_buffer_deinit(&wire);
  dw_ws_deinit(&client);
  dw_ws_deinit(&server);
  dw_ws_pool_deinit(&client_pool);
  dw_ws_pool_deinit(&server_pool);
  return code;
}

TEST(survives_failing_allocations) {
  unit_failing_allocations(talk, NULL);
  unit_failing_allocations(talk, (void *)(uintptr_t)&alone);
  unit_failing_allocations(talk, (void *)(uintptr_t)&context);
}
