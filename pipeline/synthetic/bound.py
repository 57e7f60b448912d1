"""Theorem D.1 beside what is measured: from which depth it speaks, when it says something, and whether it holds there."""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from otcore import Duals, entropic_plan, gradient_descent, squared_cost, theorem_d1, zero_duals
from otcore.bounds import TheoremD1, lemma_d6, scaling_radius
from otcore.hilbert import distance_to
from pipeline.synthetic.appendix import relative_descent
from pipeline.synthetic.claims import Claim, Finding, Setting, claim, gaussian_clouds, spread

LN10 = math.log(10.0)
REACHABLE_LOG10_DEPTH = 18.0  # an exascale machine runs 10^18 operations a second
LOOSE_REG = 3.0  # of the largest cost
# Where the theorem can be tested: x wide and y narrow, so that eta is small although the start is far; and costs in a
# unit in which reg is 100, since print compares r, a number without unit, with reg.
TESTED_N, TESTED_REG, TESTED_COST, TESTED_NARROW = 3, 100.0, 300.0, 0.1
Theorem = Callable[..., TheoremD1]
Descent = Callable[..., Iterator[Duals]]


class Measured(NamedTuple):
    """Theorem and distances of some problems; layer 0 is the start, the first iterate of the theorem."""

    distance: Float[Tensor, "layer problem"]  # smallest so far
    promise: TheoremD1  # at depth 1


def theorem_d1_bound(
    reg: float, *, step_ratio: float, depth: int, seeds: range, theorem: Theorem = theorem_d1
) -> Finding:
    """Return the bound and the measured Hilbert distance over depth, at the reg of the run and at two looser ones."""
    cost = squared_cost(*gaussian_clouds(8, dim=3, seeds=seeds))
    rows, claims = [], []
    for weight in (reg, 2.0 * reg, LOOSE_REG):
        iterates = gradient_descent(cost, reg=weight, step_size=step_ratio * weight, depth=depth)
        measured = measure(cost, iterates, reg=weight, theorem=theorem)
        rows += _rows(weight, measured)
        setting = {"n": 8, "dim": 3, "reg": weight, "step_ratio": step_ratio, "problems": len(seeds), "depth": depth}
        if weight == reg:
            claims += [verdict("theorem_d1_bound", measured, setting, seeds), _useful(measured, setting, seeds)]
        if weight == LOOSE_REG:
            claims.append(verdict("theorem_d1_loose_reg", measured, setting, seeds))
    return Finding(claims, {"bound": pd.DataFrame(rows)})


def theorem_d1_tested(
    *, step_ratio: float, depth: int, seeds: range, theorem: Theorem = theorem_d1, descend: Descent = relative_descent
) -> Finding:
    """Return the verdict where the depth condition is met and the bound is below the distance of the start."""
    x, y = gaussian_clouds(TESTED_N, dim=3, seeds=seeds)
    cost = squared_cost(x, TESTED_NARROW * y)
    cost = TESTED_COST * cost / cost.amax((1, 2), keepdim=True)
    optimum = entropic_plan(cost, reg=TESTED_REG, threshold=1e-13, max_sweeps=100_000).potentials
    radius = scaling_radius(optimum, reg=TESTED_REG)
    of_lemma = lemma_d6(TESTED_N, reg=TESTED_REG, radius=radius, depth=1).log_step.exp() / TESTED_REG
    twice = torch.cat([cost, cost])  # the step of Lemma D.6, and that of the run
    ratio = torch.cat([of_lemma, torch.full_like(of_lemma, step_ratio)])
    iterates = descend(-twice / TESTED_REG - 1.0, ratio, depth + 1)
    next(iterates)  # the start, which `measure` adds
    in_cost = (Duals(TESTED_REG * duals.src, TESTED_REG * duals.tgt) for duals in iterates)
    measured = measure(twice, in_cost, reg=TESTED_REG, theorem=theorem)
    setting = {
        "n": TESTED_N,
        "dim": 3,
        "reg": TESTED_REG,
        "largest_cost": TESTED_COST,
        "step": ["of Lemma D.6", f"{step_ratio:g} lambda"],
        "problems": len(seeds),
        "depth": depth,
    }
    return Finding([verdict("theorem_d1_tested", measured, setting, seeds)], {})


