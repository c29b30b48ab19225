/* SPDX-License-Identifier: MIT */
/* kinds.c -- the layouts that random programs use, and the nodes that stand for their objects. Most are those of
 * support/shadow.h; the others are here. */
#include <stdlib.h>
#include <string.h>

#include "print.h"
#include "world.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Weak kinds: the library's word, the id, a strong slot, of hooked ones the pointer to itself, then weak slots. */
#define STRONG 24u
#define WEAK_FIRST 32u
#define WEAK_SELF 32u
#define WEAK_HOOKED_FIRST 40u
/* Hooked kinds: the id, the pointer to itself, the count of survivals, two slots. */
#define HOOKED_SELF 16u

static const uint32_t strong_offsets[] = {STRONG};
static const uint32_t hooked_offsets[] = {32, 40};
static const uint32_t narrow_offsets[] = {16, 20, 36};
static const uint32_t narrow_record_offsets[] = {4, 8};

static void moved(void *context, varve_object *object, const void *old, size_t bytes) {
  struct run *run = context;
  enum kind kind = KIND_COUNT;
  for (unsigned k = SHAPE_COUNT; k < KIND_COUNT; ++k)
    if (run->layout[k] == varve_object_layout(object)) kind = (enum kind)k;
  uint64_t *self = (uint64_t *)((char *)object + self_offset(kind));
  if (bytes != varve_object_bytes(object) || *self != (uint64_t)(uintptr_t)old) run->wrong += 1;
  *self = (uint64_t)(uintptr_t)object;
  if (kind == KIND_SURVIVOR) ++self[1];
}

static void add(struct run *run, enum kind kind, varve_layout_desc desc) {
  varve_error error = {0};
  desc.context = run;
  desc.moved = self_offset(kind) ? moved : NULL;
  desc.moved_survivors = kind == KIND_SURVIVOR;
  if (varve_layout_register(run->heap, &desc, &run->layout[kind], &error) != VARVE_OK)
    fail(&run->world[0], "layout %s was refused: %s", desc.name, error.detail);
  say_layout(run, &desc, run->layout[kind]);
}

static void add_weak(struct run *run, enum kind kind, const char *name, varve_layout_kind layout,
                     varve_weak_when when) {
  add(run, kind,
      (varve_layout_desc){.name = name,
                          .kind = layout,
                          .offsets = strong_offsets,
                          .offset_count = 1,
                          .first = self_offset(kind) ? WEAK_HOOKED_FIRST : WEAK_FIRST,
                          .weak = {.when = when, .cleared = CLEARED}});
}

static void add_narrow(struct run *run) {
  add(run, KIND_NARROW,
      (varve_layout_desc){.name = "narrow",
                          .kind = VARVE_LAYOUT_OFFSETS,
                          .narrow_offsets = narrow_offsets,
                          .narrow_count = 3,
                          .offsets = strong_offsets,
                          .offset_count = 1});
  add(run, KIND_NARROW_ARRAY,
      (varve_layout_desc){.name = "narrow array", .kind = VARVE_LAYOUT_REF_ARRAY, .narrow = true, .first = 20});
  add(run, KIND_NARROW_RECORDS,
      (varve_layout_desc){.name = "narrow records",
                          .kind = VARVE_LAYOUT_RECORDS,
                          .first = 16,
                          .stride = 16,
                          .narrow_offsets = narrow_record_offsets,
                          .narrow_count = 2});
}

static void shape_registered(void *context, const varve_layout_desc *desc, varve_layout layout) {
  say_layout(context, desc, layout);
}

void kinds_register(struct run *run) {
  run->shapes.registered = shape_registered;
  run->shapes.context = run;
  shadow_shapes_register(&run->shapes, run->heap);
  for (unsigned i = 0; i < SHAPE_COUNT; ++i) run->layout[i] = run->shapes.layout[i];
  add_weak(run, KIND_BEFORE, "before", VARVE_LAYOUT_WEAK, VARVE_WEAK_BEFORE);
  add_weak(run, KIND_AFTER, "after", VARVE_LAYOUT_WEAK, VARVE_WEAK_AFTER);
  add_weak(run, KIND_WEAK_HOOKED, "hooked weak", VARVE_LAYOUT_WEAK, VARVE_WEAK_AFTER);
  add_weak(run, KIND_TABLE, "table", VARVE_LAYOUT_EPHEMERONS, VARVE_WEAK_BEFORE);
  add_weak(run, KIND_TABLE_HOOKED, "hooked table", VARVE_LAYOUT_EPHEMERONS, VARVE_WEAK_BEFORE);
  for (unsigned kind = KIND_HOOKED; kind <= KIND_SURVIVOR; ++kind)
    add(run, (enum kind)kind,
        (varve_layout_desc){.name = kind == KIND_HOOKED ? "hooked" : "survivor",
                            .kind = VARVE_LAYOUT_OFFSETS,
                            .offsets = hooked_offsets,
                            .offset_count = 2});
  if (run->narrow) add_narrow(run);
}

bool kind_is_immutable(enum kind kind) {
  return kind < (enum kind)SHAPE_COUNT && shadow_shape_immutable((enum shadow_shape)kind);
}
bool kind_is_weak(enum kind kind) { return kind >= KIND_BEFORE && kind <= KIND_TABLE_HOOKED; }
bool kind_is_hooked(enum kind kind) { return self_offset(kind) != 0; }
size_t id_offset(enum kind kind) { return kind_is_weak(kind) ? 16 : 8; }

