#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""report.py -- write BENCHMARKS.md from what was measured. Either of the two files may be left out.

    ./scripts/bench --json targets >targets.json
    ./scripts/bench peers --out tests/programs/results/peers.jsonl
    ./scripts/report.py --targets targets.json --peers tests/programs/results/peers.jsonl \\
        --plots tests/programs/results/plots --notes notes.md >BENCHMARKS.md

The machine is that of the peers' file; without one it is the machine that this runs on. --notes, a file, goes in as it
is under "Where we lose, and why". --plots, a folder, gets one SVG a program; it needs gnuplot. Call it in the root of
the repository: the page links to the files by the names given here.
"""
import argparse
import itertools
import pathlib
import sys

from comparison import conclusions, contenders, journal, machine, numa, plots, programs, tables, targets, texts
from comparison.conclusions import wrap
from comparison.figures import Figures, threads_text

def arguments():
    parser = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    parser.add_argument("--targets", help="what scripts/bench --json targets printed")
    parser.add_argument("--ages", help="what scripts/bench --json young barrier notes printed")
    parser.add_argument("--features", help="what scripts/bench --json weak identity narrow printed")
    parser.add_argument("--numa", help="what scripts/numa wrote")
    parser.add_argument("--peers", help="what scripts/bench peers wrote")
    parser.add_argument("--notes", help="why we lose")
    parser.add_argument("--plots", type=pathlib.Path, help="folder for the plots")
    return parser.parse_args()


# ---- sections: each a text, or None when there is nothing to say -----------------------------------------------------

def question(figures, aims):
    lines = conclusions.lines(figures)
    if aims:
        missed = targets.missed(aims)
        lines += f"\n* **Own paths.** {len(aims) - missed} of {len(aims)} targets are met, {missed} are missed."
    return texts.QUESTION.format(lines=lines.strip())


def machine_section(figures):
    record = figures.machines[0] if figures.machines else machine.record("build/release")
    rows = [[name, f"{value}"] for name, value in record.items() if name in machine.SHOWN]
    commits = {other["commit"] for other in figures.machines}
    if len(commits) > 1:
        rows = [[name, ", ".join(sorted(commits)) if name == "commit" else value] for name, value in rows]
    words = [texts.TRUST] if record["virtual"] == "no" else [texts.VIRTUAL, texts.TRUST]
    versions = [wrap(f"Versions: {', '.join(record['versions'])}.")] if record["versions"] else []
    return texts.MACHINE.format(rows=tables.markdown(["", ""], rows),
                                words="\n\n".join([wrap(" ".join(words)), *versions]))


def targets_section(aims):
    missed = targets.missed(aims)
    return aims and texts.TARGETS.format(met=len(aims) - missed, count=len(aims), missed=missed,
                                         table=tables.markdown(targets.HEADER, map(targets.row, aims)))


def ages_section(path):
    lines = targets.load(path)
    young, barrier, notes = (tables.markdown(targets.PLAIN_HEADER, targets.plain(lines, bench))
                             for bench in ("young", "barrier", "notes"))
    return texts.AGES.format(young=young, barrier=barrier, notes=notes)


def features_section(path):
    lines = targets.load(path)
    weak, identity, narrow = (tables.markdown(targets.PLAIN_HEADER, targets.plain(lines, bench))
                              for bench in ("weak", "identity", "narrow"))
    return texts.FEATURES.format(weak=weak, identity=identity, narrow=narrow)


def method(figures):
    record = figures.machines[0]
    absent = ", ".join(record["not_built"])
    return texts.METHOD.format(programs=tables.program_rows(figures), contenders=tables.contender_rows(figures),
                               runs=max(len(cell.runs) for cell in figures.cells.values()), timeout=record["timeout"],
                               warm=contenders.WARM_UPS, reference=figures.reference(), command=record["command"],
                               absent=f" Not built there, and so left out: {absent}." if absent else "")


def program_tables(figures, bench):
    return texts.PROGRAM_TABLES.format(threads=threads_text(bench.threads), times=tables.times(figures, bench),
                                       resident=tables.resident(figures, bench), work=tables.work(figures, bench),
                                       pauses=tables.pauses(figures, bench))


def program_section(figures, name, size, benches, folder):
    program = programs.BY_NAME[name]
    plot = ""
    if folder:
        path = folder / f"{name}.svg"
        plot = f"![{name}: time against heap size]({path})\n\n" if plots.draw(figures, name, benches, path) else ""
    words = wrap(f"It shows {program.shows}. How it can mislead: {program.misleads}.")
    return texts.PROGRAM.format(name=name, size=size, words=words, plot=plot,
                                tables="\n\n".join(program_tables(figures, bench) for bench in benches))


def program_sections(figures, folder):
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    groups = itertools.groupby(figures.benches(), key=lambda bench: (bench.program, bench.size))
    sections = [program_section(figures, name, size, list(benches), folder) for (name, size), benches in groups]
    return "\n\n".join(["## Whole programs, one by one", *sections])


def losses_section(figures, notes):
    table = texts.LOST.format(table=tables.losses(figures)) if figures.cells else ""
    return texts.LOSSES.format(table=table, notes=notes).rstrip()


def peers_sections(figures, folder):
    """What only the whole programs tell, section by section."""
    if figures.cells:
        yield method(figures)
        yield texts.OVERVIEW.format(table=tables.overview(figures))
        yield program_sections(figures, folder)
        yield texts.BOUNDS.format(round=tables.ROUND, besides=tables.BESIDES // tables.MIB,
                                  table=tables.bounds(figures))
    if figures.smallest:
        yield texts.SMALLEST.format(table=tables.smallest(figures))
    if figures.hosts:
        yield texts.HOST.format(programs=tables.host_programs(), table=tables.hosts(figures))


def page(given):
    figures = Figures(journal.load(given.peers) if given.peers else [])
    aims = targets.figures_of(targets.load(given.targets)) if given.targets else []
    notes = pathlib.Path(given.notes).read_text().strip() if given.notes else "No notes were given."
    unless_peers = "" if figures.cells else "Whole programs beside other collectors. "
    sections = [question(figures, aims), machine_section(figures), texts.REPRODUCE, targets_section(aims),
                given.ages and ages_section(given.ages), given.features and features_section(given.features),
                given.numa and numa.section(numa.load(given.numa)),
                *peers_sections(figures, given.plots), losses_section(figures, notes),
                texts.NOT_MEASURED.format(unless_peers=unless_peers),
                given.peers and texts.RAW.format(path=given.peers)]
    return "\n\n".join(section for section in sections if section) + "\n"


if __name__ == "__main__":
    sys.stdout.write(page(arguments()))
