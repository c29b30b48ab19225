/* SPDX-License-Identifier: MIT */
/* number.h -- HVM2's 32-bit numbers ("numb"): 24-bit unsigned, signed and floating values, operators, and values that
 * carry an operator ("partially applied").
 *
 *   bits 0..4   0 symbol, 1 u24, 2 i24, 3 f24, 4 and up: a value that carries that operator
 *   bits 5..28  the 24-bit value; for a symbol the operator, or the type 1..3 that a cast converts to
 *
 * Pure functions. Called by the parser, the reduction rules and the readback.
 */
#ifndef PN_NUMBER_H
#define PN_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint32_t pn_num;

enum pn_num_type {
  PN_SYM, PN_U24, PN_I24, PN_F24,
  PN_ADD, PN_SUB, PN_SUB_FLIPPED, PN_MUL, PN_DIV, PN_DIV_FLIPPED, PN_REM, PN_REM_FLIPPED,
  PN_EQ, PN_NEQ, PN_LT, PN_GT, PN_AND, PN_OR, PN_XOR, PN_SHL, PN_SHL_FLIPPED, PN_SHR, PN_SHR_FLIPPED,
  PN_NUM_TYPES
};

#define PN_U24_MAX 0xffffffu

static inline pn_num pn_num_pack(uint32_t bits24, unsigned type) { return (bits24 & PN_U24_MAX) << 5 | type; }
static inline pn_num pn_num_u24(uint32_t value) { return pn_num_pack(value, PN_U24); }
static inline pn_num pn_num_i24(int32_t value) { return pn_num_pack((uint32_t)value, PN_I24); }
pn_num pn_num_f24(float value);
static inline unsigned pn_num_type(pn_num number) { return number & 31; }
static inline uint32_t pn_num_bits(pn_num number) { return number >> 5 & PN_U24_MAX; }
static inline int32_t pn_num_signed(pn_num number) { return (int32_t)(number << 3) >> 8; }
float pn_num_float(pn_num number);
static inline bool pn_num_is_value(pn_num number) { return pn_num_type(number) - 1u < 3u; }

/** What an operator node makes of its two operands, in either order. Division by zero gives 0. */
pn_num pn_num_operate(pn_num a, pn_num b);

/** Read a number, an operator "[+]", a partial "[+3]" or a cast "[to_u24]" at `text` (not beyond `end`).
 * @param expected what was missing, on failure.
 * @return the first byte after it; NULL when there is none: *at is where it went wrong. */
const char *pn_num_parse(const char *text, const char *end, pn_num *out, const char **expected, const char **at);

/** Write the number as the parser would read it. @return the length. */
size_t pn_num_print(pn_num number, char *buffer, size_t capacity);

#endif
