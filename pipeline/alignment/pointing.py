"""Pointing: how often the word that a query word looks at most is one of its translations."""

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from pipeline.alignment.scores import Links
from pipeline.errors import PipelineError

Side = Literal["tgt", "src"]


def by_query(blocks: np.ndarray, query: str) -> np.ndarray:
    """Return blocks as (..., query, key): as they are where the target looks, transposed where the source does.

    Raises
    ------
    PipelineError
        If the side is neither.

    Examples
    --------
    >>> by_query(np.array([[1, 2], [3, 4]]), "src").tolist()
    [[1, 3], [2, 4]]
    """
    if query not in ("tgt", "src"):
        message = f"query: must be tgt or src, the side whose words look, but it is {query!r}; choose one"
        raise PipelineError(message)
    return blocks if query == "tgt" else np.swapaxes(blocks, -1, -2)


def link_block(links: Links, *, n_src: int, n_tgt: int) -> Bool[np.ndarray, "tgt src"]:
    """Return links (source word, target word) as a mask, laid out as blocks are."""
    block = np.zeros((n_tgt, n_src), dtype=bool)
    block[links[:, 1], links[:, 0]] = True
    return block


def word_mask(
    n_src: Int[np.ndarray, " pair"], n_tgt: Int[np.ndarray, " pair"], *, shape: tuple[int, int] | None = None
) -> Bool[np.ndarray, "pair tgt src"]:
    """Return which entries of padded blocks belong to words, the padding being behind them.

    Parameters
    ----------
    n_src, n_tgt : int array, shape (pair,)
        Words of either side.
    shape : (tgt, src), optional
        Size of the padded blocks; the default is the smallest.
    """
    n_rows, n_columns = shape or (int(n_tgt.max()), int(n_src.max()))
    tgt, src = np.arange(n_rows) < n_tgt[:, None], np.arange(n_columns) < n_src[:, None]
    return tgt[:, :, None] & src[:, None, :]


def pointing(
    blocks: Float[np.ndarray, "*lead tgt src"],
    linked: Bool[np.ndarray, "*#lead tgt src"],
    *,
    query: Side,
    words: Bool[np.ndarray, "*#lead tgt src"] | None = None,
) -> Float[np.ndarray, "*lead"]:
    """Return the share of linked query words whose largest attention is on a word that they are linked with.

    For a query word i with links L_i and T_i = argmax_j a_ij (all words that tie),
    pointing = mean over {i : L_i not empty} of |T_i and L_i| / |T_i|, in [0, 1]; NaN without linked query words.
    The score has no constant, and sharper attention with the same order of words has the same one.

    Parameters
    ----------
    blocks : float array, shape (..., tgt, src)
        Any order-preserving scale of attention: rows need not be normalised.
    linked : bool array, shape (..., tgt, src)
        Links of the pair (`link_block`); give the sure ones of a gold set, or the sure and possible ones.
    query : {"tgt", "src"}
        The side whose words look.
    words : bool array, shape (..., tgt, src), optional
        Where blocks are padded: which entries are words (`word_mask`). Leading axes broadcast.
    """
    rows, links = by_query(blocks, query), by_query(linked, query)
    if words is not None:
        rows = np.where(by_query(words, query), rows, -np.inf)
    top = (rows == rows.max(-1, keepdims=True)) & (rows > -np.inf)
    hits = np.divide((top & links).sum(-1), top.sum(-1), out=np.zeros(rows.shape[:-1]), where=top.any(-1))
    return mean_over_linked(hits, links)


def mean_over_linked(
    values: Float[np.ndarray, "*lead query"], linked: Bool[np.ndarray, "*#lead query key"]
) -> Float[np.ndarray, "*lead"]:
    """Return the mean of a value a query word over those that have a link; NaN where none has."""
    counted = np.broadcast_to(linked.any(-1), values.shape)
    n_counted = counted.sum(-1)
    total = np.where(counted, values, 0.0).sum(-1)
    return np.divide(total, n_counted, out=np.full(total.shape, np.nan), where=n_counted > 0)


def relative_positions(n_words: Int[np.ndarray, "*lead"], width: int) -> Float[np.ndarray, "*lead word"]:
    """Return (i + 1/2) / n for word i of n, `width` values a pair; those beyond the pair's words mean nothing."""
    return (np.arange(width) + 0.5) / n_words[..., None]


def position_distance(
    n_src: Int[np.ndarray, "*lead"], n_tgt: Int[np.ndarray, "*lead"], *, shape: tuple[int, int]
) -> Float[np.ndarray, "*lead tgt src"]:
    """Return |x_i - x_j| between the relative positions of target word i and source word j, in [0, 1) for words."""
    tgt, src = relative_positions(n_tgt, shape[0]), relative_positions(n_src, shape[1])
    return np.abs(tgt[..., :, None] - src[..., None, :])


def position_pointing(
    linked: Bool[np.ndarray, "pair tgt src"],
    n_src: Int[np.ndarray, " pair"],
    n_tgt: Int[np.ndarray, " pair"],
    *,
    query: Side,
) -> Float[np.ndarray, " pair"]:
    """Return the pointing of the nearest relative position, word i at (i + 1/2) / n: the floor of `pointing`.

    Parameters
    ----------
    linked : bool array, shape (pair, tgt, src)
        Links, False in the padding.
    n_src, n_tgt : int array, shape (pair,)
        Words of each pair.
    query : {"tgt", "src"}
        The side whose words look.
    """
    shape = linked.shape[1], linked.shape[2]
    distance = position_distance(n_src, n_tgt, shape=shape)
    # Exact ties of fractions (two words equally near) would otherwise be broken by rounding.
    return pointing(-np.round(distance, 9), linked, query=query, words=word_mask(n_src, n_tgt, shape=shape))


def above_position(
    blocks: Float[np.ndarray, "pair *lead tgt src"],
    linked: Bool[np.ndarray, "pair tgt src"],
    n_src: Int[np.ndarray, " pair"],
    n_tgt: Int[np.ndarray, " pair"],
    *,
    query: Side,
) -> Float[np.ndarray, "pair *lead"]:
    """Return pointing minus that of nearest relative position, of every pair (claim 1 is decided by its mean)."""
    lead = blocks.ndim - 3
    words = word_mask(n_src, n_tgt, shape=(linked.shape[1], linked.shape[2]))
    grow = (slice(None), *[None] * lead)
    floor = position_pointing(linked, n_src, n_tgt, query=query)
    return pointing(blocks, linked[grow], query=query, words=words[grow]) - floor[grow]