size_t self_offset(enum kind kind) {
  if (kind == KIND_WEAK_HOOKED || kind == KIND_TABLE_HOOKED) return WEAK_SELF;
  return kind == KIND_HOOKED || kind == KIND_SURVIVOR ? HOOKED_SELF : 0;
}

/* ---- nodes ---- */

uint32_t node_pattern(const struct node *node, size_t offset) {
  uint64_t z = (node->id << 20 ^ offset) * 0x9e3779b97f4a7c15u;
  return (uint32_t)((z ^ z >> 29) * 0xbf58476d1ce4e5b9u >> 32);
}

/* What is no slot, where nothing there says what is. Large objects can be written down in few words then. */
static void set_pattern(struct node *node) {
  uint32_t next = 0;
  if (node->kind == SHAPE_CLOSURE || node->kind == SHAPE_PACKED_CLOSURE || node->kind == SHAPE_ENDLESS_CLOSURE) return;
  for (size_t at = PATTERN_FROM; at < node->bytes; at += 4) {
    while (next < node->edge_count &&
           at >= node->edges[next].offset + (node->edges[next].kind == EDGE_NARROW ? 4u : 8u))
      ++next;
    uint32_t data = node_pattern(node, at);
    if (next == node->edge_count || at < node->edges[next].offset) memcpy(node->image + at, &data, 4);
  }
}

static void add_edge(struct node *node, size_t offset, enum edge_kind kind) {
  size_t end = offset + (kind == EDGE_NARROW ? 4 : 8);
  if (end > node->bytes) return;
  memset(node->image + offset, 0, end - offset);
  node->edges[node->edge_count++] = (struct edge){.offset = (uint32_t)offset, .kind = (uint8_t)kind};
}

static void add_weak_edges(struct node *node) {
  bool table = node->kind == KIND_TABLE || node->kind == KIND_TABLE_HOOKED;
  size_t first = kind_is_hooked((enum kind)node->kind) ? WEAK_HOOKED_FIRST : WEAK_FIRST;
  add_edge(node, STRONG, EDGE_WIDE);
  for (size_t at = first; at + 8 <= node->bytes; at += table ? 24 : 8) {
    if (table && at + 24 > node->bytes) break;
    add_edge(node, at, table ? EDGE_KEY : EDGE_WEAK);
    if (table) add_edge(node, at + 8, EDGE_VALUE);
  }
}

static void add_own_edges(struct node *node) {
  switch (node->kind) {
    case KIND_HOOKED:
    case KIND_SURVIVOR:
      for (unsigned i = 0; i < 2; ++i) add_edge(node, hooked_offsets[i], EDGE_WIDE);
      break;
    case KIND_NARROW:
      for (unsigned i = 0; i < 2; ++i) add_edge(node, narrow_offsets[i], EDGE_NARROW);
      add_edge(node, STRONG, EDGE_WIDE); /* in the order of their offsets */
      add_edge(node, narrow_offsets[2], EDGE_NARROW);
      break;
    case KIND_NARROW_ARRAY:
      for (size_t at = 20; at + 4 <= node->bytes; at += 4) add_edge(node, at, EDGE_NARROW);
      break;
    case KIND_NARROW_RECORDS:
      for (size_t at = 16; at + 16 <= node->bytes; at += 16)
        for (unsigned i = 0; i < 2; ++i) add_edge(node, at + narrow_record_offsets[i], EDGE_NARROW);
      break;
    default:
      add_weak_edges(node);
      break;
  }
}

/* The words of own kinds, those of the library aside, which are not compared. */
static struct node *own_node(struct world *world, enum kind kind, size_t units) {
  static const size_t least[] = {40, 40, 48, 56, 64, 48, 48, 40, 24, 32};
  struct node *node = calloc(1, sizeof *node);
  node->kind = (uint8_t)kind;
  node->bytes = VARVE_ROUND(units * 8 < least[kind - SHAPE_COUNT] ? least[kind - SHAPE_COUNT] : units * 8);
  node->image = calloc(1, node->bytes);
  for (size_t i = 8; i < node->bytes; i += 8) *(uint64_t *)(node->image + i) = random_next(&world->random);
  node->edges = calloc(node->bytes / 4, sizeof *node->edges);
  add_own_edges(node);
  return node;
}

static struct node *shape_node(struct world *world, enum shadow_shape shape, size_t units) {
  struct shadow_graph graph = {.shapes = &world->run->shapes, .next_id = 0};
  size_t words = shadow_shape_fit(shape, units);
  struct shadow_node *shadow = shadow_node_new(&graph, shape, words, &world->random);
  struct node *node = calloc(1, sizeof *node);
  node->kind = (uint8_t)shape;
  node->bytes = words * 8;
  node->image = malloc(node->bytes);
  memcpy(node->image, shadow->words, node->bytes);
  node->edges = calloc(shadow->edge_count + 1, sizeof *node->edges);
  for (size_t i = 0; i < shadow->edge_count; ++i) add_edge(node, shadow->edges[i].word * 8u, EDGE_WIDE);
  shadow_graph_free(&graph);
  return node;
}

struct node *node_new(struct world *world, enum kind kind, size_t units) {
  struct node *node =
      kind < (enum kind)SHAPE_COUNT ? shape_node(world, (enum shadow_shape)kind, units) : own_node(world, kind, units);
  node->id = (uint64_t)(world->index + 1) << 40 | ++world->next_id;
  memcpy(node->image + id_offset(kind), &node->id, 8);
  set_pattern(node);
  if (kind == KIND_SURVIVOR) memset(node->image + HOOKED_SELF + 8, 0, 8);
  return node;
}

void node_free(struct node *node) {
  free(node->image);
  free(node->edges);
  free(node);
}
