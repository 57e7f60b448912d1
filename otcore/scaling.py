"""The two iterations of `dual`, run on scalings instead of potentials, for many step sizes at once.

With p = exp(u/reg), q = exp(v/reg) and the kernel Q = exp(-C/reg - 1), the mass is M = diag(p) Q diag(q): a layer is
two products with Q and no exponential of a matrix, at a fraction of the time. Only for reg large enough that Q does
not underflow; `dual.gradient_descent` and `dual.sinkhorn` are the same iterations for every reg (a test compares
them). Marginals are 1. What comes back are the distances of Hilbert's metric to a known optimum.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from otcore._checks import check_count, check_positive
from otcore._doors import takes_arrays
from otcore.plans import entropic_plan


class ScaledProblems(NamedTuple):
    """Problems in the kernel domain, with their optimum.

    Attributes
    ----------
    kernel : float tensor, shape (problem, n, n)
        Q, greater than 0.
    log_p, log_q : float tensor, shape (problem, n)
        Logarithms of the optimal scalings.
    plan : float tensor, shape (problem, n, n)
        The optimal plan, rows and columns summing to 1.
    """

    kernel: Float[Tensor, "problem n n"]
    log_p: Float[Tensor, "problem n"]
    log_q: Float[Tensor, "problem n"]
    plan: Float[Tensor, "problem n n"]


@takes_arrays(cost="batch src tgt")
def scaled_problems(cost: Float[Tensor, "problem n n"], *, reg: float) -> ScaledProblems:
    """Return the problems in the kernel domain; the optimum is found in the log domain, to 1e-13.

    Raises
    ------
    TransportError
        If the cost is not a finite (problem, n, n) tensor or `reg` is not greater than 0.

    Examples
    --------
    >>> scaled_problems(torch.zeros(1, 2, 2, dtype=torch.float64), reg=1.0).plan[0].tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    check_positive("reg", reg, remedy="The kernel divides by it; try 0.1 of the largest cost.")
    optimum = entropic_plan(cost, reg=reg, threshold=1e-13, max_sweeps=20_000)
    duals = optimum.potentials
    return ScaledProblems(torch.exp(-cost / reg - 1.0), duals.src / reg, duals.tgt / reg, optimum.plan)


def descend(
    problems: ScaledProblems, step_ratios: Sequence[float], *, depth: int, rest_below: float
) -> Float[Tensor, "layer ratio problem"]:
    """Return how far from the optimum adaptive gradient descent (eq. 5) is after each layer.

    Parameters
    ----------
    problems : ScaledProblems
    step_ratios : sequence of float
        step_size / reg, each greater than 0; all are run side by side.
    depth : int
        Most layers.
    rest_below : float
        A ratio rests once all of its problems are nearer than this, and keeps its distance; when all rest, no
        further layer is run.

    Returns
    -------
    float tensor, shape (layer, ratio, problem)
        Hilbert distances after layers 1 to at most `depth`.

    Raises
    ------
    TransportError
        If `depth` is below 1 or a ratio is not greater than 0.

    Examples
    --------
    >>> problems = scaled_problems(torch.tensor([[[0.0, 1.0], [1.0, 0.5]]], dtype=torch.float64), reg=1.0)
    >>> descend(problems, [2.0], depth=100, rest_below=1e-9)[-1].item() < 1e-9
    True
    """
    check_count("depth", depth)
    for value in step_ratios:
        check_positive("step_ratios", value, remedy="2 is the fastest that is stable.")
    kernel, best_p, best_q = problems.kernel, problems.log_p[..., None], problems.log_q[..., None]
    ratio = torch.tensor(step_ratios, dtype=kernel.dtype, device=kernel.device)
    log_p = kernel.new_zeros(*best_p.shape[:2], len(ratio))  # (problem, n, ratio)
    log_q = torch.zeros_like(log_p)
    active = torch.arange(len(ratio), device=kernel.device)
    latest = torch.full((len(ratio), len(kernel)), torch.inf, dtype=kernel.dtype, device=kernel.device)
    distances = []
    for _ in range(depth):
        p, q = log_p.exp(), log_q.exp()
        rows, cols = p * (kernel @ q), q * (kernel.mT @ p)
        log_p = log_p - ratio * (rows - 1.0) / (rows + 1.0)
        log_q = log_q - ratio * (cols - 1.0) / (cols + 1.0)
        latest[active] = torch.maximum(_span(log_p - best_p), _span(log_q - best_q)).mT
        distances.append(latest.clone())
        going = (latest[active] >= rest_below).any(1)
        if not bool(going.all()):
            active, ratio, log_p, log_q = active[going], ratio[going], log_p[..., going], log_q[..., going]
        if not len(active):
            break
    return torch.stack(distances)


def sinkhorn_sweeps(problems: ScaledProblems, *, depth: int, stop_below: float) -> Float[Tensor, "sweep problem"]:
    """Return how far from the optimum Sinkhorn is after each sweep: p for fixed q, then q for the new p.

    Parameters
    ----------
    problems : ScaledProblems
    depth : int
        Most sweeps.
    stop_below : float
        No further sweep once all problems are nearer than this.

    Returns
    -------
    float tensor, shape (sweep, problem)
        Hilbert distances after sweeps 1 to at most `depth`.

    Raises
    ------
    TransportError
        If `depth` is below 1.

    Examples
    --------
    >>> problems = scaled_problems(torch.tensor([[[0.0, 1.0], [1.0, 0.5]]], dtype=torch.float64), reg=1.0)
    >>> sinkhorn_sweeps(problems, depth=100, stop_below=1e-9)[-1].item() < 1e-9
    True
    """
    check_count("depth", depth)
    q = torch.ones_like(problems.log_q)
    distances = []
    for _ in range(depth):
        p = 1.0 / (problems.kernel @ q[..., None])[..., 0]
        q = 1.0 / (problems.kernel.mT @ p[..., None])[..., 0]
        distances.append(torch.maximum(_span(p.log() - problems.log_p), _span(q.log() - problems.log_q)))
        if bool((distances[-1] < stop_below).all()):
            break
    return torch.stack(distances)


def _span(values: Tensor) -> Tensor:
    """Return max - min over the points: Hilbert's metric of a difference of logarithms."""
    return values.amax(1) - values.amin(1)
