/* SPDX-License-Identifier: MIT */
/* points.h -- what the compiler reads before each source of the library and of the programs that are run by turns:
 * every atomic operation becomes a point where another thread may go on instead, and what threads ask of the system is
 * asked of stand_ins.c. The sources know nothing of it, and no other build does.
 *
 * A macro's name in its own expansion is not expanded again, so it is the compiler's operation there; the macros of
 * <stdatomic.h> end in the same ones. A renamed function is declared by its own system header, under the new name. */
#ifndef VARVE_TURNS_POINTS_H
#define VARVE_TURNS_POINTS_H

void turns_point(const char *file, int line);
void turns_pause(const char *file, int line);
int turns_weak_fails(void);
unsigned long long turns_cycles(void);

#define TURNS_POINT turns_point(__FILE__, __LINE__)

/* A weak one may fail for no reason, as it does on other processors. */
#define TURNS_SPURIOUS(weak) ((weak) && turns_weak_fails())

#define __atomic_load_n(...) (TURNS_POINT, __atomic_load_n(__VA_ARGS__))
#define __atomic_load(...) (TURNS_POINT, __atomic_load(__VA_ARGS__))
#define __atomic_store_n(...) (TURNS_POINT, __atomic_store_n(__VA_ARGS__))
#define __atomic_store(...) (TURNS_POINT, __atomic_store(__VA_ARGS__))
#define __atomic_exchange_n(...) (TURNS_POINT, __atomic_exchange_n(__VA_ARGS__))
#define __atomic_exchange(...) (TURNS_POINT, __atomic_exchange(__VA_ARGS__))
#define __atomic_fetch_add(...) (TURNS_POINT, __atomic_fetch_add(__VA_ARGS__))
#define __atomic_fetch_sub(...) (TURNS_POINT, __atomic_fetch_sub(__VA_ARGS__))
#define __atomic_fetch_or(...) (TURNS_POINT, __atomic_fetch_or(__VA_ARGS__))
#define __atomic_fetch_and(...) (TURNS_POINT, __atomic_fetch_and(__VA_ARGS__))
#define __atomic_compare_exchange_n(p, old, new, weak, yes, no) \
  (TURNS_POINT, TURNS_SPURIOUS(weak) ? (*(old) = __atomic_load_n(p, no), 0) \
                                     : __atomic_compare_exchange_n(p, old, new, weak, yes, no))
#define __atomic_compare_exchange(p, old, new, weak, yes, no) \
  (TURNS_POINT, TURNS_SPURIOUS(weak) ? (__atomic_load(p, old, no), 0) \
                                     : __atomic_compare_exchange(p, old, new, weak, yes, no))

/* clang's <stdatomic.h> ends in these. */
#define __c11_atomic_load(...) (TURNS_POINT, __c11_atomic_load(__VA_ARGS__))
#define __c11_atomic_store(...) (TURNS_POINT, __c11_atomic_store(__VA_ARGS__))
#define __c11_atomic_exchange(...) (TURNS_POINT, __c11_atomic_exchange(__VA_ARGS__))
#define __c11_atomic_fetch_add(...) (TURNS_POINT, __c11_atomic_fetch_add(__VA_ARGS__))
#define __c11_atomic_fetch_sub(...) (TURNS_POINT, __c11_atomic_fetch_sub(__VA_ARGS__))
#define __c11_atomic_fetch_or(...) (TURNS_POINT, __c11_atomic_fetch_or(__VA_ARGS__))
#define __c11_atomic_fetch_and(...) (TURNS_POINT, __c11_atomic_fetch_and(__VA_ARGS__))
#define __c11_atomic_compare_exchange_strong(...) (TURNS_POINT, __c11_atomic_compare_exchange_strong(__VA_ARGS__))
#define __c11_atomic_compare_exchange_weak(p, old, new, yes, no) \
  (TURNS_POINT, turns_weak_fails() ? (*(old) = __c11_atomic_load(p, no), 0) \
                                   : __c11_atomic_compare_exchange_weak(p, old, new, yes, no))

#define __builtin_ia32_pause() turns_pause(__FILE__, __LINE__)
#define __builtin_ia32_rdtsc() turns_cycles()

#define syscall turns_syscall
#define clock_gettime turns_clock_gettime
#define sched_getcpu turns_sched_getcpu
#define mmap turns_mmap
#define fork turns_fork
#define pthread_create turns_pthread_create
#define pthread_join turns_pthread_join
#define pthread_mutex_lock turns_pthread_mutex_lock
#define pthread_mutex_unlock turns_pthread_mutex_unlock
#define pthread_barrier_init turns_pthread_barrier_init
#define pthread_barrier_wait turns_pthread_barrier_wait
#define pthread_barrier_destroy turns_pthread_barrier_destroy

#endif
