"""What every way of reading a pair shares: tokenised examples, batches as tensors, blocks out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from pipeline.attention.capture import Pooled
from pipeline.attention.checks import check_finite
from pipeline.attention.load import Translator
from pipeline.attention.states import Distances
from pipeline.attention.store import PairBlocks
from pipeline.attention.word_map import UnmappableError
from pipeline.conventions import STATES, Side, View
from pipeline.corpus.pairs import SentencePair


@dataclass(frozen=True)
class Example:
    """One tokenised pair; `rows` are the id sequences that the model reads."""

    pair_id: int
    rows: dict[str, list[int]]
    src: Float[np.ndarray, "src_word src_token"]
    tgt: Float[np.ndarray, "tgt_word tgt_token"]
    special: list[bool]
    """Which of the tokens that are looked at are special."""
    alone: dict[Side, Float[np.ndarray, "_word _token"]]
    """Words of a side in the tokens that it has when it is read by itself, where that is asked for."""

    @property
    def n_tokens(self) -> int:
        """Tokens in all of the rows that the model reads, once each."""
        return max(len(row) for row in self.rows.values())


@dataclass(frozen=True)
class Asked:
    """What is read of a pair besides head means.

    Attributes
    ----------
    states : tuple of str
        Kinds of word vectors; those that a reader does not have are passed over.
    norms : bool
        Whether norm-weighted attention is read too.
    """

    states: tuple[str, ...] = tuple(dict.fromkeys(kind for kinds in STATES.values() for kind in kinds))
    norms: bool = False


DEFAULT = Asked()


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

    def read(self, examples: Sequence[Example], *, heads: bool = False) -> list[PairBlocks]:
        """Return the blocks of a batch of pairs, with every head's own if asked."""
        ...


def check_length(translator: Translator, n_tokens: int, text: str) -> None:
    """Raise if a sequence is longer than the model takes: nothing is ever cut.

    Raises
    ------
    UnmappableError
        `too_long`.
    """
    if n_tokens > translator.max_tokens:
        limits = ", ".join(f"{n} by its {what}" for what, n in translator.limits.items() if n < n_tokens)
        message = (
            f"text: the model takes at most {translator.max_tokens} tokens ({limits}), got {n_tokens} for {text!r}; "
            "the pair is left out and counted"
        )
        raise UnmappableError("too_long", message)


def pad_ids(rows: Sequence[Sequence[int]], value: int, device: torch.device) -> Tensor:
    """Return the rows as one int64 tensor, shape (batch, length), filled up with `value`."""
    out = torch.full((len(rows), max(len(row) for row in rows)), value, dtype=torch.long)
    for row, ids in enumerate(rows):
        out[row, : len(ids)] = torch.tensor(ids)
    return _to(out, device)


def pad_inputs(rows: Sequence[Sequence[int]], translator: Translator) -> dict[str, Tensor]:
    """Return `input_ids` and `attention_mask` of the rows, padded on the right.

    The mask is made from lengths, not from `ids != pad`: Marian starts the decoder with the padding token.
    """
    pad = translator.config.pad_token_id
    ids = pad_ids(rows, 0 if pad is None else pad, translator.device)
    lengths = torch.tensor([len(row) for row in rows], device=ids.device)
    mask = (torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]).long()
    return {"input_ids": ids, "attention_mask": mask}


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


@dataclass(frozen=True)
class ViewBlocks:
    """One view of a batch: all layers, axes as in `PairBlocks` after the batch, and whose words are queries."""

    arrays: dict[str, Float[Tensor, "batch layer *head tgt src"]]
    """`attention`, and where they were read `heads`, `norm` and `norm_heads`."""
    special: Float[Tensor, "batch layer query"]
    hidden: Bool[Tensor, "batch layer"]
    query_side: Side

    @classmethod
    def of(cls, pooled: Sequence[Sequence[Pooled]], view: int, query_side: Side) -> "ViewBlocks":
        """Return the view from what a capture returned, `[layer][view]`."""
        layers = [layer[view] for layer in pooled]
        found: dict[str, list[Tensor | None]] = {
            "attention": [layer.block for layer in layers],
            "heads": [layer.heads for layer in layers],
            "norm": [layer.norm for layer in layers],
            "norm_heads": [layer.norm_heads for layer in layers],
        }
        arrays = {
            name: torch.stack([block for block in blocks if block is not None], dim=1)
            for name, blocks in found.items()
            if blocks[0] is not None
        }
        if query_side == "src":
            arrays = {name: array.transpose(-1, -2) for name, array in arrays.items()}
        special = torch.stack([layer.special for layer in layers], dim=1)
        return cls(arrays, special, torch.stack([layer.hidden for layer in layers], dim=1), query_side)


def unpack(
    examples: Sequence[Example], views: Sequence[ViewBlocks], distances: Mapping[str, Distances], *, name: str
) -> list[PairBlocks]:
    """Return one `PairBlocks` a pair, padding removed; only word-level arrays leave the device.

    A layer that cannot see all words of a pair is NaN there; any other number that is not finite is an error.

    Parameters
    ----------
    examples : sequence of Example
        The batch.
    views : sequence of ViewBlocks
        In the order of the reader's views.
    distances : mapping of str to Distances
        By kind of states.
    name : str
        The translator, for the message.

    Raises
    ------
    PipelineError
        If a number is not finite: names translator, pair, quantity and layer.
    """
    arrays = {name: torch.stack([view.arrays[name] for view in views], dim=1).cpu().numpy() for name in views[0].arrays}
    hidden = torch.stack([view.hidden for view in views], dim=1).cpu().numpy()
    special = [view.special.sum(-1).cpu().numpy() for view in views]
    by_states = {
        field: {kind: getattr(of_kind, field).cpu().numpy() for kind, of_kind in distances.items()}
        for field in ("cost", "cosine", "cosine_raw")
    }
    blocks = []
    for row, example in enumerate(examples):
        n_src, n_tgt = len(example.src), len(example.tgt)
        n_queries = [n_tgt if view.query_side == "tgt" else n_src for view in views]
        quantities: dict[str, Any] = {
            "pair_id": example.pair_id,
            "special": np.stack([mass[row] / n for mass, n in zip(special, n_queries, strict=True)]),
            "src_pieces": example.src.sum(1),
            "tgt_pieces": example.tgt.sum(1),
            **{field: array[row, ..., :n_tgt, :n_src] for field, array in arrays.items()},
        }
        for field, of_kind in by_states.items():
            quantities[field] = {kind: array[row, :, :n_src, :n_tgt] for kind, array in of_kind.items()}
        blocks.append(PairBlocks(**quantities))
    check_finite(name, blocks)
    for array in arrays.values():  # the blocks are views of these
        array[hidden] = np.nan
    return blocks
