/* SPDX-License-Identifier: MIT */
/* shadow.c -- what collections do, by the rules of weak.h, final.h and heap.h, said once more and simply. */
#include <stdlib.h>

#include "print.h"

/* ---- marking ---- */

static void push(struct world *world, struct node *node, unsigned mark) {
  if (!node || node->marks & mark) return;
  node->marks |= (uint8_t)mark;
  if (world->stack_depth == world->stack_room) {
    world->stack_room = world->stack_room ? world->stack_room * 2 : 1024;
    world->stack = realloc(world->stack, world->stack_room * sizeof *world->stack);
  }
  world->stack[world->stack_depth++] = node;
}

/* What may have been cleared holds nothing for sure. */
static bool keeps(const struct edge *edge, unsigned mark) {
  if (edge->kind <= EDGE_NARROW || mark == MARK_LOOSE) return true;
  if (edge->kind != EDGE_VALUE || (edge->maybe && mark & (MARK_SURE | MARK_KEPT))) return false;
  return !edge[-1].to || edge[-1].to->marks & mark;
}

static void drain(struct world *world, unsigned mark) {
  while (world->stack_depth) {
    struct node *node = world->stack[--world->stack_depth];
    for (uint32_t i = 0; i < node->edge_count; ++i)
      if (node->edges[i].to && keeps(&node->edges[i], mark)) push(world, node->edges[i].to, mark);
  }
}

/* Values of entries whose holders and keys are marked by now. */
static void fire(struct world *world, unsigned mark) {
  bool again = mark != MARK_LOOSE;
  drain(world, mark);
  while (again) {
    again = false;
    for (struct node *node = world->nodes; node; node = node->next) {
      if (!(node->marks & mark) || (node->kind != KIND_TABLE && node->kind != KIND_TABLE_HOOKED)) continue;
      for (uint32_t i = 0; i < node->edge_count; ++i)
        if (node->edges[i].kind == EDGE_VALUE && keeps(&node->edges[i], mark)) push(world, node->edges[i].to, mark);
      again |= world->stack_depth != 0;
      drain(world, mark);
    }
  }
}

static void push_places(struct world *world, unsigned mark, const struct place *except) {
  for (unsigned i = 0; i < PLACES; ++i)
    if (&world->place[i] != except) push(world, world->place[i].node, mark);
  for (unsigned i = 0; i < PINS; ++i) push(world, world->pin[i].node, mark);
  for (unsigned i = 0; i < KEPT; ++i) push(world, world->kept[i].node, mark);
  push(world, world->extra, mark);
}

static void push_immortals(struct world *world, unsigned mark) {
  for (struct node *node = world->nodes; node && world->has_immortals; node = node->next)
    if (node->immortal) push(world, node, mark);
}

static void push_queued(struct world *world, unsigned mark, enum record_state least) {
  for (struct record *r = world->records; r; r = r->next)
    if (!r->cleaner && r->state >= least) push(world, r->node, mark);
}

static void unmark(struct world *world, unsigned marks) {
  for (struct node *node = world->nodes; node; node = node->next) node->marks &= (uint8_t)~marks;
}

static void mark_kept(struct world *world, unsigned from, unsigned mark) {
  for (struct node *node = world->nodes; node; node = node->next)
    if (node->marks & from) push(world, node, mark);
  push_queued(world, mark, ATTACHED);
  fire(world, mark);
}

void shadow_mark(struct world *world, bool exact) {
  unmark(world, MARK_SURE | MARK_POSSIBLE | MARK_KEPT | MARK_MAY_KEEP);
  push_places(world, MARK_SURE, NULL);
  push_immortals(world, MARK_SURE);
  push_queued(world, MARK_SURE, QUEUED);
  fire(world, MARK_SURE);
  push_places(world, MARK_POSSIBLE, NULL);
  push_immortals(world, MARK_POSSIBLE);
  push_queued(world, MARK_POSSIBLE, MAYBE_QUEUED);
  for (struct node *node = world->nodes; node && !exact; node = node->next) push(world, node, MARK_POSSIBLE);
  fire(world, MARK_POSSIBLE);
  mark_kept(world, MARK_SURE, MARK_KEPT);
  mark_kept(world, MARK_POSSIBLE, MARK_MAY_KEEP);
}

void shadow_trace(struct world *world, const struct place *except) {
  unmark(world, MARK_TRACED);
  push_places(world, MARK_TRACED, except);
  push_queued(world, MARK_TRACED, QUEUED);
  fire(world, MARK_TRACED);
}

/* ---- what is cleared ---- */

static void clear_edge(const struct world *world, const struct node *holder, struct edge *edge) {
  say_cleared(world, holder, edge);
  *edge = (struct edge){NULL, CLEARED, edge->offset, edge->kind, false};
}

