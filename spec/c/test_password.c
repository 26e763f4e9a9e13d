/* SPDX-License-Identifier: MIT */
/* Keys of passwords against the examples of RFC 6070 and RFC 7914, and hashes
 * in Lua with failing allocations. */
#include <stdio.h>

#include "unit.h"

#include "base/error.h"
#include "base/password.h"
#include "support/host.h"

/* --- Keys ------------------------------------------------------------------*/

TEST(costs_without_meaning_or_bound_are_invalid) {
  static const dw_kdf_cost good[] = {{DW_PBKDF2_SHA1, 1, 0, 0},
                                     {DW_PBKDF2_SHA512, 1000000000, 0, 0},
                                     {DW_SCRYPT, 2, 1, 1},
                                     {DW_SCRYPT, 1 << 15, 8, 1},
                                     {DW_SCRYPT, 1 << 20, 8, 1}};
  static const dw_kdf_cost bad[] = {
      {DW_PBKDF2_SHA1, 0, 0, 0},    {DW_PBKDF2_SHA256, 1000000001, 0, 0},
      {DW_SCRYPT, 1, 8, 1},         {DW_SCRYPT, 24, 8, 1},
      {DW_SCRYPT, 16, 0, 1},        {DW_SCRYPT, 16, 8, 0},
      {DW_SCRYPT, 1 << 20, 8, 2},   {DW_SCRYPT, 2, UINT64_MAX, 1},
      {DW_SCRYPT, 2, 1, UINT64_MAX}};
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
    CHECK(dw_kdf_valid(&good[i]));
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    CHECK(!dw_kdf_valid(&bad[i]));
}

#ifdef DEWAR_WITH_OPENSSL

static const char *derive(dw_kdf_cost cost, const char *password,
                          const char *salt) {
  static char text[2 * DW_KEY_MAX + 1];
  unsigned char key[DW_KEY_MAX];
  CHECK(dw_kdf_valid(&cost));
  CHECK_INT(
      dw_kdf_derive(&cost, dw_slice_str(password), dw_slice_str(salt), key), 0);
  for (size_t i = 0; i < dw_kdf_size(cost.kind); i++)
    sprintf(text + 2 * i, "%02x", key[i]);
  return text;
}

TEST(keys_are_those_of_rfc_6070_and_7914) {
  dw_kdf_cost pbkdf2 = {DW_PBKDF2_SHA1, 4096, 0, 0};
  CHECK_STR(derive(pbkdf2, "password", "salt"),
            "4b007901b765489abead49d926f721d065a429c1");
  dw_kdf_cost scrypt = {DW_SCRYPT, 16, 1, 1};
  CHECK_STR(derive(scrypt, "", ""),
            "77d6576238657b203b19ca42c18a0497f16b4844e3074ae8dfdffa3fede21442"
            "fcd0069ded0948f8326a753a0fc81f17e8d3e0fb2e0d3628cf35e20c38d18906");
  dw_kdf_cost dearer = {DW_SCRYPT, 1024, 8, 16};
  CHECK_STR(derive(dearer, "password", "NaCl"),
            "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
            "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640");
}

/* --- Without memory --------------------------------------------------------*/

static host h;

static const char without_hashes[] = "local dewar = require 'dewar'\n"
                                     "return dewar.app()\n";

/* A hash, and one that is under way when the runtime is freed. */
static const char with_hashes[] =
    "local dewar = require 'dewar'\n"
    "local app = dewar.app()\n"
    "local hash = dewar.generate_password_hash('a', 'scrypt:16:8:1')\n"
    "assert(dewar.check_password_hash(hash, 'a'))\n"
    "dewar.spawn(dewar.generate_password_hash, 'a', 'scrypt:1024:8:1')\n"
    "dewar.yield()\n"
    "return app\n";

TEST(hashes_that_run_out_of_memory_leave_nothing) {
  size_t from = host_live(&h, without_hashes, 0, false);
  size_t to = host_live(&h, with_hashes, 0, false);
  CHECK(to > from);
  for (int after = 0; after < 2; after++)
    for (size_t n = from; n <= to + 8; n++)
      host_live(&h, with_hashes, n, after);
}

#else

TEST(keys_need_openssl) {
  unsigned char key[DW_KEY_MAX];
  dw_kdf_cost cost = {DW_SCRYPT, 16, 1, 1};
  CHECK_INT(dw_kdf_derive(&cost, DW_EMPTY, DW_EMPTY, key), UV_ENOTSUP);
}

#endif
