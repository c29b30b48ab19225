/* SPDX-License-Identifier: MIT */
/* verify_weak.c -- the verifier's reading of weak slots, ephemerons and finalizers.
 *
 * Idea       Before a collection its outcome is foretold: a serial trace from roots and remembered objects, rounds
 *            over all ephemerons until nothing new is visited (the map STRONG), then from the dead objects of
 *            finalizers, and rounds again (KEPT). What is visited then must be what is marked. Another trace makes
 *            the digest: it sees slots as they shall be. The trace afterwards sees them as they are, and its digest
 *            must be the same; so a slot that was cleared too early, or not at all, changes it.
 * Modes      FORETELL: alive is what has been visited, and what the collection does not take. BEFORE: what is in the
 *            maps. AFTER, HEAP: what is there; AFTER, a full collection leaves no slot that refers to what was not
 *            visited.
 * Cost       a trace more. Rounds are quadratic for long chains of ephemerons: independent of the collector, and plain.
 * Called by  verify.c, in heaps that have weak layouts or finalizers.
 */
#include <string.h>

#include "core/scan.h"
#include "core/verifier.h"
#include "core/weak.h"

static const struct varve_layout_entry *layout_of(const struct varve_verifier *v, const varve_object *object) {
  return &v->heap->layouts.entries[varve_object_layout(object)];
}

static bool is_reference(const struct varve_verifier *v, varve_word word) {
  return heap_is_reference(v->heap, word, v->heap->slot_tags);
}

/* Is it in the map, or of no concern to this collection? */
static bool lives(const struct varve_verifier *v, enum map map, uint64_t address) {
  return map_test(v, map, address) || !space_in_range(space_of(v), space_block(space_of(v), address));
}

void varve__verify_copy(struct varve_verifier *v, enum map from, enum map to) {
  for (uint32_t r = 0; r < space_of(v)->region_high; ++r)
    if (v->present[r]) memcpy(map_of(v, to, r), map_of(v, from, r), MAP_WORDS * sizeof(uint64_t));
}

static void clear_visited(struct varve_verifier *v) {
  for (uint32_t r = 0; r < space_of(v)->region_high; ++r)
    if (v->present[r]) memset(map_of(v, VISITED, r), 0, MAP_WORDS * sizeof(uint64_t));
}

/* ---- ephemerons ---- */

static bool key_lives(const struct varve_verifier *v, varve_word key) {
  if (!is_reference(v, key)) return true;
  if (v->mode == TRACE_FORETELL) return lives(v, VISITED, key & ~(varve_word)7);
  return v->mode != TRACE_BEFORE || lives(v, KEPT, key & ~(varve_word)7);
}

static void fire_entries(struct varve_verifier *v, varve_object *object) {
  const struct varve_layout_entry *layout = layout_of(v, object);
  const varve_word *entry = (const varve_word *)object + layout->first;
  size_t count = layout->kind == VARVE_LAYOUT_EPHEMERONS ? scan_entries(layout, varve_object_bytes(object) / 8) : 0;
  for (; count && !v->failed; --count, entry += SCAN_ENTRY_WORDS) {
    if (!is_reference(v, entry[1]) || !key_lives(v, entry[0])) continue;
    v->object = object;
    varve__verify_reach(v, &entry[1], entry[1]);
    varve__verify_drain(v);
  }
  v->object = NULL;
}

static void rounds(struct varve_verifier *v) {
  uint64_t before;
  do {
    before = v->now.objects;
    for (size_t i = 0; i < v->holder_count && !v->failed; ++i) fire_entries(v, v->holders[i]);
  } while (v->now.objects != before && !v->failed);
}

/* ---- finalizers ---- */

static bool test_bit(const uint64_t *bits, uint32_t i) { return bits[i / 64] >> i % 64 & 1; }

static void reach_entry(struct varve_verifier *v, const struct varve_final_entry *entry) {
  v->queue = true;
  varve__verify_reach(v, &entry->object, entry->object);
  v->queue = false;
  varve__verify_drain(v);
}

/* Was, or will be, the entry's object found dead in this collection? */
static bool dies_now(const struct varve_verifier *v, const struct varve_final_chunk *chunk, uint32_t i) {
  if (v->mode == TRACE_FORETELL || v->mode == TRACE_BEFORE)
    return test_bit(chunk->attached, i) && !test_bit(chunk->cleaners, i) &&
           !lives(v, STRONG, chunk->entry[i].object & ~(varve_word)7);
  return (test_bit(chunk->found, i) || test_bit(chunk->queued, i)) && chunk->entry[i].object &&
         v->mode == TRACE_AFTER && chunk->entry[i].death == v->heap->current.number;
}

static bool was_queued(const struct varve_verifier *v, const struct varve_final_chunk *chunk, uint32_t i) {
  return (test_bit(chunk->found, i) || test_bit(chunk->queued, i)) && chunk->entry[i].object && !dies_now(v, chunk, i);
}

