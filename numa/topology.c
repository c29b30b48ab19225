/* SPDX-License-Identifier: MIT */
/* topology.c -- see topology.h. The one file that reads the machine's shape.
 *
 * Order of load: hwloc (disallowed parts included, so that distances and nodes without memory stay visible), then the
 * processors (allowed, and in the inherited binding; one hardware thread a core unless all are asked for), then the
 * nodes (allowed, with memory, in the inherited memory policy), then what both say about each other, then the limits.
 * On this machine the kernel's own answer about the calling process counts more than what hwloc read of the cgroups,
 * which a container may hide. Whatever comes out empty is replaced by something that works: all allowed, or one
 * processor, or one node.
 */
#define _GNU_SOURCE 1
#include "numa/topology.h"

#include <hwloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "numa/cgroup.h"
#include "numa/kernel.h"

#define POLICY_WORDS (KERNEL_NODE_BITS / (8 * sizeof(unsigned long)))
#define KERNEL_CPUS (8 * CPU_SETSIZE) /* no kernel is built for more */
#define DISTANCE_SELF 10
#define DISTANCE_OTHER 20
#define UNHEARD 0xff /* in node_by_os_cpu, while it is filled */

/* What load works with besides the result. The bitmaps hold the system's numbers. */
struct load {
  struct varve_topology *out;
  hwloc_topology_t hwloc;
  hwloc_bitmap_t cpus;    /* ours, one a core unless all are asked for */
  hwloc_bitmap_t nodes;   /* usable for memory */
  hwloc_bitmap_t without; /* nodes of which the system says that they have no processors */
  hwloc_bitmap_t owners;  /* nodes that processors of the machine have as their own, also those that are not ours */
  hwloc_bitmap_t ours;    /* nodes that our processors have as their own */
  struct hwloc_distances_s *distances; /* NULL: none known */
};

static varve_status fail_memory(varve_error *error, const char *what) {
  if (error) {
    error->status = VARVE_METADATA;
    snprintf(error->detail, sizeof error->detail, "topology: %s", what);
  }
  return VARVE_METADATA;
}

static uint64_t physical_bytes(void) {
  long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  return pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page : (uint64_t)1 << 30;
}

/* ---- hwloc --------------------------------------------------------------------------------------------------- */

/* hwloc reads what to believe, and which plugins to load, from the environment. In a process with more rights than who
 * started it (set-uid) that is a stranger's: then the kernel's plain answers must do. */
static bool is_told_by_a_stranger(void) {
  if (!getauxval(AT_SECURE)) return false;
  for (char **variable = environ; variable && *variable; ++variable)
    if (strncmp(*variable, "HWLOC_", 6) == 0) return true;
  return false;
}

