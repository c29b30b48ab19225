/* SPDX-License-Identifier: MIT */
/* apply_objects.c -- operations on objects: making them, storing into them, asking for their hashes. */
#include <stdlib.h>
#include <string.h>

#include "print.h"

#define NODES_MAX 1500u
#define REFUSED_MAX 10u
#define BYTES_MAX (2u << 20) /* with more there are no new large objects */

varve_mutator *mutator_of(const struct world *world) { return world->player->mutator; }

/* Up to three steps along edges, each chosen by some bits of the way and then the next that leads anywhere. */
struct node *find(struct world *world, unsigned place, unsigned way, uintptr_t *address) {
  place %= PLACES;
  for (unsigned i = 0; i < 8 && !world->place[place].node; ++i) place = (place + 1) % PLACES;
  struct node *node = world->place[place].node;
  if (!node) return NULL;
  SAY(world, "look(&w[%u], %u, &%s);", world->index, place, name_of(node).chars);
  varve_word word = place_load(world, place);
  unsigned index;
  *address = place_kind(place, &index) == PLACE_NARROW
                 ? (uintptr_t)varve_narrow_untag(&world->run->coding, (varve_narrow)word)
                 : (uintptr_t)(word & ~(varve_word)7);
  for (unsigned steps = way & 3; steps && node->edge_count; --steps, way >>= 4) {
    struct edge *edge = &node->edges[(way >> 2) % node->edge_count];
    for (unsigned i = 0; i < 4 && !edge->to; ++i) edge = &node->edges[((way >> 2) + i) % node->edge_count];
    if (!edge->to) break;
    if (edge->maybe) fail(world, "an edge that nobody has looked at");
    SAY(world, "step(&%s, %u, &%s);", name_of(node).chars, edge->offset, name_of(edge->to).chars);
    *address = edge->kind == EDGE_NARROW
                   ? (uintptr_t)varve_narrow_untag(&world->run->coding,
                                                   varve_load_narrow((varve_narrow *)(*address + edge->offset)))
                   : (uintptr_t)(varve_load((varve_word *)(*address + edge->offset)) & ~(varve_word)7);
    node = edge->to;
  }
  return node;
}

/* ---- stores ---- */

static varve_word tagged(const struct world *world, const struct edge *edge, uintptr_t target, unsigned choice,
                         unsigned *tag) {
  const struct run *run = world->run;
  if (edge->kind == EDGE_NARROW) {
    *tag = tag_chosen(run->narrow_tags, run->narrow_tag_count, choice);
    return varve_narrow_tag(&run->coding, (void *)target, *tag);
  }
  *tag = tag_chosen(run->slot_tags, 8, choice);
  return varve_tag((void *)target, *tag);
}

static void store_word(struct world *world, uintptr_t address, const struct edge *edge, varve_word word, bool first) {
  varve_mutator *mutator = mutator_of(world);
  void *slot = (void *)(address + edge->offset), *object = (void *)address;
  if (edge->kind == EDGE_NARROW)
    (first ? varve_init_narrow : varve_store_narrow)(mutator, object, slot, (varve_narrow)word);
  else (first ? varve_init : varve_store)(mutator, object, slot, word);
}

void slot_store(struct world *world, struct node *node, uintptr_t address, struct edge *edge, struct node *to,
                uintptr_t target, unsigned choice, bool first) {
  unsigned tag;
  varve_word word =
      edge->kind == EDGE_NARROW ? choice % world->run->narrow_tag_count : plain_word(world->run->slot_tags, choice);
  edge->word = word;
  edge->to = to;
  if (to) word = tagged(world, edge, target, choice, &tag), edge->word = tag;
  say_store(world, node, edge, first);
  store_word(world, address, edge, word, first);
}

void apply_store(struct world *world, const struct op *op) {
  uintptr_t address, target = 0;
  struct node *node = find(world, op->a, op->b, &address), *to = find(world, op->a >> 8, op->b >> 10, &target);
  if (!node || !node->edge_count || kind_is_immutable((enum kind)node->kind)) return;
  slot_store(world, node, address, &node->edges[op->c % node->edge_count], to, target, op->c >> 3, false);
}

void apply_store_plain(struct world *world, const struct op *op) {
  uintptr_t address;
  struct node *node = find(world, op->a, op->b, &address);
  if (!node || !node->edge_count || kind_is_immutable((enum kind)node->kind)) return;
  slot_store(world, node, address, &node->edges[op->c % node->edge_count], NULL, 0, op->c >> 6, false);
}

