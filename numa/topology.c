/* SPDX-License-Identifier: MIT */
/* topology.c -- see topology.h. The one file that reads the machine's shape.
 *
 * Order of load: hwloc (disallowed parts included, so that distances and memory-less nodes stay visible), then the
 * processors (allowed, and in the inherited binding; one hardware thread a core), then the nodes (allowed, in the
 * inherited memory policy, with memory), then distances, then the control group's limits.
 * Whatever comes out empty is replaced by something that works: all allowed, or one processor, or one node.
 */
#define _GNU_SOURCE 1
#include "numa/topology.h"

#include <hwloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "numa/cgroup.h"

#define POLICY_BITS 1024
#define DISTANCE_SELF 10
#define DISTANCE_OTHER 20

/* The kernel's names, which no header of the C library has; they are its interface and never change. */
enum { POLICY_PREFERRED = 1, POLICY_BIND = 2, POLICY_INTERLEAVE = 3, POLICY_PREFERRED_MANY = 5, POLICY_WEIGHTED = 6 };

/* What load works with besides the result. */
struct load {
  struct varve_topology *out;
  hwloc_topology_t hwloc;
  hwloc_bitmap_t cpus;  /* ours, one a core */
  hwloc_bitmap_t nodes; /* usable for memory */
  struct hwloc_distances_s *distances; /* NULL: none known */
};

static varve_status fail_memory(varve_error *error, const char *what) {
  if (error) {
    error->status = VARVE_METADATA;
    snprintf(error->detail, sizeof error->detail, "topology: %s", what);
  }
  return VARVE_METADATA;
}

/* ---- hwloc --------------------------------------------------------------------------------------------------- */

/* Groups stay: they carry the locality of nodes in machines with several nodes a package. */
static bool load_hwloc(hwloc_topology_t *out) {
  hwloc_topology_t t;
  if (hwloc_topology_init(&t) != 0) return false;
  hwloc_topology_set_flags(t, HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED);
  hwloc_topology_set_io_types_filter(t, HWLOC_TYPE_FILTER_KEEP_NONE);
  hwloc_topology_set_cache_types_filter(t, HWLOC_TYPE_FILTER_KEEP_ALL);
  hwloc_topology_set_icache_types_filter(t, HWLOC_TYPE_FILTER_KEEP_NONE);
  hwloc_topology_set_type_filter(t, HWLOC_OBJ_MISC, HWLOC_TYPE_FILTER_KEEP_NONE);
  if (hwloc_topology_load(t) != 0) {
    hwloc_topology_destroy(t);
    return false;
  }
  *out = t;
  return true;
}

/* ---- processors ---------------------------------------------------------------------------------------------- */

/* Processors in the group's cpuset and in the binding this process was started with. */
static void find_cpus(struct load *l) {
  hwloc_bitmap_t bound = hwloc_bitmap_alloc();
  hwloc_bitmap_copy(l->cpus, hwloc_topology_get_allowed_cpuset(l->hwloc));
  if (bound && l->out->real && hwloc_get_cpubind(l->hwloc, bound, HWLOC_CPUBIND_PROCESS) == 0 &&
      hwloc_bitmap_intersects(l->cpus, bound))
    hwloc_bitmap_and(l->cpus, l->cpus, bound);
  hwloc_bitmap_free(bound);
  hwloc_bitmap_t one = hwloc_bitmap_dup(l->cpus);
  if (one && hwloc_bitmap_singlify_per_core(l->hwloc, one, 0) == 0) hwloc_bitmap_and(l->cpus, l->cpus, one);
  hwloc_bitmap_free(one);
}

/* ---- nodes --------------------------------------------------------------------------------------------------- */

/* Does the starting thread's policy name nodes? Then they come in `mask`. */
static bool inherited_policy(unsigned long *mask, enum varve_memory_policy *policy) {
  int mode = 0;
  if (syscall(SYS_get_mempolicy, &mode, mask, (unsigned long)POLICY_BITS, NULL, 0ul) != 0) return false;
  mode &= 0xff; /* the upper bits are flags */
  switch (mode) {
    case POLICY_INTERLEAVE:
    case POLICY_WEIGHTED: *policy = VARVE__POLICY_INTERLEAVE; return true;
    case POLICY_BIND: *policy = VARVE__POLICY_BIND; return true;
    case POLICY_PREFERRED_MANY:
    case POLICY_PREFERRED: *policy = VARVE__POLICY_PREFERRED; return true;
    default: return false;
  }
}

