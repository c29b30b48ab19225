/* SPDX-License-Identifier: MIT */
/* remember.c -- the store barrier's slow half, and the two passes over what is remembered: see remember.h.
 *
 * Called by  varve_remember: running mutators, between safepoints; takes the lock once for 510 objects. The passes:
 *            workers.
 * Memory     lists of 4 KiB from the metadata arenas, outside pauses, a 256th of the heap at most; they are kept. When
 *            there is no more, the next collection is full.
 * Atomics    flags and notes are changed by byte-wide atomics, for other mutators write to the same object; that both
 *            see a flag clear and only one lists the object is decided by the value that the OR returns. The stop of
 *            the world orders everything else.
 */
#include "core/remember.h"

#include <string.h>

#include "core/base/check.h"
#include "core/mutator.h"
#include "core/scan.h"
#include "core/weak.h"
#include "varve/store.h"

#define LISTS_FIRST 64u
#define LISTS_LEAST 256u /* lists that every heap may have: a MiB, */
#define LISTS_SHARE 256u /* larger ones one part in so many; and one for each mutator */
#define LINE_WORDS 8u
#define ENTRIES_AHEAD 16u
#define ENTRY_REACH 32u /* bytes from a header to what is fetched with it */

/* ---- listing ---- */

static bool make_room(struct varve_heap *heap) {
  struct varve_remembered *remembered = &heap->remembered;
  uint32_t capacity = remembered->capacity ? remembered->capacity * 2 : LISTS_FIRST;
  if (remembered->count < remembered->capacity) return true;
  struct varve_remembered_list **lists = heap_meta_alloc(heap, capacity * sizeof *lists);
  if (!lists) return false;
  if (remembered->count) memcpy(lists, remembered->lists, remembered->count * sizeof *lists);
  heap_meta_free(heap, remembered->lists, remembered->capacity * sizeof *lists);
  remembered->lists = lists;
  remembered->capacity = capacity;
  return true;
}

static uint32_t most_lists(const struct varve_heap *heap) {
  uint64_t bytes = (uint64_t)heap_setting(&heap->space.limit_blocks) * VARVE__BLOCK_BYTES / LISTS_SHARE;
  uint64_t lists = bytes / sizeof(struct varve_remembered_list);
  uint32_t mutators = atomic_load_explicit(&heap->mutator_count, memory_order_relaxed);
  return mutators + (lists < LISTS_LEAST ? LISTS_LEAST : (uint32_t)lists);
}

/* A new one is on the node. */
static struct varve_remembered_list *take_list(struct varve_heap *heap, unsigned node) {
  struct varve_remembered *remembered = &heap->remembered;
  struct varve_remembered_list *list = NULL;
  varve__lock_take(&remembered->lock);
  if (remembered->count < most_lists(heap) && make_room(heap)) {
    if ((list = remembered->free)) remembered->free = list->next;
    else list = varve__meta_alloc(heap->meta, node, sizeof *list, 64);
    if (list) {
      list->count = 0;
      remembered->lists[remembered->count++] = list;
    }
  }
  varve__lock_release(&remembered->lock);
  return list;
}

static void list_object(struct varve__mutator *mutator, varve_object *object) {
  struct varve_remembered_list *list = mutator->remembered;
  if (!list || list->count == VARVE__REMEMBERED_ENTRIES) list = take_list(mutator->head.heap, mutator->node);
  mutator->remembered = list;
  if (list) list->entries[list->count++] = object;
  else atomic_store_explicit(&mutator->head.heap->remembered.lost, true, memory_order_relaxed);
}

/* ---- lines of large arrays ---- */

static const struct varve_layout_entry *layout_of(const struct varve_heap *heap, const varve_object *object) {
  return &heap->layouts.entries[varve_object_layout(object)];
}

/* Is the object noted by lines? */
static bool has_lines(const struct varve_heap *heap, const varve_object *object) {
  const struct varve_layout_entry *layout = layout_of(heap, object);
  if (varve_object_bytes(object) <= VARVE_MEDIUM_MAX) return false;
  switch (layout->kind) {
    case VARVE_LAYOUT_REF_ARRAY:
    case VARVE__LAYOUT_NARROW_ARRAY: return true;
    case VARVE_LAYOUT_RECORDS: return layout->masked;
    case VARVE__LAYOUT_NARROW_RECORDS: return layout->masked && layout->narrow_masked;
    default: return false;
  }
}

