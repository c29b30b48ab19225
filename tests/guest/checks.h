/* SPDX-License-Identifier: MIT */
/* checks.h -- the functions of checks.def. */
#ifndef VARVE_GUEST_CHECKS_H
#define VARVE_GUEST_CHECKS_H

#include <stddef.h>

/* Writes the arguments of numactl; skips what the machine is too small for. */
typedef void under_fn(char *out, size_t room);
under_fn under_membind, under_interleave_all, under_interleave_two, under_preferred, under_cpunodebind, under_remote,
    under_physcpubind, under_localalloc;

#define CHECK(function, name, under, what) void function(void);
#include "checks.def"
#undef CHECK

#endif
