"""What a training run is made of: whose problems, prompts, initial weights and reading layer.

The paper, its notebook and the earlier preprint train with different settings; each is a `Preset`. `Shape` holds the
sizes that a user chooses. Problems are drawn from a numpy generator that is passed in, so that a draw can be repeated.

Weights of one model are one array ``[layer, width, part]``; the parts of a layer stand side by side, P_1, V_1, P_2, V_2,
each of `width` columns. Where the model reads its answer by attention, the last layer is that reading layer: it has one
head (P, V in the first two parts; the others stay zero), no residual stream, and, in the notebook, a fixed V.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment

from otcore._checks import broken_rule, check_choice, check_count
from otcore.learning.parts import PARTS, Part, dropped_columns, room_for_learned, without_parts
from otcore.prompt import Marginals, columns, engineered_prompt, plain_prompt

PresetName = Literal["paper", "notebook", "preprint"]
PromptName = Literal["engineered", "plain", "plain_notebook", "learned"]
PROMPTS: tuple[PromptName, ...] = ("engineered", "plain", "plain_notebook", "learned")
Mixing = Literal["fixed", "trained"]
MIXINGS: tuple[Mixing, ...] = ("fixed", "trained")
Points = Literal["preset", "uniform", "interval"]
POINTS: tuple[Points, ...] = ("preset", "uniform", "interval")
"""Where x comes from: as in the preset, uniform on [0, 1], or uniform on an interval of its own in every problem."""
WIDTHS = (0.1, 0.5)
"""Least and greatest width of such an interval, which lies anywhere in [0, 1]."""
HEADS = 2
GRID = 50
"""The notebook draws x from {0, 1, ..., 49} / 50."""


@dataclass(frozen=True)
class Preset:
    """The settings of one version of the experiment (all in one dimension).

    Attributes
    ----------
    step_size : float
        gamma: attention enters the residual stream times -gamma.
    rate : float
        Step size of Adam.
    counts_per_step : int
        How far Adam's counter, which corrects its averages early on, moves with a step. The notebook hands every
        parameter to its optimiser twice; on a GPU nearly all of these updates start from the same values and leave
        one, but the counter stands on the host and moves twice (docs/theory.md, section 6).
    samples : int
        Training problems, all used in each step.
    redraw_every : int or None
        Steps that share a draw, after the first step, which has one of its own (the notebook draws anew after
        steps 0, 50, 100, ...); None keeps the first draw.
    problems : {"permutation", "distinct"}
        x is a permutation of {1/n, ..., n/n} and y_i = i/n; or x are distinct numbers of a grid and y_i = (i-1)/n.
    memory : {"zeros", "random"}
        Start of the memory columns; random: u ~ N(0, 1), v ~ U(0, 1).
    spread : tuple of float
        Standard deviation of the initial weights of each head, times the root of the prompt's width.
    reading : {"copy", "trained", "column"}
        How the answer is read: by one more attention layer that averages x (`copy`, memory row masked) or a trained
        function of the state (`trained`); or as it stands in the last column of the state (`column`).
    depth_counts_reading : bool
        Whether the reading layer is one of `depth` layers.
    marginals : {"unit", "uniform"}
        As in `prompt.engineered_prompt`.
    """

    step_size: float
    rate: float
    counts_per_step: int
    samples: int
    redraw_every: int | None
    problems: Literal["permutation", "distinct"]
    memory: Literal["zeros", "random"]
    spread: tuple[float, float]
    reading: Literal["copy", "trained", "column"]
    depth_counts_reading: bool
    marginals: Marginals


PRESETS: dict[PresetName, Preset] = {
    "paper": Preset(0.05, 1e-3, 1, 1000, None, "permutation", "zeros", (1.0, 1.0), "trained", False, "unit"),
    "notebook": Preset(0.1, 5e-4, 2, 1000, 50, "distinct", "random", (0.5, 1.0), "copy", True, "uniform"),
    "preprint": Preset(0.05, 1e-3, 1, 500, None, "permutation", "zeros", (1.0, 1.0), "column", False, "uniform"),
}


@dataclass(frozen=True)
class Shape:
    """Sizes of a model and its problems.

    Attributes
    ----------
    n : int
        Points a side, at least 2.
    dim : int
        Dimension of a point; 1 is sorting.
    depth : int
        Layers.
    prompt : {"engineered", "plain", "plain_notebook", "learned"}
        ``learned`` has the sizes of the engineered one, and numbers that are trained in place of what is engineered
        (`parts`). ``plain_notebook`` is the plain prompt as the notebook reads it: its reading layer was written for the
        engineered prompt, so it copies the column of y, and hides the last point in the belief that it is the memory row.
    without : tuple of str
        Parts that the engineered prompt lacks, of `parts.PARTS`.
    """

    n: int = 7
    dim: int = 1
    depth: int = 20
    prompt: PromptName = "engineered"
    without: tuple[Part, ...] = ()

    @property
    def width(self) -> int:
        """Return the columns of the prompt."""
        if self.prompt in ("plain", "plain_notebook"):
            return 2 * self.dim + 1
        return columns(self.dim).width - len(dropped_columns(self.dim, self.without))

    @property
    def tokens(self) -> int:
        """Return the rows of the prompt."""
        return self.n + (self.prompt in ("engineered", "learned") and "row" not in self.without)


class Problems(NamedTuple):
    """A batch of transport problems and their solutions.

    Attributes
    ----------
    x, y : float array, shape (batch, n, dim)
    match : int array, shape (batch, n)
        x of `match[i]` goes to y of i under the exact plan.
    """

    x: Float[np.ndarray, "batch n dim"]
    y: Float[np.ndarray, "batch n dim"]
    match: Int[np.ndarray, "batch n"]

    @property
    def target(self) -> Float[np.ndarray, "batch n dim"]:
        """Return P* x: the x that belongs to each y (eq. 9); in one dimension, sorted x."""
        return np.take_along_axis(self.x, self.match[..., None], axis=1)


def check_settings(preset: PresetName, shape: Shape, points: Points = "preset") -> None:
    """Refuse sizes that a preset, or the choice of points, has no problems or no reading for.

    Raises
    ------
    TransportError
        If the preset, prompt or points are unknown, a size is too small, or they do not fit each other.
    """
    check_choice("points", points, POINTS)
    check_choice("preset", preset, PRESETS)
    check_choice("prompt", shape.prompt, PROMPTS)
    check_count("n", shape.n, at_least=2)
    check_count("dim", shape.dim)
    check_count("depth", shape.depth, at_least=2)
    settings = PRESETS[preset]
    if shape.prompt == "plain_notebook" and preset != "notebook":
        raise broken_rule("prompt", "engineered or plain, unless the preset is notebook", shape.prompt, "Use plain.")
    if settings.problems == "distinct" and points == "preset" and shape.dim == 1 and shape.n > GRID:
        raise broken_rule(
            "n",
            f"at most {GRID}, the distinct numbers of the notebook",
            str(shape.n),
            "Use preset paper, or points uniform.",
        )
    check_parts(settings, shape)
    if points == "interval" and shape.dim > 1:
        raise broken_rule("points", "preset or uniform for dim > 1", points, "Use uniform.")
    if settings.reading == "column" and shape.dim > 1:
        raise broken_rule("dim", "1 under preset preprint, which reads one column", str(shape.dim), "Use preset paper.")


def check_parts(settings: Preset, shape: Shape) -> None:
    """Refuse parts that there are not, or that a preset cannot do without.

    Raises
    ------
    TransportError
        If a part is unknown, named twice or needed, or the prompt is not the engineered one.
    """
    for part in shape.without:
        check_choice("without", part, PARTS)
    if len(set(shape.without)) < len(shape.without):
        raise broken_rule("without", "each part at most once", repr(shape.without), "Remove one.")
    if shape.without and shape.prompt != "engineered":
        raise broken_rule(
            "without", "empty unless the prompt is engineered", repr(shape.without), "Use prompt engineered."
        )
    if "output" in shape.without and settings.reading != "copy":
        raise broken_rule(
            "without", "no output under a preset that reads it", repr(shape.without), "Use preset notebook."
        )


def draw_problems(
    rng: np.random.Generator, preset: PresetName, *, batch: int, n: int, dim: int = 1, points: Points = "preset"
) -> Problems:
    """Return random problems with their exact solutions, in float64.

    With other `points` than the preset's x is uniform on [0, 1], or on an interval of its own in every problem (of a
    width in `WIDTHS`), beside the preset's y: numbers that in one dimension no preset trains on. Who answers with sorted
    x answers these too; who has learned to copy y does not, on intervals by far.

    For `dim` > 1, where no version of the experiment says more, both clouds are uniform on the unit cube.

    Examples
    --------
    >>> problems = draw_problems(np.random.default_rng(0), "paper", batch=1, n=4)
    >>> problems.target[0, :, 0].tolist()
    [0.25, 0.5, 0.75, 1.0]
    """
    if dim > 1:
        x, y = rng.random((2, batch, n, dim))
        cost = ((y[:, :, None] - x[:, None]) ** 2).sum(-1)
        match = np.stack([linear_sum_assignment(matrix)[1] for matrix in cost])
        return Problems(x, y, match)
    distinct = PRESETS[preset].problems == "distinct"
    y = np.arange(n) / n if distinct else np.arange(1, n + 1) / n
    if points == "uniform":
        x = rng.random((batch, n))
    elif points == "interval":
        width = rng.uniform(*WIDTHS, (batch, 1))
        x = rng.random((batch, 1)) * (1.0 - width) + width * rng.random((batch, n))
    elif distinct:
        x = rng.permuted(np.tile(np.arange(GRID), (batch, 1)), axis=1)[:, :n] / GRID
    else:
        x = rng.permuted(np.tile(np.arange(1, n + 1), (batch, 1)), axis=1) / n
    return Problems(x[..., None], np.tile(y[:, None], (batch, 1, 1)), np.argsort(x, axis=1))


def draw_prompt(
    rng: np.random.Generator,
    preset: PresetName,
    prompt: PromptName,
    problems: Problems,
    *,
    without: tuple[Part, ...] = (),
) -> Float[torch.Tensor, "batch token width"]:
    """Return the prompts of the problems in float64, with the preset's start of the memory columns.

    Of a learned prompt the places of what is learned are zero; `without` as in `Shape`.
    """
    x, y = torch.from_numpy(problems.x), torch.from_numpy(problems.y)
    if prompt == "learned":
        return room_for_learned(x, y)
    if prompt != "engineered":
        return plain_prompt(x, y)
    settings = PRESETS[preset]
    state = engineered_prompt(x, y, marginals=settings.marginals)
    if settings.memory == "random":
        batch, n, dim = problems.x.shape
        at = columns(dim)
        state[:, :n, at.src_memory] = torch.from_numpy(rng.standard_normal((batch, n)))
        state[:, :n, at.tgt_memory] = torch.from_numpy(rng.random((batch, n)))
    return without_parts(state, problems.x.shape[2], without)


def residual_layers(preset: PresetName, shape: Shape) -> int:
    """Return the number of layers on the residual stream."""
    return shape.depth - PRESETS[preset].depth_counts_reading


def draw_weights(rng: np.random.Generator, preset: PresetName, shape: Shape) -> Float[np.ndarray, "layer width part"]:
    """Return initial weights of one model, in float64; see the module's text for the axes."""
    settings, width = PRESETS[preset], shape.width
    reads = settings.reading != "column"
    n_layers = residual_layers(preset, shape) + reads
    spread = np.repeat(np.asarray(settings.spread), 2 * width) / np.sqrt(width)
    weights = rng.standard_normal((n_layers, width, 2 * HEADS * width)) * spread
    if reads:
        weights[-1, :, 2 * width :] = 0.0
    if settings.reading == "copy":
        weights[-1, :, width : 2 * width] = np.eye(width)
    return weights


def trainable(preset: PresetName, shape: Shape) -> Float[np.ndarray, "layer width part"]:
    """Return 1 where a weight is trained and 0 where it is fixed or unused."""
    settings, width = PRESETS[preset], shape.width
    reads = settings.reading != "column"
    mask = np.ones((residual_layers(preset, shape) + reads, width, 2 * HEADS * width))
    if reads:
        mask[-1, :, (width if settings.reading == "copy" else 2 * width) :] = 0.0
    return mask


def reading_column(preset: PresetName, shape: Shape) -> int:
    """Return the first of the `dim` columns that hold the answer after the last layer."""
    if PRESETS[preset].reading != "copy":
        return shape.width - shape.dim
    return shape.dim if shape.prompt == "plain_notebook" else 0


def hidden_points(shape: Shape) -> int:
    """Return how many of the last points the reading layer does not see."""
    return int(shape.prompt == "plain_notebook")
