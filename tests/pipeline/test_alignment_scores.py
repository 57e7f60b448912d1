"""Scores of attention on links, and the controls that stand beside them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alignment.collect import as_scored
from pipeline.alignment.controls import (
    control_block,
    nearest_position_links,
    position_block,
    position_matches,
    same_index_links,
    uniform_block,
)
from pipeline.alignment.scores import (
    MASSES,
    SCORES,
    check_links,
    crop,
    mean_over_tokens,
    score_links,
    unit_source_words,
    without_last_words,
)
from pipeline.conventions import NOTEBOOK, OUTPUT_STEP, SRC_TO_TGT, TGT_TO_SRC
from pipeline.errors import PipelineError


@st.composite
def linked_blocks(draw):
    """A block (view, layer, tgt, src) of random attention and one-to-one links in it."""
    n_src, n_tgt = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_links = draw(st.integers(1, min(n_src, n_tgt)))
    links = np.stack([rng.permutation(n_src)[:n_links], rng.permutation(n_tgt)[:n_links]], axis=1)
    attention = rng.random((2, 3, n_tgt, n_src))
    return attention / attention.sum(-1, keepdims=True), links


def test_scores_by_hand():
    # target word 0 gives 0.6 to source word 1, target word 2 gives 0.8 to source word 0
    attention = np.array([[0.4, 0.6], [0.5, 0.5], [0.8, 0.2]])
    mass, mean_mass, cosine, excess = score_links(attention, np.array([[1, 0], [0, 2]]))
    assert mass == pytest.approx(1.4)
    assert mean_mass == pytest.approx(0.7)
    assert cosine == pytest.approx(1.4 / np.sqrt((0.36 + 0.16 + 0.04 + 0.64) * 2))
    assert excess == pytest.approx(cosine - 1 / np.sqrt(2))


@pytest.mark.parametrize("n", [1, 4, 11])
def test_perfect_attention_scores_one(n, rng):
    order = rng.permutation(n)
    attention = np.zeros((n, n))
    attention[np.arange(n), order] = 1
    scores = score_links(attention, np.stack([order, np.arange(n)], axis=1))
    np.testing.assert_allclose(scores, [n, 1, 1, 1 - 1 / np.sqrt(n)], atol=1e-15)


@given(linked_blocks())
def test_uniform_attention_has_cosine_one_over_root_k(case):
    attention, links = case
    n_tgt, n_src = attention.shape[-2:]
    for view, seen in ((TGT_TO_SRC, n_src), (SRC_TO_TGT, n_tgt)):
        scores = score_links(uniform_block(n_src, n_tgt, view), links)
        expected = [len(links) / seen, 1 / seen, 1 / np.sqrt(len(links)), 0]
        np.testing.assert_allclose(scores, expected, atol=1e-15)


@given(linked_blocks(), st.floats(1e-6, 1e6))
def test_scaling_attention_leaves_the_cosine(case, scale):
    attention, links = case
    before, after = score_links(attention, links), score_links(attention * scale, links)
    np.testing.assert_allclose(after[..., 2:], before[..., 2:], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(after[..., :2], scale * before[..., :2], rtol=1e-9)


@given(linked_blocks(), st.integers(0, 2**32 - 1))
def test_permuting_words_with_their_links_changes_nothing(case, seed):
    attention, links = case
    rng = np.random.default_rng(seed)
    src, tgt = rng.permutation(attention.shape[-1]), rng.permutation(attention.shape[-2])
    moved = np.stack([np.argsort(src)[links[:, 0]], np.argsort(tgt)[links[:, 1]]], axis=1)
    np.testing.assert_allclose(
        score_links(attention[..., tgt[:, None], src[None]], moved), score_links(attention, links), rtol=1e-12
    )


@given(linked_blocks())
def test_all_layers_at_once_equal_a_loop(case):
    attention, links = case
    together = score_links(attention, links)
    for view in range(2):
        for layer in range(3):
            alone = score_links(attention[view, layer], links)
            np.testing.assert_allclose(together[view, layer], alone, rtol=1e-12, atol=1e-15)


def test_a_crop_without_attention_scores_zero():
    np.testing.assert_array_equal(score_links(np.zeros((2, 2)), np.array([[0, 0]])), [0, 0, 0, -1])


def test_crop_puts_links_on_the_diagonal():
    matrix = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(crop(matrix, np.array([[3, 0], [1, 2]])), [[3, 1], [11, 9]])


def test_links_outside_of_the_pair_and_none_are_refused():
    with pytest.raises(PipelineError, match=r"pair 7: must lie within 2 source and 3 target.*2-0; make blocks"):
        check_links(np.array([[0, 2], [2, 0]]), n_src=2, n_tgt=3, where="pair 7")
    with pytest.raises(PipelineError, match=r"links: at least one link is needed.*leave the pair out"):
        score_links(np.ones((2, 2)), np.empty((0, 2), dtype=np.int64))


@pytest.mark.parametrize("link", [[-1, 0], [0, -1], [-1, -1], [0, 3], [2, 3]])
def test_a_link_with_one_index_outside_is_refused(link):
    """A negative index would silently count from the end."""
    text = (
        rf"^links: must lie within 2 source and 3 target words, numbered from 0, but there is {link[0]}-{link[1]}; make"
    )
    for links in ([link], [[0, 0], link], [link, [1, 2]]):
        with pytest.raises(PipelineError, match=text):
            score_links(np.ones((3, 2)), np.array(links))


def test_the_last_words_may_be_linked():
    check_links(np.array([[1, 2], [0, 0]]), n_src=2, n_tgt=3)


def test_scores_are_named_in_the_order_in_which_they_come():
    # two links: 0.5 and 0.25 on the diagonal of the crop, 0.5 and 0 beside it
    attention = np.array([[0.5, 0.5], [0.0, 0.25]])
    named = dict(zip(SCORES, score_links(attention, np.array([[0, 0], [1, 1]])).tolist(), strict=True))
    cosine = 0.75 / (0.75 * np.sqrt(2))  # 0.25 + 0.25 + 0 + 0.0625 = 0.75 squared
    expected = {"mass": 0.75, "mean_mass": 0.375, "cosine": cosine, "excess": cosine - np.sqrt(0.5)}
    assert named == pytest.approx(expected, abs=1e-15)
    assert MASSES == ("mass", "mean_mass")


def test_scores_are_float64_whatever_comes_in():
    attention = np.full((2, 3, 4, 4), 0.1, dtype=np.float16)
    scores = score_links(attention, np.array([[0, 1], [1, 0], [2, 2]]))
    assert (scores.dtype, scores.shape) == (np.float64, (2, 3, 4))
    np.testing.assert_allclose(scores[..., 0], 3 * np.float64(np.float16(0.1)), rtol=1e-15)


def test_words_without_a_link_count_only_before_the_crop():
    """What lies on words without a link changes no score, but every norm of a source word."""
    links = np.array([[0, 0], [1, 1]])
    few, more = np.array([[0.6, 0.2], [0.3, 0.4]]), np.array([[0.6, 0.2], [0.3, 0.4], [0.5, 0.7]])
    np.testing.assert_array_equal(score_links(more, links), score_links(few, links))
    np.testing.assert_allclose(unit_source_words(more)[:, 0], np.array([0.6, 0.3, 0.5]) / np.sqrt(0.7), rtol=1e-15)


def test_mean_over_tokens_divides_by_the_pieces_of_the_word_that_is_seen():
    attention = np.ones((2, 1, 2, 3), dtype=np.float32)
    src, tgt = np.array([1, 2, 4], dtype=np.float32), np.array([1, 5], dtype=np.float32)
    got = mean_over_tokens(attention, views=(TGT_TO_SRC, SRC_TO_TGT), src_pieces=src, tgt_pieces=tgt)
    np.testing.assert_allclose(got[0, 0], [[1, 0.5, 0.25]] * 2)
    np.testing.assert_allclose(got[1, 0], [[1, 1, 1], [0.2, 0.2, 0.2]], rtol=1e-6)


@pytest.mark.parametrize("view", [OUTPUT_STEP, SRC_TO_TGT])
def test_the_notebooks_cosine_as_it_computes_it(rng, view):
    """Tokens in loops: the mean over the pairs of tokens of two words, rows of source words to norm 1, crop, cosine."""
    src_of, tgt_of = [0, 0, 1, 2, 2, 2, 3], [0, 1, 1, 2, 3, 4, 4]
    links = np.array([[0, 1], [2, 0], [3, 3]])
    tokens = torch.from_numpy(rng.dirichlet(np.ones(7), size=7))  # who looks, who is seen
    summed, count = torch.zeros(4, 5, dtype=torch.float64), torch.zeros(4, 5, dtype=torch.float64)
    for i, src in enumerate(src_of):
        for j, tgt in enumerate(tgt_of):
            summed[src, tgt] += tokens[i, j] if view is SRC_TO_TGT else tokens[j, i]
            count[src, tgt] += 1
    words = torch.nn.functional.normalize(summed / count, dim=1)
    cropped = words[links[:, 0]][:, links[:, 1]].flatten()
    wanted = torch.cosine_similarity(cropped, torch.eye(3, dtype=torch.float64).flatten(), dim=0)

    pieces = {"src_pieces": np.bincount(src_of).astype(float), "tgt_pieces": np.bincount(tgt_of).astype(float)}
    looked = pieces["src_pieces"][:, None] if view is SRC_TO_TGT else pieces["tgt_pieces"][None]
    stored = (summed.numpy() / looked).T[None, None]  # mean over the tokens that look, sum over those seen
    block = as_scored(mean_over_tokens(stored, views=(view,), **pieces), NOTEBOOK)
    assert score_links(block, links)[0, 0, SCORES.index("cosine")] == pytest.approx(wanted.item(), abs=1e-12)
    assert score_links(stored, links)[0, 0, SCORES.index("cosine")] != pytest.approx(wanted.item(), abs=1e-3)


def test_a_source_word_without_attention_stays_without():
    assert unit_source_words(np.array([[0.0, 3.0], [0.0, 4.0]])).tolist() == [[0.0, 0.6], [0.0, 0.8]]


@given(linked_blocks())
def test_source_words_have_norm_one_in_every_view_and_layer(case):
    attention, _ = case
    words = unit_source_words(attention)
    np.testing.assert_allclose(np.square(words).sum(-2), 1, rtol=1e-12)
    np.testing.assert_array_equal(words[1, 2], unit_source_words(attention[1, 2]))


def test_links_of_last_words_are_the_notebooks_loss():
    links = np.array([[0, 0], [1, 3], [2, 1], [1, 2]])
    np.testing.assert_array_equal(without_last_words(links, n_src=3, n_tgt=4), [[0, 0], [1, 2]])


@given(st.integers(1, 30), st.integers(1, 30))
def test_position_block_is_attention_around_the_same_relative_position(n_src, n_tgt):
    block = position_block(n_src, n_tgt, TGT_TO_SRC)
    np.testing.assert_allclose(block.sum(1), 1)
    centre = np.minimum(np.arange(n_tgt) * n_src / n_tgt, n_src - 1)
    assert (np.abs(block.argmax(1) - centre) <= 0.5 + 1e-9).all()
    other = position_block(n_tgt, n_src, SRC_TO_TGT)
    np.testing.assert_array_equal(other, position_block(n_src, n_tgt, OUTPUT_STEP).T)
    np.testing.assert_allclose(other.sum(0), 1)


def test_position_block_has_a_standard_deviation_in_words():
    block = position_block(60, 60, TGT_TO_SRC, sd=1.5)
    words = np.arange(60)
    assert np.sqrt((block[30] * (words - 30) ** 2).sum()) == pytest.approx(1.5, abs=1e-6)


def test_control_blocks_come_in_every_view():
    blocks = control_block("uniform", 2, 4, (TGT_TO_SRC, SRC_TO_TGT))
    np.testing.assert_array_equal(blocks, [np.full((4, 2), 0.5), np.full((4, 2), 0.25)])


def test_position_matches_pairs_words_in_order():
    assert position_matches(np.array([[0, 1], [2, 3], [5, 9]])) == 1
    assert position_matches(np.array([[0, 3], [2, 1], [5, 9]])) == pytest.approx(1 / 3)


def test_baseline_links():
    np.testing.assert_array_equal(same_index_links(2, 3), [[0, 0], [1, 1]])
    np.testing.assert_array_equal(nearest_position_links(2, 4), [[0, 0], [0, 1], [1, 2], [1, 3]])
    np.testing.assert_array_equal(nearest_position_links(4, 2), [[0, 0], [2, 1]])
