"""Pointing: closed forms, ties, planted attention both ways, laws."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alignment.pointing import (
    above_position,
    by_query,
    link_block,
    pointing,
    position_distance,
    position_pointing,
    word_mask,
)
from pipeline.errors import PipelineError
from tests.pipeline.evidence_factory import attention_on, position_scores, random_batch


def test_share_of_linked_query_words_that_point_at_their_link():
    block = np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6], [0.0, 0.9, 0.1]])
    linked = link_block(np.array([[1, 0], [2, 1], [2, 2]]), n_src=3, n_tgt=4)
    assert pointing(block, linked, query="tgt") == pytest.approx(2 / 3)
    # Source words 1 and 2 are linked; they look most at target words 3 and 2.
    assert pointing(block, linked, query="src") == pytest.approx(1 / 2)


def test_ties_give_the_share_of_the_tied_words_that_is_linked():
    block = np.array([[0.4, 0.4, 0.2], [1 / 3, 1 / 3, 1 / 3]])
    linked = link_block(np.array([[0, 0], [0, 1], [2, 1]]), n_src=3, n_tgt=2)
    assert pointing(block, linked, query="tgt") == pytest.approx((1 / 2 + 2 / 3) / 2)


def test_a_pair_without_linked_words_has_no_value():
    values = pointing(np.ones((2, 3, 3)), np.zeros((3, 3), dtype=bool), query="tgt")
    assert np.isnan(values).all()


def test_nearest_relative_position_counts_words_at_their_middle():
    # 2 target words at 1/4, 3/4; 3 source words at 1/6, 1/2, 5/6: nearest are 0 and 2.
    linked = link_block(np.array([[0, 0], [1, 1]]), n_src=3, n_tgt=2)[None]
    sizes = np.array([3]), np.array([2])
    assert position_pointing(linked, *sizes, query="tgt") == pytest.approx([0.5])
    # Source word 1 is as near to both target words.
    assert position_pointing(linked, *sizes, query="src") == pytest.approx([(1 + 0.5) / 2])
    np.testing.assert_allclose(position_distance(*sizes, shape=(2, 3))[0, 0], [1 / 12, 1 / 4, 7 / 12])


def test_attention_that_aligns_is_above_position_and_attention_on_position_is_not():
    batch = random_batch(80, seed=1)
    sizes = batch.n_src, batch.n_tgt
    aligning = attention_on(batch, 3.0 * batch.linked)
    by_position = attention_on(batch, position_scores(batch))
    both = np.stack([aligning, by_position], axis=1)
    for query in ("tgt", "src"):
        difference = above_position(both, batch.linked, *sizes, query=query)
        assert difference[:, 0].mean() > 0.5
        assert abs(difference[:, 1].mean()) < 0.1
    tgt_looks = above_position(both, batch.linked, *sizes, query="tgt")
    np.testing.assert_allclose(tgt_looks[:, 1], 0, atol=1e-12)


@given(seed=st.integers(0, 1000), power=st.floats(0.2, 5))
def test_sharpness_is_not_rewarded_and_batches_equal_loops(seed, power):
    batch = random_batch(5, seed=seed, pad=2)
    blocks = attention_on(batch, np.random.default_rng(seed).normal(size=batch.linked.shape))
    for query in ("tgt", "src"):
        together = pointing(blocks, batch.linked, query=query, words=batch.words)
        np.testing.assert_allclose(pointing(blocks**power, batch.linked, query=query, words=batch.words), together)
        alone = [
            pointing(block[:m, :n], linked[:m, :n], query=query)
            for block, linked, m, n in zip(blocks, batch.linked, batch.n_tgt, batch.n_src, strict=True)
        ]
        np.testing.assert_allclose(together, alone)
        assert ((together >= 0) & (together <= 1)).all()


def test_padding_is_never_pointed_at():
    """A row without any attention ties over the pair's words, not over its padding."""
    words = word_mask(np.array([2]), np.array([2]), shape=(3, 4))
    linked = np.zeros((1, 3, 4), dtype=bool)
    linked[0, 0, 1] = True
    assert pointing(np.zeros((1, 3, 4)), linked, query="tgt", words=words) == pytest.approx([0.5])


def test_a_view_of_neither_side_is_refused():
    with pytest.raises(PipelineError, match=r"query: must be tgt or src, .* but it is 'both'; choose one"):
        by_query(np.ones((2, 2)), "both")