static uint8_t *line_note(const struct varve_space *space, const void *address) {
  return (uint8_t *)space->bitmap + (((uint64_t)(uintptr_t)address - space->base) >> 6);
}

/* The first line's byte holds the object's mark too, and an old object has it. */
static void note_line(struct varve_heap *heap, const varve_object *object, const varve_word *slot) {
  uint8_t *note = line_note(&heap->space, slot);
  uint8_t value = note == line_note(&heap->space, object) ? VARVE__LINE_NOTED | 1 : VARVE__LINE_NOTED;
  if (__atomic_load_n(note, __ATOMIC_RELAXED) != value) __atomic_store_n(note, value, __ATOMIC_RELAXED);
}

static bool is_immortal(const struct varve_heap *heap, const varve_object *object) {
  return space_is_immortal(&heap->space, space_block(&heap->space, (uint64_t)(uintptr_t)object));
}

/* A5: asleep, only what is written into immortal objects has to be known. */
static bool is_blind(const struct varve_heap *heap, const varve_object *object) {
  bool lost = atomic_load_explicit(&heap->remembered.lost, memory_order_relaxed);
  return lost || (heap->ages.asleep && !is_immortal(heap, object));
}

void varve_remember(varve_mutator *head, void *at, varve_word *slot) {
  struct varve_heap *heap = head->heap;
  varve_object *object = at;
#ifdef VARVE_PLANT_MISSING_BARRIER
  if ((uintptr_t)at / 8 % 64 == 0) return;
#endif
  VARVE_REQUIRE(space_contains(&heap->space, (uint64_t)(uintptr_t)at), "store: %p is no object of the heap", at);
  bool blind = is_blind(heap, object);
  bool lines = !blind && has_lines(heap, object);
  ++mutator_of(head)->barriers;
  uint8_t flag = lines ? VARVE_ABI_FLAG_LISTED : VARVE_ABI_FLAG_NO_LOG;
  if (lines) note_line(heap, object, slot);
  if (lines && (__atomic_load_n((uint8_t *)object, __ATOMIC_RELAXED) & flag)) return;
  if ((__atomic_fetch_or((uint8_t *)object, flag, __ATOMIC_RELAXED) & flag) || blind) return;
  list_object(mutator_of(head), object);
}

/* ---- the sieve ---- */

/* Does what is at the address belong to the range? Sets needed. */
SCAN_INLINE bool leads_into_range(struct varve_sieve *sieve, uint64_t address) {
  const struct varve_space *space = &sieve->heap->space;
  uint8_t epoch = space->epochs[space_block(space, address)];
  bool into = epoch >= space->cut;
  if (into) epoch = space->cut;
  sieve->needed |= epoch > sieve->past;
  return into;
}

/* The words of `which` that refer into the range. Sets found and needed. */
static uint64_t refer_into_range(struct varve_sieve *sieve, const varve_word *words, size_t stride, uint64_t which,
                                 uint32_t tags) {
  uint64_t into = 0;
  for (; which; which &= which - 1) {
    unsigned i = bits_lowest(which);
    varve_word word = *(const varve_word *)((const char *)words + i * stride);
    if (heap_is_reference(sieve->heap, word, tags) && leads_into_range(sieve, word)) into |= UINT64_C(1) << i;
  }
  sieve->found |= into != 0;
  return into;
}

void varve__sieve_run(struct varve_sieve *sieve, varve_word *words, size_t stride, uint64_t which, bool ref) {
  uint32_t tags = ref ? sieve->heap->ref_tags : sieve->heap->slot_tags;
  uint64_t into = refer_into_range(sieve, words, stride, which, tags);
  if (into) sieve->visitor->range(sieve->visitor, words, stride, 64 - (size_t)__builtin_clzll(into), &into, ref);
}

