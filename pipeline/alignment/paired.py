"""Claims tested: differences over the same sentences, best layers reported where they were not chosen."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from pipeline.alignment.bootstrap import Estimate, IntervalRule, Resampler, difference_p
from pipeline.alignment.curves import (
    Matches,
    Scores,
    States,
    Sums,
    name_states,
    pooled_correlation,
    score_axes,
    to_frame,
)
from pipeline.alignment.scores import SCORES
from pipeline.alignment.transport import correlation

COLUMNS = ["half", "view", "layer", "score", "against", "difference", "low", "high", "n_pairs", "p"]
Halves = tuple[Int[np.ndarray, " first"], Int[np.ndarray, " second"]]


def paired_differences(
    scores: Scores,
    matched: Matches,
    sums: Sums,
    views: Sequence[str],
    resampler: Resampler,
    few: Resampler,
    rule: IntervalRule,
    *,
    half: str,
    states: States,
) -> pd.DataFrame:
    """Return trained minus control over the same sentences, as one table.

    `score` is one of `SCORES` (also against `first_layer`, from layer 2), `match` (Figure 7; view is the
    kind of states, layer their level) or `plan_correlation` (Figure 9, pooled). `p` is two-sided, by the
    bootstrap standard error, and not corrected: the stage claims does that over all translators.

    Parameters
    ----------
    scores, matched, sums : mappings of control to float array
        All pairs; the transported ones; the transported ones.
    views : sequence of str
        Names along the second axis of scores and sums.
    resampler, few : Resampler
        Of all pairs, and of the transported ones.
    rule : IntervalRule
        Of the intervals.
    states : list of (str, int)
        Kind and level along the second axis of matched.
    half : {"all", "second"}
        Which sentences these are, for the first column: the second half is the one on which no layer was chosen.
    """
    n_layers = scores["trained"].shape[2]
    rows = [
        *_score_rows(scores, views, n_layers, resampler, rule),
        *_match_rows(matched, states, few, rule),
        *_plan_rows(sums, views, n_layers, few, rule),
    ]
    frame = pd.concat(rows, ignore_index=True).rename(columns={"value": "difference"})
    return frame.assign(half=half)[COLUMNS]


def _rows(estimate: Estimate, axes: Mapping[str, Sequence], **fixed: str) -> pd.DataFrame:
    return to_frame(estimate, axes, **fixed).assign(p=np.ravel(difference_p(estimate)))


def _score_rows(
    scores: Scores, views: Sequence[str], n_layers: int, resampler: Resampler, rule: IntervalRule
) -> list[pd.DataFrame]:
    trained, axes = scores["trained"], score_axes(views, n_layers)
    rows = [
        _rows(resampler.estimate_mean(trained - values, rule), axes, against=control)
        for control, values in scores.items()
        if control != "trained"
    ]
    if n_layers > 1:
        above_first = resampler.estimate_mean(trained[:, :, 1:] - trained[:, :, :1], rule)
        rows.append(_rows(above_first, {**axes, "layer": range(2, n_layers + 1)}, against="first_layer"))
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


def halves(n_pairs: int, seed: int) -> Halves:
    """Return the indices of two random halves of the pairs, each ascending; of one pair, the same twice."""
    order = np.random.default_rng(seed).permutation(n_pairs)
    first, second = np.sort(order[: n_pairs // 2]), np.sort(order[n_pairs // 2 :])
    return (first, second) if len(first) else (second, second)


def second_halves(
    matched: Matches, *, seed: int, n_pairs: int
) -> tuple[Int[np.ndarray, " row"], Int[np.ndarray, " transported_row"]]:
    """Return the rows on which `best_layers` reports: of all pairs, and of the transported ones that were matched."""
    known = np.flatnonzero(~np.isnan(matched["trained"][:, 0]))
    return halves(n_pairs, seed)[1], known[halves(len(known), seed)[1]]


def best_layers(
    scores: Scores,
    matched: Float[np.ndarray, "transported state"],
    sums: Float[np.ndarray, "transported view layer sums"],
    views: Sequence[str],
    *,
    states: States,
    rule: IntervalRule,
    resamples: int,
    seed: int,
) -> dict[str, list[dict]]:
    """Return the best layer by `scores`, `match` and `plan_correlation`: chosen on a half, read on the other.

    Parameters
    ----------
    scores : mapping of control to float array
        All pairs; the controls are read on the same half, at the chosen layer.
    matched, sums : float arrays
        Of the trained translator: the transported pairs.
    views : sequence of str
        Names along the second axis.
    states : list of (str, int)
        Kind and level along the second axis of matched; the best of all of them is reported.
    rule : IntervalRule
        Of the intervals.
    resamples, seed : int
        Of the split and of the resamples of the second half.
    """

    def split(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, Resampler]:
        first, second = halves(len(rows), seed)
        return rows[first], rows[second], Resampler(len(second), resamples=resamples, seed=seed)

    trained = scores["trained"]
    first, second, resampler = split(np.arange(len(trained)))
    estimate = resampler.estimate_mean(trained[second], rule)
    # A layer that cannot see all words of some pair (NaN) is not chosen.
    chosen = np.nan_to_num(trained[first].mean(0), nan=-np.inf).argmax(1).tolist()
    by_score = [
        {
            "view": view,
            "score": score,
            "layer": chosen[v][s] + 1,
            **_at(estimate, (v, chosen[v][s], s)),
            "controls": {
                name: float(np.nanmean(values[second, v, chosen[v][s], s]))
                for name, values in scores.items()
                if name != "trained"
            },
        }
        for v, view in enumerate(views)
        for s, score in enumerate(SCORES)
    ]
    first, second, resampler = split(np.flatnonzero(~np.isnan(matched[:, 0])))
    state = int(matched[first].mean(0).argmax())
    kind, level = states[state]
    by_match = [{"states": kind, "layer": level, **_at(resampler.estimate_mean(matched[second], rule), (state,))}]
    in_first = correlation(sums[first].sum(0))
    chosen = np.nan_to_num(in_first, nan=-np.inf).argmax(1).tolist()
    n_pairs = np.full(in_first.shape, len(second))
    estimate = resampler.estimate(*pooled_correlation(sums[second], resampler), n_pairs, rule)
    by_plan = [{"view": view, "layer": chosen[v] + 1, **_at(estimate, (v, chosen[v]))} for v, view in enumerate(views)]
    return {"scores": by_score, "match": by_match, "plan_correlation": by_plan}


def _at(estimate: Estimate, index: tuple[int, ...]) -> dict[str, float | int]:
    ends = {name: float(getattr(estimate, name)[index]) for name in ("value", "low", "high")}
    return {**ends, "n_pairs": int(estimate.n_pairs[index])}
