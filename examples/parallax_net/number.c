/* SPDX-License-Identifier: MIT */
/* number.c -- arithmetic, text form and printing of HVM2 numbers.
 *
 * Two operands never both bring an operator: a symbol and a value make a partial, a partial and a value compute
 * "carrier op other". Every other combination is 0. So the operation is symmetric in its operands, which is what
 * makes the operator node confluent: it does not matter which operand arrived first.
 * Our choices where HVM2 is silent or undefined: division by zero gives 0; shifts and unary casts as in its C runtime.
 */
#include "number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest first where one is a prefix of another. */
static const struct {
  const char *text;
  unsigned operator;
} operators[] = {
  {":<<", PN_SHL_FLIPPED}, {":>>", PN_SHR_FLIPPED}, {":-", PN_SUB_FLIPPED}, {":/", PN_DIV_FLIPPED},
  {":%", PN_REM_FLIPPED},  {"<<", PN_SHL},          {">>", PN_SHR},         {"+", PN_ADD},
  {"-", PN_SUB},           {"*", PN_MUL},           {"/", PN_DIV},          {"%", PN_REM},
  {"=", PN_EQ},            {"!", PN_NEQ},           {"<", PN_LT},           {">", PN_GT},
  {"&", PN_AND},           {"|", PN_OR},            {"^", PN_XOR},
};
static const char *const casts[] = {"to_u24", "to_i24", "to_f24"};

/* A f24 is a 32-bit float without its last byte, rounded to nearest, ties to even. */
pn_num pn_num_f24(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  uint32_t high = bits >> 8;
  if (isnan(value)) return pn_num_pack(high | 1, PN_F24);
  uint32_t lost = bits & 0xff;
  high += lost > 0x80 || (lost == 0x80 && (high & 1));
  return pn_num_pack(high, PN_F24);
}

