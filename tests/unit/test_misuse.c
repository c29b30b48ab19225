/* SPDX-License-Identifier: MIT */
/* test_misuse.c -- wrong calls that the public headers name: each gives the status and the detail, or ends the process
 * with the message, that misuse.def says. A row has a heap of its own, which is sound and can end afterwards. */
#define _GNU_SOURCE 1
#include <alloca.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/check.h"
#include "support/api.h"

/* What calls may use. */
static varve_options options;
static varve_mutator *other;
static varve_layout layout;
static varve_refs *refs;
static varve_slab_cursor cursor;
static varve_narrow_coding coding;
static varve_word slots[8];
static const varve_layout_desc no_kind = {.name = "none"};
static const varve_layout_desc narrow_array = {.name = "narrow", .kind = VARVE_LAYOUT_REF_ARRAY, .narrow = true};

/* ---- calls that need more than one line ---------------------------------------------------------------------- */

static varve_status create_with(size_t size, uint64_t most, uint64_t initial, varve_error *error) {
  varve_heap *heap = NULL;
  varve_options_init(&options);
  options.size = size;
  options.heap_max = most;
  options.heap_initial = initial;
  varve_status status = varve_heap_create(&options, &heap, error);
  assert_null(heap);
  return status;
}

static void print_nothing(void *context, const char *text) { (void)context, (void)text; }

static varve_status print_with_environment(const char *text) {
  setenv("VARVE_OPTIONS", text, 1);
  varve_status status = varve_topology_print(NULL, print_nothing, NULL);
  unsetenv("VARVE_OPTIONS");
  return status;
}

static varve_status create_with_environment(const char *text, varve_error *error) {
  varve_heap *heap;
  setenv("VARVE_OPTIONS", text, 1);
  varve_status status = varve_heap_create(NULL, &heap, error);
  unsetenv("VARVE_OPTIONS");
  return status;
}

static varve_status immortal_without_ages(varve_error *error) {
  struct api young;
  api_open(&young, "heap-max=8m,ages=0");
  varve_status status = varve_heap_make_immortal(young.me, error);
  api_close(&young);
  return status;
}

static varve_status detach_with(struct api *api, bool frame, bool pinned, bool derived) {
  struct {
    varve_frame head;
    varve_word slot;
  } f = {.slot = 0}, p = {.slot = 0};
  void *address = NULL;
  varve_derived pair = {NULL, &f.slot, &address, 0};
  if (frame) varve_frame_push(api->me, &f.head, 1);
  if (pinned) varve_pinned_push(api->me, &p.head, 1);
  if (derived) varve_derived_push(api->me, &pair);
  varve_status status = varve_detach(api->me);
  if (frame) varve_frame_pop(api->me, &f.head);
  if (pinned) varve_pinned_pop(api->me, &p.head);
  if (derived) varve_derived_pop(api->me, &pair);
  return status;
}

static void *poll_slowly(void *api) {
  varve_poll_slow(((struct api *)api)->me);
  return NULL;
}

static void *alloc_slowly(void *api) {
  return varve_alloc_slow(((struct api *)api)->me, ((struct api *)api)->data, 5000);
}

static void on_thread(struct api *api, void *(*body)(void *)) {
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, body, api), 0);
  pthread_join(thread, NULL);
}

static varve_status status_of_alloc(struct api *api, varve_layout of, size_t bytes) {
  assert_null(varve_alloc(api->me, of, bytes));
  return varve_mutator_status(api->me);
}

static varve_status status_of_alloc_slow(struct api *api, varve_layout of, size_t bytes) {
  assert_null(varve_alloc_slow(api->me, of, bytes));
  return varve_mutator_status(api->me);
}

static varve_status fill(struct api *api) {
  VARVE_FRAME(f, api->me, list);
  for (;;) {
    varve_word *array = varve_alloc(api->me, api->array, 20000);
    if (!array) return varve_mutator_status(api->me);
    varve_init(api->me, array, &array[1], f.list);
    f.list = varve_tag(array, 0);
  }
}

static void alloc_native(struct api *api) {
  assert_int_equal(varve_native_enter(api->me), VARVE_OK);
  alloc_slowly(api);
}

static void visit_nothing(void *context, size_t part, varve_visitor *visitor) {
  (void)context, (void)part, (void)visitor;
}

static void visit_narrow(void *context, size_t part, varve_visitor *visitor) {
  (void)context, (void)part;
  varve_visit_narrow(visitor, (varve_narrow *)slots, 1);
}

