# SPDX-License-Identifier: MIT
"""session.py -- one call of scripts/bench peers: which runs, in which order, and each of them into the journal.

First the live sizes; then rounds, each through all programs, heap sizes and contenders, so that what is compared stands
close together in time; each round begins with another contender. After the first come the searches for the smallest
heaps.
"""
import json
import sys
import time

from comparison import contenders, host, machine, process, programs, smallest, trial
from comparison.figures import Bench, Figures, bench_of, bench_text, factor_text
from comparison.journal import Journal

LIVE_SECONDS = 300
LEAST_SEARCH_SECONDS = 20
SEARCH_PATIENCE = 10  # times what the program takes with much memory
MUCH = 3              # times the live size


def say(text):
    print(f"peers: {text}", file=sys.stderr, flush=True)


def duration(seconds):
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


class Progress:
    """Says what runs, and guesses from the mean so far how long the rest takes."""

    def __init__(self, count):
        self.count, self.done, self.spent = count, 0, 0.0

    def begin(self, text):
        left = self.spent / self.done * (self.count - self.done) if self.done else None
        say(f"{self.done + 1} of {self.count}: {text}" + (f"  ({duration(left)} left)" if left is not None else ""))
        self.start = time.monotonic()

    def end(self):
        self.spent += time.monotonic() - self.start
        self.done += 1


