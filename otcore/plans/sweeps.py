"""Sweeps and Newton steps in the log domain, a batch at a time, for NumPy arrays and tensors alike.

Both entropic problems have plans P_ij = R_i S_j exp((u_i + v_j - C_ij) / reg), with reference masses R and S. A sweep
sets u so that the rows sum to their goal, then v for the columns. Balanced: the goals are the masses a and b, and
R S = exp(-1) (so that P is M of `otcore.dual`). Unbalanced: R = a, S = b, and the goals a exp(-u/reg_marginal) give
way.
"""

from dataclasses import dataclass, replace

import numpy as np

from otcore._arrays import is_tensor, log_sum_exp, namespace
from otcore.terms import Array, Duals

SWEEPS_PER_CHECK = 10
MAX_HALVINGS = 8


@dataclass(frozen=True)
class Entropic:
    """A batch of problems with an entropic term.

    Attributes
    ----------
    cost : float64 array, shape (batch, src, tgt)
    src_mass, tgt_mass : float64 array, shape (batch, src) and (batch, tgt)
    reg : float
        Weight of the entropic term.
    reg_marginal : float, optional
        Price of the marginals; None where they must hold.
    """

    cost: Array
    src_mass: Array
    tgt_mass: Array
    reg: float
    reg_marginal: float | None = None

    def take(self, rows: Array) -> "Entropic":
        """Return some of the problems."""
        return replace(self, cost=self.cost[rows], src_mass=self.src_mass[rows], tgt_mass=self.tgt_mass[rows])

    def spread(self) -> Array:
        """Return largest minus smallest cost among the points that have mass, per problem."""
        xp = namespace(self.cost)
        real = (self.src_mass > 0)[:, :, None] & (self.tgt_mass > 0)[:, None]
        return xp.amax(xp.where(real, self.cost, -np.inf), (1, 2)) - xp.amin(xp.where(real, self.cost, np.inf), (1, 2))

    def plan(self, duals: Duals) -> Array:
        """Return the masses that belong to potentials."""
        xp = namespace(self.cost)
        log_plan = (duals.src[:, :, None] + duals.tgt[:, None] - self.cost) / self.reg
        if self.reg_marginal is None:
            return xp.exp(log_plan - 1.0)
        return xp.exp(log_plan + xp.log(self.src_mass)[:, :, None] + xp.log(self.tgt_mass)[:, None])

    def goals(self, duals: Duals) -> tuple[Array, Array]:
        """Return what rows and columns should sum to."""
        if self.reg_marginal is None:
            return self.src_mass, self.tgt_mass
        xp = namespace(self.cost)
        src, tgt = (xp.exp(-part / self.reg_marginal) for part in duals)
        return self.src_mass * src, self.tgt_mass * tgt

    def error(self, plan: Array, duals: Duals) -> Array:
        """Return the summed absolute errors of row and column sums, per problem."""
        src, tgt = self.goals(duals)
        return abs(plan.sum(2) - src).sum(1) + abs(plan.sum(1) - tgt).sum(1)

    def sweep(self, duals: Duals, weight: Array) -> Duals:
        """Return the potentials after one sweep with an entropic weight for each problem, shape (batch, 1)."""
        xp = namespace(self.cost)
        log_src, log_tgt = xp.log(self.src_mass), xp.log(self.tgt_mass)
        if self.reg_marginal is None:
            src = weight * (log_src + 1.0 - log_sum_exp((duals.tgt[:, None] - self.cost) / weight[..., None], 2))
            tgt = weight * (log_tgt + 1.0 - log_sum_exp((src[:, :, None] - self.cost) / weight[..., None], 1))
            return Duals(src, tgt)
        give = -weight * self.reg_marginal / (self.reg_marginal + weight)
        toward = (duals.tgt[:, None] - self.cost) / weight[..., None] + log_tgt[:, None]
        src = give * log_sum_exp(toward, 2)
        toward = (src[:, :, None] - self.cost) / weight[..., None] + log_src[:, :, None]
        return self._of_equal_totals(Duals(src, give * log_sum_exp(toward, 1)))

    def _of_equal_totals(self, duals: Duals) -> Duals:
        """Return the best (u + t, v - t): sweeps alone would creep there where the marginals are dear.

        Sejourne, Vialard and Peyre, Faster unbalanced optimal transport: translation invariant Sinkhorn, AISTATS 2022.
        """
        xp = namespace(self.cost)
        src_total, tgt_total = (
            log_sum_exp(xp.log(mass) - part / self.reg_marginal, 1)
            for mass, part in zip((self.src_mass, self.tgt_mass), duals, strict=True)
        )
        shift = (src_total - tgt_total)[:, None] * self.reg_marginal / 2.0
        return Duals(duals.src + shift, duals.tgt - shift)

    def newton_step(self, duals: Duals) -> Duals:
        """Return the potentials after one step of Newton's method on the dual, without a line search.

        Two nearly equal permutations make sweeps crawl; near the optimum this squares the error instead. Far from it a
        step can do harm, so the caller compares. A ridge at rounding holds the directions that the dual does not see.
        """
        xp = namespace(self.cost)
        plan = self.plan(duals)
        n_src, n_tgt = plan.shape[1:]
        sums = xp.concatenate([plan.sum(2), plan.sum(1)], 1)
        goals = xp.concatenate(list(self.goals(duals)), 1)
        ridge = 10 * np.finfo(np.float64).eps * xp.amax(sums, 1)[:, None]
        diagonal = sums + xp.where(sums > 0, ridge, 1.0)
        if self.reg_marginal is not None:
            diagonal = diagonal + self.reg / self.reg_marginal * goals
        # reg times the second derivatives of the dual
        curvature = xp.zeros_like(sums)[:, :, None] * sums[:, None]
        curvature[:, :n_src, n_src:] = plan
        curvature[:, n_src:, :n_src] = xp.swapaxes(plan, 1, 2)
        every = range(n_src + n_tgt)
        curvature[:, every, every] = diagonal
        change = self.reg * _solved(curvature, sums - goals)
        return Duals(duals.src - change[:, :n_src], duals.tgt - change[:, n_src:])


