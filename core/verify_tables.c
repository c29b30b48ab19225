/* SPDX-License-Identifier: MIT */
/* verify_tables.c -- what the collector says of the heap against what the verifier has parsed and traced: lists of
 * remembered objects, mark bits, descriptors of blocks and regions, counters.
 *
 * Called by  verify.c, world stopped.
 */
#include <string.h>

#include "core/base/bits.h"
#include "core/remember.h"
#include "core/verifier.h"

/* ---- remembered objects ------------------------------------------------------------------------------------ */

static bool is_flagged(const varve_object *object) { return *(const uint8_t *)object & VARVE__FLAGS_REMEMBERED; }

/* A3, and half of N1: how many older objects say that they are listed. What has no slots is never listed, and its flag
 * may stay as it was. */
static void count_flagged(struct varve_verifier *v, varve_object *object, uint64_t words) {
  if (words == 1) return;
  bool fresh = space_is_fresh(space_of(v), space_block(space_of(v), (uintptr_t)object));
  if (fresh && (*(const uint8_t *)object & VARVE__FLAGS_REMEMBERED) != VARVE_ABI_FLAG_NO_LOG)
    varve__verify_damage(v, "A3: %s is new, and its flags are %#x", varve__verify_place(v, object).text,
                         *(const uint8_t *)object);
  v->flagged += !fresh && is_flagged(object);
}

static bool is_listable(const struct varve_verifier *v, const varve_object *object) {
  return map_test(v, STARTS, (uintptr_t)object) && is_flagged(object) &&
         !space_is_fresh(space_of(v), space_block(space_of(v), (uintptr_t)object));
}

/* Every listed object is an older one that says so; and there are as many of the ones as of the others. */
void varve__verify_lists(struct varve_verifier *v) {
  const struct varve_remembered *remembered = &v->heap->remembered;
  if (!v->heap->ages.on || v->lost) return;
  v->flagged = 0;
  varve__verify_each(v, STARTS, count_flagged);
  for (uint32_t i = 0; i < remembered->count; ++i)
    for (uint32_t k = 0; k < remembered->lists[i]->count && !v->failed; ++k)
      if (!is_listable(v, remembered->lists[i]->entries[k]))
        varve__verify_damage(v, "N1: %p is listed, and no older object that says so",
                             (void *)remembered->lists[i]->entries[k]);
  if (!v->failed && v->flagged != varve__remembered_count(v->heap))
    varve__verify_damage(v, "N1: %llu objects are listed, %llu say so", ull(varve__remembered_count(v->heap)),
                         ull(v->flagged));
}

/* ---- marks ------------------------------------------------------------------------------------------------- */

static void set_range(uint64_t *bits, size_t from, size_t count) {
  for (size_t i = from; i < from + count; ++i) bits[i / 64] |= (uint64_t)1 << i % 64;
}

static void expect_marks(struct varve_verifier *v, varve_object *object, uint64_t words) {
  size_t at = space_word(space_of(v), (uintptr_t)object) % VARVE__REGION_WORDS;
  set_range(v->expected, at, words > MEDIUM_WORDS ? 1 : words);
  ++v->now.objects;
  v->now.words += words;
}

/* The visited object in which the word lies, or that is the last before it; NULL: none. */
static varve_object *object_before(const struct varve_verifier *v, uint32_t region, size_t word) {
  const uint64_t *visited = map_of(v, VISITED, region);
  for (size_t at = word + 1; at-- > 0;)
    if (visited[at / 64] >> at % 64 & 1) return (varve_object *)(space_region_address(space_of(v), region) + at * 8);
  return NULL;
}

static void report_mark(struct varve_verifier *v, uint32_t region, size_t line, uint64_t wrong) {
  size_t word = line * 64 + bits_lowest(wrong);
  bool expected = v->expected[line] & (wrong & -wrong);
  uint64_t address = space_region_address(space_of(v), region) + word * 8;
  varve_object *object = object_before(v, region, word);
  varve__verify_damage(v, "word %#llx is %s; reachable object before it: %s", ull(address),
         expected ? "part of a reachable object and not marked" : "marked and not part of a reachable object",
         object ? varve__verify_place(v, object).text : "none in the region");
}