static void visit_narrowly(struct api *api) {
  assert_int_equal(varve_root_callback_add(api->heap, "narrow", visit_narrow, NULL, 1, NULL), VARVE_OK);
  api_collect(api, NULL);
}

static void *odd_slots(void) { return (char *)slots + 4; }

/* Its payload; void after the next safepoint. */
static varve_word *slots_of_object(struct api *api) { return (varve_word *)varve_alloc(api->me, api->array, 64) + 1; }

static varve_status overlap(struct api *api, varve_error *error) {
  assert_int_equal(varve_root_slots_add(api->heap, "kept", slots, 4, NULL), VARVE_OK);
  return varve_root_slots_add(api->heap, "late", slots + 3, 2, error);
}

static varve_status add_array(struct api *api, varve_word *base, varve_narrow *narrow, size_t stride,
                              const uint64_t *bitmap, varve_error *error) {
  varve_ref_array array = {.name = "array", .base = base, .narrow = narrow, .stride = stride, .count = 1,
                           .bitmap = bitmap};
  return varve_ref_array_add(api->heap, &array, &refs, error);
}

static varve_refs *an_array(struct api *api) {
  assert_int_equal(add_array(api, slots, NULL, 8, NULL, NULL), VARVE_OK);
  return refs;
}

static varve_refs *a_slab(struct api *api) {
  varve_refs *slab = varve_slab_create(api->heap, "slab");
  assert_non_null(slab);
  return slab;
}

static varve_word *word_of(varve_refs *slab, struct api *api) {
  varve_slab_cursor_open(&cursor, slab);
  return varve_slab_take(&cursor, api->me, 0);
}

static void give_twice(struct api *api) {
  varve_refs *slab = a_slab(api);
  varve_word *word = word_of(slab, api);
  varve_slab_give(slab, word);
  varve_slab_give(slab, word);
}

static varve_status add_callback_twice(struct api *api, varve_error *error) {
  assert_int_equal(varve_root_callback_add(api->heap, "x", visit_nothing, NULL, 1, NULL), VARVE_OK);
  return varve_root_callback_add(api->heap, "x", visit_nothing, NULL, 1, error);
}

static void damage_frames(struct api *api) {
  varve_frame frame = {NULL, (size_t)1 << 60};
  api->me->frames = &frame;
  api_collect(api, NULL);
}

static void damage_pinned_frames(struct api *api) {
  varve_frame frame = {NULL, (size_t)1 << 60};
  api->me->pinned = &frame;
  api_collect(api, NULL);
}

/* ---- host functions that call the library in a pause */

static varve_status from_pause;

static void collect_there(void *context, size_t part, varve_visitor *visitor) {
  (void)part, (void)visitor;
  from_pause = varve_collect(((struct api *)context)->me);
}

static varve_status collect_in_pause(struct api *api) {
  assert_int_equal(varve_root_callback_add(api->heap, "calls", collect_there, api, 1, NULL), VARVE_OK);
  api_collect(api, NULL);
  assert_int_equal(varve_root_callback_remove(api->heap, collect_there, api), VARVE_OK);
  return from_pause;
}

static void alloc_there(void *context, size_t part, varve_visitor *visitor) {
  (void)part, (void)visitor;
  if (varve_alloc(((struct api *)context)->me, ((struct api *)context)->data, 16)) abort();
}

static void alloc_in_pause(struct api *api) {
  assert_int_equal(varve_root_callback_add(api->heap, "calls", alloc_there, api, 1, NULL), VARVE_OK);
  api_collect(api, NULL);
}

/* ---- after_collection */

static void detach_there(void *context, varve_mutator *me, const varve_collection_stats *stats) {
  (void)context, (void)stats;
  from_pause = varve_detach(me);
}

static varve_status detach_after_collection(void) {
  struct api told;
  varve_options mine;
  varve_options_init(&mine);
  mine.heap_max = 8 << 20;
  mine.after_collection = detach_there;
  api_open_options(&told, &mine);
  api_collect(&told, NULL);
  api_close(&told);
  return from_pause;
}

/* ---- stores and threads */

