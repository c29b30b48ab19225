# SPDX-License-Identifier: MIT
"""host.py -- the machine of examples/parallax_net on a Varve heap: three programs, whose results it checks itself."""
from comparison import trial

HEAPS = {"8m": 8 << 20, "16m": 16 << 20, "64m": 64 << 20}
PROGRAMS = {
    "sort_strings": "boxed strings compared through closures; most of them live",
    "copies": "ten million reference words outside the heap lead to a few thousand strings",
    "sum_rec": "no objects at all: the machine alone, for comparison",
}
COLUMNS = ("result", "seconds", "interactions", "rate", "collections", "pause_p50", "pause_p99", "pause_max",
           "stop_p50", "stop_max", "allocated", "live", "moved")
EXECUTABLE = "examples/parallax_net/parallax_net"


def command(executable, program, heap):
    return [str(executable), "--program", program, "--heap", heap, "--collect", "0",
            "--varve", f"heap-initial={heap},move-everything=0"]


def row_of(out, program):
    """The program's row of the table that the machine prints."""
    for line in out.splitlines():
        words = line.replace("|", " ").split()
        if words[:1] == [program] and len(words) == len(COLUMNS) + 1:
            return dict(zip(COLUMNS, words[1:]))
    return None


def judge(finished, program):
    record = {"outcome": trial.outcome_of(finished), "status": finished.status, "seconds": round(finished.wall, 4),
              "cpu_seconds": round(finished.cpu, 4), "rss": finished.rss}
    row = row_of(finished.out, program)
    if record["outcome"] == "ok" and (not row or row["result"] != "right"):
        record["outcome"] = "bad output"
    for name in ("collections", "pause_p50", "pause_p99", "pause_max", "allocated", "live"):
        record[name] = row[name] if row else None
    return record
