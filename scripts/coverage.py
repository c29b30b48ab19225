# SPDX-License-Identifier: MIT
"""coverage.py -- a table of gcovr's figures, then each line that was never reached, with its function; for scripts/coverage.

    coverage.py LINES.json SUMMARY.json
    coverage.py --figures SUMMARY.json    the totals, as JSON
"""
import json
import pathlib
import re
import sys


def table(summary):
    row = "{:34} {:>6} {:>6} {:>6}   {:>6} {:>6}".format
    print(row("file", "lines", "missed", "%", "branch", "%"))
    for one in sorted(summary["files"], key=lambda one: one["filename"]) + [dict(summary, filename="all")]:
        print(row(one["filename"], one["line_total"], one["line_total"] - one["line_covered"],
                  one["line_percent"] or 0, one["branch_total"], one["branch_percent"] or 0))


def function_at(lines, number):
    """The name in the nearest line above that begins a function's body."""
    for text in reversed(lines[:number]):
        found = re.match(r"[A-Za-z_][^;=]*?(\w+)\(", text)
        if found and not text.startswith(("#", " ")):
            return found.group(1)
    return "?"


def missed(record):
    for one in sorted(record["files"], key=lambda one: one["file"]):
        lines = pathlib.Path(one["file"]).read_text().splitlines()
        for line in one["lines"]:
            if line["count"] == 0 and not line.get("gcovr/noncode"):
                number = line["line_number"]
                yield f"{one['file']}:{number}: {function_at(lines, number)}: {lines[number - 1].strip()}"


def figures(summary):
    names = ("line_total", "line_covered", "line_percent", "branch_total", "branch_covered", "branch_percent")
    return {name: summary[name] for name in names}


def main():
    if sys.argv[1] == "--figures":
        print(json.dumps(figures(json.loads(pathlib.Path(sys.argv[2]).read_text())), indent=1))
        return
    table(json.loads(pathlib.Path(sys.argv[2]).read_text()))
    print()
    print("\n".join(sorted(set(missed(json.loads(pathlib.Path(sys.argv[1]).read_text()))))))


main()
