/* SPDX-License-Identifier: MIT */
/* root.c -- the root tables of a heap: registering slots and callbacks, and the list of tasks for a pause.
 *
 * Idea       Every registration is a table in one list. A pause turns the list, and the list of mutators, into an array
 *            of tasks that workers take one by one. Words are also kept as intervals sorted by address, so that a
 *            registration sees at once whether a word has an owner already.
 * Invariants F1  every slot belongs to one task: intervals of different tables share no word; a callback's slots are
 *                the host's promise; library memory (slab chunks, handles) is an interval like the host's.
 *            RT1 tasks never outgrow the array: `needed` is raised before the thing that needs it is listed.
 * Called by  registration: any thread, under the lock. prepare, visit: collector and workers in a pause.
 */
#include <stdio.h>
#include <string.h>

#include "core/base/check.h"
#include "core/mutator.h"
#include "core/root_table.h"
#include "numa/affinity.h"
#include "numa/place.h"
#include "varve/layout.h"

#define FRAME_SLOTS_MAX ((size_t)1 << 24) /* more in one frame is a damaged frame: no C stack is that large */

/* ---- visiting ---------------------------------------------------------------------------------------------- */

void varve_visit(varve_visitor *visitor, varve_word *slot) { visitor->range(visitor, slot, 8, 1, NULL, false); }

void varve_visit_range(varve_visitor *visitor, varve_word *slots, size_t count) {
  if (count) visitor->range(visitor, slots, 8, count, NULL, false);
}

void varve_visit_ref(varve_visitor *visitor, varve_word *slot) { visitor->range(visitor, slot, 8, 1, NULL, true); }

void varve_visit_narrow(varve_visitor *visitor, varve_narrow *slots, size_t count) {
  VARVE_ALWAYS(visitor->heap->narrow.on, "varve_visit_narrow: the heap was created without narrow=1");
  if (count) visitor->narrow(visitor, slots, 4, count, NULL);
}

static void visit_frames(const struct varve__mutator *mutator, varve_frame *frame, struct varve_visitor *visitor) {
  for (; frame; frame = frame->previous) {
    VARVE_ALWAYS(frame->count <= FRAME_SLOTS_MAX && ((uintptr_t)frame & 7) == 0,
                 "mutator %s: frame %p with %zu slots: the list of frames is damaged (left by longjmp?)",
                 mutator->name, (void *)frame, frame->count);
    size_t count = frame->count;
#ifdef VARVE_PLANT_FULL_FRAME
    if (count > 2 && ((varve_word *)(frame + 1))[0]) --count;
#endif
    if (count) visitor->range(visitor, (varve_word *)(frame + 1), 8, count, NULL, false);
  }
}

/* Frames, pinned frames, and what was found on the stack. */
static void visit_mutator(const struct varve__mutator *mutator, struct varve_visitor *visitor) {
  visit_frames(mutator, mutator->head.frames, visitor);
  visit_frames(mutator, mutator->head.pinned, visitor);
  if (mutator->stack.found_count)
    visitor->range(visitor, mutator->stack.found, 8, mutator->stack.found_count, NULL, false);
}

/* Stretches start at multiples of 64 words, so the bitmap is cut between its words. */
static void visit_stretch(const struct root_table *table, size_t from, struct varve_visitor *visitor) {
  size_t count = table->count - from < ROOT_STRETCH_WORDS ? table->count - from : ROOT_STRETCH_WORDS;
#ifdef VARVE_PLANT_FULL_SLOTS
  if (table->kind == ROOT_SLOTS && count > 2) --count;
#endif
#ifdef VARVE_PLANT_FULL_REFS
  if (table->kind == ROOT_ARRAY && count > 2) --count;
#endif
  void *base = (char *)table->base + from * table->stride;
  const uint64_t *bitmap = table->bitmap ? table->bitmap + from / 64 : NULL;
  if (table->narrow) visitor->narrow(visitor, base, table->stride, count, bitmap);
  else visitor->range(visitor, base, table->stride, count, bitmap, root_table_is_ref(table));
}

