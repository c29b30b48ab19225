/* SPDX-License-Identifier: MIT */
/* test_topology.c -- topology, affinity and cgroup limits, on described machines and on this one.
 *
 * The descriptions in machines/ were written by lstopo (--disallowed) on emulated machines, and thinned out:
 *   two      two nodes of two processors, 21 apart
 *   ring4    four nodes of one processor in a ring
 *   line8    eight nodes of one processor in a line
 *   memory   two nodes of two processors, and one of memory only, which is nearer to the first
 *   bare     two nodes of two processors, and one of two processors only, which is nearer to the second
 *   threads  two nodes of two cores with two threads each
 *   half     threads, of which only 1 and 3 to 7 are allowed
 *   cpuset   four nodes of two processors in a line; only processors 2 to 5 and nodes 1 and 2 are allowed
 */
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
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "numa/affinity.h"
#include "numa/cgroup.h"
#include "numa/place.h"
#include "numa/topology.h"

static struct varve_topology t;

static void load_threads(const char *synthetic, bool smt) {
  varve_error error = {0};
  if (synthetic) setenv("HWLOC_SYNTHETIC", synthetic, 1);
  assert_int_equal(varve__topology_load(&t, smt, &error), VARVE_OK);
  unsetenv("HWLOC_SYNTHETIC");
}

static void load(const char *synthetic) { load_threads(synthetic, false); }

static void load_file(const char *name, bool smt) {
  char path[1024];
  int folder = (int)(strrchr(__FILE__, '/') + 1 - __FILE__);
  snprintf(path, sizeof path, "%.*smachines/%s.xml", folder, __FILE__, name);
  setenv("HWLOC_XMLFILE", path, 1);
  load_threads(NULL, smt);
  unsetenv("HWLOC_XMLFILE");
  assert_false(t.real);
}

/* T2 and T5 for one node: last resorts behind the others, each by distance. */
static void check_node(unsigned i) {
  const struct varve_node *node = &t.nodes[i];
  unsigned counted = 0;
  for (unsigned j = 0; j < t.cpu_count; j++) counted += t.cpus[j].node == i;
  assert_int_equal(node->cpu_count, counted);
  assert_true(node->cpu_count == 0 || !node->last_resort);
  assert_int_equal(node->distance[i], 10);
  for (unsigned step = 2; step < t.node_count; step++) {
    unsigned a = node->nearest[step - 1], b = node->nearest[step];
    assert_true(t.nodes[a].last_resort <= t.nodes[b].last_resort);
    assert_true(t.nodes[a].last_resort != t.nodes[b].last_resort || node->distance[a] <= node->distance[b]);
  }
}

static void expect_nearest(unsigned from, const char *expected) {
  char text[4 * VARVE__NODES_MAX] = "";
  for (unsigned i = 0; i < t.node_count; i++)
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s%u", i ? " " : "", t.nodes[from].nearest[i]);
  assert_string_equal(text, expected);
}

static void expect_distances(unsigned from, const char *expected) {
  char text[4 * VARVE__NODES_MAX] = "";
  for (unsigned i = 0; i < t.node_count; i++)
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s%u", i ? " " : "", t.nodes[from].distance[i]);
  assert_string_equal(text, expected);
}

/* The system's numbers of our processors, and the node of each by its system's number: "2@1 3@1". */
static void expect_cpus(const char *expected) {
  char text[1024] = "";
  for (unsigned i = 0; i < t.cpu_count; i++)
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s%u@%u", i ? " " : "", t.cpus[i].os_index,
             t.nodes[t.cpus[i].node].os_index);
  assert_string_equal(text, expected);
}

/* T1, T2 and T5, on any machine. */
static void check_shape(void) {
  assert_in_range(t.cpu_count, 1, VARVE__CPUS_MAX);
  assert_in_range(t.node_count, 1, VARVE__NODES_MAX);
  assert_true(t.memory_limit > 0);
  for (unsigned i = 0; i < t.node_count; i++) {
    uint64_t seen = 0;
    assert_int_equal(t.nodes[i].nearest[0], i);
    for (unsigned j = 0; j < t.node_count; j++) seen |= 1ull << t.nodes[i].nearest[j];
    assert_true(seen == (t.node_count == 64 ? UINT64_MAX : (1ull << t.node_count) - 1));
    check_node(i);
  }
  for (unsigned i = 0; i < t.cpu_count; i++) {
    assert_true(t.cpus[i].node < t.node_count);
    assert_int_equal(varve__topology_node_of_cpu(&t, t.cpus[i].os_index), t.cpus[i].node);
    assert_int_equal(varve__topology_core_of_cpu(&t, t.cpus[i].os_index), i);
  }
  for (unsigned n = 0; n < VARVE__CPUS_MAX; n++) assert_true(varve__topology_core_of_cpu(&t, n) < t.cpu_count);
  assert_int_equal(varve__topology_core_of_cpu(&t, 1u << 30), 0);
  assert_int_equal(varve__topology_node_of_cpu(&t, 1u << 30), t.cpus[0].node);
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
  assert_int_equal(t.machine_nodes, 80);
  assert_int_equal(t.machine_cpus, 1280);
  for (unsigned i = 0; i < t.node_count; i++) assert_in_range(t.nodes[i].cpu_count, 12, 13 * 17);
  assert_true(t.cpus[t.cpu_count - 1].os_index >= VARVE__CPUS_MAX);
  varve__topology_unload(&t);
}

