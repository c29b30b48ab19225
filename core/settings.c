/* SPDX-License-Identifier: MIT */
/* settings.c -- options of a heap that lives.
 *
 * Idea       A changed copy is checked as a whole, then stored value by value under the lock `settings`. A pause holds
 *            that lock, so a collection sees one set of options from its beginning to its end, and everything in it
 *            reads them plainly. Outside pauses few are read (heap_setting), each by itself.
 *            A running mutator may wait for the lock: a stopper takes it only when nobody runs any more (S3).
 * Called by  any thread.
 */
#include "core/heap.h"
#include "core/options.h"
#include "core/policy.h"

static void apply(struct varve_heap *heap, const varve_options *changed) {
  bool other_teams = changed->workers != heap->options.workers;
  varve__options_store(&heap->options, changed);
  if (other_teams) varve__policy_forget_teams(heap);
  varve__sizing_options_changed(heap);
}

varve_status varve_heap_set(varve_heap *heap, const char *list, varve_error *error) {
  if (!heap || !list) return varve__error(error, VARVE_ARGUMENT, "heap_set: heap and list must not be null");
  varve__lock_take(&heap->settings);
  varve_options changed = heap->options;
  varve_status status = varve__options_change(&changed, list, &heap->created, heap->topology, error);
  if (status == VARVE_OK) apply(heap, &changed);
  varve__lock_release(&heap->settings);
  return status;
}
