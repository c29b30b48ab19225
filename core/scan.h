/* SPDX-License-Identifier: MIT */
/* scan.h -- the one place that knows where a layout keeps its slots. Mark, fix-up and verifier are instances of it:
 * `visit` is a constant function, so each instance compiles to its own loop.
 *
 * Each slot is given exactly once (F1), as runs of `count` neighbouring slots. Only the object itself is read.
 */
#ifndef VARVE_CORE_SCAN_H
#define VARVE_CORE_SCAN_H

#include <string.h>

#include "core/base/bits.h"
#include "core/layout.h"
#include "varve/alloc.h"

#define SCAN_INLINE static inline __attribute__((always_inline))

typedef void scan_visit_fn(void *context, varve_word *slots, size_t count);
typedef void scan_narrow_fn(void *context, varve_narrow *slots, size_t count);

SCAN_INLINE void scan_mask(varve_word *base, uint64_t mask, scan_visit_fn *visit, void *context) {
  for (; mask; mask &= mask - 1) visit(context, base + bits_lowest(mask), 1);
}

SCAN_INLINE void scan_offsets(const struct varve_layout_entry *layout, varve_word *base, scan_visit_fn *visit,
                              void *context) {
  for (uint32_t i = 0; i < layout->offset_count; ++i) visit(context, base + layout->offsets[i], 1);
}

/* The slots of a weak kind that keep alive. */
SCAN_INLINE void scan_strong(const struct varve_layout_entry *layout, varve_word *object, scan_visit_fn *visit,
                             void *context) {
  if (layout->masked) scan_mask(object, layout->mask, visit, context);
  else scan_offsets(layout, object, visit, context);
}

#define SCAN_ENTRY_WORDS 3u

/* How many ephemerons are in an object of that kind. */
static inline size_t scan_entries(const struct varve_layout_entry *layout, size_t words) {
  return (words - layout->first) / SCAN_ENTRY_WORDS;
}

/* All slots of a weak kind: also those that do not keep alive. */
SCAN_INLINE void scan_weak(const struct varve_layout_entry *layout, varve_word *object, size_t words,
                           scan_visit_fn *visit, void *context) {
  scan_strong(layout, object, visit, context);
  if (layout->kind == VARVE_LAYOUT_WEAK) {
    if (words > layout->first) visit(context, object + layout->first, words - layout->first);
    return;
  }
  for (size_t i = 0, count = scan_entries(layout, words); i < count; ++i)
    visit(context, object + layout->first + i * SCAN_ENTRY_WORDS, 2);
}

/* Whole records within words [from, to) of the object. */
SCAN_INLINE void scan_records(const struct varve_layout_entry *layout, varve_word *object, size_t from, size_t to,
                              scan_visit_fn *visit, void *context) {
  for (size_t at = from; at + layout->stride <= to; at += layout->stride) {
    if (layout->masked) scan_mask(object + at, layout->mask, visit, context);
    else scan_offsets(layout, object + at, visit, context);
  }
}

/* ---- narrow slots, beside wide ones ---- */

SCAN_INLINE void scan_narrow_slots(const struct varve_layout_entry *layout, varve_word *base, scan_narrow_fn *visit,
                                   void *context) {
  varve_narrow *halves = (varve_narrow *)base;
  if (layout->narrow_masked)
    for (uint64_t mask = layout->narrow_mask; mask; mask &= mask - 1) visit(context, halves + bits_lowest(mask), 1);
  else
    for (uint32_t i = 0; i < layout->narrow_count; ++i) visit(context, halves + layout->narrow_offsets[i], 1);
}

/* At the start of an object, or of a record. */
SCAN_INLINE void scan_both(const struct varve_layout_entry *layout, varve_word *base, scan_visit_fn *visit,
                           scan_narrow_fn *narrow, void *context) {
  if (layout->masked) scan_mask(base, layout->mask, visit, context);
  else scan_offsets(layout, base, visit, context);
  scan_narrow_slots(layout, base, narrow, context);
}

SCAN_INLINE void scan_narrow_records(const struct varve_layout_entry *layout, varve_word *object, size_t from,
                                     size_t to, scan_visit_fn *visit, scan_narrow_fn *narrow, void *context) {
  for (size_t at = from; at + layout->stride <= to; at += layout->stride)
    scan_both(layout, object + at, visit, narrow, context);
}

/* The slots within words [from, to) of an array; the first one may be the upper half of a word. */
SCAN_INLINE void scan_narrow_array(const struct varve_layout_entry *layout, varve_word *object, size_t from, size_t to,
                                   scan_narrow_fn *narrow, void *context) {
  size_t begin = from * 2 < layout->first ? layout->first : from * 2;
  if (begin < to * 2) narrow(context, (varve_narrow *)object + begin, to * 2 - begin);
}

/* ---- closures and unions ---- */

SCAN_INLINE void scan_closure(const struct varve_layout_closure *closure, varve_word *object, size_t words,
                              scan_visit_fn *visit, void *context) {
  uint8_t *bytes = (uint8_t *)object;
  size_t size = words * 8, count = SIZE_MAX;
  if (closure->count_offset) {
    uint32_t given;
    memcpy(&given, bytes + closure->count_offset, sizeof given);
    count = given;
  }
  size_t value = closure->value_offset, tag = closure->tag_offset;
  for (; count && value + 8 <= size && tag < size; --count, value += closure->value_stride, tag += closure->tag_stride)
    if (closure->ref_tags[bytes[tag] >> 6] >> (bytes[tag] & 63) & 1) visit(context, object + value / 8, 1);
}

