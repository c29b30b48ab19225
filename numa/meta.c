/* SPDX-License-Identifier: MIT */
/* meta.c -- see meta.h. Two forms of the same six arena_ functions: jemalloc arenas, and lists of malloc blocks.
 *
 * The jemalloc copy is made by cmake/VarveJemalloc.cmake from the distribution's static library: every symbol gets the
 * prefix varve_je_, and the names of the environment variable and the file it would read its settings from are
 * overwritten, so that a host that tunes its own jemalloc does not tune ours.
 */
#define _GNU_SOURCE 1
#include "numa/meta.h"

#include <stdalign.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "numa/place.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define VARVE_META_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define VARVE_META_MALLOC 1
#endif
#endif

#ifdef VARVE_META_MALLOC

/* ---- the malloc form ----------------------------------------------------------------------------------------- */

#include <pthread.h>
#include <stdlib.h>

/* In front of every block. `raw` is what malloc gave. */
struct block {
  struct block *previous, *next;
  void *raw;
  size_t bytes;
};

struct arena {
  pthread_mutex_t lock; /* guards the list; a leaf: nothing else is taken while it is held */
  struct block list;    /* circular; the head is not a block */
  uint64_t bytes;       /* written under the lock, read by anybody */
};

static bool arena_open(struct arena *a, const struct varve_topology *t, unsigned node) {
  (void)t, (void)node;
  a->list.previous = a->list.next = &a->list;
  return pthread_mutex_init(&a->lock, NULL) == 0;
}

static void arena_close(struct arena *a) {
  for (struct block *b = a->list.next, *next; b != &a->list; b = next) next = b->next, free(b->raw);
  pthread_mutex_destroy(&a->lock);
}

static void arena_link(struct arena *a, struct block *b) {
  pthread_mutex_lock(&a->lock);
  b->next = &a->list;
  b->previous = a->list.previous;
  b->previous->next = b->next->previous = b;
  __atomic_store_n(&a->bytes, a->bytes + b->bytes, __ATOMIC_RELAXED);
  pthread_mutex_unlock(&a->lock);
}

static void arena_unlink(struct arena *a, struct block *b) {
  pthread_mutex_lock(&a->lock);
  b->previous->next = b->next;
  b->next->previous = b->previous;
  __atomic_store_n(&a->bytes, a->bytes - b->bytes, __ATOMIC_RELAXED);
  pthread_mutex_unlock(&a->lock);
}

static void arena_lock(struct arena *a) { pthread_mutex_lock(&a->lock); }
static void arena_unlock(struct arena *a) { pthread_mutex_unlock(&a->lock); }

static void *arena_alloc(struct arena *a, size_t bytes, size_t alignment) {
  size_t extra = sizeof(struct block) + alignment;
  if (bytes > SIZE_MAX - extra) return NULL;
  char *raw = calloc(1, bytes + extra);
  if (!raw) return NULL;
  uintptr_t payload = ((uintptr_t)raw + extra - 1) & ~(uintptr_t)(alignment - 1);
  struct block *b = (struct block *)(payload - sizeof(struct block));
  *b = (struct block){.raw = raw, .bytes = bytes + extra};
  arena_link(a, b);
  return (void *)payload;
}

static void arena_free(struct arena *a, void *p, size_t bytes, size_t alignment) {
  (void)bytes, (void)alignment;
  struct block *b = (struct block *)((uintptr_t)p - sizeof(struct block));
  arena_unlink(a, b);
  free(b->raw);
}

#else

/* ---- the jemalloc form --------------------------------------------------------------------------------------- */

#include <stdio.h>

struct hooks;

/* jemalloc's table of extent functions; the order is its interface. NULL: not offered. */
struct hooks {
  void *(*alloc)(struct hooks *, void *at, size_t bytes, size_t alignment, bool *zeroed, bool *committed, unsigned);
  bool (*dalloc)(struct hooks *, void *base, size_t bytes, bool committed, unsigned arena);
  void (*destroy)(struct hooks *, void *base, size_t bytes, bool committed, unsigned arena);
  bool (*commit)(struct hooks *, void *base, size_t bytes, size_t offset, size_t length, unsigned arena);
  bool (*decommit)(struct hooks *, void *base, size_t bytes, size_t offset, size_t length, unsigned arena);
  bool (*purge_lazy)(struct hooks *, void *base, size_t bytes, size_t offset, size_t length, unsigned arena);
  bool (*purge_forced)(struct hooks *, void *base, size_t bytes, size_t offset, size_t length, unsigned arena);
  bool (*split)(struct hooks *, void *base, size_t bytes, size_t a, size_t b, bool committed, unsigned arena);
  bool (*merge)(struct hooks *, void *a, size_t a_bytes, void *b, size_t b_bytes, bool committed, unsigned arena);
};