/* An old object that was said to be immutable gets a new one, by a plain store. */
static void write_late(void) {
  static const uint32_t offsets[] = {8};
  struct api sound;
  varve_word root = 0;
  api_open(&sound, "heap-max=8m,verify=1");
  varve_layout fixed = api_layout(sound.heap, &(varve_layout_desc){.name = "fixed", .kind = VARVE_LAYOUT_OFFSETS,
                                  .immutable = true, .offsets = offsets, .offset_count = 1});
  assert_int_equal(varve_root_slots_add(sound.heap, "root", &root, 1, NULL), VARVE_OK);
  root = varve_tag(varve_alloc(sound.me, fixed, 16), 0);
  api_collect_newest(&sound, NULL);
  varve_word late = varve_tag(varve_alloc(sound.me, sound.data, 16), 0);
  ((varve_word *)varve_untag(root))[1] = late;
  api_collect_newest(&sound, NULL);
}

static void end_at_a_line(void *context, int level, const char *line) {
  (void)context, (void)level;
  fprintf(stderr, "varve: %s\n", line);
  abort();
}

/* One thread with two running mutators waits for itself; the log says for which. */
static void run_two(void) {
  struct api api;
  varve_options mine;
  varve_mutator *second;
  varve_options_init(&mine);
  mine.heap_max = 8 << 20;
  mine.stop_warning = 20;
  mine.log = end_at_a_line;
  api_open_options(&api, &mine);
  assert_int_equal(varve_mutator_attach(api.heap, "second", 0, &second, NULL), VARVE_OK);
  api_collect(&api, NULL);
}

static varve_handle *freed_handle(struct api *api) {
  varve_handle *handle = varve_handle_new(api->me, 0);
  varve_handle_free(api->me, handle);
  return handle;
}

static varve_handle *foreign_handle(void) {
  struct api foreign;
  api_open(&foreign, "heap-max=8m");
  return varve_handle_new(foreign.me, 0);
}

static void never_called(void *context) {
  (void)context;
  abort();
}

__attribute__((noinline)) static void collect_far_down(struct api *api) {
  volatile char *far = alloca(1 << 18);
  far[0] = 0;
  __asm__ volatile("" : : "r"(far) : "memory"); /* all of it is there */
  varve_collect(api->me);
  far[1] = 1;
}

static void leave_stack(struct api *api) {
  char *here = __builtin_frame_address(0);
  assert_int_equal(varve_mutator_conservative(api->me, here - 65536, here + 64, NULL), VARVE_OK);
  collect_far_down(api);
}

static varve_status coding_of_narrow_heap(unsigned compiled) {
  struct api narrow;
  api_open(&narrow, "heap-max=8m,narrow=1");
  varve_status status = varve_narrow_coding_of(narrow.heap, compiled, &coding);
  api_close(&narrow);
  return status;
}

static void ask_hash(varve_mutator *me, const void *object) {
  uint64_t hash = varve_identity_hash(me, object);
  (void)hash;
}

static void hash_of_copy(struct api *api) {
  varve_object *first = varve_alloc(api->me, api->data, 64), *second = varve_alloc(api->me, api->data, 64);
  ask_hash(api->me, first);
  *second = *first;
  ask_hash(api->me, second);
}

static void attach_finalizer(varve_mutator *me, const void *object) {
  varve_finalizer finalizer = varve_finalizer_attach(me, object, 0, NULL, NULL);
  (void)finalizer;
}

static void see_object(void *context, varve_object *object, size_t bytes) { (void)context, (void)object, (void)bytes; }
static void see_reference(void *context, const varve_reference *reference) { (void)context, (void)reference; }
static void see_row(void *context, const varve_census_row *row) { (void)context, (void)row; }

/* ---- the table ----------------------------------------------------------------------------------------------- */

enum where { HERE, NATIVE, ELSEWHERE };
typedef varve_status call_fn(struct api *api, varve_error *error);

struct row {
  call_fn *call;
  enum where where;
  varve_status status;     /* VARVE_OK: the process ends, */
  int level;               /* with this check level or more */
  const char *text, *misuse, *source;
};

#define NAME_(line) call_##line
#define NAME(line) NAME_(line)
#define MISUSE(where, status, detail, misuse, expression)                           \
  static varve_status NAME(__LINE__)(struct api *api, varve_error *error) {         \
    varve_mutator *me = api->me;                                                    \
    (void)me, (void)error;                                                          \
    return expression;                                                              \
  }
#define ENDS(level, message, misuse, expression)                                    \
  static varve_status NAME(__LINE__)(struct api *api, varve_error *error) {         \
    varve_mutator *me = api->me;                                                    \
    (void)me, (void)error;                                                          \
    expression;                                                                     \
    return VARVE_OK;                                                                \
  }
