"""Sentences to token ids with character spans, for slow SentencePiece and for fast tokenisers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.attention.word_map import Tokens, UnmappableError
from pipeline.conventions import Side
from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def check_tokenizer(tokenizer: "PreTrainedTokenizerBase") -> None:
    """Raise unless character spans can be had from the tokeniser.

    Raises
    ------
    PipelineError
        For a slow tokeniser that is not SentencePiece with one model a side (Marian's kind).
    """
    if not (_is_marian(tokenizer) or tokenizer.is_fast):
        message = (
            f"model: its tokeniser must give character spans (a fast one, or Marian's pair of SentencePiece "
            f"models), got {type(tokenizer).__name__}; convert it to a fast tokeniser (tokenizer.json)"
        )
        raise PipelineError(message)


def tokenise(tokenizer: "PreTrainedTokenizerBase", text: str, side: Side) -> Tokens:
    """Return the tokens of one sentence with the special tokens that the model expects around it.

    The target goes through the target tokeniser (`text_target`), which differs from the source's for
    Marian; encoding it with the source pieces is the published notebook's mistake.

    Raises
    ------
    UnmappableError
        `tokens_differ` if the pieces and the tokeniser's own ids disagree, so that spans would be wrong.
    """
    kwargs = {"text": text} if side == "src" else {"text_target": text}
    if not _is_marian(tokenizer):
        coded = tokenizer(**kwargs, return_offsets_mapping=True, return_special_tokens_mask=True)
        spans = zip(coded["offset_mapping"], coded["special_tokens_mask"], strict=True)
        return Tokens(tuple(coded["input_ids"]), tuple(None if special else tuple(span) for span, special in spans))
    pieces = (tokenizer.spm_source if side == "src" else tokenizer.spm_target).encode(
        text, return_type="offset_mapping"
    )
    ids = tuple(tokenizer(**kwargs)["input_ids"])
    plain: list[int] = tokenizer.convert_tokens_to_ids(list(pieces["pieces"]))  # type: ignore[assignment]
    if list(ids) != [*plain, tokenizer.eos_token_id]:
        message = (
            f"text: the SentencePiece model and the tokeniser must agree, but they split {text!r} "
            "differently (a language code in the text?); the pair is left out and counted"
        )
        raise UnmappableError("tokens_differ", message)
    return Tokens(ids, (*(tuple(span) for span in pieces["offsets"]), None))


@dataclass(frozen=True)
class PairTokens:
    """The tokens of a concatenated pair; side (0 source, 1 target, None special) and segment of each."""

    tokens: Tokens
    sides: list[int | None]
    types: list[int]


def tokenise_pair(tokenizer: "PreTrainedTokenizerBase", src: str, tgt: str) -> PairTokens:
    """Return the tokens of both sentences as one sequence, with the model's own special tokens."""
    coded = tokenizer(src, tgt, return_offsets_mapping=True)
    sides = coded.sequence_ids(0)
    spans = tuple(
        tuple(span) if side is not None else None for span, side in zip(coded["offset_mapping"], sides, strict=True)
    )
    return PairTokens(Tokens(tuple(coded["input_ids"]), spans), sides, coded.get("token_type_ids", [0] * len(sides)))


def _is_marian(tokenizer: "PreTrainedTokenizerBase") -> bool:
    return hasattr(tokenizer, "spm_source") and hasattr(tokenizer, "spm_target")
