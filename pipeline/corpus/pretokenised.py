"""Text that someone split into words already: its signs, and its words as they were given."""

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import regex

from pipeline.corpus.characters import NO_SPACES, drop_unseen
from pipeline.corpus.splitters import sets_spaces, splitter_of
from pipeline.corpus.words import close_gaps, join_words, locate_words, normalise, split_words
from pipeline.errors import PipelineError

Pretokenised = Literal["auto", True, False]
GIVEN = "spaces (split before)"
"""Stands for the splitter of words that were given."""
ROWS = 100
"""Rows that are looked at: the first in the order in which they are drawn."""

# Moses sets @ around what it split inside a word.
_JOINT = re.compile(r"@([^\w\s@]{1,3})@")
_JOINED = re.compile(rf" ?(?<!\S){_JOINT.pattern}(?!\S) ?")
# What Moses splits off and escapes: 's, l', n't, or a quote by itself; in English also where it is not escaped.
_ESCAPED = re.compile(
    r"(?i)(?:&(?:apos|quot|#39|#91|#93|#124|bar|bra|ket);|&apos;(?:s|re|ve|ll|d|m)|n&apos;t"
    r"|(?:[cdjlmnst]|\w*qu|aujourd)&apos;|'(?:s|re|ve|ll|d|m)|n't)"
)
_NEGATION = re.compile(r"(?i)(?<=\w) (?=n't\b)")
_APART = regex.compile(r"(?<!\S)[,.\u060c\u06d4\u0964\u3001\u3002\uff0c](?!\S)")
# A comma behind a word, a full stop behind the last one whatever closes there, a bracket or double quote at a word.
_TIGHT = regex.compile(
    r"[\w\p{M}%][,\u060c](?!\S)|[\w\p{M}%][.\u06d4\u0964][\p{Pe}\p{Pf}\"']*$|\w[\u3001\u3002\uff0c]"
    r"|[\w\p{M}][)\]\"\u201d](?!\w)|(?<!\w)[(\[\"\u201c](?=\w)"
)
_SPACED = regex.compile(rf"({NO_SPACES})\p{{M}}* (?={NO_SPACES})")
_UNSPACED = regex.compile(rf"({NO_SPACES})\p{{M}}*(?={NO_SPACES})")
# Of marks, those that stand apart in split text; of neighbouring letters without spaces, those that a space parts.
# How sub-words are marked, and the command that joins them.
_PIECES = (
    ("BPE", re.compile(r"(?<!\S)[^\s@]+@@ \S+"), "s/@@( |$)//g"),
    ("SentencePiece", re.compile(r"(?<!\S)\u2581\w*"), "s/ //g; s/\u2581/ /g; s/^ //"),
)
_SHARE_PIECES = 0.1  # of rows
_SHARE_APART, _SHARE_SPACED = 0.8, 0.15
_SHARE_STRAY = 0.05  # of rows: fewer signs are slips of running text


@dataclass(frozen=True)
class Signs:
    """What tells split text from running text, counted in some rows of one side."""

    rows: int
    joints: int
    """Rows with `@-@` or the like."""
    escapes: int
    """Rows with a word such as `'s`, `&apos;s` or `l&apos;`."""
    apart: int
    """Commas and full stops with a space on both sides."""
    tight: int
    """Those that stand at a word, and brackets and double quotes that do."""
    spaced: int = 0
    """Letters of a script without spaces that a space parts from the next; 0 for other languages."""
    unspaced: int = 0
    """Those that stand at the next."""

    @property
    def split(self) -> bool:
        """Return whether the text looks split."""
        if self.spaced + self.unspaced:
            return self.spaced >= _SHARE_SPACED * (self.spaced + self.unspaced) and self.apart >= self.tight
        if self.joints + self.escapes > _SHARE_STRAY * self.rows:
            return self.apart >= self.tight
        return self.apart > _SHARE_STRAY * self.rows and self.apart >= _SHARE_APART * (self.apart + self.tight)

    def __str__(self) -> str:
        counts = [f"{self.apart} of {self.apart + self.tight} marks stand apart"]
        if self.spaced + self.unspaced:
            counts = [f"{self.spaced} of {self.spaced + self.unspaced} letters have a space before the next"]
        counts += [f"@-@ in {self.joints}"] * bool(self.joints) + [f"'s or &apos; split off in {self.escapes}"] * bool(
            self.escapes
        )
        return f"{', '.join(counts)}, in {self.rows} rows"


