/* SPDX-License-Identifier: MIT */
/* mark_loop.c -- the mark loop: from a grey object to its grey children, with prefetching.
 *
 * Idea       A child that a slot refers to waits in a short ring while its bitmap word is fetched. Leaving it, it goes
 *            on the stack if its start bit is clear. What is popped waits in a second ring while its header is fetched;
 *            then all of its bits are set, and its slots are read. Most references of a graph lead to marked objects:
 *            their headers are never fetched, and whether they are marked is no branch.
 * Alone      A lone worker sets the start bit when it pushes, so that its stack holds each object at most once, and
 *            uses plain loads and stores.
 * Several    workers at first only look at the start bit when they push; who then sets it, together with the other
 *            bits, by one atomic operation, scans the object, and other entries for it are stale (K1). In trees there
 *            are none, and two workers are 1.5 times as fast as with an OR for each push. Where an eighth of the
 *            entries is stale, a worker becomes eager: it sets the start bit when it pushes, or its stack would be
 *            several times as long. Nothing is published by a bit: headers and slots do not change in a pause.
 * Source     A FIFO in front of the stack: Cher, Hosking, Vijaykumar, ASPLOS 2004. The second ring's depth adapts:
 *            heaps in the order of allocation are faster with a short one.
 * Needs      world stopped.   Memory  none: segments come from the pool.
 */
#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/mark.h"
#include "core/marker.h"
#include "core/remember.h"
#include "core/root.h"
#include "core/scan.h"
#include "core/weak.h"
#include "regions/filter.h"

#define PIECE_WORDS_MIN 2048u /* slots scanned at a time in large arrays */
#define PIECES_MAX 0x8000u
#define ROOT_WORDS 1024u      /* roots read between two looks at the stack; a multiple of 64 */
#define RING 64u              /* at most so many entries wait for their header */
#define REACH_MIN 16u         /* bytes */
#define REACH_MAX 64u
#define REACH_SAMPLES 16u
#define CHORE_OBJECTS 64u     /* objects between two looks at hungry workers */
#define WINDOW 64u            /* of these looks between two looks at what the worker has learned */
#define STALE_MANY (WINDOW * CHORE_OBJECTS / 8)
#define EAGER_PAUSES 16u

static const uint32_t depths[MARK_DEPTHS] = {4, 16, 32, 60};

/* What the loop keeps in registers. Functions outside it work on the worker: `put` comes before them, `get` after. */
struct hot {
  struct mark_worker *worker;
  uint64_t *low, *top, *high; /* entries of the current segment; all NULL: none is open */
  uint64_t base, bytes;
  uint64_t *bitmap;
  const struct varve_layout_entry *layouts;
  uint32_t tags;
  uint32_t waiting, tail; /* of worker->children */
  uint64_t objects, words;
  uint64_t reach;         /* bytes from a header to what is fetched with it */
  bool alone, eager;
  uint8_t clear;          /* flags to clear in what survives (A3); 0: nothing will be remembered */
};

SCAN_INLINE void put(const struct hot *hot) {
  if (hot->low) hot->worker->current->count = (uint32_t)(hot->top - hot->low);
  hot->worker->waiting = hot->waiting;
  hot->worker->waiting_tail = hot->tail;
}

SCAN_INLINE void get(struct hot *hot) {
  struct varve_segment *segment = hot->worker->current;
  hot->low = segment ? segment->entries : NULL;
  hot->top = segment ? segment->entries + segment->count : NULL;
  hot->high = segment ? segment->entries + VARVE__SEGMENT_ENTRIES : NULL;
  hot->waiting = hot->worker->waiting;
  hot->tail = hot->worker->waiting_tail;
}

/* What the worker has learned. With a header the end of its object is fetched, as far away as the objects' mean size
 * says: one line too few cost half again of the time for objects of 40 bytes. */
