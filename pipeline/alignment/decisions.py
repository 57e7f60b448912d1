"""Verdicts from intervals: the rules, decided in advance, as functions of numbers alone."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

Verdict = Literal["supported", "partly", "not supported", "undecided", "untested", "not testable here"]
PLAN_MARGIN = 0.002
"""Nats by which the plan must fit better than the similarity, and by which the two must differ to be told apart."""
CONVENTIONS = ("sum", "mean")
"""How attention on the tokens of a key word becomes that on the word: a verdict holds under both."""


class Interval(NamedTuple):
    """A difference's interval and its two-sided p-value, corrected over all that the claim compares (Holm).

    p is that of the bound which the rule compares with: 0 unless the rule says otherwise.
    """

    low: float
    high: float
    p: float = 0.0


def side(interval: Interval, *, alpha: float, bound: float = 0.0) -> Literal["above", "below", "holds"]:
    """Return where an interval lies; one that does not survive correction, or is not finite, holds the bound.

    Examples
    --------
    >>> [side(Interval(*ends), alpha=0.05) for ends in ((1, 2), (-2, -1), (-1, 1), (1, 2, 0.2))]
    ['above', 'below', 'holds', 'holds']
    """
    if interval.p <= alpha and interval.low > bound:
        return "above"
    return "below" if interval.p <= alpha and interval.high < bound else "holds"


def finds_translations(dictionary: Interval, gold: Interval | None, *, alpha: float = 0.05) -> Verdict:
    """Return whether attention finds translations (claim 1), by pointing minus position of the chosen layer.

    Both intervals above 0: supported; one: partly; none above and one holding 0: undecided; else not supported.
    Without gold links the dictionary alone decides, and says partly at most.
    """
    sides = [side(interval, alpha=alpha) for interval in (dictionary, gold) if interval is not None]
    n_above = sides.count("above")
    if n_above == 2:
        return "supported"
    if n_above == 1:
        return "partly"
    return "undecided" if "holds" in sides else "not supported"


def grows_with_depth(
    rho: Interval, steps: Sequence[Interval], *, alpha: float = 0.05
) -> tuple[Verdict, tuple[int, ...]]:
    """Return whether a score rises over a range of layers (claim 2), and which steps, from 0, fall.

    The mean rank correlation within a pair, with the p-value of Page's test, says the direction: below 0 the claim is
    not supported (reversed), with 0 undecided. A rise in which a step falls is partly supported, and the step is named.
    """
    falling = tuple(step for step, interval in enumerate(steps) if side(interval, alpha=alpha) == "below")
    direction = side(rho, alpha=alpha)
    if direction == "holds":
        return "undecided", falling
    if direction == "below":
        return "not supported", falling
    return ("partly" if falling else "supported"), falling


class PlanEvidence(NamedTuple):
    """One layer under one convention, with or without the position term.

    Attributes
    ----------
    difference : Interval
        D - A in nats: KL to the plan minus KL to the similarity; p of the bound -`PLAN_MARGIN`.
    power : float
        Mean KL(D || A) in nats, both at A's fitted parameters.
    """

    difference: Interval
    power: float


def is_a_plan(
    plain: Mapping[str, PlanEvidence], with_position: Mapping[str, PlanEvidence], *, alpha: float = 0.05
) -> Verdict:
    """Return whether attention is a plan beyond similarity at a layer (claim 3).

    Supported only if D - A lies below -`PLAN_MARGIN` under both token conventions, without the position term and with
    it. Untested where D and A could not be told apart: power below `PLAN_MARGIN`. The verdict is taken without the
    position term; with it, it may only be lost.

    Parameters
    ----------
    plain, with_position : mapping of convention to PlanEvidence
        Both of `CONVENTIONS`.
    alpha : float
        Of the corrected p-values.
    """
    for evidence in (plain, with_position):
        rows = [evidence[convention] for convention in CONVENTIONS]
        if any(row.power < PLAN_MARGIN for row in rows):
            return "untested"
        if any(side(row.difference, alpha=alpha, bound=-PLAN_MARGIN) != "below" for row in rows):
            return "not supported"
    return "supported"
