"""Exact sums: the same bits in any order and company, and the means and intervals of all values at once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alignment.bootstrap import IntervalRule
from pipeline.alignment.halves import HashedResampler
from pipeline.alignment.tally import SCALE, Halves, Tally
from pipeline.errors import PipelineError

RULE = IntervalRule("percentile", 0.9)


def values(n_pairs, seed=0):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n_pairs, 2, 3)) * 10.0 ** rng.integers(-6, 2, (n_pairs, 2, 3))
    scores[rng.random(scores.shape) < 0.2] = np.nan
    scores[:, 1, 2] = np.nan  # known of none
    return {"score": scores, "whole": rng.random((n_pairs, 4)), "one": rng.random((n_pairs, 1))}


def tally_of(rows, of, resamples=40):
    out = Tally(resamples=resamples, seed=3)
    out.add([7 * int(row) for row in rows], {name: array[rows] for name, array in of.items()})
    return out


def bits(tally):
    header, arrays = tally.state()
    return header, {name: array.tobytes() for name, array in arrays.items()}


@given(st.permutations(list(range(12))), st.lists(st.integers(0, 12), max_size=4))
def test_order_shards_and_merging_change_no_bit(order, cuts):
    of = values(12)
    whole = tally_of(np.arange(12), of)
    parts = [np.array(part, dtype=int) for part in np.split(np.array(order), sorted(cuts))]
    merged = Tally(resamples=40, seed=3)
    for part in parts:
        merged = merged.merge(tally_of(part, of))
    assert bits(merged) == bits(whole)


def test_means_and_intervals_are_those_of_all_values_at_once():
    of, ids = values(80), [7 * row for row in range(80)]
    tally = tally_of(np.arange(80), of, resamples=300)
    for name, array in of.items():
        wanted = HashedResampler(ids, resamples=300, seed=3).estimate_mean(array, RULE)
        for own, other in zip(tally.estimate(name, RULE), wanted, strict=True):
            np.testing.assert_allclose(own, other, rtol=0, atol=0.51 / SCALE)
        np.testing.assert_array_equal(tally.count(name), (~np.isnan(array)).sum(0))
    assert np.isnan(tally.mean("score")[1, 2]) and tally.n_pairs == 80


def test_large_values_are_added_in_steps_that_stay_exact():
    array = np.full((3000, 1), 60_000.0) + np.arange(3000)[:, None] / 2**10
    tally = tally_of(np.arange(3000), {"large": array}, resamples=2)
    assert tally.total("large")[0] == 3000 * 60_000 + 2999 * 1500 / 2**10


def test_both_halves_together_are_all():
    of, first = values(30), np.arange(30) % 3 == 0
    halves = Halves.empty(resamples=40, seed=3)
    halves.add([7 * row for row in range(30)], first, of)
    assert bits(halves.all) == bits(tally_of(np.arange(30), of))
    assert (halves.chooses.n_pairs, halves.judges.n_pairs) == (10, 20)
    one = Halves.empty(resamples=2, seed=3)
    one.add([1], np.array([False]), {"score": np.ones((1, 2))})
    assert one.chooses is one.judges is one.second


def test_a_tally_is_restored_from_its_state():
    tally = tally_of(np.arange(5), values(5))
    assert bits(Tally.restored(*tally.state())) == bits(tally)


def test_what_cannot_be_added_is_refused():
    tally = tally_of(np.arange(5), values(5))
    with pytest.raises(PipelineError, match=r"other: must have 40 resamples of seed 3, but has 2 of seed 3; add both"):
        tally.merge(Tally(resamples=2, seed=3))
    with pytest.raises(PipelineError, match=r"values: names and shapes must be those of the pairs before, but one is"):
        tally.add([99], {name: array[:1] for name, array in values(1).items() if name != "one"})
    with pytest.raises(PipelineError, match=r"name: must be one of score, whole, one, but it is 'none'; choose one"):
        tally.mean("none")
    with pytest.raises(PipelineError, match=r"each below 104858, but it does not after 0 pairs; add up fewer"):
        Tally(resamples=0, seed=0).add([1], {"huge": np.full((1, 1), 1e6)})
    full = Tally(resamples=0, seed=0)
    with pytest.raises(PipelineError, match=r"their sum must stay below 1\.1e\+09 and each below"):
        full.add(list(range(20_000)), {"large": np.full((20_000, 1), 1e5)})
