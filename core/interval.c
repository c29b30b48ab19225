/* SPDX-License-Identifier: MIT */
/* interval.c -- see interval.h. */
#include "core/interval.h"

#include <string.h>

#include "core/heap.h"

__extension__ typedef unsigned __int128 wide;

/* ---- two progressions -------------------------------------------------------------------------------------- */

static uint64_t gcd(uint64_t a, uint64_t b) {
  while (b) {
    uint64_t rest = a % b;
    a = b;
    b = rest;
  }
  return a;
}

/* x with a x = 1 modulo m, for a and m without a common factor. */
static uint64_t inverse(uint64_t a, uint64_t m) {
  int64_t x = 0, next_x = 1;
  uint64_t r = m, next_r = a % m;
  while (next_r) {
    int64_t q = (int64_t)(r / next_r), old_x = x;
    uint64_t old_r = r;
    x = next_x;
    next_x = old_x - q * next_x;
    r = next_r;
    next_r = old_r % next_r;
  }
  return x < 0 ? (uint64_t)(x + (int64_t)m) : (uint64_t)x;
}

/* The least word of both that is not below `from`; in units of 4 bytes, so that nothing overflows 64 signed bits. */
static wide first_common(uint64_t a, uint64_t s, uint64_t b, uint64_t t, uint64_t g, uint64_t from) {
  uint64_t m = t / g, distance = (b % t + t - a % t) % t / g;
  uint64_t i = m == 1 ? 0 : (uint64_t)((wide)distance * inverse(s / g, m) % m);
  wide word = a + (wide)i * s, period = (wide)s / g * t;
  if (word < from) word += (from - word + period - 1) / period * period;
  return word;
}

/* The first of two progressions moved up by dx bytes, the other by dy. */
static bool progressions_meet(const struct varve_interval *x, uint64_t dx, const struct varve_interval *y, uint64_t dy,
                              uint64_t *word) {
  uint64_t a = (x->first + dx) / 4, b = (y->first + dy) / 4, s = x->stride / 4, t = y->stride / 4, g = gcd(s, t);
  uint64_t from = a > b ? a : b, x_last = (x->last + dx) / 4, y_last = (y->last + dy) / 4;
  uint64_t to = x_last < y_last ? x_last : y_last;
  if (from > to || (a > b ? a - b : b - a) % g) return false;
  wide found = first_common(a, s, b, t, g, from);
  if (found > to) return false;
  *word = (uint64_t)found * 4;
  return true;
}

/* Wide words are aligned, so two of them meet with both halves. */
static bool words_meet(const struct varve_interval *x, const struct varve_interval *y, uint64_t *word) {
  if (progressions_meet(x, 0, y, 0, word)) return true;
  if (x->width > y->width) return progressions_meet(x, 4, y, 0, word);
  return x->width < y->width && progressions_meet(x, 0, y, 4, word);
}

/* ---- the sorted array -------------------------------------------------------------------------------------- */

bool varve__intervals_reserve(varve_heap *heap, struct varve_intervals *set) {
  if (set->count < set->capacity) return true;
  size_t capacity = set->capacity ? set->capacity * 2 : 64;
  struct varve_interval *items = heap_meta_alloc(heap, capacity * sizeof *items);
  if (!items) return false;
  if (set->count) memcpy(items, set->items, set->count * sizeof *items);
  heap_meta_free(heap, set->items, set->capacity * sizeof *items);
  set->items = items;
  set->capacity = capacity;
  return true;
}

void varve__intervals_close(varve_heap *heap, struct varve_intervals *set) {
  heap_meta_free(heap, set->items, set->capacity * sizeof *set->items);
  memset(set, 0, sizeof *set);
}

/* How many sets start below the address. */
static size_t rank_of(const struct varve_intervals *set, uint64_t address) {
  size_t low = 0, high = set->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (set->items[middle].first < address) low = middle + 1;
    else high = middle;
  }
  return low;
}

static struct varve_interval make(const void *first, size_t stride, size_t count, size_t width, void *owner) {
  uint64_t at = (uintptr_t)first;
  struct varve_interval one = {at, at + (count - 1) * stride, stride, width, 0, owner};
  if (count == 1) one.stride = 8; /* whatever was given */
  return one;
}

const struct varve_interval *varve__intervals_meet(const struct varve_intervals *set, const void *first,
                                                   size_t stride, size_t count, size_t width, uint64_t *word) {
  struct varve_interval wanted = make(first, stride, count, width, NULL);
  for (size_t i = rank_of(set, wanted.last + width); i-- && set->items[i].reach > wanted.first;)
    if (words_meet(&set->items[i], &wanted, word)) return &set->items[i];
  return NULL;
}

/* Bring `reach` up to date from item `i` on, as far as it changes. */
static void renew_reach(struct varve_intervals *set, size_t i) {
  for (; i < set->count; ++i) {
    uint64_t before = i ? set->items[i - 1].reach : 0, last = set->items[i].last + set->items[i].width;
    uint64_t reach = before > last ? before : last;
    if (set->items[i].reach == reach) return;
    set->items[i].reach = reach;
  }
}

void varve__intervals_add(struct varve_intervals *set, const void *first, size_t stride, size_t count, size_t width,
                          void *owner) {
  size_t at = rank_of(set, (uintptr_t)first);
  memmove(&set->items[at + 1], &set->items[at], (set->count - at) * sizeof *set->items);
  set->items[at] = make(first, stride, count, width, owner);
  ++set->count;
  renew_reach(set, at);
}

void *varve__intervals_remove(struct varve_intervals *set, const void *first) {
  size_t at = rank_of(set, (uintptr_t)first);
  if (at == set->count || set->items[at].first != (uintptr_t)first) return NULL;
  void *owner = set->items[at].owner;
  --set->count;
  memmove(&set->items[at], &set->items[at + 1], (set->count - at) * sizeof *set->items);
  renew_reach(set, at);
  return owner;
}

void *varve__intervals_owner(const struct varve_intervals *set, const void *first) {
  size_t at = rank_of(set, (uintptr_t)first);
  return at < set->count && set->items[at].first == (uintptr_t)first ? set->items[at].owner : NULL;
}
