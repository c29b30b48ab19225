/* SPDX-License-Identifier: MIT */
/* value.h -- the objects of the Varve heap: exact integers, strings, arrays and closures.
 *
 *   integer   header | limb count, negative for a negative number | limbs, least first     tag 6, layout DATA
 *   string    header | length in bytes | bytes                                            tag 6, layout DATA
 *   array     header | item count | words                                                 tag 6, layout REF_ARRAY
 *   closure   header | item count, native id | 8 type tags | words                        tag 5, layout CLOSURE
 *
 * A word in an array or a closure is an immediate of the net (number, definition, native) or a tagged reference.
 * The net never changes an object that it can see: closures are immutable, and an array is stored to only by the
 * native that is still making it.
 * A limb count may be smaller than the room in the object: results are allocated before their size is known.
 *
 * Every function that allocates is a safepoint: addresses are void afterwards, words in frames are not.
 */
#ifndef PN_VALUE_H
#define PN_VALUE_H

#include <gmp.h>
#include <varve/varve.h>

#include "port.h"

struct pn_integer {
  varve_object head;
  int64_t size;
  mp_limb_t limb[];
};

struct pn_string {
  varve_object head;
  uint64_t length;
  char byte[];
};

struct pn_array {
  varve_object head;
  uint64_t length;
  varve_word item[];
};

#define PN_ARITY_MAX 8
enum { PN_ITEM_IMMEDIATE = 0, PN_ITEM_REFERENCE = 1 };

struct pn_closure {
  varve_object head;
  uint32_t count, native;
  uint8_t tag[PN_ARITY_MAX];
  varve_word item[];
};

struct pn_layouts {
  varve_layout integer, string, array, closure;
};

/** Which tag patterns are references: the same for heap slots and Ref words. */
#define PN_REFERENCE_TAGS (1u << PN_CLOSURE | 1u << PN_VALUE)

varve_status pn_layouts_register(varve_heap *heap, struct pn_layouts *out, varve_error *error);

static inline bool pn_is_reference(varve_word word) { return (PN_REFERENCE_TAGS >> (word & 7)) & 1; }

/* The object behind a word of the right kind, NULL otherwise. The address is good until the next safepoint. */
struct pn_integer *pn_as_integer(const struct pn_layouts *layouts, varve_word word);
struct pn_string *pn_as_string(const struct pn_layouts *layouts, varve_word word);
struct pn_array *pn_as_array(const struct pn_layouts *layouts, varve_word word);
static inline struct pn_closure *pn_as_closure(varve_word word) {
  return (word & 7) == PN_CLOSURE ? (struct pn_closure *)varve_untag(word) : NULL;
}

/** "an exact integer", "a string", ... for messages. */
const char *pn_word_kind(const struct pn_layouts *layouts, varve_word word);

/* Constructors: NULL when the heap is full. Safepoints. The payload is the caller's to fill before the next one. */
struct pn_integer *pn_integer_new(varve_mutator *mutator, const struct pn_layouts *layouts, size_t limbs);
struct pn_string *pn_string_new(varve_mutator *mutator, const struct pn_layouts *layouts, size_t length);
struct pn_array *pn_array_new(varve_mutator *mutator, const struct pn_layouts *layouts, size_t length);
struct pn_closure *pn_closure_new(varve_mutator *mutator, const struct pn_layouts *layouts, uint32_t native,
                                  uint32_t count);

/** Set item i of a new closure, with its type tag. */
static inline void pn_closure_init(varve_mutator *mutator, struct pn_closure *closure, uint32_t i, varve_word word) {
  closure->tag[i] = pn_is_reference(word) ? PN_ITEM_REFERENCE : PN_ITEM_IMMEDIATE;
  varve_init(mutator, closure, &closure->item[i], word);
}

static inline size_t pn_limbs(const struct pn_integer *integer) {
  return (size_t)(integer->size < 0 ? -integer->size : integer->size);
}
/** Drop leading zero limbs and set the sign. */
void pn_integer_normalize(struct pn_integer *integer, size_t limbs, bool negative);

/** An integer from the digits of a literal (sign, 0x). 0 when the heap is full or *out_of_memory was set. */
varve_word pn_integer_from_text(varve_mutator *mutator, const struct pn_layouts *layouts, const char *text,
                                size_t length, bool *out_of_memory);
varve_word pn_integer_from_u64(varve_mutator *mutator, const struct pn_layouts *layouts, uint64_t value);
varve_word pn_string_from(varve_mutator *mutator, const struct pn_layouts *layouts, const char *bytes, size_t length);

/** Decimal digits with sign, in host memory (free it); NULL when none was left. No safepoint. */
char *pn_integer_to_text(const struct pn_integer *integer, size_t *length);

#endif
