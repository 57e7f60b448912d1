"""Sentences of a user, pair by pair, with the words that every room of the pipeline would see."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from pipeline.corpus.files import read_lines
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pretokenised import ROWS, Pretokenised, SideWords, decide
from pipeline.corpus.word_files import split_bars
from pipeline.errors import PipelineError


@dataclass(frozen=True)
class Texts:
    """Both sides of some text, a sentence each.

    Attributes
    ----------
    src, tgt : sequence of str
        As many on either side; a blank one is a pair without links.
    """

    src: Sequence[str]
    tgt: Sequence[str]

    def __post_init__(self) -> None:
        """Refuse sides that differ in their number of sentences."""
        if len(self.src) != len(self.tgt):
            message = (
                f"src, tgt: as many sentences on either side, but there are {len(self.src)} and {len(self.tgt)}; "
                "add or remove some"
            )
            raise PipelineError(message)

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.src)

    def sides(self, languages: str, pretokenised: Pretokenised = "auto") -> tuple[SideWords, SideWords]:
        """Return how the sentences of either side become words: as asked, or by the signs in its first rows.

        Raises
        ------
        PipelineError
            If a side holds sub-words and nobody said that these are words.
        """
        src_lang, tgt_lang = languages.split("-")
        return _side(self.src, src_lang, pretokenised), _side(self.tgt, tgt_lang, pretokenised)


def _side(rows: Iterable[str], lang: str, asked: Pretokenised) -> SideWords:
    return decide(list(islice((row for row in rows if row.strip()), ROWS)), lang, asked)


def read_texts(src: Path | str | None, tgt: Path | str | None, text: Path | str | None) -> Texts:
    """Return the sentences of two files, or of one with lines `source ||| target`.

    Raises
    ------
    PipelineError
        If neither or both ways are given, a file cannot be read, or a line is no pair.
    """
    if text is not None and src is None and tgt is None:
        return _bars(text)
    if text is None and src is not None and tgt is not None:
        return Texts(read_lines(src), read_lines(tgt))
    given = [name for name, path in (("--src", src), ("--tgt", tgt), ("--text", text)) if path is not None]
    message = (
        "--src, --tgt, --text: must be both of the first two, or the third alone, but there is "
        f"{' and '.join(given) or 'none'}; name --src and --tgt, or --text"
    )
    raise PipelineError(message)


def _bars(path: Path | str) -> Texts:
    src, tgt = [], []
    for number, line in enumerate(read_lines(path), start=1):
        both = split_bars(line, f"{path}, line {number}") if line.strip() else ([], [])
        src.append(" ".join(both[0]))
        tgt.append(" ".join(both[1]))
    return Texts(src, tgt)


def pairs_of(texts: Texts, sides: tuple[SideWords, SideWords]) -> Iterator[SentencePair | None]:
    """Yield the pairs, numbered from 0; None for one with a blank side.

    Raises
    ------
    PipelineError
        If the splitter of a language is not installed.
    """
    for number, rows in enumerate(zip(texts.src, texts.tgt, strict=True)):
        (src, src_words), (tgt, tgt_words) = (
            side.split(side.prepare(row)) for side, row in zip(sides, rows, strict=True)
        )
        if not (src_words and tgt_words):
            yield None
            continue
        yield SentencePair(number, src, tgt, tuple(src_words), tuple(tgt_words))
