/* SPDX-License-Identifier: MIT */
/* picture.c -- the machine as a heap sees it, as text.
 *
 * Called by  hosts, on any thread; reads what is constant in a topology, and figures by relaxed loads.
 */
#include <stdio.h>

#include "core/heap.h"

static void draw(const struct varve_topology *t, void (*line)(void *context, const char *text), void *context) {
  char text[128];
  for (unsigned i = 0; i < t->node_count; ++i) {
    snprintf(text, sizeof text, "node %u: %u cores, %.1f MiB%s", t->nodes[i].os_index, t->nodes[i].cpu_count,
             (double)t->nodes[i].memory_bytes / (1 << 20), t->nodes[i].last_resort ? ", last resort" : "");
    line(context, text);
  }
}

varve_status varve_topology_print(const varve_heap *heap, void (*line)(void *context, const char *text),
                                  void *context) {
  if (!line) return VARVE_ARGUMENT;
  if (heap) {
    draw(heap->topology, line, context);
    return VARVE_OK;
  }
  struct varve_topology t;
  varve_status status = varve__topology_load(&t, false, NULL);
  if (status != VARVE_OK) return status;
  draw(&t, line, context);
  varve__topology_unload(&t);
  return VARVE_OK;
}
