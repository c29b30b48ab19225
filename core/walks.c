/* SPDX-License-Identifier: MIT */
/* walks.c -- the walks of varve/walk.h: one serial trace, breadth first, with a bit a word for what was met and a
 * queue of all that was.
 *
 * Idea       The queue keeps every object, and for each the one that it was met from. So it is the list of live objects
 *            in the end, and the way to any of them, which is a shortest one.
 * Weak       Weak slots are passed over. An ephemeron whose key has been met is a slot, its value's; else it waits, in
 *            a list by its key's hash, until the key is looked at. Each is looked at twice at most.
 * Called by  running mutators; they stop the world as for varve_verify.
 * Memory     bits, queue and what waits are reserved for what the heap may hold when the world stands, committed as
 *            they grow, and released before it runs.
 */
#include <stdio.h>
#include <stdlib.h>

#include "core/heap.h"
#include "core/mutator.h"
#include "core/root.h"
#include "core/scan.h"
#include "numa/place.h"
#include "varve/walk.h"

#define FROM_ROOT (UINT64_C(1) << 63)
#define PIECE_BYTES VARVE__REGION_BYTES /* of a list, committed at a time */
#define WORDS_PER_HEAD 64u              /* of lists of what waits */
#define LINE_CHARS 256u

struct met {
  uint64_t address;
  uint64_t from; /* its place in the queue, or FROM_ROOT | root task */
};

/* An ephemeron whose key has not been met. */
struct waiting {
  varve_word *entry;
  uint64_t holder; /* its place in the queue */
  uint64_t next;   /* of the list: its place among all that wait, and 1; 0: none */
};

/* What grows by pieces, in address space that is enough. */
struct growing {
  char *base;
  size_t bytes, committed;
};

struct walk;
/* A slot, what it holds, and the address that this refers to. */
typedef void meet_fn(struct walk *walk, const void *slot, uint64_t word, uint64_t address);

struct walk {
  struct varve_heap *heap;
  struct varve__mutator *mutator;
  struct varve_visitor visitor;
  meet_fn *meet;               /* what is done with a reference */
  uint64_t *bits;              /* a bit a word of the regions in use */
  size_t bits_bytes;
  struct met *queue;
  size_t count;
  struct growing queue_memory;
  struct waiting *waiting;
  size_t waiting_count;
  struct growing waiting_memory;
  uint64_t *heads;             /* of lists of what waits; NULL: no layout has ephemerons */
  size_t heads_bytes;          /* a power of two */
  size_t tasks;                /* root tasks; the last one is the queue of finalizers */
  uint64_t from;               /* as in struct met: where slots are being visited */
  bool failed;                 /* no memory */
  const varve_word *except;    /* no root */
  uint64_t wanted;             /* address; 0: none in particular */
  size_t wanted_at;            /* its place in the queue; `count`: not there */
  const void *slot;            /* of a search: the first that refers to what is wanted */
  varve_object_fn *object_fn;
  varve_reference_fn *reference_fn;
  void *context;
};

/* ---- memory ---- */

static void *reserve(struct growing *memory, size_t bytes) {
  *memory = (struct growing){varve__place_reserve(bytes, 0), bytes, 0};
  return memory->base;
}

static void *take_whole(const struct varve_heap *heap, size_t bytes) {
  void *memory = varve__place_reserve(bytes, 0);
  if (!memory || varve__place_commit(heap->topology, memory, bytes, VARVE__NODES_MAX, 0)) return memory;
  varve__place_release(memory, bytes);
  return NULL;
}

/* No heap has more objects than words, nor more ephemerons than a third of them. */
static bool open_memory(struct walk *walk) {
  const struct varve_heap *heap = walk->heap;
  size_t words = heap->space.region_high * (size_t)VARVE__REGION_WORDS;
  walk->bits = take_whole(heap, walk->bits_bytes = words / 8);
  walk->queue = reserve(&walk->queue_memory, words * sizeof *walk->queue);
  if (!walk->bits || !walk->queue) return false;
  if (!heap->weak.heads) return true;
  walk->waiting = reserve(&walk->waiting_memory, words / SCAN_ENTRY_WORDS * sizeof *walk->waiting);
  walk->heads = take_whole(heap, walk->heads_bytes = bits_next_power_of_two(words / WORDS_PER_HEAD * 8));
  return walk->waiting && walk->heads;
}

static void close_memory(struct walk *walk) {
  if (walk->bits) varve__place_release(walk->bits, walk->bits_bytes);
  if (walk->queue) varve__place_release(walk->queue, walk->queue_memory.bytes);
  if (walk->waiting) varve__place_release(walk->waiting, walk->waiting_memory.bytes);
  if (walk->heads) varve__place_release(walk->heads, walk->heads_bytes);
}

