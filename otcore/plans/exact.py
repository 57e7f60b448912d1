"""Exact plans: all of the mass, or a share of it, moved as cheaply as can be; each with potentials that prove it."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.optimize import linear_sum_assignment

from otcore._arrays import as_numpy
from otcore._checks import broken_rule, check_positive
from otcore.plans.problems import Padded, Plan, Problems, read_problems
from otcore.terms import ArrayLike, Duals, Marginals

Matrix = Float[np.ndarray, "src tgt"]
Amount = Any
"""A number, or one a problem."""
SPREAD = 1e6
"""Costs that are further apart than by this factor are brought together before the network simplex reads them."""

HUGE = 1e100
"""Costs from this on are left to the solvers that take one problem: sums of them could overflow."""


class _Solved(NamedTuple):
    """A plan, potentials that no cost undercuts, and the dual objective."""

    plan: Matrix
    src: Float[np.ndarray, " src"]
    tgt: Float[np.ndarray, " tgt"]
    dual: float


def exact_plan(
    cost: ArrayLike | Padded,
    *,
    src_mass: ArrayLike | None = None,
    tgt_mass: ArrayLike | None = None,
    marginals: Marginals = "unit",
    threshold: float = 1e-9,
) -> Plan:
    """Return the cheapest plan of every problem (eq. 1), with potentials that prove it.

    Parameters
    ----------
    cost : float list, array or tensor, shape (src, tgt) or (batch, src, tgt), or Padded
        Finite, of any size and sign. As many rows as columns unless masses are given or `marginals` is "uniform".
    src_mass, tgt_mass : float array, shape (batch, src) and (batch, tgt), optional
        Give both or none: masses at least 0, of equal sums. Of one problem, without the first axis.
    marginals : {"unit", "uniform"}
        Mass of a point where no masses are given: 1, or 1 over the number of real points of its side.
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
        If the cost is no finite matrix or batch of matrices, is not square without masses, or masses or masks do
        not match.

    Examples
    --------
    >>> result = exact_plan([[4.0, 1.0], [2.0, 3.0]])
    >>> result.plan.tolist(), bool(result.converged)
    ([[0.0, 1.0], [1.0, 0.0]], True)
    """
    check_positive("threshold", threshold, remedy="1e-9 suits float64.")
    problems = read_problems(cost, src_mass, tgt_mass, marginals, equal_totals=True)
    return _solve(problems, 1.0, threshold)


def partial_plan(
    cost: ArrayLike | Padded,
    *,
    share: float,
    src_mass: ArrayLike | None = None,
    tgt_mass: ArrayLike | None = None,
    marginals: Marginals = "unit",
    threshold: float = 1e-9,
) -> Plan:
    """Return the cheapest plan of every problem that moves only a share of the mass: what is dear stays.

    Parameters
    ----------
    cost : float list, array or tensor, shape (src, tgt) or (batch, src, tgt), or Padded
        Finite, of any size and sign; only differences matter. Need not be square.
    share : float
        In (0, 1]: mass that moves, relative to the total of the lighter side. With ``unit`` marginals and a share
        of 1 this is the best matching of the smaller side.
    src_mass, tgt_mass, marginals, threshold
        As in `exact_plan`, but the sums of both sides may differ. `marginal_error` counts what rows and columns hold
        beyond their masses, and the error of the mass that moves.

    Returns
    -------
    Plan
        The potentials are at most 0: -u_i is what an unmoved unit at i would have to save. On ties one of the
        cheapest plans.

    Raises
    ------
    TransportError
        As `exact_plan`, or if `share` is not in (0, 1].

    References
    ----------
    Chapel, Alaya and Gasso, Partial optimal transport with applications on positive-unlabeled learning, NeurIPS
    2020: one more point a side takes what does not move.

    Examples
    --------
    >>> partial_plan([[0.0, 5.0], [5.0, 9.0]], share=0.5).plan.tolist()
    [[1.0, 0.0], [0.0, 0.0]]
    """
    check_positive("threshold", threshold, remedy="1e-9 suits float64.")
    check_positive("share", share, remedy="1 moves everything.")
    if share > 1:
        raise broken_rule("share", "in (0, 1]", repr(share), "1 moves everything.")
    problems = read_problems(cost, src_mass, tgt_mass, marginals, equal_totals=False)
    return _solve(problems, share, threshold)


def dearest_cost(cost: Matrix, src_mass: np.ndarray, tgt_mass: np.ndarray) -> float:
    """Return the largest cost in the exact plan of one problem whose points all have mass, of equal totals."""
    return float(cost.max(where=_solve_one(cost, src_mass, tgt_mass, 1.0).plan > 0, initial=-np.inf))


def _solve(problems: Problems, share: float, threshold: float) -> Plan:
    """Return the plans of a batch: those of equal masses by compiled paths, what these do not prove one by one."""
    cost, src_mass, tgt_mass = map(as_numpy, problems[:3])
    found = _by_paths(cost, src_mass, tgt_mass, threshold) if share == 1.0 else _nothing(cost)
    for row in np.flatnonzero(~found.converged):
        part = _alone(cost[row], src_mass[row], tgt_mass[row], share, threshold)
        for whole, own in zip((found.plan, *found.potentials, *found[2:]), part, strict=True):
            whole[row] = own
    return problems.give_back(found)


def _nothing(cost: np.ndarray) -> Plan:
    """Return room for the plans of a batch: masses 0, potentials -inf, nothing converged."""
    batch, n_src, n_tgt = cost.shape
    duals = Duals(np.full((batch, n_src), -np.inf), np.full((batch, n_tgt), -np.inf))
    error, gap = np.full((2, batch), np.inf)
    return Plan(np.zeros(cost.shape), duals, error, gap, np.zeros(batch, dtype=np.int64), np.zeros(batch, dtype=bool))


def _by_paths(cost: np.ndarray, src_mass: np.ndarray, tgt_mass: np.ndarray, threshold: float) -> Plan:
    """Return the plans of those problems whose points have equal masses a side and whose potentials prove the plan."""
    from otcore.plans.paths import equal_mass_plans  # it loads the compiler: only where it is used

    found = _nothing(cost)
    src_there, tgt_there = src_mass > 0, tgt_mass > 0
    n_src, n_tgt = src_there.sum(1), tgt_there.sum(1)
    totals = src_mass.sum(1)
    equal = np.isclose(totals, tgt_mass.sum(1), rtol=1e-6) & (np.abs(cost).max((1, 2)) < HUGE)
    for mass, there in ((src_mass, src_there), (tgt_mass, tgt_there)):
        equal &= (mass == mass.max(1, keepdims=True)).sum(1) == there.sum(1)
    common = np.gcd(n_src, n_tgt)
    src_units, tgt_units = (
        there * (equal * other // common)[:, None] for there, other in ((src_there, n_tgt), (tgt_there, n_src))
    )
    flow = np.zeros(cost.shape, dtype=np.int64)
    src, tgt = np.zeros(src_mass.shape), np.zeros(tgt_mass.shape)
    equal_mass_plans(np.ascontiguousarray(cost), src_units, tgt_units, flow, src, tgt)
    unit = src_mass.max(1) / (n_tgt // common)
    found.plan[:] = flow * unit[:, None, None]
    primal = (found.plan * cost).sum((1, 2))
    found.gap[:] = primal - (src_mass * src).sum(1) - (tgt_mass * tgt).sum(1)
    found.marginal_error[:] = np.abs(found.plan.sum(2) - src_mass).sum(1) + np.abs(found.plan.sum(1) - tgt_mass).sum(1)
    feasible = cost - src[:, :, None] - tgt[:, None] >= -threshold * (1.0 + np.abs(primal))[:, None, None]
    feasible |= ~(src_there[:, :, None] & tgt_there[:, None])
    found.converged[:] = (
        equal & feasible.all((1, 2)) & _good(found.marginal_error, found.gap, primal, totals, threshold)
    )
    found.potentials.src[src_there], found.potentials.tgt[tgt_there] = src[src_there], tgt[tgt_there]
    found.plan[~found.converged] = 0.0
    for side in found.potentials:
        side[~found.converged] = -np.inf
    return found


def _alone(
    cost: Matrix, src_mass: np.ndarray, tgt_mass: np.ndarray, share: float, threshold: float
) -> tuple[Matrix, np.ndarray, np.ndarray, float, float, int, bool]:
    """Return what stands in a `Plan` of one problem, solved among the points that have mass."""
    rows, columns = np.flatnonzero(src_mass), np.flatnonzero(tgt_mass)
    at = np.ix_(rows, columns)
    part = _solve_one(cost[at], src_mass[rows], tgt_mass[columns], share)
    plan, src, tgt = np.zeros(cost.shape), np.full(len(cost), -np.inf), np.full(cost.shape[1], -np.inf)
    plan[at], src[rows], tgt[columns] = part.plan, part.src, part.tgt
    primal = float((part.plan * cost[at]).sum())
    error = _marginal_error(part.plan, src_mass[rows], tgt_mass[columns], share)
    gap = primal - part.dual
    total = min(src_mass.sum(), tgt_mass.sum())
    return plan, src, tgt, error, gap, 0, bool(_good(error, gap, primal, total, threshold))


def _good(error: Amount, gap: Amount, primal: Amount, total: Amount, threshold: float) -> Amount:
    """Return whether marginals hold and the objectives meet, as near as a threshold."""
    return (error <= threshold * np.maximum(1.0, total)) & (np.abs(gap) <= threshold * (1.0 + np.abs(primal)))


def _marginal_error(plan: Matrix, src_mass: np.ndarray, tgt_mass: np.ndarray, share: float) -> float:
    """Return the error of the sums: those of all points, or, of a share, what is beyond a mass or short in total."""
    over_src, over_tgt = plan.sum(1) - src_mass, plan.sum(0) - tgt_mass
    amount = share * min(src_mass.sum(), tgt_mass.sum())
    if share == 1.0 and np.isclose(src_mass.sum(), tgt_mass.sum(), rtol=1e-6):
        return float(np.abs(over_src).sum() + np.abs(over_tgt).sum())
    return float(np.maximum(over_src, 0).sum() + np.maximum(over_tgt, 0).sum() + abs(plan.sum() - amount))


def _solve_one(cost: Matrix, src_mass: np.ndarray, tgt_mass: np.ndarray, share: float) -> _Solved:
    """Return the plan of one problem whose points all have mass."""
    amount = share * min(src_mass.sum(), tgt_mass.sum())
    mass = src_mass[0]
    n_moved = round(amount / mass)
    if (src_mass == mass).all() and (tgt_mass == mass).all() and abs(n_moved * mass - amount) <= 1e-9 * mass:
        if n_moved:
            return _assignment(cost, float(mass), n_moved)
    elif share == 1.0 and np.isclose(src_mass.sum(), tgt_mass.sum(), rtol=1e-6):
        plan, src, tgt = _network_simplex(cost, src_mass, tgt_mass)
        return _Solved(plan, src, tgt, float(src_mass @ src + tgt_mass @ tgt))
    return _with_one_more_point(cost, src_mass, tgt_mass, amount)


def _assignment(cost: Matrix, mass: float, n_moved: int) -> _Solved:
    """Return the plan of equal masses that links `n_moved` rows with as many columns."""
    n_src, n_tgt = cost.shape
    extended = np.zeros((n_src + n_tgt - n_moved, n_tgt + n_src - n_moved))
    extended[:n_src, :n_tgt] = cost
    extended[n_src:, n_tgt:] = np.inf
    if n_moved == min(n_src, n_tgt):  # no row, or no column, may stay
        rows, columns = linear_sum_assignment(cost)
    else:
        rows, columns = linear_sum_assignment(extended)
        real = (rows < n_src) & (columns < n_tgt)
        rows, columns = rows[real], columns[real]
    plan = np.zeros(cost.shape)
    plan[rows, columns] = mass
    match = np.empty(len(extended), dtype=np.int64)  # column of each row; what is left goes to the points added
    match[rows] = columns
    match[np.setdiff1d(np.arange(n_src), rows)] = np.arange(n_tgt, len(extended))
    match[n_src:] = np.setdiff1d(np.arange(n_tgt), columns)
    src, tgt = _potentials(extended, match)
    masses = np.full(n_src, mass), np.full(n_tgt, mass)
    return _without_points_added(plan, (src, tgt), masses, n_moved * mass)


def _potentials(cost: Matrix, match: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return u and v with u_i + v_j <= C_ij, equal on the match: shortest paths (Bellman-Ford)."""
    taken = cost[np.arange(len(cost)), match]
    excess = cost - taken[:, None]  # what moving row i to column j adds
    tgt = np.zeros(len(cost))
    for _ in range(len(cost)):
        shorter = np.minimum(tgt, (tgt[match][:, None] + excess).min(0))
        if np.array_equal(shorter, tgt):
            break
        tgt = shorter
    return taken - tgt[match], tgt


