# SPDX-License-Identifier: MIT
"""trial.py -- one run of a whole program: start it, judge how it ended, and say so in one flat record.

The outcome is one of

    ok, impossible (the program cannot be written for this implementation)
    out of memory, timed out, crashed, failed, refused      rows of the tables like any other
    wrong checksum, bad output, not started                 errors: the comparison itself is broken

Refused is what an implementation does with arguments that it cannot take, such as a heap below its least.
"""
import json
import signal

from comparison import process

ERRORS = {"wrong checksum", "bad output", "not started"}
BY_STATUS = {0: "ok", 2: "refused", 3: "impossible", 4: "out of memory"}
TOUCHED = 768 << 20  # bytes, before each run
FIGURES = ("checksum", "seconds", "gc_seconds", "collections")


def outcome_of(finished):
    if finished.timed_out:
        return "timed out"
    if finished.status < 0:
        return "crashed"
    return BY_STATUS.get(finished.status, "failed")


def last_line(text):
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


def percentile(ordered, percent):
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def pause_figures(pauses):
    """Lists of pauses may be long; the record keeps what is reported of them."""
    if not pauses:
        return {}
    ordered = sorted(pauses)
    return {"pause_p50_ms": percentile(ordered, 50), "pause_p95_ms": percentile(ordered, 95),
            "pause_p99_ms": percentile(ordered, 99), "pause_max_ms": ordered[-1]}


def figures_of(out):
    """What the program printed, as a record; None: it is not what it should print."""
    try:
        printed = json.loads(last_line(out))
        record = {name: printed[name] for name in FIGURES}
        record.update(pause_figures(printed["pauses_ms"]))
        if "live" in printed:
            record["live"] = int(printed["live"])
        return record if record["seconds"] >= 0 else None
    except (ValueError, KeyError, TypeError):
        return None


def judge(finished, checksum):
    """The record of a run; checksum is what it must be, None: not known."""
    record = {"outcome": outcome_of(finished), "status": finished.status, "wall_seconds": round(finished.wall, 4),
              "cpu_seconds": round(finished.cpu, 4), "rss": finished.rss}
    if finished.status < 0:
        record["signal"] = signal.Signals(-finished.status).name
    if record["outcome"] == "ok":
        figures = figures_of(finished.out)
        record.update(figures or {"outcome": "bad output"})
        if figures and checksum is not None and figures["checksum"] != checksum:
            record.update(outcome="wrong checksum", expected=checksum)
    if record["outcome"] != "ok":
        record["note"] = last_line(finished.err)[:200]
    return record


def run(command, environment, seconds, checksum=None):
    """Run a program once; always returns a record."""
    try:
        process.touch_memory(TOUCHED)
        return judge(process.run(command, environment, seconds), checksum)
    except OSError as error:
        return {"outcome": "not started", "note": str(error)}
