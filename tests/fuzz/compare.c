/* SPDX-License-Identifier: MIT */
/* compare.c -- the heap and the shadow, side by side: everything that operations can come to, by weak slots too. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"

void fail(const struct world *world, const char *format, ...) {
  char options[512];
  const struct run *run = world->run;
  size_t at = world->player ? world->player->op : 0;
  struct op op = program_op(run->program, at);
  va_list list;
  if (world->player && world->player->mutator) say_compare(world);
  va_start(list, format);
  fputs("fuzz: ", stderr);
  vfprintf(stderr, format, list);
  va_end(list);
  program_options(run->program, options, sizeof options);
  fprintf(stderr,
          "\n  seed %" PRIu64 ", world %u, operation %zu of %zu: %s %u %u %u, %u threads, %" PRIu64
          " collections\n  options %s%s%s\n",
          run->seed, world->index, at, program_ops(run->program), op_name(op.code), op.a, op.b, op.c, run->threads,
          (uint64_t)run->collections, options, *run->more_options ? "," : "", run->more_options);
  abort();
}

static void check_identity(struct world *world, const struct node *node, uintptr_t address, const char *where) {
  const varve_object *object = (const varve_object *)address;
  const char *wrong = NULL;
  if (address % 8 || !varve_heap_contains(world->run->heap, object)) wrong = "no object";
  else if (varve_object_layout(object) != world->run->layout[node->kind]) wrong = "another layout";
  else if (varve_object_bytes(object) != node->bytes) wrong = "another size";
  else if (*(const uint64_t *)(address + id_offset((enum kind)node->kind)) != node->id) wrong = "another object";
  if (wrong)
    fail(world, "%s: %s at %#zx, expected node %#" PRIx64 " of kind %u", where, wrong, (size_t)address, node->id,
         node->kind);
}

/* The address that a word leads to, which must refer to the node. */
static uintptr_t check_word(struct world *world, varve_word found, const struct node *to, varve_word word, bool narrow,
                            const char *where) {
  uintptr_t address = (uintptr_t)(found & ~(varve_word)7);
  varve_word tag = found & 7;
  if (narrow) {
    tag = varve_narrow_tag_of(&world->run->coding, (varve_narrow)found);
    address = (uintptr_t)varve_narrow_untag(&world->run->coding, (varve_narrow)found);
  }
  if (!to && found == word) return 0;
  if (!to) fail(world, "%s: %#" PRIx64 ", expected the word %#" PRIx64, where, found, word);
  if (found == CLEARED) fail(world, "%s: cleared, expected node %#" PRIx64 " of kind %u", where, to->id, to->kind);
  if (tag != word) fail(world, "%s: %#" PRIx64 ", expected a reference with tag %u", where, found, (unsigned)word);
  check_identity(world, to, address, where);
  return address;
}

static varve_word edge_load(const struct edge *edge, uintptr_t address) {
  if (edge->kind == EDGE_NARROW) return varve_load_narrow((const varve_narrow *)(address + edge->offset));
  return varve_load((const varve_word *)(address + edge->offset));
}

/* What may have been cleared: was it? */
static void settle_edge(struct world *world, const struct node *node, struct edge *edge, uintptr_t address) {
  bool cleared = edge_load(edge, address) == CLEARED;
  size_t count = edge->kind == EDGE_KEY ? 2 : 1;
  for (size_t i = 0; i < count; ++i) {
    edge[i].maybe = false;
    if (!cleared) continue;
    edge[i].to = NULL;
    edge[i].word = CLEARED;
    say_cleared(world, node, &edge[i]);
  }
  world->counts.cleared += cleared;
}

static bool is_right(const struct world *world, const struct edge *edge, varve_word found) {
  const struct node *to = edge->to;
  if (!to) return found == edge->word;
  if (edge->kind == EDGE_NARROW || (found & 7) != edge->word) return false;
  uintptr_t address = (uintptr_t)(found & ~(varve_word)7);
  return varve_heap_contains(world->run->heap, (const void *)address) &&
         varve_object_layout((const varve_object *)address) == world->run->layout[to->kind] &&
         varve_object_bytes((const varve_object *)address) == to->bytes &&
         *(const uint64_t *)(address + id_offset((enum kind)to->kind)) == to->id;
}

