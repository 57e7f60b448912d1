"""Does a score grow with depth: Page's trend test, the mean rank correlation within a pair, and every step."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import norm, rankdata

from pipeline.alignment.bootstrap import Estimate, IntervalRule, difference_p
from pipeline.alignment.tally import Tally
from pipeline.errors import PipelineError

RANGES_OF_TWELVE = {"1-5": (1, 5), "7-12": (7, 12)}
"""The layers (first, last) in which the paper says that a joint encoder of 12 layers rises."""
FEWEST_LAYERS, FEWEST_PAIRS = 3, 2
Layers = tuple[int, int]


class Trend(NamedTuple):
    """Whether a score rises over some layers.

    Attributes
    ----------
    rho : Estimate
        Mean over pairs of the rank correlation of score and layer within a pair, in [-1, 1]; shape (...,).
    p_rises, p_falls : float array, shape (...,)
        Page's test of a rise, and of a fall, each one-sided.
    steps : Estimate
        Each layer's score minus that of the layer before, shape (..., layer - 1).
    p_steps : float array, shape (..., layer - 1)
        Two-sided p-value of each step; not yet corrected (`pipeline.claims` does that over all of a claim).
    """

    rho: Estimate
    p_rises: Float[np.ndarray, "*lead"]
    p_falls: Float[np.ndarray, "*lead"]
    steps: Estimate
    p_steps: Float[np.ndarray, "*lead step"]


def layer_ranges(n_layers: int, *, joint: bool) -> dict[str, tuple[int, int]]:
    """Return the ranges of layers, from 1, that the claim names: all; for joint encoders of 12 layers two more."""
    named = RANGES_OF_TWELVE if joint and n_layers == 12 else {}
    return {"all": (1, n_layers), **named}


def rank_correlation(scores: Float[np.ndarray, "pair *lead layer"]) -> Float[np.ndarray, "pair *lead"]:
    """Return Spearman's correlation of score and layer within each pair, ties with mean ranks.

    A pair whose layers all tie has no trend: 0. A pair with an unknown score is NaN.
    """
    ranks = rankdata(scores, axis=-1)
    layers = np.arange(scores.shape[-1]) - (scores.shape[-1] - 1) / 2
    centred = ranks - ranks.mean(-1, keepdims=True)
    size = np.linalg.norm(centred, axis=-1) * np.linalg.norm(layers)
    rho = np.divide(centred @ layers, size, out=np.zeros(scores.shape[:-1]), where=size > 0)
    return np.where(np.isnan(scores).any(-1), np.nan, rho)


def trend_values(
    scores: Float[np.ndarray, "pair *lead layer"], ranges: Mapping[str, Layers]
) -> dict[str, Float[np.ndarray, "pair *_lead"]]:
    """Return what each pair adds to `trend`, by name: its steps, and by range its rank correlation and ranks.

    Ranks are NaN for a pair that lacks a layer of the range; a range of fewer than three layers has none.
    """
    out = {"step": np.diff(scores, axis=-1)}
    for name, (first, last) in ranges.items():
        part = scores[..., first - 1 : last]
        if part.shape[-1] >= FEWEST_LAYERS:
            unknown = np.isnan(part).any(-1, keepdims=True)
            out[f"ranks/{name}"] = np.where(unknown, np.nan, rankdata(part, axis=-1))
            out[f"rho/{name}"] = rank_correlation(part)
    return out


def trend(tally: Tally, name: str, layers: Layers, rule: IntervalRule, *, of: str = "") -> Trend:
    """Return whether scores rise from layer to layer, over the pairs that have all of them.

    Page's L = sum over layers of (place of the layer) * (sum over pairs of the score's rank within the pair), by its
    normal approximation, as `scipy.stats.page_trend_test` has it.

    Parameters
    ----------
    tally : Tally
        Sums of `trend_values`.
    name : str
        Of the range.
    layers : (first, last)
        Its layers, from 1.
    rule : IntervalRule
        Of the intervals.
    of : str
        What stands before the names of the values.

    Raises
    ------
    PipelineError
        If there are fewer than three layers or two pairs that have them all.
    """
    first, last = layers
    n_layers = last - first + 1
    n_pairs = int(tally.count(f"{of}rho/{name}").max()) if f"{of}rho/{name}" in tally else tally.n_pairs
    if n_layers < FEWEST_LAYERS or n_pairs < FEWEST_PAIRS:
        message = (
            f"scores: a trend needs at least {FEWEST_LAYERS} layers and {FEWEST_PAIRS} pairs that have a score in each, "
            f"but there are {n_layers} and {n_pairs}; compare two layers by their difference"
        )
        raise PipelineError(message)
    whole = tally.estimate(f"{of}step", rule)
    steps = Estimate(*(part[..., first - 1 : last - 1] for part in whole))
    ranks, n_ranked = tally.total(f"{of}ranks/{name}"), tally.count(f"{of}rho/{name}")
    rises, falls = (_page_p(part, n_ranked) for part in (ranks, ranks[..., ::-1]))
    return Trend(tally.estimate(f"{of}rho/{name}", rule), rises, falls, steps, difference_p(steps))


def _page_p(ranks: Float[np.ndarray, "*lead layer"], n_pairs: np.ndarray) -> Float[np.ndarray, "*lead"]:
    """Return the one-sided p-value of a rise from the ranks of each layer, summed over pairs (Page 1963)."""
    n = ranks.shape[-1]
    expected = n_pairs * n * (n + 1) ** 2 / 4
    variance = n_pairs * n**2 * (n + 1) * (n**2 - 1) / 144
    above = ranks @ np.arange(1, n + 1) - expected
    return np.asarray(norm.sf(np.divide(above, np.sqrt(variance), out=np.zeros(above.shape), where=variance > 0)))
