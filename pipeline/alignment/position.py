"""What word order alone explains: Gaussians on relative position, as flat as the attention beside them or best for mass.

Blocks here are padded batches (pair, ..., tgt, src) whose padding is 0, and rows are normalised over the words of the
other side, whichever side looks.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.optimize import minimize_scalar
from scipy.special import entr, xlogy

from pipeline.alignment.pointing import Side, by_query, mean_over_linked, position_distance, word_mask

SD_RANGE = (0.05, 50.0)
"""Widths that are tried, in words of the side that is seen."""
_LOG_SDS = np.linspace(np.log(SD_RANGE[0]), np.log(SD_RANGE[1]), 24)
_STEPS = 60
_TOLERANCE = 1e-7
_CHUNK = 64
"""Pairs a step: bounds the memory."""


class Geometry(NamedTuple):
    """Sizes of padded pairs and which side looks.

    Attributes
    ----------
    n_src, n_tgt : int array, shape (pair,)
        Words of each pair.
    query : {"tgt", "src"}
        The side whose words look.
    """

    n_src: Int[np.ndarray, " pair"]
    n_tgt: Int[np.ndarray, " pair"]
    query: Side

    @property
    def n_query(self) -> Int[np.ndarray, " pair"]:
        """Words that look."""
        return self.n_tgt if self.query == "tgt" else self.n_src

    @property
    def n_key(self) -> Int[np.ndarray, " pair"]:
        """Words that are seen."""
        return self.n_src if self.query == "tgt" else self.n_tgt

    def take(self, rows: Int[np.ndarray, " row"] | Bool[np.ndarray, " pair"] | slice) -> "Geometry":
        """Return the same for some of the pairs."""
        return Geometry(self.n_src[rows], self.n_tgt[rows], self.query)

    def words(self, shape: tuple[int, int]) -> Bool[np.ndarray, "pair query key"]:
        """Return which entries of padded blocks, `shape` (tgt, src), are words, as (query, key)."""
        return by_query(word_mask(self.n_src, self.n_tgt, shape=shape), self.query)

    def distance(self, shape: tuple[int, int]) -> Float[np.ndarray, "pair query key"]:
        """Return |x_i - x_j| of relative positions, in [0, 1) for words, as (query, key)."""
        return by_query(position_distance(self.n_src, self.n_tgt, shape=shape), self.query)


def normalised_rows(
    blocks: Float[np.ndarray, "pair *lead tgt src"], query: Side
) -> Float[np.ndarray, "pair *lead query key"]:
    """Return blocks as (..., query, key), float64, each row summing to 1 over the words seen.

    A row without any attention (padding, or a word that sees special tokens only) keeps its zeros.
    """
    rows = by_query(blocks, query).astype(np.float64)
    total = rows.sum(-1, keepdims=True)
    return np.divide(rows, total, out=np.zeros_like(rows), where=total > 0)


def row_entropy(
    rows: Float[np.ndarray, "pair *lead query key"], n_query: Int[np.ndarray, " pair"]
) -> Float[np.ndarray, "pair *lead"]:
    """Return the mean entropy in nats of the rows of a pair, over all of its query words."""
    lead = rows.ndim - 3
    return entr(rows).sum((-1, -2)) / n_query[(slice(None), *[None] * lead)]


def gaussian_rows(
    sd: Float[np.ndarray, "pair *lead"], geometry: Geometry, *, shape: tuple[int, int]
) -> Float[np.ndarray, "pair *lead query key"]:
    """Return rows proportional to exp(-((x_i - x_j) n_key)^2 / 2 sd^2), each summing to 1; 0 in the padding.

    Parameters
    ----------
    sd : float array, shape (pair, ...)
        Width in words of the side that is seen, greater than 0.
    geometry : Geometry
        Of the same pairs.
    shape : (tgt, src)
        Size of the padded blocks.
    """
    grow = (slice(None), *[None] * (sd.ndim - 1))
    squares, words = _squares(geometry, shape)
    return _softmax(-squares[grow] / (2 * np.square(sd)[..., None, None]), words[grow])


def _squares(
    geometry: Geometry, shape: tuple[int, int]
) -> tuple[Float[np.ndarray, "pair query key"], Bool[np.ndarray, "pair query key"]]:
    """Return squared distances in key words, 0 for the nearest word of a row, and which entries are words."""
    words = geometry.words(shape)
    squares = np.square(geometry.distance(shape) * geometry.n_key[:, None, None])
    nearest = np.where(words, squares, np.inf).min(-1, keepdims=True)
    return np.where(words, squares - np.where(np.isfinite(nearest), nearest, 0.0), 0.0), words


def _softmax(
    logits: Float[np.ndarray, "*lead query key"], words: Bool[np.ndarray, "*#lead query key"]
) -> Float[np.ndarray, "*lead query key"]:
    """Return rows of a softmax whose largest logit is 0."""
    weights = np.exp(logits) * words
    total = weights.sum(-1, keepdims=True)
    return np.divide(weights, total, out=weights, where=total > 0)


class MatchedWidths(NamedTuple):
    """Widths of Gaussians that are as flat as the attention.

    Attributes
    ----------
    sd : float array, shape (pair, ...)
        In words of the side that is seen, within `SD_RANGE`.
    out_of_reach : bool array, shape (pair, ...)
        Where no width has the entropy and the nearest end of the range was taken.
    """

    sd: Float[np.ndarray, "pair *lead"]
    out_of_reach: Bool[np.ndarray, "pair *lead"]


def entropy_matched_widths(
    entropy: Float[np.ndarray, "pair *lead"], geometry: Geometry, *, shape: tuple[int, int]
) -> MatchedWidths:
    """Return the width at which the Gaussian's mean row entropy equals the attention's, pair by pair.

    Entropy grows with the width, so log sd is bracketed and halved; a Newton step is taken instead wherever it stays
    in the bracket: with b = 1 / 2 sd^2 and squared distance D, d entropy / d log sd = 2 b^2 Var(D).

    Parameters
    ----------
    entropy : float array, shape (pair, ...)
        Mean over all query words of a pair (`row_entropy`), in nats.
    geometry : Geometry
        Of the same pairs.
    shape : (tgt, src)
        Size of the padded blocks.
    """
    flat = entropy.reshape(len(entropy), -1)
    sd, missed = np.empty(flat.shape), np.empty(flat.shape, dtype=bool)
    # Pairs of like length stand together, so that little padding is computed.
    order = np.argsort(np.maximum(geometry.n_src, geometry.n_tgt), kind="stable")
    for start in range(0, len(order), _CHUNK):
        rows = order[start : start + _CHUNK]
        part = geometry.take(rows)
        cut = min(shape[0], int(part.n_tgt.max())), min(shape[1], int(part.n_src.max()))
        sd[rows], missed[rows] = _bisect(flat[rows], part, cut)
    return MatchedWidths(sd.reshape(entropy.shape), missed.reshape(entropy.shape))


def _bisect(
    target: Float[np.ndarray, "pair case"], geometry: Geometry, shape: tuple[int, int]
) -> tuple[Float[np.ndarray, "pair case"], Bool[np.ndarray, "pair case"]]:
    squares, words = _squares(geometry, shape)
    # Entropy at a few widths, the same for all cases of a pair, is a good first bracket.
    grid = _LOG_SDS
    known = np.stack([_entropy_and_slope(np.full((len(target), 1), at), squares, words)[0][:, 0] for at in grid], 1)
    place = (known[:, None, :] <= target[..., None]).sum(-1)
    missed = (place == 0) | (place == len(grid))
    low, high = grid[np.clip(place - 1, 0, len(grid) - 2)], grid[np.clip(place, 1, len(grid) - 1)]
    log_sd = np.where(place == 0, grid[0], np.where(place == len(grid), grid[-1], (low + high) / 2))
    missed &= np.abs(target - np.where(place == 0, known[:, :1], known[:, -1:])) > _TOLERANCE
    open_ = (place > 0) & (place < len(grid))
    for _ in range(_STEPS):
        if not open_.any():
            break
        value, slope = _entropy_and_slope(log_sd, squares, words)
        error = value - target
        open_ &= np.abs(error) > _TOLERANCE
        low, high = np.where(error < 0, log_sd, low), np.where(error > 0, log_sd, high)
        step = log_sd - np.divide(error, slope, out=np.full_like(error, np.inf), where=slope > 0)
        inside = (step > low) & (step < high)
        log_sd = np.where(open_, np.where(inside, step, (low + high) / 2), log_sd)
    return np.exp(log_sd), missed


def _entropy_and_slope(
    log_sd: Float[np.ndarray, "pair case"],
    squares: Float[np.ndarray, "pair query key"],
    words: Bool[np.ndarray, "pair query key"],
) -> tuple[Float[np.ndarray, "pair case"], Float[np.ndarray, "pair case"]]:
    """Return the mean row entropy, log Z + b E[D], and its derivative by log sd."""
    b = 0.5 * np.exp(-2 * log_sd)
    weights = np.exp(-b[..., None, None] * squares[:, None])
    weights *= words[:, None]
    total = weights.sum(-1)
    filled = np.where(total > 0, total, 1.0)
    first = np.einsum("pcqk,pqk->pcq", weights, squares) / filled
    second = np.einsum("pcqk,pqk->pcq", weights, np.square(squares)) / filled
    n_query = words.any(-1).sum(-1)[:, None]
    entropy = (np.log(filled) + b[..., None] * first).sum(-1) / n_query
    return entropy, (2 * np.square(b)[..., None] * (second - np.square(first))).sum(-1) / n_query


def matched_position(
    rows: Float[np.ndarray, "pair *lead query key"], geometry: Geometry, *, shape: tuple[int, int]
) -> tuple[Float[np.ndarray, "pair *lead query key"], Bool[np.ndarray, "pair *lead"]]:
    """Return the position rows that are as flat as the attention, and where none is (the bound was taken).

    Parameters
    ----------
    rows : float array, shape (pair, ..., query, key)
        Attention, normalised (`normalised_rows`).
    geometry : Geometry
        Of the same pairs.
    shape : (tgt, src)
        Size of the padded blocks.
    """
    widths = entropy_matched_widths(row_entropy(rows, geometry.n_query), geometry, shape=shape)
    return gaussian_rows(widths.sd, geometry, shape=shape), widths.out_of_reach


def mass_on_links(
    rows: Float[np.ndarray, "pair *lead query key"], linked: Bool[np.ndarray, "pair query key"]
) -> Float[np.ndarray, "pair *lead"]:
    """Return the share of a query word's attention that lies on its linked words, mean over those that have a link.

    In [0, 1]; NaN for a pair without links. Rows sum to 1 over the words seen.
    """
    lead = rows.ndim - 3
    grown = linked[(slice(None), *[None] * lead)]
    return mean_over_linked((rows * grown).sum(-1), grown)


def best_width(
    linked: Bool[np.ndarray, "pair query key"],
    geometry: Geometry,
    half: Bool[np.ndarray, " pair"] | slice = slice(None),
) -> float:
    """Return the one width, in words seen, whose Gaussian puts most mass on the links of a half of the pairs.

    Fit on half A and judge on the other: this control is fitted to what it is judged by.
    """
    shape = linked.shape[1:] if geometry.query == "tgt" else linked.shape[:0:-1]
    links, part = linked[half], geometry.take(half)

    def loss(log_sd: float) -> float:
        rows = gaussian_rows(np.full(len(links), np.exp(log_sd)), part, shape=(shape[0], shape[1]))
        return -float(np.nanmean(mass_on_links(rows, links)))

    best = int(np.argmin([loss(at) for at in _LOG_SDS]))
    bounds = _LOG_SDS[max(best - 1, 0)], _LOG_SDS[min(best + 1, len(_LOG_SDS) - 1)]
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-4}).x))


def uniform_rows(
    tokens: Float[np.ndarray, "pair key"], geometry: Geometry, *, shape: tuple[int, int]
) -> Float[np.ndarray, "pair query key"]:
    """Return rows that are uniform over the tokens seen: a key word with more sub-word tokens gets more.

    Parameters
    ----------
    tokens : float array, shape (pair, key)
        Sub-word tokens of each key word, 0 in the padding. Give ones for a uniform over words.
    geometry : Geometry
        Of the same pairs.
    shape : (tgt, src)
        Size of the padded blocks.
    """
    share = tokens / tokens.sum(-1, keepdims=True)
    return np.where(geometry.words(shape), share[:, None, :], 0.0)


def divergence(
    rows: Float[np.ndarray, "pair *lead query key"],
    model: Float[np.ndarray, "pair *lead query key"],
    n_query: Int[np.ndarray, " pair"],
) -> Float[np.ndarray, "pair *lead"]:
    """Return KL(row || model row) in nats, mean over the query words of a pair; infinite where the model has a 0."""
    lead = rows.ndim - 3
    with np.errstate(divide="ignore"):
        ratio = xlogy(rows, rows) - xlogy(rows, model)
    return ratio.sum((-1, -2)) / n_query[(slice(None), *[None] * lead)]