class Session:
    """given: the arguments of scripts/peers.py; command: how it was called, for the record."""

    def __init__(self, given, command):
        self.given = given
        self.start = time.monotonic()
        self.implementations = read_json(given.build / "tests/programs/programs.json")
        self.contenders, absent = contenders.available(self.implementations, given.only)
        self.checksums = Checksums(given.checksums)
        self.host = given.build / host.EXECUTABLE
        self.journal = Journal(given.out, given.resume)
        self.journal.add({"kind": "machine", "command": command, "not_built": absent, "timeout": given.timeout,
                          **machine.record(given.build)})
        self.lives = {}
        self.errors = 0
        for name in absent:
            say(f"{name} was not built and is left out")

    # ---- single runs ---------------------------------------------------------------------------------------------

    def keep(self, record):
        """Write a record down, and tell of what makes the comparison worthless."""
        self.journal.add(record)
        if record.get("outcome") in trial.ERRORS:
            self.errors += 1
            say(f"ERROR: {json.dumps(record)}")
        return record

    def live_size(self, bench):
        head = head_of("live", bench)
        record = self.journal.find(head)
        if not record:
            say(f"live size of {bench_text(bench)}")
            argv = [*self.implementations["varve"], *map(str, bench), "--live"]
            environment = contenders.BY_NAME["varve"].environment()
            record = self.keep({**head, **trial.run(argv, environment, LIVE_SECONDS, self.checksums.find(bench))})
        if "live" not in record:
            self.errors += 1
            say(f"ERROR: no live size of {bench_text(bench)} ({record['outcome']}): the program is left out")
            return
        self.lives[bench] = record["live"]
        self.checksums.learn(bench, record["checksum"])

    def attempt(self, bench, contender, limit, factor=None, seconds=None, warm=contenders.WARM_UPS):
        argv = self.implementations[contender.implementation]
        command = contender.command(argv, bench.program, bench.size, bench.threads, limit, warm)
        patience = (seconds or self.given.timeout) * contender.repeats(warm)
        return trial.run(command, contender.environment(limit, factor), patience, self.checksums.find(bench))

    def run_case(self, head):
        contender = contenders.BY_NAME[head["contender"]]
        bench, factor = bench_of(head), head["factor"]
        limit = int(factor * self.lives[bench]) if factor else None
        self.keep({**head, "limit": limit, **self.attempt(bench, contender, limit, factor)})

    def run_host(self, head):
        command = host.command(self.host, head["program"], head["heap"])
        environment = contenders.BY_NAME["varve"].environment()
        self.keep({**head, **host.judge(process.run(command, environment, self.given.timeout), head["program"])})

    # ---- rounds --------------------------------------------------------------------------------------------------

    def wanted(self, program):
        return not self.given.program or program in self.given.program

    def benches(self):
        for program in programs.PROGRAMS:
            if self.wanted(program.name):
                for threads in self.given.threads:
                    yield Bench(program.name, programs.size_of(program, self.given.quick), threads)

    def cases(self, number):
        """The heads of the records of one round, in their order."""
        shift = number % max(1, len(self.contenders))
        turned = self.contenders[shift:] + self.contenders[:shift]
        for bench in self.lives:
            for factor in [*self.given.factors, None]:
                for contender in turned:
                    if (contender.bounded == "free") == (factor is None):
                        yield {**head_of("run", bench), "contender": contender.name, "factor": factor, "run": number}
        if self.wanted("host") and self.host.exists():
            for program in host.PROGRAMS:
                for heap in host.HEAPS:
                    yield {"kind": "host", "program": program, "heap": heap, "run": number}

    def hopeless(self, head):
        """Timed out or impossible in the first round: it is not tried again."""
        first = self.journal.find({**head, "run": 0})
        return head["run"] > 0 and first and first["outcome"] in ("timed out", "impossible")

    def to_do(self, number):
        return [head for head in self.cases(number) if not self.journal.find(head) and not self.hopeless(head)]

    def round(self, number):
        heads = self.to_do(number)
        progress = Progress(len(heads))
        for head in heads:
            progress.begin(f"round {number + 1} of {self.given.runs}, {case_text(head)}")
            (self.run_host if head["kind"] == "host" else self.run_case)(head)
            progress.end()

    # ---- the smallest heaps --------------------------------------------------------------------------------------

    def search_smallest(self):
        heads = [{**head_of("smallest", bench), "contender": contender.name} for bench in self.lives
                 if bench.threads == self.given.threads[0] for contender in self.contenders
                 if contender.bounded == "limit"]
        heads = [head for head in heads if not self.journal.find(head)]
        progress = Progress(len(heads))
        for head in heads:
            progress.begin(f"smallest heap, {bench_text(bench_of(head))}, {head['contender']}")
            self.search_one(head)
            progress.end()

    def search_one(self, head):
        bench, contender = bench_of(head), contenders.BY_NAME[head["contender"]]
        known, seconds = self.known(bench, contender)
        fails, completes = smallest.brackets(known, self.lives[bench])
        steps = 0
        if completes:
            def enough(limit):
                result = self.attempt(bench, contender, limit, seconds=seconds, warm=0)
                self.keep({**head, "kind": "trial", "limit": limit, **result})
                return result["outcome"] == "ok"
            completes, steps = smallest.search(fails, completes, enough)
        most = max((heap for heap, _ in known), default=None)
        self.keep({**head, "limit": completes, "steps": steps, "tried_to": most})

    def known(self, bench, contender):
        """What the rounds tell: (heap, completed) pairs, and how long an attempt may take."""
        figures = Figures(self.journal.records)
        known, with_much = [], []
        for (where, name, _), cell in figures.cells.items():
            if (where, name) == (bench, contender.name):
                heap = cell.runs[0]["limit"]
                known.append((heap, cell.ok))
                with_much += [(abs(heap - MUCH * self.lives[bench]), cell.median())] if cell.ok else []
        seconds = min(with_much)[1] if with_much else 0
        return known, max(LEAST_SEARCH_SECONDS, SEARCH_PATIENCE * seconds)

    # ---- all of it -----------------------------------------------------------------------------------------------

    def within_budget(self, last_round):
        spent = time.monotonic() - self.start
        return not self.given.budget or spent + last_round <= self.given.budget

    def run(self):
        for bench in self.benches():
            self.live_size(bench)
        last = 0.0
        for number in range(self.given.runs):
            if number > 0 and not self.within_budget(last):
                say(f"the budget is used up after {number} round(s)")
                break
            begin = time.monotonic()
            self.round(number)
            last = time.monotonic() - begin
            if number == 0 and self.given.smallest:
                self.search_smallest()


class Checksums:
    """What the programs must compute: what the file of the tests has, otherwise what Varve computed."""

    def __init__(self, path):
        self.expected = read_json(path)
        self.learnt = {}

    def find(self, bench):
        sizes = self.expected.get(bench.program, {})
        return sizes.get(str(bench.size), {}).get(str(bench.threads), self.learnt.get(bench))

    def learn(self, bench, checksum):
        self.learnt.setdefault(bench, checksum)


def read_json(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        sys.exit(f"peers: cannot read {path}: {error}")


def head_of(kind, bench):
    return {"kind": kind, **bench._asdict()}


def case_text(head):
    if head["kind"] == "host":
        return f"host {head['program']}, heap {head['heap']}"
    return f"{bench_text(bench_of(head))}, {factor_text(head['factor'])}, {head['contender']}"
