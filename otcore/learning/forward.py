"""The same transformers in torch: every state, attention under the reading weights, and an engine for other devices.

Slower than the compiled kernel on a processor, but it runs wherever torch does, keeps what the figures need, and is
what the kernel's gradient is tested against. Axes: (seed, batch, token, width) for states, (seed, layer, width, part)
for weights, as in `presets`.
"""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcore.learning.engine import Batch, Evaluated
from otcore.learning.presets import HEADS

MAX_GROUPS = 40
"""Problems share weights in up to so many groups, whose gradients are added: one long sum occupies little of a GPU."""


def states(
    prompt: Float[Tensor, "seed batch token width"],
    weights: Float[Tensor, "seed layer width part"],
    *,
    reads: bool,
) -> Iterator[Float[Tensor, "seed batch token width"]]:
    """Yield Z_0 (the prompt), Z_1, ... of the residual layers, for every model.

    Parameters
    ----------
    prompt : float tensor, shape (seed, batch, token, width)
    weights : float tensor, shape (seed, layer, width, part)
        With V_j B_j in the place of V_j: `training.effective_weights`.
    reads : bool
        Whether the last layer is the reading layer, which is left out here.
    """
    batch = prompt.shape[1]
    groups = max(count for count in range(1, MAX_GROUPS + 1) if batch % count == 0)
    layers = _heads_side_by_side(weights[:, : weights.shape[1] - reads], groups)
    state = prompt
    yield state
    for scores, values in layers:
        state = _layer(state, scores, values)
        yield state


