/* SPDX-License-Identifier: MIT */
/* host.c -- a host whose malloc stays what it was. linking.sh builds and runs it in every way of linking.
 *
 *   host OBJECT [LIBRARY]    OBJECT: part of the name of the object that malloc must come from
 *                            LIBRARY: loaded at run time; without, the program is linked with the library
 *
 * -DHOST_PLAIN     without the library: tells that OBJECT is right to begin with
 * -DHOST_MALLOC    a malloc of the host's own, which aborts when it is given memory that is not its own
 *
 * Exit status 1: something is wrong, which is said; 3: the library cannot be loaded, for the reason that is said.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <varve/varve.h>

#define CYCLES_FIRST 5
#define CYCLES 50
#define STRETCHES 4
#define PIECES 6

static void fail(const char *what, const char *detail) {
  fprintf(stderr, "host: %s: %s\n", what, detail);
  exit(1);
}

/* ---- a malloc of the host's own ---- */

#ifdef HOST_MALLOC
#define OURS UINT64_C(0x6f75727320616c6c)

void *__libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void *p);

/* Directly before each block. */
struct mine {
  void *raw;
  size_t bytes;
  uint64_t padding, ours;
};

static struct mine *mine_of(void *p) {
  struct mine *mine = (struct mine *)p - 1;
  if (mine->ours != OURS) abort();
  return mine;
}

static void *give(size_t alignment, size_t bytes) {
  size_t front = alignment < sizeof(struct mine) ? sizeof(struct mine) : alignment;
  char *raw = bytes > SIZE_MAX / 2 ? NULL : __libc_memalign(front, front + bytes);
  if (!raw) return errno = ENOMEM, NULL;
  struct mine *mine = (struct mine *)(raw + front) - 1;
  *mine = (struct mine){raw, bytes, 0, OURS};
  return mine + 1;
}

void *malloc(size_t bytes) { return give(16, bytes); }
void *memalign(size_t alignment, size_t bytes) { return give(alignment, bytes); }
void *aligned_alloc(size_t alignment, size_t bytes) { return give(alignment, bytes); }
size_t malloc_usable_size(void *p) { return p ? mine_of(p)->bytes : 0; }

int posix_memalign(void **out, size_t alignment, size_t bytes) {
  void *p = give(alignment, bytes);
  if (p) *out = p;
  return p ? 0 : ENOMEM;
}

void *calloc(size_t count, size_t bytes) {
  size_t whole;
  void *p = __builtin_mul_overflow(count, bytes, &whole) ? NULL : give(16, whole);
  return p ? memset(p, 0, whole) : NULL;
}

void free(void *p) {
  if (!p) return;
  struct mine *mine = mine_of(p);
  mine->ours = 0;
  __libc_free(mine->raw);
}

void *realloc(void *p, size_t bytes) {
  void *fresh = give(16, bytes);
  size_t old = malloc_usable_size(p);
  if (fresh && p) memcpy(fresh, p, old < bytes ? old : bytes), free(p);
  return fresh;
}
#endif

/* ---- whose malloc it is ---- */

static void check_address(const char *expected, const char *name, void *address) {
  Dl_info found;
  if (!address || !dladdr(address, &found)) fail("comes from nowhere", name);
  const char *slash = strrchr(found.dli_fname, '/');
  if (strstr(slash ? slash : found.dli_fname, expected)) return;
  fprintf(stderr, "host: %s comes from %s, not %s\n", name, found.dli_fname, expected);
  exit(1);
}

/* As the program calls them, and as libraries find them. */
static void check_malloc(const char *expected) {
  static const struct {
    const char *name;
    void *address;
  } own[] = {{"malloc", (void *)malloc}, {"free", (void *)free}, {"calloc", (void *)calloc},
             {"realloc", (void *)realloc}, {"aligned_alloc", (void *)aligned_alloc},
             {"posix_memalign", (void *)posix_memalign}};
  for (size_t i = 0; i < sizeof own / sizeof own[0]; ++i) {
    check_address(expected, own[i].name, own[i].address);
    check_address(expected, own[i].name, dlsym(RTLD_DEFAULT, own[i].name));
  }
}

/* ---- memory that the C library takes and the host frees ---- */

struct pieces {
  void *piece[PIECES];
};

