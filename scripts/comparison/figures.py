# SPDX-License-Identifier: MIT
"""figures.py -- from single runs to medians, ratios and losses. Tables, plots and summary read nothing else.

A ratio is a contender's median time divided by Varve's at the same heap size: above 1, Varve is the faster. Contenders
without a bound are compared with Varve at the reference factor, the one nearest to twice the live size.
Another form of Varve has a ratio like the others, but is no peer, so that Varve loses nothing to it.
A loss is a ratio below 1, or a program that Varve does not complete and another does; it is clear when even the
slowest run of the other is faster than Varve's fastest, and both ran more than once.
"""
import math
import statistics
from collections import namedtuple

from comparison import contenders, programs

Bench = namedtuple("Bench", "program size threads")
Loss = namedtuple("Loss", "bench contender factor ratio clear")
REFERENCE = 2


class Cell:
    """The runs of one contender, of one program, at one heap size."""

    def __init__(self, runs):
        self.runs = runs
        failed = [run for run in runs if run["outcome"] != "ok"]
        self.ok = not failed
        self.possible = not failed or failed[0]["outcome"] != "impossible"
        self.failure = self.failure_text(failed) if failed else ""

    def failure_text(self, failed):
        first = failed[0]
        text = first["outcome"] + (f" ({first['signal']})" if first["outcome"] == "crashed" else "")
        return text if len(failed) == len(self.runs) else f"{text} {len(failed)} of {len(self.runs)} times"

    def values(self, name):
        return [run[name] for run in self.runs if run.get(name) is not None]

    def median(self, name="seconds"):
        """None: nobody told."""
        values = self.values(name)
        return statistics.median(values) if values else None

    def span(self, name="seconds"):
        return min(self.values(name)), max(self.values(name))


def geometric_mean(values):
    return math.exp(statistics.fmean(math.log(value) for value in values))


class Figures:
    def __init__(self, records):
        self.machines = [record for record in records if record["kind"] == "machine"]
        self.lives = {bench_of(record): record["live"] for record in records if record["kind"] == "live"
                      and "live" in record}
        self.failed_lives = [record for record in records if record["kind"] == "live" and "live" not in record]
        self.cells = grouped(records, "run", lambda r: (bench_of(r), r["contender"], r["factor"]))
        self.hosts = grouped(records, "host", lambda r: (r["program"], r["heap"]))
        self.smallest = {(bench_of(record), record["contender"]): record for record in records
                         if record["kind"] == "smallest"}

    def benches(self):
        order = [program.name for program in programs.PROGRAMS]
        found = {bench for bench, _, _ in self.cells}
        return sorted(found, key=lambda bench: (order.index(bench.program), bench.size, bench.threads))

    def factors(self):
        return sorted({factor for _, _, factor in self.cells if factor})

    def contenders(self):
        found = {name for _, name, _ in self.cells}
        return [contender for contender in contenders.CONTENDERS if contender.name in found]

    def reference(self):
        return min(self.factors(), key=lambda factor: abs(math.log(factor / REFERENCE)), default=None)

    def cell(self, bench, name, factor):
        return self.cells.get((bench, name, factor))

    def ratio(self, bench, name, factor):
        """The contender's time over Varve's; None where one of them has none. Factor None: without a bound."""
        other = self.cell(bench, name, factor)
        varve = self.cell(bench, "varve", factor or self.reference())
        if not other or not varve or not other.ok or not varve.ok:
            return None
        return other.median() / max(varve.median(), 1e-9)

    def ratios(self, name, factor):
        """Over all programs, where both complete."""
        found = [self.ratio(bench, name, factor) for bench in self.benches()]
        return [ratio for ratio in found if ratio is not None]

    def completed(self, name, factor):
        """How many programs complete, of how many that were tried and can be written."""
        cells = [self.cell(bench, name, factor) for bench in self.benches()]
        tried = [cell for cell in cells if cell and cell.possible]
        return sum(cell.ok for cell in tried), len(tried)

    def losses(self):
        found = [self.loss(*key) for key in self.cells if key[1] not in contenders.VARVE]
        order = {bench: place for place, bench in enumerate(self.benches())}
        return sorted((loss for loss in found if loss),
                      key=lambda loss: (order[loss.bench], loss.factor or math.inf, loss.contender))

    def loss(self, bench, name, factor):
        other = self.cell(bench, name, factor)
        varve = self.cell(bench, "varve", factor or self.reference())
        if not other.ok or not varve:
            return None
        if not varve.ok:
            return Loss(bench, name, factor, None, True)
        ratio = self.ratio(bench, name, factor)
        clear = other.span()[1] < varve.span()[0] and min(len(other.runs), len(varve.runs)) > 1
        return Loss(bench, name, factor, ratio, clear) if ratio < 1 else None


def bench_of(record):
    return Bench(record["program"], record["size"], record["threads"])


def grouped(records, kind, key):
    runs = {}
    for record in records:
        if record["kind"] == kind:
            runs.setdefault(key(record), []).append(record)
    return {name: Cell(group) for name, group in runs.items()}


def bench_text(bench):
    return f"{bench.program} {bench.size}, {threads_text(bench.threads)}"


def threads_text(threads):
    return f"{threads} thread" + ("s" if threads != 1 else "")


def factor_text(factor):
    return f"{factor:g} x live" if factor else "no bound"
