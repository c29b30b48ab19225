/* SPDX-License-Identifier: MIT */
/* mark.c -- parallel marking by edges, with a prefetch ring and work stealing.
 *
 * Idea       An entry is an edge: the address of a child that may be marked already. Scanning an object pushes its
 *            references without looking at them (edge enqueuing). Entries leave the private stack (LIFO) through a
 *            short FIFO ring; entering the ring prefetches header and bitmap word, so that when the entry comes out
 *            they are there. Then: test the start bit; if clear, set the bits of the whole object with one atomic OR
 *            (two when it crosses a line; the middle of longer ones is private to it). Whoever changed the start bit
 *            from 0 to 1 scans the object.
 * Source     Cher, Hosking, Vijaykumar, ASPLOS 2004 (FIFO in front of the stack); Garner, Blackburn, Frampton, ISMM 2007
 *            (edges instead of nodes). The ring's depth adapts: heaps in allocation order are faster with a short one.
 *            Most edges lead to marked objects, so there are two rings: entries wait for their bitmap word in the first
 *            and, when the bit is clear, for their header in the second. Headers of marked objects are not fetched.
 * Entry      bits 0..47 address; bits 48..63 piece. Piece 0: an edge. SCAN_WHOLE: the object is marked, scan it. Piece p
 *            in between: the object is marked, scan its p-th stretch of slots and push the rest first, so that a large
 *            array is shared by all workers.
 * Overflow   When the segment pool is empty, an object that has just been marked is not scanned but deferred: a bit in
 *            its header's flag byte (it belongs to its marker alone, and its line is in the cache) and one in its
 *            block's descriptor. When all workers are idle, they collect deferred objects from pending blocks, with no
 *            marking going on, as many as fill half of the pool, and marking goes on from those. Every object is
 *            scanned once, and each round scans at least one: complete with any pool.
 * Idle       A worker adds itself to `idle` only with rings, stack and deque empty and no root task left. Seeing
 *            another's deque non-empty, it takes itself off `idle` BEFORE it tries to steal. So idle == active means
 *            that no entry exists anywhere: only running workers have private entries, and a worker's deque is filled
 *            by that worker only and empty when it goes idle. That state is stable.
 * Needs      world stopped, TLABs retired, bitmaps zero.   Leaves  M1: bits of exactly the reachable objects.
 * Memory     none: segments come from the pool.
 */
#include "core/mark.h"

#include <limits.h>
#include <string.h>

#include "core/base/check.h"
#include "core/base/clock.h"
#include "core/root.h"
#include "core/scan.h"
#include "core/segment.h"
#include "core/walk.h"
#include "core/worker.h"

#define ADDRESS_MASK ((UINT64_C(1) << 48) - 1)
#define PIECE_SHIFT 48
#define PIECE_WORDS_MIN 2048u /* slots scanned at a time in large arrays */
#define ROOT_WORDS 1024u      /* roots pushed before marking from them; a multiple of 64 */
#define PIECES_MAX 0x8000u
#define SCAN_WHOLE UINT64_C(0xffff)
#define FLAG_DEFERRED 0x02u   /* in the header's flag byte, only while marking */
#define STARVED_ENTRIES 64u   /* without segments, objects are scanned while the last one is at most half full */
#define TEST_RING 16u         /* entries that wait for their bitmap word */
#define RING 64u              /* at most so many that wait for their header */
#define FIRST_SLOTS 24u       /* bytes from a header to what is prefetched with it: mostly the same line */
#define CHORE_OBJECTS 64u     /* objects between two looks at hungry workers */
#define DEPTH_WINDOW 64u      /* of these looks between two looks at the ring's depth */
#define SHARE_MIN 8u          /* entries below which a stack is not worth sharing */
#define DEPTHS 4u

static const uint32_t depths[DEPTHS] = {4, 16, 32, 60};

struct mark_worker {
  struct varve_heap *heap;
  struct varve_segment *current; /* the private stack's top; full segments go to the deque */
  struct varve_segment *spare;
  uint32_t depth, depth_index;   /* how many entries wait for their header */
  uint32_t window, probe;
  uint64_t window_start;
  uint64_t cost[DEPTHS];         /* cycles per window, smoothed; 0: not tried */
  uint32_t last_victim;
  varve_worker_stats stats;
  uint64_t overflows;
  bool alone;                    /* the only worker of this pause */
  bool starved;                  /* the pool was empty when it was last asked */
  uint32_t quota;                /* collecting deferred objects: entries this worker may still push */
  struct varve_deque deque;
  struct varve_visitor visitor, root_visitor; /* for trace functions; for root tasks */
};

