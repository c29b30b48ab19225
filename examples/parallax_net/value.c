/* SPDX-License-Identifier: MIT */
/* value.c -- layouts, constructors and text forms of heap objects; see value.h. */
#include "value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

VARVE_STATIC_ASSERT(GMP_NUMB_BITS == 64, "limbs are whole 64-bit words");

static const varve_layout_desc integer_desc = {
  .name = "integer", .kind = VARVE_LAYOUT_DATA, .bytes = sizeof(struct pn_integer)};
static const varve_layout_desc string_desc = {
  .name = "string", .kind = VARVE_LAYOUT_DATA, .bytes = sizeof(struct pn_string)};
static const varve_layout_desc array_desc = {
  .name = "array", .kind = VARVE_LAYOUT_REF_ARRAY, .bytes = sizeof(struct pn_array),
  .first = offsetof(struct pn_array, item)};
static const varve_layout_desc closure_desc = {
  .name = "closure", .kind = VARVE_LAYOUT_CLOSURE, .immutable = true, .bytes = sizeof(struct pn_closure),
  .closure = {.count_offset = offsetof(struct pn_closure, count), .tag_offset = offsetof(struct pn_closure, tag),
              .tag_stride = 1, .value_offset = offsetof(struct pn_closure, item), .value_stride = 8,
              .ref_tags = {1u << PN_ITEM_REFERENCE}}};

varve_status pn_layouts_register(varve_heap *heap, struct pn_layouts *out, varve_error *error) {
  varve_status status = varve_layout_register(heap, &integer_desc, &out->integer, error);
  if (status == VARVE_OK) status = varve_layout_register(heap, &string_desc, &out->string, error);
  if (status == VARVE_OK) status = varve_layout_register(heap, &array_desc, &out->array, error);
  if (status == VARVE_OK) status = varve_layout_register(heap, &closure_desc, &out->closure, error);
  return status;
}

static void *as(varve_layout layout, varve_word word) {
  if ((word & 7) != PN_VALUE) return NULL;
  varve_object *object = varve_untag(word);
  return varve_object_layout(object) == layout ? object : NULL;
}

struct pn_integer *pn_as_integer(const struct pn_layouts *layouts, varve_word word) {
  return as(layouts->integer, word);
}
struct pn_string *pn_as_string(const struct pn_layouts *layouts, varve_word word) { return as(layouts->string, word); }
struct pn_array *pn_as_array(const struct pn_layouts *layouts, varve_word word) { return as(layouts->array, word); }

const char *pn_word_kind(const struct pn_layouts *layouts, varve_word word) {
  if ((word & 7) == PN_CLOSURE) return "a native function";
  if ((word & 7) == PN_VALUE)
    return as(layouts->integer, word)  ? "an exact integer"
           : as(layouts->string, word) ? "a string"
           : as(layouts->array, word)  ? "an array"
                                       : "an unknown object";
  switch (pn_type_of(word)) {
    case PN_NUM: return "a number of 24 bits";
    case PN_DEF: return "a definition";
    case PN_FUN: return "a native function";
    case PN_ERA: return "an eraser";
    default: return "a word of unknown kind";
  }
}

struct pn_integer *pn_integer_new(varve_mutator *mutator, const struct pn_layouts *layouts, size_t limbs) {
  size_t bytes = sizeof(struct pn_integer) + limbs * sizeof(mp_limb_t);
  struct pn_integer *integer = varve_alloc_uninit(mutator, layouts->integer, bytes);
  if (integer) integer->size = (int64_t)limbs;
  return integer;
}

struct pn_string *pn_string_new(varve_mutator *mutator, const struct pn_layouts *layouts, size_t length) {
  struct pn_string *string = varve_alloc_uninit(mutator, layouts->string, sizeof(struct pn_string) + length);
  if (string) string->length = length;
  return string;
}

/* Zeroed: the granule may round the object up past its last item, and every slot must hold a word. */
struct pn_array *pn_array_new(varve_mutator *mutator, const struct pn_layouts *layouts, size_t length) {
  if (length > (SIZE_MAX - sizeof(struct pn_array)) / sizeof(varve_word)) return NULL;
  size_t bytes = sizeof(struct pn_array) + length * sizeof(varve_word);
  struct pn_array *array = varve_alloc(mutator, layouts->array, bytes);
  if (array) array->length = length;
  return array;
}