/* Of more nodes than fit, those of the processors stay, and the last resorts go. */
static void test_nodes_with_cpus_stay(void **state) {
  (void)state;
  load("pack:60 [numa(memory=1GB)] [numa(memory=1GB)] core:1 pu:1");
  check_shape();
  assert_int_equal(t.node_count, VARVE__NODES_MAX);
  unsigned last = 0;
  for (unsigned i = 0; i < t.node_count; i++) last += t.nodes[i].last_resort;
  assert_int_equal(last, 4);
  for (unsigned i = 0; i < t.cpu_count; i++) assert_int_equal(t.nodes[t.cpus[i].node].cpu_count, 1);
  varve__topology_unload(&t);
}

/* ---- machines with distances --------------------------------------------------------------------------------- */

static void test_two(void **state) {
  (void)state;
  load_file("two", false);
  check_shape();
  assert_int_equal(t.node_count, 2);
  expect_distances(0, "10 21");
  expect_cpus("0@0 1@0 2@1 3@1");
  varve__topology_unload(&t);
}

static void test_ring(void **state) {
  (void)state;
  load_file("ring4", false);
  check_shape();
  assert_int_equal(t.node_count, 4);
  expect_distances(1, "15 10 15 20");
  expect_nearest(0, "0 1 3 2");
  expect_nearest(1, "1 2 0 3");
  expect_nearest(3, "3 0 2 1");
  assert_int_equal(varve__topology_steps(&t, 3, 1), 3);
  varve__topology_unload(&t);
}

static void test_line(void **state) {
  (void)state;
  load_file("line8", false);
  check_shape();
  assert_int_equal(t.node_count, 8);
  expect_nearest(0, "0 1 2 3 4 5 6 7");
  expect_nearest(7, "7 6 5 4 3 2 1 0");
  expect_nearest(3, "3 4 2 5 1 6 0 7");
  varve__topology_unload(&t);
}

/* A node of memory only comes last, though it is nearer, and is nobody's home. */
static void test_memory_only(void **state) {
  (void)state;
  load_file("memory", false);
  check_shape();
  assert_int_equal(t.node_count, 3);
  assert_true(t.nodes[2].last_resort);
  assert_false(t.nodes[0].last_resort || t.nodes[1].last_resort);
  expect_distances(0, "10 20 17");
  expect_nearest(0, "0 1 2");
  expect_nearest(2, "2 0 1");
  expect_cpus("0@0 1@0 2@1 3@1");
  varve__topology_unload(&t);
}

/* Processors without memory belong to the nearest node that has some; their own is no node for us. */
static void test_no_memory(void **state) {
  (void)state;
  load_file("bare", false);
  check_shape();
  assert_int_equal(t.node_count, 2);
  assert_int_equal(t.machine_nodes, 2);
  expect_cpus("0@0 1@0 2@1 3@1 4@1 5@1");
  assert_int_equal(t.nodes[1].cpu_count, 4);
  varve__topology_unload(&t);
}

/* One thread a core, or all; the second thread of a core leads to it. */
static void test_threads(void **state) {
  (void)state;
  load_file("threads", false);
  check_shape();
  expect_cpus("0@0 2@0 4@1 6@1");
  for (unsigned n = 0; n < 8; n++) assert_int_equal(varve__topology_core_of_cpu(&t, n), n / 2);
  assert_int_equal(t.machine_cpus, 8);
  varve__topology_unload(&t);
  load_file("threads", true);
  check_shape();
  expect_cpus("0@0 1@0 2@0 3@0 4@1 5@1 6@1 7@1");
  varve__topology_unload(&t);
}

