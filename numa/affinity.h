/* SPDX-License-Identifier: MIT */
/* affinity.h -- where a thread runs: pinning a worker, and asking where the caller is.
 *
 * Invariants Pinning concerns the calling thread only. On a described machine it does nothing and succeeds.
 *            "here" may be out of date when it returns, unless the thread is pinned: use it to choose, not to prove.
 * Called by  worker.c when a worker starts; mutator.c and regions/ to choose a node at a slow path.
 */
#ifndef VARVE_NUMA_AFFINITY_H
#define VARVE_NUMA_AFFINITY_H

#include "numa/topology.h"

/* Pin the calling thread to cpus[cpu], exactly. @return false: the system refused; the thread is where it was. */
bool varve__affinity_pin(const struct varve_topology *t, unsigned cpu);

/* The processor the caller runs on, the system's index. No system call where the C library has a fast way. */
unsigned varve__affinity_cpu_here(void);

/* Index in cpus[] of the core the caller runs on; where that is not ours, of one of the same node. */
unsigned varve__affinity_core_here(const struct varve_topology *t);

/* The dense index of the node nearest to the caller. */
unsigned varve__affinity_node_here(const struct varve_topology *t);

#endif
