"""How many layers it takes: the rate of convergence, and the depth study against Sinkhorn.

Layers and sweeps are those of `otcore.scaling`, at a fraction of the time of `otcore.gradient_descent`; this module
only measures. reg is large enough not to overflow.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from scipy.optimize import brentq
from torch import Tensor

from otcore import scaling, squared_cost
from otcore.scaling import ScaledProblems
from pipeline.synthetic.claims import Claim, Finding, claim, gaussian_clouds, spread

TOLERANCE = 1e-6  # a problem is solved when the Hilbert distance to the optimum is below this
FIT_RANGE = (1e-8, 1e-1)  # distances to which a rate is fitted: past the start, before rounding
BEST_RATIO = 2.0
RATIOS = (0.25, 0.5, 1.0, 1.5, BEST_RATIO, 2.5, 3.0)
DIM = 3
STUDIED = ((8, 2.0), (8, 0.4), (32, 0.4), (128, 0.4))  # n, and lambda over that of the run
FIT_COLUMNS = ["n", "reg", "step_ratio", "seed", "residual_geometric", "residual_sqrt", "factor", "factor_predicted"]


class Curves(NamedTuple):
    """Hilbert distances to the optimum, shape (layer, ratio, problem); layer 0 is the first after a step."""

    distance: Float[Tensor, "layer ratio problem"]
    solved_at: Float[Tensor, "ratio problem"]


class Solvers(NamedTuple):
    """What is measured, and the formula that it is held to: `descend`, `sinkhorn_sweeps` and `spectral_rate`."""

    descend: Callable[[ScaledProblems, tuple[float, ...], int], Curves]
    sweeps: Callable[[ScaledProblems, int], Tensor]
    rate: Callable[[Tensor, float], Tensor]


def depth_study(reg: float, *, step_ratio: float, depth: int, seeds: range, solvers: Solvers | None = None) -> Finding:
    """Return how many layers each step ratio needs, beside Sinkhorn's sweeps, and what shape the decay has."""
    solvers = solvers or Solvers(descend, sinkhorn_sweeps, spectral_rate)
    settings = [(n, share * reg) for n, share in STUDIED]
    ratios = tuple(sorted({*RATIOS, step_ratio}))
    layers, fits, summary = [], [], []
    for n, weight in settings:
        problems = scaled_problems(n, weight, seeds)
        curves = solvers.descend(problems, ratios, depth)
        sweeps = solvers.sweeps(problems, depth)
        layers += _layer_rows(n, weight, ratios, curves, sweeps, seeds)
        summary += _summary_rows(n, weight, ratios, curves, sweeps)
        predicted = {ratio: solvers.rate(problems.plan, ratio) for ratio in ratios}
        fits += _fit_rows(n, weight, predicted, curves, seeds)
    study, rates = pd.DataFrame(layers), pd.DataFrame(fits, columns=FIT_COLUMNS)
    setting = {
        "n_reg": [[n, weight] for n, weight in settings],
        "dim": DIM,
        "problems": len(seeds),
        "depth": depth,
        "tolerance": TOLERANCE,
    }
    claims = [*_rate_claims(rates, setting, seeds), *_depth_claims(study, setting, seeds)]
    return Finding(claims, {"depth": pd.DataFrame(summary), "depth_problems": study, "rates": rates})


def scaled_problems(n: int, reg: float, seeds: range) -> ScaledProblems:
    """Return Gaussian problems with their optimum."""
    return scaling.scaled_problems(squared_cost(*gaussian_clouds(n, dim=DIM, seeds=seeds)), reg=reg)


def descend(problems: ScaledProblems, ratios: tuple[float, ...], depth: int) -> Curves:
    """Return the distance after every layer for every step ratio; a ratio that has solved all problems rests."""
    # Past the tolerance: the fits need the whole decay.
    distance = scaling.descend(problems, ratios, depth=depth, rest_below=FIT_RANGE[0])
    return Curves(distance, _solved_at(distance))


def sinkhorn_sweeps(problems: ScaledProblems, depth: int) -> Float[Tensor, " problem"]:
    """Return the alternating sweeps until the same distance is reached, infinite if the depth is not enough."""
    return _solved_at(scaling.sinkhorn_sweeps(problems, depth=depth, stop_below=TOLERANCE))


