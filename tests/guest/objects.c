/* SPDX-License-Identifier: MIT */
/* objects.c -- where objects, Ref words and tables are, when nobody has asked for a policy and there is room. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bed.h"
#include "checks.h"

#define EACH_NEAR(node)                                    \
  for (unsigned node = 0; node < machine()->count; ++node) \
    if (machine()->near & bit(node))

static void expect_chains(const struct hand *hand, const char *when) {
  char what[96];
  varve_handle *const chains[] = {hand->small, hand->medium, hand->large};
  static const char *const names[] = {"small", "medium", "large"};
  for (unsigned i = 0; i < 3; ++i) {
    snprintf(what, sizeof what, "%s objects of the mutator on node %u%s", names[i], hand->node, when);
    expect_on(pages_of_chain(chains[i], ALL), home_of(hand->node), what);
  }
}

/* Open a hand on each node with processors, and leave it. @return how many. */
static unsigned open_hands(struct hand *hands, struct bed *bed) {
  unsigned count = 0;
  EACH_NEAR(node) {
    hand_open(&hands[count], bed, node);
    hand_leave(&hands[count++]);
  }
  return count;
}

static void close_hands(struct hand *hands, unsigned count) {
  for (unsigned i = 0; i < count; ++i) {
    hand_enter(&hands[i]);
    hand_close(&hands[i]);
  }
}

void check_objects(void) {
  struct bed bed;
  struct hand hands[NODES_MAX];
  bed_open(&bed, "heap-max=512m");
  unsigned count = open_hands(hands, &bed);
  for (unsigned i = 0; i < count; ++i) {
    hand_enter(&hands[i]);
    hand_fill(&hands[i]);
    hand_leave(&hands[i]);
  }
  for (unsigned i = 0; i < count; ++i) expect_chains(&hands[i], "");
  close_hands(hands, count);
  bed_close(&bed);
}

/* Half of what a hand allocates is garbage, so that what it keeps moves. */
static void grow_with_gaps(struct hand *hand) {
  for (unsigned i = 0; i < 40; ++i) {
    hand_add(hand, hand->small, 100, 64);
    hand_waste(hand, 100, 64);
    hand_add(hand, hand->medium, 1, 12 << 10);
    hand_waste(hand, 1, 12 << 10);
  }
  hand_add(hand, hand->large, 1, 300 << 10);
  hand_waste(hand, 1, 300 << 10);
}

static void collect_in_turns(struct hand *hand, unsigned round) {
  if (round % 2) expect(varve_collect_newest(hand->me) == VARVE_OK, "collect the newest");
  else hand_collect(hand);
}

void check_survive(void) {
  struct bed bed;
  struct hand hands[NODES_MAX];
  bed_open(&bed, "heap-max=512m,move-everything=1");
  unsigned count = open_hands(hands, &bed);
  for (unsigned round = 0; round < 4; ++round)
    for (unsigned i = 0; i < count; ++i) {
      hand_enter(&hands[i]);
      grow_with_gaps(&hands[i]);
      if (i == round % count) collect_in_turns(&hands[i], round);
      hand_leave(&hands[i]);
    }
  hand_enter(&hands[0]);
  hand_collect(&hands[0]);
  hand_leave(&hands[0]);
  varve_heap_stats stats;
  varve_heap_stats_get(bed.heap, &stats);
  expect(stats.bytes_moved > count * MIB / 4, "hardly anything moved");
  for (unsigned i = 0; i < count; ++i) expect_chains(&hands[i], " after collections");
  close_hands(hands, count);
  bed_close(&bed);
}

struct runner {
  struct bed *bed;
  struct hand hand;
  unsigned node;
  pthread_t thread;
  pthread_barrier_t *done;
};

static void *run_on_node(void *argument) {
  struct runner *runner = argument;
  struct hand *hand = &runner->hand;
  hand_open(hand, runner->bed, runner->node);
  for (unsigned i = 0; i < 3; ++i) {
    grow_with_gaps(hand);
    expect(varve_collect_newest(hand->me) == VARVE_OK, "collect the newest");
  }
  hand_leave(hand);
  pthread_barrier_wait(runner->done);
  expect_chains(hand, ", all nodes at once");
  pthread_barrier_wait(runner->done);
  hand_enter(hand);
  hand_close(hand);
  return NULL;
}

void check_threads(void) {
  static struct runner runners[NODES_MAX];
  struct bed bed;
  unsigned count = 0;
  pthread_barrier_t done;
  pthread_barrier_init(&done, NULL, count_of(machine()->near));
  bed_open(&bed, "heap-max=512m,move-everything=1");
  EACH_NEAR(node) runners[count++] = (struct runner){.bed = &bed, .node = node, .done = &done};
  for (unsigned i = 0; i < count; ++i)
    expect(pthread_create(&runners[i].thread, NULL, run_on_node, &runners[i]) == 0, "no thread");
  for (unsigned i = 0; i < count; ++i) pthread_join(runners[i].thread, NULL);
  bed_close(&bed);
}