struct varve_marker {
  struct varve_segment_pool pool;
  void *segment_memory;
  struct varve_segment *_Atomic *rings;
  uint32_t worker_count, ring_capacity;
  _Alignas(64) _Atomic size_t next_root;
  _Alignas(64) _Atomic uint32_t next_region;
  _Alignas(64) _Atomic uint32_t idle;
  _Atomic uint32_t asleep;     /* idle workers parked on `news` */
  _Atomic uint32_t news;       /* bumped when there is a segment to steal, or nothing more to do */
  _Atomic uint32_t overflowed; /* some block is pending */
  struct mark_worker workers[];
};

/* ---- open and close ---- */

static size_t marker_bytes(uint32_t workers) {
  return sizeof(struct varve_marker) + workers * sizeof(struct mark_worker);
}

static size_t rings_bytes(const struct varve_marker *marker) {
  return (size_t)marker->worker_count * marker->ring_capacity * sizeof(struct varve_segment *);
}

static void range_for_mark(struct varve_visitor *visitor, varve_word *base, size_t stride, size_t count,
                           const uint64_t *bitmap, bool ref);
static void range_for_roots(struct varve_visitor *visitor, varve_word *base, size_t stride, size_t count,
                            const uint64_t *bitmap, bool ref);
static void drain(struct mark_worker *worker);

static void open_worker(struct varve_heap *heap, struct varve_marker *marker, uint32_t index) {
  struct mark_worker *worker = &marker->workers[index];
  worker->heap = heap;
  worker->depth_index = 2;
  worker->depth = depths[2];
  worker->deque.ring = marker->rings + (size_t)index * marker->ring_capacity;
  worker->deque.mask = marker->ring_capacity - 1;
  worker->visitor = (struct varve_visitor){.range = range_for_mark, .heap = heap, .context = worker};
  worker->root_visitor = (struct varve_visitor){.range = range_for_roots, .heap = heap, .context = worker};
}

/* At least four segments a worker, so that each can always make some progress. */
static uint32_t segment_count(const struct varve_heap *heap) {
  uint32_t least = heap->options.workers * 4;
  return heap->options.mark_segments > least ? heap->options.mark_segments : least;
}

struct varve_marker *varve__marker_open(struct varve_heap *heap) {
  uint32_t workers = heap->options.workers, segments = segment_count(heap);
  struct varve_marker *marker = heap_meta_alloc(heap, marker_bytes(workers));
  if (!marker) return NULL;
  heap->marker = marker;
  marker->worker_count = workers;
  marker->ring_capacity = (uint32_t)bits_next_power_of_two(segments);
  marker->segment_memory = heap_meta_alloc(heap, segments * sizeof(struct varve_segment));
  marker->rings = heap_meta_alloc(heap, rings_bytes(marker));
  marker->pool.count = segments;
  if (!marker->segment_memory || !marker->rings) return NULL; /* the heap closes what there is */
  varve__segments_init(&marker->pool, marker->segment_memory, segments);
  for (uint32_t i = 0; i < workers; ++i) open_worker(heap, marker, i);
  return marker;
}

void varve__marker_close(struct varve_heap *heap) {
  struct varve_marker *marker = heap->marker;
  if (!marker) return;
  heap_meta_free(heap, (void *)marker->rings, rings_bytes(marker));
  heap_meta_free(heap, marker->segment_memory, marker->pool.count * sizeof(struct varve_segment));
  heap_meta_free(heap, marker, marker_bytes(marker->worker_count));
  heap->marker = NULL;
}

/* ---- the mark bits ---- */

/* Set the bits of an object that crosses lines, behind its first line. The words in the middle belong to it alone. */
static void set_tail(uint64_t *line, uint64_t words) {
  for (; words >= 64; words -= 64) __atomic_store_n(line++, ~UINT64_C(0), __ATOMIC_RELAXED);
  if (words) __atomic_fetch_or(line, bits_below((unsigned)words), __ATOMIC_RELAXED);
}

/* OR into a bitmap word; a worker that is alone needs no atomic operation, which is a third of a claim's time. */
static inline uint64_t or_line(uint64_t *line, uint64_t bits, bool alone) {
  if (!alone) return __atomic_fetch_or(line, bits, __ATOMIC_RELAXED);
  uint64_t old = *line;
  *line = old | bits;
  return old;
}

