"""Every set of hand-made links of one translator: its rows of the error table, best settings, and what is doubtful."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from pipeline.alignment.aer import COLUMNS, Matching, Setting, aer_table, best_settings, count_links, links_of
from pipeline.alignment.bootstrap import IntervalRule
from pipeline.alignment.halves import HashedResampler, halves_of
from pipeline.alignment.inputs import GoldSet
from pipeline.alignment.plausible import doubt_of_set
from pipeline.conventions import Convention
from pipeline.params import Align


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


def doubts(summary: Mapping) -> list[str]:
    """Return what is doubtful of the gold sets, in words, from the summary of a measurement."""
    found = (summary["gold"] or {}, *summary["more_gold"])
    return [f"gold set {own['set']}: {own['doubt']['says']}" for own in found if own.get("doubt")]


def _measure(gold: GoldSet, settings: Align, convention: Convention, rule: IntervalRule) -> tuple[dict, pd.DataFrame]:
    views = gold.split.views
    matching = Matching(settings.methods, settings.method_settings)
    counted = count_links(
        gold.split.blocks,
        gold.links,
        views=views,
        levels=gold.split.manifest["levels"],
        n_layers=gold.split.manifest["n_layers"],
        convention=convention,
        matching=matching,
        n_blocks=gold.split.manifest.get("n_pairs"),
    )
    n_pairs = len(counted.ids)
    split = halves_of(counted.ids, settings.seed)
    whole = HashedResampler(counted.ids, resamples=settings.resamples, seed=settings.seed)
    second = whole.take(split[1])
    table = aer_table(counted, split, (whole, second), rule)
    best = best_settings(counted, table, split[1], second, rule)
    lowest = min((best[source] for source in ("attention", "embedding")), key=lambda row: row["aer"])
    found = links_of(
        Setting(*(lowest[name] for name in Setting._fields)), gold.split.blocks, views, convention, matching
    )
    summary = {
        "set": gold.name,
        "languages": gold.languages,
        "n_pairs": n_pairs,
        "n_without_blocks": len(gold.links) - n_pairs,
        "skipped": dict(gold.split.manifest.get("skipped", {})),
        "best": best,
        "doubt": doubt_of_set({i: gold.links[i] for i in counted.ids}, {i: found[i] for i in counted.ids}),
    }
    table.insert(0, "set", gold.name)
    return summary, table
