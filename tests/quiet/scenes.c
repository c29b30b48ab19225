/* SPDX-License-Identifier: MIT */
/* scenes.c -- the operations that must be quiet, and those that must not be: see scene.h. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "quiet/guard.h"
#include "quiet/scene.h"

#define MILLION ((uint64_t)1000000)
#define SLAB_WORDS ((size_t)20000)
#define ARRAY_WORDS ((size_t)1 << 14)
#define BATCH ((size_t)4096)
#define LARGE_BYTES ((size_t)300 << 10)
#define CHURN ((size_t)4096) /* objects between two collections that are asked for */
#define CYCLES 20u
#define DUE 400u

struct pair {
  varve_object header;
  varve_word left, right;
  uint64_t number;
};

static void escape(const void *object) { __asm__ volatile("" : : "r"(object) : "memory"); }

static void *need(void *made, const char *what) {
  if (!made) die(what);
  return made;
}

/* ---- allocation ---- */

static void alloc_small(struct part *part) {
  for (uint64_t i = 0; i < MILLION / 2; ++i) {
    escape(need(varve_alloc(part->me, part->team->data, 32), "small object"));
    escape(need(varve_alloc_uninit(part->me, part->team->data, 32), "small object"));
  }
}

static void alloc_spill(struct part *part) {
  for (uint64_t i = 0; i < MILLION / 20; ++i)
    escape(need(varve_alloc(part->me, part->team->data, 520 + i % 1500), "object of up to 2 KiB"));
}

static void alloc_medium(struct part *part) {
  for (uint64_t i = 0; i < MILLION / 500; ++i)
    escape(need(varve_alloc_uninit(part->me, part->team->data, 2056 + i * 4099 % 60000), "medium object"));
}

static void alloc_large(struct part *part) {
  for (uint64_t i = 0; i < 100; ++i)
    escape(need(varve_alloc_uninit(part->me, part->team->data, LARGE_BYTES + i * 8000), "large object"));
}

/* ---- stores ---- */

static varve_word new_pair(struct part *part) {
  struct pair *pair = need(varve_alloc(part->me, part->team->pair, sizeof *pair), "pair");
  return varve_tag(pair, 0);
}

/* Old pairs in the table; an old array of more than 128 KiB in its last word. */
static void make_old(struct part *part) {
  for (size_t i = 0; i + 1 < SCENE_TABLE; ++i) part->table[i] = new_pair(part);
  part->table[SCENE_TABLE - 1] = varve_tag(need(varve_alloc(part->me, part->team->list, LARGE_BYTES), "array"), 0);
}

/* First stores into every object, further ones, and those into a large array, which are noted by lines. */
static void store(struct part *part) {
  VARVE_FRAME(f, part->me, young);
  f.young = new_pair(part);
  varve_object *array = varve_untag(part->table[SCENE_TABLE - 1]);
  varve_word *slots = (varve_word *)array + 1;
  for (uint64_t i = 0; i < MILLION / 2; ++i) {
    struct pair *old = (struct pair *)varve_untag(part->table[i % (SCENE_TABLE - 1)]);
    varve_store(part->me, old, i & 1 ? &old->left : &old->right, f.young);
    varve_store(part->me, array, &slots[i * 7919 % (LARGE_BYTES / 8 - 1)], f.young);
  }
}

/* ---- Ref words ---- */

static void make_refs(struct part *part) {
  make_old(part);
  part->slab = need(varve_slab_create(part->team->heap, "slab"), "slab");
  part->words = need(calloc(SLAB_WORDS, sizeof *part->words), "words");
  part->array_words = need(calloc(ARRAY_WORDS, sizeof *part->array_words), "words");
  varve_slab_cursor_open(&part->cursor, part->slab);
  for (size_t i = 0; i < SLAB_WORDS; ++i)
    part->words[i] = need(varve_slab_take(&part->cursor, part->me, part->table[i]), "a word of the slab");
  varve_ref_array array = {.name = "array", .base = part->array_words, .stride = 8, .count = ARRAY_WORDS};
  if (varve_ref_array_add(part->team->heap, &array, &part->array, NULL) != VARVE_OK) die("Ref array");
}