/* Groups stay: they carry the locality of nodes in machines with several nodes a package. */
static bool load_hwloc(hwloc_topology_t *out) {
  hwloc_topology_t t;
  if (is_told_by_a_stranger() || hwloc_topology_init(&t) != 0) return false;
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

/* The binding this process was started with; of all its threads, for the host may have bound the calling one. */
static bool inherited_binding(const struct load *l, hwloc_bitmap_t out) {
  return l->out->real && (hwloc_get_cpubind(l->hwloc, out, HWLOC_CPUBIND_PROCESS) == 0 ||
                          hwloc_get_cpubind(l->hwloc, out, HWLOC_CPUBIND_THREAD) == 0);
}

/* Keep what is also in `filter`, unless that is nothing. @return false: it is nothing. */
static bool narrow(hwloc_bitmap_t set, hwloc_const_bitmap_t filter) {
  return hwloc_bitmap_intersects(set, filter) && hwloc_bitmap_and(set, set, filter) == 0;
}

/* Processors in the group's cpuset and in the inherited binding; in the latter only, if these contradict. */
static void find_cpus(struct load *l, bool smt) {
  hwloc_bitmap_t set = hwloc_bitmap_alloc();
  hwloc_bitmap_copy(l->cpus, hwloc_topology_get_topology_cpuset(l->hwloc));
  l->out->machine_cpus = (unsigned)hwloc_bitmap_weight(l->cpus);
  if (set && inherited_binding(l, set)) narrow(l->cpus, set);
  narrow(l->cpus, hwloc_topology_get_allowed_cpuset(l->hwloc));
  l->out->allowed_cpus = (unsigned)hwloc_bitmap_weight(l->cpus);
  if (set && !smt && hwloc_bitmap_copy(set, l->cpus) == 0 && hwloc_bitmap_singlify_per_core(l->hwloc, set, 0) == 0)
    narrow(l->cpus, set);
  hwloc_bitmap_free(set);
}

/* ---- nodes --------------------------------------------------------------------------------------------------- */

static hwloc_obj_t next_node(const struct load *l, hwloc_obj_t before) {
  return hwloc_get_next_obj_by_type(l->hwloc, HWLOC_OBJ_NUMANODE, before);
}

/* Ask the kernel about the calling thread's memory. */
static bool ask_kernel(int *mode, hwloc_bitmap_t out, unsigned long what) {
  unsigned long mask[POLICY_WORDS] = {0};
  if (syscall(SYS_get_mempolicy, mode, mask, (unsigned long)KERNEL_NODE_BITS, NULL, what) != 0) return false;
  return hwloc_bitmap_from_ulongs(out, POLICY_WORDS, mask) == 0;
}

/* Does the policy name nodes? */
static bool policy_names(int mode, enum varve_memory_policy *out) {
  switch (mode & ~KERNEL_POLICY_FLAGS) {
    case KERNEL_INTERLEAVE:
    case KERNEL_WEIGHTED: *out = VARVE__POLICY_INTERLEAVE; return true;
    case KERNEL_BIND: *out = VARVE__POLICY_BIND; return true;
    case KERNEL_PREFERRED_MANY:
    case KERNEL_PREFERRED: *out = VARVE__POLICY_PREFERRED; return true;
    default: return false;
  }
}

/* A relative policy's node n is the n-th of those allowed, counted round and round. */
static void resolve_relative(hwloc_bitmap_t named, hwloc_const_bitmap_t allowed) {
  hwloc_bitmap_t relative = hwloc_bitmap_dup(named);
  int count = hwloc_bitmap_weight(allowed);
  hwloc_bitmap_zero(named);
  for (int n = -1; relative && count > 0 && (n = hwloc_bitmap_next(relative, n)) >= 0;) {
    int node = hwloc_bitmap_first(allowed);
    for (int skip = n % count; skip > 0; skip--) node = hwloc_bitmap_next(allowed, node);
    hwloc_bitmap_set(named, (unsigned)node);
  }
  hwloc_bitmap_free(relative);
}

/* Keep the nodes the policy names; a policy that would leave none (preferred: local) is ignored. */
static void apply_policy(struct load *l) {
  int mode = 0;
  enum varve_memory_policy policy;
  hwloc_bitmap_t named = hwloc_bitmap_alloc();
  if (named && ask_kernel(&mode, named, KERNEL_ASK_POLICY) && policy_names(mode, &policy)) {
    if (mode & KERNEL_POLICY_RELATIVE) resolve_relative(named, l->nodes);
    if (narrow(l->nodes, named)) l->out->policy = policy;
  }
  hwloc_bitmap_free(named);
}

/* The nodes' share of what is physical. Not the sum of what they say: it was seen to be half of that. */
static void limit_memory(struct load *l) {
  double all = 0, usable = 0;
  for (hwloc_obj_t n = NULL; (n = next_node(l, n)) != NULL;) {
    all += (double)n->attr->numanode.local_memory;
    if (hwloc_bitmap_isset(l->nodes, n->os_index)) usable += (double)n->attr->numanode.local_memory;
  }
  if (usable > 0 && usable < all) l->out->memory_limit = (uint64_t)((double)physical_bytes() * (usable / all));
}

/* Of this machine: what the cpuset and the policy leave. A policy other than bind also takes what it does not name. */
static void apply_system(struct load *l) {
  int mode = 0;
  hwloc_bitmap_t allowed = hwloc_bitmap_alloc();
  if (allowed && ask_kernel(&mode, allowed, KERNEL_ASK_ALLOWED)) narrow(l->nodes, allowed);
  hwloc_bitmap_free(allowed);
  l->out->allowed_nodes = (unsigned)hwloc_bitmap_weight(l->nodes);
  limit_memory(l);
  apply_policy(l);
  if (l->out->policy == VARVE__POLICY_BIND) limit_memory(l);
}

static void find_nodes(struct load *l) {
  for (hwloc_obj_t n = NULL; (n = next_node(l, n)) != NULL;)
    if (n->attr->numanode.local_memory != 0) hwloc_bitmap_set(l->nodes, n->os_index);
  l->out->machine_nodes = (unsigned)hwloc_bitmap_weight(l->nodes);
  l->out->placed = l->out->real && l->out->machine_nodes > 1;
  narrow(l->nodes, hwloc_topology_get_allowed_nodeset(l->hwloc));
  l->out->allowed_nodes = (unsigned)hwloc_bitmap_weight(l->nodes);
  if (l->out->real) apply_system(l);
}

/* ---- whose node is whose ------------------------------------------------------------------------------------- */

/* Does the system say that the node has no processors? It does so by an empty line. A file that cannot be read says
 * nothing. */
static bool is_without(unsigned node) {
  char path[64];
  snprintf(path, sizeof path, "/sys/devices/system/node/node%u/cpulist", node);
  FILE *file = fopen(path, "re");
  int first = file ? fgetc(file) : '0';
  bool empty = first == '\n' || (first == EOF && feof(file));
  if (file) fclose(file);
  return empty;
}

/* It is not believed when it says so of all. */
static void find_without(struct load *l) {
  int nodes = hwloc_get_nbobjs_by_type(l->hwloc, HWLOC_OBJ_NUMANODE);
  for (hwloc_obj_t n = NULL; l->out->real && (n = next_node(l, n)) != NULL;)
    if (is_without(n->os_index)) hwloc_bitmap_set(l->without, n->os_index);
  if (hwloc_bitmap_weight(l->without) == nodes) hwloc_bitmap_zero(l->without);
}

/* The node a processor belongs to, also when it has no memory; NULL: hwloc knows none. A memory-only node (CXL, HBM) is
 * local to the processors beside it as well. Where the system does not say which one that is, it is not the lowest:
 * Linux numbers nodes with processors first. */
static hwloc_obj_t own_node(const struct load *l, hwloc_obj_t pu) {
  hwloc_obj_t local[VARVE__NODES_MAX], own = NULL;
  unsigned count = VARVE__NODES_MAX;
  struct hwloc_location where = {.type = HWLOC_LOCATION_TYPE_CPUSET, .location.cpuset = pu->cpuset};
  int rc = hwloc_get_local_numanode_objs(l->hwloc, &where, &count, local, HWLOC_LOCAL_NUMANODE_FLAG_LARGER_LOCALITY);
  for (unsigned i = 0; rc == 0 && i < count && i < VARVE__NODES_MAX; i++) {
    bool without = hwloc_bitmap_isset(l->without, local[i]->os_index);
    if (!without && (!own || local[i]->os_index < own->os_index)) own = local[i];
  }
  return own;
}

static void find_owners(struct load *l) {
  for (hwloc_obj_t pu = NULL; (pu = hwloc_get_next_obj_by_type(l->hwloc, HWLOC_OBJ_PU, pu)) != NULL;) {
    hwloc_obj_t own = own_node(l, pu);
    if (own) hwloc_bitmap_set(l->owners, own->os_index);
    if (own && hwloc_bitmap_isset(l->cpus, pu->os_index)) hwloc_bitmap_set(l->ours, own->os_index);
  }
}

/* The node to measure distances from: its own, else that of the processors closest to it. */
static hwloc_obj_t near_node(const struct load *l, hwloc_obj_t pu) {
  hwloc_obj_t own = own_node(l, pu), n = NULL;
  for (hwloc_obj_t around = pu; !own && around; around = around->parent)
    while (!own && (n = next_node(l, n)) != NULL)
      if (hwloc_bitmap_isset(around->nodeset, n->os_index) && hwloc_bitmap_isset(l->owners, n->os_index)) own = n;
  return own;
}

/* ---- distances ----------------------------------------------------------------------------------------------- */

static unsigned distance(const struct load *l, hwloc_obj_t from, hwloc_obj_t to) {
  hwloc_uint64_t there, back;
  if (from == to) return DISTANCE_SELF;
  if (!l->distances || hwloc_distances_obj_pair_values(l->distances, from, to, &there, &back) != 0)
    return DISTANCE_OTHER;
  return there < UINT16_MAX ? (unsigned)there : UINT16_MAX;
}

static hwloc_obj_t node_object(const struct load *l, unsigned node) {
  return hwloc_get_numanode_obj_by_os_index(l->hwloc, l->out->nodes[node].os_index);
}

/* What nodes are sorted by: itself, ordinary ones by distance, last resorts by distance. Among equals the next one in
 * the ring of all comes first, so that not everybody goes to node 0. */
static uint64_t remoteness(const struct load *l, hwloc_obj_t from, unsigned node) {
  hwloc_obj_t to = node_object(l, node);
  unsigned all = (unsigned)hwloc_get_nbobjs_by_type(l->hwloc, HWLOC_OBJ_NUMANODE);
  /* analyzer-ok null-dereference: nodes[] names nodes that hwloc has */
  unsigned ring = (to->logical_index + all - from->logical_index) % all;
  if (from == to) return 0;
  return (uint64_t)l->out->nodes[node].last_resort << 63 | (uint64_t)distance(l, from, to) << 32 | ring;
}

/* Fill nearest[] and distance[] of one node. */
static void order_from(struct load *l, unsigned home) {
  struct varve_node *node = &l->out->nodes[home];
  hwloc_obj_t from = node_object(l, home);
  uint64_t far[VARVE__NODES_MAX];
  for (unsigned i = 0; i < l->out->node_count; i++) {
    uint64_t r = remoteness(l, from, i);
    unsigned at = i;
    for (; at > 0 && far[at - 1] > r; at--) far[at] = far[at - 1], node->nearest[at] = node->nearest[at - 1];
    far[at] = r, node->nearest[at] = i;
    node->distance[i] = distance(l, from, node_object(l, i));
  }
}

/* ---- the result ---------------------------------------------------------------------------------------------- */

/* Of more nodes than fit, keep those of our processors first, and those of no processor last. */
static void limit_nodes(struct load *l) {
  hwloc_const_bitmap_t first[] = {l->ours, l->owners, l->nodes};
  hwloc_bitmap_t kept = hwloc_bitmap_alloc();
  unsigned count = 0;
  for (unsigned k = 0; kept && k < 3; k++)
    for (int n = -1; count < VARVE__NODES_MAX && (n = hwloc_bitmap_next(l->nodes, n)) >= 0;) {
      if (!hwloc_bitmap_isset(first[k], (unsigned)n) || hwloc_bitmap_isset(kept, (unsigned)n)) continue;
      hwloc_bitmap_set(kept, (unsigned)n);
      count++;
    }
  if (count > 0) narrow(l->nodes, kept);
  hwloc_bitmap_free(kept);
}

/* A policy that names nodes leaves only those, and they were asked for. */
static void mark_last_resorts(struct load *l) {
  struct varve_topology *out = l->out;
  if (out->policy != VARVE__POLICY_LOCAL || !hwloc_bitmap_intersects(l->nodes, l->owners)) return;
  for (unsigned i = 0; i < out->node_count; i++)
    out->nodes[i].last_resort = !hwloc_bitmap_isset(l->owners, out->nodes[i].os_index);
}

static void copy_nodes(struct load *l) {
  struct varve_topology *out = l->out;
  for (int n = -1; (n = hwloc_bitmap_next(l->nodes, n)) >= 0 && out->node_count < VARVE__NODES_MAX;) {
    struct varve_node *node = &out->nodes[out->node_count++];
    node->os_index = (unsigned)n;
    /* analyzer-ok null-dereference: l->nodes is a subset of what hwloc has */
    node->memory_bytes = node_object(l, out->node_count - 1)->attr->numanode.local_memory;
  }
  mark_last_resorts(l);
  for (unsigned i = 0; i < out->node_count; i++) order_from(l, i);
}

/* Dense index of the usable node nearest to one that need not be usable. */
static unsigned home_from(const struct load *l, hwloc_obj_t from) {
  unsigned best = 0;
  for (unsigned i = 1; from && i < l->out->node_count; i++)
    if (remoteness(l, from, i) < remoteness(l, from, best)) best = i;
  return best;
}

/* Count one of our processors in; of more than fit, `seen` of `total` takes some of every part of the machine. */
static void add_cpu(struct varve_topology *out, unsigned os_index, unsigned node, uint64_t seen, uint64_t total) {
  if (total > VARVE__CPUS_MAX && seen * VARVE__CPUS_MAX / total == (seen + 1) * VARVE__CPUS_MAX / total) return;
  if (out->cpu_count == VARVE__CPUS_MAX) return;
  out->cpus[out->cpu_count++] = (struct varve_cpu){.os_index = os_index, .node = node};
  out->nodes[node].cpu_count++;
}

static void copy_cpus(struct load *l) {
  struct varve_topology *out = l->out;
  unsigned seen = 0, total = (unsigned)hwloc_bitmap_weight(l->cpus), home = 0;
  hwloc_obj_t last = NULL;
  for (hwloc_obj_t pu = NULL; (pu = hwloc_get_next_obj_by_type(l->hwloc, HWLOC_OBJ_PU, pu)) != NULL;) {
    hwloc_obj_t near = near_node(l, pu);
    if (near != last) home = home_from(l, near);
    last = near;
    if (pu->os_index < VARVE__CPUS_MAX) out->node_by_os_cpu[pu->os_index] = (uint8_t)home;
    if (hwloc_bitmap_isset(l->cpus, pu->os_index)) add_cpu(out, pu->os_index, home, seen++, total);
  }
}

/* All threads of the core of cpus[index] lead to it. */
static void map_core(struct load *l, unsigned index) {
  hwloc_obj_t pu = hwloc_get_pu_obj_by_os_index(l->hwloc, l->out->cpus[index].os_index);
  hwloc_obj_t core = pu ? hwloc_get_ancestor_obj_by_type(l->hwloc, HWLOC_OBJ_CORE, pu) : NULL;
  for (int n = -1; core && (n = hwloc_bitmap_next(core->cpuset, n)) >= 0 && n < VARVE__CPUS_MAX;)
    l->out->cpu_by_os_cpu[n] = (uint16_t)index;
}

/* The later passes are the more exact ones; of several, the first is to remain. */
static void map_cpus(struct load *l) {
  struct varve_topology *out = l->out;
  uint16_t first[VARVE__NODES_MAX] = {0};
  for (unsigned i = out->cpu_count; i-- > 0;) first[out->cpus[i].node] = (uint16_t)i;
  for (unsigned n = 0; n < VARVE__CPUS_MAX; n++) {
    if (out->node_by_os_cpu[n] == UNHEARD) out->node_by_os_cpu[n] = (uint8_t)out->cpus[0].node;
    out->cpu_by_os_cpu[n] = first[out->node_by_os_cpu[n]];
  }
  for (unsigned i = out->cpu_count; i-- > 0;) map_core(l, i);
  for (unsigned i = 0; i < out->cpu_count; i++)
    if (out->cpus[i].os_index < VARVE__CPUS_MAX) out->cpu_by_os_cpu[out->cpus[i].os_index] = (uint16_t)i;
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
  find_without(l);
  find_owners(l);
  limit_nodes(l);
  copy_nodes(l);
  copy_cpus(l);
  map_cpus(l);
  copy_cache(l);
  if (l->distances) hwloc_distances_release(l->hwloc, l->distances);
}

/* ---- what holds on every machine ----------------------------------------------------------------------------- */

/* Processors without hwloc's help; one when even the kernel does not tell. */
static void assume_cpus(struct varve_topology *out) {
  cpu_set_t set[KERNEL_CPUS / CPU_SETSIZE];
  memset(set, 0, sizeof set);
  if (sched_getaffinity(0, sizeof set, set) != 0) CPU_SET_S(0, sizeof set, set);
  unsigned total = (unsigned)CPU_COUNT_S(sizeof set, set), seen = 0;
  memset(out->node_by_os_cpu, 0, sizeof out->node_by_os_cpu);
  memset(out->cpu_by_os_cpu, 0, sizeof out->cpu_by_os_cpu);
  for (unsigned n = 0; n < KERNEL_CPUS; n++) {
    if (!CPU_ISSET_S(n, sizeof set, set)) continue;
    if (n < VARVE__CPUS_MAX) out->cpu_by_os_cpu[n] = (uint16_t)out->cpu_count;
    add_cpu(out, n, 0, seen++, total);
  }
  out->machine_cpus = out->allowed_cpus = total;
}

static void assume_node(struct varve_topology *out) {
  out->node_count = out->machine_nodes = out->allowed_nodes = 1;
  out->nodes[0].memory_bytes = physical_bytes();
  out->nodes[0].distance[0] = DISTANCE_SELF;
  out->placed = false;
}

/* T1: fill what the machine left empty. */
static void complete(struct varve_topology *out) {
  struct varve_cgroup limits;
  varve__cgroup_read("", &limits);
  uint64_t physical = physical_bytes();
  if (physical < out->memory_limit) out->memory_limit = physical;
  if (limits.memory_limit < out->memory_limit) out->memory_limit = limits.memory_limit;
  out->quota_cpus = limits.quota_cpus;
  if (out->node_count == 0) assume_node(out);
  if (out->cpu_count == 0) assume_cpus(out);
}

static bool load_shape(struct varve_topology *out, bool smt) {
  struct load l = {.out = out, .hwloc = out->hwloc, .cpus = hwloc_bitmap_alloc(), .nodes = hwloc_bitmap_alloc(),
                   .without = hwloc_bitmap_alloc(), .owners = hwloc_bitmap_alloc(), .ours = hwloc_bitmap_alloc()};
  bool ok = l.cpus && l.nodes && l.without && l.owners && l.ours;
  if (ok) {
    out->real = hwloc_topology_is_thissystem(l.hwloc);
    find_cpus(&l, smt);
    find_nodes(&l);
    copy_shape(&l);
  }
  hwloc_bitmap_free(l.cpus);
  hwloc_bitmap_free(l.nodes);
  hwloc_bitmap_free(l.without);
  hwloc_bitmap_free(l.owners);
  hwloc_bitmap_free(l.ours);
  return ok;
}

varve_status varve__topology_load(struct varve_topology *out, bool smt, varve_error *error) {
  hwloc_topology_t hwloc;
  memset(out, 0, sizeof *out);
  memset(out->node_by_os_cpu, UNHEARD, sizeof out->node_by_os_cpu);
  out->memory_limit = UINT64_MAX;
  out->place = calloc(1, sizeof *out->place);
  if (!out->place) return fail_memory(error, "no memory for its counters");
  if (load_hwloc(&hwloc)) {
    out->hwloc = hwloc;
    if (!load_shape(out, smt)) {
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

unsigned varve__topology_core_of_cpu(const struct varve_topology *t, unsigned os_cpu) {
  if (os_cpu < VARVE__CPUS_MAX) return t->cpu_by_os_cpu[os_cpu];
  unsigned cpu = t->cpu_count - 1;
  while (cpu > 0 && t->cpus[cpu].os_index != os_cpu) cpu--;
  return cpu;
}

unsigned varve__topology_node_of_cpu(const struct varve_topology *t, unsigned os_cpu) {
  return os_cpu < VARVE__CPUS_MAX ? t->node_by_os_cpu[os_cpu] : t->cpus[varve__topology_core_of_cpu(t, os_cpu)].node;
}
