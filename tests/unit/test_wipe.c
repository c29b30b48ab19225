/* SPDX-License-Identifier: MIT */
/* test_wipe.c -- poison=1 and poison=2: after a collection no word of what it freed or vacated is left, wherever it was.
 *
 * Every word of every object is a secret. After each collection all memory of the heap is read: a word that belongs to
 * no object that was found alive is 0, or with poison=1 the pattern. What the mark bitmap says is believed (the verifier
 * compares it with a trace of its own). */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/heap.h"
#include "numa/meta.h"
#include "regions/space.h"
#include "support/api.h"
#include "support/random.h"

#define SECRET UINT64_C(0x5ec3e75ec3e70000)
#define KEPT 128u

struct scene {
  struct api api;
  struct random random;
  struct {
    varve_frame head;
    varve_word slot[KEPT];
  } frame;
  bool pinned[KEPT];
  uint64_t freed; /* words that have been looked at and belong to nobody */
};

/* ---- every word -------------------------------------------------------------------------------------------------- */

static bool is_clean(const struct scene *s, uint64_t word) {
  return word == 0 || (heap_has_pattern(s->api.heap) && word == VARVE__POISON);
}

static void look_at_words(struct scene *s, uint64_t address, size_t from, size_t to, const uint64_t *bitmap) {
  const uint64_t *words = (const uint64_t *)address;
  for (size_t i = from; i < to; ++i) {
    if (bitmap && bitmap[i / 64] >> i % 64 & 1) continue;
    ++s->freed;
    if (!is_clean(s, words[i])) fail_msg("%p holds %#llx", (const void *)&words[i], (unsigned long long)words[i]);
  }
}

static void look_at_block(struct scene *s, uint32_t block) {
  const struct varve_space *space = &s->api.heap->space;
  const struct varve_block *b = &space->blocks[block];
  uint64_t address = space_block_address(space, block);
  if (b->kind == BLOCK_LARGE_BODY) return;
  if (b->kind != BLOCK_LARGE_HEAD) {
    look_at_words(s, address, 0, VARVE__BLOCK_WORDS, space_block_bitmap(space, block));
    return;
  }
  size_t words = varve_object_bytes((const varve_object *)address) / 8;
  look_at_words(s, address, words, (size_t)b->age * VARVE__BLOCK_WORDS, NULL);
}

static void look_everywhere(struct scene *s) {
  const struct varve_space *space = &s->api.heap->space;
  for (uint32_t r = 0; r < space->region_high; ++r) {
    if (space_kind(space, r) == REGION_UNCOMMITTED) continue;
    if (space_kind(space, r) == REGION_FREE)
      look_at_words(s, space_region_address(space, r), 0, VARVE__REGION_WORDS, NULL);
    else
      for (uint32_t b = 0; b < VARVE__REGION_BLOCKS; ++b) look_at_block(s, r * VARVE__REGION_BLOCKS + b);
  }
}

/* ---- a random program -------------------------------------------------------------------------------------------- */

static size_t any_size(struct random *random) {
  static const size_t below[] = {256, 2048, 2048, 40000, 128 << 10, 400 << 10};
  return 16 + random_below(random, below[random_below(random, sizeof below / sizeof *below)]);
}

static void drop(struct scene *s, unsigned i) {
  if (s->pinned[i]) assert_int_equal(varve_unpin(s->api.me, varve_untag(s->frame.slot[i])), VARVE_OK);
  s->pinned[i] = false;
  s->frame.slot[i] = 0;
}

static void make(struct scene *s, unsigned i) {
  size_t bytes = any_size(&s->random);
  drop(s, i);
  uint64_t *object = varve_alloc_uninit(s->api.me, s->api.data, bytes);
  if (!object) {
    assert_int_equal(varve_mutator_status(s->api.me), VARVE_HEAP_FULL);
    for (unsigned k = 0; k < KEPT; k += 2) drop(s, k);
    return;
  }
  for (size_t w = 1; w < varve_object_bytes((varve_object *)object) / 8; ++w) object[w] = SECRET + w;
  s->frame.slot[i] = varve_tag(object, 0);
  if (!random_one_in(&s->random, 9)) return;
  s->pinned[i] = varve_pin(s->api.me, object) == VARVE_OK;
}

static void turn(struct scene *s) {
  for (unsigned n = 0; n < 400; ++n) make(s, random_below(&s->random, KEPT));
  if (random_one_in(&s->random, 3))
    for (unsigned i = 0; i < KEPT; ++i)
      if (random_below(&s->random, 4)) drop(s, i);
  if (random_one_in(&s->random, 2)) assert_int_equal(varve_collect_newest(s->api.me), VARVE_OK);
  else assert_int_equal(varve_collect(s->api.me), VARVE_OK);
  look_everywhere(s);
}

