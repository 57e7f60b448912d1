"""From a dictionary to the links of one sentence pair."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from pipeline.corpus.lemmas import lemma_of
from pipeline.lexicon.files import Lexicon, look_up_form

Key = Callable[[str], str]
_Places = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Hits:
    """What a dictionary says about one sentence pair, between forms of words (lower case), not places.

    Punctuation has no form and is never linked. Numbers and names are words like any other: the same number
    on both sides is a hit only if the dictionary holds it.
    """

    src: _Places
    """Where each form of a source word stands, ascending."""
    tgt: _Places
    pairs: frozenset[tuple[str, str]]
    """Forms that translate each other."""

    @property
    def hit_places(self) -> frozenset[int]:
        """Return the places of the source words that have a hit."""
        return frozenset(place for form in {src for src, _ in self.pairs} for place in self.src[form])


def find_hits(src_words: Sequence[str], tgt_words: Sequence[str], look_up: "LookUp") -> Hits:
    """Return which words of a pair the dictionary has as translations of each other.

    Words are compared as written (in lower case). Those without a hit on either side are then compared
    by dictionary form, if `look_up` has one; so a lemma never competes with a word that fits as it is.
    """
    src, tgt = _places(src_words), _places(tgt_words)
    pairs = look_up.between(src, tgt)
    if look_up.lemmas:
        free_src = src.keys() - {a for a, _ in pairs}
        free_tgt = tgt.keys() - {b for _, b in pairs}
        pairs |= look_up.between_lemmas(free_src, free_tgt)
    return Hits(src, tgt, frozenset(pairs))


class LookUp:
    """A dictionary together with the languages' lemmas."""

    def __init__(self, lexicon: Lexicon, *, lemmas: tuple[Key, Key] | None = None) -> None:
        self.entries = lexicon.entries
        self.lemmas = lemmas

    @classmethod
    def make(cls, lexicon: Lexicon, *, lemmas: str, src_lang: str, tgt_lang: str) -> "LookUp":
        """Return the look-up that `words.lemmas` of params.yaml asks for: `simplemma`, `stanza` or `none`."""
        if lemmas == "none":
            return cls(lexicon)
        return cls(lexicon, lemmas=(lemma_of(lemmas, src_lang), lemma_of(lemmas, tgt_lang)))

    def between(self, src: Iterable[str], tgt: Iterable[str]) -> set[tuple[str, str]]:
        """Return the pairs of forms that are entries."""
        present = set(tgt)
        return {(a, b) for a in src for b in self.entries.get(a, frozenset()) & present}

    def between_lemmas(self, src: Iterable[str], tgt: Iterable[str]) -> set[tuple[str, str]]:
        """Return the pairs of forms that are entries when one of the two, or both, is a lemma."""
        assert self.lemmas is not None
        by_key: dict[str, set[str]] = defaultdict(set)
        for form in tgt:
            for key in {form, look_up_form(self.lemmas[1](form))}:
                by_key[key].add(form)
        return {
            (a, b)
            for a in src
            for key in {a, look_up_form(self.lemmas[0](a))}
            for target in self.entries.get(key, frozenset()) & by_key.keys()
            for b in by_key[target]
        }


def _places(words: Sequence[str]) -> _Places:
    places: dict[str, list[int]] = defaultdict(list)
    for place, word in enumerate(words):
        if any(char.isalnum() for char in word):
            places[look_up_form(word)].append(place)
    return dict(places)


def one_to_one(hits: Hits) -> list[tuple[int, int]]:
    """Return the links between words that have one partner only, a word in at most one link.

    A form links to another if neither has a second partner in the sentence and both stand in it equally
    often: a word that is there twice links in order. Everything else is ambiguous and left out.
    """
    partners_of_src = Counter(src for src, _ in hits.pairs)
    partners_of_tgt = Counter(tgt for _, tgt in hits.pairs)
    return sorted(
        link
        for src, tgt in hits.pairs
        if partners_of_src[src] == partners_of_tgt[tgt] == 1 and len(hits.src[src]) == len(hits.tgt[tgt])
        for link in zip(hits.src[src], hits.tgt[tgt], strict=True)
    )


def first_occurrence(hits: Hits) -> list[tuple[int, int]]:
    """Return a link from every source word with a hit to the first target word that is one.

    This is the published notebook's habit, in an order that does not depend on a hash seed. A target word
    can be in many links.
    """
    first: dict[str, int] = {}
    for src, tgt in hits.pairs:
        first[src] = min(first.get(src, hits.tgt[tgt][0]), hits.tgt[tgt][0])
    return sorted((place, tgt) for src, tgt in first.items() for place in hits.src[src])


def count_ambiguous(hits: Hits, policy: str) -> int:
    """Return how many source words have a hit that the policy could not settle.

    With `one_to_one` these are the words that have a hit and no link; with `first_occurrence` those that had
    more than one target word to choose from.
    """
    if policy == "one_to_one":
        return len(hits.hit_places) - len(one_to_one(hits))
    choices: Counter[str] = Counter()
    for src, tgt in hits.pairs:
        choices[src] += len(hits.tgt[tgt])
    return sum(len(hits.src[src]) for src, n in choices.items() if n > 1)


POLICIES: dict[str, Callable[[Hits], list[tuple[int, int]]]] = {
    "one_to_one": one_to_one,
    "first_occurrence": first_occurrence,
}


def link_words(hits: Hits, policy: str) -> Int[np.ndarray, "link 2"]:
    """Return the links of a pair by one policy, ascending: `[:, 0]` source word, `[:, 1]` target word."""
    return np.array(POLICIES[policy](hits), dtype=np.int64).reshape(-1, 2)
