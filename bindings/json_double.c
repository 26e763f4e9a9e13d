/* SPDX-License-Identifier: MIT */
/* Between doubles and decimals by way of powers of ten of 128 bits. These are
 * a little too small, by less than 4 in the last place. Where that might make a
 * difference, which is seldom, the functions give up and the caller takes the
 * slow way: so what they do give is right. */
#include "bindings/json_parts.h"

#ifdef __SIZEOF_INT128__

__extension__ typedef unsigned __int128 u128;

#define STEP 27
#define POWER_MIN (-351)
#define POWER_MAX 350

/* The first 128 bits of 10^-351, 10^-324, ... */
static const uint64_t powers[][2] = {
    {0x8049A4AC0C5811AE, 0x205B896D777D6278}, /* -351 */
    {0xCF42894A5DCE35EA, 0x52064CAC828675B9}, /* -324 */
    {0xA76C582338ED2621, 0xAF2AF2B80AF6F24E}, /* -297 */
    {0x873E4F75E2224E68, 0x5A7744A6E804A291}, /* -270 */
    {0xDA7F5BF590966848, 0xAF39A475506A899E}, /* -243 */
    {0xB080392CC4349DEC, 0xBD8D794D96AACFB3}, /* -216 */
    {0x8E938662882AF53E, 0x547EB47B7282EE9C}, /* -189 */
    {0xE65829B3046B0AFA, 0x0CB4A5A3112A5112}, /* -162 */
    {0xBA121A4650E4DDEB, 0x92F34D62616CE413}, /* -135 */
    {0x964E858C91BA2655, 0x3A6A07F8D510F86F}, /* -108 */
    {0xF2D56790AB41C2A2, 0xFAE27299423FB9C3}, /* -81 */
    {0xC428D05AA4751E4C, 0xAA97E14C3C26B886}, /* -54 */
    {0x9E74D1B791E07E48, 0x775EA264CF55347D}, /* -27 */
    {0x8000000000000000, 0x0000000000000000}, /* 0 */
    {0xCECB8F27F4200F3A, 0x0000000000000000}, /* 27 */
    {0xA70C3C40A64E6C51, 0x999090B65F67D924}, /* 54 */
    {0x86F0AC99B4E8DAFD, 0x69A028BB3DED71A3}, /* 81 */
    {0xDA01EE641A708DE9, 0xE80E6F4820CC9495}, /* 108 */
    {0xB01AE745B101E9E4, 0x5EC05DCFF72E7F8F}, /* 135 */
    {0x8E41ADE9FBEBC27D, 0x14588F13BE847307}, /* 162 */
    {0xE5D3EF282A242E81, 0x8F1668C8A86DA5FA}, /* 189 */
    {0xB9A74A0637CE2EE1, 0x6D953E2BD7173692}, /* 216 */
    {0x95F83D0A1FB69CD9, 0x4ABDAF101564F98E}, /* 243 */
    {0xF24A01A73CF2DCCF, 0xBC633B39673C8CEC}, /* 270 */
    {0xC3B8358109E84F07, 0x0A862F80EC4700C8}, /* 297 */
    {0x9E19DB92B4E31BA9, 0x6C07A2C26A8346D1}, /* 324 */
};

/* 5^0, 5^1, ... */
static const uint64_t fives[STEP] = {
    1,
    5,
    25,
    125,
    625,
    3125,
    15625,
    78125,
    390625,
    1953125,
    9765625,
    48828125,
    244140625,
    1220703125,
    6103515625,
    30517578125,
    152587890625,
    762939453125,
    3814697265625,
    19073486328125,
    95367431640625,
    476837158203125,
    2384185791015625,
    11920928955078125,
    59604644775390625,
    298023223876953125,
    1490116119384765625,
};

/* 10^k is its 128 bits times 2 to the power of this. */
static int power_exponent(int k) { return ((k * 217706) >> 16) - 127; }

/* The first 128 bits of 10^k, from the next smaller one in the table and a
 * power of five: what is left is a power of two. */
