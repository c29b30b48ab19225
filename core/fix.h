/* SPDX-License-Identifier: MIT */
/* fix.h -- rewriting slots whose objects move. Inline, for the loops of compact.c.
 *
 * Idea       A slot's new value comes from side tables only (forward.h). References into the block that the last one
 *            led to find the tables in the cache and are rewritten at once; others wait in a ring while the tables are
 *            fetched. References to blocks that stay are left alone.
 * Narrow     slots have a ring of their own, and loops over objects are compiled twice: heaps without narrow slots do
 *            not ask how wide a slot is.
 * Invariant  F1: each slot is given once. A slot in the ring is at its final place and holds its old word.
 */
#ifndef VARVE_CORE_FIX_H
#define VARVE_CORE_FIX_H

#include "core/forward.h"
#include "core/heap.h"
#include "core/root.h"
#include "core/scan.h"

#define FIX_RING 32u

struct fix_waiting {
  varve_word *slot; /* NULL: nobody */
  varve_word word;
};

struct fix_narrow_waiting {
  varve_narrow *slot; /* NULL: nobody */
  varve_narrow word;
};

/* One worker's. */
struct fixer {
  struct varve_heap *heap;
  struct fix_waiting ring[FIX_RING];
  uint32_t at, last_block;
  uint64_t fixed, moved_words, in_place_words, groups;
  struct varve_visitor visitor;
  unsigned node;        /* of the worker; */
  uint64_t local_words; /* of moved_words: from there */
  struct narrow code;   /* narrow slots; and their ring */
  uint32_t narrow_at;
  struct fix_narrow_waiting narrow_ring[FIX_RING];
};

/* What loops keep in registers. Functions outside them work on the fixer: fix_put comes before them, fix_get after. */
struct fix_hot {
  struct fixer *fixer;
  struct forward forward;
  uint32_t tags, at, last_block;
  uint64_t fixed;
};

SCAN_INLINE void fix_put(const struct fix_hot *hot) {
  hot->fixer->at = hot->at;
  hot->fixer->last_block = hot->last_block;
  hot->fixer->fixed = hot->fixed;
}

SCAN_INLINE void fix_get(struct fix_hot *hot) {
  hot->at = hot->fixer->at;
  hot->last_block = hot->fixer->last_block;
  hot->fixed = hot->fixer->fixed;
}

SCAN_INLINE struct fix_hot fix_open(struct fixer *fixer, uint32_t tags) {
  struct fix_hot hot = {.fixer = fixer, .forward = forward_open(&fixer->heap->space), .tags = tags};
  fix_get(&hot);
  return hot;
}

/* Rewrite a slot; its tag bits stay. Atomic for the sake of Ref words that host threads of other heaps may peek at; on
 * the machine it is a plain move. */
SCAN_INLINE void fix_now(struct fix_hot *hot, varve_word *slot, varve_word word) {
  uint64_t to = forward_moved(&hot->forward, word - hot->forward.base);
#ifdef VARVE_PLANT_FIXED_TWICE
  if ((hot->fixed & 1023) == 0) to = forward_moved(&hot->forward, to - hot->forward.base);
#endif
#ifdef VARVE_PLANT_TAG_LOST
  if (to / 8 % 32 == 0) word = 0;
#endif
  __atomic_store_n(slot, to | (word & 7), __ATOMIC_RELAXED);
}

/* A slot at its final place, and the word in it. */
SCAN_INLINE void fix(struct fix_hot *hot, varve_word *slot, varve_word word) {
  uint64_t offset = word - hot->forward.base;
  uint32_t block = (uint32_t)(offset >> VARVE__BLOCK_SHIFT);
  if (offset >= hot->forward.bytes || !(hot->tags >> (word & 7) & 1)) return;
  if (!forward_moves(&hot->forward, block)) return;
  ++hot->fixed;
  if (block == hot->last_block) {
    fix_now(hot, slot, word);
    return;
  }
  hot->last_block = block;
  forward_prefetch(&hot->forward, offset);
  struct fix_waiting *place = &hot->fixer->ring[hot->at++ % FIX_RING], leaving = *place;
  *place = (struct fix_waiting){slot, word};
  if (VARVE_LIKELY(leaving.slot)) fix_now(hot, leaving.slot, leaving.word);
}

