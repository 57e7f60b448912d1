"""Controls that keep all but the meaning: links of another pair, translations of another word."""

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from jaxtyping import Int

from pipeline.alignment.scores import Links
from pipeline.errors import PipelineError

T = TypeVar("T")
BIN = 10
"""Members of a bin: of like length or frequency, and enough to choose from."""


def derangement(
    order: Int[np.ndarray, " member"], rng: np.random.Generator, *, size: int = BIN
) -> Int[np.ndarray, " member"]:
    """Return for every member another one of its bin, none of them twice.

    Members in the given order are cut into bins of `size` (the last two share what is left over), each bin is shuffled,
    and every member takes the next one of its bin in a circle: no member keeps itself.

    Parameters
    ----------
    order : int array, shape (member,)
        A permutation of 0 .. n - 1: like members beside each other.
    rng : numpy Generator
        Shuffles.
    size : int
        Of a bin, at least 2.

    Returns
    -------
    int array, shape (member,)
        Whose things member i gets: a permutation without a fixed point.

    Raises
    ------
    PipelineError
        If there are not two members, or bins of less than two are asked for.
    """
    if len(order) < 2 or size < 2:
        message = (
            f"order, size: a bin needs two members or more, but there are {len(order)} in all and bins of {size}; "
            "give more members, or leave this control out"
        )
        raise PipelineError(message)
    partner = np.empty(len(order), dtype=np.int64)
    for part in np.array_split(order, max(1, len(order) // size)):
        circle = rng.permutation(part)
        partner[circle] = np.roll(circle, -1)
    return partner


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


def shuffled_entries(
    entries: Mapping[str, T], frequency: Mapping[str, int], rng: np.random.Generator, *, size: int = BIN
) -> dict[str, T]:
    """Return a dictionary in which every source word has the translations of another one of like frequency.

    Each entry is used once, so the dictionary has the same translations as before; that a word's translations come from
    a word as frequent keeps how often links are found. Words are sorted first, so the order of entries changes nothing.

    Parameters
    ----------
    entries : mapping of str to translations
        Source words with their target words.
    frequency : mapping of str to int
        How often a source word stands in the text; 0 where it is not named.
    rng : numpy Generator
        Shuffles.
    size : int
        Words of a bin of like frequency.

    Raises
    ------
    PipelineError
        If there are not two entries (`derangement`).
    """
    words = sorted(entries)
    counts = np.array([frequency.get(word, 0) for word in words], dtype=np.int64)
    partner = derangement(np.argsort(-counts, kind="stable"), rng, size=size)
    return {word: entries[words[other]] for word, other in zip(words, partner.tolist(), strict=True)}
