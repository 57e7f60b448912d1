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

import torch
from jaxtyping import Float
from torch import Tensor

from otcore._checks import broken_rule, check_count, check_points, check_positive
from otcore._doors import takes_arrays
from otcore.terms import Duals, Marginals, point_mass


@takes_arrays(x="batch n dim", y="batch n dim")
def squared_cost(x: Float[Tensor, "batch n dim"], y: Float[Tensor, "batch tgt dim_y"]) -> Float[Tensor, "batch n tgt"]:
    """Return C_ij = |x_i - y_j|^2 (eq. 1), by differences, so that nearby points lose no digits.

    Raises
    ------
    TransportError
        If the clouds are no numbers, differ in shape, dtype or device, or hold NaN.

    Examples
    --------
    >>> squared_cost(torch.tensor([[[0.0], [3.0]]]), torch.tensor([[[1.0], [3.0]]]))[0].tolist()
    [[1.0, 9.0], [4.0, 0.0]]
    """
    check_points("x", x, "y", y)
    return (x[:, :, None] - y[:, None]).square().sum(-1)  # (b,n,1,d) - (b,1,n,d) -> (b,n,n)


@takes_arrays(cost="batch src tgt")
def zero_duals(cost: Float[Tensor, "batch src tgt"]) -> Duals:
    """Return u = v = 0, where every algorithm here starts.

    Examples
    --------
    >>> zero_duals(torch.ones(1, 2, 3)).tgt.tolist()
    [[0.0, 0.0, 0.0]]
    """
    return _zero_duals(cost)


@takes_arrays(cost="batch src tgt", duals="batch n")
def log_mass(cost: Float[Tensor, "batch src tgt"], duals: Duals, *, reg: float) -> Float[Tensor, "batch src tgt"]:
    """Return log M_ij = (-C_ij + u_i + v_j) / reg - 1.

    Examples
    --------
    >>> cost = torch.zeros(1, 1, 1, dtype=torch.float64)
    >>> log_mass(cost, zero_duals(cost), reg=0.1).item()
    -1.0
    """
    check_positive("reg", reg, remedy="The mass divides by it; try 0.05 of the largest cost.")
    return _log_mass(cost, duals, reg=reg)


@takes_arrays(cost="batch src tgt", duals="batch n")
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
    check_positive("reg", reg, remedy="The dual divides by it; try 0.05 of the largest cost.")
    mass = point_mass(cost.shape[-1], marginals)
    total = torch.exp(_log_mass(cost, duals, reg=reg)).sum((1, 2))
    return reg * total - mass * (duals.src.sum(1) + duals.tgt.sum(1))


@takes_arrays(cost="batch src tgt", duals="batch n")
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
    check_positive("reg", reg, remedy="The dual divides by it; try 0.05 of the largest cost.")
    plan = torch.exp(_log_mass(cost, duals, reg=reg))
    mass = point_mass(cost.shape[-1], marginals)
    return Duals(plan.sum(2) - mass, plan.sum(1) - mass)


@takes_arrays(cost="batch src tgt", start="batch n")
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
    check_positive("reg", reg, remedy="The dual divides by it; try 0.05 of the largest cost.")
    check_count("depth", depth)
    steps = _steps(step_size, depth)
    mass = point_mass(cost.shape[-1], marginals)
    duals = _zero_duals(cost) if start is None else start
    for step in steps:
        log_plan = _log_mass(cost, duals, reg=reg)
        duals = Duals(
            duals.src - step * _relative_excess(torch.logsumexp(log_plan, 2), mass),
            duals.tgt - step * _relative_excess(torch.logsumexp(log_plan, 1), mass),
        )
        yield duals


@takes_arrays(cost="batch src tgt", start="batch n")
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
    check_positive("reg", reg, remedy="Sinkhorn divides by it; try 0.05 of the largest cost.")
    check_count("depth", depth)
    log_m = torch.tensor(point_mass(cost.shape[-1], marginals), dtype=cost.dtype, device=cost.device).log()
    duals = _zero_duals(cost) if start is None else start
    for _ in range(depth):
        src = reg * (log_m + 1.0 - torch.logsumexp((duals.tgt[:, None] - cost) / reg, 2))
        tgt = reg * (log_m + 1.0 - torch.logsumexp((src[:, :, None] - cost) / reg, 1))
        duals = Duals(src, tgt)
        yield duals


def _zero_duals(cost: Float[Tensor, "batch src tgt"]) -> Duals:
    """Return `zero_duals` of a checked cost."""
    return Duals(torch.zeros_like(cost[:, :, 0]), torch.zeros_like(cost[:, 0]))


def _log_mass(cost: Float[Tensor, "batch src tgt"], duals: Duals, *, reg: float) -> Float[Tensor, "batch src tgt"]:
    """Return `log_mass` of checked arguments."""
    return (duals.src[:, :, None] + duals.tgt[:, None] - cost) / reg - 1.0


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
