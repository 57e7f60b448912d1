"""An attention function that lets an observer watch single layers and change what their heads give out.

It is registered beside the one that reads attention and shares nothing with it; a layer that the observer leaves
alone runs the library's fast attention.
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

NAME = "observed"


@runtime_checkable
class Observer(Protocol):
    """What is told of every attention call while it is in charge."""

    def layer_of(self, module: nn.Module, n_queries: int, n_keys: int) -> int | None:
        """Return the layer, from 1, that the observer wants to compute itself; `None` lets the library do it."""
        ...

    def attend(
        self,
        layer: int,
        scores: Float[Tensor, "batch head query key"],
        value: Float[Tensor, "batch head key dim"],
    ) -> Float[Tensor, "batch head query dim"]:
        """Return the outputs of the heads before the output projection; scores are logits, mask added."""
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
    key: Float[Tensor, "batch head key dim"],
    value: Float[Tensor, "batch head key value_dim"],
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    position_bias: Tensor | None = None,
    **kwargs: Any,
) -> tuple[Float[Tensor, "batch query head value_dim"], None]:
    """Return the attention output, by the observer where it asks for the layer."""
    observer = _OBSERVER.get()
    layer = observer.layer_of(module, query.shape[2], key.shape[2]) if observer else None
    if observer is None or layer is None:
        if position_bias is not None:
            kwargs["position_bias"] = position_bias
        return sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
    scores = (query * (query.shape[-1] ** -0.5 if scaling is None else scaling)) @ key.transpose(2, 3)
    for bias in (position_bias, attention_mask):
        if bias is not None:
            scores = scores + bias
    return observer.attend(layer, scores, value).transpose(1, 2), None


AttentionInterface.register(NAME, observed_attention)
AttentionMaskInterface.register(NAME, eager_mask)


class Discovery:
    """Notes every attention module that is called and how many queries and keys it got."""

    def __init__(self) -> None:
        self.calls: list[tuple[nn.Module, int, int]] = []

    def layer_of(self, module: nn.Module, n_queries: int, n_keys: int) -> int | None:
        """Return `None`: nothing is changed."""
        self.calls.append((module, n_queries, n_keys))
        return None

    def attend(
        self,
        layer: int,
        scores: Float[Tensor, "batch head query key"],
        value: Float[Tensor, "batch head key dim"],
    ) -> Float[Tensor, "batch head query dim"]:
        """Return what the library would; never asked for."""
        return scores.softmax(-1) @ value
