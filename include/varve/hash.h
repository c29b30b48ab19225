/* SPDX-License-Identifier: MIT */
/* hash.h -- a number that belongs to an object as long as it lives, wherever it moves: for hash tables whose keys are
 * compared by identity.
 *
 * Objects that are never asked cost nothing, and none grows: that an object was asked is a flag of its header, the
 * number is in a table of the collector (32 to 80 bytes an object, and as much again for full collections to work in).
 * A collection looks at the entries of the objects that it takes.
 */
#ifndef VARVE_HASH_H
#define VARVE_HASH_H

#include "varve/abi.h"
#include "varve/types.h"

VARVE_BEGIN

/** The identity hash of an object: 64 well mixed bits, never 0, the same until the object dies. No two objects of a
 *  heap have the same one, up to 2^24 mutators ever attached and 2^40 first calls of each. It does not depend on the
 *  address and is no secret: who knows the program can guess it.
 *
 *  The first call for an object takes a lock that few share, and now and then memory for the table; later calls take
 *  no lock and make no system call: some ns, and a cache miss when the table is large. No call blocks, collects or
 *  moves objects.
 *
 *  A host that copies an object copies what follows the header into one that it allocated. A header that is copied says
 *  of the copy that it was hashed; asking for its hash then ends the process with a message that says so.
 *
 * @param object  untagged, an object of the mutator's heap.
 * @return 0: no memory was left for the table. The next call tries again.
 * @threads the mutator's own, running; different threads may ask for the same object, and get the same. */
VARVE_API VARVE_MUST_USE uint64_t varve_identity_hash(varve_mutator *mutator, const void *object);

VARVE_END
#endif
