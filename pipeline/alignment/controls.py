"""What knows nothing of translation, on the very same pairs: uniform, position, mispaired, random."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

from pipeline.conventions import TGT_TO_SRC, View
from pipeline.corpus.pharaoh import Links

POSITION_SD = 1.5
"""Standard deviation of the position control, in key words."""


def uniform_block(n_src: int, n_tgt: int, view: View) -> Float[np.ndarray, "tgt src"]:
    """Return attention spread evenly over the key words."""
    return np.full((n_tgt, n_src), 1 / (n_tgt if view.key_side == "tgt" else n_src))


def position_block(n_src: int, n_tgt: int, view: View, *, sd: float = POSITION_SD) -> Float[np.ndarray, "tgt src"]:
    """Return attention that sees positions only: a Gaussian around the same relative position.

    The relative position of word i of n is i / n. Each query word has mass 1.

    Parameters
    ----------
    n_src, n_tgt : int
        Words of either side, at least 1.
    view : View
        Says whose words are queries: rows sum to 1 where the target's are, else columns.
    sd : float
        In key words.
    """
    if view.query_side == "src":
        return position_block(n_tgt, n_src, TGT_TO_SRC, sd=sd).T
    centre = np.arange(n_tgt)[:, None] * (n_src / n_tgt)
    log_weight = -0.5 * ((np.arange(n_src)[None, :] - centre) / sd) ** 2
    weight = np.exp(log_weight - log_weight.max(1, keepdims=True))
    return weight / weight.sum(1, keepdims=True)


def control_block(control: str, n_src: int, n_tgt: int, views: Sequence[View]) -> Float[np.ndarray, "view tgt src"]:
    """Return the `uniform` or `position` block in every view."""
    make = {"uniform": uniform_block, "position": position_block}[control]
    return np.stack([make(n_src, n_tgt, view) for view in views])


def mispaired_partners(
    n_src: Int[np.ndarray, " pair"],
    n_tgt: Int[np.ndarray, " pair"],
    n_links: Int[np.ndarray, " pair"],
    rng: np.random.Generator,
) -> Int[np.ndarray, " pair"]:
    """Return for every pair another one whose links shall be read in its blocks, or -1 where there is none.

    A partner has at most as many words on either side, so that its links fit, and at least one link. Among
    those, one with the nearest number of links is drawn at random: the scores depend on that number.
    """
    partners = np.full(len(n_src), -1, dtype=np.int64)
    for pair in range(len(n_src)):
        fits = (n_src <= n_src[pair]) & (n_tgt <= n_tgt[pair]) & (n_links > 0)
        fits[pair] = False
        candidates = np.flatnonzero(fits)
        if len(candidates):
            distance = np.abs(n_links[candidates] - n_links[pair])
            partners[pair] = rng.choice(candidates[distance == distance.min()])
    return partners


def position_matches(links: Links) -> float:
    """Return the share of links that pairing the linked words by their order in either sentence gets right.

    The order of a word that is linked more than once is that of its links.
    """
    src_rank, tgt_rank = (np.argsort(np.argsort(links[:, side], kind="stable")) for side in (0, 1))
    return float((src_rank == tgt_rank).mean())


def same_index_links(n_src: int, n_tgt: int) -> Links:
    """Return the links i-i of the words that both sides have."""
    index = np.arange(min(n_src, n_tgt))
    return np.stack([index, index], axis=1)


def nearest_position_links(n_src: int, n_tgt: int) -> Links:
    """Return one link a target word, to the source word of the nearest relative position i / n."""
    tgt = np.arange(n_tgt)
    distance = np.abs(np.arange(n_src)[None, :] / n_src - tgt[:, None] / n_tgt)
    return np.stack([distance.argmin(1), tgt], axis=1)