/* Claim the object at `address` of `words` words. True: this call set the start bit. Large objects have only that. */
static inline bool claim(const struct varve_space *space, uint64_t address, uint64_t words, bool alone) {
  size_t word = space_word(space, address);
  uint64_t *line = &space->bitmap[word >> 6];
  unsigned bit = (unsigned)(word & 63);
  if (words * 8 > VARVE_MEDIUM_MAX) words = 1;
  unsigned first = words < 64 - bit ? (unsigned)words : 64 - bit;
  uint64_t old = or_line(line, bits_range(bit, first), alone);
  if (old >> bit & 1) return false;
  if (words > first) set_tail(line + 1, words - first);
  return true;
}

/* ---- the private stack ---- */

static void announce(struct varve_marker *marker) {
  if (!atomic_load(&marker->asleep)) return;
  atomic_fetch_add(&marker->news, 1);
  varve__park_wake(&marker->news, 1);
}

/* Leave a marked object for later. */
static __attribute__((noinline)) void defer(struct mark_worker *worker, uint64_t address) {
  struct varve_space *space = &worker->heap->space;
  uint32_t block = space_block(space, address);
  if (space->blocks[block].kind == BLOCK_MEDIUM) block -= block % VARVE__REGION_BLOCKS;
  ++worker->overflows;
#ifndef VARVE_PLANT_LOST_OVERFLOW
  *(uint8_t *)address |= FLAG_DEFERRED;
  atomic_store_explicit(&space->blocks[block].pending, 1, memory_order_relaxed);
  atomic_store_explicit(&worker->heap->marker->overflowed, 1, memory_order_relaxed);
#endif
}

/* There is no segment for the entry: mark its object now, unless it is a piece of a marked one, and defer it. */
static __attribute__((noinline, cold)) void overflow(struct mark_worker *worker, uint64_t entry) {
  uint64_t address = entry & ADDRESS_MASK, words = varve_object_bytes((varve_object *)address) / 8;
  if (!(entry >> PIECE_SHIFT)) {
    if (!claim(&worker->heap->space, address, words, worker->alone)) return;
    ++worker->stats.objects_marked;
    worker->stats.words_marked += words;
  }
  defer(worker, address);
}

/* The current segment is full (or there is none): publish it and open another. False: the pool is empty. */
static __attribute__((noinline)) bool open_segment(struct mark_worker *worker) {
  struct varve_marker *marker = worker->heap->marker;
  struct varve_segment *fresh = worker->spare ? worker->spare : varve__segment_take(&marker->pool);
  worker->spare = NULL;
  worker->starved = !fresh;
  if (!fresh) return false;
  if (worker->current) {
    varve__deque_push(&worker->deque, worker->current);
    announce(marker);
  }
  worker->current = fresh;
  return true;
}

static inline void push(struct mark_worker *worker, uint64_t entry) {
  struct varve_segment *segment = worker->current;
  if (VARVE_UNLIKELY(!segment || segment->count == VARVE__SEGMENT_ENTRIES)) {
    if (!open_segment(worker)) {
      overflow(worker, entry);
      return;
    }
    segment = worker->current;
  }
  segment->entries[segment->count++] = entry;
}

static void set_current(struct mark_worker *worker, struct varve_segment *segment) {
  struct varve_segment *old = worker->current;
  worker->current = segment;
  worker->starved = false;
  if (!old) return;
  if (!worker->spare) {
    worker->spare = old;
    old->count = 0;
  } else {
    varve__segment_give(&worker->heap->marker->pool, old);
  }
}

/* The current segment is empty: go on with the newest full one of our own. */
static __attribute__((noinline)) bool reopen_segment(struct mark_worker *worker) {
  struct varve_segment *segment = varve__deque_pop(&worker->deque);
  if (segment) set_current(worker, segment);
  return segment;
}

/* Others are idle and our deque is empty: publish the older half of the stack. */
static void share(struct mark_worker *worker) {
  struct varve_marker *marker = worker->heap->marker;
  struct varve_segment *current = worker->current;
  if (!atomic_load_explicit(&marker->idle, memory_order_relaxed) || !current || current->count < SHARE_MIN) return;
  if (!deque_is_empty(&worker->deque)) return;
  struct varve_segment *half = worker->spare ? worker->spare : varve__segment_take(&marker->pool);
  worker->spare = NULL;
  if (!half) return;
  half->count = current->count / 2;
  memcpy(half->entries, current->entries, half->count * sizeof(uint64_t));
  current->count -= half->count;
  memmove(current->entries, current->entries + half->count, current->count * sizeof(uint64_t));
  varve__deque_push(&worker->deque, half);
  announce(marker);
}

/* ---- scanning ---- */

