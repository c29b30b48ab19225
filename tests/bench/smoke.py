#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""smoke.py BENCH: every benchmark runs, and what it prints for machines is well formed. Speed is not judged."""
import json
import subprocess
import sys

NAMES = "alloc quiet mark slide fixup plan refs stop poll full young barrier notes metadata sizes narrow".split()
MAY_BE_ZERO = {"quiet", "fixup", "young", "notes", "metadata"}  # counts, differences and small rests


def fail(text):
    print("smoke:", text)
    sys.exit(1)


def check(name, line):
    figure = json.loads(line)
    if figure["bench"] != name:
        fail(f"{name}: a line of {figure['bench']}")
    if "target" in figure:
        return 0
    for key in ("value", "min", "max", "limit", "ratio"):
        value = figure.get(key, 1)
        least = 0 if name in MAY_BE_ZERO else 1e-9
        if not isinstance(value, (int, float)) or not least <= value < 1e15:
            fail(f"{name}: {key} is {value}: {line}")
    return 1


def run(bench, *arguments):
    return subprocess.run([bench, "--tiny", *arguments], stdout=subprocess.PIPE, text=True, timeout=60)


def main():
    for name in NAMES:
        done = run(sys.argv[1], "--json", name)
        if done.returncode != 0:
            fail(f"{name}: exit status {done.returncode}")
        figures = sum(check(name, line) for line in done.stdout.splitlines())
        if not figures and name != "quiet":  # which needs a kernel with Syscall User Dispatch
            fail(f"{name}: no figures")
        print(f"{name}: {figures} figures")
    table = run(sys.argv[1], "targets")
    missed = sum(line.startswith("MUST") and line.endswith("MISSED") for line in table.stdout.splitlines())
    if table.returncode != missed:
        fail(f"targets: exit status {table.returncode}, but {missed} MUST lines were missed")


main()
