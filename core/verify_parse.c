/* SPDX-License-Identifier: MIT */
/* verify_parse.c -- the verifier walks every object that the tables say can be walked, checks its header, and sets its
 * bit in the map of object starts. Only headers are read: a dead object's payload may hold anything.
 *
 * Called by  verify.c, world stopped.
 */
#include <string.h>

#include "core/base/bits.h"
#include "core/verifier.h"
#include "numa/place.h"

#define SMALL_WORDS (VARVE_SMALL_MAX / 8)

/* ---- maps -------------------------------------------------------------------------------------------------- */

static bool all_set(const uint64_t *bits, size_t from, size_t count) {
  for (size_t i = from; i < from + count; ++i)
    if (!(bits[i / 64] >> i % 64 & 1)) return false;
  return true;
}

/* Give the region empty maps. */
static bool open_maps(struct varve_verifier *v, uint32_t region) {
  size_t bytes = MAPS * MAP_WORDS * sizeof(uint64_t);
  uint64_t *maps = map_of(v, STARTS, region);
  if (v->committed[region]) memset(maps, 0, 2 * MAP_WORDS * sizeof(uint64_t)); /* the others are written as a whole */
  else v->committed[region] = varve__place_commit(v->heap->topology, maps, bytes, heap_home(v->heap), 0);
  if (!v->committed[region]) varve__verify_starve(v, "the verifier has no memory for its maps of region %u", region);
  v->present[region] = v->committed[region];
  return v->present[region];
}

void varve__verify_each_in(struct varve_verifier *v, enum map map, uint32_t region, size_t from, size_t to,
                           object_fn *visit) {
  uint64_t base = space_region_address(space_of(v), region);
  const uint64_t *bits = map_of(v, map, region);
  for (size_t at = next_bit(bits, from, to); at < to && !v->failed; at = next_bit(bits, at + 1, to)) {
    varve_object *object = (varve_object *)(base + at * 8);
    visit(v, object, varve_object_bytes(object) / 8);
  }
}

void varve__verify_each(struct varve_verifier *v, enum map map, object_fn *visit) {
  for (uint32_t r = 0; r < space_of(v)->region_high && !v->failed; ++r)
    if (v->present[r]) varve__verify_each_in(v, map, r, 0, VARVE__REGION_WORDS, visit);
}

/* ---- parse ------------------------------------------------------------------------------------------------- */

/* Check the header at `address`, which has `room` words, and note the object. @return its words; 0: damage. */
static uint64_t take_object(struct varve_verifier *v, uint64_t address, uint64_t room, uint64_t least,
                            uint64_t most) {
  const varve_object *object = (const varve_object *)address;
  uint64_t words = varve_object_bytes(object) / 8;
  varve_layout layout = varve_object_layout(object);
  const char *wrong = NULL;
  if (!words || words > room) wrong = "its size runs out of its place";
  else if (words < least || words > most) wrong = "an object of its size does not belong into this kind of region";
  else if (!varve__layout_fits(&v->heap->layouts, layout, words)) wrong = "no such layout, or none of its size";
  else if (address % v->heap->options.granule || words * 8 % v->heap->options.granule) wrong = "not of the granule";
  if (wrong) {
    varve__verify_damage(v, "object %p: header %#llx (layout %u \"%.40s\", %llu words of %llu): %s",
                         (const void *)object, ull(object->header), layout, varve_layout_name(v->heap, layout),
                         ull(words), ull(room), wrong);
    return 0;
  }
  map_set(v, STARTS, address);
  return words;
}

/* Words [from, to) are objects from end to end. */
static void parse_linear(struct varve_verifier *v, uint64_t base, size_t from, size_t to, uint64_t most) {
  while (from < to) {
    uint64_t words = take_object(v, base + from * 8, to - from, 1, most);
    if (!words) return;
    from += words;
  }
}

/* The set bits of words [0, end) are objects from end to end. */
static void parse_bits(struct varve_verifier *v, uint64_t base, const uint64_t *bitmap, size_t end, uint64_t most) {
  for (size_t at = next_bit(bitmap, 0, end); at < end; at = next_bit(bitmap, at, end)) {
    uint64_t words = take_object(v, base + at * 8, end - at, 1, most);
    if (!words) return;
    if (!all_set(bitmap, at, words)) {
      varve__verify_damage(v, "%s: only part of its words are marked",
                           varve__verify_place(v, (varve_object *)(base + at * 8)).text);
      return;
    }
    at += words;
  }
}

static void parse_block(struct varve_verifier *v, uint32_t block) {
  const struct varve_space *space = space_of(v);
  const struct varve_block *b = &space->blocks[block];
  uint64_t base = space_block_address(space, block);
  if (b->top > VARVE__BLOCK_WORDS) varve__verify_damage(v, "block %u: top %u is outside", block, b->top);
  else if (b->kind == BLOCK_SMALL && space_is_fresh(space, block)) parse_linear(v, base, 0, b->top, SMALL_WORDS);
  else if (b->kind == BLOCK_SMALL) parse_bits(v, base, space_block_bitmap(space, block), b->top, SMALL_WORDS);
}

/* Below fresh_from the bitmap speaks; above, the objects lie end to end. */
static void parse_medium(struct varve_verifier *v, uint32_t region) {
  const struct varve_space *space = space_of(v);
  const struct varve_region *r = &space->regions[region];
  uint32_t top = atomic_load_explicit(&r->top, memory_order_relaxed);
  uint64_t base = space_region_address(space, region);
  if (top > VARVE__REGION_WORDS || r->fresh_from > top) {
    varve__verify_damage(v, "MEDIUM region %u: fresh from %u, top %u", region, r->fresh_from, top);
    return;
  }
  parse_bits(v, base, space_block_bitmap(space, region * VARVE__REGION_BLOCKS), r->fresh_from, MEDIUM_WORDS);
  parse_linear(v, base, r->fresh_from, top, MEDIUM_WORDS);
}

static void parse_large(struct varve_verifier *v, uint32_t block) {
  const struct varve_block *b = &space_of(v)->blocks[block];
  if (b->kind != BLOCK_LARGE_HEAD) return;
  uint64_t room = (uint64_t)b->age * VARVE__BLOCK_WORDS;
  take_object(v, space_block_address(space_of(v), block), room, MEDIUM_WORDS + 1, UINT32_MAX);
}

static void parse_region(struct varve_verifier *v, uint32_t region) {
  uint8_t kind = kind_of(v, region);
  if (kind == REGION_MEDIUM) parse_medium(v, region);
  if (!region_has_blocks(kind)) return;
  for (uint32_t b = region * VARVE__REGION_BLOCKS; b < (region + 1) * VARVE__REGION_BLOCKS && !v->failed; ++b)
    (space_of(v)->blocks[b].kind == BLOCK_SMALL ? parse_block : parse_large)(v, b);
}

void varve__verify_parse(struct varve_verifier *v) {
  for (uint32_t r = 0; r < space_of(v)->region_high && !v->failed; ++r) {
    v->present[r] = 0;
    if (kind_of(v, r) >= REGION_SMALL && open_maps(v, r)) parse_region(v, r);
  }
}
