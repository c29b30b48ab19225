/* SPDX-License-Identifier: MIT */
/* verify.h -- the verifier: an independent serial trace and heap walk. Product code: works in every build.
 *
 * It shares with the collector only the layout table, the scan template and the root tasks; it has its own visited
 * set and stack, reserved when the heap is created (address space only) and touched when it runs.
 *
 * A snapshot is what must be equal before and after a collection: number and words of reachable objects, and a
 * digest over the depth-first trace from the roots (headers, data words, tags, whether an edge was seen before) that
 * does not depend on addresses.
 */
#ifndef VARVE_CORE_VERIFY_H
#define VARVE_CORE_VERIFY_H

#include "varve/types.h"

struct varve_snapshot {
  uint64_t objects, words, slots, digest; /* of what the roots reach */
  uint64_t survivors; /* objects that the collection shall leave: of the range only what roots and remembered objects
                         reach */
};

struct varve_verifier;
struct varve_verifier *varve__verifier_open(varve_heap *heap); /* NULL: no address space */
void varve__verifier_close(struct varve_verifier *verifier);

/* All of these: world stopped, worker 0. They fill `error` with VARVE_CORRUPT and the damage (root table or object,
 * slot, word found, what is wrong) and return it; or with VARVE_METADATA, when there is no memory to find out; or
 * return VARVE_OK. */

/* Trace from the roots: every reference leads to a parsable object start inside an allocated block, every header has
 * a registered layout and a possible size, no slot holds the poison pattern. Fills the snapshot. */
varve_status varve__verify_trace(struct varve_verifier *verifier, struct varve_snapshot *out, varve_error *error);
/* The same at the beginning of a collection; traces from remembered objects as well. */
varve_status varve__verify_before(struct varve_verifier *verifier, struct varve_snapshot *out, varve_error *error);
/* After MARK and after the trace of this pause: of the range exactly the traced objects are
 * marked, with all their words, and of older objects at least those. */
varve_status varve__verify_marks(struct varve_verifier *verifier, const struct varve_snapshot *snapshot,
                                 varve_error *error);
/* After PLAN: for each group, the addresses that the descriptors give to its live objects are those of a serial
 * slide in block order; objects outside groups stay; no two objects meet; destinations do not overtake sources. */
varve_status varve__verify_plan(struct varve_verifier *verifier, varve_error *error);
/* After RELEASE: trace again; equal to the snapshot; every block's bitmap covers exactly the traced objects;
 * free blocks have no bits; counters of used blocks and regions agree with the tables. */
varve_status varve__verify_after(struct varve_verifier *verifier, const struct varve_snapshot *before,
                                 varve_error *error);
/* With a store log, after the trace of this pause: every slot of every reachable object that holds a reference
 * holds what was last stored through the store interface. */
varve_status varve__verify_stores(struct varve_verifier *verifier, varve_error *error);
/* With a store log, after a collection: copy the words of all objects into the log, for they have moved. False: there
 * was no memory to find them all. */
bool varve__verify_sync_stores(struct varve_verifier *verifier);
/* varve_verify between collections: trace, and tables against each other. */
varve_status varve__verify_heap(struct varve_verifier *verifier, varve_error *error);

#endif
