/* SPDX-License-Identifier: MIT */
/* park.h -- waiting: spin for a bounded time, then sleep on a futex word; and a lock made of that.
 *
 * A futex word is a 32-bit atomic. A waiter that saw value v sleeps only while the word still holds v, so a change
 * made between the look and the sleep is never missed; the changer wakes after the change.
 *
 * Quiet words have a count of sleepers beside them, so that a change that nobody sleeps on makes no system call.
 * Waiter: count up, then look at the word again (varve__park_quietly). Changer: change the word, then look at the count
 * (park_wake_quietly). All four are sequentially consistent, so in their single order either the changer's look comes
 * after the count, and it wakes; or it comes before, then so does the change, and the waiter's second look sees it.
 */
#ifndef VARVE_BASE_PARK_H
#define VARVE_BASE_PARK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

static inline void park_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  __asm__ volatile("" ::: "memory");
#endif
}

/* Sleep while *word == value; may return early. */
void varve__park_sleep(_Atomic uint32_t *word, uint32_t value);
/* Wake up to `count` sleepers of the word. */
void varve__park_wake(_Atomic uint32_t *word, int count);

/* A quiet word: sleep while *word == value; may return early. Acquire: pairs with the changer's release. */
void varve__park_quietly(_Atomic uint32_t *word, _Atomic uint32_t *sleepers, uint32_t value);
/* The same, for so many nanoseconds at most; 0: as long as it takes. */
void varve__park_quietly_for(_Atomic uint32_t *word, _Atomic uint32_t *sleepers, uint32_t value, uint64_t ns);
/* A quiet word: wait while *word == value, spinning `spin` times before sleeping. Acquire, likewise.
 * @return the new value. */
uint32_t varve__park_while(_Atomic uint32_t *word, _Atomic uint32_t *sleepers, uint32_t value, uint32_t spin);
/* A quiet word that the caller has changed, by a sequentially consistent operation: wake up to `count`. */
static inline void park_wake_quietly(_Atomic uint32_t *word, _Atomic uint32_t *sleepers, int count) {
  if (atomic_load(sleepers)) varve__park_wake(word, count);
}

/* A lock for short, rare sections. No system call unless contended for longer than it is polled. All zero: free. */
struct varve_lock {
  _Atomic uint32_t word; /* 0 free, 1 held, 2 held and somebody sleeps */
  uint32_t spin;         /* how often it is polled before the caller sleeps; 0: VARVE__LOCK_SPIN */
};
#ifndef VARVE__LOCK_SPIN
#define VARVE__LOCK_SPIN 200u
#endif
void varve__lock_slow(struct varve_lock *lock);
bool varve__lock_try(struct varve_lock *lock);
void varve__lock_release(struct varve_lock *lock);

static inline void varve__lock_take(struct varve_lock *lock) {
  if (!varve__lock_try(lock)) varve__lock_slow(lock);
}

#endif
