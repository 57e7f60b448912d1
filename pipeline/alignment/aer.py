"""Alignment error of attention, word vectors and baselines against hand-made links, by layer and method."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from pipeline.alignment.bootstrap import Estimate, IntervalRule, Resampler
from pipeline.alignment.collect import attention_by_convention, watched
from pipeline.alignment.controls import nearest_position_links, same_index_links
from pipeline.alignment.gold import (
    COUNTS,
    UNALIGNED,
    Score,
    count_unaligned,
    score_counts,
    score_unaligned,
)
from pipeline.alignment.matching import MatchSettings, link_mask
from pipeline.attention.store import PairBlocks
from pipeline.columns import TRANSLATOR
from pipeline.conventions import Convention, View, names
from pipeline.corpus.pharaoh import GoldLinks, SomeLinks
from pipeline.errors import PipelineError

Kind = Literal["similarity", "cost"]
Halves = tuple[Int[np.ndarray, " first"], Int[np.ndarray, " second"]]
COLUMNS = list(TRANSLATOR["aer"][1:])
"""Columns of a set's table; the set's name stands before them."""
SOURCES = ("attention", "embedding", "baseline")
_JUDGED = {"aer": "aer_second_half", "aer_low": "second_half_low", "aer_high": "second_half_high"}


class Matching(NamedTuple):
    """The methods of the table, in its order, and their options."""

    methods: tuple[str, ...]
    settings: MatchSettings

    def masks(self, matrix: Float[np.ndarray, "src tgt"], kind: Kind) -> Iterator[Bool[np.ndarray, "src tgt"]]:
        """Yield what each method links."""
        return (link_mask(matrix, method, kind=kind, settings=self.settings) for method in self.methods)


class Setting(NamedTuple):
    """One row of the table: where the matrix comes from and how links are taken from it."""

    source: str
    view: str
    layer: int | None
    method: str


POSITION = Setting("baseline", "", None, "position")


@dataclass(frozen=True)
class GoldCounts:
    """Counts of every gold pair under every setting.

    Attributes
    ----------
    ids : list of int
        The pairs.
    settings : list of Setting
        Rows of the table.
    counts, words : float arrays, shapes (pair, setting, counts) and (pair, setting, unaligned)
        By `gold.COUNTS` and by `gold.UNALIGNED`; whole but for the expected values of `random`.
    """

    ids: list[int]
    settings: list[Setting]
    counts: Float[np.ndarray, "pair setting counts"]
    words: Float[np.ndarray, "pair setting unaligned"]


def count_links(
    blocks: Iterable[PairBlocks],
    gold: Mapping[int, GoldLinks],
    *,
    views: Sequence[View],
    n_layers: int,
    levels: Mapping[str, int],
    convention: Convention,
    matching: Matching,
    n_blocks: int | None = None,
) -> GoldCounts:
    """Return the counts of all settings on the pairs that have both blocks and hand-made links.

    Settings: every view and layer of attention and every kind (as the view) and level of the word vectors by
    every method of `matching`, vectors once by squared distance (`transport_distance`) and once by centred cosine
    (`transport_cosine`; as (1 + cosine) / 2), those of each side alone also by raw cosine; the baselines `position` (nearest relative position of every target word),
    `same_index` and `random` (each source word with a target word drawn at random: the exact expectation
    over draws).

    Raises
    ------
    PipelineError
        If a hand-made link lies outside of its pair's block, or no pair has both.
    """
    settings = _settings(names(views), n_layers, levels, matching.methods)
    ids, rows = [], []
    for pair in watched(blocks, "gold", n_blocks):
        links = gold.get(pair.pair_id)
        if links is None:
            continue
        n_tgt, n_src = pair.attention.shape[2:]
        if (links.all >= [n_src, n_tgt]).any():
            message = (
                f"gold: links of pair {pair.pair_id} must lie within its {n_src} source and {n_tgt} target words, but "
                "do not; run `dvc repro extract` for the text that was aligned"
            )
            raise PipelineError(message)
        attention = attention_by_convention(pair, views, convention)
        ids.append(pair.pair_id)
        rows.append(_count_pair(pair, levels, attention, links.masks(n_src, n_tgt), matching))
    if not rows:
        message = (
            f"gold: some pair must have both blocks and hand-made links, but none of {len(gold)} has; "
            "are gold.text and gold.links of the same set?"
        )
        raise PipelineError(message)
    counts = np.array(rows, dtype=np.float64).reshape(len(rows), len(settings), -1)
    return GoldCounts(ids, settings, counts[..., : len(COUNTS)], counts[..., len(COUNTS) :])


def _settings(views: Sequence[str], n_layers: int, levels: Mapping[str, int], methods: Sequence[str]) -> list[Setting]:
    attention = [
        Setting("attention", view, layer, method)
        for view in views
        for layer in range(1, n_layers + 1)
        for method in methods
    ]
    embedding = [
        Setting("embedding", states, level, f"{method}_{measure}")
        for states in sorted(levels)
        for level in range(levels[states])
        for measure in _measures(states)
        for method in methods
    ]
    baseline = [POSITION, *(Setting("baseline", "", None, name) for name in ("same_index", "random"))]
    return attention + embedding + baseline


def _measures(states: str) -> tuple[str, ...]:
    """Return how the word vectors of a kind are compared; raw cosine is what aligners of sentences read alone take."""
    return ("cosine", "distance", "raw") if states in ("alone", "encoder") else ("cosine", "distance")


def _count_pair(
    pair: PairBlocks,
    levels: Mapping[str, int],
    attention: Float[np.ndarray, "view layer tgt src"],
    masks: tuple[Bool[np.ndarray, "src tgt"], Bool[np.ndarray, "src tgt"]],
    matching: Matching,
) -> list[list[int] | list[float]]:
    rows: list[list[int] | list[float]] = []
    for block in attention.reshape(-1, *attention.shape[2:]):
        if np.isnan(block).any():  # a layer that cannot see all words of the pair is not judged by it
            rows += [[0] * (len(COUNTS) + len(UNALIGNED))] * len(matching.methods)
        else:
            rows += [_count(found, *masks) for found in matching.masks(block.T, "similarity")]
    for states in sorted(levels):
        for level in range(levels[states]):
            for measure in _measures(states):
                matrix, kind = _compared(pair, states, level, measure)
                rows += [_count(found, *masks) for found in matching.masks(matrix, kind)]
    n_tgt, n_src = attention.shape[2:]
    for links in (nearest_position_links(n_src, n_tgt), same_index_links(n_src, n_tgt)):
        found = np.zeros((n_src, n_tgt), dtype=bool)
        found[tuple(links.T)] = True
        rows.append(_count(found, *masks))
    return [*rows, expected_random_counts(*masks) + expected_random_unaligned(masks[1])]


def _compared(pair: PairBlocks, states: str, level: int, measure: str) -> tuple[Float[np.ndarray, "src tgt"], Kind]:
    if measure == "distance":
        return pair.cost[states][level], "cost"
    cosine = (pair.cosine if measure == "cosine" else pair.cosine_raw)[states][level]
    # Rounding may leave a cosine just below -1.
    return np.clip((1 + cosine) / 2, 0, 1), "similarity"


def _count(found: np.ndarray, sure: np.ndarray, allowed: np.ndarray) -> list[int]:
    n_sure, n_allowed = int(sure.sum()), int(allowed.sum())
    return [
        n_sure,
        n_allowed - n_sure,
        int(found.sum()),
        int((found & sure).sum()),
        int((found & allowed).sum()),
        *count_unaligned(found, allowed),
    ]


def expected_random_counts(sure: Bool[np.ndarray, "src tgt"], allowed: Bool[np.ndarray, "src tgt"]) -> list[float]:
    """Return the mean counts (`gold.COUNTS`) of linking each source word with a random target word."""
    n_src, n_tgt = sure.shape
    n_sure, n_allowed = float(sure.sum()), float(allowed.sum())
    return [n_sure, n_allowed - n_sure, float(n_src), n_sure / n_tgt, n_allowed / n_tgt]


def expected_random_unaligned(allowed: Bool[np.ndarray, "src tgt"]) -> list[float]:
    """Return the mean counts (`gold.UNALIGNED`) of linking each source word with a random target word.

    No source word is left out, and each target word with probability (1 - 1 / n_tgt) ** n_src.
    """
    n_src, n_tgt = allowed.shape
    free = (1 - 1 / n_tgt) ** n_src
    by_hand = (~allowed.any(1)).sum(), (~allowed.any(0)).sum()
    return [float(sum(by_hand)), n_tgt * free, float(by_hand[1]) * free]


def aer_table(
    counted: GoldCounts, halves: Halves, resamplers: tuple[Resampler, Resampler], rule: IntervalRule
) -> pd.DataFrame:
    """Return the scores of every setting, in [0, 1], with the interval of AER, as columns `COLUMNS`.

    Parameters
    ----------
    counted : GoldCounts
        Of one set.
    halves : (first, second)
        Indices of pairs: a setting is `chosen` for the lowest AER of its source on the first half, and judged by that
        of the second.
    resamplers : (Resampler, Resampler)
        Of all pairs, and of the second half.
    rule : IntervalRule
        Of the intervals.
    """
    frame = pd.DataFrame(counted.settings, columns=list(Setting._fields))
    frame["layer"] = frame["layer"].astype("Int64")
    score = score_counts(counted.counts.sum(0))
    for name in Score._fields:
        frame[name] = getattr(score, name)
    frame["n_pairs"] = len(counted.counts)
    whole = _estimate(counted.counts, resamplers[0], rule)
    frame = frame.assign(aer_low=whole.low, aer_high=whole.high)
    for name, values in score_unaligned(counted.words.sum(0))._asdict().items():
        frame[f"unaligned_{name}"] = values
    frame["aer_first_half"] = score_counts(counted.counts[halves[0]].sum(0)).aer
    second = _estimate(counted.counts[halves[1]], resamplers[1], rule)
    frame = frame.assign(aer_second_half=second.value, second_half_low=second.low, second_half_high=second.high)
    lowest = frame["aer_first_half"].fillna(np.inf).groupby(frame["source"], sort=False).idxmin()
    return frame.assign(chosen=frame.index.isin(lowest))[COLUMNS]


def _estimate(counts: Float[np.ndarray, "pair setting counts"], resampler: Resampler, rule: IntervalRule) -> Estimate:
    draws = score_counts(resampler.sums(counts)).aer
    return resampler.estimate(score_counts(counts.sum(0)).aer, draws, np.full(counts.shape[1], len(counts)), rule)


def best_settings(
    counted: GoldCounts,
    table: pd.DataFrame,
    second: Int[np.ndarray, " second"],
    resampler: Resampler,
    rule: IntervalRule,
) -> dict[str, dict]:
    """Return the setting of lowest AER of each source: chosen on one half of the pairs, read on the other.

    `below_position` is the AER of the position baseline minus that of the setting, with its paired interval.

    Parameters
    ----------
    counted, table : GoldCounts and its `aer_table`
    second : int array
        Indices of the pairs of the second half, of which the resampler is.
    resampler, rule : Resampler and IntervalRule
    """
    counts, position = counted.counts[second], counted.settings.index(POSITION)
    value, draws = score_counts(counts.sum(0)).aer, score_counts(resampler.sums(counts)).aer
    n_pairs = np.full(len(value), len(second))
    gain = resampler.estimate(value[position] - value, draws[:, [position]] - draws, n_pairs, rule)
    best = {}
    for source in SOURCES:
        row = int(np.flatnonzero(table["chosen"] & (table["source"] == source))[0])
        best[source] = {
            **counted.settings[row]._asdict(),
            **{name: float(table[column].to_numpy()[row]) for name, column in _JUDGED.items()},
            "n_pairs": len(second),
            "below_position": {name: float(getattr(gain, name)[row]) for name in ("value", "low", "high")},
        }
    return best


def links_of(
    setting: Setting, blocks: Iterable[PairBlocks], views: Sequence[View], convention: Convention, matching: Matching
) -> dict[int, SomeLinks]:
    """Return what one setting of attention or word vectors links in every pair; nothing where its layer is NaN."""
    found = {}
    for pair in blocks:
        if setting.source == "attention":
            attention = attention_by_convention(pair, views, convention)
            matrix = attention[names(views).index(setting.view), (setting.layer or 1) - 1].T
            method, kind = setting.method, "similarity"
        else:
            method, measure = setting.method.rsplit("_", 1)
            matrix, kind = _compared(pair, setting.view, setting.layer or 0, measure)
        blind = np.isnan(matrix).any()
        mask = (
            np.zeros(matrix.shape, dtype=bool)
            if blind
            else link_mask(matrix, method, kind=kind, settings=matching.settings)
        )
        found[pair.pair_id] = np.argwhere(mask)
    return found