static void take_pieces(struct pieces *pieces) {
  char *line = NULL, *text = NULL;
  size_t capacity = 0;
  FILE *file = fopen("/proc/self/status", "r");
  if (!file || getline(&line, &capacity, file) < 0) fail("getline", strerror(errno));
  fclose(file);
  if (asprintf(&text, "%0200d", 7) < 0) fail("asprintf", strerror(errno));
  pieces->piece[0] = line, pieces->piece[1] = text;
  pieces->piece[2] = strdup("a string"), pieces->piece[3] = realpath("/", NULL);
  pieces->piece[4] = aligned_alloc(64, 640), pieces->piece[5] = realloc(malloc(10), 100000);
  for (int i = 0; i < PIECES; ++i)
    if (!pieces->piece[i]) fail("no memory from", "libc");
}

static void free_pieces(struct pieces *pieces) {
  for (int i = 0; i < PIECES; ++i) free(pieces->piece[i]);
}

#ifndef HOST_PLAIN

/* ---- the library, linked or loaded ---- */

#define FUNCTIONS(X)                                                                                        \
  X(varve_options_init) X(varve_options_parse) X(varve_heap_create) X(varve_heap_destroy)                   \
  X(varve_layout_register) X(varve_ffi_attach) X(varve_detach) X(varve_ffi_alloc) X(varve_ffi_init)         \
  X(varve_ffi_frame_push) X(varve_ffi_frame_pop) X(varve_collect) X(varve_handle_new) X(varve_slab_create) \
  X(varve_topology_print)

#define FIELD(name) __typeof__(name) *name;
static struct {
  FUNCTIONS(FIELD)
} api;

#ifdef HOST_LOADS
static void *library;

static void *find(const char *name) {
  void *address = dlsym(library, name);
  if (!address) fail("is not exported", name);
  return address;
}

#define FIND(name) *(void **)&api.name = find(#name);
static void open_library(const char *path) {
  library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    printf("refused: %s\n", dlerror());
    exit(3);
  }
  FUNCTIONS(FIND)
}

static void close_library(void) {
  if (dlclose(library) != 0) fail("dlclose", dlerror());
}
#else
#define LINK(name) api.name = name;
static void open_library(const char *path) {
  (void)path;
  FUNCTIONS(LINK)
}
static void close_library(void) {}
#endif

/* ---- heaps ---- */

struct frame {
  varve_frame head;
  varve_word list;
};

/* A list of 20000 cells, among garbage. */
static void fill(varve_heap *heap, varve_mutator *me, varve_layout cell) {
  struct frame frame = {.list = 0};
  varve_refs *slab = api.varve_slab_create(heap, "words");
  api.varve_ffi_frame_push(me, &frame.head, 1);
  for (int i = 0; i < 60000; ++i) {
    varve_word *made = api.varve_ffi_alloc(me, cell, 32);
    if (!made) fail("no object", "alloc");
    api.varve_ffi_init(me, made, made + 1, frame.list);
    if (i % 3 == 0) frame.list = (varve_word)(uintptr_t)made;
    if (i % 20000 == 0 && api.varve_collect(me) != VARVE_OK) fail("no collection", "collect");
  }
  for (int i = 0; i < 2000; ++i)
    if (!api.varve_handle_new(me, frame.list)) fail("no handle", "handle_new");
  if (!slab || api.varve_collect(me) != VARVE_OK) fail("no collection", "collect");
  api.varve_ffi_frame_pop(me, &frame.head);
}

static void ignore(void *context, const char *line) { *(size_t *)context += strlen(line); }

static varve_heap *make_heap(varve_layout *cell) {
  static const uint32_t offsets[] = {8};
  const varve_layout_desc desc = {.name = "cell", .kind = VARVE_LAYOUT_OFFSETS, .offsets = offsets, .offset_count = 1};
  varve_options options;
  varve_error error = {0};
  varve_heap *heap = NULL;
  size_t letters = 0;
  api.varve_options_init(&options);
  if (api.varve_options_parse(&options, "heap-max=32m,workers=2,parallel-min=0", &error) != VARVE_OK ||
      api.varve_heap_create(&options, &heap, &error) != VARVE_OK ||
      api.varve_layout_register(heap, &desc, cell, &error) != VARVE_OK)
    fail("no heap", error.detail);
  if (api.varve_topology_print(heap, ignore, &letters) != VARVE_OK || !letters) fail("topology", "print");
  return heap;
}

