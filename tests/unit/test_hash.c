/* SPDX-License-Identifier: MIT */
/* test_hash.c -- identity hashes: they stay while objects of every size move, are all different, go with their objects,
 * are the same for all threads; young collections look at recent ones only; a table that finds no memory, or has too
 * much; headers that were copied. */
#include "../support/api.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/hash.h"
#include "core/heap.h"

#define MANY 50000u
#define THREADS 4u
#define STRICT API_STRICT

static bool no_memory;
void *__real_varve__meta_alloc(struct varve_meta *meta, unsigned node, size_t bytes, size_t alignment);
void *__wrap_varve__meta_alloc(struct varve_meta *meta, unsigned node, size_t bytes, size_t alignment);
void *__wrap_varve__meta_alloc(struct varve_meta *meta, unsigned node, size_t bytes, size_t alignment) {
  return no_memory ? NULL : __real_varve__meta_alloc(meta, node, bytes, alignment);
}

static uint64_t hash_of(struct api *api, varve_word object) {
  uint64_t hash = varve_identity_hash(api->me, varve_untag(object));
  assert_int_not_equal(hash, 0);
  assert_true(hash == varve_identity_hash(api->me, varve_untag(object)));
  return hash;
}

static size_t recent(const struct api *api) {
  size_t count = 0;
  for (unsigned i = 0; i < VARVE__HASH_STRIPES; ++i) count += api->heap->hashes->stripes[i].recent_count;
  return count;
}

static size_t entries(const struct api *api) {
  const struct varve_hash_table *table = api->heap->hashes->table;
  size_t count = 0;
  for (size_t at = 0; table && at < table->places; ++at) count += table->entries[at].address > VARVE__HASH_GONE;
  return count;
}

