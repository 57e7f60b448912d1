"""Prompts: the points of a transport problem written as the token matrix Z_0 of a transformer.

The **engineered** prompt (eq. 6) gives each of the n pairs (x_i, y_i) one row, and adds what the
construction needs: squared norms, constants, room for the dual variables, and one more row that carries the
marginal. Its columns are

==================  ==============  =====================================================
index (from 0)      name            holds, in rows 0..n-1
==================  ==============  =====================================================
0 .. d-1            ``src``         x_i
d .. 2d-1           ``tgt``         y_i
2d                  ``src_norm``    |x_i|^2
2d+1                ``tgt_norm``    |y_i|^2
2d+2 .. 2d+5        ``ones``        1, 1, 1, 1
2d+6                ``src_memory``  u_i, the dual variable of x_i (0 at the start)
2d+7                ``tgt_memory``  v_i, the dual variable of y_i (0 at the start)
2d+8                ``output``      0; where a trained transformer writes its answer
==================  ==============  =====================================================

Row n, the **memory row**, is zero except for -m in the last column of ones, where m is the mass of a point:
1 for ``unit`` marginals, 1/n for ``uniform`` ones. The **plain** prompt (eq. 11) is only [x, y, 0], without
that row.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from otcore._checks import broken_rule, check_choice, check_points
from otcore._doors import takes_arrays
from otcore.terms import MARGINALS, Marginals


class Columns(NamedTuple):
    """Where each part of a token of the engineered prompt lies, counted from 0."""

    src: slice
    tgt: slice
    src_norm: int
    tgt_norm: int
    ones: slice
    src_memory: int
    tgt_memory: int
    output: int
    width: int


def columns(dim: int) -> Columns:
    """Return the columns of the engineered prompt for points of R^dim (eq. 6).

    Examples
    --------
    >>> columns(dim=2).width
    13
    """
    d = dim
    ones = slice(2 * d + 2, 2 * d + 6)
    return Columns(slice(0, d), slice(d, 2 * d), 2 * d, 2 * d + 1, ones, 2 * d + 6, 2 * d + 7, 2 * d + 8, 2 * d + 9)


@takes_arrays(x="batch n dim", y="batch n dim", masks={"real": "batch n"})
def engineered_prompt(
    x: Float[Tensor, "batch n dim"],
    y: Float[Tensor, "batch tgt dim_y"],
    *,
    marginals: Marginals = "unit",
    real: Bool[Tensor, "batch n"] | None = None,
) -> Float[Tensor, "batch n+1 2*dim+9"]:
    """Return the engineered prompt Z_0 of every problem in the batch (eq. 6).

    Parameters
    ----------
    x, y : float tensor, shape (batch, n, dim)
        The two clouds, finite, as many points on both sides; any unit.
    marginals : {"unit", "uniform"}
        Mass m of a point: 1 (the AISTATS paper) or 1/n (its two earlier versions).
    real : bool tensor, shape (batch, n), optional
        False where a point is only padding, so that problems of unequal n share a batch. Padding rows are
        zero; with ``uniform`` marginals each problem's n is its own number of real points. Pass the same
        mask to the transformer.

    Returns
    -------
    float tensor, shape (batch, n+1, 2*dim+9)
        Dtype and device of `x`. The memory row is the last, also when there is padding.

    Raises
    ------
    TransportError
        If the clouds differ in shape, dtype or device, hold NaN, a problem has no real point, or
        `marginals` is unknown.

    References
    ----------
    Daneshmand, AISTATS 2026, eq. (6).

    Examples
    --------
    >>> x = torch.tensor([[[0.5], [0.0]]], dtype=torch.float64)
    >>> y = torch.tensor([[[0.0], [0.5]]], dtype=torch.float64)
    >>> engineered_prompt(x, y).shape
    torch.Size([1, 3, 11])
    >>> engineered_prompt(x, y, marginals="uniform")[0, 2, columns(1).ones].tolist()  # the memory row: -m
    [0.0, 0.0, 0.0, -0.5]
    """
    check_points("x", x, "y", y)
    check_choice("marginals", marginals, MARGINALS)
    real = _check_real(real, x)
    batch, n, dim = x.shape
    at = columns(dim)
    points = x.new_zeros(batch, n, at.width)
    points[..., at.src] = x
    points[..., at.tgt] = y
    points[..., at.src_norm] = x.square().sum(-1)
    points[..., at.tgt_norm] = y.square().sum(-1)
    points[..., at.ones] = 1.0
    memory_row = x.new_zeros(batch, 1, at.width)
    mass = torch.ones_like(memory_row[:, 0, 0]) if marginals == "unit" else 1.0 / real.sum(1).to(x.dtype)
    memory_row[:, 0, at.ones.stop - 1] = -mass
    return torch.cat([points * real[..., None], memory_row], dim=1)


@takes_arrays(x="batch n dim", y="batch n dim")
def plain_prompt(
    x: Float[Tensor, "batch n dim"], y: Float[Tensor, "batch tgt dim_y"]
) -> Float[Tensor, "batch n 2*dim+1"]:
    """Return the prompt without engineering, [x, y, 0] (eq. 11).

    Parameters
    ----------
    x, y : float tensor, shape (batch, n, dim)
        The two clouds, finite, as many points on both sides.

    Returns
    -------
    float tensor, shape (batch, n, 2*dim+1)
        Dtype and device of `x`; the last column is zero and holds the answer later.

    Raises
    ------
    TransportError
        If the clouds differ in shape, dtype or device, or hold NaN.

    References
    ----------
    Daneshmand, AISTATS 2026, eq. (11).

    Examples
    --------
    >>> plain_prompt(torch.tensor([[[0.5], [0.0]]]), torch.tensor([[[0.0], [0.5]]]))[0].tolist()
    [[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]
    """
    check_points("x", x, "y", y)
    return torch.cat([x, y, torch.zeros_like(x[..., :1])], dim=-1)


def _check_real(real: Tensor | None, x: Tensor) -> Tensor:
    """Return the mask of real points, all True where none was given."""
    if real is None:
        return torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    n_real = real.sum(1)
    if bool((n_real == 0).any()):
        empty = int((n_real == 0).nonzero()[0])
        raise broken_rule(
            "real", "True for at least one point a problem", f"none in problem {empty}", "Drop that problem."
        )
    return real
