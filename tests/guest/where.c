/* SPDX-License-Identifier: MIT */
/* where.c -- see where.h. */
#include "where.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bed.h"

enum { POLICY_BIND = 2 }; /* the kernel's name, which no header of the C library has */

/* ---- files of the system ------------------------------------------------------------------------------------- */

/* The first line of a file that begins with `key`, without it; false: none. */
static bool read_line(const char *path, const char *key, char *out, size_t room) {
  FILE *file = fopen(path, "r");
  char line[1024];
  bool found = false;
  while (file && !found && fgets(line, sizeof line, file)) {
    found = strncmp(line, key, strlen(key)) == 0;
    if (found) snprintf(out, room, "%s", line + strlen(key));
  }
  if (file) fclose(file);
  return found;
}

/* Call for each number of a list such as "0-3,8". */
static void each_of_list(const char *list, void (*call)(void *context, unsigned number), void *context) {
  char *end;
  for (const char *at = list; at && *at;) {
    unsigned long first = strtoul(at, &end, 10), last = first;
    if (end == at) return;
    if (*end == '-') last = strtoul(end + 1, &end, 10);
    for (unsigned long i = first; i <= last; ++i) call(context, (unsigned)i);
    at = *end == ',' ? end + 1 : NULL;
  }
}

static void add_cpu(void *context, unsigned cpu) {
  if (cpu < CPU_SETSIZE) CPU_SET(cpu, (cpu_set_t *)context);
}

static void add_node(void *context, unsigned node) {
  if (node < NODES_MAX) *(uint64_t *)context |= bit(node);
}

static void node_path(char *out, size_t room, unsigned node, const char *file) {
  snprintf(out, room, "/sys/devices/system/node/node%u/%s", node, file);
}

/* A figure of the node's meminfo, in bytes. */
static uint64_t node_memory(unsigned node, const char *name) {
  char path[96], key[64], text[128] = "";
  node_path(path, sizeof path, node, "meminfo");
  snprintf(key, sizeof key, "Node %u %s:", node, name);
  return read_line(path, key, text, sizeof text) ? strtoull(text, NULL, 10) * 1024 : 0;
}

uint64_t free_bytes(unsigned node) { return node_memory(node, "MemFree"); }

long free_huge_pages(unsigned node) {
  char path[128], text[32];
  node_path(path, sizeof path, node, "hugepages/hugepages-2048kB/free_hugepages");
  return read_line(path, "", text, sizeof text) ? strtol(text, NULL, 10) : -1;
}

bool huge_pages_are(const char *mode) {
  char text[64] = "", wanted[32];
  snprintf(wanted, sizeof wanted, "[%s]", mode);
  return read_line("/sys/kernel/mm/transparent_hugepage/enabled", "", text, sizeof text) && strstr(text, wanted);
}

/* ---- nodes --------------------------------------------------------------------------------------------------- */

static uint64_t usable_memory(void) {
  char text[512] = "";
  uint64_t set = 0;
  read_line("/proc/self/status", "Mems_allowed_list:\t", text, sizeof text);
  each_of_list(text, add_node, &set);
  return set;
}

static void read_distances(struct node *node, unsigned number) {
  char path[96], text[512] = "";
  node_path(path, sizeof path, number, "distance");
  read_line(path, "", text, sizeof text);
  char *at = text;
  for (unsigned i = 0; i < NODES_MAX; ++i) node->distance[i] = (unsigned)strtoul(at, &at, 10);
}

static void read_node(struct machine *m, unsigned number, uint64_t usable) {
  struct node *node = &m->node[number];
  char path[96], text[512] = "";
  cpu_set_t own;
  CPU_ZERO(&own);
  node_path(path, sizeof path, number, "cpulist");
  if (!(node->present = read_line(path, "", text, sizeof text))) return;
  each_of_list(text, add_cpu, &own);
  bool memory = node_memory(number, "MemTotal") != 0;
  node->memory = memory && (usable & bit(number)) != 0;
  node->processors = CPU_COUNT(&own) != 0;
  CPU_AND(&node->cpus, &own, &m->allowed);
  m->limited |= memory != node->memory || !CPU_EQUAL(&node->cpus, &own);
  read_distances(node, number);
}

static void sum_up(struct machine *m, unsigned number) {
  const struct node *node = &m->node[number];
  if (node->present) m->count = number + 1;
  if (node->memory) m->memory |= bit(number);
  if (node->memory && node->processors) m->ordinary |= bit(number);
  if (node->present && CPU_COUNT(&node->cpus)) m->near |= bit(number);
}

/* A kernel without nodes. */
static void assume_one_node(struct machine *m) {
  m->count = 1;
  m->memory = m->ordinary = m->near = 1;
  m->node[0] = (struct node){.present = true, .memory = true, .processors = true, .cpus = m->allowed};
}