def run(problems: Entropic, max_sweeps: int, threshold: float) -> tuple[Duals, Array]:
    """Return potentials and sweeps used; problems that have converged leave the batch.

    Small regs are reached by halving, so that potentials need not creep there in steps of reg.
    """
    cost = problems.cost
    xp = namespace(cost)
    src, tgt = xp.zeros_like(cost[:, :, 0]), xp.zeros_like(cost[:, 0])
    used = xp.zeros_like(cost[:, 0, 0], dtype=xp.int64)
    active = xp.where(used == 0)[0]
    spread = problems.spread()
    if problems.reg_marginal is not None:  # from there on sweeps contract by a tenth each
        spread = xp.clip(spread, None, 10.0 * problems.reg_marginal)
    # Of each problem, so that a batch is a loop; at most half of the sweeps go into getting there.
    most = max_sweeps // (2 * SWEEPS_PER_CHECK)
    halvings = xp.clip(xp.ceil(xp.log2(spread / problems.reg)), 0.0, float(most))
    done = 0
    while len(active) and done < max_sweeps:
        part, left = problems.take(active), halvings[active]
        n_now = min(SWEEPS_PER_CHECK, max_sweeps - done)
        duals = Duals(src[active], tgt[active])
        for _ in range(n_now):
            duals = part.sweep(duals, (problems.reg * 2.0**left)[:, None])
        at_reg = left == 0
        duals, error = _better_of(part, duals, where=at_reg)
        src[active], tgt[active] = duals
        done += n_now
        used[active] = done
        halvings[active] = xp.clip(left - 1.0, 0.0, None)
        goal = threshold * part.src_mass.sum(1)
        active = active[~(at_reg & (error <= goal))]  # keeps NaN: never converged
    return Duals(src, tgt), used


def _better_of(problems: Entropic, duals: Duals, *, where: Array) -> tuple[Duals, Array]:
    """Return each problem's potentials, after a Newton step `where` that makes the error smaller, and the error.

    Where marginals give way, a step that does not is halved: its direction can be right far from the optimum.
    """
    error = problems.error(problems.plan(duals), duals)
    if not bool(where.any()):
        return duals, error
    xp = namespace(error)
    step = problems.newton_step(duals)
    kept, waiting = duals, where
    for halvings in range(1 if problems.reg_marginal is None else MAX_HALVINGS):
        part = 0.5**halvings
        tried = (
            step if halvings == 0 else Duals(*(old + part * (new - old) for new, old in zip(step, duals, strict=True)))
        )
        after = problems.error(problems.plan(tried), tried)
        better = waiting & (after < error)
        kept = Duals(*(xp.where(better[:, None], new, old) for new, old in zip(tried, kept, strict=True)))
        error, waiting = xp.where(better, after, error), waiting & ~better
        if not bool(waiting.any()):
            break
    return kept, error


def _solved(matrix: Array, right: Array) -> Array:
    """Return the solutions of a batch of linear systems, NaN where there is none."""
    if is_tensor(matrix):
        return namespace(matrix).linalg.solve_ex(matrix, right)[0]
    try:
        return np.linalg.solve(matrix, right[..., None])[..., 0]
    except np.linalg.LinAlgError:
        one_by_one = zip(matrix, right, strict=True)
        return np.stack([_solved_one(*system) for system in one_by_one])


def _solved_one(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    try:
        return np.linalg.solve(matrix, right)
    except np.linalg.LinAlgError:
        return np.full(right.shape, np.nan)
