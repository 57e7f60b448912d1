"""General costs: features of the points, random features, and a feed-forward sublayer that computes features itself.

Claims, written down before the long run. *Exact*: for costs with finitely many features the layers' plan is the entropic plan, to
`SOLVED`. *Random*: for Gaussian and power costs the error falls with the number of features at a rate of at least `RATE` (chance says
1/2). *Grid*: with one feed-forward sublayer the layers transport under costs that are random numbers, to `SOLVED`, where points lie on
its knots. *Between*: with 64 knots the error is below `NEAR` where they do not. The paper leaves general costs as a conjecture; it is
supported, for costs that are sums over coordinates, if *grid* and *between* are.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from otcore import read_plan, squared_cost
from otcore.features import (
    Features,
    bilinear_features,
    cosine_features,
    even_power_features,
    gaussian_features,
    mahalanobis_features,
    polynomial_features,
    power_features,
)
from otcore.tabulated import tabulated_prompt, tabulated_weights
from pipeline.claims import Estimate
from pipeline.study_file import Chart, Line, Panel, StudyResult
from pipeline.synthetic.studies import StudySettings, decided, estimate, mean_interval
from pipeline.synthetic.studies.plan_errors import (
    STEP_RATIO,
    layers_plan,
    limit_claim,
    plan_error,
    scaled_clouds,
    true_plan,
)

NAME, QUESTION = "costs", "Can the layers transport under other costs than the squared distance?"
SOLVED, NEAR, RATE = 1e-6, 0.05, 0.4
RUN: Mapping[str, dict[str, Any]] = {
    "long": {"problems": 4, "n": 8, "dim": 3, "reg": 0.05, "depth": 4000, "depth_between": 500, "frequencies": [8, 32, 128, 512, 2048, 8192],
             "knots": [4, 8, 16, 32, 64], "grid": 50},
    "demo": {"problems": 2, "n": 4, "dim": 2, "reg": 0.2, "depth": 50, "depth_between": 12, "frequencies": [8, 32],
             "knots": [4, 8], "grid": 10},
}  # fmt: skip
Cost = Callable[[Tensor, Tensor], Tensor]
WIDTH = 0.3  # of the Gaussian cost, a third of the largest distance


def _between(x: Tensor, y: Tensor) -> Tensor:
    return x[:, :, None] - y[:, None]


def _matrix(x: Tensor, *, positive: bool) -> Tensor:
    """Return a fixed matrix with entries of both signs, or a positive one."""
    dim = x.shape[2]
    matrix = torch.linspace(-1.0, 1.0, dim * dim, dtype=x.dtype).reshape(dim, dim).sin() + 0.3 * torch.eye(
        dim, dtype=x.dtype
    )
    return matrix @ matrix.mT if positive else matrix


def _gauss(x: Tensor, y: Tensor) -> Tensor:
    return 1 - torch.exp(-squared_cost(x, y) / (2 * WIDTH**2))


EXACT: Mapping[str, tuple[Callable[[Tensor, Tensor], Features], Cost]] = {
    "bilinear": (
        lambda x, y: bilinear_features(x, y, matrix=_matrix(x, positive=False)),
        lambda x, y: -x @ _matrix(x, positive=False) @ y.mT,
    ),
    "Mahalanobis": (
        lambda x, y: mahalanobis_features(x, y, matrix=_matrix(x, positive=True)),
        lambda x, y: torch.einsum("bijk,kl,bijl->bij", _between(x, y), _matrix(x, positive=True), _between(x, y)),
    ),
    "indefinite form": (
        lambda x, y: mahalanobis_features(x, y, matrix=_matrix(x, positive=False)),
        lambda x, y: torch.einsum("bijk,kl,bijl->bij", _between(x, y), _matrix(x, positive=False), _between(x, y)),
    ),
    "cosine": (cosine_features, lambda x, y: 1 - torch.cosine_similarity(x[:, :, None], y[:, None], dim=-1)),
    "cubic kernel": (lambda x, y: polynomial_features(x, y, degree=3), lambda x, y: -2 * (x @ y.mT + 1) ** 3),
    "4-norm, fourth power": (
        lambda x, y: even_power_features(x, y, power=4),
        lambda x, y: (_between(x, y) ** 4).sum(-1),
    ),
}
RANDOM: Mapping[str, tuple[Callable[..., Features], Cost]] = {
    "Gaussian": (lambda x, y, **more: gaussian_features(x, y, width=WIDTH, **more), _gauss),
    "1-norm": (
        lambda x, y, **more: power_features(x, y, power=1.0, scale=WIDTH, **more),
        lambda x, y: _between(x, y).abs().sum(-1),
    ),
    "1.5-norm to 1.5": (
        lambda x, y, **more: power_features(x, y, power=1.5, scale=WIDTH, **more),
        lambda x, y: (_between(x, y).abs() ** 1.5).sum(-1),
    ),
}
COORDINATE: Mapping[str, Cost] = {
    "|x - y|": lambda x, y: (x - y).abs(),
    "|x - y|^1.5": lambda x, y: (x - y).abs() ** 1.5,
    "|x - y|^3": lambda x, y: (x - y).abs() ** 3,
    "root of |x - y|": lambda x, y: (x - y).abs().sqrt(),
    "Gaussian": lambda x, y: 1 - torch.exp(-((x - y) ** 2) / (2 * WIDTH**2)),
    "sin(5x + 9y)": lambda x, y: torch.sin(5 * x + 9 * y),
}
"""Costs of one coordinate, added up over them; the last is no distance at all."""


def run(study: StudySettings) -> StudyResult:
    """Return the errors of plans under general costs."""
    sizes = RUN[study.size]
    seeds = range(study.seed, study.seed + study.seeds)
    with torch.no_grad():
        tables = {}
        for name, rows in (("exact", _exact), ("random", _random), ("relu", _relu)):
            study.say(f"{NAME}: {name}")
            tables[name] = pd.DataFrame([row for seed in seeds for row in rows(seed, sizes)])
    return StudyResult(
        name=NAME,
        question=QUESTION,
        size=study.size,
        seeds=study.seeds,
        settings={
            **sizes,
            "seed": study.seed,
            "step_ratio": STEP_RATIO,
            "width": WIDTH,
            "solved": SOLVED,
            "near": NEAR,
        },
        charts=[_chart(tables["random"], "random"), _chart(tables["relu"], "relu")],
        claims=decided(list(estimates(tables, sizes, study.seed)), study.size),
        findings=list(_findings(tables)),
        tables=tables,
    )


def _clouds(seed: int, sizes: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    return scaled_clouds(seed, n=sizes["n"], dim=sizes["dim"], batch=sizes["problems"])


def _scaled_reg(cost: Tensor, sizes: Mapping[str, Any]) -> float:
    """Return reg as a share of the largest spread of a cost."""
    return sizes["reg"] * float((cost.amax((1, 2)) - cost.amin((1, 2))).max())


def _exact(seed: int, sizes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the error of the layers on features, for costs with finitely many."""
    x, y = _clouds(seed, sizes)
    for name, (features, cost) in EXACT.items():
        reg = _scaled_reg(cost(x, y), sizes)
        phi, psi = features(x, y)
        error = plan_error(layers_plan(phi, psi, reg=reg, depth=sizes["depth"]), true_plan(cost(x, y), reg))
        yield {
            "cost": name,
            "seed": seed,
            "features": phi.shape[2],
            "error": float(error.mean()),
            "worst": float(error.max()),
        }