/* An edge that decides: a weak slot or a key. */
static void collect_edge(struct world *world, const struct node *holder, struct edge *edge) {
  bool before = holder->kind == KIND_BEFORE;
  unsigned possible = before && holder->marks & MARK_SURE ? MARK_POSSIBLE : MARK_MAY_KEEP;
  unsigned sure = before && holder->marks & MARK_POSSIBLE ? MARK_SURE : MARK_KEPT;
  bool entry = edge->kind == EDGE_KEY;
  if (!edge->to || edge->to->marks & sure) return;
  if (!(edge->to->marks & possible)) {
    clear_edge(world, holder, edge);
    if (entry) clear_edge(world, holder, edge + 1);
    ++world->counts.cleared;
  } else {
    edge->maybe = true;
    if (entry) edge[1].maybe = true;
  }
}

static void collect_edges(struct world *world) {
  for (struct node *node = world->nodes; node; node = node->next) {
    if (!kind_is_weak((enum kind)node->kind) || !(node->marks & MARK_MAY_KEEP)) continue;
    for (uint32_t i = 0; i < node->edge_count; ++i)
      if (node->edges[i].kind == EDGE_WEAK || node->edges[i].kind == EDGE_KEY)
        collect_edge(world, node, &node->edges[i]);
  }
}

/* ---- what is queued ---- */

static void queue(struct record *record, uint64_t number, bool sure) {
  if (record->state == QUEUED) return;
  if (record->state == ATTACHED) record->from = number;
  record->by = sure && record->state == ATTACHED ? number : 0;
  record->state = sure ? QUEUED : MAYBE_QUEUED;
}

static void collect_records(struct world *world, uint64_t number) {
  for (struct record *r = world->records; r; r = r->next) {
    if (!r->node) continue;
    if (!(r->node->marks & (r->cleaner ? MARK_MAY_KEEP : MARK_POSSIBLE))) queue(r, number, true);
    else if (!(r->node->marks & (r->cleaner ? MARK_KEPT : MARK_SURE))) queue(r, number, false);
    if (r->cleaner && r->state == QUEUED) r->node = NULL;
  }
}

/* How many are queued tells in a run of one thread whether those that may be are. */
void shadow_resolve(struct world *world, uint64_t number) {
  uint64_t sure = 0, maybe = 0, found = varve_finalizers_queued(world->run->heap);
  for (const struct record *r = world->records; r; r = r->next)
    sure += r->state == QUEUED, maybe += r->state == MAYBE_QUEUED;
  if (world->run->threads > 1) return;
  if (found < sure || found > sure + maybe)
    fail(world, "%llu finalizers are queued, and %llu should be, perhaps %llu more", (unsigned long long)found,
         (unsigned long long)sure, (unsigned long long)maybe);
  if (!maybe || (found != sure && found != sure + maybe)) return;
  for (struct record *r = world->records; r; r = r->next) {
    if (r->state != MAYBE_QUEUED) continue;
    r->state = found == sure ? ATTACHED : QUEUED;
    r->by = found == sure ? 0 : number;
    if (r->cleaner && r->state == QUEUED) r->node = NULL;
  }
}

void forget_record(struct world *world, struct record *record) {
  struct record **at = &world->records;
  while (*at != record) at = &(*at)->next;
  *at = record->next;
  free(record);
}

/* ---- the whole ---- */

static void free_unmarked(struct world *world, unsigned marks) {
  for (struct node **at = &world->nodes, *node; (node = *at);) {
    if (node->marks & marks) {
      at = &node->next;
    } else {
      *at = node->next;
      --world->node_count;
      world->bytes -= node->bytes;
      node_free(node);
    }
  }
}

static void count_survivals(struct world *world, bool exact) {
  for (struct node *node = world->nodes; node; node = node->next) {
    node->told_most += 1;
    node->told_least += exact && node->marks & MARK_SURE && !node->immortal;
  }
}

/* What was immortal may not be so any more; since which of the collections is not known. */
bool shadow_is_mortal_again(struct world *world) {
  varve_heap_stats stats;
  if (!world->has_immortals) return false;
  varve_heap_stats_get(world->run->heap, &stats);
  if (stats.bytes_immortal) return false;
  for (struct node *node = world->nodes; node; node = node->next) node->immortal = false;
  world->has_immortals = false;
  ++world->counts.mortal_again;
  return true;
}

void shadow_collected(struct world *world, uint64_t number, bool exact) {
  exact = exact && world->run->full[number % LOG_SIZE] && !world->run->searches;
  shadow_mark(world, exact);
  collect_edges(world);
  collect_records(world, number);
  count_survivals(world, exact);
  if (exact) free_unmarked(world, MARK_MAY_KEEP);
}

void shadow_sweep(struct world *world) {
  unmark(world, MARK_LOOSE);
  push_places(world, MARK_LOOSE, NULL);
  push_immortals(world, MARK_LOOSE);
  for (struct record *r = world->records; r; r = r->next) push(world, r->node, MARK_LOOSE);
  drain(world, MARK_LOOSE);
  free_unmarked(world, MARK_LOOSE);
}
