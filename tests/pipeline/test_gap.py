"""Gap and partial correlation: closed forms and planted truths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alignment.gap import gap, link_rows, partial_correlations, permuted_rows
from pipeline.alignment.planlike import PLAN, SIMILARITY, SOFTMAX, UNIFORM_PLAN, Parameters, model_rows
from pipeline.alignment.transport import word_plan
from tests.pipeline.evidence_factory import cost_layer


def test_gap_of_all_on_one_word_of_uniform_and_of_a_plan():
    words = np.ones((1, 3, 4), dtype=bool)
    on_one = np.zeros((1, 3, 4))
    on_one[..., 2] = 1
    assert gap(on_one, words) == pytest.approx([1 - 1 / 4])
    assert gap(np.full((1, 3, 4), 0.25), words) == pytest.approx([0], abs=1e-12)
    layer = cost_layer(4, seed=1, pad=2)
    plan = model_rows(UNIFORM_PLAN, layer, Parameters(0.3)).rows
    np.testing.assert_allclose(gap(plan, layer.words), 0, atol=1e-7)
    assert (gap(model_rows(SOFTMAX, layer, Parameters(0.3)).rows, layer.words) > 0.1).all()


@given(seed=st.integers(0, 1000))
def test_gap_is_bounded_and_batches_equal_loops(seed):
    layer = cost_layer(4, seed=seed, pad=1)
    weighted = PLAN._replace(position=True)
    rows = model_rows(weighted, layer, Parameters(0.5, 0.8, 0.3)).rows
    found = gap(np.stack([rows, layer.rows], axis=1), layer.words)
    assert ((found >= -1e-12) & (found < 1)).all()
    for pair in range(4):
        m, n = layer.words[pair].any(1).sum(), layer.words[pair].any(0).sum()
        share = rows[pair, :m, :n].mean(0)
        assert found[pair, 0] == pytest.approx(0.5 * np.abs(share - 1 / n).sum())


def test_permuted_rows_keep_their_entries_and_lose_what_columns_share():
    layer = cost_layer(30, seed=2, pad=1)
    rows = model_rows(SIMILARITY, layer, Parameters(3.0, 2.0)).rows
    mixed = permuted_rows(rows, layer.words, np.random.default_rng(0))
    np.testing.assert_allclose(np.sort(mixed), np.sort(rows))
    assert not mixed[~layer.words].any()
    assert gap(mixed, layer.words).mean() < 0.7 * gap(rows, layer.words).mean()


def test_rows_of_links_are_spread_over_links_and_else_over_words():
    linked = np.array([[[True, False, True], [False] * 3, [False] * 3]])
    words = np.array([[[True] * 3, [True] * 3, [False] * 3]])
    np.testing.assert_allclose(link_rows(linked, words), [[[0.5, 0, 0.5], [1 / 3] * 3, [0] * 3]])


def test_partial_correlation_sees_the_plan_beyond_and_nothing_where_there_is_nothing():
    layer = cost_layer(40, seed=3, low=7, high=9)
    similarity = model_rows(SIMILARITY, layer, Parameters(0.8, 0.3)).rows
    noise = np.where(layer.words, 0.03 * np.random.default_rng(1).random(layer.rows.shape), 0)
    plans = np.zeros_like(layer.rows)
    for pair, (cost, words) in enumerate(zip(layer.cost, layer.words, strict=True)):
        m, n = words.any(1).sum(), words.any(0).sum()
        masses = word_plan(np.ascontiguousarray(cost[:m, :n]))
        plans[pair, :m, :n] = masses / masses.sum(1, keepdims=True)
    of_plan, of_similarity = (
        np.nanmean(partial_correlations(layer._replace(rows=rows + noise), similarity), axis=0)
        for rows in (plans, similarity)
    )
    assert (of_plan > 0.9).all()
    # Attention that is a similarity correlates with the plan until the similarity is taken out.
    assert of_similarity[0] > 0.4 and abs(of_similarity[2]) < 0.05


def test_partial_correlation_is_that_of_residuals_written_out():
    layer = cost_layer(1, seed=5, low=6, high=6)
    rows = model_rows(SOFTMAX, layer, Parameters(0.7)).rows
    found = partial_correlations(layer._replace(rows=rows), layer.rows)[0]
    apart = layer.distance[0].ravel()
    terms = np.stack([np.ones(36), apart, apart**2], axis=1)
    hat = np.eye(36) - terms @ np.linalg.pinv(terms)
    wanted = np.corrcoef(hat @ rows[0].ravel(), hat @ word_plan(layer.cost[0]).ravel())[0, 1]
    assert found[0] == pytest.approx(wanted)
    assert found[1] == pytest.approx(found[2])  # uniform rows add nothing to the constant


def test_attention_that_is_explained_has_no_correlation():
    layer = cost_layer(2, seed=6)
    assert np.isnan(partial_correlations(layer, layer.rows)[:, :2]).all()