/* The wide slots without gaps from one edge on; at most `most`. */
static uint32_t run_of(const struct node *node, uint32_t from, uint32_t most) {
  uint32_t count = 0;
  while (from + count < node->edge_count && count < most && node->edges[from + count].kind == EDGE_WIDE &&
         node->edges[from + count].offset == node->edges[from].offset + 8 * count)
    ++count;
  return count;
}

/* From one object's slots to another's, or within one. */
void apply_store_bulk(struct world *world, const struct op *op) {
  uintptr_t to_at, from_at;
  struct node *to = find(world, op->a, op->b, &to_at), *from = find(world, op->a >> 8, op->b >> 10, &from_at);
  if (!to || !from || !to->edge_count || !from->edge_count || kind_is_immutable((enum kind)to->kind)) return;
  uint32_t at = (op->c & 255) % to->edge_count, source = (op->c >> 8) % from->edge_count;
  uint32_t count = run_of(to, at, run_of(from, source, 64));
  struct edge copy[64];
  if (!count) return;
  SAY(world, "store_bulk(me, &%s, %u, &%s, %u, %u);", name_of(to).chars, to->edges[at].offset, name_of(from).chars,
      from->edges[source].offset, count);
  varve_store_bulk(mutator_of(world), (void *)to_at, (varve_word *)(to_at + to->edges[at].offset),
                   (const varve_word *)(from_at + from->edges[source].offset), count);
  memcpy(copy, from->edges + source, count * sizeof *copy);
  for (uint32_t i = 0; i < count; ++i) to->edges[at + i].to = copy[i].to, to->edges[at + i].word = copy[i].word;
}

/* ---- new ---- */

static enum kind chosen_kind(const struct world *world, unsigned choice) {
  unsigned kinds = world->run->narrow ? KIND_COUNT : KIND_NARROW;
  unsigned own = SHAPE_COUNT; /* half of them, for there are more of the others */
  return (enum kind)(choice & 1 ? own + (choice >> 1) % (kinds - own) : (choice >> 1) % kinds);
}

static size_t chosen_units(struct world *world, unsigned choice) {
  unsigned most = choice % 256;
  if (most == 255 && world->bytes < BYTES_MAX) return 16500 + choice / 256 * 40; /* large */
  if (most > 247 && world->bytes < BYTES_MAX) return 257 + choice * 3u % 4000;   /* medium */
  return most > 180 ? 20 + choice % 230 : 4 + choice / 256 % 12;
}

static void drop_some(struct world *world, unsigned choice) {
  for (unsigned i = 0; i < PLACES; ++i)
    if ((i + choice) % 4 == 0 && place_is_there(world, i)) place_clear(world, i, 0);
}

static varve_object *allocate(struct world *world, varve_layout layout, size_t bytes, bool zeroed) {
  varve_mutator *mutator = mutator_of(world);
  varve_object *object = zeroed ? varve_alloc(mutator, layout, bytes) : varve_alloc_uninit(mutator, layout, bytes);
  if (object) return object;
  if (varve_mutator_status(mutator) != VARVE_HEAP_FULL || !world->run->small)
    fail(world, "no memory for %zu bytes", bytes);
  ++world->counts.failed;
  ++world->refused;
  return NULL;
}

static void write_object(struct world *world, const struct node *node, varve_object *object, bool zeroed) {
  uintptr_t address = (uintptr_t)object;
  memcpy((char *)object + 8, node->image + 8, node->bytes - 8);
  if (kind_is_hooked((enum kind)node->kind)) memcpy((char *)object + self_offset((enum kind)node->kind), &address, 8);
  for (uint32_t i = 0; i < node->edge_count; ++i)
    if (!zeroed || node->edges[i].kind == EDGE_NARROW) store_word(world, address, &node->edges[i], 0, true);
}

/* Slots refer to what places hold; there has been no safepoint since the object is there. */
static void link_new(struct world *world, struct node *node, varve_object *object, unsigned choice) {
  uintptr_t target;
  for (uint32_t i = 0; i < node->edge_count && i < 12; ++i) {
    unsigned turn = choice * 31 + i * 7;
    struct node *to = turn % 3 == 0 ? NULL : find(world, turn >> 2, 0, &target);
    if (to) slot_store(world, node, (uintptr_t)object, &node->edges[i], to, target, turn, true);
  }
}

