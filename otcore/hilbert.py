"""How far two scalings are apart, and how fast that distance shrinks: the metric of the convergence theorem.

A plan is diag(p) Q diag(q) with Q = exp(-C/reg - 1), p = exp(u/reg), q = exp(v/reg). Multiplying p by a
constant and dividing q by it changes nothing, so distances between scalings should not see constants.
Hilbert's metric does not:

    mu(p, q) = max_i log(p_i / q_i) - min_i log(p_i / q_i).

A positive matrix brings any two positive vectors closer (Birkhoff): mu(Qa, Qb) <= eta mu(a, b), with

    phi = max_ijkl Q_ik Q_jl / (Q_jk Q_il),      eta = ( sqrt(phi) - 1 ) / ( sqrt(phi) + 1 ) < 1.

phi overflows any float (reg = 0.005 gives 1e127), so all functions take and return logarithms. Those that
state an inequality return both of its sides, and leave the verdict to the caller. The inequalities here are
ours; `bounds` has those of the paper as printed.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from otcore._checks import broken_rule
from otcore._doors import takes_arrays
from otcore.dual import log_mass
from otcore.terms import Duals


class Inequality(NamedTuple):
    """Both sides of a statement ``left <= right``, for every problem.

    Attributes
    ----------
    left, right : float tensor, shape (batch,)
    """

    left: Float[Tensor, " batch"]
    right: Float[Tensor, " batch"]

    def excess(self) -> float:
        """Return the largest left - right: at most 0 where the statement holds everywhere."""
        return float((self.left - self.right).max())


@takes_arrays(log_p="batch n", log_q="batch n")
def hilbert_metric(log_p: Float[Tensor, "batch n"], log_q: Float[Tensor, "batch n_q"]) -> Float[Tensor, " batch"]:
    """Return mu(p, q) from log p and log q: 0 exactly where p is a multiple of q.

    Parameters
    ----------
    log_p, log_q : float tensor, shape (batch, n)
        Logarithms of positive vectors, for instance u/reg.

    Raises
    ------
    TransportError
        If the shapes differ.

    References
    ----------
    Franklin and Lorenz, On the scaling of multidimensional matrices, 1989; Daneshmand, AISTATS 2026,
    Appendix D.

    Examples
    --------
    >>> hilbert_metric(torch.tensor([[0.0, 1.0]]), torch.tensor([[5.0, 5.0]])).item()
    1.0
    """
    if log_p.shape != log_q.shape:
        raise broken_rule(
            "log_p and log_q",
            "of one shape (batch, n)",
            f"shapes {tuple(log_p.shape)} and {tuple(log_q.shape)}",
            "Compare vectors of the same points.",
        )
    return span(log_p - log_q)


def span(log_p: Float[Tensor, "batch *n"]) -> Float[Tensor, "batch *rest"]:
    """Return mu(p, 1), how far p is from a constant: the largest minus the smallest of the last axis.

    Examples
    --------
    >>> span(torch.tensor([[1.0, 4.0, 2.0]])).item()
    3.0
    """
    return log_p.amax(-1) - log_p.amin(-1)


def distance_to(duals: Duals, optimum: Duals, *, reg: float) -> Float[Tensor, " batch"]:
    """Return max(mu(p, p*), mu(q, q*)) for p = exp(u/reg), q = exp(v/reg).

    Examples
    --------
    >>> zero = torch.zeros(1, 2, dtype=torch.float64)
    >>> optimum = Duals(zero + 3.0, torch.tensor([[0.0, 0.2]], dtype=torch.float64))
    >>> distance_to(Duals(zero, zero), optimum, reg=0.1).item()
    2.0
    """
    return torch.maximum(
        hilbert_metric(duals.src / reg, optimum.src / reg), hilbert_metric(duals.tgt / reg, optimum.tgt / reg)
    )


@takes_arrays(log_kernel="batch src tgt")
def log_phi(log_kernel: Float[Tensor, "batch src tgt"]) -> Float[Tensor, " batch"]:
    """Return log phi(Q) from log Q: the largest distance between two rows of Q in Hilbert's metric.

    Written over pairs of rows this takes n^3 steps instead of the n^4 of the definition.

    Examples
    --------
    >>> log_phi(torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])).item()
    2.0
    """
    largest = log_kernel.new_zeros(len(log_kernel))
    for row in range(log_kernel.shape[1]):
        difference = log_kernel - log_kernel[:, row : row + 1]  # (b,src,tgt): row i minus the chosen row
        largest = torch.maximum(largest, span(difference).amax(-1))
    return largest


def log_gap(log_phi_value: Float[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """Return log(1 - eta) = log 2 - log(sqrt(phi) + 1), which 1 - eta in floating point would lose.

    Examples
    --------
    >>> log_gap(torch.zeros(1)).item()   # phi = 1: eta = 0
    0.0
    """
    return math.log(2.0) - torch.nn.functional.softplus(log_phi_value / 2.0)


def contraction(
    log_kernel: Float[Tensor, "batch src tgt"],
    log_a: Float[Tensor, "batch tgt"],
    log_b: Float[Tensor, "batch tgt"],
) -> Inequality:
    """Return both sides of mu(Qa, Qb) <= eta(Q) mu(a, b): a positive matrix contracts (Birkhoff).

    References
    ----------
    Birkhoff, Extensions of Jentzsch's theorem, 1957; the tool behind Theorem D.1.

    Examples
    --------
    >>> log_q = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    >>> sides = contraction(log_q, torch.tensor([[0.0, 2.0]]), torch.zeros(1, 2))
    >>> bool(sides.left <= sides.right)
    True
    """
    log_qa = torch.logsumexp(log_kernel + log_a[:, None], 2)
    log_qb = torch.logsumexp(log_kernel + log_b[:, None], 2)
    eta = torch.tanh(log_phi(log_kernel) / 4.0)  # (sqrt(phi)-1)/(sqrt(phi)+1)
    return Inequality(hilbert_metric(log_qa, log_qb), eta * hilbert_metric(log_a, log_b))


def almost_stochastic_bound(
    log_matrix: Float[Tensor, "batch src tgt"], *, mass: float = 1.0
) -> tuple[Inequality, Inequality]:
    """Return, for sums of rows and for sums of columns, both sides of mu(M 1, 1) <= log((1+eps)/(1-eps)).

    eps is the largest relative error of a sum, max |M 1 - m| / m (or of M^T 1). Where eps >= 1 the right
    side is infinite.

    Examples
    --------
    >>> rows, columns = almost_stochastic_bound(torch.tensor([[[0.5, 0.4], [0.5, 0.6]]]).log())
    >>> round(rows.left.item(), 3), round(rows.right.item(), 3)    # sums 0.9 and 1.1
    (0.201, 0.201)
    """
    sides = []
    for axis in (2, 1):
        log_sum = torch.logsumexp(log_matrix, axis)
        eps = (torch.exp(log_sum) / mass - 1.0).abs().amax(-1).clamp(max=1.0)
        sides.append(Inequality(span(log_sum), torch.log1p(eps) - torch.log1p(-eps)))
    return sides[0], sides[1]


def scaling_bound(cost: Float[Tensor, "batch src tgt"], duals: Duals, optimum: Duals, *, reg: float) -> Inequality:
    """Return both sides of max(mu(p,p*), mu(q,q*)) <= max(mu(M 1, 1), mu(M^T 1, 1)) / (1 - eta).

    An almost doubly stochastic M = diag(p) Q diag(q) has its scalings near the optimal ones: a certificate
    that needs no optimum. Proof in three lines: p = M1 / Qq and p* is a multiple of 1 / Qq*, so mu(p,p*) <=
    mu(M1,1) + mu(Qq,Qq*) <= mu(M1,1) + eta mu(q,q*); the same with p and q exchanged; put one into the
    other.

    Examples
    --------
    >>> cost = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    >>> zero = Duals(torch.zeros(1, 2), torch.zeros(1, 2))
    >>> scaling_bound(cost, zero, zero, reg=1.0).left.item()
    0.0
    """
    log_plan = log_mass(cost, duals, reg=reg)
    rows, columns = torch.logsumexp(log_plan, 2), torch.logsumexp(log_plan, 1)
    residual = torch.maximum(span(rows), span(columns))
    gap = log_gap(log_phi(-cost / reg))
    return Inequality(distance_to(duals, optimum, reg=reg), residual * torch.exp(-gap))
