"""Single heads: how each points, what its links are worth, and the best of them judged on pairs that did not choose."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int

from pipeline.alignment.bootstrap import Estimate, IntervalRule
from pipeline.alignment.chunks import Chunk, chunks
from pipeline.alignment.curves import to_frame
from pipeline.alignment.gap import gap
from pipeline.alignment.gold import score_counts
from pipeline.alignment.halves import HashedResampler, bound_p
from pipeline.alignment.heads import METHODS, ChosenHeads, both_directions, choose_by_aer, choose_by_mean, head_counts
from pipeline.alignment.plan_tests import FEWEST, PlanSample, read_layer, side_by_side
from pipeline.alignment.planfit import compare
from pipeline.alignment.pointing import by_query, pointing, word_mask
from pipeline.alignment.position import mass_on_links, normalised_rows
from pipeline.attention.store import PairBlocks
from pipeline.columns import TRANSLATOR
from pipeline.conventions import View
from pipeline.corpus.pharaoh import GoldLinks, SomeLinks
from pipeline.methods import PLAN_MARGIN

BEST = 8
"""Heads of a view that are fitted and judged; the others are untested."""
BOTH = "both"
"""Name of the sum of two views, each divided by its total."""
CHUNK = 12
"""Pairs a step: there are as many blocks as heads."""


@dataclass
class HeadScores:
    """What every head does on every pair, NaN where its layer does not see a pair whole.

    Attributes
    ----------
    pointing, mass : float array, shape (pair, view, layer, head)
        As of the mean over heads (`finding.Found`), on one kind of links.
    gap : float array, shape (pair, view, layer, head)
        Distance of the columns' shares from equal ones.
    counts : float array, shape (pair, view, layer, head, method, counts)
        Links by `heads.METHODS` against hand-made ones; views are those of the blocks and, where one looks from either
        side, `BOTH`. None without hand-made links.
    """

    pointing: Float[np.ndarray, "pair view layer head"]
    mass: Float[np.ndarray, "pair view layer head"]
    gap: Float[np.ndarray, "pair view layer head"]
    counts: Float[np.ndarray, "pair seen layer head method counts"] | None


def judged_views(views: Sequence[View]) -> list[str]:
    """Return the names of the views that links are taken from: `both` too where each side looks in one."""
    names = [view.name for view in views]
    return [*names, BOTH] if len({view.query_side for view in views}) == len(views) == 2 else names


def read_heads(
    blocks: Iterable[PairBlocks],
    links: Mapping[int, SomeLinks],
    place: Mapping[int, int],
    views: Sequence[View],
    *,
    gold: Mapping[int, GoldLinks] | None = None,
    label: str = "heads",
    n_blocks: int | None = None,
) -> tuple[Int[np.ndarray, " pair"], HeadScores] | None:
    """Return the places of the pairs whose heads are kept, and their scores; None where none is.

    Parameters
    ----------
    blocks : iterable of PairBlocks
        Read with their heads.
    links : mapping of place to links
        What pointing and mass are scored on.
    place : mapping of pair_id to int
        Where each pair stands among all.
    views : sequence of View
        Of the blocks.
    gold : mapping of place to GoldLinks, optional
        What links are counted against.
    label, n_blocks : str, int
        Of the progress bar.
    """
    rows, parts = [], []
    for chunk in chunks(blocks, place, label, heads=True, size=CHUNK, n_blocks=n_blocks):
        rows.append(chunk.rows)
        parts.append(_scores(chunk, views, chunk.linked(links), gold))
    if not parts:
        return None
    counts = None if gold is None else np.concatenate([part.counts for part in parts if part.counts is not None])
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("pointing", "mass", "gap")}
    return np.concatenate(rows), HeadScores(**joined, counts=counts)


def _scores(
    chunk: Chunk, views: Sequence[View], linked: Bool[np.ndarray, "pair tgt src"], gold: Mapping[int, GoldLinks] | None
) -> HeadScores:
    words = word_mask(chunk.n_src, chunk.n_tgt, shape=chunk.shape)
    out: dict[str, list[np.ndarray]] = {"pointing": [], "mass": [], "gap": []}
    for v, view in enumerate(views):
        blocks, seen = chunk.blocks[:, v], chunk.seen[:, v]
        rows = normalised_rows(blocks, view.query_side)
        own = by_query(linked, view.query_side)
        out["pointing"].append(
            np.where(
                seen,
                pointing(blocks, linked[:, None, None], query=view.query_side, words=words[:, None, None]),
                np.nan,
            )
        )
        out["mass"].append(np.where(seen, mass_on_links(rows, own), np.nan))
        out["gap"].append(np.where(seen, gap(rows, by_query(words, view.query_side)), np.nan))
    counts = None if gold is None else _counts(chunk, views, gold, words)
    return HeadScores(**{name: np.stack(part, axis=1) for name, part in out.items()}, counts=counts)


def _counts(
    chunk: Chunk, views: Sequence[View], gold: Mapping[int, GoldLinks], words: Bool[np.ndarray, "pair tgt src"]
) -> Float[np.ndarray, "pair seen layer head method counts"]:
    sure, possible = (
        chunk.linked({row: getattr(gold[row], name) for row in chunk.rows.tolist() if row in gold})
        for name in ("sure", "possible")
    )
    blocks = [chunk.blocks[:, v] for v in range(len(views))]
    if len(judged_views(views)) > len(views):
        blocks.append(both_directions(*blocks))
    grow = (slice(None), None, None)
    return np.stack([head_counts(own, sure[grow], possible[grow], words=words[grow]) for own in blocks], axis=1)


def head_table(
    scores: HeadScores, links: str, views: Sequence[View], resampler: HashedResampler, rule: IntervalRule
) -> pd.DataFrame:
    """Return every head's pointing, mass, gap and alignment errors (one a method), over all pairs; nothing is chosen."""
    frames = []
    names = [view.name for view in views]
    for quantity in ("pointing", "mass", "gap"):
        estimate = resampler.estimate_mean(getattr(scores, quantity), rule)
        frames.append(_frame(estimate, names, links=links, quantity=quantity))
    if scores.counts is not None:
        value, draws = score_counts(scores.counts.sum(0)).aer, score_counts(resampler.sums(scores.counts)).aer
        estimate = resampler.estimate(value, draws, np.full(value.shape, len(scores.counts)), rule)
        for m, method in enumerate(METHODS):
            part = type(estimate)(*(array[..., m] for array in estimate))
            frames.append(_frame(part, judged_views(views), links=links, quantity=f"aer_{method}"))
    return pd.concat(frames, ignore_index=True)[list(TRANSLATOR["heads"])]


