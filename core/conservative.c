/* SPDX-License-Identifier: MIT */
/* conservative.c -- see conservative.h.
 *
 * Called by  safepoint.c: note. collect.c: search, worker 0.
 * Cost       a pause: one read of the stacks, and sorting what may be references there.
 */
#define _GNU_SOURCE
#include "core/conservative.h"

#include <pthread.h>

#include "core/base/check.h"
#include "core/base/shade.h"
#include "core/heap.h"
#include "core/resolve.h"
#include "varve/pin.h"

#define CAPACITY_MAX ((size_t)8 << 20) /* words: 64 MiB of address space */

/* These read whole frames of functions that are instrumented, and stacks of threads that run. */
#define READS_STACKS __attribute__((noinline, no_sanitize_address, no_sanitize_thread))

/* ---- note ---- */

READS_STACKS static void note_from_here(struct varve_stack *stack) {
  stack->at = (uintptr_t)__builtin_frame_address(0);
  const volatile uint64_t *words = (const volatile uint64_t *)stack->at;
  size_t count = (stack->high - stack->at) / 8;
  for (size_t i = 0; i < VARVE__STACK_COPY; ++i) stack->copy[i] = i < count ? words[i] : 0;
}

/* Our frame holds the registers, and that of note_from_here is below. */
__attribute__((noinline)) void varve__stack_note(struct varve__mutator *mutator) {
  struct varve_stack *stack = &mutator->stack;
  __builtin_unwind_init();
  uintptr_t here = (uintptr_t)__builtin_frame_address(0);
  VARVE_ALWAYS(here > stack->low && here < stack->high,
               "mutator %s is conservative, and stops on a stack that it has not told of", mutator->name);
  note_from_here(stack);
  __asm__ volatile("" ::: "memory"); /* we are still here when it returns */
}

/* ---- search ---- */

static void add(struct varve__mutator *mutator, const struct varve_space *space, varve_word word) {
  struct varve_stack *stack = &mutator->stack;
  if (!space_contains(space, word)) return;
#ifdef VARVE_PLANT_CANDIDATE_MISSED
  if (word / 8 % 4 == 0) return;
#endif
  VARVE_ALWAYS(stack->found_count < stack->capacity, "mutator %s: over %zu words of its stack look like references",
               mutator->name, stack->capacity);
  stack->found[stack->found_count++] = word;
}

/* A stack has words that were never stored. */
static void visit_word(varve_word word, varve_stack_fn *visit, void *context) {
  shade_know(&word);
  visit(context, word);
}

READS_STACKS void varve__stack_each(const struct varve__mutator *mutator, varve_stack_fn *visit, void *context) {
  const struct varve_stack *stack = &mutator->stack;
  if (!stack->at) return;
  for (size_t i = 0; i < VARVE__STACK_COPY; ++i) visit_word(stack->copy[i], visit, context);
  for (uintptr_t at = stack->at + sizeof stack->copy; at + 8 <= stack->high; at += 8)
    visit_word(*(const volatile varve_word *)at, visit, context);
}

static void add_word(void *context, varve_word word) {
  struct varve__mutator *mutator = context;
  add(mutator, &mutator->head.heap->space, word);
}

static void sift_down(varve_word *words, size_t at, size_t count) {
  varve_word word = words[at];
  for (size_t child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && words[child + 1] > words[child]) ++child;
    if (words[child] <= word) break;
    words[at] = words[child];
  }
  words[at] = word;
}

/* In place: qsort may take memory. */
static void sort(varve_word *words, size_t count) {
  for (size_t i = count / 2; i-- > 0;) sift_down(words, i, count);
  for (size_t end = count; end-- > 1;) {
    varve_word last = words[end];
    words[end] = words[0];
    words[0] = last;
    sift_down(words, 0, end);
  }
}

/* Candidates become objects, each once. */
static void resolve(struct varve__mutator *mutator) {
  struct varve_heap *heap = mutator->head.heap;
  struct varve_stack *stack = &mutator->stack;
  struct resolver resolver = {.space = &heap->space};
  varve_word tag = (varve_word)bits_lowest(heap->slot_tags);
  size_t kept = 0;
  for (size_t i = 0; i < stack->found_count; ++i) {
    uint64_t object = varve__resolve(&resolver, stack->found[i]);
    if (object && (!kept || stack->found[kept - 1] != (object | tag))) stack->found[kept++] = object | tag;
  }
  stack->found_count = kept;
}

void varve__stacks_search(struct varve_heap *heap) {
  for (struct varve__mutator *m = heap->mutators; m; m = m->next) {
    if (!m->stack.high) continue;
    m->stack.found_count = 0;
    varve__stack_each(m, add_word, m);
    sort(m->stack.found, m->stack.found_count);
    resolve(m);
  }
}

/* ---- open and close ---- */

static bool find_stack(uintptr_t *low, uintptr_t *high) {
  pthread_attr_t attributes;
  void *address;
  size_t size;
  if (pthread_getattr_np(pthread_self(), &attributes)) return false;
  bool known = !pthread_attr_getstack(&attributes, &address, &size);
  pthread_attr_destroy(&attributes);
  *low = (uintptr_t)address;
  *high = *low + size;
  return known;
}

static bool reserve(struct varve__mutator *mutator, size_t capacity) {
  struct varve_heap *heap = mutator->head.heap;
  struct varve_stack *stack = &mutator->stack;
  if (capacity <= stack->capacity) return true;
  varve_word *found = heap_meta_alloc(heap, capacity * sizeof *found);
  if (!found) return false;
  varve__stack_close(mutator);
  stack->found = found;
  stack->capacity = capacity;
  return true;
}

varve_status varve__stack_open(struct varve__mutator *mutator, const void *low, const void *high, varve_error *error) {
  uintptr_t from = (uintptr_t)low, to = (uintptr_t)high & ~(uintptr_t)7, here = (uintptr_t)__builtin_frame_address(0);
  if (!low && !high && !find_stack(&from, &to))
    return varve__error(error, VARVE_METADATA, "mutator %s: the system does not tell where its stack is",
                        mutator->name);
  if (here <= from || here >= to)
    return varve__error(error, VARVE_ARGUMENT, "mutator %s: it runs at %#llx, not on the stack from %#llx to %#llx",
                        mutator->name, (unsigned long long)here, (unsigned long long)from, (unsigned long long)to);
  size_t words = (to - from) / 8 + VARVE__STACK_COPY;
  if (!reserve(mutator, words < CAPACITY_MAX ? words : CAPACITY_MAX))
    return varve__error(error, VARVE_METADATA, "mutator %s: no memory for a search of its stack", mutator->name);
  mutator->stack.low = from;
  mutator->stack.high = to;
  return VARVE_OK;
}

void varve__stack_close(struct varve__mutator *mutator) {
  struct varve_stack *stack = &mutator->stack;
  heap_meta_free(mutator->head.heap, stack->found, stack->capacity * sizeof *stack->found);
  *stack = (struct varve_stack){0};
}

varve_status varve_mutator_conservative(varve_mutator *head, const void *low, const void *high, varve_error *error) {
  struct varve__mutator *mutator = mutator_of(head);
  if (!varve__mutator_is_here(mutator) || atomic_load(&mutator->state) != MUTATOR_RUNNING)
    return varve__error(error, VARVE_THREAD, "conservative: mutator %s is native, or of another thread", mutator->name);
  return varve__stack_open(mutator, low, high, error);
}
