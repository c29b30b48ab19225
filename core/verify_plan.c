/* SPDX-License-Identifier: MIT */
/* verify_plan.c -- the verifier's reading of a plan: its own serial slide, compared address by address with what the
 * descriptors say (P1 to P4 of plan.h), and the large objects' moves, one after the other.
 *
 * Called by  collect.c through varve__verify_plan, after the trace of this pause. Shares no code with plan.c.
 */
#include <string.h>

#include "core/plan.h"
#include "core/verifier.h"

/* ---- the plan ---------------------------------------------------------------------------------------------- */

/* The serial slide of one group: objects go where the last one ended, or, when they do not fit, to the next
 * destination. */
struct slide {
  const struct varve_group *group;
  uint32_t reach;        /* number of the source being read, among the destinations */
  uint32_t target, used; /* number of the destination, and words used in it */
  uint64_t capacity;     /* words of a destination */
};

static uint64_t unit_address(const struct varve_verifier *v, const struct varve_group *group, uint32_t unit) {
  return group->medium ? space_region_address(space_of(v), unit) : space_block_address(space_of(v), unit);
}

/* The new address by the descriptor, from the bitmap alone; the rank table must agree. */
static uint64_t described_address(struct varve_verifier *v, uint64_t address) {
  const struct varve_space *space = space_of(v);
  const struct varve_block *b = &space->blocks[space_block(space, address)];
  const uint64_t *bitmap = space_block_bitmap(space, space_block(space, address));
  size_t word = space_word(space, address), line = word % VARVE__BLOCK_WORDS / 64;
  uint64_t rank = 0;
  for (size_t i = 0; i < line; ++i) rank += bits_count(bitmap[i]);
  if (space->ranks[word / 64] != rank)
    varve__verify_damage(v, "block %u, line %zu: rank %u, counted %llu", space_block(space, address), line,
                         space->ranks[word / 64], ull(rank));
  rank += bits_count(bitmap[line] & bits_below(word % 64));
  return (b->split == VARVE__NO_SPLIT || rank < b->split ? b->dst1 : b->dst2) + 8 * rank;
}

/* P1: a destination is at or before the source being read, in the order of the destinations. */
static bool overtakes(const struct slide *slide, uint64_t from, uint64_t to) {
  return slide->target > slide->reach || (slide->target == slide->reach && to > from);
}

static void check_target_end(struct varve_verifier *v, const struct slide *slide) {
  uint32_t unit = group_target(v->heap->plan, slide->group, slide->target);
  const struct varve_space *space = space_of(v);
  uint32_t top = slide->group->medium ? space->regions[unit].new_top : space->blocks[unit].new_top;
  uint8_t flags = slide->group->medium ? space->regions[unit].flags : space->blocks[unit].flags;
  if (top != slide->used || !(flags & BLOCK_TARGET))
    varve__verify_damage(v, "destination %u: flags %#x, new top %u; the serial slide fills %u words", unit, flags, top,
                         slide->used);
}

/* The next destination. False: there is none. */
static bool next_target(struct varve_verifier *v, struct slide *slide) {
  const struct varve_group *group = slide->group;
  check_target_end(v, slide);
  ++slide->target;
  slide->used = 0;
  if (slide->target >= group->target_count)
    varve__verify_damage(v, "a group of %u sources has no room for its %llu live words", group->count,
                         ull(group->live));
  return !v->failed;
}

/* Has the plan closed the destination although the object would fit? It may, when hardly any room is left. */
static bool closed_early(const struct varve_verifier *v, const struct slide *slide, uint64_t described) {
  if (slide->capacity - slide->used > VARVE__SPLIT_WASTE_WORDS) return false;
  if (slide->target + 1 >= slide->group->target_count) return false;
  return described == unit_address(v, slide->group, group_target(v->heap->plan, slide->group, slide->target + 1));
}

static void place_object(struct varve_verifier *v, struct slide *slide, const varve_object *object) {
  uint64_t words = varve_object_bytes(object) / 8, from = (uintptr_t)object;
  bool full = slide->used + words > slide->capacity || closed_early(v, slide, described_address(v, from));
  if (full && !next_target(v, slide)) return;
  uint64_t to = unit_address(v, slide->group, group_target(v->heap->plan, slide->group, slide->target)) +
                (uint64_t)slide->used * 8;
  uint64_t described = described_address(v, from);
  if (!space_moves(space_of(v), space_block(space_of(v), from)))
    varve__verify_damage(v, "%s: in a group, but its block does not move", varve__verify_place(v, object).text);
  if (described != to)
    varve__verify_damage(v, "%s: goes to %#llx, the serial slide puts it at %#llx", varve__verify_place(v, object).text,
                         ull(described), ull(to));
  if (overtakes(slide, from, to))
    varve__verify_damage(v, "%s: its place %#llx overtakes the source", varve__verify_place(v, object).text, ull(to));
  slide->used += (uint32_t)words;
}

