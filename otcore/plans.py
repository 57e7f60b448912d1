"""Transport plans by classical means, each with its evidence: what the transformer is measured against.

The **exact plan** (eq. 1) is a permutation for equal masses (scipy's assignment solver) and a vertex of the
transport polytope for unequal ones (POT's network simplex). The **entropic plan** (eq. 3) comes from Sinkhorn
sweeps in the log domain, in one batch, finished by Newton steps, or from POT, problem by problem. A result
never has to be taken on trust: it carries the potentials, the marginal error of each problem measured at the
end, and `converged`.
"""

from typing import Literal, NamedTuple

import numpy as np
import ot
import torch
from jaxtyping import Bool, Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from otcore._checks import broken_rule, check_choice, check_cost, check_count, check_positive
from otcore.dual import Duals, log_mass, newton_step, sinkhorn_sweep, zero_duals
from otcore.prompt import Marginals, point_mass

Solver = Literal["sweeps", "pot"]
SOLVERS: tuple[Solver, ...] = ("sweeps", "pot")
SWEEPS_PER_CHECK = 10


class Plan(NamedTuple):
    """A batch of plans and the evidence for them.

    Attributes
    ----------
    plan : float tensor, shape (batch, src, tgt)
        Masses, at least 0.
    potentials : Duals
        u and v in units of the cost; -inf where a point has no mass (entropic plans).
    marginal_error : float tensor, shape (batch,)
        Sum of absolute errors of row and column sums, in mass, measured on `plan`.
    gap : float tensor, shape (batch,)
        Primal minus dual objective, in units of cost times mass: 0 at the optimum, and never below but for
        rounding where the marginals hold.
    sweeps : int tensor, shape (batch,)
        Iterations used; 0 for an exact plan.
    converged : bool tensor, shape (batch,)
        Finite, and `marginal_error` (exact plans: also `gap`) within the threshold.
    """

    plan: Float[Tensor, "batch src tgt"]
    potentials: Duals
    marginal_error: Float[Tensor, " batch"]
    gap: Float[Tensor, " batch"]
    sweeps: Int[Tensor, " batch"]
    converged: Bool[Tensor, " batch"]


def exact_plan(
    cost: Float[Tensor, "batch src tgt"],
    *,
    src_mass: Float[Tensor, "batch n_src"] | None = None,
    tgt_mass: Float[Tensor, "batch n_tgt"] | None = None,
    marginals: Marginals = "unit",
    threshold: float = 1e-9,
) -> Plan:
    """Return the cheapest plan of every problem (eq. 1), with potentials that prove it.

    Parameters
    ----------
    cost : float tensor, shape (batch, src, tgt)
        Finite. Square unless masses are given.
    src_mass, tgt_mass : float tensor, shape (batch, src) and (batch, tgt), optional
        Give both or none: masses at least 0, of equal sums; POT's network simplex then solves the problem.
    marginals : {"unit", "uniform"}
        Mass of a point where no masses are given.
    threshold : float
        Largest marginal error, and largest duality gap relative to 1 + the cost of the plan, of a converged
        problem.

    Returns
    -------
    Plan
        On ties one of the cheapest plans; the choice is the solver's.

    Raises
    ------
    TransportError
        If the cost is not a finite (batch, src, tgt) tensor, is not square without masses, or the masses do
        not match.

    Examples
    --------
    >>> cost = torch.tensor([[[4.0, 1.0], [2.0, 3.0]]], dtype=torch.float64)
    >>> result = exact_plan(cost)
    >>> result.plan[0].tolist(), result.converged.item()
    ([[0.0, 1.0], [1.0, 0.0]], True)
    """
    check_cost("cost", cost)
    check_positive("threshold", threshold, remedy="1e-9 suits float64.")
    if src_mass is None and tgt_mass is None:
        mass = _equal_mass(cost, marginals)
        solved = [_assignment(matrix, mass) for matrix in cost.detach().cpu().double().numpy()]
        src_mass, tgt_mass = torch.full_like(cost[:, :, 0], mass), torch.full_like(cost[:, 0], mass)
    else:
        src_mass, tgt_mass = _check_masses(cost, src_mass, tgt_mass)
        arrays = (values.detach().cpu().double().numpy() for values in (cost, src_mass, tgt_mass))
        solved = [_network_simplex(*problem) for problem in zip(*arrays, strict=True)]
    plan, src, tgt = (_stack(part, cost) for part in zip(*solved, strict=True))
    error = _marginal_error(plan, src_mass, tgt_mass)
    primal = (plan * cost).sum((1, 2))
    gap = primal - (src_mass * src).sum(1) - (tgt_mass * tgt).sum(1)
    converged = (error <= threshold) & (gap.abs() <= threshold * (1.0 + primal.abs()))
    return Plan(plan, Duals(src, tgt), error, gap, torch.zeros_like(error, dtype=torch.int64), converged)