/* @return NULL: the heap is full, and many places were cleared. */
static struct node *make(struct world *world, enum kind kind, size_t units, unsigned choice, uintptr_t *address) {
  uint64_t most = world->run->often ? NODES_MAX / 4 : world->run->small ? NODES_MAX * 3 : NODES_MAX;
  if (world->node_count > most || (!world->run->small && world->bytes > world->run->heap_max / 8))
    drop_some(world, choice);
  struct node *node = node_new(world, kind, units);
  say_thing(world, node);
  SAY(world, "%s.at = %s(me, *%s.layout, %zu);", name_of(node).chars, choice & 1 ? "varve_alloc" : "varve_alloc_uninit",
      name_of(node).chars, node->bytes);
  varve_object *object = allocate(world, world->run->layout[kind], node->bytes, choice & 1);
  SAY(world, "allocated(%s.at, %d);", name_of(node).chars, object != NULL);
  settle(world);
  if (!object) {
    node_free(node);
    drop_some(world, choice);
    return NULL;
  }
  SAY(world, "thing_write(me, &%s, %u);", name_of(node).chars, choice & 1);
  write_object(world, node, object, choice & 1);
  node->next = world->nodes;
  world->nodes = node;
  ++world->node_count;
  world->bytes += node->bytes;
  *address = (uintptr_t)object;
  return node;
}

/* A heap full of what is immortal is given up until all meet. */
static bool is_full(const struct world *world) { return world->refused > REFUSED_MAX; }

void apply_new(struct world *world, const struct op *op) {
  uintptr_t address;
  if (is_full(world)) return;
  struct node *node = make(world, chosen_kind(world, op->a), chosen_units(world, op->b), op->c, &address);
  if (!node) return;
  link_new(world, node, (varve_object *)address, op->c);
  unsigned place = (op->a >> 8) % PLACES;
  while (!place_is_there(world, place)) place = (place + 1) % PLACES;
  place_set(world, place, node, address, op->c >> 4);
}

/* Give a load's next object to what holds the others: the chain, whose links are first slots, which are strong, or an
 * array. */
static void hold(struct world *world, unsigned place, bool chain, struct node *node, uintptr_t address, unsigned i) {
  struct node *holder = world->place[place].node;
  if (holder) SAY(world, "look(&w[%u], %u, &%s);", world->index, place, name_of(holder).chars);
  uintptr_t holder_at = (uintptr_t)(place_load(world, place) & ~(varve_word)7);
  if (chain) {
    slot_store(world, node, address, &node->edges[0], holder, holder_at, i, true);
    place_set(world, place, node, address, 0);
  } else if (holder) {
    slot_store(world, holder, holder_at, &holder->edges[i * 37 % holder->edge_count], node, address, i, false);
  }
}

/* An array that a load is put into; sometimes it is large. */
static bool make_holder(struct world *world, const struct op *op, unsigned place) {
  uintptr_t address;
  enum kind kind = world->run->narrow && op->c & 64 ? KIND_NARROW_ARRAY : (enum kind)SHAPE_ARRAY;
  unsigned turn = kind == KIND_NARROW_ARRAY ? 2 : 10;
  bool large = op->c % turn == 0 && !world->run->often && world->bytes < BYTES_MAX;
  struct node *node = make(world, kind, large ? 17000 : 20 + op->c % 600, op->c, &address);
  if (node) place_set(world, place, node, address, 0);
  return node != NULL;
}

static unsigned wide_place(struct world *world, unsigned choice) {
  unsigned place = choice % PLACES;
  while (!place_is_there(world, place) || !place_slot(world, place)) place = (place + 1) % PLACES;
  return place;
}

/* Many objects in a chain or an array, some of which have hashes. */
void apply_load(struct world *world, const struct op *op) {
  static const uint8_t kinds[] = {SHAPE_PAIR,   KIND_HOOKED, KIND_BEFORE, KIND_TABLE, SHAPE_ARRAY, KIND_SURVIVOR,
                                  SHAPE_FROZEN, KIND_AFTER,  SHAPE_DATA,  SHAPE_DATA, SHAPE_DATA};
  unsigned most = world->run->often ? 30 : world->run->small ? 1200 : 250;
  unsigned count = 10 + op->c % most, place = wide_place(world, op->a >> 8);
  enum kind kind = (enum kind)kinds[op->a % sizeof kinds];
  size_t units = world->run->small ? 30 + op->b % 220u : op->b % 8 == 0 ? 200 : 4 + op->b % 60u;
  bool chain = op->b & 64 && kind != (enum kind)SHAPE_DATA;
  if (is_full(world)) return;
  place_clear(world, place, 0);
  if (!chain && !make_holder(world, op, place)) return;
  for (unsigned i = 0; i < count; ++i) {
    uintptr_t address;
    struct node *node = make(world, kind, units, op->c + i, &address);
    if (!node) return;
    if (i % 8 == op->a % 8) link_new(world, node, (varve_object *)address, op->c + i);
    hold(world, place, chain, node, address, i);
    if (i % 32 == op->b % 64)
      SAY(world, "%s.hash = varve_identity_hash(me, %s.at);", name_of(node).chars, name_of(node).chars);
    if (i % 32 == op->b % 64) node->hash = varve_identity_hash(mutator_of(world), (void *)address);
  }
}

