/* SPDX-License-Identifier: MIT */
/* place.c -- see place.h. The one file that maps memory. */
#define _GNU_SOURCE 1
#include "numa/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base/check.h"
#include "numa/kernel.h"

#define RESERVE_BYTES ((uint64_t)256 << 20) /* of a node that memory is bound to; of a small one an eighth */
#define LONG_BITS (8 * sizeof(unsigned long))
#define LOCATE_SAMPLES 16u
#define LOCATE_MOST 512u /* pages asked about in one call */
#define POPULATE_TRIES 64u

static size_t page_bytes(void) { return (size_t)sysconf(_SC_PAGESIZE); }

static void count(const struct varve_topology *t, uint64_t *counter) {
  __atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
  varve__place_news(t);
}

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

static void name_node(const struct varve_topology *t, unsigned node, unsigned long *mask) {
  unsigned os_index = t->nodes[node].os_index;
  if (os_index < KERNEL_NODE_BITS) mask[os_index / LONG_BITS] |= 1ul << os_index % LONG_BITS;
}

/* "Preferred" by the system call itself: a full node spills over to those nearest to it. hwloc's form of it spills to
 * those nearest to the caller. Where memory is bound, nothing may come from elsewhere: all of our nodes are named, or
 * the one. */
void varve__place_prefer(const struct varve_topology *t, void *base, size_t bytes, unsigned node, unsigned how) {
  unsigned long mask[KERNEL_NODE_BITS / LONG_BITS] = {0};
  bool bound = t->policy == VARVE__POLICY_BIND;
  if (!t->placed || node >= t->node_count) return;
  for (unsigned n = 0; n < t->node_count; ++n)
    if (n == node || (bound && !(how & PLACE_EXACT))) name_node(t, n, mask);
  size_t inside = (uintptr_t)base % page_bytes();
  if (syscall(SYS_mbind, (char *)base - inside, bytes + inside, bound ? KERNEL_BIND : KERNEL_PREFERRED, mask,
              (unsigned long)KERNEL_NODE_BITS + 1, 0u) != 0)
    count(t, &t->place->refused);
}

/* Write each page without changing what it holds. */
static void touch(const struct varve_topology *t, char *base, size_t bytes) {
  size_t page = page_bytes();
  for (size_t at = 0; at < bytes; at += page) __atomic_fetch_or((unsigned char *)base + at, 0, __ATOMIC_RELAXED);
  count(t, &t->place->touched);
}

static bool is_passing(int error) { return error == EINTR || error == EAGAIN; }

/* A signal, or pages that are just being moved: then what is populated already is passed over quickly. False: errno
 * says why. */
static bool populate(void *base, size_t bytes) {
  for (unsigned tries = 0; tries < POPULATE_TRIES; ++tries) {
    if (madvise(base, bytes, KERNEL_POPULATE_WRITE) == 0) return true;
    if (!is_passing(errno)) return false;
  }
  return false;
}

static bool take_pages(const struct varve_topology *t, void *base, size_t bytes) {
  if (populate(base, bytes)) return true;
  if (errno != EINVAL && !is_passing(errno)) return false;
  touch(t, base, bytes); /* the kernel does not know it, or signals come too fast for it */
  return true;
}

/* ---- pages from the administrator's pool --------------------------------------------------------------------- */

/* Pages come to a place of their own first, are populated there (P4), and replace the reservation as they are. */
static void *map_explicit(const struct varve_topology *t, size_t bytes, unsigned node, unsigned how) {
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | KERNEL_PAGES_2M;
  void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (at == MAP_FAILED) return NULL;
  varve__place_prefer(t, at, bytes, node, how);
  if (populate(at, bytes)) return at;
  munmap(at, bytes);
  return NULL;
}

static bool is_mapped(void *base) {
  unsigned char resident;
  return mincore(base, page_bytes(), &resident) == 0;
}

/* A refused move (before Linux 5.16) may have unmapped the target: nobody else may get in. Where it has not, this is
 * refused as well, for that or for the reason that the move was. */
static void reserve_again(void *base, size_t bytes) {
  int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
  void *at = mmap(base, bytes, PROT_NONE, flags, -1, 0);
  VARVE_ALWAYS(at == base || (at == MAP_FAILED && is_mapped(base)),
               "place: the reservation at %p is lost", base);
}

static bool commit_explicit(const struct varve_topology *t, void *base, size_t bytes, unsigned node, unsigned how) {
  void *at = map_explicit(t, bytes, node, how);
  if (at && mremap(at, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, base) == base) return true;
  if (at) {
    munmap(at, bytes);
    reserve_again(base, bytes);
  }
  count(t, &t->place->unhuge);
  return false;
}

/* ---- committing ---------------------------------------------------------------------------------------------- */