SCAN_INLINE void learn(struct hot *hot) {
  uint64_t last = hot->worker->sizes / REACH_SAMPLES & ~UINT64_C(7);
  hot->reach = last < REACH_MIN ? REACH_MIN : last;
  hot->eager = hot->worker->eager;
}

SCAN_INLINE struct hot open_hot(struct mark_worker *worker, uint32_t tags, bool alone) {
  const struct varve_heap *heap = worker->heap;
  struct hot hot = {.worker = worker, .base = heap->space.base, .bytes = heap->space.bytes, .tags = tags,
                    .bitmap = heap->space.bitmap, .layouts = heap->layouts.entries, .alone = alone,
                    .clear = heap->ages.on && !heap->ages.next_asleep ? VARVE__FLAGS_REMEMBERED : 0};
  get(&hot);
  learn(&hot);
  return hot;
}

SCAN_INLINE void close_hot(struct hot *hot) {
  put(hot);
  hot->worker->stats.objects_marked += hot->objects;
  hot->worker->stats.words_marked += hot->words;
}

/* ---- the mark bits ---- */

/* OR into a bitmap word. */
SCAN_INLINE uint64_t or_line(uint64_t *line, uint64_t bits, bool alone) {
  if (!alone) return __atomic_fetch_or(line, bits, __ATOMIC_RELAXED);
  uint64_t old = *line;
  *line = old | bits;
  return old;
}

/* Behind an object's first line. The words in the middle belong to it alone. */
SCAN_INLINE void set_tail(uint64_t *line, uint64_t words, bool alone) {
  for (; words >= 64; words -= 64) __atomic_store_n(line++, ~UINT64_C(0), __ATOMIC_RELAXED);
  if (words) or_line(line, bits_below((unsigned)words), alone);
}

/* Grey to black. Large objects have only their start bit. */
SCAN_INLINE void blacken(const struct hot *hot, uint64_t index, uint64_t words) {
  uint64_t *line = &hot->bitmap[index >> 6];
  unsigned bit = (unsigned)(index & 63);
  if (VARVE_UNLIKELY(words > 64)) {
    if (words * 8 > VARVE_MEDIUM_MAX) return;
    or_line(line, ~bits_below(bit), hot->alone);
    set_tail(line + 1, words - (64 - bit), hot->alone);
    return;
  }
  uint64_t bits = bits_range(0, (unsigned)words);
  or_line(line, bits << bit, hot->alone);
  if (bit + words > 64) or_line(line + 1, bits >> (64 - bit), hot->alone);
}

