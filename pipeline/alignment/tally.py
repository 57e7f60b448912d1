"""Exact sums over pairs and over every resample of them: shards, workers and their order change no bit.

A value is rounded to a multiple of 2^-32 (an error of at most 1.2e-10) and added as a whole number, so that sums are
associative, as sums of floats are not. Resamples are those of `halves.poisson_weights`, which depend on the pair only.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from pipeline.alignment.bootstrap import Estimate, IntervalRule, Resampler
from pipeline.alignment.halves import HashedResampler, poisson_weights
from pipeline.errors import PipelineError

SCALE = 2.0**32
_EXACT = 2.0**53
"""Up to here float64 holds every whole number."""
_FULL = 2**62
"""Largest sum, in units of 1 / SCALE, to which another may be added."""
_MOST_DRAWN = 20
"""No pair is drawn oftener in a resample (`halves`)."""
Shape = tuple[int, ...]


class Tally:
    """Sums of named values over pairs, plain and resampled; a value that is NaN is not known and adds nothing.

    Parameters
    ----------
    resamples, seed : int
        Of the bootstrap; 0 resamples for plain sums.

    Attributes
    ----------
    n_pairs : int
        Pairs that were added.
    """

    def __init__(self, *, resamples: int, seed: int) -> None:
        self.resamples, self.seed, self.n_pairs = resamples, seed, 0
        self._shapes: dict[str, Shape] = {}
        self._sums: Int[np.ndarray, "row column"] = np.zeros((resamples + 1, 0), dtype=np.int64)
        self._known: Int[np.ndarray, "row column"] = np.zeros((resamples + 1, 0), dtype=np.int64)

    @property
    def names(self) -> list[str]:
        """Return the names of the values, in the order in which they came."""
        return list(self._shapes)

    def __contains__(self, name: str) -> bool:
        return name in self._shapes

    def add(self, pair_ids: Sequence[int], values: Mapping[str, Float[np.ndarray, "pair *_lead"]]) -> None:
        """Add the values of some pairs, each of which must be new.

        Parameters
        ----------
        pair_ids : sequence of int
            Of the pairs, in the order of the values.
        values : mapping of name to float array, shape (pair, ...)
            The same names and shapes each time.

        Raises
        ------
        PipelineError
            If names or shapes are not those of the pairs before, or the sums have no room for the values.
        """
        if not len(pair_ids):
            return
        self._settle({name: array.shape[1:] for name, array in values.items()})
        flat = np.concatenate([array.reshape(len(pair_ids), -1) for array in values.values()], axis=1)
        known = ~np.isnan(flat)
        whole = np.rint(np.where(known, flat, 0.0) * SCALE)
        step = int(_EXACT / (max(float(np.abs(whole).max(initial=0.0)), 1.0) * _MOST_DRAWN))
        self._check_room(step > 0)
        for start in range(0, len(pair_ids), min(step, 1024)):
            part = slice(start, start + min(step, 1024))
            weights = self._weights(pair_ids[part])
            self._sums += (weights @ whole[part]).astype(np.int64)
            self._known += _count_known(weights, known[part])
        self._check_room(bool(np.abs(self._sums).max(initial=0) < _FULL))
        self.n_pairs += len(pair_ids)

    def merge(self, other: "Tally") -> "Tally":
        """Return the sums over the pairs of both, which must have no pair in common.

        Raises
        ------
        PipelineError
            If the two are sums of other values or other resamples.
        """
        if (self.resamples, self.seed) != (other.resamples, other.seed):
            message = (
                f"other: must have {self.resamples} resamples of seed {self.seed}, but has {other.resamples} of seed "
                f"{other.seed}; add both up with the same settings"
            )
            raise PipelineError(message)
        if not self.n_pairs or not other.n_pairs:
            return self if self.n_pairs else other
        out = Tally(resamples=self.resamples, seed=self.seed)
        out._settle(self._shapes)
        out._settle(other._shapes)
        out._sums, out._known = self._sums + other._sums, self._known + other._known
        out._check_room(bool(np.abs(out._sums).max(initial=0) < _FULL))
        out.n_pairs = self.n_pairs + other.n_pairs
        return out

    def total(self, name: str) -> Float[np.ndarray, "*lead"]:
        """Return the sum over the pairs that have a value."""
        return np.asarray(self._column(self._sums[0], name) / SCALE)

    def count(self, name: str) -> Int[np.ndarray, "*lead"]:
        """Return how many pairs have a value."""
        return self._column(self._known[0], name)

    def mean(self, name: str) -> Float[np.ndarray, "*lead"]:
        """Return the mean over the pairs that have a value, NaN where none has."""
        return HashedResampler.ratio(self.total(name), self.count(name).astype(np.float64))

    def estimate(self, name: str, rule: IntervalRule) -> Estimate:
        """Return the mean with its interval, as `HashedResampler.estimate_mean` does from the values of all pairs."""
        sums, known = (self._column(part[1:], name) for part in (self._sums, self._known))
        draws = HashedResampler.ratio(sums / SCALE, known.astype(np.float64))
        return Resampler.estimate(self.mean(name), draws, self.count(name), rule)

    def state(self) -> tuple[dict[str, object], dict[str, Int[np.ndarray, "row column"]]]:
        """Return all that `restored` needs: a header for JSON, and arrays."""
        header = {
            "resamples": self.resamples,
            "seed": self.seed,
            "n_pairs": self.n_pairs,
            "shapes": {name: list(shape) for name, shape in self._shapes.items()},
        }
        return header, {"sums": self._sums, "known": self._known}

    @classmethod
    def restored(cls, header: Mapping, arrays: Mapping[str, np.ndarray]) -> "Tally":
        """Return the tally whose `state` this was."""
        out = cls(resamples=header["resamples"], seed=header["seed"])
        out.n_pairs = header["n_pairs"]
        out._shapes = {name: tuple(shape) for name, shape in header["shapes"].items()}
        out._sums, out._known = arrays["sums"], arrays["known"]
        return out

    def _weights(self, pair_ids: Sequence[int]) -> Float[np.ndarray, "row pair"]:
        """Return how often each pair counts: once in the plain sum, then in every resample."""
        out = np.ones((self.resamples + 1, len(pair_ids)))
        if self.resamples:
            out[1:] = poisson_weights(pair_ids, resamples=self.resamples, seed=self.seed)
        return out

    def _settle(self, shapes: Mapping[str, Shape]) -> None:
        if not self._shapes:
            self._shapes = dict(shapes)
            width = sum(int(np.prod(shape)) for shape in shapes.values())
            self._sums, self._known = (np.zeros((self.resamples + 1, width), dtype=np.int64) for _ in range(2))
        elif list(self._shapes.items()) != list(shapes.items()):
            odd = sorted(set(self._shapes.items()) ^ set(shapes.items())) or [("the order", ())]
            message = (
                f"values: names and shapes must be those of the pairs before, but {odd[0][0]} is not the same "
                f"({json.dumps([list(shape) for _, shape in odd[:2]])}); add up what one set of settings measures"
            )
            raise PipelineError(message)

    def _check_room(self, fits: bool) -> None:
        if not fits:
            message = (
                f"values: their sum must stay below {_FULL / SCALE:.1e} and each below "
                f"{_EXACT / SCALE / _MOST_DRAWN:.0f}, but it does not after {self.n_pairs} pairs; "
                "add up fewer pairs at once"
            )
            raise PipelineError(message)

    def _column(self, part: Int[np.ndarray, "*row column"], name: str) -> Int[np.ndarray, "*row_lead"]:
        start = 0
        for own, shape in self._shapes.items():
            stop = start + int(np.prod(shape))
            if own == name:
                return part[..., start:stop].reshape((*part.shape[:-1], *shape))
            start = stop
        message = f"name: must be one of {', '.join(self._shapes)}, but it is {name!r}; choose one"
        raise PipelineError(message)


def _count_known(
    weights: Float[np.ndarray, "row pair"], known: Bool[np.ndarray, "pair column"]
) -> Int[np.ndarray, "row column"]:
    """Return how often a value is known in each resample; columns known of the same pairs are counted once."""
    packed = np.packbits(known, axis=0).T
    kinds, place = np.unique(np.ascontiguousarray(packed), axis=0, return_inverse=True)
    different = np.unpackbits(kinds, axis=1, count=len(known)).astype(np.float64)
    return (weights @ different.T).astype(np.int64)[:, place.ravel()]


@dataclass
class Halves:
    """The sums of either half of the pairs: half A chooses, half B judges, and their sum is that of all."""

    first: Tally
    second: Tally

    @classmethod
    def empty(cls, *, resamples: int, seed: int) -> "Halves":
        """Return sums of nothing."""
        return cls(Tally(resamples=resamples, seed=seed), Tally(resamples=resamples, seed=seed))

    @property
    def all(self) -> Tally:
        """Return the sums over both halves."""
        return self.first.merge(self.second)

    @property
    def chooses(self) -> Tally:
        """Return half A; half B where all of a handful of pairs is in that."""
        return self.first if self.first.n_pairs else self.second

    @property
    def judges(self) -> Tally:
        """Return half B; half A where all of a handful of pairs is in that."""
        return self.second if self.second.n_pairs else self.first

    def add(
        self,
        pair_ids: Sequence[int],
        in_first: Bool[np.ndarray, " pair"],
        values: Mapping[str, Float[np.ndarray, "pair *_lead"]],
    ) -> None:
        """Add the values of some pairs, each to its half."""
        for tally, rows in ((self.first, np.flatnonzero(in_first)), (self.second, np.flatnonzero(~in_first))):
            own = {name: array[rows] for name, array in values.items()}
            tally.add([pair_ids[row] for row in rows.tolist()], own)

    def merge(self, other: "Halves") -> "Halves":
        """Return the sums over the pairs of both."""
        return Halves(self.first.merge(other.first), self.second.merge(other.second))
