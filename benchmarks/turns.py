"""Runs taken in turns, so that a noisy machine slows all of them."""

import resource
import time
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any


def take_turns(runs: Mapping[str, Callable[[], Any]], turns: int) -> dict[str, list[float]]:
    """Return the seconds of every run by name, one a turn. Give runs that have run before: the first loads libraries."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(turns):
        for name, run in runs.items():
            began = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - began)
    return seconds


def ratio(one: list[float], other: list[float]) -> float:
    """Return how many times as long one run takes as another: the median over the turns."""
    return round(median(a / b for a, b in zip(one, other, strict=True)), 2)


def peak_memory(who: int = resource.RUSAGE_SELF) -> int:
    """Return the most memory that this process, or the largest of its children, has had, in bytes (Linux)."""
    return resource.getrusage(who).ru_maxrss * 1024
