"""Gold alignments (Pharaoh form, or the demo's table) and the alignment error rate with its counts."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from pipeline.alignment.scores import Links, SomeLinks
from pipeline.corpus.files import read_lines, read_tsv
from pipeline.errors import PipelineError

_LINK = re.compile(r"(\d+)([-p])(\d+)")
_Numbers = np.ndarray | np.floating
COUNTS = ("sure", "possible", "predicted", "hits_sure", "hits_possible")


@dataclass(frozen=True)
class GoldLinks:
    """The hand-made links of one pair, indices from 0, in ascending order, each once."""

    sure: Int[np.ndarray, "sure 2"]
    possible: Int[np.ndarray, "possible 2"]
    """Those that are possible and not sure: to find one is right, to miss it no error."""

    def masks(self, n_src: int, n_tgt: int) -> tuple[np.ndarray, np.ndarray]:
        """Return two boolean (src, tgt) matrices: sure links, and sure or possible links."""
        sure = np.zeros((n_src, n_tgt), dtype=bool)
        sure[tuple(self.sure.T)] = True
        allowed = sure.copy()
        allowed[tuple(self.possible.T)] = True
        return sure, allowed

    def check_bounds(self, n_src: int, n_tgt: int, where: str) -> None:
        """Raise if a link lies outside of the pair.

        Raises
        ------
        PipelineError
            With `where` in front.
        """
        _check_bounds([*self.sure.tolist(), *self.possible.tolist()], n_src, n_tgt, 0, where)


class Score(NamedTuple):
    """Alignment error rate, precision, recall and F1 in [0, 1]; arrays where the counts are arrays."""

    aer: Float[np.ndarray, "..."]
    precision: Float[np.ndarray, "..."]
    recall: Float[np.ndarray, "..."]
    f1: Float[np.ndarray, "..."]


def score_counts(counts: Float[np.ndarray, "*lead counts"]) -> Score:
    """Return the scores of summed counts, in the order of `COUNTS`.

    AER = 1 - (hits_sure + hits_possible) / (predicted + sure); precision = hits_possible / predicted;
    recall = hits_sure / sure (Och and Ney 2003). A hit on a sure link counts in both hits. Precision
    without predictions and recall without sure links are 0; AER without either is NaN.

    Examples
    --------
    >>> score = score_counts(np.array([2.0, 1.0, 3.0, 1.0, 2.0]))
    >>> round(float(score.aer), 3), round(float(score.precision), 3), float(score.recall)
    (0.4, 0.667, 0.5)
    """
    sure, _, predicted, hits_sure, hits_possible = np.moveaxis(counts, -1, 0)
    error = 1 - _ratio(hits_sure + hits_possible, predicted + sure, np.nan)
    precision, recall = _ratio(hits_possible, predicted, 0.0), _ratio(hits_sure, sure, 0.0)
    return Score(error, precision, recall, _ratio(2 * precision * recall, precision + recall, 0.0))


def _ratio(part: _Numbers, whole: _Numbers, otherwise: float) -> np.ndarray:
    return np.divide(part, whole, out=np.full(np.shape(whole), otherwise), where=np.asarray(whole) > 0)


@dataclass(frozen=True)
class AlignmentCounts:
    """Counts of each sentence; scores, sums and bootstrap samples come from them.

    Attributes
    ----------
    ids : tuple of int
        The sentences.
    counts : float array, shape (sentence, counts)
        Links by `COUNTS`: sure, possible (without the sure), predicted, predicted and sure, predicted and
        sure or possible. Whole numbers, but for expected values.
    """

    ids: tuple[int, ...]
    counts: Float[np.ndarray, "sentence counts"]

    @classmethod
    def compare(cls, gold: Mapping[int, GoldLinks], predicted: Mapping[int, SomeLinks]) -> "AlignmentCounts":
        """Return the counts of predicted links against a gold set.

        Raises
        ------
        PipelineError
            If the two are not about the same sentences.
        """
        if set(gold) != set(predicted):
            odd = sorted(set(gold) ^ set(predicted))
            message = (
                f"predicted: must hold the sentences of the gold set, but {len(odd)} are in one only "
                f"(the first: {odd[0]}); align the same text"
            )
            raise PipelineError(message)
        ids = tuple(sorted(gold))
        rows = [_compare(gold[i], predicted[i]) for i in ids]
        return cls(ids, np.array(rows, dtype=np.float64).reshape(len(ids), len(COUNTS)))

    def total(self) -> dict[str, int]:
        """Return the sums by name."""
        return {name: int(value) for name, value in zip(COUNTS, self.counts.sum(0), strict=True)}

    def score(self) -> Score:
        """Return the scores of all sentences together."""
        return score_counts(self.counts.sum(0))


def _compare(gold: GoldLinks, predicted: Links) -> list[int]:
    sure, possible, found = (set(map(tuple, links.tolist())) for links in (gold.sure, gold.possible, predicted))
    return [len(sure), len(possible), len(found), len(found & sure), len(found & (sure | possible))]


def read_links_file(
    path: Path | str,
    *,
    base: int,
    reverse: bool = False,
    lengths: Sequence[tuple[int, int]] | None = None,
) -> list[GoldLinks]:
    """Return the links of every line of a Pharaoh file; an empty line is a sentence without links.

    Parameters
    ----------
    path : Path or str
        `i-j` is a sure link of source word i and target word j, `ipj` a possible one. A link that is there
        twice counts once, and as sure if it is sure once.
    base : {0, 1}
        Number of the first word.
    reverse : bool
        Whether the file has the target word first.
    lengths : sequence of (n_src, n_tgt), optional
        Words of each pair: as many as lines, and no link may go beyond them.

    Raises
    ------
    PipelineError
        In one line that names the file and the line: not a link, a link out of bounds, a wrong number of
        lines.
    """
    return _parse_lines(read_lines(path), path, base=base, reverse=reverse, lengths=lengths)


def _parse_lines(
    lines: Sequence[str],
    path: Path | str,
    *,
    base: int,
    reverse: bool,
    lengths: Sequence[tuple[int, int]] | None,
    first: int = 1,
) -> list[GoldLinks]:
    if lengths is not None and len(lengths) != len(lines):
        message = (
            f"{path}: must have one line a sentence pair, but has {len(lines)} for {len(lengths)} pairs; "
            "align the same text"
        )
        raise PipelineError(message)
    sizes: Sequence[tuple[int, int] | None] = lengths or [None] * len(lines)
    return [
        _parse_line(line, base=base, reverse=reverse, size=size, where=f"{path}, line {number}")
        for number, (line, size) in enumerate(zip(lines, sizes, strict=True), start=first)
    ]


def read_gold(path: Path | str, *, base: int, lengths: Sequence[tuple[int, int]] | None = None) -> dict[int, GoldLinks]:
    """Return the gold links by sentence number, from 0.

    Parameters
    ----------
    path : Path or str
        A Pharaoh file (`read_links_file`), or a tab-separated table with a column links (name ending in
        .tsv): there, sentence 0 is the row below the header, and a row without links has not been annotated
        and is left out.
    base : {0, 1}
        Number of the first word in the file.
    lengths : sequence of (n_src, n_tgt), optional
        Words of every line or row, to check the links against.

    Raises
    ------
    PipelineError
        As `read_links_file`; also for a table without that column, and for a gold set without a single sure
        link.
    """
    is_table = Path(path).suffix == ".tsv"
    lines = read_link_column(path) if is_table else read_lines(path)
    parsed = _parse_lines(lines, path, base=base, reverse=False, lengths=lengths, first=2 if is_table else 1)
    gold = {i: links for i, (links, line) in enumerate(zip(parsed, lines, strict=True)) if line.split() or not is_table}
    if not any(len(links.sure) for links in gold.values()):
        message = f"{path}: a gold set needs a sure link (i-j) or more, but there is none; is it the right file?"
        raise PipelineError(message)
    return gold


def read_link_column(path: Path | str) -> list[str]:
    """Return the column `links` of a tab-separated table, the row below the header first.

    Raises
    ------
    PipelineError
        If the file cannot be read, or has no such column.
    """
    header, *rows = read_tsv(str(path)) or [[]]
    if "links" not in header:
        message = f"{path}: the first line of a .tsv must name a column links, but it names {header}; name it so"
        raise PipelineError(message)
    return [row[header.index("links")] for row in rows]


def read_lengths(path: Path | str) -> list[tuple[int, int]]:
    """Return the numbers of words of every pair of a `source ||| target` file.

    Raises
    ------
    PipelineError
        If the file cannot be read or a line has not exactly one `|||`.
    """
    lengths = []
    for number, line in enumerate(read_lines(path), start=1):
        sides = re.split(r"(?:^|\s)\|\|\|(?:\s|$)", line)
        if len(sides) != 2:
            message = f"{path}, line {number}: must be `source ||| target`, but it is {line!r}"
            raise PipelineError(message)
        lengths.append((len(sides[0].split()), len(sides[1].split())))
    return lengths


def _parse_line(line: str, *, base: int, reverse: bool, size: tuple[int, int] | None, where: str) -> GoldLinks:
    sure: set[tuple[int, int]] = set()
    possible: set[tuple[int, int]] = set()
    for kind, first, second in _parse_links(line, where):
        link = (second - base, first - base) if reverse else (first - base, second - base)
        if min(link) < 0:
            message = (
                f"{where}: words are numbered from {base}, but there is {first}{kind}{second}; "
                "is the file's first number 0?"
            )
            raise PipelineError(message)
        (sure if kind == "-" else possible).add(link)
    if size is not None:
        _check_bounds(sorted(sure | possible), *size, base, where)
    return GoldLinks(_as_array(sure), _as_array(possible - sure))


def _parse_links(line: str, where: str) -> Iterator[tuple[str, int, int]]:
    for word in line.split():
        match = _LINK.fullmatch(word)
        if match is None:
            message = f"{where}: links are i-j (sure) or ipj (possible), separated by spaces, but there is {word!r}"
            raise PipelineError(message)
        yield match[2], int(match[1]), int(match[3])


def _check_bounds(links: Sequence[Sequence[int]], n_src: int, n_tgt: int, base: int, where: str) -> None:
    for src, tgt in links:
        if src >= n_src or tgt >= n_tgt:
            message = (
                f"{where}: the pair has {n_src} source and {n_tgt} target words, numbered from {base}, but a "
                f"link joins source {src + base} and target {tgt + base}; check base, direction and text"
            )
            raise PipelineError(message)


def _as_array(links: set[tuple[int, int]]) -> Links:
    return np.array(sorted(links), dtype=np.int64).reshape(-1, 2)


def score_files(
    gold_path: Path | str,
    links_path: Path | str,
    *,
    gold_base: int,
    links_base: int,
    reverse: bool = False,
    text: Path | str | None = None,
) -> dict[str, float | int]:
    """Return the scores of one file of links against another, percentages with four digits, and the counts.

    Parameters
    ----------
    gold_path, links_path : Path or str
        See `read_gold` and `read_links_file`; `ipj` in the second counts as a link.
    gold_base, links_base : {0, 1}
        Number of the first word in either file.
    reverse : bool
        Whether the second file has the target word first.
    text : Path or str, optional
        `source ||| target`, a line a sentence: both files are checked against the numbers of words.

    Raises
    ------
    PipelineError
        In one line that names the file and the line.
    """
    lengths = read_lengths(text) if text is not None else None
    gold = read_gold(gold_path, base=gold_base, lengths=lengths)
    n_gold = len(read_link_column(gold_path)) if Path(gold_path).suffix == ".tsv" else len(gold)
    found = read_links_file(links_path, base=links_base, reverse=reverse, lengths=lengths)
    if len(found) != n_gold:
        message = (
            f"{links_path}: must have a line for each of the {n_gold} sentences of the gold set, but has "
            f"{len(found)}; an empty line is a sentence without links"
        )
        raise PipelineError(message)
    predicted = {i: np.concatenate([found[i].sure, found[i].possible]) for i in gold}
    counts = AlignmentCounts.compare(gold, predicted)
    percent = {name: round(100 * float(value), 4) for name, value in counts.score()._asdict().items()}
    total = counts.total()
    return {**percent, **{name: total[name] for name in COUNTS[:3]}, "sentences": len(counts.ids)}