/* Several workers: set an object's bits in its first line, if its start bit is clear; of a grey one none may be set. */
SCAN_INLINE bool claim_line(uint64_t *line, unsigned bit, uint64_t bits) {
  uint64_t old = __atomic_load_n(line, __ATOMIC_RELAXED);
  do
    if (old >> bit & 1) return false;
  while (!__atomic_compare_exchange_n(line, &old, old | bits, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return true;
}

static __attribute__((noinline)) bool claim_long(const struct hot *hot, uint64_t index, uint64_t words) {
  uint64_t *line = &hot->bitmap[index >> 6];
  unsigned bit = (unsigned)(index & 63);
  if (words * 8 > VARVE_MEDIUM_MAX) return claim_line(line, bit, UINT64_C(1) << bit);
  if (!claim_line(line, bit, ~bits_below(bit))) return false;
  set_tail(line + 1, words - (64 - bit), false);
  return true;
}

/* Several workers: white to black. False: it is not white, so somebody else scans it. Mostly one atomic operation. */
SCAN_INLINE bool claim(const struct hot *hot, uint64_t index, uint64_t words) {
  unsigned bit = (unsigned)(index & 63);
  if (VARVE_UNLIKELY(bit + words > 64)) return claim_long(hot, index, words);
  return claim_line(&hot->bitmap[index >> 6], bit, bits_range(bit, (unsigned)words));
}

/* ---- children ---- */

/* The child at the word leaves the first ring: if its start bit is clear, push it. There is room. Whether it is marked
 * cannot be predicted, so that is no branch unless an atomic operation depends on it. */
SCAN_INLINE void mark_child(struct hot *hot, uint64_t index) {
  uint64_t *line = &hot->bitmap[index >> 6], bit = UINT64_C(1) << (index & 63);
  uint64_t old = __atomic_load_n(line, __ATOMIC_RELAXED);
  if (hot->alone) *line = old | bit;
  if (!hot->alone && hot->eager) {
    if (old & bit || __atomic_fetch_or(line, bit, __ATOMIC_RELAXED) & bit) return;
    *hot->top++ = index | MARK_CLAIMED; /* NOLINT(clang-analyzer-core.NullDereference): there is room, so it is open */
    return;
  }
  /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): there is room, so a segment is open */
  *hot->top = index;
  hot->top += !(old & bit);
}

/* The same on a worker, whose stack may be full. */
static void mark_child_slow(struct mark_worker *worker, uint64_t index) {
  uint64_t *line = &worker->heap->space.bitmap[index >> 6], bit = UINT64_C(1) << (index & 63);
  uint64_t old = __atomic_load_n(line, __ATOMIC_RELAXED);
  if (old & bit) return;
  if (worker->alone) *line = old | bit;
  if (mark_has_room(worker)) worker->current->entries[worker->current->count++] = index;
  else varve__mark_defer(worker, index);
}

/* Let the child at the offset enter the first ring; the one that leaves may take one entry of room. While the stack is
 * empty its header will be wanted at once, so it is fetched together with the bitmap word. */
SCAN_INLINE void admit(struct hot *hot, uint64_t offset, uint64_t address) {
  uint64_t index = offset >> 3, *place;
  __builtin_prefetch(&hot->bitmap[index >> 6], 1);
  if (hot->top == hot->low) __builtin_prefetch((const void *)address);
  place = &hot->worker->children[hot->tail++ % MARK_TEST_RING];
  uint64_t leaving = *place;
  *place = index;
  if (VARVE_UNLIKELY(hot->waiting < MARK_TEST_RING)) ++hot->waiting;
  else mark_child(hot, leaving);
}

/* The word, if it is a reference. */
SCAN_INLINE void enter(struct hot *hot, varve_word word) {
  uint64_t offset = word - hot->base;
  if (offset >= hot->bytes || !(hot->tags >> (word & 7) & 1)) return;
  admit(hot, offset, word);
}

SCAN_INLINE void enter_narrow(struct hot *hot, varve_narrow word) {
  const struct narrow *code = &hot->worker->heap->narrow;
  uint64_t offset = narrow_offset(code, word);
  if (offset >= hot->bytes || !narrow_has_tag(code, word)) return;
  admit(hot, offset, hot->base + offset);
}

static void admit_slow(struct mark_worker *worker, uint64_t index) {
  __builtin_prefetch(&worker->heap->space.bitmap[index >> 6], 1);
  uint64_t *place = &worker->children[worker->waiting_tail++ % MARK_TEST_RING], leaving = *place;
  *place = index;
  if (worker->waiting < MARK_TEST_RING) ++worker->waiting;
  else mark_child_slow(worker, leaving);
}

static __attribute__((noinline)) void enter_slow(struct mark_worker *worker, varve_word word, uint32_t tags) {
  if (heap_is_reference(worker->heap, word, tags)) admit_slow(worker, space_word(&worker->heap->space, word));
}

void varve__mark_enter(struct mark_worker *worker, varve_word word) {
  enter_slow(worker, word, worker->heap->slot_tags);
}

static __attribute__((noinline)) void enter_narrow_slow(struct mark_worker *worker, varve_narrow word) {
  const struct varve_heap *heap = worker->heap;
  if (heap_is_narrow_reference(heap, word)) admit_slow(worker, narrow_offset(&heap->narrow, word) / 8);
}

/* All children leave the first ring. */
static __attribute__((noinline)) void mark_children(struct mark_worker *worker) {
  for (; worker->waiting; --worker->waiting)
    mark_child_slow(worker, worker->children[(worker->waiting_tail - worker->waiting) % MARK_TEST_RING]);
}

/* ---- slots ---- */

/* The world is stopped, so roots and Ref words are read plainly; that lets the tests below become vector code. */
static void enter_bitmap(struct mark_worker *worker, varve_word *base, size_t stride, size_t count,
                         const uint64_t *bitmap, uint32_t tags) {
  for (size_t first = 0; first < count; first += 64) {
    uint64_t live = __atomic_load_n(&bitmap[first / 64], __ATOMIC_RELAXED);
    if (count - first < 64) live &= bits_below((unsigned)(count - first));
    for (; live; live &= live - 1)
      enter_slow(worker, *(varve_word *)((char *)base + (first + bits_lowest(live)) * stride), tags);
  }
}

static void enter_stride(struct mark_worker *worker, varve_word *base, size_t stride, size_t count, uint32_t tags) {
  char *at = (char *)base;
  for (size_t i = 0; i < count; ++i, at += stride) enter_slow(worker, *(varve_word *)at, tags);
}

SCAN_INLINE bool make_room(struct hot *hot, size_t entries) {
  if (VARVE_LIKELY((size_t)(hot->high - hot->top) >= entries)) return true;
  put(hot);
  bool room = varve__mark_open_segment(hot->worker);
  get(hot);
  return room;
}

/* ---- narrow slots ---- */

/* Neighbouring words. */
SCAN_INLINE void enter_narrow_dense_as(struct mark_worker *worker, const varve_narrow *words, size_t count,
                                       bool alone) {
  struct hot hot = open_hot(worker, 0, alone);
  const struct narrow *code = &worker->heap->narrow;
  struct filter_narrow filter = filter_narrow_open(hot.bytes >> code->shift, code->tag_bits);
  size_t i = 0;
  for (; i + FILTER_WORDS <= count; i += FILTER_WORDS) {
    uint64_t found = filter_narrow_words(&filter, words + i);
    if (!found) continue;
    if (!make_room(&hot, bits_count(found))) break;
    for (; found; found &= found - 1) enter_narrow(&hot, words[i + bits_lowest(found)]);
  }
  close_hot(&hot);
  for (; i < count; ++i) enter_narrow_slow(worker, words[i]);
}

static __attribute__((noinline)) void enter_narrow_dense(struct mark_worker *worker, const varve_narrow *words,
                                                         size_t count) {
  if (worker->alone) enter_narrow_dense_as(worker, words, count, true);
  else enter_narrow_dense_as(worker, words, count, false);
}

static void enter_narrow_slots(void *context, varve_narrow *slots, size_t count) {
  struct mark_worker *worker = context;
#ifdef VARVE_PLANT_MISSED_NARROW_SLOT
  if (count > 2) --count;
#endif
  if (count >= FILTER_WORDS) enter_narrow_dense(worker, slots, count);
  else
    for (size_t i = 0; i < count; ++i) enter_narrow_slow(worker, slots[i]);
}

void varve__mark_slot_narrow(struct varve_visitor *visitor, varve_narrow *base, size_t stride, size_t count,
                             const uint64_t *bitmap) {
  struct mark_worker *worker = visitor->context;
  if (!bitmap && stride == 4) {
    enter_narrow_slots(worker, base, count);
    return;
  }
  for (size_t i = 0; i < count; ++i)
    if (!bitmap || __atomic_load_n(&bitmap[i / 64], __ATOMIC_RELAXED) >> i % 64 & 1)
      enter_narrow_slow(worker, *(varve_narrow *)((char *)base + i * stride));
}

/* As varve__mark_root_range. */
void varve__mark_root_narrow(struct varve_visitor *visitor, varve_narrow *base, size_t stride, size_t count,
                             const uint64_t *bitmap) {
  struct mark_worker *worker = visitor->context;
  for (size_t from = 0; from < count; from += ROOT_WORDS) {
    size_t some = count - from < ROOT_WORDS ? count - from : ROOT_WORDS;
    varve__mark_slot_narrow(visitor, (varve_narrow *)((char *)base + from * stride), stride, some,
                            bitmap ? bitmap + from / 64 : NULL);
    if (!deque_is_empty(&worker->deque) || !mark_has_room(worker)) varve__mark_drain(worker);
  }
  varve__mark_drain(worker);
}

/* ---- wide slots ---- */

/* Neighbouring words. Which of them are references cannot be predicted, so that is no branch. */
SCAN_INLINE void enter_dense_as(struct mark_worker *worker, const varve_word *words, size_t count, uint32_t tags,
                                bool alone) {
  struct hot hot = open_hot(worker, tags, alone);
  struct filter filter = filter_open(hot.base, hot.bytes);
  size_t i = 0;
  for (; i + FILTER_WORDS <= count; i += FILTER_WORDS) {
    uint64_t found = filter_words(&filter, words + i);
    if (!found) continue;
    if (!make_room(&hot, bits_count(found))) break;
    for (; found; found &= found - 1) enter(&hot, words[i + bits_lowest(found)]);
  }
  close_hot(&hot);
  for (; i < count; ++i) enter_slow(worker, words[i], tags);
}

static __attribute__((noinline)) void enter_dense(struct mark_worker *worker, const varve_word *words, size_t count,
                                                  uint32_t tags) {
  if (worker->alone) enter_dense_as(worker, words, count, tags, true);
  else enter_dense_as(worker, words, count, tags, false);
}

SCAN_INLINE void enter_slots(void *context, varve_word *slots, size_t count) {
  struct mark_worker *worker = context;
  uint32_t tags = worker->heap->slot_tags;
#ifdef VARVE_PLANT_MISSED_SLOT
  if (count > 2) --count;
#endif
  if (count >= 16) enter_dense(worker, slots, count, tags);
  else
    for (size_t i = 0; i < count; ++i) enter_slow(worker, slots[i], tags);
}

void varve__mark_slot_range(struct varve_visitor *visitor, varve_word *base, size_t stride, size_t count,
                            const uint64_t *bitmap, bool ref) {
  struct mark_worker *worker = visitor->context;
  uint32_t tags = ref ? worker->heap->ref_tags : worker->heap->slot_tags;
  if (bitmap) enter_bitmap(worker, base, stride, count, bitmap, tags);
  else if (stride == 8) enter_dense(worker, base, count, tags);
  else enter_stride(worker, base, stride, count, tags);
}

/* Roots come in large tables: mark from those found before reading on, or the stack would have to hold them all; but
 * not from a few, or the rings would run empty too often. (A trace function's slots must not be handled so: it runs
 * inside the loop.) */
void varve__mark_root_range(struct varve_visitor *visitor, varve_word *base, size_t stride, size_t count,
                            const uint64_t *bitmap, bool ref) {
  struct mark_worker *worker = visitor->context;
  for (size_t from = 0; from < count; from += ROOT_WORDS) {
    size_t some = count - from < ROOT_WORDS ? count - from : ROOT_WORDS;
    varve__mark_slot_range(visitor, (varve_word *)((char *)base + from * stride), stride, some,
                           bitmap ? bitmap + from / 64 : NULL, ref);
    if (!deque_is_empty(&worker->deque) || !mark_has_room(worker)) varve__mark_drain(worker);
  }
  varve__mark_drain(worker);
}

/* ---- objects ---- */

static size_t piece_words(uint64_t words) {
  size_t size = PIECE_WORDS_MIN;
  while (words / size >= PIECES_MAX) size *= 2;
  return size;
}

/* Scan one piece of an array and leave the rest to whoever takes the entry; without room for that, go on here. */
static __attribute__((noinline)) void scan_array(struct mark_worker *worker, uint64_t index, uint64_t piece) {
  struct varve_heap *heap = worker->heap;
  varve_object *object = (varve_object *)(heap->space.base + index * 8);
  uint64_t words = varve_object_bytes(object) / 8;
  const struct varve_layout_entry *layout = &heap->layouts.entries[varve_object_layout(object)];
  size_t unit = piece_words(words), pieces = scan_pieces(layout, words, unit);
  for (bool left = false; piece < pieces && !left; ++piece) {
    left = piece + 1 < pieces && mark_has_room(worker);
    if (left) worker->current->entries[worker->current->count++] = index | (piece + 1) << MARK_PIECE_SHIFT;
    scan_piece(layout, (varve_word *)object, words, piece, unit, enter_slots, enter_narrow_slots, worker);
  }
}

/* An object of a weak kind: its strong slots; and, when ephemerons fire, its entries. */
static __attribute__((noinline)) void scan_holder(struct mark_worker *worker, varve_object *object, uint64_t words,
                                                  const struct varve_layout_entry *layout) {
  scan_strong(layout, (varve_word *)object, enter_slots, worker);
  varve__weak_found(worker, object, layout);
  if (worker->keyed && layout->kind == VARVE_LAYOUT_EPHEMERONS)
    varve__ephemerons_enter(worker, object, layout, 0, scan_entries(layout, words));
}

/* Any layout. The commonest ones never come here from the loop. */
static __attribute__((noinline)) void scan(struct mark_worker *worker, varve_object *object, uint64_t words) {
  struct varve_heap *heap = worker->heap;
  const struct varve_layout_entry *layout = &heap->layouts.entries[varve_object_layout(object)];
  if (words > 2 * PIECE_WORDS_MIN && scan_divisible(layout))
    scan_array(worker, space_word(&heap->space, (uint64_t)(uintptr_t)object), 0);
  else if (layout_is_weak(layout))
    scan_holder(worker, object, words, layout);
  else
    scan_object(&heap->layouts, layout, (varve_word *)object, words, enter_slots, enter_narrow_slots, worker,
                &worker->visitor);
}

/* An object with few slots, some of them narrow. False: it is none. */
SCAN_INLINE bool scan_narrow(struct hot *hot, const struct varve_layout_entry *layout, varve_object *object) {
  if (layout->kind != VARVE__LAYOUT_NARROW_OFFSETS || !layout->masked || !layout->narrow_masked) return false;
  if (!make_room(hot, layout->offset_count + layout->narrow_count)) return false;
  for (uint64_t mask = layout->mask; mask; mask &= mask - 1)
    enter(hot, ((varve_word *)object)[bits_lowest(mask)]);
  for (uint64_t mask = layout->narrow_mask; mask; mask &= mask - 1)
    enter_narrow(hot, ((varve_narrow *)object)[bits_lowest(mask)]);
  return true;
}

SCAN_INLINE void scan_hot(struct hot *hot, varve_object *object, uint64_t words, bool narrow) {
  const struct varve_layout_entry *layout = &hot->layouts[varve_object_layout(object)];
  if (layout->kind == VARVE_LAYOUT_DATA) return;
  if (VARVE_LIKELY(layout->kind == VARVE_LAYOUT_OFFSETS && layout->masked && make_room(hot, layout->offset_count))) {
    for (uint64_t mask = layout->mask; mask; mask &= mask - 1)
      enter(hot, ((varve_word *)object)[bits_lowest(mask)]);
    return;
  }
  if (narrow && scan_narrow(hot, layout, object)) return;
  put(hot);
  scan(hot->worker, object, words);
  get(hot);
}

static __attribute__((noinline)) void visit_piece(struct mark_worker *worker, uint64_t entry) {
  scan_array(worker, entry & MARK_INDEX_MASK, entry >> MARK_PIECE_SHIFT);
}

/* A3. Each object is visited by one worker; others may be reading its size. */
SCAN_INLINE void survive(const struct hot *hot, varve_object *object) {
  uint8_t *flags = (uint8_t *)object, old = __atomic_load_n(flags, __ATOMIC_RELAXED);
#ifdef VARVE_PLANT_FLAG_NOT_CLEARED
  if ((uintptr_t)object / 8 % 64 == 0) return;
#endif
  if (old & hot->clear) __atomic_store_n(flags, old & ~(uint32_t)hot->clear, __ATOMIC_RELAXED);
}

/* The same when ephemerons fire. The flags are changed by one operation: see Races in ephemeron.c. */
SCAN_INLINE void survive_keyed(struct hot *hot, varve_object *object) {
  uint8_t *flags = (uint8_t *)object, gone = hot->clear | VARVE_ABI_FLAG_KEYED, keep = (uint8_t)~gone;
  if (!(__atomic_fetch_and(flags, keep, __ATOMIC_ACQ_REL) & VARVE_ABI_FLAG_KEYED)) return;
  put(hot);
  varve__ephemerons_fire(hot->worker, object);
  get(hot);
}

/* An entry whose header is here. */
SCAN_INLINE void visit(struct hot *hot, uint64_t entry, bool keyed, bool narrow) {
  if (VARVE_UNLIKELY(entry >> MARK_PIECE_SHIFT)) {
    put(hot);
    visit_piece(hot->worker, entry);
    get(hot);
    return;
  }
  uint64_t index = entry & MARK_INDEX_MASK;
  varve_object *object = (varve_object *)(hot->base + index * 8);
  uint64_t words = varve_object_bytes(object) / 8;
  VARVE_INVARIANT(varve__layout_fits(&hot->worker->heap->layouts, varve_object_layout(object), words),
                  "mark: reference to %p, which is no object (header %016llx)", (void *)object,
                  (unsigned long long)object->header);
  if (hot->alone || entry & MARK_CLAIMED) {
    blacken(hot, index, words);
  } else if (!claim(hot, index, words)) {
    ++hot->worker->stale;
    return;
  }
  ++hot->objects;
  hot->words += words;
  if (keyed) survive_keyed(hot, object);
  else survive(hot, object);
  scan_hot(hot, object, words, narrow);
}

/* ---- the loop ---- */

/* Having found many stale entries a worker is eager for some pauses; then it looks again. */
static void adapt_claims(struct mark_worker *worker) {
  if (worker->stale >= STALE_MANY) worker->eager = EAGER_PAUSES;
  worker->stale = 0;
}

/* Hill-climb over the ring's depths: mostly the cheapest known, now and then a neighbour of it. A window in which the
 * thread was not running says nothing, so it is cut down. */
static void adapt_depth(struct mark_worker *worker) {
  uint64_t spent = clock_cycles() - worker->window_start, *cost = &worker->cost[worker->depth_index];
  if (*cost && spent > 2 * *cost) spent = 2 * *cost;
  *cost = *cost ? (*cost * 3 + spent) / 4 : spent;
  uint32_t best = 0;
  for (uint32_t i = 1; i < MARK_DEPTHS; ++i)
    if (worker->cost[i] && (!worker->cost[best] || worker->cost[i] < worker->cost[best])) best = i;
  if (++worker->probe % 8 == 0)
    best = worker->probe % 16 ? (best + 1 < MARK_DEPTHS ? best + 1 : best) : (best ? best - 1 : 0);
  worker->depth_index = best;
  worker->depth = depths[best];
  varve__mark_begin_window(worker);
}

void varve__mark_begin_window(struct mark_worker *worker) {
  if (!worker->depth) worker->depth = depths[worker->depth_index = MARK_DEPTHS / 2];
  worker->window = WINDOW;
  worker->window_start = clock_cycles();
}

/* The size of an object that is about to be visited goes into the mean. */
static void sample_size(struct mark_worker *worker, uint64_t entry) {
  const varve_object *object = (const varve_object *)(worker->heap->space.base + (entry & MARK_INDEX_MASK) * 8);
  uint64_t last = varve_object_bytes(object) - 8;
  worker->sizes += (last < REACH_MAX ? last : REACH_MAX) - worker->sizes / REACH_SAMPLES;
}

/* Does it lie on the worker's node? */
static void sample_node(struct mark_worker *worker, uint64_t entry) {
  const struct varve_space *space = &worker->heap->space;
  ++worker->stats.sampled;
  worker->stats.sampled_local += space->regions[(entry & MARK_INDEX_MASK) / VARVE__REGION_WORDS].node == worker->node;
}

static __attribute__((noinline)) void do_chores(struct mark_worker *worker, uint64_t entry) {
  sample_size(worker, entry);
  sample_node(worker, entry);
  varve__mark_share(worker);
  if (--worker->window) return;
  adapt_claims(worker);
  adapt_depth(worker);
}

#ifdef VARVE_PLANT_EARLY_END
#define RING_IS_FORGOTTEN true
#else
#define RING_IS_FORGOTTEN false
#endif

/* The stack's top is empty: children into it, or the next segment. False: there is neither. */
SCAN_INLINE bool refill(struct hot *hot) {
  put(hot);
  bool more = hot->waiting;
  if (more) mark_children(hot->worker);
  else more = !deque_is_empty(&hot->worker->deque) && varve__mark_reopen_segment(hot->worker);
  get(hot);
  return more;
}

SCAN_INLINE void fetch(const struct hot *hot, uint64_t entry) {
  uint64_t index = entry & MARK_INDEX_MASK, address = hot->base + index * 8;
  __builtin_prefetch((const void *)address);
  __builtin_prefetch((const void *)(address + hot->reach));
  __builtin_prefetch(&hot->bitmap[index >> 6], 1);
}

SCAN_INLINE void drain_as(struct mark_worker *worker, bool alone, bool keyed, bool narrow) {
  struct hot hot = open_hot(worker, worker->heap->slot_tags, alone);
  uint64_t ring[RING];
  uint32_t head = 0, tail = 0, chores = CHORE_OBJECTS;
  for (;;) {
    if (VARVE_LIKELY(hot.top != hot.low)) {
      /* analyzer-ok null-dereference: low == top while no segment is open */
      uint64_t entry = *--hot.top;
      fetch(&hot, entry);
      ring[tail++ % RING] = entry;
      if (tail - head <= worker->depth) continue;
    } else if (head == tail || RING_IS_FORGOTTEN) {
      if (refill(&hot)) continue;
      break;
    }
    /* cppcheck-suppress uninitvar ; head != tail here */
    uint64_t next = ring[head++ % RING];
    if (VARVE_UNLIKELY(--chores == 0)) {
      put(&hot);
      do_chores(worker, next);
      get(&hot);
      learn(&hot);
      chores = CHORE_OBJECTS - worker->window % 3; /* or objects that come in turns would all be sampled, or none */
    }
    visit(&hot, next, keyed, narrow);
  }
  close_hot(&hot);
}

/* Ephemerons fire. */
static __attribute__((noinline)) void drain_keyed(struct mark_worker *worker) {
  drain_as(worker, worker->alone, true, worker->heap->narrow.on);
}

/* A loop of their own for heaps with narrow slots, so that it costs the others nothing. */
static __attribute__((noinline)) void drain_narrow(struct mark_worker *worker) {
  if (worker->alone) drain_as(worker, true, false, true);
  else drain_as(worker, false, false, true);
}

void varve__mark_drain(struct mark_worker *worker) {
  if (VARVE_UNLIKELY(worker->keyed)) drain_keyed(worker);
  else if (VARVE_UNLIKELY(worker->heap->narrow.on)) drain_narrow(worker);
  else if (worker->alone) drain_as(worker, true, false, false);
  else drain_as(worker, false, false, false);
}
