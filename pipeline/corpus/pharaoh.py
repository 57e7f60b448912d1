"""Links between the words of a pair in Pharaoh form (`i-j` sure, `ipj` possible): the one reader and the one writer."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Int

from pipeline.corpus.files import read_lines, read_tsv
from pipeline.errors import PipelineError

Links = Int[np.ndarray, "link 2"]
"""Source word, target word, from 0."""
SomeLinks = Int[np.ndarray, "_ 2"]
"""For collections: pairs have different numbers of links."""

_LINK = re.compile(r"(\d+)([-p])(\d+)")
_BAR = re.compile(r"(?:^|\s)\|\|\|(?:\s|$)")


@dataclass(frozen=True, eq=False)
class GoldLinks:
    """The hand-made links of one pair, indices from 0, in ascending order, each once."""

    sure: Int[np.ndarray, "sure 2"]
    possible: Int[np.ndarray, "possible 2"]
    """Those that are possible and not sure: to find one is right, to miss it no error."""

    @property
    def all(self) -> Int[np.ndarray, "_ 2"]:
        """Return sure and possible links together, the sure ones first."""
        return np.concatenate([self.sure, self.possible])

    def masks(self, n_src: int, n_tgt: int) -> tuple[Bool[np.ndarray, "src tgt"], Bool[np.ndarray, "src tgt"]]:
        """Return two boolean (src, tgt) matrices: sure links, and sure or possible links."""
        sure = np.zeros((n_src, n_tgt), dtype=bool)
        sure[tuple(self.sure.T)] = True
        allowed = sure.copy()
        allowed[tuple(self.possible.T)] = True
        return sure, allowed


@dataclass(frozen=True)
class LinkForm:
    """How a file numbers and orders words.

    Attributes
    ----------
    base : {0, 1}
        Number of the first word.
    reverse : bool
        Whether the target word stands first.
    """

    base: int = 0
    reverse: bool = False


def parse_links(line: str, form: LinkForm, *, where: str, size: tuple[int, int] | None = None) -> GoldLinks:
    """Return the links of one line; one that is there twice counts once, and as sure if it is sure once.

    Parameters
    ----------
    line : str
        `i-j` and `ipj`, separated by spaces; an empty line is a pair without links.
    form : LinkForm
        Base and direction.
    where : str
        File and line, for messages.
    size : (n_src, n_tgt), optional
        Words of the pair: no link may go beyond them.

    Raises
    ------
    PipelineError
        In one line that says where: not a link, a number below the base, or a link outside of the pair.

    Examples
    --------
    >>> links = parse_links("1-2 2p1", LinkForm(base=1), where="links.txt, line 1")
    >>> links.sure.tolist(), links.possible.tolist()
    ([[0, 1]], [[1, 0]])
    """
    sure: set[tuple[int, int]] = set()
    possible: set[tuple[int, int]] = set()
    for kind, first, second in _split(line, where):
        link = (second - form.base, first - form.base) if form.reverse else (first - form.base, second - form.base)
        if min(link) < 0:
            message = (
                f"{where}: words are numbered from {form.base}, but there is {first}{kind}{second}; "
                "is the file's first number 0?"
            )
            raise PipelineError(message)
        (sure if kind == "-" else possible).add(link)
    if size is not None:
        _check_bounds(sure | possible, size, form.base, where)
    return GoldLinks(_as_array(sure), _as_array(possible - sure))


def _split(line: str, where: str) -> Iterator[tuple[str, int, int]]:
    for word in line.split():
        match = _LINK.fullmatch(word)
        if match is None:
            message = f"{where}: links are i-j (sure) or ipj (possible), separated by spaces, but there is {word!r}"
            raise PipelineError(message)
        yield match[2], int(match[1]), int(match[3])


def _check_bounds(links: Iterable[tuple[int, int]], size: tuple[int, int], base: int, where: str) -> None:
    for src, tgt in sorted(links):
        if src >= size[0] or tgt >= size[1]:
            message = (
                f"{where}: the pair has {size[0]} source and {size[1]} target words, numbered from {base}, but a "
                f"link joins source {src + base} and target {tgt + base}; check base, direction and text"
            )
            raise PipelineError(message)


def _as_array(links: Iterable[tuple[int, int]]) -> Links:
    return np.array(sorted(links), dtype=np.int64).reshape(-1, 2)


def format_links(links: GoldLinks, form: LinkForm = LinkForm()) -> str:
    """Return the links of a pair as a line that `parse_links` reads, in ascending order.

    Examples
    --------
    >>> format_links(GoldLinks(np.array([[0, 1]]), np.array([[1, 0]])), LinkForm(base=1))
    '1-2 2p1'
    """
    marked = [(tuple(link), "-") for link in links.sure.tolist()] + [
        (tuple(link), "p") for link in links.possible.tolist()
    ]
    ordered = sorted(((link[::-1] if form.reverse else link), mark) for link, mark in marked)
    return " ".join(f"{first + form.base}{mark}{second + form.base}" for (first, second), mark in ordered)


def read_links_file(
    path: Path | str, form: LinkForm, *, lengths: Sequence[tuple[int, int]] | None = None
) -> list[GoldLinks]:
    """Return the links of every line of a Pharaoh file, or of the column `links` of a .tsv below its header.

    Parameters
    ----------
    path : Path or str
        An empty line is a sentence without links.
    form : LinkForm
        Base and direction.
    lengths : sequence of (n_src, n_tgt), optional
        Words of each pair: as many as lines, and no link may go beyond them.

    Raises
    ------
    PipelineError
        As `parse_links`; for a wrong number of lines, and for a .tsv without that column.
    """
    lines = link_lines(path)
    if lengths is not None and len(lengths) != len(lines):
        message = (
            f"{path}: must have one line a sentence pair, but has {len(lines)} for {len(lengths)} pairs; "
            "align the same text"
        )
        raise PipelineError(message)
    sizes: Sequence[tuple[int, int] | None] = lengths or [None] * len(lines)
    first = 2 if is_table(path) else 1
    return [
        parse_links(line, form, where=f"{path}, line {number}", size=size)
        for number, (line, size) in enumerate(zip(lines, sizes, strict=True), start=first)
    ]


def is_table(path: Path | str) -> bool:
    """Return whether links stand in a column of a table, where an empty cell is a row that nobody annotated."""
    return Path(path).suffix == ".tsv"


def link_lines(path: Path | str) -> list[str]:
    """Return the links of a file as text, a line a pair; of a .tsv the column `links`, row below the header first.

    Raises
    ------
    PipelineError
        If the file cannot be read, or a .tsv has no such column.
    """
    if not is_table(path):
        return read_lines(path)
    header, *rows = read_tsv(str(path)) or [[]]
    if "links" not in header:
        message = f"{path}: the first line of a .tsv must name a column links, but it names {header}; name it so"
        raise PipelineError(message)
    return [row[header.index("links")] for row in rows]


def write_links_file(path: Path | str, pairs: Iterable[GoldLinks], form: LinkForm) -> None:
    """Write one line a pair; `read_links_file` gives the same links back."""
    text = "".join(f"{format_links(links, form)}\n" for links in pairs)
    Path(path).write_text(text, encoding="utf-8", newline="\n")


def split_bars(line: str, where: str) -> tuple[list[str], list[str]]:
    """Return the words of both sides of a line `source ||| target`.

    Raises
    ------
    PipelineError
        If there is not exactly one `|||` between spaces.
    """
    sides = _BAR.split(line)
    if len(sides) != 2:
        message = f"{where}: must be `source ||| target`, but it is {line!r}; correct it"
        raise PipelineError(message)
    return sides[0].split(), sides[1].split()


def read_lengths(path: Path | str) -> list[tuple[int, int]]:
    """Return the numbers of words of every pair of a `source ||| target` file.

    Raises
    ------
    PipelineError
        If the file cannot be read or a line has not exactly one `|||`.
    """
    sides = (split_bars(line, f"{path}, line {number}") for number, line in enumerate(read_lines(path), start=1))
    return [(len(src), len(tgt)) for src, tgt in sides]
