/* SPDX-License-Identifier: MIT */
/* test_picture.c -- the machine as text: on described machines, and with figures set by hand. */
#define _GNU_SOURCE 1
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/heap.h"
#include "varve/varve.h"

static char picture[1 << 16];
static unsigned lines;

/* Any picture: lines of a hundred columns of plain text, without blanks at the end. */
static void keep(void *context, const char *text) {
  size_t length = strlen(text), used = strlen(picture);
  assert_ptr_equal(context, &lines);
  assert_in_range(length, 0, 100);
  for (size_t i = 0; i < length; i++) assert_in_range(text[i], ' ', '~');
  assert_true(length == 0 || text[length - 1] != ' ');
  assert_true(used + length + 2 < sizeof picture);
  snprintf(picture + used, sizeof picture - used, "%s\n", text);
  lines++;
}

static void draw(const varve_heap *heap) {
  picture[0] = 0;
  lines = 0;
  assert_int_equal(varve_topology_print(heap, keep, &lines), VARVE_OK);
}

static void describe_file(const char *name) {
  char path[1024];
  int folder = (int)(strrchr(__FILE__, '/') + 1 - __FILE__);
  snprintf(path, sizeof path, "%.*smachines/%s.xml", folder, __FILE__, name);
  setenv("HWLOC_XMLFILE", path, 1);
}

static varve_heap *small_heap(void) {
  varve_heap *heap = NULL;
  varve_options options;
  varve_options_init(&options);
  options.heap_max = 64u << 20;
  assert_int_equal(varve_heap_create(&options, &heap, NULL), VARVE_OK);
  return heap;
}

static int forget(void **state) {
  (void)state;
  unsetenv("HWLOC_XMLFILE");
  unsetenv("HWLOC_SYNTHETIC");
  unsetenv("VARVE_OPTIONS");
  return 0;
}

static void expect(const char *text) {
  if (!strstr(picture, text)) fail_msg("no \"%s\" in\n%s", text, picture);
}

static void expect_no(const char *text) {
  if (strstr(picture, text)) fail_msg("\"%s\" in\n%s", text, picture);
}

/* Take out the line that begins so: it is about the machine under the described one. */
static void drop(const char *beginning) {
  char *at = strstr(picture, beginning);
  assert_non_null(at);
  char *next = strchr(at, '\n') + 1;
  memmove(at, next, strlen(next) + 1);
}

static void test_exact(void **state) {
  (void)state;
  describe_file("memory");
  draw(NULL);
  drop("quota: ");
  drop("memory limit: ");
  assert_string_equal(picture,
    "node      memory  cores  their processors\n"
    "   0   218.7 MiB      2  0-1\n"
    "   1   251.4 MiB      2  2-3\n"
    "   2   124.7 MiB      0  (last resort)\n"
    "\n"
    "distance  to   0   1   2\n"
    "   from    0  10  20  17\n"
    "           1  20  10  28\n"
    "           2  17  28  10\n"
    "\n"
    "machine: described, not this one: nothing is placed or pinned\n"
    "processors: 4 of 4 allowed; 4 count\n"
    "nodes with memory: 3 of 3 allowed; 3 used\n"
    "policy: none, or local: memory near to whoever needs it, from nodes 0-2\n"
    "last resort: node 2, which no processor is near to, when the others are full\n"
    "placing: nothing, on a described machine\n");
}

static void test_cpuset(void **state) {
  (void)state;
  describe_file("cpuset");
  draw(NULL);
  expect("   1   125.4 MiB      2  2-3\n   2   125.4 MiB      2  4-5\n");
  expect("processors: 4 of 8 allowed (cpuset, taskset or numactl); 4 count\n");
  expect("nodes with memory: 2 of 4 allowed (cpuset); 2 used\n");
  expect_no("last resort");
}

/* One node needs no distances. Numbers with gaps are ranges with steps. */
static void test_one_node(void **state) {
  (void)state;
  setenv("HWLOC_SYNTHETIC", "pack:1 [numa(memory=1GB)] core:8 pu:2", 1);
  draw(NULL);
  expect("   0   953.7 MiB      8  0-14:2\n");
  expect("processors: 16 of 16 allowed; 8 count, one a core\n");
  expect("placing: one node: nothing to place\n");
  expect_no("distance");
}

/* Without a heap it is as the environment would have one created; and as nobody would have one, it says so. */
static void test_environment(void **state) {
  (void)state;
  setenv("HWLOC_SYNTHETIC", "pack:1 [numa(memory=1GB)] core:8 pu:2", 1);
  setenv("VARVE_OPTIONS", "smt=1", 1);
  draw(NULL);
  expect("   0   953.7 MiB     16  0-15\n");
  setenv("VARVE_OPTIONS", "smt=maybe", 1);
  assert_int_equal(varve_topology_print(NULL, keep, &lines), VARVE_OPTION);
  assert_int_equal(varve_topology_print(NULL, NULL, NULL), VARVE_ARGUMENT);
}

