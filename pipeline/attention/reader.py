"""What every way of reading a pair shares: tokenised examples, batches as tensors, blocks out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.attention.capture import Pooled
from pipeline.attention.load import Translator
from pipeline.attention.store import PairBlocks
from pipeline.attention.word_map import UnmappableError
from pipeline.conventions import Side, View
from pipeline.corpus.pairs import SentencePair

COSTS = {
    "squared_of_means": "squared distance of mean-pooled word vectors",
    "mean_of_distances": "mean Euclidean distance, not squared, over the pairs of tokens of two words",
}
"""What the costs of a convention are, for manifests."""


@dataclass(frozen=True)
class Example:
    """One tokenised pair; `rows` are the id sequences that the model reads."""

    pair_id: int
    rows: dict[str, list[int]]
    src: Float[np.ndarray, "src_word src_token"]
    tgt: Float[np.ndarray, "tgt_word tgt_token"]
    special: list[bool]
    """Which of the tokens that are looked at are special."""

    @property
    def n_tokens(self) -> int:
        """Tokens in all of the rows that the model reads, once each."""
        return max(len(row) for row in self.rows.values())


@runtime_checkable
class Reader(Protocol):
    """Reads sentence pairs with one translator."""

    @property
    def views(self) -> tuple[View, ...]:
        """The ways to look, in the order of the blocks."""
        ...

    @property
    def conventions(self) -> dict[str, str]:
        """What a reader of the numbers must know."""
        ...

    def tokenise(self, pair: SentencePair) -> Example:
        """Return the pair as the model reads it; raise `UnmappableError` where that cannot be."""
        ...

    def read(self, examples: Sequence[Example]) -> list[PairBlocks]:
        """Return the blocks of a batch of pairs."""
        ...


def check_length(translator: Translator, n_tokens: int, text: str) -> None:
    """Raise if a sequence is longer than the model takes: nothing is ever cut.

    Raises
    ------
    UnmappableError
        `too_long`.
    """
    if n_tokens > translator.max_tokens:
        message = (
            f"text: the model takes at most {translator.max_tokens} tokens, got {n_tokens} for {text!r}; "
            "the pair is left out and counted"
        )
        raise UnmappableError("too_long", message)


def pad_ids(rows: Sequence[Sequence[int]], value: int, device: torch.device) -> Tensor:
    """Return the rows as one int64 tensor, shape (batch, length), filled up with `value`."""
    out = torch.full((len(rows), max(len(row) for row in rows)), value, dtype=torch.long)
    for row, ids in enumerate(rows):
        out[row, : len(ids)] = torch.tensor(ids)
    return _to(out, device)


def pad_matrices(
    matrices: Sequence[np.ndarray], translator: Translator, *, columns: int | None = None
) -> Float[Tensor, "batch row column"]:
    """Return the matrices as one tensor filled up with zeros, in at least float32 on the model's device."""
    shape = (max(m.shape[0] for m in matrices), columns or max(m.shape[1] for m in matrices))
    dtype = torch.promote_types(translator.model.dtype, torch.float32)
    out = torch.zeros((len(matrices), *shape), dtype=dtype)
    for row, matrix in enumerate(matrices):
        out[row, : matrix.shape[0], : matrix.shape[1]] = torch.from_numpy(matrix)
    return _to(out, translator.device)


def _to(tensor: Tensor, device: torch.device) -> Tensor:
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def word_distances(
    src: Sequence[Float[Tensor, "batch src_token dim"]],
    tgt: Sequence[Float[Tensor, "batch tgt_token dim"]],
    src_mean: Float[Tensor, "batch src src_token"],
    tgt_mean: Float[Tensor, "batch tgt tgt_token"],
) -> tuple[Float[Tensor, "batch level src tgt"], Float[Tensor, "batch level src tgt"]]:
    """Return squared Euclidean distances of words (eq. 1) and cosines after centring each side on its own mean.

    Entries of padding words in the result mean nothing.

    Parameters
    ----------
    src, tgt : sequence of float tensor, shape (batch, token, dim)
        States of the tokens, one a level.
    src_mean, tgt_mean : float tensor, shape (batch, word, token)
        Weights of the tokens of each word; rows sum to 1, padding rows to 0.
    """
    rows = (*_centred(src_mean), *_centred(tgt_mean))
    levels = [_distances(_points(own, other, *rows), src_mean.shape[1]) for own, other in zip(src, tgt, strict=True)]
    return torch.stack([cost for cost, _ in levels], dim=1), torch.stack([cosine for _, cosine in levels], dim=1)


def _centred(weights: Float[Tensor, "batch word token"]) -> tuple[Tensor, Tensor]:
    """Return the rows less their mean, and the mean: to centre these is to centre the words, and they are few."""
    n_words = (weights != 0).any(2).sum(1)
    mean = weights.sum(1, keepdim=True) / n_words[:, None, None]
    return weights - mean, mean


