/* SPDX-License-Identifier: MIT */
/* census.c -- a small workload, and how many of its pages lie on each node, as JSON on one line.
 *
 *   census [ROUNDS]
 *
 * A mutator pinned to each node that this process may use fills a part of one heap, half of it garbage; then it is
 * collected, so many times (3). "wanted" are the nodes whose mutators filled a part, "pages" are those of all objects by
 * node, "home" those of them that lie on the node of their mutator or, when that has no memory, on the nearest,
 * "seconds" is the time of allocations and collections.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bed.h"

#define EACH 4000u

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void grow(struct hand *hand) {
  for (unsigned i = 0; i < EACH; ++i) {
    hand_add(hand, hand->small, 1, 64);
    hand_waste(hand, 1, 64);
    if (i % 200 == 0) hand_add(hand, hand->medium, 1, 12 << 10);
  }
  hand_add(hand, hand->large, 1, 300 << 10);
}

struct census {
  uint64_t on[NODES_MAX], total, home;
};

static void add_chain(struct census *census, const struct hand *hand, varve_handle *chain) {
  struct counts counts = pages_of_chain(chain, ALL);
  census->total += counts.total;
  for (unsigned i = 0; i < machine()->count; ++i) {
    census->on[i] += counts.on[i];
    if (home_of(hand->node) & bit(i)) census->home += counts.on[i];
  }
}

static void print(const struct bed *bed, const struct census *census, double seconds) {
  varve_node_stats node;
  uint64_t sampled = 0, local = 0;
  for (uint32_t i = 0; varve_node_stats_get(bed->heap, i, &node); ++i)
    sampled += node.sampled, local += node.sampled_local;
  printf("{\"pages\": {");
  for (unsigned i = 0; i < machine()->count; ++i)
    printf("%s\"%u\": %llu", i ? ", " : "", i, (unsigned long long)census->on[i]);
  printf("}, \"total\": %llu, \"home\": %llu, \"sampled\": %llu, \"sampled_local\": %llu, \"wanted\": %u, "
         "\"seconds\": %.6f}\n", (unsigned long long)census->total, (unsigned long long)census->home,
         (unsigned long long)sampled, (unsigned long long)local, count_of(machine()->near), seconds);
}

static unsigned open_hands(struct hand *hands, struct bed *bed) {
  unsigned count = 0;
  for (unsigned i = 0; i < machine()->count; ++i) {
    if (!(machine()->near & bit(i))) continue;
    hand_open(&hands[count], bed, i);
    hand_leave(&hands[count++]);
  }
  return count;
}

static void work(struct hand *hands, unsigned count, unsigned rounds) {
  for (unsigned round = 0; round < rounds; ++round)
    for (unsigned i = 0; i < count; ++i) {
      hand_enter(&hands[i]);
      grow(&hands[i]);
      if (i == round % count) expect(varve_collect(hands[i].me) == VARVE_OK, "collect");
      hand_leave(&hands[i]);
    }
}

int main(int argc, char **argv) {
  struct bed bed;
  struct hand hands[NODES_MAX];
  struct census census = {0};
  bed_open(&bed, "heap-max=512m,move-everything=1");
  double start = now();
  unsigned count = open_hands(hands, &bed);
  work(hands, count, argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 3);
  double seconds = now() - start;
  for (unsigned i = 0; i < count; ++i) {
    add_chain(&census, &hands[i], hands[i].small);
    add_chain(&census, &hands[i], hands[i].medium);
    add_chain(&census, &hands[i], hands[i].large);
  }
  print(&bed, &census, seconds);
  return 0;
}
