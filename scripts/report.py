#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""report.py -- write BENCHMARKS.md from the lines that `scripts/bench --json targets` printed.

    ./scripts/bench --json targets >targets.json
    ./scripts/report.py targets.json [NOTES] >BENCHMARKS.md

The machine record is taken where this runs, so run it on the machine that was measured. NOTES, a file, goes in as it is
under "Where we lose, and why".
"""
import json
import platform
import subprocess
import sys


def shell(command):
    return subprocess.run(command, shell=True, capture_output=True, text=True).stdout.strip()


def read(path):
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return "unknown"


def machine():
    rows = [
        ("processor", shell("lscpu | sed -n 's/^Model name: *//p'") + ", " + shell("nproc") + " cores, " +
         shell("lscpu | sed -n 's/^NUMA node(s): *//p'") + " node(s)"),
        ("caches", shell("lscpu | sed -n 's/^L\\(1d\\|2\\|3\\) cache: */L\\1 /p' | paste -sd, | sed 's/,/, /g'")),
        ("virtual", shell("lscpu | sed -n 's/^Hypervisor vendor: *//p'") or "no"),
        ("memory", shell("free -g | awk '/^Mem/{print $2}'") + " GiB"),
        ("kernel", platform.release()),
        ("huge pages", read("/sys/kernel/mm/transparent_hugepage/enabled")),
        ("compiler", shell("cc --version | head -n 1") + ", -O3 -march=native"),
        ("commit", shell("git rev-parse --short HEAD")),
        ("date", shell("date -u +%Y-%m-%d")),
    ]
    return "\n".join(f"| {name} | {value} |" for name, value in rows)


def number(value):
    return f"{value:.4g}"


def row(line):
    limit = f"{number(line['limit'])} {line['limit_name']}" if "limit" in line else "-"
    ratio = number(line["ratio"]) if "ratio" in line else "-"
    met = "**missed**" if not line["met_must"] else "reached" if line["met_reach"] else "met"
    spread = f"{number(line['min'])} .. {number(line['max'])}"
    return (f"| {line['what']} | {number(line['value'])} {line['unit']} | {spread} | {limit} | {ratio} | "
            f"{line['sense']} {number(line['must'])} | {number(line['reach'])} | {met} |")


def table(lines):
    figures = {}
    for line in lines:
        key = (line["bench"], line["what"])
        if "target" in line:
            figures[key]["met_" + line["target"].lower()] = line["met"]
        elif "must" in line:
            figures[key] = line
    rows = [row(line) for line in figures.values()]
    missed = sum(not line["met_must"] for line in figures.values())
    return "\n".join(rows), missed, len(rows)


PAGE = """# Benchmarks

What this page says: how close the collector's own paths come to the limit of the machine they ran on, measured in the same
run. What it does not say: how whole programs fare beside other collectors; that comparison has not been made yet.

**{met} of {count} targets are met, {missed} are missed.** The misses stand in the same table.

## Machine

| | |
| --- | --- |
{machine}

Two cores of a shared, virtual machine: figures move by 10 to 30 % between runs. Read the ratios to the limit, which is
measured beside each figure.

## How to reproduce

```sh
./scripts/bench targets            # this table, MUST and REACH lines
./scripts/bench targets --quick    # smaller heaps, under a minute; exits with the count of MUST lines missed
./scripts/bench --json targets >targets.json && ./scripts/report.py targets.json >BENCHMARKS.md
```

## Figures

Medians, with the smallest and largest sample. "ratio" is the figure against its limit.

| what | median | spread | limit in the same run | ratio | must | reach | |
| --- | --- | --- | --- | --- | --- | --- | --- |
{rows}

## Where we lose, and why

{notes}

## Not measured

Whole programs beside other collectors; more than two cores; more than one node; long-running fragmentation; tail
latencies on an oversubscribed machine.
"""


def main():
    with open(sys.argv[1]) as file:
        lines = [json.loads(text) for text in file if text.startswith("{")]
    notes = read(sys.argv[2]) if len(sys.argv) > 2 else "No notes were given."
    rows, missed, count = table(lines)
    sys.stdout.write(PAGE.format(met=count - missed, count=count, missed=missed, machine=machine(), rows=rows,
                                 notes=notes))


if __name__ == "__main__":
    main()