def spectral_rate(plan: Float[Tensor, "problem n n"], ratio: float) -> Float[Tensor, " problem"]:
    """Return the factor by which a layer shrinks the distance near the optimum.

    With s the second singular value of the plan, the linearised layer has the eigenvalues 1 - (ratio/2)(1 -+ s): the
    distance shrinks by the larger of their sizes. It is smallest, namely s, at ratio 2; a Sinkhorn sweep shrinks by s^2.
    Beyond 2 it holds for the `settled_ratio`.
    """
    second = torch.linalg.svdvals(plan)[:, 1]
    return torch.maximum((1.0 - 0.5 * ratio * (1.0 - second)).abs(), (1.0 - 0.5 * ratio * (1.0 + second)).abs())


def settled_ratio(ratio: float) -> float:
    """Return the ratio at which a layer acts near the optimum: the ratio itself up to 2, and less beyond.

    Above 2 the total mass does not settle: all sums swing between exp(2c) and exp(-2c), where 2c = ratio tanh(c), and
    a layer acts as one of ratio 4c / sinh(2c) < 2. `spectral_rate` holds for that ratio.

    Examples
    --------
    >>> settled_ratio(1.5), round(settled_ratio(2.3), 3)
    (1.5, 1.494)
    """
    if ratio <= BEST_RATIO:
        return ratio
    half_swing = brentq(lambda c: 2.0 * c - ratio * math.tanh(c), 1e-9, ratio)
    return 4.0 * half_swing / math.sinh(2.0 * half_swing)


def _solved_at(distance: Tensor) -> Tensor:
    """Return the layer (from 1) from which on the distance stays below the tolerance; infinite where it does not."""
    above = distance >= TOLERANCE
    last_above = (above * torch.arange(1, len(distance) + 1).view(-1, *[1] * (distance.ndim - 1))).amax(0)
    return torch.where(above[-1], torch.inf, last_above + 1.0)


def _layer_rows(
    n: int, reg: float, ratios: tuple[float, ...], curves: Curves, sweeps: Tensor, seeds: range
) -> list[dict[str, object]]:
    """Return a row for each problem and method; `layers` is empty where the depth was not enough."""
    methods = [("gradient", ratio, curves.solved_at[k]) for k, ratio in enumerate(ratios)]
    methods.append(("sinkhorn", math.nan, sweeps))
    return [
        {
            "n": n,
            "reg": reg,
            "method": method,
            "step_ratio": ratio,
            "seed": seed,
            "layers": float(count) if math.isfinite(count) else math.nan,
        }
        for method, ratio, counts in methods
        for seed, count in zip(seeds, counts.tolist(), strict=True)
    ]


def _summary_rows(
    n: int, reg: float, ratios: tuple[float, ...], curves: Curves, sweeps: Tensor
) -> list[dict[str, object]]:
    """Return a row for each method: median and interval over problems, empty where the depth was not enough."""
    methods = [("gradient", ratio, curves.solved_at[k]) for k, ratio in enumerate(ratios)]
    return [
        {
            "n": n,
            "reg": reg,
            "method": method,
            "step_ratio": ratio,
            **spread(counts),
            "solved": int(torch.isfinite(counts).sum()),
            "problems": len(counts),
        }
        for method, ratio, counts in [*methods, ("sinkhorn", math.nan, sweeps)]
    ]


def _fit_rows(
    n: int, reg: float, predicted: dict[float, Tensor], curves: Curves, seeds: range
) -> list[dict[str, object]]:
    """Return, for each problem and ratio that converges, both fits and the measured and predicted factor a layer."""
    rows: list[dict[str, object]] = []
    for k, (ratio, rates) in enumerate(predicted.items()):
        for i, seed in enumerate(seeds):
            distance = curves.distance[:, k, i].numpy()
            inside = np.flatnonzero((distance > FIT_RANGE[0]) & (distance < FIT_RANGE[1]))
            if ratio > BEST_RATIO or len(inside) < 10:  # longer steps need not settle; short decays fit anything
                continue
            geometric, sqrt, factor = fit_decay(inside + 1.0, distance[inside])
            rows.append(
                dict(
                    zip(
                        FIT_COLUMNS,
                        (n, reg, ratio, seed, geometric, sqrt, factor, float(rates[i])),
                        strict=True,
                    )
                )
            )
    return rows


