"""Transport plans between the words of a pair, compared with dictionary links and with attention."""

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment

from pipeline.conventions import View
from pipeline.corpus.pharaoh import Links
from pipeline.errors import PipelineError

LEVEL_RULES = ("reads", "writes")
"""Which cost stands beside attention layer l: that of the states which the layer reads, level l - 1, or of
those that it has written, level l. Level 0 are the embeddings."""

N_SUMS = 6
"""Per-sentence sums that a correlation is made of: n, x, y, xx, yy, xy."""

MAX_SWEEPS = 10_000
TIE_TOLERANCE = 1e-6
"""Relative to the largest cost: costs are float32."""

Cost = Float[np.ndarray, "src tgt"]
Masses = Float[np.ndarray, "src tgt"]


def uniform_masses(n: int) -> Float[np.ndarray, " n"]:
    """Return mass 1/n for each of n words."""
    return np.full(n, 1 / n)


def exact_masses(cost: Cost) -> Masses:
    """Return the cheapest plan between uniform masses 1/n_src and 1/n_tgt; a permutation over n if square.

    On ties one of the cheapest plans, chosen by the solver.
    """
    if cost.shape[0] == cost.shape[1]:
        masses = np.zeros(cost.shape)
        masses[linear_sum_assignment(cost)] = 1 / len(cost)
        return masses
    import ot  # POT imports torch: only where it is used

    n_src, n_tgt = cost.shape
    # Masses are ours and potentials are not wanted: half of the time.
    return ot.emd(
        uniform_masses(n_src),
        uniform_masses(n_tgt),
        np.ascontiguousarray(cost, dtype=np.float64),
        center_dual=False,
        check_marginals=False,
    )


def entropic_masses(cost: Cost, *, reg: float) -> Masses:
    """Return the entropic plan (eq. 3) between uniform masses, solved in the log domain.

    Parameters
    ----------
    cost : float array, shape (src, tgt)
        Only differences matter.
    reg : float
        lam, in units of the range of the costs, greater than 0.

    Raises
    ------
    PipelineError
        If the marginals are not met to 1e-3 within `MAX_SWEEPS`.
    """
    import ot

    src, tgt = uniform_masses(cost.shape[0]), uniform_masses(cost.shape[1])
    masses = ot.bregman.sinkhorn_log(src, tgt, _in_range(cost), reg, numItermax=MAX_SWEEPS, stopThr=1e-4, warn=False)
    error = np.abs(masses.sum(0) - tgt).sum() + np.abs(masses.sum(1) - src).sum()
    if not error <= 1e-3:
        message = f"reg: must let the sweeps converge, but {reg:g} leaves a marginal error of {error:.1e}; raise it"
        raise PipelineError(message)
    return masses


def partial_masses(cost: Cost, *, share: float) -> Masses:
    """Return the cheapest plan that moves only a share, in (0, 1], of uniform masses; exact.

    Words that are dear to align stay without mass, as unaligned words should.
    """
    if share >= 1:
        return exact_masses(cost)
    import ot

    # The amount moved is fixed, so a shift changes nothing; POT's extended problem wants costs above 0.
    return ot.partial.partial_wasserstein(
        uniform_masses(cost.shape[0]), uniform_masses(cost.shape[1]), _in_range(cost) + 1.0, m=share
    )


def unbalanced_masses(cost: Cost, *, reg: float, reg_marginal: float) -> Masses:
    """Return the entropic plan whose marginals may differ from uniform ones at a price (Kullback-Leibler).

    Parameters
    ----------
    cost : float array, shape (src, tgt)
        Brought to [0, 1] first: unlike in the other methods the cheapest entry then costs nothing.
    reg, reg_marginal : float
        In units of the range of the costs, greater than 0.
    """
    import ot

    src, tgt = uniform_masses(cost.shape[0]), uniform_masses(cost.shape[1])
    return ot.unbalanced.sinkhorn_unbalanced(
        src, tgt, _in_range(cost), reg, reg_marginal, method="sinkhorn_stabilized", numItermax=MAX_SWEEPS
    )


def _in_range(cost: Cost) -> Float[np.ndarray, "src tgt"]:
    shifted = cost.astype(np.float64) - cost.min()
    return shifted / shifted.max() if shifted.max() > 0 else shifted


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
    chosen = np.stack([linear_sum_assignment(level)[1] for level in part])
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


def level_of(layer: int, rule: str) -> int:
    """Return the level of the cost that stands beside an attention layer (from 1).

    Raises
    ------
    PipelineError
        If the rule is not known.
    """
    if rule not in LEVEL_RULES:
        message = f"level_rule: must be reads (level l - 1) or writes (level l), but it is {rule!r}; choose one"
        raise PipelineError(message)
    return layer - 1 if rule == "reads" else layer


def plan_for_view(masses: Masses, view: View) -> Float[np.ndarray, "tgt src"]:
    """Return the plan as the block of a view is laid out: each query word has mass 1."""
    if view.query_side == "src":
        return (masses / masses.sum(1, keepdims=True)).T
    return (masses / masses.sum(0, keepdims=True)).T


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
