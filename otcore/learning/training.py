"""Training many transformers at once: initial weights, Adam, redrawn problems, divergence seed by seed.

A run is a pure function of its `Settings`: the problems of a step are drawn from a generator named by seed and draw, so
a `State` saved after any step and continued later gives the same bytes as a run that was never interrupted.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from otcore._checks import broken_rule, check_choice, check_count, check_positive
from otcore.learning.engine import Batch, Engine, Evaluated, pack
from otcore.learning.forward import TorchEngine
from otcore.learning.parts import add_learned, learnable, learned_gradient, learned_start
from otcore.learning.presets import (
    HEADS,
    MIXINGS,
    PRESETS,
    Mixing,
    Points,
    PresetName,
    Problems,
    Shape,
    check_settings,
    draw_problems,
    draw_prompt,
    draw_weights,
    hidden_points,
    reading_column,
    residual_layers,
    trainable,
)

BETAS = (0.9, 0.999)
EPSILON = 1e-8
SCHEDULES = ("constant", "linear")
# Streams of random numbers of one seed.
WEIGHTS, PROBLEMS, FRESH, LEARNED = range(4)


@dataclass(frozen=True)
class Settings:
    """What a training run is; see `presets.Preset` for what a preset fixes.

    Attributes
    ----------
    preset : {"paper", "notebook", "preprint"}
    shape : Shape
    steps : int
        Steps of the optimiser in a full run.
    batch : int, optional
        Problems a step and seed; by default the preset's.
    seeds : int
        Models trained side by side.
    seed : int
        Of the first; the others follow from it.
    rate : float, optional
        Adam's step size; by default the preset's.
    schedule : {"constant", "linear"}
        Whether the step size stays, as in all versions of the experiment, or falls to 0 at the last step.
    mixing : {"fixed", "trained"}
        B_j = -step_size I in every layer, as in all versions of the experiment, or trained from there.
    diverged_above : float
        A loss above this, or one that is no number, ends a seed's training.
    points : {"preset", "uniform", "interval"}
        Where x comes from: `presets.draw_problems`.
    sizes : tuple of int
        Points a side of the training problems, one size a draw in turn; none is the one size of the shape.
    redraw_every : int, optional
        Steps that share a draw; by default the preset's.
    tied : bool
        Whether all residual layers are one, run again and again (`looped` runs it as often as one likes).
    """

    preset: PresetName = "notebook"
    shape: Shape = field(default_factory=Shape)
    steps: int = 5000
    batch: int | None = None
    seeds: int = 4
    seed: int = 2026
    rate: float | None = None
    schedule: str = "constant"
    mixing: Mixing = "fixed"
    diverged_above: float = 10.0
    points: Points = "preset"
    sizes: tuple[int, ...] = ()
    redraw_every: int | None = None
    tied: bool = False

    def __post_init__(self) -> None:
        for n in (self.shape.n, *self.sizes):
            check_settings(self.preset, replace(self.shape, n=n), self.points)
        for name in ("steps", "seeds"):
            check_count(name, getattr(self, name))
        check_count("batch", self.samples)
        if self.redraw_every is not None:
            check_count("redraw_every", self.redraw_every)
        check_positive("rate", self.adam_rate, remedy="The presets use 5e-4 and 1e-3.")
        check_positive("diverged_above", self.diverged_above, remedy="The loss starts between 0.1 and 5.")
        check_choice("schedule", self.schedule, SCHEDULES)
        check_choice("mixing", self.mixing, MIXINGS)

    @property
    def samples(self) -> int:
        """Return the problems a step and seed."""
        return PRESETS[self.preset].samples if self.batch is None else self.batch

    @property
    def adam_rate(self) -> float:
        """Return the step size of Adam at the first step."""
        return PRESETS[self.preset].rate if self.rate is None else self.rate

    def rate_at(self, step: int) -> float:
        """Return the step size of Adam at a step, counted from 0.

        Examples
        --------
        >>> Settings(steps=4, rate=1.0, schedule="linear").rate_at(1)
        0.75
        """
        return self.adam_rate * (1.0 - step / self.steps if self.schedule == "linear" else 1.0)


@dataclass
class State:
    """Where training stands, after `step` steps.

    Attributes
    ----------
    step : int
    weights : float32 array, shape (seed, layer, width, part)
        P_j and V_j; see `presets`.
    mixing : float32 array, shape (seed, layer, head, width, width)
        B_j of the residual layers.
    learned : float32 array, shape (seed, row, width)
        The learned numbers of the prompt, as in `parts`; no rows unless the prompt is learned.
    first, second : float32 array, shape (seed, number of weights, mixings and learned numbers)
        Adam's averages of the gradient and of its square.
    diverged_at : int64 array, shape (seed,)
        Step at which a seed was stopped, -1 for those that live.
    loss : float64 array, shape (seed,)
        Before the last step; infinite at the start.
    """

    step: int
    weights: Float[np.ndarray, "seed layer width part"]
    mixing: Float[np.ndarray, "seed residual head width width"]
    learned: Float[np.ndarray, "seed row width"]
    first: Float[np.ndarray, "seed size"]
    second: Float[np.ndarray, "seed size"]
    diverged_at: Int[np.ndarray, " seed"]
    loss: Float[np.ndarray, " seed"]

    @property
    def alive(self) -> Bool[np.ndarray, " seed"]:
        """Return which seeds have not diverged."""
        return self.diverged_at < 0

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything as named arrays, for a checkpoint."""
        named = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return named | {"step": np.array([self.step])}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> "State":
        """Return the state that `arrays` described."""
        values: dict[str, Any] = arrays | {"step": int(arrays["step"][0])}
        return cls(**values)


