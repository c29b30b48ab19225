/* SPDX-License-Identifier: MIT */
/* test_api_collect.c -- allocation and what a collection promises, through the public interface: zeroed memory, sizes,
 * alignment, assembly, order of survivors, regions freed, work by both workers, medium and large objects. */
#include "../support/api.h"

#include "../support/random.h"

/* ---- allocation ---- */

static bool is_zero(const uint64_t *words, size_t count) {
  for (size_t i = 1; i < count; ++i)
    if (words[i]) return false;
  return true;
}

/* Recycled memory is full of poison; a zeroed allocation must not show it. */
static void zeroed_is_zero_after_recycling(void **state) {
  static const size_t sizes[] = {16, 24, 64, 2048, 2056, 5000, 128 << 10, (128 << 10) + 8, 600000};
  struct api api;
  (void)state;
  api_open(&api, API_STRICT ",heap-max=32m");
  for (int turn = 0; turn < 3; ++turn) {
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i)
      for (size_t bytes = 0; bytes < (4u << 20); bytes += sizes[i] + 4096) {
        uint64_t *object = varve_alloc(api.me, api.data, sizes[i]);
        assert_non_null(object);
        assert_true(is_zero(object, varve_object_bytes((varve_object *)object) / 8));
        memset(object + 1, 0xff, sizes[i] - 8);
      }
    api_collect(&api, NULL);
  }
  api_close(&api);
}

static void headers_say_size_layout_and_host_byte(void **state) {
  struct api api;
  (void)state;
  api_open(&api, API_STRICT);
  for (size_t bytes = 9; bytes < 300000; bytes = bytes * 3 / 2 + 1) {
    VARVE_FRAME(f, api.me, object);
    varve_object *object = varve_alloc(api.me, api.data, bytes);
    assert_non_null(object);
    assert_int_equal((uintptr_t)object % 8, 0);
    assert_int_equal(varve_object_bytes(object), (bytes + 7) / 8 * 8);
    assert_int_equal(varve_object_layout(object), api.data);
    assert_int_equal(varve_host_byte(object), 0);
    varve_set_host_byte(object, 0xa5);
    f.object = varve_tag(object, 0);
    api_collect(&api, NULL);
    assert_int_equal(varve_ffi_host_byte(varve_untag(f.object)), 0xa5);
    assert_int_equal(varve_ffi_object_bytes(varve_untag(f.object)), (bytes + 7) / 8 * 8);
    assert_int_equal(varve_ffi_object_layout(varve_untag(f.object)), api.data);
  }
  api_close(&api);
}

#if defined(__x86_64__)
#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)
/* What a code generator emits, after abi.h. NULL: take the slow path. */
static void *asm_alloc(varve_mutator *mutator, uint64_t bytes, uint64_t header) {
  void *object;
  __asm__ volatile(
      "mov " TEXT(VARVE_ABI_CURSOR) "(%[m]), %[o]\n\t"
      "lea (%[o], %[n]), %%rcx\n\t"
      "cmp " TEXT(VARVE_ABI_LIMIT) "(%[m]), %%rcx\n\t"
      "ja 1f\n\t"
      "mov %%rcx, " TEXT(VARVE_ABI_CURSOR) "(%[m])\n\t"
      "mov %[h], (%[o])\n\t"
      "jmp 2f\n"
      "1:\n\t"
      "xor %k[o], %k[o]\n"
      "2:"
      : [o] "=&r"(object)
      : [m] "r"(mutator), [n] "r"(bytes), [h] "r"(header)
      : "rcx", "cc", "memory");
  return object;
}

/* The poll of abi.h: true when the slow half is wanted. */
static bool asm_poll(varve_mutator *mutator) {
  bool wanted;
  __asm__ volatile("cmpq $0, " TEXT(VARVE_ABI_LIMIT) "(%[m])\n\tsete %[w]"
                   : [w] "=q"(wanted)
                   : [m] "r"(mutator)
                   : "cc", "memory");
  return wanted;
}

static uint64_t list_by_assembly(struct api *api, uint64_t count) {
  VARVE_FRAME(f, api->me, list);
  uint64_t slow = 0;
  for (uint64_t i = 0; i < count; ++i) {
    struct pair *pair = asm_alloc(api->me, sizeof *pair, VARVE_ABI_HEADER(api->pair, sizeof *pair));
    if (!pair) {
      pair = varve_ffi_alloc_uninit(api->me, api->pair, sizeof *pair);
      ++slow;
    }
    pair->number = i;
    varve_init(api->me, pair, &pair->left, 0);
    varve_init(api->me, pair, &pair->right, f.list);
    f.list = varve_tag(pair, 0);
    if (asm_poll(api->me)) varve_ffi_poll(api->me);
    if (i % 5000 == 4999) api_collect(api, NULL);
  }
  api_collect(api, NULL);
  for (; count-- > 0; f.list = pair_of(f.list)->right) assert_int_equal(pair_of(f.list)->number, count);
  assert_int_equal(f.list, 0);
  return slow;
}