/* One mapping behind extents; lies in a page of its own, directly behind them. */
struct mapping {
  struct mapping *next;
  void *base;
  size_t bytes; /* that page included */
};

struct arena {
  struct hooks hooks; /* first: a hook gets its address and finds the rest */
  const struct varve_topology *topology;
  unsigned node;
  unsigned index;           /* jemalloc's */
  uint64_t bytes;           /* mapped; relaxed atomic */
  struct mapping *mappings; /* pushed by any thread with compare and swap; read again only by close */
};

/* Hidden, so that the copy's names do not leave the shared form of the library either. */
#define HIDDEN __attribute__((visibility("hidden")))
HIDDEN void *varve_je_mallocx(size_t bytes, int flags);
HIDDEN void varve_je_sdallocx(void *p, size_t bytes, int flags);
HIDDEN int varve_je_mallctl(const char *name, void *old, size_t *old_bytes, void *new, size_t new_bytes);
/* Read by the copy when it starts: no arenas but ours and one, no caches, no threads, freed pages go back at once. */
HIDDEN extern const char *varve_je_malloc_conf;
const char *varve_je_malloc_conf =
    "narenas:1,tcache:false,background_thread:false,retain:true,dirty_decay_ms:0,muzzy_decay_ms:0";

#define FLAG_ZERO 0x40
#define FLAG_NO_CACHE 0x100

/* jemalloc's flag word; the low six bits are log2 of the alignment. */
static int flags_for(const struct arena *a, size_t alignment) {
  return __builtin_ctzll(alignment) | FLAG_NO_CACHE | (int)((a->index + 1) << 20);
}

