/* SPDX-License-Identifier: MIT */
/* test_ages.c -- collections of the newest epoch: what old objects of every layout refer to stays and is found again,
 * what nobody refers to goes, old garbage waits for a full collection; mediums in mixed regions; how epochs are
 * numbered. */
#include "../support/api.h"

#include "core/heap.h"
#include "core/remember.h"

#define LARGE ((size_t)1 << 20)
#define STILL "heap-max=64m,workers=2,parallel-min=0,verify=2,poison=1" /* nothing moves for the sake of little */

/* Closures: a tag byte of 3 means that the item's value is a reference. */
enum { UNION_ARRAY = 5, CLOSURE_REF = 3 };

static varve_layout records, sparse, either, closure, traced;

/* Word 1 says which word is the slot. */
static void trace_one(void *context, varve_object *object, size_t bytes, varve_visitor *visitor) {
  varve_word *words = (varve_word *)object;
  (void)context;
  if (words[1] < bytes / 8) varve_visit(visitor, &words[words[1]]);
}

static void open_layouts(struct api *api, const char *options) {
  static const uint32_t two[] = {8, 16}, far[] = {8, 792};
  varve_heap *heap;
  api_open(api, options);
  heap = api->heap;
  records = api_layout(heap, &(varve_layout_desc){.name = "records", .kind = VARVE_LAYOUT_RECORDS, .offsets = two,
                                                  .offset_count = 2, .first = 16, .stride = 24});
  sparse = api_layout(heap, &(varve_layout_desc){.name = "sparse", .kind = VARVE_LAYOUT_RECORDS, .offsets = far,
                                                 .offset_count = 2, .first = 16, .stride = 800});
  varve_layout part =
      api_layout(heap, &(varve_layout_desc){.name = "part", .kind = VARVE_LAYOUT_REF_ARRAY, .first = 16});
  varve_union_case cases[] = {{UNION_ARRAY, part}};
  either = api_layout(heap, &(varve_layout_desc){.name = "either", .kind = VARVE_LAYOUT_UNION, .bytes = 24,
                                                 .choice = {.offset = 8, .width = 4, .cases = cases, .case_count = 1}});
  closure = api_layout(heap, &(varve_layout_desc){.name = "closure", .kind = VARVE_LAYOUT_CLOSURE,
                                                  .closure = {.tag_offset = 8, .tag_stride = 16, .value_offset = 16,
                                                              .value_stride = 16, .ref_tags = {1u << CLOSURE_REF}}});
  traced = api_layout(heap, &(varve_layout_desc){.name = "traced", .kind = VARVE_LAYOUT_TRACE, .bytes = 24,
                                                 .trace = trace_one});
}

static void make_garbage(struct api *api, unsigned count) {
  for (unsigned i = 0; i < count; ++i) api_pair(api, i, NULL, NULL);
}

/* A holder of zeroes whose word `slot` is a slot. */
static varve_word make_holder(struct api *api, varve_layout layout, size_t bytes, size_t slot) {
  uint64_t *words = varve_alloc(api->me, layout, bytes);
  assert_non_null(words);
  if (layout == either) words[1] = UNION_ARRAY;
  if (layout == closure) *(uint8_t *)&words[slot - 1] = CLOSURE_REF;
  if (layout == traced) words[1] = slot;
  return varve_tag(words, 0);
}

static varve_word *slot_of(varve_word holder, size_t slot) { return (varve_word *)varve_untag(holder) + slot; }

static void store(struct api *api, varve_word holder, size_t slot, varve_word word) {
  varve_store(api->me, varve_untag(holder), slot_of(holder, slot), word);
}

/* The holder is old, and nothing but it refers to a young object, which survives with it, moved. */
static void keeps_young(struct api *api, const varve_word *holder, size_t slot) {
  varve_collection_stats stats;
  varve_word young = api_pair(api, 42, NULL, NULL);
  store(api, *holder, slot, young);
  make_garbage(api, 1000);
  assert_int_equal(varve__remembered_count(api->heap), 1);
  api_sound(api);
  api_collect_newest(api, &stats);
  assert_int_equal(stats.epochs_taken, 1);
  assert_int_equal(stats.remembered, 1);
  assert_int_equal(stats.survived, sizeof(struct pair));
  assert_int_not_equal(*slot_of(*holder, slot), young);
  assert_int_equal(pair_of(*slot_of(*holder, slot))->number, 42);
  api_sound(api);
}

