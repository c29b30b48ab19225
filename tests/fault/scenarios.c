/* SPDX-License-Identifier: MIT */
/* scenarios.c -- what a heap is put through while calls to the system fail; see bed.h. A scenario makes a heap, uses
 * one part of the library, and ends the heap. It is run many times, so it takes some milliseconds. */
#define _GNU_SOURCE 1
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault/bed.h"

#define SMALL_HEAP "heap-max=8m,heap-initial=2m,parallel-min=1t,mark-segments=64"
#define METADATA ONLY(VARVE_METADATA)

static void use(struct bed *bed) {
  bed_grow(bed, 0, 100, 200, true);
  bed_collect(bed);
  bed_grow(bed, 1, 100, 200, true);
  bed_check(bed);
}

static void run_with(const char *options) {
  struct bed bed;
  if (!bed_open(&bed, options)) return;
  use(&bed);
  bed_close(&bed);
}

/* ---- creation ------------------------------------------------------------------------------------------------ */

static void create(void) {
  machine(-1);
  run_with("heap-max=64m");
}

static void create_plain(void) { run_with(SMALL_HEAP ",ages=0,granule=8,smt=1"); }
static void create_narrow(void) { run_with("heap-max=16m,narrow=1,huge-pages=off"); }
static void create_searched(void) { run_with(SMALL_HEAP ",conservative-roots=1"); }
static void create_locked(void) { run_with(SMALL_HEAP ",lock-memory=1"); }
static void create_explicit(void) { run_with(SMALL_HEAP ",huge-pages=explicit"); }

static void create_pooled(void) {
  machine_pool(true);
  run_with("heap-max=16m,heap-initial=4m,give-back=1,huge-pages=explicit");
  machine_pool(false);
}

static void create_parallel(void) { run_with("heap-max=256m,heap-initial=130m,workers=2,huge-pages=off"); }

static void on_nodes(int policy, unsigned astray) {
  machine(policy);
  machine_astray(astray);
  run_with("heap-max=24m,heap-initial=8m,workers=2,parallel-min=0");
  machine(-1);
}

static void nodes_local(void) { on_nodes(0, 4); }
static void nodes_preferred(void) { on_nodes(1, 0); }
static void nodes_bound(void) { on_nodes(2, 2); }
static void nodes_interleaved(void) { on_nodes(3, 4); }

/* ---- threads ------------------------------------------------------------------------------------------------- */

/* One thread, many mutators: all but one are native. */
static void mutators(void) {
  struct bed bed;
  varve_mutator *more[80];
  unsigned count = 0;
  if (!bed_open(&bed, SMALL_HEAP)) return;
  for (unsigned i = 0; i < 80; ++i) {
    MUST(varve_native_enter(bed.me) == VARVE_OK);
    if (MAY_FAIL(&bed, METADATA, varve_mutator_attach(bed.heap, NULL, 8, &more[count], error)))
      MUST(varve_native_enter(more[count++]) == VARVE_OK);
    MUST(varve_native_leave(bed.me) == VARVE_OK);
  }
  use(&bed);
  while (count) MUST(varve_detach(more[--count]) == VARVE_OK);
  bed_close(&bed);
}

struct team {
  struct bed *bed;
  pthread_t thread;
  bool started;
};

/* Another thread's life: it attaches, allocates, collects, detaches. */
static void *member(void *argument) {
  struct team *self = argument;
  struct bed mine = {.heap = self->bed->heap, .cell = self->bed->cell, .data = self->bed->data};
  if (!MAY_FAIL(&mine, METADATA, varve_mutator_attach(mine.heap, "member", 8, &mine.me, error))) return NULL;
  varve_frame_push(mine.me, &mine.frame.head, sizeof mine.frame.list / 8 + sizeof mine.frame.scratch / 8);
  for (unsigned round = 0; round < 4; ++round) {
    bed_drop(&mine, round % 2);
    bed_grow(&mine, round % 2, 100, 3000, true);
    if (round == 1) bed_collect(&mine);
    bed_check(&mine);
  }
  varve_frame_pop(mine.me, &mine.frame.head);
  MUST(varve_detach(mine.me) == VARVE_OK);
  return NULL;
}

int __real_pthread_create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
int __real_pthread_join(pthread_t, void **);

