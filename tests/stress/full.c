/* SPDX-License-Identifier: MIT */
/* full.c -- a heap at its limit: it compacts what fits, says NULL when nothing does, loses nothing, and recovers.
 *
 * @test default quick
 * @test moving stress --options move-everything=1,verify=2,poison=1
 * @test overflow stress --options mark-segments=1,verify=1
 *
 *   full [--options LIST]
 *
 * For small, medium, large and mixed objects: (1) chain objects until allocation says NULL; count and check them; what
 * was filled must be most of the limit. (2) Unlink every second one and fill again: the holes must come back. (3) Drop
 * everything: the heap must take as much as at first. (4) A ring of a fixed size at three quarters of the limit goes on
 * through many times the heap's size.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <varve/varve.h>

#define HEAP_MAX (48u << 20)

struct link {
  varve_object header;
  uint64_t number, bytes;
  varve_word next;
};

struct sizes {
  const char *name;
  size_t bytes[4]; /* taken in turn */
};

static const struct sizes sorts[] = {
    {"small", {32, 48, 40, 2048}},
    {"medium", {2056, 6000, 40000, 128 << 10}},
    {"large", {200 << 10, 1 << 20, 300000, 140 << 10}},
    {"mixed", {32, 3000, 150 << 10, 64}},
};

static varve_heap *heap;
static varve_mutator *me;
static varve_layout LINK;
static const char *doing = "";

static void require(bool right, const char *what) {
  if (right) return;
  fprintf(stderr, "full: %s: %s\n", doing, what);
  abort();
}

/* The last word of an object repeats its number. */
static uint64_t *last_word(struct link *link) { return (uint64_t *)((char *)link + link->bytes) - 1; }

static struct link *link_of(varve_word word) { return (struct link *)varve_untag(word); }

/* Add one link in front of the chain. @return false when the heap is full. */
static bool add(varve_word *chain, uint64_t number, size_t bytes) {
  struct link *link = varve_alloc_uninit(me, LINK, bytes);
  if (!link) {
    require(varve_mutator_status(me) == VARVE_HEAP_FULL, "NULL without VARVE_HEAP_FULL");
    return false;
  }
  link->number = number;
  link->bytes = bytes;
  varve_init(me, link, &link->next, *chain);
  if (bytes > sizeof *link) *last_word(link) = ~number;
  *chain = varve_tag(link, 0);
  return true;
}

static uint64_t fill(varve_word *chain, const struct sizes *sizes, uint64_t *bytes) {
  uint64_t count = 0;
  while (add(chain, count, sizes->bytes[count % 4])) *bytes += sizes->bytes[count++ % 4];
  return count;
}

/* Every link of the chain is whole, and numbers fall by `step` from `first`. */
static uint64_t check_chain(varve_word chain, uint64_t first, uint64_t step) {
  uint64_t count = 0;
  for (; chain; chain = varve_load(&link_of(chain)->next), ++count) {
    struct link *link = link_of(chain);
    require(link->number == first - count * step, "a link is lost or out of order");
    require(link->bytes == sizeof *link || *last_word(link) == ~link->number, "a link's last word is wrong");
  }
  return count;
}

static void unlink_every_second(varve_word chain) {
  while (chain && link_of(chain)->next) {
    struct link *link = link_of(chain);
    varve_store(me, link, &link->next, link_of(link->next)->next);
    chain = link->next;
  }
}

static uint64_t chain_bytes(varve_word chain) {
  uint64_t bytes = 0;
  for (; chain; chain = link_of(chain)->next) bytes += link_of(chain)->bytes;
  return bytes;
}

static void try_sort(const struct sizes *sizes) {
  VARVE_FRAME(f, me, chain, more);
  uint64_t first_bytes = 0, bytes = 0, count, halved;
  doing = sizes->name;
  count = fill(&f.chain, sizes, &first_bytes);
  require(check_chain(f.chain, count - 1, 1) == count, "the chain is short");
  require(first_bytes > HEAP_MAX / 10 * 8, "full although less than 80 % of the limit is live");
  unlink_every_second(f.chain);
  halved = chain_bytes(f.chain);
  fill(&f.more, sizes, &bytes);
  require(check_chain(f.chain, count - 1, 2) == (count + 1) / 2, "the halved chain is short");
  require(bytes + halved > HEAP_MAX / 10 * 8, "holes did not come back");
  f.chain = f.more = 0;
  bytes = 0;
  fill(&f.chain, sizes, &bytes);
  require(bytes > first_bytes / 10 * 9, "less fits after everything was dropped");
}

/* Live: three quarters of the limit, all the time; every new link replaces an old one. */
static void try_ring(void) {
  enum { SLOTS = 64, BYTES = 4096 };
  static varve_word slots[SLOTS];
  uint64_t each = HEAP_MAX / 4 * 3 / SLOTS, made = 0;
  doing = "ring";
  require(varve_root_slots_add(heap, "ring", slots, SLOTS, NULL) == VARVE_OK, "slots refused");
  for (unsigned turn = 0; turn < 6 * SLOTS; ++turn) {
    slots[turn % SLOTS] = 0;
    for (uint64_t bytes = 0; bytes < each; bytes += BYTES, ++made)
      require(add(&slots[turn % SLOTS], made, made % 2 ? BYTES : BYTES / 4 * 3), "full at three quarters");
  }
  require(varve_root_slots_remove(heap, slots) == VARVE_OK, "slots not removed");
}

static void open_heap(const char *more) {
  static const uint32_t offsets[] = {offsetof(struct link, next)};
  varve_options options;
  varve_error error = {0};
  varve_options_init(&options);
  options.heap_max = HEAP_MAX;
  options.workers = 2;
  if ((more && varve_options_parse(&options, more, &error) != VARVE_OK) ||
      varve_heap_create(&options, &heap, &error) != VARVE_OK ||
      varve_layout_register(heap, &(varve_layout_desc){.name = "link", .kind = VARVE_LAYOUT_OFFSETS,
                                                       .offsets = offsets, .offset_count = 1}, &LINK, &error) ||
      varve_attach(heap, "full", &me, &error) != VARVE_OK) {
    fprintf(stderr, "full: %s\n", error.detail);
    exit(2);
  }
}

int main(int argc, char **argv) {
  varve_heap_stats stats;
  open_heap(argc == 3 && !strcmp(argv[1], "--options") ? argv[2] : NULL);
  for (size_t i = 0; i < sizeof sorts / sizeof sorts[0]; ++i) try_sort(&sorts[i]);
  require(!varve_alloc(me, LINK, HEAP_MAX * 2ull), "an object larger than the heap");
  require(varve_mutator_status(me) == VARVE_TOO_LARGE, "status of an object larger than the heap");
  try_ring();
  varve_heap_stats_get(heap, &stats);
  printf("%" PRIu64 " collections, %" PRIu64 " emergencies\n", stats.collections, stats.emergencies);
  require(varve_detach(me) == VARVE_OK, "detach");
  return varve_heap_destroy(heap) == VARVE_OK ? 0 : 1;
}
