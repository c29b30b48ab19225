/* SPDX-License-Identifier: MIT */
/* park.c -- the futex system call, and the three-state lock of Drepper, "Futexes Are Tricky" (2011), section 5. */
#define _GNU_SOURCE
#include "core/base/park.h"

#include <limits.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void varve__park_sleep(_Atomic uint32_t *word, uint32_t value) {
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

void varve__park_wake(_Atomic uint32_t *word, int count) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

void varve__park_quietly(_Atomic uint32_t *word, _Atomic uint32_t *sleepers, uint32_t value) {
  atomic_fetch_add(sleepers, 1);
  if (atomic_load(word) == value) varve__park_sleep(word, value);
  atomic_fetch_sub(sleepers, 1);
}

void varve__park_quietly_for(_Atomic uint32_t *word, _Atomic uint32_t *sleepers, uint32_t value, uint64_t ns) {
  struct timespec most = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};
  atomic_fetch_add(sleepers, 1);
  if (atomic_load(word) == value)
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, ns ? &most : NULL, NULL, 0);
  atomic_fetch_sub(sleepers, 1);
}

uint32_t varve__park_while(_Atomic uint32_t *word, _Atomic uint32_t *sleepers, uint32_t value, uint32_t spin) {
  uint32_t now;
  for (uint32_t i = 0; i < spin; ++i) {
    now = atomic_load_explicit(word, memory_order_acquire);
    if (now != value) return now;
    park_pause();
  }
  while ((now = atomic_load(word)) == value) varve__park_quietly(word, sleepers, value);
  return now;
}

/* Acquire: pairs with the release in varve__lock_release. */
bool varve__lock_try(struct varve_lock *lock) {
  uint32_t expected = 0;
  return atomic_compare_exchange_strong_explicit(&lock->word, &expected, 1, memory_order_acquire,
                                                 memory_order_relaxed);
}

void varve__lock_slow(struct varve_lock *lock) {
  uint32_t spin = lock->spin ? lock->spin : VARVE__LOCK_SPIN;
  for (uint32_t i = 0; i < spin; ++i) {
    if (varve__lock_try(lock)) return;
    park_pause();
  }
#ifdef VARVE_PLANT_LOCK_FORGETS
  while (!varve__lock_try(lock))
    if (atomic_exchange(&lock->word, 2)) varve__park_sleep(&lock->word, 2);
    else return;
#else
  while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) != 0) varve__park_sleep(&lock->word, 2);
#endif
}

void varve__lock_release(struct varve_lock *lock) {
  if (atomic_exchange_explicit(&lock->word, 0, memory_order_release) == 2) varve__park_wake(&lock->word, 1);
}
