/* SPDX-License-Identifier: MIT */
/* apply_walk.c -- questions to the heap. Where several threads run, only what is said about the own world is compared;
 * where stacks are searched, more may be met than the shadow has. */
#include <stdlib.h>
#include <string.h>

#include "print.h"

struct meeting {
  struct world *world;
  struct node *to;  /* of references */
  const void *slot; /* of the place that was asked for */
  uint64_t met;
  bool met_slot, in_step;
  varve_object *last;
  uint64_t objects[KIND_COUNT];
};

static enum kind kind_of(const struct run *run, const varve_object *object) {
  unsigned kind = 0;
  while (kind < KIND_COUNT && run->layout[kind] != varve_object_layout(object)) ++kind;
  return (enum kind)kind;
}

/* NULL: garbage, or of another world. */
static struct node *node_of(struct world *world, const varve_object *object) {
  enum kind kind = kind_of(world->run, object);
  if (kind == KIND_COUNT) fail(world, "a walk met an object of no layout");
  uint64_t id = *(const uint64_t *)((const char *)object + id_offset(kind));
  if (id >> 40 != world->index + 1) return NULL;
  for (struct node *node = world->nodes; node; node = node->next)
    if (node->id == id) return node;
  return NULL;
}

/* After a walk, which was a safepoint: what it should have met. */
static bool is_exact(const struct world *world) {
  for (const struct record *r = world->records; r; r = r->next)
    if (r->state == MAYBE_QUEUED) return false;
  for (const struct node *node = world->nodes; node; node = node->next)
    for (uint32_t i = 0; i < node->edge_count; ++i)
      if (node->edges[i].maybe) return false;
  return !world->run->searches;
}

/* Collections come before the walk and their hooks are applied after it; so the walk keeps what it met for later. */
struct list {
  uint64_t count, room;
  struct {
    uint64_t id;
    uintptr_t address;
  } * met;
  struct world *world;
};

static void note_object(void *context, varve_object *object, size_t bytes) {
  struct list *list = context;
  enum kind kind = kind_of(list->world->run, object);
  if (kind == KIND_COUNT || bytes != varve_object_bytes(object)) fail(list->world, "a walk met an object of no layout");
  if (list->count == list->room) {
    list->room = list->room ? list->room * 2 : 256;
    list->met = realloc(list->met, list->room * sizeof *list->met);
  }
  list->met[list->count].id = *(const uint64_t *)((const char *)object + id_offset(kind));
  list->met[list->count++].address = (uintptr_t)object;
}

static void check_met(struct world *world, const struct list *list, bool exact) {
  for (uint64_t i = 0; i < list->count; ++i) {
    struct node *node = node_of(world, (varve_object *)list->met[i].address);
    if (!node && world->run->threads == 1 && exact) fail(world, "a walk met what nobody knows");
    if (!node) continue;
    if (node->marks & MARK_SEEN) fail(world, "a walk met node %#llx twice", (unsigned long long)node->id);
    node->marks |= MARK_SEEN;
    if (exact && !(node->marks & MARK_TRACED))
      fail(world, "a walk met node %#llx, which is dead", (unsigned long long)node->id);
  }
  for (struct node *node = world->nodes; node; node = node->next)
    if (node->marks & MARK_TRACED && !(node->marks & MARK_SEEN) && (exact || node->marks & MARK_SURE))
      if (exact) fail(world, "a walk did not meet node %#llx", (unsigned long long)node->id);
}

void apply_walk(struct world *world, const struct op *op) {
  struct list list = {.world = world};
  (void)op;
  SAY(world, "count = 0;");
  SAY(world, "EXPECT(!varve_walk_objects(me, count_object, &count, NULL));");
  if (varve_walk_objects(mutator_of(world), note_object, &list, NULL) != VARVE_OK) fail(world, "no walk");
  settle(world);
  for (struct node *node = world->nodes; node; node = node->next) node->marks &= (uint8_t)~MARK_SEEN;
  shadow_trace(world, NULL);
  if (world->run->threads == 1 && is_exact(world)) SAY(world, "EXPECT(count == %llu);", (unsigned long long)list.count);
  check_met(world, &list, is_exact(world));
  free(list.met);
  ++world->counts.walks;
}

/* ---- references ---- */

static void meet_reference(void *context, const varve_reference *reference) {
  struct meeting *meeting = context;
  meeting->met_slot |= reference->slot == meeting->slot;
  meeting->met += reference->from != NULL;
  if (meeting->in_step && (reference->from != meeting->last || !reference->root != !!meeting->last))
    fail(meeting->world, "a step of a way does not begin where the one before ended");
  meeting->last = reference->to;
}

