/* SPDX-License-Identifier: MIT */
/* checks.h -- the checks of placement, in the order in which they run. Each has a process of its own, and ends it as soon
 * as it fails or cannot be made on this machine.
 *
 *   CHECK(function, "name", under, "what must be true")
 *
 * under: a function of policy.c that writes the arguments of numactl, under which the check runs; NULL: none.
 */
#ifndef VARVE_GUEST_CHECKS_H
#define VARVE_GUEST_CHECKS_H

#include <stddef.h>

/* Writes the arguments of numactl; skips what the machine is too small for. */
typedef void under_fn(char *out, size_t room);
under_fn under_membind, under_interleave_all, under_interleave_two, under_preferred, under_cpunodebind, under_remote,
    under_physcpubind, under_localalloc;

#define CHECKS                                                                                                          \
  CHECK(check_objects, "objects", NULL, "small, medium and large objects lie on the node of their mutator")             \
  CHECK(check_survive, "survive", NULL, "survivors of collections that move everything stay on their node")             \
  CHECK(check_threads, "threads", NULL, "the same with a thread on every node at once")                                 \
  CHECK(check_migrate, "migrate", NULL, "a mutator that changes its node allocates on the new one")                     \
  CHECK(check_refs, "refs", NULL, "Ref words lie on the node of the mutator that takes them")                           \
  CHECK(check_metadata, "metadata", NULL, "every home node has tables of its own")                                      \
  CHECK(check_destroy, "destroy", NULL, "a destroyed heap leaves nothing mapped")                                       \
  CHECK(check_spread, "spread", NULL, "what is populated in advance is spread over the home nodes, every page of it")   \
  CHECK(check_workers, "workers", NULL, "worker threads run on allowed processors, each pinned to one")                 \
  CHECK(check_statistics, "statistics", NULL, "figures of nodes add up to those of the heap and of its collections")    \
  CHECK(check_local_share, "local-share", NULL, "marked objects are local to workers of their node only")                 \
  CHECK(check_picture, "picture", NULL, "the drawing of the machine names every usable node")                           \
  CHECK(check_allowed, "allowed", NULL, "in a cpuset, no page and no thread outside of it")                             \
  CHECK(check_full, "full", NULL, "what a full node has no room for goes to the nearest; it is counted and said")       \
  CHECK(check_last_idle, "last-resort", NULL, "memory without processors is not used while others have room")           \
  CHECK(check_last_full, "last-resort-full", NULL, "it is used when all others are full")                               \
  CHECK(check_memoryless, "memoryless", NULL, "a processor without memory of its own gets the nearest")                 \
  CHECK(check_denied, "denied", NULL, "without the system calls for placement a heap works, and says so once")          \
  CHECK(check_membind, "membind", under_membind, "--membind: no page of the process outside")                           \
  CHECK(check_membind_full, "membind-full", under_membind, "--membind and full: VARVE_HEAP_FULL, no page outside")      \
  CHECK(check_interleave, "interleave-all", under_interleave_all, "--interleave=all: equal shares")                     \
  CHECK(check_interleave, "interleave-two", under_interleave_two, "--interleave of two: equal shares, nothing outside") \
  CHECK(check_preferred, "preferred", under_preferred, "--preferred: pages on that node, whoever allocates")            \
  CHECK(check_cpunodebind, "cpunodebind", under_cpunodebind, "--cpunodebind: threads and memory of that node")          \
  CHECK(check_cpunodebind_full, "cpunodebind-full", under_cpunodebind, "the same, and full: the nearest node")          \
  CHECK(check_remote, "remote", under_remote, "--cpunodebind and --membind of different nodes: both are kept to")       \
  CHECK(check_workers, "physcpubind", under_physcpubind, "--physcpubind: worker threads on those processors only")      \
  CHECK(check_objects, "localalloc", under_localalloc, "--localalloc: as without a policy")                             \
  CHECK(check_pool, "hugetlb", NULL, "huge-pages=explicit: from the pool of the right node; all given back")            \
  CHECK(check_pool_empty, "hugetlb-empty", NULL, "the pool is exhausted: ordinary pages, said once")                    \
  CHECK(check_huge_off, "huge-off", NULL, "huge-pages=off: none, also where the kernel gives them unasked")             \
  CHECK(check_huge_on, "huge-transparent", NULL, "huge-pages=transparent: some")

#define CHECK(function, name, under, what) void function(void);
CHECKS
#undef CHECK

#endif