/* What is wrong with the bits of a line. Older blocks hold objects that have died since; of a large object only the
 * first bit is a mark. */
static uint64_t wrong_bits(const struct varve_verifier *v, uint32_t block, size_t line, uint64_t bits) {
  uint64_t expected = v->expected[line], wrong = bits ^ expected;
  uint8_t kind = space_of(v)->blocks[block].kind;
  if (!v->exact || !space_in_range(space_of(v), block)) wrong &= expected;
  if (kind == BLOCK_LARGE_BODY || (kind == BLOCK_LARGE_HEAD && line % VARVE__BLOCK_LINES)) return 0;
  return kind == BLOCK_LARGE_HEAD ? wrong & 1 : wrong;
}

/* The region's bitmap is set for exactly the words of the visited objects. */
static void check_region_marks(struct varve_verifier *v, uint32_t region) {
  uint32_t first = region * VARVE__REGION_BLOCKS;
  const uint64_t *bitmap = space_block_bitmap(space_of(v), first);
  memset(v->expected, 0, sizeof v->expected);
  varve__verify_each_in(v, VISITED, region, 0, VARVE__REGION_WORDS, expect_marks);
  for (size_t line = 0; line < MAP_WORDS && !v->failed; ++line) {
    uint64_t wrong = wrong_bits(v, first + (uint32_t)(line / VARVE__BLOCK_LINES), line, bitmap[line]);
    if (wrong) report_mark(v, region, line, wrong);
  }
}

void varve__verify_all_marks(struct varve_verifier *v) {
  for (uint32_t r = 0; r < space_of(v)->region_high && !v->failed; ++r)
    if (v->present[r]) check_region_marks(v, r);
}

/* ---- tables ------------------------------------------------------------------------------------------------ */

struct tally {
  uint64_t used_blocks, committed, free_regions;
};

/* No bit is set in words [from, to) of the piece that starts at the block. */
static void check_unmarked(struct varve_verifier *v, uint32_t block, size_t from, size_t to, const char *what) {
  size_t at = next_bit(space_block_bitmap(space_of(v), block), from, to);
  if (at < to) varve__verify_damage(v, "block %u: word %zu of %s is marked", block, at, what);
}

static void check_small_block(struct varve_verifier *v, uint32_t block, bool free, struct tally *tally) {
  const struct varve_block *b = &space_of(v)->blocks[block];
  if (free != (b->kind == BLOCK_FREE) || (!free && b->kind != BLOCK_SMALL)) {
    varve__verify_damage(v, "block %u of a SMALL region: kind %u, but it is %s in free_blocks", block, b->kind,
           free ? "free" : "taken");
    return;
  }
  tally->used_blocks += !free;
  if (free) check_unmarked(v, block, 0, VARVE__BLOCK_WORDS, "a free block");
  else if (space_is_fresh(space_of(v), block)) check_unmarked(v, block, 0, VARVE__BLOCK_WORDS, "a new block");
  else check_unmarked(v, block, b->top, VARVE__BLOCK_WORDS, "the space above top");
}

static void check_medium(struct varve_verifier *v, uint32_t region, struct tally *tally) {
  const struct varve_space *space = space_of(v);
  uint32_t first = region * VARVE__REGION_BLOCKS;
  tally->used_blocks += VARVE__REGION_BLOCKS;
  for (uint32_t b = first; b < first + VARVE__REGION_BLOCKS; ++b)
    if (space->blocks[b].kind != BLOCK_MEDIUM)
      varve__verify_damage(v, "block %u of a MEDIUM region: kind %u", b, space->blocks[b].kind);
  check_unmarked(v, first, space->regions[region].fresh_from, VARVE__REGION_WORDS, "new medium objects");
}