static inline uint64_t scan_discriminant(const struct varve_layout_choice *choice, const varve_word *object) {
  uint64_t value = 0; /* little endian: the low bytes of a wider word */
  memcpy(&value, (const uint8_t *)object + choice->offset, choice->width);
  return value;
}

/* The layout of a union's present case; 0: no references. */
static inline varve_layout scan_choose(const struct varve_layout_choice *choice, const varve_word *object) {
  uint64_t value = scan_discriminant(choice, object);
  uint32_t low = 0, high = choice->count;
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    if (choice->cases[middle].value < value) low = middle + 1;
    else high = middle;
  }
  return low < choice->count && choice->cases[low].value == value ? choice->cases[low].layout : choice->otherwise;
}

/* Is the object of a kind whose slots can be given piece by piece (scan_piece)? */
static inline bool scan_divisible(const struct varve_layout_entry *layout) {
  uint8_t kind = layout->kind & (uint8_t)~VARVE__LAYOUT_NARROW;
  return kind == VARVE_LAYOUT_REF_ARRAY || kind == VARVE_LAYOUT_RECORDS;
}

/* Of a divisible object: the word with the first slot, or in which the first record starts; words that cannot be
 * parted. */
static inline size_t scan_first(const struct varve_layout_entry *layout) {
  return layout->kind == VARVE__LAYOUT_NARROW_ARRAY ? layout->first / 2 : layout->first;
}
static inline size_t scan_unit(const struct varve_layout_entry *layout) {
  return (layout->kind & ~VARVE__LAYOUT_NARROW) == VARVE_LAYOUT_RECORDS ? layout->stride : 1;
}
/* Words of a piece of about `words`. */
static inline size_t scan_piece_words(const struct varve_layout_entry *layout, size_t words) {
  size_t unit = scan_unit(layout);
  return words < unit ? unit : words / unit * unit;
}

/* The slots of a divisible object in words [from, to), from a boundary of its records on. */
SCAN_INLINE void scan_stretch(const struct varve_layout_entry *layout, varve_word *object, size_t from, size_t to,
                              scan_visit_fn *visit, scan_narrow_fn *narrow, void *context) {
  switch (layout->kind) {
    case VARVE_LAYOUT_REF_ARRAY: visit(context, object + from, to - from); break;
    case VARVE_LAYOUT_RECORDS: scan_records(layout, object, from, to, visit, context); break;
    case VARVE__LAYOUT_NARROW_ARRAY: scan_narrow_array(layout, object, from, to, narrow, context); break;
    default: scan_narrow_records(layout, object, from, to, visit, narrow, context);
  }
}

/* The slots of a divisible object in its piece-th stretch of about `piece_words` words. */
SCAN_INLINE void scan_piece(const struct varve_layout_entry *layout, varve_word *object, size_t words, size_t piece,
                            size_t piece_words, scan_visit_fn *visit, scan_narrow_fn *narrow, void *context) {
  size_t unit = scan_piece_words(layout, piece_words), from = scan_first(layout) + piece * unit, to = from + unit;
  if (from < words) scan_stretch(layout, object, from, to < words ? to : words, visit, narrow, context);
}

/* How many pieces scan_piece has for the object. */
static inline size_t scan_pieces(const struct varve_layout_entry *layout, size_t words, size_t piece_words) {
  size_t unit = scan_piece_words(layout, piece_words), first = scan_first(layout);
  return words <= first ? 0 : (words - first + unit - 1) / unit;
}

/* All slots of an object, weak ones too. `visitor` is for trace functions only. */
SCAN_INLINE void scan_object(const struct varve_layout_table *table, const struct varve_layout_entry *layout,
                             varve_word *object, size_t words, scan_visit_fn *visit, scan_narrow_fn *narrow,
                             void *context, varve_visitor *visitor) {
  while (layout->kind == VARVE_LAYOUT_UNION) {
    varve_layout chosen = scan_choose(layout->choice, object);
    if (!chosen) return;
    layout = &table->entries[chosen];
  }
  switch (layout->kind) {
    case VARVE_LAYOUT_OFFSETS:
      if (layout->masked) scan_mask(object, layout->mask, visit, context);
      else scan_offsets(layout, object, visit, context);
      break;
    case VARVE_LAYOUT_REF_ARRAY:
      if (words > layout->first) visit(context, object + layout->first, words - layout->first);
      break;
    case VARVE_LAYOUT_RECORDS: scan_records(layout, object, layout->first, words, visit, context); break;
    case VARVE_LAYOUT_CLOSURE: scan_closure(layout->closure, object, words, visit, context); break;
    case VARVE__LAYOUT_NARROW_OFFSETS: scan_both(layout, object, visit, narrow, context); break;
    case VARVE__LAYOUT_NARROW_ARRAY: scan_narrow_array(layout, object, 0, words, narrow, context); break;
    case VARVE__LAYOUT_NARROW_RECORDS:
      scan_narrow_records(layout, object, layout->first, words, visit, narrow, context);
      break;
    case VARVE_LAYOUT_TRACE: layout->trace(layout->context, (varve_object *)object, words * 8, visitor); break;
    case VARVE_LAYOUT_WEAK:
    case VARVE_LAYOUT_EPHEMERONS: scan_weak(layout, object, words, visit, context); break;
    default: break;
  }
}

#endif
