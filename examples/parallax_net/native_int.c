/* SPDX-License-Identifier: MIT */
/* native_int.c -- exact integers, computed by GMP's mpn functions on limbs that lie in the heap.
 *
 * Every result is allocated first, with room for the largest outcome; only then are the operands' addresses read out
 * of the frame, because the allocation may have moved them. GMP's own scratch is the host's, never the heap's.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "native.h"
#include "number.h"

/* A signed operand, addressed between two safepoints. */
struct operand {
  const mp_limb_t *limb;
  mp_size_t limbs;
  bool negative;
};

static struct operand operand(struct pn_call *call, unsigned i) {
  const struct pn_integer *integer = pn_as_integer(call->layouts, call->arg[i]);
  return (struct operand){integer->limb, (mp_size_t)pn_limbs(integer), integer->size < 0};
}

static bool two_integers(struct pn_call *call, size_t *a, size_t *b) {
  const struct pn_integer *left = pn_arg_integer(call, 0), *right = left ? pn_arg_integer(call, 1) : NULL;
  if (!right) return false;
  *a = pn_limbs(left), *b = pn_limbs(right);
  return true;
}

static struct pn_integer *result_new(struct pn_call *call, size_t limbs) {
  struct pn_integer *result = pn_integer_new(call->mutator, call->layouts, limbs);
  if (!result) pn_call_no_heap(call);
  return result;
}

static varve_word finish(struct pn_integer *result, size_t limbs, bool negative) {
  pn_integer_normalize(result, limbs, negative);
  return varve_tag(result, PN_VALUE);
}

/* ---- sum and difference ------------------------------------------------------------------------------------ */

static int compare_magnitudes(struct operand a, struct operand b) {
  if (a.limbs != b.limbs) return a.limbs < b.limbs ? -1 : 1;
  return a.limbs ? mpn_cmp(a.limb, b.limb, a.limbs) : 0;
}

static size_t add_magnitudes(mp_limb_t *to, struct operand a, struct operand b) {
  if (a.limbs < b.limbs) return add_magnitudes(to, b, a);
  if (b.limbs == 0) return mpn_copyi(to, a.limb, a.limbs), (size_t)a.limbs;
  to[a.limbs] = mpn_add(to, a.limb, a.limbs, b.limb, b.limbs);
  return (size_t)a.limbs + 1;
}

/* a is not smaller than b. */
static size_t subtract_magnitudes(mp_limb_t *to, struct operand a, struct operand b) {
  if (b.limbs == 0) mpn_copyi(to, a.limb, a.limbs);
  else mpn_sub(to, a.limb, a.limbs, b.limb, b.limbs);
  return (size_t)a.limbs;
}

static varve_word sum(struct pn_call *call, bool flip_b) {
  size_t a_limbs, b_limbs;
  if (!two_integers(call, &a_limbs, &b_limbs)) return 0;
  struct pn_integer *result = result_new(call, (a_limbs > b_limbs ? a_limbs : b_limbs) + 1);
  if (!result) return 0;
  struct operand a = operand(call, 0), b = operand(call, 1);
  b.negative ^= flip_b;
  if (a.negative == b.negative) return finish(result, add_magnitudes(result->limb, a, b), a.negative);
  if (compare_magnitudes(a, b) >= 0) return finish(result, subtract_magnitudes(result->limb, a, b), a.negative);
  return finish(result, subtract_magnitudes(result->limb, b, a), b.negative);
}

varve_word pn_int_add(struct pn_call *call) { return sum(call, false); }
varve_word pn_int_sub(struct pn_call *call) { return sum(call, true); }

varve_word pn_int_neg(struct pn_call *call) {
  const struct pn_integer *integer = pn_arg_integer(call, 0);
  if (!integer) return 0;
  struct pn_integer *result = result_new(call, pn_limbs(integer));
  if (!result) return 0;
  struct operand a = operand(call, 0);
  mpn_copyi(result->limb, a.limb, a.limbs);
  return finish(result, (size_t)a.limbs, !a.negative);
}

/* ---- product, quotient, root ------------------------------------------------------------------------------- */

