"""Is what a trained layer does gradient descent on the dual? Two tests that do not presume it.

**Descent.** Between two states the memory columns of the points change by some d_u, d_v. If the layer is a step of
gradient descent on the dual for some reg, d_u is a constant times dL/du at the memory of the state before (or times
the preconditioned gradient of Theorem 3.1). The change is regressed on either, reg is chosen for the best fit, and the share of
variance explained (R^2) and the slope are reported. For the constructed transformer R^2 is 1 and the slope is -gamma. A
layer that climbs where it should descend explains nothing: its R^2 counts as 0.

**Weights.** P_j is compared with the construction as softmax sees it: scores that are equal for all keys vanish, so
the columns that multiply a constant key are dropped; the four columns of ones hold the same number in all real rows, so
their rows are added; reg only scales; and the two heads may be exchanged. What is left is a cosine.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from otcore._checks import broken_rule
from otcore.construction import constructed_weights
from otcore.dual import log_mass, squared_cost
from otcore.learning.evaluation import fresh, model_weights
from otcore.learning.forward import states
from otcore.learning.presets import HEADS, PRESETS, residual_layers
from otcore.learning.training import Settings, State
from otcore.prompt import columns
from otcore.terms import Duals, point_mass

REGS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Entropic weights that the regression may choose from."""


class Fit(NamedTuple):
    """A regression line through (derivative, change), with the reg that explains most.

    Attributes
    ----------
    r2 : float
        Share of the variance of the change that a descent explains, in [0, 1]; 0 where nothing changes and where the
        slope is not negative.
    slope : float
        Change a unit of the derivative; -gamma for gradient descent.
    reg : float
        Of the dual.
    """

    r2: float
    slope: float
    reg: float


def descent(settings: Settings, state: State, *, batch: int = 256) -> list[list[dict[str, Fit]]]:
    """Return the fits of every living seed and residual layer, as `layer_fits` names them.

    Raises
    ------
    TransportError
        If the prompt is not the whole engineered one: there are no memory columns, or they stand elsewhere.
    """
    if settings.shape.prompt != "engineered" or settings.shape.without:
        raise broken_rule(
            "prompt",
            "engineered and whole",
            settings.shape.prompt,
            "Without memory columns there is nothing to regress.",
        )
    prompt, problems = fresh(settings, settings.shape.n, batch)
    weights = model_weights(state)[np.flatnonzero(state.alive)]
    reads = PRESETS[settings.preset].reading != "column"
    levels = list(states(prompt.expand(len(weights), *prompt.shape), weights, reads=reads))
    cost = squared_cost(torch.from_numpy(problems.x), torch.from_numpy(problems.y))
    mass = point_mass(settings.shape.n, PRESETS[settings.preset].marginals)
    at = columns(settings.shape.dim)
    memory = [Duals(level[..., :-1, at.src_memory], level[..., :-1, at.tgt_memory]) for level in levels]
    return [
        [
            layer_fits(Duals(*(part[seed] for part in before)), Duals(*(part[seed] for part in after)), cost, mass=mass)
            for before, after in pairwise(memory)
        ]
        for seed in range(len(weights))
    ]


def layer_fits(before: Duals, after: Duals, cost: Float[Tensor, "batch src tgt"], *, mass: float) -> dict[str, Fit]:
    """Return how well dual gradients explain one layer's change of memory.

    ``u`` and ``v`` are fits on the preconditioned gradient of Theorem 3.1, (sum - m) / (sum + 1); ``u_plain`` and
    ``v_plain`` on the gradient sum - m itself. A reg at which a derivative overflows is passed over.
    """
    best: dict[str, Fit] = {}
    for reg in REGS:
        log_plan = log_mass(cost, before, reg=reg)
        for side, axis in (("src", 2), ("tgt", 1)):
            name = "u" if side == "src" else "v"
            log_sum = torch.logsumexp(log_plan, axis)
            change = getattr(after, side) - getattr(before, side)
            slopes = {name: torch.sigmoid(log_sum) - mass * torch.sigmoid(-log_sum)}
            slopes[f"{name}_plain"] = torch.exp(log_sum) - mass
            for kind, derivative in slopes.items():
                fit = _regression(derivative, change, reg)
                if fit is not None and (kind not in best or fit.r2 > best[kind].r2):
                    best[kind] = fit
    return best


def _regression(derivative: Tensor, change: Tensor, reg: float) -> Fit | None:
    """Return the line of least squares, with a constant; it explains nothing where it rises. None if a number is not finite."""
    if not bool(torch.isfinite(derivative).all() & torch.isfinite(change).all()):
        return None
    x, y = derivative - derivative.mean(), change - change.mean()
    spread_x, spread_y, both = (float((a * b).sum()) for a, b in ((x, x), (y, y), (x, y)))
    if not np.isfinite(spread_x) or spread_x == 0.0 or spread_y == 0.0:
        return Fit(0.0, 0.0, reg)
    return Fit(both * both / (spread_x * spread_y) if both < 0.0 else 0.0, both / spread_x, reg)


def weight_cosines(settings: Settings, state: State) -> Float[Tensor, "seed residual head"]:
    """Return the cosine of P_j of every living seed and layer with the construction, up to what softmax cannot see.

    The heads are exchanged where that fits better (one choice a layer). Independent weights score about
    1/sqrt(number of entries): 0.13 in one dimension.

    Raises
    ------
    TransportError
        If the prompt is not the whole engineered one, for which there is a construction.
    """
    if settings.shape.prompt != "engineered" or settings.shape.without:
        raise broken_rule(
            "prompt", "engineered and whole", settings.shape.prompt, "There is no construction for others."
        )
    dim, width = settings.shape.dim, settings.shape.width
    n_layers = residual_layers(settings.preset, settings.shape)
    weights = model_weights(state)[np.flatnonzero(state.alive)]
    learned = torch.stack([weights[:, :n_layers, :, 2 * head * width :][..., :width] for head in range(HEADS)], 2)
    target = visible(constructed_weights(dim, reg=1.0, step_size=1.0).score[0], dim)
    cosines = torch.nn.functional.cosine_similarity(
        visible(learned, dim).flatten(-2)[..., :, None, :], target.flatten(-2), dim=-1
    )  # (seed, layer, learned head, constructed head)
    straight, crossed = torch.diagonal(cosines, dim1=-2, dim2=-1), torch.diagonal(cosines.flip(-1), dim1=-2, dim2=-1)
    return torch.where((straight.sum(-1) >= crossed.sum(-1))[..., None], straight, crossed)


def visible(score: Float[Tensor, "*model width width"], dim: int) -> Float[Tensor, "*model rows columns"]:
    """Return the part of P that changes attention among real rows: rows of ones added, columns of ones dropped."""
    at = columns(dim)
    keep = [column for column in range(at.width) if not at.ones.start <= column < at.ones.stop]
    rows = torch.cat([score[..., keep, :], score[..., at.ones, :].sum(-2, keepdim=True)], dim=-2)
    return rows[..., keep]
