"""How far attention is from a balanced plan, and what it shares with the exact plan beyond cost and position."""

import numpy as np
from jaxtyping import Bool, Float

from pipeline.alignment.planlike import Layer
from pipeline.alignment.transport import word_plan


def gap(
    rows: Float[np.ndarray, "pair *lead query key"], words: Bool[np.ndarray, "pair query key"]
) -> Float[np.ndarray, "pair *lead"]:
    """Return half the sum over key words j of |column share_j - 1/n|, in [0, 1 - 1/n], n being the key words.

    The column share is the mean over query words of the normalised rows: what of the other side's attention a key word
    gets. Query words without any attention are left out. Uniform attention and every balanced plan have gap 0, so it
    describes and decides nothing.

    Parameters
    ----------
    rows : float array, shape (pair, ..., query, key)
        Each row sums to 1; 0 in the padding.
    words : bool array, shape (pair, query, key)
        Which entries are words.
    """
    grow = (slice(None), *[None] * (rows.ndim - 3))
    keys = np.asarray(words.any(1))[grow]
    n_rows = np.maximum((rows.sum(-1) > 0).sum(-1, keepdims=True), 1)
    return 0.5 * np.where(keys, np.abs(rows.sum(-2) / n_rows - 1 / keys.sum(-1, keepdims=True)), 0.0).sum(-1)


def permuted_rows(
    rows: Float[np.ndarray, "pair query key"], words: Bool[np.ndarray, "pair query key"], rng: np.random.Generator
) -> Float[np.ndarray, "pair query key"]:
    """Return the rows with the entries of each in an order of its own: as peaked, with nothing shared by column."""
    order = np.argsort(np.where(words, rng.random(rows.shape), 2.0), axis=-1)
    return np.take_along_axis(rows, order, axis=-1)


def link_rows(
    linked: Bool[np.ndarray, "pair query key"], words: Bool[np.ndarray, "pair query key"]
) -> Float[np.ndarray, "pair query key"]:
    """Return links as attention: a query word's row spread evenly over its links, over all words where it has none."""
    seen = np.where(linked.any(-1, keepdims=True), linked, words)
    n_seen = seen.sum(-1, keepdims=True)
    return np.divide(seen, n_seen, out=np.zeros(seen.shape), where=n_seen > 0)


CONTROLLED = ("position", "cost", "similarity")
"""What is taken out of a partial correlation, each with those before it."""


def partial_correlations(
    layer: Layer, similarity: Float[np.ndarray, "pair query key"]
) -> Float[np.ndarray, "pair controlled"]:
    """Return correlations of attention with the exact plan within each pair, in [-1, 1], by `CONTROLLED`.

    Over the entries of a pair's normalised rows, both sides being residuals of a linear regression on 1, |x_i - x_j| and
    its square; on the cost C_ij too; on the rows of the fitted similarity too (the cost acts on either side through an
    exponential, so its line leaves most of it in). NaN where a side has no residual left. The plan is the cheapest
    between uniform masses, its rows normalised.

    Parameters
    ----------
    layer : Layer
        Attention and costs.
    similarity : float array, shape (pair, query, key)
        Rows of the fitted model A of the same pairs (`planlike.model_rows`).
    """
    parts = zip(layer.rows, layer.cost, layer.words, layer.distance, similarity, strict=True)
    return np.array([_partial(*part) for part in parts]).reshape(len(layer.rows), len(CONTROLLED))


def _partial(
    rows: Float[np.ndarray, "query key"],
    cost: Float[np.ndarray, "query key"],
    words: Bool[np.ndarray, "query key"],
    distance: Float[np.ndarray, "query key"],
    similarity: Float[np.ndarray, "query key"],
) -> list[float]:
    n_query, n_key = int(words.any(1).sum()), int(words.any(0).sum())
    plan = word_plan(np.ascontiguousarray(cost[:n_query, :n_key]))
    both = np.stack([rows[words], (plan / plan.sum(1, keepdims=True)).ravel()], axis=1)
    apart = distance[words]
    terms = [np.ones_like(apart), apart, np.square(apart), cost[words], similarity[words]]
    explained = np.stack(terms, axis=1)
    return [_residual_correlation(both, explained[:, :count]) for count in (3, 4, 5)]


def _residual_correlation(both: Float[np.ndarray, "entry 2"], explained: Float[np.ndarray, "entry term"]) -> float:
    residual = both - explained @ np.linalg.lstsq(explained, both, rcond=None)[0]
    size = np.sqrt(np.square(residual).sum(0))
    # What rounding leaves of a side that is explained altogether.
    if (size <= 1e-7 * np.sqrt(np.square(both).sum(0))).any():
        return float("nan")
    return float(residual[:, 0] @ residual[:, 1] / (size[0] * size[1]))
