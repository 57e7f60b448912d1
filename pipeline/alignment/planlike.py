"""What attention could be made of: a similarity between words, or a transport plan; models of one layer's rows.

A plan ignores every term that is added to all costs of a key word, a softmax over words does not, so a plan against
a softmax of the raw cost is no test. The models differ in that only: `similarity` and `plan` have the same cost, with
the key word's mean cost taken out, and the same freedom to prefer key words by that mean.
"""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from pipeline.alignment.pointing import by_query
from pipeline.alignment.position import Geometry, normalised_rows

MAX_ROUNDS = 100
SWEEPS = 10
"""Sinkhorn sweeps between two steps in the log domain."""
FULL_NEWTON = 1.0
"""Largest change of a potential that a Newton step makes; smaller steps are taken whole and in place of sweeps."""
TOLERANCE = 1e-9
"""Largest error of a key word's share at which sweeps stop."""
_TINY = 1e-290


class Layer(NamedTuple):
    """One layer's attention in one view with the costs of the states that it reads, padded with 0.

    Attributes
    ----------
    rows : float array, shape (pair, query, key)
        Attention, each row of a query word summing to 1.
    cost : float array, shape (pair, query, key)
        In units of the pooled standard deviation within pairs (`scaled_cost`).
    words : bool array, shape (pair, query, key)
        Which entries are words.
    distance : float array, shape (pair, query, key)
        |x_i - x_j| of relative positions.
    tokens : float array, shape (pair, key)
        Sub-word tokens of each key word.
    """

    rows: Float[np.ndarray, "pair query key"]
    cost: Float[np.ndarray, "pair query key"]
    words: Bool[np.ndarray, "pair query key"]
    distance: Float[np.ndarray, "pair query key"]
    tokens: Float[np.ndarray, "pair key"]

    @classmethod
    def of(
        cls,
        blocks: Float[np.ndarray, "pair tgt src"],
        cost: Float[np.ndarray, "pair tgt src"],
        geometry: Geometry,
        tokens: Float[np.ndarray, "pair key"],
    ) -> "Layer":
        """Return a layer from blocks and costs as (tgt, src); rows and costs are normalised here."""
        shape = blocks.shape[1], blocks.shape[2]
        words = geometry.words(shape)
        seen, costs = (by_query(part, geometry.query) for part in (blocks, cost))
        rows = normalised_rows(np.where(words, seen, 0.0), "tgt")
        return cls(rows, scaled_cost(costs, words), words, np.where(words, geometry.distance(shape), 0.0), tokens)

    def take(self, pairs: Int[np.ndarray, " row"]) -> "Layer":
        """Return some of the pairs, without padding that none of them needs."""
        n_query, n_key = (self.words[pairs].any(axis).sum(1).max(initial=1) for axis in (2, 1))
        rows, cost, words, distance = (part[pairs, :n_query, :n_key] for part in self[:4])
        return Layer(rows, cost, words, distance, self.tokens[pairs, :n_key])

    def mean_over_tokens(self) -> "Layer":
        """Return the layer with the mean over the tokens of a key word in place of their sum, rows normalised again."""
        filled = np.where(self.tokens > 0, self.tokens, 1.0)
        return self._replace(rows=normalised_rows(self.rows / filled[:, None, :], "tgt"))

    @property
    def n_query(self) -> Int[np.ndarray, " pair"]:
        """Query words of each pair, at least 1."""
        return count_queries(self.words)

    @property
    def key_cost(self) -> Float[np.ndarray, "pair key"]:
        """C_j: the mean of C_ij over the query words i; 0 in the padding."""
        return self.cost.sum(1) / self.n_query[:, None]


def scaled_cost(
    cost: Float[np.ndarray, "pair query key"], words: Bool[np.ndarray, "pair query key"]
) -> Float[np.ndarray, "pair query key"]:
    """Return costs divided by their pooled standard deviation within pairs, 0 in the padding.

    The unit is sqrt(sum over pairs of sum (C_ij - mean of the pair)^2 / number of entries), one for the whole layer,
    so that reg has no unit; where no cost differs from another it is 1.
    """
    filled = np.where(words, cost, 0.0).astype(np.float64)
    n_words = words.sum((1, 2))
    mean = filled.sum((1, 2)) / np.maximum(n_words, 1)
    variance = np.square(np.where(words, filled - mean[:, None, None], 0.0)).sum() / max(n_words.sum(), 1)
    return filled / np.sqrt(variance) if variance > 0 else filled


