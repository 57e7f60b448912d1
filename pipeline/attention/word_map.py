"""Which token belongs to which word: the one place where tokens become words."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pipeline.corpus.characters import is_silent
from pipeline.corpus.words import Span
from pipeline.errors import PipelineError


@dataclass(frozen=True)
class Tokens:
    """One tokenised sentence: ids as the model reads them, character spans, `None` for special tokens."""

    ids: tuple[int, ...]
    spans: tuple[Span | None, ...]


class UnmappableError(PipelineError):
    """A sentence whose words cannot be found in its tokens; `reason` names the count it goes to."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def word_map(words: list[Span], tokens: Tokens, text: str) -> Float[np.ndarray, "word token"]:
    """Return the share of each token that belongs to each word: columns sum to 1, special tokens to 0.

    A token over two words (a piece such as `%,`) is shared by the number of characters; a token that is
    only a space belongs to the word after it. Marks and invisible characters that a tokeniser
    drops (joiners, accents) are no loss to their word.

    Parameters
    ----------
    words : list of (start, end)
        Character spans of the words, in order.
    tokens : Tokens
        Character spans in the same text.
    text : str
        The text that both index.

    Raises
    ------
    UnmappableError
        `lost_characters` if another character of a word is in no token, or nothing of it.
    """
    columns = [column for column, span in enumerate(tokens.spans) if span is not None]
    starts, ends = np.array(words).reshape(-1, 2).T
    firsts, lasts = np.array([tokens.spans[column] for column in columns]).reshape(-1, 2).T
    overlaps = np.minimum(ends[:, None], lasts) - np.maximum(starts[:, None], firsts)
    overlaps = overlaps.clip(0).astype(float)
    alone = np.flatnonzero(overlaps.sum(0) == 0)
    after = np.searchsorted(starts, firsts[alone]).clip(max=len(words) - 1)
    overlaps[after, alone] = 1
    shares = np.zeros((len(words), len(tokens.ids)))
    shares[:, columns] = overlaps / overlaps.sum(0)
    lost = np.array([not is_silent(char) for char in text], dtype=bool)
    for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
        lost[first:last] = False
    lost_before = np.concatenate([[0], lost.cumsum()])
    for (start, end), row in zip(words, shares, strict=True):
        if lost_before[end] > lost_before[start] or not row.any():
            message = (
                f"text: every character of a word must be in a token, but the tokeniser lost some of "
                f"{text[start:end]!r} in {text!r}; the pair is left out and counted"
            )
            raise UnmappableError("lost_characters", message)
    return shares


def merge_end(shares: Float[np.ndarray, "word token"], tokens: Tokens) -> Float[np.ndarray, "word token"]:
    """Return the map with the special token after the last word given to that word.

    So did the paper's notebook, which grouped pieces by the mark of a word's start.
    """
    last = max(column for column, span in enumerate(tokens.spans) if span is not None)
    merged = shares.copy()
    if last + 1 < len(tokens.spans):
        merged[-1, last + 1] = 1
    return merged


def mean_rows(shares: Float[np.ndarray, "word token"]) -> Float[np.ndarray, "word token"]:
    """Return the weights of a mean over the tokens of each word; rows sum to 1."""
    return shares / shares.sum(axis=1, keepdims=True)
