/* SPDX-License-Identifier: MIT */
/* hash.c -- see hash.h.
 *
 * Called by  varve_identity_hash: running mutators, between safepoints. follow: collect.c, with all workers when there
 *            is much to do.
 * Cost       follow: young, a probe or two for each recent entry of the range; full, both tables from end to end.
 * Memory     tables and lists from the metadata, outside pauses; every page of them is touched there, too.
 */
#include "core/hash.h"

#include <string.h>

#include "core/base/check.h"
#include "core/forward.h"
#include "core/mutator.h"
#include "core/worker.h"

#define PLACES_LEAST ((size_t)1 << 12)
#define STRETCH_PLACES ((size_t)1 << 13) /* in one task */
#define ALONE_ENTRIES ((size_t)1 << 12)  /* fewer are not worth waking others */
#define RECENT_FIRST 64u
#define PAGE_BYTES 4096u
#define COUNTER_BITS 40

/* ---- hashing ---- */

static uint64_t spread(uint64_t address) { return (address >> 3) * UINT64_C(0x9e3779b97f4a7c15); }

static struct varve_hash_stripe *stripe_of(struct varve_hashes *hashes, uint64_t address) {
  return &hashes->stripes[(spread(address) >> 24) % VARVE__HASH_STRIPES];
}