static void compare_edge(struct world *world, struct node *node, struct edge *edge, uintptr_t address) {
  char where[96];
  if (edge->maybe && edge->kind != EDGE_VALUE) settle_edge(world, node, edge, address);
  varve_word found = edge_load(edge, address);
  if (is_right(world, edge, found)) return; /* nearly always, without a text */
  snprintf(where, sizeof where, "slot at %u of node %#" PRIx64 " (kind %u, %#zx)", edge->offset, node->id, node->kind,
           (size_t)address);
  check_word(world, found, edge->to, edge->word, edge->kind == EDGE_NARROW, where);
}

static bool is_library_word(const struct node *node, size_t offset, uint32_t next_edge) {
  if (kind_is_weak((enum kind)node->kind) && offset == 8) return true;
  return next_edge && node->edges[next_edge - 1].kind == EDGE_VALUE && offset == node->edges[next_edge - 1].offset + 8u;
}

static void compare_self(struct world *world, const struct node *node, uintptr_t address) {
  const uint64_t *self = (const uint64_t *)(address + self_offset((enum kind)node->kind));
  if (*self != address) fail(world, "node %#" PRIx64 " was not told that it is at %#zx", node->id, (size_t)address);
  if (node->kind == KIND_SURVIVOR && (self[1] < node->told_least || self[1] > node->told_most))
    fail(world, "node %#" PRIx64 " was told %" PRIu64 " times that it survived, which it did %u to %u times", node->id,
         self[1], node->told_least, node->told_most);
}

static bool is_self(const struct node *node, size_t offset) {
  size_t self = self_offset((enum kind)node->kind);
  return self && (offset == self || (node->kind == KIND_SURVIVOR && offset == self + 8));
}

/* Between the edges, which are in the order of their offsets. */
static void compare_data(struct world *world, const struct node *node, uintptr_t address) {
  uint32_t next = 0;
  size_t offset = 8;
  while (offset < node->bytes) {
    if (next < node->edge_count && node->edges[next].offset == offset) {
      offset += node->edges[next++].kind == EDGE_NARROW ? 4 : 8;
      continue;
    }
    size_t end = next < node->edge_count ? node->edges[next].offset : node->bytes;
    if (end > offset && memcmp((const void *)(address + offset), node->image + offset, end - offset) == 0) {
      offset = end;
      continue;
    }
    bool narrow = node->kind >= KIND_NARROW;
    size_t step = narrow || offset % 8 ? 4 : 8;
    if (!is_library_word(node, offset, next) && !is_self(node, offset) &&
        memcmp((const void *)(address + offset), node->image + offset, step) != 0)
      fail(world, "data at %zu of node %#" PRIx64 " (kind %u)", offset, node->id, node->kind);
    offset += step;
  }
}

void compare_node(struct world *world, struct node *node, uintptr_t address) {
  check_identity(world, node, address, "object");
  if (varve_host_byte((const varve_object *)address) != node->host_byte)
    fail(world, "host byte of %#" PRIx64, node->id);
  for (uint32_t i = 0; i < node->edge_count; ++i) compare_edge(world, node, &node->edges[i], address);
  compare_data(world, node, address);
  if (kind_is_hooked((enum kind)node->kind)) compare_self(world, node, address);
  if (node->hash && varve_identity_hash(mutator_of(world), (void *)address) != node->hash)
    fail(world, "another identity hash, node %#" PRIx64, node->id);
}

/* ---- the whole ---- */

static void meet(struct world *world, struct node *node, uintptr_t address) {
  if (!node) return;
  if (node->marks & MARK_SEEN) {
    if (node->address != address) fail(world, "node %#" PRIx64 " is at two places", node->id);
    return;
  }
  node->marks |= MARK_SEEN;
  node->address = address;
  if (world->stack_depth == world->stack_room) {
    world->stack_room = world->stack_room ? world->stack_room * 2 : 1024;
    world->stack = realloc(world->stack, world->stack_room * sizeof *world->stack);
  }
  world->stack[world->stack_depth++] = node;
}

