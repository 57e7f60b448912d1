"""Is attention a transport plan or a similarity: both fitted on one half of the pairs, judged on the other."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import xlogy

from pipeline.alignment.planlike import (
    PLAN,
    SIMILARITY,
    SOFTMAX,
    UNIFORM_PLAN,
    Layer,
    Model,
    ModelRows,
    Parameters,
    key_shares,
    model_rows,
    response,
)

MAX_FITTED = 300
"""Pairs of a half that parameters are fitted on."""
MAX_ON_GRID = 40
"""Pairs of them on which the start is looked for."""
SHARPNESS = (0.01, 30.0)
"""Range of 1 / reg."""
WEIGHT = (-30.0, 30.0)
PRECISION = (0.0, 2500.0)
"""Range of 1 / sd^2, from no position term to an sd of 2 % of the sentence."""
_BOUNDS = np.array([SHARPNESS, WEIGHT, PRECISION])
_GRID_REG = (0.15, 0.4, 1.0, 2.5, 8.0)
_GRID_RATIO = (0.0, 1.0)
_GRID_SD = (0.1, 0.4, np.inf)
_STEPS = 40
_GAIN = 1e-7
"""Smallest improvement in nats that is worth another step."""


def kl_rows(
    rows: Float[np.ndarray, "pair query key"], log_rows: Float[np.ndarray, "pair query key"]
) -> Float[np.ndarray, " pair"]:
    """Return KL(row || exp(log row)) in nats, mean over the query words of a pair."""
    n_query = np.maximum((rows.sum(-1) > 0).sum(-1), 1)
    return (xlogy(rows, rows) - rows * log_rows).sum((1, 2)) / n_query


def score(model: Model, layer: Layer, parameters: Parameters) -> Float[np.ndarray, " pair"]:
    """Return KL(attention row || model row) of every pair, in nats."""
    return kl_rows(layer.rows, model_rows(model, layer, parameters).log_rows)


def power(
    layer: Layer, parameters: Parameters, *, position: bool = False, tokens: bool = False
) -> Float[np.ndarray, " pair"]:
    """Return KL(D || A) of every pair, in nats, both at A's fitted reg and w: how far the two could be told apart."""
    similarity, plan = (model._replace(position=position, tokens=tokens) for model in (SIMILARITY, PLAN))
    of_plan = model_rows(plan, layer, parameters)
    return kl_rows(of_plan.rows, model_rows(similarity, layer, parameters).log_rows)


class Fit(NamedTuple):
    """Fitted parameters, the mean KL where they were fitted, in nats, and the error of the marginals there."""

    parameters: Parameters
    loss: float
    error: float


def fit(model: Model, layer: Layer) -> Fit:
    """Return the parameters at which a model is nearest to the attention of all pairs of a layer.

    The mean KL is minimised: the best of a grid on log reg, w (0 and 1 / reg; w = 1 / reg makes A the plain softmax)
    and sd, on `MAX_ON_GRID` pairs, refined by damped Gauss-Newton steps on (1 / reg, w, 1 / sd^2), which the scores
    are linear in. For A this is Newton's method on a convex problem; for a plan the derivative goes through the
    potentials (`score_slopes`).
    """
    free = np.array([True, model.weighted, model.position])
    theta = _best_of_grid(model, layer.take(np.arange(min(len(layer.rows), MAX_ON_GRID))))
    current = model_rows(model, layer, _parameters(theta))
    loss, damping = float(kl_rows(layer.rows, current.log_rows).mean()), 1e-3
    for _ in range(_STEPS):
        gradient, curvature = _derivatives(model, layer, _parameters(theta), current)
        # A parameter that is pushed against its bound stays there.
        moves = free & ~np.where(gradient > 0, theta <= _BOUNDS[:, 0], theta >= _BOUNDS[:, 1])
        tried = _step(theta, gradient, curvature, moves, damping)
        new = model_rows(model, layer, _parameters(tried), start=current.potential)
        gain = loss - float(kl_rows(layer.rows, new.log_rows).mean())
        if gain > 0:
            theta, current, loss, damping = tried, new, loss - gain, damping / 10
        else:
            damping *= 30
        if 0 <= gain < _GAIN or damping > 1e6:
            break
    return Fit(_named(model, theta), loss, current.error)


def _step(
    theta: Float[np.ndarray, "3"],
    gradient: Float[np.ndarray, "3"],
    curvature: Float[np.ndarray, "3 3"],
    moves: Bool[np.ndarray, "3"],
    damping: float,
) -> Float[np.ndarray, "3"]:
    """Return the damped Gauss-Newton step of the parameters that move, kept in bounds."""
    part = curvature[np.ix_(moves, moves)]
    part = part + np.diag(damping * np.diag(part) + 1e-12)
    tried = theta.copy()
    tried[moves] -= np.linalg.solve(part, gradient[moves])
    return np.clip(tried, *_BOUNDS.T)


def _parameters(theta: Float[np.ndarray, "3"]) -> Parameters:
    return Parameters(1 / float(theta[0]), float(theta[1]), float(theta[2] ** -0.5) if theta[2] > 0 else np.inf)


