"""Sentences whose words are given: `source ||| target`, two files of words (SGML tags read over), or XL-WA tables."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.corpus.files import read_lines
from pipeline.corpus.pharaoh import holds_links
from pipeline.errors import PipelineError

_BAR = re.compile(r"(?:^|\s)\|\|\|(?:\s|$)")
_TAGGED = re.compile(r"""\s*<s\s+snum\s*=\s*["']?([0-9]{1,9})["']?\s*>(.*)</s>\s*""", re.IGNORECASE)


@dataclass(frozen=True)
class Sentences:
    """The words of sentence pairs, and their numbers where the files give them."""

    src: list[list[str]]
    tgt: list[list[str]]
    numbers: list[int] | None = None

    @property
    def lengths(self) -> list[tuple[int, int]]:
        """Return the numbers of source and target words of every pair."""
        return [(len(src), len(tgt)) for src, tgt in zip(self.src, self.tgt, strict=True)]


def split_bars(line: str, where: str) -> tuple[list[str], list[str]]:
    """Return the words of both sides of a line `source ||| target`.

    Raises
    ------
    PipelineError
        If there is not exactly one `|||` between spaces.
    """
    sides = _BAR.split(line)
    if len(sides) != 2:
        message = f"{where}: must be `source ||| target`, but it is {line[:200]!r}; correct it"
        raise PipelineError(message)
    return sides[0].split(), sides[1].split()


def read_sentences(paths: Sequence[Path | str], *, say: str = "") -> Sentences:
    """Return the sentences of one file with both sides, or of two, source then target; words stand between blanks.

    Parameters
    ----------
    paths : sequence of Path or str
        One: lines `source ||| target`, or `source<TAB>target<TAB>links` as in XL-WA. Two: a sentence a line, as it is
        or as `<s snum=0001> ... </s>`.
    say : str
        What stands before the file's name in messages.

    Raises
    ------
    PipelineError
        If a file cannot be read, or the two differ in their sentences.
    """
    if len(paths) == 1:
        return _both_sides(str(paths[0]), say)
    (src, src_numbers), (tgt, tgt_numbers) = (_one_side(str(path), say) for path in paths)
    if len(src) != len(tgt) or src_numbers != tgt_numbers:
        message = (
            f"{say}{paths[0]}, {paths[1]}: must hold the same sentences, a line each, but have {len(src)} and "
            f"{len(tgt)}" + (", of other numbers" if len(src) == len(tgt) else "") + "; name files that belong together"
        )
        raise PipelineError(message)
    return Sentences(src, tgt, src_numbers)


def is_xlwa(line: str) -> bool:
    """Return whether a line is `source<TAB>target<TAB>links`, with words between blanks."""
    fields = line.split("\t")
    return len(fields) > 2 and bool(fields[2].strip()) and holds_links(fields[2])


def _both_sides(path: str, say: str) -> Sentences:
    lines = read_lines(path)
    if lines and is_xlwa(lines[0]):
        rows = [line.split("\t") for line in lines]
        if short := next((n for n, row in enumerate(rows, start=1) if len(row) < 2), 0):
            message = f"{say}{path}, line {short}: must be source<TAB>target<TAB>links, but has no tab; correct it"
            raise PipelineError(message)
        return Sentences([row[0].split() for row in rows], [row[1].split() for row in rows])
    sides = [split_bars(line, f"{say}{path}, line {number}") for number, line in enumerate(lines, start=1)]
    return Sentences([src for src, _ in sides], [tgt for _, tgt in sides])


def _one_side(path: str, say: str) -> tuple[list[list[str]], list[int] | None]:
    lines = read_lines(path)
    first = next((line for line in lines if line.strip()), "")
    if _TAGGED.fullmatch(first) is None:
        return [line.split() for line in lines], None
    words, numbers = [], []
    for number, line in enumerate(lines, start=1):
        match = _TAGGED.fullmatch(line)
        if match is None and line.strip():
            message = (
                f"{say}{path}, line {number}: must be `<s snum=N> words </s>`, but it is {line[:60]!r}; correct it"
            )
            raise PipelineError(message)
        if match is not None:
            numbers.append(int(match[1]))
            words.append(match[2].split())
    if len(set(numbers)) < len(numbers):
        message = f"{say}{path}: every snum must be there once, but one is there twice; correct it"
        raise PipelineError(message)
    return words, numbers


def read_lengths(*paths: Path | str) -> list[tuple[int, int]]:
    """Return the numbers of words of every pair of `read_sentences`.

    Raises
    ------
    PipelineError
        As `read_sentences`.
    """
    return read_sentences(paths).lengths
