/* SPDX-License-Identifier: MIT */
/* net.c -- reserving, growing and registering slabs; see net.h for the invariants. */
#include "net.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define CHUNK ((uint64_t)1 << 14) /* entries committed at a time, at least */

static const char *const class_names[PN_CLASSES] = {"nodes", "wires", "REF words", "PTR words", "ASY words"};

static bool has_words(unsigned class) { return class >= PN_CLASS_REF; }
static size_t class_bytes(const struct pn_net *net, unsigned class) {
  return net->partitions * PN_SEGMENT * pn_class_stride[class];
}
static size_t bitmap_bytes(const struct pn_net *net) { return net->partitions * PN_SEGMENT / 8; }

static void *reserve(size_t bytes) {
  void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return at == MAP_FAILED ? NULL : at;
}

static bool reserve_class(struct pn_net *net, unsigned class) {
  net->base[class] = reserve(class_bytes(net, class));
  if (net->base[class] && has_words(class)) net->bitmaps[class] = reserve(bitmap_bytes(net));
  if (net->base[class] && (net->bitmaps[class] || !has_words(class))) return true;
  snprintf(net->error, sizeof net->error, "no address space for %zu bytes of %s: %s", class_bytes(net, class),
           class_names[class], strerror(errno));
  return false;
}

static bool register_slab(struct pn_net *net, unsigned partition, unsigned class) {
  struct pn_slab *slab = &net->partition[partition].slab[class];
  char name[48];
  snprintf(name, sizeof name, "partition %u %s", partition, class_names[class]);
  varve_ref_array array = {.name = name, .base = (varve_word *)(void *)slab->base, .stride = slab->stride,
                           .count = slab->ready, .bitmap = slab->bitmap};
  varve_error error = {0};
  varve_status status = varve_ref_array_add(net->heap, &array, &slab->refs, &error);
  if (status != VARVE_OK)
    snprintf(net->error, sizeof net->error, "%s: %s %.100s", name, varve_status_sentence(status), error.detail);
  return status == VARVE_OK;
}

static bool open_slab(struct pn_net *net, unsigned partition, unsigned class) {
  struct pn_slab *slab = &net->partition[partition].slab[class];
  slab->stride = pn_class_stride[class];
  slab->base = net->base[class] + partition * PN_SEGMENT * slab->stride;
  if (!has_words(class)) return true;
  slab->bitmap = net->bitmaps[class] + partition * (PN_SEGMENT / 64);
  slab->ready = CHUNK;
  atomic_fetch_add_explicit(&net->committed, CHUNK * slab->stride, memory_order_relaxed);
  return register_slab(net, partition, class);
}

static bool open_all(struct pn_net *net) {
  for (unsigned class = 0; class < PN_CLASSES; ++class) {
    if (!reserve_class(net, class)) return false;
    for (unsigned i = 0; i < net->partitions; ++i)
      if (!open_slab(net, i, class)) return false;
  }
  return true;
}

struct pn_net *pn_net_create(varve_heap *heap, unsigned partitions, uint64_t memory_limit, char *error,
                             size_t error_size) {
  struct pn_net *net = calloc(1, sizeof *net);
  size_t bytes = partitions * sizeof(struct pn_partition);
  if (net) net->partition = aligned_alloc(64, bytes);
  if (!net || !net->partition) return free(net), snprintf(error, error_size, "no host memory is left"), NULL;
  memset(net->partition, 0, bytes);
  net->heap = heap, net->partitions = partitions, net->memory_limit = memory_limit;
  if (open_all(net)) return net;
  snprintf(error, error_size, "%s", net->error);
  pn_net_destroy(net);
  return NULL;
}

void pn_net_destroy(struct pn_net *net) {
  if (!net) return;
  for (unsigned i = 0; i < net->partitions; ++i)
    for (unsigned class = 0; class < PN_CLASSES; ++class)
      if (net->partition[i].slab[class].refs) varve_ref_array_remove(net->partition[i].slab[class].refs);
  for (unsigned class = 0; class < PN_CLASSES; ++class) {
    if (net->base[class]) munmap(net->base[class], class_bytes(net, class));
    if (net->bitmaps[class]) munmap(net->bitmaps[class], bitmap_bytes(net));
  }
  free(net->partition);
  free(net);
}