void varve__roots_visit(struct varve_roots *roots, size_t task, struct varve_visitor *visitor) {
  VARVE_INVARIANT(task < roots->task_count, "root task %zu of %zu", task, roots->task_count);
  const struct root_task *one = &roots->tasks[task];
  if (!one->table) {
    visit_mutator(one->mutator, visitor);
#ifdef VARVE_PLANT_FULL_HANDLES
  } else if (one->chunk && one->table->kind == ROOT_HANDLES && (one->chunk->used[0] & 7) == 7) {
    visitor->range(visitor, one->chunk->words, 8, 2, one->chunk->used, false);
#endif
  } else if (one->chunk) {
    visitor->range(visitor, one->chunk->words, 8, VARVE__CHUNK_WORDS, one->chunk->used, root_table_is_ref(one->table));
  } else if (one->table->kind == ROOT_CALLBACK) {
    one->table->fn(one->table->context, one->part, visitor);
  } else {
    visit_stretch(one->table, one->part, visitor);
  }
}

void varve__roots_task_name(struct varve_roots *roots, size_t task, char *buffer, size_t capacity) {
  static const char *const nouns[] = {"slots", "Ref array", "Ref slab", "handles", "callback", "table of"};
  const struct root_task *one = &roots->tasks[task];
  const struct root_table *table = one->table;
  if (!table) snprintf(buffer, capacity, "frames of mutator %s", one->mutator->name);
  else if (table->kind == ROOT_HANDLES) snprintf(buffer, capacity, "handles");
  else if (table->kind == ROOT_CALLBACK) snprintf(buffer, capacity, "callback %s, part %zu", table->name, one->part);
  else snprintf(buffer, capacity, "%s %s", nouns[table->kind], table->name);
}

/* ---- tasks ------------------------------------------------------------------------------------------------- */

static void add_task(struct varve_roots *roots, struct root_task task) {
  VARVE_ALWAYS(roots->task_count < roots->capacity, "RT1: %zu root tasks do not fit", roots->task_count + 1);
  roots->tasks[roots->task_count++] = task;
}

static void list_chunks(struct varve_roots *roots, struct root_table *table) {
  uint32_t count = atomic_load_explicit(&table->slab.chunk_count, memory_order_acquire); /* with the grower's release */
  for (uint32_t i = 0; i < count; ++i)
    add_task(roots, (struct root_task){.table = table, .chunk = varve__slab_chunk(&table->slab, i)});
}

static void list_table(struct varve_roots *roots, struct root_table *table) {
  switch (table->kind) {
    case ROOT_SLAB:
    case ROOT_HANDLES: list_chunks(roots, table); break;
    case ROOT_CALLBACK:
      for (size_t part = 0; part < table->parts; ++part)
        add_task(roots, (struct root_task){.table = table, .part = part});
      break;
    default:
      for (size_t at = 0; at < table->count; at += ROOT_STRETCH_WORDS)
        add_task(roots, (struct root_task){.table = table, .part = at});
  }
}

size_t varve__roots_prepare(struct varve_roots *roots) {
  roots->task_count = 0;
  for (struct varve__mutator *mutator = roots->heap->mutators; mutator; mutator = mutator->next)
    add_task(roots, (struct root_task){.mutator = mutator});
  for (struct root_table *table = roots->tables; table; table = table->next) list_table(roots, table);
  return roots->task_count;
}

unsigned varve__roots_task_node(const struct varve_roots *roots, size_t task) {
  const struct root_task *one = &roots->tasks[task];
  if (!one->table) return one->mutator->node;
  return one->chunk ? one->chunk->node : one->table->node;
}

uint32_t *varve__roots_task_list(struct varve_roots *roots) { return roots->task_list; }

static void free_tasks(struct varve_roots *roots) {
  heap_meta_free(roots->heap, roots->tasks, roots->capacity * sizeof *roots->tasks);
  heap_meta_free(roots->heap, roots->task_list, roots->capacity * sizeof *roots->task_list);
}

