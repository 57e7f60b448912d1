"""All metrics of one translator: blocks, links and gold in, `Metrics` out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.alignment.aer import COLUMNS, Matching, aer_table, best_settings, count_links
from pipeline.alignment.bootstrap import IntervalRule, Resampler
from pipeline.alignment.collect import Collected, Pass, Sample, choose_sample, control_scores
from pipeline.alignment.controls import POSITION_SD
from pipeline.alignment.curves import Scores, Sums, curves, match_values, matches, plan_correlation
from pipeline.alignment.paired import best_layers, halves, paired_differences, second_halves
from pipeline.alignment.results import Metrics, example_of, write_metrics
from pipeline.alignment.scores import SCORES
from pipeline.attention.store import PairBlocks, read_blocks, read_manifest
from pipeline.conventions import CORRECTED, Convention, View, names, view_of
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pharaoh import GoldLinks, SomeLinks
from pipeline.errors import PipelineError
from pipeline.params import Align

__all__ = ["Inputs", "Metrics", "Split", "measure", "write_metrics"]


class StoredBlocks:
    """The blocks of a folder, read anew each time they are gone through."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def __iter__(self) -> Iterator[PairBlocks]:
        return read_blocks(self.folder)


@dataclass(frozen=True)
class Split:
    """Blocks, and the manifest: translator, views, n_layers, n_pairs, skipped, conventions."""

    manifest: Mapping
    blocks: Iterable[PairBlocks]

    @classmethod
    def read(cls, folder: Path | str) -> "Split":
        """Return the split of a folder; blocks are read as they are needed.

        Raises
        ------
        PipelineError
            If the folder holds no finished extraction.
        """
        return cls(read_manifest(folder), StoredBlocks(folder))

    @property
    def views(self) -> tuple[View, ...]:
        """Return the ways to look, in the order of the blocks."""
        return tuple(view_of(name) for name in self.manifest["views"])


@dataclass(frozen=True)
class Inputs:
    """What is measured.

    Attributes
    ----------
    pairs : sequence of SentencePair
        The selected sentences.
    links : mapping of pair_id to int array, shape (link, 2)
        Dictionary links, source word then target word.
    trained : Split
        Blocks of the translator.
    random_init : Split or None
        The same with fresh weights.
    gold_blocks, gold : Split and mapping of pair_id to GoldLinks, or None
        Blocks of the gold sentences and their hand-made links: both or none.
    link_policy : str
        For the signature.
    min_links : int
        Pairs with fewer links are dropped.
    """

    pairs: Sequence[SentencePair]
    links: Mapping[int, SomeLinks]
    trained: Split
    random_init: Split | None = None
    gold_blocks: Split | None = None
    gold: Mapping[int, GoldLinks] | None = None
    link_policy: str = "unstated"
    min_links: int = 1


def measure(
    inputs: Inputs,
    settings: Align,
    *,
    convention: Convention = CORRECTED,
    example: int = 0,
) -> Metrics:
    """Return every metric of one translator.

    Parameters
    ----------
    inputs : Inputs
        Blocks, links and gold.
    settings : Align
        Resamples, level, how many pairs transport is computed for, and the seed of all draws.
    convention : Convention
        How blocks are pooled and scored, and intervals made.
    example : int
        Position, among the selected pairs, of the pair of Figure 1; the next one that was measured if it
        was not.

    Raises
    ------
    PipelineError
        If nothing can be measured, or blocks, links and sentences do not fit together.
    """
    views, n_layers = inputs.trained.views, inputs.trained.manifest["n_layers"]
    sample = choose_sample(
        inputs.pairs,
        inputs.links,
        convention=convention,
        min_links=inputs.min_links,
        transport_pairs=settings.transport_pairs,
        seed=settings.seed,
    )
    row = _row_of(example, inputs.pairs, sample)
    walk = Pass(views, n_layers, inputs.trained.manifest["levels"], convention, settings.seed, row)
    splits = {"trained": _run(walk, inputs.trained, sample)}
    if inputs.random_init is not None:
        splits["random_init"] = _run(walk, inputs.random_init, sample)
    sample, splits = _measured(sample, splits)
    rule = IntervalRule.of(convention, settings.level)
    scores = _all_scores(splits, sample, views, convention)
    tables, best = _tables(splits, scores, sample, walk, settings, rule)
    gold_summary, tables["aer"] = _gold(inputs, settings, convention, rule)
    if gold_summary:
        best["aer"] = gold_summary.pop("best")
    summary = {
        **{key: inputs.trained.manifest.get(key) for key in ("translator", "model", "revision", "reads")},
        **_counts(splits, sample, names(views)),
        "dropped": {**sample.dropped, **inputs.trained.manifest.get("skipped", {})},
        "best": best,
        "gold": gold_summary,
        "extraction": {key: value for key, value in inputs.trained.manifest.items() if key != "shards"},
        "signature": signature(inputs, settings, convention, rule),
    }
    shown = splits["trained"].example
    assert shown is not None  # a pair has been measured
    scored = score_table(splits["trained"], sample, names(views))
    return Metrics(tables, example_of(shown, inputs.pairs, sample, walk), scored, summary)


