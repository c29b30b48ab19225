/* SPDX-License-Identifier: MIT */
/* refs.c -- Ref slabs and Ref arrays as a host sees them.
 *
 * Called by  create, destroy, add, update, remove: any thread, under the roots lock, so not in a pause.
 *            take and give: running mutators, without a lock unless the slab grows. A running mutator does not stop
 *            between a claim and the word's use, so a pause sees a word either in use or 0.
 */
#include "core/base/check.h"
#include "core/mutator.h"
#include "core/root_table.h"
#include "numa/affinity.h"

/* ---- slabs ------------------------------------------------------------------------------------------------- */

varve_refs *varve_slab_create(varve_heap *heap, const char *name) {
  struct root_table *table = varve__root_table_new(heap, ROOT_SLAB, name);
  if (!table) return NULL;
  varve__slab_open(&table->slab, heap->meta);
  varve__lock_take(&heap->roots->lock);
  varve__root_list(heap->roots, table);
  varve__lock_release(&heap->roots->lock);
  return (varve_refs *)table;
}

void varve_slab_destroy(varve_refs *refs) {
  if (!refs) return;
  struct root_table *table = &refs->table;
  struct varve_roots *roots = table->heap->roots;
  VARVE_REQUIRE(table->kind == ROOT_SLAB, "varve_slab_destroy: \"%s\" is no slab", table->name);
  varve__lock_take(&roots->lock);
  varve__root_forget_chunks(roots, table);
  varve__root_unlist(roots, table, atomic_load_explicit(&table->slab.chunk_count, memory_order_relaxed));
  varve__lock_release(&roots->lock);
  varve__slab_close(&table->slab);
  varve__root_table_free(table);
}

void varve_slab_cursor_open(varve_slab_cursor *cursor, varve_refs *slab) {
  VARVE_REQUIRE(slab->table.kind == ROOT_SLAB, "varve_slab_cursor_open: \"%s\" is no slab", slab->table.name);
  *cursor = (varve_slab_cursor){.slab = slab};
}

void varve_slab_cursor_close(varve_slab_cursor *cursor) {
  if (cursor->free) varve__slab_unclaim(cursor->words, cursor->free);
  cursor->free = 0;
  cursor->words = NULL;
}

/* Words near to the caller; when there is no memory for more, any. */
static bool refill(varve_slab_cursor *cursor, varve_mutator *mutator) {
  struct root_table *table = &cursor->slab->table;
  unsigned node = varve__affinity_node_here(mutator->heap->topology);
  while (!(cursor->free = varve__slab_claim(&table->slab, node, cursor->words, &cursor->words)))
    if (!varve__root_grow_slab(table, node)) break;
  if (!cursor->free) cursor->free = varve__slab_claim(&table->slab, VARVE__SLAB_ANY_NODE, NULL, &cursor->words);
  return cursor->free;
}

varve_word *varve_slab_take(varve_slab_cursor *cursor, varve_mutator *mutator, varve_word word) {
  if (VARVE_UNLIKELY(!cursor->free) && !refill(cursor, mutator)) return NULL;
  varve_word *slot = cursor->words + bits_lowest(cursor->free);
  cursor->free &= cursor->free - 1;
  varve__slab_use(slot, word);
  root_table_note(&cursor->slab->table, slot);
  return slot;
}

void varve_slab_give(varve_refs *slab, varve_word *slot) {
  VARVE_REQUIRE(slab_chunk_of(slot)->slab == &slab->table.slab, "varve_slab_give: word %p is not of slab \"%s\"",
                (void *)slot, slab->table.name);
  bool given = varve__slab_give(slot);
  VARVE_REQUIRE(given, "varve_slab_give: word %p of slab \"%s\" is not in use; given back twice?", (void *)slot,
                slab->table.name);
  (void)slab, (void)given;
}

size_t varve_slab_count(const varve_refs *slab) { return varve__slab_count_used(&slab->table.slab); }

/* ---- arrays ------------------------------------------------------------------------------------------------ */

/* Give the table's words their interval and tasks. An array without words has neither. */
static varve_status place_words(struct varve_roots *roots, struct root_table *table, varve_error *error) {
  if (!table->count) return VARVE_OK;
  varve_status status = varve__root_check_words(roots, table, error);
  if (status != VARVE_OK) return status;
  if (!varve__intervals_reserve(roots->heap, &roots->words) ||
      !varve__root_reserve_tasks(roots, root_stretches(table->count)))
    return varve__error(error, VARVE_METADATA, "\"%s\": %zu words", table->name, table->count);
  varve__intervals_add(&roots->words, table->base, table->stride, table->count, root_table_width(table), table);
  varve__root_locate(table);
  return VARVE_OK;
}

