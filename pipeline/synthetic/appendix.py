"""Appendix D: Propositions D.4 and D.5 and Lemma D.6 as printed, and the inequalities that carry such a proof."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from otcore import Duals, entropic_plan, log_mass, squared_cost
from otcore.bounds import (
    D4_FACTOR,
    D5_FACTOR,
    LemmaD6,
    dual_radius,
    lemma_d6,
    proposition_d4,
    proposition_d5,
    scaling_radius,
    sum_error,
)
from otcore.hilbert import Inequality, almost_stochastic_bound, contraction, scaling_bound
from pipeline.synthetic.claims import Claim, Finding, claim, gaussian_clouds

N_RANDOM, N_ALMOST = 300, 12_500  # of the latter more than 10,000 are in S_eps
LEMMA_N, LEMMA_REGS = (3, 8), (1.0, 3.0)  # reg of the largest cost
SCALING, DUAL = "scalings", "dual variables"  # what r is measured over


class Statements(NamedTuple):
    """The statements that are tested, as functions that return both sides."""

    d4: Callable[..., Inequality] = proposition_d4
    d5: Callable[..., Inequality] = proposition_d5
    d6: Callable[..., LemmaD6] = lemma_d6
    sums: Callable[..., tuple[Inequality, Inequality]] = almost_stochastic_bound
    scalings: Callable[..., Inequality] = scaling_bound
    contracts: Callable[..., Inequality] = contraction


PRINTED = Statements()


def propositions(*, seed: int = 0, statements: Statements = PRINTED) -> Finding:
    """Return the verdicts on D.4 and D.5 as printed, on random almost doubly stochastic matrices."""
    generator = torch.Generator().manual_seed(seed)
    cost = torch.rand(N_ALMOST, 6, 6, generator=generator, dtype=torch.float64)
    plan = entropic_plan(cost, reg=0.2, threshold=1e-9).plan.log()
    size = 10.0 ** (-3.0 * torch.rand(N_ALMOST, 1, generator=generator, dtype=torch.float64))
    rows, cols = 0.4 * size * torch.randn(2, N_ALMOST, 6, generator=generator, dtype=torch.float64)
    matrix = plan + rows[:, :, None] + cols[:, None]
    tested = (
        ("proposition_d4", r"A half sweep of Sinkhorn keeps $S_\varepsilon$ within $S_{3\varepsilon}$, $\varepsilon < 1/3$ (value: largest $\varepsilon$ after over before)."),
        ("proposition_d5", r"In $S_\varepsilon$, $\mu(q, q') \le 4\varepsilon$, $q'$ the next $q$ of Sinkhorn, $\varepsilon < 1/4$ (value: largest $\mu / \varepsilon$)."),
    )  # fmt: skip
    claims = []
    for (name, text), statement, factor in zip(
        tested, (statements.d4, statements.d5), (D4_FACTOR, D5_FACTOR), strict=True
    ):
        both = statement(matrix)
        claims.append(
            claim(
                name,
                text,
                reference="Appendix D",
                group="paper",
                setting={"n": 6, "matrices": int(both.right.isfinite().sum())},
                value=factor * float((both.left / both.right).max()),
                threshold=factor,
                seed=seed,
            )
        )
    return Finding(claims, {})


def relative_descent(
    log_kernel: Float[Tensor, "problem n n"], ratio: Float[Tensor, " problem"], depth: int
) -> Iterator[Duals]:
    """Yield the start and further iterates of gradient descent, `depth` in all, with a step ratio for each problem.

    Duals are in units of reg: `otcore.gradient_descent` for one step_size / reg a problem (a test compares them).
    """
    log_p = torch.zeros_like(log_kernel[:, :, 0])
    log_q = torch.zeros_like(log_p)
    for _ in range(depth):
        yield Duals(log_p, log_q)
        log_plan = log_kernel + log_p[:, :, None] + log_q[:, None]
        # (sum - 1) / (sum + 1), without overflow
        log_p = log_p - ratio[:, None] * torch.tanh(torch.logsumexp(log_plan, 2) / 2.0)
        log_q = log_q - ratio[:, None] * torch.tanh(torch.logsumexp(log_plan, 1) / 2.0)


class Lemma(NamedTuple):
    """How Lemma D.6 did.

    Attributes
    ----------
    worst : float
        Largest error / eps where eps is below the error of the start; NaN where it never is.
    n_tested : int
        Problems in which it is.
    """

    worst: float
    n_tested: int


def lemma_on(
    costs: Mapping[float, Tensor], radius: str, *, depth: int, lemma: Callable[..., LemmaD6] = lemma_d6
) -> Lemma:
    """Return how Lemma D.6 does on problems of one n, given by reg; radius says over what r is measured."""
    kernels, ratios, log_eps = [], [], []
    for reg, cost in costs.items():
        optimum = entropic_plan(cost, reg=reg, threshold=1e-13, max_sweeps=100_000).potentials
        distance = scaling_radius(optimum, reg=reg) if radius == SCALING else dual_radius(optimum)
        promise = lemma(cost.shape[1], reg=reg, radius=distance, depth=1)
        kernels.append(-cost / reg - 1.0)
        ratios.append(promise.log_step.exp() / reg)
        log_eps.append(promise.log_eps)
    kernel = torch.cat(kernels)
    iterates = relative_descent(kernel, torch.cat(ratios), depth)
    error = torch.stack([sum_error(log_mass(-kernel - 1.0, duals, reg=1.0)) for duals in iterates])
    layer = torch.arange(1, depth + 1, dtype=kernel.dtype)[:, None]
    eps = torch.exp(torch.cat(log_eps) - 0.5 * layer.log())
    tested = eps < error[0]  # elsewhere the lemma says no more than what is true of the start
    quotient = (error.cummin(0).values / eps)[tested]
    return Lemma(float(quotient.max()) if len(quotient) else math.nan, int(tested.any(0).sum()))


def lemma_d6_holds(*, depth: int, seeds: range, statements: Statements = PRINTED) -> Finding:
    """Return the verdict on Lemma D.6 as printed, at the step that it asks for, with r in both readings."""
    found = []
    for n in LEMMA_N:
        cost = squared_cost(*gaussian_clouds(n, dim=3, seeds=seeds))
        costs = dict.fromkeys(LEMMA_REGS, cost)
        found += [lemma_on(costs, radius, depth=depth, lemma=statements.d6) for radius in (SCALING, DUAL)]
    tested = [lemma for lemma in found if lemma.n_tested]
    value = max((lemma.worst for lemma in tested), default=math.nan)
    return Finding(
        [
            claim(
                "lemma_d6",
                r"Of the first $\ell$ iterates some is in $S_\varepsilon$, $\varepsilon^2 = 3 n e^{3r/\lambda} r / \ell$ "
                r"(value: largest error of a sum over $\varepsilon$, where that is below the error of the start).",
                reference="Appendix D, Lemma D.6",
                group="paper",
                setting={
                    "n": list(LEMMA_N),
                    "dim": 3,
                    "reg": list(LEMMA_REGS),
                    "depth": depth,
                    "r": [SCALING, DUAL],
                    "problems": len(found) * len(LEMMA_REGS) * len(seeds),
                    "tested": sum(lemma.n_tested for lemma in found),
                },
                value=value,
                threshold=1.0,
                vacuous=not tested,
                seed=seeds.start,
            )
        ],
        {},
    )


def our_inequalities(reg: float, *, seed: int = 0, statements: Statements = PRINTED) -> Finding:
    """Return the three inequalities as we derive them (docs/theory.md), on random almost doubly stochastic matrices."""
    generator = torch.Generator().manual_seed(seed)
    cost = torch.rand(N_RANDOM, 6, 6, generator=generator, dtype=torch.float64)
    weight = max(reg, 0.1)  # smaller ones need more sweeps, and say nothing more
    optimum = entropic_plan(cost, reg=weight, threshold=1e-13, max_sweeps=100_000).potentials
    noise = torch.randn(2, N_RANDOM, 6, generator=generator, dtype=torch.float64)
    size = 10.0 ** (-4.0 * torch.rand(N_RANDOM, 1, generator=generator, dtype=torch.float64))
    near = Duals(optimum.src + weight * size * noise[0], optimum.tgt + weight * size * noise[1])
    rows, cols = statements.sums(log_mass(cost, near, reg=weight))
    sides = {
        "sums_bound_distance": (
            r"If all sums of $M$ are within $\varepsilon$ of $m$, relatively, $\mu(M 1, 1)$ and $\mu(M^\top 1, 1)$ are at most "
            r"$\log\frac{1 + \varepsilon}{1 - \varepsilon}$.",
            Inequality(torch.cat([rows.left, cols.left]), torch.cat([rows.right, cols.right])),
        ),
        "scalings_near_optimum": (
            r"For $M = \mathrm{diag}(p)\,Q\,\mathrm{diag}(q)$, $\max(\mu(p, p^*), \mu(q, q^*)) \le "
            r"\frac{\max(\mu(M 1, 1), \mu(M^\top 1, 1))}{1 - \eta}$.",
            statements.scalings(cost, near, optimum, reg=weight),
        ),
        "positive_matrix_contracts": (
            r"A positive matrix contracts: $\mu(Q a, Q b) \le \eta\,\mu(a, b)$.",
            statements.contracts(-cost / weight - 1.0, noise[0], noise[1]),
        ),
    }
    return Finding([_ours(name, *found, weight, seed) for name, found in sides.items()], {})


def _ours(name: str, statement: str, both: Inequality, weight: float, seed: int) -> Claim:
    """Return the verdict on one of our inequalities."""
    return claim(
        name,
        f"{statement} Value: largest left over right, less 1.",
        reference="ours; docs/theory.md, section 3",
        group="software",
        setting={"n": 6, "reg": weight, "matrices": N_RANDOM},
        value=float((both.left / both.right - 1.0).max()),
        threshold=1e-9,
        seed=seed,
    )