/* Keep the nodes the policy names; a policy that would leave none (preferred: local) is ignored. */
static void apply_policy(struct load *l) {
  unsigned long mask[POLICY_BITS / (8 * sizeof(unsigned long))] = {0};
  enum varve_memory_policy policy;
  if (!inherited_policy(mask, &policy)) return;
  hwloc_bitmap_t named = hwloc_bitmap_alloc();
  if (!named) return;
  for (unsigned i = 0; i < sizeof mask / sizeof *mask; i++) hwloc_bitmap_set_ith_ulong(named, i, mask[i]);
  if (hwloc_bitmap_intersects(l->nodes, named)) {
    hwloc_bitmap_and(l->nodes, l->nodes, named);
    l->out->policy = policy;
  }
  hwloc_bitmap_free(named);
}

static void find_nodes(struct load *l) {
  hwloc_bitmap_copy(l->nodes, hwloc_topology_get_allowed_nodeset(l->hwloc));
  for (hwloc_obj_t n = NULL; (n = hwloc_get_next_obj_by_type(l->hwloc, HWLOC_OBJ_NUMANODE, n)) != NULL;)
    if (n->attr->numanode.local_memory == 0) hwloc_bitmap_clr(l->nodes, n->os_index);
  if (l->out->real) apply_policy(l);
}

/* ---- distances ----------------------------------------------------------------------------------------------- */

static uint64_t distance(const struct load *l, hwloc_obj_t from, hwloc_obj_t to) {
  hwloc_uint64_t there, back;
  if (from == to) return DISTANCE_SELF;
  if (l->distances && hwloc_distances_obj_pair_values(l->distances, from, to, &there, &back) == 0) return there;
  return DISTANCE_OTHER;
}

static hwloc_obj_t node_object(const struct load *l, unsigned node) {
  return hwloc_get_numanode_obj_by_os_index(l->hwloc, l->out->nodes[node].os_index);
}

/* Fill nearest[] of one node. Among equals the next one in the ring comes first, so that not all start at node 0. */
static void order_from(struct load *l, unsigned home) {
  unsigned count = l->out->node_count, *order = l->out->nodes[home].nearest;
  uint64_t far[VARVE__NODES_MAX];
  for (unsigned step = 0; step < count; step++) {
    unsigned node = (home + step) % count, at = step;
    uint64_t d = step == 0 ? 0 : distance(l, node_object(l, home), node_object(l, node));
    for (; at > 0 && far[at - 1] > d; at--) far[at] = far[at - 1], order[at] = order[at - 1];
    far[at] = d, order[at] = node;
  }
}

static void copy_nodes(struct load *l) {
  struct varve_topology *out = l->out;
  hwloc_obj_t n = NULL;
  while ((n = hwloc_get_next_obj_by_type(l->hwloc, HWLOC_OBJ_NUMANODE, n)) && out->node_count < VARVE__NODES_MAX) {
    if (!hwloc_bitmap_isset(l->nodes, n->os_index)) continue;
    struct varve_node *node = &out->nodes[out->node_count++];
    node->os_index = n->os_index;
    node->memory_bytes = n->attr->numanode.local_memory;
  }
  for (unsigned i = 0; i < out->node_count; i++) order_from(l, i);
}

/* The node a processor belongs to, also when it has no memory. A memory-only node (CXL, HBM) is local to the
 * processors beside it as well, but Linux numbers it after the nodes with processors: so take the lowest. */
static hwloc_obj_t own_node(const struct load *l, hwloc_obj_t pu) {
  hwloc_obj_t local[VARVE__NODES_MAX], own = NULL;
  unsigned count = VARVE__NODES_MAX;
  struct hwloc_location where = {.type = HWLOC_LOCATION_TYPE_CPUSET, .location.cpuset = pu->cpuset};
  int rc = hwloc_get_local_numanode_objs(l->hwloc, &where, &count, local, HWLOC_LOCAL_NUMANODE_FLAG_LARGER_LOCALITY);
  for (unsigned i = 0; rc == 0 && i < count && i < VARVE__NODES_MAX; i++)
    if (!own || local[i]->os_index < own->os_index) own = local[i];
  return own;
}

/* Dense index of the usable node nearest to a processor. */
static unsigned home_node(const struct load *l, hwloc_obj_t pu) {
  hwloc_obj_t own = own_node(l, pu);
  unsigned best = 0;
  uint64_t least = UINT64_MAX;
  for (unsigned i = 0; own && i < l->out->node_count; i++) {
    uint64_t d = distance(l, own, node_object(l, i));
    if (d < least) least = d, best = i;
  }
  return best;
}