static void reach_finalizers(struct varve_verifier *v,
                             bool (*which)(const struct varve_verifier *, const struct varve_final_chunk *, uint32_t)) {
  const struct varve_final *final = &v->heap->final;
  for (uint32_t c = 0; c < final->count; ++c)
    for (uint32_t i = 0; i < VARVE__FINAL_ENTRIES && !v->failed; ++i)
      if (which(v, final->chunks[c], i)) reach_entry(v, &final->chunks[c]->entry[i]);
}

/* What is attached afterwards has an object that is alive. */
static void check_attached(struct varve_verifier *v) {
  const struct varve_final *final = &v->heap->final;
  v->queue = true;
  for (uint32_t c = 0; c < final->count; ++c)
    for (uint32_t i = 0; i < VARVE__FINAL_ENTRIES && !v->failed; ++i) {
      const varve_word *slot = &final->chunks[c]->entry[i].object;
      if (!test_bit(final->chunks[c]->attached, i)) continue;
      if (!varve__verify_sound(v, slot, *slot, *slot & ~(varve_word)7)) continue;
      if (v->mode == TRACE_AFTER && !space_of(v)->cut && !map_test(v, VISITED, *slot & ~(varve_word)7))
        varve__verify_damage(v, "finalizer %u: attached to %p, which is dead", c * VARVE__FINAL_ENTRIES + i,
                             (void *)(uintptr_t)*slot);
    }
  v->queue = false;
}

/* ---- the digest ---- */

/* Will the slot be cleared? `map`: what has to live for it to stay. */
static bool will_be_cleared(const struct varve_verifier *v, varve_word word, enum map map) {
  return v->mode == TRACE_BEFORE && !lives(v, map, word & ~(varve_word)7);
}

/* A weak slot, a key or a value. */
static void mix_slot(struct varve_verifier *v, const varve_word *slot, bool cleared, varve_word with) {
  ++v->now.slots;
  if (heap_has_pattern(v->heap) && *slot == VARVE__POISON)
    varve__verify_damage(v, "%s: a weak slot holds the poison pattern", varve__verify_place(v, v->object).text);
  else if (!is_reference(v, *slot)) varve__verify_mix_word(v, cleared ? with : *slot);
  else if (!varve__verify_sound(v, slot, *slot, *slot & ~(varve_word)7)) return;
  else if (cleared) varve__verify_mix_word(v, with);
  else if (v->mode == TRACE_AFTER && !space_of(v)->cut && !map_test(v, VISITED, *slot & ~(varve_word)7))
    varve__verify_damage(v, "%s +%td: a weak slot still refers to %p, which is dead",
                         varve__verify_place(v, v->object).text, (const char *)slot - (const char *)v->object,
                         (void *)(uintptr_t)*slot);
  else varve__verify_mix_edge(v, *slot);
}

static void mix_weak(struct varve_verifier *v, varve_object *object, const struct varve_layout_entry *layout) {
  const varve_word *slot = (const varve_word *)object + layout->first;
  bool early = v->mode == TRACE_BEFORE && !layout->after && lives(v, STRONG, (uintptr_t)object);
  for (size_t left = varve_object_bytes(object) / 8 - layout->first; left && !v->failed; --left, ++slot)
    mix_slot(v, slot, is_reference(v, *slot) && will_be_cleared(v, *slot, early ? STRONG : KEPT), layout->cleared);
}

static void mix_entries(struct varve_verifier *v, varve_object *object, const struct varve_layout_entry *layout) {
  const varve_word *entry = (const varve_word *)object + layout->first;
  size_t left = scan_entries(layout, varve_object_bytes(object) / 8);
  for (; left && !v->failed; --left, entry += SCAN_ENTRY_WORDS) {
    bool cleared = is_reference(v, entry[0]) && will_be_cleared(v, entry[0], KEPT);
    mix_slot(v, &entry[0], cleared, layout->cleared);
    mix_slot(v, &entry[1], cleared, layout->cleared);
  }
}

static void mix_holders(struct varve_verifier *v) {
  for (size_t i = 0; i < v->holder_count && !v->failed; ++i) {
    v->object = v->holders[i];
    const struct varve_layout_entry *layout = layout_of(v, v->object);
    if (layout->kind == VARVE_LAYOUT_WEAK) mix_weak(v, v->object, layout);
    else mix_entries(v, v->object, layout);
  }
  v->object = NULL;
}

/* ---- the whole ---- */

uint64_t varve__verify_foretell(struct varve_verifier *v) {
  enum trace_mode mode = v->mode;
  v->mode = TRACE_FORETELL;
  varve__verify_roots(v);
  reach_finalizers(v, was_queued);
  if (space_of(v)->cut) varve__verify_listed(v);
  rounds(v);
  varve__verify_copy(v, VISITED, STRONG);
  reach_finalizers(v, dies_now);
  rounds(v);
  varve__verify_copy(v, VISITED, KEPT);
  clear_visited(v);
  v->mode = mode;
  return v->now.objects;
}

void varve__verify_weak(struct varve_verifier *v) {
  reach_finalizers(v, was_queued);
  rounds(v);
  reach_finalizers(v, dies_now);
  rounds(v);
  mix_holders(v);
  if (!v->failed) check_attached(v);
}