const struct machine *machine(void) {
  static struct machine m;
  if (m.count) return &m;
  sched_getaffinity(0, sizeof m.allowed, &m.allowed);
  uint64_t usable = usable_memory();
  for (unsigned i = 0; i < NODES_MAX; ++i) read_node(&m, i, usable);
  for (unsigned i = 0; i < NODES_MAX; ++i) sum_up(&m, i);
  if (!m.count) assume_one_node(&m);
  if (!m.ordinary) m.ordinary = m.memory;
  return &m;
}

uint64_t nearest_of(unsigned node, uint64_t set) {
  const unsigned *distance = machine()->node[node].distance;
  unsigned least = ~0u;
  uint64_t found = 0;
  if (set & bit(node)) return bit(node);
  for (unsigned i = 0; i < NODES_MAX; ++i) {
    if (!(set & bit(i)) || distance[i] > least) continue;
    if (distance[i] < least) found = 0;
    least = distance[i];
    found |= bit(i);
  }
  return found;
}

uint64_t home_of(unsigned node) { return nearest_of(node, machine()->ordinary); }

uint64_t homes(void) {
  uint64_t set = 0;
  for (unsigned i = 0; i < machine()->count; ++i)
    if (machine()->near & bit(i)) set |= home_of(i);
  return set;
}

unsigned first_of(uint64_t set) { return set ? (unsigned)__builtin_ctzll(set) : 0; }
unsigned last_of(uint64_t set) { return set ? 63u - (unsigned)__builtin_clzll(set) : 0; }
unsigned count_of(uint64_t set) { return (unsigned)__builtin_popcountll(set); }

uint64_t policy_nodes(void) {
  unsigned long mask[16] = {0}; /* the kernel wants room for as many nodes as it could have */
  int mode;
  return syscall(SYS_get_mempolicy, &mode, mask, 1024ul, NULL, 0ul) == 0 ? mask[0] : 0;
}

void policy_end(void) {
  if (syscall(SYS_set_mempolicy, 0, NULL, 0ul) != 0) fail("set_mempolicy: %s", strerror(errno));
}

void pin_to(unsigned node) {
  cpu_set_t one;
  CPU_ZERO(&one);
  for (unsigned i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); ++i)
    if (CPU_ISSET(i, &machine()->node[node].cpus)) CPU_SET(i, &one);
  if (sched_setaffinity(0, sizeof one, &one) != 0) fail("pin: %s", strerror(errno));
}

/* ---- pages --------------------------------------------------------------------------------------------------- */

static void add_page(struct pages *pages, uintptr_t page) {
  if (pages->count && (uintptr_t)pages->at[pages->count - 1] == page) return;
  if (pages->count == pages->room) {
    pages->room = pages->room ? 2 * pages->room : 1024;
    pages->at = realloc(pages->at, pages->room * sizeof *pages->at);
    if (!pages->at) fail("pages: %s", strerror(errno));
  }
  pages->at[pages->count++] = (void *)page;
}

void pages_add(struct pages *pages, const void *base, size_t bytes) {
  uintptr_t end = (uintptr_t)base + bytes;
  for (uintptr_t page = (uintptr_t)base / PAGE * PAGE; page < end; page += PAGE) add_page(pages, page);
}

/* Kernels differ in what they say of a page with nothing behind it; all of it is negative. */
static void locate(struct counts *counts, void **at, size_t count) {
  int status[REGION_PAGES];
  if (syscall(SYS_move_pages, 0, count, at, NULL, status, 0) < 0) skip("move_pages: %s", strerror(errno));
  for (size_t i = 0; i < count; ++i) {
    if (status[i] < 0 || status[i] >= (int)NODES_MAX) ++counts->missing;
    else ++counts->on[status[i]];
  }
}

static int compare_pages(const void *a, const void *b) {
  void *const *left = a, *const *right = b;
  return (*left > *right) - (*left < *right);
}

static void remove_doubles(struct pages *pages) {
  size_t kept = 0;
  if (pages->count) qsort(pages->at, pages->count, sizeof *pages->at, compare_pages);
  for (size_t i = 0; i < pages->count; ++i)
    if (kept == 0 || pages->at[kept - 1] != pages->at[i]) pages->at[kept++] = pages->at[i];
  pages->count = kept;
}

struct counts pages_count(struct pages *pages) {
  remove_doubles(pages);
  struct counts counts = {.total = pages->count};
  for (size_t i = 0; i < pages->count; i += REGION_PAGES)
    locate(&counts, pages->at + i, pages->count - i < REGION_PAGES ? pages->count - i : REGION_PAGES);
  free(pages->at);
  *pages = (struct pages){0};
  return counts;
}

struct counts pages_since(const struct counts *before, struct counts now) {
  for (unsigned i = 0; i < NODES_MAX; ++i) now.on[i] -= now.on[i] < before->on[i] ? now.on[i] : before->on[i];
  return now;
}

uint64_t nodes_of(const struct counts *counts) {
  uint64_t set = 0;
  for (unsigned i = 0; i < NODES_MAX; ++i)
    if (counts->on[i]) set |= bit(i);
  return set;
}

