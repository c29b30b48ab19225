# SPDX-License-Identifier: MIT
"""journal.py -- the file of single runs: one JSON object a line, written as it happens, so that a run can be resumed.

Every line has a "kind":

    machine    the record of the machine, the command line, and what was not built; one for each start
    live       the live size of a program, from Varve's --live
    run        one run of a contender at one heap size
    trial      one step of the search for the smallest heap; "smallest" is what the search found
    host       one run of examples/parallax_net
"""
import json
import pathlib

KEYS = ("kind", "program", "size", "threads", "contender", "factor", "heap", "run")


def key_of(record):
    return tuple(record.get(name) for name in KEYS)


def load(path):
    """The records of a file; a last line that was cut off is left out."""
    records = []
    for line in pathlib.Path(path).read_text().splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return records


class Journal:
    """Remembers what is in the file and adds to it."""

    def __init__(self, path, resume):
        self.path = pathlib.Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.records = load(self.path) if resume and self.path.exists() else []
        if self.path.exists() and not resume:
            self.path.replace(self.path.with_suffix(self.path.suffix + ".old"))
        self.by_key = {key_of(record): record for record in self.records if record["kind"] != "trial"}
        self.file = self.path.open("a")
        if self.records:
            self.file.write("\n")  # after a line that was cut off

    def find(self, record):
        """The record of the same run, if it is there."""
        return self.by_key.get(key_of(record))

    def add(self, record):
        self.records.append(record)
        if record["kind"] != "trial":
            self.by_key[key_of(record)] = record
        self.file.write(json.dumps(record, separators=(",", ":")) + "\n")
        self.file.flush()
        return record
