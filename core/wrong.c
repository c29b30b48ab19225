/* SPDX-License-Identifier: MIT */
/* wrong.c -- what is wrong with a word that a host takes for a reference (varve_check).
 *
 * Idea       Ask in the order in which a word goes wrong: its bits, the range, the kind of memory, then the object that
 *            resolve.h finds there. Memory is read only where it is committed.
 * Called by  running mutators.
 */
#include "core/heap.h"
#include "core/mutator.h"
#include "core/resolve.h"
#include "varve/alloc.h"

static unsigned long long ull(uint64_t value) { return value; }

static varve_status say(varve_error *error, varve_word word, const char *what) {
  return varve__error(error, VARVE_CORRUPT, "word %#llx is %s", ull(word), what);
}

/* Of the bits alone. NULL: nothing is wrong with them. */
static const char *wrong_bits(const struct varve_heap *heap, varve_word word) {
  bool inside = space_contains(&heap->space, word);
  if (word == 0) return "null";
  if (word == VARVE__POISON) return "poison: what freed memory holds";
  if (!(heap->slot_tags >> (word & 7) & 1))
    return inside ? "an immediate, by its tag, though it leads into the heap" : "an immediate, by its tag";
  if (!inside) return "outside the heap";
  return (((word & ~(varve_word)7) - heap->space.base) % heap->options.granule) ? "misaligned" : NULL;
}

/* Other regions may lose their memory while we look. */
static bool region_holds(uint8_t kind) { return kind == REGION_SMALL || kind == REGION_MEDIUM || kind == REGION_LARGE; }

/* No object is there. */
static const char *wrong_place(const struct varve_heap *heap, uint64_t address) {
  const struct varve_space *space = &heap->space;
  uint32_t block = space_block(space, address);
  uint8_t kind = atomic_load_explicit(&space->regions[space_region(space, address)].kind, memory_order_acquire);
  if (!region_holds(kind)) return "in free memory: its region holds nothing";
  if (*(const uint64_t *)address == VARVE__POISON) return "dead: its memory has been freed, and holds poison";
  if (kind != REGION_MEDIUM && space->blocks[block].kind == BLOCK_FREE)
    return "in free memory: its block holds nothing";
  if (kind == REGION_SMALL && !space_is_fresh(space, block))
    return "dead: the last collection found no object there alive";
  return "in free memory, or dead";
}

static varve_status say_inside(const struct varve_heap *heap, varve_word word, uint64_t address, uint64_t object,
                               varve_error *error) {
  const varve_object *at = (const varve_object *)object;
  varve_layout layout = varve_object_layout(at);
  return varve__error(error, VARVE_CORRUPT,
                      "word %#llx is inside of an object, %llu bytes from its start: %#llx, layout %u \"%.48s\", "
                      "%zu bytes",
                      ull(word), ull(address - object), ull(object), layout, varve_layout_name(heap, layout),
                      varve_object_bytes(at));
}

static varve_status check_object(const struct varve_heap *heap, varve_word word, uint64_t object, varve_error *error) {
  const varve_object *at = (const varve_object *)object;
  varve_layout layout = varve_object_layout(at);
  if (varve__layout_fits(&heap->layouts, layout, varve_object_bytes(at) / 8)) return VARVE_OK;
  return varve__error(error, VARVE_CORRUPT, "word %#llx leads to a damaged object: layout %u, %zu bytes", ull(word),
                      layout, varve_object_bytes(at));
}

varve_status varve_check(varve_mutator *head, varve_word word, varve_error *error) {
  struct varve__mutator *mutator = mutator_of(head);
  const struct varve_heap *heap = head->heap;
  if (!varve__mutator_is_here(mutator) || atomic_load(&mutator->state) != MUTATOR_RUNNING)
    return varve__error(error, VARVE_THREAD, "check: mutator %s is native, or of another thread", mutator->name);
  const char *wrong = wrong_bits(heap, word);
  if (wrong) return say(error, word, wrong);
  struct resolver resolver = {.space = &heap->space, .mutator = mutator};
  uint64_t address = word & ~(varve_word)7, object = varve__resolve(&resolver, address);
  if (!object) return say(error, word, wrong_place(heap, address));
  if (object != address) return say_inside(heap, word, address, object, error);
  return check_object(heap, word, object, error);
}
