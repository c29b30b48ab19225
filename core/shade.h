/* SPDX-License-Identifier: MIT */
/* shade.h -- see core/base/shade.h. */
#ifndef VARVE_SHADE_H
#define VARVE_SHADE_H

struct varve_heap;

/* The end of a pause, the world stopped: hide what is no object. Nothing, when not built for a memory checker. */
void varve__shade_settle(const struct varve_heap *heap);

#endif
