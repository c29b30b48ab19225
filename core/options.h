/* SPDX-License-Identifier: MIT */
/* options.h -- what heap creation does with options: the environment on top, then defaults and cross checks. */
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

#endif
