/* SPDX-License-Identifier: MIT */
/* places.c -- the roots of a world: frames, pinned frames, global slots, handles, Ref words, words that only a callback
 * or an untracked table tells of, narrow Ref words. Each holds a reference to a node's object, or another word. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"

static const unsigned place_counts[] = {FRAME_SLOTS,   INNER_FRAMES *INNER_SLOTS,
                                        PINNED_FRAMES, GLOBALS,
                                        HANDLES,       ARRAY_WORDS,
                                        SLAB_WORDS,    UNTRACKED,
                                        CALLBACKS,     NARROWS};

enum place_kind place_kind(unsigned place, unsigned *index) {
  unsigned kind = 0;
  while (place >= place_counts[kind]) place -= place_counts[kind++];
  *index = place;
  return (enum place_kind)kind;
}

bool place_is_there(const struct world *world, unsigned place) {
  unsigned i;
  switch (place_kind(place, &i)) {
    case PLACE_INNER:
      return i < world->inner_depth * INNER_SLOTS;
    case PLACE_PINNED:
      return i < world->pinned_depth;
    case PLACE_HANDLE:
      return world->handle[i] != NULL;
    case PLACE_SLAB:
      return world->slab_word[i] != NULL;
    case PLACE_NARROW:
      return world->run->narrow;
    default:
      return true;
  }
}

varve_word *place_slot(struct world *world, unsigned place) {
  unsigned i;
  enum place_kind kind = place_kind(place, &i);
  if (kind <= PLACE_PINNED && world->parked) return &world->bridge[place];
  switch (kind) {
    case PLACE_FRAME:
      return &world->frame.slot[i];
    case PLACE_INNER:
      return &world->inner[i / INNER_SLOTS].slot[i % INNER_SLOTS];
    case PLACE_PINNED:
      return &world->pinned[i].slot[0];
    case PLACE_GLOBAL:
      return &world->globals[i];
    case PLACE_ARRAY:
      return &world->array_words[i * (world->array_count / ARRAY_WORDS)];
    case PLACE_SLAB:
      return world->slab_word[i];
    case PLACE_UNTRACKED:
      return &world->untracked[i];
    case PLACE_CALLBACK:
      return &world->callbacks[i];
    default:
      return NULL;
  }
}

varve_word place_load(const struct world *world, unsigned place) {
  unsigned i;
  switch (place_kind(place, &i)) {
    case PLACE_HANDLE:
      return varve_handle_get(world->handle[i]);
    case PLACE_NARROW:
      return varve_ref_load_narrow(&world->narrows[i]);
    default:
      return *place_slot((struct world *)(uintptr_t)world, place);
  }
}

/* `text`: the word as C. */
static void say_place(const struct world *world, unsigned place, const char *text) {
  unsigned i, w = world->index;
  struct place_name name = name_of_place(world, place);
  const struct place *holds = &world->place[place];
  switch (place_kind(place, &i)) {
    case PLACE_HANDLE:
      say(world, "varve_handle_set(me, %s, %s);", name.chars, text);
      break;
    case PLACE_ARRAY:
      say(world, "varve_ref_store(me, w[%u].array, &%s, %s);", w, name.chars, text);
      break;
    case PLACE_SLAB:
      say(world, "varve_ref_exchange(me, slab, %s, %s);", name.chars, text);
      break;
    case PLACE_NARROW:
      say(world, "varve_ref_store_narrow(me, w[%u].narrow_array, &%s, %s);", w, name.chars, text);
      break;
    default:
      say(world, "%s = %s;", name.chars, text);
      break;
  }
  say_expected(world, place, holds);
}

void say_expected(const struct world *world, unsigned place, const struct place *holds) {
  SAY(world, "expect(&w[%u], %u, %s%s, %#llx);", world->index, place, holds->node ? "&" : "",
      holds->node ? name_of(holds->node).chars : "NULL", (unsigned long long)holds->word);
}