static void ref_words(struct part *part) {
  for (uint64_t i = 0; i < MILLION / 4; ++i) {
    varve_word *word = part->words[i * 7919 % SLAB_WORDS], *slot = &part->array_words[i % ARRAY_WORDS];
    varve_word seen = varve_ref_load(word);
    varve_ref_store(part->me, part->array, slot, part->table[i % SCENE_TABLE]);
    varve_ref_cas(part->me, part->slab, word, &seen, part->table[(i + 1) % SCENE_TABLE]);
    varve_ref_exchange(part->me, part->slab, word, part->table[i % SCENE_TABLE]);
  }
}

static void slab_words(struct part *part) {
  for (uint64_t i = 0; i < MILLION / BATCH; ++i) {
    for (size_t k = 0; k < BATCH; ++k) varve_slab_give(part->slab, part->words[k]);
    for (size_t k = 0; k < BATCH; ++k)
      part->words[k] = need(varve_slab_take(&part->cursor, part->me, part->table[k]), "a word of the slab");
  }
}

/* ---- handles, frames, polls ---- */

static void make_handles(struct part *part) { part->handles = need(calloc(BATCH, sizeof *part->handles), "handles"); }

static void handles(struct part *part) {
  for (uint64_t i = 0; i < MILLION / BATCH; ++i) {
    for (size_t k = 0; k < BATCH; ++k) part->handles[k] = need(varve_handle_new(part->me, part->table[k]), "handle");
    for (size_t k = 0; k < BATCH; ++k) {
      varve_handle_set(part->me, part->handles[k], varve_handle_get(part->handles[k]));
      varve_handle_free(part->me, part->handles[k]);
    }
  }
}

static void frames(struct part *part) {
  for (uint64_t i = 0; i < MILLION; ++i) {
    VARVE_FRAME(f, part->me, word);
    f.word = part->table[i % SCENE_TABLE];
    escape(&f);
  }
}

static void polls(struct part *part) {
  for (uint64_t i = 0; i < MILLION; ++i) varve_poll(part->me);
}

static void native(struct part *part) {
  for (uint64_t i = 0; i < MILLION; ++i) {
    if (varve_native_enter(part->me) != VARVE_OK) die("native_enter");
    if (varve_native_leave(part->me) != VARVE_OK) die("native_leave");
  }
}

static void external(struct part *part) {
  for (uint64_t i = 0; i < MILLION; ++i)
    if (varve_external_add(part->me, i & 1 ? -4096 : 4096) != VARVE_OK) die("external_add");
}

/* ---- collections ---- */

/* Some garbage, and one in eight of the table's objects anew. */
static void churn(struct part *part, unsigned cycle) {
  for (size_t i = 0; i < CHURN; ++i) {
    varve_word made = new_pair(part);
    if (i % 8 == 0) part->table[(cycle * CHURN + i) % SCENE_TABLE] = made;
  }
}

/* The others run until mutator 0 is done, and take so little memory meanwhile that they never ask for a collection. */
static void run_beside(struct part *part) {
  while (atomic_load(&part->team->busy) >= part->team->mutators) {
    escape(need(varve_alloc(part->me, part->team->data, 32), "small object"));
    for (unsigned i = 0; i < 5000; ++i) varve_poll(part->me);
  }
}

static void collect_newest(struct part *part) {
  for (unsigned i = 0; i < CYCLES; ++i) {
    churn(part, i);
    if (varve_collect_newest(part->me) != VARVE_OK) die("collection");
  }
}

static void collect_all(struct part *part) {
  for (unsigned i = 0; i < CYCLES; ++i) {
    churn(part, i);
    if (varve_collect(part->me) != VARVE_OK) die("collection");
  }
}

static void young(struct part *part) {
  if (part->index) run_beside(part);
  else collect_newest(part);
}

static void full(struct part *part) {
  if (part->index) run_beside(part);
  else collect_all(part);
}

/* All mutators ask, and often at the same time. */
static void both(struct part *part) { collect_newest(part); }

/* By allocation: the heap decides when, and by which mutator. */
static void due(struct part *part) {
  for (unsigned i = 0; i < DUE; ++i) churn(part, i);
}

/* Wide enough that every worker has something to do. */
static void make_wide(struct part *part) {
  make_old(part);
  for (size_t i = 0; i + 1 < SCENE_TABLE; ++i) {
    struct pair *pair = (struct pair *)varve_untag(part->table[i]);
    varve_store(part->me, pair, &pair->left, part->table[i * 31 % (SCENE_TABLE - 1)]);
  }
}

