/* SPDX-License-Identifier: MIT */
/* options.h -- what heap creation does with options: the environment on top, then defaults and cross checks; and what
 * varve_heap_set does with them later. */
#ifndef VARVE_CORE_OPTIONS_H
#define VARVE_CORE_OPTIONS_H

#include "numa/topology.h"
#include "varve/options.h"

/* Apply the environment variable VARVE_OPTIONS, unless the process is set-uid. VARVE_OK when there is none. */
varve_status varve__options_environment(varve_options *options, varve_error *error);

/* Check every value again (a host may have filled the struct by hand) and give those that are 0 their default for
 * this machine. @return VARVE_OPTION: the detail names the option; `options` is then half resolved. */
varve_status varve__options_resolve(varve_options *options, const struct varve_topology *topology,
                                    varve_error *error);

/* Apply a list to a copy of the resolved options of a heap that was created with `created`, and resolve it again.
 * @return VARVE_OPTION: a name that cannot change, or as above; the detail names the option, the copy is void. */
varve_status varve__options_change(varve_options *options, const char *text, const varve_options *created,
                                   const struct varve_topology *topology, varve_error *error);

/* Copy what may change later and did, each value in one relaxed store. One writer at a time. */
void varve__options_store(varve_options *options, const varve_options *changed);

#endif