static size_t multiply_magnitudes(mp_limb_t *to, struct operand a, struct operand b) {
  if (a.limbs < b.limbs) return multiply_magnitudes(to, b, a);
  if (b.limbs == 0) return 0;
  mpn_mul(to, a.limb, a.limbs, b.limb, b.limbs);
  return (size_t)(a.limbs + b.limbs);
}

varve_word pn_int_mul(struct pn_call *call) {
  size_t a_limbs, b_limbs;
  if (!two_integers(call, &a_limbs, &b_limbs)) return 0;
  struct pn_integer *result = result_new(call, a_limbs + b_limbs);
  if (!result) return 0;
  struct operand a = operand(call, 0), b = operand(call, 1);
  return finish(result, multiply_magnitudes(result->limb, a, b), a.negative != b.negative);
}

/* Both from one division: the one that is not asked for goes to the host's scratch. */
static varve_word divide(struct pn_call *call, bool want_quotient) {
  size_t a_limbs, b_limbs;
  if (!two_integers(call, &a_limbs, &b_limbs)) return 0;
  if (b_limbs == 0) return pn_call_fail(call, "division by zero");
  size_t q_limbs = a_limbs >= b_limbs ? a_limbs - b_limbs + 1 : 1;
  struct pn_integer *result = result_new(call, want_quotient ? q_limbs : b_limbs);
  if (!result) return 0;
  struct operand a = operand(call, 0), b = operand(call, 1);
  if (a.limbs < b.limbs) {
    if (want_quotient) return finish(result, 0, false);
    mpn_copyi(result->limb, a.limb, a.limbs);
    return finish(result, (size_t)a.limbs, a.negative);
  }
  mp_limb_t *scratch = malloc((want_quotient ? b_limbs : q_limbs) * sizeof *scratch);
  if (!scratch) return pn_call_no_memory(call);
  mp_limb_t *quotient = want_quotient ? result->limb : scratch, *rest = want_quotient ? scratch : result->limb;
  mpn_tdiv_qr(quotient, rest, 0, a.limb, a.limbs, b.limb, b.limbs);
  free(scratch);
  return want_quotient ? finish(result, q_limbs, a.negative != b.negative) : finish(result, b_limbs, a.negative);
}

varve_word pn_int_div(struct pn_call *call) { return divide(call, true); }
varve_word pn_int_rem(struct pn_call *call) { return divide(call, false); }

varve_word pn_int_sqrt(struct pn_call *call) {
  const struct pn_integer *integer = pn_arg_integer(call, 0);
  if (!integer) return 0;
  if (integer->size < 0) return pn_call_fail(call, "the square root of a negative number");
  struct pn_integer *result = result_new(call, (pn_limbs(integer) + 1) / 2);
  if (!result) return 0;
  struct operand a = operand(call, 0);
  if (a.limbs) mpn_sqrtrem(result->limb, NULL, a.limb, a.limbs);
  return finish(result, (size_t)(a.limbs + 1) / 2, false);
}

/* Squares and products are values of their own, made by the multiplication above on rooted slots: the base in
 * temporary 0, the power so far in temporary 1. Each is a safepoint, so a long power does not hold up a collection. */
static varve_word multiply_slots(struct pn_call *call, varve_word a, varve_word b) {
  call->arg[0] = a, call->arg[1] = b;
  return pn_int_mul(call);
}

varve_word pn_int_power(struct pn_call *call) {
  size_t exponent;
  if (!pn_arg_integer(call, 0) || !pn_arg_count(call, 1, &exponent)) return 0;
  varve_word *base = &call->temporary[0], *power = &call->temporary[1];
  *base = call->arg[0];
  *power = pn_integer_from_u64(call->mutator, call->layouts, 1);
  if (!*power) return pn_call_no_heap(call);
  for (; exponent; exponent >>= 1) {
    if ((exponent & 1) && !(*power = multiply_slots(call, *power, *base))) return 0;
    if (exponent > 1 && !(*base = multiply_slots(call, *base, *base))) return 0;
    varve_poll(call->mutator);
  }
  return *power;
}

