"""Heads: mutual argmax, Sinkhorn sweeps, planted heads chosen on one half and judged on the other."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alignment.bootstrap import IntervalRule
from pipeline.alignment.gold import COUNTS, score_counts
from pipeline.alignment.halves import HashedResampler, split_in_halves
from pipeline.alignment.heads import (
    METHODS,
    both_directions,
    choose_by_aer,
    choose_by_mean,
    head_counts,
    link_counts,
    mutual_argmax,
    sinkhorn_sweeps,
)
from pipeline.alignment.matching import link_mask
from pipeline.alignment.pointing import pointing
from pipeline.errors import PipelineError
from tests.pipeline.evidence_factory import attention_on, random_batch

METHODS_AT = list(METHODS).index("mutual")
RULE = IntervalRule("percentile", 0.95)


@given(seed=st.integers(0, 1000))
def test_mutual_argmax_is_the_intersection_of_single_pairs(seed):
    batch = random_batch(4, seed=seed, pad=2)
    blocks = attention_on(batch, np.random.default_rng(seed).normal(size=(4, *batch.shape)))
    found = mutual_argmax(blocks, batch.words)
    for pair, (m, n) in enumerate(zip(batch.n_tgt, batch.n_src, strict=True)):
        np.testing.assert_array_equal(found[pair, :m, :n], link_mask(blocks[pair, :m, :n].T, "intersection").T)
        assert found[pair].sum() == found[pair, :m, :n].sum()


def test_sweeps_make_columns_sum_to_one_and_go_to_a_balanced_block(rng):
    block = rng.random((2, 5, 5))
    np.testing.assert_allclose(sinkhorn_sweeps(block, 2).sum(-2), 1)
    many = sinkhorn_sweeps(block, 500)
    np.testing.assert_allclose(many.sum(-1), 1)
    ratio = np.log(many / block)
    np.testing.assert_allclose(ratio - ratio[:, :1] - ratio[:, :, :1] + ratio[:, :1, :1], 0, atol=1e-9)
    np.testing.assert_array_equal(sinkhorn_sweeps(block, 0), block)
    padded = np.pad(block, ((0, 0), (0, 2), (0, 1)))
    np.testing.assert_allclose(sinkhorn_sweeps(padded, 2)[:, :5, :5], sinkhorn_sweeps(block, 2))


def test_sweeps_undo_a_word_that_everything_looks_at():
    """A sink takes every row's maximum; after sweeps each word has its own again."""
    block = np.array([[0.3, 0.1, 0.6], [0.1, 0.3, 0.6], [0.1, 0.1, 0.8]])
    assert mutual_argmax(block).sum() == 3 - 2
    assert np.array_equal(mutual_argmax(sinkhorn_sweeps(block, 2)), np.eye(3, dtype=bool))


def test_directions_count_alike_however_much_they_look_across(rng):
    one, other = rng.random((3, 4, 5)), rng.random((3, 4, 5))
    np.testing.assert_allclose(both_directions(one, other), both_directions(9 * one, other / 7))
    np.testing.assert_allclose(both_directions(one, np.zeros_like(other)).sum((-1, -2)), 1)


def test_counts_are_those_of_the_gold_module(rng):
    from pipeline.alignment.gold import AlignmentCounts, GoldLinks

    sure, possible = rng.random((5, 6)) < 0.2, rng.random((5, 6)) < 0.2
    possible &= ~sure
    found = rng.random((5, 6)) < 0.3
    gold, predicted = GoldLinks(*(np.argwhere(mask)[:, ::-1] for mask in (sure, possible))), np.argwhere(found)[:, ::-1]
    wanted = AlignmentCounts.compare({0: gold}, {0: predicted}).counts[0]
    np.testing.assert_array_equal(link_counts(found, sure, possible), wanted)


def _planted(n_pairs=80, seed=4):
    """Return blocks (pair, layer 2, head 3) of which layer 1, head 2 aligns well and layer 0, head 1 somewhat."""
    batch, rng = random_batch(n_pairs, seed=seed), np.random.default_rng(seed)
    scores = rng.normal(size=(n_pairs, 2, 3, *batch.shape))
    scores[:, 1, 2] += 4 * batch.linked
    scores[:, 0, 1] += 1.5 * batch.linked
    blocks = np.stack([[attention_on(batch, scores[:, at, head]) for head in range(3)] for at in range(2)])
    return batch, np.moveaxis(blocks, 2, 0)


def test_the_planted_heads_are_chosen_and_judged_on_the_other_half():
    batch, blocks = _planted()
    linked, words = batch.linked[:, None, None], batch.words[:, None, None]
    halves = split_in_halves(range(80), 1)
    draws = HashedResampler(range(80), resamples=200, seed=1).take(halves[1])
    pointed = choose_by_mean(pointing(blocks, linked, query="tgt", words=words), halves, draws, RULE, n_heads=2)
    counts = head_counts(blocks, linked, np.zeros_like(linked), words=words)
    erring = choose_by_aer(counts[..., METHODS_AT, :], halves, draws, RULE, n_heads=2)
    assert pointed.places.tolist() == erring.places.tolist() == [[1, 2], [0, 1]]
    assert pointed.scores.low[0] > pointed.scores.high[1]
    assert erring.scores.high[0] < erring.scores.low[1]
    wanted = score_counts(counts[halves[1], 1, 2, METHODS_AT].sum(0)).aer
    assert erring.scores.value[0] == pytest.approx(float(wanted))
    assert erring.scores.low[0] <= wanted <= erring.scores.high[0]


def test_a_head_that_is_best_by_chance_is_not_best_where_it_is_judged():
    scores = np.zeros((40, 1, 2))
    halves = np.arange(20), np.arange(20, 40)
    scores[:20, 0, 0] = scores[20:, 0, 1] = 1
    found = choose_by_mean(scores, halves, HashedResampler(range(20), resamples=50, seed=0), RULE, n_heads=1)
    assert found.places.tolist() == [[0, 0]] and found.scores.value.tolist() == [0]


def test_batches_equal_loops():
    batch, blocks = _planted(6)
    linked, words = batch.linked[:, None, None], batch.words[:, None, None]
    counts = head_counts(blocks, linked, np.zeros_like(linked), words=words)
    assert counts.shape == (6, 2, 3, len(METHODS), len(COUNTS))
    for pair, (m, n) in enumerate(zip(batch.n_tgt, batch.n_src, strict=True)):
        own = batch.linked[pair, :m, :n]
        np.testing.assert_array_equal(counts[pair], head_counts(blocks[pair, ..., :m, :n], own, np.zeros_like(own)))


def test_scores_are_no_counts():
    with pytest.raises(PipelineError, match=r"counts: the last axis must hold sure, .*, but has 3 entries; give the"):
        choose_by_aer(
            np.ones((4, 3)), (np.arange(2), np.arange(2, 4)), HashedResampler([1], resamples=2, seed=0), RULE, n_heads=1
        )