/* Is there room for `bytes` bytes? */
static bool has_room(struct walk *walk, struct growing *memory, size_t bytes) {
  if (bytes <= memory->committed) return true;
  size_t left = memory->bytes - memory->committed, piece = left < PIECE_BYTES ? left : PIECE_BYTES;
  walk->failed |= !varve__place_commit(walk->heap->topology, memory->base + memory->committed, piece,
                                       VARVE__NODES_MAX, 0);
  if (!walk->failed) memory->committed += piece;
  return !walk->failed;
}

/* ---- the trace ---- */

static bool is_met(const struct walk *walk, uint64_t address) {
  size_t word = space_word(&walk->heap->space, address);
  return walk->bits[word / 64] >> word % 64 & 1;
}

static void enqueue(struct walk *walk, uint64_t address) {
  size_t word = space_word(&walk->heap->space, address);
  if (walk->failed || is_met(walk, address)) return;
  if (!has_room(walk, &walk->queue_memory, (walk->count + 1) * sizeof *walk->queue)) return;
  walk->bits[word / 64] |= UINT64_C(1) << word % 64;
  walk->queue[walk->count++] = (struct met){address, walk->from};
}

static void visit_word(struct walk *walk, varve_word *slot, uint32_t tags) {
  varve_word word = __atomic_load_n(slot, __ATOMIC_RELAXED);
  if (heap_is_reference(walk->heap, word, tags)) walk->meet(walk, slot, word, word & ~(varve_word)7);
}

static void visit_narrow(struct walk *walk, varve_narrow *slot) {
  const struct varve_heap *heap = walk->heap;
  varve_narrow word = __atomic_load_n(slot, __ATOMIC_RELAXED);
  if (heap_is_narrow_reference(heap, word))
    walk->meet(walk, slot, word, heap->space.base + narrow_offset(&heap->narrow, word));
}

SCAN_INLINE void visit_slots(void *context, varve_word *slots, size_t count) {
  struct walk *walk = context;
  for (size_t i = 0; i < count; ++i) visit_word(walk, &slots[i], walk->heap->slot_tags);
}

SCAN_INLINE void visit_narrow_slots(void *context, varve_narrow *slots, size_t count) {
  for (size_t i = 0; i < count; ++i) visit_narrow(context, &slots[i]);
}

/* Of what roots and trace functions give: is the i-th one a slot? */
static bool is_in(const uint64_t *bitmap, size_t i) {
  return !bitmap || (__atomic_load_n(&bitmap[i / 64], __ATOMIC_RELAXED) >> i % 64 & 1);
}

static void visit_range(struct varve_visitor *visitor, varve_word *base, size_t stride, size_t count,
                        const uint64_t *bitmap, bool ref) {
  struct walk *walk = visitor->context;
  uint32_t tags = ref ? walk->heap->ref_tags : walk->heap->slot_tags;
  for (size_t i = 0; i < count; ++i)
    if (is_in(bitmap, i)) visit_word(walk, (varve_word *)((char *)base + i * stride), tags);
}

static void visit_narrow_range(struct varve_visitor *visitor, varve_narrow *base, size_t stride, size_t count,
                               const uint64_t *bitmap) {
  for (size_t i = 0; i < count; ++i)
    if (is_in(bitmap, i)) visit_narrow(visitor->context, (varve_narrow *)((char *)base + i * stride));
}

static void visit_root(struct walk *walk, size_t task) {
  walk->from = FROM_ROOT | task;
  if (task < walk->heap->root_tasks) varve__roots_visit(walk->heap->roots, task, &walk->visitor);
  else varve__final_visit_queued(walk->heap, &walk->visitor);
}

static uint64_t *head_of(const struct walk *walk, uint64_t address) {
  uint64_t hash = space_word(&walk->heap->space, address) * UINT64_C(0x9e3779b97f4a7c15);
  return &walk->heads[hash >> 32 & (walk->heads_bytes / 8 - 1)];
}

static void wait_for_key(struct walk *walk, varve_word *entry, uint64_t holder) {
  uint64_t *head = head_of(walk, entry[0] & ~(varve_word)7);
  if (!has_room(walk, &walk->waiting_memory, (walk->waiting_count + 1) * sizeof *walk->waiting)) return;
  walk->waiting[walk->waiting_count] = (struct waiting){entry, holder, *head};
  *head = ++walk->waiting_count;
}

