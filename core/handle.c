/* SPDX-License-Identifier: MIT */
/* handle.c -- persistent handles: words of a slab of the heap's own, with the tag set of ordinary roots.
 *
 * Idea       A handle is the address of its word. Its place in the occupancy bitmap says whether it is alive, so
 *            freeing twice and using a freed handle can be told, as long as the word was not handed out again.
 * Called by  running mutators, any of the heap; lock-free, and without a system call unless the slab grows.
 */
#include "core/base/check.h"
#include "core/mutator.h"
#include "core/root_table.h"

struct varve_handle {
  varve_word word;
};

varve_handle *varve_handle_new(varve_mutator *mutator, varve_word word) {
  struct root_table *table = &mutator->heap->roots->handles;
  varve_word *slot;
  while (!(slot = varve__slab_claim_one(&table->slab)))
    if (!varve__root_grow_slab(table, mutator_of(mutator)->node)) return NULL;
  varve__slab_use(slot, word);
  root_table_note(table, slot);
  return (varve_handle *)slot;
}

/* Relaxed, here and below: a handle is published to another thread by whatever hands it over. */
varve_word varve_handle_get(const varve_handle *handle) {
  VARVE_REQUIRE(slab_is_used(&handle->word), "varve_handle_get: handle %p has been freed", (const void *)handle);
  return __atomic_load_n(&handle->word, __ATOMIC_RELAXED);
}

void varve_handle_set(varve_mutator *mutator, varve_handle *handle, varve_word word) {
  VARVE_REQUIRE(slab_is_used(&handle->word), "varve_handle_set: handle %p has been freed", (void *)handle);
  __atomic_store_n(&handle->word, word, __ATOMIC_RELAXED);
  root_table_note(&mutator->heap->roots->handles, &handle->word);
}

void varve_handle_free(varve_mutator *mutator, varve_handle *handle) {
  if (!handle) return;
  VARVE_REQUIRE(slab_chunk_of(&handle->word)->slab == &mutator->heap->roots->handles.slab,
                "varve_handle_free: handle %p is not of this heap", (void *)handle);
  bool given = varve__slab_give(&handle->word);
  VARVE_REQUIRE(given, "varve_handle_free: handle %p is freed twice", (void *)handle);
  (void)mutator, (void)given;
}