float pn_num_float(pn_num number) {
  uint32_t bits = pn_num_bits(number) << 8;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static float clamp(float value, float low, float high) { return value < low ? low : value > high ? high : value; }

static pn_num cast(unsigned target, pn_num number) {
  unsigned from = pn_num_type(number);
  if (from != PN_F24)
    return target != PN_F24 ? pn_num_pack(pn_num_bits(number), target)
           : from == PN_I24 ? pn_num_f24((float)pn_num_signed(number))
                            : pn_num_f24((float)pn_num_bits(number));
  float value = pn_num_float(number);
  if (target == PN_F24) return number;
  if (isnan(value)) return pn_num_pack(0, target);
  if (target == PN_U24) return pn_num_u24((uint32_t)clamp(value, 0, (float)PN_U24_MAX));
  return pn_num_i24((int32_t)clamp(value, -8388608.0f, 8388607.0f));
}

static uint32_t divide(uint32_t a, uint32_t b) { return b ? a / b : 0; }
static uint32_t remainder_of(uint32_t a, uint32_t b) { return b ? a % b : 0; }
static uint32_t shift_left(uint32_t a, uint32_t b) { return a << (b & 31); }
static uint32_t shift_right(uint32_t a, uint32_t b) { return a >> (b & 31); }

static pn_num operate_u24(unsigned operator, uint32_t a, uint32_t b) {
  switch (operator) {
    case PN_ADD: return pn_num_u24(a + b);
    case PN_SUB: return pn_num_u24(a - b);
    case PN_SUB_FLIPPED: return pn_num_u24(b - a);
    case PN_MUL: return pn_num_u24(a * b);
    case PN_DIV: return pn_num_u24(divide(a, b));
    case PN_DIV_FLIPPED: return pn_num_u24(divide(b, a));
    case PN_REM: return pn_num_u24(remainder_of(a, b));
    case PN_REM_FLIPPED: return pn_num_u24(remainder_of(b, a));
    case PN_EQ: return pn_num_u24(a == b);
    case PN_NEQ: return pn_num_u24(a != b);
    case PN_LT: return pn_num_u24(a < b);
    case PN_GT: return pn_num_u24(a > b);
    case PN_AND: return pn_num_u24(a & b);
    case PN_OR: return pn_num_u24(a | b);
    case PN_XOR: return pn_num_u24(a ^ b);
    case PN_SHL: return pn_num_u24(shift_left(a, b));
    case PN_SHL_FLIPPED: return pn_num_u24(shift_left(b, a));
    case PN_SHR: return pn_num_u24(shift_right(a, b));
    case PN_SHR_FLIPPED: return pn_num_u24(shift_right(b, a));
    default: return pn_num_u24(0);
  }
}

/* In 64 bits nothing overflows, and the pack masks; the quotient truncates and the remainder has a's sign, as in C. */
static pn_num operate_i24(unsigned operator, int64_t a, int64_t b) {
  switch (operator) {
    case PN_ADD: return pn_num_pack((uint32_t)(a + b), PN_I24);
    case PN_SUB: return pn_num_pack((uint32_t)(a - b), PN_I24);
    case PN_SUB_FLIPPED: return pn_num_pack((uint32_t)(b - a), PN_I24);
    case PN_MUL: return pn_num_pack((uint32_t)(a * b), PN_I24);
    case PN_DIV: return pn_num_pack((uint32_t)(b ? a / b : 0), PN_I24);
    case PN_DIV_FLIPPED: return pn_num_pack((uint32_t)(a ? b / a : 0), PN_I24);
    case PN_REM: return pn_num_pack((uint32_t)(b ? a % b : 0), PN_I24);
    case PN_REM_FLIPPED: return pn_num_pack((uint32_t)(a ? b % a : 0), PN_I24);
    case PN_EQ: return pn_num_u24(a == b);
    case PN_NEQ: return pn_num_u24(a != b);
    case PN_LT: return pn_num_u24(a < b);
    case PN_GT: return pn_num_u24(a > b);
    case PN_AND: return pn_num_pack((uint32_t)(a & b), PN_I24);
    case PN_OR: return pn_num_pack((uint32_t)(a | b), PN_I24);
    case PN_XOR: return pn_num_pack((uint32_t)(a ^ b), PN_I24);
    default: return pn_num_i24(0);
  }
}

/* The bit operators are given to functions of floating values, as in HVM2. */
static pn_num operate_f24(unsigned operator, float a, float b) {
  switch (operator) {
    case PN_ADD: return pn_num_f24(a + b);
    case PN_SUB: return pn_num_f24(a - b);
    case PN_SUB_FLIPPED: return pn_num_f24(b - a);
    case PN_MUL: return pn_num_f24(a * b);
    case PN_DIV: return pn_num_f24(a / b);
    case PN_DIV_FLIPPED: return pn_num_f24(b / a);
    case PN_REM: return pn_num_f24(fmodf(a, b));
    case PN_REM_FLIPPED: return pn_num_f24(fmodf(b, a));
    case PN_EQ: return pn_num_u24(a == b);
    case PN_NEQ: return pn_num_u24(a != b);
    case PN_LT: return pn_num_u24(a < b);
    case PN_GT: return pn_num_u24(a > b);
    case PN_AND: return pn_num_f24(atan2f(a, b));
    case PN_OR: return pn_num_f24(logf(b) / logf(a));
    case PN_XOR: return pn_num_f24(powf(a, b));
    case PN_SHL: return pn_num_f24(sinf(a + b));
    case PN_SHR: return pn_num_f24(tanf(a + b));
    default: return pn_num_f24(0);
  }
}

static pn_num compute(pn_num carrier, pn_num other) {
  unsigned operator = pn_num_type(carrier);
  switch (pn_num_type(other)) {
    case PN_U24: return operate_u24(operator, pn_num_bits(carrier), pn_num_bits(other));
    case PN_I24: return operate_i24(operator, pn_num_signed(carrier), pn_num_signed(other));
    default: return operate_f24(operator, pn_num_float(carrier), pn_num_float(other));
  }
}

static bool is_cast(pn_num number) {
  return pn_num_type(number) == PN_SYM && pn_num_bits(number) >= PN_U24 && pn_num_bits(number) <= PN_F24;
}

pn_num pn_num_operate(pn_num a, pn_num b) {
  if (pn_num_type(b) == PN_SYM || (pn_num_type(b) >= PN_ADD && pn_num_type(a) != PN_SYM)) {
    pn_num swap = a;
    a = b, b = swap;
  } /* now a is the symbol, or the carrier, if there is one */
  if (pn_num_type(b) == PN_SYM) return pn_num_u24(0);
  if (pn_num_type(a) == PN_SYM) {
    if (is_cast(a) && pn_num_is_value(b)) return cast(pn_num_bits(a), b);
    return pn_num_pack(pn_num_bits(b), pn_num_bits(a) & 31);
  }
  if (pn_num_type(a) < PN_ADD || pn_num_type(b) >= PN_ADD) return pn_num_u24(0);
  return compute(a, b);
}

/* ---- text -------------------------------------------------------------------------------------------------- */

static bool starts(const char *text, const char *end, const char *prefix) {
  size_t length = strlen(prefix);
  return (size_t)(end - text) >= length && memcmp(text, prefix, length) == 0;
}

static const char *skip_blanks(const char *text, const char *end) {
  while (text < end && (*text == ' ' || *text == '\t' || *text == '\n' || *text == '\r')) ++text;
  return text;
}

static bool is_literal_byte(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '+' || c == '-' ||
         c == '.' || c == '_';
}

static bool parse_integer(const char *digits, pn_num *out) {
  bool is_signed = *digits == '+' || *digits == '-', negative = *digits == '-';
  digits += is_signed;
  int base = digits[0] == '0' && digits[1] == 'x' ? 16 : digits[0] == '0' && digits[1] == 'b' ? 2 : 10;
  if (base != 10) digits += 2;
  char *stop;
  if (*digits == '+' || *digits == '-') return false;
  unsigned long value = strtoul(digits, &stop, base);
  if (*digits == 0 || *stop || value > (is_signed ? 8388607u + negative : PN_U24_MAX)) return false;
  *out = is_signed ? pn_num_i24((int32_t)(negative ? -(long)value : (long)value)) : pn_num_u24((uint32_t)value);
  return true;
}

static const char *parse_value(const char *text, const char *end, pn_num *out, const char **expected,
                               const char **at) {
  char digits[64];
  size_t length = 0;
  while (text + length < end && length < sizeof digits - 1 && is_literal_byte(text[length])) ++length;
  memcpy(digits, text, length);
  digits[length] = 0;
  *at = text;
  if (strchr(digits, '.') || strstr(digits, "inf") || strstr(digits, "NaN")) {
    char *stop;
    *out = pn_num_f24(strtof(digits, &stop));
    *expected = "a floating number such as 2.5, +inf or +NaN";
    return *stop ? NULL : text + length;
  }
  *expected = "a number of 24 bits (0 to 16777215, or signed -8388608 to +8388607); exact ones are written #123";
  return parse_integer(digits, out) ? text + length : NULL;
}

static const char *parse_bracket(const char *text, const char *end, pn_num *out, const char **expected,
                                 const char **at) {
  for (unsigned i = 0; i < 3; ++i)
    if (starts(text, end, casts[i])) return *out = pn_num_pack(i + 1, PN_SYM), text + strlen(casts[i]);
  for (size_t i = 0; i < sizeof operators / sizeof *operators; ++i) {
    if (!starts(text, end, operators[i].text)) continue;
    *out = pn_num_pack(operators[i].operator, PN_SYM);
    text = skip_blanks(text + strlen(operators[i].text), end);
    if (text == end || *text == ']') return text;
    pn_num value;
    text = parse_value(text, end, &value, expected, at);
    if (text) *out = pn_num_pack(pn_num_bits(value), operators[i].operator);
    return text;
  }
  *expected = "an operator symbol such as + or to_u24", *at = text;
  return NULL;
}

const char *pn_num_parse(const char *text, const char *end, pn_num *out, const char **expected, const char **at) {
  if (*text != '[') return parse_value(text, end, out, expected, at);
  text = parse_bracket(skip_blanks(text + 1, end), end, out, expected, at);
  if (!text) return NULL;
  text = skip_blanks(text, end);
  if (text < end && *text == ']') return text + 1;
  *expected = "']'", *at = text;
  return NULL;
}

static const char *operator_text(unsigned operator) {
  if (operator >= PN_U24 && operator <= PN_F24) return casts[operator - 1];
  for (size_t i = 0; i < sizeof operators / sizeof *operators; ++i)
    if (operators[i].operator == operator) return operators[i].text;
  return "?";
}

/* The fewest digits that are read back as the same f24. */
static size_t print_float(float value, char *buffer, size_t capacity) {
  if (isnan(value)) return (size_t)snprintf(buffer, capacity, "+NaN");
  if (isinf(value)) return (size_t)snprintf(buffer, capacity, value < 0 ? "-inf" : "+inf");
  char digits[32];
  int precision = 0;
  do snprintf(digits, sizeof digits, "%.*g", ++precision, (double)value);
  while (precision < 9 && pn_num_f24(strtof(digits, NULL)) != pn_num_f24(value));
  bool plain = !strpbrk(digits, ".e");
  return (size_t)snprintf(buffer, capacity, "%s%s", digits, plain ? ".0" : "");
}

size_t pn_num_print(pn_num number, char *buffer, size_t capacity) {
  switch (pn_num_type(number)) {
    case PN_SYM: return (size_t)snprintf(buffer, capacity, "[%s]", operator_text(pn_num_bits(number)));
    case PN_U24: return (size_t)snprintf(buffer, capacity, "%u", pn_num_bits(number));
    case PN_I24: return (size_t)snprintf(buffer, capacity, "%+d", pn_num_signed(number));
    case PN_F24: return print_float(pn_num_float(number), buffer, capacity);
    default:
      return (size_t)snprintf(buffer, capacity, "[%s0x%06X]", operator_text(pn_num_type(number)),
                              pn_num_bits(number));
  }
}
