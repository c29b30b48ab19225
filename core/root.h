/* SPDX-License-Identifier: MIT */
/* root.h -- the root set as the phases see it: a list of tasks, each visited by one worker.
 *
 * Tables: one per mutator (its frames), per handle chunk, per stretch of a slot array, per slab chunk, per stretch
 * of a Ref array, per callback part. varve__roots_prepare lists them once per pause, into an array that attach and
 * registration made large enough; nothing is allocated in the pause.
 *
 * Invariant F1: every slot belongs to exactly one task. Registration refuses overlapping slots.
 */
#ifndef VARVE_CORE_ROOT_H
#define VARVE_CORE_ROOT_H

#include "core/base/park.h"
#include "varve/root.h"

/* What a phase does with slots. `range` visits `count` words, `stride` bytes apart; with a bitmap only the words
 * whose bit is set (bit 0 of bitmap[0] is the first word). `ref`: Ref words (tag set ref_tags, atomic access).
 * `narrow`: the same for narrow words, which are visited as Ref words are. */
struct varve_visitor {
  void (*range)(struct varve_visitor *visitor, varve_word *base, size_t stride, size_t count,
                const uint64_t *bitmap, bool ref);
  void (*narrow)(struct varve_visitor *visitor, varve_narrow *base, size_t stride, size_t count,
                 const uint64_t *bitmap);
  varve_heap *heap;
  void *context;
};

struct varve_roots; /* all tables of one heap; hangs from heap->roots */

struct varve_roots *varve__roots_open(varve_heap *heap); /* NULL: no memory */
void varve__roots_close(struct varve_roots *roots);

/* The lock that registrations take. The collector holds it from after the stop until before the resume, so that
 * a thread that is not attached cannot change a table in a pause. Rank: after the registry lock of safepoint.h. */
void varve__roots_lock(struct varve_roots *roots);
void varve__roots_unlock(struct varve_roots *roots);

/* World stopped, lock held: list the tasks of this pause. @return how many. */
size_t varve__roots_prepare(struct varve_roots *roots);
/* The node (dense) that a task's slots are on, as far as known; and an array for as many task numbers as there are
 * tasks, NULL when there is one node only. */
unsigned varve__roots_task_node(const struct varve_roots *roots, size_t task);
uint32_t *varve__roots_task_list(struct varve_roots *roots);
/* Visit every slot of one task. Any worker; each task once per pass. */
void varve__roots_visit(struct varve_roots *roots, size_t task, struct varve_visitor *visitor);
/* notes.c. Are stores into the task's words noted? Then, in a pause: */
bool varve__roots_are_noted(const struct varve_roots *roots, size_t task);
struct varve_sieve;
/* Give the sieve the noted words of such a task, and forget the notes that it does not need. */
void varve__roots_sift(struct varve_roots *roots, size_t task, struct varve_sieve *sieve);
/* A full collection is over: no note is needed. */
void varve__roots_forget_notes(struct varve_roots *roots);
/* May the word be stored to without a note, or is it noted? For the verifier. */
bool varve__roots_has_note(const struct varve_roots *roots, size_t task, const void *slot);

/* A name for messages about a slot in the task: "frames of mutator main", "Ref slab constants", ... */
void varve__roots_task_name(struct varve_roots *roots, size_t task, char *buffer, size_t capacity);
/* Make room for one more mutator's task. Called by attach before the mutator is listed. False: no memory. */
bool varve__roots_reserve_mutators(struct varve_roots *roots, size_t mutators);

#endif
