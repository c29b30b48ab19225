/* SPDX-License-Identifier: MIT */
/* inject.h -- calls of the library to the system that fail when they are told to, and what it has not given back.
 *
 * Idea       The linker leads the library's calls through wrappers (tests/CMakeLists.txt lists them). Each counts,
 *            fails when it is its turn, and otherwise asks the system. What is mapped, open, started or allocated is
 *            counted as well. The system's machine has one node; `machine` makes it one of two, and nodes are what
 *            mbind said.
 * Called by  the programs in tests/fault. One scenario at a time in a process; wrappers run in any thread.
 */
#ifndef VARVE_TESTS_FAULT_INJECT_H
#define VARVE_TESTS_FAULT_INJECT_H

#include <stdbool.h>
#include <stdint.h>

enum fault {
#define FAULT(name, text, error) FAULT_##name,
#include "fault/faults.def"
#undef FAULT
  FAULT_COUNT
};

/* "mmap: ENOMEM" and so on. */
const char *fault_name(enum fault fault);

/* From now on the calls of this kind with the numbers `first` (from 1) to `first` + `length` - 1 fail. FAULT_ANY: calls
 * of all kinds. Counts begin anew. */
void fault_arm(enum fault fault, uint64_t first, uint64_t length);
/* Nothing fails any more. */
void fault_disarm(void);
/* How many have failed since fault_arm. */
uint64_t fault_fired(void);
/* How many calls of the kind there were since fault_arm, also after fault_disarm. */
uint64_t fault_calls(enum fault fault);
/* Do all later calls of the armed kind fail? */
bool fault_lasts(void);

/* What the library holds of the system. */
struct held {
  int64_t bytes; /* mapped; less what the system would not unmap when told to fail */
  int64_t files, threads, blocks, hwloc;
};
struct held held_now(void);

/* A machine of two nodes, whose memory policy is none (0), preferred (1), bound (2) or interleaved (3); -1: what
 * the machine is. Before a heap is created. */
void machine(int policy);
/* The share of regions, in 1/16, whose pages turn out to be on the other node. */
void machine_astray(unsigned sixteenths);

/* Has the administrator set huge pages aside? They are ordinary ones in truth. */
void machine_pool(bool full);

/* Sleep, in one of `period` of the phases of each worker, before and after. 0: never. */
void delay_workers(unsigned period);

#endif
