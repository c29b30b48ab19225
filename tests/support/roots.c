/* SPDX-License-Identifier: MIT */
/* roots.c -- see roots.h. */
#include "roots.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const root_kind_name[ROOT_KIND_COUNT] = {
    "frame",     "handle",              "slot array", "Ref slab",
    "Ref array", "untracked Ref array", "tracked slot array", "callback",   "callback of Ref words"};

static bool holds_refs(enum root_kind kind) {
  return kind == ROOT_SLAB || kind == ROOT_REF_ARRAY || kind == ROOT_UNTRACKED || kind == ROOT_CALLBACK_REFS;
}

unsigned root_tags(const struct root_group *group) {
  return holds_refs(group->kind) ? group->shapes->ref_tags : group->shapes->slot_tags;
}

varve_word root_load(const struct root_group *group, const struct root *root) {
  if (group->kind == ROOT_HANDLES) return varve_handle_get(root->place);
  if (holds_refs(group->kind)) return varve_ref_load(root->place);
  return *(varve_word *)root->place;
}

/* The three ways to write a Ref word. */
static void ref_write(varve_mutator *mutator, varve_refs *refs, varve_word *slot, varve_word word, uint64_t way) {
  varve_word expected = varve_ref_load(slot);
  if (way == 0) varve_ref_store(mutator, refs, slot, word);
  else if (way == 1) (void)varve_ref_exchange(mutator, refs, slot, word);
  else
    while (!varve_ref_cas(mutator, refs, slot, &expected, word)) continue;
}

static void root_write(struct root_group *group, struct root *root, varve_mutator *mutator, struct random *random,
                       varve_word word) {
  switch (group->kind) {
    case ROOT_HANDLES: varve_handle_set(mutator, root->place, word); break;
    case ROOT_SLAB:
    case ROOT_SLOT_ARRAY:
    case ROOT_REF_ARRAY: ref_write(mutator, group->refs, root->place, word, random_below(random, 3)); break;
    case ROOT_UNTRACKED:
    case ROOT_CALLBACK_REFS: __atomic_store_n((varve_word *)root->place, word, __ATOMIC_RELEASE); break;
    default: *(varve_word *)root->place = word;
  }
}

void root_set_target(struct root_group *group, struct root *root, varve_mutator *mutator, struct random *random,
                     struct shadow_node *target, uintptr_t address) {
  root->target = target;
  root->word = shadow_random_tag(random, root_tags(group));
  root_write(group, root, mutator, random, address | root->word);
}

void root_set_word(struct root_group *group, struct root *root, varve_mutator *mutator, struct random *random,
                   varve_word word) {
  root->target = NULL;
  root->word = word;
  root_write(group, root, mutator, random, word);
}

static varve_word *array_word(const struct root_group *group, const struct root *root) {
  return group->memory + (size_t)(root - group->roots) * group->stride_words;
}

static void flip_bit(struct root_group *group, const struct root *root) {
  size_t index = (size_t)(root - group->roots);
  group->bitmap[index / 64] ^= 1ull << index % 64;
}

bool root_open(struct root_group *group, struct root *root, varve_mutator *mutator, varve_word word) {
  if (group->kind == ROOT_HANDLES) root->place = varve_handle_new(mutator, word);
  else if (group->kind == ROOT_SLAB) root->place = varve_slab_take(group->cursor, mutator, word);
  else {
    root->place = array_word(group, root);
    varve_ref_store(mutator, group->refs, root->place, word);
    flip_bit(group, root);
  }
  root->target = NULL;
  root->word = word;
  return root->place != NULL;
}

void root_close(struct root_group *group, struct root *root, varve_mutator *mutator, varve_word garbage) {
  if (group->kind == ROOT_HANDLES) varve_handle_free(mutator, root->place);
  else if (group->kind == ROOT_SLAB) varve_slab_give(group->refs, root->place);
  else {
    flip_bit(group, root);
    *array_word(group, root) = garbage;
  }
  root->place = NULL;
  root->target = NULL;
  root->word = garbage;
}

