/* SPDX-License-Identifier: MIT */
/* ephemeron.c -- values that live as long as their keys do: firing each entry when its key is marked.
 *
 * Idea       When marking has ended, each entry of the holders found is looked at once. If its key is alive it
 *            fires: its value is marked. If not it waits: it is pushed onto the list of its key's hash, linked
 *            through its third word, and the key gets the flag KEYED. Marking goes on in a loop that looks at that
 *            flag of each object it claims, and then goes through the key's list; holders it reaches have their
 *            entries looked at on the spot. So an entry is looked at once, and once more when its key is marked:
 *            linear, however long the chains are and whichever way they were built. Objects that nothing waits for
 *            cost one test of a byte that is there.
 * Races      Registrar: push, OR the flag into the key's byte, test the key's mark. Marker: set the mark, AND the
 *            flag out of the byte, look at what was there. Both are read-modify-writes of one byte: if the OR comes
 *            first the marker sees the flag and, by acquire, the push; if the AND does, the registrar sees the mark.
 *            An entry may fire twice, which marks nothing twice. tests/spin/keyed.pml has every order.
 * Lists      only grow, so they are walked without a lock. Entries that have fired stay in them. There are at least
 *            twice as many lists as entries found by main marking, as many as the last pause had entries, and one
 *            for each four lines of the range, as far as the index goes.
 * Memory     the index, reserved when the first layout of ephemerons is registered, for the largest heap, a list for
 *            each 512 bytes of it; memory lies where it was needed. A pause clears the part that it uses.
 * Invariants X4 an entry is pushed at most once in a pause (X1, X3): lists are chains.
 *            X5 a flag outlives a pause in a dead key, or in a live one whose registrar came too late; there it
 *               costs a walk in vain and nothing else.
 */
#include <string.h>

#include "core/base/check.h"
#include "core/mark.h"
#include "core/marker.h"
#include "core/scan.h"
#include "core/weak.h"
#include "core/worker.h"

#define HEADS_LEAST 1024u
#define BYTES_PER_HEAD 512u  /* of the largest heap */
#define LINES_PER_HEAD 4u    /* of the range: what a pause clears is a 256th of it */
#define MARK_AHEAD 16u       /* entries ahead of which a key's mark is fetched, */
#define PUSH_AHEAD 8u        /* and what a push will write to */

struct entry {
  varve_word key, value;
  uint64_t next; /* address of the next entry of the list; 0: none. Of this pause, if it was pushed */
};
_Static_assert(sizeof(struct entry) == SCAN_ENTRY_WORDS * 8, "entries lie side by side");

/* ---- the index ---- */

static size_t index_bytes(const struct varve_heap *heap) { return heap->weak.capacity * sizeof(uint64_t); }

bool varve__ephemerons_open(struct varve_heap *heap) {
  struct varve_weak *weak = &heap->weak;
  if (weak->heads) return true;
  uint64_t wanted = heap->created.heap_max / BYTES_PER_HEAD;
  weak->capacity = bits_next_power_of_two(wanted < HEADS_LEAST ? HEADS_LEAST : wanted);
  weak->heads = heap_meta_alloc(heap, index_bytes(heap));
  return weak->heads != NULL;
}

void varve__ephemerons_close(struct varve_heap *heap) {
  heap_meta_free(heap, (void *)heap->weak.heads, index_bytes(heap));
}

static uint64_t heads_wanted(const struct varve_heap *heap) {
  uint64_t wanted = (uint64_t)heap->ages.range_blocks * VARVE__BLOCK_LINES / LINES_PER_HEAD, entries = 0;
  for (uint32_t i = 0; i < heap->marker->worker_count; ++i) entries += heap->marker->workers[i].weak.entries;
  if (wanted < HEADS_LEAST) wanted = HEADS_LEAST;
  if (wanted < 2 * entries) wanted = 2 * entries;
  if (wanted < heap->weak.last_entries) wanted = heap->weak.last_entries;
  wanted = bits_next_power_of_two(wanted);
  return wanted < heap->weak.capacity ? wanted : heap->weak.capacity;
}

static void clear_heads_worker(struct varve_heap *heap, uint32_t self) {
  uint64_t used = heap->weak.used, workers = varve__workers_active(heap);
  uint64_t from = used * self / workers, to = used * (self + 1) / workers;
  memset((void *)(heap->weak.heads + from), 0, (to - from) * sizeof(uint64_t));
}

void varve__ephemerons_begin(struct varve_heap *heap) {
  struct varve_weak *weak = &heap->weak;
  if (!weak->heads || heap->marker->workers[0].keyed) return;
  weak->used = heads_wanted(heap);
  weak->shift = 64 - bits_lowest(weak->used);
  varve__workers_run(heap, clear_heads_worker);
  for (uint32_t i = 0; i < heap->marker->worker_count; ++i) heap->marker->workers[i].keyed = true;
}

