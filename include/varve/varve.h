/* SPDX-License-Identifier: MIT */
/* varve.h -- everything: an embeddable, precise, moving, parallel garbage collector.
 *
 *     varve_heap *heap;
 *     varve_mutator *me;
 *     varve_layout CONS;
 *     varve_heap_create(NULL, &heap, NULL);                       // heap.h, options.h
 *     varve_layout_register(heap, &(varve_layout_desc){...}, &CONS, NULL);   // layout.h
 *     varve_attach(heap, "main", &me, NULL);                      // mutator.h
 *     VARVE_FRAME(f, me, list);                                   // root.h
 *     struct cons *c = varve_alloc(me, CONS, sizeof *c);          // alloc.h
 *     varve_init(me, c, &c->next, f.list);                        // store.h
 *     f.list = varve_tag(c, 0);
 */
#ifndef VARVE_VARVE_H
#define VARVE_VARVE_H

#include "varve/abi.h"
#include "varve/alloc.h"
#include "varve/ffi.h"
#include "varve/final.h"
#include "varve/fork.h"
#include "varve/hash.h"
#include "varve/heap.h"
#include "varve/layout.h"
#include "varve/mutator.h"
#include "varve/narrow.h"
#include "varve/options.h"
#include "varve/pin.h"
#include "varve/root.h"
#include "varve/stats.h"
#include "varve/store.h"
#include "varve/types.h"
#include "varve/walk.h"
#include "varve/weak.h"

#endif
