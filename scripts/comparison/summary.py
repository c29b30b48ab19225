# SPDX-License-Identifier: MIT
"""summary.py -- what scripts/bench peers prints at the end: the others' times over Varve's, and the losses."""
from comparison.figures import bench_text, factor_text


def outcome_text(figures, bench, name, factor):
    cell = figures.cell(bench, name, factor)
    ratio = figures.ratio(bench, name, factor)
    if not cell.ok:
        return f"{name} {cell.failure}"
    return f"{name} {ratio:.2f}" if ratio is not None else f"{name} {cell.median():.3g} s"


def print_summary(figures):
    """Each contender's time as a multiple of Varve's, which stands in front in seconds; then the losses."""
    for bench in figures.benches():
        print(f"{bench_text(bench)}, live {figures.lives.get(bench, 0) / 2 ** 20:.1f} MiB")
        for factor in [*figures.factors(), None]:
            names = [c.name for c in figures.contenders() if c.name != "varve" and figures.cell(bench, c.name, factor)]
            varve = figures.cell(bench, "varve", factor)
            if names or varve:
                first = [] if not varve else [f"varve {varve.median():.3g} s" if varve.ok else f"varve {varve.failure}"]
                print(f"  {factor_text(factor)}: " +
                      ", ".join(first + [outcome_text(figures, bench, name, factor) for name in names]))
    losses = figures.losses()
    print(f"{len(losses)} losses of Varve" + (":" if losses else ""))
    for loss in losses:
        how = "Varve does not complete" if loss.ratio is None else f"{loss.ratio:.2f} of Varve's time"
        print(f"  {bench_text(loss.bench)}, {factor_text(loss.factor)}: {loss.contender}, {how}" +
              ("" if loss.clear else " (not clear)"))
