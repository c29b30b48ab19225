/* SPDX-License-Identifier: MIT */
/* final.c -- finalizers and cleaners: see final.h.
 *
 * Queue      a pairing heap (Fredman, Sedgewick, Sleator, Tarjan, 1986) through two words of each entry: putting one
 *            in is one comparison, taking the first some, and neither needs memory. What a pause has found is put in
 *            by the host's next call, under the lock: a comparison each.
 * Handles    number of the entry + 1, and above it a generation that changes when the entry becomes free.
 * Called by  the host's running mutators, under the lock, which reach no safepoint while they hold it; pauses,
 *            without it.
 * Memory     chunks of 16 KiB from the metadata arenas, outside pauses; they are kept.
 */
#include "core/final.h"

#include <string.h>

#include "core/base/check.h"
#include "core/marker.h"
#include "core/mutator.h"
#include "core/weak.h"
#include "core/worker.h"
#include "varve/alloc.h"

#define CHUNKS_FIRST 16u
#define CHUNKS_MOST (UINT32_MAX / VARVE__FINAL_ENTRIES)

/* ---- entries ---- */

static struct varve_final_chunk *chunk_of(const struct varve_final *final, uint32_t number) {
  return final->chunks[number / VARVE__FINAL_ENTRIES];
}

static struct varve_final_entry *entry_of(const struct varve_final *final, uint32_t number) {
  return &chunk_of(final, number)->entry[number % VARVE__FINAL_ENTRIES];
}

static bool has_bit(const uint64_t *bits, uint32_t i) { return bits[i / 64] >> i % 64 & 1; }
static void set_bit(uint64_t *bits, uint32_t i) { bits[i / 64] |= UINT64_C(1) << i % 64; }
static void drop_bit(uint64_t *bits, uint32_t i) { bits[i / 64] &= ~(UINT64_C(1) << i % 64); }

static void set_free(struct varve_final *final, uint32_t number) {
  struct varve_final_entry *entry = entry_of(final, number);
  entry->object = 0;
  entry->context = NULL;
  ++entry->generation;
  entry->sibling = final->free;
  final->free = number + 1;
}

static bool grow_list(struct varve_heap *heap) {
  struct varve_final *final = &heap->final;
  uint32_t capacity = final->capacity ? final->capacity * 2 : CHUNKS_FIRST;
  if (final->count < final->capacity) return true;
  if (capacity > CHUNKS_MOST) capacity = CHUNKS_MOST;
  if (capacity == final->capacity) return false;
  struct varve_final_chunk **chunks = heap_meta_alloc(heap, capacity * sizeof *chunks);
  if (!chunks) return false;
  if (final->count) memcpy(chunks, final->chunks, final->count * sizeof *chunks);
  heap_meta_free(heap, final->chunks, final->capacity * sizeof *chunks);
  final->chunks = chunks;
  final->capacity = capacity;
  return true;
}

static bool add_chunk(struct varve_heap *heap) {
  struct varve_final *final = &heap->final;
  if (!grow_list(heap)) return false;
  struct varve_final_chunk *chunk = heap_meta_alloc(heap, sizeof *chunk);
  if (!chunk) return false;
  final->chunks[final->count] = chunk;
  uint32_t first = final->count++ * VARVE__FINAL_ENTRIES;
  for (uint32_t i = VARVE__FINAL_ENTRIES; i-- > 0;) set_free(final, first + i);
  return true;
}

void varve__final_close(struct varve_heap *heap) {
  struct varve_final *final = &heap->final;
  for (uint32_t i = 0; i < final->count; ++i) heap_meta_free(heap, final->chunks[i], sizeof *final->chunks[i]);
  heap_meta_free(heap, final->chunks, final->capacity * sizeof *final->chunks);
}

/* ---- attaching ---- */

static varve_finalizer handle_of(const struct varve_final *final, uint32_t number) {
  return (uint64_t)entry_of(final, number)->generation << 32 | (number + 1);
}

/* Pauses take the word for a slot's. */
static varve_word word_for(const struct varve_heap *heap, const void *object) {
  return (uintptr_t)object | bits_lowest(heap->slot_tags);
}

static uint32_t fill_entry(struct varve_heap *heap, const struct varve_final_entry *with, bool cleaner) {
  struct varve_final *final = &heap->final;
  uint32_t number = final->free - 1, i = number % VARVE__FINAL_ENTRIES;
  struct varve_final_chunk *chunk = chunk_of(final, number);
  struct varve_final_entry *entry = &chunk->entry[i];
  uint32_t generation = entry->generation;
  final->free = entry->sibling;
  *entry = *with;
  entry->generation = generation;
  entry->sequence = ++final->sequence;
  set_bit(chunk->attached, i);
  if (cleaner) set_bit(chunk->cleaners, i);
  else drop_bit(chunk->cleaners, i);
  chunk->newest = heap->space.epoch;
  return number;
}

