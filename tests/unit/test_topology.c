/* SPDX-License-Identifier: MIT */
/* test_topology.c -- topology, affinity and cgroup limits, on described machines and on this one. */
#define _GNU_SOURCE 1
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "numa/affinity.h"
#include "numa/cgroup.h"
#include "numa/place.h"
#include "numa/topology.h"

static struct varve_topology t;

static void load(const char *synthetic) {
  varve_error error = {0};
  if (synthetic) setenv("HWLOC_SYNTHETIC", synthetic, 1);
  assert_int_equal(varve__topology_load(&t, false, &error), VARVE_OK);
  unsetenv("HWLOC_SYNTHETIC");
}

/* T1 and T2, on any machine. */
static void check_shape(void) {
  assert_in_range(t.cpu_count, 1, VARVE__CPUS_MAX);
  assert_in_range(t.node_count, 1, VARVE__NODES_MAX);
  assert_true(t.memory_limit > 0);
  for (unsigned i = 0; i < t.node_count; i++) {
    uint64_t seen = 0;
    assert_int_equal(t.nodes[i].nearest[0], i);
    for (unsigned j = 0; j < t.node_count; j++) seen |= 1ull << t.nodes[i].nearest[j];
    assert_true(seen == (t.node_count == 64 ? UINT64_MAX : (1ull << t.node_count) - 1));
  }
  for (unsigned i = 0; i < t.cpu_count; i++) {
    assert_true(t.cpus[i].node < t.node_count);
    assert_int_equal(varve__topology_node_of_cpu(&t, t.cpus[i].os_index), t.cpus[i].node);
  }
  assert_int_equal(varve__topology_node_of_cpu(&t, 1u << 30), 0);
  assert_in_range(varve__topology_worker_count(&t), 1, t.cpu_count);
}

/* `nodes` packages of one node, two cores, two threads a core. */
static void check_packages(unsigned nodes) {
  char text[64];
  snprintf(text, sizeof text, "pack:%u [numa(memory=1GB)] core:2 pu:2", nodes);
  load(text);
  check_shape();
  assert_false(t.real);
  assert_int_equal(t.node_count, nodes);
  assert_int_equal(t.cpu_count, 2 * nodes);
  for (unsigned i = 0; i < t.cpu_count; i++) assert_int_equal(t.cpus[i].node, i / 2);
  for (unsigned i = 0; i < 4 * nodes; i++) assert_int_equal(varve__topology_node_of_cpu(&t, i), i / 4);
  for (unsigned i = 0; i < nodes; i++) assert_int_equal(t.nodes[i].memory_bytes, 1000000000);
  varve__topology_unload(&t);
}

/* The outermost of the first processor's caches; described without one, it is unknown. */
static void test_cache(void **state) {
  (void)state;
  load("pack:2 [numa] l3:1(size=33554432) l2:2(size=1048576) core:1 pu:1");
  check_shape();
  assert_int_equal(t.cache_bytes, 33554432);
  varve__topology_unload(&t);
  load("pack:2 [numa] l2:2(size=1048576) core:1 pu:1");
  assert_int_equal(t.cache_bytes, 1048576);
  varve__topology_unload(&t);
  load("pack:1 [numa] core:2 pu:1");
  assert_int_equal(t.cache_bytes, 0);
  varve__topology_unload(&t);
}

static void test_packages(void **state) {
  (void)state;
  for (unsigned nodes = 1; nodes <= 8; nodes *= 2) check_packages(nodes);
}

/* Node numbers with holes: dense indices, system's numbers kept. */
static void test_holes(void **state) {
  (void)state;
  load("pack:4 [numa(memory=1GB indexes=0,2,5,9)] core:1 pu:1(indexes=4,0,7,2)");
  check_shape();
  static const unsigned os[] = {0, 2, 5, 9}, cpu[] = {4, 0, 7, 2};
  assert_int_equal(t.node_count, 4);
  for (unsigned i = 0; i < 4; i++)
    assert_int_equal(t.nodes[varve__topology_node_of_cpu(&t, cpu[i])].os_index, os[i]);
  varve__topology_unload(&t);
}