static void with_team(const char *options) {
  struct bed bed;
  struct team team[3];
  if (!bed_open(&bed, options)) return;
  for (unsigned i = 0; i < 3; ++i) {
    team[i].bed = &bed;
    team[i].started = __real_pthread_create(&team[i].thread, NULL, member, &team[i]) == 0;
  }
  use(&bed);
  MUST(varve_native_enter(bed.me) == VARVE_OK);
  for (unsigned i = 0; i < 3; ++i)
    if (team[i].started) __real_pthread_join(team[i].thread, NULL);
  MUST(varve_native_leave(bed.me) == VARVE_OK);
  bed_close(&bed);
}

static void threads(void) { with_team("heap-max=32m,workers=3,parallel-min=0,move-everything=1,spin=100"); }
static void helpers(void) { with_team("heap-max=32m,workers=4,parallel-min=0,mutators-help=1,spin=100"); }

/* ---- growing and collecting ---------------------------------------------------------------------------------- */

/* To the limit with each size, and back. */
static void grow(void) {
  static const uint64_t bytes[] = {400, 8000, 400000};
  struct bed bed;
  if (!bed_open(&bed, "heap-max=8m,heap-initial=2m,workers=1,give-back=1")) return;
  for (unsigned i = 0; i < 3; ++i) {
    bed_grow(&bed, i, UINT64_MAX, bytes[i], true);
    bed_check(&bed);
    bed_drop(&bed, i);
    for (unsigned times = 0; times < 4; ++times) bed_collect(&bed);
    use(&bed);
    bed_drop(&bed, 0);
    bed_drop(&bed, 1);
  }
  bed_close(&bed);
}

static void collect_with(const char *options) {
  struct bed bed;
  if (!bed_open(&bed, options)) return;
  for (unsigned round = 0; round < 6; ++round) {
    bed_drop(&bed, round % 4);
    bed_grow(&bed, round % 4, 300, 500, true);
    MUST((round % 2 ? varve_collect(bed.me) : varve_collect_newest(bed.me)) == VARVE_OK);
    bed_check(&bed);
  }
  bed_close(&bed);
}

static void collect(void) { collect_with("heap-max=32m,workers=4,parallel-min=0,move-everything=1,mark-segments=8"); }
static void collect_verified(void) {
  collect_with("heap-max=16m,workers=2,parallel-min=0,verify=2,poison=1,stress=50");
}

#ifdef VARVE_STORE_LOG
static void collect_logged(void) {
  collect_with("heap-max=16m,workers=2,parallel-min=0,check-stores=1,move-everything=1");
}
#endif

/* ---- layouts ------------------------------------------------------------------------------------------------- */

static void trace_nothing(void *context, varve_object *object, size_t bytes, varve_visitor *visitor) {
  (void)context, (void)object, (void)bytes, (void)visitor;
}

static void moved(void *context, varve_object *object, const void *old, size_t bytes) {
  (void)object, (void)old, (void)bytes;
  __atomic_fetch_add((uint64_t *)context, 1, __ATOMIC_RELAXED);
}

static uint64_t moves;
static const uint32_t at16[] = {16};
static const varve_layout_desc kinds[] = {
    {.kind = VARVE_LAYOUT_DATA},
    {.kind = VARVE_LAYOUT_OFFSETS, .offsets = at16, .offset_count = 1},
    {.kind = VARVE_LAYOUT_OFFSETS, .narrow_offsets = at16, .narrow_count = 1},
    {.kind = VARVE_LAYOUT_REF_ARRAY, .first = 16},
    {.kind = VARVE_LAYOUT_REF_ARRAY, .narrow = true, .first = 12},
    {.kind = VARVE_LAYOUT_RECORDS, .offsets = (const uint32_t[]){0}, .offset_count = 1, .first = 16, .stride = 16},
    {.kind = VARVE_LAYOUT_UNION, .choice = {.offset = 8, .width = 1,
        .cases = (const varve_union_case[]){{1, 1}, {2, 2}}, .case_count = 2}},
    {.kind = VARVE_LAYOUT_CLOSURE, .closure = {.tag_offset = 8, .tag_stride = 16, .value_offset = 16,
        .value_stride = 16,
        .ref_tags = {2}}},
    {.kind = VARVE_LAYOUT_TRACE, .trace = trace_nothing},
    {.kind = VARVE_LAYOUT_WEAK},
    {.kind = VARVE_LAYOUT_EPHEMERONS},
    {.kind = VARVE_LAYOUT_DATA, .moved = moved, .moved_survivors = true, .context = &moves},
};
#define KINDS (sizeof kinds / sizeof *kinds)

