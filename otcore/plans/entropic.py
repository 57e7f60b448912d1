"""Plans with an entropic term, balanced (eq. 3) or with marginals that give way at a price."""

from dataclasses import replace
from typing import Literal

import numpy as np

from otcore._arrays import as_numpy, like, namespace
from otcore._checks import check_choice, check_count, check_positive
from otcore.plans.exact import dearest_cost
from otcore.plans.problems import Padded, Plan, read_problems
from otcore.plans.sweeps import Entropic, run
from otcore.terms import Array, ArrayLike, Duals, Marginals

Solver = Literal["sweeps", "pot"]
SOLVERS: tuple[Solver, ...] = ("sweeps", "pot")
FAR = 1e9
"""Spread of the costs, relative to reg, from which on those that hold no mass are looked for."""


def entropic_plan(
    cost: ArrayLike | Padded,
    *,
    reg: float,
    src_mass: ArrayLike | None = None,
    tgt_mass: ArrayLike | None = None,
    marginals: Marginals = "unit",
    max_sweeps: int = 10_000,
    threshold: float = 1e-9,
    solver: Solver = "sweeps",
) -> Plan:
    """Return the plan of every problem with the entropic term (eq. 3), computed in the log domain.

    Parameters
    ----------
    cost : float list, array or tensor, shape (src, tgt) or (batch, src, tgt), or Padded
        Finite. As many rows as columns unless masses are given or `marginals` is "uniform". Only differences within a
        problem matter.
    reg : float
        Entropic weight lam, in units of the cost, greater than 0. Small ones are reached by halving, and never
        overflow.
    src_mass, tgt_mass, marginals
        As in `exact_plan`.
    max_sweeps : int
        Most sweeps; a problem stops for itself as soon as it has converged, so a batch gives what a loop gives. Every
        ten sweeps a Newton step is tried, and kept where it lowers the error.
    threshold : float
        Largest `marginal_error` of a converged problem, relative to the total mass.
    solver : {"sweeps", "pot"}
        Batched sweeps of our own, or ``ot.bregman.sinkhorn_log`` problem by problem, as an independent check.

    Raises
    ------
    TransportError
        If an argument is out of range or masses or masks do not match. A plan that has not converged is not an
        error: read `converged`.

    References
    ----------
    Daneshmand, AISTATS 2026, eq. (3); Peyre and Cuturi, Computational Optimal Transport, 2019, section 4.4.

    Examples
    --------
    >>> result = entropic_plan([[4.0, 1.0], [2.0, 3.0]], reg=0.5)
    >>> result.plan.round(3).tolist(), bool(result.converged)
    ([[0.018, 0.982], [0.982, 0.018]], True)
    """
    check_positive("reg", reg, remedy="For the unregularised plan call `exact_plan`.")
    check_positive("threshold", threshold, remedy="1e-9 suits float64.")
    check_count("max_sweeps", max_sweeps)
    check_choice("solver", solver, SOLVERS)
    given = read_problems(cost, src_mass, tgt_mass, marginals, equal_totals=True)
    problems = Entropic(given.cost, given.src_mass, given.tgt_mass, float(reg))
    with np.errstate(all="ignore"):  # log 0 is -inf, and says so
        near = _brought_together(problems)
        duals, iterations = (run if solver == "sweeps" else _pot)(near, max_sweeps, threshold)
        plan = problems.plan(duals)
        error = problems.error(plan, duals)
        gap = _balanced_gap(problems, plan, duals)
    converged = namespace(error).isfinite(error) & (error <= threshold * problems.src_mass.sum(1))
    return given.give_back(Plan(plan, duals, error, gap, iterations, converged))


def unbalanced_plan(
    cost: ArrayLike | Padded,
    *,
    reg: float,
    reg_marginal: float,
    src_mass: ArrayLike | None = None,
    tgt_mass: ArrayLike | None = None,
    marginals: Marginals = "unit",
    max_sweeps: int = 10_000,
    threshold: float = 1e-9,
) -> Plan:
    """Return the plan of every problem whose marginals may differ from the masses at a price, in the log domain.

    It minimises  <P, C> + reg KL(P | a b^T) + reg_marginal ( KL(P 1 | a) + KL(P^T 1 | b) ),  where
    KL(p | q) = sum p log(p / q) - p + q.

    Parameters
    ----------
    cost : float list, array or tensor, shape (src, tgt) or (batch, src, tgt), or Padded
        Finite. Its level matters: what costs more than the marginals are worth is not moved. Need not be square.
    reg : float
        Entropic weight, in units of the cost, greater than 0.
    reg_marginal : float
        Price of the marginals, in units of the cost, greater than 0; large ones give the balanced plan.
    src_mass, tgt_mass, marginals
        As in `exact_plan`, but the sums of both sides may differ.
    max_sweeps
        As in `entropic_plan`.
    threshold : float
        Largest `marginal_error` of a converged problem, relative to the mass of the source side, and largest gap
        relative to 1 + the dual objective. `marginal_error` compares sums of rows and columns with what the potentials
        ask for, a exp(-u / reg_marginal) and b exp(-v / reg_marginal).

    Raises
    ------
    TransportError
        As `entropic_plan`.

    References
    ----------
    Chizat, Peyre, Schmitzer and Vialard, Scaling algorithms for unbalanced optimal transport problems, 2018.

    Examples
    --------
    >>> result = unbalanced_plan([[0.0, 9.0], [9.0, 9.0]], reg=0.1, reg_marginal=1.0)
    >>> result.plan.round(2).tolist()
    [[1.0, 0.0], [0.0, 0.01]]
    """
    check_positive("reg", reg, remedy="0.05 of the largest cost is sharp.")
    check_positive("reg_marginal", reg_marginal, remedy="The largest cost is a middle way.")
    check_positive("threshold", threshold, remedy="1e-9 suits float64.")
    check_count("max_sweeps", max_sweeps)
    given = read_problems(cost, src_mass, tgt_mass, marginals, equal_totals=False)
    problems = Entropic(given.cost, given.src_mass, given.tgt_mass, float(reg), float(reg_marginal))
    with np.errstate(all="ignore"):
        duals, iterations = run(problems, max_sweeps, threshold)
        plan = problems.plan(duals)
        error = problems.error(plan, duals)
        gap, dual = _unbalanced_gap(problems, plan, duals)
    good = (error <= threshold * problems.src_mass.sum(1)) & (abs(gap) <= threshold * (1.0 + abs(dual)))
    duals = _where_mass(problems, duals)
    return given.give_back(Plan(plan, duals, error, gap, iterations, namespace(error).isfinite(error) & good))