static varve_finalizer attach(varve_mutator *mutator, const struct varve_final_entry *with, bool cleaner) {
  struct varve_heap *heap = mutator->heap;
  varve_finalizer handle = 0;
  VARVE_REQUIRE(space_contains(&heap->space, with->object), "finalizer: %#llx is no object of the heap",
                (unsigned long long)with->object);
  varve__lock_take(&heap->final.lock);
  if (heap->final.free || add_chunk(heap)) handle = handle_of(&heap->final, fill_entry(heap, with, cleaner));
  varve__lock_release(&heap->final.lock);
  return handle;
}

varve_finalizer varve_finalizer_attach(varve_mutator *mutator, const void *object, int32_t order,
                                       varve_finalizer_fn *fn, void *context) {
  struct varve_final_entry with = {word_for(mutator->heap, object), .fn = fn, .context = context, .order = order};
  return attach(mutator, &with, false);
}

varve_finalizer varve_cleaner_attach(varve_mutator *mutator, const void *object, int32_t order, varve_finalizer_fn *fn,
                                     void *context) {
  struct varve_final_entry with = {word_for(mutator->heap, object), .fn = fn, .context = context, .order = order};
  return attach(mutator, &with, true);
}

/* ---- the queue: a heap of entries, numbers + 1; 0: none ---- */

static bool comes_before(const struct varve_final_entry *a, const struct varve_final_entry *b) {
  if (a->order != b->order) return a->order < b->order;
  if (a->death != b->death) return a->death < b->death;
  return a->sequence < b->sequence;
}

static uint32_t meld(const struct varve_final *final, uint32_t a, uint32_t b) {
  if (!a || !b) return a ? a : b;
  struct varve_final_entry *x = entry_of(final, a - 1), *y = entry_of(final, b - 1);
  if (!comes_before(x, y)) return meld(final, b, a);
  y->sibling = x->child;
  x->child = b;
  return a;
}

/* Meld a list of siblings: neighbours first, from left to right, then the pairs from right to left. */
static uint32_t meld_list(const struct varve_final *final, uint32_t list) {
  uint32_t pairs = 0, all = 0;
  while (list) {
    uint32_t a = list, b = entry_of(final, a - 1)->sibling;
    list = b ? entry_of(final, b - 1)->sibling : 0;
    a = meld(final, a, b);
    entry_of(final, a - 1)->sibling = pairs;
    pairs = a;
  }
  while (pairs) {
    uint32_t a = pairs;
    pairs = entry_of(final, a - 1)->sibling;
    entry_of(final, a - 1)->sibling = 0;
    all = meld(final, all, a);
  }
  return all;
}

static void queue_chunk(struct varve_final *final, uint32_t c) {
  struct varve_final_chunk *chunk = final->chunks[c];
  for (uint32_t w = 0; w < VARVE__FINAL_WORDS; ++w) {
    for (uint64_t found = chunk->found[w]; found; found &= found - 1) {
      uint32_t number = c * VARVE__FINAL_ENTRIES + w * 64 + bits_lowest(found);
      entry_of(final, number)->child = entry_of(final, number)->sibling = 0;
      final->first = meld(final, final->first, number + 1);
    }
    chunk->queued[w] |= chunk->found[w];
    chunk->found[w] = 0;
  }
}

/* What pauses have found gets its place. */
static void queue_found(struct varve_final *final) {
  if (!final->incoming) return;
  for (uint32_t c = 0; c < final->count; ++c) queue_chunk(final, c);
  final->incoming = false;
}

/* Take the entry out, wherever it is. To leave the middle of the queue it stays there as an empty one, which is
 * passed over. */
static void drop(struct varve_final *final, uint32_t number) {
  struct varve_final_chunk *chunk = chunk_of(final, number);
  uint32_t i = number % VARVE__FINAL_ENTRIES;
  bool attached = has_bit(chunk->attached, i);
  drop_bit(chunk->attached, i);
  if (!attached) {
    atomic_fetch_sub_explicit(&final->waiting, 1, memory_order_relaxed);
    drop_bit(chunk->queued, i);
    chunk->entry[i].object = 0;
    ++chunk->entry[i].generation;
  } else {
    set_free(final, number);
  }
}

/* @return number + 1 of the first; 0: the queue is empty. */
static uint32_t pop(struct varve_final *final) {
  while (final->first) {
    uint32_t first = final->first, i = (first - 1) % VARVE__FINAL_ENTRIES;
    final->first = meld_list(final, entry_of(final, first - 1)->child);
    if (has_bit(chunk_of(final, first - 1)->queued, i)) return first;
    set_free(final, first - 1);
  }
  return 0;
}