static u128 power(int k) {
  int row = (k - POWER_MIN) / STEP, rest = (k - POWER_MIN) % STEP;
  uint64_t high = powers[row][0], low = powers[row][1];
  if (rest == 0) return (u128)high << 64 | low;
  uint64_t five = fives[rest] << __builtin_clzll(fives[rest]);
  u128 small = (u128)low * five;
  u128 p = (u128)high * five + (uint64_t)(small >> 64);
  if (p >> 127) return p;
  return p << 1 | ((uint64_t)small >> 63);
}

int dw_json_scale(uint64_t digits, int64_t exponent, double *out) {
  if (digits == 0 || exponent < -342 || exponent > 308) return 0;
  int zeros = __builtin_clzll(digits);
  u128 p = power((int)exponent);
  digits <<= zeros;
  u128 z = (u128)digits * (uint64_t)(p >> 64) +
           (uint64_t)(((u128)digits * (uint64_t)p) >> 64);
  /* z has 127 or 128 bits and may be too small by less than 8. 53 bits stay. */
  int drop = 74 + (int)(z >> 127);
  uint64_t m = (uint64_t)(z >> drop);
  u128 half = (u128)1 << (drop - 1), rest = z & (2 * half - 1);
  if (rest <= half && rest + 8 >= half) return 0;
  m += rest > half;
  int e = drop + 64 - zeros + power_exponent((int)exponent);
  if (m >> 53) {
    m >>= 1;
    e++;
  }
  if (e < -1074 || e > 970) return 0;
  uint64_t bits = (m & ((UINT64_C(1) << 52) - 1)) | (uint64_t)(e + 1075) << 52;
  memcpy(out, &bits, sizeof(bits));
  return 1;
}

/* Of the two multiples of 10^j around x the nearer one is taken, as long as it
 * is nearer to x than half the way to the next double: so it reads back as x.
 * All of this with x scaled to 17 or 18 digits before the point, and 64 bits
 * behind it. */
int dw_json_shorten(double x, uint64_t *digits, int *exponent) {
  uint64_t m;
  memcpy(&m, &x, sizeof(m));
  int e = (int)(m >> 52) - 1075;
  m &= (UINT64_C(1) << 52) - 1;
  /* Below a power of two the next double is nearer than above. */
  if (m == 0) return 0;
  if (e == -1075)
    e = -1074;
  else
    m |= UINT64_C(1) << 52;
  int log2 = 63 - __builtin_clzll(m) + e;
  int scale = 16 - ((log2 * 78913) >> 18);
  u128 p = power(scale);
  int shift = -(e + power_exponent(scale)) - 64;
  if (shift < 1 || shift > 63) return 0;
  u128 low = (u128)m * (uint64_t)p;
  u128 high = (u128)m * (uint64_t)(p >> 64) + (uint64_t)(low >> 64);
  u128 scaled = high << (64 - shift) | (uint64_t)low >> shift;
  u128 reach = p >> (shift + 1);

  uint64_t q = (uint64_t)(scaled >> 64), unit = 1;
  uint64_t half = UINT64_C(1) << 63, rest = (uint64_t)scaled;
  *digits = q + (rest > half || (rest == half && q % 2 == 1));
  *exponent = -scale;
  for (int j = 1; j <= 17; j++) {
    q /= 10;
    unit *= 10;
    u128 below = scaled - ((u128)(q * unit) << 64);
    u128 above = ((u128)unit << 64) - below;
    u128 off = below < above ? below : above;
    if (off > reach + 4) break;
    if (off + 4 > reach) return 0;
    *digits = q + (above < below || (above == below && q % 2 == 1));
    *exponent = j - scale;
  }
  return 1;
}

#else

int dw_json_scale(uint64_t digits, int64_t exponent, double *out) {
  (void)digits, (void)exponent, (void)out;
  return 0;
}

int dw_json_shorten(double x, uint64_t *digits, int *exponent) {
  (void)x, (void)digits, (void)exponent;
  return 0;
}

#endif