/* A permutation that takes 0 to 0 and nothing else there. */
static uint64_t mix(uint64_t z) {
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

/* The next of this mutator's: its number and how many it gave, so none is given twice. */
static uint64_t next_value(struct varve__mutator *mutator) {
  return mix((uint64_t)mutator->serial << COUNTER_BITS | mutator->hashes_given++);
}

/* ---- tables ---- */

static size_t table_bytes(size_t places) {
  return sizeof(struct varve_hash_table) + places * sizeof(struct varve_hash_entry);
}

/* Memory that a pause will write to. */
static void *take_touched(struct varve_heap *heap, size_t bytes) {
  volatile char *memory = heap_meta_alloc(heap, bytes);
  for (size_t at = 0; memory && at < bytes; at += PAGE_BYTES) memory[at] = 0;
  return (void *)memory;
}

static void use_places(struct varve_hash_table *table, size_t places) {
  table->places = places;
  table->shift = 64u - bits_lowest(places);
}

static struct varve_hash_table *take_table(struct varve_heap *heap, size_t places) {
  struct varve_hash_table *table = take_touched(heap, table_bytes(places));
  if (!table) return NULL;
  table->room = places;
  use_places(table, places);
  return table;
}

static void free_table(struct varve_heap *heap, struct varve_hash_table *table) {
  if (table) heap_meta_free(heap, table, table_bytes(table->room));
}

static uint64_t address_at(const struct varve_hash_entry *entry) {
  return __atomic_load_n(&entry->address, __ATOMIC_ACQUIRE);
}

/* The entry of the address; NULL: there is none. */
static struct varve_hash_entry *find(struct varve_hash_table *table, uint64_t address) {
  size_t at = spread(address) >> table->shift;
  for (size_t left = table->places; left; --left, at = (at + 1) & (table->places - 1)) {
    uint64_t found = address_at(&table->entries[at]);
    if (found == address) return &table->entries[at];
    if (found == VARVE__HASH_EMPTY) break;
  }
  return NULL;
}

/* Claim a place for an address that has none. @return whether it was empty, rather than gone. */
static bool enter(struct varve_hash_table *table, uint64_t address, uint64_t value) {
  for (size_t at = spread(address) >> table->shift;; at = (at + 1) & (table->places - 1)) {
    struct varve_hash_entry *entry = &table->entries[at];
    uint64_t found = __atomic_load_n(&entry->address, __ATOMIC_RELAXED);
    if (found > VARVE__HASH_GONE) continue;
    if (!__atomic_compare_exchange_n(&entry->address, &found, address, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
      continue; /* a free place becomes a taken one, nothing else */
    __atomic_store_n(&entry->value, value, __ATOMIC_RELAXED);
    return found == VARVE__HASH_EMPTY;
  }
}

/* ---- growing, by a running mutator ---- */

static void lock_all(struct varve_hashes *hashes) {
  for (unsigned i = 0; i < VARVE__HASH_STRIPES; ++i) varve__lock_take(&hashes->stripes[i].lock);
}

static void unlock_all(struct varve_hashes *hashes) {
  for (unsigned i = 0; i < VARVE__HASH_STRIPES; ++i) varve__lock_release(&hashes->stripes[i].lock);
}

static void share_used(struct varve_hashes *hashes, size_t used) {
  for (unsigned i = 0; i < VARVE__HASH_STRIPES; ++i)
    hashes->stripes[i].used = used / VARVE__HASH_STRIPES + (i < used % VARVE__HASH_STRIPES);
}

static size_t count_entries(const struct varve_hash_table *table) {
  size_t count = 0;
  for (size_t at = 0; table && at < table->places; ++at) count += table->entries[at].address > VARVE__HASH_GONE;
  return count;
}

/* A quarter full at most, so that it need not grow again soon. */
static size_t places_for(size_t entries) {
  size_t places = bits_next_power_of_two(entries * 4);
  return places < PLACES_LEAST ? PLACES_LEAST : places;
}

/* H4 */
static void free_replaced(struct varve_heap *heap) {
  struct varve_hash_table **at = &heap->hashes->replaced, *table;
  while ((table = *at)) {
    if (table->collections == atomic_load(&heap->collections)) {
      at = &table->next;
    } else {
      *at = table->next;
      free_table(heap, table);
    }
  }
}

static void replace_table(struct varve_heap *heap, struct varve_hash_table *by, struct varve_hash_table *spare) {
  struct varve_hashes *hashes = heap->hashes;
  struct varve_hash_table *old = atomic_load_explicit(&hashes->table, memory_order_relaxed);
  for (size_t at = 0; old && at < old->places; ++at)
    if (old->entries[at].address > VARVE__HASH_GONE) enter(by, old->entries[at].address, old->entries[at].value);
  atomic_store_explicit(&hashes->table, by, memory_order_release);
  free_table(heap, hashes->spare);
  hashes->spare = spare;
  if (!old) return;
  old->collections = atomic_load(&heap->collections);
  old->next = hashes->replaced;
  hashes->replaced = old;
}

/* Under all locks. False: no memory. */
static bool grow(struct varve_heap *heap) {
  struct varve_hashes *hashes = heap->hashes;
  size_t entries = count_entries(atomic_load_explicit(&hashes->table, memory_order_relaxed));
  struct varve_hash_table *table = take_table(heap, places_for(entries));
  struct varve_hash_table *spare = table ? take_table(heap, places_for(entries)) : NULL;
  if (!spare) {
    free_table(heap, table);
    return false;
  }
  free_replaced(heap);
  replace_table(heap, table, spare);
  share_used(hashes, entries);
  return true;
}

/* How many of the places one stripe may fill: half, or seven of eight when there is no memory for more (H3). */
static bool has_room(const struct varve_hashes *hashes, const struct varve_hash_stripe *stripe, unsigned eighths) {
  const struct varve_hash_table *table = atomic_load_explicit(&hashes->table, memory_order_relaxed);
  return table && stripe->used < table->places / VARVE__HASH_STRIPES / 8 * eighths;
}

/* ---- adding, by a running mutator ---- */

/* Under the stripe's lock. */
static bool reserve_recent(struct varve_heap *heap, struct varve_hash_stripe *stripe) {
  if (stripe->recent_count < stripe->recent_room) return true;
  size_t room = stripe->recent_room ? stripe->recent_room * 2 : RECENT_FIRST;
  struct varve_hash_entry *recent = take_touched(heap, room * sizeof *recent);
  if (!recent) return false;
  if (stripe->recent_count) memcpy(recent, stripe->recent, stripe->recent_count * sizeof *recent);
  heap_meta_free(heap, stripe->recent, stripe->recent_room * sizeof *recent);
  stripe->recent = recent;
  stripe->recent_room = room;
  return true;
}

/* H2 */
static bool is_recent(const struct varve_heap *heap, uint64_t address) {
  return heap->ages.on && !heap->ages.asleep &&
         heap->space.epochs[space_block(&heap->space, address)] > heap->ages.tenured;
}

/* Under the stripe's lock, with room in the table. @return 0: no memory for the list. */
static uint64_t add(struct varve__mutator *mutator, struct varve_hash_stripe *stripe, varve_object *object) {
  struct varve_heap *heap = mutator->head.heap;
  uint64_t address = (uint64_t)(uintptr_t)object;
  bool recent = is_recent(heap, address);
  if (recent && !reserve_recent(heap, stripe)) return 0;
  uint64_t value = next_value(mutator);
  stripe->used += enter(atomic_load_explicit(&heap->hashes->table, memory_order_relaxed), address, value);
#ifdef VARVE_PLANT_HASH_UNLISTED
  if (address / 8 % 64 == 0) recent = false;
#endif
  if (recent) stripe->recent[stripe->recent_count++] = (struct varve_hash_entry){address, value};
  __atomic_fetch_or((uint8_t *)object, VARVE_ABI_FLAG_HASHED, __ATOMIC_RELEASE);
  return value;
}

/* Another may have been quicker. */
static uint64_t find_or_add(struct varve__mutator *mutator, struct varve_hash_stripe *stripe, varve_object *object) {
  if (hash_is_flagged(object)) return varve__hash_find(mutator->head.heap, object);
  return add(mutator, stripe, object);
}

/* The stripe is nearly full. */
static uint64_t add_and_grow(struct varve__mutator *mutator, struct varve_hash_stripe *stripe, varve_object *object) {
  struct varve_hashes *hashes = mutator->head.heap->hashes;
  lock_all(hashes);
  bool room = has_room(hashes, stripe, 4) || grow(mutator->head.heap) || has_room(hashes, stripe, 7);
  uint64_t value = room ? find_or_add(mutator, stripe, object) : 0;
  unlock_all(hashes);
  return value;
}

static uint64_t first_call(struct varve__mutator *mutator, varve_object *object) {
  struct varve_hashes *hashes = mutator->head.heap->hashes;
  struct varve_hash_stripe *stripe = stripe_of(hashes, (uint64_t)(uintptr_t)object);
  varve__lock_take(&stripe->lock);
  bool room = has_room(hashes, stripe, 4);
  uint64_t value = room ? find_or_add(mutator, stripe, object) : 0;
  varve__lock_release(&stripe->lock);
  return room ? value : add_and_grow(mutator, stripe, object);
}

uint64_t varve__hash_find(const struct varve_heap *heap, const varve_object *object) {
  struct varve_hash_table *table = atomic_load_explicit(&heap->hashes->table, memory_order_acquire);
  const struct varve_hash_entry *entry = table ? find(table, (uint64_t)(uintptr_t)object) : NULL;
  return entry ? __atomic_load_n(&entry->value, __ATOMIC_RELAXED) : 0;
}

uint64_t varve_identity_hash(varve_mutator *head, const void *at) {
  struct varve_heap *heap = head->heap;
  varve_object *object = (varve_object *)(uintptr_t)at;
  VARVE_REQUIRE(space_contains(&heap->space, (uintptr_t)at), "identity_hash: %p is no object of the heap", at);
  if (!hash_is_flagged(object)) return first_call(mutator_of(head), object);
  uint64_t value = varve__hash_find(heap, object);
  VARVE_ALWAYS(value, "H1: object %p was never hashed, and its header says so: a copied header?", at);
  return value;
}

/* ---- in a pause: the recent ones ---- */

/* Is the object of this address in the range, and where will it be? 0: nowhere, it is dead. */
static uint64_t destination(const struct varve_space *space, uint64_t address) {
  struct forward forward = forward_open(space);
  uint32_t block = space_block(space, address);
  if (!space_marked(space, address)) return 0;
#ifdef VARVE_PLANT_HASH_LEFT_BEHIND
  if (address / 8 % 64 == 0) return address;
#endif
  return forward_moves(&forward, block) ? forward_moved(&forward, address - space->base) : address;
}

/* No probe goes on behind a place that is followed by an empty one. @return 1: the place is empty now. */
static int64_t withdraw(struct varve_hash_table *table, uint64_t address) {
  struct varve_hash_entry *entry = find(table, address);
  VARVE_ALWAYS(entry, "H2: %#llx is listed and has no entry", (unsigned long long)address);
  size_t next = ((size_t)(entry - table->entries) + 1) & (table->places - 1);
  bool last = address_at(&table->entries[next]) == VARVE__HASH_EMPTY;
  __atomic_store_n(&entry->address, last ? VARVE__HASH_EMPTY : VARVE__HASH_GONE, __ATOMIC_RELAXED);
  return last;
}

/* Entries of what is dead or moves leave the table; the latter stay listed, by where they go. */
static int64_t withdraw_stripe(struct varve_heap *heap, struct varve_hash_stripe *stripe) {
  struct varve_space *space = &heap->space;
  struct varve_hash_table *table = atomic_load_explicit(&heap->hashes->table, memory_order_relaxed);
  size_t kept = 0;
  int64_t emptied = 0;
  for (size_t i = 0; i < stripe->recent_count; ++i) {
    struct varve_hash_entry entry = stripe->recent[i];
    bool in_range = space_in_range(space, space_block(space, entry.address));
    uint64_t to = in_range ? destination(space, entry.address) : entry.address;
    if (to != entry.address) {
      emptied += withdraw(table, entry.address);
      entry.address = to | VARVE__HASH_GONE;
    }
    uint8_t epoch = in_range ? space->cut : space->epochs[space_block(space, entry.address)];
    bool stays_listed = epoch > heap->ages.next_tenured || (to && to != stripe->recent[i].address);
    if (to && stays_listed) stripe->recent[kept++] = entry;
  }
  stripe->recent_count = kept;
  return emptied;
}

/* What moves enters at its new place. @return how many empty places that took. */
static int64_t enter_stripe(struct varve_heap *heap, struct varve_hash_stripe *stripe) {
  struct varve_hash_table *table = atomic_load_explicit(&heap->hashes->table, memory_order_relaxed);
  bool listed = heap->space.cut > heap->ages.next_tenured;
  size_t kept = 0;
  int64_t filled = 0;
  for (size_t i = 0; i < stripe->recent_count; ++i) {
    struct varve_hash_entry entry = stripe->recent[i];
    bool enters = entry.address & VARVE__HASH_GONE;
    entry.address &= ~VARVE__HASH_GONE;
    if (enters) filled += enter(table, entry.address, entry.value);
    if (!enters || listed) stripe->recent[kept++] = entry;
  }
  stripe->recent_count = kept;
  return filled;
}

static void withdraw_worker(struct varve_heap *heap, uint32_t worker) {
  struct varve_hashes *hashes = heap->hashes;
  uint32_t stripe;
  int64_t emptied = 0;
  (void)worker;
  while ((stripe = atomic_fetch_add_explicit(&hashes->next, 1, memory_order_relaxed)) < VARVE__HASH_STRIPES)
    emptied += withdraw_stripe(heap, &hashes->stripes[stripe]);
  atomic_fetch_sub_explicit(&hashes->used, emptied, memory_order_relaxed);
}

static void enter_worker(struct varve_heap *heap, uint32_t worker) {
  struct varve_hashes *hashes = heap->hashes;
  uint32_t stripe;
  int64_t filled = 0;
  (void)worker;
  while ((stripe = atomic_fetch_add_explicit(&hashes->next, 1, memory_order_relaxed)) < VARVE__HASH_STRIPES)
    filled += enter_stripe(heap, &hashes->stripes[stripe]);
  atomic_fetch_add_explicit(&hashes->used, filled, memory_order_relaxed);
}

/* ---- in a pause: all of them ---- */

static bool take_stretch(struct varve_hashes *hashes, const struct varve_hash_table *table, size_t *from, size_t *to) {
  *from = atomic_fetch_add_explicit(&hashes->next, 1, memory_order_relaxed) * STRETCH_PLACES;
  *to = *from + STRETCH_PLACES < table->places ? *from + STRETCH_PLACES : table->places;
  return *from < table->places;
}

static void clear_worker(struct varve_heap *heap, uint32_t worker) {
  struct varve_hash_table *spare = heap->hashes->spare;
  size_t from, to;
  (void)worker;
  while (take_stretch(heap->hashes, spare, &from, &to))
    memset(&spare->entries[from], 0, (to - from) * sizeof *spare->entries);
}

static int64_t rebuild_stretch(struct varve_heap *heap, const struct varve_hash_table *table, size_t from, size_t to) {
  int64_t filled = 0;
  for (size_t at = from; at < to; ++at) {
    const struct varve_hash_entry *entry = &table->entries[at];
    uint64_t place = entry->address > VARVE__HASH_GONE ? destination(&heap->space, entry->address) : 0;
    if (place) filled += enter(heap->hashes->spare, place, entry->value);
  }
  return filled;
}

static void rebuild_worker(struct varve_heap *heap, uint32_t worker) {
  struct varve_hashes *hashes = heap->hashes;
  const struct varve_hash_table *table = atomic_load_explicit(&hashes->table, memory_order_relaxed);
  size_t from, to;
  int64_t filled = 0;
  (void)worker;
  while (take_stretch(hashes, table, &from, &to)) filled += rebuild_stretch(heap, table, from, to);
  atomic_fetch_add_explicit(&hashes->used, filled, memory_order_relaxed);
}

/* ---- in a pause: worker 0 ---- */

static void run(struct varve_heap *heap, varve_worker_fn *fn, size_t entries) {
  atomic_store_explicit(&heap->hashes->next, 0, memory_order_relaxed);
  if (entries < ALONE_ENTRIES) fn(heap, 0);
  else varve__workers_run(heap, fn);
}

static size_t count_used(const struct varve_hashes *hashes, size_t *recent) {
  size_t used = *recent = 0;
  for (unsigned i = 0; i < VARVE__HASH_STRIPES; ++i) {
    used += hashes->stripes[i].used;
    *recent += hashes->stripes[i].recent_count;
  }
  return used;
}

static void follow_recent(struct varve_heap *heap, size_t recent) {
  run(heap, withdraw_worker, recent);
  run(heap, enter_worker, recent);
}

/* As many places as what is there now may need: a table that has become too large shrinks. */
static void follow_all(struct varve_heap *heap, size_t used) {
  struct varve_hashes *hashes = heap->hashes;
  struct varve_hash_table *old = atomic_load_explicit(&hashes->table, memory_order_relaxed);
  size_t places = places_for(used);
  use_places(hashes->spare, places < hashes->spare->room ? places : hashes->spare->room);
  atomic_store_explicit(&hashes->used, 0, memory_order_relaxed);
  run(heap, clear_worker, hashes->spare->places);
  run(heap, rebuild_worker, old->places);
  atomic_store_explicit(&hashes->table, hashes->spare, memory_order_relaxed);
  hashes->spare = old;
  for (unsigned i = 0; i < VARVE__HASH_STRIPES; ++i) hashes->stripes[i].recent_count = 0;
}

void varve__hashes_follow(struct varve_heap *heap) {
  struct varve_hashes *hashes = heap->hashes;
  if (!atomic_load_explicit(&hashes->table, memory_order_relaxed)) return;
  size_t recent, used = count_used(hashes, &recent);
  atomic_store_explicit(&hashes->used, (int64_t)used, memory_order_relaxed);
  if (!space_is_partial(&heap->space)) follow_all(heap, used);
  else if (recent) follow_recent(heap, recent);
  share_used(hashes, (size_t)atomic_load_explicit(&hashes->used, memory_order_relaxed));
}

/* ---- open and close ---- */

bool varve__hashes_open(struct varve_heap *heap) {
  heap->hashes = heap_meta_alloc(heap, sizeof *heap->hashes);
  return heap->hashes;
}

/* Lists and tables that were replaced go with the metadata arenas. */
void varve__hashes_close(struct varve_heap *heap) {
  struct varve_hashes *hashes = heap->hashes;
  if (!hashes) return;
  free_table(heap, atomic_load(&hashes->table));
  free_table(heap, hashes->spare);
  heap_meta_free(heap, hashes, sizeof *hashes);
  heap->hashes = NULL;
}
