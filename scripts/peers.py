#!/usr/bin/env -S python3 -B
# SPDX-License-Identifier: MIT
"""peers.py -- run the whole programs on Varve and on what a user could take instead, at the same heap sizes.

    scripts/bench peers [OPTION...]     builds first; this script alone takes what is built

It finds the live size of each program, which gives the heap sizes, and runs every contender at each of them, in rounds.
How exactly stands in scripts/comparison/session.py.

Every single run becomes one line of FILE (scripts/comparison/journal.py), which scripts/report.py reads. Running out of
memory or of time is a result. A wrong checksum is an error: it is reported, and the exit status is 1.
"""
import argparse
import pathlib
import sys

from comparison import contenders, programs
from comparison.figures import Figures
from comparison.session import Session, say
from comparison.summary import print_summary

ROOT = pathlib.Path(__file__).resolve().parent.parent
FACTORS, QUICK_FACTORS = "1.1,1.25,1.5,2,3,6", "1.5,3"


def numbers(kind):
    return lambda text: [kind(word) for word in text.split(",")]


def names_among(known):
    def parse(text):
        names = text.split(",")
        unknown = set(names) - set(known)
        if unknown:
            raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
        return names
    return parse


def arguments():
    parser = argparse.ArgumentParser(prog="scripts/bench peers", formatter_class=argparse.RawDescriptionHelpFormatter,
                                     description="\n".join(__doc__.splitlines()[1:]))
    add = parser.add_argument
    add("--quick", action="store_true", help=f"small sizes, factors {QUICK_FACTORS}, one run, no search")
    add("--program", type=names_among([*programs.BY_NAME, "host"]), metavar="A,B",
        help="these programs only; host is the machine of examples/parallax_net")
    add("--only", type=names_among(contenders.BY_NAME), metavar="A,B", help="these contenders only")
    add("--factors", type=numbers(float), help=f"heap sizes in times the live size (default {FACTORS})")
    add("--threads", type=numbers(int), default=[1, 2], help="threads of the programs (default 1,2)")
    add("--runs", type=int, help="rounds (default 3)")
    add("--timeout", type=float, default=60, help="seconds that running a program once may take (default 60)")
    add("--smallest", action=argparse.BooleanOptionalAction,
        help="search for the smallest heaps, with the first number of --threads (default, but not with --quick)")
    add("--budget", type=float, help="seconds; no round is begun that would probably not end within them")
    add("--out", default=ROOT / "build/peers.jsonl", help="the file of single runs (default build/peers.jsonl)")
    add("--resume", action="store_true", help="go on with that file: do not repeat what is in it")
    add("--build", default=ROOT / "build/release", type=pathlib.Path, help="the build folder (default build/release)")
    add("--checksums", default=ROOT / "tests/programs/checksums.json", type=pathlib.Path,
        help="what the programs must compute (default tests/programs/checksums.json)")
    given = parser.parse_args()
    given.factors = given.factors or numbers(float)(QUICK_FACTORS if given.quick else FACTORS)
    given.runs = given.runs or (1 if given.quick else 3)
    given.smallest = not given.quick if given.smallest is None else given.smallest
    return given


def shown_command():
    """The command line as a reader would repeat it: without the build folder, which scripts/bench gives."""
    words, shown = iter(sys.argv[1:]), ["scripts/bench", "peers"]
    for word in words:
        if word == "--build":
            next(words, None)
        else:
            shown.append(word)
    return " ".join(shown)


def main():
    session = Session(arguments(), shown_command())
    try:
        session.run()
    except KeyboardInterrupt:
        say("interrupted; --resume goes on from here")
    print_summary(Figures(session.journal.records))
    say(f"the single runs are in {session.journal.path}")
    if session.errors:
        say(f"{session.errors} errors: what was measured is not to be trusted")
    return 1 if session.errors else 0


if __name__ == "__main__":
    sys.exit(main())
