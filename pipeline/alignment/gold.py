"""The alignment error rate of links against hand-made ones, with its counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from pipeline.corpus.gold import read_gold_links
from pipeline.corpus.pharaoh import GoldLinks, LinkForm, Links, SomeLinks, link_lines, read_lengths, read_links_file
from pipeline.errors import PipelineError

_Numbers = np.ndarray | np.floating
COUNTS = ("sure", "possible", "predicted", "hits_sure", "hits_possible")


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
        See `read_gold_links` and `read_links_file`; `ipj` in the second counts as a link.
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
    gold = read_gold_links(gold_path, LinkForm(gold_base), lengths=lengths)
    n_gold = len(link_lines(gold_path))
    found = read_links_file(links_path, LinkForm(links_base, reverse), lengths=lengths)
    if len(found) != n_gold:
        message = (
            f"{links_path}: must have a line for each of the {n_gold} sentences of the gold set, but has "
            f"{len(found)}; an empty line is a sentence without links"
        )
        raise PipelineError(message)
    predicted = {i: found[i].all for i in gold}
    counts = AlignmentCounts.compare(gold, predicted)
    percent = {name: round(100 * float(value), 4) for name, value in counts.score()._asdict().items()}
    total = counts.total()
    return {**percent, **{name: total[name] for name in COUNTS[:3]}, "sentences": len(counts.ids)}