def measure(cost: Tensor, iterates: Iterator[Duals], *, reg: float, theorem: Theorem = theorem_d1) -> Measured:
    """Return the distances of the start and of the iterates after it, and what the theorem promises, r as printed."""
    optimum = entropic_plan(cost, reg=reg, threshold=1e-13, max_sweeps=100_000).potentials
    promise = theorem(cost, reg=reg, radius=scaling_radius(optimum, reg=reg), depth=1)
    layers = [zero_duals(cost), *iterates]
    every, there = (Duals(*map(torch.cat, zip(*duals, strict=True))) for duals in (layers, [optimum] * len(layers)))
    distance = distance_to(every, there, reg=reg).reshape(len(layers), -1)
    return Measured(distance.cummin(0).values, promise)


def verdict(name: str, measured: Measured, setting: Setting, seeds: range) -> Claim:
    """Return the verdict on the inequality where it says something, vacuous where it never does within the run."""
    distance, promise = measured.distance[:-1], measured.promise  # depth iterates, the start among them
    depth = len(distance)
    log_layer = torch.arange(1, depth + 1, dtype=distance.dtype).log()[:, None]
    met = log_layer >= promise.log_depth
    log_bound = promise.log_bound - 0.5 * log_layer
    tested = met & (log_bound < distance[0].log())
    condition = promise.log_depth / LN10
    low, high = float(condition.min()), float(condition.max())
    where = {"log10_depth_condition": [low, high], "tested": int(tested.any(0).sum())}
    if not bool(tested.any()):
        return claim(
            name,
            r"Theorem D.1, with $r$ as printed, bounds the Hilbert distance within the layers of this run (value: "
            r"$\log_{10}$ of the depth from which it speaks, smallest over problems; limit: that of the run's).",
            reference="Theorem D.1",
            group="paper",
            setting={**setting, **where},
            value=low,
            threshold=math.log10(depth),
            vacuous=True,
            seed=seeds.start,
        )
    return claim(
        name,
        "Where the depth condition of Theorem D.1, with $r$ as printed, is met and its bound is below the distance of the "
        "start, the bound holds (value: largest distance over bound).",
        reference="Theorem D.1",
        group="paper",
        setting={**setting, **where},
        value=float((distance / log_bound.exp())[tested].max()),
        threshold=1.0,
        seed=seeds.start,
    )


def _useful(measured: Measured, setting: Setting, seeds: range) -> Claim:
    """Return whether the bound says something at a depth that a computer can reach."""
    return claim(
        "theorem_d1_useful_depth",
        r"The bound of Theorem D.1 falls below 1 at a depth that a computer can reach (value: $\log_{10}$ of it, "
        "smallest over problems).",
        reference="Theorem D.1",
        group="follows",
        setting=setting,
        value=float(measured.promise.log_useful_depth.min()) / LN10,
        threshold=REACHABLE_LOG10_DEPTH,
        seed=seeds.start,
    )


def _rows(reg: float, measured: Measured) -> list[dict[str, float]]:
    """Return the distance at some layers, and bound and depth condition of the problem where they are smallest."""
    depth = len(measured.distance) - 1
    log10_bound = float(measured.promise.log_bound.min()) / LN10
    log10_condition = float(measured.promise.log_depth.min()) / LN10
    layers = sorted({layer for k in range(33) if (layer := round(10 ** (k / 8))) <= depth} | {depth})
    return [
        {
            "reg": reg,
            "layer": layer,
            **spread(measured.distance[layer]),
            "largest": float(measured.distance[layer].max()),
            "log10_bound": log10_bound - 0.5 * math.log10(layer),
            "log10_depth_condition": log10_condition,
        }
        for layer in layers
    ]
