"""How far a plan read from attention is from the plan that it should be, and claims on that: for studies 4 and 6."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from otcore import TransportTransformer, constructed_weights, engineered_prompt, entropic_plan, read_plan, squared_cost
from pipeline.claims import OPEN, Estimate, Limit

STEP_RATIO = 2.0


def scaled_clouds(seed: int, *, n: int, dim: int, batch: int) -> tuple[Tensor, Tensor]:
    """Return Gaussian clouds, float64, whose largest squared distance is 1 in every problem."""
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(2, batch, n, dim, generator=generator, dtype=torch.float64)
    scale = squared_cost(x, y).amax((1, 2)).sqrt()[:, None, None]
    return x / scale, y / scale


def true_plan(cost: Float[Tensor, "batch n tgt"], reg: float) -> Float[Tensor, "batch n tgt"]:
    """Return the entropic plan of every problem, rows and columns summing to 1."""
    return entropic_plan(cost, reg=reg, max_sweeps=100_000, threshold=1e-10).plan


def layers_plan(
    x: Float[Tensor, "batch n dim"], y: Float[Tensor, "batch n dim"], *, reg: float, depth: int
) -> Float[Tensor, "batch n n"]:
    """Return what the constructed layers say of the plan: attention of head 1 between points, after `depth` layers."""
    weights = constructed_weights(x.shape[2], reg=reg, step_size=STEP_RATIO * reg)
    state = TransportTransformer.constructed(weights, depth=depth)(engineered_prompt(x, y)).state
    return read_plan(state, weights.score[0])[:, 0]


def plan_error(found: Float[Tensor, "batch n tgt"], true: Float[Tensor, "batch n tgt"]) -> Float[Tensor, " batch"]:
    """Return the share of mass in the wrong place, in [0, 1]: half the summed difference, a row; 1 where it is no number."""
    error = 0.5 * (found.double() - true).abs().sum((1, 2)) / true.shape[1]
    return torch.where(error.isfinite(), error.clamp(max=1.0), torch.ones_like(error))


def limit_claim(
    name: str,
    statement: str,
    value: float,
    threshold: float,
    *,
    setting: Mapping[str, Any],
    seed: int,
    figure: str,
    n: int,
) -> Estimate:
    """Return the claim that an error stays below a limit; `n` problems were measured."""
    return Estimate(
        id=name,
        claim=name,
        question=OPEN,
        statement=statement,
        unit="share of mass in the wrong place",
        n_pairs=n,
        figure=figure,
        limit=Limit(
            value=value, threshold=threshold, rule="value <= threshold", reference="AISTATS 2026, section 6",
            setting=setting, seed=seed,
        ),
    )  # fmt: skip