/* A heap sees the machine with its own options. */
static void test_heap_with_threads(void **state) {
  (void)state;
  varve_heap *heap = NULL;
  varve_options options;
  setenv("HWLOC_SYNTHETIC", "pack:1 [numa(memory=1GB)] core:3 pu:2", 1);
  varve_options_init(&options);
  options.heap_max = 64u << 20;
  options.smt = 1;
  assert_int_equal(varve_heap_create(&options, &heap, NULL), VARVE_OK);
  assert_int_equal(heap->topology->cpu_count, 6);
  draw(heap);
  expect("      6  0-5\n");
  assert_int_equal(varve_heap_destroy(heap), VARVE_OK);
  setenv("VARVE_OPTIONS", "smt=1,heap-max=64m", 1);
  assert_int_equal(varve_heap_create(NULL, &heap, NULL), VARVE_OK);
  assert_int_equal(heap->topology->cpu_count, 6);
  assert_int_equal(varve_heap_destroy(heap), VARVE_OK);
}

/* Sixty-four nodes: a line each, no matrix. */
static void test_many_nodes(void **state) {
  (void)state;
  setenv("HWLOC_SYNTHETIC", "pack:64 [numa(memory=1GB)] core:16 pu:1", 1);
  varve_heap *heap = small_heap();
  draw(heap);
  assert_in_range(lines, 2 * 64, 2 * 64 + 20);
  expect("  63   953.7 MiB     16  1008-1023\n");
  expect("distance: 20 from any to any other\n");
  heap->topology->nodes[5].distance[6] = 12;
  heap->topology->nodes[5].distance[9] = 31;
  draw(heap);
  expect("distance from    5: 12 to 6  20 to 0-4,7-8,10-63  31 to 9\n");
  expect("distance from    6: 20 to 0-5,7-63\n");
  assert_int_equal(varve_heap_destroy(heap), VARVE_OK);
}

/* Numbers without any order fill several lines, and are all there. */
static void test_long_list(void **state) {
  (void)state;
  char text[2048] = "pack:1 [numa(memory=1GB)] core:60 pu:1(indexes=0";
  for (unsigned i = 1; i < 60; i++)
    snprintf(text + strlen(text), sizeof text - strlen(text), ",%u", 10 * i + i * i % 7);
  strcat(text, ")");
  setenv("HWLOC_SYNTHETIC", text, 1);
  draw(NULL);
  for (unsigned i = 1; i < 59; i++) {
    snprintf(text, sizeof text, "%u,", 10 * i + i * i % 7);
    expect(text);
  }
  expect("\n                         ");
}

static unsigned count_of(char wanted) {
  unsigned count = 0;
  for (const char *at = picture; *at; at++) count += *at == wanted;
  return count;
}

/* What the heap has where: bars are against the fullest node. */
static void test_heap_figures(void **state) {
  (void)state;
  describe_file("two");
  varve_heap *heap = small_heap();
  draw(heap);
  expect("node  # in use, = committed");
  assert_true(count_of('.') > 0 && count_of('=') > 32);
  atomic_store(&heap->space.node[1].spilled, 17);
  heap->node_totals[1].sampled = 200, heap->node_totals[1].sampled_local = 150;
  heap->node_totals[1].words_moved = 100, heap->node_totals[1].words_moved_local = 99;
  draw(heap);
  expect("       17     75 %     99 %\n");
  expect("        0        -        -\n");
  assert_int_equal(varve_heap_destroy(heap), VARVE_OK);
}

static void test_found(void **state) {
  (void)state;
  describe_file("ring4");
  varve_heap *heap = small_heap();
  struct varve_topology *t = heap->topology;
  t->policy = VARVE__POLICY_BIND;
  t->quota_cpus = 3;
  t->memory_limit = (uint64_t)1536 << 20;
  draw(heap);
  expect("policy: bind (numactl --membind): memory from nodes 0-3 only\n");
  expect("quota: the time of 3 processors (control group)\n");
  expect("memory limit: 1.5 GiB, ");
  expect_no("met: ");
  t->policy = VARVE__POLICY_INTERLEAVE;
  __atomic_fetch_add(&t->place->refused, 3, __ATOMIC_RELAXED);
  draw(heap);
  expect("policy: interleave (numactl --interleave): memory in turn from nodes 0-3\n");
  expect("met: 3 ranges were refused a preference for their node\n");
  t->policy = VARVE__POLICY_PREFERRED;
  draw(heap);
  expect("policy: preferred (numactl --preferred): memory from nodes 0-3, and others when full\n");
  assert_int_equal(varve_heap_destroy(heap), VARVE_OK);
}

/* Whatever this machine is, the picture has its rules, checked by keep. */
static void test_this_machine(void **state) {
  (void)state;
  draw(NULL);
  expect("machine: this one\n");
  varve_heap *heap = small_heap();
  draw(heap);
  expect("machine: this one\n");
  assert_int_equal(varve_heap_destroy(heap), VARVE_OK);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(test_exact, forget),
      cmocka_unit_test_teardown(test_cpuset, forget),
      cmocka_unit_test_teardown(test_one_node, forget),
      cmocka_unit_test_teardown(test_environment, forget),
      cmocka_unit_test_teardown(test_heap_with_threads, forget),
      cmocka_unit_test_teardown(test_many_nodes, forget),
      cmocka_unit_test_teardown(test_long_list, forget),
      cmocka_unit_test_teardown(test_heap_figures, forget),
      cmocka_unit_test_teardown(test_found, forget),
      cmocka_unit_test_teardown(test_this_machine, forget),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
