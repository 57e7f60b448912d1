"""Training transformers to transport: one run of all seeds for a prompt, what it learned, and what it is held against.

A run writes two files: ``<prompt>.json`` (every number) and ``<prompt>_maps.json`` (attention to draw). Numbers have six
significant digits; None stands where a seed has diverged or nothing is read by attention. Sizes and layers are keys,
so they are text.
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from otcore import TransportError
from otcore.learning import (
    Points,
    Settings,
    Shape,
    State,
    best_regs,
    blind,
    chance,
    descent,
    distances,
    evaluate,
    layer_maps,
    solvers,
    start,
    weight_cosines,
)
from otcore.learning.evaluation import check_sizes
from pipeline._output import SCHEMA, rounded, write_json
from pipeline.errors import PipelineError
from pipeline.params import Learn
from pipeline.synthetic.learn_run import Run, Track, clear, train_to_the_end
from pipeline.synthetic.threads import one_thread

MAP_SIZES = (7, 8, 9, 15)
N_MAPS = 5
MAP_DIGITS = 4


def settings_of(params: Learn, prompt: str) -> Settings:
    """Return the settings of a training run.

    Raises
    ------
    PipelineError
        If sizes and preset do not fit each other, or a GPU is asked for and there is none.
    """
    if params.device == "cuda" and not torch.cuda.is_available():
        message = "learn.device: 'cuda' needs a CUDA device, and there is none; set it to 'cpu'"
        raise PipelineError(message)
    shape = Shape(n=params.n, dim=params.dim, depth=params.depth, prompt=prompt)  # type: ignore[arg-type]
    named = params.model_dump(
        include={"preset", "steps", "batch", "seeds", "seed", "rate", "schedule", "mixing", "diverged_above"}
    )
    at = "learn"
    try:
        settings = Settings(shape=shape, **named)
        at = "learn.test_sizes"
        check_sizes(settings, params.test_sizes)
        return settings
    except TransportError as error:
        message = f"{at}: {error}"
        raise PipelineError(message) from None


def learn(
    params: Learn, prompt: str, *, work: Path, live: Path, track: Track | None = None, say: Callable[[str], None]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train all seeds on one prompt and return what is written: the metrics and the maps.

    Parameters
    ----------
    params : Learn
    prompt : {"engineered", "plain", "plain_notebook"}
    work : Path
        Folder for checkpoints; a run that was killed goes on from there, with the same result. `forget` empties it.
    live : Path
        Folder for dvclive's progress.
    track : callable, optional
        Draws a progress bar around the steps.
    say : callable
        Takes one line for the person who watches.

    Raises
    ------
    PipelineError
        If sizes and preset do not fit each other, a GPU is asked for and there is none, a checkpoint cannot be read, or
        every seed has diverged.
    """
    settings = settings_of(params, prompt)
    run = train_to_the_end(settings, params, work=work, live=live, track=track)
    if run.state.alive.any():
        with one_thread(), torch.no_grad():
            _stop_after_the_last_step(settings, run.state)
    dead = run.state.diverged_at[~run.state.alive]
    if len(dead):
        say(f"learn: {prompt}: {len(dead)} of {settings.seeds} seeds diverged, at steps {sorted(dead.tolist())}")
    if len(dead) == settings.seeds:
        clear(settings, params, work=work)
        message = (
            f"learn.rate: small enough that at least one seed lives, but all {settings.seeds} diverged at "
            f"{settings.adam_rate:g} with the {prompt} prompt; lower it, or set it to null for the preset's"
        )
        raise PipelineError(message)
    with one_thread(), torch.no_grad():
        return _metrics(params, settings, run), _maps(settings, run.state)


def forget(params: Learn, prompt: str, *, work: Path) -> None:
    """Remove the checkpoint of `learn`, once what it returned has been written."""
    clear(settings_of(params, prompt), params, work=work)


def _stop_after_the_last_step(settings: Settings, state: State) -> None:
    """Stop the seeds that the last step threw off: training measures the loss before a step only."""
    scores = evaluate(settings, state, settings.shape.n)
    lost = [one is not None and not one.loss <= settings.diverged_above for one in scores]
    state.diverged_at[lost] = state.step


