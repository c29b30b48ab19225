/* SPDX-License-Identifier: MIT */
/* lru.c -- a cache: everything dies old, in no order. */
#include <string.h>

#include "programs.h"

struct entry {
  varve_object head;
  varve_word previous, next, chain, payload;
  uint64_t key;
};

struct cache {
  varve_frame frame;
  varve_word buckets, first, last, payload; /* the frame's slots; payload: the one of an entry to come */
  varve_mutator *me;
  uint64_t mask, entries, capacity;
  struct random random;
};
#define CACHE_SLOTS 4

static varve_layout ENTRY;

void lru_prepare(varve_heap *heap) {
  static const uint32_t slots[] = {offsetof(struct entry, previous), offsetof(struct entry, next),
                                   offsetof(struct entry, chain), offsetof(struct entry, payload)};
  register_layout(heap, &(varve_layout_desc){.name = "entry", .kind = VARVE_LAYOUT_OFFSETS, .offsets = slots,
                                             .offset_count = 4}, &ENTRY);
}

static struct entry *entry_of(varve_word word) { return (struct entry *)varve_untag(word); }

static size_t bucket_of(const struct cache *cache, uint64_t key) { return key * 40503 & cache->mask; }

static varve_word find(const struct cache *cache, uint64_t key) {
  varve_word entry = array_of(cache->buckets)->at[bucket_of(cache, key)];
  while (entry && entry_of(entry)->key != key) entry = entry_of(entry)->chain;
  return entry;
}

/* ---- the list ---- */

static void list_remove(struct cache *cache, struct entry *entry) {
  struct entry *previous = entry_of(entry->previous), *next = entry_of(entry->next);
  if (previous) varve_store(cache->me, previous, &previous->next, entry->next);
  else cache->first = entry->next;
  if (next) varve_store(cache->me, next, &next->previous, entry->previous);
  else cache->last = entry->previous;
}

static void list_push(struct cache *cache, struct entry *entry) {
  struct entry *second = entry_of(cache->first);
  varve_store(cache->me, entry, &entry->previous, 0);
  varve_store(cache->me, entry, &entry->next, cache->first);
  cache->first = varve_tag(entry, 0);
  if (second) varve_store(cache->me, second, &second->previous, cache->first);
  else cache->last = cache->first;
}

/* ---- misses ---- */

static void drop_last(struct cache *cache) {
  struct entry *last = entry_of(cache->last);
  struct array *buckets = array_of(cache->buckets);
  void *holder = buckets;
  varve_word *slot = &buckets->at[bucket_of(cache, last->key)];
  while (entry_of(*slot) != last) {
    holder = entry_of(*slot);
    slot = &entry_of(*slot)->chain;
  }
  varve_store(cache->me, holder, slot, last->chain);
  list_remove(cache, last);
  --cache->entries;
}

static void add(struct cache *cache, uint64_t key, size_t length) {
  struct payload *payload = take_payload(cache->me, length);
  memset(payload->bytes, (int)(key & 255), length);
  cache->payload = varve_tag(payload, 0);
  struct entry *entry = take(cache->me, ENTRY, sizeof *entry);
  varve_init(cache->me, entry, &entry->previous, 0);
  varve_init(cache->me, entry, &entry->next, 0);
  varve_init(cache->me, entry, &entry->chain, array_of(cache->buckets)->at[bucket_of(cache, key)]);
  varve_init(cache->me, entry, &entry->payload, cache->payload);
  entry->key = key;
  cache->payload = 0;
  array_store(cache->me, cache->buckets, bucket_of(cache, key), varve_tag(entry, 0));
  list_push(cache, entry);
  if (++cache->entries > cache->capacity) drop_last(cache);
}

static uint32_t look_up(struct cache *cache, uint64_t key) {
  struct entry *entry = entry_of(find(cache, key));
  if (entry) {
    list_remove(cache, entry);
    list_push(cache, entry);
    struct payload *payload = (struct payload *)varve_untag(entry->payload);
    return payload->bytes[payload_length(payload) - 1];
  }
  uint32_t length = 16 + random_below(&cache->random, 497);
  add(cache, key, length);
  return 256 + length;
}

uint32_t lru(const struct job *job) {
  struct cache cache = {.me = job->me, .capacity = job->size, .random = random_start(job)};
  uint64_t buckets = 1;
  uint32_t c = 0;
  while (buckets < cache.capacity) buckets *= 2;
  cache.mask = buckets - 1;
  varve_frame_push(cache.me, &cache.frame, CACHE_SLOTS);
  cache.buckets = take_array(cache.me, buckets);
  for (uint64_t i = 0; i < 30 * cache.capacity; ++i) {
    uint32_t key = random_below(&cache.random, (uint32_t)(2 * cache.capacity));
    c = mix(c, look_up(&cache, key));
    varve_poll(cache.me);
  }
  peak(cache.me);
  varve_frame_pop(cache.me, &cache.frame);
  return c;
}
