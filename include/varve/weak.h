/* SPDX-License-Identifier: MIT */
/* weak.h -- references that do not keep alive: weak cells, weak arrays, ephemerons, tables with weak keys.
 *
 * They are objects like others, of two kinds of layout (layout.h). There are no calls: slots are loaded plainly, and
 * stored with varve_store and varve_init (store.h), which a store of the cleared word needs as little as any other.
 *
 *   VARVE_LAYOUT_WEAK        every word from `first` to the object's end is a weak slot: one in a cell, many in an
 *                            array. A collection that finds the target dead stores the layout's `cleared` word instead.
 *   VARVE_LAYOUT_EPHEMERONS  entries of three words from `first` on: key, value, and one that belongs to the library.
 *                            The value is alive as long as both this object and the key are, whatever the value refers
 *                            to, its own key and keys of other entries too. When the key is dead both words become
 *                            `cleared`. A key that is no reference is always alive. Words behind the last whole entry
 *                            are never looked at.
 *
 *      struct cell  { varve_object header; uint64_t library; varve_word target; };           // first: 16
 *      struct table { varve_object header; uint64_t library; varve_word next;                 // offsets: 16, first: 24
 *                     struct { varve_word key, value; uint64_t library; } entry[]; };
 *
 * In both, the word behind the header, at offset 8, belongs to the library too. It may hold anything at birth, and
 * so may the entries' third words; the host neither reads nor writes them afterwards. `offsets` name ordinary slots
 * between it and `first`. An object of these kinds that is dead itself is cleared of nothing.
 *
 * What is dead: objects that roots reach neither by ordinary slots nor by values of ephemerons. In one collection
 * all weak slots to an object are cleared, or none of those of one kind; these are the steps, between which nothing of
 * the host runs:
 *
 *   1. everything reachable is marked, ephemerons included;
 *   2. weak slots of marked objects whose layouts say VARVE_WEAK_BEFORE are cleared, when their targets are not marked;
 *   3. all finalizers of unmarked objects are queued (final.h), and what their objects reach is marked;
 *   4. ephemerons whose keys are not marked, and weak slots whose targets are not, are cleared: those of
 *      VARVE_WEAK_AFTER, and of all objects that were first marked in step 3;
 *   5. cleaners of unmarked objects are queued.
 *
 * So the value of an ephemeron whose key waits in the queue of finalizers stays with it.
 *
 * Keys are compared by identity. A table that hashes them takes varve_identity_hash (hash.h), which stays; one that
 * hashes addresses must be rehashed after a collection that moved objects (after_collection in options.h). An empty
 * entry may have any key that is no reference, 0 as it was born; key and value are two stores, in any order:
 *
 *      size_t i = varve_identity_hash(me, key) & mask;
 *      while (table->entry[i].key && varve_untag(table->entry[i].key) != key) i = (i + 1) & mask;
 *      varve_store(me, table, &table->entry[i].key, varve_tag(key, 0));
 *      varve_store(me, table, &table->entry[i].value, value);
 *
 * With `cleared` a word other than 0, entries of dead keys are told from empty ones, and probes go on behind them.
 *
 * A collection of the newest epochs clears slots to objects of these epochs only. What it costs is in proportion to the
 * slots and entries of live objects that it takes, or that were written to since; stats.h has weak_ns.
 */
#ifndef VARVE_WEAK_H
#define VARVE_WEAK_H

#include "varve/layout.h"
#include "varve/types.h"

VARVE_BEGIN

/** An entry of an object of kind VARVE_LAYOUT_EPHEMERONS. */
typedef struct varve_ephemeron {
  varve_word key, value;
  uint64_t library;
} varve_ephemeron;

VARVE_END
#endif