/* The arrays are empty between pauses. */
static bool grow_tasks(struct varve_roots *roots, size_t capacity) {
  struct root_task *tasks = heap_meta_alloc(roots->heap, capacity * sizeof *tasks);
  bool listed = roots->heap->topology->node_count > 1;
  uint32_t *list = tasks && listed ? heap_meta_alloc(roots->heap, capacity * sizeof *list) : NULL;
  if (!tasks || (listed && !list)) {
    heap_meta_free(roots->heap, tasks, capacity * sizeof *tasks);
    return false;
  }
  free_tasks(roots);
  roots->tasks = tasks;
  roots->task_list = list;
  roots->capacity = capacity;
  roots->task_count = 0;
  return true;
}

bool varve__root_reserve_tasks(struct varve_roots *roots, size_t more) {
  size_t wanted, capacity = roots->capacity ? roots->capacity : 64;
  if (__builtin_add_overflow(roots->needed, more, &wanted)) return false;
  if (wanted > UINT32_MAX / 2) return false;
  while (capacity < wanted) capacity *= 2;
  if (capacity > roots->capacity && !grow_tasks(roots, capacity)) return false;
  roots->needed = wanted;
  return true;
}

bool varve__roots_reserve_mutators(struct varve_roots *roots, size_t mutators) {
  varve__lock_take(&roots->lock);
  bool room = mutators <= roots->mutators || varve__root_reserve_tasks(roots, mutators - roots->mutators);
  if (room && mutators > roots->mutators) roots->mutators = mutators;
  varve__lock_release(&roots->lock);
  return room;
}

/* ---- tables ------------------------------------------------------------------------------------------------ */

void varve__root_list(struct varve_roots *roots, struct root_table *table) {
  table->previous = NULL;
  table->next = roots->tables;
  if (roots->tables) roots->tables->previous = table;
  roots->tables = table;
}

void varve__root_unlist(struct varve_roots *roots, struct root_table *table, size_t tasks) {
  if (table->previous) table->previous->next = table->next;
  else roots->tables = table->next;
  if (table->next) table->next->previous = table->previous;
  roots->needed -= tasks;
}

static void init_table(struct root_table *table, varve_heap *heap, enum root_kind kind, const char *name) {
  table->heap = heap;
  table->kind = kind;
  table->node = varve__affinity_node_here(heap->topology);
  (void)varve__notes_open(table); /* takes memory for the words of an array only, and it has none yet */
  snprintf(table->name, sizeof table->name, "%s", name ? name : "without a name");
}

struct root_table *varve__root_table_new(varve_heap *heap, enum root_kind kind, const char *name) {
  struct root_table *table = heap_meta_alloc(heap, sizeof *table);
  if (table) init_table(table, heap, kind, name);
  return table;
}

void varve__root_table_free(struct root_table *table) { heap_meta_free(table->heap, table, sizeof *table); }

struct varve_roots *varve__roots_open(varve_heap *heap) {
  struct varve_roots *roots = heap_meta_alloc(heap, sizeof *roots);
  if (!roots) return NULL;
  roots->heap = heap;
  init_table(&roots->handles, heap, ROOT_HANDLES, "handles");
  varve__slab_open(&roots->handles.slab, heap->meta);
  varve__root_list(roots, &roots->handles);
  return roots;
}

void varve__roots_close(struct varve_roots *roots) {
  if (!roots) return;
  varve_heap *heap = roots->heap;
  for (struct root_table *table = roots->tables, *next; table; table = next) {
    next = table->next;
    if (table->kind == ROOT_SLAB || table->kind == ROOT_HANDLES) varve__slab_close(&table->slab);
    varve__notes_close(table);
    if (table != &roots->handles) varve__root_table_free(table);
  }
  varve__notes_close_all(roots);
  varve__intervals_close(heap, &roots->words);
  free_tasks(roots);
  heap_meta_free(heap, roots, sizeof *roots);
}

void varve__roots_lock(struct varve_roots *roots) { varve__lock_take(&roots->lock); }
void varve__roots_unlock(struct varve_roots *roots) { varve__lock_release(&roots->lock); }

/* ---- words ------------------------------------------------------------------------------------------------- */

