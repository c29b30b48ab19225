#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""harness_test.py ROOT: scripts/peers.py judges runs rightly and scripts/report.py makes a page of them.

The implementations are this file itself, called as `harness_test.py --implementation NAME PROGRAM SIZE ...`, in a build
folder of its own that has little but a programs.json. Each behaves in one way:

    varve          completes in any heap of at least its live size; without ages it is slower and pauses for longer
    boehm          completes in twice that; before that it is out of memory
    java           completes anywhere, slowly without --warm, and tells no pauses
    go             does not end when its memory is bounded
    ocaml          cannot have the program
    glibc          crashes
    jemalloc       completes
    mimalloc       computes something else when there is a file `wrong` in the folder it is called in
"""
import importlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

LIVE = 10 << 20
CHECKSUM = 4711


# ---- the implementations ---------------------------------------------------------------------------------------------

def say_result(program, size, threads, checksum, seconds, pauses, **more):
    print(json.dumps({"program": program, "size": size, "threads": threads, "checksum": checksum, "seconds": seconds,
                      "gc_seconds": None if pauses is None else sum(pauses) / 1000, "pauses_ms": pauses,
                      "collections": None if pauses is None else len(pauses), **more}))


def out_of_memory(name):
    print(f"{name}: out of memory", file=sys.stderr)
    sys.exit(4)


def heap_of(words):
    return int(words[words.index("--heap") + 1]) if "--heap" in words else None


def implementation(name, words):
    while words[0].startswith("-X"):
        words = words[1:]
    program, size, threads = words[0], int(words[1]), int(words[2])
    speed = {"varve": 0.02, "boehm": 0.04, "java": 0.03 if "--warm" in words else 0.3}.get(name, 0.01)
    pauses = None if name == "java" else [1.0, 3.0, 2.0]
    if os.environ.get("VARVE_OPTIONS") == "ages=0":
        speed, pauses = 0.05, [4.0]
    if name == "go" and os.environ.get("GOGC") == "off":
        time.sleep(60)
    if name == "ocaml":
        sys.exit(3)
    if name == "glibc":
        os.kill(os.getpid(), 11)
    needs = {"varve": LIVE, "boehm": 2 * LIVE}.get(name, 0)
    if heap_of(words) and heap_of(words) < needs:
        out_of_memory(name)
    wrong = name == "mimalloc" and pathlib.Path("wrong").exists()
    more = {"live": LIVE} if "--live" in words else {}
    say_result(program, size, threads, CHECKSUM + wrong, speed, pauses, **more)


# ---- the test --------------------------------------------------------------------------------------------------------

def check(truth, what):
    if not truth:
        sys.exit(f"harness: {what}")


def write_script(path, command):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)
    return str(path)


def write_programs(build):
    folder = build / "tests/programs"
    folder.mkdir(parents=True)
    itself = str(pathlib.Path(__file__).resolve())
    names = "varve boehm go ocaml glibc jemalloc mimalloc".split()
    programs = {name: [sys.executable, itself, "--implementation", name] for name in names}
    programs["java"] = [write_script(build / "java", f'exec {sys.executable} {itself} --implementation java "$@"')]
    (folder / "programs.json").write_text(json.dumps(programs))
    (build / "checksums.json").write_text(json.dumps({"lru": {"20000": {"1": CHECKSUM}}}))
    write_script(build / "examples/parallax_net/parallax_net",
                 'echo "$2 right 0.01 100 10.0 4 | 1us 2us 3us | 1us 2us | 5M 1K 2K"')


def peers(root, build, *options):
    command = [sys.executable, "-B", str(root / "scripts/peers.py"), "--build", str(build), "--quick",
               "--program", "lru,host", "--threads", "1", "--timeout", "1", "--out", str(build / "peers.jsonl"),
               "--checksums", str(build / "checksums.json"), *options]
    return subprocess.run(command, cwd=build, capture_output=True, text=True, timeout=100, check=False)


def records(build, kind):
    lines = [json.loads(line) for line in (build / "peers.jsonl").read_text().splitlines() if line]
    return [line for line in lines if line["kind"] == kind]


def outcomes(build):
    return {(run["contender"], run["factor"]): run["outcome"] for run in records(build, "run")}


EXPECTED = {
    ("varve", 1.5): "ok", ("varve", 3.0): "ok", ("varve-full", 1.5): "ok", ("varve-full", 3.0): "ok",
    ("boehm", 1.5): "out of memory", ("boehm", 3.0): "ok",
    ("java-serial", 1.5): "ok", ("java-g1", 3.0): "ok", ("go", 1.5): "timed out", ("go-default", None): "ok",
    ("ocaml", 3.0): "impossible", ("glibc", None): "crashed", ("jemalloc", None): "ok", ("mimalloc", None): "ok",
}


def test_outcomes(root, build):
    done = peers(root, build, "--smallest")
    check(done.returncode == 0, f"peers: exit status {done.returncode}: {done.stderr}")
    found = outcomes(build)
    for key, outcome in EXPECTED.items():
        check(found.get(key) == outcome, f"{key} is {found.get(key)}, not {outcome}")
    for ratio in ("varve-full 2.50", "jemalloc 0.50", "boehm 2.00", "java-g1 1.50"):
        check(ratio in done.stdout, f"no ratio {ratio}: {done.stdout}")
    check("no bound: jemalloc, 0.50 of Varve's time" in done.stdout, f"losses: {done.stdout}")


def test_smallest(build):
    found = {record["contender"]: record["limit"] for record in records(build, "smallest")}
    for name, least in (("varve", LIVE), ("varve-full", LIVE), ("boehm", 2 * LIVE)):
        check(least <= found[name] <= 1.021 * least, f"the smallest heap of {name} is {found[name]}, not {least}")


def test_resume(root, build):
    before = len(records(build, "run"))
    done = peers(root, build, "--resume", "--runs", "2")
    check(done.returncode == 0, f"resume: exit status {done.returncode}: {done.stderr}")
    runs = records(build, "run")
    keys = [(run["contender"], run["factor"], run["run"]) for run in runs]
    check(len(keys) == len(set(keys)) > before, "a resumed comparison does a run twice, or none")
    check(sum(key[:2] == ("go", 1.5) for key in keys) == 1, "what timed out is run again")
    check(len(records(build, "live")) == 1, "the live size is taken again")


def test_budget(root, build):
    done = peers(root, build, "--only", "varve,jemalloc", "--runs", "50", "--budget", "0.1", "--out",
                 str(build / "budget.jsonl"))
    check(done.returncode == 0 and "budget is used up after 1 round" in done.stderr, f"budget: {done.stderr}")


def test_wrong_checksum(root, build):
    (build / "wrong").touch()
    done = peers(root, build, "--only", "varve,mimalloc", "--out", str(build / "wrong.jsonl"))
    check(done.returncode == 1 and "wrong checksum" in done.stderr, f"a wrong checksum passes: {done.stderr}")


def test_sizes(root):
    sys.path.insert(0, str(root / "scripts"))
    programs = importlib.import_module("comparison.programs").PROGRAMS
    table = json.loads((root / "tests/programs/checksums.json").read_text())
    check(set(table) == {program.name for program in programs}, "checksums.json and the scripts know other programs")
    for program in programs:
        check(str(program.full) in table[program.name], f"checksums.json lacks {program.name} {program.full}")


def test_table_of_checksums(root, build):
    (build / "checksums.json").write_text(json.dumps({"lru": {"20000": {"1": CHECKSUM + 1}}}))
    done = peers(root, build, "--only", "varve", "--out", str(build / "table.jsonl"))
    check(done.returncode == 1 and "wrong checksum" in done.stderr, f"checksums.json is not heeded: {done.stderr}")


def test_report(root, build):
    command = [sys.executable, "-B", str(root / "scripts/report.py"), "--peers", str(build / "peers.jsonl")]
    if shutil.which("gnuplot"):
        command += ["--plots", str(build / "plots")]
    done = subprocess.run(command, cwd=build, capture_output=True, text=True, timeout=60, check=False)
    check(done.returncode == 0, f"report: exit status {done.returncode}: {done.stderr}")
    page = done.stdout
    for text in ("## Machine", "### lru", "out of memory", "timed out", "crashed (SIGSEGV)", "## Not measured",
                 "**0.010", "| copies | 64m | ", "2.00 / 3.00 / 3.00 / 3.00 (3)", "4.00 / 4.00 / 4.00 / 4.00 (1)",
                 "takes 2.50 times the time", "lru 20000, 1 thread, varve-full"):
        check(text in page, f"the page lacks '{text}'")
    check(not re.search(r"\{\w*\}|\bNone\b|\bnan\b", page), "the page has an unfilled place")
    tables = re.findall(r"(?:^\|.*\n)+", page, re.M)
    widths = [{row.count("|") for row in table.splitlines()} for table in tables]
    check(tables and all(len(width) == 1 for width in widths), "a table has rows of different length")


def main():
    if sys.argv[1] == "--implementation":
        return implementation(sys.argv[2], sys.argv[3:])
    root = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        build = pathlib.Path(folder)
        write_programs(build)
        test_sizes(root)
        test_outcomes(root, build)
        test_smallest(build)
        test_resume(root, build)
        test_report(root, build)
        test_budget(root, build)
        test_wrong_checksum(root, build)
        test_table_of_checksums(root, build)
    return 0


if __name__ == "__main__":
    sys.exit(main())
