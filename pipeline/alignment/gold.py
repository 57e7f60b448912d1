"""The alignment error rate of links against hand-made ones, and the score of words left without a link, with counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from pipeline.corpus.gold import read_gold_links
from pipeline.corpus.link_formats import read_link_file
from pipeline.corpus.pharaoh import GoldLinks, LinkForm, Links, SomeLinks
from pipeline.corpus.word_files import read_sentences
from pipeline.errors import PipelineError

_Numbers = np.ndarray | np.floating
COUNTS = ("sure", "possible", "predicted", "hits_sure", "hits_possible")
UNALIGNED = ("unaligned", "left_out", "hits_unaligned")
"""Words of either side with neither a sure nor a possible link, words without a predicted link, words that are both."""


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


class WordScore(NamedTuple):
    """Precision, recall and F1, in [0, 1], of the words that are left without a link."""

    precision: Float[np.ndarray, "..."]
    recall: Float[np.ndarray, "..."]
    f1: Float[np.ndarray, "..."]


def score_unaligned(counts: Float[np.ndarray, "*lead unaligned"]) -> WordScore:
    """Return the scores of summed counts, in the order of `UNALIGNED`.

    Precision = hits / left_out, recall = hits / unaligned; 0 where nothing is left out, or no word is unaligned.

    Examples
    --------
    >>> [round(float(value), 3) for value in score_unaligned(np.array([4.0, 3.0, 2.0]))]
    [0.667, 0.5, 0.571]
    """
    unaligned, left_out, hits = np.moveaxis(counts, -1, 0)
    precision, recall = _ratio(hits, left_out, 0.0), _ratio(hits, unaligned, 0.0)
    return WordScore(precision, recall, _ratio(2 * precision * recall, precision + recall, 0.0))


def count_unaligned(found: Bool[np.ndarray, "src tgt"], allowed: Bool[np.ndarray, "src tgt"]) -> list[int]:
    """Return the counts of `UNALIGNED` of one pair, from what is linked and what is sure or possible."""
    by_hand = [~allowed.any(axis) for axis in (1, 0)]
    left_out = [~found.any(axis) for axis in (1, 0)]
    hits = sum(int((own & other).sum()) for own, other in zip(by_hand, left_out, strict=True))
    return [sum(int(words.sum()) for words in sides) for sides in (by_hand, left_out)] + [hits]


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


@dataclass(frozen=True)
class Compared:
    """Two files of links read as they were said to be written.

    Attributes
    ----------
    gold, found : mapping of sentence number, from 0, to GoldLinks
        Hand-made and predicted, for the annotated sentences; a possible link of the second counts as a link.
    lengths : mapping of sentence number to (n_src, n_tgt), or None
        Words of each sentence, where a text was named.
    """

    gold: dict[int, GoldLinks]
    found: dict[int, GoldLinks]
    lengths: dict[int, tuple[int, int]] | None

    @property
    def links(self) -> dict[int, Links]:
        """Return all predicted links by sentence."""
        return {i: links.all for i, links in self.found.items()}

    def scores(self) -> dict[str, float | int]:
        """Return percentages with four digits, and counts; those of unaligned words where the lengths are known."""
        counts = AlignmentCounts.compare(self.gold, self.links)
        percent: dict[str, Float[np.ndarray, ""]] = dict(counts.score()._asdict())
        total = counts.total()
        whole = {name: total[name] for name in COUNTS[:3]} | {"sentences": len(counts.ids)}
        if self.lengths is not None:
            of_words = self._unaligned(self.lengths)
            percent |= {f"unaligned_{name}": value for name, value in score_unaligned(of_words)._asdict().items()}
            whole |= {name: int(value) for name, value in zip(UNALIGNED[:2], of_words, strict=False)}
        return {name: round(100 * float(value), 4) for name, value in percent.items()} | whole

    def _unaligned(self, lengths: Mapping[int, tuple[int, int]]) -> Float[np.ndarray, " unaligned"]:
        total = np.zeros(len(UNALIGNED))
        for i, links in self.gold.items():
            (_, allowed), (_, found) = links.masks(*lengths[i]), self.found[i].masks(*lengths[i])
            total += count_unaligned(found, allowed)
        return total


def compare_files(
    gold_path: Path | str,
    links_path: Path | str,
    *,
    gold_form: LinkForm,
    links_form: LinkForm,
    text: Sequence[Path | str] = (),
) -> Compared:
    """Return the links of two files, sentence by sentence.

    Parameters
    ----------
    gold_path, links_path : Path or str
        See `read_gold_links` and `read_link_file`.
    gold_form, links_form : LinkForm
        Base, direction and format of either.
    text : sequence of Path or str
        The sentences (`read_sentences`), or none: both files are checked against the numbers of words.

    Raises
    ------
    PipelineError
        In one line that names the file and the line.
    """
    sentences = read_sentences(text) if text else None
    files = read_link_file(gold_path, gold_form), read_link_file(links_path, links_form)
    lengths, numbers, n = None, None, None
    if sentences is not None:
        lengths, numbers = sentences.lengths, sentences.numbers
    elif files[0].numbers is not None and files[1].numbers is not None:
        numbers = sorted({*files[0].numbers, *files[1].numbers})
    else:
        n = next(len(file.rows) for file in files if file.numbers is None)
    gold = read_gold_links(gold_path, gold_form, lengths=lengths, numbers=numbers, n=n)
    found = files[1].links(lengths=lengths, numbers=numbers, n=n)
    none = GoldLinks(*np.empty((2, 0, 2), dtype=np.int64))
    predicted = {i: found[i] or none for i in gold}
    return Compared(gold, predicted, None if lengths is None else {i: lengths[i] for i in gold})