/* An object of it, if it is a list whose slots need nothing. */
static void use_layout(struct bed *bed, varve_layout layout) {
  uint64_t *object = bed_alloc(bed, layout, 72, true);
  if (object) bed->frame.scratch[1] = varve_tag(object, 0);
}

static void layouts(void) {
  struct bed bed;
  if (!bed_open(&bed, SMALL_HEAP ",narrow=1,move-everything=1")) return;
  for (unsigned i = 0; i < 300; ++i) {
    varve_layout layout = 0;
    if (MAY_FAIL(&bed, METADATA, varve_layout_register(bed.heap, &kinds[i % KINDS], &layout, error)))
      use_layout(&bed, layout);
    if (i % 100 == 99) bed_collect(&bed);
  }
  use(&bed);
  bed_close(&bed);
}

/* Weak cells and ephemerons over lists, half of which die. */
static void weak_slots(void) {
  struct bed bed;
  varve_layout weak = 0, table = 0;
  if (!bed_open(&bed, SMALL_HEAP)) return;
  bool both = MAY_FAIL(&bed, METADATA, varve_layout_register(bed.heap, &kinds[9], &weak, error)) &&
              MAY_FAIL(&bed, METADATA, varve_layout_register(bed.heap, &kinds[10], &table, error));
  use(&bed);
  for (unsigned i = 0; both && i < 50; ++i) {
    varve_word *cell = bed_alloc(&bed, i % 2 ? weak : table, 16 + 24 * 8, true);
    if (!cell) break;
    for (unsigned w = 2; w < 26; ++w) varve_init(bed.me, cell, &cell[w], bed.frame.list[w % 3]);
    bed.frame.scratch[2] = varve_tag(cell, 0);
    if (i == 25) bed_drop(&bed, 1);
    if (i % 10 == 0) bed_collect(&bed);
  }
  bed_close(&bed);
}

/* ---- roots --------------------------------------------------------------------------------------------------- */

#define TABLES 150u
static varve_word words[TABLES][8];
static bool listed[TABLES];
static varve_word many[70000];

static void visit_many(void *context, size_t part, varve_visitor *visitor) {
  (void)context;
  varve_visit_range(visitor, &many[part * 8], 8);
}

/* Words that refer to lists, in tables of the kind that `add` makes. */
static void slots(void) {
  struct bed bed;
  if (!bed_open(&bed, SMALL_HEAP)) return;
  use(&bed);
  for (unsigned i = 0; i < TABLES; ++i) {
    words[i][3] = bed.frame.list[i % 2];
    listed[i] = MAY_FAIL(&bed, METADATA, varve_root_slots_add(bed.heap, "slots", words[i], 8, error));
  }
  bed_collect(&bed);
  for (unsigned i = 0; i < TABLES; ++i) {
    MUST(!listed[i] || words[i][3] == bed.frame.list[i % 2]);
    MUST((varve_root_slots_remove(bed.heap, words[i]) == VARVE_OK) == listed[i]);
  }
  bed_close(&bed);
}

static void callbacks(void) {
  struct bed bed;
  if (!bed_open(&bed, SMALL_HEAP)) return;
  use(&bed);
  memset(many, 0, sizeof many);
  for (unsigned i = 0; i < 20; ++i)
    listed[i] = MAY_FAIL(&bed, METADATA, varve_root_callback_add(bed.heap, "parts", visit_many, i ? &words[i] : NULL,
                                                                 i ? 1 : 50, error)) &&
                varve_root_callback_remove(bed.heap, visit_many, i ? &words[i] : NULL) == VARVE_OK;
  bool kept = MAY_FAIL(&bed, METADATA, varve_root_callback_add(bed.heap, "parts", visit_many, NULL, 50, error));
  many[9] = bed.frame.list[0];
  bed_collect(&bed);
  MUST(!kept || many[9] == bed.frame.list[0]);
  MUST((varve_root_callback_remove(bed.heap, visit_many, NULL) == VARVE_OK) == kept);
  bed_close(&bed);
}