/* ---- comparison and conversion ----------------------------------------------------------------------------- */

/* -1, 0, 1; 2: wrong kind. */
static int compare(struct pn_call *call) {
  size_t a_limbs, b_limbs;
  if (!two_integers(call, &a_limbs, &b_limbs)) return 2;
  struct operand a = operand(call, 0), b = operand(call, 1);
  if (a.negative != b.negative) return a.negative ? -1 : 1;
  int order = compare_magnitudes(a, b);
  return a.negative ? -order : order;
}

static int sign(int order) { return order < 0 ? -1 : order > 0; }

varve_word pn_int_cmp(struct pn_call *call) {
  int order = compare(call);
  return order == 2 ? 0 : pn_word_order(sign(order));
}

static varve_word compare_is(struct pn_call *call, int wanted) {
  int order = compare(call);
  return order == 2 ? 0 : pn_word_u24(sign(order) == wanted);
}

varve_word pn_int_eq(struct pn_call *call) { return compare_is(call, 0); }
varve_word pn_int_lt(struct pn_call *call) { return compare_is(call, -1); }
varve_word pn_int_gt(struct pn_call *call) { return compare_is(call, 1); }

varve_word pn_int_exact(struct pn_call *call) {
  varve_word word = call->arg[0];
  pn_num value = (pn_num)pn_payload(word);
  bool is_number = pn_kind_of(word) == PN_IMMEDIATE && pn_type_of(word) == PN_NUM;
  if (!is_number || (pn_num_type(value) != PN_U24 && pn_num_type(value) != PN_I24))
    return pn_call_fail(call, "argument 1 must be an integer of 24 bits, not %s",
                        is_number ? "another kind of number" : pn_word_kind(call->layouts, word));
  bool negative = pn_num_type(value) == PN_I24 && pn_num_signed(value) < 0;
  struct pn_integer *result = result_new(call, 1);
  if (!result) return 0;
  result->limb[0] = negative ? (mp_limb_t)-(int64_t)pn_num_signed(value) : pn_num_bits(value);
  return finish(result, 1, negative);
}

/* What is not negative becomes u24, what is becomes i24. */
varve_word pn_int_num(struct pn_call *call) {
  const struct pn_integer *integer = pn_arg_integer(call, 0);
  if (!integer) return 0;
  mp_limb_t limb = integer->size ? integer->limb[0] : 0;
  bool negative = integer->size < 0;
  if (pn_limbs(integer) > 1 || limb > (negative ? 0x800000u : PN_U24_MAX))
    return pn_call_fail(call, "the integer does not fit 24 bits");
  if (negative) return pn_immediate(PN_NUM, pn_num_i24(-(int32_t)limb));
  return pn_word_u24((uint32_t)limb);
}

varve_word pn_int_show(struct pn_call *call) {
  const struct pn_integer *integer = pn_arg_integer(call, 0);
  if (!integer) return 0;
  size_t length;
  char *text = pn_integer_to_text(integer, &length);
  if (!text) return pn_call_no_memory(call);
  varve_word result = pn_string_from(call->mutator, call->layouts, text, length);
  free(text);
  return result ? result : pn_call_no_heap(call);
}

static bool is_decimal(const char *text, size_t length) {
  size_t i = length && (*text == '-' || *text == '+');
  if (i == length) return false;
  while (i < length && text[i] >= '0' && text[i] <= '9') ++i;
  return i == length;
}

varve_word pn_int_read(struct pn_call *call) {
  const struct pn_string *string = pn_arg_string(call, 0);
  if (!string) return 0;
  if (!is_decimal(string->byte, string->length)) return pn_call_fail(call, "the string is not a decimal integer");
  size_t length = string->length;
  char *copy = malloc(length); /* the allocation below may move the string */
  if (!copy) return pn_call_no_memory(call);
  memcpy(copy, string->byte, length);
  bool no_memory = false;
  varve_word result = pn_integer_from_text(call->mutator, call->layouts, copy, length, &no_memory);
  free(copy);
  return result ? result : no_memory ? pn_call_no_memory(call) : pn_call_no_heap(call);
}