def entropic_plan(
    cost: Float[Tensor, "batch src tgt"],
    *,
    reg: float,
    src_mass: Float[Tensor, "batch n_src"] | None = None,
    tgt_mass: Float[Tensor, "batch n_tgt"] | None = None,
    marginals: Marginals = "unit",
    max_sweeps: int = 10_000,
    threshold: float = 1e-9,
    solver: Solver = "sweeps",
) -> Plan:
    """Return the plan of every problem with the entropic term (eq. 3), computed in the log domain.

    Parameters
    ----------
    cost : float tensor, shape (batch, src, tgt)
        Finite; square unless masses are given. Only differences within a problem matter.
    reg : float
        Entropic weight lam, in units of the cost, greater than 0. Small ones are reached by halving, and never
        overflow.
    src_mass, tgt_mass : float tensor, shape (batch, src) and (batch, tgt), optional
        Give both or none: masses at least 0, of equal sums; padding is a point of mass 0.
    marginals : {"unit", "uniform"}
        Mass of a point where no masses are given.
    max_sweeps : int
        Upper limit; a problem stops for itself as soon as it has converged, so a batch gives what a loop
        gives. Every ten sweeps a Newton step is tried, and kept where it lowers the error.
    threshold : float
        Largest `marginal_error` of a converged problem, relative to the total mass.
    solver : {"sweeps", "pot"}
        Batched sweeps of our own, or ``ot.bregman.sinkhorn_log`` problem by problem, as an independent check.

    Raises
    ------
    TransportError
        If an argument is out of range or the masses do not match. A plan that has not converged is not an
        error: read `converged`.

    References
    ----------
    Daneshmand, AISTATS 2026, eq. (3); Peyre and Cuturi, Computational Optimal Transport, 2019, section 4.4.

    Examples
    --------
    >>> cost = torch.tensor([[[4.0, 1.0], [2.0, 3.0]]], dtype=torch.float64)
    >>> result = entropic_plan(cost, reg=0.5)
    >>> result.plan[0].round(decimals=3).tolist(), result.converged.item()
    ([[0.018, 0.982], [0.982, 0.018]], True)
    """
    check_cost("cost", cost)
    check_positive("reg", reg, remedy="For the unregularised plan call `exact_plan`.")
    check_positive("threshold", threshold, remedy="1e-9 suits float64.")
    check_count("max_sweeps", max_sweeps)
    check_choice("solver", solver, SOLVERS)
    if src_mass is None and tgt_mass is None:
        mass = _equal_mass(cost, marginals)
        src_mass, tgt_mass = torch.full_like(cost[:, :, 0], mass), torch.full_like(cost[:, 0], mass)
    src_mass, tgt_mass = _check_masses(cost, src_mass, tgt_mass)
    solve = _sweeps if solver == "sweeps" else _pot
    duals, sweeps = solve(cost, src_mass, tgt_mass, reg, max_sweeps, threshold)
    plan = torch.exp(log_mass(cost, duals, reg=reg))
    error = _marginal_error(plan, src_mass, tgt_mass)
    converged = torch.isfinite(error) & (error <= threshold * src_mass.sum(1))
    return Plan(plan, duals, error, _entropic_gap(cost, plan, duals, src_mass, tgt_mass, reg), sweeps, converged)


