"""The softmax of attention written out, in the one order of operations that every family shares."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Scores:
    """What turns queries and keys into attention, besides themselves.

    Attributes
    ----------
    scaling : float or None
        Factor of the products; None is 1 / sqrt(dim).
    softcap : float or None
        Scores s become softcap * tanh(s / softcap) before anything is added (Gemma 2).
    biases : tuple of tensors that broadcast to (batch, head, query, key)
        Added in this order: position bias (T5), then the mask, which holds causality, windows and padding.
    sinks : float tensor, shape (head,), or None
        A column without a key that takes part in the softmax and is dropped after it (gpt-oss): rows sum below 1.
    """

    scaling: float | None
    softcap: float | None
    biases: tuple[Tensor, ...]
    sinks: Float[Tensor, " head"] | None

    @classmethod
    def of(cls, mask: Tensor | None, scaling: float | None, extras: dict[str, Any]) -> "Scores":
        """Return what a model hands to its attention function."""
        biases = tuple(bias for bias in (extras.get("position_bias"), mask) if bias is not None)
        return cls(scaling, extras.get("softcap"), biases, extras.get("s_aux"))

    @property
    def plain(self) -> bool:
        """Return whether the library's fast attention computes the same; it refuses caps and ignores sinks."""
        return self.softcap is None and self.sinks is None

    def part(self, rows: slice, batch: int) -> "Scores":
        """Return the same for some sentences of the batch."""
        return replace(self, biases=tuple(bias.expand(batch, -1, -1, -1)[rows] for bias in self.biases))

    def weights(
        self, query: Float[Tensor, "batch head query dim"], key: Float[Tensor, "batch head key dim"]
    ) -> Float[Tensor, "batch head query key"]:
        """Return attention, in float32 at least: half-precision models round the map, not the measurement."""
        scores = (query * (query.shape[-1] ** -0.5 if self.scaling is None else self.scaling)) @ key.transpose(2, 3)
        if self.softcap is not None:
            scores = self.softcap * torch.tanh(scores / self.softcap)
        for bias in self.biases:
            scores = scores + bias
        exact = torch.promote_types(query.dtype, torch.float32)
        if self.sinks is None:
            return scores.softmax(-1, dtype=exact)
        sinks = self.sinks.to(scores.dtype)[None, :, None, None].expand(*scores.shape[:3], 1)
        return torch.cat([scores, sinks], dim=-1).softmax(-1, dtype=exact)[..., :-1]


def repeat_heads(
    states: Float[Tensor, "batch shared_head key dim"], n_heads: int
) -> Float[Tensor, "batch head key dim"]:
    """Return keys or values with every head of its own: groups of query heads may share one."""
    groups = n_heads // states.shape[1]
    return states if groups == 1 else states.repeat_interleave(groups, dim=1)