def _with_one_more_point(cost: Matrix, src_mass: np.ndarray, tgt_mass: np.ndarray, amount: float) -> _Solved:
    """Return the partial plan: one more point a side takes what does not move, and nothing from the other one."""
    n_src, n_tgt = cost.shape
    low = cost.min()  # the amount is fixed, so a shift changes nothing
    extended = np.zeros((n_src + 1, n_tgt + 1))
    extended[:n_src, :n_tgt] = cost - low
    extended[n_src, n_tgt] = 2.0 * (cost.max() - low) + 1.0
    src_mass, tgt_mass = (
        np.append(mass, max(other.sum() - amount, 0.0)) for mass, other in ((src_mass, tgt_mass), (tgt_mass, src_mass))
    )
    rows, columns = src_mass > 1e-12 * amount, tgt_mass > 1e-12 * amount
    rows[:n_src], columns[:n_tgt] = True, True  # only a point added may have nothing to take
    extended, src_mass, tgt_mass = extended[np.ix_(rows, columns)], src_mass[rows], tgt_mass[columns]
    plan, src, tgt = _network_simplex(extended, src_mass, tgt_mass * (src_mass.sum() / tgt_mass.sum()))
    masses = src_mass[:n_src], tgt_mass[:n_tgt]
    return _without_points_added(plan[:n_src, :n_tgt], (src, tgt), masses, amount, low=low)