def generator(seed: int, stream: int, number: int = 0) -> np.random.Generator:
    """Return the random numbers of one seed, stream (WEIGHTS, PROBLEMS, FRESH) and draw."""
    return np.random.default_rng([seed, stream, number])


def start(settings: Settings) -> State:
    """Return the state before the first step."""
    shape, n_seeds = settings.shape, settings.seeds
    weights = [
        draw_weights(generator(settings.seed + index, WEIGHTS), settings.preset, shape) for index in range(n_seeds)
    ]
    n_layers = residual_layers(settings.preset, shape)
    one = -PRESETS[settings.preset].step_size * np.eye(shape.width, dtype=np.float32)
    mixing = np.tile(one, (n_seeds, n_layers, HEADS, 1, 1))
    stacked = np.stack(weights).astype(np.float32)
    if settings.tied:
        stacked[:, 1:n_layers] = stacked[:, :1]
    learned = np.zeros((n_seeds, 0, shape.width), np.float32)
    if shape.prompt == "learned":
        drawn = [learned_start(generator(settings.seed + index, LEARNED), shape.dim) for index in range(n_seeds)]
        learned = np.stack(drawn).astype(np.float32)
    n_numbers = stacked[0].size + mixing[0].size + learned[0].size
    return State(
        step=0,
        weights=stacked,
        mixing=mixing,
        learned=learned,
        first=np.zeros((n_seeds, n_numbers), np.float32),
        second=np.zeros((n_seeds, n_numbers), np.float32),
        diverged_at=np.full(n_seeds, -1),
        loss=np.full(n_seeds, np.inf),
    )


def effective_weights(
    weights: Float[np.ndarray, "seed layer width part"],
    mixing: Float[np.ndarray, "seed residual head width width"],
) -> Float[np.ndarray, "seed layer width part"]:
    """Return the weights with V_j B_j in the place of V_j, as the engine takes them; the reading layer has no B."""
    merged = weights.copy()
    width, n_layers = weights.shape[2], mixing.shape[1]
    for head in range(mixing.shape[2]):
        at = _value_part(head, width)
        merged[:, :n_layers, :, at] = weights[:, :n_layers, :, at] @ mixing[:, :, head]
    return merged


