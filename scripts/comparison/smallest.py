# SPDX-License-Identifier: MIT
"""smallest.py -- the smallest heap at which a program still completes, by bisection.

The search takes for granted that what completes in a heap completes in any larger one. It begins between the largest
heap known to fail and the smallest known to do, and ends when they are within 2 % of each other, or after ten steps.
"""
CLOSE = 1.02
STEPS = 10
LEAST = 0.25  # of the live size: less than anybody can do with


def brackets(known, live):
    """known: (heap, completed) pairs. Returns (fails, completes); completes is None where nothing is known to."""
    completes = min((heap for heap, completed in known if completed), default=None)
    fails = max((heap for heap, completed in known if not completed and (not completes or heap < completes)), default=0)
    return max(fails, LEAST * live), completes


def search(fails, completes, attempt):
    """attempt(bytes) tells whether a heap is enough; returns the smallest that was, and the number of steps."""
    steps = 0
    while completes > CLOSE * fails and steps < STEPS:
        middle = int((fails * completes) ** 0.5)
        if attempt(middle):
            completes = middle
        else:
            fails = middle
        steps += 1
    return completes, steps