def _without_points_added(
    plan: Matrix,
    potentials: tuple[np.ndarray, np.ndarray],
    masses: tuple[np.ndarray, np.ndarray],
    amount: float,
    *,
    low: float = 0.0,
) -> _Solved:
    """Return the plan with the potentials of the real points, shifted by those of the points added (cost 0).

    With U, V those of the extended problem and U', V' those added, u = U + V' and v = V + U' are at most 0, and
    u_i + v_j + price <= C_ij for price = low - U' - V': the dual objective is price * amount + mass.u + mass.v.
    """
    (n_src, n_tgt), (src, tgt), (src_mass, tgt_mass) = plan.shape, potentials, masses
    src_added = src[n_src:].max() if len(src) > n_src else None
    tgt_added = tgt[n_tgt:].max() if len(tgt) > n_tgt else None
    if src_added is None and tgt_added is None:
        return _Solved(plan, src, tgt, float(src_mass @ src + tgt_mass @ tgt) + low * amount)
    # Where one side moves entirely, its price may be anything low enough: the one that makes the other's 0.
    src_added = -tgt[:n_tgt].max() if src_added is None else src_added
    tgt_added = -src[:n_src].max() if tgt_added is None else tgt_added
    src, tgt = src[:n_src] + tgt_added, tgt[:n_tgt] + src_added
    price = low - src_added - tgt_added
    return _Solved(plan, src, tgt, float(price * amount + src_mass @ src + tgt_mass @ tgt))


