/* SPDX-License-Identifier: MIT */
/* test_barrier.c -- stores that are remembered, and those that are not: the verifier names a forgotten barrier; heaps
 * that are asleep or have no ages list nothing; when there is no memory for lists, the next collection is full. Linked
 * so that the metadata arenas can be told to refuse. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>

#include "../support/api.h"

#include "core/heap.h"
#include "core/remember.h"
#include "numa/meta.h"

static bool refuse;

void *__real_varve__meta_alloc(struct varve_meta *meta, unsigned node, size_t bytes, size_t alignment);
void *__wrap_varve__meta_alloc(struct varve_meta *meta, unsigned node, size_t bytes, size_t alignment);
void *__wrap_varve__meta_alloc(struct varve_meta *meta, unsigned node, size_t bytes, size_t alignment) {
  return refuse ? NULL : __real_varve__meta_alloc(meta, node, bytes, alignment);
}

/* Damage is found, and all of the texts are in the detail. */
static void found(struct api *api, const char *const *texts, size_t count) {
  varve_error error = {0};
  assert_int_equal(varve_verify(api->me, &error), VARVE_CORRUPT);
  for (size_t i = 0; i < count; ++i)
    if (!strstr(error.detail, texts[i])) fail_msg("\"%s\" is not in \"%s\"", texts[i], error.detail);
}

static const char *address_text(char *buffer, size_t capacity, const void *address) {
  snprintf(buffer, capacity, "%p", address);
  return buffer;
}

static uint64_t listed(const struct api *api) { return varve__remembered_count(api->heap); }
static bool has_flag(varve_word object) { return *(const uint8_t *)varve_untag(object) & VARVE_ABI_FLAG_NO_LOG; }

/* ---- forgotten barriers ---- */

static void a_store_without_barrier_is_named(void **state) {
  struct api api;
  char old[32], young[32];
  (void)state;
  api_open(&api, API_STRICT);
  {
    VARVE_FRAME(f, api.me, old, young);
    f.old = api_pair(&api, 1, NULL, NULL);
    api_collect(&api, NULL);
    f.young = api_pair(&api, 2, NULL, NULL);
    pair_of(f.old)->right = f.young;
    const char *texts[] = {"\"pair\", 32 bytes) +24 of epoch 0", "of epoch 1: a store without barrier",
                           address_text(old, sizeof old, varve_untag(f.old)),
                           address_text(young, sizeof young, varve_untag(f.young))};
    found(&api, texts, 4);
    varve_store(api.me, pair_of(f.old), &pair_of(f.old)->right, f.young);
    api_sound(&api);
    api_collect_newest(&api, NULL);
    assert_int_equal(pair_of(pair_of(f.old)->right)->number, 2);
  }
  api_close(&api);
}

/* A barrier for another line of the array does not help. */
static void a_line_that_is_not_noted_is_named(void **state) {
  struct api api;
  const char *texts[] = {"\"array\", 1048576 bytes) +8008 of epoch 0", "a store without barrier"};
  (void)state;
  api_open(&api, API_STRICT);
  {
    VARVE_FRAME(f, api.me, old, young);
    varve_word *words;
    f.old = varve_tag(varve_alloc(api.me, api.array, 1 << 20), 0);
    api_collect(&api, NULL);
    f.young = api_pair(&api, 2, NULL, NULL);
    words = (varve_word *)varve_untag(f.old);
    varve_store(api.me, words, &words[999], f.young);
    api_sound(&api);
    words[1001] = f.young;
    found(&api, texts, 2);
    varve_store(api.me, words, &words[1001], f.young);
    api_sound(&api);
  }
  api_close(&api);
}

static void a_late_immutable_object_is_named(void **state) {
  static const uint32_t offsets[] = {offsetof(struct pair, left)};
  struct api api;
  const char *texts[] = {"\"frozen\"", "+16", "\"pair\"", "an immutable object was written late"};
  (void)state;
  api_open(&api, API_STRICT);
  const varve_layout_desc frozen = {.name = "frozen", .kind = VARVE_LAYOUT_OFFSETS, .immutable = true,
                                    .offsets = offsets, .offset_count = 1};
  varve_layout layout = api_layout(api.heap, &frozen);
  {
    VARVE_FRAME(f, api.me, old, young);
    f.old = varve_tag(varve_alloc(api.me, layout, sizeof(struct pair)), 0);
    varve_init(api.me, pair_of(f.old), &pair_of(f.old)->left, f.old);
    api_collect(&api, NULL);
    api_sound(&api);
    f.young = api_pair(&api, 2, NULL, NULL);
    varve_init(api.me, pair_of(f.old), &pair_of(f.old)->left, f.young);
    found(&api, texts, 4);
    pair_of(f.old)->left = 0;
    api_sound(&api);
  }
  api_close(&api);
}