/* A heap has more threads once its user was seen on several cores: use each from the first one. */
static void stay_on_one_core(const cpu_set_t *allowed) {
  cpu_set_t one;
  size_t cpu = 0;
  while (!CPU_ISSET(cpu, allowed)) ++cpu;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  sched_setaffinity(0, sizeof one, &one);
}

static void use_heap(void) {
  cpu_set_t allowed;
  varve_layout cell;
  varve_mutator *me;
  varve_heap *heap = make_heap(&cell);
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) fail("sched_getaffinity", strerror(errno));
  stay_on_one_core(&allowed);
  if (api.varve_ffi_attach(heap, "host", &me, NULL) != VARVE_OK) fail("no mutator", "attach");
  fill(heap, me, cell);
  if (api.varve_detach(me) != VARVE_OK || api.varve_heap_destroy(heap) != VARVE_OK) fail("not destroyed", "heap");
  sched_setaffinity(0, sizeof allowed, &allowed);
}

/* ---- what is left of them ---- */

static size_t mapped(void) {
  char line[512];
  unsigned long from, to;
  size_t sum = 0;
  FILE *file = fopen("/proc/self/maps", "r");
  while (file && fgets(line, sizeof line, file))
    if (sscanf(line, "%lx-%lx", &from, &to) == 2) sum += to - from;
  if (!file || !sum) fail("cannot be read", "/proc/self/maps");
  fclose(file);
  return sum;
}

static unsigned threads(void) {
  unsigned count = 0;
  DIR *tasks = opendir("/proc/self/task");
  for (struct dirent *entry; tasks && (entry = readdir(tasks));) count += entry->d_name[0] != '.';
  if (tasks) closedir(tasks);
  return count;
}

/* One that was joined may still be seen for a moment. */
static void check_threads(unsigned expected) {
  for (int i = 0; i < 1000 && threads() != expected; ++i) usleep(1000);
  if (threads() != expected) fail("threads are left", "after the heaps");
}

/* By how much the mappings have grown after so many more heaps. */
static size_t growth(int heaps) {
  size_t before = mapped();
  for (int i = 0; i < heaps; ++i) use_heap();
  size_t after = mapped();
  printf("%zu KiB mapped before %d heaps, %zu after\n", before >> 10, heaps, after >> 10);
  return after > before ? after - before : 0;
}

/* The host's malloc may keep more of what it was given back, now and then. What heaps leave would grow each time. */
static void use_heaps(void) {
  unsigned before = threads();
  (void)growth(CYCLES_FIRST);
  int stretches = 0;
  while (growth(CYCLES) >= CYCLES * 4096)
    if (++stretches == STRETCHES) fail("mappings are left", "after the heaps");
  check_threads(before);
}

/* ---- a thread that outlives the library ---- */

static pthread_barrier_t barrier;

static void *outlive(void *unused) {
  use_heap();
  pthread_barrier_wait(&barrier); /* now the library is closed */
  pthread_barrier_wait(&barrier);
  return unused;
}

static void close_before_threads_end(void) {
  pthread_t thread;
  pthread_barrier_init(&barrier, NULL, 2);
  if (pthread_create(&thread, NULL, outlive, NULL) != 0) fail("no thread", "pthread_create");
  pthread_barrier_wait(&barrier);
  close_library();
  pthread_barrier_wait(&barrier);
  pthread_join(thread, NULL);
}

static void use_library(const char *path, const char *expected) {
  struct pieces during;
  open_library(path);
  check_malloc(expected);
  use_heap();
  take_pieces(&during);
  use_heaps();
  free_pieces(&during);
  close_before_threads_end();
}

#else
static void use_library(const char *path, const char *expected) { (void)path, (void)expected; }
#endif

int main(int argc, char **argv) {
  struct pieces before, after;
  if (argc < 2) fail("no", "OBJECT");
  check_malloc(argv[1]);
  take_pieces(&before);
  use_library(argc > 2 ? argv[2] : NULL, argv[1]);
  check_malloc(argv[1]);
  take_pieces(&after);
  free_pieces(&before);
  free_pieces(&after);
  return 0;
}