def _network_simplex(cost: Matrix, src_mass: np.ndarray, tgt_mass: np.ndarray) -> tuple[Matrix, np.ndarray, np.ndarray]:
    """Return (plan, u, v) of one problem with any masses of equal sums."""
    import ot  # it imports torch: only where it is used

    n_src, n_tgt = cost.shape
    row_low, column_low = np.zeros(n_src), np.zeros(n_tgt)
    over = cost - cost.min()
    if over.max() > SPREAD * over.min(where=over > 0, initial=np.inf):
        row_low = cost.min(1)
        column_low = (cost - row_low[:, None]).min(0)
        cost = _brought_together(cost - row_low[:, None] - column_low, src_mass, tgt_mass)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the gap says it
        plan, log = ot.emd(
            src_mass,
            tgt_mass,
            np.ascontiguousarray(cost),
            numItermax=10_000_000,
            log=True,
            center_dual=False,
            check_marginals=False,
        )
    return plan, log["u"] + row_low, log["v"] + column_low


def _brought_together(cost: Matrix, src_mass: np.ndarray, tgt_mass: np.ndarray) -> Matrix:
    """Return costs with those lowered that are too dear for any cheapest plan.

    The network simplex starts from a price above the largest cost, and with 1e32 among ones would keep no digit of the
    ones. Let all mass fit through the costs up to a limit; then the cheapest plan costs at most limit * total. Equal
    masses flow in portions of at least total / (n_src n_tgt), so a cost above limit * n_src * n_tgt holds none. (With
    other masses a portion may be smaller; then the gap, measured with the costs themselves, tells.)
    """
    import ot

    values = np.unique(cost)
    low, high = 0, len(values) - 1
    while low < high:
        middle = (low + high) // 2
        over = ot.emd2(src_mass, tgt_mass, (cost > values[middle]).astype(np.float64), check_marginals=False)
        low, high = (low, middle) if over <= 1e-12 * src_mass.sum() else (middle + 1, high)
    if values[low] == 0:  # nothing need be paid, whatever the price
        return (cost > 0) * min(1.0, values[low + 1])
    return np.minimum(cost, 2.0 * values[low] * cost.size)
