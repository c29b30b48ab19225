/* SPDX-License-Identifier: MIT */
/* policy.c -- heaps of processes that were started under numactl, or in a cpuset. */
#include <stdio.h>

#include "bed.h"
#include "checks.h"

/* ---- the arguments of numactl, for this machine -------------------------------------------------------------- */

static uint64_t ordinary_or_skip(void) {
  uint64_t set = machine()->ordinary & machine()->near;
  if (count_of(set) < 2) skip("fewer than two nodes with memory and processors");
  return set;
}

static unsigned second(void) {
  uint64_t set = ordinary_or_skip();
  return first_of(set & (set - 1));
}

void under_membind(char *out, size_t room) { snprintf(out, room, "--membind=%u", second()); }
void under_preferred(char *out, size_t room) { snprintf(out, room, "--preferred=%u", last_of(ordinary_or_skip())); }
void under_cpunodebind(char *out, size_t room) { snprintf(out, room, "--cpunodebind=%u", second()); }

void under_interleave_all(char *out, size_t room) {
  ordinary_or_skip();
  snprintf(out, room, "--interleave=all");
}

void under_interleave_two(char *out, size_t room) {
  uint64_t set = ordinary_or_skip();
  if (count_of(machine()->memory) < 3) skip("fewer than three nodes with memory");
  snprintf(out, room, "--interleave=%u,%u", first_of(set), last_of(set));
}

void under_remote(char *out, size_t room) {
  snprintf(out, room, "--cpunodebind=%u --membind=%u", second(), first_of(ordinary_or_skip()));
}

void under_localalloc(char *out, size_t room) {
  ordinary_or_skip();
  snprintf(out, room, "--localalloc");
}

/* All processors but the first. */
void under_physcpubind(char *out, size_t room) {
  size_t at = (size_t)snprintf(out, room, "--physcpubind=");
  unsigned found = 0;
  if (CPU_COUNT(&machine()->allowed) < 3) skip("fewer than three processors");
  for (unsigned i = 0; i < CPU_SETSIZE && at < room; ++i)
    if (CPU_ISSET(i, &machine()->allowed) && found++ > 0)
      at += (size_t)snprintf(out + at, room - at, "%s%u", found > 2 ? "," : "", i);
}

/* ---- threads ------------------------------------------------------------------------------------------------- */

static void expect_threads(struct hand *hand) {
  cpu_set_t outside;
  hand_collect(hand);
  hand_collect(hand);
  struct threads threads = worker_threads();
  unsigned allowed = (unsigned)CPU_COUNT(&machine()->allowed);
  CPU_XOR(&outside, &threads.cpus, &machine()->allowed);
  CPU_AND(&outside, &outside, &threads.cpus);
  expect(threads.count > 0 || allowed == 1, "no worker threads, though %u processors are allowed", allowed);
  expect(threads.count <= allowed, "%u worker threads for %u processors", threads.count, allowed);
  expect(threads.unpinned == 0, "%u worker threads of %u are not pinned to one processor", threads.unpinned,
         threads.count);
  expect((unsigned)CPU_COUNT(&threads.cpus) == threads.count, "worker threads share processors");
  expect(CPU_COUNT(&outside) == 0, "worker threads run on %d processors that are not allowed", CPU_COUNT(&outside));
}

void check_workers(void) {
  struct bed bed;
  struct hand hand;
  bed_open(&bed, "heap-max=64m");
  hand_open(&hand, &bed, first_of(machine()->near));
  hand_fill(&hand);
  expect_threads(&hand);
  hand_close(&hand);
  bed_close(&bed);
}

/* ---- memory -------------------------------------------------------------------------------------------------- */

/* No page that came with the heap is outside. */
static void expect_growth_within(const struct counts *before, uint64_t set, const char *what) {
  char text[96];
  snprintf(text, sizeof text, "%s, what came with the heap, tables included", what);
  expect_within(pages_since(before, pages_of_process()), set, text);
}

static void expect_all_on(uint64_t set, const char *what) {
  struct bed bed;
  struct hand hand;
  struct counts before = pages_of_process();
  bed_open(&bed, "heap-max=128m,heap-initial=8m");
  expect_on(pages_of_heap(bed.heap), set, what);
  hand_open(&hand, &bed, ANYWHERE);
  hand_fill(&hand);
  expect_threads(&hand);
  hand_fill(&hand);
  expect_within(pages_of_heap(bed.heap), set, what);
  expect_growth_within(&before, set, what);
  hand_close(&hand);
  bed_close(&bed);
}

void check_membind(void) { expect_all_on(policy_nodes(), "under --membind"); }
void check_remote(void) { expect_all_on(policy_nodes(), "under --cpunodebind and --membind"); }
void check_cpunodebind(void) { expect_all_on(homes(), "under --cpunodebind"); }

/* Tables are wanted there, too, but not checked: the program's own pages were there before. */
void check_preferred(void) {
  struct bed bed;
  struct hand hand;
  bed_open(&bed, "heap-max=128m,heap-initial=8m");
  hand_open(&hand, &bed, first_of(machine()->near));
  hand_fill(&hand);
  expect_on(pages_of_heap(bed.heap), policy_nodes(), "under --preferred");
  hand_close(&hand);
  bed_close(&bed);
}

void check_interleave(void) {
  struct bed bed;
  struct hand hand;
  uint64_t set = policy_nodes() & machine()->memory;
  unsigned count = count_of(set);
  bed_open(&bed, "heap-max=256m,heap-initial=%uk", 2 * count * REGION_KIB);
  expect_on(pages_of_heap(bed.heap), set, "populated in advance");
  expect_equal_shares(pages_of_heap(bed.heap), set, "populated in advance");
  hand_open(&hand, &bed, first_of(machine()->near));
  expect(hand_grow_to(&hand, hand.small, 8 * count * MIB, 2048) == 8 * count * MIB, "no memory");
  expect_on(pages_of_heap(bed.heap), set, "grown");
  expect_equal_shares(pages_of_heap(bed.heap), set, "grown");
  hand_close(&hand);
  bed_close(&bed);
}

/* ---- a cpuset ------------------------------------------------------------------------------------------------ */

void check_allowed(void) {
  struct bed bed;
  struct hand hand;
  if (!machine()->limited) skip("everything is allowed");
  bed_open(&bed, "heap-max=128m,heap-initial=16m");
  hand_open(&hand, &bed, last_of(machine()->near));
  hand_fill(&hand);
  expect_threads(&hand);
  expect_within(pages_of_heap(bed.heap), machine()->memory, "in a cpuset");
  expect_within(pages_of_process(), machine()->memory, "in a cpuset");
  hand_close(&hand);
  bed_close(&bed);
}