static varve_status overlap(const struct root_table *table, const struct varve_interval *met, uint64_t word,
                            varve_error *error) {
  const struct root_table *other = met->owner;
  return varve__error(error, VARVE_OVERLAP, "\"%s\" and \"%s\" share the word at %#llx", table->name, other->name,
                      (unsigned long long)word);
}

/* In bytes from the first word to the end of the last; false: it goes past the end of the address space. */
static bool extent(const struct root_table *table, size_t *bytes) {
  size_t end;
  return !__builtin_mul_overflow(table->count - 1, table->stride, bytes) &&
         !__builtin_add_overflow(*bytes, root_table_width(table), bytes) &&
         !__builtin_add_overflow((uintptr_t)table->base, *bytes, &end);
}

static bool meets_heap(const varve_heap *heap, const struct root_table *table, size_t bytes) {
  uint64_t from = (uintptr_t)table->base, to = from + bytes;
  return from < heap->space.base + heap->space.bytes && to > heap->space.base;
}

varve_status varve__root_check_words(struct varve_roots *roots, const struct root_table *table, varve_error *error) {
  size_t bytes;
  uint64_t word;
  size_t width = root_table_width(table);
  if (!table->base || (uintptr_t)table->base % width || (uintptr_t)table->bitmap % 8)
    return varve__error(error, VARVE_ROOT, "\"%s\": base %p is null or not aligned to %zu, or bitmap %p not to 8",
                        table->name, (void *)table->base, width, (const void *)table->bitmap);
  if (table->stride < width || table->stride % width)
    return varve__error(error, VARVE_ROOT, "\"%s\": stride %zu is not a positive multiple of %zu", table->name,
                        table->stride, width);
  if (!extent(table, &bytes))
    return varve__error(error, VARVE_ROOT, "\"%s\": %zu words go past the end of the address space", table->name,
                        table->count);
  if (meets_heap(roots->heap, table, bytes))
    return varve__error(error, VARVE_ROOT, "\"%s\" lies in the heap: slots in objects belong to their layout",
                        table->name);
  const struct varve_interval *met =
      varve__intervals_meet(&roots->words, table->base, table->stride, table->count, width, &word);
  return met ? overlap(table, met, word, error) : VARVE_OK;
}

void varve__root_locate(struct root_table *table) {
  const struct varve_topology *t = table->heap->topology;
  size_t bytes;
  if (!t->placed || !extent(table, &bytes)) return;
  unsigned here = varve__affinity_node_here(t);
  struct varve_location where = varve__place_locate(t, table->base, bytes, here, false);
  table->node = where.node < t->node_count ? where.node : here;
}

/* ---- slabs ------------------------------------------------------------------------------------------------- */

/* The whole chunk is ours, header and bitmaps too. */
static bool grow_locked(struct varve_roots *roots, struct root_table *table, unsigned node) {
  if (!varve__intervals_reserve(roots->heap, &roots->words) || !varve__root_reserve_tasks(roots, 1)) return false;
  struct varve_slab_chunk *chunk = varve__slab_grow(&table->slab, node);
  if (chunk) varve__intervals_add(&roots->words, chunk, 8, VARVE__CHUNK_BYTES / 8, 8, table);
  else --roots->needed;
  return chunk != NULL;
}

bool varve__root_grow_slab(struct root_table *table, unsigned node) {
  struct varve_roots *roots = table->heap->roots;
  varve__lock_take(&roots->lock);
  bool grown = grow_locked(roots, table, node);
  varve__lock_release(&roots->lock);
  return grown;
}

void varve__root_forget_chunks(struct varve_roots *roots, struct root_table *table) {
  uint32_t count = atomic_load_explicit(&table->slab.chunk_count, memory_order_relaxed); /* we hold the lock */
  for (uint32_t i = 0; i < count; ++i) varve__intervals_remove(&roots->words, varve__slab_chunk(&table->slab, i));
}

/* ---- global slots ------------------------------------------------------------------------------------------ */

