/* SPDX-License-Identifier: MIT */
/* test_commit.c -- which region gets memory on which node: stripes, full nodes, last resorts, policies.
 *
 * The machine is described, and where pages are is what the test says: varve__place_locate is replaced at link time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "numa/place.h"
#include "regions/commit.h"
#include "regions/space.h"

#define NODES 4u
#define MIB ((uint64_t)1 << 20)

static struct varve_topology machine;
static struct varve_space space;
/* Where memory lands that is wanted on a node: the same node, or another; OUTSIDE: on a node that is not ours. */
#define OUTSIDE VARVE__NODES_MAX
static unsigned lands[NODES];
static unsigned asked; /* how often */

struct varve_location __wrap_varve__place_locate(const struct varve_topology *t, void *base, size_t bytes, unsigned node,
                                                 bool each);
struct varve_location __wrap_varve__place_locate(const struct varve_topology *t, void *base, size_t bytes, unsigned node,
                                                 bool each) {
  (void)t, (void)base, (void)bytes, (void)each;
  ++asked;
  return (struct varve_location){.node = lands[node], .astray = lands[node] != node, .outside = lands[node] == OUTSIDE};
}

/* A ring of four. */
static int open_machine(void **state) {
  (void)state;
  memset(&machine, 0, sizeof machine);
  machine.cpu_count = machine.node_count = NODES;
  for (unsigned i = 0; i < NODES; ++i) {
    const unsigned order[NODES] = {i, (i + 1) % NODES, (i + 3) % NODES, (i + 2) % NODES};
    memcpy(machine.nodes[i].nearest, order, sizeof order);
    machine.nodes[i].os_index = 10 + i;
    machine.nodes[i].cpu_count = 1;
    machine.cpus[i].node = i;
    lands[i] = i;
  }
  asked = 0;
  machine.place = calloc(1, sizeof *machine.place);
  return machine.place && varve__space_open(&space, &machine, 512 * MIB, UINT64_MAX, PLACE_POPULATE) ? 0 : -1;
}

static int close_machine(void **state) {
  (void)state;
  varve__space_close(&space);
  free(machine.place);
  return 0;
}

static uint32_t take(unsigned node) { return varve__space_take_region(&space, node, REGION_SMALL); }
static unsigned node_of(uint32_t region) { return space.regions[region].node; }

static uint32_t spilled(unsigned node) {
  return (uint32_t)atomic_load_explicit(&space.node[node].spilled, memory_order_relaxed);
}

static void each_node_has_its_stripe(void **state) {
  (void)state;
  uint32_t stripe = 1u << space.stripe_log;
  assert_true(stripe >= 8);
  for (unsigned round = 0; round < 3; ++round)
    for (unsigned node = 0; node < NODES; ++node) {
      uint32_t region = take(node);
      assert_int_equal(region, node * stripe + round);
      assert_int_equal(node_of(region), node);
    }
  assert_int_equal(spilled(0) + spilled(1) + spilled(2) + spilled(3), 0);
}

/* All of the limit can be had by one node, though other nodes have stripes. */
static void one_node_gets_everything(void **state) {
  (void)state;
  for (unsigned node = 1; node < NODES; ++node) assert_int_not_equal(take(node), VARVE__NO_REGION);
  for (uint32_t i = NODES - 1; i < space.limit_regions; ++i) assert_int_not_equal(take(0), VARVE__NO_REGION);
  assert_int_equal(take(0), VARVE__NO_REGION);
  assert_int_equal(atomic_load(&space.committed), space.limit_regions);
}

/* A full node: the memory is taken where the system found it, is known to be there, and is counted. */
static void a_full_node_spills(void **state) {
  (void)state;
  lands[2] = 3;
  uint32_t region = take(2);
  assert_int_equal(node_of(region), 3);
  assert_int_equal(spilled(2), 1);
  assert_int_equal(atomic_load(&space.node[2].spilled_to), 3);
  assert_int_equal(asked, 1);
  assert_true(machine.place->news > 0);
  varve__space_release_region(&space, region);
  assert_int_equal(take(3), region); /* it is memory of node 3 now */
}

