"""Which token belongs to which word: the one place where tokens become words."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

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
    only a space belongs to the word after it.

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
        `lost_characters` if a character of a word is in no token.
    """
    shares = np.zeros((len(words), len(tokens.ids)))
    covered = np.zeros(len(text), dtype=bool)
    for column, span in enumerate(tokens.spans):
        if span is None:
            continue
        covered[span[0] : span[1]] = True
        overlaps = [max(0, min(end, span[1]) - max(start, span[0])) for start, end in words]
        if not any(overlaps):
            after = [i for i, (start, _) in enumerate(words) if start >= span[0]]
            overlaps[after[0] if after else -1] = 1
        shares[:, column] = np.asarray(overlaps) / sum(overlaps)
    for start, end in words:
        if not covered[start:end].all():
            message = (
                f"text: every character of a word must be in a token, but the tokeniser lost some of "
                f"{text[start:end]!r} in {text!r}; the pair is left out and counted"
            )
            raise UnmappableError("lost_characters", message)
    return shares


def mean_rows(shares: Float[np.ndarray, "word token"]) -> Float[np.ndarray, "word token"]:
    """Return the weights of a mean over the tokens of each word; rows sum to 1."""
    return shares / shares.sum(axis=1, keepdims=True)
