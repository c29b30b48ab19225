/* SPDX-License-Identifier: MIT */
/* poke.c -- invariant S1: a stop that is wanted while a mutator stores its limit is not lost.
 *
 * One thread takes a slow allocation, which ends with storing the limit, and then does nothing but poll until it
 * has seen a collection. The other thread waits a random moment and collects. If a poke is ever lost, the first thread
 * polls for ever and the second waits for it for ever: the test hangs. A slow allocation heals a lost poke, so
 * programs that go on allocating do not show the bug.
 *
 *   poke [--seed S] [--options LIST]
 *
 * @test storm quick
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../support/random.h"
#include "varve/varve.h"

#define ROUNDS 20000

struct poke {
  varve_heap *heap;
  varve_layout data;
  int done;
};

static uint64_t collections(const varve_heap *heap) {
  varve_heap_stats stats;
  varve_heap_stats_get(heap, &stats);
  return stats.collections;
}

static void *poll_main(void *argument) {
  struct poke *poke = argument;
  varve_mutator *me;
  if (varve_attach(poke->heap, "poller", &me, NULL) != VARVE_OK) abort();
  while (!__atomic_load_n(&poke->done, __ATOMIC_ACQUIRE)) {
    uint64_t seen = collections(poke->heap);
    if (!varve_alloc_uninit_slow(me, poke->data, 64)) abort();
    while (collections(poke->heap) == seen && !__atomic_load_n(&poke->done, __ATOMIC_ACQUIRE)) varve_poll(me);
  }
  if (varve_detach(me) != VARVE_OK) abort();
  return NULL;
}

static void collect_at_random(struct poke *poke, uint64_t seed) {
  struct random random = {seed};
  varve_mutator *me;
  if (varve_attach(poke->heap, "collector", &me, NULL) != VARVE_OK) abort();
  for (int round = 0; round < ROUNDS; ++round) {
    for (volatile uint64_t wait = random_below(&random, 2000); wait; --wait) continue;
    varve_collect(me);
  }
  __atomic_store_n(&poke->done, 1, __ATOMIC_RELEASE);
  if (varve_detach(me) != VARVE_OK) abort();
}

int main(int count, char **arguments) {
  struct poke poke = {0};
  varve_options options;
  varve_error error = {0};
  pthread_t thread;
  uint64_t seed = 1;
  varve_options_init(&options);
  if (varve_options_parse(&options, "heap-max=16m,workers=1", &error) != VARVE_OK) return 2;
  for (int i = 1; i + 1 < count; i += 2) {
    if (!strcmp(arguments[i], "--seed")) seed = strtoull(arguments[i + 1], NULL, 10);
    else if (varve_options_parse(&options, arguments[i + 1], &error) != VARVE_OK) return 2;
  }
  printf("seed %llu\n", (unsigned long long)seed);
  varve_layout_desc data = {.name = "data", .kind = VARVE_LAYOUT_DATA};
  if (varve_heap_create(&options, &poke.heap, &error) != VARVE_OK ||
      varve_layout_register(poke.heap, &data, &poke.data, &error) != VARVE_OK ||
      pthread_create(&thread, NULL, poll_main, &poke) != 0)
    return 2;
  collect_at_random(&poke, seed);
  pthread_join(thread, NULL);
  printf("%d collections, no poke lost\n", ROUNDS);
  return varve_heap_destroy(poke.heap) == VARVE_OK ? 0 : 1;
}
