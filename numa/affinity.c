/* SPDX-License-Identifier: MIT */
/* affinity.c -- see affinity.h. */
#define _GNU_SOURCE 1
#include "numa/affinity.h"

#include <sched.h>

#define KERNEL_SETS 8 /* of 1024 processors: no kernel is built for more */

/* Not by hwloc, which takes memory for it: a thread that never called malloc gets a whole arena from the C library. */
bool varve__affinity_pin(const struct varve_topology *t, unsigned cpu) {
  if (cpu >= t->cpu_count) return false;
  if (!t->real || !t->hwloc) return true;
  cpu_set_t set[KERNEL_SETS] = {0};
  CPU_SET_S(t->cpus[cpu].os_index, sizeof set, set);
  return sched_setaffinity(0, sizeof set, set) == 0;
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
