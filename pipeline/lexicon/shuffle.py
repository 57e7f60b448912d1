"""A dictionary whose translations are those of other words: the control that keeps all but the meaning."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from jaxtyping import Int

from pipeline.corpus.pairs import SentencePair
from pipeline.errors import PipelineError
from pipeline.lexicon.files import Lexicon, look_up_form

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


def shuffled_lexicon(lexicon: Lexicon, pairs: Sequence[SentencePair], *, seed: int) -> Lexicon:
    """Return the dictionary with the translations dealt out anew among words that are as frequent in the text.

    A dictionary of one word has no other one to give it: the result is empty.
    """
    if len(lexicon.entries) < 2:
        return replace(lexicon, entries={})
    frequency = Counter(look_up_form(word) for pair in pairs for word in pair.src_words)
    return replace(lexicon, entries=shuffled_entries(lexicon.entries, frequency, np.random.default_rng(seed)))
