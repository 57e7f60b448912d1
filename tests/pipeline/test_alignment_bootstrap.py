"""Intervals: coverage, pairing, laws of resampling."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from pipeline.alignment.bootstrap import IntervalRule, Resampler, difference_p
from pipeline.conventions import CORRECTED, NOTEBOOK, PAPER

PERCENTILE = IntervalRule("percentile", 0.9)


def test_rules_of_the_conventions():
    assert IntervalRule.of(CORRECTED, 0.95) == IntervalRule("percentile", 0.95)
    assert IntervalRule.of(PAPER, 0.95) == IntervalRule("percentile", 0.8)
    notebook = IntervalRule.of(NOTEBOOK, 0.95)
    assert (notebook.kind, notebook.z) == ("normal", 1.282)
    assert notebook.level == pytest.approx(2 * norm.cdf(1.282) - 1, abs=1e-4)
    assert notebook.describe() == "normal, z = 1.282 (80%), over sentences"
    assert PERCENTILE.describe() == "percentile bootstrap over sentences, 0.9"


def test_every_resample_has_as_many_sentences_and_follows_from_the_seed():
    draws = Resampler(30, resamples=300, seed=1)
    np.testing.assert_array_equal(draws.counts.sum(1), 30)
    np.testing.assert_array_equal(draws.counts, Resampler(30, resamples=300, seed=1).counts)
    assert (draws.counts != Resampler(30, resamples=300, seed=2).counts).any()
    np.testing.assert_allclose(draws.counts.mean(0), 1, atol=0.25)


def test_matrix_algebra_equals_drawing_sentences(rng):
    values = rng.random((12, 2, 3))
    draws = Resampler(12, resamples=600, seed=0)
    for row in (0, 255, 256, 599):
        chosen = np.repeat(np.arange(12), draws.counts[row])
        np.testing.assert_allclose(draws.means(values)[row], values[chosen].mean(0))
        np.testing.assert_allclose(draws.sums(values)[row], values[chosen].sum(0))


def test_coverage_of_a_known_mean():
    """90 % intervals of the mean of 60 exponential draws hold the true mean, 1, in about 88 %."""
    rng = np.random.default_rng(5)
    values = rng.exponential(size=(60, 1500))
    estimate = Resampler(60, resamples=1500, seed=3).estimate_mean(values, PERCENTILE)
    covered = ((estimate.low <= 1) & (estimate.high >= 1)).mean()
    assert 0.85 < covered < 0.92
    normal = IntervalRule("normal", 0.9, float(norm.ppf(0.95)))
    estimate = Resampler(60, resamples=1500, seed=3).estimate_mean(values, normal)
    assert 0.85 < ((estimate.low <= 1) & (estimate.high >= 1)).mean() < 0.92


def test_normal_interval_is_z_standard_errors(rng):
    values = rng.normal(size=(400, 1))
    estimate = Resampler(400, resamples=4000, seed=1).estimate_mean(values, IntervalRule.of(NOTEBOOK, 0.5))
    half = 1.282 * values.std() / np.sqrt(400)
    np.testing.assert_allclose(estimate.high - estimate.value, half, rtol=0.05)
    np.testing.assert_allclose(estimate.value - estimate.low, half, rtol=0.05)


def test_paired_differences_see_through_what_sentences_share(rng):
    """Two scores of the same sentences, 0.02 apart: their intervals overlap, the difference is far from 0."""
    hard = rng.normal(0, 1, 300)
    one, other = hard + 0.02 + rng.normal(0, 0.01, 300), hard + rng.normal(0, 0.01, 300)
    draws = Resampler(300, resamples=1000, seed=0)
    apart = draws.estimate_mean(np.stack([one, other], axis=1), PERCENTILE)
    paired = draws.estimate_mean((one - other)[:, None], PERCENTILE)
    assert apart.low[0] < apart.high[1]
    assert 0 < paired.low[0] <= paired.value[0] <= paired.high[0] < 0.03
    np.testing.assert_allclose(draws.means(one) - draws.means(other), draws.means(one - other), atol=1e-12)


def test_sentences_without_a_value_are_left_out():
    values = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])
    estimate = Resampler(3, resamples=500, seed=0).estimate_mean(values, PERCENTILE)
    assert estimate.value[0] == 2
    assert estimate.n_pairs.tolist() == [2, 0]
    assert 1 <= estimate.low[0] < 2 < estimate.high[0] <= 3
    assert np.isnan([estimate.value[1], estimate.low[1], estimate.high[1], estimate.error[1]]).all()


@given(st.floats(-1e3, 1e3), st.integers(1, 5))
def test_a_constant_has_an_interval_without_width(value, n_pairs):
    estimate = Resampler(n_pairs, resamples=20, seed=0).estimate_mean(np.full((n_pairs, 1), value), PERCENTILE)
    np.testing.assert_allclose([estimate.low[0], estimate.high[0]], estimate.value[0], rtol=1e-12, atol=1e-12)


def test_p_values_of_differences(rng):
    same = np.zeros((50, 1))
    clear = rng.normal(0.5, 1, (50, 1))
    nothing = np.full((50, 1), np.nan)
    estimate = Resampler(50, resamples=4000, seed=0).estimate_mean(np.hstack([same, clear, nothing]), PERCENTILE)
    p = difference_p(estimate)
    assert p[0] == 1
    z = clear.mean() / (clear.std() / np.sqrt(50))
    assert p[1] == pytest.approx(2 * norm.sf(abs(z)), rel=0.3)
    assert np.isnan(p[2])