static void allocation_from_assembly(void **state) {
  struct api api;
  uint64_t slow;
  (void)state;
  api_open(&api, API_STRICT);
  slow = list_by_assembly(&api, 50000);
  assert_true(slow > 40 && slow < 500); /* once a TLAB */
  api_close(&api);
  api_open(&api, API_STRICT ",stress=3"); /* under stress every allocation is a slow one */
  assert_int_equal(list_by_assembly(&api, 500), 500);
  api_close(&api);
}
#endif

/* ---- collections ---- */

/* A handle on an array object of `count` slots. */
static varve_handle *new_table(struct api *api, size_t count) {
  void *array = varve_alloc(api->me, api->array, 8 + count * 8);
  assert_non_null(array);
  return varve_handle_new(api->me, varve_tag(array, 0));
}

static varve_word *table_slot(varve_handle *table, size_t i) {
  return (varve_word *)varve_untag(varve_handle_get(table)) + 1 + i;
}

static void table_set(struct api *api, varve_handle *table, size_t i, varve_word word) {
  varve_store(api->me, varve_untag(varve_handle_get(table)), table_slot(table, i), word);
}

static void fill_table(struct api *api, varve_handle *table, size_t count) {
  for (size_t i = 0; i < count; ++i) table_set(api, table, i, api_pair(api, i, NULL, NULL));
}

static void drop_random(struct api *api, varve_handle *table, size_t count, struct random *random, unsigned percent) {
  for (size_t i = 0; i < count; ++i)
    if (random_below(random, 100) < percent) table_set(api, table, i, 0);
}

/* Addresses rise with age inside each region at the least; blocks of a group keep their order too. */
static void survivors_keep_the_order_of_allocation(void **state) {
  enum { COUNT = 200000 };
  struct api api;
  struct random random = {7};
  size_t falls = 0, seen = 0;
  uintptr_t last = 0;
  (void)state;
  api_open(&api, "heap-max=256m,workers=2,parallel-min=0,move-everything=1");
  varve_handle *table = new_table(&api, COUNT);
  fill_table(&api, table, COUNT);
  drop_random(&api, table, COUNT, &random, 50);
  api_collect(&api, NULL);
  for (size_t i = 0; i < COUNT; ++i) {
    varve_word word = *table_slot(table, i);
    if (!word) continue;
    assert_int_equal(pair_of(word)->number, i);
    falls += word < last;
    last = word;
    ++seen;
  }
  assert_true(seen > COUNT / 3);
  assert_true(falls <= 2); /* groups may lie in another order than their ages; inside a group nothing falls */
  api_close(&api);
}

/* 64 regions of small objects, a random half of them dead: compaction must free whole regions. */
static void half_empty_regions_become_free(void **state) {
  const size_t count = 64 * (2u << 20) / sizeof(struct pair);
  struct api api;
  struct random random = {11};
  varve_collection_stats stats;
  (void)state;
  api_open(&api, "heap-max=512m,heap-initial=300m,workers=2,parallel-min=0");
  varve_handle *table = new_table(&api, count);
  fill_table(&api, table, count);
  drop_random(&api, table, count, &random, 50);
  api_collect(&api, &stats);
  assert_true(stats.regions_freed >= 24);
  assert_true(stats.bytes_moved > 0);
  for (size_t i = 0; i < count; ++i)
    if (*table_slot(table, i)) assert_int_equal(pair_of(*table_slot(table, i))->number, i);
  api_close(&api);
}

/* What stays is counted under its reason: all blocks nearly full; then 6 of 10 left in too few blocks to free one. */
static void what_does_not_move_is_counted_by_its_reason(void **state) {
  const size_t many = 8 * (2u << 20) / sizeof(struct pair), few = (32u << 10) / sizeof(struct pair);
  struct random random = {17};
  varve_collection_stats stats;
  struct api api;
  (void)state;
  api_open(&api, "heap-max=64m,heap-initial=40m,workers=1");
  varve_handle *table = new_table(&api, many);
  fill_table(&api, table, many);
  drop_random(&api, table, many, &random, 5);
  api_collect(&api, &stats);
  assert_int_equal(stats.bytes_moved, 0);
  assert_in_range(stats.blocks_dense, 505, 515);
  drop_random(&api, table, many, &random, 100);
  fill_table(&api, table, few);
  drop_random(&api, table, few, &random, 40);
  api_collect(&api, &stats);
  assert_int_equal(stats.bytes_moved, 0);
  assert_int_equal(stats.blocks_dense, 0);
  assert_in_range(stats.blocks_gainless, 1, 2);
  api_close(&api);
}

