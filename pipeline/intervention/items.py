"""Sentence pairs as a model reads them when its loss is taken, and what replacements must know about their words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from pipeline.attention.reader import Example, Reader
from pipeline.attention.word_map import UnmappableError, mean_rows
from pipeline.conventions import Reads
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pharaoh import Links

IGNORED = -100
"""Label of a position whose token is not scored."""
MASKED_SHARE = 0.4
"""Of the target words that a joint encoder must guess."""


@dataclass(frozen=True)
class Item:
    """One pair, tokenised and labelled.

    Attributes
    ----------
    example : Example
        What the model reads; words of a joint encoder's target are masked in it.
    labels : list of int
        The id that each query position must predict, or `IGNORED`.
    n_words : int
        Target words that are scored.
    queries : float array, shape (view, tgt_word, query)
        Weights of the query positions of each target word in each view; rows sum to 1.
    links : int array, shape (link, 2)
        Dictionary links, source and target word.
    """

    example: Example
    labels: list[int]
    n_words: int
    queries: Float[np.ndarray, "view tgt_word query"]
    links: Links

    @property
    def pair_id(self) -> int:
        """Return the pair's number."""
        return self.example.pair_id

    @property
    def keys(self) -> Float[np.ndarray, "src_word key"]:
        """Return the share of each key token that belongs to each source word."""
        return self.example.src

    @cached_property
    def of_view(self) -> Bool[np.ndarray, "view query"]:
        """Return at which query positions tokens of target words are, in each view."""
        return np.any(self.queries > 0, axis=1)

    @cached_property
    def rows(self) -> Int[np.ndarray, " row"]:
        """Return the query positions that an intervention may change: those of any view."""
        return np.flatnonzero(self.of_view.any(0))

    @cached_property
    def columns(self) -> Int[np.ndarray, " column"]:
        """Return the key positions that hold tokens of source words."""
        return np.flatnonzero(np.any(self.keys > 0, axis=0))


@dataclass(frozen=True)
class Encode:
    """Turns a pair into an item, by a reader of the model.

    A decoder (`cross`, `prompt`) is scored on every token of the reference that it predicts from those before it, and
    is seen in two views: the output step predicts a word, the input step reads it. A joint encoder is scored on whole
    words of the target that are masked, drawn by seed and pair, and its target words look at the source.

    Attributes
    ----------
    reader : Reader
        Of the translator.
    reads : {"cross", "joint", "prompt"}
        As the translator's.
    mask : int or None
        Id of the mask token, for `joint`.
    seed : int
        Of the masked words.
    """

    reader: Reader
    reads: Reads
    mask: int | None
    seed: int

    def __call__(self, pair: SentencePair, links: Links) -> Item:
        """Return the pair as the model reads it.

        Raises
        ------
        UnmappableError
            If it is too long, or its words cannot be found in its tokens.
        """
        example = self.reader.tokenise(pair)
        make = {"cross": _cross, "joint": self._joint, "prompt": _prompt}[self.reads]
        return make(example, links)

    def _joint(self, example: Example, links: Links) -> Item:
        n_words, ids = len(example.tgt), example.rows["ids"]
        n_masked = max(1, round(MASKED_SHARE * n_words))
        words = np.random.default_rng([self.seed, example.pair_id]).permutation(n_words)[:n_masked]
        hidden = np.any(example.tgt[words] > 0, axis=0).tolist()
        assert self.mask is not None
        masked = [self.mask if h else i for i, h in zip(ids, hidden, strict=True)]
        return Item(
            example=replace(example, rows={**example.rows, "ids": masked}),
            labels=[i if h else IGNORED for i, h in zip(ids, hidden, strict=True)],
            n_words=n_masked,
            queries=mean_rows(example.tgt)[None],
            links=links,
        )


def _cross(example: Example, links: Links) -> Item:
    start, *ids = example.rows["tgt"]
    output_step = mean_rows(example.tgt)
    return Item(
        example=replace(example, rows={"src": example.rows["src"], "tgt": [start, *ids[:-1]]}),
        labels=ids,
        n_words=len(example.tgt),
        # Row j + 1 of the decoder reads what row j predicts; nothing reads the last token, which ends the sentence.
        queries=np.stack([output_step, np.pad(output_step, ((0, 0), (1, 0)))[:, :-1]]),
        links=links,
    )


def _prompt(example: Example, links: Links) -> Item:
    ids, own = example.rows["ids"], np.any(example.tgt > 0, axis=0)
    input_step = mean_rows(example.tgt)
    return Item(
        example=example,
        labels=[*(i if h else IGNORED for i, h in zip(ids[1:], own[1:].tolist(), strict=True)), IGNORED],
        n_words=len(example.tgt),
        queries=np.stack([np.pad(input_step[:, 1:], ((0, 0), (0, 1))), input_step]),
        links=links,
    )


def encode_all(
    encode: Encode, pairs: Sequence[SentencePair], links: Mapping[int, Links], most: int
) -> tuple[list[Item], int]:
    """Return the first `most` pairs that have links and can be read, and how many with links could not."""
    items: list[Item] = []
    skipped = 0
    for pair in pairs:
        if len(items) == most:
            break
        if len(links.get(pair.pair_id, ())) == 0:
            continue
        try:
            items.append(encode(pair, links[pair.pair_id]))
        except UnmappableError:
            skipped += 1
    return items, skipped