#include "unit/misuse.def"
#undef MISUSE
#undef ENDS

static const struct row rows[] = {
#define MISUSE(where, status, detail, misuse, expression) \
  {NAME(__LINE__), where, VARVE_##status, 0, detail, misuse, #expression},
#define ENDS(level, message, misuse, expression) {NAME(__LINE__), HERE, VARVE_OK, level, message, misuse, #expression},
#include "unit/misuse.def"
};
#define ROWS (sizeof rows / sizeof *rows)

/* ---- calls that return --------------------------------------------------------------------------------------- */

struct order {
  const struct row *row;
  struct api *api;
  varve_error error;
  varve_status status;
};

static void *carry_out(void *context) {
  struct order *order = context;
  order->status = order->row->call(order->api, &order->error);
  return NULL;
}

static void carry_out_where(struct order *order) {
  pthread_t thread;
  if (order->row->where == NATIVE) assert_int_equal(varve_native_enter(order->api->me), VARVE_OK);
  if (order->row->where == ELSEWHERE) {
    assert_int_equal(pthread_create(&thread, NULL, carry_out, order), 0);
    pthread_join(thread, NULL);
  } else {
    carry_out(order);
  }
  if (order->row->where == NATIVE) assert_int_equal(varve_native_leave(order->api->me), VARVE_OK);
}

static void judge(const struct order *order) {
  const struct row *row = order->row;
  const char *where = row->where == NATIVE ? ", native" : row->where == ELSEWHERE ? ", another thread" : "";
  if (order->status != row->status)
    fail_msg("%s (%s%s): %d, not %d: %s", row->source, row->misuse, where, order->status, row->status,
             order->error.detail);
  if (!*row->text) return;
  if (order->error.status != row->status || !strstr(order->error.detail, row->text))
    fail_msg("%s (%s%s): \"%s\" is not in \"%s\"", row->source, row->misuse, where, row->text, order->error.detail);
}

static void wrong_calls_return_errors(void **state) {
  (void)state;
  for (size_t i = 0; i < ROWS; ++i) {
    struct api api;
    struct order order = {.row = &rows[i], .api = &api};
    if (rows[i].status == VARVE_OK) continue;
    memset(slots, 0, sizeof slots);
    varve_options_init(&options);
    api_open(&api, "heap-max=8m,workers=1");
    carry_out_where(&order);
    judge(&order);
    api_collect(&api, NULL);
    api_sound(&api);
    api_close(&api);
  }
}

/* ---- calls that end the process ------------------------------------------------------------------------------ */

static _Noreturn void end_here(const struct row *row, int out) {
  struct api api;
  setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
  dup2(out, STDERR_FILENO);
  memset(slots, 0, sizeof slots);
  api_open(&api, "heap-max=8m,workers=1");
  row->call(&api, NULL);
  _exit(0);
}

/* What the child says before it ends. @return how it ended. */
static int watch(const struct row *row, char *text, size_t capacity) {
  int ends[2], state;
  size_t length = 0;
  assert_int_equal(pipe(ends), 0);
  pid_t child = fork();
  if (child == 0) end_here(row, ends[1]);
  close(ends[1]);
  for (ssize_t got; length + 1 < capacity && (got = read(ends[0], text + length, capacity - 1 - length)) > 0;)
    length += (size_t)got;
  text[length] = 0;
  close(ends[0]);
  assert_int_equal(waitpid(child, &state, 0), child);
  return state;
}

static void grave_misuse_ends_the_process(void **state) {
  (void)state;
  for (size_t i = 0; i < ROWS; ++i) {
    char text[2000];
    if (rows[i].status != VARVE_OK || rows[i].level > VARVE_CHECK_LEVEL) continue;
    int ended = watch(&rows[i], text, sizeof text);
    if (!WIFSIGNALED(ended) && !(WIFEXITED(ended) && WEXITSTATUS(ended)))
      fail_msg("%s (%s): went through", rows[i].source, rows[i].misuse);
    if (!strstr(text, "varve: ") || !strstr(text, rows[i].text))
      fail_msg("%s (%s): \"%s\" is not in \"%s\"", rows[i].source, rows[i].misuse, rows[i].text, text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(wrong_calls_return_errors),
      cmocka_unit_test(grave_misuse_ends_the_process),
  };
  return cmocka_run_group_tests_name("misuse", tests, NULL, NULL);
}