def _points(own: Tensor, other: Tensor, src: Tensor, src_mean: Tensor, tgt: Tensor, tgt_mean: Tensor) -> Tensor:
    """Return centred source words, centred target words and the way between their means, (batch, point, dim)."""
    if own is other:  # one sequence: read once
        return torch.cat([src, tgt, tgt_mean - src_mean], dim=1) @ own.to(src.dtype)
    own, other = own.to(src.dtype), other.to(src.dtype)
    return torch.cat([src @ own, tgt @ other, tgt_mean @ other - src_mean @ own], dim=1)


def _distances(points: Float[Tensor, "batch point dim"], n: int) -> tuple[Tensor, Tensor]:
    """Return squared distances and cosines, the first `n` points being the source's.

    With the way `m` between the means apart, the expanded square |s - t - m|^2 loses no digits.
    """
    products = points @ points.transpose(1, 2)
    src, tgt, way = slice(0, n), slice(n, -1), slice(-1, None)
    square = products.diagonal(dim1=1, dim2=2).clone()
    length = square.sqrt().clamp_min(1e-12)
    between = products[:, src, tgt]
    cosine = between / length[:, src, None] / length[:, None, tgt]
    src_part = square[:, src, None] - 2 * products[:, src, way]
    tgt_part = square[:, None, tgt] + 2 * products[:, way, tgt] + square[:, way, None]
    return (src_part + tgt_part - 2 * between).clamp_min(0), cosine


def token_distances(
    src: Sequence[Float[Tensor, "batch src_token dim"]],
    tgt: Sequence[Float[Tensor, "batch tgt_token dim"]],
    src_mean: Float[Tensor, "batch src src_token"],
    tgt_mean: Float[Tensor, "batch tgt tgt_token"],
) -> Float[Tensor, "batch level src tgt"]:
    """Return the mean Euclidean distance, not squared, over the pairs of tokens of two words.

    This is the cost of the paper's notebook.

    Parameters
    ----------
    src, tgt : sequence of float tensor, shape (batch, token, dim)
        States of the tokens, one a level.
    src_mean, tgt_mean : float tensor, shape (batch, word, token)
        Weights of the tokens of each word; rows sum to 1, padding rows to 0.
    """
    levels = []
    for src_states, tgt_states in zip(src, tgt, strict=True):
        own, other = (states.to(src_mean.dtype) for states in (src_states, tgt_states))
        distances = torch.cdist(own, other, compute_mode="donot_use_mm_for_euclid_dist")
        levels.append(src_mean @ distances @ tgt_mean.transpose(1, 2))
    return torch.stack(levels, dim=1)


@dataclass(frozen=True)
class ViewBlocks:
    """One view of a batch: all layers, axes as in `PairBlocks`, and whose words are queries."""

    block: Float[Tensor, "batch layer tgt src"]
    special: Float[Tensor, "batch layer query"]
    query_side: Side

    @classmethod
    def of(cls, pooled: Sequence[Sequence[Pooled]], view: int, query_side: Side) -> "ViewBlocks":
        """Return the view from what a capture returned, `[layer][view]`."""
        block = torch.stack([layer[view].block for layer in pooled], dim=1)
        special = torch.stack([layer[view].special for layer in pooled], dim=1)
        return cls(block if query_side == "tgt" else block.transpose(-1, -2), special, query_side)


def unpack(
    examples: Sequence[Example],
    views: Sequence[ViewBlocks],
    distances: tuple[Float[Tensor, "batch level src tgt"], Float[Tensor, "batch level src tgt"]],
) -> list[PairBlocks]:
    """Return one `PairBlocks` a pair, padding removed; only word-level arrays leave the device."""
    attention = torch.stack([view.block for view in views], dim=1).cpu().numpy()
    special = [view.special.sum(-1).cpu().numpy() for view in views]
    cost, cosine = (array.cpu().numpy() for array in distances)
    blocks = []
    for row, example in enumerate(examples):
        n_src, n_tgt = len(example.src), len(example.tgt)
        n_queries = [n_tgt if view.query_side == "tgt" else n_src for view in views]
        blocks.append(
            PairBlocks(
                pair_id=example.pair_id,
                attention=attention[row, :, :, :n_tgt, :n_src],
                cost=cost[row, :, :n_src, :n_tgt],
                cosine=cosine[row, :, :n_src, :n_tgt],
                special=np.stack([mass[row] / n for mass, n in zip(special, n_queries, strict=True)]),
                src_pieces=example.src.sum(1),
                tgt_pieces=example.tgt.sum(1),
            )
        )
    return blocks