static void store(struct world *world, unsigned place, varve_word word, const char *text) {
  unsigned i;
  varve_mutator *mutator = mutator_of(world);
  if (world->run->print) say_place(world, place, text);
  switch (place_kind(place, &i)) {
    case PLACE_HANDLE:
      varve_handle_set(mutator, world->handle[i], word);
      break;
    case PLACE_ARRAY:
      varve_ref_store(mutator, world->array, place_slot(world, place), word);
      break;
    case PLACE_SLAB:
      varve_ref_exchange(mutator, world->run->slab, world->slab_word[i], word);
      break;
    case PLACE_NARROW:
      varve_ref_store_narrow(mutator, world->narrow_array, &world->narrows[i], (varve_narrow)word);
      break;
    default:
      *place_slot(world, place) = word;
      break;
  }
  if (place_kind(place, &i) == PLACE_PINNED) world->held[i] = (uintptr_t)(word & ~(varve_word)7);
  if (place < DERIVED) world->derived[place] = (uintptr_t)(word & ~(varve_word)7) + world->distance[place];
}

unsigned tag_chosen(uint32_t tags, unsigned count, unsigned choice) {
  unsigned tag = choice % count;
  while (!(tags >> tag & 1)) tag = (tag + 1) % count;
  return tag;
}

varve_word plain_word(uint32_t tags, unsigned choice) {
  varve_word number = choice >> 2;
  if (choice % 4 == 0) return 0;
  if (choice % 4 == 1) return 0x10000 + 8 * number + number % 8; /* outside the heap */
  return number << 24 | 1ull << 50 | number << 3 | tag_chosen(~tags, 8, choice);
}

static bool has_ref_tags(enum place_kind kind) { return kind == PLACE_ARRAY || kind == PLACE_SLAB; }

void place_set(struct world *world, unsigned place, struct node *node, uintptr_t address, unsigned choice) {
  unsigned i;
  char text[96] = "";
  const struct run *run = world->run;
  enum place_kind kind = place_kind(place, &i);
  if (kind == PLACE_NARROW) {
    unsigned tag = tag_chosen(run->narrow_tags, run->narrow_tag_count, choice);
    world->place[place] = (struct place){node, tag};
    if (run->print) snprintf(text, sizeof text, "varve_narrow_tag(&coding, %s.at, %u)", name_of(node).chars, tag);
    store(world, place, varve_narrow_tag(&run->coding, (void *)address, tag), text);
    return;
  }
  unsigned tag = tag_chosen(has_ref_tags(kind) ? run->ref_tags : run->slot_tags, 8, choice);
  world->place[place] = (struct place){node, tag};
  if (run->print) snprintf(text, sizeof text, "varve_tag(%s.at, %u)", name_of(node).chars, tag);
  store(world, place, varve_tag((void *)address, tag), text);
}

void place_clear(struct world *world, unsigned place, unsigned choice) {
  unsigned i;
  enum place_kind kind = place_kind(place, &i);
  varve_word word = kind == PLACE_NARROW
                        ? choice % world->run->narrow_tag_count
                        : plain_word(has_ref_tags(kind) ? world->run->ref_tags : world->run->slot_tags, choice);
  char text[24];
  world->place[place] = (struct place){NULL, word};
  snprintf(text, sizeof text, "%#llx", (unsigned long long)word);
  store(world, place, word, text);
}

/* ---- opening and closing ---- */

static void visit_callbacks(void *context, size_t part, varve_visitor *visitor) {
  struct world *world = context;
  if (part < CALLBACKS) varve_visit(visitor, &world->callbacks[part]);
}

static void require(const struct world *world, varve_status status) {
  if (status != VARVE_OK) fail(world, "a root was refused: %s", varve_status_sentence(status));
}

