/* SPDX-License-Identifier: MIT */
/* cgroup.h -- the limits a container sets: CPU quota and memory, control groups version 1 or 2.
 *
 * Idea       A group's limit is the smallest of its own and all its ancestors'. /proc/self/cgroup names our group per
 *            hierarchy, /proc/self/mountinfo says where the hierarchy is mounted and which part of it we see; every
 *            level from our group up to the mount point is read.
 * Invariants A file that is missing, unreadable or not understood is no limit. Nothing here fails.
 * Called by  topology.c at load; the unit test with a directory that plays the root of the file system.
 */
#ifndef VARVE_NUMA_CGROUP_H
#define VARVE_NUMA_CGROUP_H

#include "varve/types.h"

struct varve_cgroup {
  uint64_t memory_limit; /* bytes; UINT64_MAX: none */
  unsigned quota_cpus;   /* processors' worth of time, rounded up; 0: none */
};

/* `root` stands before every path that is read: "" for the machine itself. */
void varve__cgroup_read(const char *root, struct varve_cgroup *out);

#endif