def _sweeps(
    cost: Tensor, src_mass: Tensor, tgt_mass: Tensor, reg: float, max_sweeps: int, threshold: float
) -> tuple[Duals, Tensor]:
    """Return duals and sweeps used; problems that have converged leave the batch.

    Small regs are reached by halving, so that potentials need not creep there in steps of reg.
    """
    src, tgt = (part.clone() for part in zero_duals(cost))
    used = torch.zeros(cost.shape[0], dtype=torch.int64, device=cost.device)
    active = torch.arange(cost.shape[0], device=cost.device)
    spread = cost.amax((1, 2)) - cost.amin((1, 2))
    halvings = torch.ceil(torch.log2(spread / reg)).clamp(min=0.0)  # of each problem, so that a batch is a loop
    while active.numel() and int(used.max()) < max_sweeps:
        part, a, b = cost[active], src_mass[active], tgt_mass[active]
        left = halvings[active]
        n_now = min(SWEEPS_PER_CHECK, max_sweeps - int(used.max()))
        duals = Duals(src[active], tgt[active])
        for _ in range(n_now):
            duals = sinkhorn_sweep(part, duals, reg=reg * 2.0**left, log_src=a.log(), log_tgt=b.log())
        at_reg = left == 0
        duals, error = _better_of(part, duals, reg, a, b, where=at_reg)
        src[active], tgt[active] = duals
        used[active] += n_now
        halvings[active] = (left - 1.0).clamp(min=0.0)
        active = active[~(at_reg & (error <= threshold * a.sum(1)))]  # keeps NaN: never converged
    return Duals(src, tgt), used


def _better_of(
    cost: Tensor, duals: Duals, reg: float, src_mass: Tensor, tgt_mass: Tensor, *, where: Tensor
) -> tuple[Duals, Tensor]:
    """Return each problem's duals, after a Newton step `where` that makes the error smaller, and the error."""
    tried = newton_step(cost, duals, reg=reg, src_mass=src_mass, tgt_mass=tgt_mass)
    before, after = (
        _marginal_error(torch.exp(log_mass(cost, one, reg=reg)), src_mass, tgt_mass) for one in (duals, tried)
    )
    better = where & (after < before)
    kept = Duals(*(torch.where(better[:, None], new, old) for new, old in zip(tried, duals, strict=True)))
    return kept, torch.where(better, after, before)


def _pot(
    cost: Tensor, src_mass: Tensor, tgt_mass: Tensor, reg: float, max_sweeps: int, threshold: float
) -> tuple[Duals, Tensor]:
    """Return POT's duals in our normalisation (M = exp((-C+u+v)/reg - 1)) and the sweeps it used."""
    parts = []
    for matrix, a, b in zip(cost, src_mass, tgt_mass, strict=True):
        keep_a, keep_b = a > 0, b > 0
        _, log = ot.bregman.sinkhorn_log(
            a[keep_a].cpu(),
            b[keep_b].cpu(),
            matrix[keep_a][:, keep_b].cpu(),
            reg,
            numItermax=max_sweeps,
            stopThr=threshold * float(a.sum()) / 2,
            log=True,
            warn=False,
        )
        src, tgt = torch.full_like(a, -torch.inf), torch.full_like(b, -torch.inf)
        src[keep_a] = (reg * log["log_u"] + reg).to(src)
        tgt[keep_b] = (reg * log["log_v"]).to(tgt)
        parts.append((src, tgt, log["niter"]))
    src_all, tgt_all, used = zip(*parts, strict=True)
    return Duals(torch.stack(src_all), torch.stack(tgt_all)), torch.tensor(used, device=cost.device)