def _metrics(params: Learn, settings: Settings, run: Run) -> dict[str, Any]:
    """Return every number of one prompt."""
    fresh = start(settings)
    fresh.diverged_at[:] = run.state.diverged_at  # the same seeds, before the first step
    trained, untrained = (_seeds(params, settings, state) for state in (run.state, fresh))
    seeds = []
    for index in range(settings.seeds):
        stopped = int(run.state.diverged_at[index])
        seeds.append(
            {
                "seed": settings.seed + index,
                "diverged_at": None if stopped < 0 else stopped,
                "steps": run.state.step if stopped < 0 else stopped,
                "loss": {str(step): loss[index] for step, loss in run.curve.items()},
                "trained": trained[index],
                "untrained": untrained[index],
            }
        )
    return rounded(
        {
            "prompt": settings.shape.prompt,
            "settings": params.model_dump(exclude={"prompts"}),
            "rate": settings.adam_rate,
            "n_diverged": int((~run.state.alive).sum()),
            "seeds": seeds,
            "controls": _controls(params, settings),
        }
    )


def _seeds(params: Learn, settings: Settings, state: State) -> list[dict[str, Any] | None]:
    """Return what each seed of a state can do and how; None for one that has diverged."""
    alive: list[int] = np.flatnonzero(state.alive).tolist()
    found: list[dict[str, Any] | None] = [None] * settings.seeds
    for index in alive:
        found[index] = {"sizes": {}}
    for n in _sizes(params):
        for index, score in enumerate(evaluate(settings, state, n, batch=params.test_problems)):
            if score is not None:
                found[index]["sizes"][str(n)] = asdict(score)  # type: ignore[index]
    for index, score in enumerate(
        evaluate(settings, state, settings.shape.n, batch=params.test_problems, points="uniform")
    ):
        if score is not None:
            found[index]["uniform_x"] = asdict(score)  # type: ignore[index]
    maps, problems = layer_maps(settings, state, settings.shape.n, batch=params.test_problems)
    by_level = distances(maps, problems, reg=params.reg)
    for row, index in enumerate(alive):
        found[index]["distance"] = {name: values[row].tolist() for name, values in by_level.items()}  # type: ignore[index]
    if settings.shape.prompt == "engineered":
        fits, cosines = descent(settings, state), weight_cosines(settings, state)
        for row, index in enumerate(alive):
            layers = [{name: fit._asdict() for name, fit in layer.items()} for layer in fits[row]]
            found[index] |= {"descent": layers, "weight_cosine": cosines[row].tolist()}  # type: ignore[operator]
    return found


def _sizes(params: Learn) -> list[int]:
    """Return the sizes of fresh problems: those asked for, and that of the training."""
    return sorted({*params.test_sizes, params.n})


def _controls(params: Learn, settings: Settings) -> dict[str, Any]:
    """Return the scores of what is not trained: guessing, answers that never look at x, the construction, Sinkhorn."""
    sizes, regs = _sizes(params), best_regs(settings, batch=params.test_problems)

    def measured(n: int, *, points: Points | None = None) -> dict[str, dict[str, Any]]:
        more = {"batch": params.test_problems, "points": points}
        scores = blind(settings, n, **more) | solvers(settings, regs, n, **more)  # type: ignore[arg-type]
        return {"chance": chance(n)} | {name: asdict(score) for name, score in scores.items()}

    by_size, other = {n: measured(n) for n in sizes}, measured(settings.shape.n, points="uniform")
    return {
        name: ({"reg": regs[name]} if name in regs else {})
        | {"sizes": {str(n): by_size[n][name] for n in sizes}, "uniform_x": other[name]}
        for name in other
    }


def _maps(settings: Settings, state: State) -> dict[str, Any]:
    """Return attention under the reading weights for one problem a size, first living seed: levels and P*."""
    first = int(np.flatnonzero(state.alive)[0])
    found: dict[str, Any] = {"seed": settings.seed + first, "sizes": {}}
    for n in MAP_SIZES:
        maps, problems = layer_maps(settings, state, n, batch=1)
        levels = shown_levels(maps.shape[1])
        plan = np.zeros((n, n), int)
        plan[np.arange(n), problems.match[0]] = 1
        found["sizes"][str(n)] = {
            "levels": {str(level): _nested(maps[0, level, 0].numpy()) for level in levels},
            "plan": plan.tolist(),
        }
    return found


def shown_levels(n_levels: int) -> list[int]:
    """Return the states whose attention is drawn: the prompt, the last one, and those evenly between.

    Examples
    --------
    >>> shown_levels(20)
    [0, 5, 10, 14, 19]
    """
    return sorted({round(level) for level in np.linspace(0, n_levels - 1, N_MAPS)})


def _nested(values: np.ndarray) -> list[list[float]]:
    return [[round(float(value), MAP_DIGITS) for value in row] for row in values]


def write_learned(metrics: dict[str, Any], maps: dict[str, Any], folder: Path) -> None:
    """Write ``<prompt>.json`` and ``<prompt>_maps.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{metrics['prompt']}.json", {"schema": SCHEMA, **metrics})
    write_json(folder / f"{metrics['prompt']}_maps.json", {"schema": SCHEMA, **maps})