/* ---- forgotten notes ---- */

/* A root word is written past the interface, then through it: as a Ref word, or as a handle's. */
static void name_and_repair(struct api *api, varve_refs *refs, varve_word *word, const char *table) {
  char slot[32], target[32];
  api_collect(api, NULL);
  varve_word young = api_pair(api, 7, NULL, NULL);
  const char *texts[] = {table, address_text(slot, sizeof slot, word), "no store was noted",
                         address_text(target, sizeof target, varve_untag(young))};
  *word = young;
  found(api, texts, 4);
  if (refs) varve_ref_store(api->me, refs, word, young);
  else varve_handle_set(api->me, (varve_handle *)word, young);
  api_sound(api);
  api_collect_newest(api, NULL);
  assert_int_equal(pair_of(*word)->number, 7);
}

static void array_words_written_past_the_interface_are_named(void **state) {
  struct api api;
  varve_word words[20] = {0};
  varve_ref_array array = {.name = "words", .base = words, .stride = 8, .count = 20};
  varve_refs *refs;
  (void)state;
  api_open(&api, API_STRICT);
  assert_int_equal(varve_ref_array_add(api.heap, &array, &refs, NULL), VARVE_OK);
  name_and_repair(&api, refs, &words[17], "Ref array words");
  varve_ref_array_remove(refs);
  api_close(&api);
}

static void slab_words_and_handles_too(void **state) {
  struct api api;
  varve_slab_cursor cursor;
  (void)state;
  api_open(&api, API_STRICT);
  varve_refs *slab = varve_slab_create(api.heap, "cells");
  varve_slab_cursor_open(&cursor, slab);
  varve_word *cell = varve_slab_take(&cursor, api.me, 0);
  varve_handle *handle = varve_handle_new(api.me, 0);
  name_and_repair(&api, slab, cell, "Ref slab cells");
  name_and_repair(&api, NULL, (varve_word *)handle, "handles");
  varve_slab_give(slab, cell);
  varve_slab_cursor_close(&cursor);
  varve_slab_destroy(slab);
  varve_handle_free(api.me, handle);
  api_close(&api);
}

/* ---- listing ---- */

/* Old pairs, chained by their left slots; returns the newest. */
static varve_word make_chain(struct api *api, unsigned count) {
  VARVE_FRAME(f, api->me, list);
  for (unsigned i = 0; i < count; ++i) f.list = api_pair(api, i, &f.list, NULL);
  return f.list;
}

static void store_young(struct api *api, const varve_word *chain, unsigned count) {
  VARVE_FRAME(f, api->me, at);
  f.at = *chain;
  for (unsigned i = 0; i < count; ++i) {
    varve_word young = api_pair(api, 1000000 + i, NULL, NULL);
    varve_store(api->me, pair_of(f.at), &pair_of(f.at)->right, young);
    f.at = pair_of(f.at)->left;
  }
}

static void check_young(varve_word chain, unsigned count) {
  for (unsigned i = 0; i < count; ++i, chain = pair_of(chain)->left)
    assert_int_equal(pair_of(pair_of(chain)->right)->number, 1000000 + i);
}

/* More than a list holds; each once, whoever stores how often. */
static void objects_are_listed_once(void **state) {
  struct api api;
  varve_collection_stats stats;
  (void)state;
  api_open(&api, API_STRICT);
  {
    VARVE_FRAME(f, api.me, chain);
    f.chain = make_chain(&api, 2000);
    api_collect(&api, NULL);
    assert_false(has_flag(f.chain));
    store_young(&api, &f.chain, 1500);
    store_young(&api, &f.chain, 1500);
    assert_int_equal(listed(&api), 1500);
    assert_true(has_flag(f.chain));
    api_sound(&api);
    api_collect_newest(&api, &stats);
    assert_int_equal(stats.remembered, 1500);
    check_young(f.chain, 1500);
    store_young(&api, &f.chain, 100); /* they still are */
    assert_int_equal(listed(&api), 1500);
    api_sound(&api);
    api_collect(&api, NULL);
    assert_int_equal(listed(&api), 0);
    assert_false(has_flag(f.chain));
    check_young(f.chain, 1500);
  }
  api_close(&api);
}

static void new_objects_are_not_listed(void **state) {
  struct api api;
  (void)state;
  api_open(&api, API_STRICT);
  {
    VARVE_FRAME(f, api.me, chain);
    f.chain = make_chain(&api, 100);
    store_young(&api, &f.chain, 100);
    assert_int_equal(listed(&api), 0);
    assert_true(has_flag(f.chain));
  }
  api_close(&api);
}

#define STORERS 4

struct storer {
  struct api *api;
  pthread_barrier_t *start;
  varve_slab_cursor cursor;
};

