"""The control that reads the links of another pair of like length in a pair's blocks."""

import numpy as np
from jaxtyping import Int

from pipeline.alignment.scores import Links
from pipeline.lexicon.shuffle import BIN, derangement


def mispaired_partners(
    n_src: Int[np.ndarray, " pair"], n_tgt: Int[np.ndarray, " pair"], rng: np.random.Generator, *, size: int = BIN
) -> Int[np.ndarray, " pair"]:
    """Return for every pair another one of like length, whose links shall be read in its blocks; none is used twice.

    Pairs are ordered by their words on both sides together, then by those of the source, and `derangement` does the rest.
    """
    return derangement(np.lexsort((n_src, n_src + n_tgt)), rng, size=size)


def links_within(links: Links, *, n_src: int, n_tgt: int) -> Int[np.ndarray, "kept 2"]:
    """Return the links of another pair whose words this pair has; those of a partner that is longer may not be."""
    return links[(links < [n_src, n_tgt]).all(1)]
