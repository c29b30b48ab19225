/* SPDX-License-Identifier: MIT */
/* consumer.cpp -- the same from C++17: every header, the inline functions and a frame. */
#include <cstdio>
#include <cstdlib>
#include <varve/varve.h>

namespace {

struct pair {
  varve_object head;
  varve_word left, right;
};

void need(bool ok, const char *what) {
  if (ok) return;
  std::fprintf(stderr, "consumer: %s\n", what);
  std::exit(1);
}

varve_word make_pair(varve_mutator *me, varve_layout layout, varve_word left, varve_word right) {
  VARVE_FRAME(f, me, left, right);
  f.left = left, f.right = right;
  pair *p = static_cast<pair *>(varve_alloc(me, layout, sizeof(pair)));
  need(p != nullptr, "allocation");
  varve_init(me, p, &p->left, f.left);
  varve_init(me, p, &p->right, f.right);
  return varve_tag(p, 0);
}

int depth(varve_word word) {
  int n = 0;
  for (; word != 0; word = varve_load(&reinterpret_cast<pair *>(varve_untag(word))->left)) n++;
  return n;
}

}  // namespace

int main() {
  const uint32_t slots[] = {8, 16};
  varve_layout_desc desc = {};
  desc.kind = VARVE_LAYOUT_OFFSETS, desc.offsets = slots, desc.offset_count = 2;
  varve_heap *heap = nullptr;
  varve_mutator *me = nullptr;
  varve_layout layout = 0;
  need(varve_heap_create(nullptr, &heap, nullptr) == VARVE_OK, "heap");
  need(varve_layout_register(heap, &desc, &layout, nullptr) == VARVE_OK, "layout");
  need(varve_attach(heap, "main", &me, nullptr) == VARVE_OK, "attach");
  {
    VARVE_FRAME(f, me, top);
    for (int i = 0; i < 100; i++) f.top = make_pair(me, layout, f.top, 0);
    need(varve_collect(me) == VARVE_OK, "collection");
    need(depth(f.top) == 100, "depth");
  }
  need(varve_detach(me) == VARVE_OK, "detach");
  need(varve_heap_destroy(heap) == VARVE_OK, "destroy");
  return 0;
}