static void keeps(varve_layout layout_of_api(const struct api *), size_t bytes, size_t slot) {
  struct api api;
  varve_collection_stats stats;
  open_layouts(&api, API_STRICT);
  {
    VARVE_FRAME(f, api.me, holder);
    f.holder = make_holder(&api, layout_of_api(&api), bytes, slot);
    api_collect(&api, NULL);
    keeps_young(&api, &f.holder, slot);
    store(&api, f.holder, slot, 0);
    api_collect(&api, &stats);
    assert_int_equal(stats.live_after, varve_object_bytes(varve_untag(f.holder)));
    assert_int_equal(varve__remembered_count(api.heap), 0);
  }
  api_collect(&api, &stats);
  assert_int_equal(stats.live_after, 0);
  api_close(&api);
}

static varve_layout use_array(const struct api *api) { return api->array; }
static varve_layout use_pair(const struct api *api) { return api->pair; }
static varve_layout use_records(const struct api *api) { return (void)api, records; }
static varve_layout use_sparse(const struct api *api) { return (void)api, sparse; }
static varve_layout use_either(const struct api *api) { return (void)api, either; }
static varve_layout use_closure(const struct api *api) { return (void)api, closure; }
static varve_layout use_traced(const struct api *api) { return (void)api, traced; }

static void small_objects_keep(void **state) {
  (void)state;
  keeps(use_pair, sizeof(struct pair), 2);
  keeps(use_array, 2048, 255);
  keeps(use_records, 16 + 3 * 24, 2 + 2 * 3 + 2);
  keeps(use_either, 48, 5);
  keeps(use_closure, 8 + 3 * 16, 4);
  keeps(use_traced, 80, 9);
}

static void mediums_keep(void **state) {
  (void)state;
  keeps(use_array, VARVE_MEDIUM_MAX, 1);
  keeps(use_array, VARVE_MEDIUM_MAX, VARVE_MEDIUM_MAX / 8 - 1);
  keeps(use_records, 16 + 3000 * 24, 2 + 2999 * 3 + 1);
}

static void large_arrays_keep(void **state) {
  const size_t slots[] = {1, 7, 8, 9, 4095, 4096, LARGE / 16, LARGE / 8 - 9, LARGE / 8 - 8, LARGE / 8 - 1};
  (void)state;
  for (size_t i = 0; i < sizeof slots / sizeof slots[0]; ++i) keeps(use_array, LARGE, slots[i]);
  keeps(use_array, VARVE_MEDIUM_MAX + 8, 1);
  keeps(use_array, VARVE_MEDIUM_MAX + 8, VARVE_MEDIUM_MAX / 8);
  keeps(use_array, 3 * LARGE + 8, 3 * LARGE / 8); /* more than a region */
}

static void large_records_keep(void **state) {
  const size_t count = 40000;
  (void)state;
  keeps(use_records, 16 + count * 24, 2 + 1);
  keeps(use_records, 16 + count * 24, 2 + (count / 2) * 3 + 2);
  keeps(use_records, 16 + count * 24, 2 + (count - 1) * 3 + 2);
  keeps(use_sparse, 16 + 2000 * 800, 2 + 1999 * 100 + 99); /* too far apart for a mask: listed as a whole */
}

static void other_large_objects_keep(void **state) {
  (void)state;
  keeps(use_either, LARGE, LARGE / 8 - 1);
  keeps(use_closure, 8 + 20000 * 16, 2 * 20000);
  keeps(use_traced, LARGE, LARGE / 8 - 1);
}

/* ---- large arrays ---- */

static unsigned noted_lines(const struct api *api, varve_word array) {
  const struct varve_space *space = &api->heap->space;
  const uint8_t *notes = (const uint8_t *)space_block_bitmap(space, space_block(space, array));
  unsigned noted = 0;
  for (size_t line = 0; line < varve_object_bytes(varve_untag(array)) / 64; ++line) noted += notes[line] >> 1 & 1;
  return noted;
}

static bool is_listed(varve_word object) {
  return *(const uint8_t *)varve_untag(object) & VARVE__FLAGS_REMEMBERED;
}

