"""Word vectors where they are asked for, and the distances between those of the two sides."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

COSTS = {
    "squared_of_means": "squared distance of mean-pooled word vectors",
    "mean_of_distances": "mean Euclidean distance, not squared, over the pairs of tokens of two words",
}
"""What the costs of a convention are, for manifests."""


@dataclass(frozen=True)
class WordStates:
    """States of the tokens of both sides, and which tokens make a word.

    Attributes
    ----------
    src, tgt : sequence of float tensor, shape (batch, token, dim)
        One a level, as many on either side.
    src_mean, tgt_mean : float tensor, shape (batch, word, token)
        Weights of the tokens of each word; rows sum to 1, padding rows to 0.
    """

    src: Sequence[Float[Tensor, "batch src_token dim"]]
    tgt: Sequence[Float[Tensor, "batch tgt_token dim"]]
    src_mean: Float[Tensor, "batch src src_token"]
    tgt_mean: Float[Tensor, "batch tgt tgt_token"]


@dataclass(frozen=True)
class Distances:
    """Between words, level by level; entries of padding words mean nothing.

    Attributes
    ----------
    cost : float tensor, shape (batch, level, src, tgt)
        As the convention says; squared Euclidean distance of word vectors (eq. 1) unless it is the notebook's.
    cosine, cosine_raw : float tensor, shape (batch, level, src, tgt)
        Of word vectors centred on their side's mean, and as they are; in [-1, 1].
    """

    cost: Float[Tensor, "batch level src tgt"]
    cosine: Float[Tensor, "batch level src tgt"]
    cosine_raw: Float[Tensor, "batch level src tgt"]


def word_distances(states: WordStates, cost: str = "squared_of_means") -> Distances:
    """Return costs and cosines of every level.

    Parameters
    ----------
    states : WordStates
        Of a batch.
    cost : {"squared_of_means", "mean_of_distances"}
        As in `Convention`.
    """
    rows = (*_centred(states.src_mean), *_centred(states.tgt_mean))
    points = (_points(own, other, *rows) for own, other in zip(states.src, states.tgt, strict=True))
    measure = _at_once if states.src_mean.is_cuda else _one_by_one
    squared, centred, raw = measure(points, states.src_mean.shape[1])
    return Distances(squared if cost == "squared_of_means" else _token_distances(states), centred, raw)


def _one_by_one(points: Iterable[Tensor], n_src: int) -> tuple[Tensor, ...]:
    """Return the distances level by level: what one takes stays in a processor's cache."""
    return tuple(torch.stack(of, dim=1) for of in zip(*(_distances(level, n_src) for level in points), strict=True))


def _at_once(points: Iterable[Tensor], n_src: int) -> tuple[Tensor, ...]:
    """Return the distances of all levels as one batch: on a card, many small products cost more than a large one."""
    levels = list(points)
    found = _distances(torch.cat(levels), n_src)
    return tuple(of.unflatten(0, (len(levels), -1)).transpose(0, 1) for of in found)


def _centred(weights: Float[Tensor, "batch word token"]) -> tuple[Tensor, Tensor]:
    """Return the rows less their mean, and the mean: to centre these is to centre the words, and they are few."""
    n_words = (weights != 0).any(2).sum(1)
    mean = weights.sum(1, keepdim=True) / n_words[:, None, None]
    return weights - mean, mean


def _points(own: Tensor, other: Tensor, src: Tensor, src_mean: Tensor, tgt: Tensor, tgt_mean: Tensor) -> Tensor:
    """Return centred source and target words, the way between the two means and the means, (batch, point, dim)."""
    if own is other:  # one sequence: read once
        return torch.cat([src, tgt, tgt_mean - src_mean, src_mean, tgt_mean], dim=1) @ own.to(src.dtype)
    own, other = own.to(src.dtype), other.to(src.dtype)
    src_centre, tgt_centre = src_mean @ own, tgt_mean @ other
    return torch.cat([src @ own, tgt @ other, tgt_centre - src_centre, src_centre, tgt_centre], dim=1)


def _distances(points: Float[Tensor, "batch point dim"], n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return squared distances, centred and raw cosines, the first `n` points being the source's.

    With the way `m` between the means apart, the expanded square |s - t - m|^2 loses no digits.
    """
    products = points @ points.transpose(1, 2)
    src, tgt, way, src_centre, tgt_centre = slice(0, n), slice(n, -3), slice(-3, -2), slice(-2, -1), slice(-1, None)
    square = products.diagonal(dim1=1, dim2=2)
    between = products[:, src, tgt]
    src_part = square[:, src, None] - 2 * products[:, src, way]
    tgt_part = square[:, None, tgt] + 2 * products[:, way, tgt] + square[:, way, None]
    squared = (src_part + tgt_part - 2 * between).clamp_min(0)
    centred = _cosine(between, square[:, src], square[:, tgt])
    raw = between + products[:, src, tgt_centre] + products[:, src_centre, tgt] + products[:, src_centre, tgt_centre]
    src_square = square[:, src] + 2 * products[:, src, -2] + square[:, src_centre]
    tgt_square = square[:, tgt] + 2 * products[:, tgt, -1] + square[:, tgt_centre]
    return squared, centred, _cosine(raw, src_square, tgt_square)


def _cosine(products: Tensor, src_square: Tensor, tgt_square: Tensor) -> Tensor:
    src, tgt = (square.clamp_min(0).sqrt().clamp_min(1e-12) for square in (src_square, tgt_square))
    return products / src[:, :, None] / tgt[:, None]


def _token_distances(states: WordStates) -> Float[Tensor, "batch level src tgt"]:
    """Return the mean Euclidean distance, not squared, over the pairs of tokens of two words: the notebook's cost."""
    levels = []
    for src_states, tgt_states in zip(states.src, states.tgt, strict=True):
        own, other = (part.to(states.src_mean.dtype) for part in (src_states, tgt_states))
        between = torch.cdist(own, other, compute_mode="donot_use_mm_for_euclid_dist")
        levels.append(states.src_mean @ between @ states.tgt_mean.transpose(1, 2))
    return torch.stack(levels, dim=1)
