"""Words of a sentence: normalised text, splitting, character spans and lemmas."""

import html
import re
import unicodedata
from functools import lru_cache

import simplemma
from sacremoses import MosesDetokenizer, MosesPunctNormalizer, MosesTokenizer

from pipeline.errors import PipelineError

Span = tuple[int, int]

# Moses splits at every apostrophe of French; these are one word.
_ONE_WORD = [
    r"(?i)\baujourd'hui\b",
    r"(?i)\bc'est-à-dire\b",
    r"(?i)\b(?:presqu'îles?|(?:entr|grand)'\w+)\b",
    r"(?i)\bquelqu'une?s?\b",
    r"(?i)\bprud'hom\w+",
    r"\bO'[A-Z]\w+",
    r"(?i)\b\w*n't\b",  # split below, before the n
]
_NEGATED = re.compile(r"(?i)(can(?='t$)|\w+(?=n't$))")
_ELIDED = "c|d|j|l|m|n|s|t|jusqu|lorsqu|puisqu|quoiqu|qu"
_LOOSE_ELISION = re.compile(rf"(?i)(?<!['\w])({_ELIDED}) ?' ?(?=\w)")
_VERB = "ai|are|ca|could|did|do|does|had|has|have|is|might|must|need|should|was|were|wo|would"
_LOOSE_NEGATION = re.compile(rf"(?i)\b((?:{_VERB})n) ?' ?(t)\b")
_ENTITY = re.compile(r"&(?:[A-Za-z]+\d*|#\d+|#[xX][0-9A-Fa-f]+);")


def _clean_table() -> dict[int, str | None]:
    """Return what becomes of characters that no one sees.

    Windows quotes that were read as Latin-1 are put right; other control characters, soft hyphens and
    zero-width spaces go.
    """
    table: dict[int, str | None] = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0), 0xAD, 0x200B, 0x2060, 0xFEFF])
    for code in range(0x80, 0xA0):
        table[code] = bytes([code]).decode("cp1252", errors="ignore") or None
    # spaces of every kind, line ends among them, become one space below
    return {code: char for code, char in table.items() if not chr(code).isspace() or char}


_CLEAN = _clean_table()


@lru_cache(maxsize=8)
def _moses(lang: str) -> tuple[MosesPunctNormalizer, MosesTokenizer, MosesDetokenizer]:
    return MosesPunctNormalizer(lang=lang), MosesTokenizer(lang=lang), MosesDetokenizer(lang=lang)


def normalise(text: str, lang: str) -> str:
    """Return the sentence with one form of every quote, dash and space (NFC, Moses rules).

    HTML entities are resolved, invisible characters removed, and a space after a French elision or inside
    `don 't` is closed.

    Parameters
    ----------
    text : str
        One sentence.
    lang : str
        Two-letter language code, `en` or `fr` for example.
    """
    normalizer, _, _ = _moses(lang)
    text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), text).translate(_CLEAN)
    # Spaces first: Moses would write the French 12 345 as 12,345, another number.
    text = normalizer.normalize(" ".join(unicodedata.normalize("NFC", text).split()))
    text = " ".join(text.split())
    if lang == "fr":
        return _LOOSE_ELISION.sub(r"\1'", text)
    return _LOOSE_NEGATION.sub(r"\1'\2", text) if lang == "en" else text


def split_words(text: str, lang: str) -> list[str]:
    """Return the words of a normalised sentence; punctuation marks are words.

    Hyphenated words stay whole, French elisions are words of their own (`l'`, `qu'`), English negations
    too (`do n't`, `can 't`), and joining the words without spaces gives back the text without spaces.

    Examples
    --------
    >>> split_words("Aujourd'hui, l'homme qu'il a vu est par-dessus tout content.", "fr")
    ["Aujourd'hui", ',', "l'", 'homme', "qu'", 'il', 'a', 'vu', 'est', 'par-dessus', 'tout', 'content', '.']
    """
    _, tokenizer, _ = _moses(lang)
    words = tokenizer.tokenize(text, escape=False, protected_patterns=_ONE_WORD)
    words = [part for word in words for part in _split_negation(word)]
    return _join_elisions(text, words) if lang == "fr" and "'" in words else words


def _join_elisions(text: str, words: list[str]) -> list[str]:
    """Return the words with `d'` in one piece before a number or a quote, where Moses sees no elision."""
    joined: list[str] = []
    at = 0
    for i, word in enumerate(words):
        at = text.find(word, at) + len(word)
        tight = text[at : at + 1].strip() and text[at - len(word) - 1 : at - len(word)].strip()
        if word == "'" and tight and i and words[i - 1].lower() in _ELIDED.split("|"):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def _split_negation(word: str) -> list[str]:
    verb = _NEGATED.match(word)
    return [verb[0], word[verb.end() :]] if verb else [word]


def join_words(words: list[str], lang: str) -> str:
    """Return a sentence in ordinary spelling from words that someone else split (a gold set, for example)."""
    text = _moses(lang)[2].detokenize(words)
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
