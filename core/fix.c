/* SPDX-License-Identifier: MIT */
/* fix.c -- slots given in ranges: by root tables, arrays, and layouts that fix.h leaves to this file. */
#include "core/fix.h"

#include "regions/filter.h"

static void fix_range_bitmap(struct fix_hot *hot, varve_word *base, size_t stride, size_t count,
                             const uint64_t *bitmap) {
  for (size_t first = 0; first < count; first += 64) {
    uint64_t live = __atomic_load_n(&bitmap[first / 64], __ATOMIC_RELAXED);
    if (count - first < 64) live &= bits_below((unsigned)(count - first));
    for (; live; live &= live - 1) {
      varve_word *slot = (varve_word *)((char *)base + (first + bits_lowest(live)) * stride);
      fix(hot, slot, __atomic_load_n(slot, __ATOMIC_RELAXED));
    }
  }
}

static void fix_range_stride(struct fix_hot *hot, varve_word *base, size_t stride, size_t count) {
  char *at = (char *)base;
  for (size_t i = 0; i < count; ++i, at += stride)
    fix(hot, (varve_word *)at, __atomic_load_n((varve_word *)at, __ATOMIC_RELAXED));
}

static void fix_found(struct fix_hot *hot, varve_word *words, uint64_t found) {
  for (; found; found &= found - 1) {
    varve_word *slot = words + bits_lowest(found);
    fix(hot, slot, *slot);
  }
}

/* Neighbouring words. */
static void fix_range_dense(struct fix_hot *hot, varve_word *words, size_t count) {
  struct filter filter = filter_open(hot->forward.base, hot->forward.bytes);
  size_t i = 0;
  for (; i + FILTER_WORDS <= count; i += FILTER_WORDS) {
    uint64_t found = filter_words(&filter, words + i);
    if (found == ~UINT64_C(0)) fix_range_stride(hot, words + i, 8, FILTER_WORDS);
    else fix_found(hot, words + i, found);
  }
  fix_range_stride(hot, words + i, 8, count - i);
}

/* ---- narrow slots ---- */

static void fix_narrow_found(struct fix_hot *hot, varve_narrow *words, uint64_t found) {
  for (; found; found &= found - 1) {
    varve_narrow *slot = words + bits_lowest(found);
    fix_narrow(hot, slot, __atomic_load_n(slot, __ATOMIC_RELAXED));
  }
}

static void fix_narrow_dense(struct fix_hot *hot, varve_narrow *words, size_t count) {
  struct filter_narrow filter = filter_narrow_open(hot->forward.bytes >> hot->fixer->code.shift,
                                                   hot->fixer->code.tag_bits);
  size_t i = 0;
  for (; i + FILTER_WORDS <= count; i += FILTER_WORDS)
    fix_narrow_found(hot, words + i, filter_narrow_words(&filter, words + i));
  for (; i < count; ++i) fix_narrow(hot, words + i, __atomic_load_n(words + i, __ATOMIC_RELAXED));
}

static void fix_narrow_stride(struct fix_hot *hot, varve_narrow *base, size_t stride, size_t count,
                              const uint64_t *bitmap) {
  for (size_t i = 0; i < count; ++i) {
    varve_narrow *slot = (varve_narrow *)((char *)base + i * stride);
    if (bitmap && !(__atomic_load_n(&bitmap[i / 64], __ATOMIC_RELAXED) >> i % 64 & 1)) continue;
    fix_narrow(hot, slot, __atomic_load_n(slot, __ATOMIC_RELAXED));
  }
}

static void narrow_for_fix(struct varve_visitor *visitor, varve_narrow *base, size_t stride, size_t count,
                           const uint64_t *bitmap) {
  struct fix_hot hot = fix_open(visitor->context, 0);
  if (!bitmap && stride == 4) fix_narrow_dense(&hot, base, count);
  else fix_narrow_stride(&hot, base, stride, count, bitmap);
  fix_put(&hot);
}

static void fix_narrow_slots(void *context, varve_narrow *slots, size_t count) {
  struct fixer *fixer = context;
  narrow_for_fix(&fixer->visitor, slots, 4, count, NULL);
}

/* ---- wide slots ---- */

static void range_for_fix(struct varve_visitor *visitor, varve_word *base, size_t stride, size_t count,
                          const uint64_t *bitmap, bool ref) {
  struct fixer *fixer = visitor->context;
  struct fix_hot hot = fix_open(fixer, ref ? fixer->heap->ref_tags : fixer->heap->slot_tags);
  if (bitmap) fix_range_bitmap(&hot, base, stride, count, bitmap);
  else if (stride == 8) fix_range_dense(&hot, base, count);
  else fix_range_stride(&hot, base, stride, count);
  fix_put(&hot);
}

static void fix_slots(void *context, varve_word *slots, size_t count) {
  struct fixer *fixer = context;
  range_for_fix(&fixer->visitor, slots, 8, count, NULL, false);
}

void varve__fixer_open(struct fixer *fixer, struct varve_heap *heap) {
  *fixer = (struct fixer){.heap = heap, .last_block = VARVE__NO_BLOCK, .code = heap->narrow};
  fixer->visitor = (struct varve_visitor){.range = range_for_fix, .narrow = narrow_for_fix, .heap = heap,
                                            .context = fixer};
}

void varve__fixer_flush(struct fixer *fixer) {
  struct fix_hot hot = fix_open(fixer, fixer->heap->slot_tags);
  for (uint32_t i = 0; i < FIX_RING; ++i) {
    struct fix_waiting *waiting = &fixer->ring[i];
    if (waiting->slot) fix_now(&hot, waiting->slot, waiting->word);
    waiting->slot = NULL;
    struct fix_narrow_waiting *narrow = &fixer->narrow_ring[i];
    if (narrow->slot) fix_narrow_now(&hot, narrow->slot, narrow->word);
    narrow->slot = NULL;
  }
  fix_put(&hot);
}

void varve__fix_object(struct fixer *fixer, varve_object *object, uint64_t words) {
  const struct varve_layout_table *table = &fixer->heap->layouts;
  const struct varve_layout_entry *layout = &table->entries[varve_object_layout(object)];
  scan_object(table, layout, (varve_word *)object, words, fix_slots, fix_narrow_slots, fixer, &fixer->visitor);
}

void varve__fix_stretch(struct fixer *fixer, varve_object *object, const struct varve_layout_entry *layout,
                        uint64_t from, uint64_t to) {
  uint64_t unit = scan_unit(layout), first = scan_first(layout), words = varve_object_bytes(object) / 8;
  uint64_t begin = from <= first ? first : first + (from - first + unit - 1) / unit * unit;
  uint64_t end = to <= first ? first : first + (to - first + unit - 1) / unit * unit;
  if (end > words) end = words;
  if (begin < end) scan_stretch(layout, (varve_word *)object, begin, end, fix_slots, fix_narrow_slots, fixer);
}