static bool all_positive(const uint64_t two[2]) { return two[0] && two[1]; }

/* Work by both, after some collections: on a busy machine one of them may come late to a phase, many times. */
static void two_workers_share_every_phase(void **state) {
  const size_t count = 4u << 20;
  uint64_t marked[2] = {0}, counted[2] = {0}, moved[2] = {0};
  struct api api;
  struct random random = {13};
  varve_collection_stats stats;
  (void)state;
  api_open(&api, "heap-max=1g,heap-initial=256m,workers=2,parallel-min=0,move-everything=1");
  varve_handle *table = new_table(&api, count);
  fill_table(&api, table, count);
  drop_random(&api, table, count, &random, 40);
  for (int turn = 0; turn < 40 && !(all_positive(marked) && all_positive(counted) && all_positive(moved)); ++turn) {
    api_collect(&api, &stats);
    assert_int_equal(stats.workers, 2);
    for (int i = 0; i < 2; ++i) {
      marked[i] += stats.worker[i].objects_marked;
      counted[i] += stats.worker[i].regions_counted;
      moved[i] += stats.worker[i].words_moved;
    }
    drop_random(&api, table, count, &random, 15);
  }
  assert_true(all_positive(marked) && all_positive(counted) && all_positive(moved));
  assert_true(marked[0] + marked[1] >= stats.objects_marked);
  api_close(&api);
}

static bool is_filled(const uint8_t *object, size_t bytes, uint8_t value) {
  return object[8] == value && memcmp(object + 8, object + 9, bytes - 9) == 0;
}

/* Objects of one size: keep some, collect, compare all their bytes. */
static void keep_and_compare(struct api *api, size_t bytes, size_t count) {
  varve_handle *table = new_table(api, count);
  for (size_t i = 0; i < count; ++i) {
    uint8_t *object = varve_alloc_uninit(api->me, api->data, bytes);
    assert_non_null(object);
    memset(object + 8, (int)(i + 1), bytes - 8);
    table_set(api, table, i, varve_tag(object, 0));
  }
  for (size_t i = 0; i < count; i += 3) table_set(api, table, i, 0);
  api_collect(api, NULL);
  api_collect(api, NULL);
  for (size_t i = 0; i < count; ++i) {
    uint8_t *object = (uint8_t *)varve_untag(*table_slot(table, i));
    if (object) assert_true(is_filled(object, bytes, (uint8_t)(i + 1)));
  }
  varve_handle_free(api->me, table);
}

static void medium_and_large_objects_survive(void **state) {
  static const size_t sizes[] = {2048, 2056, 30000, 32768, 32776, 100000, 128 << 10, (128 << 10) + 8, 1 << 20, 5 << 20};
  struct api api;
  varve_error error = {0};
  (void)state;
  api_open(&api, API_STRICT ",heap-max=128m");
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; ++i)
    keep_and_compare(&api, sizes[i], sizes[i] < 100000 ? 60 : 9);
  assert_int_equal(varve_verify(api.me, &error), VARVE_OK);
  api_close(&api);
}

/* A chain of pairs from the handle on, numbered, until there is no room for another; returns how many. */
static uint64_t chain_until_full(struct api *api, varve_handle *chain) {
  for (uint64_t count = 0;; ++count) {
    struct pair *pair = varve_alloc(api->me, api->pair, sizeof *pair);
    if (!pair) return count;
    pair->number = count;
    varve_init(api->me, pair, &pair->left, varve_handle_get(chain));
    varve_handle_set(api->me, chain, varve_tag(pair, 0));
  }
}

static void check_chain(varve_handle *chain, uint64_t count) {
  varve_word word = varve_handle_get(chain);
  for (; count; word = pair_of(word)->left) assert_int_equal(pair_of(word)->number, --count);
  assert_int_equal(word, 0);
}

/* Two regions, one of them half taken by a large object: the other half is good for small ones, which are fixed, moved
 * and freed there, and make way when another large object wants it. */
static void small_objects_live_beside_large_ones(void **state) {
  varve_collection_stats stats;
  struct api api;
  (void)state;
  api_open(&api, "heap-max=4200k,workers=2,parallel-min=0,verify=2,poison=1");
  varve_object *large = varve_alloc(api.me, api.array, 1u << 20);
  varve_handle *array = varve_handle_new(api.me, varve_tag(large, 0)), *chain = varve_handle_new(api.me, 0);
  uint64_t count = chain_until_full(&api, chain);
  assert_true(count * sizeof(struct pair) > (3u << 20) - (64u << 10));
  varve_store(api.me, varve_untag(varve_handle_get(array)), (varve_word *)varve_untag(varve_handle_get(array)) + 1,
              varve_handle_get(chain));
  api_collect(&api, &stats);
  check_chain(chain, count);
  assert_int_equal(((varve_word *)varve_untag(varve_handle_get(array)))[1], varve_handle_get(chain));
  varve_handle_set(api.me, chain, 0);
  varve_store(api.me, varve_untag(varve_handle_get(array)), (varve_word *)varve_untag(varve_handle_get(array)) + 1, 0);
  assert_non_null(varve_alloc(api.me, api.array, 1000u << 10));
  count = chain_until_full(&api, chain);
  check_chain(chain, count);
  varve_handle_free(api.me, array);
  varve_handle_free(api.me, chain);
  api_close(&api);
}

