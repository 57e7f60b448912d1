"""Sentence pairs as a model reads them when its loss is taken, and what replacements must know about their words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from transformers import PreTrainedTokenizerBase

from pipeline.attention.tokenise import tokenise, tokenise_pair
from pipeline.attention.word_map import Tokens, UnmappableError, mean_rows, word_map
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.words import locate_words

IGNORED = -100
"""Label of a position whose token is not scored."""
MASKED_SHARE = 0.4
"""Of the target words that a joint encoder must guess."""

Links = Int[np.ndarray, "link 2"]


@dataclass(frozen=True)
class Item:
    """One pair, tokenised and labelled.

    Attributes
    ----------
    pair_id : int
    rows : dict from name of a model input to list of int
    labels : list of int
        The id that each query position must predict, or `IGNORED`.
    n_words : int
        Target words that are scored.
    queries : float array, shape (view, tgt_word, query)
        Weights of the query positions of each target word in each view; rows sum to 1.
    keys : float array, shape (src_word, key)
        Share of each key token that belongs to each source word.
    free : list of bool
        Which query positions an intervention may change.
    links : int array, shape (link, 2)
        Dictionary links, source and target word.
    """

    pair_id: int
    rows: dict[str, list[int]]
    labels: list[int]
    n_words: int
    queries: Float[np.ndarray, "view tgt_word query"]
    keys: Float[np.ndarray, "src_word key"]
    free: list[bool]
    links: Links

    @property
    def n_tokens(self) -> int:
        """Tokens of the longest input."""
        return max(len(row) for row in self.rows.values())


@runtime_checkable
class Encode(Protocol):
    """Turns a pair and its links into an item; what reads pairs in a new way needs one of these."""

    def __call__(self, pair: SentencePair, links: Links) -> Item:
        """Return the pair as the model reads it; raise `UnmappableError` where that cannot be."""
        ...


@dataclass(frozen=True)
class CrossEncode:
    """Teacher forcing: every token of the reference is predicted from those before it.

    Two views: the output step predicts a word, the input step reads it.
    """

    tokenizer: PreTrainedTokenizerBase
    start: int | None
    """Id of the decoder's start token; `None` for the last one of the target."""
    max_tokens: int

    def __call__(self, pair: SentencePair, links: Links) -> Item:
        """Return the pair as ids of encoder and decoder.

        Raises
        ------
        UnmappableError
            If a side is too long or its words cannot be found in its tokens.
        """
        src, tgt = tokenise(self.tokenizer, pair.src_text, "src"), tokenise(self.tokenizer, pair.tgt_text, "tgt")
        _check_length(max(len(src.ids), len(tgt.ids)), self.max_tokens, pair.src_text)
        keys = word_map(locate_words(pair.src_text, list(pair.src_words)), src, pair.src_text)
        output_step = mean_rows(word_map(locate_words(pair.tgt_text, list(pair.tgt_words)), tgt, pair.tgt_text))
        # The last position predicts the end token, which is no part of a word.
        input_step = np.pad(output_step, ((0, 0), (1, 0)))[:, :-1]
        start = tgt.ids[-1] if self.start is None else self.start
        return Item(
            pair_id=pair.pair_id,
            rows={"input_ids": list(src.ids), "decoder_input_ids": [start, *tgt.ids[:-1]]},
            labels=list(tgt.ids),
            n_words=len(pair.tgt_words),
            queries=np.stack([output_step, input_step]),
            keys=keys,
            free=[True] * len(tgt.ids),
            links=links,
        )


@dataclass(frozen=True)
class MaskedEncode:
    """Masked words: some whole words of the target are hidden, drawn by seed and pair, and must be guessed."""

    tokenizer: PreTrainedTokenizerBase
    first_position: int | None
    """Number of the first position; `None` where positions cannot be set."""
    restart: bool
    """Whether position numbers begin again with the target."""
    max_tokens: int
    seed: int

    def __call__(self, pair: SentencePair, links: Links) -> Item:
        """Return the pair as one sequence with masked target words.

        Raises
        ------
        UnmappableError
            If the sequence is too long or words cannot be found in its tokens.
        """
        coded = tokenise_pair(self.tokenizer, pair.src_text, pair.tgt_text)
        ids = list(coded.tokens.ids)
        _check_length(len(ids), self.max_tokens, pair.src_text)
        src, tgt = (
            word_map(locate_words(text, list(words)), _side(coded.tokens, coded.sides, side), text)
            for side, text, words in ((0, pair.src_text, pair.src_words), (1, pair.tgt_text, pair.tgt_words))
        )
        n_masked = max(1, round(MASKED_SHARE * len(tgt)))
        words = np.random.default_rng([self.seed, pair.pair_id]).permutation(len(tgt))[:n_masked]
        hidden = tgt[words].sum(0) > 0
        rows = {
            "input_ids": [self.tokenizer.mask_token_id if h else i for i, h in zip(ids, hidden, strict=True)],
            "token_type_ids": list(coded.types),
        }
        if self.first_position is not None:
            rows["position_ids"] = self._numbers(coded.sides, self.first_position)
        return Item(
            pair_id=pair.pair_id,
            rows=rows,
            labels=[i if h else IGNORED for i, h in zip(ids, hidden, strict=True)],
            n_words=n_masked,
            queries=mean_rows(tgt)[None],
            keys=src,
            free=(tgt.sum(0) > 0).tolist(),
            links=links,
        )

    def _numbers(self, sides: Sequence[int | None], first: int) -> list[int]:
        numbers = list(range(first, first + len(sides)))
        if self.restart:
            src, tgt = sides.index(0), sides.index(1)
            numbers[tgt:] = range(numbers[src], numbers[src] + len(sides) - tgt)
        return numbers


def _side(tokens: Tokens, sides: Sequence[int | None], wanted: int) -> Tokens:
    return Tokens(tokens.ids, tuple(s if o == wanted else None for s, o in zip(tokens.spans, sides, strict=True)))


def _check_length(n_tokens: int, most: int, text: str) -> None:
    if n_tokens > most:
        message = f"text: the model takes at most {most} tokens, got {n_tokens} for {text!r}; the pair is left out and counted"
        raise UnmappableError("too_long", message)


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


def batches(items: Sequence[Item], tokens_per_batch: int) -> Iterator[list[Item]]:
    """Yield the items by length, at most `tokens_per_batch` padded tokens a batch, one item at least."""
    batch: list[Item] = []
    for item in sorted(items, key=lambda i: (i.n_tokens, i.pair_id)):
        if batch and item.n_tokens * (len(batch) + 1) > tokens_per_batch:
            yield batch
            batch = []
        batch.append(item)
    if batch:
        yield batch
