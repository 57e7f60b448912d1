"""Dictionary forms by either of two tools, and sentences in them, as the paper's notebook fed its models."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from importlib import metadata
from typing import Any

import simplemma

from pipeline.conventions import Convention
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.words import lemma
from pipeline.errors import PipelineError


def lemma_of(tool: str, lang: str) -> Callable[[str], str]:
    """Return the function that gives the lower-case dictionary form of a word alone.

    Parameters
    ----------
    tool : {"simplemma", "stanza"}
        `words.lemmas` of params.yaml.
    lang : str
        Two-letter language code.

    Raises
    ------
    PipelineError
        If stanza is asked for and not installed, or has no models for the language.
    """
    if tool == "stanza":
        _stanza(lang)
        return partial(_stanza_lemma, lang)
    return partial(lemma, lang=lang)


def describe(tool: str) -> str:
    """Return the tool with its version, for the signature of results."""
    return tool if tool == "none" else f"{tool} {metadata.version(tool)}"


def lemmatise(words: Sequence[str], *, tool: str, lang: str) -> tuple[str, ...]:
    """Return the dictionary form of every word of a sentence, in the case that the tool gives it.

    Stanza sees the sentence, simplemma each word alone. A word for which there is no single form stays.
    """
    if tool == "stanza":
        (sentence,) = _stanza(lang)([list(words)]).sentences
        forms = [word.lemma for word in sentence.words]
    else:
        forms = [simplemma.lemmatize(word, lang=lang) for word in words]
    if len(forms) != len(words):
        forms = list(words)
    pairs = zip(forms, words, strict=True)
    return tuple(form if form and not any(map(str.isspace, form)) else word for form, word in pairs)


def lemmatise_pairs(pairs: Sequence[SentencePair], *, tool: str, src_lang: str, tgt_lang: str) -> list[SentencePair]:
    """Return the pairs with their words in dictionary form and their texts these words, one space apart.

    Words keep their places, so links hold as they are.

    Raises
    ------
    PipelineError
        If there is no such tool: the notebook's convention needs one.
    """
    if tool == "none":
        message = "words.lemmas: the convention reads lemmatised text, but it is none; use simplemma, or convention: corrected"
        raise PipelineError(message)
    done = []
    for pair in pairs:
        src = lemmatise(pair.src_words, tool=tool, lang=src_lang)
        tgt = lemmatise(pair.tgt_words, tool=tool, lang=tgt_lang)
        done.append(SentencePair(pair.pair_id, " ".join(src), " ".join(tgt), src, tgt))
    return done


def model_text(
    pairs: Sequence[SentencePair], *, convention: Convention, tool: str, src_lang: str, tgt_lang: str
) -> tuple[list[SentencePair], str]:
    """Return the pairs as a model is to read them, and what their text is, for the manifest.

    Parameters
    ----------
    convention : Convention
        Its `text`: lemmatised, or the sentence as it is.
    tool : {"simplemma", "stanza", "none"}
        `words.lemmas` of params.yaml.
    """
    if convention.text == "sentence":
        return list(pairs), "natural spelling, normalised"
    done = lemmatise_pairs(pairs, tool=tool, src_lang=src_lang, tgt_lang=tgt_lang)
    return done, f"dictionary forms by {describe(tool)}"


@lru_cache(maxsize=8)
def _stanza(lang: str) -> Any:
    """Return stanza's lemmatiser for words that are split already; it downloads its models the first time."""
    try:
        import stanza
    except ImportError:
        message = (
            "words.lemmas: stanza is not installed; run `pip install 'attention-transport[stanza]'`, or use simplemma"
        )
        raise PipelineError(message) from None
    settings = {"processors": "tokenize,pos,lemma", "tokenize_pretokenized": True, "verbose": False}
    try:
        return stanza.Pipeline(lang, **settings)
    except (OSError, ValueError, RuntimeError) as error:
        message = (
            f"words.lemmas: stanza could not load its models for {lang!r} ({' '.join(str(error).split())}); "
            "check the connection and the language, or use simplemma"
        )
        raise PipelineError(message) from None


@lru_cache(maxsize=200_000)
def _stanza_lemma(lang: str, word: str) -> str:
    return lemmatise([word], tool="stanza", lang=lang)[0].lower()