/* Relocated large objects have two places for a while, which is no reason for an emergency at a limit near both. */
static void relocation_is_no_emergency(void **state) {
  varve_collection_stats stats;
  varve_word slots[418] = {0};
  struct api api;
  (void)state;
  api_open(&api, "heap-max=4260k,workers=1,cache-budget=4m,move-everything=1,verify=2");
  assert_int_equal(varve_root_slots_add(api.heap, "large", slots, 418, NULL), VARVE_OK);
  for (int i = 0; i < 18; ++i) slots[i] = varve_tag(varve_alloc(api.me, api.array, 7u << 15), 0);
  for (int i = 0; i < 18; i += 2) slots[i] = 0;
  api_collect(&api, NULL);
  for (int i = 18; i < 418; ++i) slots[i] = varve_tag(varve_alloc(api.me, api.data, 2000), 0);
  for (int turn = 0; turn < 3; ++turn) {
    api_collect(&api, &stats);
    assert_int_equal(stats.large_moved, 9);
    assert_false(stats.emergency);
  }
  assert_int_equal(varve_root_slots_remove(api.heap, slots), VARVE_OK);
  api_close(&api);
}

/* A region whose large objects are dead is room for the medium object that asks for one. */
static void a_swept_region_is_room_for_mediums(void **state) {
  enum { LARGE = 4, REGIONS = 8 };
  varve_collection_stats stats = {0};
  varve_word slots[REGIONS * 25] = {0};
  struct api api;
  size_t used = 0;
  (void)state;
  api_open(&api, "heap-max=17121280,heap-initial=16m,workers=1,cache-budget=16m,verify=2");
  assert_int_equal(varve_root_slots_add(api.heap, "all", slots, REGIONS * 25, NULL), VARVE_OK);
  while (used < LARGE) slots[used++] = varve_tag(varve_alloc(api.me, api.array, 15u << 15), 0);
  while (used < LARGE + (REGIONS - 1) * 20) slots[used++] = varve_tag(varve_alloc(api.me, api.array, 100000), 0);
  memset(slots, 0, LARGE * sizeof *slots);
  assert_false(varve_collection_stats_get(api.heap, &stats)); /* nothing was collected so far */
  slots[0] = varve_tag(varve_alloc(api.me, api.array, 100000), 0);
  assert_int_not_equal(slots[0], 0);
  assert_true(varve_collection_stats_get(api.heap, &stats));
  assert_int_equal(stats.number, 1);
  assert_false(stats.emergency);
  assert_int_equal(varve_root_slots_remove(api.heap, slots), VARVE_OK);
  api_close(&api);
}

static void nothing_stays_of_garbage(void **state) {
  struct api api;
  varve_collection_stats stats;
  varve_heap_stats totals;
  (void)state;
  api_open(&api, "heap-max=128m,workers=2");
  for (int i = 0; i < 200000; ++i) api_pair(&api, 1, NULL, NULL);
  for (int i = 0; i < 50; ++i) assert_non_null(varve_alloc(api.me, api.data, 300000));
  api_collect(&api, &stats);
  assert_int_equal(stats.live_after, 0);
  assert_int_equal(stats.objects_marked, 0);
  assert_string_equal(stats.cause, "requested");
  assert_true(stats.large_freed > 0);
  varve_heap_stats_get(api.heap, &totals);
  assert_int_equal(totals.collections, stats.number);
  assert_int_equal(totals.bytes_in_use, 0);
  api_close(&api);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(zeroed_is_zero_after_recycling),
      cmocka_unit_test(headers_say_size_layout_and_host_byte),
#if defined(__x86_64__)
      cmocka_unit_test(allocation_from_assembly),
#endif
      cmocka_unit_test(survivors_keep_the_order_of_allocation),
      cmocka_unit_test(half_empty_regions_become_free),
      cmocka_unit_test(what_does_not_move_is_counted_by_its_reason),
      cmocka_unit_test(two_workers_share_every_phase),
      cmocka_unit_test(medium_and_large_objects_survive),
      cmocka_unit_test(small_objects_live_beside_large_ones),
      cmocka_unit_test(relocation_is_no_emergency),
      cmocka_unit_test(a_swept_region_is_room_for_mediums),
      cmocka_unit_test(nothing_stays_of_garbage),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
