"""Alignment error of attention, word vectors and baselines against hand-made links, by layer and method."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from pipeline.alignment.bootstrap import IntervalRule, Resampler
from pipeline.alignment.collect import attention_by_convention, watched
from pipeline.alignment.controls import nearest_position_links, same_index_links
from pipeline.alignment.gold import COUNTS, Score, score_counts
from pipeline.alignment.matching import MatchSettings, link_mask
from pipeline.attention.store import PairBlocks
from pipeline.conventions import Convention, View, names
from pipeline.corpus.pharaoh import GoldLinks
from pipeline.errors import PipelineError

Kind = Literal["similarity", "cost"]
COLUMNS = [
    "source",
    "view",
    "layer",
    "method",
    "aer",
    "precision",
    "recall",
    "f1",
    "n_pairs",
    "aer_low",
    "aer_high",
]


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
    settings : list of Setting
        Rows of the table.
    counts : float array, shape (pair, setting, counts)
        By `gold.COUNTS`; whole but for the expected values of `random`.
    """

    settings: list[Setting]
    counts: Float[np.ndarray, "pair setting counts"]


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
    rows = []
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
        rows.append(_count_pair(pair, levels, attention, links.masks(n_src, n_tgt), matching))
    if not rows:
        message = (
            f"gold: some pair must have both blocks and hand-made links, but none of {len(gold)} has; "
            "are gold.text and gold.links of the same set?"
        )
        raise PipelineError(message)
    return GoldCounts(settings, np.array(rows, dtype=np.float64).reshape(len(rows), len(settings), len(COUNTS)))


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
            rows += [[0] * len(COUNTS)] * len(matching.methods)
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
    return [*rows, expected_random_counts(*masks)]


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
    ]


def expected_random_counts(sure: Bool[np.ndarray, "src tgt"], allowed: Bool[np.ndarray, "src tgt"]) -> list[float]:
    """Return the mean counts (`gold.COUNTS`) of linking each source word with a random target word."""
    n_src, n_tgt = sure.shape
    n_sure, n_allowed = float(sure.sum()), float(allowed.sum())
    return [n_sure, n_allowed - n_sure, float(n_src), n_sure / n_tgt, n_allowed / n_tgt]


def aer_table(counted: GoldCounts, resampler: Resampler, rule: IntervalRule) -> pd.DataFrame:
    """Return AER, precision, recall and F1 of every setting, in [0, 1], and the interval of AER."""
    score = score_counts(counted.counts.sum(0))
    draws = score_counts(resampler.sums(counted.counts)).aer
    n_pairs = np.full(len(counted.settings), len(counted.counts))
    estimate = resampler.estimate(score.aer, draws, n_pairs, rule)
    frame = pd.DataFrame(counted.settings, columns=list(Setting._fields))
    frame["layer"] = frame["layer"].astype("Int64")
    for name in Score._fields:
        frame[name] = getattr(score, name)
    return frame.assign(n_pairs=n_pairs, aer_low=estimate.low, aer_high=estimate.high)[COLUMNS]


def best_settings(
    counted: GoldCounts, split: tuple[np.ndarray, np.ndarray], resampler: Resampler, rule: IntervalRule
) -> dict[str, dict]:
    """Return the setting of lowest AER of each source: chosen on one half of the pairs, read on the other.

    `below_position` is the AER of the position baseline minus that of the setting, with its paired interval.
    """
    chosen_by = score_counts(counted.counts[split[0]].sum(0)).aer
    second = GoldCounts(counted.settings, counted.counts[split[1]])
    table = aer_table(second, resampler, rule)
    value, draws = score_counts(second.counts.sum(0)).aer, score_counts(resampler.sums(second.counts)).aer
    position = counted.settings.index(POSITION)
    gain = resampler.estimate(
        value[position] - value, draws[:, [position]] - draws, np.full(len(value), len(split[1])), rule
    )
    best = {}
    for source in ("attention", "embedding", "baseline"):
        of_source = np.array([setting.source == source for setting in counted.settings])
        row = int(np.where(of_source & ~np.isnan(chosen_by), chosen_by, np.inf).argmin())
        best[source] = {
            **counted.settings[row]._asdict(),
            **{name: float(table[name].iloc[row]) for name in ("aer", "aer_low", "aer_high")},
            "n_pairs": len(split[1]),
            "below_position": {name: float(getattr(gain, name)[row]) for name in ("value", "low", "high")},
        }
    return best