static void advise_pages(const struct varve_topology *t, void *base, size_t bytes, unsigned how) {
  if ((how & (PLACE_HUGE | PLACE_EXPLICIT)) && madvise(base, bytes, MADV_HUGEPAGE) != 0)
    count(t, &t->place->unadvised);
  if (how & PLACE_SMALL) madvise(base, bytes, MADV_NOHUGEPAGE); /* refused where there are none */
}

static bool commit_ordinary(const struct varve_topology *t, void *base, size_t bytes, unsigned node, unsigned how) {
  if (mprotect(base, bytes, PROT_READ | PROT_WRITE) != 0) return false;
  varve__place_prefer(t, base, bytes, node, how);
  advise_pages(t, base, bytes, how);
  return !(how & PLACE_POPULATE) || take_pages(t, base, bytes);
}

bool varve__place_commit(const struct varve_topology *t, void *base, size_t bytes, unsigned node, unsigned how) {
  bool committed = (how & PLACE_EXPLICIT) && commit_explicit(t, base, bytes, node, how);
  if (!committed && !commit_ordinary(t, base, bytes, node, how)) {
    varve__place_decommit(base, bytes);
    return false;
  }
  madvise(base, bytes, MADV_DODUMP); /* a core dump without the heap would be of little use */
  if ((how & PLACE_LOCK) && mlock(base, bytes) != 0) count(t, &t->place->unlocked);
  return true;
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
  if (base) varve__place_prefer(t, base, bytes, node, 0);
  return base;
}

/* ---- locating ------------------------------------------------------------------------------------------------ */

static unsigned dense_node(const struct varve_topology *t, int os_index) {
  unsigned node = 0;
  while (node < t->node_count && t->nodes[node].os_index != (unsigned)os_index) ++node;
  return node < t->node_count ? node : VARVE__NODES_MAX;
}

/* Ask for `pages` pages, `step` bytes apart. The system writes a node for each, or a negative error number. */
static bool ask(const struct varve_topology *t, char *base, size_t pages, size_t step, int *status) {
  void *at[LOCATE_MOST];
  for (size_t i = 0; i < pages; ++i) at[i] = base + i * step;
  if (syscall(SYS_move_pages, 0, pages, at, NULL, status, 0) == 0) return true;
  count(t, &t->place->unlocated);
  return false;
}

struct varve_location varve__place_locate(const struct varve_topology *t, void *base, size_t bytes, unsigned node,
                                          bool each) {
  struct varve_location where = {.node = node};
  size_t pages = bytes / page_bytes(), most = each ? LOCATE_MOST : LOCATE_SAMPLES;
  if (!t->placed || pages == 0) return where;
  if (pages > most) pages = most;
  int status[LOCATE_MOST];
  unsigned found[VARVE__NODES_MAX + 1] = {0};
  if (!ask(t, base, pages, bytes / pages, status)) return where;
  for (size_t i = 0; i < pages; ++i)
    if (status[i] >= 0) ++found[dense_node(t, status[i])];
  for (unsigned n = 0; n <= VARVE__NODES_MAX; ++n) {
    if (found[n] > found[where.node]) where.node = n;
    where.astray |= n != node && found[n];
  }
  where.outside = found[VARVE__NODES_MAX] != 0;
  return where;
}

/* ---- room ---------------------------------------------------------------------------------------------------- */

/* The file of the node's memory, as text. No stdio: it would take memory of the host's malloc. */
static bool read_meminfo(unsigned os_index, char *text, size_t capacity) {
  char path[64];
  snprintf(path, sizeof path, "/sys/devices/system/node/node%u/meminfo", os_index);
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  ssize_t length = read(file, text, capacity - 1);
  close(file);
  text[length > 0 ? length : 0] = 0;
  return length > 0;
}

/* Bytes of a line such as "Node 1 MemFree:   123 kB"; 0: there is none. */
static uint64_t meminfo_bytes(const char *text, const char *name) {
  const char *at = strstr(text, name);
  return at ? strtoull(at + strlen(name), NULL, 10) * 1024 : 0;
}

bool varve__place_has_room(const struct varve_topology *t, unsigned node, size_t bytes) {
  static const char *const counted[] = {" MemFree:", " Active(file):", " Inactive(file):", " SReclaimable:"};
  char text[4096];
  uint64_t room = 0, reserve = t->nodes[node].memory_bytes / 8;
  if (!t->placed || !read_meminfo(t->nodes[node].os_index, text, sizeof text) || !strstr(text, counted[0])) return true;
  for (unsigned i = 0; i < sizeof counted / sizeof *counted; ++i) room += meminfo_bytes(text, counted[i]);
  return room >= bytes + (reserve < RESERVE_BYTES ? reserve : RESERVE_BYTES);
}