static inline void push_word(struct mark_worker *worker, varve_word word, uint32_t tags) {
  if (heap_is_reference(worker->heap, word, tags)) push(worker, word & ~(varve_word)7);
}

/* The world is stopped, so roots and Ref words are read plainly; that lets the tests below become vector code. */
static void push_range_bitmap(struct mark_worker *worker, varve_word *base, size_t stride, size_t count,
                              const uint64_t *bitmap, uint32_t tags) {
  for (size_t first = 0; first < count; first += 64) {
    uint64_t live = __atomic_load_n(&bitmap[first / 64], __ATOMIC_RELAXED);
    if (count - first < 64) live &= bits_below((unsigned)(count - first));
    for (; live; live &= live - 1)
      push_word(worker, *(varve_word *)((char *)base + (first + bits_lowest(live)) * stride), tags);
  }
}

static void push_range_stride(struct mark_worker *worker, varve_word *base, size_t stride, size_t count,
                              uint32_t tags) {
  char *at = (char *)base;
  for (size_t i = 0; i < count; ++i, at += stride) push_word(worker, *(varve_word *)at, tags);
}

/* Eight words that hold some address of the heap: each is stored at the stack's top, which moves on only when it is a
 * reference. No branch, for where the references are cannot be predicted. */
static void push_eight(struct mark_worker *worker, const varve_word *words, uint32_t tags) {
  struct varve_segment *segment = worker->current;
  uint64_t base = worker->heap->space.base, bytes = worker->heap->space.bytes;
  if (VARVE_UNLIKELY(!segment || segment->count + 8 > VARVE__SEGMENT_ENTRIES)) {
    for (unsigned k = 0; k < 8; ++k) push_word(worker, words[k], tags);
    return;
  }
  uint32_t count = segment->count;
  for (unsigned k = 0; k < 8; ++k) {
    segment->entries[count] = words[k] & ~(varve_word)7;
    count += (words[k] - base < bytes) & (tags >> (words[k] & 7));
  }
  segment->count = count;
}

/* Neighbouring words, in eights: an eight without any address of the heap costs a few vector operations. */
static void push_range_dense(struct mark_worker *worker, const varve_word *words, size_t count, uint32_t tags) {
  size_t i = 0;
  for (; i + 8 <= count; i += 8)
    if (space_count_eight(&worker->heap->space, words + i)) push_eight(worker, words + i, tags);
  for (; i < count; ++i) push_word(worker, words[i], tags);
}

SCAN_INLINE void push_slots(void *context, varve_word *slots, size_t count) {
  struct mark_worker *worker = context;
  uint32_t tags = worker->heap->slot_tags;
#ifdef VARVE_PLANT_MISSED_SLOT
  if (count > 2) --count;
#endif
  if (count >= 16) push_range_dense(worker, slots, count, tags);
  else
    for (size_t i = 0; i < count; ++i) push_word(worker, slots[i], tags);
}

static void range_for_mark(struct varve_visitor *visitor, varve_word *base, size_t stride, size_t count,
                           const uint64_t *bitmap, bool ref) {
  struct mark_worker *worker = visitor->context;
  uint32_t tags = ref ? worker->heap->ref_tags : worker->heap->slot_tags;
  if (bitmap) push_range_bitmap(worker, base, stride, count, bitmap, tags);
  else if (stride == 8) push_range_dense(worker, base, count, tags);
  else push_range_stride(worker, base, stride, count, tags);
}

/* Roots come in large tables: mark from each thousand before pushing the next, or the stack would have to hold them
 * all. (A trace function's slots must not be handled so: it runs inside the loop.) */
static void range_for_roots(struct varve_visitor *visitor, varve_word *base, size_t stride, size_t count,
                            const uint64_t *bitmap, bool ref) {
  for (size_t from = 0; from < count; from += ROOT_WORDS) {
    size_t some = count - from < ROOT_WORDS ? count - from : ROOT_WORDS;
    range_for_mark(visitor, (varve_word *)((char *)base + from * stride), stride, some,
                   bitmap ? bitmap + from / 64 : NULL, ref);
    drain(visitor->context);
  }
}

static size_t piece_words(uint64_t words) {
  size_t size = PIECE_WORDS_MIN;
  while (words / size >= PIECES_MAX) size *= 2;
  return size;
}