class Model(NamedTuple):
    """A form of attention rows.

    Attributes
    ----------
    kind : {"softmax", "similarity", "plan"}
        softmax over j of -C_ij / reg; softmax over j of -(C_ij - C_j) / reg - w C_j (A); rows of the entropic plan of C
        with uniform query marginal and key marginal proportional to exp(-w C_j) (D).
    weighted : bool
        Whether w is fitted; a plan without has uniform marginals (b).
    position : bool
        Whether (x_i - x_j)^2 / 2 sd^2 is taken off the scores too.
    tokens : bool
        Whether the key word's number of tokens is the base measure: of the softmax, or of the key marginal.
    """

    kind: Literal["softmax", "similarity", "plan"]
    weighted: bool = False
    position: bool = False
    tokens: bool = False


SOFTMAX = Model("softmax")
SIMILARITY = Model("similarity", weighted=True)
PLAN = Model("plan", weighted=True)
UNIFORM_PLAN = Model("plan")


class Parameters(NamedTuple):
    """Values of a model's parameters: reg (> 0, no unit), weight of C_j, sd of relative position (inf: no term)."""

    reg: float
    weight: float = 0.0
    sd: float = np.inf


class ModelRows(NamedTuple):
    """Rows of a model, 0 in the padding.

    Attributes
    ----------
    rows, log_rows : float array, shape (pair, query, key)
        Each row of a query word sums to 1; logarithms are 0 in the padding.
    potential : float array, shape (pair, key)
        What was added to the scores of each key word to meet the key marginal: a start for similar parameters.
    error : float
        Largest error of a key word's share; 0 where there is no marginal to meet.
    """

    rows: Float[np.ndarray, "pair query key"]
    log_rows: Float[np.ndarray, "pair query key"]
    potential: Float[np.ndarray, "pair key"]
    error: float


def model_rows(
    model: Model, layer: Layer, parameters: Parameters, *, start: Float[np.ndarray, "pair key"] | None = None
) -> ModelRows:
    """Return the rows of a model for every pair of a layer.

    Parameters
    ----------
    model, layer, parameters : Model, Layer, Parameters
        Weight is read where the model is weighted, sd where it has a position term.
    start : float array, shape (pair, key), optional
        Potential to begin with.
    """
    mean = layer.key_cost[:, None, :]
    scores = -(layer.cost - (0 if model.kind == "softmax" else mean)) / parameters.reg
    if model.position:
        scores = scores - np.square(layer.distance) / (2 * parameters.sd**2)
    if model.kind == "plan":
        return balanced_rows(scores, key_shares(model, layer, parameters), layer.words, start=start)
    prefer = -parameters.weight * mean if model.weighted else 0.0
    rows, log_rows = _log_softmax(scores + prefer + log_base(model, layer)[:, None, :], layer.words)
    return ModelRows(rows, log_rows, np.zeros(layer.tokens.shape), 0.0)


def log_base(model: Model, layer: Layer) -> Float[np.ndarray, "pair key"]:
    """Return the logarithm of the base measure of the key words: tokens or 1."""
    return np.log(np.where((layer.tokens > 0) & model.tokens, layer.tokens, 1.0))


def key_shares(model: Model, layer: Layer, parameters: Parameters) -> Float[np.ndarray, "pair key"]:
    """Return the key marginal of a plan, proportional to base exp(-w C_j), summing to 1; 0 in the padding."""
    weight = parameters.weight if model.weighted else 0.0
    keys: np.ndarray = np.asarray(layer.words.any(1))
    return _log_softmax((log_base(model, layer) - weight * layer.key_cost)[:, None, :], keys[:, None, :])[0][:, 0]


