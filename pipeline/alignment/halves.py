"""Halves and resamples that follow from the pair itself: adding pairs, shards or order never move another pair.

The split and the weights of a pair depend on (seed, pair_id) only, so what is chosen on half A is never judged on a pair
of it, whoever asks, and sums over shards add up to those of one pass.
"""

import hashlib
import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from pipeline.alignment.bootstrap import Estimate, Resampler, difference_p
from pipeline.errors import PipelineError

# Upper ends of the counts 0, 1, 2, ... of a Poisson variable of mean 1; 1 is reached within float64.
_POISSON = np.cumsum([math.exp(-1) / math.factorial(count) for count in range(20)])


def _digest(seed: int, pair_id: int, use: str) -> bytes:
    return hashlib.blake2b(f"{use}:{seed}:{pair_id}".encode(), digest_size=16).digest()


def in_first_half(pair_ids: Sequence[int], seed: int) -> Bool[np.ndarray, " pair"]:
    """Return which pairs are of half A: the first bit of a blake2b hash of seed and `pair_id`.

    The halves are equally likely, not equally large.

    Raises
    ------
    PipelineError
        If a pair is there twice: it would be drawn twice as one.
    """
    _check_ids(pair_ids)
    return np.array([_digest(seed, pair_id, "half")[0] < 128 for pair_id in pair_ids], dtype=bool)


def hashed_order(pair_ids: Sequence[int], seed: int) -> Int[np.ndarray, " pair"]:
    """Return the indices of the pairs in the order of their hashes: the first n are a seeded sample of n pairs.

    A sample stays as it was, but for those that a new pair pushes out.
    """
    _check_ids(pair_ids)
    keys = [_digest(seed, pair_id, "order") for pair_id in pair_ids]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)


def split_in_halves(pair_ids: Sequence[int], seed: int) -> tuple[Int[np.ndarray, " first"], Int[np.ndarray, " second"]]:
    """Return the indices of half A and of half B, each in the order of hashes (`hashed_order`).

    Raises
    ------
    PipelineError
        If a half is empty, as it may be where there is a handful of pairs.
    """
    order = hashed_order(pair_ids, seed)
    first = in_first_half(pair_ids, seed)[order]
    if first.all() or not first.any():
        message = (
            f"pair_ids: each half needs a pair, but all {len(order)} fall into one with seed {seed}; "
            "give more pairs, or another seed"
        )
        raise PipelineError(message)
    return order[first], order[~first]


def _check_ids(pair_ids: Sequence[int]) -> None:
    if len(set(pair_ids)) < len(pair_ids):
        twice = next(pair_id for pair_id in pair_ids if list(pair_ids).count(pair_id) > 1)
        message = f"pair_ids: each pair must be there once, but {twice} is there twice; leave one out"
        raise PipelineError(message)


def poisson_weights(pair_ids: Sequence[int], *, resamples: int, seed: int) -> UInt8[np.ndarray, "resample pair"]:
    """Return how often each pair is in each resample: independent Poisson counts of mean 1, uint8.

    Bootstrap in which the number of pairs varies too (Hanley and MacGibbon 2006). An entry depends on
    (seed, pair_id, resample) only: more resamples or other pairs leave it as it is. Counts are read off the raw
    64-bit stream of Philox keyed by the hash, which NumPy keeps the same on all platforms.
    """
    _check_ids(pair_ids)
    weights = np.empty((len(pair_ids), resamples), dtype=np.uint8)
    for row, pair_id in enumerate(pair_ids):
        key = np.frombuffer(_digest(seed, pair_id, "bootstrap"), dtype="<u8")
        raw = np.random.Philox(key=key.astype(np.uint64)).random_raw(resamples)
        weights[row] = np.searchsorted(_POISSON, (raw >> np.uint64(11)) * 2.0**-53, side="right")
    return np.ascontiguousarray(weights.T)


class HashedResampler(Resampler):
    """Resamples whose weights are those of `poisson_weights`; means and ratios divide by what was drawn.

    It does all that `Resampler` does, whose resamples depend on the number of pairs and on their order.

    Parameters
    ----------
    pair_ids : sequence of int
        Of the pairs, in the order of the values that are given later; each once.
    resamples : int
        At least 1.
    seed : int
        Of the run.

    Attributes
    ----------
    counts : int array, shape (resample, pair)
        How often each pair is in each resample, about as many in all as there are pairs.
    """

    def __init__(self, pair_ids: Sequence[int], *, resamples: int, seed: int) -> None:
        self.counts = poisson_weights(pair_ids, resamples=resamples, seed=seed)

    def take(self, rows: Int[np.ndarray, " row"] | Bool[np.ndarray, " pair"]) -> "HashedResampler":
        """Return the resampler of some of the pairs, which has the same weights for them."""
        part = object.__new__(HashedResampler)
        part.counts = self.counts[:, rows]
        return part

    def means(self, values: Float[np.ndarray, "pair *lead"]) -> Float[np.ndarray, "resample *lead"]:
        """Return the mean over the pairs of every resample that have a value; NaN where it holds none."""
        known = ~np.isnan(values)
        if known.all():
            drawn = self.counts.sum(1, dtype=np.float64).reshape(-1, *[1] * (values.ndim - 1))
            return self.ratio(self.sums(values), drawn)
        return self.ratios(np.where(known, values, 0.0), known.astype(np.float64))

    def ratios(
        self, numerator: Float[np.ndarray, "pair *lead"], denominator: Float[np.ndarray, "pair *lead"]
    ) -> Float[np.ndarray, "resample *lead"]:
        """Return sum of numerators / sum of denominators over the pairs of every resample; NaN where that is 0."""
        return self.ratio(self.sums(numerator), self.sums(denominator))

    @staticmethod
    def ratio(
        part: Float[np.ndarray, "resample *lead"], whole: Float[np.ndarray, "resample *#lead"]
    ) -> Float[np.ndarray, "resample *lead"]:
        """Return the quotient, NaN where the denominator is 0."""
        whole = np.broadcast_to(whole, part.shape)
        return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole != 0)


def bound_p(estimate: Estimate, bound: float) -> Float[np.ndarray, "*lead"]:
    """Return two-sided p-values of a difference that equals a bound other than 0, by its bootstrap standard error."""
    return difference_p(estimate._replace(value=estimate.value - bound))