/* What was stored past the barrier, into a line that is not noted, is not looked at. */
static void only_noted_lines_are_looked_at(void **state) {
  struct api api;
  (void)state;
  open_layouts(&api, "heap-max=64m,workers=1,move-everything=1");
  {
    VARVE_FRAME(f, api.me, array);
    f.array = make_holder(&api, api.array, LARGE, 1);
    api_collect(&api, NULL);
    varve_word seen = api_pair(&api, 1, NULL, NULL), unseen = api_pair(&api, 2, NULL, NULL);
    store(&api, f.array, 800, seen);
    *slot_of(f.array, 808) = unseen;
    assert_int_equal(noted_lines(&api, f.array), 1);
    api_collect_newest(&api, NULL);
    assert_int_equal(pair_of(*slot_of(f.array, 800))->number, 1);
    assert_int_not_equal(*slot_of(f.array, 800), seen);
    assert_int_equal(*slot_of(f.array, 808), unseen);
    *slot_of(f.array, 808) = 0;
    api_sound(&api);
  }
  api_close(&api);
}

static void notes_vanish(void **state) {
  struct api api;
  (void)state;
  open_layouts(&api, API_STRICT);
  {
    VARVE_FRAME(f, api.me, array);
    f.array = make_holder(&api, api.array, LARGE, 1);
    api_collect(&api, NULL);
    for (size_t slot = 1; slot < 8000; slot += 80) store(&api, f.array, slot, api_pair(&api, slot, NULL, NULL));
    assert_int_equal(noted_lines(&api, f.array), 100);
    for (size_t slot = 81; slot < 8000; slot += 80) store(&api, f.array, slot, 0);
    api_collect_newest(&api, NULL); /* one line refers to what may be taken again */
    assert_int_equal(noted_lines(&api, f.array), 1);
    assert_true(is_listed(f.array));
    store(&api, f.array, 1, 0);
    api_collect_newest(&api, NULL);
    assert_int_equal(noted_lines(&api, f.array), 0);
    assert_false(is_listed(f.array));
    assert_int_equal(varve__remembered_count(api.heap), 0);
    store(&api, f.array, 1, api_pair(&api, 1, NULL, NULL));
    api_collect(&api, NULL);
    assert_int_equal(noted_lines(&api, f.array), 0);
    assert_false(is_listed(f.array));
  }
  api_close(&api);
}

enum { RECORD = 66, RECORDS = 400 }; /* words; of which 1 and 63 are slots */

static bool is_slot(size_t word) { return word == 1 || word == 63; }

/* Both slots refer to a young object, and all words between them look as if they referred to garbage. */
static void fill_record(struct api *api, const varve_word *array, size_t start) {
  varve_word garbage = api_pair(api, 1, NULL, NULL), young = api_pair(api, 2, NULL, NULL);
  for (size_t i = 0; i < RECORD; ++i) {
    if (is_slot(i)) store(api, *array, start + i, young);
    else *slot_of(*array, start + i) = garbage;
  }
}

/* What is no slot keeps nothing, and stays as it is, in a noted line too. */
static void words_between_slots_are_left_alone(void **state) {
  static const uint32_t slots[] = {1 * 8, 63 * 8};
  struct api api;
  varve_collection_stats stats;
  (void)state;
  open_layouts(&api, API_STRICT);
  varve_layout layout = api_layout(api.heap, &(varve_layout_desc){.name = "long", .kind = VARVE_LAYOUT_RECORDS,
                                                                  .offsets = slots, .offset_count = 2, .first = 8,
                                                                  .stride = RECORD * 8});
  for (size_t record = 0; record < 16; ++record) {
    VARVE_FRAME(f, api.me, array);
    size_t start = 1 + record * RECORD;
    f.array = make_holder(&api, layout, 8 + RECORDS * RECORD * 8, 1);
    api_collect(&api, NULL);
    fill_record(&api, &f.array, start);
    varve_word garbage = *slot_of(f.array, start);
    api_collect_newest(&api, &stats);
    assert_int_equal(stats.survived, sizeof(struct pair));
    for (size_t i = 0; i < RECORD; ++i) {
      if (is_slot(i)) assert_int_equal(pair_of(*slot_of(f.array, start + i))->number, 2);
      else assert_int_equal(*slot_of(f.array, start + i), garbage);
    }
  }
  api_close(&api);
}

