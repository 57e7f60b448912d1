"""Who splits a language into words: Moses where spaces stand between them, else a splitter of that script."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module, metadata
from itertools import accumulate, pairwise
from typing import Any

import langcodes
import regex

from pipeline.corpus.characters import NO_SPACES, units
from pipeline.corpus.moses import moses_words
from pipeline.corpus.pairs import MOSES
from pipeline.errors import PipelineError

Split = Callable[[str], Iterable[str]]

_BOUNDARY = regex.compile(r"(?wV1)\b")
_SPACELESS = regex.compile(NO_SPACES)
_TIGHT = regex.compile(rf"{NO_SPACES}|[\p{{P}}\p{{S}}]")
# Where a Burmese syllable begins: at a letter that neither closes the syllable before it nor stands below its last one
# (sylbreak, Ye Kyaw Thu).
_SYLLABLE = regex.compile(
    r"(?=(?<!\u1039)[\u1000-\u1021](?!\u103b?[\u103a\u1039])|[\u1023-\u102a\u103f-\u104f]|(?<=\p{Myanmar})\P{Myanmar}|(?<=\P{Myanmar})\p{Myanmar})"
)


@dataclass(frozen=True)
class Splitter:
    """What splits the sentences of one language, and its name with the version that did it."""

    name: str
    split: Split


@dataclass(frozen=True)
class _Extra:
    """A splitter of another package: its extra in pyproject.toml, the packages that it needs, how it is made."""

    extra: str
    packages: tuple[str, ...]
    make: Callable[[], Split]


def _jieba() -> Split:
    jieba = _load("jieba")
    jieba.setLogLevel(logging.WARNING)
    return jieba.cut


def _fugashi() -> Split:
    tagger = _load("fugashi").Tagger(f'-d "{_load("unidic_lite").DICDIR}"')
    return lambda text: [word.surface for word in tagger(text)]


def _thai() -> Split:
    return _load("pythainlp.tokenize").word_tokenize


def _lao() -> Split:
    return _load("laonlp.tokenize").word_tokenize


def _khmer() -> Split:
    logging.getLogger("khmer-nltk").setLevel(logging.WARNING)
    split = _load("khmernltk").word_tokenize
    logging.getLogger("khmer-nltk").setLevel(logging.WARNING)
    return split


def _load(name: str) -> Any:
    """Return a module of an optional package."""
    return import_module(name)


_CHINESE = _Extra("zh", ("jieba",), _jieba)
_EXTRAS = {
    "Hans": _CHINESE,
    "Hant": _CHINESE,
    "Jpan": _Extra("ja", ("fugashi", "unidic-lite"), _fugashi),
    "Thai": _Extra("th", ("pythainlp",), _thai),
    "Laoo": _Extra("lo", ("laonlp",), _lao),
    "Khmr": _Extra("km", ("khmer-nltk",), _khmer),
}
# Other scripts that set no space between words; Tibetan sets a mark between syllables.
_UNICODE = ("Hani", "Tibt", "Lana", "Talu", "Tale", "Tavt")


def script_of(lang: str) -> str:
    """Return the script that a language is written in, as ISO 15924 (`Latn`, `Hans`)."""
    return langcodes.get(lang).maximize().script or "Latn"


def sets_spaces(lang: str) -> bool:
    """Return whether spaces stand between the words of a language."""
    return script_of(lang) not in (*_EXTRAS, "Mymr", *_UNICODE)


@lru_cache(maxsize=16)
def splitter_of(lang: str) -> Splitter:
    """Return the splitter of a language.

    Parameters
    ----------
    lang : str
        ISO 639-1 or 639-3.

    Raises
    ------
    PipelineError
        If the language has one in an extra package that is not installed: says how to install it.
    """
    script = script_of(lang)
    extra = _EXTRAS.get(script)
    if extra is not None:
        return _from(extra, lang)
    if script == "Mymr":
        return Splitter("Burmese syllables (sylbreak)", lambda text: whole_words(text, _SYLLABLE.split(text)))
    if script in _UNICODE:
        return Splitter(_named("Unicode word boundaries, regex", "regex"), unicode_words)
    return Splitter(_named(MOSES, "sacremoses"), lambda text: _spelled(text, moses_words(text, lang)))


def _from(extra: _Extra, lang: str) -> Splitter:
    try:
        split = extra.make()
        name = ", ".join(_named(package, package) for package in extra.packages)
    except (ImportError, metadata.PackageNotFoundError) as error:
        message = (
            f"corpus.pair: {lang!r} sets no spaces between words and needs a splitter, but {extra.packages[0]} is not "
            f"installed ({error}); run `pip install 'attention-transport[{extra.extra}]'`, or give text whose words "
            "stand between spaces, which words.pretokenised: auto recognises"
        )
        raise PipelineError(message) from None
    return Splitter(name, lambda text: whole_words(text, split(text)))


def _named(words: str, package: str) -> str:
    return f"{words} {metadata.version(package)}"


def unicode_words(text: str) -> list[str]:
    """Return the words between the boundaries of UAX 29.

    Examples
    --------
    >>> unicode_words("don't pay 3,5 €")
    ["don't", 'pay', '3,5', '€']
    """
    return whole_words(text, _BOUNDARY.split(text))


def whole_words(text: str, pieces: Iterable[str]) -> list[str]:
    """Return the pieces of a splitter as words that spell the text.

    No word holds a space or a part of a grapheme cluster, and what Unicode takes for one word of a script with spaces
    (`3.5`, `iPhone`) is not cut. If the pieces do not spell the text, those between Unicode's boundaries do.

    Parameters
    ----------
    text : str
        Normalised.
    pieces : iterable of str
        The text in order, with or without its spaces.
    """
    letters = text.replace(" ", "")
    found = [part for piece in pieces for part in piece.split()]
    parts = _BOUNDARY.split(text)
    if "".join(found) != letters:
        found = [part for part in parts if part != " "]
    seen = _ends(units(text))
    natural = _ends(parts)
    cuts = {
        cut
        for cut in accumulate(map(len, found))
        if cut in seen and (cut in natural or _SPACELESS.search(letters, cut - 1, cut + 1))
    }
    cuts |= {0, len(letters)} | set(accumulate(map(len, text.split(" "))))
    return [letters[start:end] for start, end in pairwise(sorted(cuts))]


def _ends(parts: Iterable[str]) -> set[int]:
    """Return where parts of a text end, spaces not counted."""
    return set(accumulate(len(part.replace(" ", "")) for part in parts))


def _spelled(text: str, words: list[str]) -> list[str]:
    return words if "".join(words) == text.replace(" ", "") else unicode_words(text)


def join_spaceless(words: Iterable[str]) -> str:
    """Return words of a language without spaces as a sentence; a space stands between words of other scripts only.

    Examples
    --------
    >>> join_spaceless(["我", "有", "iPhone", "15", "。"])
    '我有iPhone 15。'
    """
    text = ""
    for word in words:
        tight = not text or _TIGHT.search(text[-1] + word[0])
        text += word if tight else f" {word}"
    return text
