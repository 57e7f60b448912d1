"""A complete, commented params.yaml for text of one's own: the demo's file with other values."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from pipeline._yaml import find, layout, replace_value
from pipeline.corpus.pretokenised import Pretokenised
from pipeline.errors import PipelineError
from pipeline.fill import TEMPLATE
from pipeline.params import MUSE_PAIRS, Translator

MANY = 10_000
"""Rows above which a number of pairs is written instead of all: beyond it a run takes hours and says nothing new."""
MIN_WORDS, MAX_WORDS = 1, 100
_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_HEAD = """\
# What `dvc repro` runs: text of one's own, {pair}. Edit a key and run it again; only what reads that key is redone.
# Paths are seen from this folder. The demo's file to go back to is params/demo.yaml
"""


@dataclass(frozen=True)
class Own:
    """What a user has.

    Attributes
    ----------
    pair : str
        Languages, source-target.
    src, tgt : sequence of str
        Parallel text files; none if there is a `file`.
    file : str or None
        One table with both sides.
    gold : str or None
        Hand-made links.
    gold_text : sequence of str
        Their sentences; the text itself if there are none.
    gold_base : {0, 1}
        Number of the first word in them.
    dictionary : str or None
        MUSE's is read if there is none.
    translators : mapping of str to Translator
        By name; the demo's if there are none.
    words : {"auto", True, False}
        Whether words stand between spaces already.
    """

    pair: str
    src: Sequence[str] = ()
    tgt: Sequence[str] = ()
    file: str | None = None
    gold: str | None = None
    gold_text: Sequence[str] = ()
    gold_base: int = 0
    dictionary: str | None = None
    translators: Mapping[str, Translator] | None = None
    words: Pretokenised = "auto"


def compose(own: Own, *, n_pairs: int | None = None) -> str:
    """Return the text of params.yaml: every key with its comment, own text and links, no demo gold.

    Parameters
    ----------
    own : Own
    n_pairs : int or None
        Pairs to keep; None is all.

    Raises
    ------
    PipelineError
        If there is no dictionary for the languages.
    """
    text = TEMPLATE.read_text(encoding="utf-8")
    text = _HEAD.format(pair=own.pair) + text[text.index("\nconvention:") :]
    for keys, value in _values(own, n_pairs).items():
        text = replace_value(text, keys.split("."), value)
    return _translators(_gold(text, own), own.translators)


def _values(own: Own, n_pairs: int | None) -> dict[str, Any]:
    """Return the keys that differ from the demo's, gold and translators left out."""
    if own.dictionary is None and own.pair not in MUSE_PAIRS:
        message = (
            f"--dictionary: needed where MUSE has none, and it has none for {own.pair}; name a file, "
            '"source target" a line'
        )
        raise PipelineError(message)
    known = all(map(_has_lemmas, own.pair.split("-")))
    return {
        "corpus.source": "files",
        "corpus.pair": own.pair,
        "corpus.src": _one_or_list(own.src),
        "corpus.tgt": _one_or_list(own.tgt),
        "corpus.file": own.file,
        "sample.n_pairs": n_pairs,
        "sample.min_words": MIN_WORDS,
        "sample.max_words": MAX_WORDS,
        "words.pretokenised": own.words,
        "words.lemmas": "simplemma" if known else "none",
        "lexicon.source": "files" if own.dictionary else "muse",
        "lexicon.path": own.dictionary,
    }


def _has_lemmas(lang: str) -> bool:
    from simplemma.strategies.dictionaries.dictionary_factory import SUPPORTED_LANGUAGES

    return lang in SUPPORTED_LANGUAGES


def _one_or_list(files: Sequence[str]) -> str | list[str] | None:
    return None if not files else files[0] if len(files) == 1 else list(files)


def _gold(text: str, own: Own) -> str:
    """Return the text with one set of hand-made links, or none."""
    if own.gold is None:
        item, lines = find(layout(text), ("gold",)), text.splitlines(keepends=True)
        assert item is not None
        comment = lines[item.line].index("#")
        head = f"{'gold: []':<{comment}}{lines[item.line][comment:]}"
        return "".join([*lines[: item.line], head, *lines[item.last_line + 1 :]])
    found = {
        "name": name_of(own.gold),
        "pair": own.pair,
        "text": _one_or_list(own.gold_text or ([own.file] if own.file else [*own.src, *own.tgt])),
        "links": own.gold,
        "base": own.gold_base,
    }
    for key, value in found.items():
        text = replace_value(text, ("gold", "0", key), value)
    return text


def _translators(text: str, translators: Mapping[str, Translator] | None) -> str:
    """Return the text with other translators: the first shows every key, of the others those that are set."""
    if not translators:
        return text
    block = find(layout(text), ("translators",))
    assert block is not None
    assert block.value is not None
    demo, *rest = block.value.items.items()
    lines = text.splitlines(keepends=True)
    (name, spec), *others = translators.items()
    lines[demo[1].line] = f"  {name}:\n"
    above, below = lines[: demo[1].last_line + 1], lines[(rest[-1] if rest else demo)[1].last_line + 1 :]
    more = [f"  {other}:\n{_entry(of)}" for other, of in others]
    text = "".join([*above, *more, *below])
    for key, value in _set(spec).items():
        text = replace_value(text, ("translators", name, key), value)
    return text


def _set(spec: Translator) -> dict[str, Any]:
    return spec.model_dump(mode="json", exclude_none=True, include={"model", "reads", "positions", "revision"})


def _entry(spec: Translator) -> str:
    text = "".join(f"    {key}: null\n" for key in _set(spec))
    for key, value in _set(spec).items():
        text = replace_value(text, (key,), value)
    return text


def name_of(path: str, taken: Sequence[str] = ()) -> str:
    """Return a name for the rows of a file or model, from the last part of its path.

    Examples
    --------
    >>> name_of("owner/mBERT base.v2"), name_of("b/opus", ["opus"])
    ('mBERT-base-v2', 'opus-2')
    """
    name = _NAME.sub("-", path.rstrip("/").rpartition("/")[2]).strip("-_") or "own"
    numbered = (f"{name}-{number}" if number > 1 else name for number in count(1))
    return next(one for one in numbered if one not in taken)
