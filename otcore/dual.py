"""The dual problem, and the two algorithms that climb down it: adaptive gradient descent and Sinkhorn.

The entropic problem (eq. 3) asks for the plan P >= 0 with rows and columns summing to m that minimises
<P, C> + reg * sum P log P. Its dual (eq. 4) has one unknown a point, u_i for x_i and v_j for y_j:

    L(u, v) = reg * sum_ij M_ij - m * sum u - m * sum v,       M_ij = exp( (-C_ij + u_i + v_j) / reg - 1 ),

    dL/du = M 1 - m,      dL/dv = M^T 1 - m,

so the gradient is zero exactly when M is the plan. **Adaptive gradient descent** (eq. 5) moves all unknowns
at once, each by step_size / (sum + 1) times its derivative: this is what a layer of the constructed
transformer does. **Sinkhorn** solves for u with v held, then for v with the new u: not something one
attention layer can do, since both heads read the same state. Everything here works with log M, so no
exponential overflows.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from otcore._checks import broken_rule, check_cost, check_count, check_points, check_positive
from otcore.prompt import Marginals, point_mass


class Duals(NamedTuple):
    """The unknowns of the dual, in units of the cost.

    Attributes
    ----------
    src : float tensor, shape (batch, src)
        u, one a row of the cost.
    tgt : float tensor, shape (batch, tgt)
        v, one a column of the cost.
    """

    src: Float[Tensor, "batch src"]
    tgt: Float[Tensor, "batch tgt"]


def squared_cost(x: Float[Tensor, "batch n dim"], y: Float[Tensor, "batch tgt dim_y"]) -> Float[Tensor, "batch n tgt"]:
    """Return C_ij = |x_i - y_j|^2 (eq. 1), by differences, so that nearby points lose no digits.

    Raises
    ------
    TransportError
        If the clouds differ in shape, dtype or device, or hold NaN.

    Examples
    --------
    >>> squared_cost(torch.tensor([[[0.0], [3.0]]]), torch.tensor([[[1.0], [3.0]]]))[0].tolist()
    [[1.0, 9.0], [4.0, 0.0]]
    """
    check_points("x", x, "y", y)
    return (x[:, :, None] - y[:, None]).square().sum(-1)  # (b,n,1,d) - (b,1,n,d) -> (b,n,n)


def zero_duals(cost: Float[Tensor, "batch src tgt"]) -> Duals:
    """Return u = v = 0, where every algorithm here starts.

    Examples
    --------
    >>> zero_duals(torch.ones(1, 2, 3)).tgt.tolist()
    [[0.0, 0.0, 0.0]]
    """
    return Duals(torch.zeros_like(cost[:, :, 0]), torch.zeros_like(cost[:, 0]))


def log_mass(cost: Float[Tensor, "batch src tgt"], duals: Duals, *, reg: float) -> Float[Tensor, "batch src tgt"]:
    """Return log M_ij = (-C_ij + u_i + v_j) / reg - 1.

    Examples
    --------
    >>> cost = torch.zeros(1, 1, 1, dtype=torch.float64)
    >>> log_mass(cost, zero_duals(cost), reg=0.1).item()
    -1.0
    """
    return (duals.src[:, :, None] + duals.tgt[:, None] - cost) / reg - 1.0


def dual_value(
    cost: Float[Tensor, "batch src tgt"], duals: Duals, *, reg: float, marginals: Marginals = "unit"
) -> Float[Tensor, " batch"]:
    """Return L(u, v) of every problem (eq. 4); convex, and smallest at the plan.

    Examples
    --------
    >>> cost = torch.zeros(1, 1, 1, dtype=torch.float64)
    >>> round(dual_value(cost, zero_duals(cost), reg=1.0).item(), 6)   # exp(-1)
    0.367879
    """
    mass = point_mass(cost.shape[-1], marginals)
    total = torch.exp(log_mass(cost, duals, reg=reg)).sum((1, 2))
    return reg * total - mass * (duals.src.sum(1) + duals.tgt.sum(1))


def dual_gradient(
    cost: Float[Tensor, "batch src tgt"], duals: Duals, *, reg: float, marginals: Marginals = "unit"
) -> Duals:
    """Return (M 1 - m, M^T 1 - m), both at the same (u, v).

    Examples
    --------
    >>> cost = torch.zeros(1, 1, 1, dtype=torch.float64)
    >>> round(dual_gradient(cost, zero_duals(cost), reg=1.0).src.item(), 6)   # exp(-1) - 1
    -0.632121
    """
    plan = torch.exp(log_mass(cost, duals, reg=reg))
    mass = point_mass(cost.shape[-1], marginals)
    return Duals(plan.sum(2) - mass, plan.sum(1) - mass)


def gradient_descent(
    cost: Float[Tensor, "batch src tgt"],
    *,
    reg: float,
    step_size: float | Sequence[float],
    depth: int,
    marginals: Marginals = "unit",
    start: Duals | None = None,
) -> Iterator[Duals]:
    """Yield iterates 1..depth of adaptive gradient descent (eq. 5): what Theorem 3.1 says the layers hold.

    Parameters
    ----------
    cost : float tensor, shape (batch, src, tgt)
    reg : float
        Entropic weight lam, in units of the cost, greater than 0.
    step_size : float or sequence of `depth` floats
        gamma, greater than 0.
    depth : int
        Number of steps.
    marginals : {"unit", "uniform"}
        Mass of a point: 1 or 1/n.
    start : Duals, optional
        Zero by default, as in the prompt.

    Raises
    ------
    TransportError
        If the cost is not a finite (batch, src, tgt) tensor, or `reg`, `step_size` or `depth` is out of
        range.

    References
    ----------
    Daneshmand, AISTATS 2026, eq. (5) and Theorem 3.1.

    Examples
    --------
    >>> cost = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]], dtype=torch.float64)
    >>> *_, last = gradient_descent(cost, reg=0.1, step_size=0.1, depth=100)
    >>> torch.exp(log_mass(cost, last, reg=0.1)).round(decimals=3)[0].tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    check_cost("cost", cost)
    check_positive("reg", reg, remedy="The dual divides by it; try 0.05 of the largest cost.")
    check_count("depth", depth)
    steps = _steps(step_size, depth)
    mass = point_mass(cost.shape[-1], marginals)
    duals = zero_duals(cost) if start is None else start
    for step in steps:
        log_plan = log_mass(cost, duals, reg=reg)
        duals = Duals(
            duals.src - step * _relative_excess(torch.logsumexp(log_plan, 2), mass),
            duals.tgt - step * _relative_excess(torch.logsumexp(log_plan, 1), mass),
        )
        yield duals


