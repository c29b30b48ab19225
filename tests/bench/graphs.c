/* SPDX-License-Identifier: MIT */
/* graphs.c -- see graphs.h. */
#include "graphs.h"

#include "bench.h"

uint64_t *graph_objects(struct host *host, varve_layout layout, size_t bytes, size_t count) {
  uint64_t *addresses = arena(ARENA_ADDRESSES, count * sizeof *addresses);
  for (size_t i = 0; i < count; ++i) addresses[i] = varve_tag(host_alloc(host, layout, bytes), 0);
  return addresses;
}

static uint64_t *pairs(struct host *host, unsigned bits) {
  return graph_objects(host, host->pair, sizeof(struct pair), (size_t)1 << bits);
}

static void link_pair(struct host *host, uint64_t parent, uint64_t left, uint64_t right) {
  struct pair *pair = (struct pair *)varve_untag(parent);
  varve_store(host->me, pair, &pair->left, left);
  varve_store(host->me, pair, &pair->right, right);
}

void *graph_random(struct host *host, unsigned bits) {
  uint64_t *at = pairs(host, bits), count = UINT64_C(1) << bits, seed = 1;
  for (uint64_t k = 0; k < count; ++k)
    link_pair(host, at[scramble(k, bits)], at[scramble(k + 1, bits)], at[random_next(&seed) & (count - 1)]);
  return varve_untag(at[0]);
}

void *graph_tree(struct host *host, unsigned bits) {
  struct pair *pair = host_alloc(host, host->pair, sizeof *pair);
  if (bits <= 1) return pair;
  uint64_t left = varve_tag(graph_tree(host, bits - 1), 0), right = varve_tag(graph_tree(host, bits - 1), 0);
  link_pair(host, varve_tag(pair, 0), left, right);
  return pair;
}

void *graph_post_order(struct host *host, unsigned bits) {
  uint64_t left = bits > 1 ? varve_tag(graph_post_order(host, bits - 1), 0) : 0;
  uint64_t right = bits > 1 ? varve_tag(graph_post_order(host, bits - 1), 0) : 0;
  struct pair *pair = host_alloc(host, host->pair, sizeof *pair);
  link_pair(host, varve_tag(pair, 0), left, right);
  return pair;
}

void *graph_breadth(struct host *host, unsigned bits) {
  uint64_t *at = pairs(host, bits), count = UINT64_C(1) << bits;
  for (uint64_t k = 0; 2 * k + 2 < count; ++k) link_pair(host, at[k], at[2 * k + 1], at[2 * k + 2]);
  return varve_untag(at[0]);
}

void *graph_list(struct host *host, unsigned bits) {
  uint64_t *at = pairs(host, bits), count = UINT64_C(1) << bits;
  for (uint64_t k = 0; k + 1 < count; ++k) link_pair(host, at[k], at[k + 1], 0);
  return varve_untag(at[0]);
}

void *graph_wide(struct host *host, unsigned bits) {
  uint64_t *at = pairs(host, bits), count = UINT64_C(1) << bits;
  varve_object *array = host_alloc(host, host->array, 8 + 8 * count);
  varve_init_bulk(host->me, array, (varve_word *)(array + 1), at, count);
  return array;
}
