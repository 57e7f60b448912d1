r"""Files of links between words, hand-made or predicted, in the forms in which they are published: one reader.

`pharaoh` (and `.talp`): a line a sentence, `0-0 1p2`. `ids`: the same behind a number or name and a tab. `naacl`: a line
a link, `sentence source target [S|P] [confidence]`. `xlwa`: source, target and links, tabs between. `table`: a column
`links` below a header. `auto` takes the form of the first line that is not empty.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.corpus.files import read_lines, read_tsv
from pipeline.corpus.pharaoh import GoldLinks, LinkForm, Mark, holds_links, make_links, split_links
from pipeline.errors import PipelineError
from pipeline.params import LinkFormat

_NAACL = re.compile(
    r"\s*([0-9]{1,9})\s+(-?[0-9]{1,9})\s+(-?[0-9]{1,9})(?:\s+([SPsp]))?(?:\s+[0-9.]+(?:[eE]-?[0-9]+)?)?\s*"
)
_NUMBER = re.compile(r"[0-9]{1,9}")
KNOWN = (
    "pharaoh (0-0 1p2 2?3, with or without a confidence, 0-0:0.9), ids (7<TAB>0-0 1p2), naacl (7 1 1 S), "
    "xlwa (source<TAB>target<TAB>0-0 1-2), table (a column links)"
)
TO_PHARAOH = r"sed -E 's/[^0-9]*([0-9]+)[^0-9]+([0-9]+)[^0-9]*/\1-\2 /g'"
"""Makes Pharaoh form of any line in which the numbers of words come in pairs."""
_SHOWN = 60


@dataclass(frozen=True)
class Row:
    """The links of one sentence as they stand in a file."""

    number: int | None
    """Of the sentence, None where lines count."""
    marks: list[Mark] | None
    """None if nobody annotated the sentence."""


@dataclass(frozen=True)
class LinkFile:
    """What a file says, before it is known how many sentences there are.

    Attributes
    ----------
    path : str
        For messages.
    form : LinkForm
        With the format found.
    rows : list of Row
        One a sentence; where the file numbers them, by rising number, and a sentence without links may be missing.
    """

    path: str
    form: LinkForm
    rows: list[Row]

    @property
    def numbers(self) -> list[int] | None:
        """Return the numbers of the sentences, None where lines count."""
        found = [row.number for row in self.rows if row.number is not None]
        return found if found and len(found) == len(self.rows) else None

    def links(
        self,
        *,
        n: int | None = None,
        lengths: Sequence[tuple[int, int]] | None = None,
        numbers: Sequence[int] | None = None,
    ) -> list[GoldLinks | None]:
        """Return the links of every sentence in the order of the text, None for one that nobody annotated.

        Numbered sentences are placed by `numbers`. Without these, as many as there are sentences are taken in their
        order (files leave numbers out); fewer count from 0 if 0 is among them, and else from 1. One that is missing
        has no links.

        Parameters
        ----------
        n : int, optional
            Number of sentences.
        lengths : sequence of (n_src, n_tgt), optional
            Words of each; no link may go beyond them.
        numbers : sequence of int, optional
            Of the sentences of the text, where the text numbers them.

        Raises
        ------
        PipelineError
            If there are more or fewer sentences, numbers do not fit, or as `make_links`.
        """
        n = len(lengths) if lengths is not None else len(numbers) if numbers is not None else n
        rows = self._placed(n, numbers)
        sizes: Sequence[tuple[int, int] | None] = lengths or [None] * len(rows)
        return [
            None if marks is None else make_links(marks, self.form, size=size)
            for marks, size in zip(rows, sizes, strict=True)
        ]

    def _placed(self, n: int | None, numbers: Sequence[int] | None) -> list[list[Mark] | None]:
        own = self.numbers
        if own is None or n is None or (len(own) == n and numbers is None):
            if n is not None and len(self.rows) != n:
                message = (
                    f"{self.path}: must have one line a sentence pair, but has {len(self.rows)} for {n} pairs; "
                    "align the same text (an empty line is a sentence without links)"
                )
                raise PipelineError(message)
            return [row.marks for row in self.rows]
        known = numbers if numbers is not None else range(n) if 0 in own else range(1, n + 1)
        places = {number: place for place, number in enumerate(known)}
        if odd := [number for number in own if number not in places]:
            message = (
                f"{self.path}: sentence numbers must be those of the {n} sentences of the text "
                f"({known[0]} to {known[-1]}), but there is {odd[0]}; name the text that was aligned"
                if n
                else f"{self.path}: there must be a text to align, but it has no sentence; name the right one"
            )
            raise PipelineError(message)
        rows: list[list[Mark] | None] = [[] for _ in range(n)]
        for row, number in zip(self.rows, own, strict=True):
            rows[places[number]] = row.marks
        return rows


def read_link_file(path: Path | str, form: LinkForm) -> LinkFile:
    """Return what a file of links says.

    Parameters
    ----------
    path : Path or str
        UTF-8. In `naacl` a negative word (-99) stands for none, from 1 also a word 0, and such a line is read over.
    form : LinkForm
        Base, direction and format.

    Raises
    ------
    PipelineError
        If the file cannot be read or, in one line that shows the line, is in another form or in none that is known.
    """
    path = str(path)
    lines = read_lines(path)
    if form.format == "auto":
        form = replace(form, format=_recognise(path, lines))
    if form.format == "table":
        return LinkFile(path, form, _table_rows(path))
    if form.format == "naacl":
        return LinkFile(path, form, _naacl_rows(path, lines, form.base))
    column = {"pharaoh": None, "ids": 1, "xlwa": 2}[form.format]
    rows = []
    for number, line in enumerate(lines, start=1):
        where = f"{path}, line {number}"
        fields = [line] if column is None else line.split("\t")
        if column is not None and len(fields) <= column:
            raise _unknown(where, line, form.format)
        sentence = int(fields[0]) if form.format == "ids" and _NUMBER.fullmatch(fields[0].strip()) else None
        rows.append(Row(sentence, list(split_links(fields[column or 0], where))))
    return LinkFile(path, form, _in_order(path, rows))


def _recognise(path: str, lines: Iterable[str]) -> LinkFormat:
    number, first = next(((n, line) for n, line in enumerate(lines, start=1) if line.strip()), (1, ""))
    fields = [field.strip() for field in first.split("\t")]
    if "links" in fields:
        return "table"
    if _NAACL.fullmatch(first):
        return "naacl"
    if holds_links(first):
        return "pharaoh"
    if len(fields) > 2 and fields[2] and holds_links(fields[2]):
        return "xlwa"
    if len(fields) == 2 and holds_links(fields[1]) and not holds_links(fields[0]):
        return "ids"
    if Path(path).suffix == ".tsv":
        return "table"
    where = f"{path}, line {number}"
    raise _unknown(where, first)


def _unknown(where: str, line: str, form: str | None = None) -> PipelineError:
    shown = repr(line if len(line) <= _SHOWN else f"{line[:_SHOWN]}...")
    named = f"in the form {form}" if form else "in a form that is known"
    message = (
        f"{where}: links must be {named}, but the line is {shown}; known: {KNOWN}; where its numbers come in pairs, "
        f"`{TO_PHARAOH}` makes pharaoh of it"
    )
    return PipelineError(message)


def _table_rows(path: str) -> list[Row]:
    header, *body = read_tsv(path) or [[]]
    if "links" not in header:
        message = (
            f"{path}: the first line of a .tsv must name a column links, but it names {str(header)[:200]}; name it so"
        )
        raise PipelineError(message)
    rows = []
    for number, fields in enumerate(body, start=2):
        text = fields[header.index("links")]
        rows.append(Row(None, list(split_links(text, f"{path}, line {number}")) if text.split() else None))
    return rows


def _naacl_rows(path: str, lines: Iterable[str], base: int) -> list[Row]:
    by_number: dict[int, list[Mark]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        match = _NAACL.fullmatch(line)
        if match is None:
            raise _unknown(where, line, "naacl")
        sentence, first, second = int(match[1]), int(match[2]), int(match[3])
        marks = by_number.setdefault(sentence, [])
        no_word = min(first, second) < 0 or (base == 1 and min(first, second) == 0 < max(first, second))
        if not no_word:
            marks.append(Mark((match[4] or "S").upper() == "S", first, second, where))
    return [Row(sentence, marks) for sentence, marks in sorted(by_number.items())]


def _in_order(path: str, rows: list[Row]) -> list[Row]:
    """Return the rows by rising number, where each has one."""
    numbers = [row.number for row in rows if row.number is not None]
    if len(numbers) < len(rows):
        return [replace(row, number=None) for row in rows]
    twice = sorted({number for number in numbers if numbers.count(number) > 1}) if len(set(numbers)) < len(rows) else []
    if twice:
        message = f"{path}: every sentence must be there once, but {twice[0]} is there twice; remove one"
        raise PipelineError(message)
    return sorted(rows, key=lambda row: row.number or 0)


def read_links_file(
    path: Path | str, form: LinkForm, *, lengths: Sequence[tuple[int, int]] | None = None
) -> list[GoldLinks]:
    """Return the links of every sentence of a file; one that nobody annotated has none.

    Parameters
    ----------
    path : Path or str
        See `read_link_file`.
    form : LinkForm
        Base, direction and format.
    lengths : sequence of (n_src, n_tgt), optional
        Words of each pair: as many as sentences, and no link may go beyond them.

    Raises
    ------
    PipelineError
        As `read_link_file` and `LinkFile.links`.
    """
    file = read_link_file(path, form)
    return [make_links([], form) if links is None else links for links in file.links(lengths=lengths)]