static uint64_t references_to(const struct world *world, const struct node *to) {
  uint64_t count = 0;
  for (const struct node *node = world->nodes; node; node = node->next) {
    if (!(node->marks & MARK_TRACED)) continue;
    for (uint32_t i = 0; i < node->edge_count; ++i) {
      const struct edge *edge = &node->edges[i];
      if (edge->to != to || edge->kind == EDGE_WEAK || edge->kind == EDGE_KEY) continue;
      count += edge->kind != EDGE_VALUE || !edge[-1].to || edge[-1].to->marks & MARK_TRACED;
    }
  }
  return count;
}

static varve_word *slot_chosen(struct world *world, unsigned choice, unsigned *place) {
  unsigned index;
  *place = choice % PLACES;
  for (unsigned i = 0; i < PLACES; ++i, *place = (*place + 1) % PLACES)
    if (world->place[*place].node && place_is_there(world, *place) && place_slot(world, *place) &&
        place_kind(*place, &index) != PLACE_UNTRACKED)
      return place_slot(world, *place);
  return NULL;
}

void apply_references(struct world *world, const struct op *op) {
  unsigned place, index;
  varve_word *slot = slot_chosen(world, op->a, &place);
  if (!slot) return;
  struct meeting meeting = {.world = world, .slot = slot};
  SAY(world, "count = 0;");
  SAY(world, "EXPECT(!varve_walk_references(me, &%s%s, count_reference, &count, NULL));",
      place_kind(place, &index) == PLACE_SLAB ? "*" : "", name_of_place(world, place).chars);
  if (varve_walk_references(mutator_of(world), slot, meet_reference, &meeting, NULL) != VARVE_OK)
    fail(world, "no walk");
  settle(world);
  shadow_trace(world, NULL);
  uint64_t count = references_to(world, world->place[place].node);
  if (is_exact(world)) SAY(world, "EXPECT(count == %llu);", (unsigned long long)count);
  if (!meeting.met_slot) fail(world, "the slot itself was not met");
  if (is_exact(world) ? meeting.met != count : meeting.met < count && !world->run->searches)
    fail(world, "%llu references were met, and %llu are there", (unsigned long long)meeting.met,
         (unsigned long long)count);
  ++world->counts.walks;
}

void apply_path(struct world *world, const struct op *op) {
  unsigned place, index;
  varve_word *slot = slot_chosen(world, op->a, &place);
  if (!slot) return;
  struct meeting meeting = {.world = world, .in_step = true};
  SAY(world, "count = 0;");
  SAY(world, "EXPECT(!varve_path_to(me, &%s%s, count_reference, &count, NULL));",
      place_kind(place, &index) == PLACE_SLAB ? "*" : "", name_of_place(world, place).chars);
  if (varve_path_to(mutator_of(world), slot, meet_reference, &meeting, NULL) != VARVE_OK) fail(world, "no way");
  settle(world);
  shadow_trace(world, &world->place[place]);
  bool alive = world->place[place].node->marks & MARK_TRACED;
  if (is_exact(world) && alive != !!meeting.last)
    fail(world, alive ? "no way was found" : "a way was found that is none");
  if (meeting.last && (uintptr_t)meeting.last != (uintptr_t)(*slot & ~(varve_word)7))
    fail(world, "a way to another object");
  ++world->counts.walks;
}

/* ---- census ---- */

static void note_row(void *context, const varve_census_row *row) {
  struct meeting *meeting = context;
  for (unsigned i = 0; i < KIND_COUNT; ++i)
    if (meeting->world->run->layout[i] == row->layout) meeting->objects[i] = row->objects;
}

void apply_census(struct world *world, const struct op *op) {
  struct meeting meeting = {.world = world};
  uint64_t objects[KIND_COUNT] = {0};
  (void)op;
  SAY(world, "count = 0;");
  SAY(world, "EXPECT(!varve_census(me, count_row, &count, NULL));");
  if (varve_census(mutator_of(world), note_row, &meeting, NULL) != VARVE_OK) fail(world, "no census");
  settle(world);
  shadow_trace(world, NULL);
  for (const struct node *node = world->nodes; node; node = node->next)
    objects[node->kind] += (node->marks & MARK_TRACED) != 0;
  bool exact = is_exact(world) && world->run->threads == 1;
  for (unsigned i = 0; i < KIND_COUNT; ++i)
    if (exact ? objects[i] != meeting.objects[i]
              : !world->run->searches && is_exact(world) && objects[i] > meeting.objects[i])
      fail(world, "%llu objects of kind %u, the census says %llu", (unsigned long long)objects[i], i,
           (unsigned long long)meeting.objects[i]);
  ++world->counts.walks;
}
