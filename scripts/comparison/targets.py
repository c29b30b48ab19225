# SPDX-License-Identifier: MIT
"""targets.py -- the tables of the collector's own paths, from the lines of `scripts/bench --json`: targets, and what is
shown without one."""
import json

HEADER = ["what", "median", "spread", "limit in the same run", "ratio", "must", "reach", ""]


def load(path):
    with open(path) as file:
        return [json.loads(text) for text in file if text.startswith("{")]


def figures_of(lines):
    """One figure a target, which knows what it met."""
    figures = {}
    for line in lines:
        key = (line["bench"], line["what"])
        if "target" in line:
            figures[key]["met_" + line["target"].lower()] = line["met"]
        elif "must" in line:
            figures[key] = line
    return list(figures.values())


def number(value):
    return f"{value:.4g}"


def row_of_values(figure):
    limit = f"{number(figure['limit'])} {figure['limit_name']}" if "limit" in figure else "-"
    ratio = number(figure["ratio"]) if "ratio" in figure else "-"
    return [figure["what"], f"{number(figure['value'])} {figure['unit']}".strip(),
            f"{number(figure['min'])} .. {number(figure['max'])}", limit, ratio]


def row(figure):
    met = "**missed**" if not figure["met_must"] else "reached" if figure["met_reach"] else "met"
    return [*row_of_values(figure), f"{figure['sense']} {number(figure['must'])}", number(figure["reach"]), met]


PLAIN_HEADER = ["what", "median", "spread", "beside it in the same run", "ratio"]


def plain(lines, bench):
    """The figures of one benchmark, judged or not, once each."""
    figures = {line["what"]: line for line in lines if line["bench"] == bench and "value" in line}
    return [[*row_of_values(figure)] for figure in figures.values()]


def missed(figures):
    return sum(not figure["met_must"] for figure in figures)
