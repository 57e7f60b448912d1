"""Plans between words: against exact solvers, in closed form, and by laws."""

from itertools import permutations

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.alignment.transport import (
    correlation,
    correlation_sums,
    level_of,
    match_links,
    plan_for_view,
    word_plan,
)
from pipeline.conventions import SRC_TO_TGT, TGT_TO_SRC


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (4, 3), (6, 6), (7, 12)])
def test_word_plans_are_the_cheapest_with_uniform_margins(shape, rng):
    cost = rng.random(shape).astype(np.float32)
    plan = word_plan(cost)
    np.testing.assert_allclose(plan.sum(1), 1 / shape[0], atol=1e-12)
    np.testing.assert_allclose(plan.sum(0), 1 / shape[1], atol=1e-12)
    best = ot.emd2(np.full(shape[0], 1 / shape[0]), np.full(shape[1], 1 / shape[1]), cost.astype(np.float64))
    assert (plan * cost).sum() == pytest.approx(best, abs=1e-9)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_swapping_sides_transposes_the_plan(n_src, n_tgt, seed):
    cost = np.random.default_rng(seed).random((n_src, n_tgt))
    np.testing.assert_allclose(word_plan(cost.T), word_plan(cost).T, atol=1e-12)


def test_plan_of_a_view_gives_each_word_that_looks_mass_one(rng):
    plan = word_plan(rng.random((3, 5)))
    np.testing.assert_allclose(plan_for_view(plan, TGT_TO_SRC).sum(1), 1)
    np.testing.assert_allclose(plan_for_view(plan, SRC_TO_TGT).sum(0), 1)


def test_matching_of_linked_words_by_hand(rng):
    links = np.array([[0, 1], [2, 0], [3, 2]])
    cost = np.full((2, 4, 3), 9.0)
    cost[:, links[:, 0], links[:, 1]] = [0.0, 1.0, 2.0]
    cost[1, 0, 0] = cost[1, 2, 1] = 0.1  # at level 1 the first two prefer each other's translation
    share, tied = match_links(cost, links, rng)
    np.testing.assert_allclose(share, [1, 1 / 3])
    assert not tied.any()


def test_words_that_are_not_linked_do_not_compete(rng):
    cost = np.full((1, 3, 3), 5.0)
    cost[0, 1] = 0.0  # source word 1 is near everything and has no link
    share, _ = match_links(cost, np.array([[0, 0]]), rng)
    assert share.tolist() == [1]


@given(st.integers(1, 5), st.integers(0, 2**32 - 1), st.integers(1, 4))
@settings(deadline=None)
def test_ties_are_exactly_the_costs_with_a_second_best_matching(n_links, seed, n_values):
    """Costs of few values, so that ties are common: compared with all permutations."""
    cost = np.random.default_rng(seed).integers(0, n_values, (2, n_links, n_links)).astype(np.float64)
    links = np.stack([np.arange(n_links)] * 2, axis=1)
    _, tied = match_links(cost, links, np.random.default_rng(0))
    for level in range(2):
        totals = [cost[level, np.arange(n_links), list(p)].sum() for p in permutations(range(n_links))]
        assert tied[level] == (sum(np.isclose(totals, min(totals))) > 1)


def test_equal_costs_match_by_chance_and_not_by_order():
    links = np.stack([np.arange(4)] * 2, axis=1)
    drawn = [match_links(np.ones((1, 4, 4)), links, np.random.default_rng(seed)) for seed in range(600)]
    assert all(tied.all() for _, tied in drawn)
    assert np.mean([share for share, _ in drawn]) == pytest.approx(1 / 4, abs=0.04)


def test_correlation_from_sums_is_pearsons(rng):
    x, y = rng.random((2, 3, 4, 5))
    got = correlation(correlation_sums(x, y))
    for row in range(3):
        assert got[row] == pytest.approx(np.corrcoef(x[row].ravel(), y[row].ravel())[0, 1], abs=1e-12)
    pooled = correlation(correlation_sums(x, y).sum(0))
    assert pooled == pytest.approx(np.corrcoef(x.ravel(), y.ravel())[0, 1], abs=1e-12)


def test_sentences_of_different_sizes_pool(rng):
    pairs = [(rng.random(shape), rng.random(shape)) for shape in ((2, 3), (6, 5), (1, 1))]
    pooled = correlation(sum(correlation_sums(x, y) for x, y in pairs))
    x, y = (np.concatenate([pair[side].ravel() for pair in pairs]) for side in (0, 1))
    assert pooled == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-12)


def test_a_constant_has_no_correlation(rng):
    assert np.isnan(correlation(correlation_sums(np.full((3, 4), 0.1), rng.random((3, 4)))))
    assert np.isnan(correlation(correlation_sums(rng.random((1, 1)), rng.random((1, 1)))))


def test_a_layer_stands_beside_the_states_that_it_reads():
    assert [level_of(layer) for layer in (1, 6)] == [0, 5]