static void slide_unit(struct varve_verifier *v, struct slide *slide, uint32_t unit) {
  const struct varve_space *space = space_of(v);
  uint64_t base = unit_address(v, slide->group, unit);
  uint32_t region = space_region(space, base);
  const uint64_t *visited = map_of(v, VISITED, region);
  size_t from = space_word(space, base) % VARVE__REGION_WORDS, to = from + slide->capacity;
  if (!v->present[region]) return;
  for (size_t at = next_bit(visited, from, to); at < to && !v->failed; at = next_bit(visited, at + 1, to))
    place_object(v, slide, (const varve_object *)(base + (at - from) * 8));
}

static bool holds_units(struct varve_verifier *v, const struct varve_group *group, uint32_t region, uint32_t unit) {
  uint8_t kind = kind_of(v, region);
  if (group->medium) return kind == REGION_MEDIUM;
  return kind == REGION_SMALL || (kind == REGION_LARGE && space_of(v)->blocks[unit].kind == BLOCK_SMALL);
}

/* P4: nobody else has claimed the blocks of the unit. */
static void claim_unit(struct varve_verifier *v, const struct varve_group *group, uint32_t unit) {
  uint32_t region = group->medium ? unit : unit / VARVE__REGION_BLOCKS;
  uint64_t bits = group->medium ? ~(uint64_t)0 : (uint64_t)1 << unit % VARVE__REGION_BLOCKS;
  if (region >= space_of(v)->region_count || !holds_units(v, group, region, unit))
    varve__verify_damage(v, "group: unit %u is in no region of its kind", unit);
  else if (v->claimed[region] & bits) varve__verify_damage(v, "P4: unit %u is in two groups", unit);
  else v->claimed[region] |= bits;
}

/* A spare holds no live object: nothing is read from it. */
static void check_spare(struct varve_verifier *v, const struct varve_group *group, uint32_t unit) {
  claim_unit(v, group, unit);
  if (v->failed) return;
  uint64_t base = unit_address(v, group, unit);
  size_t words = group->medium ? VARVE__REGION_WORDS : VARVE__BLOCK_WORDS;
  size_t from = space_word(space_of(v), base) % VARVE__REGION_WORDS;
  uint32_t region = space_region(space_of(v), base);
  if (v->present[region] && next_bit(map_of(v, VISITED, region), from, from + words) < from + words)
    varve__verify_damage(v, "spare %u of a group holds live objects", unit);
}

/* Find the source among the destinations; what is passed over are spares. */
static void reach_source(struct varve_verifier *v, struct slide *slide, uint32_t unit) {
  const struct varve_group *group = slide->group;
  while (slide->reach < group->target_count && group_target(v->heap->plan, group, slide->reach) != unit && !v->failed)
    check_spare(v, group, group_target(v->heap->plan, group, slide->reach++));
  if (slide->reach == group->target_count)
    varve__verify_damage(v, "source %u of a group is not among its destinations", unit);
}

static void check_group(struct varve_verifier *v, const struct varve_group *group) {
  struct slide slide = {.group = group, .capacity = group->medium ? VARVE__REGION_WORDS : VARVE__BLOCK_WORDS};
  for (uint32_t i = 0; i < group->count && !v->failed; ++i) {
    uint32_t unit = v->heap->plan->order[group->first + i];
    reach_source(v, &slide, unit);
    if (!v->failed) claim_unit(v, group, unit);
    if (!v->failed) slide_unit(v, &slide, unit);
    ++slide.reach;
  }
  while (slide.reach < group->target_count && !v->failed)
    check_spare(v, group, group_target(v->heap->plan, group, slide.reach++));
  if (v->failed) return;
  check_target_end(v, &slide);
  if (group->targets != slide.target + 1)
    varve__verify_damage(v, "a group has %u destinations, the serial slide %u", group->targets, slide.target + 1);
}

/* ---- large objects: a second use of `claimed`, as the blocks that are taken ---- */

