/* SPDX-License-Identifier: MIT */
/* affinity.c -- see affinity.h. */
#define _GNU_SOURCE 1
#include "numa/affinity.h"

#include <hwloc.h>
#include <sched.h>

bool varve__affinity_pin(const struct varve_topology *t, unsigned cpu) {
  if (cpu >= t->cpu_count) return false;
  if (!t->real || !t->hwloc) return true;
  hwloc_bitmap_t set = hwloc_bitmap_alloc();
  if (!set || hwloc_bitmap_only(set, t->cpus[cpu].os_index) != 0) {
    hwloc_bitmap_free(set);
    return false;
  }
  int rc = hwloc_set_cpubind(t->hwloc, set, HWLOC_CPUBIND_THREAD | HWLOC_CPUBIND_STRICT);
  hwloc_bitmap_free(set);
  return rc == 0;
}

unsigned varve__affinity_cpu_here(void) {
  int cpu = sched_getcpu();
  return cpu < 0 ? 0 : (unsigned)cpu;
}

unsigned varve__affinity_core_here(const struct varve_topology *t) {
  return varve__topology_core_of_cpu(t, varve__affinity_cpu_here());
}

unsigned varve__affinity_node_here(const struct varve_topology *t) {
  if (t->node_count == 1) return 0;
  return varve__topology_node_of_cpu(t, varve__affinity_cpu_here());
}