static void visit_entries(struct walk *walk, varve_word *entry, size_t count, uint64_t holder) {
  for (; count && !walk->failed; --count, entry += SCAN_ENTRY_WORDS) {
    bool waits = heap_is_reference(walk->heap, entry[0], walk->heap->slot_tags) &&
                 !is_met(walk, entry[0] & ~(varve_word)7);
    if (waits) wait_for_key(walk, entry, holder);
    else visit_word(walk, &entry[1], walk->heap->slot_tags);
  }
}

static void visit_slots_of(struct walk *walk, size_t at) {
  const struct varve_layout_table *table = &walk->heap->layouts;
  varve_object *object = (varve_object *)walk->queue[at].address;
  const struct varve_layout_entry *layout = &table->entries[varve_object_layout(object)];
  size_t words = varve_object_bytes(object) / 8;
  walk->from = at;
  if (!layout_is_weak(layout)) {
    scan_object(table, layout, (varve_word *)object, words, visit_slots, visit_narrow_slots, walk, &walk->visitor);
    return;
  }
  scan_strong(layout, (varve_word *)object, visit_slots, walk);
  if (layout->kind == VARVE_LAYOUT_EPHEMERONS)
    visit_entries(walk, (varve_word *)object + layout->first, scan_entries(layout, words), at);
}

/* What waited for the object has been met, from its holder. */
static void visit_what_waited(struct walk *walk, uint64_t address) {
  for (uint64_t next = walk->waiting_count ? *head_of(walk, address) : 0; next && !walk->failed;) {
    struct waiting waiting = walk->waiting[next - 1];
    walk->from = waiting.holder;
    next = waiting.next;
    if ((waiting.entry[0] & ~(varve_word)7) == address) visit_word(walk, &waiting.entry[1], walk->heap->slot_tags);
  }
}

static void visit_object(struct walk *walk, size_t at) {
  visit_what_waited(walk, walk->queue[at].address);
  visit_slots_of(walk, at);
}

static void trace(struct walk *walk) {
  for (size_t task = 0; task < walk->tasks && !walk->failed; ++task) visit_root(walk, task);
  for (size_t at = 0; at < walk->count && !walk->failed; ++at) {
    varve_object *object = (varve_object *)walk->queue[at].address;
    if (walk->object_fn) walk->object_fn(walk->context, object, varve_object_bytes(object));
    visit_object(walk, at);
  }
}

/* ---- stopping and resuming ---- */

static varve_status begin(struct walk *walk, varve_mutator *head, varve_error *error) {
  struct varve__mutator *mutator = mutator_of(head);
  struct varve_heap *heap = head->heap;
  if (!varve__mutator_is_here(mutator) || atomic_load(&mutator->state) != MUTATOR_RUNNING)
    return varve__error(error, VARVE_THREAD, "walk: mutator %s is native, or of another thread", mutator->name);
  varve__look_begin(mutator);
  walk->heap = heap;
  walk->mutator = mutator;
  walk->tasks = heap->root_tasks + 1;
  walk->visitor = (struct varve_visitor){.range = visit_range, .narrow = visit_narrow_range, .heap = heap,
                                          .context = walk};
  walk->failed = !open_memory(walk);
  return VARVE_OK;
}

static varve_status end(struct walk *walk, varve_error *error) {
  close_memory(walk);
  varve__look_end(walk->mutator);
  if (!walk->failed) return VARVE_OK;
  return varve__error(error, VARVE_METADATA, "walk: no memory to go beyond %zu objects", walk->count);
}

/* The world stands: which object is meant? */
static bool want(struct walk *walk, const varve_word *slot) {
  varve_word word = __atomic_load_n(slot, __ATOMIC_RELAXED);
  walk->wanted = word & ~(varve_word)7;
  /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): begin() has set the heap */
  return heap_is_reference(walk->heap, word, walk->heap->slot_tags | walk->heap->ref_tags);
}

/* ---- telling ---- */

static void name_root(const struct walk *walk, size_t task, char name[LINE_CHARS]) {
  if (task < walk->heap->root_tasks) varve__roots_task_name(walk->heap->roots, task, name, LINE_CHARS);
  else snprintf(name, LINE_CHARS, "queue of finalizers");
}

static void tell(struct walk *walk, const void *slot, uint64_t word, uint64_t address) {
  char name[LINE_CHARS];
  varve_reference reference = {.slot = slot, .word = word, .to = (varve_object *)address};
  if (walk->from & FROM_ROOT) {
    name_root(walk, walk->from & ~FROM_ROOT, name);
    reference.root = name;
  } else {
    reference.from = (varve_object *)walk->queue[walk->from].address;
    reference.offset = (size_t)((const char *)slot - (const char *)reference.from);
  }
  walk->reference_fn(walk->context, &reference);
}

