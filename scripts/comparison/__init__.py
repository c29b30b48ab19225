# SPDX-License-Identifier: MIT
"""comparison -- the whole programs beside other collectors: what is run, how it is measured, what is made of it.

    programs.py contenders.py         what is run: programs with their sizes, implementations with their command lines
    process.py trial.py smallest.py   how: one process; one run judged; a search for the smallest heap
    numa.py                           policies of numactl, on machines with several nodes
    host.py                           the machine of examples/parallax_net, for Varve alone
    journal.py machine.py             the file of single runs; the record of the machine
    figures.py                        medians, ratios and losses, from that file
    tables.py plots.py targets.py     what BENCHMARKS.md shows

scripts/peers.py measures, scripts/report.py writes.
"""
