/* SPDX-License-Identifier: MIT */
/* test_slab.c -- chunks of words: every word is handed out once, comes back, and is 0 when nobody has it; also with
 * several threads that take and give each other's words. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "regions/slab.h"

static struct varve_topology topology;
static struct varve_meta *meta;
static struct varve_slab slab;

static int setup(void **state) {
  (void)state;
  if (varve__topology_load(&topology, false, NULL) != VARVE_OK) return -1;
  meta = varve__meta_open(&topology);
  if (!meta) return -1;
  varve__slab_open(&slab, meta);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  varve__slab_close(&slab);
  varve__meta_close(meta);
  varve__topology_unload(&topology);
  return 0;
}

static void an_empty_slab_has_nothing(void **state) {
  (void)state;
  varve_word *words;
  assert_int_equal(varve__slab_claim(&slab, VARVE__SLAB_ANY_NODE, NULL, &words), 0);
  assert_null(varve__slab_claim_one(&slab));
  assert_int_equal(varve__slab_count_used(&slab), 0);
}

static void a_word_finds_its_chunk(void **state) {
  (void)state;
  struct varve_slab_chunk *chunk = varve__slab_grow(&slab, 0);
  assert_non_null(chunk);
  assert_int_equal((uintptr_t)chunk % VARVE__CHUNK_BYTES, 0);
  assert_ptr_equal(slab_chunk_of(&chunk->words[0]), chunk);
  assert_ptr_equal(slab_chunk_of(&chunk->words[VARVE__CHUNK_WORDS - 1]), chunk);
  assert_int_equal(slab_index_of(&chunk->words[VARVE__CHUNK_WORDS - 1]), VARVE__CHUNK_WORDS - 1);
  assert_ptr_equal(chunk->slab, &slab);
}

/* Claim all groups: 124 of 64 words, no group twice. Give them back: the same again. */
static void every_group_once(void **state) {
  (void)state;
  struct varve_slab_chunk *chunk = varve__slab_grow(&slab, 0);
  for (unsigned round = 0; round < 2; ++round) {
    bool seen[VARVE__CHUNK_GROUPS] = {false};
    varve_word *words = NULL;
    for (unsigned i = 0; i < VARVE__CHUNK_GROUPS; ++i) {
      assert_true(varve__slab_claim(&slab, VARVE__SLAB_ANY_NODE, words, &words) == ~UINT64_C(0));
      unsigned group = slab_index_of(words) / 64;
      assert_int_equal(slab_index_of(words) % 64, 0);
      assert_false(seen[group]);
      seen[group] = true;
    }
    assert_int_equal(varve__slab_claim(&slab, VARVE__SLAB_ANY_NODE, words, &words), 0);
    for (unsigned group = 0; group < VARVE__CHUNK_GROUPS; ++group)
      varve__slab_unclaim(chunk->words + group * 64, ~UINT64_C(0));
  }
}

static void use_and_give(void **state) {
  (void)state;
  varve__slab_grow(&slab, 0);
  varve_word *slot = varve__slab_claim_one(&slab);
  assert_non_null(slot);
  assert_false(slab_is_used(slot));
  assert_int_equal(*slot, 0);
  varve__slab_use(slot, 77);
  assert_true(slab_is_used(slot));
  assert_int_equal(*slot, 77);
  assert_int_equal(varve__slab_count_used(&slab), 1);
  assert_true(varve__slab_give(slot));
  assert_false(slab_is_used(slot));
  assert_int_equal(*slot, 0);
  assert_int_equal(varve__slab_count_used(&slab), 0);
  assert_false(varve__slab_give(slot)); /* twice */
}

static void a_word_given_to_a_full_slab_is_found_again(void **state) {
  (void)state;
  enum { CHUNKS = 70 }; /* more than one segment of the directory */
  for (unsigned i = 0; i < CHUNKS; ++i) assert_non_null(varve__slab_grow(&slab, 0));
  for (unsigned i = 0; i < CHUNKS; ++i) assert_int_equal(varve__slab_chunk(&slab, i)->index, i);
  varve_word *words;
  uint64_t bits, claimed = 0;
  while ((bits = varve__slab_claim(&slab, VARVE__SLAB_ANY_NODE, NULL, &words))) {
    claimed += bits_count(bits);
    for (; bits; bits &= bits - 1) varve__slab_use(words + bits_lowest(bits), 5);
  }
  assert_int_equal(claimed, CHUNKS * VARVE__CHUNK_WORDS);
  assert_int_equal(varve__slab_count_used(&slab), claimed);
  for (unsigned i = 0; i < CHUNKS; ++i) {
    varve_word *slot = &varve__slab_chunk(&slab, i)->words[i * 101];
    assert_true(varve__slab_give(slot));
    assert_ptr_equal(varve__slab_claim_one(&slab), slot);
    assert_null(varve__slab_claim_one(&slab));
    varve__slab_unclaim(slot - i * 101 % 64, UINT64_C(1) << (i * 101 % 64));
    assert_true(varve__slab_claim(&slab, VARVE__SLAB_ANY_NODE, NULL, &words) == UINT64_C(1) << (i * 101 % 64));
    assert_ptr_equal(words, slot - i * 101 % 64);
  }
}

