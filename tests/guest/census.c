/* SPDX-License-Identifier: MIT */
/* census.c -- a small workload, and how many of its pages lie on each node, as JSON on one line.
 *
 *   census [ROUNDS]
 *
 * A mutator pinned to each node that this process may use fills a part of one heap, half of it garbage; then it is
 * collected, so many times (3). "wanted" is the number of nodes whose mutators filled a part, "pages" are those of all
 * objects by node, "home" those of them that lie on the node of their mutator or, when that has no memory, on the
 * nearest, "sampled" are objects that were marked, one in 64, "sampled_local" those of them on the node of the worker,
 * "seconds" is the time of allocations and collections.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "bed.h"

#define CHAINS 512u /* so that marking can be shared */
#define EACH 16000u

/* A hand, and its roots: a page on its node. */
struct part {
  struct hand hand;
  varve_word *roots;
};

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void grow_chain(struct part *part, unsigned chain, size_t bytes) {
  struct hand *hand = &part->hand;
  struct cell *cell = varve_alloc(hand->me, hand->bed->cell, bytes);
  expect(cell != NULL, "no memory");
  varve_init(hand->me, cell, &cell->next, part->roots[chain]);
  part->roots[chain] = varve_tag(cell, 0);
}

static void grow(struct part *part) {
  for (unsigned i = 0; i < EACH; ++i) {
    grow_chain(part, i % CHAINS, 64);
    hand_waste(&part->hand, 1, 64);
    if (i % 800 == 0) grow_chain(part, i % CHAINS, 12 << 10);
  }
  grow_chain(part, 0, 300 << 10);
}

struct census {
  uint64_t on[NODES_MAX], total, home;
};

static void add_chains(struct census *census, const struct part *part) {
  struct pages pages = {0};
  for (unsigned i = 0; i < CHAINS; ++i) pages_of(&pages, part->roots[i], ALL);
  struct counts counts = pages_count(&pages);
  census->total += counts.total;
  for (unsigned i = 0; i < machine()->count; ++i) {
    census->on[i] += counts.on[i];
    if (home_of(part->hand.node) & bit(i)) census->home += counts.on[i];
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
  printf(
      "}, \"total\": %llu, \"home\": %llu, \"sampled\": %llu, \"sampled_local\": %llu, \"wanted\": %u, "
      "\"seconds\": %.6f}\n",
      (unsigned long long)census->total, (unsigned long long)census->home, (unsigned long long)sampled,
      (unsigned long long)local, count_of(machine()->near), seconds);
}

static void open_part(struct part *part, struct bed *bed, unsigned node) {
  hand_open(&part->hand, bed, node);
  part->roots = mmap(NULL, CHAINS * sizeof *part->roots, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  expect(part->roots != MAP_FAILED, "no memory");
  memset(part->roots, 0, CHAINS * sizeof *part->roots);
  expect(varve_root_slots_add(bed->heap, "roots", part->roots, CHAINS, NULL) == VARVE_OK, "roots");
  hand_leave(&part->hand);
}

static void work(struct part *parts, unsigned count, unsigned rounds) {
  for (unsigned round = 0; round < rounds; ++round)
    for (unsigned i = 0; i < count; ++i) {
      hand_enter(&parts[i].hand);
      grow(&parts[i]);
      if (i == round % count) expect(varve_collect(parts[i].hand.me) == VARVE_OK, "collect");
      hand_leave(&parts[i].hand);
    }
}

int main(int argc, char **argv) {
  struct bed bed;
  static struct part parts[NODES_MAX];
  struct census census = {0};
  unsigned count = 0;
  bed_open(&bed, "heap-max=512m,move-everything=1");
  for (unsigned i = 0; i < machine()->count; ++i)
    if (machine()->near & bit(i)) open_part(&parts[count++], &bed, i);
  double start = now();
  work(parts, count, argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 3);
  double seconds = now() - start;
  for (unsigned i = 0; i < count; ++i) add_chains(&census, &parts[i]);
  print(&bed, &census, seconds);
  return 0;
}
