"""Single heads: links by mutual argmax, with or without Sinkhorn sweeps, and the heads that align.

Blocks are (..., tgt, src), with any leading axes (pair, layer, head); padding is 0 and is named by `words`.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from pipeline.alignment.bootstrap import Estimate, IntervalRule, Resampler
from pipeline.alignment.gold import COUNTS, score_counts
from pipeline.errors import PipelineError

SWEEPS = 2
"""Sinkhorn sweeps before mutual argmax, as in XLM-Align's aligner."""
METHODS: Mapping[str, int] = {"mutual": 0, "sinkhorn_mutual": SWEEPS}
"""Sweeps of each way to take links from a head."""


def both_directions(
    tgt_to_src: Float[np.ndarray, "*lead tgt src"], src_to_tgt: Float[np.ndarray, "*lead tgt src"]
) -> Float[np.ndarray, "*lead tgt src"]:
    """Return the sum of two views' blocks, each divided by its total: neither counts more for looking across more."""
    return _of_total(tgt_to_src) + _of_total(src_to_tgt)


def _of_total(blocks: Float[np.ndarray, "*lead tgt src"]) -> Float[np.ndarray, "*lead tgt src"]:
    total = blocks.sum((-1, -2), keepdims=True, dtype=np.float64)
    return np.divide(blocks, total, out=np.zeros(blocks.shape), where=total > 0)


def sinkhorn_sweeps(blocks: Float[np.ndarray, "*lead tgt src"], sweeps: int) -> Float[np.ndarray, "*lead tgt src"]:
    """Return blocks after some sweeps, each of which makes rows sum to 1 and then columns; empty ones stay empty."""
    out = blocks.astype(np.float64)
    for _ in range(sweeps):
        for axis in (-1, -2):
            total = out.sum(axis, keepdims=True)
            out = np.divide(out, total, out=np.zeros_like(out), where=total > 0)
    return out


def mutual_argmax(
    blocks: Float[np.ndarray, "*lead tgt src"], words: Bool[np.ndarray, "*#lead tgt src"] | None = None
) -> Bool[np.ndarray, "*lead tgt src"]:
    """Return where an entry is the largest of its row and of its column, the first one on ties.

    Parameters
    ----------
    blocks : float array, shape (..., tgt, src)
        Similarities.
    words : bool array, shape (..., tgt, src), optional
        Where blocks are padded: which entries are words.
    """
    seen = blocks if words is None else np.where(words, blocks, -np.inf)
    rows, columns = np.arange(seen.shape[-2]), np.arange(seen.shape[-1])
    best_of_row = seen.argmax(-1)[..., None] == columns
    best_of_column = seen.argmax(-2)[..., None, :] == rows[:, None]
    return best_of_row & best_of_column & (seen > -np.inf)


def link_counts(
    found: Bool[np.ndarray, "*lead tgt src"],
    sure: Bool[np.ndarray, "*#lead tgt src"],
    possible: Bool[np.ndarray, "*#lead tgt src"],
) -> Float[np.ndarray, "*lead counts"]:
    """Return the counts of predicted links by `gold.COUNTS`; `possible` holds the links that are not sure."""
    shape = found.shape[:-2]

    def total(mask: np.ndarray) -> np.ndarray:
        return np.broadcast_to(mask.sum((-1, -2)), shape)

    counted = (sure, possible, found, found & sure, found & (sure | possible))
    return np.stack([total(mask) for mask in counted], axis=-1).astype(np.float64)


def head_counts(
    blocks: Float[np.ndarray, "*lead tgt src"],
    sure: Bool[np.ndarray, "*#lead tgt src"],
    possible: Bool[np.ndarray, "*#lead tgt src"],
    *,
    words: Bool[np.ndarray, "*#lead tgt src"] | None = None,
) -> Float[np.ndarray, "*lead method counts"]:
    """Return the counts of the links that each of `METHODS` takes from every block: AER of any set of pairs follows.

    Parameters
    ----------
    blocks : float array, shape (..., tgt, src)
        One view's attention, or `both_directions` of two.
    sure, possible : bool array, shape (..., tgt, src)
        Hand-made links, the possible ones without the sure.
    words : bool array, shape (..., tgt, src), optional
        Where blocks are padded: which entries are words.
    """
    counts = [
        link_counts(mutual_argmax(sinkhorn_sweeps(blocks, sweeps), words), sure, possible)
        for sweeps in METHODS.values()
    ]
    return np.stack(counts, axis=-2)


class ChosenHeads(NamedTuple):
    """Heads chosen on one half of the pairs, best first, and how they do on the other.

    Attributes
    ----------
    places : int array, shape (chosen, axis)
        Index of each into the leading axes of the scores (layer and head, say).
    scores : Estimate
        On the pairs that judge, shape (chosen,).
    """

    places: Int[np.ndarray, "chosen axis"]
    scores: Estimate


def choose_by_mean(
    scores: Float[np.ndarray, "pair *lead"],
    halves: tuple[Int[np.ndarray, " first"], Int[np.ndarray, " second"]],
    resampler: Resampler,
    rule: IntervalRule,
    *,
    n_heads: int,
) -> ChosenHeads:
    """Return the heads with the largest mean (pointing, mass) on the first half, judged on the second.

    Parameters
    ----------
    scores : float array, shape (pair, ...)
        NaN where a pair has none.
    halves : pair of int arrays
        Pairs that choose, pairs that judge.
    resampler : Resampler
        Of the pairs that judge, in their order.
    rule : IntervalRule
        Of the intervals.
    n_heads : int
        How many are chosen.
    """
    places = _top(-np.nanmean(scores[halves[0]], axis=0), n_heads)
    judged = scores[halves[1]][(slice(None), *places.T)]
    return ChosenHeads(places, resampler.estimate_mean(judged, rule))


def choose_by_aer(
    counts: Float[np.ndarray, "pair *lead counts"],
    halves: tuple[Int[np.ndarray, " first"], Int[np.ndarray, " second"]],
    resampler: Resampler,
    rule: IntervalRule,
    *,
    n_heads: int,
) -> ChosenHeads:
    """Return the heads with the lowest alignment error on the first half, judged on the second.

    Parameters as in `choose_by_mean`, but counts by `gold.COUNTS` (`head_counts`) in place of scores.

    Raises
    ------
    PipelineError
        If the last axis does not hold the counts.
    """
    if counts.shape[-1] != len(COUNTS):
        message = (
            f"counts: the last axis must hold {', '.join(COUNTS)}, but has {counts.shape[-1]} entries; "
            "give the result of head_counts"
        )
        raise PipelineError(message)
    places = _top(score_counts(counts[halves[0]].sum(0)).aer, n_heads)
    judged = counts[halves[1]][(slice(None), *places.T)]
    value, draws = score_counts(judged.sum(0)).aer, score_counts(resampler.sums(judged)).aer
    return ChosenHeads(places, resampler.estimate(value, draws, np.full(len(places), len(judged)), rule))


def _top(losses: Float[np.ndarray, "*lead"], n_heads: int) -> Int[np.ndarray, "chosen axis"]:
    """Return the places of the smallest losses, ascending; the first on ties."""
    order = np.argsort(np.where(np.isnan(losses), np.inf, losses), axis=None, kind="stable")[:n_heads]
    return np.stack(np.unravel_index(order, losses.shape), axis=1)