/* Does the block belong to a run, by what it and the run's head say? */
static bool is_body(const struct varve_space *space, uint32_t block) {
  uint32_t back = space->blocks[block].age;
  return space->blocks[block].kind == BLOCK_LARGE_BODY && back && back <= block &&
         space->blocks[block - back].kind == BLOCK_LARGE_HEAD && back < space->blocks[block - back].age;
}

/* Of a large run only the head's first bit is a mark; the others may be notes. */
static void check_noted(struct varve_verifier *v, uint32_t block, bool head) {
  const uint64_t notes = UINT64_C(0x0101010101010101) * VARVE__LINE_NOTED;
  const uint64_t *bitmap = space_block_bitmap(space_of(v), block);
  for (unsigned line = 0; line < VARVE__BLOCK_LINES; ++line)
    if (bitmap[line] & ~(notes | (head && !line)))
      varve__verify_damage(v, "block %u of a large run: bits %#llx in line %u", block, ull(bitmap[line]), line);
}

static void check_large_block(struct varve_verifier *v, uint32_t block, bool free, struct tally *tally) {
  const struct varve_space *space = space_of(v);
  uint8_t kind = space->blocks[block].kind;
  bool sound = free ? kind == BLOCK_FREE : kind == BLOCK_LARGE_HEAD || is_body(space, block);
  if (!sound)
    varve__verify_damage(v, "block %u of a LARGE region: kind %u, but it is %s in free_blocks, or its run is broken",
                         block, kind, free ? "free" : "taken");
  tally->used_blocks += !free;
  if (free) check_unmarked(v, block, 0, VARVE__BLOCK_WORDS, "a free block");
  else check_noted(v, block, kind == BLOCK_LARGE_HEAD);
}

static void check_region(struct varve_verifier *v, uint32_t region, struct tally *tally) {
  uint8_t kind = kind_of(v, region);
  uint32_t first = region * VARVE__REGION_BLOCKS;
  uint64_t free = atomic_load_explicit(&space_of(v)->regions[region].free_blocks, memory_order_relaxed);
  tally->committed += kind != REGION_UNCOMMITTED;
  tally->free_regions += kind == REGION_FREE;
  if (kind == REGION_FREE) check_unmarked(v, first, 0, VARVE__REGION_WORDS, "a free region");
  if (kind == REGION_MEDIUM) check_medium(v, region, tally);
  for (uint32_t b = 0; b < VARVE__REGION_BLOCKS && !v->failed; ++b) {
    if (kind == REGION_SMALL || (kind == REGION_LARGE && space_of(v)->blocks[first + b].kind == BLOCK_SMALL))
      check_small_block(v, first + b, free >> b & 1, tally);
    else if (kind == REGION_LARGE) check_large_block(v, first + b, free >> b & 1, tally);
  }
}

static void check_counter(struct varve_verifier *v, const char *name, uint64_t counter, uint64_t counted) {
  if (counter != counted) varve__verify_damage(v, "%s is %llu, counted %llu", name, ull(counter), ull(counted));
}

void varve__verify_tables(struct varve_verifier *v) {
  const struct varve_space *space = space_of(v);
  struct tally tally = {0};
  for (uint32_t r = 0; r < space->region_high && !v->failed; ++r) check_region(v, r, &tally);
  if (v->failed) return;
  check_counter(v, "used_blocks", atomic_load_explicit(&space->used_blocks, memory_order_relaxed), tally.used_blocks);
  check_counter(v, "committed", atomic_load_explicit(&space->committed, memory_order_relaxed), tally.committed);
  check_counter(v, "free_regions", atomic_load_explicit(&space->free_regions, memory_order_relaxed),
                tally.free_regions);
  if (tally.committed > space->limit_regions)
    varve__verify_damage(v, "R4: %llu regions are committed, the limit is %u", ull(tally.committed),
                         space->limit_regions);
  if (tally.used_blocks > space->limit_blocks)
    varve__verify_damage(v, "R4: %llu blocks are in use, the limit is %u", ull(tally.used_blocks), space->limit_blocks);
}