/* Arrays of Ref words that grow, with notes. */
static void ref_arrays(void) {
  struct bed bed;
  varve_refs *refs[8];
  if (!bed_open(&bed, SMALL_HEAP ",workers=1")) return;
  use(&bed);
  memset(many, 0, sizeof many);
  for (unsigned i = 0; i < 8; ++i) {
    varve_ref_array array = {.name = "array", .base = &many[i * 8000], .stride = i % 2 ? 8 : 24, .count = 10};
    if (!MAY_FAIL(&bed, METADATA, varve_ref_array_add(bed.heap, &array, &refs[i], error))) refs[i] = NULL;
    if (!refs[i]) continue;
    varve_ref_store(bed.me, refs[i], &many[i * 8000], bed.frame.list[0]);
    for (size_t count = 20; count < 2600; count *= 3)
      (void)MAY_FAIL(&bed, METADATA, varve_ref_array_update(refs[i], &many[i * 8000], count, NULL, error));
    varve_ref_store(bed.me, refs[i], &many[i * 8000 + 9 * (i % 2 ? 1 : 3)], bed.frame.list[1]);
    MUST(varve_collect_newest(bed.me) == VARVE_OK);
  }
  bed_collect(&bed);
  for (unsigned i = 0; i < 8; ++i) {
    MUST(!refs[i] || many[i * 8000] == bed.frame.list[0]);
    varve_ref_array_remove(refs[i]);
  }
  bed_close(&bed);
}

static void slabs(void) {
  struct bed bed;
  if (!bed_open(&bed, SMALL_HEAP)) return;
  use(&bed);
  varve_refs *slab = NULL;
  varve_slab_cursor cursor;
  varve_word *slot = NULL, *last = NULL;
  if (MAY_REFUSE(&bed, (slab = varve_slab_create(bed.heap, "slab")) != NULL)) {
    size_t used = 0;
    varve_slab_cursor_open(&cursor, slab);
    for (unsigned i = 0; i < 30000; ++i)
      if (MAY_REFUSE(&bed, (slot = varve_slab_take(&cursor, bed.me, bed.frame.list[i % 2])) != NULL))
        last = slot, ++used;
      else break;
    MUST(varve_collect_newest(bed.me) == VARVE_OK);
    bed_collect(&bed);
    if (last) MUST(*last == bed.frame.list[0] || *last == bed.frame.list[1]);
    varve_slab_cursor_close(&cursor);
    MUST(varve_slab_count(slab) == used);
    varve_slab_destroy(slab);
  }
  bed_close(&bed);
}

static void handles(void) {
  struct bed bed;
  static varve_handle *held[20000];
  unsigned count = 0;
  if (!bed_open(&bed, SMALL_HEAP)) return;
  use(&bed);
  for (unsigned i = 0; i < 20000; ++i)
    if (MAY_REFUSE(&bed, (held[count] = varve_handle_new(bed.me, bed.frame.list[0])) != NULL)) ++count;
    else break;
  bed_collect(&bed);
  for (unsigned i = 0; i < count; ++i) {
    MUST(varve_handle_get(held[i]) == bed.frame.list[0]);
    if (i % 3) varve_handle_free(bed.me, held[i]);
  }
  bed_close(&bed);
}

/* ---- what objects are known for ------------------------------------------------------------------------------ */

static void finalizers(void) {
  struct bed bed;
  varve_finalization taken;
  uint64_t attached = 0, queued = 0;
  if (!bed_open(&bed, SMALL_HEAP)) return;
  for (unsigned i = 0; i < 20000; ++i) {
    void *object = bed_alloc(&bed, bed.data, 24, true);
    if (!object) break;
    if (i % 4) attached += MAY_REFUSE(&bed, varve_finalizer_attach(bed.me, object, (int)(i % 3), NULL, NULL));
    else attached += MAY_REFUSE(&bed, varve_cleaner_attach(bed.me, object, (int)(i % 3), NULL, NULL));
  }
  bed_collect(&bed);
  bed_collect(&bed);
  while (varve_finalizer_next(bed.me, &taken)) ++queued;
  MUST(queued <= attached && varve_finalizers_queued(bed.heap) == 0);
  bed_collect(&bed);
  while (varve_finalizer_next(bed.me, &taken)) ++queued;
  if (queued != attached) bed_fail("%llu finalizers attached, %llu queued", (unsigned long long)attached,
                                   (unsigned long long)queued);
  bed_close(&bed);
}

