"""All metrics of one translator: blocks, links and gold in, `Metrics` out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pandas as pd

from pipeline.alignment.bootstrap import IntervalRule
from pipeline.alignment.collect import Collected, Pass, Sample, choose_sample, control_scores
from pipeline.alignment.controls import POSITION_SD
from pipeline.alignment.curves import Scores, Sums, curves, match_values, matches, plan_correlation
from pipeline.alignment.evidence import evidence
from pipeline.alignment.gold_sets import measure_gold
from pipeline.alignment.halves import HashedResampler
from pipeline.alignment.inputs import Inputs, Split
from pipeline.alignment.paired import Halved, Values, best_layers, paired_differences
from pipeline.alignment.results import Metrics, example_of
from pipeline.alignment.scores import SCORES
from pipeline.conventions import CORRECTED, Convention, View, names
from pipeline.corpus.pairs import SentencePair
from pipeline.errors import PipelineError
from pipeline.params import Align


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
        Blocks, links and gold sets.
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
    splits |= {name: _run(walk, split, sample) for name, split in inputs.controls.items()}
    sample, splits = _measured(sample, splits)
    rule = IntervalRule.of(convention, settings.level)
    scores = _all_scores(splits, sample, views, convention)
    tables, best = _tables(splits, scores, sample, walk, settings, rule)
    gold = measure_gold(inputs.gold_sets, settings, convention, rule)
    tables["aer"] = gold.table
    if gold.first:
        best["aer"] = gold.first.pop("best")
    found = evidence(inputs, sample, settings, rule)
    tables |= found.tables
    best["pointing"] = found.best
    summary = {
        **{key: inputs.trained.manifest.get(key) for key in ("translator", "model", "revision", "reads")},
        **_counts(splits, sample, names(views)),
        "dropped": {**sample.dropped, **inputs.trained.manifest.get("skipped", {})},
        "best": best,
        "evidence": found.summary,
        "gold": gold.first,
        "more_gold": gold.summaries[1:],
        "extraction": {key: value for key, value in inputs.trained.manifest.items() if key != "shards"},
        "signature": signature(inputs, settings, convention, rule),
    }
    shown = splits["trained"].example
    assert shown is not None  # a pair has been measured
    scored = score_table(splits["trained"], sample, names(views))
    position = next(i for i, pair in enumerate(inputs.pairs) if pair.pair_id == shown.pair_id)
    links = sample.links[sample.ids.index(shown.pair_id)]
    figure1 = example_of(shown, inputs.pairs[position], links, walk, position=position)
    return Metrics(tables, figure1, scored, summary)


def _run(walk: Pass, split: Split, sample: Sample) -> Collected:
    return replace(walk, label=split.label).run(split.blocks, sample, n_blocks=split.manifest.get("n_pairs"))


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
        partner_links=tuple(sample.partner_links[row] for row in rows),
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
    resampler = HashedResampler(sample.ids, resamples=settings.resamples, seed=settings.seed)
    transported = np.flatnonzero(sample.transported)
    few = resampler.take(transported)
    matched = {name: values[transported] for name, values in matched.items()}
    sums = {name: values[transported] for name, values in sums.items()}
    tables = {
        "curves": curves(scores, views, resampler, rule),
        "matches": matches(matched, splits, states, few, rule),
        "plan_correlation": plan_correlation(sums, views, few, rule),
    }
    every = Halved(sample.ids, resampler, settings.seed)
    some = Halved(tuple(sample.ids[row] for row in transported.tolist()), few, settings.seed)
    values = Values(scores, matched, sums, views, states)
    parts = [
        paired_differences(values, every.all, some.all, rule, half="all"),
        paired_differences(values, every.second, some.second, rule, half="second"),
    ]
    tables["paired"] = pd.concat(parts, ignore_index=True)
    best = best_layers(values, every, some, rule)
    return tables, best


def score_table(trained: Collected, sample: Sample, views: Sequence[str]) -> pd.DataFrame:
    """Return the scores of every pair: columns pair_id, view, layer (from 1), and `SCORES`."""
    n_layers = trained.scores.shape[2]
    index = pd.MultiIndex.from_product([sample.ids, views, range(1, n_layers + 1)], names=["pair_id", "view", "layer"])
    return pd.DataFrame(trained.scores.reshape(-1, len(SCORES)), index=index, columns=list(SCORES)).reset_index()


def _counts(splits: Mapping[str, Collected], sample: Sample, views: Sequence[str]) -> dict:
    """Return how many pairs stand behind the numbers, and the mass on special tokens.

    `without_attention_on_links`: pairs that score 0 in some view and layer, since none of their links has
    any attention.
    """
    return {
        "n_pairs": len(sample.ids),
        "n_transport_pairs": int(sample.transported.sum()),
        "without_partner": sum(not len(links) for links in sample.partner_links),
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
        "halves": "first bit of blake2b(half:seed:pair_id); Poisson resamples from the same hash",
        "plan_pairs": settings.plan_pairs,
        "plan": "exact, uniform masses, query words normalised to 1; layer l beside the states that it reads, level l - 1",
        "floors": "uniform and position have the mass that the trained attention has on the other side"
        if convention.keeps_mass
        else "values to norm 1, as the trained attention",
        "position_sd_words": POSITION_SD,
        "methods": list(settings.methods),
        "matching": settings.method_settings.read_by(settings.methods),
        "versions": {name: version(name) for name in ("numpy", "pot", "scipy")},
    }