def _heads_side_by_side(weights: Tensor, groups: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield P_j beside each other and V_j below each other for every layer, for each group of problems of a model."""
    seed, layer, width = weights.shape[:3]
    parts = weights.reshape(seed, layer, width, HEADS, 2, width)
    scores = parts[..., 0, :].reshape(seed, layer, width, HEADS * width)
    values = parts[..., 1, :].transpose(2, 3).reshape(seed, layer, HEADS * width, width)

    def of_groups(part: Tensor) -> tuple[Tensor, ...]:
        each = part.transpose(0, 1)[:, :, None].expand(-1, -1, groups, -1, -1)
        return each.reshape(layer, seed * groups, *part.shape[2:]).unbind()

    yield from zip(of_groups(scores), of_groups(values), strict=True)


def _layer(state: Tensor, scores: Tensor, values: Tensor) -> Tensor:
    """Return Z + sum_j A_j Z V_j from four products and a softmax, none of which moves data to another order.

    The heads of a token are rows of one matrix for A_j = softmax(Z P_j Z^T) and A_j Z, and columns of one for the sum
    over heads, [A_1 Z, A_2 Z] [V_1; V_2]. On a GPU a step of small products costs as many launches as it has.
    """
    seed, batch, token, width = state.shape
    rows, keys = state.reshape(len(scores), -1, width), state.reshape(seed * batch, token, width)
    queries = torch.bmm(rows, scores).reshape(seed * batch, token * HEADS, width)
    attention = torch.softmax(queries @ keys.mT, dim=-1)
    mixed = (attention @ keys).reshape(len(scores), -1, HEADS * width)
    return torch.baddbmm(rows, mixed, values).reshape(state.shape)


def reading_attention(
    state: Float[Tensor, "seed batch token width"], score: Float[Tensor, "seed width width"], *, n: int, hidden: int = 0
) -> Float[Tensor, "seed batch n n"]:
    """Return softmax_rows(Z P Z^T) between the n points alone, the last `hidden` unseen: rows y, columns x (eq. 10)."""
    points = state[:, :, :n]
    scores = (points @ score[:, None]) @ points.mT
    if hidden:
        scores = scores.index_fill(-1, torch.arange(n - hidden, n, device=scores.device), -torch.inf)
    return torch.softmax(scores, dim=-1)


def answer(
    state: Float[Tensor, "seed batch token width"],
    weights: Float[Tensor, "seed layer width part"],
    *,
    reads: bool,
    n: int,
    dim: int,
    first_column: int,
    hidden: int = 0,
) -> Float[Tensor, "seed batch n dim"]:
    """Return the model's estimate of P* x from the last state of the residual stream."""
    columns = slice(first_column, first_column + dim)
    if not reads:
        return state[:, :, :n, columns]
    width = state.shape[-1]
    value = state[:, :, :n] @ weights[:, -1, :, width : 2 * width][:, None]
    attention = reading_attention(state, weights[:, -1, :, :width], n=n, hidden=hidden)
    return (attention @ value)[..., columns]


class TorchEngine:
    """Computes loss and gradient with torch's autograd on any device, from the same batches as `engine.Engine`.

    Parameters
    ----------
    reads : bool
        Whether the last layer is the reading layer.
    first_column : int
        Where the answer stands after the last layer.
    hidden : int
        Points, the last ones, that the reading layer does not attend to.
    device : str
        On ``cuda`` a step is captured once as a CUDA graph and then replayed: hundreds of small kernels, one launch.
    """

    def __init__(self, *, reads: bool, first_column: int, hidden: int = 0, device: str = "cpu"):
        self._reads = reads
        self._first_column = first_column
        self._hidden = hidden
        self._device = torch.device(device)
        self._batch: Batch | None = None
        self._inputs: list[Tensor] = []
        self._outputs: tuple[Tensor, Tensor, Tensor] | None = None
        self._graph: torch.cuda.CUDAGraph | None = None

    def evaluate(
        self,
        weights: Float[np.ndarray, "seed layer width part"],
        batch: Batch,
        *,
        alive: Int[np.ndarray, " living"] | None = None,
    ) -> Evaluated:
        """Return loss and gradient of every model; those not named in `alive` are left out (zero)."""
        self._load(weights, batch)
        if self._device.type == "cuda":
            loss, slope, by_prompt = self._replay()
        else:
            loss, slope, by_prompt = self._compute()
        dead = np.ones(len(weights), bool)
        dead[slice(None) if alive is None else alive] = False
        losses, gradient = loss.double().cpu().numpy(), slope.cpu().numpy()
        of_prompt = by_prompt.sum(1).mT.cpu().numpy()
        return Evaluated(
            np.where(dead, 0.0, losses),
            np.where(dead[:, None, None, None], 0, gradient),
            np.where(dead[:, None, None], 0, of_prompt),
        )

    def _load(self, weights: np.ndarray, batch: Batch) -> None:
        """Copy the weights, and the problems if they are new, to where the graph reads them."""
        new = [torch.from_numpy(weights)]
        if batch is not self._batch:
            new += [by_seed(part, len(weights)) for part in (batch.prompt, batch.target, batch.lane_weight)]
            self._batch = batch
        shapes = [old.shape for old in self._inputs[: len(new)]]
        if shapes == [tensor.shape for tensor in new]:
            for old, tensor in zip(self._inputs, new, strict=False):
                old.detach().copy_(tensor)
        else:
            self._inputs = [tensor.to(self._device, copy=True) for tensor in new]
            for tensor in self._inputs[:2]:
                tensor.requires_grad_()
            self._graph = None

    def _compute(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return the loss of every model and the gradients by weights and prompts, from the inputs in place."""
        weights, prompt, target, share = self._inputs
        *_, last = states(prompt, weights, reads=self._reads)
        n, dim = target.shape[2:]
        estimate = answer(
            last, weights, reads=self._reads, n=n, dim=dim, first_column=self._first_column, hidden=self._hidden
        )
        loss = (share[..., None, None] * (estimate - target).square()).sum((1, 2, 3))
        by_weights, by_prompt = torch.autograd.grad(loss.sum(), (weights, prompt))
        return loss.detach(), by_weights, by_prompt

    def _replay(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return what `_compute` returns, from the graph."""
        if self._graph is None:
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(3):  # libraries set themselves up at first use, which a graph must not hold
                    self._compute()
            torch.cuda.current_stream().wait_stream(side)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._outputs = self._compute()
        self._graph.replay()
        assert self._outputs is not None
        return self._outputs


def by_seed(values: np.ndarray, n_seeds: int) -> Tensor:
    """Return (block, ..., lane) as (seed, problem, ...), the other axes in reverse: tokens before columns."""
    lanes_first = torch.from_numpy(values).movedim(-1, 1)  # (block, lane, width, token)
    problems = lanes_first.permute(0, 1, *range(lanes_first.ndim - 1, 1, -1))
    return problems.reshape(n_seeds, -1, *problems.shape[2:])
