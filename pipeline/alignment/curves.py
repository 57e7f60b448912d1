"""The tables behind Figures 5, 6, 7 and 9: values by layer with intervals, and controls beside them."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.alignment.bootstrap import Estimate, IntervalRule, Resampler
from pipeline.alignment.collect import Sample, Transported
from pipeline.alignment.controls import position_matches
from pipeline.alignment.scores import SCORES
from pipeline.alignment.tally import Tally
from pipeline.alignment.transport import correlation

Scores = Mapping[str, Float[np.ndarray, "pair view layer score"]]
Matches = Mapping[str, Float[np.ndarray, "transported state"]]
States = Sequence[tuple[str, int]]
Sums = Mapping[str, Float[np.ndarray, "transported view layer sums"]]


def to_frame(estimate: Estimate, axes: Mapping[str, Sequence], **fixed: str) -> pd.DataFrame:
    """Return one row a value: fixed columns, a column an axis of the estimate, value, low, high, n_pairs."""
    index = pd.MultiIndex.from_product([list(values) for values in axes.values()], names=list(axes))
    columns = {name: np.ravel(getattr(estimate, name)) for name in ("value", "low", "high", "n_pairs")}
    frame = pd.DataFrame(columns, index=index).reset_index()
    for name in reversed(fixed):
        frame.insert(0, name, fixed[name])
    return frame


def score_axes(views: Sequence[str], n_layers: int) -> dict[str, Sequence]:
    """Return the axes of an estimate over view, layer (from 1) and score."""
    return {"view": views, "layer": range(1, n_layers + 1), "score": SCORES}


def score_values(scores: Scores) -> dict[str, Float[np.ndarray, "pair view _layer score"]]:
    """Return what each pair adds to `curves` and `paired_differences`, by name.

    Parameters
    ----------
    scores : mapping of control to float array, shape (pair, view, layer, score)
        NaN where a control has no value for a pair.
    """
    trained = scores["trained"]
    gains = {f"gain/{name}": trained - own for name, own in scores.items() if name != "trained"}
    if trained.shape[2] > 1:
        gains["gain/first_layer"] = trained[:, :, 1:] - trained[:, :, :1]
    return {f"score/{name}": own for name, own in scores.items()} | gains


def curves(tally: Tally, views: Sequence[str], n_layers: int, rule: IntervalRule) -> pd.DataFrame:
    """Return mean scores over sentences (Figures 5 and 6) for every control, view, layer and score.

    Parameters
    ----------
    tally : Tally
        Sums of `score_values`.
    views, n_layers : sequence of str, int
        Of the scores.
    rule : IntervalRule
        Of the intervals.
    """
    axes = score_axes(views, n_layers)
    names = [name for name in tally.names if name.startswith("score/")]
    frames = [to_frame(tally.estimate(name, rule), axes, control=name.removeprefix("score/")) for name in names]
    return pd.concat(frames, ignore_index=True)


def match_values(splits: Mapping[str, Transported], sample: Sample) -> Matches:
    """Return the share of linked words that transport matches by control, NaN where it was not computed.

    The floors `position` (both sides in their order) and `chance` (1 / n_links) are those of the very same
    pairs, the same for all states.
    """
    known = ~np.isnan(splits["trained"].matches)
    floors = {
        "position": np.array([position_matches(links) for links in sample.links]),
        "chance": np.array([1 / len(links) for links in sample.links]),
    }
    values = {control: split.matches for control, split in splits.items()}
    return values | {name: np.where(known, floor[:, None], np.nan) for name, floor in floors.items()}


def name_states(frame: pd.DataFrame, states: States, column: str) -> pd.DataFrame:
    """Return the frame with its numbers of a state as kind (in `column`) and level (in `layer`)."""
    at = list(frame.columns).index("state")
    rows = frame.pop("state")
    frame.insert(at, "layer", [states[row][1] for row in rows])
    frame.insert(at, column, [states[row][0] for row in rows])
    return frame


def matches(
    values: Matches, splits: Mapping[str, Transported], states: States, resampler: Resampler, rule: IntervalRule
) -> pd.DataFrame:
    """Return the share of linked words that transport between word vectors matches (Figure 7), with floors.

    Columns `states` and `layer`: where the vectors are taken, and at which level (0: entering the first layer).

    Parameters
    ----------
    values : mapping of control to float array, shape (pair, state)
        From `match_values`.
    splits : mapping of control to Transported
        For `n_tied`, the pairs in which another matching was as cheap.
    states : list of (str, int)
        Kind and level along the second axis.
    resampler, rule : Resampler and IntervalRule
        Of the sentences.
    """
    axes = {"state": range(len(states))}
    frames = []
    for control, own in values.items():
        n_tied = splits[control].tied.sum(0) if control in splits else 0
        frame = to_frame(resampler.estimate_mean(own, rule), axes, control=control).assign(n_tied=n_tied)
        frames.append(name_states(frame, states, "states"))
    return pd.concat(frames, ignore_index=True)


def pooled_correlation(
    sums: Float[np.ndarray, "pair view layer sums"], resampler: Resampler
) -> tuple[Float[np.ndarray, "view layer"], Float[np.ndarray, "resample view layer"]]:
    """Return the correlation over all word pairs of all sentences, and that of every resample."""
    filled = np.nan_to_num(sums, nan=0.0)
    return correlation(filled.sum(0)), correlation(resampler.sums(filled))


def plan_correlation(sums: Sums, views: Sequence[str], resampler: Resampler, rule: IntervalRule) -> pd.DataFrame:
    """Return how attention and the transport plan correlate (Figure 9), by control, view and layer.

    `value`, `low`, `high`: over all word pairs of the corpus at once, as the paper. `sentence_mean`,
    `sentence_low`, `sentence_high`: the mean of every sentence's own correlation; `n_undefined` sentences
    have none, since a side is constant.
    """
    frames = []
    for control, values in sums.items():
        axes = {"view": views, "layer": range(1, values.shape[2] + 1)}
        n_pairs = (~np.isnan(values[..., 0])).sum(0)
        pooled = resampler.estimate(*pooled_correlation(values, resampler), n_pairs, rule)
        mean = resampler.estimate_mean(correlation(values), rule)
        frame = to_frame(pooled, axes, control=control)
        frame["sentence_mean"], frame["sentence_low"], frame["sentence_high"] = map(np.ravel, mean[:3])
        frame["n_undefined"] = frame["n_pairs"] - np.ravel(mean.n_pairs)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)
