/* SPDX-License-Identifier: MIT */
/* limits.c -- what the machine does without a collector: the loops that a figure cannot beat. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "bench.h"

#define AHEAD 64u /* distance of prefetching, in objects or look-ups */
#define KEEP(x) __asm__ volatile("" : : "r"(x))

double limit_copy_ns(size_t bytes) {
  char *from = arena(ARENA_RAW, bytes), *to = arena(ARENA_COPY, bytes);
  uint64_t began = cpu_ns();
  memcpy(to, from, bytes);
  escape(to);
  return (double)(cpu_ns() - began);
}

double limit_read_ns(const uint64_t *words, size_t count) {
  uint64_t a = 0, b = 0, c = 0, d = 0, began = cpu_ns();
  size_t i = 0;
  for (; i + 4 <= count; i += 4) a += words[i], b += words[i + 1], c += words[i + 2], d += words[i + 3];
  for (; i < count; ++i) a += words[i];
  KEEP(a + b + c + d);
  return (double)(cpu_ns() - began);
}

/* ---- bump ---- */

static inline __attribute__((always_inline)) double bump(uint64_t *base, uint64_t *end, unsigned words,
                                                         size_t objects) {
  uint64_t began = cpu_ns(), *at = base;
  for (size_t i = 0; i < objects; ++i) {
    uint64_t *object = at, *next = at + words;
    if (next > end) object = base, next = base + words;
    at = next;
    object[0] = VARVE_ABI_HEADER(1, words * 8);
    for (unsigned w = 1; w < words; ++w) object[w] = i;
    escape(object);
  }
  return (double)(cpu_ns() - began) / (double)objects;
}

double limit_bump_ns(unsigned words, size_t objects) {
  size_t bytes = machine_l2_bytes() / 2;
  uint64_t *base = arena(ARENA_RAW, bytes), *end = base + bytes / 8;
  switch (words) {
    case 2: return bump(base, end, 2, objects);
    case 4: return bump(base, end, 4, objects);
    case 8: return bump(base, end, 8, objects);
    default: return bump(base, end, 32, objects);
  }
}

/* ---- visit ---- */

struct visit {
  uint64_t *objects, *bitmap;
  uint64_t from, to;
  unsigned bits;
  _Atomic unsigned *ready;
  unsigned threads;
};

static void visit_objects(const struct visit *v) {
  uint64_t sum = 0;
  for (uint64_t k = v->from; k < v->to; ++k) {
    uint64_t soon = scramble(k + AHEAD, v->bits), now = scramble(k, v->bits);
    __builtin_prefetch(&v->objects[soon * 4]);
    __builtin_prefetch(&v->bitmap[soon / 16], 1);
    __atomic_fetch_or(&v->bitmap[now / 16], UINT64_C(15) << (now % 16 * 4), __ATOMIC_RELAXED);
    sum += v->objects[now * 4] + v->objects[now * 4 + 1] + v->objects[now * 4 + 2];
  }
  KEEP(sum);
}

static void *visit_thread(void *context) {
  struct visit *v = context;
  atomic_fetch_add(v->ready, 1);
  while (atomic_load(v->ready) < v->threads) __builtin_ia32_pause();
  visit_objects(v);
  return NULL;
}

double limit_visit_ns(unsigned bits, unsigned threads) {
  uint64_t count = UINT64_C(1) << bits, bytes = count * 32;
  _Atomic unsigned ready = 0;
  struct visit v[2];
  pthread_t other;
  uint64_t *objects = arena(ARENA_RAW, bytes), *bitmap = arena(ARENA_COPY, bytes / 64 + 64);
  memset(bitmap, 0, bytes / 64);
  for (unsigned t = 0; t < threads; ++t)
    v[t] = (struct visit){objects, bitmap, count * t / threads, count * (t + 1) / threads, bits, &ready, threads};
  if (threads == 2 && pthread_create(&other, NULL, visit_thread, &v[1]) != 0) die("no thread");
  while (threads == 2 && !atomic_load(&ready)) __builtin_ia32_pause();
  uint64_t began = threads == 1 ? cpu_ns() : now_ns();
  visit_thread(&v[0]);
  if (threads == 2) pthread_join(other, NULL);
  return (double)((threads == 1 ? cpu_ns() : now_ns()) - began);
}

/* ---- trace and copy ---- */

#define WALK_RING 64u
#define WALK_AHEAD 24u

struct trace {
  const uint64_t *order, *at;
  size_t from, to, count; /* of this thread; of all */
  uint64_t *bitmap, base, bytes;
  char *copy;
  _Atomic unsigned *ready, *done;
  unsigned threads;
  int core; /* of the first thread */
};

/* Alone: find the objects, from the first one on, with a stack and a ring in which headers are fetched. */
static void walk_objects(const struct trace *t) {
  uint64_t *stack = arena(ARENA_STACK, (t->count + WALK_RING) * sizeof *stack), ring[WALK_RING];
  size_t top = 0, head = 0, tail = 0, found = 0;
  stack[top++] = t->order[0];
  for (;;) {
    for (; top && tail - head < WALK_AHEAD; ++tail) {
      __builtin_prefetch((const void *)(uintptr_t)stack[--top]);
      ring[tail % WALK_RING] = stack[top];
    }
    if (head == tail) break;
    const uint64_t *object = (const uint64_t *)(uintptr_t)ring[head++ % WALK_RING];
    for (unsigned slot = 1; slot <= 2; ++slot) {
      uint64_t index = (object[slot] - t->base) >> 3;
      if (object[slot] - t->base >= t->bytes || t->bitmap[index >> 6] >> (index & 63) & 1) continue;
      t->bitmap[index >> 6] |= UINT64_C(15) << (index & 63);
      stack[top++] = object[slot];
      ++found;
    }
  }
  if (found + 1 < t->count) die("the raw loop has not found all objects");
}