/* A dead one keeps what it refers to until a full collection takes both; what comes in its place has no notes. */
static void noted_arrays_die(void **state) {
  struct api api;
  varve_collection_stats stats;
  (void)state;
  open_layouts(&api, API_STRICT);
  for (unsigned round = 0; round < 3; ++round) {
    VARVE_FRAME(f, api.me, array);
    f.array = make_holder(&api, api.array, LARGE, 1);
    assert_int_equal(noted_lines(&api, f.array), 0);
    api_collect(&api, NULL);
    for (size_t slot = 1; slot < LARGE / 8; slot += 100) store(&api, f.array, slot, api_pair(&api, slot, NULL, NULL));
    f.array = 0;
    api_collect_newest(&api, &stats);
    assert_int_equal(stats.survived, (LARGE / 8 - 1 + 99) / 100 * sizeof(struct pair));
    assert_int_equal(stats.large_freed, 0);
    api_collect(&api, &stats);
    assert_int_equal(stats.large_freed, 1);
    assert_int_equal(stats.live_after, 0);
    api_sound(&api);
  }
  api_close(&api);
}

static void bulk_stores_overlap(void **state) {
  struct api api;
  (void)state;
  open_layouts(&api, API_STRICT);
  {
    VARVE_FRAME(f, api.me, array);
    f.array = make_holder(&api, api.array, LARGE, 1);
    api_collect(&api, NULL);
    for (size_t i = 0; i < 100; ++i) store(&api, f.array, 1000 + i, api_pair(&api, i, NULL, NULL));
    varve_store_bulk(api.me, varve_untag(f.array), slot_of(f.array, 1050), slot_of(f.array, 1000), 100); /* up */
    varve_store_bulk(api.me, varve_untag(f.array), slot_of(f.array, 960), slot_of(f.array, 1000), 50);   /* and down */
    for (unsigned round = 0; round < 3; ++round) {
      for (size_t i = 0; i < 50; ++i) assert_int_equal(pair_of(*slot_of(f.array, 960 + i))->number, i);
      for (size_t i = 0; i < 100; ++i) assert_int_equal(pair_of(*slot_of(f.array, 1050 + i))->number, i);
      api_sound(&api);
      api_collect_newest(&api, NULL);
      make_garbage(&api, 5000);
    }
  }
  api_close(&api);
}

/* ---- garbage ---- */

static void old_garbage_waits(void **state) {
  struct api api;
  varve_collection_stats stats;
  (void)state;
  api_open(&api, API_STRICT);
  {
    VARVE_FRAME(f, api.me, old);
    f.old = api_pair(&api, 1, NULL, NULL);
    api_collect(&api, NULL);
    f.old = 0;
    make_garbage(&api, 10000);
    api_collect_newest(&api, &stats);
    assert_int_equal(stats.survived, 0);
    assert_int_equal(stats.objects_marked, 0);
    assert_int_equal(stats.live_after, sizeof(struct pair));
    api_collect(&api, &stats);
    assert_int_equal(stats.live_after, 0);
  }
  api_close(&api);
}

/* Objects that are full of references to old ones cost nothing but themselves. */
static void marking_ends_at_old_objects(void **state) {
  struct api api;
  varve_collection_stats stats;
  (void)state;
  api_open(&api, API_STRICT);
  {
    VARVE_FRAME(f, api.me, old, young);
    for (unsigned i = 0; i < 1000; ++i) f.old = api_pair(&api, i, &f.old, NULL);
    api_collect(&api, NULL);
    for (unsigned i = 0; i < 10; ++i) f.young = api_pair(&api, i, &f.old, &f.young);
    api_collect_newest(&api, &stats);
    assert_int_equal(stats.objects_marked, 10);
    assert_int_equal(stats.remembered, 0);
    assert_int_equal(stats.live_after, 1010 * sizeof(struct pair));
  }
  api_close(&api);
}

static bool is_listed_region(const struct varve_space *space, uint32_t region) {
  const struct varve_node_space *node = &space->node[space->regions[region].node];
  for (uint32_t i = atomic_load(&node->broken_cursor); i < atomic_load(&node->broken_count); ++i)
    if (node->broken[i] == region) return true;
  return false;
}

static void check_listed_regions(const struct varve_space *space) {
  for (uint32_t r = 0; r < space->region_high; ++r)
    if (atomic_load(&space->regions[r].kind) == REGION_SMALL && atomic_load(&space->regions[r].free_blocks))
      assert_true(is_listed_region(space, r));
}

/* So small a heap that blocks are taken singly: those of garbage are taken again, also beside old ones. */
static void blocks_beside_old_ones_are_used_again(void **state) {
  struct api api;
  (void)state;
  api_open(&api, "heap-max=8m,workers=1,verify=2");
  {
    VARVE_FRAME(f, api.me, list);
    for (unsigned i = 0; i < 20000; ++i) f.list = api_pair(&api, i, NULL, &f.list);
    api_collect(&api, NULL);
    for (unsigned round = 0; round < 20; ++round) {
      make_garbage(&api, 60000);
      api_collect_newest(&api, NULL);
      check_listed_regions(&api.heap->space);
    }
  }
  api_close(&api);
}

