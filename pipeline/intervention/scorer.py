"""A translator with its own head: losses of single pairs, layers below a change taken from memory."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from pipeline.attention.families import FAMILIES, attention_modules, family_of
from pipeline.attention.load import Translator
from pipeline.attention.reader import pad_ids, pad_inputs
from pipeline.intervention.hook import Observer, observed_by
from pipeline.intervention.items import IGNORED, Item
from pipeline.params import Family


@dataclass(frozen=True)
class Place:
    """Where the blocks of a batch lie in its attention: rows of target words on columns of source words.

    Attributes
    ----------
    rows : int tensor, shape (batch, row)
        Query positions; the padding of a shorter pair points behind the last one.
    columns : int tensor, shape (batch, column)
        Key positions, the same.
    row_mask, column_mask : bool tensors of the same shapes
        Which are no padding.
    """

    rows: Int[Tensor, "batch row"]
    columns: Int[Tensor, "batch column"]
    row_mask: Bool[Tensor, "batch row"]
    column_mask: Bool[Tensor, "batch column"]

    @classmethod
    def of(cls, items: Sequence[Item], device: torch.device) -> "Place":
        """Return the place of the items' blocks."""
        behind = max(len(item.labels) for item in items), max(item.keys.shape[1] for item in items)
        rows, columns = (
            pad_ids([getattr(item, name).tolist() for item in items], value, device)
            for name, value in zip(("rows", "columns"), behind, strict=True)
        )
        return cls(rows, columns, rows < behind[0], columns < behind[1])

    def take(
        self, weights: Float[Tensor, "batch head query key"], heads: Sequence[int] | slice = slice(None)
    ) -> Float[Tensor, "batch some row column"]:
        """Return the blocks of some heads, 0 in the padding."""
        some = nn.functional.pad(weights[:, heads], (0, 1, 0, 1))
        return some.movedim(1, 3)[self._index()].movedim(3, 1)

    def put(
        self,
        weights: Float[Tensor, "batch head query key"],
        heads: Sequence[int],
        blocks: Float[Tensor, "batch some row column"],
    ) -> None:
        """Write blocks of some heads into attention, in place."""
        some = nn.functional.pad(weights[:, heads], (0, 1, 0, 1)).movedim(1, 3).contiguous()
        some[self._index()] = blocks.movedim(1, 3).to(weights.dtype)
        weights[:, heads] = some.movedim(3, 1)[:, :, :-1, :-1]

    def queries(self, n_queries: int) -> Bool[Tensor, "batch query"]:
        """Return which query positions are rows."""
        out = torch.zeros((len(self.rows), n_queries + 1), dtype=torch.bool, device=self.rows.device)
        return out.scatter(1, self.rows, self.row_mask)[:, :n_queries]

    def _index(self) -> tuple[Tensor, Tensor, Tensor]:
        batch = torch.arange(len(self.rows), device=self.rows.device)
        return batch[:, None, None], self.rows[:, :, None], self.columns[:, None]


@dataclass
class Batch:
    """Pairs as tensors, and what a pass over them left in memory.

    Attributes
    ----------
    items : list of Item
    inputs : dict
        Arguments of the model.
    labels : int tensor, shape (batch, query)
    place : Place
        Of the blocks that may be changed.
    below : list
        What every layer gave out when nothing was changed.
    """

    items: list[Item]
    inputs: dict[str, Any]
    labels: Int[Tensor, "batch query"]
    place: Place
    below: list[Any] = field(default_factory=list)


