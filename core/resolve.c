/* SPDX-License-Identifier: MIT */
/* resolve.c -- see resolve.h. Called by conservative.c in a pause, and by running mutators (varve_object_of). */
#include "core/resolve.h"

#include "core/base/bits.h"
#include "core/heap.h"
#include "core/mutator.h"
#include "varve/alloc.h"

static uint64_t found(struct resolver *r, uint64_t object) {
  r->object = object;
  r->end = object + varve_object_bytes((const varve_object *)object);
  return object;
}

/* Objects lie end to end from `from`. */
static uint64_t walk(struct resolver *r, uint64_t from, uint64_t to, uint64_t address) {
  if (r->end > from && r->end <= address) from = r->end;
  while (from < to) {
    uint64_t bytes = varve_object_bytes((const varve_object *)from);
    if (!bytes || bytes > to - from) return 0;
    if (address - from < bytes) return found(r, from);
    from += bytes;
  }
  return 0;
}

static uint64_t line_of(const uint64_t *bitmap, size_t line) {
  return __atomic_load_n(&bitmap[line], __ATOMIC_ACQUIRE); /* with hole.c's release */
}

/* The first word of the run of set bits that the word is in. */
static size_t run_start(const uint64_t *bitmap, size_t word) {
  size_t line = word / 64;
  uint64_t clear = ~line_of(bitmap, line) & bits_below(word % 64);
  while (!clear && line) clear = ~line_of(bitmap, --line);
  return clear ? line * 64 + 64 - (size_t)__builtin_clzll(clear) : 0;
}

/* The bitmap speaks for the words from `base` to `end`: of those, the run that the address is in. */
static uint64_t find_marked(struct resolver *r, uint64_t base, uint64_t end, uint64_t address) {
  const uint64_t *bitmap = r->space->bitmap + space_word(r->space, base) / 64;
  size_t word = (address - base) / 8;
  if (!(line_of(bitmap, word / 64) >> word % 64 & 1)) return 0;
  return walk(r, base + run_start(bitmap, word) * 8, end, address);
}

/* A running mutator, and a hole that is being filled (R8): new objects follow on the run before it, of which some may
 * be marked by now. */
static uint64_t find_in_hole(struct resolver *r, uint64_t base, uint64_t address) {
  const uint64_t *bitmap = r->space->bitmap + space_word(r->space, base) / 64;
  size_t word = (address - base) / 8, line = word / 64, start = 0;
  uint64_t set = line_of(bitmap, line) & bits_below(word % 64);
  while (!set && line) set = line_of(bitmap, --line);
  if (set) start = run_start(bitmap, line * 64 + 63 - (size_t)__builtin_clzll(set));
  return walk(r, base + start * 8, base + VARVE__BLOCK_BYTES, address);
}

/* Where the objects of a fresh block end. Of a block that another mutator is filling only it knows. */
static uint64_t fresh_end(const struct resolver *r, uint32_t block) {
  const struct varve__mutator *m = r->mutator;
  uint64_t base = space_block_address(r->space, block);
  if (m && m->tlab_block == block) return m->head.cursor;
  if (m && m->spill_block == block) return m->spill_cursor;
  uint32_t top = r->space->blocks[block].top;
  return base + (m && !top ? VARVE__BLOCK_BYTES : top * 8u);
}

static uint64_t find_small(struct resolver *r, uint32_t block, uint64_t address) {
  uint64_t base = space_block_address(r->space, block);
  const struct varve__mutator *m = r->mutator;
  if (m && m->in_hole && address >= m->head.cursor && address < m->tlab_end) return 0;
  if (!space_is_fresh(r->space, block)) {
    uint64_t object = find_marked(r, base, base + VARVE__BLOCK_BYTES, address);
    bool filling = m && (__atomic_load_n(&r->space->blocks[block].flags, __ATOMIC_RELAXED) & BLOCK_HOLES);
    return object || !filling ? object : find_in_hole(r, base, address);
  }
  uint64_t end = fresh_end(r, block);
  return address < end ? walk(r, base, end, address) : 0;
}

/* The start noted last before the address. */
static uint64_t find_noted(struct resolver *r, uint64_t from, uint64_t address) {
  size_t least = space_word(r->space, from) / 64, word = space_word(r->space, address);
  for (size_t line = word / 64 + 1; line-- > least;) {
    uint16_t note = __atomic_load_n(&r->space->ranks[line], __ATOMIC_RELAXED);
    size_t start = line * 64 + note - 1;
    if (!note || start > word) continue;
    uint64_t object = r->space->base + start * 8;
    return address - object < varve_object_bytes((const varve_object *)object) ? found(r, object) : 0;
  }
  return 0;
}

static uint64_t find_medium(struct resolver *r, uint32_t region, uint64_t address) {
  const struct varve_region *one = &r->space->regions[region];
  uint64_t base = space_region_address(r->space, region), fresh = base + one->fresh_from * 8ull;
  if (address < fresh) return find_marked(r, base, fresh, address);
  uint64_t top = base + atomic_load_explicit(&one->top, memory_order_relaxed) * 8ull;
  return address < top ? find_noted(r, fresh, address) : 0;
}

static uint64_t find_large(struct resolver *r, uint32_t block, uint64_t address) {
  const struct varve_block *b = &r->space->blocks[block];
  uint64_t head = space_block_address(r->space, b->kind == BLOCK_LARGE_BODY ? block - b->age : block);
  return address - head < varve_object_bytes((const varve_object *)head) ? found(r, head) : 0;
}

uint64_t varve__resolve(struct resolver *r, uint64_t address) {
  const struct varve_space *space = r->space;
  if (address - r->object < r->end - r->object) return r->object;
  if (!space_contains(space, address)) return 0;
  uint32_t region = space_region(space, address), block = space_block(space, address);
  uint8_t kind = atomic_load_explicit(&space->regions[region].kind, memory_order_acquire);
  if (kind == REGION_MEDIUM) return find_medium(r, region, address);
  if (!region_has_blocks(kind)) return 0;
  uint8_t holds = space->blocks[block].kind;
  if (holds == BLOCK_SMALL) return find_small(r, block, address);
  return holds == BLOCK_LARGE_HEAD || holds == BLOCK_LARGE_BODY ? find_large(r, block, address) : 0;
}

void *varve_object_of(varve_mutator *head, varve_word word) {
  struct resolver resolver = {.space = &head->heap->space, .mutator = mutator_of(head)};
  return (void *)varve__resolve(&resolver, word);
}