/* ---- mediums ---- */

enum { MEDIUM = 50000, MEDIUMS = 8 };

static varve_word make_medium(struct api *api, uint64_t number) {
  uint64_t *words = varve_alloc(api->me, api->array, MEDIUM);
  assert_non_null(words);
  words[1] = number << 1 | 1; /* no reference */
  return varve_tag(words, 0);
}

static uint32_t region_of(const struct api *api, varve_word word) { return space_region(&api->heap->space, word); }

static uint64_t medium_number(varve_word medium) { return *slot_of(medium, 1) >> 1; }

/* Eight old ones, which lie still, and fresh ones above them in the same region. */
static void mediums_of_two_ages_share_a_region(void **state) {
  struct api api;
  varve_collection_stats stats;
  (void)state;
  open_layouts(&api, STILL);
  {
    VARVE_FRAME_ARRAY(f, api.me, MEDIUMS);
    for (unsigned i = 0; i < MEDIUMS; ++i) f.slot[i] = make_medium(&api, i);
    api_collect(&api, NULL);
    varve_word first = make_medium(&api, 100), old[MEDIUMS];
    memcpy(old, f.slot, sizeof old);
    assert_int_equal(region_of(&api, first), region_of(&api, old[0]));
    for (unsigned round = 0; round < 3; ++round) { /* what is above is used again */
      for (unsigned i = 0; i < MEDIUMS; ++i) make_medium(&api, i);
      api_collect_newest(&api, &stats);
      assert_int_equal(stats.survived, 0);
      assert_memory_equal(old, f.slot, sizeof old);
      assert_int_equal(make_medium(&api, 101), first);
    }
    for (unsigned i = 0; i < MEDIUMS; ++i) assert_int_equal(medium_number(f.slot[i]), i);
  }
  api_close(&api);
}

/* One of the fresh ones survives, for an old one refers to it; the next comes above it. */
static void mediums_survive_beside_old_ones(void **state) {
  struct api api;
  varve_collection_stats stats;
  (void)state;
  open_layouts(&api, STILL);
  {
    VARVE_FRAME(f, api.me, old, hole, next);
    f.old = make_medium(&api, 1);
    f.hole = make_medium(&api, 2);
    api_collect(&api, NULL);
    store(&api, f.old, 9, make_medium(&api, 101));
    for (unsigned i = 0; i < MEDIUMS; ++i) make_medium(&api, i);
    f.hole = 0;
    api_collect_newest(&api, &stats);
    assert_int_equal(stats.survived, MEDIUM);
    assert_int_equal(medium_number(*slot_of(f.old, 9)), 101);
    f.next = make_medium(&api, 102);
    assert_true(f.next > *slot_of(f.old, 9));
    assert_int_equal(region_of(&api, f.next), region_of(&api, f.old));
    api_sound(&api);
    api_collect(&api, &stats);
    assert_int_equal(stats.live_after, 3 * MEDIUM);
  }
  api_collect(&api, &stats);
  assert_int_equal(stats.live_after, 0);
  api_close(&api);
}

/* A few survive each of many collections, with old ones that come to refer to them. */
static void mediums_of_many_ages(void **state) {
  struct api api;
  varve_collection_stats stats;
  (void)state;
  open_layouts(&api, STILL);
  {
    VARVE_FRAME_ARRAY(f, api.me, 32);
    for (uint64_t round = 0; round < 200; ++round) {
      uint64_t at = round * 7 % 32;
      for (unsigned i = 0; i < 10; ++i) make_medium(&api, i);
      f.slot[at] = make_medium(&api, round);
      varve_word other = f.slot[round * 11 % 32];
      if (other) store(&api, other, 5, f.slot[at]);
      api_collect_newest(&api, NULL);
      if (round >= 32) assert_int_equal(medium_number(f.slot[(round + 1) * 7 % 32]), round - 31);
    }
  }
  api_collect(&api, &stats);
  assert_int_equal(stats.live_after, 0);
  api_close(&api);
}

/* ---- epochs ---- */