static __attribute__((noinline)) void scan_array(struct mark_worker *worker, uint64_t address, uint64_t piece) {
  struct varve_heap *heap = worker->heap;
  varve_word *object = (varve_word *)address;
  uint64_t words = varve_object_bytes((varve_object *)object) / 8;
  const struct varve_layout_entry *layout = &heap->layouts.entries[varve_object_layout((varve_object *)object)];
  size_t unit = piece_words(words);
  if (piece + 1 < scan_pieces(layout, words, unit)) push(worker, address | (piece + 1) << PIECE_SHIFT);
  scan_piece(layout, object, words, piece, unit, push_slots, worker);
}

/* Any layout. The commonest ones never come here from the loop below. */
static __attribute__((noinline)) void scan(struct mark_worker *worker, varve_object *object, uint64_t words) {
  struct varve_heap *heap = worker->heap;
  const struct varve_layout_entry *layout = &heap->layouts.entries[varve_object_layout(object)];
  if (layout->kind == VARVE_LAYOUT_DATA) return;
  if (words > 2 * PIECE_WORDS_MIN && scan_divisible(layout)) scan_array(worker, (uint64_t)(uintptr_t)object, 0);
  else scan_object(&heap->layouts, layout, (varve_word *)object, words, push_slots, worker, &worker->visitor);
}

/* An entry that is not an edge. */
static __attribute__((noinline)) void visit_piece(struct mark_worker *worker, uint64_t entry) {
  uint64_t address = entry & ADDRESS_MASK;
  varve_object *object = (varve_object *)address;
  if (entry >> PIECE_SHIFT == SCAN_WHOLE) scan(worker, object, varve_object_bytes(object) / 8);
  else scan_array(worker, address, entry >> PIECE_SHIFT);
}

/* ---- the loop ---- */

/* Hill-climb over the ring's depths: mostly the cheapest known, now and then a neighbour of it. A window in which the
 * thread was not running says nothing, so it is cut down. */
static void adapt_depth(struct mark_worker *worker) {
  uint64_t spent = clock_cycles() - worker->window_start, *cost = &worker->cost[worker->depth_index];
  if (*cost && spent > 2 * *cost) spent = 2 * *cost;
  *cost = *cost ? (*cost * 3 + spent) / 4 : spent;
  uint32_t best = 0;
  for (uint32_t i = 1; i < DEPTHS; ++i)
    if (worker->cost[i] && (!worker->cost[best] || worker->cost[i] < worker->cost[best])) best = i;
  if (++worker->probe % 8 == 0)
    best = worker->probe % 16 ? (best + 1 < DEPTHS ? best + 1 : best) : (best ? best - 1 : 0);
  worker->depth_index = best;
  worker->depth = depths[best];
  worker->window = DEPTH_WINDOW;
  worker->window_start = clock_cycles();
}

static __attribute__((noinline)) void do_chores(struct mark_worker *worker) {
  share(worker);
  if (--worker->window == 0) adapt_depth(worker);
}

/* What the loop keeps in registers: the stack's top segment, and what never changes. Functions outside the loop work
 * on the worker, so `put` comes before them and `get` after. */
struct hot {
  uint64_t *low, *top, *high; /* entries of the current segment; all NULL: none is open */
  uint64_t base, bytes;
  uint64_t *bitmap;
  const struct varve_layout_entry *layouts;
  uint32_t tags;
};

SCAN_INLINE void put(struct mark_worker *worker, const struct hot *hot) {
  if (hot->low) worker->current->count = (uint32_t)(hot->top - hot->low);
}

SCAN_INLINE void get(const struct mark_worker *worker, struct hot *hot) {
  struct varve_segment *segment = worker->current;
  hot->low = segment ? segment->entries : NULL;
  hot->top = segment ? segment->entries + segment->count : NULL;
  hot->high = segment ? segment->entries + VARVE__SEGMENT_ENTRIES : NULL;
}

/* The segment is full. Not inlined into the loop, where it would spoil the layout of the code. */
static __attribute__((noinline)) void push_slow(struct mark_worker *worker, uint64_t entry) { push(worker, entry); }

SCAN_INLINE void push_hot(struct mark_worker *worker, struct hot *hot, varve_word word) {
  if (word - hot->base >= hot->bytes || !(hot->tags >> (word & 7) & 1)) return;
  if (VARVE_UNLIKELY(hot->top == hot->high)) {
    put(worker, hot);
    push_slow(worker, word & ~(varve_word)7);
    get(worker, hot);
    return;
  }
  *hot->top++ = word & ~(varve_word)7;
}

SCAN_INLINE bool is_marked_hot(const struct hot *hot, uint64_t address) {
  uint64_t word = (address - hot->base) >> 3;
  return __atomic_load_n(&hot->bitmap[word >> 6], __ATOMIC_RELAXED) >> (word & 63) & 1;
}

