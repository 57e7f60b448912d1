"""Does a score grow with depth: Page's trend test, the mean rank correlation within a pair, and every step."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import page_trend_test, rankdata

from pipeline.alignment.bootstrap import Estimate, IntervalRule, Resampler, difference_p
from pipeline.errors import PipelineError

RANGES_OF_TWELVE = {"1-5": (1, 5), "7-12": (7, 12)}
"""The layers (first, last) in which the paper says that a joint encoder of 12 layers rises."""


class Trend(NamedTuple):
    """Whether a score rises over some layers.

    Attributes
    ----------
    rho : Estimate
        Mean over pairs of the rank correlation of score and layer within a pair, in [-1, 1]; shape (1,).
    p_rises, p_falls : float
        Page's test of a rise, and of a fall, each one-sided.
    steps : Estimate
        Each layer's score minus that of the layer before, shape (layer - 1,).
    p_steps : float array, shape (layer - 1,)
        Two-sided p-value of each step; not yet corrected (`pipeline.claims` does that over all of a claim).
    """

    rho: Estimate
    p_rises: float
    p_falls: float
    steps: Estimate
    p_steps: Float[np.ndarray, " step"]


def layer_ranges(n_layers: int, *, joint: bool) -> dict[str, tuple[int, int]]:
    """Return the ranges of layers, from 1, that the claim names: all; for joint encoders of 12 layers two more."""
    named = RANGES_OF_TWELVE if joint and n_layers == 12 else {}
    return {"all": (1, n_layers), **named}


def rank_correlation(scores: Float[np.ndarray, "pair layer"]) -> Float[np.ndarray, " pair"]:
    """Return Spearman's correlation of score and layer within each pair, ties with mean ranks.

    A pair whose layers all tie has no trend: 0. A pair with an unknown score is NaN.
    """
    ranks = rankdata(scores, axis=1)
    layers = np.arange(scores.shape[1]) - (scores.shape[1] - 1) / 2
    centred = ranks - ranks.mean(1, keepdims=True)
    size = np.linalg.norm(centred, axis=1) * np.linalg.norm(layers)
    rho = np.divide(centred @ layers, size, out=np.zeros(len(scores)), where=size > 0)
    return np.where(np.isnan(scores).any(1), np.nan, rho)


def trend(scores: Float[np.ndarray, "pair layer"], resampler: Resampler, rule: IntervalRule) -> Trend:
    """Return whether scores rise from layer to layer, over the pairs that have all of them.

    Page's L = sum over layers of (place of the layer) * (sum over pairs of the score's rank within the pair), by its
    normal approximation (`scipy.stats.page_trend_test`).

    Parameters
    ----------
    scores : float array, shape (pair, layer)
        Layers of one range, in order; NaN where a pair has none.
    resampler : Resampler
        Of the same pairs.
    rule : IntervalRule
        Of the intervals.

    Raises
    ------
    PipelineError
        If there are fewer than three layers or two pairs that have them all.
    """
    known = scores[~np.isnan(scores).any(1)]
    if scores.shape[1] < 3 or len(known) < 2:
        message = (
            f"scores: a trend needs at least 3 layers and 2 pairs that have a score in each, but there are "
            f"{scores.shape[1]} and {len(known)}; compare two layers by their difference"
        )
        raise PipelineError(message)
    steps = resampler.estimate_mean(np.diff(scores, axis=1), rule)
    rises, falls = (page_trend_test(part, method="asymptotic").pvalue for part in (known, known[:, ::-1]))
    rho = resampler.estimate_mean(rank_correlation(scores)[:, None], rule)
    return Trend(rho, float(rises), float(falls), steps, difference_p(steps))