/* Of a core of which only the second thread is allowed, that one counts. */
static void test_half_a_core(void **state) {
  (void)state;
  load_file("half", false);
  check_shape();
  expect_cpus("1@0 3@0 4@1 6@1");
  for (unsigned n = 0; n < 8; n++) assert_int_equal(varve__topology_core_of_cpu(&t, n), n / 2);
  varve__topology_unload(&t);
  load_file("half", true);
  expect_cpus("1@0 3@0 4@1 5@1 6@1 7@1");
  varve__topology_unload(&t);
}

/* What a cpuset forbids is not ours, and node 0 is not special. A processor that is not ours leads to one that is. */
static void test_cpuset(void **state) {
  (void)state;
  load_file("cpuset", false);
  check_shape();
  assert_int_equal(t.node_count, 2);
  assert_int_equal(t.nodes[0].os_index, 1);
  expect_cpus("2@1 3@1 4@2 5@2");
  static const unsigned node[] = {0, 0, 0, 0, 1, 1, 1, 1}, core[] = {0, 0, 0, 1, 2, 3, 2, 2};
  for (unsigned n = 0; n < 8; n++) assert_int_equal(varve__topology_node_of_cpu(&t, n), node[n]);
  for (unsigned n = 0; n < 8; n++) assert_int_equal(varve__topology_core_of_cpu(&t, n), core[n]);
  assert_int_equal(t.machine_nodes, 4);
  assert_int_equal(t.allowed_nodes, 2);
  assert_int_equal(t.machine_cpus, 8);
  assert_int_equal(t.allowed_cpus, 4);
  varve__topology_unload(&t);
}