def _frame(estimate: Estimate, views: Sequence[str], **fixed: str) -> pd.DataFrame:
    _, n_layers, n_heads = estimate.value.shape
    return to_frame(estimate, {"view": views, "layer": range(1, n_layers + 1), "head": range(n_heads)}, **fixed)


def chosen_heads(
    scores: HeadScores,
    links: str,
    views: Sequence[View],
    halves: tuple[Int[np.ndarray, " first"], Int[np.ndarray, " second"]],
    resampler: HashedResampler,
    *,
    rule: IntervalRule,
) -> pd.DataFrame:
    """Return the best heads of every view, chosen on the first half of the pairs and judged on the second.

    By pointing, and against hand-made links by the error of either method too.

    Parameters
    ----------
    scores, links, views : HeadScores, str, sequence of View
        Of all pairs.
    halves : pair of int arrays
        Places of the pairs that choose, and of those that judge.
    resampler : HashedResampler
        Of the pairs that judge, in their order.
    rule : IntervalRule
        Of the intervals.
    """
    rows: list[tuple] = []

    def add(view: str, by: str, chosen: ChosenHeads) -> None:
        for rank, (layer, head) in enumerate(chosen.places.tolist()):
            ends = (part[rank] for part in chosen.scores[:4])
            rows.append((links, view, by, rank + 1, layer + 1, head, *ends))

    for v, view in enumerate(views):
        add(view.name, "pointing", choose_by_mean(scores.pointing[:, v], halves, resampler, rule, n_heads=BEST))
    if scores.counts is not None:
        for v, name in enumerate(judged_views(views)):
            for m, method in enumerate(METHODS):
                counts = scores.counts[:, v, ..., m, :]
                add(name, f"aer_{method}", choose_by_aer(counts, halves, resampler, rule, n_heads=BEST))
    return pd.DataFrame(rows, columns=list(TRANSLATOR["heads_chosen"]))


def head_plans(
    sample: PlanSample, places: Mapping[str, Sequence[tuple[int, int]]], views: Sequence[View], rule: IntervalRule
) -> pd.DataFrame:
    """Return plan minus similarity, and the power, of some heads: layer from 1, head from 0; the others are untested.

    Parameters
    ----------
    sample : PlanSample
        Pairs whose heads are kept.
    places : mapping of view to list of (layer, head)
        Which heads.
    views : sequence of View
        Of the blocks.
    rule : IntervalRule
        Of the intervals.
    """
    cases = [
        partial(_head_plan, sample, view, v, place=place, rule=rule)
        for v, view in enumerate(views)
        for place in places.get(view.name, ())
    ]
    rows = [row for found in side_by_side(cases, "heads: plan or similarity") for row in found]
    return pd.DataFrame(rows, columns=list(TRANSLATOR["heads_plan"]))


def _head_plan(sample: PlanSample, view: View, v: int, *, place: tuple[int, int], rule: IntervalRule) -> list[tuple]:
    kept, summed = read_layer(sample, view, v, *place)
    if min(map(len, kept.halves)) < FEWEST:
        return []
    rows, compared = [], None
    for tokens, own in (("sum", summed), ("mean", summed.mean_over_tokens())):
        compared = compare(own, kept.halves, start=compared)
        gain = compared.scores["plan"] - compared.scores["similarity"]
        for quantity, values in (("plan_minus_similarity", gain), ("power", compared.power)):
            found = kept.resampler.estimate_mean(values[:, None], rule)
            p = float(bound_p(found, -PLAN_MARGIN)[0]) if quantity != "power" else np.nan
            rows.append((view.name, *place, tokens, quantity, *(part[0] for part in found[:4]), p))
    return rows