def _assignment(cost: np.ndarray, mass: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (plan, u, v) of one square problem; shortest paths give u_i + v_j <= C_ij, tight on the plan."""
    rows, cols = linear_sum_assignment(cost)
    plan = np.zeros_like(cost)
    plan[rows, cols] = mass
    excess = cost - cost[rows, cols][:, None]  # what moving row i to column j adds
    tgt = np.zeros(len(cols))
    for _ in range(len(cols)):  # Bellman-Ford on v_j <= v_{col(i)} + excess_ij
        shorter = np.minimum(tgt, (tgt[cols][:, None] + excess).min(0))
        if np.array_equal(shorter, tgt):
            break
        tgt = shorter
    return plan, cost[rows, cols] - tgt[cols], tgt


def _network_simplex(
    cost: np.ndarray, src_mass: np.ndarray, tgt_mass: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (plan, u, v) of one problem with any masses."""
    plan, log = ot.emd(src_mass, tgt_mass, cost, log=True)
    return plan, log["u"], log["v"]


def _entropic_gap(cost: Tensor, plan: Tensor, duals: Duals, src_mass: Tensor, tgt_mass: Tensor, reg: float) -> Tensor:
    """Return <P,C> + reg sum P log P minus the dual value m.u + m.v - reg sum M."""
    primal = (plan * cost).sum((1, 2)) + reg * torch.xlogy(plan, plan).sum((1, 2))
    src = torch.where(src_mass > 0, duals.src, 0.0)
    tgt = torch.where(tgt_mass > 0, duals.tgt, 0.0)
    return primal - (src_mass * src).sum(1) - (tgt_mass * tgt).sum(1) + reg * plan.sum((1, 2))


def _marginal_error(plan: Tensor, src_mass: Tensor, tgt_mass: Tensor) -> Tensor:
    """Return the summed absolute errors of row and column sums, per problem."""
    return (plan.sum(2) - src_mass).abs().sum(1) + (plan.sum(1) - tgt_mass).abs().sum(1)


def _stack(parts: tuple[np.ndarray, ...], like: Tensor) -> Tensor:
    """Return one tensor of the dtype and device of `like`."""
    return torch.from_numpy(np.stack(parts)).to(like)


def _equal_mass(cost: Tensor, marginals: Marginals) -> float:
    """Return the mass of a point where all weigh the same, which needs as many rows as columns."""
    if cost.shape[1] != cost.shape[2]:
        raise broken_rule(
            "cost",
            "square, n rows and n columns, unless `src_mass` and `tgt_mass` are given",
            f"{cost.shape[1]} rows and {cost.shape[2]} columns",
            "Pass the masses of both sides.",
        )
    return point_mass(cost.shape[1], marginals)


def _check_masses(cost: Tensor, src_mass: Tensor | None, tgt_mass: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return both masses, or refuse: one missing, wrong shape, negative, or unequal sums."""
    if src_mass is None or tgt_mass is None:
        raise broken_rule("src_mass and tgt_mass", "given together", "only one of them", "Pass both or none.")
    for name, mass, shape in (
        ("src_mass", src_mass, cost.shape[:2]),
        ("tgt_mass", tgt_mass, cost.shape[::2]),
    ):
        if mass.shape != shape:
            raise broken_rule(name, f"of shape {tuple(shape)}", f"shape {tuple(mass.shape)}", "Match the cost.")
        if bool((mass < 0).any()) or not bool(torch.isfinite(mass).all()):
            raise broken_rule(name, "finite and at least 0", "a negative or non-finite mass", "Use 0 for padding.")
    src_total, tgt_total = src_mass.sum(1), tgt_mass.sum(1)
    differs = (src_total - tgt_total).abs() > 1e-6 * src_total
    if bool((differs | (src_total <= 0)).any()):
        bad = int((differs | (src_total <= 0)).nonzero()[0])
        raise broken_rule(
            "src_mass and tgt_mass",
            "of equal sums greater than 0 in every problem",
            f"sums {float(src_total[bad])} and {float(tgt_total[bad])} in problem {bad}",
            "Normalise both sides to the same total.",
        )
    return src_mass, tgt_mass
