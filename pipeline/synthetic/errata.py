"""What is wrong in Appendices D and E, and was wrong in docs/theory.md, each beside what holds instead."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from otcore import Duals, dual_gradient, entropic_plan, log_mass, squared_cost
from otcore.bounds import LemmaD6, dual_radius, lemma_d6, scaling_radius
from pipeline.synthetic.appendix import DUAL, SCALING, lemma_on
from pipeline.synthetic.bound import LOOSE_REG
from pipeline.synthetic.claims import Finding, claim, gaussian_clouds
from pipeline.synthetic.rates import FIT_RANGE, descend, fit_decay, scaled_problems, settled_ratio, spectral_rate

SAME = 1e-6  # relative: two numbers that are closer are one
HESSIAN_N, HESSIAN_WIDTH = 5, 1e-3  # differences are right to width^2 / 6
STEP_SIZES = (4, 8, 16)
UNITS = {SCALING: 100.0, DUAL: 0.001}  # a reg, and so a unit of cost, in which this reading of r promises too much
UNIT_N = 3
SWING_RATIOS = (2.3, 2.5)
SWING_ERROR = 0.01


def two_radii(reg: float, *, seeds: range, radius: Callable[..., Tensor] = scaling_radius) -> Finding:
    """Return whether r of Theorem D.1 is r of its proof."""
    cost = squared_cost(*gaussian_clouds(8, dim=3, seeds=seeds))
    optimum = entropic_plan(cost, reg=reg, threshold=1e-13, max_sweeps=100_000).potentials
    in_theorem, in_proof = radius(optimum, reg=reg), dual_radius(optimum)
    apart = torch.maximum(in_theorem / in_proof, in_proof / in_theorem)
    medians = {name: float(values.median()) for name, values in (("theorem", in_theorem), ("proof", in_proof))}
    return Finding(
        [
            claim(
                "theorem_d1_two_radii",
                "$r$ in Theorem D.1, over scalings, is $r$ in its proof, over dual variables (value: largest quotient).",
                reference="Theorem D.1; Appendix E",
                group="errata",
                setting={"n": 8, "dim": 3, "reg": reg, "problems": len(seeds), "median_r": medians},
                value=float(apart.max()),
                threshold=1.0 + SAME,
                seed=seeds.start,
            )
        ],
        {},
    )


def lemma_step(*, seeds: range, lemma: Callable[..., LemmaD6] = lemma_d6) -> Finding:
    """Return whether Lemma D.6 has one step size for all n and all inputs, as weights that work for any n need."""
    steps = []
    for n in STEP_SIZES:
        cost = squared_cost(*gaussian_clouds(n, dim=3, seeds=seeds))
        optimum = entropic_plan(cost, reg=LOOSE_REG, threshold=1e-13, max_sweeps=100_000).potentials
        radius = scaling_radius(optimum, reg=LOOSE_REG)
        steps.append(lemma(n, reg=LOOSE_REG, radius=radius, depth=1).log_step)
    log_step = torch.stack(steps)
    return Finding(
        [
            claim(
                "lemma_d6_step_any_n",
                "The step of Lemma D.6 is the same for every $n$ and every input, as the paper says of its parameters (value: "
                "largest step over smallest).",
                reference="Appendix D, Lemma D.6",
                group="errata",
                setting={"n": list(STEP_SIZES), "dim": 3, "reg": LOOSE_REG, "problems": len(seeds)},
                value=float((log_step.max() - log_step.min()).exp()),
                threshold=1.0 + SAME,
                seed=seeds.start,
            )
        ],
        {},
    )


def lemma_unit(*, depth: int, seeds: range, lemma: Callable[..., LemmaD6] = lemma_d6) -> Finding:
    """Return whether Lemma D.6 holds in any unit of cost: layers do not see the unit, the lemma's step and eps do."""
    cost = squared_cost(*gaussian_clouds(UNIT_N, dim=3, seeds=seeds))
    found = {over: lemma_on({reg: reg * cost}, over, depth=depth, lemma=lemma) for over, reg in UNITS.items()}
    tested = sum(one.n_tested for one in found.values())
    return Finding(
        [
            claim(
                "lemma_d6_any_unit",
                "Lemma D.6 holds in any unit of cost (value: largest error of a sum over "
                r"$\varepsilon$, as in Lemma D.6).",
                reference="Appendix D, Lemma D.6; eq. 21",
                group="errata",
                setting={
                    "n": UNIT_N,
                    "dim": 3,
                    "reg": UNITS,
                    "cost_over_reg": 1.0,
                    "depth": depth,
                    "problems": len(seeds),
                    "worst": {over: one.worst for over, one in found.items()},
                },
                value=max((one.worst for one in found.values() if one.n_tested), default=np.nan),
                threshold=1.0,
                vacuous=not tested,
                seed=seeds.start,
            )
        ],
        {},
    )


