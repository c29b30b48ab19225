/* SPDX-License-Identifier: MIT */
/* huge.c -- huge pages: from the pool of a node, from the kernel, and none. */
#include <stdio.h>
#include <string.h>

#include "bed.h"
#include "checks.h"

struct pool {
  long free[NODES_MAX];
  long total;
};

static struct pool read_pool(void) {
  struct pool pool = {0};
  for (unsigned i = 0; i < machine()->count; ++i) {
    long some = free_huge_pages(i);
    pool.free[i] = some > 0 ? some : 0;
    pool.total += pool.free[i];
  }
  return pool;
}

static struct pool pool_or_skip(void) {
  struct pool pool = read_pool();
  for (unsigned i = 0; i < machine()->count; ++i)
    if ((homes() & bit(i)) && pool.free[i] < 4) skip("fewer than four huge pages in the pool of node %u", i);
  return pool;
}

static void expect_pool_restored(const struct pool *before) {
  struct pool after = read_pool();
  expect(memcmp(before, &after, sizeof after) == 0, "%ld huge pages of %ld are in the pool again", after.total,
         before->total);
}

void check_pool(void) {
  struct bed bed;
  struct hand hand;
  struct pool before = pool_or_skip();
  unsigned node = last_of(machine()->near);
  bed_open(&bed, "heap-max=256m,huge-pages=explicit,heap-initial=%uk", 2 * count_of(homes()) * REGION_KIB);
  struct pool open = read_pool();
  for (unsigned i = 0; i < machine()->count; ++i)
    if (homes() & bit(i))
      expect(before.free[i] - open.free[i] == 2, "node %u: %ld huge pages free of %ld", i, open.free[i],
             before.free[i]);
  expect(huge_use_of_heap(bed.heap).explicit >= 4 * count_of(homes()) * MIB, "the heap is not in explicit huge pages");
  expect_on(pages_of_heap(bed.heap), homes(), "explicit huge pages");
  hand_open(&hand, &bed, node);
  hand_fill(&hand);
  expect_on(pages_of_chain(hand.small, ALL), home_of(node), "objects in explicit huge pages");
  hand_collect(&hand);
  hand_close(&hand);
  bed_close(&bed);
  expect_pool_restored(&before);
}

void check_pool_empty(void) {
  struct bed bed;
  struct hand hand;
  struct pool before = pool_or_skip();
  size_t wanted = ((size_t)before.total + 6) * 2 * MIB;
  unsigned node = last_of(machine()->near);
  bed_open(&bed, "heap-max=256m,huge-pages=explicit,heap-initial=4m");
  hand_open(&hand, &bed, node);
  expect(hand_grow_to(&hand, hand.medium, wanted, 100 << 10) >= wanted, "no memory when the pool was empty");
  struct pool empty = read_pool();
  expect(empty.free[first_of(home_of(node))] == 0, "ordinary pages though the pool has some");
  expect(huge_use_of_heap(bed.heap).explicit < wanted, "more huge pages than there were");
  expect(bed_said(&bed, "huge", "page") == 1, "%u lines of the log about huge pages", bed_said(&bed, "huge", "page"));
  hand_collect(&hand);
  hand_close(&hand);
  bed_close(&bed);
  expect_pool_restored(&before);
}

static struct huge_use use_with(const char *option) {
  struct bed bed;
  struct hand hand;
  bed_open(&bed, "heap-max=64m,huge-pages=%s", option);
  hand_open(&hand, &bed, first_of(machine()->near));
  hand_fill(&hand);
  struct huge_use use = huge_use_of_heap(bed.heap);
  hand_close(&hand);
  bed_close(&bed);
  return use;
}

void check_huge_off(void) {
  if (!huge_pages_are("always")) skip("the kernel gives no huge pages unasked");
  struct huge_use use = use_with("off");
  expect(use.transparent == 0, "%llu KiB in huge pages", (unsigned long long)use.transparent >> 10);
}

void check_huge_on(void) {
  if (!huge_pages_are("always") && !huge_pages_are("madvise")) skip("the kernel has no transparent huge pages");
  expect(use_with("transparent").transparent > 0, "no huge pages");
}
