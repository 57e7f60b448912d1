"""Every set of hand-made links of one translator: its rows of the error table, best settings, and what is doubtful."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.alignment.aer import COLUMNS, Halves, Matching, Setting, aer_table, best_settings, count_links, links_of
from pipeline.alignment.bootstrap import IntervalRule, Resampler
from pipeline.alignment.halves import hashed_order, in_first_half
from pipeline.alignment.plausible import doubt_of_set
from pipeline.attention.store import PairBlocks
from pipeline.conventions import Convention, view_of
from pipeline.corpus.pharaoh import GoldLinks
from pipeline.params import Align


@dataclass(frozen=True)
class GoldSet:
    """A set of hand-made links, and the blocks of its sentences.

    Attributes
    ----------
    name, languages : str
        Of the set, as in params.yaml.
    links : mapping of pair_id to GoldLinks
        Of every annotated sentence.
    manifest : mapping
        Of the blocks.
    blocks : iterable of PairBlocks
        Gone through twice.
    """

    name: str
    languages: str
    links: Mapping[int, GoldLinks]
    manifest: Mapping
    blocks: Iterable[PairBlocks]


class GoldMetrics(NamedTuple):
    """What is measured on all sets: a summary each, in their order, and one table."""

    summaries: list[dict]
    table: pd.DataFrame

    @property
    def first(self) -> dict | None:
        """Return the summary of the set that claims are decided on, None without any."""
        return next(iter(self.summaries), None)


def measure_gold(sets: Sequence[GoldSet], settings: Align, convention: Convention, rule: IntervalRule) -> GoldMetrics:
    """Return summaries and the table, whose first column is `set`.

    A summary says `set`, `languages`, how many pairs were read or not, `best` (`best_settings`) and `doubt`
    (`doubt_of_set`, of the setting with the lowest error; None mostly).

    Raises
    ------
    PipelineError
        As `count_links`.
    """
    measured = [_measure(gold, settings, convention, rule) for gold in sets]
    tables = [table for _, table in measured] or [pd.DataFrame(columns=["set", *COLUMNS])]
    return GoldMetrics([summary for summary, _ in measured], pd.concat(tables, ignore_index=True))


def _measure(gold: GoldSet, settings: Align, convention: Convention, rule: IntervalRule) -> tuple[dict, pd.DataFrame]:
    views = tuple(view_of(name) for name in gold.manifest["views"])
    matching = Matching(settings.methods, settings.method_settings)
    counted = count_links(
        gold.blocks,
        gold.links,
        views=views,
        levels=gold.manifest["levels"],
        n_layers=gold.manifest["n_layers"],
        convention=convention,
        matching=matching,
        n_blocks=gold.manifest.get("n_pairs"),
    )
    n_pairs = len(counted.ids)
    split = halves_of(counted.ids, settings.seed)
    whole, second = (Resampler(n, resamples=settings.resamples, seed=settings.seed) for n in (n_pairs, len(split[1])))
    table = aer_table(counted, split, (whole, second), rule)
    best = best_settings(counted, table, split[1], second, rule)
    lowest = min((best[source] for source in ("attention", "embedding")), key=lambda row: row["aer"])
    found = links_of(Setting(*(lowest[name] for name in Setting._fields)), gold.blocks, views, convention, matching)
    summary = {
        "set": gold.name,
        "languages": gold.languages,
        "n_pairs": n_pairs,
        "n_without_blocks": len(gold.links) - n_pairs,
        "skipped": dict(gold.manifest.get("skipped", {})),
        "best": best,
        "doubt": doubt_of_set({i: gold.links[i] for i in counted.ids}, {i: found[i] for i in counted.ids}),
    }
    table.insert(0, "set", gold.name)
    return summary, table


def halves_of(pair_ids: Sequence[int], seed: int) -> Halves:
    """Return the indices of two halves by a hash of each pair, each ascending.

    Where all of a handful of pairs fall into one half, the order of the hashes is cut in the middle; of one pair, the
    same twice.
    """
    first = in_first_half(pair_ids, seed)
    if first.any() and not first.all():
        return np.flatnonzero(first), np.flatnonzero(~first)
    order = hashed_order(pair_ids, seed)
    one, other = np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])
    return (one, other) if len(one) else (other, other)