static void mark_objects(const struct trace *t) {
  uint64_t sum = 0;
  for (size_t k = t->from; k < t->to; ++k) {
    uint64_t soon = t->order[k + AHEAD < t->count ? k + AHEAD : k], index = (t->order[k] - t->base) >> 3;
    uint64_t *line = &t->bitmap[index >> 6], bits = UINT64_C(15) << (index & 63);
    const uint64_t *object = (const uint64_t *)(uintptr_t)t->order[k];
    __builtin_prefetch((const void *)(uintptr_t)soon);
    __builtin_prefetch(&t->bitmap[(soon - t->base) >> 9], 1);
    __atomic_fetch_or(line, bits, __ATOMIC_RELAXED);
    sum += object[0] + object[1] + object[2];
  }
  KEEP(sum);
}

static void copy_objects(const struct trace *t) {
  for (size_t k = t->from; k < t->to; ++k) {
    __builtin_prefetch((const void *)(uintptr_t)t->at[k + AHEAD < t->count ? k + AHEAD : k]);
    memcpy(t->copy + k * 32, (const void *)(uintptr_t)t->at[k], 32);
  }
  escape(t->copy);
}

static void *trace_thread(void *context) {
  struct trace *t = context;
  if (t->from) machine_leave_core(t->core);
  atomic_fetch_add(t->ready, 1);
  while (atomic_load(t->ready) < t->threads) __builtin_ia32_pause();
  if (t->threads == 1) walk_objects(t);
  else mark_objects(t);
  copy_objects(t);
  atomic_fetch_add(t->done, 1);
  return NULL;
}

static void find_bounds(const uint64_t *at, size_t count, uint64_t *low, uint64_t *high) {
  *low = UINT64_MAX, *high = 0;
  for (size_t k = 0; k < count; ++k) {
    if (at[k] < *low) *low = at[k];
    if (at[k] > *high) *high = at[k];
  }
}

static struct trace open_trace(const uint64_t *order, const uint64_t *at, size_t count) {
  uint64_t low, high;
  struct trace t = {.order = order, .at = at, .to = count, .count = count, .core = machine_core()};
  find_bounds(at, count, &low, &high);
  t.base = low & ~UINT64_C(511);
  t.bytes = high - t.base + 8;
  t.bitmap = memset(arena(ARENA_RAW, (high - t.base) / 64 + 64), 0, (high - t.base) / 64 + 64);
  t.copy = arena(ARENA_COPY, count * 32);
  return t;
}

double limit_trace_ns(const uint64_t *order, const uint64_t *at, size_t count, unsigned threads) {
  _Atomic unsigned ready = 0, done = 0;
  struct trace t[2];
  pthread_t other;
  t[0] = open_trace(order, at, count);
  t[0].ready = &ready, t[0].done = &done, t[0].threads = threads;
  t[1] = t[0];
  if (threads == 2) t[0].to = t[1].from = count / 2;
  if (threads == 2 && pthread_create(&other, NULL, trace_thread, &t[1]) != 0) die("no thread");
  while (threads == 2 && !atomic_load(&ready)) __builtin_ia32_pause();
  uint64_t began = threads == 1 ? cpu_ns() : now_ns();
  trace_thread(&t[0]);
  while (atomic_load(&done) < threads) __builtin_ia32_pause();
  double spent = (double)((threads == 1 ? cpu_ns() : now_ns()) - began);
  if (threads == 2) pthread_join(other, NULL);
  return spent;
}

/* ---- look-ups ---- */

double limit_lookup_ns(uint64_t heap, size_t lookups, bool random) {
  uint64_t lines = heap / 512, sum = 0;
  unsigned bits = (unsigned)__builtin_ctzll(lines);
  uint64_t *bitmap = arena(ARENA_RAW, heap / 64);
  uint16_t *ranks = arena(ARENA_COPY, heap / 256);
  uint64_t began = cpu_ns();
  for (size_t k = 0; k < lookups; ++k) {
    uint64_t line = random ? scramble(k, bits) : k / 16 & (lines - 1);
    uint64_t soon = random ? scramble(k + AHEAD, bits) : line;
    __builtin_prefetch(&bitmap[soon]);
    __builtin_prefetch(&ranks[soon]);
    sum += ranks[line] + (unsigned)__builtin_popcountll(bitmap[line] & ((UINT64_C(1) << (k & 63)) - 1));
  }
  KEEP(sum);
  return (double)(cpu_ns() - began);
}

double limit_summary_ns(uint64_t heap) {
  uint64_t *bitmap = arena(ARENA_RAW, heap / 64);
  uint16_t *ranks = arena(ARENA_COPY, heap / 256);
  uint64_t began = cpu_ns();
  for (size_t block = 0; block < heap / 32768; ++block) {
    unsigned live = 0;
    for (size_t line = block * 64; line < block * 64 + 64; ++line) {
      ranks[line] = (uint16_t)live;
      live += (unsigned)__builtin_popcountll(bitmap[line]);
    }
  }
  escape(ranks);
  memset(bitmap, 0, heap / 64);
  escape(bitmap);
  return (double)(cpu_ns() - began);
}