/* ---- mappings ------------------------------------------------------------------------------------------------ */

struct mapping {
  uintptr_t start, end;
  bool writable, of_file;
};

static bool parse_mapping(const char *line, struct mapping *out) {
  unsigned long start, end, inode;
  char mode[8];
  if (sscanf(line, "%lx-%lx %7s %*s %*s %lu", &start, &end, mode, &inode) != 4) return false;
  *out = (struct mapping){start, end, mode[1] == 'w', inode != 0 && !strstr(line, "/anon_hugepage")};
  return true;
}

static void each_mapping(void (*call)(void *context, const struct mapping *mapping), void *context) {
  FILE *file = fopen("/proc/self/maps", "r");
  char line[1024];
  struct mapping mapping;
  while (file && fgets(line, sizeof line, file))
    if (parse_mapping(line, &mapping)) call(context, &mapping);
  if (file) fclose(file);
}

struct selection {
  const varve_heap *heap; /* NULL: all that is of no file */
  struct pages pages;
  uint64_t bytes;
};

/* Page by page, for the kernel joins neighbours that are not all of the heap. */
static void select_pages(void *context, const struct mapping *mapping) {
  struct selection *s = context;
  if (!mapping->writable || mapping->of_file) return;
  for (uintptr_t at = mapping->start; at < mapping->end; at += PAGE)
    if (!s->heap || varve_heap_contains(s->heap, (void *)at)) add_page(&s->pages, at);
}

struct counts pages_of_heap(const varve_heap *heap) {
  struct selection s = {.heap = heap};
  each_mapping(select_pages, &s);
  return pages_count(&s.pages);
}

struct counts pages_of_process(void) {
  struct selection s = {0};
  each_mapping(select_pages, &s);
  struct counts counts = pages_count(&s.pages);
  counts.total -= counts.missing;
  counts.missing = 0;
  return counts;
}

static void add_bytes(void *context, const struct mapping *mapping) {
  if (!mapping->of_file) *(uint64_t *)context += mapping->end - mapping->start;
}

uint64_t mapped_bytes(void) {
  uint64_t bytes = 0;
  each_mapping(add_bytes, &bytes);
  return bytes;
}

static void add_huge_use(struct huge_use *use, const char *line, const struct mapping *mapping) {
  unsigned long kib = 0;
  if (sscanf(line, "AnonHugePages: %lu", &kib) == 1) use->transparent += kib * 1024;
  if (sscanf(line, "KernelPageSize: %lu", &kib) == 1 && kib == 2048) use->explicit += mapping->end - mapping->start;
}

struct huge_use huge_use_of_heap(const varve_heap *heap) {
  FILE *file = fopen("/proc/self/smaps", "r");
  char line[1024];
  struct mapping mapping = {0};
  struct huge_use use = {0};
  while (file && fgets(line, sizeof line, file))
    if (!parse_mapping(line, &mapping) && varve_heap_contains(heap, (void *)mapping.start))
      add_huge_use(&use, line, &mapping);
  if (file) fclose(file);
  return use;
}

/* ---- a full node --------------------------------------------------------------------------------------------- */

static void take_memory(unsigned node, size_t bytes) {
  unsigned long mask[NODES_MAX / 64 + 1] = {bit(node)};
  char *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED || syscall(SYS_mbind, base, bytes, POLICY_BIND, mask, NODES_MAX + 1ul, 0ul) != 0)
    fail("fill: %s", strerror(errno));
  madvise(base, bytes, MADV_HUGEPAGE);
  for (size_t at = 0; at < bytes; at += PAGE) base[at] = 1;
}

/* In pieces, for what is free changes while it is being taken. */
void fill_node(unsigned node, size_t leave) {
  if (free_bytes(node) >> 31) skip("node %u has too much memory to fill it", node);
  for (uint64_t left; (left = free_bytes(node)) > leave + 2 * MIB;) take_memory(node, (left - leave) / 2 + MIB);
}

/* ---- threads ------------------------------------------------------------------------------------------------- */

static void add_thread(struct threads *threads, const char *task) {
  char path[64], text[512] = "";
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  snprintf(path, sizeof path, "/proc/self/task/%.16s/comm", task);
  if (!read_line(path, "varve-", text, sizeof text)) return;
  snprintf(path, sizeof path, "/proc/self/task/%.16s/status", task);
  read_line(path, "Cpus_allowed_list:\t", text, sizeof text);
  each_of_list(text, add_cpu, &cpus);
  ++threads->count;
  threads->unpinned += CPU_COUNT(&cpus) != 1;
  CPU_OR(&threads->cpus, &threads->cpus, &cpus);
}

struct threads worker_threads(void) {
  struct threads threads = {0};
  DIR *folder = opendir("/proc/self/task");
  for (struct dirent *entry; folder && (entry = readdir(folder));)
    if (entry->d_name[0] != '.') add_thread(&threads, entry->d_name);
  if (folder) closedir(folder);
  return threads;
}