/* Release; close reads the list on a thread that has been told, by the host, that all others are done. */
static void push_mapping(struct arena *a, struct mapping *m) {
  m->next = __atomic_load_n(&a->mappings, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(&a->mappings, &m->next, m, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
  }
  __atomic_fetch_add(&a->bytes, m->bytes, __ATOMIC_RELAXED);
}

static void *extent_alloc(struct hooks *h, void *at, size_t bytes, size_t alignment, bool *zeroed, bool *committed,
                          unsigned index) {
  struct arena *a = (struct arena *)h;
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  (void)index;
  if (at || bytes > SIZE_MAX - page) return NULL; /* at a given address: never promised */
  char *base = varve__place_map(a->topology, bytes + page, alignment, a->node);
  if (!base) return NULL;
  struct mapping *m = (struct mapping *)(base + bytes);
  m->base = base;
  m->bytes = bytes + page;
  push_mapping(a, m);
  *zeroed = *committed = true;
  return base;
}

static bool extent_purge(struct hooks *h, void *base, size_t bytes, size_t offset, size_t length, unsigned index) {
  (void)h, (void)bytes, (void)index;
  return madvise((char *)base + offset, length, MADV_DONTNEED) != 0;
}

static bool extent_split(struct hooks *h, void *base, size_t bytes, size_t a, size_t b, bool committed, unsigned i) {
  (void)h, (void)base, (void)bytes, (void)a, (void)b, (void)committed, (void)i;
  return false; /* a mapping can be given back in parts */
}

static bool extent_merge(struct hooks *h, void *a, size_t a_bytes, void *b, size_t b_bytes, bool committed,
                         unsigned i) {
  (void)h, (void)a, (void)a_bytes, (void)b, (void)b_bytes, (void)committed, (void)i;
  return false; /* and neighbours as one */
}

/* An extent stays committed, and only a forced purge may call it zero: so no commit, decommit or lazy purge. Nor
 * dalloc: jemalloc 5.3 takes the extent beside another for one of the same arena unless it begins a mapping. Were
 * the first part of a mapping given back, another arena's extent in that place would merge with what is left of it.
 * So freed extents are purged (their pages go back) and kept for reuse, and close unmaps whole mappings. */
static const struct hooks EXTENT_HOOKS = {
    .alloc = extent_alloc, .purge_forced = extent_purge, .split = extent_split, .merge = extent_merge};

/* Grow by one mapping of this size at a time, or by what a larger request needs. */
static void limit_growth(const struct arena *a) {
  char name[48];
  size_t step = (size_t)2 << 20;
  snprintf(name, sizeof name, "arena.%u.retain_grow_limit", a->index);
  varve_je_mallctl(name, NULL, NULL, &step, sizeof step);
}

static void unmap_all(struct arena *a) {
  for (struct mapping *m = a->mappings, *next; m; m = next) {
    next = m->next;
    varve__place_release(m->base, m->bytes);
  }
}

static bool arena_open(struct arena *a, const struct varve_topology *t, unsigned node) {
  a->hooks = EXTENT_HOOKS;
  a->topology = t;
  a->node = node;
  struct hooks *hooks = &a->hooks;
  size_t bytes = sizeof a->index;
  bool ok = varve_je_mallctl("arenas.create", &a->index, &bytes, &hooks, sizeof hooks) == 0;
  if (ok) limit_growth(a);
  else unmap_all(a);
  return ok;
}

static void arena_close(struct arena *a) {
  char name[48];
  snprintf(name, sizeof name, "arena.%u.destroy", a->index);
  varve_je_mallctl(name, NULL, NULL, NULL, 0);
  unmap_all(a);
}

static void arena_lock(struct arena *a) { (void)a; }
static void arena_unlock(struct arena *a) { (void)a; }

static void *arena_alloc(struct arena *a, size_t bytes, size_t alignment) {
  return varve_je_mallocx(bytes, flags_for(a, alignment) | FLAG_ZERO);
}

static void arena_free(struct arena *a, void *p, size_t bytes, size_t alignment) {
  varve_je_sdallocx(p, bytes, flags_for(a, alignment));
}

#endif

/* ---- both ---------------------------------------------------------------------------------------------------- */

struct varve_meta {
  size_t mapped; /* of this struct */
  unsigned home;
  unsigned opened;                     /* nodes below have been looked at */
  bool wipes;
  bool wanted[VARVE__NODES_MAX];       /* the node has an arena of its own; the others use that of `home` */
  alignas(64) struct arena arenas[];   /* by dense node */
};

static struct arena *arena_of(const struct varve_meta *meta, unsigned node) {
  return (struct arena *)&meta->arenas[meta->wanted[node] ? node : meta->home];
}

static size_t plain_alignment(size_t alignment) {
  return alignment < alignof(max_align_t) ? alignof(max_align_t) : alignment;
}

struct varve_meta *varve__meta_open(const struct varve_topology *t) {
  size_t mapped = sizeof(struct varve_meta) + t->node_count * sizeof(struct arena);
  struct varve_meta *meta = varve__place_map(t, mapped, 0, t->cpus[0].node);
  if (!meta) return NULL;
  meta->mapped = mapped;
  meta->home = t->cpus[0].node;
  for (; meta->opened < t->node_count; meta->opened++) {
    unsigned node = meta->opened;
    if (node != meta->home && t->nodes[node].cpu_count == 0) continue;
    meta->wanted[node] = arena_open(&meta->arenas[node], t, node);
    if (meta->wanted[node]) continue;
    varve__meta_close(meta);
    return NULL;
  }
  return meta;
}

void varve__meta_close(struct varve_meta *meta) {
  if (!meta) return;
  for (unsigned i = meta->opened; i > 0; i--)
    if (meta->wanted[i - 1]) arena_close(&meta->arenas[i - 1]);
  varve__place_release(meta, meta->mapped);
}

void *varve__meta_alloc(struct varve_meta *meta, unsigned node, size_t bytes, size_t alignment) {
  return arena_alloc(arena_of(meta, node), bytes ? bytes : 1, plain_alignment(alignment));
}

void varve__meta_free(struct varve_meta *meta, unsigned node, void *p, size_t bytes, size_t alignment) {
  if (p) arena_free(arena_of(meta, node), p, bytes ? bytes : 1, plain_alignment(alignment));
}

void varve__meta_free_words(struct varve_meta *meta, unsigned node, void *p, size_t bytes, size_t alignment) {
  if (p && meta->wipes) explicit_bzero(p, bytes);
  varve__meta_free(meta, node, p, bytes, alignment);
}

void varve__meta_wipe(struct varve_meta *meta) { meta->wipes = true; }

uint64_t varve__meta_bytes(const struct varve_meta *meta, unsigned node) {
  return meta->wanted[node] ? __atomic_load_n(&meta->arenas[node].bytes, __ATOMIC_RELAXED) : 0;
}

void varve__meta_lock(struct varve_meta *meta) {
  for (unsigned i = 0; i < meta->opened; ++i)
    if (meta->wanted[i]) arena_lock(&meta->arenas[i]);
}

void varve__meta_unlock(struct varve_meta *meta) {
  for (unsigned i = meta->opened; i > 0; --i)
    if (meta->wanted[i - 1]) arena_unlock(&meta->arenas[i - 1]);
}

unsigned varve__meta_home(const struct varve_meta *meta) { return meta->home; }
