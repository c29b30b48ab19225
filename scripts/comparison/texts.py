# SPDX-License-Identifier: MIT
"""texts.py -- the words of BENCHMARKS.md; scripts/report.py fills in what is in braces."""

QUESTION = """# Benchmarks

The question: what does a program pay for Varve, in time, memory and pauses, and what would it pay for something else in
the same memory? And how close do the collector's own paths come to the limit of the machine?

{lines}

Every figure is of one machine, described below. Ratios above 1 mean that Varve is the faster; where it is the slower
the figure is **bold**."""

MACHINE = """## Machine

{rows}

{words}"""

TRUST = "Trust ratios within a table more than single figures, and the spreads more than either."

VIRTUAL = "The machine is virtual and shares its host: figures move by 10 to 30 % between runs."

REPRODUCE = """## How to reproduce

```sh
./scripts/bench targets            # the targets, MUST and REACH lines
./scripts/bench targets --quick    # smaller heaps, under a minute; exits with the count of MUST lines missed
./scripts/bench peers              # the whole programs, for hours;  --quick: smaller, for minutes
./scripts/bench --json targets >targets.json
./scripts/bench --json young barrier notes >ages.json
./scripts/bench --json weak identity narrow >features.json
./scripts/numa --out numa.json     # pages under policies of numactl, in virtual machines where there is one node only
./scripts/report.py --targets targets.json --ages ages.json --features features.json --numa numa.json --peers build/peers.jsonl --plots plots \\
    --notes notes.md >BENCHMARKS.md
```"""

TARGETS = """## The collector's own paths

**{met} of {count} targets are met, {missed} are missed.** Medians, with the smallest and largest sample. "ratio" is the
figure against its limit.

{table}"""

AGES = """## Young collections, stores, noted words

A young collection beside an old part of 256 MiB, of a nursery of which little survives. The raw loop marks the same
objects and copies them together; one thread finds them from the root on, two know beforehand where they are.

{young}

What a store costs, against the same store without a barrier. "First": the first into an old object since it was last
collected.

{barrier}

Ten million Ref words, of which one in eight refers to an object; some change between two collections. A young collection against a
full one; "of it words": the same without what is marked and moved, against reading the noted lines.

{notes}"""

FEATURES = """## What an embedder can hold

The time of the weak steps of a collection, by one worker, beside that of marking as many ordinary objects.

{weak}

A call each, and what holding adds to a collection.

{identity}

Binary trees whose children are references of 32 bits, against 64.

{narrow}"""

METHOD = """## Whole programs: method

Twelve programs, written once for Varve and again for each of the others, to one specification
([tests/programs/README.md](tests/programs/README.md)); every run must print the same checksum.

{programs}

{contenders}

* **Heap size.** The live size is what Varve finds reachable at the program's points of most live data, headers
  included. Each contender is given that many bytes times the factor. Objects are not equally large everywhere: Java's
  references have four bytes, C's objects no header but malloc's. Varve's limit counts blocks of 32 KiB
  in use and their tables; it takes memory in regions of 2 MiB, as the program grows.
  With a *limit* a program that needs more runs out of memory; with a *goal* it takes more.
* **Order.** Rounds through all programs, heap sizes and contenders; those that are compared stand next to each other,
  and each round begins with another one. So a machine that grows slower does so for all.
* **Figures.** Medians of up to {runs} runs, with the smallest and largest. A run may take {timeout:g} s (Java that much
  for each of its repetitions); what timed out is not tried again. Time is that of the program without the start of its
  process; a process runs it once. Java runs it {warm} times before, to compile it: its time is that of the last run,
  its CPU time and memory are those of all of them. The others pay for their first page faults in the run that is
  measured; Java paid before. Before each run 768 MiB are touched and freed, so that nobody pays for memory that a
  virtual machine has given back to its host.
* **Memory** is the peak of the process (`ru_maxrss`); below 20 MiB or so it is not known: a dash.
* **Failures** are results. A contender that fails in one run of several has failed there. *Refused*: the heap is below
  the least that it takes. *Impossible*: the program cannot be written for it.
* **varve-full** is another form of Varve, not a peer: it is in the tables, with its ratio to Varve, and Varve loses
  nothing to it.
* **Pauses** are listed by each run; percentiles are medians over the runs, "longest" is that of all. Most of a
  generational collector's pauses are young ones, so that the median alone says little. OCaml tells none but those it is
  asked for, Java's have whole milliseconds.
* **Losses** are ratios below 1, or programs that only the other completes; clear ones are outside the spreads of
  several runs. Contenders without a bound are compared with Varve at {reference:g} x live.
* Measured with `{command}`.{absent}"""

OVERVIEW = """## Whole programs: overview

Time as a multiple of Varve's in the same heap, the geometric mean over the programs that both complete; and how many
programs complete. A mean over fewer programs leaves out the hardest: read both figures.

{table}"""

PROGRAM = """### {name} {size}

{words}

{plot}{tables}"""

PROGRAM_TABLES = """**{threads}: seconds** (spread), and the ratio to Varve

{times}

<details><summary>{threads}: memory, CPU, pauses</summary>

Peak resident memory, MiB

{resident}

CPU seconds / seconds in collections

{work}

Pauses in ms: median / 95th percentile / 99th / longest (collections)

{pauses}

</details>"""

SMALLEST = """## Smallest heaps

The smallest heap in which the program still completes, found by bisection to 2 %: as a multiple of Varve's live size,
and in MiB. An attempt fails when it runs out of memory, or takes ten times what the program takes in a large heap (at
least 20 s).

{table}"""

BOUNDS = """## Is the limit kept?

The bound for a process with Varve, with ages or without, is its limit x {round} + {besides} MiB: side tables, stacks,
the program itself. The largest peak of all runs, and the bound, in MiB; **bold** where it was broken.

{table}"""

HOST = """## The host: an interaction-net machine

`examples/parallax_net` on heaps of three sizes, each result checked; wall time of the process.

{programs}

{table}"""

LOSSES = """## Where we lose, and why

{table}{notes}"""

LOST = """The worst ratio of each contender that is somewhere faster than Varve, at which heap size, and at how many
sizes it is faster. "~": not clear, so within the spreads or from single runs. "alone": it completes and Varve does not,
or, of those without a bound, Varve does not at the size that they are compared with.

{table}

"""

NOT_MEASURED = """## Not measured

{unless_peers}More than two threads; time on more than one node; long-running fragmentation, for hours; tail latencies on an
oversubscribed machine."""

RAW = """## Raw data

Every single run: [{path}]({path})."""
