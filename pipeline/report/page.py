"""What a page is made of: a table, a picture, a block (the picture as it stands on the page) and a section."""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import pandas as pd

from pipeline.report.style import Drawing

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Table:
    """A table in print.

    Attributes
    ----------
    head : list of str
        Names of the columns.
    rows : list of list of str
        As many cells as columns.
    n_labels : int
        How many columns from the left are words; the others are numbers.
    caption : str
        What the table shows; may be empty.
    wraps : bool
        Whether cells are sentences that may be broken.
    """

    head: list[str]
    rows: list[list[str]]
    n_labels: int = 1
    caption: str = ""
    wraps: bool = False

    @property
    def start(self) -> "Table":
        """The table with as many rows as stand open."""
        return replace(self, rows=self.rows[:ROWS])


LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")
"""Words that lead to a term of the glossary: [words](term)."""
FORMULA = tuple("=+-@\t\r＝＋－＠")
"""How a cell begins that spreadsheets run."""
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
ROWS = 6
"""Of a table that stands open; the others are behind a click."""
More = list[tuple[str, list[Table]]]


@dataclass(frozen=True)
class Picture:
    """A figure with its data and its finding.

    Attributes
    ----------
    drawing : Drawing
        In all its forms.
    data : str
        CSV of what is drawn.
    finding : str
        What it shows, with numbers.
    """

    drawing: Drawing
    data: str
    finding: str


@dataclass(frozen=True)
class Block:
    """A figure as it stands on the page.

    Attributes
    ----------
    title : str
        Such as `Figure 5 · mini-marian`.
    picture : Picture
        The figure.
    caption : list of str
        What it shows; how to read it; n, interval and floors.
    files : str
        The metrics that it was drawn from.
    table : Table or None
        The small table under it.
    more : list of (str, list of Table)
        Behind a click.
    verdicts : list of str
        What was claimed and measured, one sentence each.
    """

    title: str
    picture: Picture
    caption: list[str]
    files: str
    table: Table | None = None
    more: More = field(default_factory=list)
    verdicts: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Section:
    """What a section shows.

    Attributes
    ----------
    id, title : str
        Its anchor and its heading; of a section that answers a question, the page writes its own.
    finding : str
        What was found, computed, in one sentence, or why there is nothing; of a question, the page writes it.
    lead : list of str
        Sentences below it.
    parts : sequence of Block or Table
        Figures and tables in their order.
    more : list of (str, list of Table)
        Behind a click.
    template : str
        Of what else it holds, drawn by the page; empty otherwise.
    """

    id: str
    title: str = ""
    finding: str = ""
    lead: list[str] = field(default_factory=list)
    parts: Sequence[Block | Table] = ()
    more: More = field(default_factory=list)
    template: str = ""

    @property
    def blocks(self) -> list[Block]:
        """The figures."""
        return [part for part in self.parts if isinstance(part, Block)]

    @property
    def tables(self) -> list[Table]:
        """The tables that stand by themselves."""
        return [part for part in self.parts if isinstance(part, Table)]


@cache
def _texts() -> dict[str, dict[str, str]]:
    return tomllib.loads((TEMPLATES / "captions.toml").read_text(encoding="utf-8"))


def text(name: str, part: str, /, **values: object) -> str:
    """Return a text of captions.toml on one line, with values in the place of their names."""
    return " ".join(_texts()[name][part].split()).format(**values)


def has_text(name: str) -> bool:
    """Return whether captions.toml has texts of this name."""
    return name in _texts()


def caption(name: str, /, **values: object) -> list[str]:
    """Return what a figure shows, how it is read and, where it is known beforehand, on what it rests."""
    return [text(name, part, **values) for part in ("what", "how", "rests") if part in _texts()[name]]


def bare(marked: str) -> str:
    """Return a text without its marks: the words of links to the glossary, code without backticks.

    Examples
    --------
    >>> bare("the [cheapest way](plan), `dvc`")
    'the cheapest way, dvc'
    """
    return LINK.sub(r"\1", marked).replace("`", "")


def csv(frame: pd.DataFrame) -> str:
    """Return a table as CSV with six decimals; a word that a spreadsheet would run as a formula has `'` before it."""
    return frame.map(_no_formula).to_csv(index=False, float_format="%.6f", lineterminator="\n")


def _no_formula(cell: object) -> object:
    """Return a cell that a spreadsheet shows as it is.

    Examples
    --------
    >>> [_no_formula(cell) for cell in ("=1+1", "-", "-0.5", -0.5, "a=b")]
    ["'=1+1", "'-", '-0.5', -0.5, 'a=b']
    """
    formula = isinstance(cell, str) and cell.startswith(FORMULA) and not NUMBER.fullmatch(cell)
    return f"'{cell}" if formula else cell