/* ---- objects ---- */

static void meet_object(struct walk *walk, const void *slot, uint64_t word, uint64_t address) {
  (void)slot;
  (void)word;
  enqueue(walk, address);
}

varve_status varve_walk_objects(varve_mutator *mutator, varve_object_fn *visit, void *context, varve_error *error) {
  struct walk walk = {.meet = meet_object, .object_fn = visit, .context = context};
  if (!visit) return varve__error(error, VARVE_ARGUMENT, "walk_objects: visit must not be null");
  varve_status status = begin(&walk, mutator, error);
  if (status != VARVE_OK) return status;
  trace(&walk);
  return end(&walk, error);
}

/* ---- references ---- */

static void meet_reference(struct walk *walk, const void *slot, uint64_t word, uint64_t address) {
  if (!walk->wanted || walk->wanted == address) tell(walk, slot, word, address);
  enqueue(walk, address);
}

varve_status varve_walk_references(varve_mutator *mutator, const varve_word *slot, varve_reference_fn *visit,
                                   void *context, varve_error *error) {
  struct walk walk = {.meet = meet_reference, .reference_fn = visit, .context = context};
  if (!visit) return varve__error(error, VARVE_ARGUMENT, "walk_references: visit must not be null");
  varve_status status = begin(&walk, mutator, error);
  if (status != VARVE_OK) return status;
  bool known = !slot || want(&walk, slot);
  if (known) trace(&walk);
  status = end(&walk, error);
  return known ? status : varve__error(error, VARVE_ARGUMENT, "walk_references: the slot holds no reference");
}

/* ---- the way to an object ---- */

static void meet_on_way(struct walk *walk, const void *slot, uint64_t word, uint64_t address) {
  (void)word;
  if (slot != walk->except) enqueue(walk, address);
}

/* Until what is wanted is in the queue. */
static bool trace_to_wanted(struct walk *walk) {
  size_t looked = 0, task = 0;
  for (size_t at = 0; !walk->failed;) {
    for (; looked < walk->count; ++looked)
      if (walk->queue[looked].address == walk->wanted) return walk->wanted_at = looked, true;
    if (task < walk->tasks) visit_root(walk, task++);
    else if (at < walk->count) visit_object(walk, at++);
    else break;
  }
  return false;
}

/* Turn the way from an object back to its root round: now each says what comes next. @return the first object's place;
 * its root is in *root. The last one's next is itself. */
static size_t reverse(struct walk *walk, uint64_t *root) {
  size_t next = walk->wanted_at, at = next;
  for (;;) {
    uint64_t from = walk->queue[at].from;
    walk->queue[at].from = next;
    if (from & FROM_ROOT) return *root = from, at;
    next = at;
    at = from;
  }
}

static void meet_in_search(struct walk *walk, const void *slot, uint64_t word, uint64_t address) {
  if (address != walk->wanted || slot == walk->except || walk->slot) return;
  walk->slot = slot;
  tell(walk, slot, word, address);
}

/* The first slot of the root or object that refers to the one at `to`. */
static void tell_step(struct walk *walk, uint64_t from, size_t to) {
  walk->slot = NULL;
  walk->wanted = walk->queue[to].address;
  if (from & FROM_ROOT) visit_root(walk, from & ~FROM_ROOT);
  else visit_slots_of(walk, from);
}

static void tell_way(struct walk *walk) {
  uint64_t from;
  size_t last = walk->wanted_at, at = reverse(walk, &from);
  walk->meet = meet_in_search;
  tell_step(walk, from, at);
  while (at != last) {
    size_t next = walk->queue[at].from;
    tell_step(walk, at, next);
    at = next;
  }
}

varve_status varve_path_to(varve_mutator *mutator, const varve_word *slot, varve_reference_fn *visit, void *context,
                           varve_error *error) {
  struct walk walk = {.meet = meet_on_way, .reference_fn = visit, .context = context, .except = slot};
  if (!visit || !slot) return varve__error(error, VARVE_ARGUMENT, "path_to: slot and visit must not be null");
  varve_status status = begin(&walk, mutator, error);
  if (status != VARVE_OK) return status;
  bool known = want(&walk, slot);
  if (known && trace_to_wanted(&walk)) tell_way(&walk);
  status = end(&walk, error);
  return known ? status : varve__error(error, VARVE_ARGUMENT, "path_to: the slot holds no reference");
}