static void give(struct varve_heap *heap, uint32_t number, varve_finalization *out) {
  struct varve_final *final = &heap->final;
  const struct varve_final_entry *entry = entry_of(final, number);
  *out = (varve_finalization){.finalizer = handle_of(final, number), .object = varve_untag(entry->object),
                              .fn = entry->fn, .context = entry->context, .order = entry->order};
  drop_bit(chunk_of(final, number)->queued, number % VARVE__FINAL_ENTRIES);
  atomic_fetch_sub_explicit(&final->waiting, 1, memory_order_relaxed);
  set_free(final, number);
}

bool varve_finalizer_next(varve_mutator *mutator, varve_finalization *out) {
  struct varve_heap *heap = mutator->heap;
  if (!varve_finalizers_queued(heap)) return false;
  varve__lock_take(&heap->final.lock);
  queue_found(&heap->final);
  uint32_t first = pop(&heap->final);
  if (first) give(heap, first - 1, out);
  varve__lock_release(&heap->final.lock);
  return first;
}

size_t varve_finalizers_run(varve_mutator *mutator, size_t most) {
  varve_finalization one;
  size_t taken = 0;
  for (; taken < most && varve_finalizer_next(mutator, &one); ++taken)
    if (one.fn) one.fn(mutator, one.object, one.context);
#ifdef VARVE_PLANT_FINALIZER_TWICE
  if (taken && one.fn) one.fn(mutator, one.object, one.context);
#endif
  return taken;
}

size_t varve_finalizers_queued(const varve_heap *heap) {
  return atomic_load_explicit(&heap->final.waiting, memory_order_relaxed);
}

/* ---- detaching ---- */

static bool is_in_use(const struct varve_final *final, uint32_t number) {
  const struct varve_final_chunk *chunk = chunk_of(final, number);
  uint32_t i = number % VARVE__FINAL_ENTRIES;
  return has_bit(chunk->attached, i) || has_bit(chunk->queued, i);
}

bool varve_finalizer_detach(varve_mutator *mutator, varve_finalizer finalizer) {
  struct varve_final *final = &mutator->heap->final;
  uint32_t number = (uint32_t)finalizer - 1;
  varve__lock_take(&final->lock);
  queue_found(final);
  bool known = number < final->count * VARVE__FINAL_ENTRIES && handle_of(final, number) == finalizer &&
               is_in_use(final, number);
  if (known) drop(final, number);
  varve__lock_release(&final->lock);
  return known;
}

size_t varve_finalizer_detach_all(varve_mutator *mutator, const void *object, varve_finalizer_fn *fn,
                                  const void *context) {
  struct varve_final *final = &mutator->heap->final;
  varve_word word = word_for(mutator->heap, object);
  size_t dropped = 0;
  varve__lock_take(&final->lock);
  queue_found(final);
  for (uint32_t number = 0; number < final->count * VARVE__FINAL_ENTRIES; ++number) {
    const struct varve_final_entry *entry = entry_of(final, number);
    if (entry->object != word || entry->fn != fn || entry->context != context || !is_in_use(final, number)) continue;
    drop(final, number);
    ++dropped;
  }
  varve__lock_release(&final->lock);
  return dropped;
}

/* ---- the hook ---- */

void varve_finalizers_notify(varve_mutator *mutator, varve_finalizers_hook *hook, void *context) {
  struct varve_final *final = &mutator->heap->final;
  varve__lock_take(&final->lock);
  final->hook = hook;
  final->context = context;
  varve__lock_release(&final->lock);
}

void varve__final_tell(struct varve_heap *heap) {
  struct varve_final *final = &heap->final;
  if (!atomic_load_explicit(&final->queued_ever, memory_order_relaxed)) return;
  varve__lock_take(&final->lock);
  uint64_t ever = atomic_load_explicit(&final->queued_ever, memory_order_relaxed);
  varve_finalizers_hook *hook = ever != final->told ? final->hook : NULL;
  void *context = final->context;
  final->told = ever;
  varve__lock_release(&final->lock);
  if (hook) hook(context, varve_finalizers_queued(heap));
}

/* ---- in a pause ---- */

/* What an epoch is called when `by` epochs behind the floor have become one with it. */
static uint8_t merged(uint8_t epoch, uint8_t floor, uint8_t by) {
  if (epoch <= floor) return epoch;
  return epoch - floor > by ? (uint8_t)(epoch - by) : floor;
}

void varve__final_merge(struct varve_heap *heap, uint8_t by) {
  struct varve_final *final = &heap->final;
  uint8_t floor = heap->space.floor;
  for (uint32_t c = 0; c < final->count; ++c)
    final->chunks[c]->newest = merged(final->chunks[c]->newest, floor, by);
}

void varve__final_rewind(struct varve_heap *heap) { atomic_store_explicit(&heap->final.next, 0, memory_order_relaxed); }