/* Scan an object that was just marked. */
SCAN_INLINE void scan_hot(struct mark_worker *worker, struct hot *hot, varve_object *object, uint64_t words) {
  const struct varve_layout_entry *layout = &hot->layouts[varve_object_layout(object)];
  if (layout->kind == VARVE_LAYOUT_DATA) return;
  if (VARVE_UNLIKELY(worker->starved) && hot->top - hot->low > (ptrdiff_t)STARVED_ENTRIES) {
    defer(worker, (uint64_t)(uintptr_t)object);
    return;
  }
  if (VARVE_LIKELY(layout->kind == VARVE_LAYOUT_OFFSETS && layout->masked)) {
    for (uint64_t mask = layout->mask; mask; mask &= mask - 1)
      push_hot(worker, hot, ((varve_word *)object)[bits_lowest(mask)]);
    return;
  }
  put(worker, hot);
  scan(worker, object, words);
  get(worker, hot);
}

/* An entry whose header is here. */
SCAN_INLINE void visit(struct mark_worker *worker, struct hot *hot, uint64_t entry) {
  if (VARVE_UNLIKELY(entry >> PIECE_SHIFT)) {
    put(worker, hot);
    visit_piece(worker, entry);
    get(worker, hot);
    return;
  }
  varve_object *object = (varve_object *)entry;
  uint64_t words = varve_object_bytes(object) / 8;
  VARVE_INVARIANT(varve__layout_fits(&worker->heap->layouts, varve_object_layout(object), words),
                  "mark: reference to %p, which is no object (header %016llx)", (void *)object,
                  (unsigned long long)object->header);
  if (!claim(&worker->heap->space, entry, words, worker->alone)) return;
  ++worker->stats.objects_marked;
  worker->stats.words_marked += words;
  scan_hot(worker, hot, object, words);
}

#ifdef VARVE_PLANT_EARLY_END
#define RING_IS_FORGOTTEN true
#else
#define RING_IS_FORGOTTEN false
#endif

/* Everything that is private or in our deque. Both rings are empty when it returns. */
static void drain(struct mark_worker *worker) {
  const struct varve_heap *heap = worker->heap;
  struct hot hot = {.base = heap->space.base, .bytes = heap->space.bytes, .bitmap = heap->space.bitmap,
                    .layouts = heap->layouts.entries, .tags = heap->slot_tags};
  uint64_t to_test[TEST_RING], to_visit[RING];
  uint32_t test_head = 0, test_tail = 0, head = 0, tail = 0, chores = CHORE_OBJECTS;
  get(worker, &hot);
  for (;;) {
    if (VARVE_LIKELY(hot.top != hot.low)) {
      uint64_t fresh = *--hot.top;
      __builtin_prefetch(&hot.bitmap[((fresh & ADDRESS_MASK) - hot.base) >> 9]);
      to_test[test_tail++ % TEST_RING] = fresh;
      if (test_tail - test_head < TEST_RING) continue;
    } else if (!deque_is_empty(&worker->deque)) {
      put(worker, &hot);
      reopen_segment(worker);
      get(worker, &hot);
      continue;
    }
    if (test_head != test_tail) {
      uint64_t tested = to_test[test_head++ % TEST_RING];
      if (!(tested >> PIECE_SHIFT) && is_marked_hot(&hot, tested)) continue;
      __builtin_prefetch((const void *)(tested & ADDRESS_MASK));
      __builtin_prefetch((const void *)((tested & ADDRESS_MASK) + FIRST_SLOTS));
      to_visit[tail++ % RING] = tested;
      if (tail - head <= worker->depth) continue;
    } else if (head == tail || RING_IS_FORGOTTEN) {
      break;
    }
    visit(worker, &hot, to_visit[head++ % RING]);
    if (VARVE_UNLIKELY(--chores == 0)) {
      put(worker, &hot);
      do_chores(worker);
      get(worker, &hot);
      chores = CHORE_OBJECTS;
    }
  }
  put(worker, &hot);
}

static bool steal_from(struct mark_worker *worker, uint32_t victim) {
  struct varve_segment *segment = varve__deque_steal(&worker->heap->marker->workers[victim].deque);
  if (!segment) {
    ++worker->stats.failed_steals;
    return false;
  }
  ++worker->stats.steals;
  worker->last_victim = victim;
  set_current(worker, segment);
  return true;
}