/* Store into every object of the chain that the first word of the slab refers to. */
static void *store_main(void *argument) {
  struct storer *storer = argument;
  varve_mutator *me;
  if (varve_attach(storer->api->heap, "storer", &me, NULL) != VARVE_OK) return argument;
  pthread_barrier_wait(storer->start);
  varve_word chain = varve_ref_load(storer->cursor.words); /* no safepoint until the end: nothing moves */
  for (varve_word at = chain; at; at = pair_of(at)->left) varve_store(me, pair_of(at), &pair_of(at)->right, chain);
  return varve_detach(me) == VARVE_OK ? NULL : argument;
}

static void run_storers(struct storer *storer) {
  pthread_t threads[STORERS];
  for (unsigned i = 0; i < STORERS; ++i) assert_int_equal(pthread_create(&threads[i], NULL, store_main, storer), 0);
  assert_int_equal(varve_native_enter(storer->api->me), VARVE_OK);
  for (unsigned i = 0; i < STORERS; ++i) {
    void *failed;
    pthread_join(threads[i], &failed);
    assert_null(failed);
  }
  assert_int_equal(varve_native_leave(storer->api->me), VARVE_OK);
}

/* Some threads store into the same old objects: each object is listed by one of them. */
static void threads_list_an_object_once(void **state) {
  struct api api;
  pthread_barrier_t start;
  struct storer storer = {.api = &api, .start = &start};
  (void)state;
  api_open(&api, API_STRICT);
  pthread_barrier_init(&start, NULL, STORERS);
  varve_refs *slab = varve_slab_create(api.heap, "chain");
  varve_slab_cursor_open(&storer.cursor, slab);
  varve_word *first = varve_slab_take(&storer.cursor, api.me, 0);
  varve_ref_store(api.me, slab, first, make_chain(&api, 5000));
  api_collect(&api, NULL);
  run_storers(&storer);
  assert_int_equal(listed(&api), 5000);
  api_sound(&api);
  api_collect_newest(&api, NULL);
  api_sound(&api);
  varve_slab_give(slab, first);
  varve_slab_cursor_close(&storer.cursor);
  varve_slab_destroy(slab);
  pthread_barrier_destroy(&start);
  api_close(&api);
}

/* ---- no memory ---- */

/* `first`: not even one list can be had. */
static void without_lists(bool first) {
  struct api api;
  varve_collection_stats stats;
  api_open(&api, API_STRICT);
  {
    VARVE_FRAME(f, api.me, chain);
    f.chain = make_chain(&api, 3000);
    api_collect(&api, NULL);
    if (!first) store_young(&api, &f.chain, 1);
    refuse = true;
    store_young(&api, &f.chain, 1500);
    refuse = false;
    assert_in_range(listed(&api), 0, first ? 0 : VARVE__REMEMBERED_ENTRIES);
    assert_true(atomic_load(&api.heap->remembered.lost));
    api_sound(&api);
    api_collect_newest(&api, &stats); /* would lose the others */
    assert_int_equal(stats.epochs_taken, stats.epochs);
    assert_false(atomic_load(&api.heap->remembered.lost));
    check_young(f.chain, 1500);
    assert_int_equal(listed(&api), 0);
    store_young(&api, &f.chain, 1500);
    assert_int_equal(listed(&api), 1500);
    api_collect_newest(&api, &stats);
    assert_int_equal(stats.epochs_taken, 1);
    check_young(f.chain, 1500);
  }
  api_close(&api);
}

static void without_memory_for_lists_a_full_collection_comes(void **state) {
  (void)state;
  without_lists(true);
  without_lists(false);
}

/* The array has more words than notes could be had for: it stays as it was. */
static void without_memory_for_notes_an_array_does_not_grow(void **state) {
  static varve_word words[10000];
  struct api api;
  varve_refs *refs;
  (void)state;
  api_open(&api, API_STRICT);
  varve_ref_array array = {.name = "words", .base = words, .stride = 8, .count = 10};
  refuse = true;
  assert_int_equal(varve_ref_array_add(api.heap, &array, &refs, NULL), VARVE_METADATA);
  refuse = false;
  assert_int_equal(varve_ref_array_add(api.heap, &array, &refs, NULL), VARVE_OK);
  api_collect(&api, NULL);
  refuse = true;
  assert_int_equal(varve_ref_array_update(refs, words, 10000, NULL, NULL), VARVE_METADATA);
  refuse = false;
  varve_ref_store(api.me, refs, &words[9], api_pair(&api, 9, NULL, NULL));
  api_collect_newest(&api, NULL);
  assert_int_equal(pair_of(words[9])->number, 9);
  assert_int_equal(varve_ref_array_update(refs, words, 10000, NULL, NULL), VARVE_OK);
  varve_ref_store(api.me, refs, &words[9999], api_pair(&api, 10, NULL, NULL));
  api_collect_newest(&api, NULL);
  assert_int_equal(pair_of(words[9])->number, 9);
  assert_int_equal(pair_of(words[9999])->number, 10);
  varve_ref_array_remove(refs);
  api_close(&api);
}