def _run(walk: Pass, split: Split, sample: Sample) -> Collected:
    label = f"{split.manifest.get('translator', 'translator')} {split.manifest.get('split', 'blocks')}"
    return replace(walk, label=label).run(split.blocks, sample, n_blocks=split.manifest.get("n_pairs"))


def _row_of(example: int, pairs: Sequence[SentencePair], sample: Sample) -> int:
    """Return the row of the first measurable pair at or after a position, from the start again if none is."""
    rows = {pair_id: row for row, pair_id in enumerate(sample.ids)}
    after = (pairs[(example + step) % len(pairs)].pair_id for step in range(len(pairs)))
    return next(rows[pair_id] for pair_id in after if pair_id in rows)


def _measured(sample: Sample, splits: dict[str, Collected]) -> tuple[Sample, dict[str, Collected]]:
    """Return the sample and what was collected, without the pairs that are not in the blocks."""
    seen = splits["trained"].seen
    if not (seen & sample.transported).any():
        message = (
            f"blocks: must hold one or more of the {int(sample.transported.sum())} pairs to transport "
            f"(align.transport_pairs), but hold none, and {int(seen.sum())} of all {len(sample.ids)} with "
            "links; run `dvc repro extract`, or raise align.transport_pairs"
        )
        raise PipelineError(message)
    rows = np.flatnonzero(seen)
    kept = replace(
        sample,
        ids=tuple(sample.ids[row] for row in rows),
        links=tuple(sample.links[row] for row in rows),
        n_src=sample.n_src[rows],
        n_tgt=sample.n_tgt[rows],
        partners=sample.partners[
            rows
        ],  # still numbers of the whole sample; from here on only whether there is one counts
        transported=sample.transported[rows],
    )
    return kept, {name: split.take(seen) for name, split in splits.items()}


def _all_scores(
    splits: Mapping[str, Collected], sample: Sample, views: Sequence[View], convention: Convention
) -> Scores:
    trained = splits["trained"]
    scores = {name: split.scores for name, split in splits.items()} | {"mispaired": trained.mispaired}
    for control in ("uniform", "position"):
        scores[control] = control_scores(control, sample, views, trained.reach, convention)
    return scores


def _tables(
    splits: dict[str, Collected],
    scores: Scores,
    sample: Sample,
    walk: Pass,
    settings: Align,
    rule: IntervalRule,
) -> tuple[dict[str, pd.DataFrame], dict]:
    """Return the tables over the dictionary links, and the best layers."""
    views, states = names(walk.views), walk.states
    trained, matched = splits["trained"], match_values(splits, sample)
    sums: Sums = {name: split.plan for name, split in splits.items()} | {"position": trained.plan_position}
    resampler = Resampler(len(sample.ids), resamples=settings.resamples, seed=settings.seed)
    transported = np.flatnonzero(sample.transported)
    # Its own resamples: a draw over all pairs would hold a random number of the few transported ones.
    few = Resampler(len(transported), resamples=settings.resamples, seed=settings.seed)
    matched = {name: values[transported] for name, values in matched.items()}
    sums = {name: values[transported] for name, values in sums.items()}
    tables = {
        "curves": curves(scores, views, resampler, rule),
        "matches": matches(matched, splits, states, few, rule),
        "plan_correlation": plan_correlation(sums, views, few, rule),
    }
    draws = {"resamples": settings.resamples, "seed": settings.seed}
    second, few_second = second_halves(matched, seed=settings.seed, n_pairs=len(sample.ids))
    on_second = (
        {name: values[second] for name, values in scores.items()},
        {name: values[few_second] for name, values in matched.items()},
        {name: values[few_second] for name, values in sums.items()},
    )
    again = Resampler(len(second), **draws), Resampler(len(few_second), **draws)
    tables["paired"] = pd.concat(
        [
            paired_differences(scores, matched, sums, views, resampler, few, rule, half="all", states=states),
            paired_differences(*on_second, views, *again, rule, half="second", states=states),
        ],
        ignore_index=True,
    )
    best = best_layers(scores, matched["trained"], sums["trained"], views, states=states, rule=rule, **draws)
    return tables, best