/* A4, for every block in use. */
static void check_first_ages(const struct api *api) {
  const struct varve_space *space = &api->heap->space;
  const struct varve_ages *ages = &api->heap->ages;
  for (uint32_t b = 0; b < space->region_high * VARVE__REGION_BLOCKS; ++b) {
    if (space->blocks[b].kind != BLOCK_SMALL) continue;
    uint8_t epoch = space->epochs[b];
    assert_true(epoch <= space->epoch);
    assert_true(space->blocks[b].age >= ages->first_age[epoch]);
    for (unsigned newer = epoch + 1u; newer <= space->epoch; ++newer)
      assert_true(space->blocks[b].age < ages->first_age[newer]);
  }
}

static void check_list(varve_word list, uint64_t length) {
  for (; length; list = pair_of(list)->right) assert_int_equal(pair_of(list)->number, --length);
  assert_int_equal(list, 0);
}

/* Each collection has survivors, and makes epochs that are never taken again one with the oldest. */
static void many_epochs(void **state) {
  struct api api;
  varve_collection_stats stats;
  uint64_t length = 0;
  (void)state;
  api_open(&api, API_STRICT);
  {
    VARVE_FRAME(f, api.me, list);
    for (unsigned round = 0; round < 250; ++round) {
      for (unsigned i = 0; i < 20; ++i) f.list = api_pair(&api, length++, NULL, &f.list);
      make_garbage(&api, 500);
      api_collect_newest(&api, &stats);
      assert_true(stats.epochs_taken < stats.epochs);
      assert_in_range(stats.epochs, 2, 12);
      assert_int_equal(stats.live_after, length * sizeof(struct pair));
      check_first_ages(&api);
    }
    check_list(f.list, length);
    api_collect(&api, &stats);
    assert_int_equal(stats.live_after, length * sizeof(struct pair));
    assert_int_equal(api.heap->space.epoch, 1);
    check_first_ages(&api);
  }
  api_close(&api);
}

/* Nobody promises not to take old epochs again, so the numbers run out. Only new objects refer to old ones here. */
static void numbers_run_out(void **state) {
  struct api api;
  varve_collection_stats stats;
  uint64_t length = 0;
  unsigned fulls = 0, most = 0;
  (void)state;
  api_open(&api, API_STRICT);
  {
    VARVE_FRAME(f, api.me, list);
    for (unsigned round = 0; round < 300; ++round) {
      f.list = api_pair(&api, length++, NULL, &f.list);
      api.heap->ages.tenured = 0;
      api_collect_newest(&api, &stats);
      fulls += stats.epochs_taken == stats.epochs;
      if (stats.epochs > most) most = stats.epochs;
      check_first_ages(&api);
    }
    assert_int_equal(most, VARVE__EPOCHS);
    assert_int_equal(fulls, 2);
    check_list(f.list, length);
  }
  api_close(&api);
}

/* Any cut, any promise: what the policy does under stress. Old ones come to refer to new ones, and the other way
 * about. */
static void random_cuts(void **state) {
  struct api api;
  (void)state;
  api_open(&api, API_STRICT ",stress=100");
  {
    VARVE_FRAME_ARRAY(f, api.me, 64);
    for (uint64_t i = 0; i < 40000; ++i) {
      uint64_t at = i * 13 % 64, other = i * 29 % 64;
      varve_word young = api_pair(&api, i, i % 5 ? NULL : &f.slot[other], NULL);
      if (f.slot[at] && i % 3) varve_store(api.me, pair_of(f.slot[at]), &pair_of(f.slot[at])->right, young);
      else f.slot[at] = young;
      if (i % 1000 == 0) check_first_ages(&api);
    }
  }
  api_close(&api);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(small_objects_keep),
      cmocka_unit_test(mediums_keep),
      cmocka_unit_test(large_arrays_keep),
      cmocka_unit_test(large_records_keep),
      cmocka_unit_test(other_large_objects_keep),
      cmocka_unit_test(only_noted_lines_are_looked_at),
      cmocka_unit_test(notes_vanish),
      cmocka_unit_test(words_between_slots_are_left_alone),
      cmocka_unit_test(noted_arrays_die),
      cmocka_unit_test(bulk_stores_overlap),
      cmocka_unit_test(old_garbage_waits),
      cmocka_unit_test(marking_ends_at_old_objects),
      cmocka_unit_test(blocks_beside_old_ones_are_used_again),
      cmocka_unit_test(mediums_of_two_ages_share_a_region),
      cmocka_unit_test(mediums_survive_beside_old_ones),
      cmocka_unit_test(mediums_of_many_ages),
      cmocka_unit_test(many_epochs),
      cmocka_unit_test(numbers_run_out),
      cmocka_unit_test(random_cuts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