SCAN_INLINE void fix_narrow_now(const struct fix_hot *hot, varve_narrow *slot, varve_narrow word) {
  const struct narrow *code = &hot->fixer->code;
  uint64_t to = forward_moved(&hot->forward, narrow_offset(code, word)) - hot->forward.base;
#ifdef VARVE_PLANT_NARROW_FIX_LOST
  if (to / 8 % 32 == 0) return;
#endif
  __atomic_store_n(slot, narrow_word(code, to, word), __ATOMIC_RELAXED);
}

/* As fix(). */
SCAN_INLINE void fix_narrow(struct fix_hot *hot, varve_narrow *slot, varve_narrow word) {
  const struct narrow *code = &hot->fixer->code;
  uint64_t offset = narrow_offset(code, word);
  uint32_t block = (uint32_t)(offset >> VARVE__BLOCK_SHIFT);
  if (offset >= hot->forward.bytes || !narrow_has_tag(code, word)) return;
  if (!forward_moves(&hot->forward, block)) return;
  ++hot->fixed;
  if (block == hot->last_block) {
    fix_narrow_now(hot, slot, word);
    return;
  }
  hot->last_block = block;
  forward_prefetch(&hot->forward, offset);
  struct fix_narrow_waiting *place = &hot->fixer->narrow_ring[hot->fixer->narrow_at++ % FIX_RING], leaving = *place;
  *place = (struct fix_narrow_waiting){slot, word};
  if (VARVE_LIKELY(leaving.slot)) fix_narrow_now(hot, leaving.slot, leaving.word);
}

/* fix.c, each for one worker's fixer */

void varve__fixer_open(struct fixer *fixer, struct varve_heap *heap);
/* All slots leave the ring. */
void varve__fixer_flush(struct fixer *fixer);
/* All slots of an object at its final place, whatever its layout. */
void varve__fix_object(struct fixer *fixer, varve_object *object, uint64_t words);
/* Words [from, to) of an array or of records. */
void varve__fix_stretch(struct fixer *fixer, varve_object *object, const struct varve_layout_entry *layout,
                        uint64_t from, uint64_t to);

SCAN_INLINE bool fix_narrow_object(struct fix_hot *hot, const struct varve_layout_entry *layout, varve_object *object) {
  if (layout->kind != VARVE__LAYOUT_NARROW_OFFSETS || !layout->masked || !layout->narrow_masked) return false;
  for (uint64_t mask = layout->mask; mask; mask &= mask - 1) {
    varve_word *slot = (varve_word *)object + bits_lowest(mask);
    fix(hot, slot, *slot);
  }
  for (uint64_t mask = layout->narrow_mask; mask; mask &= mask - 1) {
    varve_narrow *slot = (varve_narrow *)object + bits_lowest(mask);
    fix_narrow(hot, slot, *slot);
  }
  return true;
}

/* The commonest layouts here, the others there. `narrow`, a constant: there may be narrow slots. */
SCAN_INLINE void fix_object(struct fix_hot *hot, const struct varve_layout_entry *layouts, varve_object *object,
                            uint64_t words, bool narrow) {
  const struct varve_layout_entry *layout = &layouts[varve_object_layout(object)];
  if (layout->kind == VARVE_LAYOUT_DATA) return;
  if (VARVE_LIKELY(layout->kind == VARVE_LAYOUT_OFFSETS && layout->masked)) {
    for (uint64_t mask = layout->mask; mask; mask &= mask - 1) {
      varve_word *slot = (varve_word *)object + bits_lowest(mask);
      fix(hot, slot, *slot);
    }
    return;
  }
  if (narrow && fix_narrow_object(hot, layout, object)) return;
  fix_put(hot);
  varve__fix_object(hot->fixer, object, words);
  fix_get(hot);
}

#endif
