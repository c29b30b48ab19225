/* SPDX-License-Identifier: MIT */
/* full.c -- what happens when a node has no room left. */
#include <stdio.h>

#include "bed.h"
#include "checks.h"

#define LEFT (24 * MIB)   /* of a node that is full */
#define WANTED (64 * MIB) /* more than that */
#define PIECE ((size_t)100 << 10)

static uint64_t spilled(struct bed *bed, unsigned node) {
  varve_node_stats stats;
  return bed_node(bed, node, &stats) ? stats.regions_spilled : 0;
}

/* Where the rest goes: to the nearest of the ordinary nodes, or else of any. */
static uint64_t next_to(unsigned node) {
  uint64_t others = machine()->ordinary & ~bit(node);
  return nearest_of(node, others ? others : machine()->memory & ~bit(node));
}

/* The hand is where it is; its node is `node`. */
static void overflow(struct bed *bed, struct hand *hand, unsigned node) {
  char name[16];
  snprintf(name, sizeof name, "node %u", node);
  expect(hand_grow_to(hand, hand->medium, WANTED, PIECE) >= WANTED, "no memory, though other nodes have some");
  struct counts counts = pages_of_chain(hand->medium, ALL);
  expect_on(counts, bit(node) | next_to(node), "objects of a mutator on a full node");
  expect(counts.on[node] > 0, "nothing at all on node %u", node);
  expect(nodes_of(&counts) & next_to(node), "nothing beside node %u, so it was not full", node);
  expect(spilled(bed, node) >= (WANTED - LEFT) / (4 * MIB), "node %u counts %llu regions that it had no room for", node,
         (unsigned long long)spilled(bed, node));
  expect(bed_said(bed, name, "") > 0, "the log does not say that %s is full", name);
  hand_collect(hand);
}

void check_full(void) {
  struct bed bed;
  struct hand hand;
  unsigned node = last_of(machine()->ordinary & machine()->near);
  if (count_of(machine()->memory) < 2 || !(machine()->ordinary & machine()->near)) skip("one node with memory");
  fill_node(node, LEFT);
  bed_open(&bed, "heap-max=256m,heap-initial=4m");
  hand_open(&hand, &bed, node);
  overflow(&bed, &hand, node);
  hand_close(&hand);
  bed_close(&bed);
}

/* Under numactl, which leaves the processors of one node. */
void check_cpunodebind_full(void) {
  struct bed bed;
  struct hand hand;
  unsigned node = first_of(machine()->near);
  fill_node(node, LEFT);
  bed_open(&bed, "heap-max=256m,heap-initial=4m");
  hand_open(&hand, &bed, ANYWHERE);
  overflow(&bed, &hand, node);
  hand_close(&hand);
  bed_close(&bed);
}

static uint64_t last_resorts(void) {
  uint64_t set = machine()->memory & ~machine()->ordinary;
  if (!set) skip("no memory without processors");
  return set;
}

static void expect_marked(struct bed *bed, uint64_t set) {
  varve_node_stats stats;
  for (unsigned i = 0; i < machine()->count; ++i)
    if (machine()->memory & bit(i))
      expect(bed_node(bed, i, &stats) && stats.last_resort == ((set & bit(i)) != 0), "node %u: a last resort or not?",
             i);
}

void check_last_idle(void) {
  struct bed bed;
  struct hand hand;
  uint64_t last = last_resorts();
  bed_open(&bed, "heap-max=256m,heap-initial=16m");
  expect_marked(&bed, last);
  for (unsigned i = 0; i < machine()->count; ++i) {
    if (!(machine()->near & bit(i))) continue;
    hand_open(&hand, &bed, i);
    expect(hand_grow_to(&hand, hand.medium, 24 * MIB, PIECE) >= 24 * MIB, "no memory");
    hand_close(&hand);
  }
  expect_within(pages_of_heap(bed.heap), machine()->ordinary, "with room on other nodes");
  bed_close(&bed);
}

void check_last_full(void) {
  struct bed bed;
  struct hand hand;
  uint64_t last = last_resorts();
  size_t wanted = WANTED + count_of(machine()->ordinary) * LEFT;
  for (unsigned i = 0; i < machine()->count; ++i)
    if (machine()->ordinary & bit(i)) fill_node(i, LEFT);
  bed_open(&bed, "heap-max=256m,heap-initial=4m");
  hand_open(&hand, &bed, last_of(machine()->near));
  expect(hand_grow_to(&hand, hand.medium, wanted, PIECE) >= wanted, "no memory, though the last resort has some");
  struct counts counts = pages_of_chain(hand.medium, ALL);
  expect(nodes_of(&counts) & last, "nothing on the last resort, so the others were not full");
  for (unsigned i = 0; i < machine()->count; ++i)
    if (machine()->ordinary & bit(i)) expect(counts.on[i] > 0, "nothing on node %u, which had room", i);
  hand_collect(&hand);
  hand_close(&hand);
  bed_close(&bed);
}

/* Under numactl --membind. The files that pages are counted by need memory of the kernel, which a bound process may not
 * have any more: so the check unbinds itself for that. */
void check_membind_full(void) {
  struct bed bed;
  struct hand hand;
  unsigned node = first_of(policy_nodes());
  fill_node(node, LEFT + 24 * MIB); /* the heap leaves an eighth of a small node alone */
  struct counts before = pages_of_process();
  bed_open(&bed, "heap-max=256m,heap-initial=4m");
  hand_open(&hand, &bed, ANYWHERE);
  size_t done = hand_grow_to(&hand, hand.medium, 128 * MIB, PIECE);
  policy_end();
  struct counts grown = pages_since(&before, pages_of_process());
  expect(done >= LEFT / 4, "full after %zu KiB, though the node had %zu", done >> 10, (size_t)LEFT >> 10);
  expect(done < 128 * MIB, "never full");
  expect(varve_mutator_status(hand.me) == VARVE_HEAP_FULL, "the status is: %s",
         varve_status_sentence(varve_mutator_status(hand.me)));
  expect_on(pages_of_chain(hand.medium, ALL), bit(node), "objects under --membind");
  expect_within(pages_of_heap(bed.heap), bit(node), "the heap under --membind");
  expect_within(grown, bit(node), "what came with the heap, tables included, under --membind");
  varve_handle_set(hand.me, hand.medium, 0);
  expect(hand_grow(&hand, hand.medium, PIECE), "no memory, though everything is garbage now");
  hand_close(&hand);
  bed_close(&bed);
}