static _Atomic uint64_t *head_of(const struct varve_heap *heap, varve_word key) {
  uint64_t index = space_word(&heap->space, key);
  return &heap->weak.heads[index * UINT64_C(0x9e3779b97f4a7c15) >> heap->weak.shift];
}

/* ---- waiting ---- */

static void push(const struct varve_heap *heap, struct entry *entry) {
  _Atomic uint64_t *head = head_of(heap, entry->key);
  uint64_t old = atomic_load_explicit(head, memory_order_relaxed);
  do __atomic_store_n(&entry->next, old, __ATOMIC_RELAXED);
  while (!atomic_compare_exchange_weak_explicit(head, &old, (uint64_t)(uintptr_t)entry, memory_order_release,
                                                memory_order_relaxed));
}

/* Only references are worth waiting for. @return false: the key is alive, or has come alive meanwhile. */
static bool wait_for_key(const struct varve_heap *heap, struct entry *entry) {
  if (!weak_is_dead(heap, entry->key)) return false;
#ifdef VARVE_PLANT_EPHEMERON_CLEARED_EARLY
  if (entry->key / 8 % 16 == 0) return true;
#endif
  if (!heap_is_reference(heap, entry->value, heap->slot_tags)) return true;
  push(heap, entry);
  __atomic_fetch_or((uint8_t *)varve_untag(entry->key), VARVE_ABI_FLAG_KEYED, __ATOMIC_ACQ_REL);
  return weak_is_dead(heap, entry->key);
}

/* What the entries after this one will touch. */
SCAN_INLINE void fetch_entry(const struct varve_heap *heap, const struct entry *entries, size_t i, size_t to) {
  if (i + MARK_AHEAD < to) weak_fetch(heap, entries[i + MARK_AHEAD].key);
  if (i + PUSH_AHEAD >= to || !weak_is_dead(heap, entries[i + PUSH_AHEAD].key)) return;
  __builtin_prefetch((void *)head_of(heap, entries[i + PUSH_AHEAD].key), 1);
  __builtin_prefetch(varve_untag(entries[i + PUSH_AHEAD].key), 1);
}

void varve__ephemerons_enter(struct mark_worker *worker, varve_object *object, const struct varve_layout_entry *layout,
                             size_t from, size_t to) {
  struct varve_heap *heap = worker->heap;
  struct entry *entries = (struct entry *)((varve_word *)object + layout->first);
  for (size_t i = from; i < to; ++i) {
    fetch_entry(heap, entries, i, to);
#ifdef VARVE_PLANT_EPHEMERON_VALUE_LOST
    if (i % 8 == 5) continue;
#endif
    if (!wait_for_key(heap, &entries[i])) varve__mark_enter(worker, entries[i].value);
  }
}

void varve__ephemerons_fire(struct mark_worker *worker, const varve_object *object) {
  uint64_t at = atomic_load_explicit(head_of(worker->heap, (uintptr_t)object), memory_order_acquire), next;
  for (; at; at = next) {
    const struct entry *entry = (const struct entry *)at;
    next = __atomic_load_n(&entry->next, __ATOMIC_RELAXED);
    if (varve_untag(entry->key) == object) varve__mark_enter(worker, entry->value);
  }
}

/* ---- the phase ---- */

/* Mark from what has fired before looking at more, or the stack would have to hold it all. */
static void enter_and_mark(struct mark_worker *worker, varve_object *object, const struct varve_layout_entry *layout,
                           size_t from, size_t to) {
  varve__ephemerons_enter(worker, object, layout, from, to);
  if (!deque_is_empty(&worker->deque) || !mark_has_room(worker)) varve__mark_drain(worker);
}

static void enter_all(struct mark_worker *worker) { varve__weak_pass(worker, enter_and_mark); }

void varve__ephemerons_mark(struct varve_heap *heap) {
  if (!varve__weak_begin_pass(heap, WEAK_EPHEMERONS)) return;
  varve__ephemerons_begin(heap);
  varve__mark_more(heap, enter_all);
}

static void clear_entries(struct mark_worker *worker, varve_object *object, const struct varve_layout_entry *layout,
                          size_t from, size_t to) {
  struct entry *entries = (struct entry *)((varve_word *)object + layout->first);
  for (size_t i = from; i < to; ++i) {
    if (i + MARK_AHEAD < to) weak_fetch(worker->heap, entries[i + MARK_AHEAD].key);
    if (!weak_is_dead(worker->heap, entries[i].key)) continue;
    __atomic_store_n(&entries[i].key, layout->cleared, __ATOMIC_RELAXED);
    __atomic_store_n(&entries[i].value, layout->cleared, __ATOMIC_RELAXED);
    ++worker->weak.entries_cleared;
  }
}

static void clear_worker(struct varve_heap *heap, uint32_t self) {
  varve__weak_pass(&heap->marker->workers[self], clear_entries);
}

void varve__ephemerons_clear(struct varve_heap *heap) {
  if (varve__weak_begin_pass(heap, WEAK_EPHEMERONS)) varve__workers_run(heap, clear_worker);
}
