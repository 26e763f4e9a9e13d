/* SPDX-License-Identifier: MIT */
/* Digests, base 64 and zlib, against the examples of their RFCs. */
#include "unit.h"

#include "base/base64.h"
#include "base/crypto.h"
#include "base/deflate.h"
#include "base/error.h"

static const char *hex(const unsigned char *bytes, size_t len) {
  static char text[2 * DW_DIGEST_MAX + 1];
  for (size_t i = 0; i < len; i++) sprintf(text + 2 * i, "%02x", bytes[i]);
  return text;
}

/* --- Digests ---------------------------------------------------------------*/

#ifdef DEWAR_WITH_OPENSSL

TEST(digests_are_those_of_fips_180) {
  unsigned char out[DW_DIGEST_MAX];
  CHECK_INT(dw_digest_of(DW_SHA1, DW_LITERAL("abc"), out), 0);
  CHECK_STR(hex(out, dw_digest_size(DW_SHA1)),
            "a9993e364706816aba3e25717850c26c9cd0d89d");
  CHECK_INT(dw_digest_of(DW_SHA256, DW_LITERAL("abc"), out), 0);
  CHECK_STR(hex(out, dw_digest_size(DW_SHA256)),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(hmacs_are_those_of_rfc_2202_and_4231) {
  unsigned char out[DW_DIGEST_MAX];
  dw_slice data = DW_LITERAL("what do ya want for nothing?");
  CHECK_INT(dw_hmac(DW_SHA1, DW_LITERAL("Jefe"), data, out), 0);
  CHECK_STR(hex(out, 20), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
  CHECK_INT(dw_hmac(DW_SHA256, DW_LITERAL("Jefe"), data, out), 0);
  CHECK_STR(hex(out, 32),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(an_empty_key_and_empty_data_have_an_hmac_too) {
  unsigned char out[DW_DIGEST_MAX];
  CHECK_INT(dw_hmac(DW_SHA1, DW_EMPTY, DW_EMPTY, out), 0);
  CHECK_STR(hex(out, 20), "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d");
  CHECK_INT(dw_hmac(DW_SHA1, (dw_slice){NULL, 0}, (dw_slice){NULL, 0}, out), 0);
  CHECK_STR(hex(out, 20), "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d");
}

#else

TEST(digests_need_openssl) {
  unsigned char out[DW_DIGEST_MAX];
  CHECK_INT(dw_digest_of(DW_SHA1, DW_EMPTY, out), UV_ENOTSUP);
  CHECK_INT(dw_hmac(DW_SHA1, DW_EMPTY, DW_EMPTY, out), UV_ENOTSUP);
  CHECK_STR(hex(out, 0), "");
}

#endif

TEST(comparing_looks_at_every_byte_and_the_length) {
  char a[] = "0123456789", b[] = "0123456789";
  dw_slice left = dw_slice_of(a, 10), right = dw_slice_of(b, 10);
  CHECK(dw_equal_in_constant_time(left, right));
  for (int i = 0; i < 10; i++) {
    for (int bit = 0; bit < 8; bit++) {
      b[i] = (char)(b[i] ^ 1 << bit);
      CHECK(!dw_equal_in_constant_time(left, right));
      b[i] = a[i];
    }
  }
  CHECK(!dw_equal_in_constant_time(left, dw_slice_of(b, 9)));
  CHECK(dw_equal_in_constant_time(DW_EMPTY, (dw_slice){NULL, 0}));
}

TEST(random_bytes_are_not_the_same_twice) {
  unsigned char a[32] = {0}, b[32] = {0};
  CHECK_INT(dw_random(a, sizeof a), 0);
  CHECK_INT(dw_random(b, sizeof b), 0);
  CHECK(memcmp(a, b, sizeof a) != 0);
}

/* --- Base 64 ---------------------------------------------------------------*/

static void check_base64(dw_base64 kind, dw_slice bytes, const char *text) {
  char out[64];
  size_t len = dw_base64_encode(kind, bytes, out);
  CHECK_SLICE(dw_slice_of(out, len), text);
  CHECK(len <= dw_base64_encoded_max(bytes.len));
  char back[64];
  CHECK(dw_base64_decode(kind, dw_slice_str(text), back, &len));
  CHECK(dw_slice_equal(dw_slice_of(back, len), bytes));
  CHECK(len <= dw_base64_decoded_max(strlen(text)));
}

TEST(base64_is_that_of_rfc_4648) {
  check_base64(DW_BASE64, DW_EMPTY, "");
  check_base64(DW_BASE64, DW_LITERAL("f"), "Zg==");
  check_base64(DW_BASE64, DW_LITERAL("fo"), "Zm8=");
  check_base64(DW_BASE64, DW_LITERAL("foo"), "Zm9v");
  check_base64(DW_BASE64, DW_LITERAL("foob"), "Zm9vYg==");
  check_base64(DW_BASE64, DW_LITERAL("fooba"), "Zm9vYmE=");
  check_base64(DW_BASE64, DW_LITERAL("foobar"), "Zm9vYmFy");
  check_base64(DW_BASE64, DW_LITERAL("\xfb\xff\x00"), "+/8A");
  check_base64(DW_BASE64_URL, DW_LITERAL("\xfb\xff\x00"), "-_8A");
  check_base64(DW_BASE64_URL, DW_LITERAL("f"), "Zg");
  check_base64(DW_BASE64_URL, DW_LITERAL("fo"), "Zm8");
}

TEST(what_is_no_base64_is_refused) {
  static const char *const plain[] = {"A",     "AAAAA",  "A===", "AA=",
                                      "AAA=A", "====",   "A A=", "-_8A",
                                      "Zg=\n", "AA==AA", "="};
  char out[64];
  size_t len;
  for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
    CHECK(!dw_base64_decode(DW_BASE64, dw_slice_str(plain[i]), out, &len));
  CHECK(!dw_base64_decode(DW_BASE64_URL, DW_LITERAL("+/8A"), out, &len));
  CHECK(dw_base64_decode(DW_BASE64, DW_LITERAL("Zg"), out, &len));
}

/* --- zlib ------------------------------------------------------------------*/

#ifdef DEWAR_WITH_ZLIB

enum { LARGE = 300 * 1000 };

static void fill(dw_buffer *b, size_t n) {
  for (size_t i = 0; i < n; i++)
    CHECK_INT(dw_buffer_append_char(b, (char)('a' + i * i % 23)), 0);
}

TEST(what_is_deflated_inflates_to_the_same) {
  static const size_t sizes[] = {0, 1, 255, 256, 257, 5000, LARGE};
  dw_allocator a;
  dw_allocator_init(&a, NULL, NULL);
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    dw_buffer plain, small, back;
    dw_buffer_init(&plain, &a, 0);
    dw_buffer_init(&small, &a, 0);
    dw_buffer_init(&back, &a, 0);
    fill(&plain, sizes[i]);
    CHECK_INT(dw_deflate(dw_buffer_slice(&plain), &small), 0);
    CHECK_INT(dw_inflate(dw_buffer_slice(&small), sizes[i], &back), 0);
    CHECK(dw_slice_equal(dw_buffer_slice(&plain), dw_buffer_slice(&back)));
    dw_buffer_deinit(&plain);
    dw_buffer_deinit(&small);
    dw_buffer_deinit(&back);
  }
  CHECK_INT(a.used, 0);
}

TEST(a_bomb_is_refused_before_it_has_grown) {
  dw_allocator a;
  dw_allocator_init(&a, NULL, NULL);
  dw_buffer plain, small, back;
  dw_buffer_init(&plain, &a, 0);
  dw_buffer_init(&small, &a, 0);
  dw_buffer_init(&back, &a, 0);
  CHECK_INT(dw_buffer_reserve(&plain, 50 * LARGE), 0);
  memset(plain.ptr, 'x', 50 * LARGE);
  plain.len = 50 * LARGE;
  CHECK_INT(dw_deflate(dw_buffer_slice(&plain), &small), 0);
  dw_buffer_deinit(&plain);
  CHECK_INT(dw_buffer_append(&back, "before", 6), 0);
  size_t peak = a.peak = a.used;
  CHECK_INT(dw_inflate(dw_buffer_slice(&small), 1000, &back), DW_ETOOBIG);
  CHECK(a.peak - peak < 100 * 1000);
  CHECK_SLICE(dw_buffer_slice(&back), "before");
  dw_buffer_deinit(&small);
  dw_buffer_deinit(&back);
  CHECK_INT(a.used, 0);
}

TEST(what_zlib_has_not_made_is_refused) {
  dw_allocator a;
  dw_allocator_init(&a, NULL, NULL);
  dw_buffer small, back;
  dw_buffer_init(&small, &a, 0);
  dw_buffer_init(&back, &a, 0);
  CHECK_INT(dw_deflate(DW_LITERAL("abcabcabc, abcabcabc"), &small), 0);
  for (size_t n = 0; n < small.len; n++)
    CHECK_INT(dw_inflate(dw_slice_of(small.ptr, n), 100, &back), DEWAR_EPARSE);
  small.ptr[small.len - 1] ^= 1; /* the sum at its end */
  CHECK_INT(dw_inflate(dw_buffer_slice(&small), 100, &back), DEWAR_EPARSE);
  small.ptr[small.len - 1] ^= 1;
  CHECK_INT(dw_inflate(dw_buffer_slice(&small), 100, &back), 0);
  CHECK_INT(dw_buffer_append_char(&small, 'x'), 0); /* behind it */
  CHECK_INT(dw_inflate(dw_buffer_slice(&small), 100, &back), DEWAR_EPARSE);
  dw_buffer_deinit(&small);
  dw_buffer_deinit(&back);
  CHECK_INT(a.used, 0);
}

static int there_and_back(dw_allocator *a, void *data) {
  dw_buffer small, back;
  (void)data;
  dw_buffer_init(&small, a, 0);
  dw_buffer_init(&back, a, 0);
  int code = dw_deflate(DW_LITERAL("abcabcabc, abcabcabc"), &small);
  if (code == 0) code = dw_inflate(dw_buffer_slice(&small), 100, &back);
  CHECK(code == 0 || code == DW_ENOMEM);
  CHECK_INT(back.len, code == 0 ? 20 : 0);
  dw_buffer_deinit(&small);
  dw_buffer_deinit(&back);
  return code;
}

TEST(zlib_without_memory_leaves_nothing) {
  unit_failing_allocations(there_and_back, NULL);
}

#else

TEST(compressing_needs_zlib) {
  dw_allocator a;
  dw_buffer b;
  dw_allocator_init(&a, NULL, NULL);
  dw_buffer_init(&b, &a, 0);
  CHECK_INT(dw_deflate(DW_EMPTY, &b), UV_ENOTSUP);
  CHECK_INT(dw_inflate(DW_EMPTY, 1, &b), UV_ENOTSUP);
}

#endif
