"""All metrics of one translator: blocks, links and gold in, `Metrics` out."""

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
import pandas as pd

from pipeline.alignment.added import Added, add_part, by_rows
from pipeline.alignment.bootstrap import IntervalRule
from pipeline.alignment.collect import Sample, watched
from pipeline.alignment.controls import POSITION_SD
from pipeline.alignment.curves import Sums, curves, match_values, matches, plan_correlation
from pipeline.alignment.evidence import evidence
from pipeline.alignment.gold_sets import measure_gold
from pipeline.alignment.halves import HashedResampler
from pipeline.alignment.inputs import Inputs
from pipeline.alignment.paired import Halved, Values, best_layers, paired_differences
from pipeline.alignment.planned import Plan
from pipeline.alignment.results import Metrics, example_of
from pipeline.alignment.scores import SCORES
from pipeline.conventions import CORRECTED, Convention, names
from pipeline.corpus.pairs import SentencePair
from pipeline.errors import PipelineError
from pipeline.params import Align


def measure(
    inputs: Inputs,
    settings: Align,
    *,
    convention: Convention = CORRECTED,
    example: int = 0,
    added: Added | None = None,
) -> Metrics:
    """Return every metric of one translator.

    Parameters
    ----------
    inputs : Inputs
        Blocks, links and gold sets; where `added` is given, the blocks of the pairs that are looked at one by one.
    settings : Align
        Resamples, level, how many pairs transport is computed for, and the seed of all draws.
    convention : Convention
        How blocks are pooled and scored, and intervals made.
    example : int
        Position, among the selected pairs, of the pair of Figure 1; the next one that was measured if it
        was not.
    added : Added, optional
        What all pairs add (`add_up`), where it was added up while the model was read.

    Raises
    ------
    PipelineError
        If nothing can be measured, or blocks, links and sentences do not fit together.
    """
    plan = Plan.of(inputs, settings, convention)
    if added is None:
        _check_all_kept(inputs)
        added = add_up(inputs, plan)
    views, rule = plan.rules.walk.views, IntervalRule.of(convention, settings.level)
    every = plan.sample
    sample = _measured(every, added)
    tables, best = _tables(added, every, ["trained", *inputs.controls], plan, settings, rule)
    gold = measure_gold(inputs.gold_sets, settings, convention, rule)
    tables["aer"] = gold.table
    if gold.first:
        best["aer"] = gold.first.pop("best")
    found = evidence(inputs, added, plan, settings, rule)
    tables |= found.tables
    best["pointing"] = found.best
    summary = {
        **{key: inputs.trained.manifest.get(key) for key in ("translator", "model", "revision", "reads")},
        **_counts(added, sample, names(views)),
        "dropped": {**sample.dropped, **inputs.trained.manifest.get("skipped", {})},
        "best": best,
        "evidence": found.summary,
        "gold": gold.first,
        "more_gold": gold.summaries[1:],
        "extraction": {key: value for key, value in inputs.trained.manifest.items() if key != "shards"},
        "signature": signature(inputs, settings, convention, rule),
    }
    walk = plan.rules.walk
    shown = walk.example(inputs.trained.blocks, sample, _row_of(example, inputs.pairs, sample))
    scored = score_table(added, every, names(views))
    position = next(i for i, pair in enumerate(inputs.pairs) if pair.pair_id == shown.pair_id)
    links = sample.links[sample.ids.index(shown.pair_id)]
    figure1 = example_of(shown, inputs.pairs[position], links, walk, position=position)
    return Metrics(tables, figure1, scored, summary)


def _check_all_kept(inputs: Inputs) -> None:
    """Refuse to take the blocks of a sample for those of all pairs."""
    if inputs.trained.manifest.get("kept") == "sums":
        message = (
            "added: must be given where only sums are kept (extract.keep: sums), but is missing; read added.npz beside "
            "the blocks of the sample"
        )
        raise PipelineError(message)


def add_up(inputs: Inputs, plan: Plan) -> Added:
    """Return what all pairs of the corpus add, from their blocks."""
    splits = {"trained": inputs.trained.blocks} | {name: split.blocks for name, split in inputs.controls.items()}
    total = Added.empty(plan.rules)
    for step, blocks in enumerate(watched(by_rows(splits, inputs.pairs), inputs.trained.label, plan.n_steps)):
        total = total.merge(add_part(plan.part(step), blocks, plan.rules))
    return total


