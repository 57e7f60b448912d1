"""Transport plans between the words of a pair, compared with dictionary links and with attention."""

import numpy as np
from jaxtyping import Bool, Float, Int

from otcore.plans import exact_plan
from pipeline.conventions import View
from pipeline.corpus.pharaoh import Links

N_SUMS = 6
"""Per-sentence sums that a correlation is made of: n, x, y, xx, yy, xy."""

TIE_TOLERANCE = 1e-6
"""Relative to the largest cost: costs are float32."""

PlanMatrix = Float[np.ndarray, "src tgt"]


def word_plan(cost: Float[np.ndarray, "*lead src tgt"]) -> Float[np.ndarray, "*lead src tgt"]:
    """Return the cheapest plan between words of equal weight, 1/n_src and 1/n_tgt; of one cost or of a batch.

    A permutation over n where the sides are equally long. On ties one of the cheapest plans, chosen by the solver.
    """
    return exact_plan(cost.astype(np.float64), marginals="uniform").plan


def match_links(
    cost: Float[np.ndarray, "level src tgt"], links: Links, rng: np.random.Generator
) -> tuple[Float[np.ndarray, " level"], Bool[np.ndarray, " level"]]:
    """Return the share of linked words that transport matches with their translation (Figure 7), and ties.

    The linked source words are matched one to one with the linked target words, at every level of the
    costs. Chance is 1 / n_links. A level is tied if another matching is as cheap; rows and columns are
    shuffled first, so that a solver that breaks ties by order gains nothing from links that are in order.

    Parameters
    ----------
    cost : float array, shape (level, src, tgt)
        Costs between all words.
    links : int array, shape (link, 2)
        At least one, within the pair.
    rng : numpy Generator
        Shuffles.

    Returns
    -------
    share : float array, shape (level,)
        In [0, 1].
    tied : bool array, shape (level,)
        Whether the cheapest matching is not the only one (to `TIE_TOLERANCE`).
    """
    n_links = len(links)
    rows, columns = rng.permutation(n_links), rng.permutation(n_links)
    part = cost[:, links[rows, 0, None], links[None, columns, 1]].astype(np.float64)
    chosen = exact_plan(part).plan.argmax(2)
    share = (columns[chosen] == rows).mean(1)
    return share, _is_tied(part, chosen)


def _is_tied(
    cost: Float[np.ndarray, "level link link"], chosen: Int[np.ndarray, "level link"]
) -> Bool[np.ndarray, " level"]:
    """Return where a cycle of exchanges costs nothing: Floyd-Warshall over the price of another's match."""
    n_links = cost.shape[1]
    taken = np.take_along_axis(cost, np.broadcast_to(chosen[:, None, :], cost.shape), axis=2)
    path = taken - np.einsum("lii->li", taken)[:, :, None]
    path[:, np.arange(n_links), np.arange(n_links)] = np.inf
    for via in range(n_links):
        path = np.minimum(path, path[:, :, via, None] + path[:, via, None, :])
    cheapest_cycle = np.einsum("lii->li", path).min(1)
    return cheapest_cycle <= TIE_TOLERANCE * np.abs(cost).max((1, 2))


def level_of(layer: int) -> int:
    """Return the level whose plan stands beside an attention layer (from 1): of the states that the layer reads."""
    return layer - 1


def plan_for_view(plan: PlanMatrix, view: View) -> Float[np.ndarray, "tgt src"]:
    """Return the plan as the block of a view is laid out: each query word has mass 1."""
    if view.query_side == "src":
        return (plan / plan.sum(1, keepdims=True)).T
    return (plan / plan.sum(0, keepdims=True)).T


def correlation_sums(
    x: Float[np.ndarray, "*lead tgt src"], y: Float[np.ndarray, "*lead tgt src"]
) -> Float[np.ndarray, "*lead sums"]:
    """Return n and the sums of x, y, xx, yy, xy over a pair's words, float64: all that pooling needs."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    n = np.full(x.shape[:-2], float(x.shape[-1] * x.shape[-2]))
    return np.stack([n, *(part.sum((-2, -1)) for part in (x, y, x * x, y * y, x * y))], axis=-1)


def correlation(sums: Float[np.ndarray, "*lead sums"]) -> Float[np.ndarray, "*lead"]:
    """Return Pearson's correlation in [-1, 1] from `correlation_sums`; NaN where a side does not vary."""
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    var_x, var_y = n * xx - x * x, n * yy - y * y
    # A constant leaves rounding errors of its square.
    varies = (var_x > 1e-12 * n * xx) & (var_y > 1e-12 * n * yy)
    product = np.sqrt(np.where(varies, var_x * var_y, 1.0))
    return np.where(varies, np.clip((n * xy - x * y) / product, -1, 1), np.nan)
