"""Position: widths as flat as the attention, mass on links, uniform over tokens."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import entropy

from pipeline.alignment.pointing import by_query
from pipeline.alignment.position import (
    SD_RANGE,
    Geometry,
    best_width,
    divergence,
    entropy_matched_widths,
    gaussian_rows,
    mass_on_links,
    matched_position,
    normalised_rows,
    row_entropy,
    uniform_rows,
)
from tests.pipeline.evidence_factory import attention_on, position_scores, random_batch


def _geometry(batch, query="tgt"):
    return Geometry(batch.n_src, batch.n_tgt, query)


def _one_gaussian(n_query, n_key, sd):
    centre = (np.arange(n_query) + 0.5) / n_query * n_key
    weights = np.exp(-0.5 * np.square((np.arange(n_key) + 0.5 - centre[:, None]) / sd))
    return weights / weights.sum(1, keepdims=True)


def test_rows_of_the_gaussian_are_those_of_one_pair_written_out():
    batch = random_batch(6, seed=3, pad=1)
    for query in ("tgt", "src"):
        geometry = _geometry(batch, query)
        rows = gaussian_rows(np.full(6, 1.7), geometry, shape=batch.shape)
        for pair, (n_query, n_key) in enumerate(zip(geometry.n_query, geometry.n_key, strict=True)):
            np.testing.assert_allclose(rows[pair, :n_query, :n_key], _one_gaussian(n_query, n_key, 1.7))
            assert rows[pair].sum() == pytest.approx(n_query)


def test_the_width_is_that_of_a_root_finder():
    batch = random_batch(4, seed=5, low=6)
    geometry = _geometry(batch)
    rows = attention_on(batch, np.random.default_rng(0).normal(size=batch.linked.shape))
    wanted = row_entropy(rows, geometry.n_query)
    widths = entropy_matched_widths(wanted, geometry, shape=batch.shape)
    assert not widths.out_of_reach.any()
    for pair, (m, n) in enumerate(zip(batch.n_tgt, batch.n_src, strict=True)):
        root = brentq(
            lambda sd, m=m, n=n, at=pair: entropy(_one_gaussian(m, n, sd), axis=1).mean() - wanted[at], 0.2, 50
        )
        assert widths.sd[pair] == pytest.approx(root, rel=1e-5)


@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 4))
def test_entropies_agree_wherever_a_width_can_have_them(seed, scale):
    batch = random_batch(7, seed=seed, pad=1)
    scores = scale * np.random.default_rng(seed).normal(size=(7, 3, *batch.shape))
    for query in ("tgt", "src"):
        blocks = np.stack([attention_on(batch, scores[:, case]) for case in range(3)], axis=1)
        rows, geometry = normalised_rows(blocks, query), _geometry(batch, query)
        position, missed = matched_position(rows, geometry, shape=batch.shape)
        apart = np.abs(row_entropy(position, geometry.n_query) - row_entropy(rows, geometry.n_query))
        assert apart[~missed].max(initial=0) < 1e-6
        np.testing.assert_allclose(position.sum(-1)[geometry.words(batch.shape).any(-1)[:, None].repeat(3, 1)], 1)


def test_widths_out_of_reach_take_the_bound_and_are_marked():
    geometry = Geometry(np.array([8]), np.array([5]), "tgt")
    widths = entropy_matched_widths(np.array([[0.0, np.log(8), 1.0]]), geometry, shape=(5, 8))
    assert widths.out_of_reach.tolist() == [[True, True, False]]
    np.testing.assert_allclose(widths.sd[0, :2], SD_RANGE)


def test_one_pair_alone_in_any_padding_has_the_same_width():
    batch = random_batch(90, seed=8)
    geometry = _geometry(batch)
    wanted = row_entropy(attention_on(batch, position_scores(batch, sd=1.3)), geometry.n_query)[:, None]
    widths = entropy_matched_widths(wanted, geometry, shape=batch.shape)
    padded = entropy_matched_widths(wanted[:3], geometry.take(slice(3)), shape=(15, 14))
    alone = [
        entropy_matched_widths(wanted[[i]], geometry.take(np.array([i])), shape=batch.shape).sd[0] for i in range(3)
    ]
    np.testing.assert_allclose(widths.sd[:3], padded.sd, rtol=1e-6)
    np.testing.assert_allclose(widths.sd[:3], alone, rtol=1e-6)
    order = np.random.default_rng(0).permutation(90)
    np.testing.assert_allclose(
        entropy_matched_widths(wanted[order], geometry.take(order), shape=batch.shape).sd, widths.sd[order], rtol=1e-6
    )
    np.testing.assert_allclose(widths.sd, 1.3, rtol=1e-4)  # the attention was such a Gaussian


def test_mass_above_position_is_of_the_links_and_not_of_being_peaked():
    batch = random_batch(80, seed=2)
    geometry = _geometry(batch)
    blocks = np.stack(
        [attention_on(batch, 2.0 * batch.linked), attention_on(batch, position_scores(batch, sd=0.5))], axis=1
    )
    position, _ = matched_position(blocks, geometry, shape=batch.shape)
    above = (mass_on_links(blocks, batch.linked) - mass_on_links(position, batch.linked)).mean(0)
    assert above[0] > 0.2
    assert abs(above[1]) < 1e-6


def test_mass_is_the_mean_over_linked_query_words():
    rows, linked = np.array([[[0.5, 0.3, 0.2], [1.0, 0.0, 0.0]]]), np.array([[[True, True, False], [False] * 3]])
    assert mass_on_links(rows, linked) == pytest.approx([0.8])
    assert np.isnan(mass_on_links(rows, np.zeros_like(linked))).all()


def test_best_width_is_read_off_planted_links():
    """Links along the diagonal want the narrowest Gaussian, links one word off a wider one."""
    n = np.full(30, 9)
    geometry = Geometry(n, n, "src")
    straight = np.broadcast_to(np.eye(9, dtype=bool), (30, 9, 9))
    shifted = np.broadcast_to(np.eye(9, k=1, dtype=bool), (30, 9, 9))
    assert best_width(straight, geometry) < 0.5
    assert 0.6 < best_width(shifted, geometry) < 1.4
    mixed = np.concatenate([straight[:15], shifted[15:]])
    half = np.arange(30) >= 15
    assert best_width(mixed, geometry, half) == pytest.approx(best_width(shifted, geometry), rel=1e-3)


def test_uniform_gives_a_word_of_two_tokens_twice_as_much():
    geometry = Geometry(np.array([3]), np.array([2]), "tgt")
    rows = uniform_rows(np.array([[1.0, 2.0, 1.0, 0.0]]), geometry, shape=(3, 4))
    np.testing.assert_allclose(rows[0, :2], [[0.25, 0.5, 0.25, 0]] * 2)
    assert not rows[0, 2].any()


def test_divergence_is_scipys_and_only_zero_of_itself(rng):
    batch = random_batch(5, seed=4, pad=1)
    one, other = (attention_on(batch, rng.normal(size=batch.linked.shape)) for _ in range(2))
    found = divergence(one, other, batch.n_tgt)
    wanted = [
        entropy(a[:m, :n], b[:m, :n], axis=1).mean()
        for a, b, m, n in zip(one, other, batch.n_tgt, batch.n_src, strict=True)
    ]
    np.testing.assert_allclose(found, wanted)
    np.testing.assert_allclose(divergence(one, one, batch.n_tgt), 0, atol=1e-12)


def test_rows_without_attention_stay_empty():
    rows = normalised_rows(np.array([[[2.0, 2.0], [0.0, 0.0]]]), "tgt")
    np.testing.assert_allclose(rows, [[[0.5, 0.5], [0, 0]]])
    np.testing.assert_allclose(by_query(rows, "src")[0, 0], [0.5, 0])