/* ---- asleep ---- */

/* Make the policy believe that young collections do not pay, or that they do. */
static void believe(struct api *api, bool dear) {
  api->heap->yield.cost = dear ? 1 : UINT64_C(1) << 60;
  api->heap->yield.full_cost = 0;
}

/* Being awake costs nothing without stores, so the heap stays awake; with enough of them in vain it does not. */
static void fall_asleep(struct api *api) {
  for (unsigned i = 0; i < 5; ++i) {
    assert_false(api->heap->ages.asleep);
    believe(api, true);
    api_collect(api, NULL);
  }
  assert_false(api->heap->ages.asleep);
  believe(api, true);
  api->heap->yield.wasted = 1;
  api_collect(api, NULL);
  assert_true(api->heap->ages.asleep);
}

/* Old objects: a chain, and a large array. */
struct old {
  varve_word chain, array;
};

static void store_into(struct api *api, const struct old *old) {
  store_young(api, &old->chain, 1000);
  varve_word young = api_pair(api, 8, NULL, NULL), *words = (varve_word *)varve_untag(old->array);
  varve_store(api->me, words, &words[1000], young);
}

static void check_old(const struct old *old, bool flags) {
  check_young(old->chain, 1000);
  assert_int_equal(pair_of(((varve_word *)varve_untag(old->array))[1000])->number, 8);
  assert_int_equal(has_flag(old->chain), flags);
  assert_int_equal(has_flag(old->array), flags);
}

/* Flags stay set, so that stores cost nothing; collections are full until one of them says that it shall wake up. */
static void sleep_and_wake(struct api *api, const struct old *old) {
  varve_collection_stats stats;
  fall_asleep(api);
  for (unsigned round = 0; round < 4; ++round) {
    assert_true(api->heap->ages.asleep);
    store_into(api, old);
    assert_int_equal(listed(api), 0);
    api_sound(api);
    believe(api, round < 3);
    api_collect_newest(api, &stats);
    assert_int_equal(stats.epochs_taken, stats.epochs);
    check_old(old, round < 3);
  }
  assert_false(api->heap->ages.asleep);
  store_into(api, old);
  assert_int_equal(listed(api), 1001);
  api_collect_newest(api, &stats);
  assert_int_equal(stats.epochs_taken, 1);
  check_young(old->chain, 1000);
}

static void asleep_nothing_is_listed(void **state) {
  struct api api;
  struct old old = {0, 0};
  (void)state;
  api_open(&api, API_STRICT);
  assert_int_equal(varve_root_slots_add(api.heap, "old", &old.chain, 2, NULL), VARVE_OK);
  old.array = varve_tag(varve_alloc(api.me, api.array, 1 << 20), 0);
  old.chain = make_chain(&api, 1000);
  sleep_and_wake(&api, &old);
  assert_int_equal(varve_root_slots_remove(api.heap, &old.chain), VARVE_OK);
  api_close(&api);
}

/* ---- no ages ---- */

static void without_ages_nothing_is_listed(void **state) {
  struct api api;
  varve_collection_stats stats;
  (void)state;
  api_open(&api, API_STRICT ",ages=0");
  {
    VARVE_FRAME(f, api.me, chain, array);
    f.array = varve_tag(varve_alloc(api.me, api.array, 1 << 20), 0);
    f.chain = make_chain(&api, 1000);
    for (unsigned round = 0; round < 3; ++round) {
      api_collect_newest(&api, &stats);
      assert_int_equal(stats.epochs, 1);
      assert_int_equal(stats.epochs_taken, 1);
      assert_true(has_flag(f.chain) && has_flag(f.array));
      store_young(&api, &f.chain, 1000);
      assert_int_equal(listed(&api), 0);
      api_sound(&api);
    }
    check_young(f.chain, 1000);
  }
  api_collect(&api, &stats);
  assert_int_equal(stats.live_after, 0);
  api_close(&api);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_store_without_barrier_is_named),
      cmocka_unit_test(a_line_that_is_not_noted_is_named),
      cmocka_unit_test(a_late_immutable_object_is_named),
      cmocka_unit_test(array_words_written_past_the_interface_are_named),
      cmocka_unit_test(slab_words_and_handles_too),
      cmocka_unit_test(objects_are_listed_once),
      cmocka_unit_test(new_objects_are_not_listed),
      cmocka_unit_test(threads_list_an_object_once),
      cmocka_unit_test(without_memory_for_lists_a_full_collection_comes),
      cmocka_unit_test(without_memory_for_notes_an_array_does_not_grow),
      cmocka_unit_test(asleep_nothing_is_listed),
      cmocka_unit_test(without_ages_nothing_is_listed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
