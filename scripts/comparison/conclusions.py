# SPDX-License-Identifier: MIT
"""conclusions.py -- the lines at the head of BENCHMARKS.md, computed: time, memory, explicit free, pauses, losses."""
import textwrap

from comparison import tables
from comparison.figures import bench_text, factor_text, geometric_mean

MALLOCS = ("glibc", "jemalloc", "mimalloc")


def limited(figures):
    """The collectors that hold to a limit, as Varve does."""
    return [c.name for c in figures.contenders() if c.bounded == "limit" and c.name != "varve"]


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


def memory(figures):
    least = figures.factors()[0] if figures.factors() else None
    runs = tables.bounded_runs(figures)
    if not runs:
        return None
    kept = sum(run["rss"] <= bound for run, bound in runs)
    counts = [(name, *figures.completed(name, least)) for name in ["varve", *limited(figures)]]
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
    factor, longest = figures.reference(), []
    for name in ["varve", *limited(figures)]:
        cells = [cell for bench in figures.benches() if (cell := figures.cell(bench, name, factor)) and cell.ok]
        found = [value for cell in cells for value in cell.values("pause_max_ms")]
        longest += [f"{name} {tables.milliseconds(max(found))} ms"] if found else []
    if not longest:
        return None
    return (f"**Longest pause** at {factor_text(factor)}, over all programs: {', '.join(longest)}. Varve collects in "
            "the pause and nowhere else.")


def losses(figures):
    found = figures.losses()
    compared = sum(name != "varve" and cell.ok for (_, name, _), cell in figures.cells.items())
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
    found = [line(figures) for line in (time, memory, explicit_free, pauses, losses)]
    return "\n".join(wrap(f"* {text}", "  ") for text in found if text)
