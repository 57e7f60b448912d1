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
from pipeline.attention.store import HALVES, PairBlocks
from pipeline.attention.word_map import UnmappableError
from pipeline.conventions import STATES, Side, View
from pipeline.corpus.pairs import SentencePair

Tensors = dict[str, Tensor]
HOST = torch.device("cpu")
_OF_STATES = ("cost", "cosine", "cosine_raw")


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
        """Return the blocks of a batch of pairs, with every head's own if asked; padding changes nothing."""
        ...


@runtime_checkable
class Staged(Reader, Protocol):
    """A reader whose batches are read in steps, so that those of several batches can overlap."""

    translator: Translator

    def inputs(self, examples: Sequence[Example]) -> Tensors:
        """Return what the model and the pooling take, by name, in memory of the processor."""
        ...

    def find(self, inputs: Tensors, *, heads: bool = False) -> "Found":
        """Return what a batch leaves on the model's device, whose inputs lie there."""
        ...


def read_staged(reader: Staged, examples: Sequence[Example], *, heads: bool) -> list[PairBlocks]:
    """Return the blocks of a batch, step by step."""
    device = reader.translator.device
    with torch.inference_mode():
        inputs = {name: to_device(tensor, device) for name, tensor in reader.inputs(examples).items()}
        found = reader.find(inputs, heads=heads).tensors()
        host = {name: tensor.cpu() for name, tensor in found.items()}
    return unpack(examples, host, reader)


def part(inputs: Tensors, name: str) -> Tensors:
    """Return the inputs that are named NAME.something, without that name."""
    return {key.removeprefix(f"{name}."): tensor for key, tensor in inputs.items() if key.startswith(f"{name}.")}


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
    return to_device(out, device)


def pad_inputs(
    rows: Sequence[Sequence[int]], translator: Translator, device: torch.device | None = None
) -> dict[str, Tensor]:
    """Return `input_ids` and `attention_mask` of the rows, padded on the right, on the model's device or another.

    The mask is made from lengths, not from `ids != pad`: Marian starts the decoder with the padding token.
    """
    pad = translator.config.pad_token_id
    ids = pad_ids(rows, 0 if pad is None else pad, translator.device if device is None else device)
    lengths = torch.tensor([len(row) for row in rows], device=ids.device)
    mask = (torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]).long()
    return {"input_ids": ids, "attention_mask": mask}


def pad_matrices(
    matrices: Sequence[np.ndarray], translator: Translator, *, columns: int | None = None
) -> Float[Tensor, "batch row column"]:
    """Return the matrices as one tensor filled up with zeros, in at least float32, in memory of the processor."""
    shape = (max(m.shape[0] for m in matrices), columns or max(m.shape[1] for m in matrices))
    dtype = torch.promote_types(translator.model.dtype, torch.float32)
    out = torch.zeros((len(matrices), *shape), dtype=dtype)
    for row, matrix in enumerate(matrices):
        out[row, : matrix.shape[0], : matrix.shape[1]] = torch.from_numpy(matrix)
    return out


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return the tensor on a device; to a card it goes by way of pinned memory, and the copy is not waited for."""
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


@dataclass(frozen=True)
class Found:
    """What a batch leaves on the device: views in the order of the reader's, distances by kind of states."""

    views: Sequence[ViewBlocks]
    distances: Mapping[str, Distances]

    def tensors(self, *, stored: bool = False) -> Tensors:
        """Return it by name: `attention` and others of all views, `special.VIEW`, `cost.KIND`, `hidden` and the like.

        With `stored`, what a shard keeps in half precision is that already: cosines as 1 - cosine (`PairBlocks`).
        """
        views = self.views
        found = {name: torch.stack([view.arrays[name] for view in views], dim=1) for name in views[0].arrays}
        found["hidden"] = torch.stack([view.hidden for view in views], dim=1)
        found |= {f"special.{number}": view.special.sum(-1) for number, view in enumerate(views)}
        for field in _OF_STATES:
            found |= {f"{field}.{kind}": getattr(of_kind, field) for kind, of_kind in self.distances.items()}
        if stored:
            found |= {name: _in_halves(name, tensor) for name, tensor in found.items() if name.split(".")[0] in HALVES}
        return found


def _in_halves(name: str, tensor: Tensor) -> Tensor:
    return (1 - tensor if name.startswith("cosine") else tensor).half()


def unpack(examples: Sequence[Example], found: Tensors, reader: Staged, *, stored: bool = False) -> list[PairBlocks]:
    """Return one `PairBlocks` a pair, padding removed.

    A layer that cannot see all words of a pair is NaN there; any other number that is not finite is an error.

    Parameters
    ----------
    examples : sequence of Example
        The batch.
    found : dict of str to Tensor
        What `Found.tensors` returned, with `stored` or without, in memory of the processor.
    reader : Staged
        Whose translator the message names, and whose views they are.

    Raises
    ------
    PipelineError
        If a number is not finite: names translator, pair, quantity and layer.
    """
    numbers = {name: tensor.numpy() for name, tensor in found.items()}
    arrays = {name: array for name, array in numbers.items() if "." not in name and name != "hidden"}
    by_states = {
        field: {name.split(".", 1)[1]: array for name, array in numbers.items() if name.startswith(f"{field}.")}
        for field in _OF_STATES
    }
    if stored:
        by_states |= {
            field: {kind: 1 - far.astype(np.float32) for kind, far in by_states[field].items()}
            for field in _OF_STATES[1:]
        }
    blocks = []
    for row, example in enumerate(examples):
        n_src, n_tgt = len(example.src), len(example.tgt)
        special = [
            numbers[f"special.{number}"][row] / (n_tgt if view.query_side == "tgt" else n_src)
            for number, view in enumerate(reader.views)
        ]
        quantities: dict[str, Any] = {
            "pair_id": example.pair_id,
            "special": np.stack(special),
            "src_pieces": example.src.sum(1),
            "tgt_pieces": example.tgt.sum(1),
            **{field: array[row, ..., :n_tgt, :n_src] for field, array in arrays.items()},
        }
        for field, of_kind in by_states.items():
            quantities[field] = {kind: array[row, :, :n_src, :n_tgt] for kind, array in of_kind.items()}
        blocks.append(PairBlocks(**quantities))
    check_finite(reader.translator.name, blocks)
    for array in arrays.values():  # the blocks are views of these
        array[numbers["hidden"]] = np.nan
    return blocks
