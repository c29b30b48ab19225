/* SPDX-License-Identifier: MIT */
/* verify_pin.c -- the verifier's reading of pins, searched stacks and derived pointers.
 *
 * Stacks   The words are looked up in the verifier's own map of object starts; what they lie in must have been
 *          reached, which it is only if the search found it, or somebody else refers to it. Only of parked mutators:
 *          the stacks of native ones may have changed since the search. Between collections and before they begin
 *          only: afterwards a word that led to nothing may lead to where something was moved.
 * Pins     No block that a pin refers to moves (V1).
 * Derived  Every pair is at its distance.
 *
 * Called by  verify.c and verify_plan.c, world stopped.
 */
#include "core/conservative.h"
#include "core/derived.h"
#include "core/mutator.h"
#include "core/pin.h"
#include "core/verifier.h"

/* The last object that starts at or before the address and reaches beyond it; NULL: none. */
static varve_object *object_around(const struct varve_verifier *v, uint64_t address) {
  const struct varve_space *space = space_of(v);
  uint32_t region = space_region(space, address), block = space_block(space, address);
  if (space->blocks[block].kind == BLOCK_LARGE_BODY) {
    block -= space->blocks[block].age;
    region = block / VARVE__REGION_BLOCKS;
    address = space_block_address(space, block); /* a run holds one object, which may not fill it */
  }
  if (!v->present[region]) return NULL;
  const uint64_t *starts = map_of(v, STARTS, region);
  for (size_t at = space_word(space, address) % VARVE__REGION_WORDS + 1; at-- > 0;)
    if (starts[at / 64] >> at % 64 & 1) return (varve_object *)(space_region_address(space, region) + at * 8);
  return NULL;
}

struct stack_check {
  struct varve_verifier *v;
  const struct varve__mutator *mutator;
};

static void check_stack_word(void *context, varve_word word) {
  const struct stack_check *check = context;
  struct varve_verifier *v = check->v;
  const struct varve_space *space = space_of(v);
  if (v->failed || !space_contains(space, word)) return;
  const varve_object *object = object_around(v, word);
  if (!object || word - (uintptr_t)object >= varve_object_bytes(object)) return;
  if (map_test(v, VISITED, (uintptr_t)object)) return;
  varve__verify_damage(v, "mutator %s: its stack holds %#llx, which lies in %s, and that was not found",
                       check->mutator->name, ull(word), varve__verify_place(v, object).text);
}

void varve__verify_stacks(struct varve_verifier *v) {
  for (const struct varve__mutator *m = v->heap->mutators; m && !v->failed; m = m->next) {
    struct stack_check check = {v, m};
    if (m->stack.high && atomic_load(&m->state) == MUTATOR_PARKED) varve__stack_each(m, check_stack_word, &check);
  }
}

static void check_pin(void *context, varve_word word) {
  struct varve_verifier *v = context;
  const struct varve_space *space = space_of(v);
  if (space_moves(space, space_block(space, word)))
    varve__verify_damage(v, "V1: %s is pinned, and its block moves",
                         varve__verify_place(v, (varve_object *)(uintptr_t)(word & ~(varve_word)7)).text);
}

void varve__verify_pins(struct varve_verifier *v) { varve__pins_each(v->heap, check_pin, v); }

void varve__verify_derived(struct varve_verifier *v) {
  const varve_derived *pair = varve__derived_wrong(v->heap);
  if (pair)
    varve__verify_damage(v, "the address at %p is not at its distance of %lld from what the slot %p refers to",
                         pair->derived, (long long)pair->distance, (const void *)pair->base);
}