static void meet_place(struct world *world, unsigned place) {
  unsigned i;
  char where[40];
  enum place_kind kind = place_kind(place, &i);
  if (!place_is_there(world, place)) return;
  snprintf(where, sizeof where, "place %u (kind %u)", place, kind);
  if (kind == PLACE_PINNED && !world->parked && world->place[place].node &&
      (uintptr_t)(place_load(world, place) & ~(varve_word)7) != world->held[i])
    fail(world, "%s: pinned, and has moved", where);
  meet(world, world->place[place].node,
       check_word(world, place_load(world, place), world->place[place].node, world->place[place].word,
                  kind == PLACE_NARROW, where));
}

static void meet_pins(struct world *world) {
  for (unsigned i = 0; i < PINS; ++i) {
    if (!world->pin[i].node) continue;
    check_identity(world, world->pin[i].node, world->pin[i].address, "pinned");
    meet(world, world->pin[i].node, world->pin[i].address);
  }
  for (unsigned i = 0; i < KEPT; ++i) {
    if (!world->kept[i].node) continue;
    uintptr_t address = world->player->kept[i] - world->kept[i].within;
    check_identity(world, world->kept[i].node, address, "on the stack");
    meet(world, world->kept[i].node, address);
  }
}

static uintptr_t target_of(const struct world *world, const struct edge *edge, uintptr_t address) {
  varve_word word = edge_load(edge, address);
  if (edge->kind == EDGE_NARROW) return (uintptr_t)varve_narrow_untag(&world->run->coding, (varve_narrow)word);
  return (uintptr_t)(word & ~(varve_word)7);
}

void compare(struct world *world) {
  for (struct node *node = world->nodes; node; node = node->next) node->marks &= (uint8_t)~MARK_SEEN;
  for (unsigned i = 0; i < PLACES; ++i) meet_place(world, i);
  meet_pins(world);
  meet(world, world->extra, world->extra_at);
  while (world->stack_depth) {
    struct node *node = world->stack[--world->stack_depth];
    compare_node(world, node, node->address);
    for (uint32_t i = 0; i < node->edge_count; ++i)
      if (node->edges[i].to) meet(world, node->edges[i].to, target_of(world, &node->edges[i], node->address));
  }
  for (unsigned i = 0; i < DERIVED && !world->parked; ++i)
    if (world->derived[i] != (uintptr_t)(world->frame.slot[i] & ~(varve_word)7) + world->distance[i])
      fail(world, "derived address %u is lost", i);
  if (world->run->wrong) fail(world, "a hook was told something wrong");
  shadow_sweep(world);
  ++world->counts.compared;
}

/* An exact collection of a world that is alone leaves what the shadow has, and not a byte more. */
static void compare_size(const struct world *world, bool exact) {
  const struct run *run = world->run;
  uint64_t live = run->live[world->seen % LOG_SIZE];
  if (!exact || !run->full[world->seen % LOG_SIZE] || run->searches || run->threads > 1 || world->has_immortals) return;
  if (!(program_contents(run->program) & 1) && live != world->bytes)
    fail(world, "%" PRIu64 " bytes are alive, and %" PRIu64 " should be", live, world->bytes);
}

void settle(struct world *world) {
  uint64_t now = world->run->collections;
  if (world->seen == now && world->run->threads > 1) SAY(world, "settle(me, &w[%u]);", world->index);
  if (world->seen == now) return;
  if (now - world->seen > LOG_SIZE) fail(world, "too many collections between two safepoints");
  bool exact = !shadow_is_mortal_again(world);
  while (world->seen < now) shadow_collected(world, ++world->seen, exact);
  compare_size(world, exact);
  shadow_resolve(world, now);
  compare(world);
  SAY(world, "settle(me, &w[%u]);", world->index);
}