/* The last victim first, then the others in turn. */
static bool steal(struct mark_worker *worker, uint32_t self, uint32_t active) {
  struct varve_marker *marker = worker->heap->marker;
  for (uint32_t i = 0; i < active; ++i) {
    uint32_t victim = (worker->last_victim + i) % active;
    if (victim != self && !deque_is_empty(&marker->workers[victim].deque) && steal_from(worker, victim)) return true;
  }
  return false;
}

static bool somebody_has_work(struct varve_marker *marker, uint32_t active) {
  for (uint32_t i = 0; i < active; ++i)
    if (!deque_is_empty(&marker->workers[i].deque)) return true;
  return false;
}

/* Park until there is news. The count goes up before the last look, and publishers look at the count after they
 * have published: one of the two sees the other. */
static void sleep_for_news(struct varve_marker *marker, uint32_t active) {
  uint32_t news = atomic_load(&marker->news);
  atomic_fetch_add(&marker->asleep, 1);
  if (atomic_load(&marker->idle) != active && !somebody_has_work(marker, active))
    varve__park_sleep(&marker->news, news);
  atomic_fetch_sub(&marker->asleep, 1);
}

static void wake_everybody(struct varve_marker *marker) {
  atomic_fetch_add(&marker->news, 1);
  if (atomic_load(&marker->asleep)) varve__park_wake(&marker->news, INT_MAX);
}

/* Nothing to do here. @return true: there may be something to steal; false: marking is over. */
static bool wait_for_work(struct varve_heap *heap, uint32_t active) {
  struct varve_marker *marker = heap->marker;
  if (atomic_fetch_add(&marker->idle, 1) + 1 == active) {
    wake_everybody(marker);
    return false;
  }
  for (uint32_t spins = 0;; ++spins) {
    if (atomic_load(&marker->idle) == active) return false;
    if (somebody_has_work(marker, active)) {
      atomic_fetch_sub(&marker->idle, 1); /* before the steal: see Idle above */
      return true;
    }
    if (spins < heap->options.spin) park_pause();
    else sleep_for_news(marker, active);
  }
}

static void drain_and_steal(struct mark_worker *worker, uint32_t self, uint32_t active) {
  do {
    do drain(worker);
    while (steal(worker, self, active));
  } while (wait_for_work(worker->heap, active));
  VARVE_INVARIANT((!worker->current || !worker->current->count) && deque_is_empty(&worker->deque),
                  "mark: worker %u ended with work left", self);
}

static void begin_worker(struct mark_worker *worker) {
  worker->window = DEPTH_WINDOW;
  worker->window_start = clock_cycles();
}

void varve__mark_worker(struct varve_heap *heap, uint32_t self) {
  struct varve_marker *marker = heap->marker;
  struct mark_worker *worker = &marker->workers[self];
  begin_worker(worker);
  worker->alone = varve__workers_active(heap) == 1;
  size_t task;
  while ((task = atomic_fetch_add_explicit(&marker->next_root, 1, memory_order_relaxed)) < heap->root_tasks) {
    varve__roots_visit(heap->roots, task, &worker->root_visitor);
  }
  drain_and_steal(worker, self, varve__workers_active(heap));
}

/* ---- overflow: collect what was deferred ---- */

static bool may_push(const struct mark_worker *worker) { return worker->quota && !worker->starved; }

/* Move a deferred object to the stack; when that is full it stays deferred. */
static void collect_object(void *context, varve_object *object, uint64_t words) {
  struct mark_worker *worker = context;
  uint8_t *flags = (uint8_t *)object;
  (void)words;
  if (!(*flags & FLAG_DEFERRED) || !may_push(worker)) return;
  *flags &= (uint8_t)~FLAG_DEFERRED;
  --worker->quota;
  push(worker, (uint64_t)(uintptr_t)object | SCAN_WHOLE << PIECE_SHIFT);
}

static void collect_block(struct mark_worker *worker, uint32_t block) {
  struct varve_space *space = &worker->heap->space;
  if (!may_push(worker)) {
    atomic_store_explicit(&worker->heap->marker->overflowed, 1, memory_order_relaxed);
    return;
  }
  atomic_store_explicit(&space->blocks[block].pending, 0, memory_order_relaxed);
  walk_marked(space, block, collect_object, worker);
  if (may_push(worker)) return;
  atomic_store_explicit(&space->blocks[block].pending, 1, memory_order_relaxed); /* the walk may have left some */
  atomic_store_explicit(&worker->heap->marker->overflowed, 1, memory_order_relaxed);
}