class Scorer:
    """Runs a model with its head and tells the loss of each pair.

    Parameters
    ----------
    translator : Translator
        Loaded with its head, with `hook.NAME` as its attention, in evaluation mode.
    family : Family, optional
        Where its attention is, if families.yaml does not say it.

    Attributes
    ----------
    layers : dict from attention module to int
        Layers in which target words look at source words, from 1.
    n_heads : int
    """

    def __init__(self, translator: Translator, family: Family | None = None) -> None:
        self.translator = translator
        self.model: PreTrainedModel = translator.model
        self.reads = translator.reads
        config = translator.config
        modules = attention_modules(self.model, family_of(translator.name, config, self.reads, family), self.reads)
        self.layers: dict[nn.Module, int] = {module: layer for layer, module in modules.items()}
        self._blocks = _blocks(self.model, list(modules.values()))
        traits = FAMILIES[self.reads].get(config.model_type, {}).get("traits", ())
        # A layer that reads the keys of a lower one (Gemma 3n) needs that one to run.
        self._from_memory = "shared" not in traits
        parts = (config, config.get_text_config())
        names = (
            ("decoder_attention_heads", "num_attention_heads") if self.reads == "cross" else ("num_attention_heads",)
        )
        self.n_heads = int(next(n for key in names for part in parts if (n := getattr(part, key, None))))

    @property
    def causal(self) -> bool:
        """Return whether a query sees no later word of the target: true of decoders."""
        return self.reads != "joint"

    @property
    def cuts(self) -> bool:
        """Return whether a head that is off loses its target-to-source part only, as it has others."""
        return self.reads != "cross"

    def batch(self, items: list[Item]) -> Batch:
        """Return the items as tensors, an encoder-decoder's encoder run."""
        translator, rows = self.translator, [item.example.rows for item in items]
        with torch.inference_mode():
            if self.reads == "cross":
                read = pad_inputs([ids["src"] for ids in rows], translator)
                inputs: dict[str, Any] = {
                    "encoder_outputs": self.model.get_encoder()(**read, return_dict=True),
                    "attention_mask": read["attention_mask"],
                    "decoder_input_ids": pad_ids([ids["tgt"] for ids in rows], 0, translator.device),
                }
            else:
                inputs = pad_inputs([ids["ids"] for ids in rows], translator)
            if self.reads == "joint":
                inputs |= self._numbered(rows)
            else:
                inputs["use_cache"] = False
        labels = pad_ids([item.labels for item in items], IGNORED, translator.device)
        return Batch(items, inputs, labels, Place.of(items, translator.device))

    def _numbered(self, rows: Sequence[dict[str, list[int]]]) -> dict[str, Tensor]:
        """Return positions and segments, where the model has them."""
        device, out = self.translator.device, {}
        if self.translator.first_position is not None:
            out["position_ids"] = pad_ids([ids["positions"] for ids in rows], 0, device)
        if getattr(self.translator.config, "type_vocab_size", 0) > 1:
            out["token_type_ids"] = pad_ids([ids["types"] for ids in rows], 0, device)
        return out

    def prepare(self, batch: Batch, observer: Observer) -> Float[Tensor, " batch"]:
        """Return the losses while nothing is changed, and keep what the layers give out in the batch.

        The observer may record, but what it returns must be what the library would compute.
        """
        batch.below = [None] * len(self._blocks)
        hooks = [
            block.register_forward_hook(partial(_keep, batch.below, place)) for place, block in enumerate(self._blocks)
        ]
        try:
            return self.losses(batch, observer)
        finally:
            for hook in hooks:
                hook.remove()

    def run(self, batch: Batch, observer: Observer, *, first: int) -> Float[Tensor, " batch"]:
        """Return the losses of a prepared batch, from layer `first` on computed anew."""
        with _passed_over(self._blocks[: first - 1] if self._from_memory else [], batch.below):
            return self.losses(batch, observer)

    def losses(self, batch: Batch, observer: Observer) -> Float[Tensor, " batch"]:
        """Return the loss of each pair in nats, summed over its scored tokens, float64."""
        scored = batch.labels != IGNORED
        # Logits over the vocabulary are most of the work: they are made for scored positions only.
        head: nn.Module = self.model.get_output_embeddings()
        hook = head.register_forward_pre_hook(lambda module, args: (args[0][scored],))
        try:
            with torch.inference_mode(), observed_by(observer):
                logits = self.model(**batch.inputs).logits
        finally:
            hook.remove()
        losses = nn.functional.cross_entropy(
            logits.to(torch.promote_types(logits.dtype, torch.float32)), batch.labels[scored], reduction="none"
        )
        total = torch.zeros(len(batch.items), dtype=torch.float64, device=losses.device)
        return total.index_add_(0, scored.nonzero()[:, 0], losses.double())


def _keep(kept: list[Any], place: int, module: nn.Module, args: Any, output: Any) -> None:
    kept[place] = output


@contextmanager
def _passed_over(blocks: list[nn.Module], outputs: list[Any]) -> Iterator[None]:
    """Let blocks give out what is in memory."""
    for block, output in zip(blocks, outputs, strict=False):
        remembered: Callable[..., Any] = lambda *args, _output=output, **kwargs: _output  # noqa: E731
        block.forward = remembered  # type: ignore[method-assign]
    try:
        yield
    finally:
        for block in blocks:
            del block.forward


def _blocks(model: nn.Module, modules: list[nn.Module]) -> list[nn.Module]:
    """Return the layer, a member of the model's list of layers, that holds each attention module."""
    names = {module: name.split(".") for name, module in model.named_modules()}
    paths = [names[module] for module in modules]
    differ = (place for place, parts in enumerate(zip(*paths, strict=True)) if len(set(parts)) > 1)
    depth = next(differ, next(place for place, part in enumerate(paths[0]) if part.isdigit()))
    return [model.get_submodule(".".join(path[: depth + 1])) for path in paths]
