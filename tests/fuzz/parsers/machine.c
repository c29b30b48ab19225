/* SPDX-License-Identifier: MIT */
/* machine.c -- machines as hwloc describes them (a synthetic description: levels of so many each, memory where the
 * bytes say). What topology.h promises must hold on each. */
#define _POSIX_C_SOURCE 200809L

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "numa/topology.h"
#include "parsers.h"

/* From the outermost: each may be left out, and memory may hang on each. */
static void describe(struct reader *reader, char *text, size_t capacity) {
  static const char *const levels[] = {"pack", "group", "die", "l3", "l2", "core"};
  size_t at = 0;
  unsigned all = 1, memory = 0;
  for (size_t i = 0; i < sizeof levels / sizeof *levels; ++i) {
    uint8_t byte = (uint8_t)read_number(reader, 1);
    unsigned arity = 1 + byte % 4;
    if (!(byte & 0x30) || all * arity > 600) continue;
    all *= arity;
    at += (size_t)snprintf(text + at, capacity - at, "%s:%u ", levels[i], arity);
    if (!(byte & 0xc0)) continue;
    at += (size_t)snprintf(text + at, capacity - at, "[numa(memory=%uMB)] ", byte & 0x80 ? 1024u : 0u);
    ++memory;
  }
  if (!memory) at += (size_t)snprintf(text + at, capacity - at, "numa:%u ", 1 + (unsigned)read_number(reader, 1) % 9);
  snprintf(text + at, capacity - at, "pu:%u", 1 + (unsigned)read_number(reader, 1) % 4);
}

static void check_node(const struct varve_topology *t, unsigned i) {
  const struct varve_node *node = &t->nodes[i];
  bool seen[VARVE__NODES_MAX] = {false};
  unsigned cpus = 0;
  for (unsigned j = 0; j < t->cpu_count; ++j) cpus += t->cpus[j].node == i;
  if (cpus != node->cpu_count) parse_fail("node %u has %u processors, and says %u", i, cpus, node->cpu_count);
  if (node->nearest[0] != i && !node->last_resort) parse_fail("node %u is not the nearest to itself", i);
  for (unsigned step = 0; step < t->node_count; ++step) {
    unsigned near = node->nearest[step];
    if (near >= t->node_count || seen[near]) parse_fail("node %u has no order of nodes", i);
    seen[near] = true;
    if (varve__topology_steps(t, i, near) != step) parse_fail("steps from %u to %u", i, near);
    if (step < 2) continue;
    const struct varve_node *a = &t->nodes[node->nearest[step - 1]], *b = &t->nodes[near];
    if (a->last_resort > b->last_resort) parse_fail("a last resort before others");
    if (a->last_resort == b->last_resort && node->distance[node->nearest[step - 1]] > node->distance[near])
      parse_fail("not by distance from %u", i);
  }
}

static void check(const struct varve_topology *t) {
  if (!t->cpu_count || t->cpu_count > VARVE__CPUS_MAX || !t->node_count || t->node_count > VARVE__NODES_MAX)
    parse_fail("%u processors, %u nodes", t->cpu_count, t->node_count);
  if (!t->memory_limit || varve__topology_worker_count(t) < 1) parse_fail("no memory, or no workers");
  for (unsigned i = 0; i < t->node_count; ++i) check_node(t, i);
  for (unsigned cpu = 0; cpu < 2 * VARVE__CPUS_MAX; cpu += cpu < 700 ? 1 : 97) {
    if (varve__topology_core_of_cpu(t, cpu) >= t->cpu_count || varve__topology_node_of_cpu(t, cpu) >= t->node_count)
      parse_fail("processor %u leads nowhere", cpu);
  }
  for (unsigned i = 0; i < t->cpu_count; ++i)
    if (varve__topology_core_of_cpu(t, t->cpus[i].os_index) != i || t->cpus[i].node >= t->node_count)
      parse_fail("processor %u is not found", i);
}

void parse_machine(const uint8_t *bytes, size_t length) {
  static struct varve_topology t;
  struct reader reader = {bytes, length};
  char text[512];
  varve_error error = {0};
  describe(&reader, text, sizeof text);
  setenv("HWLOC_SYNTHETIC", text, 1);
  if (varve__topology_load(&t, length && bytes[0] & 1, &error) != VARVE_OK) parse_fail("%s: %s", text, error.detail);
  unsetenv("HWLOC_SYNTHETIC");
  check(&t);
  varve__topology_unload(&t);
}