/* The sum of what all cells of a list are hashed to: collections keep it. */
static uint64_t hash_list(struct bed *bed, unsigned list) {
  uint64_t sum = 0, hash = 0;
  for (varve_word word = bed->frame.list[list]; word; word = ((struct cell *)varve_untag(word))->next) {
    if (!MAY_REFUSE(bed, (hash = varve_identity_hash(bed->me, varve_untag(word))) != 0)) return 0;
    sum += hash;
  }
  return sum;
}

static void hashes(void) {
  struct bed bed;
  uint64_t sum[2];
  if (!bed_open(&bed, "heap-max=16m,workers=1")) return;
  for (unsigned i = 0; i < 2; ++i) {
    bed_grow(&bed, i, 20000, 8, true);
    sum[i] = hash_list(&bed, i);
    MUST(varve_collect_newest(bed.me) == VARVE_OK);
  }
  bed_collect(&bed);
  for (unsigned i = 0; i < 2; ++i) {
    uint64_t now = hash_list(&bed, i);
    MUST(!sum[i] || !now || now == sum[i]);
  }
  bed_drop(&bed, 1);
  bed_close(&bed);
}

static void pins(void) {
  struct bed bed;
  static void *pinned[3000];
  unsigned count = 0;
  if (!bed_open(&bed, SMALL_HEAP ",move-everything=1")) return;
  bed_grow(&bed, 0, 3000, 8, true);
  varve_word word = bed.frame.list[0];
  for (; word; word = ((struct cell *)varve_untag(word))->next) {
    pinned[count] = varve_untag(word);
    if (MAY_REFUSE(&bed, varve_pin(bed.me, pinned[count]) == VARVE_OK)) ++count;
    else break;
  }
  bed_collect(&bed);
  for (unsigned i = 0; i < count; ++i) {
    MUST(varve_object_of(bed.me, (varve_word)(uintptr_t)pinned[i]) == pinned[i]);
    MUST(varve_unpin(bed.me, pinned[i]) == VARVE_OK);
  }
  MUST(varve_unpin(bed.me, varve_untag(bed.frame.list[0])) == VARVE_ROOT);
  bed_close(&bed);
}

static void searched(void) {
  struct bed bed;
  if (!bed_open(&bed, SMALL_HEAP)) return;
  for (unsigned i = 0; i < 3; ++i) {
    (void)MAY_FAIL(&bed, METADATA, varve_mutator_conservative(bed.me, NULL, NULL, error));
    use(&bed);
  }
  bed_close(&bed);
}

/* ---- questions ----------------------------------------------------------------------------------------------- */

static void see_object(void *context, varve_object *object, size_t bytes) {
  (void)object, (void)bytes;
  ++*(uint64_t *)context;
}

static void see_reference(void *context, const varve_reference *reference) {
  (void)reference;
  ++*(uint64_t *)context;
}

static void see_text(void *context, const char *text) {
  (void)text;
  ++*(uint64_t *)context;
}

static void walks(void) {
  struct bed bed;
  uint64_t seen = 0;
  if (!bed_open(&bed, SMALL_HEAP)) return;
  use(&bed);
  const varve_word *slot = &bed.frame.list[0];
  if (bed.length[0] == 100 && bed.length[1] == 100 &&
      MAY_FAIL(&bed, METADATA, (seen = 0, varve_walk_objects(bed.me, see_object, &seen, error)))) MUST(seen == 400);
  if (bed.length[0]) {
    (void)MAY_FAIL(&bed, METADATA, varve_walk_references(bed.me, slot, see_reference, &seen, error));
    (void)MAY_FAIL(&bed, METADATA, varve_path_to(bed.me, slot, see_reference, &seen, error));
    (void)MAY_FAIL(&bed, METADATA, varve_path_print(bed.me, slot, see_text, &seen, error));
  }
  (void)MAY_FAIL(&bed, METADATA, varve_walk_references(bed.me, NULL, see_reference, &seen, error));
  (void)MAY_FAIL(&bed, METADATA, varve_census_print(bed.me, see_text, &seen, error));
  bed_close(&bed);
}

static void topology(void) {
  struct bed bed = {0};
  uint64_t seen = 0;
  machine(-1);
  (void)MAY_REFUSE(&bed, varve_topology_print(NULL, see_text, &seen) == VARVE_OK);
  if (!bed_open(&bed, SMALL_HEAP)) return;
  (void)MAY_REFUSE(&bed, varve_topology_print(bed.heap, see_text, &seen) == VARVE_OK);
  bed_close(&bed);
}