def signs_of(rows: Iterable[str], lang: str) -> Signs:
    """Return the signs in some rows of a side.

    Parameters
    ----------
    rows : iterable of str
        As they stand in the file.
    lang : str
        Whether it sets spaces between words decides which signs count.
    """
    texts = [" ".join(row.split()) for row in rows]
    spaced = unspaced = 0
    if not sets_spaces(lang):
        spaced = sum(len(_SPACED.findall(text)) for text in texts)
        unspaced = sum(len(_UNSPACED.findall(text)) for text in texts)
    return Signs(
        rows=len(texts),
        joints=sum(any(map(_JOINT.fullmatch, text.split(" "))) for text in texts),
        escapes=sum(any(map(_ESCAPED.fullmatch, text.split(" "))) for text in texts),
        apart=sum(len(_APART.findall(text)) for text in texts),
        tight=sum(len(_TIGHT.findall(text)) for text in texts),
        spaced=spaced,
        unspaced=unspaced,
    )


def given_words(text: str) -> list[str]:
    """Return the words that stand between spaces, as many and in the order that they were given.

    A word is given as a model reads it and a dictionary looks it up: entities are resolved (`&apos;s` is `'s`), `@-@`
    is `-`, and characters that no one sees are gone. Quotes, accents and everything else stay as they are. A word of
    which nothing would be left, or that would hold a space, stays as it was.

    Examples
    --------
    >>> given_words("two @-@ year d &apos; État &amp;")
    ['two', '-', 'year', 'd', "'", 'État', '&']
    """
    return [_JOINT.sub(r"\1", word) if _JOINT.fullmatch(word) else _as_read(word) for word in text.split()]


def _as_read(word: str) -> str:
    read = drop_unseen(html.unescape(word))
    return read if read and not any(map(str.isspace, read)) else word


def given_text(text: str, lang: str) -> str:
    """Return the sentence in ordinary spelling that `given_words` of the text spell.

    Parameters
    ----------
    text : str
        Words with a space between them.
    lang : str
        Language code.

    Examples
    --------
    >>> given_text("two @-@ year plan &apos;s end .", "en")
    "two-year plan's end."
    """
    words = given_words(text)
    read = " ".join(word if _JOINT.fullmatch(word) else _as_read(word) for word in text.split())
    spelled = join_words(_JOINED.sub(r"\1", read).split(" "), lang)
    spelled = _NEGATION.sub("", spelled) if lang == "en" else spelled
    for attempt in (close_gaps(spelled, lang), spelled):
        try:
            locate_words(attempt, words)
        except PipelineError:
            continue
        return attempt
    return " ".join(words)


@dataclass(frozen=True)
class SideWords:
    """How the sentences of one side become words."""

    lang: str
    given: bool
    """Whether the words are those between the spaces."""
    signs: Signs | None = None
    """What was seen, if nobody said whether they are."""

    def prepare(self, row: str) -> str:
        """Return the normalised sentence, or the row with one space between its words."""
        return " ".join(row.split()) if self.given else normalise(row, self.lang)

    def split(self, prepared: str) -> tuple[str, list[str]]:
        """Return the text of a prepared sentence as a model reads it, and its words, which spell it.

        Raises
        ------
        PipelineError
            If the splitter of the language is not installed.
        """
        if self.given:
            return given_text(prepared, self.lang), given_words(prepared)
        return prepared, split_words(prepared, self.lang)

    @property
    def splitter(self) -> str:
        """Return what splits the sentences, with its version."""
        return GIVEN if self.given else splitter_of(self.lang).name

    def about(self) -> dict[str, object]:
        """Return what the metrics say of it."""
        return {
            "splitter": self.splitter,
            "pretokenised": self.given,
            "saw": asdict(self.signs) if self.signs else None,
        }


def decide(rows: Iterable[str], lang: str, asked: Pretokenised) -> SideWords:
    """Return how the sentences of a side become words: as asked, or by the signs in its first rows.

    Raises
    ------
    PipelineError
        If the rows hold sub-words, as BPE or SentencePiece writes them, and nobody said that these are words.
    """
    if asked is True:
        return SideWords(lang, True)
    rows = list(rows)
    _check_pieces(rows, lang)
    if asked is False:
        return SideWords(lang, False)
    signs = signs_of(rows, lang)
    return SideWords(lang, signs.split, signs)


def _check_pieces(rows: Sequence[str], lang: str) -> None:
    for mark, is_piece, undo in _PIECES:
        found = [piece[0] for row in rows if (piece := is_piece.search(row))]
        if found and len(found) >= _SHARE_PIECES * len(rows):
            message = (
                f"corpus: must be text or words, but {len(found)} of the first {len(rows)} rows of {lang} hold sub-words "
                f"({mark}: {found[0].strip()!r}); join them by `sed -E '{undo}' FILE > NEW`, or take them as words with "
                "words.pretokenised: true (in a command: --words given)"
            )
            raise PipelineError(message)


def describe(sides: Iterable[SideWords]) -> str:
    """Return one line on what `auto` saw and did."""
    done = {True: "split already: its words are taken as given", False: "running text"}
    said = [f"{side.lang} is {done[side.given]} ({side.signs})" for side in sides]
    return f"words.pretokenised: auto: {'; '.join(said)}"