def looped(state: State, loops: int) -> State:
    """Return the state of a tied run with its residual layer `loops` times in a row, to be evaluated.

    Raises
    ------
    TransportError
        If `loops` is below 1 or the residual layers are not one.
    """
    check_count("loops", loops)
    n_layers = state.mixing.shape[1]
    if not (state.weights[:, :n_layers] == state.weights[:, :1]).all():
        raise broken_rule("state", "of a tied run", "residual layers that differ", "Train with tied=True.")
    again = np.zeros(loops, int)
    reading = np.arange(n_layers, state.weights.shape[1])
    return replace(state, weights=state.weights[:, np.r_[again, reading]], mixing=state.mixing[:, again])


def draw_number(settings: Settings, step: int) -> int:
    """Return which draw of problems a step trains on.

    Examples
    --------
    >>> [draw_number(Settings(preset="notebook"), step) for step in (0, 1, 50, 51)]
    [0, 1, 1, 2]
    """
    redraw = settings.redraw_every or PRESETS[settings.preset].redraw_every
    return -(-step // redraw) if redraw else 0


def size_at(settings: Settings, draw: int) -> int:
    """Return the points a side of the problems of a draw.

    Examples
    --------
    >>> [size_at(Settings(sizes=(2, 5)), draw) for draw in range(3)]
    [2, 5, 2]
    """
    return settings.sizes[draw % len(settings.sizes)] if settings.sizes else settings.shape.n


def draw_training_batch(settings: Settings, step: int) -> Batch:
    """Return the problems that all seeds train on at a step."""
    draw = draw_number(settings, step)
    shape = replace(settings.shape, n=size_at(settings, draw))
    prompts, targets = [], []
    for index in range(settings.seeds):
        rng = generator(settings.seed + index, PROBLEMS, draw)
        prompt, problems = draw_batch(rng, settings.preset, shape, settings.samples, points=settings.points)
        prompts.append(prompt)
        targets.append(problems.target)
    return pack(prompts, targets)


def draw_batch(
    rng: np.random.Generator, preset: PresetName, shape: Shape, batch: int, *, points: Points = "preset"
) -> tuple[Float[torch.Tensor, "batch token width"], Problems]:
    """Return random problems of a shape and their prompts; `points` as in `presets.draw_problems`."""
    problems = draw_problems(rng, preset, batch=batch, n=shape.n, dim=shape.dim, points=points)
    return draw_prompt(rng, preset, shape.prompt, problems, without=shape.without), problems


def engine_of(settings: Settings, *, threads: int | None = None, device: str = "cpu") -> Engine | TorchEngine:
    """Return the engine that fits a model's shape and reading: compiled on the processor, torch on a GPU."""
    reads = PRESETS[settings.preset].reading != "column"
    first_column = reading_column(settings.preset, settings.shape)
    shape, hidden = settings.shape, hidden_points(settings.shape)
    if device != "cpu":
        return TorchEngine(reads=reads, first_column=first_column, hidden=hidden, device=device)
    return Engine(
        width=shape.width, tokens=shape.tokens, reads=reads, first_column=first_column, hidden=hidden, threads=threads
    )


def train(
    settings: Settings, state: State | None = None, *, threads: int | None = None, device: str = "cpu"
) -> Iterator[State]:
    """Yield the state after each step, until `settings.steps` are done or every seed has diverged.

    Parameters
    ----------
    settings : Settings
    state : State, optional
        Where to continue; it is changed in place. By default the start.
    threads : int, optional
        All processors by default; the result does not depend on it.
    device : str
        ``cpu`` gives the same bytes every time; ``cuda`` does not promise that.

    Yields
    ------
    State
        The same object each time: copy what is to be kept. Its `loss` was measured before the step.
    """
    state = start(settings) if state is None else state
    engines: dict[int, Engine | TorchEngine] = {}  # by size of the problems
    mask = trainable(settings.preset, settings.shape).astype(np.float32)
    batch, drawn = None, -1
    while state.step < settings.steps and state.alive.any():
        if batch is None or draw_number(settings, state.step) != drawn:
            batch, drawn = draw_training_batch(settings, state.step), draw_number(settings, state.step)
        n = size_at(settings, drawn)
        if n not in engines:
            sized = replace(settings, shape=replace(settings.shape, n=n))
            engines[n] = engine_of(sized, threads=threads, device=device)
        alive = np.flatnonzero(state.alive)
        completed = batch
        if state.learned.size:
            completed = replace(batch, prompt=add_learned(batch.prompt, state.learned[batch.seed]))
        result = engines[n].evaluate(effective_weights(state.weights, state.mixing), completed, alive=alive)
        state.loss[alive] = result.loss[alive]
        failed = state.alive & ~(state.loss <= settings.diverged_above)
        state.diverged_at[failed] = state.step
        _update(settings, state, result, mask)
        state.step += 1
        yield state


def _update(settings: Settings, state: State, result: Evaluated, mask: np.ndarray) -> None:
    """Apply Adam to the living seeds, in float32 as torch does."""
    alive = np.flatnonzero(state.alive)
    if len(alive) == 0:
        return
    held = (state.weights, state.mixing, state.learned)
    slope = np.concatenate(_slopes(settings, state, result, alive, mask), axis=1)
    first, second = state.first[alive], state.second[alive]
    count = (state.step + 1) * PRESETS[settings.preset].counts_per_step
    first += (1 - BETAS[0]) * (slope - first)
    second += (1 - BETAS[1]) * (slope * slope - second)
    root = np.sqrt(second / np.float32(1 - BETAS[1] ** count)) + np.float32(EPSILON)
    change = -np.float32(settings.rate_at(state.step) / (1 - BETAS[0] ** count)) * first / root
    state.first[alive], state.second[alive] = first, second
    ends = np.cumsum([array[0].size for array in held])
    for array, part in zip(held, np.split(change, ends[:-1], axis=1), strict=True):
        array[alive] += part.reshape(len(alive), *array.shape[1:])


def _slopes(
    settings: Settings, state: State, result: Evaluated, alive: np.ndarray, mask: np.ndarray
) -> list[np.ndarray]:
    """Return the gradients by weights, mixing and learned prompt of the living seeds, flat; 0 where nothing is trained."""
    weights, mixing = state.weights[alive], state.mixing[alive]
    d_weights, d_mixing = _chain(result.gradient[alive], weights, mixing)
    d_weights = d_weights * mask
    if settings.mixing == "fixed":
        d_mixing = np.zeros_like(d_mixing)
    if settings.tied:  # one layer's gradient is that of all its uses; Adam then keeps the copies alike
        d_weights[:, : mixing.shape[1]] = d_weights[:, : mixing.shape[1]].sum(1, keepdims=True)
        d_mixing = np.broadcast_to(d_mixing.sum(1, keepdims=True), d_mixing.shape)
    d_learned = np.zeros_like(state.learned[alive])
    if d_learned.size:
        d_learned = learned_gradient(result.by_prompt[alive]) * learnable(settings.shape.dim).astype(np.float32)
    return [part.reshape(len(alive), -1) for part in (d_weights, d_mixing, d_learned)]


def _chain(gradient: np.ndarray, weights: np.ndarray, mixing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients by V_j and B_j from the one by their product (and that by P_j as it is)."""
    d_weights, d_mixing = gradient.copy(), np.empty_like(mixing)
    width, n_layers = weights.shape[2], mixing.shape[1]
    for head in range(mixing.shape[2]):
        at = _value_part(head, width)
        d_product = gradient[:, :n_layers, :, at]
        d_weights[:, :n_layers, :, at] = d_product @ mixing[:, :, head].swapaxes(-1, -2)
        d_mixing[:, :, head] = weights[:, :n_layers, :, at].swapaxes(-1, -2) @ d_product
    return d_weights, d_mixing


def _value_part(head: int, width: int) -> slice:
    """Return where V_head stands among the parts."""
    return slice((2 * head + 1) * width, (2 * head + 2) * width)