def balanced_rows(
    scores: Float[np.ndarray, "pair query key"],
    shares: Float[np.ndarray, "pair key"],
    words: Bool[np.ndarray, "pair query key"],
    *,
    start: Float[np.ndarray, "pair key"] | None = None,
) -> ModelRows:
    """Return the rows softmax_j(scores_ij + g_j) whose mean over query words is the key marginal (Sinkhorn).

    They are the entropic plan with kernel exp(scores), uniform query marginal and that key marginal, its rows
    normalised. Sweeps on a kernel that has been brought to the current potentials in the log domain take turns with
    Newton steps (`response`) until these are small, and then only Newton steps are taken. The result says how far from
    the marginal it is.

    Parameters
    ----------
    scores : float array, shape (pair, query, key)
        -cost / reg; what it holds in the padding is not read.
    shares : float array, shape (pair, key)
        Key marginal, summing to 1, 0 in the padding.
    words : bool array, shape (pair, query, key)
        Which entries are words.
    start : float array, shape (pair, key), optional
        Potential g to begin with.
    """
    potential = np.zeros(shares.shape) if start is None else start
    n_query, queries = count_queries(words), np.asarray(words.any(-1), dtype=np.float64)
    wanted = shares * n_query[:, None]
    for step in range(MAX_ROUNDS):
        rows, log_rows = _log_softmax(scores + potential[:, None, :], words)
        missing = wanted - rows.sum(1)
        error = float((np.abs(missing).max(1, initial=0) / n_query).max(initial=0))
        if error <= TOLERANCE:
            break
        newton = response(rows, missing, words)
        size = np.abs(newton).max(1, keepdims=True)
        if step % 2 == 0 and (size > FULL_NEWTON).any():
            swept = np.log(np.where(wanted > 0, _sweep(rows, wanted, queries), 1.0))
            potential = potential + np.where(size > FULL_NEWTON, swept, newton)
        else:
            potential = potential + newton / np.maximum(size / FULL_NEWTON, 1.0)
    return ModelRows(rows, log_rows, potential, error)


def response(
    rows: Float[np.ndarray, "pair query key"],
    change: Float[np.ndarray, "pair key *more"],
    words: Bool[np.ndarray, "pair query key"],
) -> Float[np.ndarray, "pair key *more"]:
    """Return the change of the potentials that changes the column sums as asked, to first order.

    Solves (diag(m^T 1) - m^T m) dg = change, where m are the rows; the constant vector, which changes nothing, is
    left out, and padding has no equation.
    """
    keys = np.asarray(words.any(1))
    n_key = keys.shape[1]
    matrix = np.swapaxes(rows, 1, 2) @ -rows + (keys[:, :, None] & keys[:, None, :]) / n_key
    diagonal = np.arange(n_key)
    matrix[:, diagonal, diagonal] += np.where(keys, rows.sum(1) + 1e-12, 1.0)
    flat = change.reshape(*change.shape[:2], -1)
    return np.linalg.solve(matrix, flat).reshape(change.shape)


def count_queries(words: Bool[np.ndarray, "pair query key"]) -> Int[np.ndarray, " pair"]:
    """Return the number of query words of each pair, at least 1."""
    return np.maximum(words.any(-1).astype(np.int64).sum(-1), 1)


def _sweep(
    kernel: Float[np.ndarray, "pair query key"],
    wanted: Float[np.ndarray, "pair key"],
    queries: Float[np.ndarray, "pair query"],
) -> Float[np.ndarray, "pair key"]:
    query_scale = queries
    for _ in range(SWEEPS):
        key_scale = wanted / np.maximum((query_scale[:, None, :] @ kernel)[:, 0], _TINY)
        query_scale = queries / np.maximum((kernel @ key_scale[:, :, None])[..., 0], _TINY)
    return key_scale


def _log_softmax(
    scores: Float[np.ndarray, "pair query key"], words: Bool[np.ndarray, "pair query key"]
) -> tuple[Float[np.ndarray, "pair query key"], Float[np.ndarray, "pair query key"]]:
    """Return rows of a softmax over words and their logarithms, both 0 in the padding."""
    shifted = np.where(words, scores, -np.inf)
    top = shifted.max(-1, keepdims=True)
    shifted -= np.where(np.isfinite(top), top, 0.0)
    weights = np.exp(shifted)
    total = weights.sum(-1, keepdims=True)
    total[total == 0] = 1.0
    return weights / total, np.where(words, shifted - np.log(total), 0.0)
