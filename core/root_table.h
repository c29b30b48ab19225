/* SPDX-License-Identifier: MIT */
/* root_table.h -- the root tables from the inside, shared by root.c, refs.c and handle.c.
 *
 * Everything here is written under `lock`, which registrations take and which the collector holds in a pause. The
 * exception is what hangs below a slab: words and bits of a chunk change without a lock (regions/slab.h).
 *
 * Tasks cost one array entry each. `needed` counts the entries that a pause would use if every mutator that has been
 * attached at once were attached; whatever raises it makes the array larger first, so a pause never allocates.
 */
#ifndef VARVE_CORE_ROOT_TABLE_H
#define VARVE_CORE_ROOT_TABLE_H

#include "core/heap.h"
#include "core/interval.h"
#include "core/root.h"
#include "regions/slab.h"
#include "varve/store.h"

#define ROOT_STRETCH_WORDS ((size_t)1 << 16) /* words of an array in one task: 512 KiB, a fraction of a millisecond */

enum root_kind { ROOT_SLOTS, ROOT_ARRAY, ROOT_SLAB, ROOT_HANDLES, ROOT_CALLBACK, ROOT_PINS };

/* Notes of an array, a byte a line. Arrays grow while others store into them, so notes that were replaced stay until
 * the next pause is over. */
struct root_lines {
  struct root_lines *next;    /* of those that were replaced */
  uint64_t collections;       /* when that was */
  size_t count, capacity;
  uint8_t note[];
};

/* One registration. A line of words is noted when one of them may have been stored to since a collection last looked
 * (A1); tables whose stores nobody notes have `always`, and are looked at as a whole. */
struct root_table {
  varve_notes notes;      /* first: inline stores read it */
  uint8_t always;         /* a note that is set */
  struct root_table *next, *previous; /* in roots->tables */
  varve_heap *heap;
  enum root_kind kind;
  unsigned node;          /* where most of its words seem to be */
  bool untracked, slot_tags, narrow; /* ROOT_ARRAY */
  struct root_lines *lines; /* ROOT_ARRAY: the notes; NULL: none */
  varve_word *base;       /* ROOT_SLOTS, ROOT_ARRAY (of narrow words, too), ROOT_PINS; */
  size_t stride, count;   /* bytes; words */
  const uint64_t *bitmap; /* in host memory; NULL: all words */
  varve_root_fn *fn;      /* ROOT_CALLBACK */
  void *context;
  size_t parts;
  struct varve_slab slab; /* ROOT_SLAB, ROOT_HANDLES */
  char name[48];
};

/* What varve/root.h calls refs: a table of kind ROOT_SLAB or ROOT_ARRAY. */
struct varve_refs {
  struct root_table table;
};

struct root_task {
  struct root_table *table;       /* NULL: the frames of `mutator` */
  struct varve__mutator *mutator;
  struct varve_slab_chunk *chunk; /* ROOT_SLAB, ROOT_HANDLES */
  size_t part;                    /* first word of the stretch, or the callback's part */
};

struct varve_roots {
  varve_heap *heap;
  struct varve_lock lock;
  struct root_table *tables;
  struct root_table handles; /* always there, and in the list */
  struct varve_intervals words;
  struct root_task *tasks;
  uint32_t *task_list;         /* as many as tasks; NULL: there is one node only */
  size_t task_count, capacity; /* tasks of this pause; room in the arrays */
  size_t needed, mutators;     /* entries a pause may use; of these, for mutators */
  struct root_lines *replaced;
};

/* Are the table's words Ref words, rather than roots with the tags of slots? */
static inline bool root_table_is_ref(const struct root_table *table) {
  return table->kind == ROOT_SLAB || (table->kind == ROOT_ARRAY && !table->slot_tags);
}

/* Bytes of a word. */
static inline size_t root_table_width(const struct root_table *table) {
  return table->narrow ? sizeof(varve_narrow) : sizeof(varve_word);
}

static inline size_t root_stretches(size_t words) { return (words + ROOT_STRETCH_WORDS - 1) / ROOT_STRETCH_WORDS; }

/* All under the lock. */
bool varve__root_reserve_tasks(struct varve_roots *roots, size_t more); /* room for `needed` + more; counts them */
void varve__root_list(struct varve_roots *roots, struct root_table *table);
void varve__root_unlist(struct varve_roots *roots, struct root_table *table, size_t tasks);
struct root_table *varve__root_table_new(varve_heap *heap, enum root_kind kind, const char *name);
void varve__root_table_free(struct root_table *table);
/* Find out which node its words are on. */
void varve__root_locate(struct root_table *table);
/* Are these evenly spaced words in order, outside the heap, and in no table yet? `status`: VARVE_ROOT,
 * VARVE_OVERLAP. */
varve_status varve__root_check_words(struct varve_roots *roots, const struct root_table *table, varve_error *error);

/* ---- notes.c ---- */

/* Let stores into the table be noted, if the heap has ages and the table is tracked; its words are noted at first. To
 * be called again when it has moved or grown; others may be storing into it if it stays where it is. Under the lock.
 * False: no
 * memory; nothing happened. */
bool varve__notes_open(struct root_table *table);
void varve__notes_close(struct root_table *table);
void varve__notes_close_all(struct varve_roots *roots);
static inline void root_table_note(struct root_table *table, const varve_word *slot) {
  varve_ref_note((varve_refs *)table, slot);
}

/* Add a chunk to the table's slab, with its task and its interval. False: no memory. Takes the lock. */
bool varve__root_grow_slab(struct root_table *table, unsigned node);
/* Take the table's chunks out of the intervals, before its slab is closed. Under the lock. */
void varve__root_forget_chunks(struct varve_roots *roots, struct root_table *table);

#endif
