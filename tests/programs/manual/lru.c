/* SPDX-License-Identifier: MIT */
/* lru.c -- a cache: everything dies old, in no order. */
#include <string.h>

#include "memory.h"

struct entry {
  struct entry *previous, *next, *chain;
  struct payload *payload;
  uint64_t key;
};

struct cache {
  struct entry **buckets, *first, *last;
  uint64_t mask, entries, capacity;
  struct random random;
};

static struct entry **bucket_of(const struct cache *cache, uint64_t key) {
  return &cache->buckets[key * 40503 & cache->mask];
}

static struct entry *find(const struct cache *cache, uint64_t key) {
  struct entry *entry = *bucket_of(cache, key);
  while (entry && entry->key != key) entry = entry->chain;
  return entry;
}

/* ---- the list ---- */

static void list_remove(struct cache *cache, struct entry *entry) {
  if (entry->previous) entry->previous->next = entry->next;
  else cache->first = entry->next;
  if (entry->next) entry->next->previous = entry->previous;
  else cache->last = entry->previous;
}

static void list_push(struct cache *cache, struct entry *entry) {
  entry->previous = NULL;
  entry->next = cache->first;
  if (cache->first) cache->first->previous = entry;
  else cache->last = entry;
  cache->first = entry;
}

/* ---- misses ---- */

static void drop_last(struct cache *cache) {
  struct entry *last = cache->last, **slot = bucket_of(cache, last->key);
  while (*slot != last) slot = &(*slot)->chain;
  *slot = last->chain;
  list_remove(cache, last);
  drop(last->payload);
  drop(last);
  --cache->entries;
}

static void add(struct cache *cache, uint64_t key, size_t length) {
  struct entry **bucket = bucket_of(cache, key);
  struct payload *payload = take_payload(length);
  memset(payload->bytes, (int)(key & 255), length);
  struct entry *entry = take(sizeof *entry);
  entry->chain = *bucket;
  entry->payload = payload;
  entry->key = key;
  *bucket = entry;
  list_push(cache, entry);
  if (++cache->entries > cache->capacity) drop_last(cache);
}

static uint32_t look_up(struct cache *cache, uint64_t key) {
  struct entry *entry = find(cache, key);
  if (entry) {
    list_remove(cache, entry);
    list_push(cache, entry);
    return entry->payload->bytes[entry->payload->length - 1];
  }
  uint32_t length = 16 + random_below(&cache->random, 497);
  add(cache, key, length);
  return 256 + length;
}

uint32_t lru(const struct job *job) {
  struct cache cache = {.capacity = job->size, .random = random_start(job)};
  uint64_t buckets = 1;
  uint32_t c = 0;
  while (buckets < cache.capacity) buckets *= 2;
  cache.mask = buckets - 1;
  cache.buckets = take_array(buckets);
  for (uint64_t i = 0; i < 30 * cache.capacity; ++i) {
    uint32_t key = random_below(&cache.random, (uint32_t)(2 * cache.capacity));
    c = mix(c, look_up(&cache, key));
  }
  while (MUST_DROP && cache.entries) drop_last(&cache);
  drop(cache.buckets);
  return c;
}
