/* SPDX-License-Identifier: MIT */
/* place.c -- see place.h. The one file that maps memory. */
#define _GNU_SOURCE 1
#include "numa/place.h"

#include <errno.h>
#include <hwloc.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE /* Linux 5.14; a stable number of the kernel's interface */
#define MADV_POPULATE_WRITE 23
#endif

static size_t page_bytes(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static void count(uint64_t *counter) { __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED); }

/* Map more than asked and cut off what is beside the aligned part. */
static void *map_aligned(size_t bytes, size_t alignment, int protection, int flags) {
  size_t page = page_bytes(), slack = alignment > page ? alignment - page : 0;
  if (bytes == 0 || bytes > SIZE_MAX - slack) return NULL;
  char *raw = mmap(NULL, bytes + slack, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  if (raw == MAP_FAILED) return NULL;
  if (slack == 0) return raw;
  size_t head = (alignment - ((uintptr_t)raw & (alignment - 1))) & (alignment - 1);
  if (head != 0) munmap(raw, head);
  if (head != slack) munmap(raw + head + bytes, slack - head);
  return raw + head;
}

void *varve__place_reserve(size_t bytes, size_t alignment) {
  void *base = map_aligned(bytes, alignment, PROT_NONE, MAP_NORESERVE);
  if (base) madvise(base, bytes, MADV_DONTDUMP);
  return base;
}

void varve__place_release(void *base, size_t bytes) {
  if (base) munmap(base, bytes);
}

/* Without STRICT hwloc asks for "preferred", so a full node spills over to the next one. */
static void prefer(const struct varve_topology *t, void *base, size_t bytes, unsigned node) {
  if (!t->placed || node >= t->node_count) return;
  hwloc_bitmap_t set = hwloc_bitmap_alloc();
  if (!set || hwloc_bitmap_only(set, t->nodes[node].os_index) != 0 ||
      hwloc_set_area_membind(t->hwloc, base, bytes, set, HWLOC_MEMBIND_BIND, HWLOC_MEMBIND_BYNODESET) != 0)
    count(&t->place->refused);
  hwloc_bitmap_free(set);
}

/* Write each page without changing what it holds. */
static void touch(const struct varve_topology *t, char *base, size_t bytes) {
  size_t page = page_bytes();
  for (size_t at = 0; at < bytes; at += page) __atomic_fetch_or((unsigned char *)base + at, 0, __ATOMIC_RELAXED);
  count(&t->place->touched);
}

static bool take_pages(const struct varve_topology *t, void *base, size_t bytes) {
  int rc;
  do rc = madvise(base, bytes, MADV_POPULATE_WRITE);
  while (rc != 0 && (errno == EINTR || errno == EAGAIN));
  if (rc != 0 && errno == EINVAL) touch(t, base, bytes), rc = 0;
  return rc == 0;
}

bool varve__place_commit(const struct varve_topology *t, void *base, size_t bytes, unsigned node, bool huge,
                         bool populate) {
  if (mprotect(base, bytes, PROT_READ | PROT_WRITE) != 0) {
    varve__place_decommit(base, bytes);
    return false;
  }
  madvise(base, bytes, MADV_DODUMP); /* a core dump without the heap would be of little use */
  prefer(t, base, bytes, node);
  if (huge && madvise(base, bytes, MADV_HUGEPAGE) != 0) count(&t->place->unadvised);
  if (!populate || take_pages(t, base, bytes)) return true;
  varve__place_decommit(base, bytes);
  return false;
}

/* A new reservation in the same place also gives back what the system charged; when it has no room for that, the
 * memory still goes and the range still faults. */
void varve__place_decommit(void *base, size_t bytes) {
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  if (mmap(base, bytes, PROT_NONE, flags, -1, 0) == MAP_FAILED) {
    madvise(base, bytes, MADV_DONTNEED);
    mprotect(base, bytes, PROT_NONE);
  }
  madvise(base, bytes, MADV_DONTDUMP);
}

void *varve__place_map(const struct varve_topology *t, size_t bytes, size_t alignment, unsigned node) {
  void *base = map_aligned(bytes, alignment, PROT_READ | PROT_WRITE, 0);
  if (base) prefer(t, base, bytes, node);
  return base;
}
