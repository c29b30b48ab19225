/* SPDX-License-Identifier: MIT */
/* test_rights.c -- memory that can be written to cannot be executed; and a process with more rights than who started it
 * believes nothing that its environment says.
 *
 * The second test copies this program, gives the copy another group and the set-gid bit, and starts it with an
 * environment that is full of settings: the copy prints what its heap was made with. */
#define _GNU_SOURCE 1
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/heap.h"
#include "support/api.h"

/* ---- writable and executable -------------------------------------------------------------------------------------- */

static unsigned writable_code(void) {
  char line[512], rights[8];
  unsigned found = 0;
  FILE *file = fopen("/proc/self/maps", "re");
  assert_non_null(file);
  while (fgets(line, sizeof line, file))
    if (sscanf(line, "%*s %7s", rights) == 1) found += rights[1] == 'w' && rights[2] == 'x';
  fclose(file);
  return found;
}

/* Mappings without a file that can be executed: the system's own are the vdso and such. */
static unsigned anonymous_code(void) {
  char line[512], rights[8], name[256];
  unsigned found = 0;
  FILE *file = fopen("/proc/self/maps", "re");
  assert_non_null(file);
  while (fgets(line, sizeof line, file)) {
    *name = 0;
    sscanf(line, "%*s %7s %*s %*s %*s %255s", rights, name);
    found += rights[2] == 'x' && *name != '/' && *name != '[';
  }
  fclose(file);
  return found;
}

static void nothing_is_writable_and_executable(void **state) {
  (void)state;
  struct api api;
  unsigned before = anonymous_code();
  api_open(&api, "heap-max=64m,heap-initial=16m,workers=3,parallel-min=0,verify=2,poison=1,conservative-roots=1,stress=50");
  varve_word root = 0;
  assert_int_equal(varve_root_slots_add(api.heap, "root", &root, 1, NULL), VARVE_OK);
  for (unsigned i = 0; i < 3000; ++i) {
    root = api_pair(&api, i, &root, NULL);
    if (i % 100 == 0) assert_non_null(varve_alloc(api.me, api.data, 200 << 10));
    if (i % 1000 == 0) assert_int_equal(varve_pin(api.me, varve_untag(root)), VARVE_OK);
    assert_non_null(varve_handle_new(api.me, root));
  }
  api_collect(&api, NULL);
  assert_int_equal(writable_code(), 0);
  assert_int_equal(anonymous_code(), before);
  api_close(&api);
}

/* ---- more rights than who started it ------------------------------------------------------------------------------ */

/* What the copy says. `said`: how many lines of text the environment has caused on the standard error. */
static int tell(void) {
  varve_heap *heap;
  varve_options options;
  varve_options_init(&options);
  options.heap_max = 16 << 20;
  options.workers = 1;
  if (varve_heap_create(&options, &heap, NULL) != VARVE_OK) return 3;
  printf("secure=%d poison=%u nodes=%u real=%d\n", getauxval(AT_SECURE) != 0, varve_heap_options(heap)->poison,
         heap->topology->node_count, heap->topology->hwloc != NULL);
  return varve_heap_destroy(heap) == VARVE_OK ? 0 : 4;
}

static void copy_self(const char *to) {
  struct stat info;
  int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), file = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
  assert_true(from >= 0 && file >= 0 && fstat(from, &info) == 0);
  for (off_t left = info.st_size; left > 0;) {
    ssize_t sent = sendfile(file, from, NULL, (size_t)left);
    assert_true(sent > 0);
    left -= sent;
  }
  close(from);
  close(file);
}

/* A group that is not our own: any for root, for others one that they are in. */
static bool give_group(const char *path) {
  gid_t groups[64], own = getegid();
  int count = getgroups(64, groups);
  if (geteuid() == 0 && chown(path, (uid_t)-1, own == 65534 ? 65533 : 65534) == 0) return chmod(path, 02755) == 0;
  for (int i = 0; i < count; ++i)
    if (groups[i] != own && chown(path, (uid_t)-1, groups[i]) == 0) return chmod(path, 02755) == 0;
  return false;
}

/* Starts the program with settings of all kinds; what it printed. */
static void ask(const char *path, char *answer, size_t capacity) {
  static char *const environment[] = {"VARVE_OPTIONS=poison=1", "HWLOC_SYNTHETIC=numa:2 core:1 pu:1",
                                      "HWLOC_COMPONENTS_VERBOSE=1", "HWLOC_PLUGINS_PATH=/nowhere", NULL};
  char *const arguments[] = {(char *)path, "tell", NULL};
  int ends[2], state;
  assert_int_equal(pipe(ends), 0);
  pid_t pid = fork();
  if (pid == 0) {
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    execve(path, arguments, environment);
    _exit(126);
  }
  close(ends[1]);
  size_t length = 0;
  for (ssize_t got; length + 1 < capacity && (got = read(ends[0], answer + length, capacity - 1 - length)) > 0;)
    length += (size_t)got;
  answer[length] = 0;
  close(ends[0]);
  assert_int_equal(waitpid(pid, &state, 0), pid);
  if (!WIFEXITED(state) || WEXITSTATUS(state)) fail_msg("the copy ended with %#x: %s", state, answer);
}

static void a_set_gid_process_believes_nothing(void **state) {
  (void)state;
  char folder[] = "/tmp/varve-rights-XXXXXX", path[64], plain[4096], secure[4096];
  assert_non_null(mkdtemp(folder));
  assert_int_equal(chmod(folder, 0755), 0);
  snprintf(path, sizeof path, "%s/copy", folder);
  copy_self(path);
  ask(path, plain, sizeof plain);
  bool able = give_group(path);
  if (able) ask(path, secure, sizeof secure);
  unlink(path);
  rmdir(folder);
  if (!strstr(plain, "secure=0 poison=1 nodes=2 real=1")) fail_msg("without more rights: %s", plain);
  if (!able || strstr(secure, "secure=0")) {
    fprintf(stderr, "skipped: no other group, or set-gid programs have no effect here\n");
    skip();
  }
  if (strcmp(secure, "secure=1 poison=0 nodes=1 real=0\n") != 0) fail_msg("with more rights: %s", secure);
}

int main(int count, char **arguments) {
  if (count > 1 && strcmp(arguments[1], "tell") == 0) return tell();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_is_writable_and_executable),
      cmocka_unit_test(a_set_gid_process_believes_nothing),
  };
  return cmocka_run_group_tests_name("rights", tests, NULL, NULL);
}