static uint64_t narrow_into_range(struct varve_sieve *sieve, const varve_narrow *words, size_t stride, uint64_t which) {
  const struct varve_heap *heap = sieve->heap;
  uint64_t into = 0;
  for (; which; which &= which - 1) {
    unsigned i = bits_lowest(which);
    varve_narrow word = *(const varve_narrow *)((const char *)words + i * stride);
    if (!heap_is_narrow_reference(heap, word)) continue;
    uint64_t address = heap->space.base + narrow_offset(&heap->narrow, word);
    if (leads_into_range(sieve, address)) into |= UINT64_C(1) << i;
  }
  sieve->found |= into != 0;
  return into;
}

void varve__sieve_run_narrow(struct varve_sieve *sieve, varve_narrow *words, size_t stride, uint64_t which) {
  uint64_t into = narrow_into_range(sieve, words, stride, which);
  if (into) sieve->visitor->narrow(sieve->visitor, words, stride, 64 - (size_t)__builtin_clzll(into), &into);
}

/* What trace functions give; they may give any number of words at once. */
static void sift_range(struct varve_visitor *visitor, varve_word *base, size_t stride, size_t count,
                       const uint64_t *bitmap, bool ref) {
  for (size_t from = 0; from < count; from += 64) {
    uint64_t which = bitmap ? bitmap[from / 64] : ~UINT64_C(0);
    if (count - from < 64) which &= bits_below((unsigned)(count - from));
    varve__sieve_run(visitor->context, (varve_word *)((char *)base + from * stride), stride, which, ref);
  }
}

static void sift_narrow(struct varve_visitor *visitor, varve_narrow *base, size_t stride, size_t count,
                        const uint64_t *bitmap) {
  for (size_t from = 0; from < count; from += 64) {
    uint64_t which = bitmap ? bitmap[from / 64] : ~UINT64_C(0);
    if (count - from < 64) which &= bits_below((unsigned)(count - from));
    varve__sieve_run_narrow(visitor->context, (varve_narrow *)((char *)base + from * stride), stride, which);
  }
}

static void sift_narrow_slots(void *context, varve_narrow *slots, size_t count) {
  struct varve_sieve *sieve = context;
  sift_narrow(&sieve->own, slots, 4, count, NULL);
}

static void sift_slots(void *context, varve_word *slots, size_t count) {
  struct varve_sieve *sieve = context;
  sift_range(&sieve->own, slots, 8, count, NULL, false);
}

void varve__sieve_open(struct varve_sieve *sieve, struct varve_heap *heap, struct varve_visitor *visitor,
                       bool marking) {
  *sieve = (struct varve_sieve){.heap = heap, .visitor = visitor, .marking = marking};
  sieve->past = heap->ages.next_tenured;
  sieve->own = (struct varve_visitor){.range = sift_range, .narrow = sift_narrow, .heap = heap, .context = sieve};
}

/* ---- remembered objects ---- */

/* The slots among the eight words from `first` on; the object has `words`. A record may be longer than its mask. */
static uint64_t line_slots(const struct varve_layout_entry *layout, uint64_t first, uint64_t words) {
  uint64_t slots = 0;
  if (layout->kind == VARVE__LAYOUT_NARROW_ARRAY) return 0;
  for (unsigned i = 0; i < LINE_WORDS && first + i < words; ++i) {
    uint64_t word = first + i;
    if (word < layout->first) continue;
    uint64_t record = layout->stride ? (word - layout->first) / layout->stride : 0;
    uint64_t start = layout->first + record * layout->stride;
    if (layout->kind == VARVE_LAYOUT_REF_ARRAY) slots |= UINT64_C(1) << i;
    else if (word - start < 64 && start + layout->stride <= words) slots |= (layout->mask >> (word - start) & 1) << i;
  }
  return slots;
}

/* The narrow slots among the halves of these words. */
static uint64_t line_narrow_slots(const struct varve_layout_entry *layout, uint64_t first, uint64_t words) {
  uint64_t slots = 0;
  for (unsigned i = 0; i < 2 * LINE_WORDS && first + i / 2 < words; ++i) {
    uint64_t half = 2 * first + i, start = 2 * layout->first;
    if (layout->kind == VARVE__LAYOUT_NARROW_ARRAY) slots |= (uint64_t)(half >= layout->first) << i;
    if (layout->kind != VARVE__LAYOUT_NARROW_RECORDS || half < start) continue;
    start += (half - start) / (2 * layout->stride) * (2 * layout->stride);
    if (half - start < 64 && start / 2 + layout->stride <= words)
      slots |= (layout->narrow_mask >> (half - start) & 1) << i;
  }
  return slots;
}

