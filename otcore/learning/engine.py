"""Loss and gradient of many models at once: packing problems into blocks for the compiled kernel, threads, adding up."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from otcore._checks import broken_rule
from otcore.learning.kernel import LANES, Size, run_blocks
from otcore.learning.presets import HEADS


class Evaluated(NamedTuple):
    """Loss and gradient of every model.

    Attributes
    ----------
    loss : float64 array, shape (seed,)
        Mean squared error over problems, points and dimensions.
    gradient : float array, shape (seed, layer, width, part)
        Of the loss by the weights, in the dtype of the batch.
    by_prompt : float array, shape (seed, width, token)
        Of the loss by the prompt, summed over problems: what a learned prompt descends.
    """

    loss: Float[np.ndarray, " seed"]
    gradient: Float[np.ndarray, "seed layer width part"]
    by_prompt: Float[np.ndarray, "seed width token"]


@dataclass(frozen=True)
class Batch:
    """Problems of all models, packed for the kernel: a block holds `LANES` problems of one model.

    Attributes
    ----------
    prompt : float array, shape (block, width, token, lane)
    target : float array, shape (block, dim, n, lane)
    lane_weight : float array, shape (block, lane)
        Share of a problem's squared error in the loss of its model; 0 where a lane is empty.
    seed : int array, shape (block,)
        Which model a block belongs to; ascending.
    """

    prompt: Float[np.ndarray, "block width token lane"]
    target: Float[np.ndarray, "block dim n lane"]
    lane_weight: Float[np.ndarray, "block lane"]
    seed: Int[np.ndarray, " block"]


def pack(
    prompts: Sequence[Float[torch.Tensor, "batch token width"]],
    targets: Sequence[Float[np.ndarray, "batch n dim"]],
    *,
    dtype: np.dtype | type = np.float32,
) -> Batch:
    """Return the problems of every model as one batch.

    Parameters
    ----------
    prompts, targets : one array a model
        From `presets.draw_prompt` and `Problems.target`; as many problems for each model.
    dtype : float32 or float64
        What the kernel computes in.
    """
    n_problems, n, dim = targets[0].shape
    weight = np.full(n_problems, 1.0 / (n_problems * n * dim))
    per_seed = -(-n_problems // LANES)
    return Batch(
        prompt=np.concatenate([_in_lanes(prompt.numpy(), dtype) for prompt in prompts]),
        target=np.concatenate([_in_lanes(target, dtype) for target in targets]),
        lane_weight=np.concatenate([_in_lanes(weight, dtype) for _ in targets]),
        seed=np.repeat(np.arange(len(targets)), per_seed),
    )


def _in_lanes(values: np.ndarray, dtype: np.dtype | type) -> np.ndarray:
    """Return (problem, token, width) as (block, width, token, lane), empty lanes filled with zeros."""
    n_blocks = -(-len(values) // LANES)
    padded = np.zeros((n_blocks * LANES, *values.shape[1:]), dtype)
    padded[: len(values)] = values
    lanes = padded.reshape(n_blocks, LANES, *values.shape[1:])
    return np.ascontiguousarray(np.transpose(lanes, (0, *range(lanes.ndim - 1, 0, -1))))


class Engine:
    """Computes loss and gradient on the processor, with the same bytes for any number of threads.

    Parameters
    ----------
    width, tokens : int
        Columns and rows of the prompt.
    reads : bool
        Whether the last layer is the reading layer, which attends to the first `n` tokens only.
    first_column : int
        Where the answer stands after the last layer.
    hidden : int
        Points, the last ones, that the reading layer does not attend to either.
    threads : int, optional
        All processors by default.
    """

    def __init__(
        self, *, width: int, tokens: int, reads: bool, first_column: int, hidden: int = 0, threads: int | None = None
    ):
        self._size = Size.of(width, tokens)
        self._reads = reads
        self._first_column = first_column
        self._hidden = hidden
        self._threads = threads or os.cpu_count() or 1
        self._pool = ThreadPoolExecutor(self._threads)

    def evaluate(
        self,
        weights: Float[np.ndarray, "seed layer width part"],
        batch: Batch,
        *,
        alive: Int[np.ndarray, " living"] | None = None,
    ) -> Evaluated:
        """Return loss and gradient of every model; those not named in `alive` are left out (zero).

        Raises
        ------
        TransportError
            If weights and batch differ in dtype or width.
        """
        self._check(weights, batch)
        n_blocks, n_keys = len(batch.seed), batch.target.shape[2] - self._hidden
        loss = np.zeros(batch.lane_weight.shape, batch.prompt.dtype)
        shares = np.zeros((n_blocks, *weights.shape[1:]), batch.prompt.dtype)
        by_prompt = np.zeros(batch.prompt.shape[:3], batch.prompt.dtype)
        wanted = np.arange(len(weights)) if alive is None else alive
        blocks = np.flatnonzero(np.isin(batch.seed, wanted))

        def run(part: np.ndarray) -> None:
            run_blocks(
                part, batch.prompt, batch.target, batch.lane_weight, batch.seed, weights,
                HEADS, self._reads, n_keys, self._first_column, loss, shares, by_prompt, self._size,
            )  # fmt: skip

        # More parts than threads: a processor that others use as well takes fewer of them.
        list(self._pool.map(run, np.array_split(blocks, 4 * self._threads)))
        per_block = (loss.sum(1, dtype=np.float64), shares, by_prompt)
        return Evaluated(*(_added(part, len(weights)) for part in per_block))

    def _check(self, weights: np.ndarray, batch: Batch) -> None:
        """Refuse what the kernel would read out of bounds."""
        n_parts = 2 * HEADS * len(self._size.width)
        expected = (len(self._size.width), n_parts)
        tokens = batch.prompt.shape[1:3]
        if weights.shape[2:] != expected or tokens != (len(self._size.width), len(self._size.tokens)):
            raise broken_rule(
                "weights and batch",
                f"of width {expected[0]}, {n_parts} parts and {len(self._size.tokens)} tokens",
                f"weights {weights.shape}, prompt {batch.prompt.shape}",
                "Draw both for one Shape.",
            )
        if weights.dtype != batch.prompt.dtype or len(weights) != batch.seed[-1] + 1:
            raise broken_rule(
                "weights and batch",
                "of one dtype, for as many models",
                f"{weights.dtype} for {len(weights)} and {batch.prompt.dtype} for {batch.seed[-1] + 1}",
                "Pack the batch with the dtype of the weights.",
            )


def _added(shares: np.ndarray, n_seeds: int) -> np.ndarray:
    """Return the sum over the blocks of each model, added in the order of the blocks."""
    return shares.reshape(n_seeds, -1, *shares.shape[1:]).sum(1)