/* ---- groups ------------------------------------------------------------------------------------------------------ */

static struct root_group *group_new(const struct shadow_shapes *shapes, enum root_kind kind, size_t count) {
  struct root_group *group = calloc(1, sizeof *group);
  group->shapes = shapes;
  group->kind = kind;
  group->count = count;
  group->roots = calloc(count, sizeof *group->roots);
  return group;
}

static void group_delete(struct root_group *group) {
  free(group->roots);
  free(group->memory);
  free(group->bitmap);
  free(group);
}

static struct root_group *group_registered(struct root_group *group, varve_status status, const varve_error *error) {
  if (status == VARVE_OK) return group;
  if (status != VARVE_METADATA) {
    fprintf(stderr, "%s: registration refused: %s\n", root_kind_name[group->kind], error->detail);
    abort();
  }
  group_delete(group);
  return NULL;
}

struct root_group *root_group_handles(const struct shadow_shapes *shapes, size_t count) {
  return group_new(shapes, ROOT_HANDLES, count);
}

struct root_group *root_group_slab(const struct shadow_shapes *shapes, size_t count, varve_refs *slab,
                                   varve_slab_cursor *cursor) {
  struct root_group *group = group_new(shapes, ROOT_SLAB, count);
  group->refs = slab;
  group->cursor = cursor;
  return group;
}

struct root_group *root_group_slots(const struct shadow_shapes *shapes, size_t count) {
  struct root_group *group = group_new(shapes, ROOT_SLOTS, count);
  varve_error error;
  group->memory = calloc(count, sizeof *group->memory);
  for (size_t i = 0; i < count; ++i) group->roots[i].place = &group->memory[i];
  return group_registered(group, varve_root_slots_add(shapes->heap, "slots", group->memory, count, &error), &error);
}

/* The words between the Ref words belong to the host: they hold something that looks like anything. */
static varve_word *array_memory(size_t count, size_t stride_words) {
  varve_word *memory = malloc(count * stride_words * sizeof *memory);
  for (size_t i = 0; i < count * stride_words; ++i) memory[i] = i % stride_words ? 0x5a5a5a5a5a5a5a58u : 0;
  return memory;
}

bool root_group_is_array(const struct root_group *group) {
  return group->kind == ROOT_REF_ARRAY || group->kind == ROOT_UNTRACKED || group->kind == ROOT_SLOT_ARRAY;
}

struct root_group *root_group_ref_array(const struct shadow_shapes *shapes, size_t count, size_t stride_words,
                                        bool bitmap, enum root_kind kind) {
  struct root_group *group = group_new(shapes, kind, count);
  varve_error error;
  group->stride_words = stride_words;
  group->capacity = count;
  group->memory = array_memory(count, stride_words);
  if (bitmap) group->bitmap = calloc((count + 63) / 64, sizeof *group->bitmap);
  for (size_t i = 0; i < count && !bitmap; ++i) group->roots[i].place = group->memory + i * stride_words;
  varve_ref_array array = {.name = "array", .base = group->memory, .stride = stride_words * 8, .count = count,
                           .bitmap = group->bitmap, .untracked = kind == ROOT_UNTRACKED,
                           .slot_tags = kind == ROOT_SLOT_ARRAY};
  return group_registered(group, varve_ref_array_add(shapes->heap, &array, &group->refs, &error), &error);
}

/* Part p visits the slots p, p + parts, ... */
static void visit_part(void *context, size_t part, varve_visitor *visitor) {
  struct root_group *group = context;
  for (size_t i = part; i < group->count; i += group->parts) {
    if (group->kind == ROOT_CALLBACK_REFS) varve_visit_ref(visitor, &group->memory[i]);
    else varve_visit(visitor, &group->memory[i]);
  }
}

