"""Where heads look instead, and how effects become numbers: by hand and by law."""

import numpy as np
import pytest
from scipy.special import entr
from scipy.stats import spearmanr

from tests.pipeline import intervention_factory as factory


@pytest.fixture(scope="module")
def recorded():
    """A batch of four pairs with what their heads attend to, and the shares made of it; heads in either view."""
    from pipeline.intervention.observers import Record
    from pipeline.intervention.rank import blocks_of
    from pipeline.intervention.scorer import Scorer
    from pipeline.intervention.shares import RecordedShares, partners

    items = factory.random_items([(6, 6), (5, 9), (9, 4), (7, 7)])
    scorer = Scorer(factory.translator(factory.marian(), "cross"))
    batch = scorer.batch(items)
    record = Record(scorer.layers, batch.place)
    scorer.losses(batch, record)
    blocks = {item.pair_id: block for item, block in zip(items, blocks_of(record, items), strict=True)}
    views = np.arange(12).reshape(2, 6) % 2
    return items, blocks, RecordedShares(batch, blocks, partners(items), views=views, seed=1)


@pytest.mark.parametrize("kind", ["uniform", "position", "mispaired", "links", "permuted"])
def test_rows_sum_to_1_or_are_left_alone(kind, recorded):
    items, _, shares = recorded
    share = shares.of(kind, 2, [0, 3]).expand(4, 2, -1, -1).numpy()
    if kind == "uniform":
        share = np.broadcast_to(share, (4, 2, 10, share.shape[-1]))
    for item, own in zip(items, share, strict=True):
        sums = own[:, : len(item.rows)].sum(-1)
        assert np.all(np.isclose(sums, 1) | (np.isclose(sums, 0) & (kind in ("links", "permuted"))))
        assert (own[..., len(item.columns) :] == 0).all()


def test_links_are_seen_from_the_head_s_own_view(recorded):
    items, _, shares = recorded
    share = shares.of("links", 1, [0, 1]).numpy()
    for item, (output_step, input_step) in zip(items, share, strict=True):
        for src, tgt in item.links:
            assert output_step[tgt].argmax() == input_step[tgt + 1].argmax() == src
        np.testing.assert_array_equal(output_step[:-1], input_step[1:])


def test_permuted_links_all_point_to_wrong_words(recorded):
    _, _, shares = recorded
    right, wrong = (shares.of(kind, 1, [0, 1]).numpy() for kind in ("links", "permuted"))
    assert (right * wrong).sum() == 0
    np.testing.assert_allclose(right.sum(-1), wrong.sum(-1))


def test_position_is_as_flat_as_each_head_and_knows_only_places(recorded):
    items, blocks, shares = recorded
    share = shares.of("position", 2, [0, 1]).numpy()
    for item, own in zip(items, share, strict=True):
        for head, view in ((0, 0), (1, 1)):
            rows = slice(view, view + len(item.rows) - 1)
            attention = blocks[item.pair_id][1, head, rows].astype(float)
            attention /= attention.sum(-1, keepdims=True)
            gaussian = own[head, rows, : len(item.columns)]
            assert entr(gaussian).sum(-1).mean() == pytest.approx(entr(attention).sum(-1).mean(), abs=1e-6)
            n, m = gaussian.shape
            nearest = np.abs((np.arange(n) + 0.5)[:, None] / n - (np.arange(m) + 0.5) / m)
            nearest = np.round(nearest, 9)
            top = gaussian >= gaussian.max(-1, keepdims=True) * (1 - 1e-9)
            assert (top == (nearest == nearest.min(-1, keepdims=True))).all()


def test_each_pair_is_lent_once_to_another():
    from pipeline.intervention.shares import partners

    items = factory.random_items([(n, m) for n in (3, 4, 5) for m in (3, 6)])
    lent = partners(items)
    assert sorted(item.pair_id for item in lent.values()) == list(range(6))
    assert all(pair_id != item.pair_id for pair_id, item in lent.items())
    assert {pair_id: item.pair_id for pair_id, item in partners(items[::-1]).items()} == {
        pair_id: item.pair_id for pair_id, item in lent.items()
    }


