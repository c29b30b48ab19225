/* SPDX-License-Identifier: MIT */
/* parsers.c -- the table of parsers, with strings that mean something to them. */
#include "parsers.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const options_seeds[] = {"heap-max=64m,workers=2",
                                            "stress=9,verify=2,poison=1",
                                            "heap-sizing=adaptive,heap-thrift=17",
                                            "heap-soft=4m,gc-cpu=100",
                                            "slot-tags=51,ref-tags=21",
                                            "narrow=1,narrow-tag-bits=2,narrow-tags=5",
                                            "granule=16",
                                            "huge-pages=explicit",
                                            "heap-max=18446744073709551615",
                                            "heap-max=18014398509486080k",
                                            "dense=101,slide-budget=1g",
                                            "log=3,=,",
                                            NULL};
/* The texts of cgroup, mountinfo, cpu.max, memory.max and what version 1 has; the last ends by itself. */
static const char *const cgroup_seeds[] = {
    "0::/a\n|31 24 0:27 / /cg rw,nosuid shared:4 - cgroup2 cgroup2 rw\n|150000 100000\n|1000000\n|",
    "7:cpu,cpuacct:/a\n4:memory:/a\n|40 30 0:34 / /cg ro - cgroup cgroup rw,cpu,cpuacct\n|-1\n|9\n|100001\n",
    "4:memory:/d/a\n0::/\n|41 30 0:35 /d /cg ro - cgroup cgroup rw,memory\n|max 100000\n|max\n|9223372036854771712\n",
    "0::/../x\n|31 24 0:27 /.. /cg - - cgroup2 cgroup2 rw\n|0 0\n|18446744073709551616\n|-5\n", NULL};
/* One description of each kind; no byte is 0. */
static const char *const layout_seeds[] = {"\002\100\206\001\002\003\005\001",
                                           "\002\100\151\002\151\345",
                                           "\003\100\001\001\002",
                                           "\003\105\001\001\345",
                                           "\004\100\152\001\002\001\002\005",
                                           "\005\100\001\001\001\001\002\361\152\007\361\040",
                                           "\006\100\001\001\001\001\040\040\001\040\002\003\002\004\002",
                                           "\007\101",
                                           "\010\100\152\002\003\001\005",
                                           "\011\100\001\001\002",
                                           NULL};
static const char *const machine_seeds[] = {"\061\062\260\063\061", "\260\002\361\062", "\161\261\161\261\161", NULL};

const struct parser parsers[] = {{"options", parse_options, options_seeds},
                                 {"cgroup", parse_cgroup, cgroup_seeds},
                                 {"layout", parse_layout, layout_seeds},
                                 {"machine", parse_machine, machine_seeds},
                                 {0}};

void parse_fail(const char *format, ...) {
  va_list list;
  va_start(list, format);
  vfprintf(stderr, format, list);
  fputc('\n', stderr);
  va_end(list);
  abort();
}

uint64_t read_number(struct reader *reader, unsigned width) {
  uint64_t number = 0;
  for (unsigned i = 0; i < width && reader->left; ++i, ++reader->bytes, --reader->left)
    number |= (uint64_t)*reader->bytes << (8 * i);
  return number;
}
