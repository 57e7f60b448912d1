"""Appendix D: the bound of Theorem D.1 beside what is measured, and the inequalities that carry its proof."""

import math

import pandas as pd
import torch
from torch import Tensor

from otcore import Duals, entropic_plan, gradient_descent, log_mass, squared_cost, theorem_d1
from otcore.hilbert import Inequality, almost_stochastic_bound, contraction, distance_to, scaling_bound
from pipeline.synthetic.claims import Claim, Finding, claim, gaussian_clouds, spread

LN10 = math.log(10.0)
REACHABLE_LOG10_DEPTH = 18.0  # an exascale machine runs 10^18 operations a second
LOOSE_REG = 3.0  # of the largest cost: here the depth condition of Theorem D.1 can be met
N_RANDOM = 300


def theorem_d1_bound(reg: float, *, step_ratio: float, depth: int, seeds: range) -> Finding:
    """Return the bound and the measured Hilbert distance over depth, at the reg of the run and at one where it applies."""
    rows, claims = [], []
    for weight in (reg, 2.0 * reg, LOOSE_REG):
        table, distances, log10_condition, log10_useful = _over_depth(weight, step_ratio, depth, seeds)
        rows += table
        setting: dict[str, object] = {"n": 8, "dim": 3, "reg": weight, "step_ratio": step_ratio, "problems": len(seeds)}
        if weight == reg:
            claims += _at_run_reg(
                setting,
                depth,
                float(distances[-1].max()),
                rows[-1]["log10_bound"],
                log10_condition,
                log10_useful,
                seeds,
            )
        if weight == LOOSE_REG:
            claims.append(_applies(setting, rows, seeds))
    return Finding(claims, {"bound": pd.DataFrame(rows)})


def _over_depth(
    reg: float, step_ratio: float, depth: int, seeds: range
) -> tuple[list[dict[str, float]], Tensor, float, float]:
    """Return rows of the table, the smallest distance so far (layer, problem), and log10 of the two depths."""
    cost = squared_cost(*gaussian_clouds(8, dim=3, seeds=seeds))
    optimum = entropic_plan(cost, reg=reg, threshold=1e-13, max_sweeps=100_000).potentials
    iterates = gradient_descent(cost, reg=reg, step_size=step_ratio * reg, depth=depth)
    distances = torch.stack([distance_to(duals, optimum, reg=reg) for duals in iterates]).cummin(0).values
    at_one = theorem_d1(cost, reg=reg, depth=1)
    log10_bound = float(at_one.log_bound.max()) / LN10
    log10_condition = float(at_one.log_depth.max()) / LN10
    layers = sorted({layer for k in range(33) if (layer := round(10 ** (k / 8))) <= depth} | {depth})
    rows = []
    for layer in layers:
        rows.append(
            {
                "reg": reg,
                "layer": layer,
                **spread(distances[layer - 1]),
                "largest": float(distances[layer - 1].max()),
                "log10_bound": log10_bound - 0.5 * math.log10(layer),
                "log10_depth_condition": log10_condition,
            }
        )
    return rows, distances, log10_condition, float(at_one.log_useful_depth.max()) / LN10


def _at_run_reg(
    setting: dict[str, object],
    depth: int,
    measured: float,
    log10_bound: float,
    log10_condition: float,
    log10_useful: float,
    seeds: range,
) -> list[Claim]:
    """Return the verdict on the bound at the reg of the run, and the depth at which it would say something."""
    bound = claim(
        "theorem_d1_bound",
        "Theorem D.1 bounds the Hilbert distance at the full depth. It speaks only from "
        f"10^{log10_condition:.1f} layers on; this run has {depth}.",
        reference="Theorem D.1",
        setting={**setting, "depth": depth, "log10_depth_condition": log10_condition},
        value=measured,
        threshold=10.0**log10_bound,
        vacuous=log10_condition > math.log10(depth),
        seed=seeds.start,
    )
    useful = claim(
        "theorem_d1_useful_depth",
        "The bound of Theorem D.1 falls below 1 at a depth that a computer can reach (value: log10 of it).",
        reference="Theorem D.1",
        setting=setting,
        value=log10_useful,
        threshold=REACHABLE_LOG10_DEPTH,
        seed=seeds.start,
    )
    return [bound, useful]


def _applies(setting: dict[str, object], rows: list[dict[str, float]], seeds: range) -> Claim:
    """Return the verdict on the inequality itself, at depths where the condition is met."""
    met = [row for row in rows if row["reg"] == LOOSE_REG and math.log10(row["layer"]) >= row["log10_depth_condition"]]
    excess = [row["largest"] - 10.0 ** row["log10_bound"] for row in met]
    return claim(
        "theorem_d1_loose_reg",
        "Where the depth condition of Theorem D.1 can be met, the measured distance is below the bound "
        "(value: largest distance minus bound).",
        reference="Theorem D.1",
        setting={**setting, "layers_tested": [int(row["layer"]) for row in met]},
        value=max(excess, default=math.inf),
        threshold=0.0,
        seed=seeds.start,
    )


def propositions(reg: float, *, seed: int = 0) -> Finding:
    """Return the three inequalities behind the proof on random almost doubly stochastic matrices.

    They are stated here as we derive them (docs/theory.md), in the order in which the proof needs them; wording and
    constants in print may differ.
    """
    generator = torch.Generator().manual_seed(seed)
    cost = torch.rand(N_RANDOM, 6, 6, generator=generator, dtype=torch.float64)
    weight = max(reg, 0.1)  # smaller ones need more sweeps, and say nothing more
    optimum = entropic_plan(cost, reg=weight, threshold=1e-13, max_sweeps=100_000).potentials
    noise = torch.randn(2, N_RANDOM, 6, generator=generator, dtype=torch.float64)
    size = 10.0 ** (-4.0 * torch.rand(N_RANDOM, 1, generator=generator, dtype=torch.float64))
    near = Duals(optimum.src + weight * size * noise[0], optimum.tgt + weight * size * noise[1])
    rows, cols = almost_stochastic_bound(log_mass(cost, near, reg=weight))
    sides = {
        "proposition_d4": (
            "If all sums of M are within eps of m, relatively, mu(M1, 1) and mu(M'1, 1) are at most log((1+eps)/(1-eps)).",
            Inequality(torch.cat([rows.left, cols.left]), torch.cat([rows.right, cols.right])),
        ),
        "proposition_d5": (
            "For M = diag(p) Q diag(q), max(mu(p,p*), mu(q,q*)) <= max(mu(M1,1), mu(M'1,1)) / (1 - eta).",
            scaling_bound(cost, near, optimum, reg=weight),
        ),
        "lemma_d6": (
            "A positive matrix contracts: mu(Qa, Qb) <= eta mu(a, b).",
            contraction(-cost / weight - 1.0, noise[0], noise[1]),
        ),
    }
    setting = {"n": 6, "reg": weight, "matrices": N_RANDOM}
    claims = [
        claim(
            name,
            f"{statement} Value: largest left / right - 1.",
            reference="Appendix D, in our statement",
            setting=setting,
            value=float((both.left / both.right - 1.0).max()),
            threshold=1e-9,
            seed=seed,
        )
        for name, (statement, both) in sides.items()
    ]
    return Finding(claims, {})
