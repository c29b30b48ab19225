/* SPDX-License-Identifier: MIT */
/* layout.h -- the layout table: what varve_layout_register made of a description.
 *
 * One reserved array indexed by layout id, so that entries never move and a lookup is one shift. Entries are written
 * before their id is handed out and never change: pauses read them without a lock (M1, F2).
 */
#ifndef VARVE_CORE_LAYOUT_H
#define VARVE_CORE_LAYOUT_H

#include <stdatomic.h>

#include "core/base/park.h"
#include "varve/layout.h"

#define VARVE__LAYOUTS_MAX 65536u

/* Kinds of entries whose descriptions have narrow slots: kinds of their own, so that loops over wide slots need not
 * ask. */
enum {
  VARVE__LAYOUT_NARROW = 16,
  VARVE__LAYOUT_NARROW_OFFSETS = VARVE__LAYOUT_NARROW + VARVE_LAYOUT_OFFSETS,
  VARVE__LAYOUT_NARROW_ARRAY = VARVE__LAYOUT_NARROW + VARVE_LAYOUT_REF_ARRAY,
  VARVE__LAYOUT_NARROW_RECORDS = VARVE__LAYOUT_NARROW + VARVE_LAYOUT_RECORDS
};

struct varve_layout_choice {
  uint32_t offset, width; /* bytes */
  varve_layout otherwise;
  uint32_t count;
  varve_union_case cases[]; /* sorted by value */
};

struct varve_layout_closure {
  uint32_t count_offset, tag_offset, tag_stride, value_offset, value_stride; /* bytes */
  uint64_t ref_tags[4];
};

enum varve_layout_hooked { HOOKED_NOT, HOOKED_MOVED, HOOKED_SURVIVORS };

/* Of layouts that are hooked; away from the entries, which are a cache line each. */
struct varve_layout_hook {
  varve_moved_fn *moved;
  void *context;
};

struct varve_layout_entry {
  uint8_t kind;      /* enum varve_layout_kind, or one of the above; 0: not registered */
  uint8_t immutable;
  uint8_t masked;    /* OFFSETS, RECORDS, weak kinds: every slot of `offsets` is within 64 words and stands in `mask` */
  uint8_t narrow_masked : 1; /* and of narrow slots, each is within 64 halves of words and stands in `narrow_mask` */
  uint8_t after : 1;         /* WEAK: cleared after finalization */
  uint8_t hooked : 2;        /* enum varve_layout_hooked */
  uint32_t words_min;
  uint32_t first;    /* REF_ARRAY, RECORDS, weak kinds: word index of the first slot, record or entry; NARROW_ARRAY: in
                        halves of words */
  uint32_t stride;   /* RECORDS: words */
  uint64_t mask;     /* bit i: word i (of the object, or of a record) is a slot */
  const uint32_t *offsets; /* word indexes, for the kinds that are not masked */
  uint32_t offset_count, narrow_count;
  union {
    const struct varve_layout_choice *choice;
    const struct varve_layout_closure *closure;
    varve_trace_fn *trace;
    const uint32_t *narrow_offsets; /* NARROW_OFFSETS, NARROW_RECORDS: indexes of halves of words */
    varve_word cleared;             /* weak kinds */
  };
  union {
    void *context;
    uint64_t narrow_mask; /* bit i: the i-th half of a word is a slot */
  };
  const char *name;
};
_Static_assert(sizeof(struct varve_layout_entry) == 64, "an entry is a cache line");

/* Has it slots that do not keep alive? */
static inline bool layout_is_weak(const struct varve_layout_entry *layout) {
  return layout->kind == VARVE_LAYOUT_WEAK || layout->kind == VARVE_LAYOUT_EPHEMERONS;
}

struct varve_layout_table {
  struct varve_layout_entry *entries; /* VARVE__LAYOUTS_MAX reserved, committed as they are used */
  struct varve_layout_hook *hooks;    /* likewise, by layout */
  _Atomic uint8_t hooked;             /* the most that any layout is; grows */
  _Atomic uint32_t count;             /* ids below are registered; release, paired with the acquire of readers */
  struct varve_lock lock;
};

struct varve_meta;
bool varve__layouts_open(struct varve_layout_table *table);
void varve__layouts_close(struct varve_layout_table *table, struct varve_meta *meta);
/* Is this a registered layout that an object of so many words can have? */
bool varve__layout_fits(const struct varve_layout_table *table, varve_layout layout, uint64_t words);

#endif