static int compare(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

static void require_different(uint64_t *hashes, size_t count) {
  qsort(hashes, count, sizeof *hashes, compare);
  for (size_t i = 1; i < count; ++i) assert_true(hashes[i - 1] != hashes[i]);
}

static void hashes_stay(const char *options) {
  static const size_t sizes[] = {16, 64, 2048, 4096, 100000, 200000, 3u << 20};
  enum { SIZES = sizeof sizes / sizeof *sizes };
  struct api api;
  uint64_t hashes[SIZES];
  api_open(&api, options);
  {
    VARVE_FRAME_ARRAY(f, api.me, SIZES);
    for (unsigned i = 0; i < SIZES; ++i) {
      api_pair(&api, i, NULL, NULL);
      f.slot[i] = varve_tag(varve_alloc(api.me, api.array, sizes[i]), 0);
      hashes[i] = hash_of(&api, f.slot[i]);
    }
    for (unsigned round = 0; round < 6; ++round) {
      if (round % 3) api_collect_newest(&api, NULL);
      else api_collect(&api, NULL);
      for (unsigned i = 0; i < SIZES; ++i) assert_true(hash_of(&api, f.slot[i]) == hashes[i]);
    }
    require_different(hashes, SIZES);
  }
  api_close(&api);
}

static void hashes_stay_while_objects_move(void **state) {
  (void)state;
  hashes_stay(STRICT);
  hashes_stay(STRICT ",ages=0");
  hashes_stay(STRICT ",workers=1");
}

/* A list of many, each hashed; every second one is dropped later. */
static void make_list(struct api *api, varve_word *list, uint64_t *hashes) {
  for (unsigned i = 0; i < MANY; ++i) {
    *list = api_pair(api, i, list, NULL);
    hashes[i] = hash_of(api, *list);
  }
}

static void check_list(struct api *api, varve_word list, const uint64_t *hashes) {
  for (; list; list = pair_of(list)->left) assert_true(hash_of(api, list) == hashes[pair_of(list)->number]);
}

static void drop_every_second(struct api *api, varve_word list) {
  for (; list && pair_of(list)->left; list = pair_of(list)->left)
    varve_store(api->me, pair_of(list), &pair_of(list)->left, pair_of(pair_of(list)->left)->left);
}

static void the_table_grows_and_shrinks(void **state) {
  static uint64_t hashes[MANY];
  struct api api;
  (void)state;
  api_open(&api, STRICT);
  {
    VARVE_FRAME(f, api.me, list);
    make_list(&api, &f.list, hashes);
    assert_int_equal(entries(&api), MANY);
    size_t places = api.heap->hashes->table->places;
    assert_in_range(places, MANY, MANY * 16);
    api_collect_newest(&api, NULL);
    check_list(&api, f.list, hashes);
    drop_every_second(&api, f.list);
    api_collect(&api, NULL);
    check_list(&api, f.list, hashes);
    assert_int_equal(entries(&api), MANY / 2);
    f.list = 0;
    api_collect(&api, NULL);
    api_collect(&api, NULL);
    assert_int_equal(entries(&api), 0);
    assert_true(api.heap->hashes->table->places < places);
    require_different(hashes, MANY);
  }
  api_close(&api);
}

static void young_collections_look_at_recent_ones(void **state) {
  static uint64_t hashes[MANY];
  struct api api;
  (void)state;
  api_open(&api, STRICT);
  {
    VARVE_FRAME(f, api.me, list, young);
    make_list(&api, &f.list, hashes);
    api_collect(&api, NULL);
    assert_int_equal(recent(&api), 0);
    f.young = api_pair(&api, 1, NULL, NULL);
    uint64_t hash = hash_of(&api, f.young);
    hash_of(&api, api_pair(&api, 2, NULL, NULL)); /* garbage */
    assert_int_equal(recent(&api), 2);
    assert_int_equal(entries(&api), MANY + 2);
    api_collect_newest(&api, NULL);
    assert_int_equal(recent(&api), 1);
    assert_int_equal(entries(&api), MANY + 1);
    assert_true(hash_of(&api, f.young) == hash);
    check_list(&api, f.list, hashes);
  }
  api_close(&api);
}

/* An old object that is hashed late need not be listed. */
static void old_objects_can_be_hashed(void **state) {
  struct api api;
  (void)state;
  api_open(&api, STRICT);
  {
    VARVE_FRAME(f, api.me, old);
    f.old = api_pair(&api, 1, NULL, NULL);
    api_collect(&api, NULL);
    uint64_t hash = hash_of(&api, f.old);
    assert_int_equal(recent(&api), 0);
    api_collect_newest(&api, NULL);
    api_collect(&api, NULL);
    assert_true(hash_of(&api, f.old) == hash);
  }
  api_close(&api);
}

struct asker {
  struct api *api;
  varve_word *objects;
  uint64_t hashes[MANY / 10];
};

static void *ask(void *argument) {
  struct asker *asker = argument;
  varve_mutator *me;
  assert_int_equal(varve_mutator_attach(asker->api->heap, NULL, 0, &me, NULL), VARVE_OK);
  for (unsigned i = 0; i < MANY / 10; ++i) asker->hashes[i] = varve_identity_hash(me, varve_untag(asker->objects[i]));
  assert_int_equal(varve_detach(me), VARVE_OK);
  return NULL;
}

static void threads_agree(void **state) {
  static varve_word objects[MANY / 10];
  static struct asker askers[THREADS];
  pthread_t threads[THREADS];
  struct api api;
  (void)state;
  api_open(&api, STRICT);
  assert_int_equal(varve_root_slots_add(api.heap, "objects", objects, MANY / 10, NULL), VARVE_OK);
  for (unsigned i = 0; i < MANY / 10; ++i) objects[i] = api_pair(&api, i, NULL, NULL);
  for (unsigned t = 0; t < THREADS; ++t) {
    askers[t].api = &api, askers[t].objects = objects;
    assert_int_equal(pthread_create(&threads[t], NULL, ask, &askers[t]), 0);
  }
  for (unsigned t = 0; t < THREADS; ++t) pthread_join(threads[t], NULL);
  for (unsigned t = 1; t < THREADS; ++t)
    assert_memory_equal(askers[t].hashes, askers[0].hashes, sizeof askers[0].hashes);
  api_sound(&api);
  require_different(askers[0].hashes, MANY / 10);
  assert_int_equal(varve_root_slots_remove(api.heap, objects), VARVE_OK);
  api_close(&api);
}

/* Without memory the first table is used to seven eighths, and no more. */
static void without_memory_there_is_no_hash(void **state) {
  struct api api;
  unsigned given = 0;
  (void)state;
  api_open(&api, STRICT ",ages=0");
  no_memory = true;
  {
    VARVE_FRAME(f, api.me, list);
    f.list = api_pair(&api, 0, NULL, NULL);
    assert_int_equal(varve_identity_hash(api.me, varve_untag(f.list)), 0);
    no_memory = false;
    uint64_t first = hash_of(&api, f.list);
    no_memory = true;
    for (unsigned i = 1; i < MANY; ++i) {
      f.list = api_pair(&api, i, &f.list, NULL);
      given += varve_identity_hash(api.me, varve_untag(f.list)) != 0;
    }
    assert_in_range(given, 1024, 4096 / 8 * 7);
    api_sound(&api);
    no_memory = false;
    hash_of(&api, f.list);
    api_collect(&api, NULL);
    while (pair_of(f.list)->left) f.list = pair_of(f.list)->left;
    assert_true(hash_of(&api, f.list) == first);
  }
  api_close(&api);
}

static void copied_headers_are_told(void **state) {
  struct api api;
  int status;
  (void)state;
  api_open(&api, STRICT ",workers=1");
  {
    VARVE_FRAME(f, api.me, original);
    f.original = api_pair(&api, 1, NULL, NULL);
    hash_of(&api, f.original);
    struct pair *copy = pair_of(api_pair(&api, 2, NULL, NULL));
    pid_t child = fork();
    if (!child) {
      if (!freopen("/dev/null", "w", stderr)) _exit(2);
      *copy = *pair_of(f.original);
      _exit(varve_identity_hash(api.me, copy) != 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
  }
  api_close(&api);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(hashes_stay_while_objects_move),
      cmocka_unit_test(the_table_grows_and_shrinks),
      cmocka_unit_test(young_collections_look_at_recent_ones),
      cmocka_unit_test(old_objects_can_be_hashed),
      cmocka_unit_test(threads_agree),
      cmocka_unit_test(without_memory_there_is_no_hash),
      cmocka_unit_test(copied_headers_are_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