/* Worker function, marking at rest: the bitmap and the flags do not change but for what is collected. */
static void collect_deferred_worker(struct varve_heap *heap, uint32_t self) {
  struct varve_marker *marker = heap->marker;
  struct mark_worker *worker = &marker->workers[self];
  uint32_t region;
  worker->starved = false;
  worker->quota = marker->pool.count * VARVE__SEGMENT_ENTRIES / (2 * varve__workers_active(heap));
  while ((region = atomic_fetch_add_explicit(&marker->next_region, 1, memory_order_relaxed)) <
         heap->space.region_high) {
    if (atomic_load_explicit(&heap->space.regions[region].kind, memory_order_relaxed) < REGION_SMALL) continue;
    for (uint32_t b = region * VARVE__REGION_BLOCKS; b < (region + 1) * VARVE__REGION_BLOCKS; ++b)
      if (atomic_load_explicit(&heap->space.blocks[b].pending, memory_order_relaxed)) collect_block(worker, b);
  }
}

static void note_figures(struct varve_heap *heap) {
  varve_collection_stats *stats = &heap->current;
  for (uint32_t i = 0; i < heap->marker->worker_count; ++i) {
    struct mark_worker *worker = &heap->marker->workers[i];
    stats->objects_marked += worker->stats.objects_marked;
    stats->steals += worker->stats.steals;
    stats->mark_overflows += worker->overflows;
    if (i < VARVE_STATS_WORKERS) stats->worker[i] = worker->stats;
  }
}

static void return_segments(struct mark_worker *worker) {
  struct varve_segment_pool *pool = &worker->heap->marker->pool;
  if (worker->current) varve__segment_give(pool, worker->current);
  if (worker->spare) varve__segment_give(pool, worker->spare);
  worker->current = worker->spare = NULL;
}

void varve__mark_finish(struct varve_heap *heap) {
  struct varve_marker *marker = heap->marker;
  while (atomic_load_explicit(&marker->overflowed, memory_order_relaxed)) {
    for (uint32_t i = 0; i < marker->worker_count; ++i) return_segments(&marker->workers[i]);
    atomic_store_explicit(&marker->overflowed, 0, memory_order_relaxed);
    atomic_store_explicit(&marker->next_region, 0, memory_order_relaxed);
    atomic_store_explicit(&marker->idle, 0, memory_order_relaxed);
    varve__workers_run(heap, collect_deferred_worker);
    varve__workers_run(heap, varve__mark_worker);
  }
  for (uint32_t i = 0; i < marker->worker_count; ++i) return_segments(&marker->workers[i]);
  note_figures(heap);
}

/* ---- before marking ---- */

static void reset_worker(struct mark_worker *worker) {
  memset(&worker->stats, 0, sizeof worker->stats);
  worker->overflows = 0;
  worker->starved = false;
  atomic_store_explicit(&worker->deque.top, 0, memory_order_relaxed);
  atomic_store_explicit(&worker->deque.bottom, 0, memory_order_relaxed);
}

void varve__mark_begin(struct varve_heap *heap) {
  struct varve_marker *marker = heap->marker;
  atomic_store_explicit(&marker->next_root, 0, memory_order_relaxed);
  atomic_store_explicit(&marker->next_region, 0, memory_order_relaxed);
  atomic_store_explicit(&marker->idle, 0, memory_order_relaxed);
  atomic_store_explicit(&marker->overflowed, 0, memory_order_relaxed);
  for (uint32_t i = 0; i < marker->worker_count; ++i) reset_worker(&marker->workers[i]);
}

/* Blocks filled since the last pause have no bits yet. */
static void clear_region(struct varve_space *space, uint32_t region) {
  uint8_t kind = atomic_load_explicit(&space->regions[region].kind, memory_order_relaxed);
  if (kind == REGION_MEDIUM)
    memset(space_block_bitmap(space, region * VARVE__REGION_BLOCKS), 0, VARVE__REGION_BYTES / 64);
  if (kind != REGION_SMALL && kind != REGION_LARGE) return;
  for (uint32_t b = region * VARVE__REGION_BLOCKS; b < (region + 1) * VARVE__REGION_BLOCKS; ++b)
    if (space->blocks[b].kind != BLOCK_FREE && !space->blocks[b].fresh)
      memset(space_block_bitmap(space, b), 0, VARVE__BLOCK_BYTES / 64);
}

void varve__mark_clear_worker(struct varve_heap *heap, uint32_t worker) {
  (void)worker;
  uint32_t region;
  while ((region = atomic_fetch_add_explicit(&heap->marker->next_region, 1, memory_order_relaxed)) <
         heap->space.region_high)
    clear_region(&heap->space, region);
}
