"""What is in charge of attention during a pass: one that only records, one that carries out an intervention."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.intervention import changes
from pipeline.intervention.scorer import Place

Kind = Literal[
    "off", "zero", "uniform", "position", "mispaired", "links", "permuted", "balanced", "tempered", "tempered_by_row"
]  # fmt: skip
NORMALISED: tuple[Kind, ...] = ("balanced", "tempered", "tempered_by_row")
"""The head's own scores, normalised otherwise: as a plan, or by a temperature that makes them as flat as that plan."""
Head = tuple[int, int]
"""Layer, from 1, and head, from 0."""


@dataclass(frozen=True)
class Intervention:
    """What happens to which heads.

    Attributes
    ----------
    kind : str
        `off` (a decoder's cross-attention gives out its mean over half A; self-attention loses its target-to-source
        part), `zero` (gives out nothing), or where the heads look instead.
    heads : tuple of (layer, head)
        Ascending.
    sweeps : int
        Of `balanced`, and of the plan whose mean entropy `tempered` has in every pair and `tempered_by_row` in every
        row; 0 for all others.
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


@runtime_checkable
class Shares(Protocol):
    """Tells where heads shall look instead, where that follows from the pair and from what was recorded."""

    def of(self, kind: Kind, layer: int, heads: list[int]) -> Float[Tensor, "batch #some #row column"]:
        """Return a distribution over the columns for each row; rows of 0 keep their own attention."""
        ...


class Record:
    """Keeps the blocks and the summed head outputs of every layer; changes nothing."""

    def __init__(self, layers: Mapping[nn.Module, int], place: Place) -> None:
        self.layers, self.place = layers, place
        self.blocks: dict[int, Float[Tensor, "batch head row column"]] = {}
        self.sums: dict[int, Float[Tensor, "head _dim"]] = {}

    def layer_of(self, module: nn.Module) -> int | None:
        """Return the layer of a watched module."""
        return self.layers.get(module)

    def attend(
        self, layer: int, weights: Float[Tensor, "batch head query key"], value: Float[Tensor, "batch head key dim"]
    ) -> Float[Tensor, "batch head query dim"]:
        """Return the heads' outputs as they are."""
        output = weights.to(value.dtype) @ value
        queries = self.place.queries(output.shape[2])
        self.blocks[layer] = self.place.take(weights)
        self.sums[layer] = torch.einsum("bhqd,bq->hd", output.double(), queries.double())
        return output


@dataclass
class Edit:
    """Carries out one intervention on one batch.

    Attributes
    ----------
    layers : mapping from attention module to layer
    intervention : Intervention
    place : Place
        Of the batch.
    shares : Shares
        Of the batch.
    means : mapping from layer to float tensor, shape (head, dim)
        Mean outputs over half A.
    cuts : bool
        Whether `off` cuts the target-to-source part instead of putting the mean.
    causal : bool
        Whether columns are balanced with past rows only.
    """

    layers: Mapping[nn.Module, int]
    intervention: Intervention
    place: Place
    shares: Shares
    means: Mapping[int, Float[Tensor, "head _dim"]]
    cuts: bool
    causal: bool

    def layer_of(self, module: nn.Module) -> int | None:
        """Return the layer of a module whose heads change."""
        layer = self.layers.get(module)
        return layer if layer in {layer for layer, _ in self.intervention.heads} else None

    def attend(
        self, layer: int, weights: Float[Tensor, "batch head query key"], value: Float[Tensor, "batch head key dim"]
    ) -> Float[Tensor, "batch head query dim"]:
        """Return the heads' outputs, those of the changed heads as the intervention says."""
        heads = [head for at, head in self.intervention.heads if at == layer]
        kind = self.intervention.kind
        if kind == "zero" or (kind == "off" and not self.cuts):
            output = weights.to(value.dtype) @ value
            means = self.means[layer][heads] * (kind == "off")
            rows = self.place.queries(output.shape[2])[:, None, :, None]
            output[:, heads] = torch.where(rows, means[:, None].to(output.dtype), output[:, heads])
            return output
        if kind == "off":
            self._cut(weights, heads)
        else:
            block = self.place.take(weights, heads)
            self.place.put(weights, heads, self._replaced(layer, heads, block))
        return weights.to(value.dtype) @ value

    def _cut(self, weights: Float[Tensor, "batch head query key"], heads: list[int]) -> None:
        """Take the mass on the source from the rows and spread it as the rest of each row is, in place.

        A row that has nothing elsewhere gives out nothing.
        """
        total = weights[:, heads].sum(-1, keepdim=True)
        self.place.put(weights, heads, torch.zeros_like(self.place.take(weights, heads)))
        left = weights[:, heads]
        mass = left.sum(-1, keepdim=True)
        rows = self.place.queries(weights.shape[2])[:, None, :, None]
        scale = torch.where(mass > 0, total / mass.clamp(min=torch.finfo(mass.dtype).tiny), 0.0)
        weights[:, heads] = torch.where(rows, left * scale, left)

    def _replaced(
        self, layer: int, heads: list[int], block: Float[Tensor, "batch some row column"]
    ) -> Float[Tensor, "batch some row column"]:
        """Return the block with the mass of each row spread otherwise."""
        kind, columns = self.intervention.kind, self.place.column_mask
        if kind in NORMALISED:
            share = self._normalised_otherwise(changes.within(block, columns))
        else:
            share = self.shares.of(kind, layer, heads)
        mass = block.double().sum(-1, keepdim=True)
        told = (share > 0).any(-1, keepdim=True)
        return torch.where(told, mass * share, block.double())

    def _normalised_otherwise(
        self, own: Float[Tensor, "batch some row column"]
    ) -> Float[Tensor, "batch some row column"]:
        rows = self.place.row_mask
        plan = changes.balanced(own, rows, sweeps=self.intervention.sweeps, causal=self.causal)
        if self.intervention.kind == "balanced":
            return plan
        if self.intervention.kind == "tempered_by_row":
            return changes.tempered_by_row(own, changes.entropy(plan)) * rows[:, None, :, None]
        return changes.tempered(own, rows, changes.mean_entropy(plan, rows))
