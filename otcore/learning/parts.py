"""The engineered prompt taken apart: which columns and rows a part has, prompts without some, prompts that are learned.

A part that is left out is not zeroed but gone: the model has no column (or row) in its place. Without all parts the
engineered prompt is the plain one. In a *learned* prompt the engineered columns that do not hold x or y, and the memory
row, hold numbers that are trained with the weights, the same for all points and problems.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float

from otcore.prompt import columns

Part = Literal["src_norm", "tgt_norm", "one_1", "one_2", "one_3", "one_4", "memory", "row", "output"]
PARTS: tuple[Part, ...] = ("src_norm", "tgt_norm", "one_1", "one_2", "one_3", "one_4", "memory", "row", "output")
"""|x|^2, |y|^2, the four columns of ones, both memory columns, the memory row, the output column."""
LEARNED_ROWS = 2
"""Of the learned numbers: what every point's row holds, and one more row."""


def dropped_columns(dim: int, without: Sequence[Part]) -> list[int]:
    """Return the columns of the engineered prompt that go with the parts.

    Examples
    --------
    >>> dropped_columns(1, ["src_norm", "one_4", "memory", "row"])
    [2, 7, 8, 9]
    """
    at = columns(dim)
    of: dict[Part, list[int]] = {
        "src_norm": [at.src_norm],
        "tgt_norm": [at.tgt_norm],
        **{PARTS[2 + k]: [at.ones.start + k] for k in range(4)},
        "memory": [at.src_memory, at.tgt_memory],
        "row": [],
        "output": [at.output],
    }
    return sorted(column for part in without for column in of[part])


def without_parts(
    prompt: Float[torch.Tensor, "batch token width"], dim: int, without: Sequence[Part]
) -> Float[torch.Tensor, "batch tokens_left width_left"]:
    """Return an engineered prompt without some of its parts.

    Examples
    --------
    >>> from otcore import engineered_prompt, plain_prompt
    >>> x, y = torch.rand(2, 1, 3, 2, dtype=torch.float64)
    >>> bare = without_parts(engineered_prompt(x, y), 2, PARTS[:-1])
    >>> torch.equal(bare, plain_prompt(x, y))
    True
    """
    gone = set(dropped_columns(dim, without))
    left = [column for column in range(prompt.shape[-1]) if column not in gone]
    rows = prompt.shape[1] - ("row" in without)
    return prompt[:, :rows, left]


def learned_start(rng: np.random.Generator, dim: int) -> Float[np.ndarray, "row width"]:
    """Return the start of a learned prompt: standard normal, but for x and y, which stay the problem's own (0 here)."""
    return rng.standard_normal((LEARNED_ROWS, columns(dim).width)) * learnable(dim)


def learnable(dim: int) -> Float[np.ndarray, "row width"]:
    """Return 1 where a number of a learned prompt is trained: all of its row, of a point's row all but x and y."""
    mask = np.ones((LEARNED_ROWS, columns(dim).width))
    mask[0, : 2 * dim] = 0.0
    return mask


def room_for_learned(
    x: Float[torch.Tensor, "batch n dim"], y: Float[torch.Tensor, "batch n dim"]
) -> Float[torch.Tensor, "batch token width"]:
    """Return [x, y, 0, ...] and a row of zeros: what `add_learned` completes."""
    batch, n, dim = x.shape
    prompt = x.new_zeros(batch, n + 1, columns(dim).width)
    prompt[:, :n] = torch.nn.functional.pad(torch.cat([x, y], -1), (0, columns(dim).width - 2 * dim))
    return prompt


def add_learned(
    prompt: Float[np.ndarray, "block width token lane"], learned: Float[np.ndarray, "block row width"]
) -> Float[np.ndarray, "block width token lane"]:
    """Return packed prompts with the learned numbers of each block's model: on every point, and in the last row."""
    filled = prompt.copy()
    filled[:, :, :-1] += learned[:, 0, :, None, None]
    filled[:, :, -1] = learned[:, 1, :, None]
    return filled


def learned_gradient(gradient: Float[np.ndarray, "seed width token"]) -> Float[np.ndarray, "seed row width"]:
    """Return the gradient by the learned numbers from the one by a prompt, summed over problems."""
    return np.stack([gradient[:, :, :-1].sum(2), gradient[:, :, -1]], axis=1)
