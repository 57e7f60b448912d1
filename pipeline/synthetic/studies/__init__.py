"""Experiments on what the paper leaves open: one module a study, each a function `run(settings)` to a `StudyResult`.

A study writes down what would support its claims (`Estimate` rows with bounds) before its long run. A demo runs the
same code on little and decides nothing. `catalogue` lists the studies, `pipeline.study_file` keeps what they found.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from pipeline.claims import OPEN, Claim, Estimate, Rule, decide
from pipeline.study_file import Size

LEVEL = 0.95
DEMO = "a demo size shows that the code runs; `make studies` decides"


@dataclass(frozen=True)
class StudySettings:
    """How a study is run.

    Attributes
    ----------
    size : {"demo", "long"}
    seeds : int
        Runs of everything that is random.
    seed : int
        Of the first; the others follow from it.
    work : Path
        For checkpoints: a study that was stopped goes on from there.
    say : callable
        Takes one line of progress.
    """

    size: Size
    seeds: int
    seed: int
    work: Path
    say: Callable[[str], None]


def decided(estimates: Sequence[Estimate], size: Size, rules: Mapping[str, Rule] | None = None) -> list[Claim]:
    """Return the claims of a study, decided by `pipeline.claims.decide`; those of a demo are not testable here."""
    claims = decide(estimates, level=LEVEL, rules=rules)
    if size == "long":
        return claims
    return [replace(claim, verdict="not testable here", why=DEMO) for claim in claims]


class Interval(NamedTuple):
    """A mean over seeds, or a difference of two, with its interval (level 0.95) and the two-sided p of its bound."""

    value: float
    low: float
    high: float
    p: float | None


def mean_interval(values: Sequence[float], *, bound: float = 0.0) -> Interval:
    """Return the mean over seeds with its t interval; without interval where fewer than two seeds are left or all agree.

    Examples
    --------
    >>> [round(number, 3) for number in mean_interval([1.0, 2.0, 3.0])]
    [2.0, -0.484, 4.484, 0.074]
    """
    if len(values) < 2 or np.ptp(values) == 0.0:  # without spread there is no interval
        return Interval(float(np.mean(values)) if len(values) else math.nan, math.nan, math.nan, None)
    return _interval(float(np.mean(values)), stats.ttest_1samp(values, bound), shift=0.0)


def gap_interval(more: Sequence[float], less: Sequence[float], *, bound: float = 0.0) -> Interval:
    """Return the difference of two means over independent seeds with Welch's interval.

    Examples
    --------
    >>> [round(number, 2) for number in gap_interval([3.0, 4.0, 5.0], [1.0, 2.0, 3.0])]
    [2.0, -0.27, 4.27, 0.07]
    """
    if min(len(more), len(less)) < 2:
        return Interval(math.nan, math.nan, math.nan, None)
    test = stats.ttest_ind(np.asarray(more) - bound, less, equal_var=False)
    return _interval(float(np.mean(more) - np.mean(less)), test, shift=bound)


def _interval(value: float, test: Any, *, shift: float) -> Interval:
    ends = test.confidence_interval(LEVEL)
    p = float(test.pvalue)
    return Interval(value, float(ends.low) + shift, float(ends.high) + shift, p if math.isfinite(p) else None)


def estimate(
    name: str,
    statement: str,
    interval: Interval,
    *,
    unit: str,
    bound: float = 0.0,
    where: str = "",
    figure: str = "",
    role: str = "decides",
) -> Estimate:
    """Return the row of a claim that a difference lies above `bound`; its interval comes from the seeds."""
    return Estimate(
        id=name,
        claim=name,
        question=OPEN,
        statement=statement,
        comparison=where,
        where=where,
        difference=interval.value,
        low=interval.low,
        high=interval.high,
        unit=unit,
        bound=bound,
        figure=figure,
        p=interval.p,
        role=role,
    )
