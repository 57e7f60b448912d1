"""Links between the words of a pair, and their Pharaoh form (`i-j` sure, `ipj` and `i?j` possible) read and written.

Files, in this form and in others, are read by `link_formats`.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from pipeline.errors import PipelineError
from pipeline.params import LinkFormat

Links = Int[np.ndarray, "link 2"]
"""Source word, target word, from 0."""
SomeLinks = Int[np.ndarray, "_ 2"]
"""For collections: pairs have different numbers of links."""

# Nine digits at most: no sentence has more words, and a number always fits. A confidence behind the link, `0-1:0.93`
# or `0-1-0.93` (with its point, lest a third word number pass for one), is read over.
_SHARE = r"(?:[01]?\.[0-9]+|[0-9](?:\.[0-9]+)?[eE]-?[0-9]+)"
_LINK = re.compile(rf"([0-9]{{1,9}})([-p?])([0-9]{{1,9}})(?::(?:[01]|{_SHARE})|-{_SHARE})?")


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
    format : str
        One of `pipeline.params.LinkFormat`; `auto` goes by what the file holds. Read for files only.
    """

    base: int = 0
    reverse: bool = False
    format: LinkFormat = "auto"


class Mark(NamedTuple):
    """One link as a file writes it: its words' numbers in the file's order and from its base."""

    sure: bool
    first: int
    second: int
    where: str
    """File and line, for messages."""


def parse_links(line: str, form: LinkForm, *, where: str, size: tuple[int, int] | None = None) -> GoldLinks:
    """Return the links of one line; one that is there twice counts once, and as sure if it is sure once.

    Parameters
    ----------
    line : str
        `i-j`, `ipj` and `i?j`, separated by spaces, with or without a confidence behind (`0-1:0.93`, `0-1-0.93`), which
        is not used; an empty line is a pair without links.
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
    return make_links(split_links(line, where), form, size=size)


def split_links(line: str, where: str) -> Iterator[Mark]:
    """Yield the links of a line in Pharaoh form as they stand there.

    Raises
    ------
    PipelineError
        At a word that is no link.
    """
    for word in line.split():
        match = _LINK.fullmatch(word)
        if match is None:
            message = (
                f"{where}: links are i-j (sure) or ipj (possible), separated by spaces, but there is {word[:40]!r}; "
                "write it as 3-4, say"
            )
            raise PipelineError(message)
        yield Mark(match[2] == "-", int(match[1]), int(match[3]), where)


def holds_links(text: str) -> bool:
    """Return whether a text is a line in Pharaoh form; an empty one is."""
    return all(map(_LINK.fullmatch, text.split()))


def make_links(marks: Iterable[Mark], form: LinkForm, *, size: tuple[int, int] | None = None) -> GoldLinks:
    """Return the links of one pair; one that is there twice counts once, and as sure if it is sure once.

    Parameters
    ----------
    marks : iterable of Mark
        As they stand in a file.
    form : LinkForm
        Base and direction.
    size : (n_src, n_tgt), optional
        Words of the pair: no link may go beyond them.

    Raises
    ------
    PipelineError
        For a number below the base, or a link outside of the pair.
    """
    sure: set[tuple[int, int]] = set()
    possible: set[tuple[int, int]] = set()
    for mark in marks:
        src, tgt = (mark.second, mark.first) if form.reverse else (mark.first, mark.second)
        link = src - form.base, tgt - form.base
        if min(link) < 0:
            message = (
                f"{mark.where}: words are numbered from {form.base}, but there is "
                f"{mark.first}{'-' if mark.sure else 'p'}{mark.second}; is the file's first number 0?"
            )
            raise PipelineError(message)
        if size is not None and (link[0] >= size[0] or link[1] >= size[1]):
            message = (
                f"{mark.where}: the pair has {size[0]} source and {size[1]} target words, numbered from {form.base}, "
                f"but a link joins source {src} and target {tgt}; check base, direction and text"
            )
            raise PipelineError(message)
        (sure if mark.sure else possible).add(link)
    return GoldLinks(_as_array(sure), _as_array(possible - sure))


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


def write_links_file(path: Path | str, pairs: Iterable[GoldLinks], form: LinkForm) -> None:
    """Write one line a pair; `link_formats.read_links_file` gives the same links back."""
    text = "".join(f"{format_links(links, form)}\n" for links in pairs)
    Path(path).write_text(text, encoding="utf-8", newline="\n")
