"""What Appendix D of the paper states, as printed: Propositions D.4 and D.5, Lemma D.6 and Theorem D.1.

A plan is A = diag(p) Q diag(q), Q = exp(-C/reg - 1), of unit marginals. S_eps are the positive matrices whose
sums of rows and of columns are all within eps of 1. One more half sweep of Sinkhorn changes such a matrix
little (D.4) and its scalings too (D.5); gradient descent comes into S_eps with an eps that shrinks as
1/sqrt(depth) (D.6); and together they bound the Hilbert distance to the optimum (D.1).

How far the start is from the optimum enters through a number r, which print defines twice: over the
scalings p, q in Theorem D.1 (`scaling_radius`), over the dual variables in its proof (`dual_radius`). Neither
is the largest cost. Both stand in exp(r/reg), so everything is in logarithms.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from otcore._checks import check_count, check_positive
from otcore._doors import takes_arrays
from otcore.hilbert import Inequality, log_gap, log_phi, span
from otcore.terms import Duals

D4_LIMIT, D4_FACTOR = 1.0 / 3.0, 3.0
D5_LIMIT, D5_FACTOR = 1.0 / 4.0, 4.0


def sum_error(log_matrix: Float[Tensor, "batch src tgt"]) -> Float[Tensor, " batch"]:
    """Return the smallest eps with the matrix in S_eps: the largest |sum - 1| over its rows and columns.

    Examples
    --------
    >>> sum_error(torch.tensor([[[0.5, 0.5], [0.5, 0.75]]]).log()).item()
    0.25
    """
    rows, columns = torch.logsumexp(log_matrix, 2).exp(), torch.logsumexp(log_matrix, 1).exp()
    return torch.maximum((rows - 1.0).abs().amax(1), (columns - 1.0).abs().amax(1))


def proposition_d4(log_matrix: Float[Tensor, "batch src tgt"]) -> Inequality:
    """Return both sides of: a half sweep of Sinkhorn, f over rows or g over columns, keeps S_eps within S_3eps.

    Left is the larger `sum_error` of f(A) and g(A), right three times that of A, infinite where eps is not
    below 1/3 and the proposition says nothing.

    References
    ----------
    Daneshmand, AISTATS 2026, Proposition D.4.

    Examples
    --------
    >>> sides = proposition_d4(torch.tensor([[[0.5, 0.4], [0.5, 0.6]]], dtype=torch.float64).log())
    >>> round(sides.left.item(), 4), round(sides.right.item(), 4)
    (0.1, 0.3)
    """
    eps = sum_error(log_matrix)
    normalised = [log_matrix - torch.logsumexp(log_matrix, axis, keepdim=True) for axis in (2, 1)]
    left = torch.maximum(*(sum_error(matrix) for matrix in normalised))
    return Inequality(left, torch.where(eps < D4_LIMIT, D4_FACTOR * eps, torch.inf))


def proposition_d5(log_matrix: Float[Tensor, "batch src tgt"]) -> Inequality:
    """Return both sides of mu(q, q') <= 4 eps, q' the scaling after a half sweep, and the same for p.

    q' is q divided by the sums of columns, so mu(q, q') is the distance of these sums from a constant. Right is
    infinite where eps is not below 1/4.

    References
    ----------
    Daneshmand, AISTATS 2026, Proposition D.5.

    Examples
    --------
    >>> sides = proposition_d5(torch.tensor([[[0.5, 0.4], [0.5, 0.6]]], dtype=torch.float64).log())
    >>> round(sides.left.item(), 4), round(sides.right.item(), 4)
    (0.2007, 0.4)
    """
    eps = sum_error(log_matrix)
    rows, columns = torch.logsumexp(log_matrix, 2), torch.logsumexp(log_matrix, 1)
    left = torch.maximum(span(rows), span(columns))
    return Inequality(left, torch.where(eps < D5_LIMIT, D5_FACTOR * eps, torch.inf))


def scaling_radius(optimum: Duals, *, reg: float) -> Float[Tensor, " batch"]:
    """Return r of Theorem D.1: r^2/4 = |p_1 - p*|^2 + |q_1 - q*|^2 from p_1 = q_1 = 1, a number without unit.

    All (c p*, q*/c) scale the same plan; the nearest counts. With a = |p*|^2, b = |q*|^2, the best c is a root of

        a c^4 - (sum p*) c^3 + (sum q*) c - b = 0.

    Parameters
    ----------
    optimum : Duals
        u*, v* of the entropic plan with unit marginals.
    reg : float
        Greater than 0.

    Raises
    ------
    TransportError
        If `reg` is not greater than 0.

    Examples
    --------
    >>> zero = torch.zeros(1, 2, dtype=torch.float64)
    >>> scaling_radius(Duals(zero + 1.0, zero - 1.0), reg=1.0).item() < 1e-12    # c = 1/e makes both 1
    True
    """
    check_positive("reg", reg, remedy="Scalings are exp(u/reg).")
    log_p, log_q = optimum.src / reg, optimum.tgt / reg
    balance = 0.25 * (torch.logsumexp(2.0 * log_q, 1) - torch.logsumexp(2.0 * log_p, 1))[:, None]
    log_p, log_q = log_p + balance, log_q - balance  # now a = b
    log_square = torch.logsumexp(2.0 * log_p, 1)
    sum_p, sum_q = (torch.exp(torch.logsumexp(part, 1) - log_square) for part in (log_p, log_q))
    companion = torch.diag_embed(torch.ones(len(log_p), 3, dtype=log_p.dtype, device=log_p.device), offset=-1)
    companion[:, 0] = torch.stack([sum_p, torch.zeros_like(sum_p), -sum_q, torch.ones_like(sum_p)], dim=1)
    roots = torch.linalg.eigvals(companion).real  # the best c is among them, and any c > 0 may be tried
    log_c = roots.clamp(min=torch.finfo(roots.dtype).tiny).log()
    p, q = log_p[:, None] + log_c[..., None], log_q[:, None] - log_c[..., None]  # (batch, root, n)
    return 2.0 * (p.expm1().square().sum(2) + q.expm1().square().sum(2)).amin(1).sqrt()


def dual_radius(optimum: Duals) -> Float[Tensor, " batch"]:
    """Return r of the proof of Theorem D.1: r = 2 (|theta_1 - theta*| + |theta*|) from theta_1 = 0, in units of cost.

    theta = (u, v); of the optima (u* + c, v* - c) the one with the smallest norm counts.

    Examples
    --------
    >>> zero = torch.zeros(1, 2, dtype=torch.float64)
    >>> dual_radius(Duals(zero + 5.0, zero - 3.0)).item()     # (1, 1, 1, 1) has the norm 2
    8.0
    """
    shift = 0.5 * (optimum.tgt.mean(1) - optimum.src.mean(1))[:, None]
    theta = torch.cat([optimum.src + shift, optimum.tgt - shift], dim=1)
    return 4.0 * torch.linalg.vector_norm(theta, dim=1)


class LemmaD6(NamedTuple):
    """What Lemma D.6 promises for each problem, in natural logarithms.

    Attributes
    ----------
    log_step : float tensor, shape (batch,)
        log of the step size, gamma = exp(-2 r/reg) / (n + 2): it depends on n and on the input.
    log_eps : float tensor, shape (batch,)
        log of eps = sqrt(3 n exp(3 r/reg) r / depth): some iterate up to the depth is in S_eps.
    """

    log_step: Float[Tensor, " batch"]
    log_eps: Float[Tensor, " batch"]


def lemma_d6(n: int, *, reg: float, radius: Float[Tensor, " batch"], depth: int) -> LemmaD6:
    """Return the step size of Lemma D.6, and how nearly doubly stochastic some iterate is with it.

    Parameters
    ----------
    n : int
        Points on a side.
    reg : float
        Entropic weight, greater than 0.
    radius : float tensor, shape (batch,)
        r of each problem: `scaling_radius` or `dual_radius`.
    depth : int
        Iterates, the start among them.

    Raises
    ------
    TransportError
        If `n` or `depth` is below 1, or `reg` not greater than 0.

    References
    ----------
    Daneshmand, AISTATS 2026, Lemma D.6.

    Examples
    --------
    >>> promise = lemma_d6(2, reg=1.0, radius=torch.ones(1, dtype=torch.float64), depth=600)
    >>> round(promise.log_step.exp().item(), 4), round(promise.log_eps.exp().item(), 4)
    (0.0338, 0.4482)
    """
    check_count("n", n)
    check_count("depth", depth)
    check_positive("reg", reg, remedy="The step divides by it.")
    log_square = math.log(3.0 * n) + 3.0 * radius / reg + radius.log() - math.log(depth)
    return LemmaD6(log_step=-math.log(n + 2.0) - 2.0 * radius / reg, log_eps=0.5 * log_square)


class TheoremD1(NamedTuple):
    """What Theorem D.1 promises for each problem, in natural logarithms.

    Attributes
    ----------
    log_bound : float tensor, shape (batch,)
        log of 36 sqrt(n) exp(1.5 r/reg) / ( sqrt(depth) (1 - eta) ), a bound on the smallest Hilbert
        distance so far.
    log_depth : float tensor, shape (batch,)
        log of 64 n exp(3 r/reg) r: the theorem speaks only of depths from here on.
    log_useful_depth : float tensor, shape (batch,)
        log of the depth at which the bound itself reaches `tolerance`.
    """

    log_bound: Float[Tensor, " batch"]
    log_depth: Float[Tensor, " batch"]
    log_useful_depth: Float[Tensor, " batch"]


@takes_arrays(cost="batch src tgt", radius="batch")
def theorem_d1(
    cost: Float[Tensor, "batch src tgt"],
    *,
    reg: float,
    radius: Float[Tensor, " batch"],
    depth: int,
    tolerance: float = 1.0,
) -> TheoremD1:
    """Return the bound of Theorem D.1 at a depth, its depth condition, and the depth it would take.

    Parameters
    ----------
    cost : float tensor, shape (batch, src, tgt)
    reg : float
        Entropic weight, greater than 0.
    radius : float tensor, shape (batch,)
        r of each problem: `scaling_radius` as in the theorem, `dual_radius` as in its proof.
    depth : int
        Number of layers.
    tolerance : float
        Hilbert distance that is called useful, greater than 0.

    Raises
    ------
    TransportError
        If the cost is not a finite (batch, src, tgt) tensor, `reg` or `tolerance` is not greater than 0 or
        `depth` below 1.

    References
    ----------
    Daneshmand, AISTATS 2026, Theorem D.1.

    Examples
    --------
    >>> from otcore import entropic_plan
    >>> cost = torch.tensor([[[0.0, 0.2], [1.0, 0.1]]], dtype=torch.float64)
    >>> radius = scaling_radius(entropic_plan(cost, reg=0.2).potentials, reg=0.2)
    >>> round(theorem_d1(cost, reg=0.2, radius=radius, depth=4000).log_depth.item() / math.log(10))   # 10^76 layers
    76
    """
    check_count("depth", depth)
    check_positive("reg", reg, remedy="The bound divides by it.")
    check_positive("tolerance", tolerance, remedy="A Hilbert distance of 1 is already coarse.")
    n = cost.shape[1]
    log_constant = (
        math.log(36.0) + 0.5 * math.log(n) + 1.5 * radius / reg - log_gap(log_phi(-cost / reg))
    )  # log of the bound at depth 1
    return TheoremD1(
        log_bound=log_constant - 0.5 * math.log(depth),
        log_depth=math.log(64.0 * n) + 3.0 * radius / reg + radius.log(),
        log_useful_depth=2.0 * (log_constant - math.log(tolerance)),
    )
