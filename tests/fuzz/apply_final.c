/* SPDX-License-Identifier: MIT */
/* apply_final.c -- operations on finalizers and cleaners. With several threads the queue is emptied only when all of
 * them have met. */
#include <stdlib.h>

#include "print.h"

static void run_record(varve_mutator *mutator, varve_object *object, void *context);

/* What stands for a record in a printed program. */
static uint64_t context_of(const struct record *record) {
  return (uint64_t)(record->world->index + 1) << 40 | record->serial;
}

void apply_finalizer(struct world *world, const struct op *op) {
  uintptr_t address;
  struct node *node = find(world, op->a, op->b, &address);
  if (!node) return;
  struct record *record = calloc(1, sizeof *record);
  *record = (struct record){.world = world,
                            .node = node,
                            .order = op->c % 5 - 2,
                            .cleaner = op->c & 64,
                            .serial = ++world->serial,
                            .next = world->records};
  SAY(world, "EXPECT(w[%u].finalizer[%llu] = varve_%s_attach(me, %s.at, %d, run_record, (void *)%#llx));", world->index,
      (unsigned long long)record->serial, record->cleaner ? "cleaner" : "finalizer", name_of(node).chars, record->order,
      (unsigned long long)context_of(record));
  record->finalizer = (record->cleaner ? varve_cleaner_attach : varve_finalizer_attach)(
      mutator_of(world), (void *)address, record->order, run_record, record);
  if (!record->finalizer) fail(world, "no memory for a finalizer");
  world->records = record;
}

void apply_detach_finalizer(struct world *world, const struct op *op) {
  struct record *record = world->records;
  for (unsigned i = op->a % 8; record && i; --i) record = record->next;
  if (!record) return;
  SAY(world, "EXPECT(varve_finalizer_detach(me, w[%u].finalizer[%llu]));", world->index,
      (unsigned long long)record->serial);
  if (!varve_finalizer_detach(mutator_of(world), record->finalizer)) fail(world, "a finalizer is not there");
  forget_record(world, record);
}

/* Is there one of the world that should have been taken before this one? */
static void check_order(const struct world *world, const struct record *taken) {
  for (const struct record *r = world->records; r; r = r->next) {
    if (r->state != QUEUED || r == taken || r->order > taken->order) continue;
    bool together = r->from == r->by && taken->from == taken->by && r->by == taken->by;
    bool first = r->order < taken->order || (r->by && r->by < taken->from) ||
                 (together && r->world == taken->world && r->serial < taken->serial);
    if (first)
      fail(world, "finalizer %llu came before %llu", (unsigned long long)taken->serial, (unsigned long long)r->serial);
  }
}

/* The object is as the shadow says, with all that it refers to. */
static void open_record(struct world *world, struct record *record, varve_object *object, unsigned kept_at) {
  if (record->world != world) fail(world, "a finalizer of another world");
  if (record->state == ATTACHED) fail(world, "a finalizer was queued whose object is alive");
  if (!record->cleaner != !!object) fail(world, "a cleaner with an object, or a finalizer without");
  check_order(world, record);
  ++world->counts.taken;
  struct node *node = record->cleaner ? NULL : record->node;
  forget_record(world, record);
  world->extra = node;
  world->extra_at = (uintptr_t)object;
  compare(world);
  say_compare(world);
  world->extra = NULL;
  if (node && kept_at < PLACES && place_is_there(world, kept_at)) place_set(world, kept_at, node, (uintptr_t)object, 0);
}

static void check_taken(const struct world *world, const varve_finalization *out) {
  const struct record *record = out->context;
  if (record->finalizer != out->finalizer || record->order != out->order || out->fn != run_record)
    fail(world, "another finalizer");
}

/* `index`: of those that one call has run; -1: none has. */
static void say_taken(const struct world *world, const struct record *record, int index) {
  struct name name = {"NULL"}, thing = {""};
  if (!world->run->print) return;
  if (!record->cleaner) name = name_of(record->node);
  if (!record->cleaner) thing.chars[0] = '&';
  if (index < 0) say(world, "take(me, %#llx, %s%s);", (unsigned long long)context_of(record), thing.chars, name.chars);
  else say(world, "has_run(%d, %#llx, %s%s);", index, (unsigned long long)context_of(record), thing.chars, name.chars);
}

bool take_one(struct world *world, unsigned kept_at) {
  varve_finalization out;
  if (!varve_finalizer_next(mutator_of(world), &out)) {
    SAY(world, "queue_is_empty(me);");
    for (const struct record *r = world->records; r; r = r->next)
      if (r->state == QUEUED) fail(world, "finalizer %llu is not in the queue", (unsigned long long)r->serial);
    return false;
  }
  check_taken(world, &out);
  say_taken(world, out.context, -1);
  open_record(world, out.context, out.object, kept_at);
  return true;
}

/* Each record's own world gets the object. Objects stay where they are: nobody reaches a safepoint. */
void take_all(struct run *run, struct world *world) {
  varve_finalization out;
  while (varve_finalizer_next(mutator_of(world), &out)) {
    struct record *record = out.context;
    check_taken(world, &out);
    say_taken(world, record, -1);
    for (unsigned i = 0; i < run->threads; ++i) check_order(&run->world[i], record);
    unsigned place = (unsigned)(record->serial * 7 % (2 * PLACES));
    open_record(record->world, record, out.object, place);
  }
  for (unsigned i = 0; i < run->threads; ++i)
    for (const struct record *r = run->world[i].records; r; r = r->next)
      if (r->state == QUEUED) fail(&run->world[i], "finalizer %llu is not in the queue", (unsigned long long)r->serial);
}

void apply_take(struct world *world, const struct op *op) {
  if (world->run->threads == 1) take_one(world, op->a % (2 * PLACES));
}

static void run_record(varve_mutator *mutator, varve_object *object, void *context) {
  struct record *record = context;
  (void)mutator;
  unsigned place = (unsigned)(record->serial * 11 % (2 * PLACES));
  say_taken(record->world, record, (int)record->world->run->ran++);
  open_record(record->world, record, object, place);
}

void apply_run_queue(struct world *world, const struct op *op) {
  if (world->run->threads > 1) return;
  size_t most = op->a % 4, queued = varve_finalizers_queued(world->run->heap);
  SAY(world, "ran_count = 0;");
  SAY(world, "varve_finalizers_run(me, %zu);", most);
  world->run->ran = 0;
  size_t done = varve_finalizers_run(mutator_of(world), most);
  if (done != (queued < most ? queued : most)) fail(world, "%zu of %zu finalizers were run", done, queued);
}