def printed_hessian(cost: Tensor, duals: Duals, *, reg: float) -> Float[Tensor, "batch dual dual"]:
    """Return eq. 21: [[diag(M 1), M], [M^T, diag(M^T 1)]]; that of the dual has a factor 1/reg."""
    plan = torch.exp(log_mass(cost, duals, reg=reg))
    rows = torch.cat([torch.diag_embed(plan.sum(2)), plan], dim=2)
    return torch.cat([rows, torch.cat([plan.mT, torch.diag_embed(plan.sum(1))], dim=2)], dim=1)


def equation_21(reg: float, *, seeds: range, hessian: Callable[..., Tensor] = printed_hessian) -> Finding:
    """Return how far eq. 21, without and with the factor 1/reg, is from differences of the gradient."""
    n, width = HESSIAN_N, HESSIAN_WIDTH * reg
    cost = squared_cost(*gaussian_clouds(n, dim=3, seeds=seeds))
    duals = entropic_plan(cost, reg=reg).potentials
    columns = []
    for k in range(2 * n):
        shift = torch.zeros(2 * n, dtype=cost.dtype)
        shift[k] = width
        ends = [
            torch.cat(dual_gradient(cost, Duals(duals.src + s[:n], duals.tgt + s[n:]), reg=reg), dim=1)
            for s in (shift, -shift)
        ]
        columns.append((ends[0] - ends[1]) / (2.0 * width))
    measured, printed = torch.stack(columns, dim=2), hessian(cost, duals, reg=reg)
    texts = {
        "equation_21_hessian": (r"is as printed, without a factor $1/\lambda$", printed),
        "equation_21_hessian_with_reg": (r"is $1/\lambda$ times what is printed", printed / reg),
    }
    return Finding(
        [
            claim(
                name,
                f"The Hessian of the dual {text} (value: largest error, relative to the largest entry, of central "
                "differences of the gradient).",
                reference="Appendix E, eq. 21",
                group="errata",
                setting={"n": n, "dim": 3, "reg": reg, "problems": len(seeds)},
                value=two_digits(float(((measured - formula).abs().amax((1, 2)) / measured.abs().amax((1, 2))).max())),
                threshold=SAME,
                seed=seeds.start,
            )
            for name, (text, formula) in texts.items()
        ],
        {},
    )


def two_digits(value: float) -> float:
    """Return the number to the two digits that rounding leaves of a difference of gradients."""
    return float(f"{value:.1e}")


def rate_beyond_two(
    reg: float, *, depth: int, seeds: range, settled: Callable[[float], float] = settled_ratio
) -> Finding:
    """Return whether the factor a layer, as given for step ratios up to 2, holds beyond, and with the settled ratio."""
    problems = scaled_problems(8, 2.0 * reg, seeds)
    distances = descend(problems, SWING_RATIOS, depth).distance.numpy()
    plain, swinging = [], []
    for k, ratio in enumerate(SWING_RATIOS):
        for i in range(len(seeds)):
            distance = distances[:, k, i]
            inside = np.flatnonzero((distance > FIT_RANGE[0]) & (distance < FIT_RANGE[1]))
            if len(inside) < 10:  # a short decay fits anything
                continue
            factor = fit_decay(inside + 1.0, distance[inside])[2]
            plan = problems.plan[i : i + 1]
            plain.append(abs(factor - float(spectral_rate(plan, ratio))))
            swinging.append(abs(factor - float(spectral_rate(plan, settled(ratio)))))
    texts = {
        "rate_formula_beyond_2": ("the formula for ratios up to 2", plain),
        "rate_formula_with_swing": ("that formula at the ratio that the swing of the total mass leaves", swinging),
    }
    setting = {"n": 8, "dim": 3, "reg": 2.0 * reg, "step_ratios": list(SWING_RATIOS), "problems": len(seeds)}
    return Finding(
        [
            claim(
                name,
                rf"Beyond $\gamma = 2\lambda$ the factor a layer is {text} (value: 90th percentile of the difference).",
                reference="docs/theory.md, section 3",
                group="errata",
                setting={**setting, "fits": len(errors), "depth": depth},
                value=float(np.quantile(errors, 0.9)) if errors else np.nan,
                threshold=SWING_ERROR,
                seed=seeds.start,
            )
            for name, (text, errors) in texts.items()
        ],
        {},
    )
