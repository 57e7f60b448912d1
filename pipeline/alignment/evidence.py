"""The tests decided in advance, of one translator: does attention find translations, does it grow, is it a plan, which heads.

Attention is summed over the tokens of a key word here whatever the convention, and rows are normalised; the plan tests
read means over tokens beside. Layers and heads are chosen on half A of the pairs and judged on half B.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from pipeline.alignment.bootstrap import IntervalRule
from pipeline.alignment.collect import Sample, watched
from pipeline.alignment.finding import Content, Found, best_width_mass, find, has_content
from pipeline.alignment.finding_tables import Half, above, best_pointing, levels, trends, values_of
from pipeline.alignment.halves import HashedResampler, halves_of, hashed_order, in_first_half
from pipeline.alignment.head_tests import chosen_heads, head_plans, head_table, read_heads
from pipeline.alignment.inputs import Inputs, Split
from pipeline.alignment.plan_tests import PlanSample, plan_tests
from pipeline.attention.store import PairBlocks
from pipeline.columns import TRANSLATOR
from pipeline.conventions import View, names
from pipeline.corpus.pairs import SentencePair
from pipeline.corpus.pharaoh import GoldLinks, SomeLinks
from pipeline.params import Align

AS_CONTROLS = ("mispaired", "shuffled_lexicon")
"""Kinds of links that are no translations."""


@dataclass(frozen=True)
class Evidence:
    """The tables of `pipeline.columns.EVIDENCE`, what was chosen, and counts for the summary."""

    tables: dict[str, pd.DataFrame]
    best: list[dict]
    summary: dict


@dataclass(frozen=True)
class Scored:
    """Pairs of one text with their halves, resamples and scores.

    Attributes
    ----------
    ids : tuple of int
        `pair_id` of each.
    trained : Found
        Scores of the translator.
    halves : pair of int arrays
        Places of half A, which chooses, and of half B.
    resampler : HashedResampler
        Of all of them.
    """

    ids: tuple[int, ...]
    trained: Found
    halves: tuple[Int[np.ndarray, " first"], Int[np.ndarray, " second"]]
    resampler: HashedResampler

    @property
    def parts(self) -> tuple[Half, Half]:
        """Return all pairs, and those on which nothing was chosen."""
        second = self.halves[1]
        everything = np.arange(len(self.ids))
        return Half("all", everything, self.resampler), Half("second", second, self.resampler.take(second))


def evidence(inputs: Inputs, sample: Sample, settings: Align, rule: IntervalRule) -> Evidence:
    """Return the tests of one translator.

    Parameters
    ----------
    inputs : Inputs
        Blocks, links and gold.
    sample : Sample
        The pairs that were measured.
    settings : Align
        Seed, resamples and how many pairs models are fitted on.
    rule : IntervalRule
        Of the intervals.
    """
    views, n_layers = inputs.trained.views, inputs.trained.manifest["n_layers"]
    own = _scored(inputs.trained, _corpus_links(inputs, sample), inputs.pairs, sample.ids, settings)
    dictionary = {"dictionary": dict(enumerate(sample.links))}
    controls = {
        name: _scored(split, dictionary, inputs.pairs, sample.ids, settings).trained
        for name, split in inputs.controls.items()
    }
    best_width = _best_widths(sample, own.halves[0], views)
    values = values_of(
        own.trained,
        controls,
        {"dictionary": best_width[1]},
        [kind for kind in AS_CONTROLS if kind in own.trained.kinds],
    )
    frames = {"pointing": [levels(values, names(views), own.resampler, rule)]}
    frames["above"] = [above(values, names(views), own.parts, rule)]
    layers, judged = best_pointing(own.trained.pointing[0], own.halves[0], own.parts[1], rule)
    pointing, resamplers = {"dictionary": own.trained.pointing[0]}, {"dictionary": own.resampler}
    gold = _gold(inputs, settings)
    if gold is not None:
        values = values_of(gold.trained, {}, {})
        frames["pointing"].append(levels(values, names(views), gold.resampler, rule))
        frames["above"].append(above(values, names(views), gold.parts, rule))
        pointing["gold_sure"], resamplers["gold_sure"] = gold.trained.pointing[0], gold.resampler
    joint = inputs.trained.manifest.get("reads") == "joint"
    tables = {name: pd.concat(parts, ignore_index=True) for name, parts in frames.items()}
    tables["trend"] = trends(pointing, names(views), resamplers, rule, joint=joint)
    samples = _plan_samples(inputs, sample, settings)
    tables["plan_test"], tables["gap"] = plan_tests(samples, views, n_layers, rule)
    heads = _heads(inputs, own, gold, sample, settings, rule=rule)
    summary = {
        "plan_pairs": {name: len(part.blocks) for name, part in samples.items()},
        "best_width_words": dict(zip(names(views), best_width[0], strict=True)),
        "no_width_as_flat": {
            view: own.trained.out_of_reach[:, v].sum(0).tolist() for v, view in enumerate(names(views))
        },
        "n_second_half": {"dictionary": len(own.halves[1]), "gold": 0 if gold is None else len(gold.halves[1])},
        "heads": heads.summary,
    }
    best = [
        {"view": view, "layer": layer, "value": float(value)}
        for view, layer, value in zip(names(views), layers, judged, strict=True)
    ]
    return Evidence(tables | heads.tables, best, summary)


def _corpus_links(inputs: Inputs, sample: Sample) -> dict[str, dict[int, SomeLinks]]:
    """Return the links of the corpus by kind and place: the dictionary's, and two that are no translations."""
    kinds: dict[str, dict[int, SomeLinks]] = {"dictionary": dict(enumerate(sample.links))}
    kinds["mispaired"] = dict(enumerate(sample.partner_links))
    if inputs.shuffled_links is not None:
        kinds["shuffled_lexicon"] = {
            row: inputs.shuffled_links[pair_id]
            for row, pair_id in enumerate(sample.ids)
            if pair_id in inputs.shuffled_links
        }
    return kinds


