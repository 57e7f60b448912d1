"""A transformer with softmax attention and a residual stream (eq. 7), able to show its attention.

One layer is    Z <- Z + sum_j softmax_rows( Z P_j Z^T ) Z V_j B_j,    B_j = step * I,

then, if asked for, a feed-forward sublayer Z <- Z + relu(Z W). Axis order everywhere: ``(batch, head,
query, key)`` for attention, ``(layers, head, width, width)`` for weights, where ``layers`` is the depth, or
1 when all layers share one set (which is then not copied). Layers count from 1: the attention of layer 1 is
computed from the prompt Z_0.

**The memory row.** As published, the last row of the engineered prompt is updated like any other
(``memory_row="free"``). Its memory then leaks into every row's softmax from the second layer on, and
Theorem 3.1 no longer holds exactly. With ``memory_row="frozen"`` that row keeps its prompt, and each layer
is gradient descent to rounding. A plain prompt has no memory row: use ``"free"``.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from otcore._checks import broken_rule, check_choice, check_count
from otcore._doors import takes_arrays
from otcore.construction import ConstructedWeights
from otcore.terms import Array

MemoryRow = Literal["frozen", "free"]
MEMORY_ROWS: tuple[MemoryRow, ...] = ("frozen", "free")


Norm = Literal["none", "before", "after"]
NORMS: tuple[Norm, ...] = ("none", "before", "after")


@dataclass(frozen=True)
class Habits:
    """What usual transformers do and the paper's do not.

    Attributes
    ----------
    norm : {"none", "before", "after"}
        Layer normalisation (mean 0 and variance 1 over the columns of a token, 1e-5 added to the variance): of what heads read, or of
        the stream after each layer. A frozen memory row keeps its prompt, but is read as the others are.
    causal : bool
        Whether a token attends only to those that are not after it, and to the last one, the memory row, which would stand first.
    """

    norm: Norm = "none"
    causal: bool = False

    def __post_init__(self) -> None:
        check_choice("norm", self.norm, NORMS)


PLAIN = Habits()


class Layer(NamedTuple):
    """What one layer did.

    Attributes
    ----------
    number : int
        Counts from 1.
    before : float tensor, shape (batch, token, width)
        Z_{number-1}, what the layer read.
    attention : float tensor, shape (batch, head, query, key)
        softmax_rows(before P_j before^T), each row summing to 1.
    state : float tensor, shape (batch, token, width)
        Z_number.
    """

    number: int
    before: Float[Tensor, "batch token width"]
    attention: Float[Tensor, "batch head query key"]
    state: Float[Tensor, "batch token width"]


class Output(NamedTuple):
    """The last state, and the layers that were asked for.

    Attributes
    ----------
    state : float tensor, shape (batch, token, width)
        Z_depth.
    layers : dict from number (from 1) to Layer
    """

    state: Float[Tensor, "batch token width"]
    layers: dict[int, Layer]

    @property
    def attention(self) -> dict[int, Array]:
        """The attention of the layers that were asked for, by number."""
        return {number: layer.attention for number, layer in self.layers.items()}


@takes_arrays(state="batch token width", score="head width width", masks={"real": "batch token"})
def softmax_attention(
    state: Float[Tensor, "batch token width"],
    score: Float[Tensor, "head width width"],
    *,
    real: Bool[Tensor, "batch token"] | None = None,
) -> Float[Tensor, "batch head token token"]:
    """Return softmax_rows(Z P_j Z^T) for every head j; axes (batch, head, query, key).

    Parameters
    ----------
    state : float tensor, shape (batch, token, width)
    score : float tensor, shape (head, width, width)
        P_j, the product of query and key weights; no further scaling.
    real : bool tensor, shape (batch, token), optional
        False where a token is padding: no query attends to it.

    Notes
    -----
    torch subtracts the largest score of each row first, so no exponential overflows however small `reg` is.

    Examples
    --------
    >>> state = torch.eye(2, dtype=torch.float64)[None]
    >>> softmax_attention(state, torch.zeros(1, 2, 2, dtype=torch.float64)).tolist()
    [[[[0.5, 0.5], [0.5, 0.5]]]]
    """
    return _softmax_attention(state, score, real)


def _softmax_attention(
    state: Float[Tensor, "batch token width"],
    score: Float[Tensor, "head width width"],
    real: Bool[Tensor, "batch token"] | None,
    *,
    causal: bool = False,
) -> Float[Tensor, "batch head token token"]:
    """Return `softmax_attention` of checked arguments; `causal` as in `Habits`."""
    scores = (state[:, None] @ score) @ state[:, None].mT  # (b,1,t,w) @ (h,w,w) @ (b,1,w,t) -> (b,h,t,t)
    if causal:
        later = torch.ones_like(scores[0, 0], dtype=torch.bool).triu(1)
        later[:, -1] = False
        scores = scores.masked_fill(later, torch.finfo(scores.dtype).min)
    if real is not None:
        scores = scores.masked_fill(~real[:, None, None, :], torch.finfo(scores.dtype).min)
    return torch.softmax(scores, dim=-1)


class TransportTransformer(nn.Module):
    """Softmax attention layers on a residual stream, with any weights.

    Parameters
    ----------
    score, value : float tensor, shape (layers, head, width, width)
        P_j and V_j; `layers` is 1 (shared by all layers) or `depth`.
    depth : int
        Number of layers.
    steps : float tensor, shape (1 or depth,), optional
        B_j = steps[layer] * I, signed; 1 by default. Not trained.
    memory_row : {"frozen", "free"}
        Whether the last token keeps its prompt; see the module's text.
    feed_forward : float tensor, shape (1 or depth, width, width), optional
        W of a further sublayer Z + relu(Z W).
    habits : Habits
        Layer normalisation and a causal mask, which the paper's layers do not have.

    Raises
    ------
    TransportError
        If `depth` is below 1, `memory_row` is unknown, or a weight has neither 1 nor `depth` layers.

    References
    ----------
    Daneshmand, AISTATS 2026, eq. (7).

    Examples
    --------
    >>> from otcore import constructed_weights, engineered_prompt
    >>> x = torch.tensor([[[0.5], [0.0]]], dtype=torch.float64)
    >>> y = torch.tensor([[[0.0], [0.5]]], dtype=torch.float64)
    >>> weights = constructed_weights(1, reg=0.05, step_size=0.1)
    >>> model = TransportTransformer.constructed(weights, depth=50)
    >>> output = model(engineered_prompt(x, y), record={1, 50})
    >>> output.attention[50].shape                        # two heads; two points and the memory row
    torch.Size([1, 2, 3, 3])
    >>> read_plan(output.state, weights.score[0])[0, 0].round(decimals=3).tolist()   # x_0 goes to y_1
    [[0.007, 0.993], [0.993, 0.007]]
    """

    steps: Tensor

    def __init__(
        self,
        score: Float[Tensor, "score_layers head width width"],
        value: Float[Tensor, "value_layers head width width"],
        *,
        depth: int,
        steps: Float[Tensor, " step_layers"] | None = None,
        memory_row: MemoryRow = "frozen",
        feed_forward: Float[Tensor, "ff_layers width width"] | None = None,
        habits: Habits = PLAIN,
    ) -> None:
        super().__init__()
        check_count("depth", depth)
        check_choice("memory_row", memory_row, MEMORY_ROWS)
        steps = score.new_ones(1) if steps is None else steps
        weights = {"score": score, "value": value, "steps": steps}
        if feed_forward is not None:
            weights["feed_forward"] = feed_forward
        for name, weight in weights.items():
            _check_layers(name, weight, depth)
        self.depth = depth
        self.memory_row = memory_row
        self.habits = habits
        self.score = nn.Parameter(score)
        self.value = nn.Parameter(value)
        self.feed_forward = None if feed_forward is None else nn.Parameter(feed_forward)
        self.register_buffer("steps", steps)

    @classmethod
    def constructed(
        cls, weights: ConstructedWeights, *, depth: int, memory_row: MemoryRow = "frozen", habits: Habits = PLAIN
    ) -> "TransportTransformer":
        """Return the transformer of Theorem 3.1: Table 2's weights in every layer, not trainable."""
        model = cls(
            weights.score, weights.value, depth=depth, steps=weights.steps, memory_row=memory_row, habits=habits
        )
        return model.requires_grad_(False)

    @takes_arrays(prompt="batch token width", masks={"real": "batch n"})
    def layers(
        self, prompt: Float[Tensor, "batch token width"], *, real: Bool[Tensor, "batch n"] | None = None
    ) -> Iterator[Layer]:
        """Yield each layer in turn; nothing is kept, so any depth fits in the memory of one layer.

        Parameters
        ----------
        prompt : float tensor, shape (batch, token, width)
            Z_0, from `prompt.engineered_prompt` or `prompt.plain_prompt`.
        real : bool tensor, shape (batch, n), optional
            The mask that made the prompt: False at padding points. The memory row, if any, is added here.

        Raises
        ------
        TransportError
            If the prompt is not a finite (batch, token, width) tensor of the weights' width.
        """
        return self._layers(prompt, real)

    def _layers(
        self, prompt: Float[Tensor, "batch token width"], real: Bool[Tensor, "batch n"] | None
    ) -> Iterator[Layer]:
        """Yield each layer of a checked prompt."""
        self._check_width(prompt)
        tokens = _real_tokens(real, prompt)
        moves = self._moving_tokens(tokens, prompt)
        state = prompt
        for number, (score, value, feed_forward) in enumerate(self._weights(), start=1):
            read = _normed(state) if self.habits.norm == "before" else state
            attention = _softmax_attention(read, score, tokens, causal=self.habits.causal)
            moved = read[:, None] @ value  # (b,1,t,w) @ (h,w,w) -> (b,h,t,w)
            update = (attention @ moved).sum(1)  # (b,h,t,t) @ (b,h,t,w), heads added -> (b,t,w)
            before, state = state, state + _masked(update, moves)
            if feed_forward is not None:
                state = state + _masked(torch.relu(state @ feed_forward), moves)
            if self.habits.norm == "after":
                state = state + _masked(_normed(state) - state, moves)
            yield Layer(number, before, attention, state)

    @takes_arrays(prompt="batch token width", masks={"real": "batch n"})
    def forward(
        self,
        prompt: Float[Tensor, "batch token width"],
        *,
        real: Bool[Tensor, "batch n"] | None = None,
        record: Collection[int] = (),
    ) -> Output:
        """Return the last state and the layers in `record` (numbers from 1); no other layer is kept.

        Raises
        ------
        TransportError
            If a layer of `record` is not in 1..depth, or the prompt does not fit; see `layers`.
        """
        for number in record:
            if not 1 <= number <= self.depth:
                raise broken_rule("record", f"layers from 1 to {self.depth}", repr(number), "Layers count from 1.")
        recorded = {}
        state = prompt
        for layer in self._layers(prompt, real):
            state = layer.state
            if layer.number in record:
                recorded[layer.number] = layer
        return Output(state, recorded)

    def _weights(self) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        """Yield P_j, V_j B_j and W of each layer; those shared by all layers are the same tensors every time."""
        value = self.value * self.steps[:, None, None, None]
        parts = [self.score, value] if self.feed_forward is None else [self.score, value, self.feed_forward]
        layers = [part.unbind(0) * (1 if len(part) == self.depth else self.depth) for part in parts]
        return zip(layers[0], layers[1], layers[2] if len(layers) > 2 else [None] * self.depth, strict=True)

    def _moving_tokens(self, tokens: Tensor | None, prompt: Tensor) -> Tensor | None:
        """Return 1 for tokens that are updated and 0 for others, shape (batch, token, 1), or None for all."""
        if self.memory_row == "free" and tokens is None:
            return None
        moves = torch.ones_like(prompt[..., :1])
        if tokens is not None:
            moves = moves * tokens[..., None]
        if self.memory_row == "frozen":
            moves[:, -1] = 0.0
        return moves

    def _check_width(self, prompt: Tensor) -> None:
        """Refuse a prompt that these weights cannot read."""
        width = self.score.shape[-1]
        if prompt.shape[-1] != width:
            raise broken_rule(
                "prompt",
                f"of width {width}, the weights' own (2*dim+9 engineered, 2*dim+1 plain)",
                f"width {prompt.shape[-1]}",
                "Build weights and prompt for the same dim.",
            )