/* What is left of the old TLAB still lies on the old node: the first two of 32 KiB do not count. */
void check_migrate(void) {
  struct bed bed;
  struct hand hand;
  unsigned from = first_of(machine()->near), to = last_of(machine()->near);
  if (home_of(from) == home_of(to)) skip("one node with processors");
  bed_open(&bed, "heap-max=256m");
  hand_open(&hand, &bed, from);
  hand_add(&hand, hand.small, 4000, 64);
  expect_on(pages_of_chain(hand.small, ALL), home_of(from), "before the mutator moved");
  pin_to(to);
  hand_add(&hand, hand.small, 1024, 64);
  hand_add(&hand, hand.small, 8000, 64);
  hand_add(&hand, hand.medium, 20, 24 << 10);
  expect_on(pages_of_chain(hand.small, 8000), home_of(to), "small objects after the mutator moved");
  expect_on(pages_of_chain(hand.medium, ALL), home_of(to), "medium objects after the mutator moved");
  hand_close(&hand);
  bed_close(&bed);
}

#define REF_WORDS 3000u

static struct counts take_refs(struct hand *hand, varve_refs *slab) {
  varve_slab_cursor cursor;
  struct pages pages = {0};
  hand_enter(hand);
  varve_slab_cursor_open(&cursor, slab);
  for (unsigned i = 0; i < REF_WORDS; ++i) {
    varve_word *word = varve_slab_take(&cursor, hand->me, 0);
    expect(word != NULL, "no Ref word");
    pages_add(&pages, word, sizeof *word);
  }
  varve_slab_cursor_close(&cursor);
  hand_leave(hand);
  return pages_count(&pages);
}

void check_refs(void) {
  struct bed bed;
  struct hand hands[NODES_MAX];
  char what[64];
  bed_open(&bed, "heap-max=256m");
  unsigned count = open_hands(hands, &bed);
  varve_refs *slab = varve_slab_create(bed.heap, "shared");
  expect(slab != NULL, "no slab");
  for (unsigned i = 0; i < count; ++i) {
    snprintf(what, sizeof what, "Ref words taken on node %u", hands[i].node);
    expect_on(take_refs(&hands[i], slab), home_of(hands[i].node), what);
  }
  varve_slab_destroy(slab);
  close_hands(hands, count);
  bed_close(&bed);
}

void check_metadata(void) {
  struct bed bed;
  struct hand hands[NODES_MAX];
  varve_node_stats stats;
  bed_open(&bed, "heap-max=256m");
  unsigned count = open_hands(hands, &bed);
  for (unsigned i = 0; i < count; ++i) {
    hand_enter(&hands[i]);
    hand_add(&hands[i], hands[i].small, 1000, 64);
    hand_leave(&hands[i]);
  }
  for (unsigned node = 0; node < machine()->count; ++node)
    if (homes() & bit(node))
      expect(bed_node(&bed, node, &stats) && stats.bytes_metadata > 0, "node %u is a home and has no tables", node);
  close_hands(hands, count);
  bed_close(&bed);
}

static void live_a_life(void) {
  struct bed bed;
  struct hand hands[NODES_MAX];
  bed_open(&bed, "heap-max=256m");
  unsigned count = open_hands(hands, &bed);
  for (unsigned i = 0; i < count; ++i) {
    hand_enter(&hands[i]);
    hand_fill(&hands[i]);
    hand_collect(&hands[i]);
    hand_leave(&hands[i]);
  }
  close_hands(hands, count);
  bed_close(&bed);
}

/* Libraries keep something for the process now and then; a heap that leaves something does so each time. */
void check_destroy(void) {
  uint64_t least = UINT64_MAX, before = 0;
  for (unsigned i = 0; i < 5; ++i) {
    live_a_life();
    uint64_t after = mapped_bytes();
    uint64_t grown = after > before ? after - before : 0;
    if (grown < least) least = grown;
    before = after;
  }
  expect(least < MIB / 8, "each heap left at least %llu KiB mapped", (unsigned long long)least >> 10);
}

void check_spread(void) {
  struct bed bed;
  unsigned each = 3, count = count_of(homes());
  bed_open(&bed, "heap-max=512m,heap-initial=%uk", each * count * REGION_KIB);
  struct counts counts = pages_of_heap(bed.heap);
  expect(counts.total >= (uint64_t)each * count * REGION_PAGES, "%llu pages are not what was asked for",
         (unsigned long long)counts.total);
  expect_on(counts, homes(), "populated in advance");
  for (unsigned i = 0; i < machine()->count; ++i)
    if (homes() & bit(i)) expect(counts.on[i] >= REGION_PAGES, "hardly anything of it on node %u", i);
  bed_close(&bed);
}

void check_memoryless(void) {
  struct bed bed;
  struct hand hand;
  uint64_t without = machine()->near & ~machine()->memory;
  if (!without) skip("every processor has memory of its own");
  bed_open(&bed, "heap-max=256m");
  hand_open(&hand, &bed, first_of(without));
  hand_fill(&hand);
  expect_chains(&hand, ", which has no memory");
  hand_collect(&hand);
  hand_close(&hand);
  bed_close(&bed);
}
