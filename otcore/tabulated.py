"""Any cost, by a feed-forward sublayer: the construction of Table 2 with features that the layers compute themselves.

A feed-forward sublayer Z + relu(Z W) (the preprint's eq. 7) writes relu(x - t_k) and relu(y - t_k) for knots t_0 < t_1 < ... < t_K
into free columns, once, in the first layer. 1, x and relu(x - t_1), ..., relu(x - t_{K-1}) span the piecewise linear functions with these
knots, among them the hats h_k, which are 1 at their own knot and 0 at all others. A score is bilinear in the tokens, so a head can hold

    c^(x, y) = sum_kl h_k(x) C_kl h_l(y),      C_kl = c(t_k, t_l):

the cost at the knots, **whatever it is**, and between them its bilinear interpolation. Where points lie on the knots the layers
transport exactly under any cost; a smooth cost elsewhere has an error of the order of the square of the spacing. In several dimensions the
same table serves every coordinate, for costs that are sums over coordinates.

The first layer's attention sees no features yet and takes one bounded step under another cost, after which gradient descent starts from
there; the limit does not depend on the start (Theorem 3.2).

References
----------
Daneshmand, arXiv 2410.19931, eq. (7) (feed-forward sublayer); AISTATS 2026, section 6 (general costs are left open).
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from otcore._checks import broken_rule, check_count, check_finite, check_positive
from otcore._doors import takes_arrays
from otcore.prompt import Columns, columns, engineered_prompt
from otcore.terms import Marginals
from otcore.transformer import TransportTransformer


class TabulatedWeights(NamedTuple):
    """Weights for a cost that is known at knots; call them with a `tabulated_prompt` for the state after all layers.

    Attributes
    ----------
    score, value : float tensor, shape (1, 2, width, width)
        P_j and V_j, shared by all layers; width is that of `tabulated_prompt`.
    feed_forward : float tensor, shape (1, width, width)
        W of the first layer; the others have none, which is W = 0.
    step_size : float
    depth : int
    """

    score: Float[Tensor, "1 2 width width"]
    value: Float[Tensor, "1 2 width width"]
    feed_forward: Float[Tensor, "1 width width"]
    step_size: float
    depth: int

    def __call__(self, prompt: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch token width"]:
        """Return the state after `depth` layers, the memory row frozen."""
        steps = torch.tensor([-self.step_size], dtype=self.score.dtype, device=self.score.device)
        with torch.no_grad():
            first = TransportTransformer(
                self.score, self.value, depth=1, steps=steps, memory_row="frozen", feed_forward=self.feed_forward
            )
            others = TransportTransformer(
                self.score, self.value, depth=self.depth - 1, steps=steps, memory_row="frozen"
            )
            return others(first(prompt).state).state


@takes_arrays(x="batch n dim", y="batch n dim")
def tabulated_prompt(
    x: Float[Tensor, "batch n dim"],
    y: Float[Tensor, "batch tgt dim_y"],
    *,
    n_knots: int,
    marginals: Marginals = "unit",
) -> Float[Tensor, "batch n+1 width"]:
    """Return the engineered prompt with 2 * dim * (n_knots - 2) free columns, zero, for the features.

    Raises
    ------
    TransportError
        As `engineered_prompt`, or if there are fewer than 3 knots.
    """
    check_count("n_knots", n_knots, at_least=3)
    prompt = engineered_prompt(x, y, marginals=marginals)
    free = 2 * x.shape[2] * (n_knots - 2)
    return torch.cat([prompt, prompt.new_zeros(*prompt.shape[:2], free)], dim=-1)


@takes_arrays(table="knot knot_y", knots="knot")
def tabulated_weights(
    table: Float[Tensor, "knot knot_y"],
    *,
    knots: Float[Tensor, " place"],
    reg: float,
    step_size: float,
    depth: int,
    dim: int = 1,
) -> TabulatedWeights:
    """Return the weights for the cost sum over coordinates of c(x_k, y_k), c given at the knots.

    Parameters
    ----------
    table : float tensor, shape (knot, knot)
        c(t_k, t_l), any finite numbers.
    knots : float tensor, shape (knot,)
        t_0 < t_1 < ...; at least 3, and all coordinates of points lie between the first and the last.
    reg, step_size : float
        As in `constructed_weights`.
    depth : int
        Layers, at least 2: the first computes features.
    dim : int
        Dimension of the points.

    Raises
    ------
    TransportError
        If table and knots do not fit each other, knots do not ascend, or a number is out of range.

    Examples
    --------
    >>> knots = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    >>> table = torch.tensor([[0.0, 9.0, 1.0], [1.0, 0.0, 9.0], [9.0, 1.0, 0.0]], dtype=torch.float64)
    >>> weights = tabulated_weights(table, knots=knots, reg=0.1, step_size=0.2, depth=50)
    >>> points = torch.tensor([[[0.0], [0.5], [1.0]]], dtype=torch.float64)
    >>> state = weights(tabulated_prompt(points, points.flip(1), n_knots=3))
    >>> from otcore.transformer import read_plan
    >>> read_plan(state, weights.score[0])[0, 0].argmax(1).tolist()    # each x to its own number
    [2, 1, 0]
    """
    _check(table, knots)
    check_positive("reg", reg, remedy="The mass divides by it; try 0.05 of the largest cost.")
    check_positive("step_size", step_size, remedy="Twice `reg` suits most problems.")
    check_count("depth", depth, at_least=2)
    check_count("dim", dim)
    at, inner = columns(dim), len(knots) - 2
    width = at.width + 2 * dim * inner
    hats = _hats(knots)
    forms = (-hats @ table @ hats.mT / reg, -hats @ table.mT @ hats.mT / reg)
    score = torch.stack([_score(form, at, width, reg=reg, swap=swap) for swap, form in enumerate(forms)])
    value = table.new_zeros(2, width, width)
    value[0, at.ones.stop - 1, at.src_memory] = value[1, at.ones.stop - 1, at.tgt_memory] = 1.0
    feed_forward = table.new_zeros(1, width, width)
    for side in range(2):
        for k in range(dim):
            own = _basis(at, k, inner, side=side)
            feed_forward[0, own[1], own[2:]] = 1.0
            feed_forward[0, own[0], own[2:]] = -knots[1:-1]
    return TabulatedWeights(score[None], value[None], feed_forward, float(step_size), int(depth))


def _hats(knots: Float[Tensor, " knot"]) -> Float[Tensor, "knot knot_b"]:
    """Return the hats, a column each, in terms of 1, x, relu(x - t_1), ..., relu(x - t_{K-1}): a row each."""
    shifted = torch.relu(knots[:, None] - knots[None, 1:-1])
    basis = torch.cat([torch.ones_like(knots)[:, None], knots[:, None], shifted], dim=1)
    return torch.linalg.inv(basis)


def _basis(at: Columns, k: int, inner: int, *, side: int) -> list[int]:
    """Return the columns of 1, the k-th coordinate of a side and its features."""
    coordinate = (at.src, at.tgt)[side].start + k
    start = at.width + (side * (at.src.stop - at.src.start) + k) * inner
    return [at.ones.start, coordinate, *range(start, start + inner)]


def _score(form: Tensor, at: Columns, width: int, *, reg: float, swap: bool | int) -> Tensor:
    """Return P1 (or P2, with x and y exchanged): -c^/reg, u/reg, v/reg and -1."""
    score = form.new_zeros(width, width)
    dim, inner = at.src.stop - at.src.start, len(form) - 2
    for k in range(dim):
        query, key = (_basis(at, k, inner, side=side) for side in ((1, 0) if swap else (0, 1)))
        score[torch.tensor(query)[:, None], torch.tensor(key)[None]] += form
    query_memory, key_memory = (at.tgt_memory, at.src_memory) if swap else (at.src_memory, at.tgt_memory)
    one_b, one_c = at.ones.start + 1, at.ones.start + 2
    score[query_memory, one_b] = score[one_c, key_memory] = 1.0 / reg
    score[one_c, one_c] = -1.0
    return score


def _check(table: Tensor, knots: Tensor) -> None:
    """Refuse a table that is not square in the knots, and knots that do not ascend."""
    check_finite("table", table)
    if tuple(table.shape) != (len(knots), len(knots)) or len(knots) < 3:
        raise broken_rule(
            "table and knots",
            "of shapes (knot, knot) and (knot,), at least 3",
            f"{tuple(table.shape)} and {tuple(knots.shape)}",
            "Give the cost at every pair of knots.",
        )
    if not bool((knots[1:] > knots[:-1]).all()):
        raise broken_rule("knots", "ascending", "others", "Sort them, each once.")
