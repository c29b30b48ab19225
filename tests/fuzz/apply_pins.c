/* SPDX-License-Identifier: MIT */
/* apply_pins.c -- operations on what stays in place, and on the thread that holds it. */
#include <stdlib.h>

#include "print.h"

static void require(const struct world *world, bool sound, const char *what) {
  if (!sound) fail(world, "%s", what);
}

void apply_pin(struct world *world, const struct op *op) {
  struct pin *pin = &world->pin[op->c % PINS];
  uintptr_t address = pin->address;
  struct node *node = pin->node ? pin->node : find(world, op->a, op->b, &address);
  if (!node) return;
  SAY(world, "EXPECT(!varve_pin(me, %s.at));", name_of(node).chars);
  require(world, varve_pin(mutator_of(world), (void *)address) == VARVE_OK, "a pin was refused");
  *pin = (struct pin){node, address, pin->count + 1};
}

static void unpin(struct world *world, struct pin *pin) {
  SAY(world, "is_there(&%s, %s.at);", name_of(pin->node).chars, name_of(pin->node).chars);
  SAY(world, "EXPECT(!varve_unpin(me, %s.at));", name_of(pin->node).chars);
  require(world, varve_unpin(mutator_of(world), (void *)pin->address) == VARVE_OK, "an unpin was refused");
  if (--pin->count == 0) *pin = (struct pin){0};
}

/* Half of the time what was pinned goes to a place. */
void apply_unpin(struct world *world, const struct op *op) {
  struct pin *pin = &world->pin[op->c % PINS];
  unsigned place = op->a % PLACES;
  if (!pin->node) return;
  if (op->b & 1 && place_is_there(world, place)) place_set(world, place, pin->node, pin->address, op->b >> 1);
  unpin(world, pin);
}

void apply_keep(struct world *world, const struct op *op) {
  unsigned i = op->c % KEPT;
  uintptr_t address;
  struct node *node = find(world, op->a, op->b, &address);
  if (!node || !world->player->searched) return;
  world->kept[i] = (struct kept){node, op->c / KEPT % node->bytes};
  SAY(world, "kept[%u] = (uintptr_t)%s.at + %zu;", i, name_of(node).chars, (size_t)world->kept[i].within);
  world->player->kept[i] = address + world->kept[i].within;
}

static void let_go(struct world *world, unsigned i) {
  SAY(world, "kept[%u] = 0;", i);
  world->kept[i] = (struct kept){0};
  world->player->kept[i] = 0;
}

void apply_let_go(struct world *world, const struct op *op) {
  unsigned i = op->c % KEPT, place = op->a % PLACES;
  const struct kept *kept = &world->kept[i];
  if (!kept->node) return;
  uintptr_t address = world->player->kept[i] - kept->within;
  SAY(world, "is_there(&%s, (void *)(kept[%u] - %zu));", name_of(kept->node).chars, i, (size_t)kept->within);
  if (op->b & 1 && place_is_there(world, place)) place_set(world, place, kept->node, address, op->b >> 1);
  let_go(world, i);
}

void let_all_go(struct world *world) {
  for (unsigned i = 0; i < KEPT; ++i) let_go(world, i);
  for (unsigned i = 0; i < PINS; ++i)
    while (world->pin[i].node) unpin(world, &world->pin[i]);
}

void apply_resolve(struct world *world, const struct op *op) {
  uintptr_t address;
  struct node *node = find(world, op->a, op->b, &address);
  if (node)
    SAY(world, "EXPECT(varve_object_of(me, (uintptr_t)%s.at + %zu) == %s.at);", name_of(node).chars,
        op->c % node->bytes, name_of(node).chars);
  if (node)
    require(world, varve_object_of(mutator_of(world), address + op->c % node->bytes) == (void *)address,
            "an address within an object leads elsewhere");
}

/* ---- threads ---- */

/* Pinned objects may be read meanwhile. */
static void look_at_pins(void *context) {
  struct world *world = context;
  for (unsigned i = 0; i < PINS; ++i) {
    const struct pin *pin = &world->pin[i];
    if (pin->node)
      require(world, *(uint64_t *)(pin->address + id_offset((enum kind)pin->node->kind)) == pin->node->id,
              "a pinned object has moved");
  }
}

void apply_native(struct world *world, const struct op *op) {
  varve_mutator *mutator = mutator_of(world);
  if (op->a & 1) {
    SAY(world, "EXPECT(!varve_native_call(me, nothing, NULL));");
    require(world, varve_native_call(mutator, look_at_pins, world) == VARVE_OK, "native call");
  } else {
    SAY(world, "EXPECT(!varve_native_enter(me));");
    SAY(world, "EXPECT(!varve_native_leave(me));");
    require(world, varve_native_enter(mutator) == VARVE_OK, "native enter");
    look_at_pins(world);
    require(world, varve_native_leave(mutator) == VARVE_OK, "native leave");
  }
  settle(world);
}

/* Another mutator for the same thread. What only the stack holds goes. */
void apply_attach(struct world *world, const struct op *op) {
  struct player *player = world->player;
  (void)op;
  for (unsigned i = 0; i < KEPT; ++i) let_go(world, i);
  SAY(world, "varve_slab_cursor_close(&cursor);");
  varve_slab_cursor_close(&player->cursor);
  places_park(world);
  SAY(world, "EXPECT(!varve_detach(me));");
  SAY(world, "EXPECT(!varve_attach(heap, \"again\", &me, NULL));");
  require(world, varve_detach(player->mutator) == VARVE_OK, "detach");
  require(world, varve_attach(world->run->heap, "again", &player->mutator, NULL) == VARVE_OK, "attach");
  player->searched = world->run->all_searched;
  places_unpark(world);
  SAY(world, "varve_slab_cursor_open(&cursor, slab);");
  varve_slab_cursor_open(&player->cursor, world->run->slab);
  settle(world);
}

void apply_searched(struct world *world, const struct op *op) {
  varve_error error = {0};
  (void)op;
  if (!world->run->searches) return;
  SAY(world, "EXPECT(!varve_mutator_conservative(me, NULL, NULL, NULL));");
  if (varve_mutator_conservative(mutator_of(world), NULL, NULL, &error) != VARVE_OK) fail(world, "%s", error.detail);
  world->player->searched = true;
}