/* Several nodes in a package are told apart by hwloc's Groups. */
static void test_nodes_in_package(void **state) {
  (void)state;
  load("pack:2 group:2 [numa(memory=512MB)] core:2 pu:1");
  check_shape();
  assert_int_equal(t.node_count, 4);
  for (unsigned i = 0; i < 8; i++) assert_int_equal(varve__topology_node_of_cpu(&t, i), i / 2);
  varve__topology_unload(&t);
}

/* More nodes and processors than the tables hold. */
static void test_huge_machine(void **state) {
  (void)state;
  load("pack:80 [numa(memory=1GB)] core:16 pu:1");
  check_shape();
  assert_int_equal(t.node_count, VARVE__NODES_MAX);
  assert_int_equal(t.cpu_count, VARVE__CPUS_MAX);
  varve__topology_unload(&t);
}

/* Equals are visited in ring order, so that not everybody goes to node 0 first. */
static void test_ring_among_equals(void **state) {
  (void)state;
  load("pack:4 [numa(memory=1GB)] core:1 pu:1");
  static const unsigned from_2[] = {2, 3, 0, 1};
  for (unsigned i = 0; i < 4; i++) assert_int_equal(t.nodes[2].nearest[i], from_2[i]);
  varve__topology_unload(&t);
}

static void test_quota_limits_workers(void **state) {
  (void)state;
  load("pack:1 [numa(memory=1GB)] core:8 pu:1");
  t.quota_cpus = 3;
  assert_int_equal(varve__topology_worker_count(&t), 3);
  t.quota_cpus = 30;
  assert_int_equal(varve__topology_worker_count(&t), 8);
  t.quota_cpus = 0;
  assert_int_equal(varve__topology_worker_count(&t), 8);
  varve__topology_unload(&t);
}

/* On a described machine placing and pinning succeed and touch nothing (T4). */
static void test_described_machine_is_inert(void **state) {
  (void)state;
  cpu_set_t before, after;
  sched_getaffinity(0, sizeof before, &before);
  load("pack:8 [numa(memory=1GB)] core:16 pu:1");
  for (unsigned i = 0; i < t.cpu_count; i++) assert_true(varve__affinity_pin(&t, i));
  assert_false(varve__affinity_pin(&t, t.cpu_count));
  sched_getaffinity(0, sizeof after, &after);
  assert_true(CPU_EQUAL(&before, &after));
  void *base = varve__place_reserve(1 << 21, 1 << 21);
  assert_true(varve__place_commit(&t, base, 1 << 21, 7, PLACE_HUGE | PLACE_POPULATE));
  assert_int_equal(t.place->refused, 0);
  varve__place_release(base, 1 << 21);
  varve__topology_unload(&t);
}

/* A description that hwloc cannot read still gives a machine. */
static void test_nonsense_description(void **state) {
  (void)state;
  setenv("HWLOC_HIDE_ERRORS", "2", 1);
  load("this is no machine");
  check_shape();
  varve__topology_unload(&t);
}

static void test_this_machine(void **state) {
  (void)state;
  load(NULL);
  check_shape();
  assert_true(t.real);
  assert_true(varve__affinity_node_here(&t) < t.node_count);
  varve__topology_unload(&t);
}

static void test_pin(void **state) {
  (void)state;
  cpu_set_t before;
  sched_getaffinity(0, sizeof before, &before);
  load(NULL);
  for (unsigned i = 0; i < t.cpu_count; i++) {
    assert_true(varve__affinity_pin(&t, i));
    assert_int_equal(varve__affinity_cpu_here(), t.cpus[i].os_index);
    assert_int_equal(varve__affinity_node_here(&t), t.cpus[i].node);
  }
  sched_setaffinity(0, sizeof before, &before);
  varve__topology_unload(&t);
}

/* taskset: the inherited binding is the machine. */
static void test_inherited_binding(void **state) {
  (void)state;
  cpu_set_t before, one;
  sched_getaffinity(0, sizeof before, &before);
  load(NULL);
  unsigned last = t.cpus[t.cpu_count - 1].os_index;
  varve__topology_unload(&t);
  CPU_ZERO(&one);
  CPU_SET(last, &one);
  sched_setaffinity(0, sizeof one, &one);
  load(NULL);
  assert_int_equal(t.cpu_count, 1);
  assert_int_equal(t.cpus[0].os_index, last);
  sched_setaffinity(0, sizeof before, &before);
  varve__topology_unload(&t);
}

