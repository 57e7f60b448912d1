"""Norm-weighted attention: how long the vector is that a query takes from a key, not only its weight.

Kobayashi et al. (2020): a head's output is the sum over keys of alpha f(x), with f(x) = (x W_V + b_V) W_O. The
weight of a key is the length of alpha f(x); that of a layer the length of its heads' sum. Lengths have the units of
the states. What the model does after the output projection (bias, normalisation) is no part of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.errors import PipelineError

# Names of the projection below the attention module; BERT's lies beside it.
_BELOW = ("o_proj", "out_proj", "o", "out_lin", "dense", "c_proj", "Wo", "wo")
_BESIDE = ("output.dense",)


@dataclass(frozen=True)
class Transformed:
    """Values after the output projection, head by head."""

    lengths: Float[Tensor, "batch head key"]
    products: Float[Tensor, "batch key head head"]
    """Inner products of the heads' vectors at each key."""

    @classmethod
    def of(
        cls, value: Float[Tensor, "batch head key value_dim"], projection: Float[Tensor, "heads_dim dim"]
    ) -> "Transformed":
        """Return the transformed values, in float32 at least."""
        exact = torch.promote_types(value.dtype, torch.float32)
        by_head = projection.to(exact).unflatten(0, (value.shape[1], -1))
        # One product a head for all sentences: broadcast over them, the projection would be copied for each.
        found = value.to(exact).transpose(0, 1).flatten(1, 2) @ by_head
        vectors = found.unflatten(1, (value.shape[0], -1)).permute(1, 2, 0, 3)  # (batch, key, head, dim)
        products = vectors @ vectors.transpose(2, 3)
        return cls(products.diagonal(dim1=2, dim2=3).clamp_min(0).sqrt().transpose(1, 2), products)

    def heads(self, weights: Float[Tensor, "batch head query key"]) -> Float[Tensor, "batch head query key"]:
        """Return the length of what each head takes from each key."""
        return weights * self.lengths[:, :, None]

    def layer(self, weights: Float[Tensor, "batch head query key"]) -> Float[Tensor, "batch query key"]:
        """Return the length of the sum over heads: its square is a quadratic form in the heads' weights."""
        by_key = weights.permute(0, 3, 2, 1)
        square = ((by_key @ self.products) * by_key).sum(-1)
        return square.clamp_min(0).sqrt().transpose(1, 2)


def output_projection(model: nn.Module, name: str) -> Float[Tensor, "heads_dim dim"]:
    """Return the matrix by which an attention module's heads, side by side, are multiplied from the right.

    Parameters
    ----------
    model : Module
        Holds the attention module.
    name : str
        Of the attention module below `model`.

    Raises
    ------
    PipelineError
        If no projection is found below the module or beside it.
    """
    for path in _candidates(name):
        try:
            found = model.get_submodule(path)
        except AttributeError:
            continue
        weight = found.weight
        assert isinstance(weight, Tensor)
        # GPT-2's layer keeps its matrix the other way round.
        return weight if type(found).__name__ == "Conv1D" else weight.T
    message = (
        f"extract.weights: norm needs the output projection of {name}, one of {', '.join(_BELOW)} below it or "
        f"{', '.join(_BESIDE)} beside it, but {type(model).__name__} has none; use weights: [attention]"
    )
    raise PipelineError(message)


def _candidates(name: str) -> Iterator[str]:
    yield from (f"{name}.{below}" for below in _BELOW)
    parent = name.rpartition(".")[0]
    yield from (f"{parent}.{beside}" for beside in _BESIDE)