def _brought_together(problems: Entropic) -> Entropic:
    """Return the problems with costs lowered that are too dear to hold any mass.

    Two groups of points that only a cost of 1e32 joins have potentials half of that apart, which leaves no digit for
    the costs within a group. Exchanges along a cycle take mass from a cost at least as fast as exp(-(cost - what the
    exact plan pays around the cycle) / reg), so that beyond the limit set here not even 1e-300 is left.
    """
    far = np.flatnonzero(as_numpy(problems.spread()) > FAR * problems.reg)
    if not far.size:
        return problems
    cost = np.array(as_numpy(problems.cost))
    for row in far:
        masses = as_numpy(problems.src_mass[row]), as_numpy(problems.tgt_mass[row])
        at = np.ix_(*(np.flatnonzero(mass) for mass in masses))
        part = cost[row][at]
        dearest = dearest_cost(part, *(mass[mass > 0] for mass in masses)) - part.min()
        cost[row][at] = np.minimum(part, part.min() + 2.0 * max(part.shape) * dearest + 1000.0 * problems.reg)
    return replace(problems, cost=like(cost, problems.cost))


def _where_mass(problems: Entropic, duals: Duals, otherwise: float = -np.inf) -> Duals:
    """Return the potentials, another value where a point has no mass."""
    xp = namespace(problems.cost)
    masses = problems.src_mass, problems.tgt_mass
    return Duals(*(xp.where(mass > 0, part, otherwise) for mass, part in zip(masses, duals, strict=True)))


def _balanced_gap(problems: Entropic, plan: Array, duals: Duals) -> Array:
    """Return <P,C> + reg sum P log P minus the dual value m.u + m.v - reg sum M."""
    src, tgt = _where_mass(problems, duals, 0.0)
    primal = (plan * problems.cost).sum((1, 2)) + problems.reg * _entropy(plan, plan).sum((1, 2))
    dual = (problems.src_mass * src).sum(1) + (problems.tgt_mass * tgt).sum(1) - problems.reg * plan.sum((1, 2))
    return primal - dual


def _unbalanced_gap(problems: Entropic, plan: Array, duals: Duals) -> tuple[Array, Array]:
    """Return the primal minus the dual objective, and the dual one."""
    a, b, reg, price = problems.src_mass, problems.tgt_mass, problems.reg, problems.reg_marginal
    reference = a[:, :, None] * b[:, None]
    offered = a.sum(1) * b.sum(1)
    primal = (plan * problems.cost).sum((1, 2))
    primal = primal + reg * (_entropy(plan, plan / reference).sum((1, 2)) - plan.sum((1, 2)) + offered)
    dual = reg * (offered - plan.sum((1, 2)))
    for sums, mass, goal in zip((plan.sum(2), plan.sum(1)), (a, b), problems.goals(duals), strict=True):
        primal = primal + price * (_entropy(sums, sums / mass) - sums + mass).sum(1)
        dual = dual + price * (mass - goal).sum(1)
    return primal - dual, dual


def _entropy(mass: Array, ratio: Array) -> Array:
    """Return mass * log(ratio), 0 where there is no mass."""
    xp = namespace(mass)
    return xp.where(mass > 0, mass * xp.log(xp.where(mass > 0, ratio, 1.0)), 0.0)


def _pot(problems: Entropic, max_sweeps: int, threshold: float) -> tuple[Duals, Array]:
    """Return POT's potentials in our normalisation (M = exp((-C+u+v)/reg - 1)) and the sweeps it used."""
    import ot  # it imports torch: only where it is used

    reg, parts = problems.reg, []
    for matrix, a, b in zip(*map(as_numpy, (problems.cost, problems.src_mass, problems.tgt_mass)), strict=True):
        keep_a, keep_b = a > 0, b > 0
        _, log = ot.bregman.sinkhorn_log(
            a[keep_a],
            b[keep_b],
            matrix[keep_a][:, keep_b],
            reg,
            numItermax=max_sweeps,
            stopThr=threshold * float(a.sum()) / 2,
            log=True,
            warn=False,
        )
        src, tgt = np.full(a.shape, -np.inf), np.full(b.shape, -np.inf)
        src[keep_a] = reg * log["log_u"] + reg
        tgt[keep_b] = reg * log["log_v"]
        parts.append((src, tgt, log["niter"]))
    src_all, tgt_all, used = (like(np.stack(part), problems.cost) for part in zip(*parts, strict=True))
    return Duals(src_all, tgt_all), used
