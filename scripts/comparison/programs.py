# SPDX-License-Identifier: MIT
"""programs.py -- the whole programs of tests/programs/README.md: their sizes, what each shows, how it can mislead."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Program:
    name: str
    full: int
    quick: int
    shows: str
    misleads: str


PROGRAMS = [
    Program("binary_trees", 18, 15,
            "short-lived trees beside one that lives: allocation speed, and collections that find little",
            "all objects have one size and die in the order of their birth, which flatters every bump allocator"),
    Program("gcbench", 18, 15, "the same, built from both ends, beside a large array without references",
            "parents older than their children; old enough that every collector has been tuned for it"),
    Program("quad_trees", 10, 8,
            "one large live tree that every collection marks again, beside small ones that die at once",
            "the best case of generations: nothing old ever dies or changes"),
    Program("lru", 80000, 20000, "a cache: everything dies old, in no order; payloads of 16 to 512 bytes",
            "the worst case of generations; and its hits are random reads, which no collector makes faster"),
    Program("fragment", 140000, 30000,
            "holes: three quarters are dropped at random, and bigger objects come in their place",
            "payloads only, so there is nothing to trace: it measures placing and moving bytes"),
    Program("graph", 1000000, 150000,
            "random references and ten forced full collections: marking and fixing up what lies far apart",
            "the collections are forced, so a larger heap does not help; explicit free cannot take part"),
    Program("queue", 2000000, 400000,
            "messages from one thread to another: what one thread allocates dies in the hands of the other",
            "with one thread there is no hand-over; with two the lock and the waking of threads are part of the time"),
    Program("sessions", 120000, 30000,
            "a server: requests build small lists and trees that die at once, beside a table that is seldom written",
            "the case that generations are made for: next to nothing of what a request builds outlives it"),
    Program("phases", 1000, 250,
            "a compiler: the trees of each module die together and in middle age, symbols and output stay and grow",
            "no reference in an old object changes but for chains and output; and the modules are equally large"),
    Program("rewire", 600000, 200000,
            "eight stores into random old objects for each allocation: what the barriers of a collector cost",
            "each store misses the caches, which hides a part of a barrier; and what is new dies in no time"),
    Program("pipeline", 2000000, 640000,
            "stages that hand batches on: most objects die in the queues, parts of some go into a table that lives on",
            "with two threads the lock and the waking of threads are part of the time, and both wait for the slower"),
]
BY_NAME = {program.name: program for program in PROGRAMS}


def size_of(program, quick):
    return program.quick if quick else program.full