@takes_arrays(state="batch token width", score="head width width", masks={"real": "batch n"})
def read_plan(
    state: Float[Tensor, "batch token width"],
    score: Float[Tensor, "head width width"],
    *,
    memory_row: bool = True,
    real: Bool[Tensor, "batch n"] | None = None,
) -> Float[Tensor, "batch head n n"]:
    """Return attention among the points alone, each row summing to 1: the transformer's estimate of P* / m.

    Head 0 has rows x and columns y; head 1 rows y and columns x. Leaving out the memory row before the softmax
    divides each row by its own sum, which is why Theorem 3.2 survives a drifting memory row. (Cropping attention
    after the softmax would give 0/0 where the memory row has taken all of a row's mass.)

    Parameters
    ----------
    state : float tensor, shape (batch, token, width)
        `Layer.before` for the plan that a layer sees, `Output.state` for the last one.
    score : float tensor, shape (head, width, width)
        P_j of the layer that reads.
    memory_row : bool
        Whether the last token is a memory row, to be left out (engineered prompts).
    real : bool tensor, shape (batch, n), optional
        False at padding points: their columns are 0.

    References
    ----------
    Daneshmand, AISTATS 2026, Theorem 3.2.

    Examples
    --------
    >>> state = torch.eye(3, dtype=torch.float64)[None]
    >>> read_plan(state, torch.zeros(1, 3, 3, dtype=torch.float64)).tolist()
    [[[[0.5, 0.5], [0.5, 0.5]]]]
    """
    return _softmax_attention(state[:, :-1] if memory_row else state, score, real)


