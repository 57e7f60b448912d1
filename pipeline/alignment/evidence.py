"""The tests decided in advance, of one translator: does attention find translations, does it grow, is it a plan, which heads.

Attention is summed over the tokens of a key word here whatever the convention, and rows are normalised; the plan tests
read means over tokens beside. Layers and heads are chosen on half A of the pairs and judged on half B.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.alignment.added import Added
from pipeline.alignment.bootstrap import IntervalRule
from pipeline.alignment.collect import Sample, watched
from pipeline.alignment.finding import Content, find
from pipeline.alignment.finding_tables import above, best_pointing, finding_values, levels, trends, values_of
from pipeline.alignment.halves import HashedResampler, halves_of, hashed_order, in_first_half
from pipeline.alignment.head_tests import chosen_heads, head_plans, head_table, read_heads
from pipeline.alignment.inputs import Inputs, Split
from pipeline.alignment.plan_tests import PlanSample, plan_tests
from pipeline.alignment.planned import Plan
from pipeline.alignment.tally import Halves
from pipeline.alignment.trend import layer_ranges
from pipeline.attention.store import PairBlocks
from pipeline.columns import TRANSLATOR
from pipeline.conventions import names
from pipeline.corpus.pharaoh import GoldLinks, SomeLinks
from pipeline.params import Align


@dataclass(frozen=True)
class Evidence:
    """The tables of `pipeline.columns.EVIDENCE`, what was chosen, and counts for the summary."""

    tables: dict[str, pd.DataFrame]
    best: list[dict]
    summary: dict


@dataclass(frozen=True)
class Scored:
    """Pairs of one text that were read, and the sums of their scores.

    Attributes
    ----------
    ids : tuple of int
        `pair_id` of each.
    halves : Halves
        Names of `finding_values`, and of what else was added.
    """

    ids: tuple[int, ...]
    halves: Halves


def evidence(inputs: Inputs, added: Added, plan: Plan, settings: Align, rule: IntervalRule) -> Evidence:
    """Return the tests of one translator.

    Parameters
    ----------
    inputs : Inputs
        Blocks, links and gold.
    added : Added
        What the pairs of the corpus add.
    plan : Plan
        Which pairs these are.
    settings : Align
        Seed, resamples and how many pairs models are fitted on.
    rule : IntervalRule
        Of the intervals.
    """
    walk, views = plan.rules.walk, names(plan.rules.walk.views)
    gold = _gold(inputs, settings)
    texts = [added.halves, *([] if gold is None else [gold.halves])]
    layers, judged = best_pointing(added.halves)
    tallies = {"dictionary": added.halves.all} | ({} if gold is None else {"gold_sure": gold.halves.all})
    tables = {
        "pointing": pd.concat([levels(halves.all, views, rule) for halves in texts], ignore_index=True),
        "above": pd.concat([above(halves, views, rule) for halves in texts], ignore_index=True),
        "trend": trends(tallies, views, layer_ranges(walk.n_layers, joint=plan.rules.joint), rule),
    }
    samples = _plan_samples(inputs, plan, settings)
    tables["plan_test"], tables["gap"] = plan_tests(samples, walk.views, walk.n_layers, rule)
    heads = _heads(inputs, gold, plan, settings, rule=rule)
    out_of_reach = added.plain.total("out_of_reach").astype(int)
    summary = {
        "plan_pairs": {name: len(part.blocks) for name, part in samples.items()},
        "best_width_words": dict(zip(views, plan.rules.widths, strict=True)),
        "no_width_as_flat": dict(zip(views, out_of_reach.tolist(), strict=True)),
        "n_second_half": {
            "dictionary": added.halves.judges.n_pairs,
            "gold": 0 if gold is None else gold.halves.judges.n_pairs,
        },
        "heads": heads.summary,
    }
    best = [
        {"view": view, "layer": layer, "value": float(value)}
        for view, layer, value in zip(views, layers, judged, strict=True)
    ]
    return Evidence(tables | heads.tables, best, summary)


def _gold(inputs: Inputs, settings: Align) -> Scored | None:
    """Return the scores on the first set of hand-made links, of the pairs that have some and were read, if any."""
    if not inputs.gold_sets:
        return None
    gold = inputs.gold_sets[0]
    there = {block.pair_id for block in gold.split.blocks}
    ids = [pair_id for pair_id, links in gold.links.items() if pair_id in there and len(links.all)]
    if not ids:
        return None
    sure = {row: gold.links[pair_id].sure for row, pair_id in enumerate(ids)}
    either = {row: gold.links[pair_id].all for row, pair_id in enumerate(ids)}
    by_id = {pair.pair_id: pair for pair in gold.pairs}
    n_layers = gold.split.manifest["n_layers"]
    found = find(
        gold.split.blocks,
        {"gold_sure": sure, "gold": either},
        Content.of([by_id[pair_id] for pair_id in ids]),
        {pair_id: row for row, pair_id in enumerate(ids)},
        views=gold.split.views,
        n_layers=n_layers,
        label=f"{gold.split.label} pointing",
        n_blocks=gold.split.manifest.get("n_pairs"),
    )
    ranges = layer_ranges(n_layers, joint=inputs.trained.manifest.get("reads") == "joint")
    halves, first = Halves.empty(resamples=settings.resamples, seed=settings.seed), np.zeros(len(ids), dtype=bool)
    first[halves_of(ids, settings.seed)[0]] = True
    halves.add(ids, first, finding_values(values_of(found, {}, {}), {"gold_sure": found.pointing[0]}, ranges))
    return Scored(tuple(ids), halves)


def _plan_samples(inputs: Inputs, plan: Plan, settings: Align) -> dict[str, PlanSample]:
    """Return the pairs that models are fitted and judged on, of every split: the first ones by their hashes, if any."""
    if settings.plan_pairs == 0:
        return {}
    wanted = {plan.sample.ids[row]: row for row in plan.fitted.tolist()}
    splits = {"trained": inputs.trained, **inputs.controls}
    return {
        name: _plan_sample(split.blocks, wanted, plan.sample, settings, split.label) for name, split in splits.items()
    }


def _plan_sample(
    blocks: Iterable[PairBlocks], wanted: Mapping[int, int], sample: Sample, settings: Align, label: str
) -> PlanSample:
    found = {block.pair_id: block for block in watched(blocks, f"{label} plans", None) if block.pair_id in wanted}
    ids = [pair_id for pair_id in wanted if pair_id in found]
    return PlanSample(
        blocks=tuple(found[pair_id] for pair_id in ids),
        links=tuple(sample.links[wanted[pair_id]] for pair_id in ids),
        first=in_first_half(ids, settings.seed),
        resampler=HashedResampler(ids, resamples=settings.resamples, seed=settings.seed),
        seed=settings.seed,
    )


@dataclass(frozen=True)
class Heads:
    """The tables of single heads, and counts."""

    tables: dict[str, pd.DataFrame]
    summary: dict


def _heads(inputs: Inputs, gold: Scored | None, plan: Plan, settings: Align, *, rule: IntervalRule) -> Heads:
    views, sample = inputs.trained.views, plan.sample
    tables = {name: [pd.DataFrame(columns=list(TRANSLATOR[name]))] for name in ("heads", "heads_chosen", "heads_plan")}
    n_pairs, n_heads, n_fitted = {"dictionary": 0, "gold_sure": 0}, 0, 0
    Source = tuple[str, Split, tuple[int, ...], dict[int, SomeLinks], dict[int, GoldLinks] | None]
    sources: list[Source] = [("dictionary", inputs.trained, sample.ids, dict(enumerate(sample.links)), None)]
    if gold is not None:
        by_set = inputs.gold_sets[0]
        of_gold = {row: by_set.links[pair_id] for row, pair_id in enumerate(gold.ids)}
        sure = {row: links.sure for row, links in of_gold.items()}
        sources.append(("gold_sure", by_set.split, gold.ids, sure, of_gold))
    for links, split, of, scored_on, by_hand in sources:
        place = {pair_id: row for row, pair_id in enumerate(of)}
        read = read_heads(split.with_heads, scored_on, place, views, gold=by_hand, label=f"{split.label} heads")
        if read is None:
            continue
        rows, scores = read
        ids = [of[row] for row in rows.tolist()]
        resampler = HashedResampler(ids, resamples=settings.resamples, seed=settings.seed)
        halves = halves_of(ids, settings.seed)
        tables["heads"].append(head_table(scores, links, views, resampler, rule))
        chosen = chosen_heads(scores, links, views, halves, resampler.take(halves[1]), rule=rule)
        tables["heads_chosen"].append(chosen)
        n_pairs[links], n_heads = len(ids), int(np.prod(scores.pointing.shape[1:]))
        if links == "dictionary" and settings.plan_pairs:
            tables["heads_plan"].append(_fitted(inputs, chosen, ids, sample, settings, rule=rule))
            n_fitted = len(chosen)
    summary = {"n_pairs": n_pairs, "n_heads": n_heads, "n_fitted": n_fitted}
    return Heads({name: pd.concat(parts, ignore_index=True) for name, parts in tables.items()}, summary)


def _fitted(
    inputs: Inputs, chosen: pd.DataFrame, ids: Sequence[int], sample: Sample, settings: Align, *, rule: IntervalRule
) -> pd.DataFrame:
    order = hashed_order(ids, settings.seed)[: settings.plan_pairs]
    place = {pair_id: row for row, pair_id in enumerate(sample.ids)}
    wanted = {ids[at]: place[ids[at]] for at in order.tolist()}
    part = _plan_sample(inputs.trained.with_heads, wanted, sample, settings, inputs.trained.label)
    places = {
        str(view): list(zip(rows["layer"].astype(int), rows["head"].astype(int), strict=True))
        for view, rows in chosen.groupby("view", sort=False)
    }
    return head_plans(part, places, inputs.trained.views, rule)
