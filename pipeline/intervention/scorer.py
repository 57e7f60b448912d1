"""A translator with its own output head: losses of single pairs, layers below a change taken from memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel

from pipeline.errors import PipelineError
from pipeline.intervention.hook import Discovery, Observer, observed_by
from pipeline.intervention.inputs import IGNORED, Item


@dataclass
class Batch:
    """Pairs as tensors, and what a pass over them left in memory.

    Attributes
    ----------
    items : list of Item
    inputs : dict
        Arguments of the model.
    labels : int tensor, shape (batch, query)
    rows : bool tensor, shape (batch, query)
        Query positions that may be changed.
    keys : bool tensor, shape (batch, key)
        Tokens of source words.
    below : list
        What every layer gave out when nothing was changed.
    """

    items: list[Item]
    inputs: dict[str, Any]
    labels: Int[Tensor, "batch query"]
    rows: Bool[Tensor, "batch query"]
    keys: Bool[Tensor, "batch key"]
    below: list[Any] = field(default_factory=list)


class Scorer:
    """Runs a model with its output head and tells the loss of each pair.

    Parameters
    ----------
    model : PreTrainedModel
        With `hook.NAME` as its attention, in evaluation mode.
    example : Item
        A pair to find the attention layers with.

    Attributes
    ----------
    causal : bool
        Whether a query sees no later word of the target: true of decoders.
    layers : dict from attention module to int
        Layers of attention between the sides, from 1.
    n_heads : int
    """

    def __init__(self, model: PreTrainedModel, example: Item) -> None:
        self.model = model
        self.causal = bool(model.config.is_encoder_decoder)
        modules = self._find(example)
        self.layers = {module: layer for layer, module in enumerate(modules, 1)}
        self._blocks = _blocks(model, modules)
        heads = "decoder_attention_heads" if self.causal else "num_attention_heads"
        self.n_heads: int = getattr(model.config, heads, None) or model.config.num_attention_heads

    def _find(self, example: Item) -> list[nn.Module]:
        seen, batch = Discovery(), self._tensors([example])
        if self.causal and batch.keys.shape[1] == batch.labels.shape[1]:  # else both kinds of attention look alike
            batch.inputs["decoder_input_ids"] = batch.inputs["decoder_input_ids"][:, :-1]
        with torch.inference_mode(), observed_by(seen):
            self.model(**batch.inputs)
        modules = [module for module, n, m in seen.calls if not self.causal or n != m]
        if not modules:
            message = (
                "translators.model: its attention must go through the transformers attention interface, but no layer "
                f"of {type(self.model).__name__} did; use a model class that supports it"
            )
            raise PipelineError(message)
        return modules

    def _tensors(self, items: list[Item]) -> Batch:
        device = self.model.device
        pad = {"input_ids": self.model.config.pad_token_id, "decoder_input_ids": self.model.config.pad_token_id}
        fill = partial(_fill, device=device)
        inputs: dict[str, Any] = {
            name: fill([item.rows[name] for item in items], value=pad.get(name, 0)) for name in items[0].rows
        }
        inputs["attention_mask"] = fill([[1] * len(item.rows["input_ids"]) for item in items], value=0)
        if getattr(self.model.config, "type_vocab_size", 0) < 2:
            inputs.pop("token_type_ids", None)
        if self.causal:
            inputs["use_cache"] = False
        return Batch(
            items=items,
            inputs=inputs,
            labels=fill([item.labels for item in items], value=IGNORED),
            rows=fill([[int(free) for free in item.free] for item in items], value=0).bool(),
            keys=fill([(item.keys.sum(0) > 0).astype(int).tolist() for item in items], value=0).bool(),
        )

    def prepare(self, items: list[Item], observer: Observer) -> tuple[Batch, Float[Tensor, " batch"]]:
        """Return the batch with its layers' outputs kept, and the losses while nothing is changed.

        The observer may record, but what it returns must be what the library would compute.
        """
        batch = self._tensors(items)
        with torch.inference_mode():
            if self.causal:
                encoder = self.model.get_encoder()
                batch.inputs["encoder_outputs"] = encoder(
                    input_ids=batch.inputs.pop("input_ids"), attention_mask=batch.inputs["attention_mask"]
                )
        batch.below = [None] * len(self._blocks)
        hooks = [
            block.register_forward_hook(partial(_keep, batch.below, place)) for place, block in enumerate(self._blocks)
        ]
        try:
            return batch, self._losses(batch, observer)
        finally:
            for hook in hooks:
                hook.remove()

    def run(self, batch: Batch, observer: Observer, *, first: int) -> Float[Tensor, " batch"]:
        """Return the loss of each pair in nats, summed over its scored tokens, from layer `first` on computed anew."""
        with _passed_over(self._blocks[: first - 1], batch.below):
            return self._losses(batch, observer)

    def _losses(self, batch: Batch, observer: Observer) -> Float[Tensor, " batch"]:
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


def _fill(rows: list[list[int]], *, value: int, device: torch.device) -> Tensor:
    out = torch.full((len(rows), max(map(len, rows))), value, dtype=torch.long)
    for row, ids in enumerate(rows):
        out[row, : len(ids)] = torch.tensor(ids)
    return out.to(device)


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
