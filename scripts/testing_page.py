# SPDX-License-Identifier: MIT
"""testing_page.py -- TESTING.md, from tests/testing.md.in and what has been measured; for scripts/soak.

    results                            made by
    tests/fuzz/results/soak.json       scripts/soak
    tests/fuzz/results/nets.json       scripts/nets
    tests/limits/results.json          scripts/limits
    tests/fault/results.json           scripts/faults
    tests/coverage.json                scripts/coverage
"""
import collections
import json
import pathlib

TESTS = pathlib.Path(__file__).resolve().parent.parent / "tests"

SOAK = [
    ("programs", "programs"), ("operations", "ops"), ("collections", "collections"), ("of them full", "full"),
    ("of them emergencies, the heap being full", "emergencies"), ("comparisons with the shadow", "compared"),
    ("bytes moved", "bytes_moved"), ("weak slots and entries cleared", "cleared"),
    ("finalizers and cleaners taken from the queue", "taken"), ("objects pinned", "objects_pinned"), ("walks", "walks"),
    ("forks", "forks"), ("allocations refused, the heap being full", "failed"),
    ("schedules chosen by seed (tests/turns)", "schedules"), ("points of them, where another thread could go on", "points"),
    ("inputs of parsers", "inputs"),
]

LIMITS = [  # case, figure, what it is
    ("large", "largest_bytes", "largest object, bytes"),
    ("handles", "handles", "handles"),
    ("refs_array", "words", "Ref words"),
    ("refs_array", "full_seconds", "full collection with them, seconds"),
    ("refs_array", "young_seconds", "young one, a hundredth of them stored to"),
    ("wide", "slots", "slots of one object"),
    ("wide", "full_seconds", "full collection with it, seconds"),
    ("list_back", "links", "cells of a list"),
    ("list_back", "full_seconds", "full collection, from the new to the old, seconds"),
    ("list_on", "full_seconds", "the same from the old to the new"),
    ("ephemerons", "entries", "ephemerons in a chain"),
    ("ephemerons", "full_seconds", "full collection with them, seconds"),
    ("finalizers", "finalizers", "finalizers"),
    ("finalizers", "full_seconds", "full collection with them, seconds"),
    ("ranges", "ranges", "root ranges of one slot"),
    ("ranges", "seconds_to_add", "registering them, seconds"),
    ("threads", "threads", "threads that attach at once"),
    ("mutators", "mutators", "mutators of one thread"),
    ("heaps_at_once", "heaps", "heaps at once"),
    ("heaps_at_once", "rss_kib_each", "memory of each, KiB"),
]

NETS = {"unit": "unit tests", "model": "model programs", "fuzz": "random programs", "shadow": "the same, no verifier",
        "poke": "stress/poke", "turns": "by turns"}


def read(path):
    return json.loads(path.read_text())


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def rows(pairs):
    return "\n".join(f"| {name} | {number(value)} |" for name, value in pairs)


def soak(path):
    record = read(path)
    figures = collections.defaultdict(int, record["figures"])
    hours = ", ".join(f"{hours:.2f} of {sort}" for sort, hours in sorted(record["hours"].items()))
    return {"day": record["day"], "commit": record["commit"], "hours": hours, "all": sum(record["hours"].values()),
            "table": rows([(name, figures[key]) for name, key in SOAK] + [("failures", len(record["failures"]))])}


def net_cell(result):
    if result is None:
        return "–"
    if "tests" in result:
        return f"{len(result['tests'])} tests" if result["tests"] else "no"
    if not result["caught"]:
        return "no"
    some = "" if result["caught"] == result["of"] else f" ({result['caught']} of {result['of']})"
    return f"{result['median']:.1f} s{some}"


def net_table(record):
    nets = [net for net in NETS if net in record["nets"]]
    lines = ["| bug | " + " | ".join(NETS[net] for net in nets) + " |", "| --- |" + " ---: |" * len(nets)]
    for bug, result in sorted(record["bugs"].items()):
        if bug != "NONE":
            lines.append(f"| `{bug}` | " + " | ".join(net_cell(result.get(net)) for net in nets) + " |")
    return "\n".join(lines)


def nets():
    record = read(TESTS / "fuzz" / "results" / "nets.json")
    many = f"median of {record['seeds']} seeds" if record["seeds"] > 1 else "one seed"
    note = f"Time to the first catch, {many}, {record['seconds']:g} s each; \"no\": not within that."
    return {"nets_day": record["day"], "nets_commit": record["commit"], "nets_note": note,
            "nets_table": net_table(record)}


def limits():
    lines = (TESTS / "limits" / "results.json").read_text().splitlines()
    cases = {record["case"]: record for record in map(json.loads, lines)}
    return {"limits_table": rows([(what, cases[case][figure]) for case, figure, what in LIMITS
                                  if figure in cases.get(case, {})])}


def faults():
    record = read(TESTS / "fault" / "results.json")
    return {"faults": "; ".join(f"`{way}` {one['runs']:,} runs, in {one['fired']:,} something failed, {one['bad']} bad"
                                for way, one in record.items())}


def coverage():
    record = read(TESTS / "coverage.json")
    return {"lines": f"{record['line_percent']:.1f} % of {record['line_total']:,} lines",
            "branches": f"{record['branch_percent']:.1f} % of {record['branch_total']:,} branches"}


def make(path):
    template = (TESTS / "testing.md.in").read_text()
    return template.format(**soak(path), **nets(), **limits(), **faults(), **coverage())