struct pn_closure *pn_closure_new(varve_mutator *mutator, const struct pn_layouts *layouts, uint32_t native,
                                  uint32_t count) {
  size_t bytes = sizeof(struct pn_closure) + count * sizeof(varve_word);
  struct pn_closure *closure = varve_alloc_uninit(mutator, layouts->closure, bytes);
  if (!closure) return NULL;
  closure->count = count, closure->native = native;
  memset(closure->tag, PN_ITEM_IMMEDIATE, sizeof closure->tag);
  return closure;
}

void pn_integer_normalize(struct pn_integer *integer, size_t limbs, bool negative) {
  while (limbs && integer->limb[limbs - 1] == 0) --limbs;
  integer->size = negative ? -(int64_t)limbs : (int64_t)limbs;
}

static unsigned char digit_value(char c) {
  return (unsigned char)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

varve_word pn_integer_from_text(varve_mutator *mutator, const struct pn_layouts *layouts, const char *text,
                                size_t length, bool *out_of_memory) {
  bool negative = length && *text == '-';
  if (length && (*text == '-' || *text == '+')) ++text, --length;
  int base = length > 2 && text[0] == '0' && text[1] == 'x' ? 16 : 10;
  if (base == 16) text += 2, length -= 2;
  while (length > 1 && *text == '0') ++text, --length;
  unsigned char *digits = malloc(length + 1);
  if (!digits) return *out_of_memory = true, 0;
  for (size_t i = 0; i < length; ++i) digits[i] = digit_value(text[i]);
  struct pn_integer *integer = pn_integer_new(mutator, layouts, length / 16 + 2); /* 16 digits fit a limb */
  size_t limbs = integer ? mpn_set_str(integer->limb, digits, length, base) : 0;
  free(digits);
  if (!integer) return 0;
  pn_integer_normalize(integer, limbs, negative);
  return varve_tag(integer, PN_VALUE);
}

varve_word pn_integer_from_u64(varve_mutator *mutator, const struct pn_layouts *layouts, uint64_t value) {
  struct pn_integer *integer = pn_integer_new(mutator, layouts, 1);
  if (!integer) return 0;
  integer->limb[0] = value;
  pn_integer_normalize(integer, 1, false);
  return varve_tag(integer, PN_VALUE);
}

varve_word pn_string_from(varve_mutator *mutator, const struct pn_layouts *layouts, const char *bytes,
                          size_t length) {
  struct pn_string *string = pn_string_new(mutator, layouts, length);
  if (!string) return 0;
  memcpy(string->byte, bytes, length);
  return varve_tag(string, PN_VALUE);
}

/* mpn_get_str destroys its operand, wants a spare limb, and gives digit values that may begin with zeroes. */
static size_t digits_of(unsigned char *digits, const struct pn_integer *integer, mp_limb_t *scratch) {
  size_t limbs = pn_limbs(integer);
  if (limbs == 0) return digits[0] = 0, 1;
  memcpy(scratch, integer->limb, limbs * sizeof *scratch);
  size_t count = mpn_get_str(digits, 10, scratch, (mp_size_t)limbs), zeroes = 0;
  while (zeroes + 1 < count && digits[zeroes] == 0) ++zeroes;
  memmove(digits, digits + zeroes, count - zeroes);
  return count - zeroes;
}

char *pn_integer_to_text(const struct pn_integer *integer, size_t *length) {
  size_t limbs = pn_limbs(integer);
  char *text = malloc(limbs * 20 + 3); /* a limb has less than 20 digits */
  mp_limb_t *scratch = malloc((limbs + 1) * sizeof *scratch);
  if (text && scratch) {
    size_t sign = integer->size < 0, count = digits_of((unsigned char *)text + sign, integer, scratch);
    for (size_t i = 0; i < count; ++i) text[sign + i] = (char)(text[sign + i] + '0');
    if (sign) text[0] = '-';
    text[*length = sign + count] = 0;
  } else {
    free(text);
    text = NULL;
  }
  free(scratch);
  return text;
}
