# SPDX-License-Identifier: MIT
"""contenders.py -- who is compared, and how each is told its heap.

A contender is one implementation (a name in programs.json) under one setting. Its memory is bounded in one of three
ways:

    limit   a hard one: the program runs out of memory beyond it
    goal    the collector works towards it and goes beyond when it must
    free    nothing bounds it; it is run once a program, not once a heap size
"""
import os
from dataclasses import dataclass, field

WARM_UPS = 2  # of Java, whose compiler works while the program runs

# What a user may have set for programs of his own. It must not reach those that are compared.
FOREIGN = {"GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GODEBUG", "OCAMLRUNPARAM", "CAMLRUNPARAM", "VARVE_OPTIONS",
           "LD_PRELOAD", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH"}
FOREIGN_PREFIXES = ("GC_", "MALLOC_", "MIMALLOC_", "GLIBC_")


@dataclass(frozen=True)
class Contender:
    name: str
    implementation: str
    bounded: str
    heap_option: bool = False      # --heap BYTES
    java: tuple = ()               # options of the virtual machine
    settings: dict = field(default_factory=dict)  # environment; {limit} and {overhead} stand for the heap
    how: str = ""
    form_of: str = ""              # another contender: a setting of the same thing, which is no peer of it

    def repeats(self, warm=WARM_UPS):
        """How often one process runs the program."""
        return 1 + warm if self.java else 1

    def command(self, argv, program, size, threads, limit=None, warm=WARM_UPS):
        """The command line; argv is how the implementation is started."""
        line = list(argv)
        if self.java:
            kib = f"{limit // 1024}k"
            line[1:1] = [*self.java, f"-Xms{kib}", f"-Xmx{kib}"]
        line += [program, str(size), str(threads)]
        if self.java and warm:
            line += ["--warm", str(warm)]
        if self.heap_option:
            line += ["--heap", str(limit)]
        return line

    def environment(self, limit=None, factor=None):
        kept = {name: value for name, value in os.environ.items()
                if name not in FOREIGN and not name.startswith(FOREIGN_PREFIXES)}
        overhead = max(1, round((factor - 1) * 100)) if factor else None
        for name, value in self.settings.items():
            kept[name] = value.format(limit=limit, overhead=overhead)
        return kept


CONTENDERS = [
    Contender("varve", "varve", "limit", heap_option=True, how="`--heap`; collects on all cores"),
    Contender("varve-full", "varve", "limit", heap_option=True, settings={"VARVE_OPTIONS": "ages=0"}, form_of="varve",
              how="Varve without ages (`ages=0`): every collection takes the whole heap"),
    Contender("boehm", "boehm", "limit", heap_option=True,
              how="`--heap`; marks on all cores; conservative, moves nothing"),
    Contender("java-serial", "java", "limit", java=("-XX:+UseSerialGC",), how="`-Xms` = `-Xmx`; generations"),
    Contender("java-parallel", "java", "limit", java=("-XX:+UseParallelGC",), how="`-Xms` = `-Xmx`; generations"),
    Contender("java-g1", "java", "limit", java=("-XX:+UseG1GC",),
              how="`-Xms` = `-Xmx`; generations, marks beside the program"),
    Contender("go", "go", "goal", settings={"GOGC": "off", "GOMEMLIMIT": "{limit}"},
              how="`GOMEMLIMIT` with `GOGC=off`, a goal; marks beside the program, moves nothing"),
    Contender("ocaml", "ocaml", "goal", settings={"OCAMLRUNPARAM": "o={overhead}"},
              how="`space_overhead` = 100 (factor - 1), a goal; generations, marks in slices; threads take turns"),
    Contender("glibc", "glibc", "free", how="malloc and explicit free"),
    Contender("jemalloc", "jemalloc", "free", how="malloc and explicit free"),
    Contender("mimalloc", "mimalloc", "free", how="malloc and explicit free"),
    Contender("go-default", "go", "free", settings={"GOGC": "100"}, how="`GOGC=100`"),
    Contender("ocaml-default", "ocaml", "free", how="its own `space_overhead`"),
]
BY_NAME = {contender.name: contender for contender in CONTENDERS}
VARVE = [contender.name for contender in CONTENDERS if "varve" in (contender.name, contender.form_of)]


def available(implementations, only=None):
    """Those that were built, of those asked for; and the names of those that were not built."""
    wanted = [contender for contender in CONTENDERS if not only or contender.name in only]
    there = [contender for contender in wanted if contender.implementation in implementations]
    return there, [contender.name for contender in wanted if contender not in there]
