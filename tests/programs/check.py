#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""check.py PROGRAMS.json NAME[,NAME...] [VARVE_OPTIONS]: the implementations with these names compute the checksums in
checksums.json, at its smallest sizes, with one thread and with two. Those that were not built are left out; exit status
77 when that is all of them.

check.py --record PROGRAMS.json NAME[,NAME...]: run every size in checksums.json on these implementations, which must
agree, and write what they compute there."""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = os.path.join(HERE, "checksums.json")
HEAP = 64 << 20  # enough for the smallest sizes
TAKE_HEAP = {"varve", "boehm"}
CANNOT, SKIPPED = 3, 77
KEYS = {"program", "size", "threads", "checksum", "seconds", "gc_seconds", "collections", "pauses_ms"}


def run(name, command, program, size, threads, heap=None):
    """The checksum, None when this program cannot be written so, or a sentence about what went wrong."""
    command = [*command, program, str(size), str(threads)]
    if heap and name in TAKE_HEAP:
        command += ["--heap", str(heap)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode == CANNOT:
        return None
    if done.returncode != 0:
        return f"exit status {done.returncode}: {done.stderr}"
    figures = json.loads(done.stdout)
    if set(figures) != KEYS:
        return f"keys {sorted(figures)}"
    if (figures["program"], figures["size"], figures["threads"]) != (program, size, threads):
        return f"reports another program: {done.stdout}"
    pauses = figures["pauses_ms"]
    if pauses is not None and not all(0 <= pause <= 1000 * figures["seconds"] for pause in pauses):
        return f"pauses longer than the run: {done.stdout}"
    return figures["checksum"]


def chosen(path, names):
    with open(path, encoding="ascii") as file:
        programs = json.load(file)
    return {name: programs[name] for name in names.split(",") if name in programs}


def cases(table):
    for program, sizes in table.items():
        for size, checksums in sizes.items():
            for threads in ("1", "2"):
                yield program, size, threads, checksums


def smallest(table):
    return {program: dict([min(sizes.items(), key=lambda item: int(item[0]))]) for program, sizes in table.items()}


def check(table, implementations):
    wrong = 0
    for program, size, threads, checksums in cases(smallest(table)):
        for name, command in implementations.items():
            got = run(name, command, program, int(size), int(threads), HEAP)
            if got is not None and got != checksums[threads]:
                print(f"{name} {program} {size} {threads}: {got}, not {checksums[threads]}")
                wrong += 1
    return wrong


def record(table, implementations):
    for program, size, threads, checksums in cases(table):
        got = {name: run(name, command, program, int(size), int(threads)) for name, command in implementations.items()}
        values = set(got.values()) - {None}
        if len(values) != 1 or not isinstance(*values, int):
            sys.exit(f"{program} {size} {threads}: {got}")
        checksums[threads] = values.pop()
    with open(TABLE, "w", encoding="ascii") as file:
        json.dump(table, file, indent=2)
        file.write("\n")


def main():
    arguments = sys.argv[1:]
    recording = arguments[0] == "--record"
    implementations = chosen(*arguments[recording:recording + 2])
    with open(TABLE, encoding="ascii") as file:
        table = json.load(file)
    if recording:
        return record(table, implementations)
    if len(arguments) == 3:
        os.environ["VARVE_OPTIONS"] = arguments[2]
    print("checked:", *implementations)
    return check(table, implementations) if implementations else SKIPPED


sys.exit(main())
