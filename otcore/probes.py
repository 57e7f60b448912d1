"""Linear probes: how much of a quantity one linear map reads off the states of a model.

A probe is ridge regression in closed form on standardised features. It is fitted on some problems, its ridge chosen on
others, and judged on a third kind: a number read from rows that it was fitted on says nothing. What a probe explains
is told as a share of what something simpler leaves open (`explained`), and beside control tasks: targets that a state
cannot hold, such as those of another problem, or a random number for every kind of token (Hewitt and Liang 2019).

References
----------
Alain and Bengio, Understanding intermediate layers using linear classifier probes, 2016; Hewitt and Liang, Designing and
Interpreting Probes with Control Tasks, EMNLP 2019; Hoerl and Kennard, Ridge regression, 1970.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from otcore._checks import broken_rule, check_finite, check_positive, check_shape

RIDGES = (1e-8, 1e-6, 1e-4, 1e-2, 1.0)
"""Ridges that `choose_ridges` tries: features have variance 1, so a ridge of 1 halves a lone feature's weight."""


class Probe(NamedTuple):
    """A linear map from states to targets.

    Attributes
    ----------
    weight : float64 array, shape (feature, target)
        0 for a feature that was constant in the rows of the fit.
    offset : float64 array, shape (target,)
    """

    weight: Float[np.ndarray, "feature target"]
    offset: Float[np.ndarray, " target"]

    def __call__(self, states: Float[np.ndarray, "row feature"]) -> Float[np.ndarray, "row target"]:
        """Return what the probe reads off the states."""
        return states @ self.weight + self.offset


class Ridge:
    """The regressions of targets on states for all ridges: one decomposition of the covariance serves them all.

    Parameters
    ----------
    states : float array, shape (row, feature)
        Finite.
    targets : float array, shape (row, target)
        Finite; each is fitted by itself.

    Raises
    ------
    TransportError
        If a value is not finite, an axis is missing or empty, or the rows differ in number.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> states = rng.standard_normal((50, 3))
    >>> fit = Ridge(states, states @ np.array([[1.0], [-2.0], [0.0]]) + 5.0)
    >>> probe = fit.probe(1e-12)
    >>> probe.weight[:, 0].round(6).tolist(), float(probe.offset[0].round(6))
    ([1.0, -2.0, 0.0], 5.0)
    """

    def __init__(self, states: Float[np.ndarray, "row feature"], targets: Float[np.ndarray, "fit_row target"]):
        _check_rows(states, targets)
        states, targets = np.asarray(states, np.float64), np.asarray(targets, np.float64)
        self._centre, self._mean = states.mean(0), targets.mean(0)
        spread = states.std(0)
        noise = np.finfo(np.float64).eps * np.abs(states).max(0) * len(states)
        self._scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > noise)
        standard = (states - self._centre) * self._scale
        self._variance, self._axes = np.linalg.eigh(standard.T @ standard / len(states))
        self._along = self._axes.T @ (standard.T @ (targets - self._mean) / len(states))

    def probe(self, ridge: float | Float[np.ndarray, " target"]) -> Probe:
        """Return the probe that minimises mean squared error + ridge * |weight of standardised features|^2.

        Parameters
        ----------
        ridge : float or float array, shape (target,)
            Greater than 0, in units of the features' variance, which is 1.

        Raises
        ------
        TransportError
            If a ridge is not greater than 0.
        """
        ridges = np.broadcast_to(np.asarray(ridge, np.float64), self._mean.shape)
        check_positive("ridge", float(ridges.min()), remedy="1e-8 changes next to nothing.")
        weight = self._scale[:, None] * (self._axes @ (self._along / (self._variance[:, None] + ridges)))
        return Probe(weight, self._mean - self._centre @ weight)

    def chosen(
        self,
        states: Float[np.ndarray, "held feature"],
        targets: Float[np.ndarray, "held target"],
        *,
        ridges: Sequence[float] = RIDGES,
    ) -> Probe:
        """Return the probe whose ridge, target by target, has the least error on rows that were not fitted."""
        _check_rows(states, targets)
        errors = np.stack([((self.probe(ridge)(states) - targets) ** 2).sum(0) for ridge in ridges])
        return self.probe(np.asarray(ridges)[errors.argmin(0)])


def explained(
    errors: Float[np.ndarray, "*lead problem"], floor: Float[np.ndarray, "*lead problem"]
) -> Float[np.ndarray, "*lead"]:
    """Return the share of what the floor leaves open that is explained: 1 - sum of errors / sum of the floor's.

    1 is all of it, 0 no more than the floor; below 0 is worse than the floor.

    Parameters
    ----------
    errors, floor : float array, shape (..., problem)
        Squared errors, added up within a problem.

    Examples
    --------
    >>> float(explained(np.array([1.0, 2.0]), np.array([4.0, 8.0])))
    0.75
    """
    return np.asarray(1.0 - errors.sum(-1) / floor.sum(-1))


def _check_rows(states: np.ndarray, targets: np.ndarray) -> None:
    """Refuse rows that do not belong together."""
    for name, values, axes in (("states", states, ("row", "feature")), ("targets", targets, ("row", "target"))):
        check_shape(name, values, axes)
        check_finite(name, values)
    if len(states) != len(targets):
        raise broken_rule(
            "states and targets",
            "as many rows of one as of the other",
            f"{len(states)} and {len(targets)}",
            "Give every state its target.",
        )
