"""How far the numbers of two runs lie apart, sentence by sentence where both read the same ones."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.alignment.bootstrap import IntervalRule
from pipeline.alignment.halves import HashedResampler
from pipeline.claims import FEWEST
from pipeline.compare.sides import Side

RESAMPLES = 2000
LEVEL = 0.95
SEED = 2026
SCORE = "mean_mass"
"""Of the scores of every pair, the one that no length of a sentence moves."""
Place = tuple[str, ...]


class Value(NamedTuple):
    """A number with the ends of its interval; the ends are NaN where it has none."""

    value: float
    low: float = math.nan
    high: float = math.nan


class Row(NamedTuple):
    """A number of either run and B - A; None where a run lacks it."""

    a: Value | None
    b: Value | None
    difference: Value | None


class Compared(NamedTuple):
    """Rows by place (links, view, layer), and how their differences were made, in words."""

    rows: Mapping[Place, Row]
    how: str


def unpaired(a: Value, b: Value) -> Value:
    """Return b - a with an interval out of those of a and b, taken as independent (Zou and Donner 2008, MOVER).

    Examples
    --------
    >>> unpaired(Value(1.0, 0.7, 1.3), Value(2.0, 1.6, 2.4))
    Value(value=1.0, low=0.5, high=1.5)
    """
    apart = b.value - a.value
    return Value(
        apart,
        apart - math.hypot(b.value - b.low, a.high - a.value),
        apart + math.hypot(b.high - b.value, a.value - a.low),
    )


def side_by_side(a: Mapping[Place, Value], b: Mapping[Place, Value]) -> dict[Place, Row]:
    """Return a row a place of either run, those of A first; differences are unpaired."""
    return {
        place: Row(a.get(place), b.get(place), unpaired(a[place], b[place]) if place in a and place in b else None)
        for place in dict.fromkeys([*a, *b])
    }


def pointing(a: Side, b: Side, translator: str) -> Compared:
    """Return pointing of the trained model by links, view and layer."""
    one, other = (_values(side, translator, "pointing.csv", "pointing") for side in (a, b))
    how = "unpaired, from the intervals of either run: pointing is not kept by sentence"
    if a.text_digest is not None and a.text_digest == b.text_digest:
        how += ", so the intervals are wider than those over the same sentences would be"
    return Compared(side_by_side(one, other), how)


def scores(a: Side, b: Side, translator: str) -> Compared:
    """Return the mean mass on a link by view and layer; paired where both runs kept scores of the same sentences."""
    why = _why_unpaired(a, b, translator)
    if not why:
        return _paired(a, b, translator)
    one, other = (_values(side, translator, "curves.csv", SCORE) for side in (a, b))
    return Compared(side_by_side(one, other), f"unpaired, from the intervals of either run: {why}")


def _values(side: Side, translator: str, name: str, score: str) -> dict[Place, Value]:
    """Return a score of the trained model by links (where the table names them), view and layer."""
    before = ["links"] if name == "pointing.csv" else []
    table = side.table(translator, name, [*before, "view", "layer", "control", "score", "value", "low", "high"])
    own = table[(table["control"] == "trained") & (table["score"] == score)]
    places = own[[*before, "view", "layer"]].astype(str).itertuples(index=False, name=None)
    ends = own[["value", "low", "high"]].itertuples(index=False, name=None)
    return {place: Value(*map(float, end)) for place, end in zip(places, ends, strict=True)}


def _why_unpaired(a: Side, b: Side, translator: str) -> str:
    """Return why sentences cannot be paired, empty where they can."""
    for name, side in (("A", a), ("B", b)):
        if side.scores_of(translator) is None:
            return f"{name} has no data/scores/{translator}.parquet beside it"
    if a.text_digest is None or a.text_digest != b.text_digest:
        return "the runs read other sentences (sha256_text of corpus.json)"
    one, other = (set(_by_pair(side, translator).index) for side in (a, b))
    if len(one & other) < FEWEST:
        return f"the runs share {len(one & other)} sentences, at least {FEWEST} are needed"
    return ""


def _by_pair(side: Side, translator: str) -> pd.DataFrame:
    """Return the score with a row a pair and a column a view and layer, in the order of the file."""
    table = side.scores_of(translator)
    assert table is not None
    places = list(dict.fromkeys(table[["view", "layer"]].itertuples(index=False, name=None)))
    return table.pivot(index="pair_id", columns=["view", "layer"], values=SCORE)[places]


def _paired(a: Side, b: Side, translator: str) -> Compared:
    one, other = _by_pair(a, translator), _by_pair(b, translator)
    shared = one.index.intersection(other.index).sort_values()
    places = list(dict.fromkeys([*one.columns, *other.columns]))
    # A view or layer that one run lacks is NaN in every pair of it.
    left, right = (table.reindex(index=shared, columns=places).to_numpy(np.float64) for table in (one, other))
    draws = HashedResampler(shared.tolist(), resamples=RESAMPLES, seed=SEED)
    rule = IntervalRule("percentile", LEVEL)
    columns = [draws.estimate_mean(values, rule) for values in (left, right, right - left)]
    rows = {
        tuple(map(str, place)): Row(*(_known(*(float(part[at]) for part in column[:3])) for column in columns))
        for at, place in enumerate(places)
    }
    alone = len(one) + len(other) - 2 * len(shared)
    how = f"paired over {len(shared)} sentences ({alone} are in one run only), {RESAMPLES} resamples, level {LEVEL:g}"
    return Compared(rows, how)


def _known(value: float, low: float, high: float) -> Value | None:
    return None if math.isnan(value) else Value(value, low, high)