/* The next chunk that may have objects of the range; NULL: there is none. */
static struct varve_final_chunk *claim(struct varve_heap *heap) {
  struct varve_final *final = &heap->final;
  uint32_t next;
  while ((next = atomic_fetch_add_explicit(&final->next, 1, memory_order_relaxed)) < final->count)
    if (final->chunks[next]->newest >= heap->space.cut) return final->chunks[next];
  return NULL;
}

static void visit_entries(struct varve_final_chunk *chunk, const uint64_t *which, struct varve_visitor *visitor) {
  visitor->range(visitor, &chunk->entry[0].object, sizeof chunk->entry[0], VARVE__FINAL_ENTRIES, which, false);
}

static void visit_queued(struct varve_final_chunk *chunk, struct varve_visitor *visitor) {
  visit_entries(chunk, chunk->found, visitor);
  visit_entries(chunk, chunk->queued, visitor);
}

void varve__final_visit_queued(struct varve_heap *heap, struct varve_visitor *visitor) {
  for (uint32_t c = 0; c < heap->final.count; ++c) visit_queued(heap->final.chunks[c], visitor);
}

void varve__final_mark(struct mark_worker *worker) {
  struct varve_final_chunk *chunk;
  while ((chunk = claim(worker->heap))) visit_queued(chunk, &worker->root_visitor);
}

void varve__final_mark_found(struct mark_worker *worker) {
  struct varve_final_chunk *chunk;
  while ((chunk = claim(worker->heap)))
    if (chunk->took) visit_entries(chunk, chunk->found, &worker->root_visitor);
}

void varve__final_fix(struct varve_heap *heap, struct varve_visitor *visitor) {
  struct varve_final_chunk *chunk;
  while ((chunk = claim(heap))) visit_entries(chunk, NULL, visitor);
}

/* Those of `which` (all of a word of the bitmap) that are attached to dead objects. */
static uint64_t dead_among(const struct varve_heap *heap, const struct varve_final_entry *entries, uint64_t which) {
  uint64_t dead = 0, all = which;
  for (; which; which &= which - 1) {
    size_t index = space_word(&heap->space, entries[bits_lowest(which)].object);
    __builtin_prefetch(&heap->space.bitmap[index >> 6]);
  }
  for (which = all; which; which &= which - 1)
    dead |= (uint64_t)weak_is_dead(heap, entries[bits_lowest(which)].object) << bits_lowest(which);
  return dead;
}

/* Cleaners or finalizers of a word of the bitmap. @return how many were found. */
static uint64_t find_dead(struct varve_heap *heap, struct varve_final_chunk *chunk, uint32_t w, bool cleaners) {
  uint64_t which = chunk->attached[w] & (cleaners ? chunk->cleaners[w] : ~chunk->cleaners[w]);
  uint64_t dead = dead_among(heap, &chunk->entry[w * 64], which);
  chunk->attached[w] &= ~dead;
  chunk->found[w] |= dead;
  for (uint64_t left = dead; left; left &= left - 1) {
    struct varve_final_entry *entry = &chunk->entry[w * 64 + bits_lowest(left)];
    entry->death = heap->current.number;
    if (cleaners) entry->object = 0;
  }
  return (uint64_t)bits_count(dead);
}

static void find_all(struct varve_heap *heap, bool cleaners) {
  struct varve_final_chunk *chunk;
  uint64_t taken = 0;
  while ((chunk = claim(heap))) {
    uint64_t before = taken;
    for (uint32_t w = 0; w < VARVE__FINAL_WORDS; ++w) taken += find_dead(heap, chunk, w, cleaners);
    chunk->took = taken != before;
    chunk->newest = heap->space.cut;
  }
  atomic_fetch_add_explicit(&heap->final.taken, taken, memory_order_relaxed);
}

static void find_finalizers_worker(struct varve_heap *heap, uint32_t self) {
  (void)self;
  find_all(heap, false);
}

static void find_cleaners_worker(struct varve_heap *heap, uint32_t self) {
  (void)self;
  find_all(heap, true);
}

static bool take(struct varve_heap *heap, varve_worker_fn *find) {
  struct varve_final *final = &heap->final;
  if (!final->count) return false;
  atomic_store_explicit(&final->taken, 0, memory_order_relaxed);
  varve__final_rewind(heap);
  varve__workers_run(heap, find);
  uint64_t taken = atomic_load_explicit(&final->taken, memory_order_relaxed);
  final->incoming |= taken != 0;
  heap->current.finalizers_queued += taken;
  atomic_fetch_add_explicit(&final->waiting, taken, memory_order_relaxed);
  atomic_fetch_add_explicit(&final->queued_ever, taken, memory_order_relaxed);
  return taken;
}

bool varve__final_take(struct varve_heap *heap) { return take(heap, find_finalizers_worker); }
void varve__final_take_cleaners(struct varve_heap *heap) { take(heap, find_cleaners_worker); }
