"""An attention function that pools to words while the model runs.

Registered under one name with `AttentionInterface` and `AttentionMaskInterface` (without the second,
padding would be attended to). Layers that are not watched run the library's fast attention; a watched layer
writes its softmax out, takes the mean over heads and keeps only word-level blocks. On a processor it does so
a few sentences at a time, so that their scores stay in its cache (`benchmarks/bench_attention.py`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, eager_mask

from pipeline.errors import PipelineError

NAME = "words_pooled"
IN_CACHE = 2**16
"""Scores that are held at once on a processor: 256 KiB of float32."""
T = TypeVar("T")


@dataclass(frozen=True)
class View:
    """How a token-level map becomes a word-level block: a mean over rows' tokens, a sum over columns'."""

    looks: Float[Tensor, "batch row query"]
    """Weights of the tokens of each word that looks; rows sum to 1, padding rows to 0."""
    seen: Float[Tensor, "batch column key"]
    """Shares of the tokens of each word that is seen; padding rows 0."""
    special: Float[Tensor, "batch key"]
    """1 for special tokens, else 0."""


@dataclass(frozen=True)
class Pooled:
    """Word-level attention of one layer and view."""

    block: Float[Tensor, "batch row column"]
    special: Float[Tensor, "batch row"]


class Capture:
    """Collects word-level blocks of the watched modules during one forward pass.

    Parameters
    ----------
    modules : mapping of layer (int, from 1) to attention module
    """

    def __init__(self, modules: Mapping[int, nn.Module]) -> None:
        self.layers = sorted(modules)
        self._views: list[View] = []
        self._pooled: dict[int, list[Pooled]] = {}
        for layer, module in modules.items():
            _WATCHED[module] = (self, layer)

    def run(self, views: list[View], forward: Callable[[], T]) -> tuple[list[list[Pooled]], T]:
        """Return `[layer][view]` blocks and what `forward()` returned.

        Raises
        ------
        PipelineError
            If a layer's attention was not seen: the model does not use the attention interface.
        """
        self._views, self._pooled = views, {}
        result = forward()
        missing = [layer for layer in self.layers if layer not in self._pooled]
        if missing:
            message = (
                "model: its attention must go through the transformers attention interface, but layers "
                f"{missing} did not; use a model class that supports it"
            )
            raise PipelineError(message)
        return [self._pooled[layer] for layer in self.layers], result

    def keep(self, layer: int, attention: Float[Tensor, "batch query key"]) -> None:
        """Pool the head-averaged map of one layer to words, in every view, at full precision."""
        with torch.autocast(attention.device.type, enabled=False):
            self._pooled[layer] = [
                Pooled(
                    block=view.looks @ attention @ view.seen.transpose(1, 2),
                    special=(view.looks @ (attention @ view.special.unsqueeze(-1))).squeeze(-1),
                )
                for view in self._views
            ]


_WATCHED: "WeakKeyDictionary[nn.Module, tuple[Capture, int]]" = WeakKeyDictionary()


def words_pooled_attention(
    module: nn.Module,
    query: Float[Tensor, "batch head query dim"],
    key: Float[Tensor, "batch head key dim"],
    value: Float[Tensor, "batch head key value_dim"],
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    position_bias: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Float[Tensor, "batch query head value_dim"], None]:
    """Return the attention output; a watched module's head mean goes to its `Capture`."""
    if module not in _WATCHED:
        if position_bias is not None:
            kwargs["position_bias"] = position_bias
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    batch, heads, queries = query.shape[:3]
    biases = [bias.expand(batch, -1, -1, -1) for bias in (position_bias, attention_mask) if bias is not None]
    query = query * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    output = value.new_empty(batch, queries, heads, value.shape[3])
    # Never below float32: half-precision models round the map, not the measurement.
    exact = torch.promote_types(query.dtype, torch.float32)
    attention = query.new_empty(batch, queries, key.shape[2], dtype=exact)
    for part in _parts(query, key):
        scores = query[part] @ key[part].transpose(2, 3)
        for bias in biases:
            scores = scores + bias[part]
        weights = scores.softmax(-1, dtype=exact)
        attention[part] = weights.mean(dim=1)
        output[part] = (weights.to(value.dtype) @ value[part]).transpose(1, 2)
    capture, layer = _WATCHED[module]
    capture.keep(layer, attention)
    return output, None


def _parts(query: Tensor, key: Tensor) -> Iterator[slice]:
    """Return the parts of the batch that are done at once: all of it on a card."""
    batch, heads, queries = query.shape[:3]
    step = batch if query.is_cuda else max(1, IN_CACHE // (heads * queries * key.shape[2]))
    return (slice(start, start + step) for start in range(0, batch, step))


AttentionInterface.register(NAME, words_pooled_attention)
AttentionMaskInterface.register(NAME, eager_mask)
