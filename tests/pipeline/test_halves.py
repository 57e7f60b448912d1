"""Halves and resamples by hash: nothing depends on order, company or platform."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson

from pipeline.alignment.bootstrap import IntervalRule, difference_p
from pipeline.alignment.halves import (
    HashedResampler,
    bound_p,
    hashed_order,
    in_first_half,
    poisson_weights,
    split_in_halves,
)
from pipeline.errors import PipelineError

RULE = IntervalRule("percentile", 0.95)
HALF = [1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 1, 1]
WEIGHTS = [[1, 0, 1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 2, 3, 3]]
ORDER = [3, 4, 5, 2, 1, 0]
IDS = st.lists(st.integers(0, 10**9), min_size=4, max_size=40, unique=True)


def test_bits_are_these_on_every_platform():
    assert in_first_half(range(12), 2026).astype(int).tolist() == HALF
    assert poisson_weights([0, 7], resamples=8, seed=2026).T.tolist() == WEIGHTS
    assert hashed_order(range(6), 2026).tolist() == ORDER


@given(ids=IDS, seed=st.integers(0, 99))
def test_order_and_company_move_no_pair(ids, seed):
    whole, part = in_first_half(ids, seed), in_first_half(ids[::-2], seed)
    np.testing.assert_array_equal(whole[::-2], part)
    weights = poisson_weights(ids, resamples=20, seed=seed)
    np.testing.assert_array_equal(weights[:5, ::-2], poisson_weights(ids[::-2], resamples=5, seed=seed))
    order = [ids[i] for i in hashed_order(ids, seed)]
    kept = [ids[::-1][i] for i in hashed_order(ids[::-1], seed)]
    assert order == kept
    assert [i for i in order if i in ids[2:]] == [ids[2:][i] for i in hashed_order(ids[2:], seed)]


def test_halves_are_a_partition_in_the_order_of_hashes():
    ids = list(range(100, 600))
    first, second = split_in_halves(ids, 1)
    assert sorted([*first, *second]) == list(range(500))
    assert 200 < len(first) < 300
    assert in_first_half(ids, 1)[first].all() and not in_first_half(ids, 1)[second].any()
    assert set(split_in_halves(ids, 2)[0]) != set(first)
    assert first.tolist() != sorted(first)


def test_weights_are_poisson_and_independent():
    weights = poisson_weights(range(400), resamples=500, seed=3)
    counts = np.bincount(weights.ravel(), minlength=8)[:8] / weights.size
    np.testing.assert_allclose(counts, poisson.pmf(np.arange(8), 1), atol=3e-3)
    assert np.abs(np.corrcoef(weights[:, :50].T)[np.triu_indices(50, 1)]).max() < 0.25
    assert (weights != poisson_weights(range(400), resamples=500, seed=4)).any()


def test_sums_over_shards_add_up(rng):
    values = rng.normal(size=(60, 2, 3))
    whole = HashedResampler(range(60), resamples=300, seed=5)
    shards = [HashedResampler(part, resamples=300, seed=5) for part in (range(25), range(25, 60))]
    parts = [shard.sums(values[rows]) for shard, rows in zip(shards, (slice(25), slice(25, 60)), strict=True)]
    np.testing.assert_allclose(whole.sums(values), parts[0] + parts[1])
    np.testing.assert_array_equal(whole.take(np.arange(25)).counts, shards[0].counts)


def test_means_and_ratios_divide_by_what_was_drawn(rng):
    values = rng.normal(size=(9, 2))
    values[0, 0] = values[4, 1] = np.nan
    draws = HashedResampler(range(9), resamples=300, seed=6)
    for row in (0, 255, 299):
        chosen = np.repeat(values, draws.counts[row], axis=0)
        np.testing.assert_allclose(draws.means(values)[row], np.nanmean(chosen, axis=0))
    known = np.nan_to_num(values)
    np.testing.assert_allclose(draws.means(known)[7], np.repeat(known, draws.counts[7], axis=0).mean(0))
    lengths = rng.integers(1, 9, (9, 2)).astype(float)
    chosen = np.repeat(np.arange(9), draws.counts[11])
    np.testing.assert_allclose(draws.ratios(known, lengths)[11], known[chosen].sum(0) / lengths[chosen].sum(0))


def test_a_resample_without_pairs_has_no_mean():
    draws = HashedResampler([1], resamples=50, seed=0)
    means = draws.means(np.array([[2.0]]))
    np.testing.assert_array_equal(np.isnan(means[:, 0]), draws.counts[:, 0] == 0)
    assert np.nanmin(means) == np.nanmax(means) == 2


def test_coverage_of_a_known_mean():
    """95 % intervals of the mean of 80 exponential draws hold the true mean, 1, in about 93 %."""
    values = np.random.default_rng(7).exponential(size=(80, 1500))
    estimate = HashedResampler(range(80), resamples=1000, seed=8).estimate_mean(values, RULE)
    assert 0.90 < ((estimate.low <= 1) & (estimate.high >= 1)).mean() < 0.97


def test_paired_differences_see_through_what_pairs_share(rng):
    hard = rng.normal(0, 1, 300)
    one, other = hard + 0.02 + rng.normal(0, 0.01, 300), hard + rng.normal(0, 0.01, 300)
    estimate = HashedResampler(range(300), resamples=500, seed=0).estimate_mean((one - other)[:, None], RULE)
    assert 0 < estimate.low[0] < 0.02 < estimate.high[0] < 0.03


def test_p_of_a_bound_is_that_of_the_shifted_difference(rng):
    values = rng.normal(0.05, 0.1, (200, 1))
    draws = HashedResampler(range(200), resamples=500, seed=1)
    shifted = difference_p(draws.estimate_mean(values + 0.002, RULE))
    np.testing.assert_allclose(bound_p(draws.estimate_mean(values, RULE), -0.002), shifted)


def test_a_pair_that_is_there_twice_is_refused():
    for call in (lambda: in_first_half([3, 4, 3], 0), lambda: poisson_weights([3, 3], resamples=2, seed=0)):
        with pytest.raises(PipelineError, match=r"pair_ids: each pair must be there once, but 3 is there twice; leave"):
            call()


def test_one_pair_has_no_halves():
    with pytest.raises(
        PipelineError, match=r"pair_ids: each half needs a pair, but all 1 fall into one with seed 0; give"
    ):
        split_in_halves([5], 0)