/* ---- age, settings, fork ------------------------------------------------------------------------------------- */

/* Many old cells are written to, so that what is remembered needs room; some of them are immortal. */
static void remember(void) {
  struct bed bed;
  if (!bed_open(&bed, "heap-max=16m,workers=2,parallel-min=0")) return;
  bed_grow(&bed, 0, 8000, 8, true);
  (void)MAY_FAIL(&bed, 0, varve_heap_make_immortal(bed.me, error));
  for (unsigned round = 0; round < 3; ++round) {
    bed_grow(&bed, 1, 300, 8, true);
    varve_word young = bed.frame.list[1];
    for (varve_word word = bed.frame.list[0]; word; word = ((struct cell *)varve_untag(word))->next) {
      struct cell *cell = (struct cell *)varve_untag(word);
      varve_word payload = varve_load(&cell->payload);
      varve_store(bed.me, cell, &cell->payload, young);
      varve_store(bed.me, cell, &cell->payload, payload);
    }
    MUST(varve_collect_newest(bed.me) == VARVE_OK);
    bed_check(&bed);
  }
  bed_close(&bed);
}

static void settings(void) {
  struct bed bed;
  if (!bed_open(&bed, "heap-max=32m,heap-initial=8m,workers=3,parallel-min=0")) return;
  static const char *const lists[] = {"heap-max=6m", "workers=1,verify=1", "heap-max=0,workers=3", "heap-sizing=fixed",
                                      "stress=20,heap-sizing=growth", "stress=0,give-back=1"};
  for (unsigned i = 0; i < sizeof lists / sizeof *lists; ++i) {
    (void)MAY_FAIL(&bed, 0, varve_heap_set(bed.heap, lists[i], error));
    bed_drop(&bed, i % 3);
    bed_grow(&bed, i % 3, 200, 2500, true);
    bed_collect(&bed);
    bed_check(&bed);
  }
  MUST(varve_external_add(bed.me, 1 << 20) == VARVE_OK);
  bed_close(&bed);
}

static void fork_heap(void) {
  struct bed bed;
  int state = 0;
  if (!bed_open(&bed, SMALL_HEAP ",workers=2,parallel-min=0")) return;
  use(&bed);
  MUST(varve_fork_prepare(bed.me) == VARVE_OK);
  pid_t child = fork();
  if (child == 0) {
    varve_fork_child(bed.me);
    use(&bed);
    bed_close(&bed);
    _exit(0);
  }
  varve_fork_parent(bed.me);
  bed_check(&bed);
  while (child > 0 && waitpid(child, &state, 0) != child) continue; /* signals */
  MUST(state == 0);
  bed_close(&bed);
}

const struct scenario scenarios[] = {
    {"create", create, true},          {"create_plain", create_plain, true},
    {"create_narrow", create_narrow, true}, {"create_searched", create_searched, true},
    {"create_locked", create_locked, true}, {"create_explicit", create_explicit, true},
    {"create_pooled", create_pooled, true},
    {"create_parallel", create_parallel, false}, {"nodes_local", nodes_local, true},
    {"nodes_preferred", nodes_preferred, false}, {"nodes_bound", nodes_bound, true},
    {"nodes_interleaved", nodes_interleaved, false}, {"mutators", mutators, true},
    {"threads", threads, true},        {"helpers", helpers, false},
    {"grow", grow, true},              {"collect", collect, true},
    {"collect_verified", collect_verified, false}, {"layouts", layouts, true},
    {"weak_slots", weak_slots, true},  {"slots", slots, true},
    {"callbacks", callbacks, true},    {"ref_arrays", ref_arrays, true},
    {"slabs", slabs, true},            {"handles", handles, true},
    {"finalizers", finalizers, false},  {"hashes", hashes, false},
    {"pins", pins, true},              {"searched", searched, true},
    {"walks", walks, true},            {"topology", topology, true},
    {"remember", remember, false},      {"settings", settings, true},
    {"fork", fork_heap, false},
#ifdef VARVE_STORE_LOG
    {"collect_logged", collect_logged, false},
#endif
};
const unsigned scenario_count = sizeof scenarios / sizeof *scenarios;
