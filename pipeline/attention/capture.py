"""An attention function that pools to words while the model runs.

Registered under one name with `AttentionInterface` and `AttentionMaskInterface` (without the second, padding,
causality and windows would be lost). Layers that are not watched run the library's fast attention where that computes
the same; a watched layer writes its softmax out and keeps only word-level blocks: the mean over heads, and where
asked every head and the norms. On a processor it does so a few sentences at a time, so that their scores stay in its
cache (`benchmarks/bench_attention.py`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, eager_mask

from pipeline.attention.norms import Transformed, output_projection
from pipeline.attention.softmax import Scores, repeat_heads
from pipeline.errors import PipelineError

NAME = "words_pooled"
IN_CACHE = 2**16
"""Scores that are held at once on a processor: 256 KiB of float32."""
T = TypeVar("T")


@dataclass(frozen=True)
class Pooling:
    """How a token-level map becomes a word-level block: a mean over query tokens, a sum over key tokens."""

    query: Float[Tensor, "batch row query"]
    """Weights of the tokens of each query word; rows sum to 1, padding rows to 0."""
    key: Float[Tensor, "batch column key"]
    """Shares of the tokens of each key word; padding rows 0."""
    special: Float[Tensor, "batch key"]
    """1 for special tokens, else 0."""

    def words(self, attention: Tensor) -> Tensor:
        """Return the block of a map (batch, query, key), or of every head of (batch, head, query, key)."""
        query, key = self.query, self.key.transpose(1, 2)
        if attention.ndim == 4:
            query, key = query[:, None], key[:, None]
        return query @ attention @ key

    def part(self, rows: slice) -> "Pooling":
        """Return the same for some sentences of the batch."""
        return Pooling(self.query[rows], self.key[rows], self.special[rows])

    def hidden(self, mask: Tensor | None) -> Bool[Tensor, " batch"]:
        """Return for which sentences the mask keeps some query token from looking at some key token of the words."""
        if mask is None:
            return self.special.new_zeros(len(self.special), dtype=torch.bool)
        masked = (mask <= torch.finfo(mask.dtype).min / 2)[:, 0]
        query, key = (self.query != 0).any(1), (self.key != 0).any(1)
        return (query[:, :, None] & key[:, None] & masked).any(2).any(1)


@dataclass(frozen=True)
class Pooled:
    """Word-level attention of one layer and view.

    Attributes
    ----------
    block : float tensor, shape (batch, row, column)
        Mean over heads.
    special : float tensor, shape (batch, row)
        Mass on special tokens.
    hidden : bool tensor, shape (batch,)
        Whether the mask keeps some query word from some key word (a window that is too short).
    heads : float tensor, shape (batch, head, row, column), or None
        Every head's own.
    norm, norm_heads : float tensors of the same shapes, or None
        Norm-weighted, for the whole layer and by head.
    """

    block: Float[Tensor, "batch row column"]
    special: Float[Tensor, "batch row"]
    hidden: Bool[Tensor, " batch"]
    heads: Float[Tensor, "batch head row column"] | None = None
    norm: Float[Tensor, "batch row column"] | None = None
    norm_heads: Float[Tensor, "batch head row column"] | None = None


class Capture:
    """Collects word-level blocks of the watched modules during one forward pass.

    Parameters
    ----------
    modules : mapping of layer (int, from 1) to attention module
    """

    def __init__(self, modules: Mapping[int, nn.Module]) -> None:
        self.layers = sorted(modules)
        self.views: list[Pooling] = []
        self.heads = False
        self.projections: dict[int, Tensor] = {}
        self._pooled: dict[int, list[Pooled]] = {}
        self._hidden: tuple[Tensor | None, list[Tensor]] | None = None
        for layer, module in modules.items():
            _WATCHED[module] = (self, layer)

    def weigh(self, model: nn.Module) -> None:
        """From now on measure norms too, with the output projections of the model that holds the modules.

        Raises
        ------
        PipelineError
            If a module's projection is not found.
        """
        self.projections = {layer: output_projection(model, name) for layer, name in self.places(model).items()}

    def places(self, model: nn.Module) -> dict[int, str]:
        """Return the names of the modules in the model that holds them, by layer."""
        return {_WATCHED[module][1]: name for name, module in model.named_modules() if self.watches(module)}

    def watches(self, module: nn.Module) -> bool:
        """Return whether a module is one of this capture's."""
        return module in _WATCHED and _WATCHED[module][0] is self

    def run(
        self, views: list[Pooling], forward: Callable[[], T], *, heads: bool = False
    ) -> tuple[list[list[Pooled]], T]:
        """Return `[layer][view]` blocks and what `forward()` returned.

        Raises
        ------
        PipelineError
            If a layer's attention was not seen: the model does not use the attention interface.
        """
        self.views, self.heads, self._pooled, self._hidden = views, heads, {}, None
        try:
            result = forward()
        finally:
            self.views, self._hidden = [], None
        missing = [layer for layer in self.layers if layer not in self._pooled]
        if missing:
            message = (
                "model: its attention must go through the transformers attention interface, but layers "
                f"{missing} did not; name another model"
            )
            raise PipelineError(message)
        return [self._pooled[layer] for layer in self.layers], result

    def hidden(self, mask: Tensor | None) -> list[Tensor]:
        """Return what a mask hides of each view; most layers have the mask of the layer before."""
        if self._hidden is None or self._hidden[0] is not mask:
            self._hidden = mask, [view.hidden(mask) for view in self.views]
        return self._hidden[1]

    def keep(self, layer: int, pooled: list[Pooled]) -> None:
        """Take one layer's blocks, in the order of the views."""
        self._pooled[layer] = pooled


