/* SPDX-License-Identifier: MIT */
/* verify_hash.c -- the verifier's view of the identity hashes: H1 to H3 of hash.h, by counting.
 *
 * That hashes stay the same is part of the trace's digest. Called by verify.c, after the parse. */
#include "core/hash.h"
#include "core/verifier.h"

static void count_flagged(struct varve_verifier *v, varve_object *object, uint64_t words) {
  (void)words;
  v->flagged += hash_is_flagged(object);
}

static bool is_listable(const struct varve_verifier *v, uint64_t address) {
  const struct varve_ages *ages = &v->heap->ages;
  return ages->on && !ages->asleep && space_of(v)->epochs[space_block(space_of(v), address)] > ages->tenured;
}

struct tally {
  uint64_t entries, listable, listed;
};

static void check_entry(struct varve_verifier *v, const struct varve_hash_entry *entry, struct tally *tally) {
  if (entry->address <= VARVE__HASH_GONE) return;
  const varve_object *object = (const varve_object *)entry->address;
  if (!map_test(v, STARTS, entry->address) || !hash_is_flagged(object))
    varve__verify_damage(v, "H1: %p has a hash, and no object that says so is there", (const void *)object);
  else if (varve__hash_find(v->heap, object) != entry->value)
    varve__verify_damage(v, "H1: %p has two hashes, or is not found", (const void *)object);
  ++tally->entries;
  tally->listable += is_listable(v, entry->address);
}

static void check_recent(struct varve_verifier *v, const struct varve_hash_entry *entry, struct tally *tally) {
  if (!is_listable(v, entry->address) ||
      varve__hash_find(v->heap, (const varve_object *)entry->address) != entry->value)
    varve__verify_damage(v, "H2: %#llx is listed as recent, and is not, or has another hash", ull(entry->address));
  ++tally->listed;
}

static void check_counts(struct varve_verifier *v, const struct tally *tally, size_t places) {
  v->flagged = 0;
  varve__verify_each(v, STARTS, count_flagged);
  if (v->flagged != tally->entries)
    varve__verify_damage(v, "H1: %llu objects say that they have a hash, %llu have", ull(v->flagged),
                         ull(tally->entries));
  if (tally->listed != tally->listable)
    varve__verify_damage(v, "H2: %llu hashes are recent, %llu are listed", ull(tally->listable), ull(tally->listed));
  if (tally->entries > places / 8 * 7)
    varve__verify_damage(v, "H3: %llu hashes in %llu places", ull(tally->entries), ull(places));
}

void varve__verify_hashes(struct varve_verifier *v) {
  const struct varve_hashes *hashes = v->heap->hashes;
  const struct varve_hash_table *table = atomic_load_explicit(&hashes->table, memory_order_relaxed);
  struct tally tally = {0};
  bool lists = v->heap->ages.on && !v->heap->ages.asleep; /* else they mean nothing */
  for (size_t at = 0; table && at < table->places && !v->failed; ++at) check_entry(v, &table->entries[at], &tally);
  for (unsigned i = 0; lists && i < VARVE__HASH_STRIPES; ++i)
    for (size_t k = 0; k < hashes->stripes[i].recent_count && !v->failed; ++k)
      check_recent(v, &hashes->stripes[i].recent[k], &tally);
  if (!v->failed) check_counts(v, &tally, table ? table->places : 0);
}
