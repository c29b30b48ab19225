/* SPDX-License-Identifier: MIT */
/* movers.c -- see movers.h. */
#include "movers.h"

static void visit(void *context, size_t part, varve_visitor *visitor) {
  struct movers *movers = context;
  (void)part;
  bool marking = movers->calls++ == 0;
  if (movers->slot_count && (marking || movers->fix)) varve_visit_range(visitor, movers->slots, movers->slot_count);
}

void movers_open(struct movers *movers, uint64_t bytes) {
  uint64_t room = bytes + bytes / 8 + ((uint64_t)8 << 20);
  *movers = (struct movers){.bytes = bytes};
  host_open(&movers->host, room * 2, room, "workers=1");
  if (varve_root_callback_add(movers->host.heap, "slots", visit, movers, 1, NULL) != VARVE_OK) die("callback");
}

void movers_close(struct movers *movers) {
  if (varve_root_callback_remove(movers->host.heap, visit, movers) != VARVE_OK) die("callback");
  host_close(&movers->host);
}

void movers_drop(struct movers *movers) {
  movers->slot_count = 0;
  movers->calls = 0;
  host_collect(&movers->host);
  movers->calls = 0;
}

void movers_fill(struct movers *movers, unsigned percent, unsigned copies, bool random) {
  size_t count = movers->bytes / 32, live = 0;
  uint64_t seed = 7;
  varve_word *slots = arena(ARENA_ADDRESSES, (count * percent / 100 + count / 50 + 64) * (copies + 1) * sizeof *slots);
  movers_drop(movers);
  for (size_t i = 0; i < count; ++i) {
    varve_word word = varve_tag(host_alloc(&movers->host, movers->host.data, 32), 0);
    if (random_next(&seed) % 100 < percent) slots[live++] = word;
  }
  for (size_t i = live; i < live * copies + (random ? live : 0); ++i)
    slots[i] = random ? slots[random_next(&seed) % live] : slots[i - live];
  movers->slots = random ? slots + live : slots;
  movers->slot_count = live * copies;
}
