"""Words by the rules of Moses, for languages that set spaces between them."""

import re
import unicodedata
from functools import lru_cache

import regex
from sacremoses import MosesDetokenizer, MosesPunctNormalizer, MosesTokenizer

from pipeline.corpus.characters import units

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
ELIDED = "c|d|j|l|m|n|s|t|jusqu|lorsqu|puisqu|quoiqu|qu"
# sacremoses knows where English, French and Italian cut at an apostrophe; Moses treats these as Italian.
_AS_ITALIAN = ("ca", "ga")
_CUTS_AT_APOSTROPHE = ("en", "fr", "it", *_AS_ITALIAN)
_INNER_APOSTROPHE = re.compile(r"(?<=[^\W\d_])'(?=[^\W\d_])")
# Marks that stand inside of words by UAX 29: the dot of Catalan, Hebrew's gershayim; not the colon, which Moses knows.
_INNER_MARK = regex.compile(r"(?V1)(?<=\p{L})[\p{Word_Break=MidLetter}--:](?=\p{L})")
_WORD_MARK = regex.compile(r"(?V1)[\p{Word_Break=ALetter}--[\p{L}\p{M}\p{N}]]")
_LETTER = "\u0e01"
"""Moses takes it for a letter that is neither capital nor small."""


@lru_cache(maxsize=8)
def _tokenizer(lang: str) -> tuple[MosesTokenizer, frozenset[str]]:
    """Return the splitter of a language and the letters and digits that it knows."""
    tokenizer = MosesTokenizer(lang=lang)
    if lang in _AS_ITALIAN:
        tokenizer.lang = "it"
    return tokenizer, frozenset(tokenizer.IsAlnum)


@lru_cache(maxsize=8)
def _others(lang: str) -> tuple[MosesPunctNormalizer, MosesDetokenizer]:
    return MosesPunctNormalizer(lang=lang), MosesDetokenizer(lang=lang)


def normalise_punctuation(text: str, lang: str) -> str:
    """Return the text with one form of every quote, dash and bracket."""
    return _others(lang)[0].normalize(text)


def detokenise(words: list[str], lang: str) -> str:
    """Return the words as a sentence in ordinary spelling, mostly: Moses rewrites some characters."""
    return _others(lang)[1].detokenize(words)


def moses_words(text: str, lang: str) -> list[str]:
    """Return the words of a normalised sentence; they may fail to spell it where it holds a mark of Moses's own.

    Moses knows the characters of an old Unicode and no combination of them: it is shown one character that it knows
    for each that one sees, and its words are read back in the text.
    """
    tokenizer, known = _tokenizer(lang)
    seen = units(text)
    plain = "".join(unit if unit in known else _stand_in(unit, known) for unit in seen)
    if not plain.isascii():
        plain = _INNER_MARK.sub(_LETTER, plain)
    shown = plain if lang in _CUTS_AT_APOSTROPHE else _INNER_APOSTROPHE.sub(_LETTER, plain)
    words = tokenizer.tokenize(shown, escape=False, protected_patterns=_ONE_WORD)
    words = [part for word in words for part in _split_negation(word)]
    if lang == "fr" and "'" in words:
        words = _join_elisions(shown, words)
    if shown == text or "".join(words) != shown.replace(" ", ""):
        return words
    there = iter([unit for unit in seen if unit != " "])
    return ["".join(next(there) for _ in word) for word in words]


def _stand_in(unit: str, known: frozenset[str]) -> str:
    """Return one character that Moses treats as it should treat the unit."""
    char = next((char for char in unit if char.isalnum()), unit[0])
    if char in known or char.isascii():
        return char
    if not (char.isdecimal() or unicodedata.category(char)[0] in "LM"):
        return _LETTER if _WORD_MARK.match(char) else char
    if char.isdecimal():
        return "0"
    return "X" if char.isupper() else "x" if char.islower() else _LETTER


def _join_elisions(text: str, words: list[str]) -> list[str]:
    """Return the words with `d'` in one piece before a number or a quote, where Moses sees no elision."""
    joined: list[str] = []
    at = 0
    for i, word in enumerate(words):
        at = text.find(word, at) + len(word)
        tight = text[at : at + 1].strip() and text[at - len(word) - 1 : at - len(word)].strip()
        if word == "'" and tight and i and words[i - 1].lower() in ELIDED.split("|"):
            joined[-1] += word
        else:
            joined.append(word)
    return joined


def _split_negation(word: str) -> list[str]:
    verb = _NEGATED.match(word)
    return [verb[0], word[verb.end() :]] if verb else [word]
