# SPDX-License-Identifier: MIT
"""tables.py -- the tables of BENCHMARKS.md about whole programs."""
import itertools

from comparison import contenders, host, programs
from comparison.figures import bench_text, geometric_mean

MIB = 2 ** 20
ROUND = 1.025          # what Varve's side tables may take beside its limit,
BESIDES = 8 * MIB      # and what the process may take beside its heap
NOTHING = "-"
PERCENTS = (50, 95, 99)           # of pauses


def markdown(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def mib(size):
    return f"{size / MIB:.0f}" if size >= 100 * MIB else f"{size / MIB:.1f}"


def peak(cell):
    """In MiB, where it is known (process.py)."""
    middle = cell.median("rss")
    return mib(middle) if cell.ok and middle else NOTHING


def spread(cell):
    """The median, and the smallest and largest of several."""
    low, high = cell.span()
    return seconds(cell.median()) + (f" ({seconds(low)} .. {seconds(high)})" if len(cell.runs) > 1 else "")


def seconds(value):
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def milliseconds(value):
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


# ---- one program, one number of threads: rows are contenders, columns heap sizes -------------------------------------

def heap_header(figures, bench):
    live = figures.lives.get(bench)
    return [f"{factor:g} x" + (f" ({mib(factor * live)} MiB)" if live else "") for factor in figures.factors()]


def bench_table(figures, bench, text):
    """text(name, factor, cell) is what stands in a place where something was run."""
    rows = []
    for contender in figures.contenders():
        name = contender.name
        cells = [(factor, figures.cell(bench, name, factor)) for factor in [*figures.factors(), None]]
        if any(cell for _, cell in cells):
            rows.append([name] + [text(name, factor, cell) if cell else "" for factor, cell in cells])
    return markdown(["", *heap_header(figures, bench), "no bound"], rows)


def times(figures, bench):
    lost = {(loss.contender, loss.factor) for loss in figures.losses() if loss.bench == bench}

    def text(name, factor, cell):
        if not cell.ok:
            return cell.failure
        ratio = figures.ratio(bench, name, factor) if name != "varve" else None
        found = spread(cell) + (f" {ratio:.2f} x" if ratio is not None else "")
        return f"**{found}**" if (name, factor) in lost else found
    return bench_table(figures, bench, text)


def resident(figures, bench):
    return bench_table(figures, bench, lambda name, factor, cell: peak(cell))


def work(figures, bench):
    def text(name, factor, cell):
        collecting = cell.median("gc_seconds")
        return NOTHING if not cell.ok else seconds(cell.median("cpu_seconds")) + (
            f" / {seconds(collecting)}" if collecting is not None else f" / {NOTHING}")
    return bench_table(figures, bench, text)


def pauses(figures, bench):
    """Percentiles are medians over the runs; the longest is that of all runs."""
    def text(name, factor, cell):
        longest = cell.values("pause_max_ms")
        if not cell.ok or not longest:
            return NOTHING
        percentiles = [cell.median(f"pause_p{percent}_ms") for percent in PERCENTS]
        shown = [milliseconds(value) if value is not None else NOTHING for value in [*percentiles, max(longest)]]
        return f"{' / '.join(shown)} ({cell.median('collections') or 0:g})"
    return bench_table(figures, bench, text)


# ---- over all programs -----------------------------------------------------------------------------------------------

def overview(figures):
    """The geometric mean of a contender's ratios at each heap size, and how many programs it completed there."""
    rows = []
    for contender in figures.contenders():
        cells = []
        for factor in [*figures.factors(), None]:
            done, tried = figures.completed(contender.name, factor)
            ratios = figures.ratios(contender.name, factor) if contender.name != "varve" else []
            mean = f"{geometric_mean(ratios):.2f} x, " if ratios else ""
            cells.append(f"{mean}{done} of {tried}" if tried else "")
        rows.append([contender.name, *cells])
    return markdown(["", *[f"{factor:g} x live" for factor in figures.factors()], "no bound"], rows)


def losses(figures):
    """The worst ratio of each contender in each program, with the heap size and how many sizes were lost."""
    lost = figures.losses()
    winners = {loss.contender for loss in lost}
    names = [contender.name for contender in figures.contenders() if contender.name in winners]
    rows = []
    for bench in figures.benches():
        cells = [loss_text([loss for loss in lost if (loss.bench, loss.contender) == (bench, name)]) for name in names]
        rows.append([bench_text(bench), *cells])
    return markdown(["", *names], rows) if lost else "Nowhere, in these runs."


def loss_text(lost):
    if not lost:
        return ""
    worst = min(lost, key=lambda loss: loss.ratio or 0)
    where = f" at {worst.factor:g} x" if worst.factor else ""
    count = f", {len(lost)} sizes" if len(lost) > 1 else ""
    unclear = "" if any(loss.clear for loss in lost) else "~ "
    how = f"{worst.ratio:.2f} x" if worst.ratio is not None else "alone"
    return unclear + how + where + count


def smallest(figures):
    names = [name for name in contenders.BY_NAME if any(name == key[1] for key in figures.smallest)]
    rows = []
    for bench in sorted({bench for bench, _ in figures.smallest}, key=figures.benches().index):
        live = figures.lives[bench]
        cells = [smallest_text(figures.smallest.get((bench, name)), live) for name in names]
        rows.append([bench_text(bench), mib(live), *cells])
    return markdown(["", "live MiB", *names], rows)


def smallest_text(record, live):
    if not record:
        return NOTHING
    if not record["limit"]:
        return f"not even {record['tried_to'] / live:.3g} x" if record["tried_to"] else NOTHING
    return f"{record['limit'] / live:.2f} x ({mib(record['limit'])} MiB)"


def bound_of(limit):
    return limit * ROUND + BESIDES


def bounded_runs(figures):
    """The runs of all forms of Varve under a limit, completed or not, as (run, bound)."""
    return [(run, bound_of(run["limit"])) for (_, name, factor), cell in figures.cells.items()
            if name in contenders.VARVE and factor for run in cell.runs if run.get("rss")]


def bounds(figures):
    """A row for each form of Varve."""
    rows = []
    for bench, name in itertools.product(figures.benches(), contenders.VARVE):
        cells = [figures.cell(bench, name, factor) for factor in figures.factors()]
        form = "" if name == "varve" else f", {name}"
        if any(cells):
            rows.append([bench_text(bench) + form] + [bound_text(cell) if cell else "" for cell in cells])
    return markdown(["", *[f"{factor:g} x live" for factor in figures.factors()]], rows)


def bound_text(cell):
    peaks, bound = cell.values("rss"), bound_of(cell.runs[0]["limit"])
    if not peaks:
        return NOTHING
    text = f"{mib(max(peaks))} of {mib(bound)}"
    return f"**{text}**" if max(peaks) > bound else text


def hosts(figures):
    rows = []
    for (program, heap), cell in figures.hosts.items():
        run = cell.runs[0]
        shown = [spread(cell), peak(cell), run["collections"], run["pause_p50"], run.get("pause_p99") or NOTHING,
                 run["pause_max"], run["allocated"], run["live"]] if cell.ok else [cell.failure] + [NOTHING] * 7
        rows.append([program, heap, *shown])
    header = ["program", "heap", "seconds", "peak MiB", "collections", "pause p50", "p99", "max", "allocated", "live"]
    return markdown(header, rows)


def host_programs():
    return "\n".join(f"* **{name}**: {what}." for name, what in host.PROGRAMS.items())


# ---- what is what ----------------------------------------------------------------------------------------------------

def program_rows(figures):
    sizes = {bench.program: bench.size for bench in figures.benches()}
    rows = [[f"{program.name} {sizes[program.name]}", program.shows, program.misleads]
            for program in programs.PROGRAMS if program.name in sizes]
    return markdown(["program", "what it shows", "how it can mislead"], rows)


def contender_rows(figures):
    bounded = {"limit": "a limit", "goal": "a goal", "free": "nothing"}
    return markdown(["contender", "bounded by", "how"],
                    [[contender.name, bounded[contender.bounded], contender.how] for contender in figures.contenders()])