static void unplace_words(struct varve_roots *roots, const struct root_table *table) {
  if (!table->count) return;
  varve__intervals_remove(&roots->words, table->base);
  roots->needed -= root_stretches(table->count);
}

/* And their notes. */
static varve_status own_words(struct varve_roots *roots, struct root_table *table, varve_error *error) {
  varve_status status = place_words(roots, table, error);
  if (status != VARVE_OK || varve__notes_open(table)) return status;
  unplace_words(roots, table);
  return varve__error(error, VARVE_METADATA, "\"%s\": notes for %zu words", table->name, table->count);
}

static varve_status check_narrow(const varve_heap *heap, const varve_ref_array *array, varve_error *error) {
  const char *name = array->name ? array->name : "";
  if (!array->narrow) return VARVE_OK;
  if (array->base) return varve__error(error, VARVE_ROOT, "\"%s\": base and narrow are both given", name);
  if (heap->narrow.on) return VARVE_OK;
  return varve__error(error, VARVE_ROOT, "\"%s\": narrow words, and the heap was created without narrow=1", name);
}

varve_status varve_ref_array_add(varve_heap *heap, const varve_ref_array *array, varve_refs **out,
                                 varve_error *error) {
  if (!heap || !array || !out) return varve__error(error, VARVE_ARGUMENT, "Ref array: a null argument");
  varve_status allowed = check_narrow(heap, array, error);
  if (allowed != VARVE_OK) return allowed;
  struct root_table *table = varve__root_table_new(heap, ROOT_ARRAY, array->name);
  if (!table) return varve__error(error, VARVE_METADATA, "Ref array: no memory for a table");
  table->base = array->narrow ? varve_narrow_place(array->narrow) : array->base;
  table->narrow = array->narrow;
  table->stride = array->stride;
  table->count = array->count;
  table->bitmap = array->bitmap;
  table->untracked = array->untracked;
  table->slot_tags = array->slot_tags;
  varve__lock_take(&heap->roots->lock);
  varve_status status = own_words(heap->roots, table, error);
  if (status == VARVE_OK) varve__root_list(heap->roots, table);
  varve__lock_release(&heap->roots->lock);
  if (status == VARVE_OK) *out = (varve_refs *)table;
  else varve__root_table_free(table);
  return status;
}

/* The new words are checked with the old ones out of the way. On failure the old ones come back; there is room for
 * them, since they were there. Nothing that inline stores read has changed then. */
static varve_status update(struct varve_roots *roots, struct root_table *table, const struct root_table *wanted,
                           varve_error *error) {
  struct root_table old = *table;
  unplace_words(roots, table);
  table->base = wanted->base;
  table->count = wanted->count;
  table->bitmap = wanted->bitmap;
  varve_status status = own_words(roots, table, error);
  if (status == VARVE_OK) return status;
  table->base = old.base;
  table->count = old.count;
  table->bitmap = old.bitmap;
  varve_status restored = place_words(roots, table, NULL);
  VARVE_ALWAYS(restored == VARVE_OK, "Ref array \"%s\" lost its place", table->name);
  return status;
}

static varve_status update_words(varve_refs *refs, bool narrow, const struct root_table *wanted, varve_error *error) {
  if (!refs || refs->table.kind != ROOT_ARRAY) return varve__error(error, VARVE_ARGUMENT, "not a Ref array");
  if (refs->table.narrow != narrow)
    return varve__error(error, VARVE_ARGUMENT, "\"%s\" is an array of words of the other width", refs->table.name);
  struct varve_roots *roots = refs->table.heap->roots;
  varve__lock_take(&roots->lock);
  varve_status status = update(roots, &refs->table, wanted, error);
  varve__lock_release(&roots->lock);
  return status;
}

varve_status varve_ref_array_update(varve_refs *refs, varve_word *base, size_t count, const uint64_t *bitmap,
                                    varve_error *error) {
  return update_words(refs, false, &(struct root_table){.base = base, .count = count, .bitmap = bitmap}, error);
}

varve_status varve_ref_array_update_narrow(varve_refs *refs, varve_narrow *base, size_t count, const uint64_t *bitmap,
                                           varve_error *error) {
  struct root_table wanted = {.base = varve_narrow_place(base), .count = count, .bitmap = bitmap};
  return update_words(refs, true, &wanted, error);
}

void varve_ref_array_remove(varve_refs *refs) {
  if (!refs) return;
  struct varve_roots *roots = refs->table.heap->roots;
  VARVE_REQUIRE(refs->table.kind == ROOT_ARRAY, "varve_ref_array_remove: \"%s\" is no array", refs->table.name);
  varve__lock_take(&roots->lock);
  unplace_words(roots, &refs->table);
  varve__root_unlist(roots, &refs->table, 0);
  varve__lock_release(&roots->lock);
  varve__notes_close(&refs->table);
  varve__root_table_free(&refs->table);
}