static void open_arrays(struct world *world) {
  varve_heap *heap = world->run->heap;
  world->array_count = ARRAY_WORDS;
  world->array_words = calloc(ARRAY_ROOM, sizeof *world->array_words);
  require(world,
          varve_ref_array_add(
              heap,
              &(varve_ref_array){.name = "array", .base = world->array_words, .stride = 8, .count = world->array_count},
              &world->array, NULL));
  require(world, varve_ref_array_add(heap,
                                     &(varve_ref_array){.name = "untracked",
                                                        .base = world->untracked,
                                                        .stride = 8,
                                                        .count = UNTRACKED,
                                                        .untracked = true,
                                                        .slot_tags = true},
                                     &world->untracked_array, NULL));
  if (world->run->narrow)
    require(world,
            varve_ref_array_add(
                heap, &(varve_ref_array){.name = "narrow", .narrow = world->narrows, .stride = 4, .count = NARROWS},
                &world->narrow_array, NULL));
}

void places_open(struct world *world, varve_mutator *mutator) {
  varve_heap *heap = world->run->heap;
  require(world, varve_root_slots_add(heap, "globals", world->globals, GLOBALS, NULL));
  require(world, varve_root_slots_add(heap, "bridge", world->bridge, THREAD_SLOTS, NULL));
  require(world, varve_root_callback_add(heap, "callbacks", visit_callbacks, world, CALLBACKS + 1, NULL));
  open_arrays(world);
  for (unsigned i = 0; i < HANDLES; ++i) world->handle[i] = varve_handle_new(mutator, 0);
}

void places_close(struct world *world, varve_mutator *mutator) {
  varve_heap *heap = world->run->heap;
  require(world, varve_root_slots_remove(heap, world->globals));
  require(world, varve_root_slots_remove(heap, world->bridge));
  require(world, varve_root_callback_remove(heap, visit_callbacks, world));
  varve_ref_array_remove(world->array);
  varve_ref_array_remove(world->untracked_array);
  if (world->narrow_array) varve_ref_array_remove(world->narrow_array);
  for (unsigned i = 0; i < HANDLES; ++i)
    if (world->handle[i]) varve_handle_free(mutator, world->handle[i]);
  for (unsigned i = 0; i < SLAB_WORDS; ++i)
    if (world->slab_word[i]) varve_slab_give(world->run->slab, world->slab_word[i]);
  free(world->array_words);
}

/* ---- frames ---- */

void places_park(struct world *world) {
  varve_mutator *mutator = mutator_of(world);
  SAY(world, "park(&w[%u], me);", world->index);
  for (unsigned i = 0; i < THREAD_SLOTS; ++i) world->bridge[i] = place_is_there(world, i) ? place_load(world, i) : 0;
  for (unsigned i = DERIVED; i-- > 0;) varve_derived_pop(mutator, &world->pair[i]);
  for (unsigned i = world->pinned_depth; i-- > 0;) varve_pinned_pop(mutator, &world->pinned[i].frame);
  for (unsigned i = world->inner_depth; i-- > 0;) varve_frame_pop(mutator, &world->inner[i].frame);
  varve_frame_pop(mutator, &world->frame.frame);
  world->parked = true;
}

void places_unpark(struct world *world) {
  varve_mutator *mutator = mutator_of(world);
  SAY(world, "unpark(&w[%u], me);", world->index);
  world->parked = false;
  for (unsigned i = 0; i < THREAD_SLOTS; ++i) *place_slot(world, i) = world->bridge[i];
  for (unsigned i = 0; i < PINNED_FRAMES; ++i) world->held[i] = (uintptr_t)(world->pinned[i].slot[0] & ~(varve_word)7);
  varve_frame_push(mutator, &world->frame.frame, FRAME_SLOTS);
  for (unsigned i = 0; i < world->inner_depth; ++i) varve_frame_push(mutator, &world->inner[i].frame, INNER_SLOTS);
  for (unsigned i = 0; i < world->pinned_depth; ++i) varve_pinned_push(mutator, &world->pinned[i].frame, 1);
  for (unsigned i = 0; i < DERIVED; ++i) {
    world->derived[i] = (uintptr_t)(world->frame.slot[i] & ~(varve_word)7) + world->distance[i];
    world->pair[i] = (varve_derived){.base = &world->frame.slot[i], .derived = &world->derived[i]};
    varve_derived_push(mutator, &world->pair[i]);
  }
  memset(world->bridge, 0, sizeof world->bridge);
}