def sinkhorn(
    cost: Float[Tensor, "batch src tgt"],
    *,
    reg: float,
    depth: int,
    marginals: Marginals = "unit",
    start: Duals | None = None,
) -> Iterator[Duals]:
    """Yield the results of sweeps 1..depth of Sinkhorn: u for fixed v, then v for the new u.

    Parameters
    ----------
    cost, reg, depth, marginals, start
        As in `gradient_descent`; a sweep updates both sides once, so it costs what a layer costs.

    Raises
    ------
    TransportError
        As in `gradient_descent`.

    Examples
    --------
    >>> cost = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]], dtype=torch.float64)
    >>> *_, last = sinkhorn(cost, reg=0.1, depth=5)
    >>> torch.exp(log_mass(cost, last, reg=0.1)).sum(2)[0].round(decimals=6).tolist()
    [1.0, 1.0]
    """
    check_cost("cost", cost)
    check_positive("reg", reg, remedy="Sinkhorn divides by it; try 0.05 of the largest cost.")
    check_count("depth", depth)
    log_m = torch.tensor(point_mass(cost.shape[-1], marginals), dtype=cost.dtype, device=cost.device).log()
    duals = zero_duals(cost) if start is None else start
    for _ in range(depth):
        duals = sinkhorn_sweep(cost, duals, reg=reg, log_src=log_m, log_tgt=log_m)
        yield duals


def sinkhorn_sweep(
    cost: Float[Tensor, "batch src tgt"],
    duals: Duals,
    *,
    reg: float | Float[Tensor, " batch"],
    log_src: Float[Tensor, "*src_mass"],
    log_tgt: Float[Tensor, "*tgt_mass"],
) -> Duals:
    """Return the duals after one sweep for any log masses; both are -inf for a point without mass."""
    weight = torch.as_tensor(reg, dtype=cost.dtype, device=cost.device).reshape(-1, 1)  # (1 or b, 1)
    src = weight * (log_src + 1.0 - torch.logsumexp((duals.tgt[:, None] - cost) / weight[..., None], 2))
    tgt = weight * (log_tgt + 1.0 - torch.logsumexp((src[:, :, None] - cost) / weight[..., None], 1))
    return Duals(src, tgt)


def newton_step(
    cost: Float[Tensor, "batch src tgt"],
    duals: Duals,
    *,
    reg: float,
    src_mass: Float[Tensor, "batch n_src"],
    tgt_mass: Float[Tensor, "batch n_tgt"],
) -> Duals:
    """Return the duals after one step of Newton's method on L, without a line search.

    Two nearly equal permutations make sweeps crawl; near the optimum this squares the error instead. Far from it
    a step can do harm, so the caller compares. A ridge at rounding holds the directions that L does not see.
    """
    plan = torch.exp(log_mass(cost, duals, reg=reg))
    rows, columns = plan.sum(2), plan.sum(1)
    curvature = torch.cat(
        [
            torch.cat([torch.diag_embed(rows), plan], 2),
            torch.cat([plan.mT, torch.diag_embed(columns)], 2),
        ],
        1,
    )  # reg times the second derivatives of L: (b, src+tgt, src+tgt)
    sums = torch.cat([rows, columns], 1)
    ridge = 10 * torch.finfo(cost.dtype).eps * sums.amax(1, keepdim=True)
    curvature += torch.diag_embed(torch.where(sums > 0, ridge, 1.0))
    slope = sums - torch.cat([src_mass, tgt_mass], 1)
    change, _ = torch.linalg.solve_ex(curvature, slope)
    src, tgt = change.split([cost.shape[1], cost.shape[2]], 1)
    return Duals(duals.src - reg * src, duals.tgt - reg * tgt)


def _relative_excess(log_sum: Tensor, mass: float) -> Tensor:
    """Return (s - m) / (s + 1) for s = exp(log_sum), safe for any s."""
    return torch.sigmoid(log_sum) - mass * torch.sigmoid(-log_sum)


def _steps(step_size: float | Sequence[float], depth: int) -> list[float]:
    """Return one positive step a layer."""
    steps = [float(step_size)] * depth if isinstance(step_size, int | float) else [float(s) for s in step_size]
    if len(steps) != depth:
        raise broken_rule(
            "step_size", f"a number or {depth} numbers, one a step", f"{len(steps)} numbers", "Match `depth`."
        )
    for step in steps:
        check_positive("step_size", step, remedy="Twice `reg` suits most problems.")
    return steps
