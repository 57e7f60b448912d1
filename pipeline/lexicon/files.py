"""Dictionaries in the form of MUSE: `source target` a line, separated by a space or a tab."""

import hashlib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.corpus.characters import without_invisible
from pipeline.corpus.files import read_lines
from pipeline.errors import PipelineError

_APOSTROPHES = dict.fromkeys(map(ord, "\u2018\u2019\u201b\u02bc\u2032\uff07"), "'")
# Of a character that Unicode calls a form of others; a raised letter (n with o above it) is not one.
_FORMS = tuple(f"<{form}" for form in ("compat", "wide", "narrow", "initial", "medial", "final", "isolated", "font"))


@dataclass(frozen=True)
class Lexicon:
    """Single words and their translations, all in `look_up_form`."""

    source: str
    """demo, muse or files, as in params.yaml."""
    entries: Mapping[str, frozenset[str]]
    """Target words of each source word."""
    n_several_words: int
    """Entries left out because one side has several words: links go from word to word."""
    sha256: str
    """Of the file."""
    licence: str | None = None
    """Under which it is published, where that binds its users."""

    @property
    def n_entries(self) -> int:
        """Return the number of word pairs, each counted once."""
        return sum(map(len, self.entries.values()))


def look_up_form(word: str) -> str:
    """Return the word as dictionaries are searched for it.

    NFC, lower case, straight apostrophe, nothing invisible; plain letters for ligatures, wide and narrow letters and
    the forms that Arabic letters take in a word.
    """
    if word.isascii():
        return word.lower()
    plain = "".join(map(_plain, without_invisible(word)))
    return unicodedata.normalize("NFC", plain).lower().translate(_APOSTROPHES)


def _plain(char: str) -> str:
    form = unicodedata.decomposition(char).partition(">")[0]
    return unicodedata.normalize("NFKC", char) if form in _FORMS and char.isalnum() else char


def read_lexicon(path: str | Path, *, source: str = "files", licence: str | None = None) -> Lexicon:
    """Return the entries of a dictionary file; empty lines are passed over, repeated entries count once.

    A line with a tab has the source before it and the target after it, either of several words (these
    entries are counted and left out). A line without a tab must have exactly two words.

    Raises
    ------
    PipelineError
        If the file cannot be read, a line is not an entry (says which), or there is no entry.
    """
    entries: dict[str, set[str]] = {}
    n_several_words = 0
    for number, line in enumerate(read_lines(path), 1):
        if not line.strip():
            continue
        sides = [side.strip() for side in line.split("\t")] if "\t" in line else line.split()
        if len(sides) != 2 or not all(sides):
            message = (
                f"lexicon.path: a line is `source target`, with a tab between them if one has several words, "
                f"but line {number} of {path} is {line!r}; correct it"
            )
            raise PipelineError(message)
        src, tgt = map(look_up_form, sides)
        if " " in src or " " in tgt:
            n_several_words += 1
        else:
            entries.setdefault(src, set()).add(tgt)
    if not entries:
        message = f"lexicon.path: must hold at least one pair of words, but {path} holds none; name another file"
        raise PipelineError(message)
    frozen = {src: frozenset(targets) for src, targets in entries.items()}
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return Lexicon(source, frozen, n_several_words, digest, licence)