def _normed(state: Tensor) -> Tensor:
    """Return every token with mean 0 and variance 1 over its columns."""
    return torch.nn.functional.layer_norm(state, state.shape[-1:])


def _masked(update: Tensor, moves: Tensor | None) -> Tensor:
    """Return the update with the rows that stay where they are set to zero."""
    return update if moves is None else update * moves


def _real_tokens(real: Tensor | None, prompt: Tensor) -> Tensor | None:
    """Return the mask over tokens: that of the points, and True for a memory row where the prompt has one."""
    if real is None:
        return None
    n_more = prompt.shape[1] - real.shape[1]
    if real.shape[0] != prompt.shape[0] or n_more not in (0, 1):
        raise broken_rule(
            "real",
            f"of shape (batch, n) = ({prompt.shape[0]}, {prompt.shape[1] - 1})",
            f"shape {tuple(real.shape)}",
            "Pass the mask that made the prompt.",
        )
    return torch.cat([real, torch.ones_like(real[:, :1]).expand(-1, n_more)], dim=1)


def _check_layers(name: str, weight: Tensor, depth: int) -> None:
    """Refuse weights with neither one set for all layers nor one a layer."""
    if weight.shape[0] not in (1, depth):
        raise broken_rule(
            name,
            f"given for 1 layer (shared) or for {depth}, the depth",
            f"{weight.shape[0]} layers",
            "Pass one set, or one a layer.",
        )
