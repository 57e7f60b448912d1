"""Claims tested: differences over the same sentences, best layers reported where they were not chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from pipeline.alignment.bootstrap import Estimate, IntervalRule, Resampler, difference_p
from pipeline.alignment.curves import (
    Matches,
    States,
    Sums,
    name_states,
    pooled_correlation,
    score_axes,
    to_frame,
)
from pipeline.alignment.halves import HashedResampler, halves_of
from pipeline.alignment.scores import SCORES
from pipeline.alignment.tally import Halves, Tally
from pipeline.alignment.transport import correlation
from pipeline.columns import TRANSLATOR


class Drawn(NamedTuple):
    """Places of some pairs among all, and the resamples of just those."""

    rows: Int[np.ndarray, " pair"]
    resampler: HashedResampler


@dataclass(frozen=True)
class Values:
    """What is compared.

    Attributes
    ----------
    scores : Halves
        Sums of `curves.score_values` over all pairs.
    matched, sums : mappings of control to float array
        Of the transported pairs.
    views, n_layers : sequence of str, int
        Of scores and sums.
    states : list of (str, int)
        Kind and level along the second axis of matched.
    """

    scores: Halves
    matched: Matches
    sums: Sums
    views: Sequence[str]
    n_layers: int
    states: States


def paired_differences(values: Values, few: Drawn, rule: IntervalRule, *, half: str) -> pd.DataFrame:
    """Return trained minus control over the same sentences, as one table.

    `score` is one of `SCORES` (also against `first_layer`, from layer 2), `match` (Figure 7; view is the
    kind of states, layer their level) or `plan_correlation` (Figure 9, pooled). `p` is two-sided, by the
    bootstrap standard error, and not corrected: the stage claims does that over all translators.

    Parameters
    ----------
    values : Values
        Of all pairs.
    few : Drawn
        Which of the transported ones.
    rule : IntervalRule
        Of the intervals.
    half : {"all", "second"}
        Which sentences these are, for the first column: the second half is the one on which no layer was chosen.
    """
    tally = values.scores.all if half == "all" else values.scores.judges
    matched, sums = ({name: own[few.rows] for name, own in part.items()} for part in (values.matched, values.sums))
    rows = [
        *_score_rows(tally, values.views, values.n_layers, rule),
        *_match_rows(matched, values.states, few.resampler, rule),
        *_plan_rows(sums, values.views, values.n_layers, few.resampler, rule),
    ]
    frame = pd.concat(rows, ignore_index=True).rename(columns={"value": "difference"})
    return frame.assign(half=half)[list(TRANSLATOR["paired"])]


def _rows(estimate: Estimate, axes: Mapping[str, Sequence], **fixed: str) -> pd.DataFrame:
    return to_frame(estimate, axes, **fixed).assign(p=np.ravel(difference_p(estimate)))


def _score_rows(tally: Tally, views: Sequence[str], n_layers: int, rule: IntervalRule) -> list[pd.DataFrame]:
    axes = score_axes(views, n_layers)
    rows = []
    for name in tally.names:
        kind, _, control = name.partition("/")
        if kind == "gain":
            layers = range(2, n_layers + 1) if control == "first_layer" else axes["layer"]
            rows.append(_rows(tally.estimate(name, rule), {**axes, "layer": layers}, against=control))
    return rows


def _match_rows(matched: Matches, states: States, resampler: Resampler, rule: IntervalRule) -> list[pd.DataFrame]:
    trained, axes = matched["trained"], {"state": range(len(states))}
    return [
        name_states(
            _rows(resampler.estimate_mean(trained - values, rule), axes, score="match", against=control), states, "view"
        )
        for control, values in matched.items()
        if control != "trained"
    ]


def _plan_rows(
    sums: Sums, views: Sequence[str], n_layers: int, resampler: Resampler, rule: IntervalRule
) -> list[pd.DataFrame]:
    rows = []
    for control, values in sums.items():
        if control == "trained":
            continue
        known = ~(np.isnan(sums["trained"]) | np.isnan(values))
        own, other = (
            pooled_correlation(np.where(known, part, np.nan), resampler) for part in (sums["trained"], values)
        )
        estimate = resampler.estimate(own[0] - other[0], own[1] - other[1], known[..., 0].sum(0), rule)
        axes = {"view": views, "layer": range(1, n_layers + 1)}
        rows.append(_rows(estimate, axes, score="plan_correlation", against=control))
    return rows


@dataclass(frozen=True)
class Halved:
    """Pairs with their resamples, and their halves by hash: half A chooses, half B judges.

    Attributes
    ----------
    ids : tuple of int
        `pair_id` of each.
    resampler : HashedResampler
        Of all of them.
    seed : int
        Of the halves.
    """

    ids: tuple[int, ...]
    resampler: HashedResampler
    seed: int

    @property
    def first(self) -> Int[np.ndarray, " first"]:
        """Return the places of half A."""
        return halves_of(self.ids, self.seed)[0]

    @property
    def all(self) -> Drawn:
        """Return all of them with their resamples."""
        return Drawn(np.arange(len(self.ids)), self.resampler)

    @property
    def second(self) -> Drawn:
        """Return half B with its resamples."""
        rows = halves_of(self.ids, self.seed)[1]
        return Drawn(rows, self.resampler.take(rows))


def best_layers(values: Values, few: Halved, rule: IntervalRule) -> dict[str, list[dict]]:
    """Return the best layer by `scores`, `match` and `plan_correlation`: chosen on half A, read on half B.

    Controls are read on half B too, at the chosen layer. A layer that cannot see all words of some pair (NaN) is not
    chosen; of matches, the best of all states and levels is reported.

    Parameters
    ----------
    values : Values
        Of all pairs.
    few : Halved
        The transported ones.
    rule : IntervalRule
        Of the intervals.
    """
    return {
        "scores": _best_scores(values, rule),
        "match": _best_match(values, few, rule),
        "plan_correlation": _best_plan(values, few, rule),
    }


def _best_scores(values: Values, rule: IntervalRule) -> list[dict]:
    chooses, judges = values.scores.chooses, values.scores.judges
    estimate = judges.estimate("score/trained", rule)
    of_all = chooses.count("score/trained") == chooses.n_pairs
    chosen = np.where(of_all, chooses.mean("score/trained"), -np.inf).argmax(1).tolist()
    controls = {
        name.removeprefix("score/"): judges.mean(name)
        for name in judges.names
        if name.startswith("score/") and name != "score/trained"
    }
    return [
        {
            "view": view,
            "score": score,
            "layer": chosen[v][s] + 1,
            **_at(estimate, (v, chosen[v][s], s)),
            "controls": {name: float(mean[v, chosen[v][s], s]) for name, mean in controls.items()},
        }
        for v, view in enumerate(values.views)
        for s, score in enumerate(SCORES)
    ]


def _best_match(values: Values, few: Halved, rule: IntervalRule) -> list[dict]:
    matched, (rows, resampler) = values.matched["trained"], few.second
    state = int(np.nan_to_num(_known_mean(matched[few.first]), nan=-np.inf).argmax())
    kind, level = values.states[state]
    return [{"states": kind, "layer": level, **_at(resampler.estimate_mean(matched[rows], rule), (state,))}]


def _known_mean(values: Float[np.ndarray, "pair *lead"]) -> Float[np.ndarray, "*lead"]:
    known = ~np.isnan(values)
    total, n_known = np.where(known, values, 0.0).sum(0), known.sum(0)
    return np.divide(total, n_known, out=np.full(total.shape, np.nan), where=n_known > 0)


def _best_plan(values: Values, few: Halved, rule: IntervalRule) -> list[dict]:
    sums, (rows, resampler) = values.sums["trained"], few.second
    in_first = correlation(sums[few.first].sum(0))
    chosen = np.nan_to_num(in_first, nan=-np.inf).argmax(1).tolist()
    n_pairs = np.full(in_first.shape, len(rows))
    estimate = resampler.estimate(*pooled_correlation(sums[rows], resampler), n_pairs, rule)
    return [
        {"view": view, "layer": chosen[v] + 1, **_at(estimate, (v, chosen[v]))} for v, view in enumerate(values.views)
    ]


def _at(estimate: Estimate, index: tuple[int, ...]) -> dict[str, float | int]:
    ends = {name: float(getattr(estimate, name)[index]) for name in ("value", "low", "high")}
    return {**ends, "n_pairs": int(estimate.n_pairs[index])}