def _random(seed: int, sizes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the error of the plan of random features: that of the layers, which converge to it (Theorem 3.2)."""
    x, y = _clouds(seed, sizes)
    for name, (features, cost) in RANDOM.items():
        reg = _scaled_reg(cost(x, y), sizes)
        true = true_plan(cost(x, y), reg)
        for n_frequencies in sizes["frequencies"]:
            generator = torch.Generator().manual_seed(1_000_000 * n_frequencies + seed)
            phi, psi = features(x, y, n_frequencies=n_frequencies, generator=generator)
            error = plan_error(true_plan(squared_cost(phi, psi), reg), true)
            yield {
                "cost": name,
                "seed": seed,
                "features": phi.shape[2],
                "error": float(error.mean()),
                "worst": float(error.max()),
            }


def _relu(seed: int, sizes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the error of layers with a feed-forward sublayer: random costs on knots, then given costs between them."""
    rng, (batch, n, dim, grid) = np.random.default_rng(seed), (sizes[key] for key in ("problems", "n", "dim", "grid"))
    table = torch.from_numpy(rng.random((grid, grid)))
    at = [torch.from_numpy(rng.permuted(np.tile(np.arange(grid), (batch, 1)), axis=1)[:, :n]) for _ in range(2)]
    knots = torch.linspace(0, 1, grid, dtype=torch.float64)
    points = [knots[places][..., None] for places in at]
    cost = torch.stack([table[a][:, b] for a, b in zip(*at, strict=True)])
    yield {
        "cost": "random numbers on the knots",
        "seed": seed,
        "knots": grid,
        **_relu_errors(points, table, cost, sizes, depth=sizes["depth"]),
    }
    x, y = torch.from_numpy(rng.random((2, batch, n, dim)))
    for name, one in COORDINATE.items():
        cost = one(x[:, :, None], y[:, None]).sum(-1)
        for n_knots in sizes["knots"]:
            knots = torch.linspace(0, 1, n_knots, dtype=torch.float64)
            table = one(knots[:, None], knots[None])
            yield {
                "cost": name,
                "seed": seed,
                "knots": n_knots,
                **_relu_errors([x, y], table, cost, sizes, depth=sizes["depth_between"]),
            }


def _relu_errors(
    points: list[Tensor], table: Tensor, cost: Tensor, sizes: Mapping[str, Any], *, depth: int
) -> dict[str, float]:
    reg, dim, n_knots = _scaled_reg(cost, sizes), points[0].shape[2], len(table)
    knots = torch.linspace(0, 1, n_knots, dtype=torch.float64)
    weights = tabulated_weights(table, knots=knots, reg=reg, step_size=STEP_RATIO * reg, depth=depth, dim=dim)
    state = weights(tabulated_prompt(*points, n_knots=n_knots))
    error = plan_error(read_plan(state, weights.score[0])[:, 0], true_plan(cost, reg))
    return {"error": float(error.mean()), "worst": float(error.max())}


def estimates(tables: Mapping[str, pd.DataFrame], sizes: Mapping[str, Any], seed: int) -> Iterator[Estimate]:
    """Yield the claims of the module's text."""
    exact, random, relu = (tables[name] for name in ("exact", "random", "relu"))
    grid = relu["knots"] == sizes["grid"]
    between = relu[~grid & (relu["knots"] == max(sizes["knots"]))]

    def limit(name: str, statement: str, errors: pd.Series, threshold: float, figure: str = "") -> Estimate:
        counted = len(errors) * sizes["problems"]
        return limit_claim(
            f"{NAME}_{name}", statement, float(errors.max()), threshold, setting=sizes, seed=seed, figure=figure, n=counted
        )  # fmt: skip

    yield limit(
        "exact",
        f"Under {', '.join(EXACT)} costs the construction on features finds the entropic plan (worst problem).",
        exact["worst"],
        SOLVED,
    )
    for name, rows in random.groupby("cost", sort=False):
        rates = [_rate(own, "features") for _, own in rows.groupby("seed")]
        yield estimate(
            f"{NAME}_random",
            f"The error of random features falls with their number to a power of at least {RATE:g}.",
            mean_interval(rates, bound=RATE),
            unit="power of the number of features",
            bound=RATE,
            where=str(name),
            figure=f"study_{NAME}_random",
        )
    yield limit(
        "grid",
        "With one feed-forward sublayer the layers transport under costs that are random numbers, points on its knots (worst problem).",
        relu[grid]["worst"],
        SOLVED,
    )
    yield limit(
        "between",
        f"With {max(sizes['knots'])} knots they do so under costs that are sums over coordinates, points anywhere (worst mean over problems).",
        between["error"],
        NEAR,
        f"study_{NAME}_relu",
    )


def _rate(own: pd.DataFrame, column: str) -> float:
    """Return minus the slope of log error on log size."""
    return float(-np.polyfit(np.log(own[column]), np.log(own["error"].clip(lower=1e-300)), 1)[0])


def _chart(table: pd.DataFrame, kind: str) -> Chart:
    column = "features" if kind == "random" else "knots"
    shown = table if kind == "random" else table[table["cost"].isin(COORDINATE)]
    words = {
        "random": ("Random features", "Gaussian and power costs", "random features a point", "random frequencies, drawn anew for each number"),
        "relu": ("A feed-forward sublayer", "costs of coordinates, added up", "knots a coordinate", "the cost at the knots and its interpolation between them"),
    }[kind]  # fmt: skip
    return Chart(
        stem=f"study_{NAME}_{kind}",
        title=f"{words[0]}: error of the plan",
        x=words[2],
        y="share of mass in the wrong place",
        panels=[Panel("", list(_lines(shown, column)))],
        logs=(True, True),
        mark=NEAR,
        caption=[
            f"How far the plan is from the entropic plan under {words[1]}, against the number of {words[2]}: {words[3]}.",
            "One line a cost: mean over seeds, band from the least to the greatest. The thin line is the limit of a claim.",
        ],
        finding=" ".join(_line_finding(str(name), rows, column) for name, rows in shown.groupby("cost", sort=False)),
    )


def _lines(table: pd.DataFrame, column: str) -> Iterator[Line]:
    for name, rows in table.groupby("cost", sort=False):
        errors = rows.groupby(column)["error"]
        ends = (errors.mean().tolist(), errors.min().tolist(), errors.max().tolist())
        yield Line(str(name), errors.mean().index.astype(int).tolist(), *ends)


def _line_finding(name: str, rows: pd.DataFrame, column: str) -> str:
    most = rows[rows[column] == rows[column].max()]
    return f"{name}: {most['error'].mean():.2g} with {most[column].iloc[0]} {column}, falling with their number to the power {_rate(rows, column):.2f}."


def _findings(tables: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    """Yield the worst error of exact costs and of random numbers on knots."""
    for name, rows in tables["exact"].groupby("cost", sort=False):
        yield f"{name}: {rows['features'].iloc[0]} features, worst error {rows['worst'].max():.1e}."
    grid = tables["relu"][~tables["relu"]["cost"].isin(COORDINATE)]
    yield f"Random numbers on {grid['knots'].iloc[0]} knots: worst error {grid['worst'].max():.1e}."