def _scored(
    split: Split,
    links: Mapping[str, Mapping[int, SomeLinks]],
    pairs: Sequence[SentencePair],
    ids: Sequence[int],
    settings: Align,
) -> Scored:
    by_id = {pair.pair_id: pair for pair in pairs}
    content = Content(*(_content(ids, by_id, side) for side in ("src_words", "tgt_words")))
    place = {pair_id: row for row, pair_id in enumerate(ids)}
    found = find(
        split.blocks,
        links,
        content,
        place,
        views=split.views,
        n_layers=split.manifest["n_layers"],
        label=f"{split.label} pointing",
        n_blocks=split.manifest.get("n_pairs"),
    )
    resampler = HashedResampler(ids, resamples=settings.resamples, seed=settings.seed)
    return Scored(tuple(ids), found, halves_of(ids, settings.seed), resampler)


def _content(ids: Sequence[int], pairs: Mapping[int, SentencePair], side: str) -> dict[int, Bool[np.ndarray, " _word"]]:
    return {row: has_content(getattr(pairs[pair_id], side)) for row, pair_id in enumerate(ids)}


def _best_widths(
    sample: Sample, first: Int[np.ndarray, " first"], views: Sequence[View]
) -> tuple[list[float], Float[np.ndarray, "pair view"]]:
    links = dict(enumerate(sample.links))
    found = [best_width_mass(links, (sample.n_src, sample.n_tgt), first, view) for view in views]
    return [sd for sd, _ in found], np.stack([mass for _, mass in found], axis=1)


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
    return _scored(gold.split, {"gold_sure": sure, "gold": either}, gold.pairs, ids, settings)


def _plan_samples(inputs: Inputs, sample: Sample, settings: Align) -> dict[str, PlanSample]:
    """Return the pairs that models are fitted and judged on, of every split: the first ones by their hashes, if any."""
    if settings.plan_pairs == 0:
        return {}
    order = hashed_order(sample.ids, settings.seed)[: settings.plan_pairs]
    wanted = {sample.ids[row]: row for row in order.tolist()}
    splits = {"trained": inputs.trained, **inputs.controls}
    return {name: _plan_sample(split.blocks, wanted, sample, settings, split.label) for name, split in splits.items()}


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


def _heads(
    inputs: Inputs, own: Scored, gold: Scored | None, sample: Sample, settings: Align, *, rule: IntervalRule
) -> Heads:
    views = inputs.trained.views
    tables = {name: [pd.DataFrame(columns=list(TRANSLATOR[name]))] for name in ("heads", "heads_chosen", "heads_plan")}
    n_pairs, n_heads, n_fitted = {"dictionary": 0, "gold_sure": 0}, 0, 0
    Source = tuple[str, Split, Scored, dict[int, SomeLinks], dict[int, GoldLinks] | None]
    sources: list[Source] = [("dictionary", inputs.trained, own, dict(enumerate(sample.links)), None)]
    if gold is not None:
        by_set = inputs.gold_sets[0]
        of_gold = {row: by_set.links[pair_id] for row, pair_id in enumerate(gold.ids)}
        sure = {row: links.sure for row, links in of_gold.items()}
        sources.append(("gold_sure", by_set.split, gold, sure, of_gold))
    for links, split, scored, scored_on, by_hand in sources:
        place = {pair_id: row for row, pair_id in enumerate(scored.ids)}
        read = read_heads(split.with_heads, scored_on, place, views, gold=by_hand, label=f"{split.label} heads")
        if read is None:
            continue
        rows, scores = read
        ids = [scored.ids[row] for row in rows.tolist()]
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