def fit_decay(layer: np.ndarray, distance: np.ndarray) -> tuple[float, float, float]:
    """Return how far log10 of the distance is from a line in l, and from -log10(l)/2 + c, and the factor a layer.

    Both as root mean square residuals, with one free level each and the geometric slope free; the factor is that of the
    last half of the layers.
    """
    log_distance = np.log10(distance)
    slope, level = np.polyfit(layer, log_distance, 1)
    geometric = float(np.sqrt(np.mean((log_distance - slope * layer - level) ** 2)))
    shifted = log_distance + 0.5 * np.log10(layer)
    half = len(layer) // 2
    late_slope = np.polyfit(layer[half:], log_distance[half:], 1)[0]
    return geometric, float(shifted.std()), float(10.0**late_slope)


def _rate_claims(rates: pd.DataFrame, setting: dict[str, object], seeds: range) -> list[Claim]:
    """Return the verdicts on the shape of the decay and on its predicted factor."""
    wins = rates["residual_geometric"] < rates["residual_sqrt"]
    error = ((np.log(rates["factor"]) / np.log(rates["factor_predicted"])) - 1.0).abs()
    return [
        claim(
            "rate_is_geometric",
            r"The Hilbert distance decays geometrically rather than as $1/\sqrt{\ell}$ (value: share of problems and step "
            r"ratios that a line in $\ell$ fits better).",
            reference=r"Theorem D.1 proves $1/\sqrt{\ell}$",
            group="follows",
            setting={**setting, "fits": len(rates)},
            value=float(wins.mean()),
            threshold=0.99,
            at_least=True,
            seed=seeds.start,
        ),
        claim(
            "rate_matches_spectrum",
            "The factor a layer follows from the second singular value of the plan (value: 90th percentile of the "
            "relative error of its logarithm).",
            reference="not in the paper; docs/theory.md",
            group="follows",
            setting={**setting, "fits": len(rates)},
            value=float(error.quantile(0.9)),
            threshold=0.1,
            seed=seeds.start,
        ),
    ]


def _depth_claims(study: pd.DataFrame, setting: dict[str, object], seeds: range) -> list[Claim]:
    """Return the verdicts on the best step ratio and on the price against Sinkhorn."""
    keys = ["n", "reg", "seed"]
    solved = study.fillna({"layers": math.inf}).set_index(keys)
    sinkhorn = solved.loc[solved["method"] == "sinkhorn", "layers"]
    at_two = solved.loc[solved["step_ratio"] == BEST_RATIO, "layers"]
    others = solved.loc[(solved["method"] == "gradient") & (solved["step_ratio"] != BEST_RATIO), "layers"]
    at_two = at_two[np.isfinite(at_two)]  # problems that the depth is enough for
    is_best = at_two < others.groupby(level=keys).min().reindex(at_two.index)
    price = (at_two / sinkhorn.reindex(at_two.index)).replace([math.inf, 0.0], math.nan).dropna()
    return [
        claim(
            "best_step_ratio_is_2",
            r"Of the step ratios $\gamma/\lambda$ tried, 2 needs the fewest layers (value: share of problems).",
            reference="open question of the paper; docs/theory.md",
            group="follows",
            setting={**setting, "step_ratios": sorted(set(study["step_ratio"].dropna()))},
            value=float(is_best.mean()),
            threshold=0.9,
            at_least=True,
            seed=seeds.start,
        ),
        claim(
            "depth_twice_sinkhorn",
            r"At $\gamma = 2\lambda$ the layers needed are about twice Sinkhorn's sweeps (value: distance of the median "
            "quotient from 2).",
            reference="docs/theory.md",
            group="follows",
            setting={**setting, "median_quotient": float(price.median())},
            value=float(abs(price.median() - 2.0)),
            threshold=0.25,
            seed=seeds.start,
        ),
    ]
