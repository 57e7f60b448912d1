"""An attention function that lets an observer watch single layers and change what their heads give out.

It is registered beside the one that pools to words (`pipeline.attention.capture`) and computes attention by the same
formula (`Scores`); a layer that the observer leaves alone runs the library's fast attention where that does the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, eager_mask

from pipeline.attention.softmax import Scores, repeat_heads

NAME = "observed"


@runtime_checkable
class Observer(Protocol):
    """What is told of every attention call while it is in charge."""

    def layer_of(self, module: nn.Module) -> int | None:
        """Return the layer, from 1, that the observer wants to compute itself; `None` lets the library do it."""
        ...

    def attend(
        self,
        layer: int,
        weights: Float[Tensor, "batch head query key"],
        value: Float[Tensor, "batch head key dim"],
    ) -> Float[Tensor, "batch head query dim"]:
        """Return the outputs of the heads before the output projection; it may change `weights` in place."""
        ...


_OBSERVER: ContextVar[Observer | None] = ContextVar("observer", default=None)


@contextmanager
def observed_by(observer: Observer) -> Iterator[None]:
    """Put an observer in charge of the attention calls inside the block."""
    token = _OBSERVER.set(observer)
    try:
        yield
    finally:
        _OBSERVER.reset(token)


def observed_attention(
    module: nn.Module,
    query: Float[Tensor, "batch head query dim"],
    key: Float[Tensor, "batch shared_head key dim"],
    value: Float[Tensor, "batch shared_head key value_dim"],
    attention_mask: Tensor | None,
    **extras: Any,
) -> tuple[Float[Tensor, "batch query head value_dim"], None]:
    """Return the attention output, by the observer where it asks for the layer."""
    observer = _OBSERVER.get()
    layer = observer.layer_of(module) if observer else None
    scaling = extras.pop("scaling", None)
    scores = Scores.of(attention_mask, scaling, extras)
    if layer is None and scores.plain:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **extras)
    key, value = repeat_heads(key, query.shape[1]), repeat_heads(value, query.shape[1])
    weights = scores.weights(query, key)
    if observer is None or layer is None:
        return (weights.to(value.dtype) @ value).transpose(1, 2).contiguous(), None
    return observer.attend(layer, weights, value).transpose(1, 2).contiguous(), None


AttentionInterface.register(NAME, observed_attention)
AttentionMaskInterface.register(NAME, eager_mask)
