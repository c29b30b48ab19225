/* SPDX-License-Identifier: MIT */
/* check.h -- assertions at three prices.
 *
 *   VARVE_ALWAYS     corruption that must stop the process in every build
 *   VARVE_REQUIRE    a caller's contract; check level 1 and up
 *   VARVE_INVARIANT  our own; check level 2 and up
 *
 * Level 0 is the release build. Each failure names the invariant in words, then stops the process.
 */
#ifndef VARVE_BASE_CHECK_H
#define VARVE_BASE_CHECK_H

#ifndef VARVE_CHECK_LEVEL
#define VARVE_CHECK_LEVEL 0
#endif

/* Print "varve: file:line: message" to stderr and abort. Allocates nothing. */
_Noreturn void varve__fatal(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

#define VARVE_ALWAYS(condition, ...) \
  ((condition) ? (void)0 : varve__fatal(__FILE__, __LINE__, __VA_ARGS__))

#if VARVE_CHECK_LEVEL >= 1
#define VARVE_REQUIRE(condition, ...) VARVE_ALWAYS(condition, __VA_ARGS__)
#else
#define VARVE_REQUIRE(condition, ...) ((void)sizeof((condition) ? 1 : 0))
#endif
#if VARVE_CHECK_LEVEL >= 2
#define VARVE_INVARIANT(condition, ...) VARVE_ALWAYS(condition, __VA_ARGS__)
#else
#define VARVE_INVARIANT(condition, ...) ((void)sizeof((condition) ? 1 : 0))
#endif

#endif