_WATCHED: "WeakKeyDictionary[nn.Module, tuple[Capture, int]]" = WeakKeyDictionary()


@dataclass
class _Layer:
    """One watched layer while it runs: token-level means over heads, word-level heads."""

    capture: Capture
    projection: Tensor | None
    mean: Float[Tensor, "batch query key"]
    norm: Float[Tensor, "batch query key"] | None = None
    heads: list[list[Tensor]] = field(default_factory=list)
    norm_heads: list[list[Tensor]] = field(default_factory=list)

    def add(self, rows: slice, weights: Tensor, value: Tensor) -> None:
        """Take the attention and the values of some sentences."""
        views = [view.part(rows) for view in self.capture.views]
        self.mean[rows] = weights.mean(dim=1)
        if self.capture.heads:
            self.heads.append([view.words(weights) for view in views])
        if self.norm is None or self.projection is None:
            return
        transformed = Transformed.of(value, self.projection)
        self.norm[rows] = transformed.layer(weights)
        if self.capture.heads:
            by_head = transformed.heads(weights)
            self.norm_heads.append([view.words(by_head) for view in views])

    def pooled(self, mask: Tensor | None) -> list[Pooled]:
        """Return the blocks of every view."""
        hidden = self.capture.hidden(mask)
        return [
            Pooled(
                block=view.words(self.mean),
                special=(view.query @ (self.mean @ view.special.unsqueeze(-1))).squeeze(-1),
                hidden=hidden[v],
                heads=torch.cat([part[v] for part in self.heads]) if self.heads else None,
                norm=None if self.norm is None else view.words(self.norm),
                norm_heads=torch.cat([part[v] for part in self.norm_heads]) if self.norm_heads else None,
            )
            for v, view in enumerate(self.capture.views)
        ]


def words_pooled_attention(
    module: nn.Module,
    query: Float[Tensor, "batch head query dim"],
    key: Float[Tensor, "batch shared_head key dim"],
    value: Float[Tensor, "batch shared_head key value_dim"],
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **extras: Any,
) -> tuple[Float[Tensor, "batch query head value_dim"], None]:
    """Return the attention output; what a watched module saw goes to its `Capture`.

    Raises
    ------
    PipelineError
        If a watched module looks at other tokens than those that are read as the source.
    """
    capture, number = _WATCHED.get(module, (None, 0))
    scores = Scores.of(attention_mask, scaling, extras)
    if capture is None or not capture.views:
        if scores.plain:
            return sdpa_attention_forward(
                module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **extras
            )
        key, value = repeat_heads(key, query.shape[1]), repeat_heads(value, query.shape[1])
        return (scores.weights(query, key).to(value.dtype) @ value).transpose(1, 2).contiguous(), None
    batch, heads, queries = query.shape[:3]
    if key.shape[2] != capture.views[0].special.shape[1]:
        message = (
            f"translators.family.module: must be attention to the {capture.views[0].special.shape[1]} tokens that are "
            f"read as the source, but that of layer {number} looks at {key.shape[2]}; name the decoder's attention to "
            "the encoder"
        )
        raise PipelineError(message)
    key, value = repeat_heads(key, heads), repeat_heads(value, heads)
    output = value.new_empty(batch, queries, heads, value.shape[3])
    mean = query.new_empty(batch, queries, key.shape[2], dtype=torch.promote_types(query.dtype, torch.float32))
    projection = capture.projections.get(number)
    layer = _Layer(capture, projection, mean, None if projection is None else torch.empty_like(mean))
    for rows in _parts(query, key):
        weights = scores.part(rows, batch).weights(query[rows], key[rows])
        output[rows] = (weights.to(value.dtype) @ value[rows]).transpose(1, 2)
        with torch.autocast(query.device.type, enabled=False):  # pooled at full precision
            layer.add(rows, weights, value[rows])
    with torch.autocast(query.device.type, enabled=False):
        capture.keep(number, layer.pooled(attention_mask))
    return output, None


def _parts(query: Tensor, key: Tensor) -> Iterator[slice]:
    """Return the parts of the batch that are done at once: all of it on a card."""
    batch, heads, queries = query.shape[:3]
    step = batch if query.is_cuda else max(1, IN_CACHE // (heads * queries * key.shape[2]))
    return (slice(start, start + step) for start in range(0, batch, step))


AttentionInterface.register(NAME, words_pooled_attention)
AttentionMaskInterface.register(NAME, eager_mask)
