/* SPDX-License-Identifier: MIT */
/* kernel.h -- numbers of Linux's interface for memory and its placement that headers of the C library may lack. They
 * never change.
 */
#ifndef VARVE_NUMA_KERNEL_H
#define VARVE_NUMA_KERNEL_H

/* Memory policies: get_mempolicy, mbind. */
enum kernel_policy {
  KERNEL_PREFERRED = 1,
  KERNEL_BIND = 2,
  KERNEL_INTERLEAVE = 3,
  KERNEL_PREFERRED_MANY = 5,
  KERNEL_WEIGHTED = 6
};
#define KERNEL_POLICY_FLAGS 0xff00     /* beside the policy in one word; among them */
#define KERNEL_POLICY_RELATIVE 0x4000  /* nodes are counted within the cpuset */
#define KERNEL_ASK_POLICY 0            /* what get_mempolicy shall tell */
#define KERNEL_ASK_ALLOWED 4
#define KERNEL_NODE_BITS 1024u         /* of a set of nodes; no kernel is built for more */

#define KERNEL_POPULATE_WRITE 23       /* advice: give memory to a range now (Linux 5.14) */
#define KERNEL_PAGES_2M (21 << 26)     /* with MAP_HUGETLB */

#endif