/* One noted line of a large array. @return whether it still is. Atomic: markers read the first line's byte, with the
 * seven behind it, to see that the object is marked. */
static bool visit_line(struct varve_sieve *sieve, varve_object *object, size_t line, uint8_t *note) {
  ++sieve->lines;
  uint64_t words = varve_object_bytes(object) / 8;
  const struct varve_layout_entry *layout = layout_of(sieve->heap, object);
  sieve->found = sieve->needed = false;
  varve_word *first = (varve_word *)object + line * LINE_WORDS;
  varve__sieve_run(sieve, first, 8, line_slots(layout, line * LINE_WORDS, words), false);
#ifdef VARVE_PLANT_NARROW_LINE_LOST
  if (line % 4 == 0) words = 0;
#endif
  if (layout->kind & VARVE__LAYOUT_NARROW)
    varve__sieve_run_narrow(sieve, (varve_narrow *)first, 4, line_narrow_slots(layout, line * LINE_WORDS, words));
  if (!sieve_forgets(sieve)) return true;
  __atomic_store_n(note, *note & (uint8_t)~VARVE__LINE_NOTED, __ATOMIC_RELAXED);
  return false;
}

static bool visit_lines(struct varve_sieve *sieve, varve_object *object) {
  const uint64_t noted = UINT64_C(0x0101010101010101) * VARVE__LINE_NOTED;
  uint8_t *notes = line_note(&sieve->heap->space, object);
  size_t lines = (varve_object_bytes(object) / 8 + LINE_WORDS - 1) / LINE_WORDS;
  bool kept = false;
  for (size_t first = 0; first < lines; first += 8) {
    uint64_t eight;
    memcpy(&eight, notes + first, sizeof eight); /* a run's bitmap is made of whole words */
    for (eight &= noted; eight; eight &= eight - 1) {
      size_t line = first + bits_lowest(eight) / 8;
      kept |= visit_line(sieve, object, line, &notes[line]);
    }
  }
  return kept;
}

/* Slots that keep nothing alive: do they refer into the range? */
static void look_at_slots(void *context, varve_word *slots, size_t count) {
  struct varve_sieve *sieve = context;
  for (size_t from = 0; from < count; from += 64) {
    uint64_t which = count - from < 64 ? bits_below((unsigned)(count - from)) : ~UINT64_C(0);
    refer_into_range(sieve, slots + from, 8, which, sieve->heap->slot_tags);
  }
}

/* The mark pass over an object of a weak kind: only strong slots are marked from; the rest is left to the passes of
 * weak.h. */
static void sift_holder(struct varve_sieve *sieve, varve_object *object, const struct varve_layout_entry *layout) {
  scan_strong(layout, (varve_word *)object, sift_slots, sieve);
  scan_weak(layout, (varve_word *)object, varve_object_bytes(object) / 8, look_at_slots, sieve);
  if (sieve->found) varve__weak_found(sieve->visitor->context, object, layout);
}

static bool visit_object(struct varve_sieve *sieve, varve_object *object) {
  const struct varve_layout_entry *layout = layout_of(sieve->heap, object);
  if (has_lines(sieve->heap, object)) return visit_lines(sieve, object);
  sieve->found = sieve->needed = false;
  if (sieve->marking && layout_is_weak(layout))
    sift_holder(sieve, object, layout);
  else
    scan_object(&sieve->heap->layouts, layout, (varve_word *)object, varve_object_bytes(object) / 8, sift_slots,
                sift_narrow_slots, sieve, &sieve->own);
#ifdef VARVE_PLANT_DROPPED_EARLY
  sieve->needed = false;
#endif
  return !sieve_forgets(sieve);
}