/* Free regions of the node come before new ones; those of others when there is no more memory, the nearest first. */
static void free_regions_by_distance(void **state) {
  (void)state;
  while (take(1) != VARVE__NO_REGION) continue;
  uint32_t on_1 = 5, on_2 = 6, on_3 = 7;
  space.regions[on_2].node = 2;
  space.regions[on_3].node = 3;
  varve__space_release_region(&space, on_3);
  varve__space_release_region(&space, on_2);
  varve__space_release_region(&space, on_1);
  assert_int_equal(take(1), on_1);
  assert_int_equal(take(1), on_2);
  assert_int_equal(take(1), on_3);
  assert_int_equal(take(1), VARVE__NO_REGION);
}

/* Memory of a last resort is not kept while another node has room. */
static void last_resort_comes_last(void **state) {
  (void)state;
  machine.nodes[3].last_resort = true;
  lands[0] = 3; /* nearer than others, the system thinks */
  assert_int_equal(node_of(take(0)), 1);
  assert_int_equal(spilled(0), 1);
  lands[1] = lands[2] = 3;
  assert_int_equal(node_of(take(0)), 3);
  assert_int_equal(spilled(0), 2);
}

/* Bound: the next of our nodes, and when all are full, nothing; the address space is as it was. */
static void bound_memory_stays_inside(void **state) {
  (void)state;
  machine.policy = VARVE__POLICY_BIND;
  lands[0] = OUTSIDE;
  assert_int_equal(node_of(take(0)), 1);
  lands[1] = lands[2] = lands[3] = OUTSIDE;
  uint32_t committed = atomic_load(&space.committed);
  assert_int_equal(take(0), VARVE__NO_REGION);
  assert_int_equal(atomic_load(&space.committed), committed);
  assert_true(atomic_load(&space.node[0].refused) > 0);
  lands[2] = 2;
  assert_int_equal(node_of(take(0)), 2);
}

/* Not bound, but all of ours are full: what comes is kept. */
static void preferred_takes_what_comes(void **state) {
  (void)state;
  machine.policy = VARVE__POLICY_PREFERRED;
  for (unsigned i = 0; i < NODES; ++i) lands[i] = OUTSIDE;
  assert_int_equal(node_of(take(1)), 1);
  assert_int_equal(spilled(1), 1);
  assert_int_equal(atomic_load(&space.node[1].spilled_to), VARVE__NODES_MAX);
}

/* Region by region, whoever asks; a freed one serves anybody. */
static void interleaved_regions_take_turns(void **state) {
  (void)state;
  machine.policy = VARVE__POLICY_INTERLEAVE;
  for (uint32_t i = 0; i < 9; ++i) {
    assert_int_equal(take(i % 2), i);
    assert_int_equal(node_of(i), i % NODES);
  }
  varve__space_release_region(&space, 6);
  assert_int_equal(take(0), 6);
  uintptr_t large = varve__large_take(&space, 3, 3 * VARVE__REGION_BLOCKS);
  assert_int_equal(large, 0); /* nothing was budgeted */
  atomic_store(&space.budget_blocks, 1000);
  large = varve__large_take(&space, 3, 3 * VARVE__REGION_BLOCKS);
  uint32_t first = space_region(&space, large);
  for (uint32_t r = first; r < first + 3; ++r) assert_int_equal(node_of(r), r % NODES);
}

/* A large object is made of the caller's memory; room left beside it serves callers of the node. */
static void large_objects_by_node(void **state) {
  (void)state;
  atomic_store(&space.budget_blocks, 1000);
  uint32_t a = space_region(&space, varve__large_take(&space, 1, 10));
  uint32_t b = space_region(&space, varve__large_take(&space, 2, 10));
  assert_int_equal(node_of(a), 1);
  assert_int_equal(node_of(b), 2);
  assert_int_equal(space_region(&space, varve__large_take(&space, 1, 20)), a);
  assert_int_equal(space_region(&space, varve__large_take(&space, 2, 20)), b);
  while (take(3) != VARVE__NO_REGION) continue;
  uintptr_t rest = varve__large_take(&space, 3, 20); /* no memory of its own: beside the others */
  assert_true(space_region(&space, rest) == a || space_region(&space, rest) == b);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_machine, close_machine)
  const struct CMUnitTest tests[] = {
      TEST(each_node_has_its_stripe),  TEST(one_node_gets_everything),     TEST(a_full_node_spills),
      TEST(free_regions_by_distance),  TEST(last_resort_comes_last),       TEST(bound_memory_stays_inside),
      TEST(preferred_takes_what_comes), TEST(interleaved_regions_take_turns), TEST(large_objects_by_node),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