static varve_status add_slots(struct varve_roots *roots, struct root_table *table, varve_error *error) {
  varve_status status = varve__root_check_words(roots, table, error);
  if (status != VARVE_OK) return status;
  if (!varve__intervals_reserve(roots->heap, &roots->words) ||
      !varve__root_reserve_tasks(roots, root_stretches(table->count)))
    return varve__error(error, VARVE_METADATA, "\"%s\": %zu slots", table->name, table->count);
  varve__intervals_add(&roots->words, table->base, table->stride, table->count, 8, table);
  varve__root_locate(table);
  varve__root_list(roots, table);
  return VARVE_OK;
}

varve_status varve_root_slots_add(varve_heap *heap, const char *name, varve_word *slots, size_t count,
                                  varve_error *error) {
  if (!heap) return varve__error(error, VARVE_ARGUMENT, "slots: the heap is null");
  if (!count) return varve__error(error, VARVE_ROOT, "\"%s\": no slots", name ? name : "");
  struct root_table *table = varve__root_table_new(heap, ROOT_SLOTS, name);
  if (!table) return varve__error(error, VARVE_METADATA, "slots: no memory for a table");
  table->base = slots;
  table->stride = 8;
  table->count = count;
  varve__lock_take(&heap->roots->lock);
  varve_status status = add_slots(heap->roots, table, error);
  varve__lock_release(&heap->roots->lock);
  if (status != VARVE_OK) varve__root_table_free(table);
  return status;
}

varve_status varve_root_slots_remove(varve_heap *heap, varve_word *slots) {
  struct varve_roots *roots = heap->roots;
  varve__lock_take(&roots->lock);
  struct root_table *table = varve__intervals_owner(&roots->words, slots);
  bool known = table && table->kind == ROOT_SLOTS;
  if (known) {
    varve__intervals_remove(&roots->words, slots);
    varve__root_unlist(roots, table, root_stretches(table->count));
  }
  varve__lock_release(&roots->lock);
  if (known) varve__root_table_free(table);
  return known ? VARVE_OK : VARVE_ROOT;
}

/* ---- callbacks --------------------------------------------------------------------------------------------- */

static struct root_table *find_callback(struct varve_roots *roots, varve_root_fn *fn, const void *context) {
  struct root_table *table = roots->tables;
  while (table && !(table->kind == ROOT_CALLBACK && table->fn == fn && table->context == context)) table = table->next;
  return table;
}

static varve_status add_callback(struct varve_roots *roots, struct root_table *table, varve_error *error) {
  if (find_callback(roots, table->fn, table->context))
    return varve__error(error, VARVE_ROOT, "\"%s\": the function is registered with this context already", table->name);
  if (!varve__root_reserve_tasks(roots, table->parts))
    return varve__error(error, VARVE_METADATA, "\"%s\": %zu parts", table->name, table->parts);
  varve__root_list(roots, table);
  return VARVE_OK;
}

varve_status varve_root_callback_add(varve_heap *heap, const char *name, varve_root_fn *fn, void *context,
                                     size_t parts, varve_error *error) {
  if (!heap) return varve__error(error, VARVE_ARGUMENT, "callback: the heap is null");
  if (!fn || !parts) return varve__error(error, VARVE_ROOT, "\"%s\": no function, or no parts", name ? name : "");
  struct root_table *table = varve__root_table_new(heap, ROOT_CALLBACK, name);
  if (!table) return varve__error(error, VARVE_METADATA, "callback: no memory for a table");
  table->fn = fn;
  table->context = context;
  table->parts = parts;
  varve__lock_take(&heap->roots->lock);
  varve_status status = add_callback(heap->roots, table, error);
  varve__lock_release(&heap->roots->lock);
  if (status != VARVE_OK) varve__root_table_free(table);
  return status;
}

varve_status varve_root_callback_remove(varve_heap *heap, varve_root_fn *fn, void *context) {
  struct varve_roots *roots = heap->roots;
  varve__lock_take(&roots->lock);
  struct root_table *table = find_callback(roots, fn, context);
  if (table) varve__root_unlist(roots, table, table->parts);
  varve__lock_release(&roots->lock);
  if (!table) return VARVE_ROOT;
  varve__root_table_free(table);
  return VARVE_OK;
}
