/* SPDX-License-Identifier: MIT */
/* commit.h -- memory behind regions: UNCOMMITTED -> CHANGING -> FREE, and back.
 *
 * Which address  The lowest region without memory in a stripe of the node. A stripe is a row of regions that one node
 *            has claimed, so that what the kernel keeps per range of addresses (and it keeps a limited number) does not
 *            grow with every region.
 * Which node The wanted one is preferred, never demanded. After populating, the system is asked where the pages are.
 *            When they are elsewhere the node was full; the region is kept as memory of the node where it is and
 *            counted as spilled, unless it came from where this process shall not have memory, or from a last resort:
 *            then it goes back, and the next nearest node is tried.
 * Policies   bind: nothing comes from outside the nodes named. The kernel ends a process that it cannot serve so, so a
 *            node is asked first how much room it has, and a reserve is left; when none has room the region is refused.
 *            interleave: region i is wanted on node i mod n, whoever asks.
 * Lock       A CHANGING region belongs to the running thread that changes it; system calls are made without the lock.
 */
#ifndef VARVE_REGIONS_COMMIT_H
#define VARVE_REGIONS_COMMIT_H

#include "regions/space.h"

/* How many regions make a stripe, as a power of two. */
unsigned varve__commit_stripe_log(const struct varve_topology *t, uint32_t region_count);
/* Under the lock. Choose a region to get memory for the node, and hold it. NO_REGION: the limit is reached. */
uint32_t varve__commit_choose(struct varve_space *space, unsigned node);
/* Under the lock. Hold this UNCOMMITTED region; there is room for it in the limit. */
void varve__commit_hold(struct varve_space *space, uint32_t region);
/* Not under the lock. Give a held region memory. @return false: the system refused; it is still held. */
bool varve__commit_region(struct varve_space *space, uint32_t region, unsigned node);
/* Under the lock. Let go of a held region. `committed`: it is FREE now; otherwise UNCOMMITTED. */
void varve__commit_settle(struct varve_space *space, uint32_t region, bool committed);
/* Under the lock: give a FREE region's memory back, in spite of its system calls. */
void varve__commit_drop(struct varve_space *space, uint32_t region);

#endif
