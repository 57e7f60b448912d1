"""Sentences to token ids with character spans, for slow SentencePiece and for fast tokenisers."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pipeline.attention.word_map import Tokens, UnmappableError
from pipeline.conventions import Side
from pipeline.corpus.words import Span
from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def check_tokenizer(tokenizer: "PreTrainedTokenizerBase") -> None:
    """Raise unless character spans can be had from the tokeniser.

    Raises
    ------
    PipelineError
        For a slow tokeniser that is not SentencePiece.
    """
    if not tokenizer.is_fast and _pieces(tokenizer, "src") is None:
        message = (
            f"model: its tokeniser must give character spans (a fast one, or SentencePiece), got "
            f"{type(tokenizer).__name__}; convert it to a fast tokeniser (tokenizer.json)"
        )
        raise PipelineError(message)


def has_sides(tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Return whether source and target have SentencePiece models of their own (Marian)."""
    return hasattr(tokenizer, "spm_source") and hasattr(tokenizer, "spm_target")


def tokenise(tokenizer: "PreTrainedTokenizerBase", text: str, side: Side, before: str = "") -> Tokens:
    """Return the tokens of one sentence with the special tokens that the model expects around it.

    The target goes through the target tokeniser (`text_target`), which differs from the source's for
    Marian; encoding it with the source pieces is the published notebook's mistake.

    Parameters
    ----------
    before : str
        Language code or prefix before the sentence; its tokens belong to no word, as special tokens do.

    Raises
    ------
    UnmappableError
        `control_words` if one of the tokeniser's special tokens is typed in the text; `tokens_differ` if the pieces
        and the tokeniser's own ids disagree, so that spans would be wrong.
    """
    check_control_words(tokenizer, text)
    whole: Any = {"text": before + text} if side == "src" else {"text_target": before + text}
    if tokenizer.is_fast:
        coded = tokenizer(**whole, return_offsets_mapping=True, return_special_tokens_mask=True)
        spans = zip(coded["offset_mapping"], coded["special_tokens_mask"], strict=True)
        return Tokens(tuple(coded["input_ids"]), tuple(_after(before, span, special) for span, special in spans))
    words = "" if before.strip() in language_tokens(tokenizer) else before
    pieces = _pieces(tokenizer, side).encode(words + text, return_type="offset_mapping")
    ids = tuple(tokenizer(**whole)["input_ids"])
    plain = tuple(_ids(tokenizer, list(pieces["pieces"]), side))
    start = _place(tokenizer, ids, plain)
    if start is None:
        message = (
            f"text: the SentencePiece model and the tokeniser must agree, but they split {text!r} "
            "differently; the pair is left out and counted"
        )
        raise UnmappableError("tokens_differ", message)
    around = (None,) * start, (None,) * (len(ids) - start - len(plain))
    return Tokens(ids, (*around[0], *(_after(words, span, 0) for span in pieces["offsets"]), *around[1]))


def _after(before: str, span: Span, special: int) -> Span | None:
    """Return the span in the sentence itself, `None` for special tokens and those of the text before it."""
    start, end = span[0] - len(before), span[1] - len(before)
    return None if special or (before and end <= 0) else (max(start, 0), end)


def _pieces(tokenizer: "PreTrainedTokenizerBase", side: Side) -> Any:
    """Return the SentencePiece model of a side; `None` if there is none."""
    return getattr(tokenizer, f"spm_{'source' if side == 'src' else 'target'}", getattr(tokenizer, "sp_model", None))


def _ids(tokenizer: Any, pieces: list[str], side: Side) -> list[int]:
    if side == "tgt" and getattr(tokenizer, "separate_vocabs", False):
        return [tokenizer.target_encoder.get(piece, tokenizer.unk_token_id) for piece in pieces]
    return tokenizer.convert_tokens_to_ids(pieces)


def _place(tokenizer: "PreTrainedTokenizerBase", ids: tuple[int, ...], plain: tuple[int, ...]) -> int | None:
    """Return where the sentence's ids begin, `None` if anything but special tokens and codes stands around them."""
    unknown = tokenizer.unk_token_id
    for start in range(len(ids) - len(plain) + 1):
        around = [*ids[:start], *ids[start + len(plain) :]]
        if (
            ids[start : start + len(plain)] == plain
            and unknown not in around
            and set(around) <= _control_ids(tokenizer)
        ):
            return start
    return None


@lru_cache(maxsize=4)
def language_tokens(tokenizer: Any) -> dict[str, int]:
    """Return the language codes that are no special tokens for the library (M2M100's, Marian's), with their ids."""
    codes = getattr(tokenizer, "supported_language_codes", [])
    return getattr(tokenizer, "lang_token_to_id", {}) | {code: tokenizer.encoder[code] for code in codes}


@lru_cache(maxsize=4)
def _control_ids(tokenizer: "PreTrainedTokenizerBase") -> frozenset[int]:
    """Return the ids of the special tokens and of language codes."""
    return frozenset([*tokenizer.all_special_ids, *language_tokens(tokenizer).values()])


@lru_cache(maxsize=4)
def _control_words(tokenizer: "PreTrainedTokenizerBase") -> re.Pattern[str]:
    words = [*tokenizer.all_special_tokens, *language_tokens(tokenizer)]
    return re.compile("|".join(re.escape(word) for word in sorted(words, key=len, reverse=True)) or r"(?!)")


def check_control_words(tokenizer: "PreTrainedTokenizerBase", text: str) -> None:
    """Raise if a special token of the tokeniser is typed in the text: some would read it as that token.

    Raises
    ------
    UnmappableError
        `control_words`, by the same rule for every tokeniser.
    """
    found = _control_words(tokenizer).search(text)
    if found:
        message = (
            f"text: must hold no special token of the tokeniser, but {found[0]!r} is in {text!r}; "
            "the pair is left out and counted"
        )
        raise UnmappableError("control_words", message)


@dataclass(frozen=True)
class PairTokens:
    """The tokens of a concatenated pair; side (0 source, 1 target, None special) and segment of each."""

    tokens: Tokens
    sides: list[int | None]
    types: list[int]


def tokenise_pair(tokenizer: "PreTrainedTokenizerBase", src: str, tgt: str) -> PairTokens:
    """Return the tokens of both sentences as one sequence, with the model's own special tokens.

    Raises
    ------
    UnmappableError
        `control_words` if one of the tokeniser's special tokens is typed in a text.
    """
    for text in (src, tgt):
        check_control_words(tokenizer, text)
    coded = tokenizer(src, tgt, return_offsets_mapping=True)
    sides = coded.sequence_ids(0)
    spans = tuple(
        tuple(span) if side is not None else None for span, side in zip(coded["offset_mapping"], sides, strict=True)
    )
    return PairTokens(Tokens(tuple(coded["input_ids"]), spans), sides, coded.get("token_type_ids", [0] * len(sides)))