def _named(model: Model, theta: Float[np.ndarray, "3"]) -> Parameters:
    """Return the parameters that the model has; the others have the value that leaves them out."""
    found = _parameters(theta)
    return Parameters(found.reg, found.weight if model.weighted else 0.0, found.sd if model.position else np.inf)


def _best_of_grid(model: Model, layer: Layer) -> Float[np.ndarray, "3"]:
    """Return where to start: the best reg and w, then the best sd beside them."""
    grid = [Parameters(reg, ratio / reg) for reg in _GRID_REG for ratio in (_GRID_RATIO if model.weighted else (0.0,))]
    best = _nearest(model, layer, grid)
    if model.position:
        best = _nearest(model, layer, [best._replace(sd=sd) for sd in _GRID_SD])
    return np.array([1 / best.reg, best.weight, best.sd**-2.0])


def _nearest(model: Model, layer: Layer, tried: Sequence[Parameters]) -> Parameters:
    losses = [float(score(model, layer, parameters).mean()) for parameters in tried]
    return tried[int(np.argmin(losses))]


def score_slopes(
    model: Model, layer: Layer, parameters: Parameters, current: ModelRows
) -> Float[np.ndarray, "3 pair query key"]:
    """Return the derivatives of the scores s_ij (log rows before normalising) by 1 / reg, w and 1 / sd^2.

    The scores of a plan hold potentials g that keep the column sums at n c, with n query words and key marginal c:
    where S_ij is the explicit derivative, g answers to (`response`) n dc_j - sum_i m_ij (S_ij - sum_k m_ik S_ik).
    """
    mean = layer.key_cost[:, None, :]
    by_reg = (0 if model.kind == "softmax" else mean) - layer.cost
    by_sd = -0.5 * np.square(layer.distance)
    if model.kind != "plan":
        return np.stack([by_reg, np.broadcast_to(-mean, by_reg.shape), by_sd])
    m = current.rows
    explicit = np.stack([by_reg, np.zeros_like(by_reg), by_sd])
    spread = m * (explicit - (m * explicit).sum(-1, keepdims=True))
    right = -spread.sum(2)
    shares = key_shares(model, layer, parameters)
    centred = layer.key_cost - (shares * layer.key_cost).sum(-1, keepdims=True)
    right[1] -= layer.n_query[:, None] * shares * centred
    change = response(m, np.moveaxis(right, 0, -1), layer.words)
    return explicit + np.moveaxis(change, -1, 0)[:, :, None, :] * layer.words.any(1, keepdims=True)


def _derivatives(
    model: Model, layer: Layer, parameters: Parameters, current: ModelRows
) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3 3"]]:
    """Return the gradient of the mean KL and its Gauss-Newton curvature."""
    slopes = score_slopes(model, layer, parameters, current)
    weight = (1 / (len(layer.rows) * layer.n_query))[:, None, None]
    centred = (slopes - (current.rows * slopes).sum(-1, keepdims=True)).reshape(3, -1)
    gradient = slopes.reshape(3, -1) @ ((current.rows - layer.rows) * weight).ravel()
    return gradient, (centred * (current.rows * weight).ravel()) @ centred.T


class Compared(NamedTuple):
    """Models of a layer side by side, every pair judged by parameters fitted on the other half.

    Attributes
    ----------
    scores : dict of str to float array, shape (pair,)
        KL(attention row || model row) in nats: softmax, similarity (A), plan (D), uniform_plan (b).
    power : float array, shape (pair,)
        KL(D || A) in nats at A's parameters.
    fits : dict of str to (Fit, Fit)
        Fitted on the first half, and on the second.
    """

    scores: dict[str, Float[np.ndarray, " pair"]]
    power: Float[np.ndarray, " pair"]
    fits: dict[str, tuple[Fit, Fit]]


MODELS: Mapping[str, Model] = {
    "softmax": SOFTMAX,
    "similarity": SIMILARITY,
    "plan": PLAN,
    "uniform_plan": UNIFORM_PLAN,
}


def compare(
    layer: Layer,
    halves: tuple[Int[np.ndarray, " first"], Int[np.ndarray, " second"]],
    *,
    position: bool = False,
    tokens: bool = False,
) -> Compared:
    """Return every model's score on every pair, fitted on one half and judged on the other, then swapped.

    Parameters
    ----------
    layer : Layer
        All pairs.
    halves : pair of int arrays
        Indices of the pairs of either half; the first `MAX_FITTED` of each are fitted on, so give them in an order that
        does not depend on the text.
    position : bool
        Whether every model has a position term.
    tokens : bool
        Whether the key word's number of tokens is the base measure.
    """
    scores = {name: np.full(len(layer.rows), np.nan) for name in MODELS}
    could_tell = np.full(len(layer.rows), np.nan)
    fits: dict[str, list[Fit]] = {name: [] for name in MODELS}
    for own, other in (halves, halves[::-1]):
        fitted_on, judged = layer.take(own[:MAX_FITTED]), layer.take(other)
        for name, model in MODELS.items():
            found = fit(model._replace(position=position, tokens=tokens), fitted_on)
            fits[name].append(found)
            scores[name][other] = score(model._replace(position=position, tokens=tokens), judged, found.parameters)
        could_tell[other] = power(judged, fits["similarity"][-1].parameters, position=position, tokens=tokens)
    return Compared(scores, could_tell, {name: (first, second) for name, (first, second) in fits.items()})
