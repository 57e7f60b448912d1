"""What a trained transformer can do on problems that it has not seen, beside models that were not trained.

Every measure comes in two forms where the answer is read by attention: from the answer (is the nearest x the right one?)
and from the attention (does it look most at the right one?). Shares lie in [0, 1], cross-entropies are in nats a point.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcore.construction import annealed, constructed_weights
from otcore.dual import log_mass, sinkhorn, squared_cost
from otcore.learning.forward import answer, reading_attention, states
from otcore.learning.presets import PRESETS, Points, Problems, hidden_points, reading_column, residual_layers
from otcore.learning.training import FRESH, Settings, State, draw_batch, effective_weights, generator
from otcore.plans import entropic_plan
from otcore.prompt import engineered_prompt
from otcore.transformer import TransportTransformer, read_plan

REGS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
"""Entropic weights among which the models that are not trained choose theirs, on problems of the training size."""
STEP_RATIO = 2.0
START_REG = 0.5
TUNING = 10_000  # number of the draw on which they choose


@dataclass(frozen=True)
class Score:
    """How well one model does on fresh problems of one size.

    Attributes
    ----------
    loss : float
        Mean squared error of the answer.
    exact, points : float
        Share of problems with every point right, and of points: the nearest x to the answer is the right one.
    exact_attention, points_attention : float or None
        The same for the x that the reading attention is largest on; None where nothing is read by attention.
    cross_entropy : float or None
        Mean of -log of the attention on the right x.
    """

    loss: float
    exact: float
    points: float
    exact_attention: float | None
    points_attention: float | None
    cross_entropy: float | None


def chance(n: int) -> dict[str, float]:
    """Return what guessing a permutation scores: `exact` 1/n!, `points` 1/n, `cross_entropy` log n."""
    return {"exact": 1 / math.factorial(n), "points": 1.0 / n, "cross_entropy": math.log(n)}


def score(
    estimate: Float[Tensor, "batch n dim"], attention: Float[Tensor, "batch n n"] | None, problems: Problems
) -> Score:
    """Return the measures of one model from its answers and, if it has one, its reading attention."""
    target, match = torch.from_numpy(problems.target), torch.from_numpy(problems.match)
    distance = squared_cost(estimate, torch.from_numpy(problems.x)) if bool(estimate.isfinite().all()) else None
    loss = float((estimate - target).square().mean())
    by_answer = _shares(-distance, match) if distance is not None else (0.0, 0.0)
    if attention is None:
        return Score(loss, *by_answer, None, None, None)
    right = attention.gather(2, match[..., None])[..., 0]
    cross_entropy = float(-right.clamp_min(torch.finfo(right.dtype).tiny).log().mean())
    return Score(loss, *by_answer, *_shares(attention, match), cross_entropy)


def _shares(merit: Tensor, match: Tensor) -> tuple[float, float]:
    """Return the shares of problems and of points for which the largest merit of a row is at the match."""
    right = merit.argmax(2) == match
    return float(right.all(1).double().mean()), float(right.double().mean())


def fresh(
    settings: Settings, n: int, batch: int, *, number: int = 0, points: Points | None = None
) -> tuple[Tensor, Problems]:
    """Return problems of size n that no training has seen, the same for every model, with their prompts.

    `points` as in `presets.draw_problems`, by default those of the training.
    """
    rng = generator(settings.seed, FRESH, number + n)
    return draw_batch(rng, settings.preset, replace(settings.shape, n=n), batch, points=points or settings.points)


def model_weights(state: State) -> Float[Tensor, "seed layer width part"]:
    """Return V_j B_j and P_j of all seeds in float64."""
    return torch.from_numpy(effective_weights(state.weights, state.mixing)).double()


def model_prompts(state: State, prompt: Float[Tensor, "batch token width"]) -> Float[Tensor, "seed batch token width"]:
    """Return the prompts as each living seed has them: with its own learned numbers, where the prompt is learned."""
    learned = torch.from_numpy(state.learned[np.flatnonzero(state.alive)]).double()
    prompts = prompt.expand(len(learned), *prompt.shape)
    if learned.shape[1] == 0:
        return prompts
    points = prompts[:, :, :-1] + learned[:, None, :1]
    return torch.cat([points, learned[:, None, 1:].expand(-1, prompt.shape[0], -1, -1)], 2)


def evaluate(
    settings: Settings, state: State, n: int, *, batch: int = 512, points: Points | None = None
) -> list[Score | None]:
    """Return the score of every seed on fresh problems of size n; None for a seed that has diverged.

    Parameters
    ----------
    settings, state
        Of `training.train`.
    n : int
        Points a side; need not be that of the training.
    batch : int
        Problems, the same for all seeds.
    points : {"preset", "uniform", "interval"}, optional
        Problems of other x than those of the training, as in `presets.draw_problems`.
    """
    reads, hidden = PRESETS[settings.preset].reading != "column", hidden_points(settings.shape)
    prompt, problems = fresh(settings, n, batch, points=points)
    alive = np.flatnonzero(state.alive)
    weights = model_weights(state)[alive]
    *_, last = states(model_prompts(state, prompt), weights, reads=reads)
    estimate = answer(
        last, weights, reads=reads, n=n, dim=settings.shape.dim,
        first_column=reading_column(settings.preset, settings.shape), hidden=hidden,
    )  # fmt: skip
    attention = reading_attention(last, weights[:, -1, :, : last.shape[-1]], n=n, hidden=hidden) if reads else None
    scores: list[Score | None] = [None] * settings.seeds
    for row, index in enumerate(alive):
        scores[index] = score(estimate[row], None if attention is None else attention[row], problems)
    return scores


def blind(settings: Settings, n: int, *, batch: int = 512, points: Points | None = None) -> dict[str, Score]:
    """Return the scores of two answers that never look at x, on the problems of `evaluate`.

    ``mean`` is the mean solution of other problems, the best such answer where y is the same in all problems (one
    dimension); ``copy`` is y itself. Both are right where x is always the same numbers (presets paper and preprint
    of their own points).
    """
    _, problems = fresh(settings, n, batch, points=points)
    _, others = fresh(settings, n, batch, number=TUNING, points=points)
    answers = {"mean": np.broadcast_to(others.target.mean(0), problems.y.shape), "copy": problems.y}
    return {name: score(torch.from_numpy(estimate.copy()), None, problems) for name, estimate in answers.items()}


def solver_plans(problems: Problems, *, reg: float, depth: int) -> dict[str, Float[Tensor, "batch n n"]]:
    """Return plans (rows y, columns x, each row summing to 1) of what has the depth of the trained model and no training.

    ``constructed`` is the transformer of Theorem 3.1, ``annealed`` the same with `reg` shrinking from layer to layer,
    ``sinkhorn`` as many sweeps as it has layers.
    """
    x, y = torch.from_numpy(problems.x), torch.from_numpy(problems.y)
    prompt, dim = engineered_prompt(x, y), problems.x.shape[2]
    plans = {}
    schedules = {"constructed": [reg] * depth, "annealed": annealed(max(START_REG, reg), reg, depth=depth)}
    for name, regs in schedules.items():
        weights = constructed_weights(dim, reg=regs, step_size=[STEP_RATIO * value for value in regs])
        model = TransportTransformer.constructed(weights, depth=depth)
        plans[name] = read_plan(model(prompt).state, weights.score[-1])[:, 1]
    cost = squared_cost(y, x)
    *_, duals = sinkhorn(cost, reg=reg, depth=depth)
    plans["sinkhorn"] = torch.softmax(log_mass(cost, duals, reg=reg), dim=2)
    return plans


def best_regs(settings: Settings, *, batch: int = 512) -> dict[str, float]:
    """Return the entropic weight with the smallest loss for each model of `solver_plans`, on a draw of its own."""
    _, problems = fresh(settings, settings.shape.n, batch, number=TUNING)
    depth = residual_layers(settings.preset, settings.shape)
    found: dict[str, dict[float, float]] = {}
    for reg in REGS:
        for name, plan in solver_plans(problems, reg=reg, depth=depth).items():
            loss = score(plan @ torch.from_numpy(problems.x), plan, problems).loss
            found.setdefault(name, {})[reg] = loss
    return {name: min(losses, key=losses.__getitem__) for name, losses in found.items()}


def solvers(
    settings: Settings, regs: dict[str, float], n: int, *, batch: int = 512, points: Points | None = None
) -> dict[str, Score]:
    """Return the scores of the models of `solver_plans`, each with its `reg`, on the problems of `evaluate`."""
    _, problems = fresh(settings, n, batch, points=points)
    depth = residual_layers(settings.preset, settings.shape)
    x = torch.from_numpy(problems.x)
    plans = {name: solver_plans(problems, reg=reg, depth=depth)[name] for name, reg in regs.items()}
    return {name: score(plan @ x, plan, problems) for name, plan in plans.items()}


def layer_maps(
    settings: Settings, state: State, n: int, *, batch: int = 512
) -> tuple[Float[Tensor, "seed level batch n n"], Problems]:
    """Return the attention that every state has under the reading weights (Figure 2): rows y, columns x.

    Level 0 is the prompt; the last level is what the answer is read with. Where the answer is not read by attention,
    the last layer's head that is nearer to the plan stands for the reading weights. Seeds that have diverged are
    left out.
    """
    reads, hidden = PRESETS[settings.preset].reading != "column", hidden_points(settings.shape)
    prompt, problems = fresh(settings, n, batch)
    weights = model_weights(state)[np.flatnonzero(state.alive)]
    _seeds, width = weights.shape[0], prompt.shape[-1]
    levels = torch.stack(list(states(model_prompts(state, prompt), weights, reads=reads)), 1)
    heads = [weights[:, -1, :, :width]] if reads else [weights[:, -1, :, at : at + width] for at in (0, 2 * width)]
    per_head = [
        torch.stack(
            [reading_attention(levels[:, level], head, n=n, hidden=hidden) for level in range(levels.shape[1])], 1
        )
        for head in heads
    ]
    match = torch.from_numpy(problems.match)
    gaps = torch.stack([distance_to_match(maps[:, -1], match) for maps in per_head])
    nearest = gaps.argmin(0)
    return torch.stack([per_head[int(head)][seed] for seed, head in enumerate(nearest)]), problems


def distance_to_match(
    maps: Float[Tensor, "*level batch n n"], match: Int[Tensor, "batch n"]
) -> Float[Tensor, "*level"]:
    """Return half the summed absolute difference between rows of attention and of P*, mean over rows: in [0, 1]."""
    right = maps.gather(-1, match[..., None].expand(*maps.shape[:-1], 1))[..., 0]
    return 1.0 - right.mean((-1, -2))


def distances(
    maps: Float[Tensor, "seed level batch n n"], problems: Problems, *, reg: float
) -> dict[str, Float[Tensor, "seed level"]]:
    """Return how far the attention of every level is from P* and from P*_reg (both in [0, 1]), as in `distance_to_match`."""
    cost = squared_cost(torch.from_numpy(problems.y), torch.from_numpy(problems.x))
    plan = entropic_plan(cost, reg=reg).plan
    return {
        "exact": distance_to_match(maps, torch.from_numpy(problems.match)),
        "entropic": 0.5 * (maps - plan).abs().sum(-1).mean((-1, -2)),
    }


def check_sizes(settings: Settings, sizes: Sequence[int]) -> None:
    """Refuse test sizes that the preset has no problems of.

    Raises
    ------
    TransportError
        As `presets.check_settings`.
    """
    for n in sizes:
        replace(settings, shape=replace(settings.shape, n=n))
