/* SPDX-License-Identifier: MIT */
/* readback.h -- the result of a run as text. */
#ifndef PN_READBACK_H
#define PN_READBACK_H

#include "host.h"
#include "text.h"

/** Append what hangs at the root. Uses the net up: call it once, after a successful run, on the host's own thread.
 *  @return false when no host memory was left. */
bool pn_readback(struct pn_host *host, struct pn_text *text);

#endif