static void run(const char *options, unsigned poison, uint64_t seed) {
  struct scene s = {.random = {seed}};
  char all[200];
  snprintf(all, sizeof all, "heap-initial=2m,parallel-min=0,poison=%u,%s", poison, options);
  api_open(&s.api, all);
  varve_frame_push(s.api.me, &s.frame.head, KEPT);
  for (unsigned n = 0; n < 12; ++n) turn(&s);
  for (unsigned i = 0; i < KEPT; ++i) drop(&s, i);
  assert_int_equal(varve_collect(s.api.me), VARVE_OK);
  look_everywhere(&s);
  assert_true(s.freed > 100000);
  varve_frame_pop(s.api.me, &s.frame.head);
  api_close(&s.api);
}

static void nothing_is_left(void **state) {
  (void)state;
  static const char *const options[] = {
      "heap-max=64m,workers=2", "heap-max=32m,workers=2,move-everything=1,verify=1", "heap-max=32m,workers=1,ages=0",
      "heap-max=12m,workers=2,verify=1", "heap-max=40m,workers=2,dense=20", "heap-max=32m,workers=1,stress=500"};
  for (unsigned i = 0; i < sizeof options / sizeof *options; ++i)
    for (unsigned poison = 1; poison <= 2; ++poison) run(options[i], poison, 10 * i + poison);
}

/* Without it there is. */
static void without_the_option_it_is(void **state) {
  (void)state;
  struct api api;
  uint64_t found = 0;
  api_open(&api, "heap-max=8m,heap-initial=2m,workers=1");
  uint64_t *object = varve_alloc(api.me, api.data, 1000);
  object[5] = SECRET;
  assert_int_equal(varve_collect(api.me), VARVE_OK);
  const uint64_t *words = (const uint64_t *)api.heap->space.base;
  for (size_t i = 0; i < VARVE__REGION_WORDS; ++i) found += words[i] == SECRET;
  assert_int_equal(found, 1);
  api_close(&api);
}

/* Zeroes are no pattern: a word that looks like it is the host's. */
static void zeroes_are_no_pattern(void **state) {
  (void)state;
  struct api api;
  api_open(&api, "heap-max=8m,workers=1,verify=2,poison=2");
  varve_word looks = VARVE__POISON;
  assert_int_equal(varve_root_slots_add(api.heap, "looks", &looks, 1, NULL), VARVE_OK);
  assert_int_equal(varve_collect(api.me), VARVE_OK);
  assert_int_equal(varve_root_slots_remove(api.heap, &looks), VARVE_OK);
  api_close(&api);
}

/* ---- the library's own tables ------------------------------------------------------------------------------------ */

/* Memory that has been freed is looked at by a file, for it must not be touched. */
static uint64_t peek(const void *at) {
  uint64_t word = 1;
  int file = open("/proc/self/mem", O_RDONLY);
  assert_true(file >= 0);
  assert_int_equal(pread(file, &word, sizeof word, (off_t)(uintptr_t)at), sizeof word);
  close(file);
  return word;
}

static void tables_are_wiped(void **state) {
  (void)state;
  struct varve_topology topology;
  assert_int_equal(varve__topology_load(&topology, false, NULL), VARVE_OK);
  for (unsigned wipes = 0; wipes < 2; ++wipes) {
    struct varve_meta *meta = varve__meta_open(&topology);
    unsigned home = varve__meta_home(meta);
    void *keep = varve__meta_alloc(meta, home, 320, 64); /* or the page would go back */
    uint64_t *words = varve__meta_alloc(meta, home, 320, 64);
    for (unsigned i = 0; i < 40; ++i) words[i] = SECRET;
    if (wipes) varve__meta_wipe(meta);
    varve__meta_free_words(meta, home, words, 320, 64);
    assert_int_equal(peek(words + 20), wipes ? 0 : SECRET);
    varve__meta_free(meta, home, keep, 320, 64);
    varve__meta_close(meta);
  }
  varve__topology_unload(&topology);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_is_left),
      cmocka_unit_test(without_the_option_it_is),
      cmocka_unit_test(zeroes_are_no_pattern),
      cmocka_unit_test(tables_are_wiped),
  };
  return cmocka_run_group_tests_name("wipe", tests, NULL, NULL);
}
