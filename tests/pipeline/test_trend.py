"""Trend over layers: Page's test, rank correlation, steps."""

import numpy as np
import pytest
from scipy.stats import page_trend_test, spearmanr

from pipeline.alignment.bootstrap import Estimate, IntervalRule
from pipeline.alignment.tally import Tally
from pipeline.alignment.trend import Trend, layer_ranges, rank_correlation, trend, trend_values
from pipeline.errors import PipelineError

RULE = IntervalRule("percentile", 0.95)


def _trend(scores):
    tally, layers = Tally(resamples=500, seed=1), (1, scores.shape[1])
    tally.add(range(len(scores)), trend_values(scores[:, None], {"all": layers}))  # one view
    found = trend(tally, "all", layers, RULE)
    return Trend(*(Estimate(*(x[0] for x in part)) if isinstance(part, Estimate) else part[0] for part in found))


def test_a_planted_rise_rises_and_turned_round_it_falls(rng):
    scores = rng.normal(size=(80, 6)) + 0.5 * np.arange(6)
    rise, fall = _trend(scores), _trend(scores[:, ::-1])
    assert rise.rho.low > 0.3 and fall.rho.high < -0.3
    assert rise.p_rises < 1e-10 < 0.99 < rise.p_falls
    assert fall.p_falls == pytest.approx(rise.p_rises) and fall.rho.value == pytest.approx(-rise.rho.value)
    np.testing.assert_allclose(rise.steps.value, np.diff(scores.mean(0)))


def test_pages_test_from_sums_of_ranks_is_scipys(rng):
    scores = rng.integers(0, 5, (30, 5)) + 0.3 * np.arange(5)
    found = _trend(scores)
    for own, part in ((found.p_rises, scores), (found.p_falls, scores[:, ::-1])):
        assert float(own) == pytest.approx(page_trend_test(part, method="asymptotic").pvalue, rel=1e-9)


def test_noise_has_no_trend():
    p_values = [_trend(np.random.default_rng(seed).normal(size=(30, 5))).p_rises for seed in range(60)]
    assert 0 <= (np.array(p_values) < 0.05).mean() < 0.15


def test_rank_correlation_is_scipys_with_ties_and_zero_where_all_tie(rng):
    scores = rng.integers(0, 4, (20, 7)).astype(float)
    wanted = [spearmanr(row, np.arange(7)).statistic for row in scores]
    np.testing.assert_allclose(rank_correlation(scores), wanted)
    assert rank_correlation(np.ones((1, 4))).tolist() == [0]
    assert np.isnan(rank_correlation(np.array([[1.0, np.nan, 2.0]]))).all()


def test_a_step_that_falls_within_a_rise_is_seen(rng):
    means = np.array([0.1, 0.3, 0.5, 0.35, 0.6])
    found = _trend(means + rng.normal(0, 0.1, (100, 5)))
    assert found.p_rises < 1e-6
    assert ((found.steps.high < 0) & (found.p_steps < 0.05)).tolist() == [False, False, True, False]
    assert ((found.steps.low > 0) & (found.p_steps < 0.05)).tolist() == [True, True, False, True]


def test_pairs_without_a_score_are_left_out(rng):
    scores = rng.normal(size=(40, 4)) + np.arange(4)
    with_gap = np.concatenate([scores, np.full((1, 4), np.nan)])
    assert _trend(with_gap).p_rises == _trend(scores).p_rises
    assert _trend(with_gap).rho.n_pairs == 40


def test_ranges_are_the_papers_for_joint_encoders_of_twelve_layers():
    assert layer_ranges(12, joint=True) == {"all": (1, 12), "1-5": (1, 5), "7-12": (7, 12)}
    assert layer_ranges(12, joint=False) == {"all": (1, 12)}
    assert layer_ranges(6, joint=True) == {"all": (1, 6)}


def test_two_layers_are_no_trend():
    with pytest.raises(PipelineError, match=r"scores: a trend needs at least 3 layers .* are 2 and 9; compare two"):
        _trend(np.zeros((9, 2)))
