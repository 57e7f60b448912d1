"""Claim 3, layer by layer: attention beside a similarity and a plan that are equally free, each judged where unfitted."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from rich.console import Console
from rich.progress import track

from pipeline.alignment.bootstrap import Estimate, IntervalRule
from pipeline.alignment.chunks import pad_words
from pipeline.alignment.gap import CONTROLLED, gap, link_rows, partial_correlations, permuted_rows
from pipeline.alignment.halves import HashedResampler, bound_p
from pipeline.alignment.planfit import Compared, compare
from pipeline.alignment.planlike import SIMILARITY, Layer, model_rows
from pipeline.alignment.pointing import by_query, link_block
from pipeline.alignment.position import Geometry, divergence, matched_divergence, uniform_rows
from pipeline.alignment.transport import level_of
from pipeline.attention.store import PairBlocks
from pipeline.columns import TRANSLATOR
from pipeline.conventions import View
from pipeline.corpus.pharaoh import SomeLinks
from pipeline.methods import PLAN_MARGIN

DIFFERENCES = {"plan_minus_similarity": "plan", "uniform_plan_minus_similarity": "uniform_plan"}
FEWEST = 4
"""Pairs of a half below which nothing is fitted."""
T = TypeVar("T")
Halves = tuple[Int[np.ndarray, " first"], Int[np.ndarray, " second"]]


@dataclass(frozen=True)
class PlanSample:
    """The pairs that models are fitted and judged on.

    Attributes
    ----------
    blocks : tuple of PairBlocks
        Of each pair, in the order of the pairs' hashes.
    links : tuple of int arrays, shape (link, 2)
        Dictionary links of each, for the gap of hard links.
    first : bool array, shape (pair,)
        Which are of half A.
    resampler : HashedResampler
        Of these pairs.
    seed : int
        Of the rows whose entries are permuted.
    """

    blocks: tuple[PairBlocks, ...]
    links: tuple[SomeLinks, ...]
    first: Bool[np.ndarray, " pair"]
    resampler: HashedResampler
    seed: int

    def take(self, rows: Int[np.ndarray, " row"]) -> "PlanSample":
        """Return some of the pairs."""
        blocks, links = (tuple(part[row] for row in rows.tolist()) for part in (self.blocks, self.links))
        return PlanSample(blocks, links, self.first[rows], self.resampler.take(rows), self.seed)

    @property
    def halves(self) -> Halves:
        """Return the places of half A, and of half B."""
        return np.flatnonzero(self.first), np.flatnonzero(~self.first)

    @property
    def sizes(self) -> tuple[Int[np.ndarray, " pair"], Int[np.ndarray, " pair"]]:
        """Return the words of each pair, source and target."""
        shapes = np.array([block.attention.shape[-2:] for block in self.blocks], dtype=np.int64).reshape(-1, 2)
        return shapes[:, 1], shapes[:, 0]

    def padded(self, arrays: Sequence[Float[np.ndarray, "_tgt _src"]]) -> Float[np.ndarray, "pair tgt src"]:
        """Return one array from a block a pair, 0 in the padding."""
        n_src, n_tgt = self.sizes
        out = np.zeros((len(arrays), int(n_tgt.max()), int(n_src.max())))
        for at, own in enumerate(arrays):
            out[at, : n_tgt[at], : n_src[at]] = own
        return out


def read_layer(sample: PlanSample, view: View, v: int, layer: int, head: int | None = None) -> tuple[PlanSample, Layer]:
    """Return one layer (from 1) and the pairs that it sees whole, with the costs of the states that it reads.

    Parameters
    ----------
    sample : PlanSample
        All pairs.
    view, v : View, int
        Whose words look, and its place in the blocks.
    layer : int
        From 1.
    head : int, optional
        From 0; the mean over heads where it is not given.
    """
    whole = [block.attention if head is None else _heads_of(block)[:, :, head] for block in sample.blocks]
    seen = np.flatnonzero([bool(np.isfinite(block[v, layer - 1]).all()) for block in whole])
    kept = sample.take(seen)
    if not len(seen):
        empty = np.zeros((0, 1, 1))
        return kept, Layer(empty, empty, empty.astype(bool), empty, empty[:, 0])
    rows = kept.padded([whole[row][v, layer - 1] for row in seen.tolist()])
    cost = kept.padded([block.cost[view.states][level_of(layer)].T for block in kept.blocks])
    tokens = pad_words([getattr(block, f"{view.key_side}_pieces") for block in kept.blocks])
    return kept, Layer.of(rows, cost, Geometry(*kept.sizes, view.query_side), tokens)


def _heads_of(block: PairBlocks) -> np.ndarray:
    assert block.heads is not None  # the caller gives pairs whose heads are kept
    return block.heads


@dataclass(frozen=True)
class Case:
    """What one comparison is about: the columns in front of its rows."""

    split: str
    view: str
    layer: int
    tokens: str = "sum"
    base: str = "words"
    position: bool = False


def plan_rows(
    sample: PlanSample, view: View, v: int, layer: int, *, split: str, rule: IntervalRule, full: bool = True
) -> tuple[list[dict], list[dict]]:
    """Return the rows of one layer: of `plan_test`, and of `gap` (`pipeline.columns`).

    Parameters
    ----------
    sample, view, v, layer : PlanSample, View, int, int
        As in `read_layer`.
    split : str
        Whose weights.
    rule : IntervalRule
        Of the intervals.
    full : bool
        Whether to fit with a position term and with tokens as base measure too, and to give the partial correlations.
    """
    kept, summed = read_layer(sample, view, v, layer)
    if min(map(len, kept.halves)) < FEWEST:
        return [], []
    case, rows, found = Case(split, view.name, layer), [], None
    for tokens, own in (("sum", summed), ("mean", summed.mean_over_tokens())):
        here = replace(case, tokens=tokens)
        rows += list(_floors(kept, own, view, here, rule))
        for position in (False, True) if full else (False,):
            compared = compare(own, kept.halves, position=position, start=found)
            found = found or compared
            rows += _compared_rows(compared, kept, replace(here, position=position), rule)
    if full:
        compared = compare(summed, kept.halves, tokens=True, start=found)
        rows += _compared_rows(compared, kept, replace(case, base="tokens"), rule)
    assert found is not None
    return rows, list(_gap_rows(kept, summed, found, view, case, rule=rule, full=full))


def _row(case: Case, quantity: str, values: np.ndarray, kept: PlanSample, rule: IntervalRule, **more: float) -> dict:
    estimate = kept.resampler.estimate_mean(values[:, None], rule)
    ends = {name: getattr(estimate, name)[0] for name in ("value", "low", "high", "n_pairs")}
    return {**vars(case), "quantity": quantity, **ends, **more}


def _floors(kept: PlanSample, layer: Layer, view: View, case: Case, rule: IntervalRule) -> Iterator[dict]:
    """Yield the divergence from uniform attention (over tokens, where they are summed) and from position."""
    geometry = Geometry(*kept.sizes, view.query_side)
    shape = int(geometry.n_tgt.max()), int(geometry.n_src.max())
    measure = layer.tokens if case.tokens == "sum" else (layer.tokens > 0).astype(float)
    flat = uniform_rows(measure, geometry, shape=shape)
    yield _row(case, "uniform", divergence(layer.rows, flat, geometry.n_query), kept, rule)
    yield _row(case, "position_matched", matched_divergence(layer.rows, geometry, shape=shape), kept, rule)


def _compared_rows(compared: Compared, kept: PlanSample, case: Case, rule: IntervalRule) -> list[dict]:
    rows = []
    for name, values in compared.scores.items():
        fits = compared.fits[name]
        fitted = {
            key: float(np.mean([getattr(fit.parameters, key) for fit in fits])) for key in ("reg", "weight", "sd")
        }
        rows.append(_row(case, name, values, kept, rule, **fitted, error=max(fit.error for fit in fits)))
    for quantity, name in DIFFERENCES.items():
        if name not in compared.scores:
            continue
        gain = compared.scores[name] - compared.scores["similarity"]
        estimate: Estimate = kept.resampler.estimate_mean(gain[:, None], rule)
        rows.append(_row(case, quantity, gain, kept, rule, p=float(bound_p(estimate, -PLAN_MARGIN)[0])))
    return [*rows, _row(case, "power", compared.power, kept, rule)]


def _gap_rows(
    kept: PlanSample, layer: Layer, compared: Compared, view: View, case: Case, *, rule: IntervalRule, full: bool
) -> Iterator[dict]:
    """Yield the gap of the attention, of what it is compared with, and the partial correlations with the exact plan."""
    similarity = np.zeros_like(layer.rows)
    # Each pair beside the similarity that was fitted on the other half, as it is judged.
    for half, fit in zip(kept.halves[::-1], compared.fits["similarity"], strict=True):
        similarity[half] = model_rows(SIMILARITY, layer, fit.parameters).rows[half]
    linked = kept.padded(
        [
            link_block(own, n_src=int(s), n_tgt=int(t)).astype(float)
            for own, s, t in zip(kept.links, *kept.sizes, strict=True)
        ]
    ).astype(bool)
    rng = np.random.default_rng([kept.seed, case.layer])
    beside = {
        "attention": layer.rows,
        "permuted": permuted_rows(layer.rows, layer.words, rng),
        "similarity": similarity,
        "links": link_rows(by_query(linked, view.query_side), layer.words),
    }
    about = {key: getattr(case, key) for key in ("split", "view", "layer")}

    def row(quantity: str, values: np.ndarray) -> dict:
        estimate = kept.resampler.estimate_mean(values[:, None], rule)
        return (
            about | {"quantity": quantity} | {k: getattr(estimate, k)[0] for k in ("value", "low", "high", "n_pairs")}
        )

    for name, rows in beside.items():
        yield row(f"gap_{name}", gap(rows, layer.words))
    if full:
        partial_values = partial_correlations(layer, similarity)
        for name, values in zip(CONTROLLED, partial_values.T, strict=True):
            yield row(f"partial_{name}", values)


def plan_tests(
    samples: dict[str, PlanSample], views: Sequence[View], n_layers: int, rule: IntervalRule
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the tables `plan_test` and `gap` of all layers and views.

    Parameters
    ----------
    samples : dict of name to PlanSample
        `trained`, fitted in every way, and controls, fitted on the words without a position term.
    views, n_layers : sequence of View, int
        Of the blocks.
    rule : IntervalRule
        Of the intervals.
    """
    cases = [
        partial(plan_rows, sample, view, v, layer, split=split, rule=rule, full=split == "trained")
        for split, sample in samples.items()
        for v, view in enumerate(views)
        for layer in range(1, n_layers + 1)
    ]
    done = side_by_side(cases, "plan or similarity")
    models = [row for rows, _ in done for row in rows]
    gaps = [row for _, rows in done for row in rows]
    return pd.DataFrame(models, columns=list(TRANSLATOR["plan_test"])), pd.DataFrame(
        gaps, columns=list(TRANSLATOR["gap"])
    )


def side_by_side(calls: Sequence[Callable[[], T]], label: str) -> list[T]:
    """Return the results of calls in their order, run in threads: NumPy lets go of the interpreter."""
    console = Console(stderr=True)
    with ThreadPoolExecutor() as pool:
        futures = [pool.submit(call) for call in calls]
        watched = track(futures, label, console=console, transient=True, disable=not console.is_terminal)
        return [future.result() for future in watched]