/* Threads take words, write their own number into them, and give some of their own and some of a neighbour's back.
 * A word that were handed out twice would be found with another number, or not 0 when new. */
enum { THREADS = 3, KEPT = 512, ROUNDS = 60000 };
static uintptr_t passed[THREADS]; /* a word that thread i has handed to its neighbour; 0: none; by exchange */
static unsigned long wrong;

struct taker {
  unsigned number, count;
  varve_word *kept[KEPT];
  uint32_t random;
  varve_word *words;
  uint64_t free;
};

static varve_word *take(struct taker *taker) {
  if (taker->random & 64) return varve__slab_claim_one(&slab);
  if (!taker->free) taker->free = varve__slab_claim(&slab, VARVE__SLAB_ANY_NODE, taker->words, &taker->words);
  if (!taker->free) return NULL;
  varve_word *slot = taker->words + bits_lowest(taker->free);
  taker->free &= taker->free - 1;
  return slot;
}

static void one_round(struct taker *taker) {
  taker->random = taker->random * 1664525u + 1013904223u;
  varve_word *slot;
  if ((taker->random >> 16) % 2 && taker->count < KEPT && (slot = take(taker))) {
    if (*slot) __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
    varve__slab_use(slot, taker->number + 1);
    taker->kept[taker->count++] = slot;
  } else if (taker->count) {
    unsigned which = (taker->random >> 8) % taker->count;
    slot = taker->kept[which];
    taker->kept[which] = taker->kept[--taker->count];
    if (*slot != taker->number + 1) __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
    /* Release and acquire: the word goes over to the neighbour, and with it what was written. */
    slot = (varve_word *)__atomic_exchange_n(&passed[taker->number], (uintptr_t)slot, __ATOMIC_ACQ_REL);
    if (slot && !varve__slab_give(slot)) __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
    slot = (varve_word *)__atomic_exchange_n(&passed[(taker->number + 1) % THREADS], 0, __ATOMIC_ACQ_REL);
    if (slot && !varve__slab_give(slot)) __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
  }
}

static void *run_taker(void *argument) {
  struct taker *taker = argument;
  for (unsigned i = 0; i < ROUNDS; ++i) one_round(taker);
  while (taker->count)
    if (!varve__slab_give(taker->kept[--taker->count])) __atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
  varve__slab_unclaim(taker->words, taker->free);
  return NULL;
}

static void threads_share_without_mixing(void **state) {
  (void)state;
  pthread_t threads[THREADS];
  static struct taker takers[THREADS];
  varve__slab_grow(&slab, 0);
  for (unsigned i = 0; i < THREADS; ++i) {
    takers[i] = (struct taker){.number = i, .random = i + 1};
    assert_int_equal(pthread_create(&threads[i], NULL, run_taker, &takers[i]), 0);
  }
  for (unsigned i = 0; i < THREADS; ++i) pthread_join(threads[i], NULL);
  for (unsigned i = 0; i < THREADS; ++i)
    if (passed[i]) assert_true(varve__slab_give((varve_word *)passed[i]));
  assert_int_equal(wrong, 0);
  assert_int_equal(varve__slab_count_used(&slab), 0);
  varve_word *words;
  uint64_t bits, free = 0;
  while ((bits = varve__slab_claim(&slab, VARVE__SLAB_ANY_NODE, NULL, &words))) free += bits_count(bits);
  assert_int_equal(free, VARVE__CHUNK_WORDS); /* none is lost */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(an_empty_slab_has_nothing, setup, teardown),
      cmocka_unit_test_setup_teardown(a_word_finds_its_chunk, setup, teardown),
      cmocka_unit_test_setup_teardown(every_group_once, setup, teardown),
      cmocka_unit_test_setup_teardown(use_and_give, setup, teardown),
      cmocka_unit_test_setup_teardown(a_word_given_to_a_full_slab_is_found_again, setup, teardown),
      cmocka_unit_test_setup_teardown(threads_share_without_mixing, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
