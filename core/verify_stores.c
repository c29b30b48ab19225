/* SPDX-License-Identifier: MIT */
/* verify_stores.c -- the store log: slots that were written past the store interface (check-stores=1).
 *
 * Called by  collect.c, world stopped, around a collection.
 */
#include <string.h>

#include "core/scan.h"
#include "core/verifier.h"

static void check_stored(struct varve_verifier *v, varve_word *slot, uint32_t tags) {
  varve_word word = *slot, logged;
  memcpy(&logged, v->heap->store_log + ((uintptr_t)slot - space_of(v)->base), sizeof logged);
  if (word != logged && heap_is_reference(v->heap, word, tags))
    varve__verify_damage(v, "%s: word %#llx was written past the store interface; last stored: %#llx",
                         varve__verify_slot_place(v, slot).text, ull(word), ull(logged));
}

SCAN_INLINE void check_stored_slots(void *context, varve_word *slots, size_t count) {
  struct varve_verifier *v = context;
  for (size_t i = 0; i < count; ++i) check_stored(v, &slots[i], v->heap->slot_tags);
}

static void check_stored_narrow(struct varve_verifier *v, varve_narrow *slot) {
  varve_narrow word = *slot, logged;
  memcpy(&logged, v->heap->store_log + ((uintptr_t)slot - space_of(v)->base), sizeof logged);
  if (word != logged && heap_is_narrow_reference(v->heap, word))
    varve__verify_damage(v, "%s: narrow word %#x was written past the store interface; last stored: %#x",
                         varve__verify_slot_place(v, slot).text, word, logged);
}

SCAN_INLINE void check_stored_narrow_slots(void *context, varve_narrow *slots, size_t count) {
  struct varve_verifier *v = context;
  for (size_t i = 0; i < count; ++i) check_stored_narrow(v, &slots[i]);
}

static void stored_narrow(struct varve_visitor *visitor, varve_narrow *base, size_t stride, size_t count,
                          const uint64_t *bitmap) {
  varve__verify_each_narrow(visitor->context, base, stride, count, bitmap, check_stored_narrow);
}

static void stored_range(struct varve_visitor *visitor, varve_word *base, size_t stride, size_t count,
                         const uint64_t *bitmap, bool ref) {
  varve__verify_each_slot(visitor->context, base, stride, count, bitmap, ref, check_stored);
}

static void check_object_stores(struct varve_verifier *v, varve_object *object, uint64_t words) {
  const struct varve_layout_table *table = &v->heap->layouts;
  struct varve_visitor visitor = {.range = stored_range, .narrow = stored_narrow, .heap = v->heap, .context = v};
  v->object = object;
  v->words = words;
  scan_object(table, &table->entries[varve_object_layout(object)], (varve_word *)object, words, check_stored_slots,
              check_stored_narrow_slots, v, &visitor);
  v->object = NULL;
}

varve_status varve__verify_stores(struct varve_verifier *v, varve_error *error) {
  varve__verify_begin(v, error);
  if (v->heap->store_log) varve__verify_each(v, VISITED, check_object_stores);
  return result(v);
}

static void copy_to_log(struct varve_verifier *v, varve_object *object, uint64_t words) {
  memcpy(v->heap->store_log + ((uintptr_t)object - space_of(v)->base), object, words * 8);
}

bool varve__verify_sync_stores(struct varve_verifier *v) {
  varve__verify_begin(v, NULL);
  if (!v->heap->store_log) return true;
  varve__verify_parse(v);
  varve__verify_each(v, STARTS, copy_to_log);
  return !v->failed;
}