/* ---- growing ----------------------------------------------------------------------------------------------- */

/* In native state the thread counts as stopped, so it may wait for a collection that waits for nobody else. */
static bool update_registration(struct pn_slab *slab, varve_mutator *mutator) {
  varve_native_enter(mutator);
  varve_status status =
    varve_ref_array_update(slab->refs, (varve_word *)(void *)slab->base, slab->ready, slab->bitmap, NULL);
  varve_native_leave(mutator);
  return status == VARVE_OK;
}

/* A quarter more each time: few registrations, little waste. */
static enum pn_grown grow(struct pn_net *net, struct pn_slab *slab, varve_mutator *mutator, uint64_t room) {
  uint64_t wanted = slab->next + room, more = slab->ready / 4 > CHUNK ? slab->ready / 4 : CHUNK;
  if (wanted < slab->ready + more) wanted = slab->ready + more;
  wanted = (wanted + 63) & ~(uint64_t)63;
  if (wanted > PN_SEGMENT) wanted = PN_SEGMENT;
  if (wanted < slab->next + room) return PN_NO_ROOM;
  uint64_t bytes = (wanted - slab->ready) * slab->stride;
  if (atomic_fetch_add_explicit(&net->committed, bytes, memory_order_relaxed) + bytes > net->memory_limit)
    return PN_NO_MEMORY;
  slab->ready = wanted;
  return slab->refs && !update_registration(slab, mutator) ? PN_NOT_REGISTERED : PN_GROWN;
}

enum pn_grown pn_partition_reserve(struct pn_net *net, unsigned partition, varve_mutator *mutator,
                                   const uint64_t room[PN_CLASSES]) {
  struct pn_slab *slab = net->partition[partition].slab;
  for (unsigned class = 0; class < PN_CLASSES; ++class) {
    if (VARVE_LIKELY(slab[class].next + room[class] <= slab[class].ready)) continue;
    enum pn_grown grown = grow(net, &slab[class], mutator, room[class]);
    if (grown != PN_GROWN) return grown;
  }
  return PN_GROWN;
}

/* ---- free nodes -------------------------------------------------------------------------------------------- */

static void clear_bits(struct pn_slab *slab, uint64_t link) {
  for (; link; link = *(uint64_t *)pn_slab_at(slab, pn_link_index(link))) pn_bit_clear(slab, pn_link_index(link));
}

uint64_t pn_slab_take_slow(struct pn_slab *slab) {
  /* Relaxed look, then acquire: pairs with the release in pn_slab_send_home, so the links are seen. */
  if (atomic_load_explicit(&slab->erase, memory_order_relaxed)) {
    slab->free = atomic_exchange_explicit(&slab->erase, 0, memory_order_acquire);
    if (slab->bitmap) clear_bits(slab, slab->free);
    return pn_slab_take(slab);
  }
  return slab->next++; /* room was reserved before the batch */
}

void pn_slab_send_home(struct pn_slab *slab, uint64_t first, uint64_t last) {
  uint64_t *end = pn_slab_at(slab, last);
  uint64_t head = atomic_load_explicit(&slab->erase, memory_order_relaxed);
  do *end = head;
  while (!atomic_compare_exchange_weak_explicit(&slab->erase, &head, pn_link_of(first), memory_order_release,
                                                memory_order_relaxed));
}

static uint64_t chain_length(const struct pn_slab *slab, uint64_t link) {
  uint64_t length = 0;
  for (; link; link = *(uint64_t *)pn_slab_at(slab, pn_link_index(link))) ++length;
  return length;
}

uint64_t pn_net_live(struct pn_net *net, enum pn_class class) {
  uint64_t live = 0;
  for (unsigned i = 0; i < net->partitions; ++i) {
    const struct pn_slab *slab = &net->partition[i].slab[class];
    live += slab->next - chain_length(slab, slab->free) - chain_length(slab, atomic_load(&slab->erase));
  }
  return live;
}