static void copy_cpus(struct load *l) {
  struct varve_topology *out = l->out;
  for (hwloc_obj_t pu = NULL; (pu = hwloc_get_next_obj_by_type(l->hwloc, HWLOC_OBJ_PU, pu)) != NULL;) {
    unsigned node = out->node_count > 1 ? home_node(l, pu) : 0;
    if (pu->os_index < VARVE__CPUS_MAX) out->node_by_os_cpu[pu->os_index] = (uint8_t)node;
    if (out->cpu_count >= VARVE__CPUS_MAX || !hwloc_bitmap_isset(l->cpus, pu->os_index)) continue;
    ++out->nodes[node].cpu_count;
    out->cpus[out->cpu_count++] = (struct varve_cpu){.os_index = pu->os_index, .node = node};
  }
}

/* The outermost cache around the first of our processors. */
static void copy_cache(struct load *l) {
  struct varve_topology *out = l->out;
  hwloc_obj_t at = out->cpu_count ? hwloc_get_pu_obj_by_os_index(l->hwloc, out->cpus[0].os_index) : NULL;
  for (; at; at = at->parent)
    if (hwloc_obj_type_is_cache(at->type) && at->attr->cache.size > out->cache_bytes)
      out->cache_bytes = at->attr->cache.size;
}

static void copy_shape(struct load *l) {
  unsigned count = 1;
  if (hwloc_distances_get_by_name(l->hwloc, "NUMALatency", &count, &l->distances, 0) != 0 || count == 0)
    l->distances = NULL;
  copy_nodes(l);
  copy_cpus(l);
  copy_cache(l);
  if (l->distances) hwloc_distances_release(l->hwloc, l->distances);
}

/* ---- what holds on every machine ----------------------------------------------------------------------------- */

static uint64_t physical_bytes(void) {
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : (uint64_t)1 << 30;
}

/* Processors without hwloc's help; one when even the kernel does not tell. */
static void assume_cpus(struct varve_topology *out) {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) CPU_SET(0, &set);
  for (unsigned i = 0; i < CPU_SETSIZE && i < VARVE__CPUS_MAX; i++)
    if (CPU_ISSET(i, &set)) out->cpus[out->cpu_count++] = (struct varve_cpu){.os_index = i};
}

/* T1: fill what the machine left empty. */
static void complete(struct varve_topology *out) {
  struct varve_cgroup limits;
  varve__cgroup_read("", &limits);
  uint64_t physical = physical_bytes();
  out->memory_limit = limits.memory_limit < physical ? limits.memory_limit : physical;
  out->quota_cpus = limits.quota_cpus;
  if (out->cpu_count == 0) assume_cpus(out);
  if (out->node_count == 0) {
    out->node_count = 1;
    out->nodes[0].memory_bytes = physical;
    out->placed = false;
  }
}

static bool load_shape(struct varve_topology *out) {
  struct load l = {.out = out, .hwloc = out->hwloc, .cpus = hwloc_bitmap_alloc(), .nodes = hwloc_bitmap_alloc()};
  bool ok = l.cpus && l.nodes;
  if (ok) {
    out->real = hwloc_topology_is_thissystem(l.hwloc);
    out->placed = out->real && hwloc_get_nbobjs_by_type(l.hwloc, HWLOC_OBJ_NUMANODE) > 1;
    find_cpus(&l);
    find_nodes(&l);
    copy_shape(&l);
  }
  hwloc_bitmap_free(l.cpus);
  hwloc_bitmap_free(l.nodes);
  return ok;
}

varve_status varve__topology_load(struct varve_topology *out, bool smt, varve_error *error) {
  (void)smt;
  hwloc_topology_t hwloc;
  memset(out, 0, sizeof *out);
  out->place = calloc(1, sizeof *out->place);
  if (!out->place) return fail_memory(error, "no memory for its counters");
  if (load_hwloc(&hwloc)) {
    out->hwloc = hwloc;
    if (!load_shape(out)) {
      varve__topology_unload(out);
      return fail_memory(error, "no memory for a bitmap");
    }
  }
  complete(out);
  return VARVE_OK;
}

void varve__topology_unload(struct varve_topology *topology) {
  if (topology->hwloc) hwloc_topology_destroy(topology->hwloc);
  free(topology->place);
  topology->hwloc = NULL;
  topology->place = NULL;
}

unsigned varve__topology_worker_count(const struct varve_topology *t) {
  unsigned count = t->cpu_count;
  if (t->quota_cpus != 0 && t->quota_cpus < count) count = t->quota_cpus;
  return count > 0 ? count : 1;
}

unsigned varve__topology_steps(const struct varve_topology *t, unsigned from, unsigned to) {
  unsigned steps = 0;
  while (steps + 1 < t->node_count && t->nodes[from].nearest[steps] != to) ++steps;
  return steps;
}

unsigned varve__topology_node_of_cpu(const struct varve_topology *t, unsigned os_cpu) {
  return os_cpu < VARVE__CPUS_MAX ? t->node_by_os_cpu[os_cpu] : 0;
}