/* ---- the way as text ---- */

struct lines {
  const varve_heap *heap;
  void (*line)(void *context, const char *text);
  void *context;
};

static void print_reference(void *context, const varve_reference *reference) {
  const struct lines *lines = context;
  varve_layout layout = varve_object_layout(reference->to);
  char where[LINE_CHARS], text[2 * LINE_CHARS];
  if (reference->root) snprintf(where, sizeof where, "%s, slot %p", reference->root, reference->slot);
  else snprintf(where, sizeof where, "  +%zu", reference->offset);
  snprintf(text, sizeof text, "%s -> %.64s %p, %zu bytes", where, varve_layout_name(lines->heap, layout),
           (void *)reference->to, varve_object_bytes(reference->to));
  lines->line(lines->context, text);
}

varve_status varve_path_print(varve_mutator *mutator, const varve_word *slot,
                              void (*line)(void *context, const char *text), void *context, varve_error *error) {
  struct lines lines = {mutator->heap, line, context};
  if (!line) return varve__error(error, VARVE_ARGUMENT, "path_print: line must not be null");
  return varve_path_to(mutator, slot, print_reference, &lines, error);
}

/* ---- the census ---- */

struct census {
  uint64_t objects, bytes;
};

static void count_object(void *context, varve_object *object, size_t bytes) {
  struct census *census = (struct census *)context + varve_object_layout(object);
  ++census->objects;
  census->bytes += bytes;
}

static int by_bytes(const void *a, const void *b) {
  const varve_census_row *x = a, *y = b;
  if (x->bytes != y->bytes) return x->bytes < y->bytes ? 1 : -1;
  return x->layout < y->layout ? -1 : x->layout > y->layout;
}

/* The rows of layouts that have objects, sorted. @return how many. */
static size_t make_rows(const varve_heap *heap, const struct census *census, varve_census_row *rows) {
  size_t count = 0;
  for (varve_layout layout = 0; layout < VARVE__LAYOUTS_MAX; ++layout)
    if (census[layout].objects)
      rows[count++] = (varve_census_row){layout, varve_layout_name(heap, layout), census[layout].objects,
                                         census[layout].bytes};
  qsort(rows, count, sizeof *rows, by_bytes);
  return count;
}

static void tell_rows(const varve_heap *heap, const struct census *census, varve_census_row *rows,
                      void (*row)(void *context, const varve_census_row *row), void *context) {
  size_t count = make_rows(heap, census, rows);
  for (size_t i = 0; i < count; ++i) row(context, &rows[i]);
}

varve_status varve_census(varve_mutator *mutator, void (*row)(void *context, const varve_census_row *row),
                          void *context, varve_error *error) {
  varve_heap *heap = mutator->heap;
  if (!row) return varve__error(error, VARVE_ARGUMENT, "census: row must not be null");
  size_t bytes = VARVE__LAYOUTS_MAX * (sizeof(struct census) + sizeof(varve_census_row));
  struct census *census = heap_meta_alloc(heap, bytes);
  if (!census) return varve__error(error, VARVE_METADATA, "census: no memory for a row for each layout");
  varve_status status = varve_walk_objects(mutator, count_object, census, error);
  if (status == VARVE_OK) tell_rows(heap, census, (varve_census_row *)(census + VARVE__LAYOUTS_MAX), row, context);
  heap_meta_free(heap, census, bytes);
  return status;
}

struct table {
  struct lines lines;
  uint64_t objects, bytes;
};

static void print_line(const struct lines *lines, uint64_t objects, uint64_t bytes, const char *name) {
  char text[LINE_CHARS];
  snprintf(text, sizeof text, "%14llu %16llu  %.200s", (unsigned long long)objects, (unsigned long long)bytes, name);
  lines->line(lines->context, text);
}

static void print_row(void *context, const varve_census_row *row) {
  struct table *table = context;
  print_line(&table->lines, row->objects, row->bytes, row->name);
  table->objects += row->objects;
  table->bytes += row->bytes;
}

varve_status varve_census_print(varve_mutator *mutator, void (*line)(void *context, const char *text), void *context,
                                varve_error *error) {
  struct table table = {.lines = {mutator->heap, line, context}};
  if (!line) return varve__error(error, VARVE_ARGUMENT, "census_print: line must not be null");
  line(context, "       objects            bytes  layout");
  varve_status status = varve_census(mutator, print_row, &table, error);
  if (status == VARVE_OK) print_line(&table.lines, table.objects, table.bytes, "all");
  return status;
}
