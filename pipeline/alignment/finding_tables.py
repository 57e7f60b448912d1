"""The tables of claims 1 and 2: pointing and mass beside their floors, differences with p-values, and the trend."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from pipeline.alignment.bootstrap import Estimate, IntervalRule, difference_p
from pipeline.alignment.curves import to_frame
from pipeline.alignment.finding import Found
from pipeline.alignment.tally import Halves, Tally
from pipeline.alignment.trend import FEWEST_PAIRS, Layers, trend, trend_values
from pipeline.columns import TRANSLATOR

FLOOR = {"pointing": "position", "pointing_content": "position", "row_mass": "position_matched"}
"""The floor of each score: what a score is said to be above, and what is taken off it."""
ByControl = Mapping[str, Float[np.ndarray, "pair view layer"]]


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


def finding_values(
    values: Mapping[tuple[str, str], ByControl], pointing: Mapping[str, np.ndarray], ranges: Mapping[str, Layers]
) -> dict[str, Float[np.ndarray, "pair *_lead"]]:
    """Return what each pair adds to `levels`, `above` and `trends`, by name.

    Parameters
    ----------
    values : mapping of (links, score) to arrays by control
        From `values_of`.
    pointing : mapping of links to float array, shape (pair, view, layer)
        Whose trend is asked for.
    ranges : mapping of str to (first, last)
        Of its layers.
    """
    out: dict[str, np.ndarray] = {}
    for (links, score), own in values.items():
        trained, floor = own["trained"], own[FLOOR[score]]
        out |= {f"level/{links}/{score}/{control}": found for control, found in own.items()}
        out |= {
            f"above/{links}/{score}/{control}": trained - found
            for control, found in own.items()
            if control != "trained"
        }
        # The floor of the sentences that have both: what is left above it is a share of 1 less this.
        out[f"floor/{links}/{score}"] = np.where(np.isnan(trained), np.nan, floor)
    for links, found in pointing.items():
        out |= {f"trend/{links}/{name}": part for name, part in trend_values(found, ranges).items()}
    return out


def levels(tally: Tally, views: Sequence[str], rule: IntervalRule) -> pd.DataFrame:
    """Return the mean over sentences of every score and control, by view and layer.

    `minus_floor` and `of_possible`, of the trained translator: the score less its floor (`FLOOR`), and that divided by
    1 less the floor, what is left to reach; both of the means over the sentences that have both.
    """
    frames = []
    for links, score, control in _named(tally, "level"):
        estimate = tally.estimate(f"level/{links}/{score}/{control}", rule)
        above = share = np.full(estimate.value.shape, np.nan)
        if control == "trained":
            above = tally.mean(f"above/{links}/{score}/{FLOOR[score]}")
            left = 1 - tally.mean(f"floor/{links}/{score}")
            share = np.divide(above, left, out=share, where=np.asarray(left > 0))
        frame = to_frame(estimate, _axes(estimate, views), links=links, score=score, control=control)
        frames.append(frame.assign(minus_floor=np.ravel(above), of_possible=np.ravel(share)))
    return pd.concat(frames, ignore_index=True)[list(TRANSLATOR["pointing"])]


def above(halves: Halves, views: Sequence[str], rule: IntervalRule) -> pd.DataFrame:
    """Return trained minus control over the same sentences, with uncorrected two-sided p-values."""
    frames = []
    for half, tally in (("all", halves.all), ("second", halves.judges)):
        for links, score, control in _named(tally, "above"):
            estimate = tally.estimate(f"above/{links}/{score}/{control}", rule)
            frame = to_frame(estimate, _axes(estimate, views), half=half, links=links, score=score, against=control)
            frames.append(frame.assign(p=np.ravel(difference_p(estimate))))
    return pd.concat(frames, ignore_index=True).rename(columns={"value": "difference"})[list(TRANSLATOR["above"])]


def _named(tally: Tally, kind: str) -> list[list[str]]:
    return [name.split("/")[1:] for name in tally.names if name.startswith(f"{kind}/")]


def _axes(estimate: Estimate, views: Sequence[str]) -> dict[str, Sequence]:
    return {"view": views, "layer": range(1, estimate.value.shape[1] + 1)}


def best_pointing(halves: Halves) -> tuple[list[int], Float[np.ndarray, " view"]]:
    """Return the layer (from 1) with most pointing on half A by view, and its mean on the other half.

    A layer that cannot see all words of some pair (NaN throughout) is not chosen.
    """
    name = "level/dictionary/pointing/trained"
    mean = halves.chooses.mean(name)
    chosen = np.where(np.isnan(mean), -np.inf, mean).argmax(1)
    return (chosen + 1).tolist(), halves.judges.mean(name)[np.arange(len(chosen)), chosen]


def trends(
    tallies: Mapping[str, Tally], views: Sequence[str], ranges: Mapping[str, Layers], rule: IntervalRule
) -> pd.DataFrame:
    """Return the trend of pointing over layers by links, view and range of layers.

    A row `rank_correlation` (layer: the last one of the range; p: Page's test, twice the smaller of its two sides) and
    a row `step` for every layer but the first of a range (value: minus the layer before; p uncorrected). Nothing for a
    range of fewer than three layers or with fewer than two sentences that have all of them.
    """
    found = {
        (links, name): trend(tally, name, layers, rule, of=f"trend/{links}/")
        for links, tally in tallies.items()
        for name, layers in ranges.items()
        if f"trend/{links}/rho/{name}" in tally and tally.count(f"trend/{links}/rho/{name}").max() >= FEWEST_PAIRS
    }
    rows: list[tuple] = []
    for links in tallies:
        for v, view in enumerate(views):
            for name, (first, last) in ranges.items():
                if (links, name) not in found or found[links, name].rho.n_pairs[v] < FEWEST_PAIRS:
                    continue
                own = found[links, name]
                page = min(1.0, 2 * min(float(own.p_rises[v]), float(own.p_falls[v])))
                rows.append((links, view, name, "rank_correlation", last, *(x[v] for x in own.rho[:4]), page))
                for step, p in enumerate(own.p_steps[v]):
                    ends = (x[v, step] for x in own.steps[:4])
                    rows.append((links, view, name, "step", first + step + 1, *ends, p))
    return pd.DataFrame(rows, columns=list(TRANSLATOR["trend"]))
