# SPDX-License-Identifier: MIT
"""conclusions.py -- the lines at the head of BENCHMARKS.md, computed: time, ages, memory, malloc, pauses, losses."""
import textwrap

from comparison import contenders, tables
from comparison.figures import bench_text, factor_text, geometric_mean

MALLOCS = ("glibc", "jemalloc", "mimalloc")


def limited(figures):
    """The collectors that hold to a limit, as Varve does."""
    return [c.name for c in figures.contenders() if c.bounded == "limit" and c.name not in contenders.VARVE]


def forms(figures):
    """Varve as it is, and its other forms, as far as they ran."""
    return [c.name for c in figures.contenders() if c.name in contenders.VARVE]


def fastest(figures, bench, factor, names):
    times = {name: cell.median() for name in names if (cell := figures.cell(bench, name, factor)) and cell.ok}
    return min(times, key=times.get, default=None)


def time(figures):
    factor, peers = figures.reference(), limited(figures)
    benches = figures.benches()
    won = sum(fastest(figures, bench, factor, ["varve", *peers]) == "varve" for bench in benches)
    means = [f"{name} {geometric_mean(ratios):.2f}" for name in peers if (ratios := figures.ratios(name, factor))]
    if not means:
        return None
    return (f"**Time in the same heap, {factor_text(factor)}.** Of the collectors that hold to a limit Varve is the "
            f"fastest in {won} of {len(benches)} cases (a case is a program with a number of threads). The others "
            "take, as multiples of Varve's time and geometric means over the cases that both complete: "
            f"{', '.join(means)}.")


def ages(figures):
    """Varve beside itself without ages."""
    factor = figures.reference()
    ratios = figures.ratios("varve-full", factor)
    if not ratios:
        return None
    everywhere = [f"{geometric_mean(found):.2f} at {factor_text(size)}" for size in figures.factors()
                  if size != factor and (found := figures.ratios("varve-full", size))]
    others = f"; {', '.join(everywhere)}" if everywhere else ""
    return (f"**Ages.** Without them, so with full collections only (varve-full), Varve takes "
            f"{geometric_mean(ratios):.2f} times the time at {factor_text(factor)} (geometric mean; "
            f"{min(ratios):.2f} to {max(ratios):.2f}){others}.")


def memory(figures):
    least = figures.factors()[0] if figures.factors() else None
    runs = tables.bounded_runs(figures)
    if not runs:
        return None
    kept = sum(run["rss"] <= bound for run, bound in runs)
    counts = [(name, *figures.completed(name, least)) for name in [*forms(figures), *limited(figures)]]
    completed = ", ".join(f"{name} {done} of {tried}" for name, done, tried in counts)
    return (f"**Small heaps.** In {factor_text(least)} these complete: {completed}.{smallest(figures)} Varve's "
            f"process stayed below its limit x {tables.ROUND} + {tables.BESIDES // tables.MIB} MiB in {kept} of "
            f"{len(runs)} runs.")


def smallest(figures):
    """The smallest heaps as geometric means, over the programs for which all have one."""
    names = ["varve", *limited(figures)]
    found = [[figures.smallest.get((bench, name), {}).get("limit") for name in names] for bench in figures.benches()]
    ratios = [[limit / figures.lives[bench] for limit in limits]
              for bench, limits in zip(figures.benches(), found) if all(limits)]
    if not ratios:
        return ""
    means = [f"{name} {geometric_mean(column):.2f}" for name, column in zip(names, zip(*ratios))]
    return (f" The smallest heap is, in multiples of the live size and over the {len(ratios)} programs that all of "
            f"them complete, {', '.join(means)}.")


def explicit_free(figures):
    factor, ratios, sizes = figures.reference(), [], []
    for bench in figures.benches():
        best, varve = fastest(figures, bench, None, MALLOCS), figures.cell(bench, "varve", factor)
        if best and varve and varve.ok:
            ratios.append(1 / figures.ratio(bench, best, None))
            peaks = varve.median("rss"), figures.cell(bench, best, None).median("rss")
            sizes += [peaks[0] / peaks[1]] if all(peaks) else []
    if not ratios:
        return None
    memory = f", and {geometric_mean(sizes):.2f} times its peak memory" if sizes else ""
    return (f"**Beside explicit free.** At {factor_text(factor)} Varve takes {geometric_mean(ratios):.2f} times the "
            f"time of the fastest malloc (geometric mean; {min(ratios):.2f} to {max(ratios):.2f}){memory}.")


def pauses(figures):
    factor, found = figures.reference(), []
    for name in [*forms(figures), *limited(figures)]:
        cells = [cell for bench in figures.benches() if (cell := figures.cell(bench, name, factor)) and cell.ok]
        high = [value for cell in cells if (value := cell.median("pause_p99_ms")) is not None]
        longest = [value for cell in cells for value in cell.values("pause_max_ms")]
        if high and longest:
            found.append(f"{name} {tables.milliseconds(max(high))} and {tables.milliseconds(max(longest))}")
    if not found:
        return None
    return (f"**Pauses** at {factor_text(factor)} in ms, the worst program's 99th percentile and the longest of all: "
            f"{', '.join(found)}. Varve collects in the pause and nowhere else.")


def losses(figures):
    found = figures.losses()
    compared = sum(name not in contenders.VARVE and cell.ok for (_, name, _), cell in figures.cells.items())
    if not compared:
        return None
    clear = sum(loss.clear for loss in found)
    text = (f"**Losses.** In {len(found)} of {compared} comparisons Varve is the slower or does not complete, in "
            f"{clear} of them clearly")
    timed = [loss for loss in found if loss.ratio is not None]
    if timed:
        worst = min(timed, key=lambda loss: loss.ratio)
        where = f" at {factor_text(worst.factor)}" if worst.factor else ""
        text += (f"; worst, {bench_text(worst.bench)}: {worst.contender}{where} takes {worst.ratio:.2f} of "
                 f"Varve's time")
    return text + "."


def wrap(text, indent=""):
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def lines(figures):
    found = [line(figures) for line in (time, ages, memory, explicit_free, pauses, losses)]
    return "\n".join(wrap(f"* {text}", "  ") for text in found if text)