def test_lent_attention_keeps_its_shape_where_lengths_agree():
    from pipeline.intervention.shares import stretched

    block = np.random.default_rng(0).random((2, 4, 6))
    own = block / block.sum(-1, keepdims=True)
    np.testing.assert_allclose(stretched(block, (4, 6)), own)
    halved = stretched(block, (2, 6))
    np.testing.assert_allclose(halved, own[:, [1, 3]])
    np.testing.assert_allclose(stretched(np.zeros((1, 2, 2)), (2, 4)), 0.25)


def _measured(effects, *, words=None):
    from pipeline.alignment.halves import HashedResampler
    from pipeline.intervention.observers import Intervention
    from pipeline.intervention.rank import Ranking
    from pipeline.intervention.tables import Measured

    n_pairs = effects.shape[1]
    changes = [Intervention("off", ((1, head),)) for head in range(len(effects))]
    pointing = np.linspace(0, 1, len(effects))[None, None]
    return Measured(
        base=np.full(n_pairs, 5.0),
        words=np.full(n_pairs, 2.0) if words is None else words,
        losses={change: 5.0 + effect for change, effect in zip(changes, effects, strict=True)},
        ranking=Ranking(pointing, 1 - pointing[0], {}, 3),
        sets=[],
        resampler=HashedResampler(range(n_pairs), resamples=400, seed=0),
        level=0.95,
    )


def test_effects_are_nats_a_word_over_all_words():
    words = np.array([1.0, 3.0] * 20)
    found = _measured(np.zeros((1, 40)), words=words).estimate(words * np.array([1.0, 3.0] * 20))
    assert found["effect"] == pytest.approx((1 + 9) / 4)  # not the mean over pairs, 2
    assert found["low"] < found["effect"] < found["high"] and found["p"] < 1e-6


def test_a_set_must_be_above_most_draws_not_above_their_mean():
    measured = _measured(np.zeros((1, 40)))
    own, strong = np.full(40, 1.0) + np.tile([0.1, -0.1], 20), np.full((2, 40), 1.5)
    weak = np.zeros((18, 40))
    assert measured.above(own, weak)["low"] > 0.4
    few = measured.above(own, np.concatenate([weak, strong]))  # .1 of the draws are stronger
    assert few["high"] < 0 and few["effect"] == pytest.approx(-0.25)
    assert np.concatenate([weak, strong]).mean() < own.mean()


@pytest.mark.parametrize("within_layer", [False, True])
def test_rank_correlations_are_spearman_s(within_layer):
    from pipeline.intervention.rank import rank_correlation

    rng = np.random.default_rng(0)
    x, y = rng.random((1, 12)), rng.random((3, 1, 12))
    expected = [spearmanr(x[0], one[0]).statistic for one in y]
    np.testing.assert_allclose(rank_correlation(x, y, within_layer=within_layer), expected)


def test_correlation_within_layers_is_blind_to_layers():
    from pipeline.intervention.rank import rank_correlation

    x = np.array([[1.0, 2, 3], [11, 12, 13]])
    y = np.array([[3.0, 2, 1], [13, 12, 11]])
    assert rank_correlation(x, y[None], within_layer=False)[0] > 0.5
    assert rank_correlation(x, y[None], within_layer=True)[0] == -1


def test_alignment_and_flatness_are_rivals_for_the_effect():
    from pipeline.intervention.tables import correlations

    effects = np.outer(np.linspace(0, 1, 12), np.ones(30))
    found = correlations(_measured(effects))
    assert found["alignment_all"] == {"value": 1.0, "low": 1.0, "high": 1.0} == found["negative_entropy_all"]
    assert correlations(_measured(effects[::-1]))["alignment_within_layer"]["value"] == -1