/* ---- controls: none of these is quiet ---- */

static void calling(struct part *part) {
  for (unsigned i = 0; i < 7000; ++i) {
    varve_poll(part->me);
    if (i % 1000 == 0) syscall(SYS_getpid);
  }
}

static void map_pages(struct part *part) {
  if (part->pages) munmap(part->pages, 1 << 16);
  part->pages = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (part->pages == MAP_FAILED) die("no memory");
  madvise(part->pages, 1 << 16, MADV_NOHUGEPAGE);
}

static void touching(struct part *part) {
  for (size_t i = 0; i < 4; ++i) ((volatile char *)part->pages)[i * 4096] = 1;
}

/* A root callback: the first worker that comes by makes a call; the requester waits for that, a second at most. */
static void calling_roots(void *context, size_t index, varve_visitor *visitor) {
  struct team *team = context;
  time_t begin = time(NULL);
  (void)index, (void)visitor;
  if (guard_is_worker() && atomic_fetch_add(&team->went, 1) == 0) syscall(SYS_getpid);
  while (!guard_is_worker() && atomic_load(&team->went) == 0 && time(NULL) < begin + 2) continue;
}

static void register_caller(struct part *part) {
  make_old(part);
  if (varve_root_callback_add(part->team->heap, "caller", calling_roots, part->team, 8, NULL) != VARVE_OK)
    die("callback");
}

static void collect_once(struct part *part) {
  atomic_store(&part->team->went, 0);
  if (varve_collect(part->me) != VARVE_OK) die("collection");
}

/* ---- the table ---- */

#define ROOMY "heap-max=512m,heap-initial=400m,cache-budget=512m,heap-sizing=fixed"
#define SNUG "heap-max=64m,heap-initial=64m,cache-budget=64m,heap-sizing=fixed,parallel-min=0"
#define TIGHT "heap-max=24m,heap-initial=24m,cache-budget=24m,heap-sizing=fixed,parallel-min=0"

const struct scene SCENES[] = {
    {"alloc", "small", MILLION, NULL, NULL, alloc_small, 0, ROOMY, 0},
    {"alloc", "spill", MILLION / 20, NULL, NULL, alloc_spill, 0, ROOMY, 0},
    {"alloc", "medium", MILLION / 500, NULL, NULL, alloc_medium, 0, ROOMY, 0},
    {"large", "large", 100, NULL, NULL, alloc_large, 0, ROOMY, 0},
    {"barrier", "store", MILLION, make_old, NULL, store, 0, ROOMY, MILLION / 2 + SCENE_TABLE - 1},
    {"barrier", "ref", MILLION, make_refs, NULL, ref_words, 0, ROOMY, 0},
    {"barrier", "slab", MILLION, make_refs, NULL, slab_words, 0, ROOMY, 0},
    {"barrier", "handle", MILLION, make_handles, NULL, handles, 0, ROOMY, 0},
    {"barrier", "frame", MILLION, make_old, NULL, frames, 0, ROOMY, 0},
    {"barrier", "poll", MILLION, NULL, NULL, polls, 0, ROOMY, 0},
    {"barrier", "native", MILLION, NULL, NULL, native, 0, ROOMY, 0},
    {"barrier", "external", MILLION, NULL, NULL, external, 0, ROOMY, 0},
    {"collect", "young", CYCLES, make_wide, NULL, young, CYCLES, SNUG, 0},
    {"collect", "full", CYCLES, make_wide, NULL, full, CYCLES, SNUG, 0},
    {"collect", "both", CYCLES, make_wide, NULL, both, CYCLES, SNUG, 0},
    {"collect", "due", DUE * CHURN, make_wide, NULL, due, 1, TIGHT, 0},
    {"control", "calling", 7000, NULL, NULL, calling, 0, ROOMY, 0},
    {"control", "touching", 4, NULL, map_pages, touching, 0, ROOMY, 0},
    {"control", "calling_worker", 1, register_caller, NULL, collect_once, 1, SNUG, 0},
    {NULL, NULL, 0, NULL, NULL, NULL, 0, NULL, 0}};