def _row_of(example: int, pairs: Sequence[SentencePair], sample: Sample) -> int:
    """Return the row of the first measurable pair at or after a position, from the start again if none is."""
    rows = {pair_id: row for row, pair_id in enumerate(sample.ids)}
    after = (pairs[(example + step) % len(pairs)].pair_id for step in range(len(pairs)))
    return next(rows[pair_id] for pair_id in after if pair_id in rows)


def _measured(sample: Sample, added: Added) -> Sample:
    """Return the sample without the pairs that are not in the blocks."""
    seen = np.ones(len(sample.ids), dtype=bool)
    seen[added.rows["unseen"]] = False
    if not len(added.rows["transported"]):
        message = (
            f"blocks: must hold one or more of the {int(sample.transported.sum())} pairs to transport "
            f"(align.transport_pairs), but hold none, and {int(seen.sum())} of all {len(sample.ids)} with "
            "links; run `dvc repro extract`, or raise align.transport_pairs"
        )
        raise PipelineError(message)
    return sample.take(np.flatnonzero(seen))


def _tables(
    added: Added, sample: Sample, splits: Sequence[str], plan: Plan, settings: Align, rule: IntervalRule
) -> tuple[dict[str, pd.DataFrame], dict]:
    """Return the tables over the dictionary links, and the best layers."""
    walk = plan.rules.walk
    views, states = names(walk.views), walk.states
    few = sample.take(added.rows["transported"])
    transported = {name: added.transported(name) for name in splits}
    matched = match_values(transported, few)
    sums: Sums = {name: own.plan for name, own in transported.items()}
    sums = {**sums, "position": transported["trained"].plan_position}
    some = Halved(few.ids, HashedResampler(few.ids, resamples=settings.resamples, seed=settings.seed), settings.seed)
    values = Values(added.halves, matched, sums, views, walk.n_layers, states)
    tables = {
        "curves": curves(added.halves.all, views, walk.n_layers, rule),
        "matches": matches(matched, transported, states, some.resampler, rule),
        "plan_correlation": plan_correlation(sums, views, some.resampler, rule),
    }
    parts = [
        paired_differences(values, some.all, rule, half="all"),
        paired_differences(values, some.second, rule, half="second"),
    ]
    tables["paired"] = pd.concat(parts, ignore_index=True)
    return tables, best_layers(values, some, rule)


def score_table(added: Added, sample: Sample, views: Sequence[str]) -> pd.DataFrame:
    """Return the scores of every pair that is kept: columns pair_id, view, layer (from 1), and `SCORES`."""
    scores = added.rows["scores"]
    ids = [sample.ids[place] for place in added.rows["place"].tolist()]
    index = pd.MultiIndex.from_product([ids, views, range(1, scores.shape[2] + 1)], names=["pair_id", "view", "layer"])
    return pd.DataFrame(scores.reshape(-1, len(SCORES)), index=index, columns=list(SCORES)).reset_index()


def _counts(added: Added, sample: Sample, views: Sequence[str]) -> dict:
    """Return how many pairs stand behind the numbers, and the mass on special tokens.

    `without_attention_on_links`: pairs that score 0 in some view and layer, since none of their links has
    any attention.
    """

    def of(kind: str) -> dict[str, str]:
        return {name.removeprefix(f"{kind}/"): name for name in added.plain.names if name.startswith(f"{kind}/")}

    def by_layer(kind: str) -> dict:
        means = {split: added.plain.mean(name) for split, name in of(kind).items()}
        return {split: dict(zip(views, mean.tolist(), strict=True)) for split, mean in means.items()}

    return {
        "n_pairs": len(sample.ids),
        "n_transport_pairs": len(added.rows["transported"]),
        "without_partner": sum(not len(links) for links in sample.partner_links),
        "without_attention_on_links": {split: int(added.plain.total(name)) for split, name in of("nothing").items()},
        "special_mass": by_layer("special"),
        "other_side_mass": by_layer("reach"),
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
