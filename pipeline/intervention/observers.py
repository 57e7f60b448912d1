"""What is in charge of attention during a pass: one that only records, one that carries out an intervention."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pipeline.intervention import changes
from pipeline.intervention.scorer import Batch

Kind = Literal[
    "off", "zero", "uniform", "position", "mispaired", "links", "permuted", "balanced", "tempered"
]  # fmt: skip
Head = tuple[int, int]
"""Layer, from 1, and head, from 0."""


@dataclass(frozen=True)
class Intervention:
    """What happens to which heads.

    Attributes
    ----------
    kind : str
        `off` (a decoder's head gives out its mean over half A; in a joint encoder its target-to-source part is cut),
        `zero` (gives out nothing), or where the heads look instead.
    heads : tuple of (layer, head)
        Ascending.
    sweeps : int
        Of `balanced` and of the plan whose row entropies `tempered` has; 0 for all others.
    """

    kind: Kind
    heads: tuple[Head, ...]
    sweeps: int = 0

    @property
    def first(self) -> int:
        """Return the lowest layer that changes."""
        return self.heads[0][0]

    @property
    def key(self) -> str:
        """Return a name that no other intervention has."""
        return f"{self.kind}{self.sweeps or ''} " + " ".join(f"{layer}.{head}" for layer, head in self.heads)


@dataclass(frozen=True)
class Extra:
    """What replacements need beside the batch; all float64 on the model's device.

    Attributes
    ----------
    places : shape (batch, view, query)
        Relative place of the token that a query position stands for.
    key_places : shape (batch, key)
    links, permuted : shape (batch, view, query, key)
        `words.linked_share`; rows of 0 keep their own attention.
    mispaired : shape (batch, layer, head, query, key)
    """

    places: Float[Tensor, "batch view query"]
    key_places: Float[Tensor, "batch key"]
    links: Float[Tensor, "batch view query key"]
    permuted: Float[Tensor, "batch view query key"]
    mispaired: Float[Tensor, "batch layer head query key"]


class Record:
    """Keeps attention and head outputs of the watched layers; changes nothing."""

    def __init__(self, layers: Mapping[nn.Module, int]) -> None:
        self.layers = layers
        self.weights: dict[int, Float[Tensor, "batch head query key"]] = {}
        self.outputs: dict[int, Float[Tensor, "batch head query dim"]] = {}

    def layer_of(self, module: nn.Module, n_queries: int, n_keys: int) -> int | None:
        """Return the layer of a watched module."""
        return self.layers.get(module)

    def attend(
        self, layer: int, scores: Float[Tensor, "batch head query key"], value: Float[Tensor, "batch head key dim"]
    ) -> Float[Tensor, "batch head query dim"]:
        """Return the heads' outputs as they are."""
        self.weights[layer] = scores.softmax(-1)
        self.outputs[layer] = self.weights[layer] @ value
        return self.outputs[layer]


@dataclass
class Edit:
    """Carries out one intervention on one batch.

    Attributes
    ----------
    layers : mapping from attention module to layer
    intervention : Intervention
    batch : Batch
    extra : Extra
    means : float tensor, shape (layer, head, dim)
        Mean outputs over half A.
    views : int tensor, shape (layer, head)
        In which view each head aligns better: whose words its positions stand for.
    causal : bool
        Decoders: `off` takes the mean, and columns are balanced with past rows.
    """

    layers: Mapping[nn.Module, int]
    intervention: Intervention
    batch: Batch
    extra: Extra
    means: Float[Tensor, "layer head dim"]
    views: Int[Tensor, "layer head"]
    causal: bool

    def layer_of(self, module: nn.Module, n_queries: int, n_keys: int) -> int | None:
        """Return the layer of a module whose heads change."""
        layer = self.layers.get(module)
        return layer if layer in {layer for layer, _ in self.intervention.heads} else None

    def attend(
        self, layer: int, scores: Float[Tensor, "batch head query key"], value: Float[Tensor, "batch head key dim"]
    ) -> Float[Tensor, "batch head query dim"]:
        """Return the heads' outputs, those of the changed heads as the intervention says."""
        heads = [head for at, head in self.intervention.heads if at == layer]
        weights = scores.softmax(-1)
        if self.intervention.kind == "zero" or (self.intervention.kind == "off" and self.causal):
            output = weights @ value
            means = self.means[layer - 1, heads][:, None].to(output.dtype)
            output[:, heads] = means.expand(-1, output.shape[2], -1) if self.intervention.kind == "off" else 0.0
            return output
        weights[:, heads] = self._changed(layer, heads, scores[:, heads], weights[:, heads])
        return weights @ value

    def _changed(
        self,
        layer: int,
        heads: list[int],
        scores: Float[Tensor, "batch some query key"],
        weights: Float[Tensor, "batch some query key"],
    ) -> Float[Tensor, "batch some query key"]:
        batch = self.batch
        if self.intervention.kind == "off":
            return changes.cut(weights, batch.rows, batch.keys)
        share = self._share(layer, heads, scores, weights)
        rows = batch.rows[:, None]
        if self.intervention.kind in ("links", "permuted"):
            rows = rows & (share.sum(-1) > 0)
        return changes.substitute(weights, share, rows, batch.keys)

    def _share(
        self,
        layer: int,
        heads: list[int],
        scores: Float[Tensor, "batch some query key"],
        weights: Float[Tensor, "batch some query key"],
    ) -> Float[Tensor, "batch #some #query key"]:
        kind, batch, extra = self.intervention.kind, self.batch, self.extra
        if kind == "uniform":
            return changes.uniform(batch.keys)
        if kind == "mispaired":
            return extra.mispaired[:, layer - 1, heads]
        views = self.views[layer - 1, heads]
        if kind in ("links", "permuted"):
            return (extra.links if kind == "links" else extra.permuted)[:, views]
        if kind == "position":
            entropies = changes.entropy(changes.within(weights, batch.keys)) * batch.rows[:, None]
            target = entropies.sum(-1) / batch.rows.sum(-1)[:, None]
            return changes.near(extra.places[:, views], extra.key_places, batch.keys, target, batch.rows)
        plan = changes.balanced(scores, batch.rows, batch.keys, sweeps=self.intervention.sweeps, causal=self.causal)
        if kind == "balanced":
            return plan
        return changes.tempered(scores, batch.keys, changes.entropy(plan))


def stack(arrays: list, shape: tuple[int, ...], device: torch.device) -> Float[Tensor, "batch *shape"]:
    """Return arrays of one rank as one float64 tensor, filled up with zeros to `shape`."""
    out = torch.zeros((len(arrays), *shape), dtype=torch.float64)
    for row, array in enumerate(arrays):
        out[row][tuple(slice(n) for n in array.shape)] = torch.from_numpy(array)
    return out.to(device)
