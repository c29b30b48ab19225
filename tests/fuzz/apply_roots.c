/* SPDX-License-Identifier: MIT */
/* apply_roots.c -- operations on places. */
#include <stdio.h>
#include <stdlib.h>

#include "print.h"

static unsigned place_chosen(const struct world *world, unsigned choice) {
  unsigned place = choice % PLACES;
  while (!place_is_there(world, place)) place = (place + 1) % PLACES;
  return place;
}

/* From anywhere to a place. What weak slots lead to may be dead, and lives again. */
void apply_move(struct world *world, const struct op *op) {
  uintptr_t address;
  struct node *node = find(world, op->a, op->b, &address);
  unsigned place = place_chosen(world, op->a >> 8);
  if (node) place_set(world, place, node, address, op->c);
  else place_clear(world, place, op->c);
}

void apply_drop(struct world *world, const struct op *op) { place_clear(world, place_chosen(world, op->a), op->c); }

void apply_drop_many(struct world *world, const struct op *op) {
  for (unsigned i = 0; i < PLACES; ++i)
    if (op->a >> i % 16 & 1 && place_is_there(world, i)) place_clear(world, i, op->c + i);
}

static void forget_places(struct world *world, unsigned from, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    world->place[from + i] = (struct place){NULL, 0};
    say_expected(world, from + i, &world->place[from + i]);
  }
}

/* The last come first to go, as scopes do. */
void apply_frame(struct world *world, const struct op *op) {
  bool push = world->inner_depth == 0 || (op->a & 1 && world->inner_depth < INNER_FRAMES);
  unsigned at = push ? world->inner_depth : world->inner_depth - 1;
  forget_places(world, FRAME_SLOTS + at * INNER_SLOTS, INNER_SLOTS);
  if (push) {
    SAY(world, "w[%u].inner[%u] = (struct inner_frame){0};", world->index, at);
    SAY(world, "varve_frame_push(me, &w[%u].inner[%u].frame, INNER_SLOTS);", world->index, at);
    world->inner[at] = (struct inner_frame){0};
    varve_frame_push(mutator_of(world), &world->inner[at].frame, INNER_SLOTS);
  } else {
    SAY(world, "varve_frame_pop(me, &w[%u].inner[%u].frame);", world->index, at);
    varve_frame_pop(mutator_of(world), &world->inner[at].frame);
  }
  world->inner_depth = push ? at + 1 : at;
  SAY(world, "w[%u].inner_depth = %u;", world->index, world->inner_depth);
}

void apply_pinned_frame(struct world *world, const struct op *op) {
  bool push = world->pinned_depth == 0 || (op->a & 1 && world->pinned_depth < PINNED_FRAMES);
  unsigned at = push ? world->pinned_depth : world->pinned_depth - 1,
           place = FRAME_SLOTS + INNER_FRAMES * INNER_SLOTS + at;
  uintptr_t address;
  struct node *node = find(world, op->b, op->c, &address);
  if (push) {
    SAY(world, "w[%u].pinned[%u] = (struct pinned_frame){0};", world->index, at);
    SAY(world, "varve_pinned_push(me, &w[%u].pinned[%u].frame, 1);", world->index, at);
    SAY(world, "w[%u].pinned_depth = %u;", world->index, at + 1);
    world->pinned[at] = (struct pinned_frame){0};
    varve_pinned_push(mutator_of(world), &world->pinned[at].frame, 1);
    world->pinned_depth = at + 1;
    if (node) place_set(world, place, node, address, op->c);
  } else {
    SAY(world, "varve_pinned_pop(me, &w[%u].pinned[%u].frame);", world->index, at);
    SAY(world, "w[%u].pinned_depth = %u;", world->index, at);
    varve_pinned_pop(mutator_of(world), &world->pinned[at].frame);
    world->pinned_depth = at;
    forget_places(world, place, 1);
  }
}

static unsigned first_place(enum place_kind kind) {
  unsigned place = 0, index;
  while (place_kind(place, &index) != kind) ++place;
  return place;
}

/* ".at, 3)" */
static struct name end_of_tag(unsigned tag) {
  struct name name;
  snprintf(name.chars, sizeof name.chars, ".at, %u)", tag);
  return name;
}