static uintptr_t address_in(const struct world *world, unsigned place) { /* of wide words */
  return (uintptr_t)(place_load(world, place) & ~(varve_word)7);
}

/* A table in one place whose entries are links of a chain: each value is the next one's key, and only the first key is
 * in a place, too. Entries stand in another order than the chain; every eighth object of it is a table, too. */
void apply_entries(struct world *world, const struct op *op) {
  unsigned count = 3 + op->c % (world->run->often ? 12 : 60), table = wide_place(world, op->a),
           first = wide_place(world, op->a >> 8);
  uintptr_t address;
  if (is_full(world) || table == first) return;
  struct node *node = make(world, op->b & 1 ? KIND_TABLE : KIND_TABLE_HOOKED, 6 + 3 * (count + 1), op->c, &address);
  if (!node) return;
  place_set(world, table, node, address, 0);
  for (unsigned i = 0; i < count; ++i) {
    node = make(world, i % 8 == 7 ? KIND_TABLE : i % 2 ? KIND_HOOKED : (enum kind)SHAPE_PAIR, 4, op->c, &address);
    struct node *holder = world->place[table].node;
    if (!node || !holder || (holder->kind != KIND_TABLE && holder->kind != KIND_TABLE_HOOKED)) return;
    SAY(world, "look(&w[%u], %u, &%s);", world->index, table, name_of(holder).chars);
    struct edge *edges = holder->edges + 1, *key = &edges[(i * 7 + op->b) % count * 2];
    if (i == 0) place_set(world, first, node, address, 0);
    else
      slot_store(world, holder, address_in(world, table), &edges[((i - 1) * 7 + op->b) % count * 2 + 1], node, address,
                 i, false);
    slot_store(world, holder, address_in(world, table), key, node, address, i, false);
  }
}

/* Objects that nothing ever refers to. */
void apply_garbage(struct world *world, const struct op *op) {
  for (unsigned i = op->a % (world->run->often ? 16 : 256); i && !is_full(world); --i) {
    size_t most = op->b & 64 ? 2000 : 256, bytes = 16 + (op->b + i * op->c) % most;
    if (op->b % 64 == 0) bytes = 2100u + op->c % 30000u;
    SAY(world, "allocated(varve_alloc(me, layout_data, %zu), 1);", bytes);
    varve_object *object = allocate(world, world->run->layout[SHAPE_DATA], bytes, true);
    settle(world);
    if (object && op->b & 128 && !varve_identity_hash(mutator_of(world), object)) fail(world, "no hash");
  }
}

/* ---- other things that objects have ---- */

void apply_host_byte(struct world *world, const struct op *op) {
  uintptr_t address;
  struct node *node = find(world, op->a, op->b, &address);
  if (!node) return;
  SAY(world, "varve_set_host_byte(%s.at, %s.host_byte = %u);", name_of(node).chars, name_of(node).chars, op->c & 255);
  node->host_byte = (uint8_t)op->c;
  varve_set_host_byte((varve_object *)address, node->host_byte);
}

void apply_hash(struct world *world, const struct op *op) {
  uintptr_t address;
  struct node *node = find(world, op->a, op->b, &address);
  if (!node) return;
  SAY(world, "%s.hash = varve_identity_hash(me, %s.at);", name_of(node).chars, name_of(node).chars);
  uint64_t hash = varve_identity_hash(mutator_of(world), (void *)address);
  if (!hash || (node->hash && node->hash != hash)) fail(world, "an identity hash has changed");
  for (const struct node *n = world->nodes; n && !node->hash; n = n->next)
    if (n->hash == hash) fail(world, "two objects have one hash");
  node->hash = hash;
}