static bool claim_run(struct varve_verifier *v, uint32_t first, uint32_t blocks) {
  for (uint32_t b = first; b < first + blocks; ++b) {
    uint64_t bit = (uint64_t)1 << b % VARVE__REGION_BLOCKS, *taken = &v->claimed[b / VARVE__REGION_BLOCKS];
    if (b / VARVE__REGION_BLOCKS >= space_of(v)->region_count || *taken & bit ||
        kind_of(v, b / VARVE__REGION_BLOCKS) != REGION_LARGE || space_of(v)->blocks[b].kind == BLOCK_SMALL)
      return false;
    *taken |= bit;
  }
  return true;
}

static void leave_run(struct varve_verifier *v, uint32_t first, uint32_t blocks) {
  for (uint32_t b = first; b < first + blocks; ++b)
    v->claimed[b / VARVE__REGION_BLOCKS] &= ~((uint64_t)1 << b % VARVE__REGION_BLOCKS);
}

static void claim_large(struct varve_verifier *v, varve_object *object, uint64_t words) {
  uint32_t block = space_block(space_of(v), (uintptr_t)object);
  if (words <= MEDIUM_WORDS) return;
  if (!claim_run(v, block, space_of(v)->blocks[block].age))
    varve__verify_damage(v, "%s: its run overlaps another one", varve__verify_place(v, object).text);
}

/* One object after the other: its place is free when it goes, its own old place counting as free. */
static void check_large_move(struct varve_verifier *v, const struct varve_large_move *move) {
  const struct varve_space *space = space_of(v);
  const struct varve_block *b = &space->blocks[move->from];
  uint64_t from = space_block_address(space, move->from), to = space_block_address(space, move->to);
  if (!map_test(v, VISITED, from))
    varve__verify_damage(v, "large move from block %u, where no live object is", move->from);
  if (v->failed) return;
  leave_run(v, move->from, b->age);
  if (!claim_run(v, move->to, b->age))
    varve__verify_damage(v, "%s: its place %#llx is taken", varve__verify_place(v, (varve_object *)from).text, ull(to));
  if (!space_moves(space, move->from) || described_address(v, from) != to)
    varve__verify_damage(v, "%s: listed to go to %#llx, described otherwise",
                         varve__verify_place(v, (varve_object *)from).text, ull(to));
}

static bool is_listed(const struct varve_plan *plan, uint32_t block) {
  for (uint32_t i = 0; i < plan->large_count; ++i)
    if (plan->large[i].from == block) return true;
  return false;
}

static void check_large_moves(struct varve_verifier *v) {
  memset(v->claimed, 0, space_of(v)->region_high * sizeof *v->claimed);
  varve__verify_each(v, VISITED, claim_large);
  for (uint32_t i = 0; i < v->heap->plan->large_count && !v->failed; ++i)
    check_large_move(v, &v->heap->plan->large[i]);
}

/* What moves is in a group, or a large object in the list; all else stays. */
static void check_stays(struct varve_verifier *v, uint32_t block) {
  const struct varve_block *b = &space_of(v)->blocks[block];
  bool grouped = v->claimed[block / VARVE__REGION_BLOCKS] >> block % VARVE__REGION_BLOCKS & 1;
  if (!space_moves(space_of(v), block) || grouped) return;
  if (b->kind == BLOCK_LARGE_HEAD && is_listed(v->heap->plan, block)) return;
  varve__verify_damage(v, "block %u moves, but is in no group and in no list", block);
}

static void check_staying(struct varve_verifier *v) {
  for (uint32_t b = 0; b < space_of(v)->region_high * VARVE__REGION_BLOCKS && !v->failed; ++b)
    if (kind_of(v, b / VARVE__REGION_BLOCKS) >= REGION_SMALL && space_of(v)->blocks[b].kind != BLOCK_FREE)
      check_stays(v, b);
}

varve_status varve__verify_plan(struct varve_verifier *v, varve_error *error) {
  const struct varve_plan *plan = v->heap->plan;
  varve__verify_begin(v, error);
  memset(v->claimed, 0, space_of(v)->region_high * sizeof *v->claimed);
  for (uint32_t i = 0; i < plan->group_count && !v->failed; ++i) check_group(v, &plan->groups[i]);
  if (!v->failed) check_staying(v);
  if (!v->failed) check_large_moves(v);
  if (!v->failed) varve__verify_pins(v);
  return result(v);
}