/* A processor with a number beyond the table is found all the same. */
static void test_large_cpu_number(void **state) {
  (void)state;
  load("pack:2 [numa(memory=1GB)] core:2 pu:1(indexes=0,1,5000,5001)");
  check_shape();
  expect_cpus("0@0 1@0 5000@1 5001@1");
  assert_int_equal(varve__topology_core_of_cpu(&t, 5001), 3);
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

/* Without any answer of hwloc there are the processors that the kernel tells of, and one node. */
static void test_hwloc_fails(void **state) {
  (void)state;
  cpu_set_t set;
  sched_getaffinity(0, sizeof set, &set);
  setenv("HWLOC_COMPONENTS", "stop", 1);
  load(NULL);
  unsetenv("HWLOC_COMPONENTS");
  assert_null(t.hwloc);
  check_shape();
  assert_int_equal(t.node_count, 1);
  assert_int_equal(t.cpu_count, CPU_COUNT(&set));
  assert_true(varve__affinity_pin(&t, 0));
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
    assert_int_equal(varve__affinity_core_here(&t), i);
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

/* ---- what this process was started with; each case in a process of its own ------------------------------------ */

enum { PREFERRED = 1, BIND = 2, INTERLEAVE = 3, LOCAL = 4, PREFERRED_MANY = 5, STATIC = 1 << 15, RELATIVE = 1 << 14 };

static long set_policy(int mode, unsigned long nodes) {
  return syscall(SYS_set_mempolicy, mode, nodes ? &nodes : NULL, nodes ? 64ul : 0ul);
}

/* Exit status: 77, the system has no such policy; 0, `expected` came out, and of the nodes those in `nodes`. */
static int policy_child(int mode, unsigned long nodes, enum varve_memory_policy expected) {
  uint64_t got = 0;
  if (set_policy(mode, nodes) != 0) return 77;
  if (varve__topology_load(&t, false, NULL) != VARVE_OK) return 1;
  for (unsigned i = 0; i < t.node_count; i++) {
    got |= 1ull << t.nodes[i].os_index;
    if (expected != VARVE__POLICY_LOCAL && t.nodes[i].last_resort) return 2;
  }
  if (t.policy != expected) return 3;
  return expected == VARVE__POLICY_LOCAL || got == nodes ? 0 : 4;
}

static void expect_child(pid_t child) {
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  if (WEXITSTATUS(status) != 77) assert_int_equal(WEXITSTATUS(status), 0);
}

static void expect_policy(int mode, unsigned long nodes, enum varve_memory_policy expected) {
  pid_t child = fork();
  if (child == 0) _exit(policy_child(mode, nodes, expected));
  expect_child(child);
}

/* On every node that this machine allows, so that it says more on machines with several. */
static void test_inherited_policy(void **state) {
  (void)state;
  unsigned long all = 0;
  load(NULL);
  for (unsigned i = 0; i < t.node_count; i++)
    if (t.nodes[i].os_index < 64) all |= 1ul << t.nodes[i].os_index;
  varve__topology_unload(&t);
  for (unsigned long one = 1; one; one <<= 1) {
    if (!(all & one)) continue;
    expect_policy(BIND, one, VARVE__POLICY_BIND);
    expect_policy(BIND | STATIC, one, VARVE__POLICY_BIND);
    expect_policy(PREFERRED, one, VARVE__POLICY_PREFERRED);
  }
  expect_policy(BIND, all, VARVE__POLICY_BIND);
  expect_policy(INTERLEAVE, all, VARVE__POLICY_INTERLEAVE);
  expect_policy(PREFERRED_MANY, all, VARVE__POLICY_PREFERRED);
  expect_policy(PREFERRED, 0, VARVE__POLICY_LOCAL);
  expect_policy(LOCAL, 0, VARVE__POLICY_LOCAL);
  expect_policy(0, 0, VARVE__POLICY_LOCAL);
}

static int relative_child(void) {
  if (set_policy(0, 0) != 0 || varve__topology_load(&t, false, NULL) != VARVE_OK) return 77;
  unsigned first = t.nodes[0].os_index, count = t.node_count;
  varve__topology_unload(&t);
  if (count >= 60 || set_policy(BIND | RELATIVE, 1ul << count) != 0) return 77;
  if (varve__topology_load(&t, false, NULL) != VARVE_OK || t.policy != VARVE__POLICY_BIND) return 1;
  return t.node_count == 1 && t.nodes[0].os_index == first ? 0 : 2;
}

/* A relative policy counts the nodes allowed, whatever their numbers: behind the last comes the first again. */
static void test_relative_policy(void **state) {
  (void)state;
  pid_t child = fork();
  if (child == 0) _exit(relative_child());
  expect_child(child);
}

/* On a described machine this process's policy and binding do not count. */
static int described_child(void) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(0, &one);
  sched_setaffinity(0, sizeof one, &one);
  if (set_policy(BIND, 1) != 0) return 77;
  setenv("HWLOC_SYNTHETIC", "pack:4 [numa(memory=1GB)] core:2 pu:1", 1);
  if (varve__topology_load(&t, false, NULL) != VARVE_OK) return 1;
  return t.node_count == 4 && t.cpu_count == 8 && t.policy == VARVE__POLICY_LOCAL && !t.placed ? 0 : 2;
}

static void test_described_machine_is_whole(void **state) {
  (void)state;
  pid_t child = fork();
  if (child == 0) _exit(described_child());
  expect_child(child);
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

/* A group whose name only begins like the visible part's is not in it: the mount point is all that is read. */
static void test_cgroup_other_name(void **state) {
  (void)state;
  put("/proc/self/cgroup", "0::/ab/c\n");
  put("/proc/self/mountinfo", "31 24 0:27 /a /cg rw - cgroup2 cgroup2 rw\n");
  put("/cg/memory.max", "900000\n");
  put("/cgb/c/memory.max", "1\n");
  expect_limits(900000, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_cache),
      cmocka_unit_test(test_packages),
      cmocka_unit_test(test_holes),
      cmocka_unit_test(test_nodes_in_package),
      cmocka_unit_test(test_huge_machine),
      cmocka_unit_test(test_nodes_with_cpus_stay),
      cmocka_unit_test(test_ring_among_equals),
      cmocka_unit_test(test_two),
      cmocka_unit_test(test_ring),
      cmocka_unit_test(test_line),
      cmocka_unit_test(test_memory_only),
      cmocka_unit_test(test_no_memory),
      cmocka_unit_test(test_threads),
      cmocka_unit_test(test_half_a_core),
      cmocka_unit_test(test_cpuset),
      cmocka_unit_test(test_large_cpu_number),
      cmocka_unit_test(test_quota_limits_workers),
      cmocka_unit_test(test_described_machine_is_inert),
      cmocka_unit_test(test_nonsense_description),
      cmocka_unit_test(test_hwloc_fails),
      cmocka_unit_test(test_this_machine),
      cmocka_unit_test(test_pin),
      cmocka_unit_test(test_inherited_binding),
      cmocka_unit_test(test_inherited_policy),
      cmocka_unit_test(test_relative_policy),
      cmocka_unit_test(test_described_machine_is_whole),
      cmocka_unit_test_setup_teardown(test_cgroup_none, cgroup_setup, cgroup_teardown),
      cmocka_unit_test_setup_teardown(test_cgroup_v2, cgroup_setup, cgroup_teardown),
      cmocka_unit_test_setup_teardown(test_cgroup_v1, cgroup_setup, cgroup_teardown),
      cmocka_unit_test_setup_teardown(test_cgroup_other_name, cgroup_setup, cgroup_teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