/* A1 */
static bool visit_old(struct varve_sieve *sieve, varve_object *object) {
#ifndef VARVE_PLANT_IMMORTAL_FORGOTTEN
  if (is_immortal(sieve->heap, object)) sieve->past = 0;
#endif
  bool stays = visit_object(sieve, object);
  sieve->past = sieve->heap->ages.next_tenured;
  return stays;
}

static void take_off(varve_object **entry) {
  uint8_t *flags = (uint8_t *)*entry;
  __atomic_store_n(flags, *flags & (uint8_t)~VARVE__FLAGS_REMEMBERED, __ATOMIC_RELAXED);
  *entry = NULL;
}

/* A remembered object is mostly in no cache. */
SCAN_INLINE void fetch_entry(const struct varve_remembered_list *list, uint32_t i) {
  if (i >= list->count || !list->entries[i]) return;
  __builtin_prefetch(list->entries[i], 1);
  __builtin_prefetch((const char *)list->entries[i] + ENTRY_REACH);
}

/* A listed object of the range may be dead, and is not looked at. */
void varve__remembered_visit(struct varve_sieve *sieve, uint32_t index) {
  struct varve_space *space = &sieve->heap->space;
  struct varve_remembered_list *list = sieve->heap->remembered.lists[index];
  for (uint32_t i = 0; i < ENTRIES_AHEAD; ++i) fetch_entry(list, i);
  for (uint32_t i = 0; i < list->count; ++i) {
    varve_object **entry = &list->entries[i];
    fetch_entry(list, i + ENTRIES_AHEAD);
    if (!*entry) continue;
    if (space_in_range(space, space_block(space, (uint64_t)(uintptr_t)*entry))) *entry = NULL;
    else if (!visit_old(sieve, *entry)) take_off(entry);
  }
}

/* ---- after a pause ---- */

static void compact_list(struct varve_remembered_list *list) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < list->count; ++i)
    if (list->entries[i]) list->entries[kept++] = list->entries[i];
  list->count = kept;
}

/* Move entries of the list into the one before that has room. */
static void pour(struct varve_remembered_list *from, struct varve_remembered_list *into) {
  while (from->count && into->count < VARVE__REMEMBERED_ENTRIES)
    into->entries[into->count++] = from->entries[--from->count];
}

void varve__remembered_settle(struct varve_heap *heap) {
  struct varve_remembered *remembered = &heap->remembered;
  uint32_t kept = 0;
  for (struct varve__mutator *m = heap->mutators; m; m = m->next) m->remembered = NULL, m->barriers = 0;
  for (uint32_t i = 0; i < remembered->count; ++i) {
    struct varve_remembered_list *list = remembered->lists[i];
    if (!heap->space.cut) list->count = 0;
    compact_list(list);
    if (kept) pour(list, remembered->lists[kept - 1]);
    if (list->count) {
      remembered->lists[kept++] = list;
    } else {
      list->next = remembered->free;
      remembered->free = list;
    }
  }
  remembered->count = kept;
  if (!space_is_partial(&heap->space)) atomic_store_explicit(&remembered->lost, false, memory_order_relaxed);
}

uint64_t varve__remembered_barriers(const struct varve_heap *heap) {
  uint64_t barriers = 0;
  for (const struct varve__mutator *m = heap->mutators; m; m = m->next) barriers += m->barriers;
  return barriers;
}

uint64_t varve__remembered_count(const struct varve_heap *heap) {
  uint64_t objects = 0;
  for (uint32_t i = 0; i < heap->remembered.count; ++i) objects += heap->remembered.lists[i]->count;
  return objects;
}

/* The lists go with the metadata arenas. */
void varve__remembered_close(struct varve_heap *heap) {
  struct varve_remembered *remembered = &heap->remembered;
  heap_meta_free(heap, remembered->lists, remembered->capacity * sizeof(struct varve_remembered_list *));
  remembered->lists = NULL;
}

bool varve__remembered_has(const struct varve_heap *heap, const varve_object *object, const void *slot) {
  uint8_t flags = *(const uint8_t *)object;
  if (!has_lines(heap, object)) return flags & VARVE_ABI_FLAG_NO_LOG;
  return (flags & VARVE_ABI_FLAG_LISTED) && (*line_note(&heap->space, slot) & VARVE__LINE_NOTED);
}
