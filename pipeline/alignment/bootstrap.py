"""Intervals over sentences: one set of resamples for all layers and controls, so differences are paired."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import norm

from pipeline.conventions import Convention

# Resamples a step; bounds the memory at this many times the number of sentences.
_CHUNK = 256


@dataclass(frozen=True)
class IntervalRule:
    """How an interval comes from resamples.

    Attributes
    ----------
    kind : {"percentile", "normal"}
        Quantiles of the resampled values, or `z` standard errors to either side.
    level : float
        Share of resamples inside (percentile), in (0, 1).
    z : float or None
        For `normal`.
    """

    kind: Literal["percentile", "normal"]
    level: float
    z: float | None = None

    @classmethod
    def of(cls, convention: Convention, level: float) -> "IntervalRule":
        """Return the rule of a convention; `level` is for one that names none."""
        if convention.z is not None:
            return cls("normal", round(2 * float(norm.cdf(convention.z)) - 1, 4), convention.z)
        return cls("percentile", level if convention.level is None else convention.level)

    def describe(self) -> str:
        """Return the rule in words, for signatures."""
        if self.kind == "normal":
            return f"normal, z = {self.z} ({self.level:.0%}), over sentences"
        return f"percentile bootstrap over sentences, {self.level:.4g}"

    def interval(
        self, draws: Float[np.ndarray, "resample *lead"], value: Float[np.ndarray, "*lead"]
    ) -> tuple[Float[np.ndarray, "*lead"], Float[np.ndarray, "*lead"]]:
        """Return the lower and upper end around a value."""
        if self.z is not None:
            error = self.z * draws.std(0)
            return value - error, value + error
        low, high = np.quantile(draws, [(1 - self.level) / 2, (1 + self.level) / 2], axis=0)
        return low, high


class Estimate(NamedTuple):
    """A value with the ends of its interval, one of each a column, and how many sentences it rests on."""

    value: Float[np.ndarray, "*lead"]
    low: Float[np.ndarray, "*lead"]
    high: Float[np.ndarray, "*lead"]
    n_pairs: Int[np.ndarray, "*lead"]
    error: Float[np.ndarray, "*lead"]
    """Standard deviation over the resamples."""


class Resampler:
    """Draws sentences with replacement, once for everything that is compared.

    Parameters
    ----------
    n_pairs : int
        Sentences, at least 1.
    resamples : int
        At least 1.
    seed : int
        Of the draws.

    Attributes
    ----------
    counts : int array, shape (resample, pair)
        How often each sentence is in each resample; rows sum to `n_pairs`.
    """

    def __init__(self, n_pairs: int, *, resamples: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.counts: Int[np.ndarray, "resample pair"] = np.empty((resamples, n_pairs), dtype=np.uint16)
        for row in range(resamples):
            self.counts[row] = np.bincount(rng.integers(n_pairs, size=n_pairs), minlength=n_pairs)

    def sums(self, values: Float[np.ndarray, "pair *lead"]) -> Float[np.ndarray, "resample *lead"]:
        """Return the sum over the sentences of every resample, float64."""
        flat = values.reshape(len(values), -1).astype(np.float64)
        parts = [
            self.counts[start : start + _CHUNK].astype(np.float64) @ flat
            for start in range(0, len(self.counts), _CHUNK)
        ]
        return np.concatenate(parts).reshape(-1, *values.shape[1:])

    def means(self, values: Float[np.ndarray, "pair *lead"]) -> Float[np.ndarray, "resample *lead"]:
        """Return the mean over the sentences of every resample that have a value (are not NaN).

        A resample that holds none of them is NaN.
        """
        known = ~np.isnan(values)
        if known.all():
            return self.sums(values) / len(values)
        total, n_known = self.sums(np.where(known, values, 0.0)), self.sums(known.astype(np.float64))
        return np.divide(total, n_known, out=np.full_like(total, np.nan), where=n_known > 0)

    def estimate_mean(self, values: Float[np.ndarray, "pair *lead"], rule: IntervalRule) -> Estimate:
        """Return the mean over sentences, NaN left out, and its interval.

        Give the difference of two arrays for a paired comparison: only sentences that have both enter.
        """
        n_known = (~np.isnan(values)).sum(0)
        total = np.nansum(values, axis=0)
        value = np.divide(total, n_known, out=np.full(total.shape, np.nan), where=n_known > 0)
        return self.estimate(value, self.means(values), n_known, rule)

    @staticmethod
    def estimate(
        value: Float[np.ndarray, "*lead"],
        draws: Float[np.ndarray, "resample *lead"],
        n_pairs: Int[np.ndarray, "*lead"],
        rule: IntervalRule,
    ) -> Estimate:
        """Return any statistic with the interval of its resampled values, those that are NaN left out."""
        unknown = np.isnan(draws)
        if unknown.any():
            low, high, error = _over_known(draws, value, rule)
        else:
            (low, high), error = rule.interval(draws, value), draws.std(0)
        return Estimate(value, low, high, n_pairs, error)


def _over_known(
    draws: Float[np.ndarray, "resample *lead"], value: Float[np.ndarray, "*lead"], rule: IntervalRule
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    flat, values = draws.reshape(len(draws), -1), np.ravel(value)
    ends = np.full((3, flat.shape[1]), np.nan)
    for column in range(flat.shape[1]):
        known = flat[~np.isnan(flat[:, column]), column][:, None]
        if len(known) and not np.isnan(values[column]):
            low, high = rule.interval(known, values[[column]])
            ends[:, column] = low[0], high[0], known.std()
    low, high, error = ends.reshape(3, *draws.shape[1:])
    return low, high, error


def difference_p(estimate: Estimate) -> Float[np.ndarray, "*lead"]:
    """Return two-sided p-values of a mean difference of 0, by its bootstrap standard error.

    1 where the difference is 0 in every sentence; NaN where there is no difference to test.
    """
    size = np.abs(estimate.value)
    certain = np.where(size > 0, np.inf, 0.0)
    z = np.divide(size, estimate.error, out=certain, where=estimate.error > 0)
    return np.where(np.isnan(size), np.nan, 2 * norm.sf(z))
