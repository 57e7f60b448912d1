"""What follows from the estimates, as pure functions; the rules were written down before the numbers."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

Verdict = Literal["supported", "not supported", "undecided"]
DECIDING_K = 4
RIVALS = ("position", "mispaired", "permuted")
"""What a head's own distribution must be better than."""


class Interval(NamedTuple):
    """A difference of losses in nats a word with the ends of its interval."""

    value: float
    low: float
    high: float

    @property
    def above(self) -> bool:
        """Return whether the whole interval is above 0."""
        return self.low > 0

    @property
    def below(self) -> bool:
        """Return whether the whole interval is below 0."""
        return self.high < 0


def uses_alignment(
    off: Interval, over_draws: Interval, share_reached: float, rivals: Sequence[Interval], *, level: float
) -> Verdict:
    """Return whether the translator uses the heads that align, and uses where they look.

    Parameters
    ----------
    off : Interval
        Loss with the best aligning heads off, minus the loss as it is.
    over_draws : Interval
        The same minus its mean over draws of as many other heads of the same layers.
    share_reached : float
        Share of the draws whose effect is at least as large, in [0, 1].
    rivals : sequence of Interval
        Loss with the heads' distributions replaced by each of `RIVALS`, minus the loss as it is.
    level : float
        Of the intervals; at most 1 - level of the draws may reach the effect.

    Returns
    -------
    str
        Supported if everything is above 0 and the draws stay behind; not supported if anything is below 0; else
        undecided.
    """
    differences = [off, over_draws, *rivals]
    if any(difference.below for difference in differences):
        return "not supported"
    # 1 - level is not exact in binary: .05 of the draws must pass at level .95.
    if all(difference.above for difference in differences) and share_reached <= 1 - level + 1e-12:
        return "supported"
    return "undecided"


def plan_matters(balanced_minus_tempered: Interval) -> Verdict:
    """Return whether attention serves better as a plan: Sinkhorn against a temperature of the same row entropy.

    Supported if balancing lowers the loss, not supported if it raises it. Nothing else decides this.
    """
    if balanced_minus_tempered.below:
        return "supported"
    return "not supported" if balanced_minus_tempered.above else "undecided"