def score_table(trained: Collected, sample: Sample, views: Sequence[str]) -> pd.DataFrame:
    """Return the scores of every pair: columns pair_id, view, layer (from 1), and `SCORES`."""
    n_layers = trained.scores.shape[2]
    index = pd.MultiIndex.from_product([sample.ids, views, range(1, n_layers + 1)], names=["pair_id", "view", "layer"])
    return pd.DataFrame(trained.scores.reshape(-1, len(SCORES)), index=index, columns=list(SCORES)).reset_index()


def _gold(
    inputs: Inputs, settings: Align, convention: Convention, rule: IntervalRule
) -> tuple[dict | None, pd.DataFrame]:
    if inputs.gold_blocks is None or inputs.gold is None:
        return None, pd.DataFrame(columns=COLUMNS)
    manifest = inputs.gold_blocks.manifest
    counted = count_links(
        inputs.gold_blocks.blocks,
        inputs.gold,
        views=inputs.gold_blocks.views,
        levels=manifest["levels"],
        n_layers=manifest["n_layers"],
        convention=convention,
        matching=Matching(settings.methods, settings.method_settings),
        n_blocks=manifest.get("n_pairs"),
    )
    n_pairs = len(counted.counts)
    resampler = Resampler(n_pairs, resamples=settings.resamples, seed=settings.seed)
    split = halves(n_pairs, settings.seed)
    second = Resampler(len(split[1]), resamples=settings.resamples, seed=settings.seed)
    with_links = sum(bool(len(links.sure) or len(links.possible)) for links in inputs.gold.values())
    about = {
        "n_pairs": n_pairs,
        "n_without_blocks": with_links - n_pairs,
        "skipped": dict(manifest.get("skipped", {})),
        "best": best_settings(counted, split, second, rule),
    }
    return about, aer_table(counted, resampler, rule)


def _counts(splits: Mapping[str, Collected], sample: Sample, views: Sequence[str]) -> dict:
    """Return how many pairs stand behind the numbers, and the mass on special tokens.

    `without_attention_on_links`: pairs that score 0 in some view and layer, since none of their links has
    any attention.
    """
    return {
        "n_pairs": len(sample.ids),
        "n_transport_pairs": int(sample.transported.sum()),
        "without_partner": int((sample.partners < 0).sum()),
        "without_attention_on_links": {
            name: int((split.scores[..., 0] == 0).any((1, 2)).sum()) for name, split in splits.items()
        },
        "special_mass": _by_layer({name: split.special for name, split in splits.items()}, views),
        "other_side_mass": _by_layer({name: split.reach for name, split in splits.items()}, views),
    }


def _by_layer(masses: Mapping[str, np.ndarray], views: Sequence[str]) -> dict:
    """Return the mean over pairs by split, view and layer, NaN where no pair is known."""
    return {
        name: {view: np.ma.masked_invalid(mass[:, v]).mean(0).filled(np.nan).tolist() for v, view in enumerate(views)}
        for name, mass in masses.items()
    }


def signature(inputs: Inputs, settings: Align, convention: Convention, rule: IntervalRule) -> dict:
    """Return every choice that the numbers depend on."""
    return {
        "convention": convention.signature(),
        "extraction": dict(inputs.trained.manifest.get("conventions", {})),
        "interval": rule.describe(),
        "resamples": settings.resamples,
        "seed": settings.seed,
        "transport_pairs": settings.transport_pairs,
        "links": inputs.link_policy,
        "min_links": inputs.min_links,
        "plan": "exact, uniform masses, query words normalised to 1; layer l beside the states that it reads, level l - 1",
        "floors": "uniform and position have the mass that the trained attention has on the other side"
        if convention.keeps_mass
        else "values to norm 1, as the trained attention",
        "position_sd_words": POSITION_SD,
        "methods": list(settings.methods),
        "matching": settings.method_settings.read_by(settings.methods),
        "versions": {name: version(name) for name in ("numpy", "pot", "scipy")},
    }
