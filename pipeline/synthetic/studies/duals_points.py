"""Study 5 on points: dual variables in the residual stream of transformers that were trained to transport.

Token i of a prompt carries x_i and y_i, so u_i and v_i are asked of its state. Who knows the own token only has one number for u for
each of the 50 values of x, and one for v for each y_i; who knows the answer too, one for each pair of a value of x and the y of its
match: probes on nothing else. The control task takes the targets of the next problem.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int

from otcore import TransportTransformer, annealed, columns, constructed_weights, entropic_plan, squared_cost
from otcore.learning import Problems, Settings, State, start
from otcore.learning.evaluation import fresh, model_weights
from otcore.learning.forward import states
from otcore.learning.presets import GRID, PRESETS, residual_layers
from pipeline.errors import PipelineError
from pipeline.synthetic.studies.probing import CHOOSE, FIT, JUDGE, Errors, Model, Rows, Task, one_hot, probed

REGS = (0.005, 0.02, 0.1)
"""Of the plans whose duals are asked for; the first, with which the paper sorts, decides."""
DRAWS = (20_000, 30_000, 40_000)
"""Numbers of the draws of the parts: problems that nothing was trained, tuned or tested on."""
STEP_RATIO, START_REG = 2.0, 0.5


def dual_targets(problems: Problems, regs: Sequence[float] = REGS) -> Float[np.ndarray, "batch n target"]:
    """Return u and v of the entropic plan for every reg, centred within each problem: (u, reg 1), (v, reg 1), ...

    Raises
    ------
    PipelineError
        If a plan has not converged.
    """
    cost = squared_cost(problems.x, problems.y)
    parts = []
    for reg in regs:
        result = entropic_plan(cost, reg=reg, max_sweeps=100_000)
        if not result.converged.all():
            message = f"studies: every plan must converge, but {int((~result.converged).sum())} of reg {reg:g} have not; raise reg"
            raise PipelineError(message)
        parts += [potential - potential.mean(1, keepdims=True) for potential in result.potentials]
    return np.stack(parts, axis=2)


def task_of(settings: Settings, *, sizes: tuple[int, int, int]) -> tuple[Task, torch.Tensor]:
    """Return the task on fresh problems, as many of each part as `sizes` says, and the prompts of all of them.

    Raises
    ------
    PipelineError
        If the preset's x are no numbers of a grid, so that there are no types of tokens.
    """
    if PRESETS[settings.preset].problems != "distinct":
        message = f"studies: probes need the preset notebook, whose x are numbers of a grid, but it is {settings.preset!r}; set it"
        raise PipelineError(message)
    n = settings.shape.n
    drawn = [fresh(settings, n, size, number=number) for size, number in zip(sizes, DRAWS, strict=True)]
    prompt = torch.cat([part for part, _ in drawn])
    problems = Problems(*(np.concatenate(parts) for parts in zip(*(part for _, part in drawn), strict=True)))
    targets = dual_targets(problems)
    number = np.arange(len(targets)).repeat(n)
    part = np.repeat((FIT, CHOOSE, JUDGE), sizes).repeat(n)
    rows = Rows(targets.reshape(len(number), -1), number, part)
    control = Rows(_next_problem(targets, sizes).reshape(len(number), -1), number, part)
    own, answer = token_types(problems)
    names = [(side, reg) for reg in REGS for side in ("u", "v")]
    task = Task(
        names, rows, _guessed(own, rows), control, control_own=_guessed(own, control), answer=_guessed(answer, rows)
    )
    return task, prompt


def token_types(problems: Problems) -> tuple[list[Int[np.ndarray, " row"]], list[Int[np.ndarray, " row"]]]:
    """Return, for u and for v, the types of tokens by their own number, and by own number and match."""
    batch, n = problems.match.shape
    x, y = np.rint(problems.x[..., 0] * GRID).astype(int), np.tile(np.arange(n), (batch, 1))
    y_of_x = np.argsort(problems.match, axis=1)
    x_of_y = np.take_along_axis(x, problems.match, axis=1)
    own = [x.ravel(), y.ravel()]
    return own, [(x * n + y_of_x).ravel(), (x_of_y * n + y).ravel()]


def _next_problem(targets: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Return the targets of the next problem of the same part."""
    ends = np.cumsum(sizes)
    return np.concatenate([np.roll(part, 1, axis=0) for part in np.split(targets, ends[:-1])])


def _guessed(types: Sequence[np.ndarray], rows: Rows) -> Errors:
    """Return the errors of who knows a token's type, targets in the order of `Task.names`: u, v, u, v, ..."""
    sides = [probed(one_hot(kind), rows) for kind in types]
    parts = []
    for of_sides in zip(*sides, strict=True):
        both = of_sides[0].copy()
        both[1::2] = of_sides[1][1::2]
        parts.append(both)
    return Errors(*parts)


def trained_models(settings: Settings, state: State, prompt: torch.Tensor) -> list[Model]:
    """Return the states of every seed that lives, with trained and with initial weights, level 0 being the prompt."""
    alive = np.flatnonzero(state.alive)
    found = [_levels(settings, weights, prompt) for weights in (model_weights(state), model_weights(start(settings)))]
    return [Model(found[0][seed], found[1][seed]) for seed in alive]


def _levels(settings: Settings, weights: torch.Tensor, prompt: torch.Tensor) -> list[list[np.ndarray]]:
    """Return the states of the points of every seed and level, (row, width)."""
    reads, n = PRESETS[settings.preset].reading != "column", settings.shape.n
    return [
        [
            level[0, :, :n].reshape(-1, level.shape[-1]).numpy()
            for level in states(prompt[None], weights[[seed]], reads=reads)
        ]
        for seed in range(len(weights))
    ]


def constructed_model(settings: Settings, prompt: torch.Tensor, *, depth: int | None = None) -> Model:
    """Return the states of the construction, with as many layers as are trained or with `depth`, reg falling to `REGS[0]`.

    Its memory starts at zero. In the place of fresh weights stands its prompt.
    """
    depth, n = depth or residual_layers(settings.preset, settings.shape), settings.shape.n
    at, regs = columns(settings.shape.dim), annealed(START_REG, REGS[0], depth=depth)
    start_state = prompt.clone()
    start_state[:, :, at.src_memory : at.tgt_memory + 1] = 0.0
    weights = constructed_weights(settings.shape.dim, reg=regs, step_size=[STEP_RATIO * reg for reg in regs])
    model = TransportTransformer.constructed(weights, depth=depth)
    levels = [start_state, *(layer.state for layer in model.layers(start_state))]
    rows = [level[:, :n].reshape(-1, level.shape[-1]).numpy() for level in levels]
    return Model(rows, rows[:1])
