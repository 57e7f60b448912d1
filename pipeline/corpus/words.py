"""Words of a sentence: normalised text, splitting, character spans and lemmas."""

import html
import re
import unicodedata
from functools import lru_cache

import simplemma

from pipeline.corpus.characters import drop_unseen, one_form
from pipeline.corpus.moses import ELIDED, detokenise, normalise_punctuation
from pipeline.corpus.splitters import join_spaceless, sets_spaces, splitter_of
from pipeline.errors import PipelineError

Span = tuple[int, int]

_LOOSE_ELISION = re.compile(rf"(?i)(?<!['\w])({ELIDED}) ?' ?(?=\w)")
_VERB = "ai|are|ca|could|did|do|does|had|has|have|is|might|must|need|should|was|were|wo|would"
_LOOSE_NEGATION = re.compile(rf"(?i)\b((?:{_VERB})n) ?' ?(t)\b")
_ENTITY = re.compile(r"&(?:[A-Za-z]+\d*|#\d+|#[xX][0-9A-Fa-f]+);")


def _clean_table() -> dict[int, str | None]:
    """Return what becomes of control characters: they go, but for Windows quotes that were read as Latin-1."""
    table: dict[int, str | None] = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)])
    for code in range(0x80, 0xA0):
        table[code] = bytes([code]).decode("cp1252", errors="ignore") or None
    # spaces of every kind, line ends among them, become one space below
    return {code: char for code, char in table.items() if not chr(code).isspace() or char}


_CLEAN = _clean_table()


def normalise(text: str, lang: str) -> str:
    """Return the sentence with one form of every quote, dash, apostrophe and space (NFC, Moses rules).

    HTML entities are resolved, characters that no one sees removed (`drop_unseen`), and a space after a French elision
    or inside `don 't` is closed.

    Parameters
    ----------
    text : str
        One sentence.
    lang : str
        Language code, ISO 639-1 or 639-3, `en` or `fr` for example.
    """
    text = drop_unseen(_ENTITY.sub(lambda entity: html.unescape(entity[0]), text).translate(_CLEAN))
    # Spaces first: Moses would write the French 12 345 as 12,345, another number.
    text = one_form(" ".join(unicodedata.normalize("NFC", text).split()))
    return close_gaps(" ".join(normalise_punctuation(text, lang).split()), lang)


def close_gaps(text: str, lang: str) -> str:
    """Return the text without the space after a French elision, or inside of an English negation."""
    if lang == "fr":
        return _LOOSE_ELISION.sub(r"\1'", text)
    return _LOOSE_NEGATION.sub(r"\1'\2", text) if lang == "en" else text


def split_words(text: str, lang: str) -> list[str]:
    """Return the words of a normalised sentence; punctuation marks are words.

    Hyphenated words stay whole, French elisions are words of their own (`l'`, `qu'`), English negations
    too (`do n't`, `can 't`), and joining the words without spaces gives back the text without spaces. Languages that
    set no spaces have splitters of their own (`pipeline.corpus.splitters`).

    Raises
    ------
    PipelineError
        If the splitter of the language is not installed.

    Examples
    --------
    >>> split_words("Aujourd'hui, l'homme qu'il a vu est par-dessus tout content.", "fr")
    ["Aujourd'hui", ',', "l'", 'homme', "qu'", 'il', 'a', 'vu', 'est', 'par-dessus', 'tout', 'content', '.']
    """
    return list(splitter_of(lang).split(text))


def join_words(words: list[str], lang: str) -> str:
    """Return a sentence in ordinary spelling from words that someone else split (a gold set, for example)."""
    text = detokenise(words, lang) if sets_spaces(lang) else join_spaceless(words)
    try:
        locate_words(text, words)
    except PipelineError:  # the rules of Moses rewrote a character: keep the words as they came
        return " ".join(words)
    return text


def locate_words(text: str, words: list[str]) -> list[Span]:
    """Return the character span `(start, end)` of each word in the text.

    Raises
    ------
    PipelineError
        If the words are not, in order and with nothing but spaces between them, the whole text.
    """
    spans, at = [], 0
    for word in words:
        start = at
        while start < len(text) and text[start].isspace():
            start += 1
        if not word or not text.startswith(word, start):
            message = (
                f"words: must spell the text in order, but {word!r} is not at character {start} of {text!r}; "
                "split the same (normalised) text that you locate the words in"
            )
            raise PipelineError(message)
        at = start + len(word)
        spans.append((start, at))
    if text[at:].strip():
        message = (
            f"words: must spell the whole text, but {text[at:]!r} is left over; "
            "split the same (normalised) text that you locate the words in"
        )
        raise PipelineError(message)
    return spans


@lru_cache(maxsize=200_000)
def lemma(word: str, lang: str) -> str:
    """Return the lower-case dictionary form that simplemma gives for a word (the word itself if unknown)."""
    return simplemma.lemmatize(word.lower(), lang=lang).lower()
