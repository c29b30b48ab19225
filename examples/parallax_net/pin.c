/* SPDX-License-Identifier: MIT */
/* pin.c -- one worker per processing unit, and its partition's memory on that unit's node, through hwloc.
 *
 * The topology is read once per process and never freed while threads may use it. Binding is best effort: a container
 * that forbids it, or one machine node, changes speed and nothing else.
 */
#include <hwloc.h>

#include "host.h"

static hwloc_topology_t topology;
static bool topology_known;
static pthread_once_t topology_once = PTHREAD_ONCE_INIT;

static void load_topology(void) {
  if (hwloc_topology_init(&topology) != 0) return;
  topology_known = hwloc_topology_load(topology) == 0;
}

static void place_slabs(const struct pn_worker *w, hwloc_obj_t unit) {
  if (hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_NUMANODE) < 2) return;
  for (unsigned class = 0; class < PN_CLASSES; ++class)
    hwloc_set_area_membind(topology, w->slab[class].base, PN_SEGMENT * w->slab[class].stride, unit->nodeset,
                           HWLOC_MEMBIND_BIND, HWLOC_MEMBIND_BYNODESET);
}

void pn_pin_worker(struct pn_worker *w) {
  pthread_once(&topology_once, load_topology);
  if (!topology_known) return;
  int units = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PU);
  if (units < 1) return;
  hwloc_obj_t unit = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PU, w->partition % (unsigned)units);
  hwloc_set_cpubind(topology, unit->cpuset, HWLOC_CPUBIND_THREAD);
  place_slabs(w, unit);
}
