"""The tables of claims 1 and 2: pointing and mass beside their floors, differences with p-values, and the trend."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from pipeline.alignment.bootstrap import IntervalRule, Resampler, difference_p
from pipeline.alignment.curves import to_frame
from pipeline.alignment.finding import Found
from pipeline.alignment.trend import layer_ranges, trend
from pipeline.columns import TRANSLATOR

FLOOR = {"pointing": "position", "pointing_content": "position", "row_mass": "position_matched"}
"""The floor of each score: what a score is said to be above, and what is taken off it."""
ByControl = Mapping[str, Float[np.ndarray, "pair view layer"]]


class Half(NamedTuple):
    """Some of the pairs, and how they are resampled.

    Attributes
    ----------
    name : {"all", "second"}
        Whether a layer may have been chosen on them (all), or not (second).
    rows : int array, shape (pair,)
        Their places.
    resampler : Resampler
        Of those pairs in that order.
    """

    name: str
    rows: Int[np.ndarray, " pair"]
    resampler: Resampler


def values_of(
    trained: Found,
    controls: Mapping[str, Found],
    best_width: Mapping[str, Float[np.ndarray, "pair view"]],
    as_controls: Sequence[str] = (),
) -> dict[tuple[str, str], dict[str, Float[np.ndarray, "pair view layer"]]]:
    """Return the values of the trained translator and of all its controls, by (links, score).

    Parameters
    ----------
    trained, controls : Found, mapping of name to Found
        On the same pairs; controls are other weights.
    best_width : mapping of links to float array, shape (pair, view)
        Mass of the position control whose one width was fitted for mass; for links that have it.
    as_controls : sequence of str
        Kinds of links that stand for nothing true (mispaired, shuffled_lexicon): a control of the dictionary's score.
    """
    n_layers = trained.pointing.shape[-1]

    def flat(values: np.ndarray) -> np.ndarray:
        return np.repeat(values[..., None], n_layers, axis=-1)

    out: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for k, kind in enumerate(trained.kinds):
        if kind in as_controls:
            continue
        own = {
            "pointing": {"trained": trained.pointing[k], "position": flat(trained.position[k])},
            "pointing_content": {"trained": trained.content[k], "position": flat(trained.position_content[k])},
            "row_mass": {
                "trained": trained.mass[k],
                "position_matched": trained.matched[k],
                "uniform": flat(trained.uniform[k]),
            },
        }
        if kind in best_width:
            own["row_mass"]["position_best_width"] = flat(best_width[kind])
        for name, found in controls.items():
            if kind in found.kinds:
                at = found.kinds.index(kind)
                parts = (("pointing", found.pointing), ("pointing_content", found.content), ("row_mass", found.mass))
                for score, values in parts:
                    own[score][name] = values[at]
        out |= {(kind, score): values for score, values in own.items()}
    for name in as_controls:
        at = trained.kinds.index(name)
        parts = (("pointing", trained.pointing), ("pointing_content", trained.content), ("row_mass", trained.mass))
        for score, values in parts:
            out["dictionary", score][name] = values[at]
    return out


def levels(
    values: Mapping[tuple[str, str], ByControl], views: Sequence[str], resampler: Resampler, rule: IntervalRule
) -> pd.DataFrame:
    """Return the mean over sentences of every score and control, by view and layer.

    `minus_floor` and `of_possible`, of the trained translator: the score less its floor (`FLOOR`), and that divided by
    1 less the floor, what is left to reach; both of the means over the sentences that have both.
    """
    frames = []
    for (links, score), own in values.items():
        axes = {"view": views, "layer": range(1, own["trained"].shape[2] + 1)}
        for control, found in own.items():
            frame = to_frame(resampler.estimate_mean(found, rule), axes, links=links, score=score, control=control)
            floor = _mean_of_both(own[FLOOR[score]], own["trained"]) if control == "trained" else np.nan
            above = _mean_of_both(own["trained"], own[FLOOR[score]]) - floor
            share = np.divide(above, 1 - floor, out=np.full(above.shape, np.nan), where=np.asarray(floor < 1))
            frames.append(frame.assign(minus_floor=np.ravel(above), of_possible=np.ravel(share)))
    return pd.concat(frames, ignore_index=True)[list(TRANSLATOR["pointing"])]


def _mean_of_both(own: np.ndarray, other: np.ndarray) -> np.ndarray:
    known = ~(np.isnan(own) | np.isnan(other))
    n_known = known.sum(0)
    total = np.where(known, own, 0.0).sum(0)
    return np.divide(total, n_known, out=np.full(total.shape, np.nan), where=n_known > 0)


def above(
    values: Mapping[tuple[str, str], ByControl], views: Sequence[str], halves: Sequence[Half], rule: IntervalRule
) -> pd.DataFrame:
    """Return trained minus control over the same sentences, with uncorrected two-sided p-values."""
    frames = []
    for half in halves:
        for (links, score), own in values.items():
            axes = {"view": views, "layer": range(1, own["trained"].shape[2] + 1)}
            for control, found in own.items():
                if control == "trained":
                    continue
                estimate = half.resampler.estimate_mean((own["trained"] - found)[half.rows], rule)
                frame = to_frame(estimate, axes, half=half.name, links=links, score=score, against=control)
                frames.append(frame.assign(p=np.ravel(difference_p(estimate))))
    return pd.concat(frames, ignore_index=True).rename(columns={"value": "difference"})[list(TRANSLATOR["above"])]


def best_pointing(
    pointing: Float[np.ndarray, "pair view layer"],
    first_half: Int[np.ndarray, " first"],
    half: Half,
    rule: IntervalRule,
) -> tuple[list[int], Float[np.ndarray, " view"]]:
    """Return the layer (from 1) with most pointing on half A by view, and its mean on the other half.

    A layer that cannot see all words of some pair (NaN throughout) is not chosen.
    """
    known = ~np.isnan(pointing[first_half])
    total = np.where(known, pointing[first_half], 0.0).sum(0)
    mean = np.divide(total, known.sum(0), out=np.full(total.shape, -np.inf), where=known.sum(0) > 0)
    chosen = mean.argmax(1)
    judged = half.resampler.estimate_mean(pointing[half.rows], rule).value
    return (chosen + 1).tolist(), judged[np.arange(len(chosen)), chosen]


def trends(
    pointing: Mapping[str, Float[np.ndarray, "pair view layer"]],
    views: Sequence[str],
    resamplers: Mapping[str, Resampler],
    rule: IntervalRule,
    *,
    joint: bool,
) -> pd.DataFrame:
    """Return the trend of pointing over layers by links, view and range of layers.

    A row `rank_correlation` (layer: the last one of the range; p: Page's test, twice the smaller of its two sides) and
    a row `step` for every layer but the first of a range (value: minus the layer before; p uncorrected). Nothing for a
    range of fewer than three layers or with fewer than two sentences that have all of them.
    """
    rows: list[tuple] = []
    for links, values in pointing.items():
        for v, view in enumerate(views):
            for name, (first, last) in layer_ranges(values.shape[2], joint=joint).items():
                part = values[:, v, first - 1 : last]
                if part.shape[1] < 3 or (~np.isnan(part).any(1)).sum() < 2:
                    continue
                found = trend(part, resamplers[links], rule)
                page = min(1.0, 2 * min(found.p_rises, found.p_falls))
                rows.append((links, view, name, "rank_correlation", last, *(x[0] for x in found.rho[:4]), page))
                for step, p in enumerate(found.p_steps):
                    ends = (x[step] for x in found.steps[:4])
                    rows.append((links, view, name, "step", first + step + 1, *ends, p))
    return pd.DataFrame(rows, columns=list(TRANSLATOR["trend"]))