struct root_group *root_group_callback(const struct shadow_shapes *shapes, size_t count, size_t parts, bool refs) {
  struct root_group *group = group_new(shapes, refs ? ROOT_CALLBACK_REFS : ROOT_CALLBACK, count);
  varve_error error;
  group->parts = parts;
  group->memory = calloc(count, sizeof *group->memory);
  for (size_t i = 0; i < count; ++i) group->roots[i].place = &group->memory[i];
  return group_registered(
      group, varve_root_callback_add(shapes->heap, "callback", visit_part, group, parts, &error), &error);
}

static void update_array(struct root_group *group, varve_word *memory, size_t count, const uint64_t *bitmap) {
  varve_error error;
  if (varve_ref_array_update(group->refs, memory, count, bitmap, &error) == VARVE_OK) return;
  fprintf(stderr, "growing a Ref array was refused: %s\n", error.detail);
  abort();
}

/* The new memory has the old values before the library is told of it; no safepoint lies between. */
static void move_array(struct root_group *group, size_t count) {
  size_t capacity = count + count / 2;
  varve_word *memory = array_memory(capacity, group->stride_words);
  uint64_t *bitmap = group->bitmap ? calloc((capacity + 63) / 64, sizeof *bitmap) : NULL;
  memcpy(memory, group->memory, group->count * group->stride_words * sizeof *memory);
  if (bitmap) memcpy(bitmap, group->bitmap, (group->count + 63) / 64 * sizeof *bitmap);
  update_array(group, memory, count, bitmap);
  free(group->memory);
  free(group->bitmap);
  group->memory = memory;
  group->bitmap = bitmap;
  group->capacity = capacity;
}

void root_group_grow(struct root_group *group, size_t count) {
  if (count > group->capacity) move_array(group, count);
  else update_array(group, group->memory, count, group->bitmap);
  varve_word *memory = group->memory;
  group->roots = realloc(group->roots, count * sizeof *group->roots);
  memset(group->roots + group->count, 0, (count - group->count) * sizeof *group->roots);
  for (size_t i = 0; i < count; ++i)
    if (!group->bitmap || group->roots[i].place) group->roots[i].place = memory + i * group->stride_words;
  group->count = count;
}

static void give_places_back(struct root_group *group, varve_mutator *mutator) {
  for (size_t i = 0; i < group->count; ++i)
    if (group->roots[i].place) root_close(group, &group->roots[i], mutator, 0);
}

void root_group_free(struct root_group *group, varve_mutator *mutator) {
  varve_heap *heap = group->shapes->heap;
  varve_status status = VARVE_OK;
  switch (group->kind) {
    case ROOT_HANDLES:
    case ROOT_SLAB: give_places_back(group, mutator); break;
    case ROOT_SLOTS: status = varve_root_slots_remove(heap, group->memory); break;
    case ROOT_REF_ARRAY:
    case ROOT_SLOT_ARRAY:
    case ROOT_UNTRACKED: varve_ref_array_remove(group->refs); break;
    case ROOT_CALLBACK:
    case ROOT_CALLBACK_REFS: status = varve_root_callback_remove(heap, visit_part, group); break;
    default: abort();
  }
  if (status != VARVE_OK) {
    fprintf(stderr, "%s: removal refused: %s\n", root_kind_name[group->kind], varve_status_sentence(status));
    abort();
  }
  group_delete(group);
}

static void walk_unused(const struct root_group *group, const struct root *root, struct shadow_walk *walk) {
  if (group->bitmap) shadow_walk_root(walk, *array_word(group, root), NULL, root->word, "unused word of a Ref array");
}

void root_group_walk(const struct root_group *group, struct shadow_walk *walk) {
  for (size_t i = 0; i < group->count; ++i) {
    const struct root *root = &group->roots[i];
    if (!root->place) walk_unused(group, root, walk);
    else shadow_walk_root(walk, root_load(group, root), root->target, root->word, root_kind_name[group->kind]);
  }
}