/* ---- control groups, from a directory that plays the file system ---- */

static char root[] = "/tmp/varve_cgroup_XXXXXX";

static void put(const char *path, const char *text) {
  char full[512];
  snprintf(full, sizeof full, "%s%s", root, path);
  for (char *slash = full + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; *slash++ = '/') {
    *slash = 0;
    mkdir(full, 0777);
  }
  FILE *file = fopen(full, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static int cgroup_setup(void **state) {
  (void)state;
  strcpy(root + sizeof root - 7, "XXXXXX");
  return mkdtemp(root) ? 0 : -1;
}

static int cgroup_teardown(void **state) {
  (void)state;
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", root);
  return system(command);
}

static void expect_limits(uint64_t memory, unsigned cpus) {
  struct varve_cgroup got;
  varve__cgroup_read(root, &got);
  assert_true(got.memory_limit == memory);
  assert_int_equal(got.quota_cpus, cpus);
}

static void test_cgroup_none(void **state) {
  (void)state;
  expect_limits(UINT64_MAX, 0);
  put("/proc/self/cgroup", "0::/\n");
  expect_limits(UINT64_MAX, 0);
  put("/proc/self/mountinfo", "garbage\n31 24 0:27 / /cg rw - cgroup2 cgroup2 rw\n");
  put("/cg/cpu.max", "max 100000\n");
  put("/cg/memory.max", "max\n");
  expect_limits(UINT64_MAX, 0);
}

/* The least of all levels counts, and a quota is rounded up. */
static void test_cgroup_v2(void **state) {
  (void)state;
  put("/proc/self/cgroup", "0::/slice/unit\n");
  put("/proc/self/mountinfo", "31 24 0:27 / /cg rw,nosuid shared:4 - cgroup2 cgroup2 rw\n");
  put("/cg/slice/cpu.max", "150000 100000\n");
  put("/cg/slice/unit/cpu.max", "400000 100000\n");
  put("/cg/slice/memory.max", "1000000\n");
  put("/cg/slice/unit/memory.max", "800000\n");
  expect_limits(800000, 2);
}

/* Version 1: one hierarchy a controller; the container sees its group as the root of the mount. */
static void test_cgroup_v1(void **state) {
  (void)state;
  put("/proc/self/cgroup", "8:cpuset:/\n7:cpu,cpuacct:/docker/abc/inner\n4:memory:/docker/abc\n0::/\n");
  put("/proc/self/mountinfo",
      "40 30 0:34 /docker/abc /cg/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
      "41 30 0:35 /docker/abc /cg/memory ro - cgroup cgroup rw,memory\n");
  put("/cg/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  put("/cg/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  put("/cg/cpu,cpuacct/inner/cpu.cfs_quota_us", "100001\n");
  put("/cg/cpu,cpuacct/inner/cpu.cfs_period_us", "100000\n");
  put("/cg/memory/memory.limit_in_bytes", "4194304\n");
  expect_limits(4194304, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_cache),
      cmocka_unit_test(test_packages),
      cmocka_unit_test(test_holes),
      cmocka_unit_test(test_nodes_in_package),
      cmocka_unit_test(test_huge_machine),
      cmocka_unit_test(test_ring_among_equals),
      cmocka_unit_test(test_quota_limits_workers),
      cmocka_unit_test(test_described_machine_is_inert),
      cmocka_unit_test(test_nonsense_description),
      cmocka_unit_test(test_this_machine),
      cmocka_unit_test(test_pin),
      cmocka_unit_test(test_inherited_binding),
      cmocka_unit_test_setup_teardown(test_cgroup_none, cgroup_setup, cgroup_teardown),
      cmocka_unit_test_setup_teardown(test_cgroup_v2, cgroup_setup, cgroup_teardown),
      cmocka_unit_test_setup_teardown(test_cgroup_v1, cgroup_setup, cgroup_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