/* Free a handle, or make one. */
void apply_handle(struct world *world, const struct op *op) {
  unsigned i = op->a % HANDLES;
  uintptr_t address;
  struct node *node = find(world, op->b, op->c, &address);
  struct place *place = &world->place[first_place(PLACE_HANDLE) + i];
  *place = (struct place){NULL, 0};
  if (world->handle[i]) {
    say_expected(world, first_place(PLACE_HANDLE) + i, place);
    SAY(world, "varve_handle_free(me, w[%u].handle[%u]), w[%u].handle[%u] = NULL;", world->index, i, world->index, i);
    varve_handle_free(mutator_of(world), world->handle[i]);
    world->handle[i] = NULL;
    return;
  }
  unsigned tag = tag_chosen(world->run->slot_tags, 8, op->c);
  if (node) *place = (struct place){node, tag};
  say_expected(world, first_place(PLACE_HANDLE) + i, place);
  SAY(world, "w[%u].handle[%u] = varve_handle_new(me, %s%s%s);", world->index, i, node ? "varve_tag(" : "",
      node ? name_of(node).chars : "0", node ? end_of_tag(tag).chars : "");
  world->handle[i] = varve_handle_new(mutator_of(world), node ? varve_tag((void *)address, tag) : 0);
  if (!world->handle[i]) fail(world, "no handle");
}

void apply_slab(struct world *world, const struct op *op) {
  unsigned i = op->a % SLAB_WORDS;
  uintptr_t address;
  struct node *node = find(world, op->b, op->c, &address);
  struct place *place = &world->place[first_place(PLACE_SLAB) + i];
  *place = (struct place){NULL, 0};
  if (world->slab_word[i]) {
    say_expected(world, first_place(PLACE_SLAB) + i, place);
    SAY(world, "varve_slab_give(slab, w[%u].slab_word[%u]), w[%u].slab_word[%u] = NULL;", world->index, i, world->index,
        i);
    varve_slab_give(world->run->slab, world->slab_word[i]);
    world->slab_word[i] = NULL;
    return;
  }
  unsigned tag = tag_chosen(world->run->ref_tags, 8, op->c);
  if (node) *place = (struct place){node, tag};
  say_expected(world, first_place(PLACE_SLAB) + i, place);
  SAY(world, "w[%u].slab_word[%u] = varve_slab_take(&cursor, me, %s%s%s);", world->index, i, node ? "varve_tag(" : "",
      node ? name_of(node).chars : "0", node ? end_of_tag(tag).chars : "");
  world->slab_word[i] =
      varve_slab_take(&world->player->cursor, mutator_of(world), node ? varve_tag((void *)address, tag) : 0);
  if (!world->slab_word[i]) fail(world, "no word of the slab");
}

/* The Ref array grows or shrinks in host memory: its words are spread anew, and those between them are 0. */
void apply_array(struct world *world, const struct op *op) {
  size_t count = (1 + op->a % (ARRAY_ROOM / ARRAY_WORDS)) * ARRAY_WORDS, step = world->array_count / ARRAY_WORDS;
  varve_word *words = calloc(ARRAY_ROOM, sizeof *words), *old = world->array_words;
  varve_error error = {0};
  SAY(world, "array_update(&w[%u], %zu);", world->index, count);
  for (size_t i = 0; i < ARRAY_WORDS; ++i) words[i * (count / ARRAY_WORDS)] = old[i * step];
  if (varve_ref_array_update(world->array, words, count, NULL, &error) != VARVE_OK)
    fail(world, "update: %s", error.detail);
  world->array_words = words;
  world->array_count = count;
  free(old);
}

void apply_derive(struct world *world, const struct op *op) {
  unsigned i = op->a % DERIVED;
  world->distance[i] = op->b - (uintptr_t)(op->c % 1000);
  SAY(world, "w[%u].distance[%u] = (uintptr_t)%lld;", world->index, i, (long long)world->distance[i]);
  SAY(world, "w[%u].derived[%u] = (uintptr_t)(w[%u].frame.slot[%u] & ~(varve_word)7) + w[%u].distance[%u];",
      world->index, i, world->index, i, world->index, i);
  world->derived[i] = (uintptr_t)(world->frame.slot[i] & ~(varve_word)7) + world->distance[i];
}
