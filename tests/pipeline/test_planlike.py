"""Plan or similarity: solvers against others, derivatives, planted truths in each direction."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.alignment.planfit import (
    MODELS,
    SHARPNESS,
    compare,
    fit,
    kl_rows,
    power,
    score,
    score_slopes,
)
from pipeline.alignment.planlike import (
    PLAN,
    SIMILARITY,
    SOFTMAX,
    TOLERANCE,
    UNIFORM_PLAN,
    Layer,
    Parameters,
    balanced_rows,
    key_shares,
    model_rows,
    scaled_cost,
)
from pipeline.alignment.position import Geometry
from tests.pipeline.evidence_factory import cost_layer

PLANTED = Parameters(0.5, 0.6, 0.3)


def _noisy(rows, rng, sd=0.3):
    weights = rows * np.exp(rng.normal(0, sd, rows.shape))
    total = weights.sum(-1, keepdims=True)
    return np.divide(weights, total, out=np.zeros_like(weights), where=total > 0)


def test_the_plan_is_pots(rng):
    import ot

    layer = cost_layer(3, seed=1)
    rows = model_rows(PLAN, layer, PLANTED)
    shares = key_shares(PLAN, layer, PLANTED)
    assert rows.error <= TOLERANCE
    for pair in range(3):
        m, n = layer.words[pair].any(1).sum(), layer.words[pair].any(0).sum()
        cost = layer.cost[pair, :m, :n]
        weights = np.exp(-0.6 * cost.mean(0))
        np.testing.assert_allclose(shares[pair, :n], weights / weights.sum())
        plan = ot.bregman.sinkhorn_log(np.full(m, 1 / m), shares[pair, :n], cost, 0.5, stopThr=1e-13)
        np.testing.assert_allclose(rows.rows[pair, :m, :n], plan * m, atol=1e-8)
        np.testing.assert_allclose(np.exp(rows.log_rows[pair, :m, :n]), rows.rows[pair, :m, :n], rtol=1e-12)


def test_similarity_is_the_softmax_of_the_formula():
    layer = cost_layer(1, seed=2, low=5, high=5)
    cost = layer.cost[0]
    distance = (np.arange(5) + 0.5)[:, None] / 5 - (np.arange(5) + 0.5) / 5
    logits = -(cost - cost.mean(0)) / 0.5 - 0.6 * cost.mean(0) - distance**2 / (2 * 0.3**2) + np.log(layer.tokens[0])
    wanted = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    model = SIMILARITY._replace(position=True, tokens=True)
    np.testing.assert_allclose(model_rows(model, layer, PLANTED).rows[0], wanted)
    plain = np.exp(-cost / 0.5) / np.exp(-cost / 0.5).sum(1, keepdims=True)
    np.testing.assert_allclose(model_rows(SOFTMAX, layer, PLANTED).rows[0], plain)
    # w = 1 / reg makes A the plain softmax, w = 0 makes D the plan with uniform marginals.
    np.testing.assert_allclose(model_rows(SIMILARITY, layer, Parameters(0.5, 2.0)).rows[0], plain)
    np.testing.assert_allclose(
        model_rows(PLAN, layer, Parameters(0.5)).rows, model_rows(UNIFORM_PLAN, layer, Parameters(0.5, 3.0)).rows
    )


def test_tokens_are_the_base_of_the_key_marginal():
    layer = cost_layer(4, seed=3)
    model = PLAN._replace(tokens=True)
    weights = layer.tokens * np.exp(-0.6 * layer.key_cost)
    shares = weights / weights.sum(1, keepdims=True)
    np.testing.assert_allclose(key_shares(model, layer, PLANTED), shares)
    columns = model_rows(model, layer, PLANTED).rows.sum(1) / layer.n_query[:, None]
    np.testing.assert_allclose(columns, shares, atol=1e-8)


@given(seed=st.integers(0, 1000), reg=st.floats(0.05, 10))
def test_a_plan_ignores_what_is_added_to_a_key_word_and_a_softmax_does_not(seed, reg):
    layer = cost_layer(2, seed=seed)
    extra = np.random.default_rng(seed).normal(size=layer.tokens.shape)[:, None, :]
    moved = layer._replace(cost=np.where(layer.words, layer.cost + extra, 0))
    shares = key_shares(UNIFORM_PLAN, layer, Parameters(reg))
    plans = [balanced_rows(-part.cost / reg, shares, layer.words) for part in (layer, moved)]
    for plan in plans:
        assert plan.error <= TOLERANCE
        np.testing.assert_allclose(plan.rows.sum(2), layer.words.any(2), atol=1e-12)
    np.testing.assert_allclose(plans[0].rows, plans[1].rows, atol=1e-5)
    softmax = [model_rows(SOFTMAX, part, Parameters(reg)).rows for part in (layer, moved)]
    assert np.abs(softmax[0] - softmax[1]).max() > 1e-4


def test_small_reg_is_the_permutation_of_least_cost(rng):
    from scipy.optimize import linear_sum_assignment

    layer = cost_layer(4, seed=4, low=6, high=6)
    rows = model_rows(UNIFORM_PLAN, layer, Parameters(0.03)).rows
    for pair in range(4):
        np.testing.assert_array_equal(rows[pair].argmax(1), linear_sum_assignment(layer.cost[pair])[1])


def test_sweeps_that_do_not_end_say_so():
    """At a reg this small the marginals cannot be met in time; the error is no longer below the tolerance."""
    rng = np.random.default_rng(0)
    cost, words = rng.random((1, 12, 12)), np.ones((1, 12, 12), dtype=bool)
    assert balanced_rows(-cost / 1e-4, np.full((1, 12), 1 / 12), words).error > TOLERANCE


def test_a_start_changes_the_way_and_not_the_plan():
    layer = cost_layer(3, seed=6)
    cold = model_rows(PLAN, layer, PLANTED)
    warm = model_rows(PLAN, layer, PLANTED, start=model_rows(PLAN, layer, Parameters(0.6, 0.5)).potential)
    np.testing.assert_allclose(warm.rows, cold.rows, atol=1e-7)


@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize("model", [SIMILARITY, PLAN, SOFTMAX])
def test_slopes_are_those_of_finite_differences(model, tokens):
    layer = cost_layer(3, seed=7)
    model = model._replace(position=True, tokens=tokens)
    centre = np.array([1 / PLANTED.reg, PLANTED.weight, PLANTED.sd**-2])

    def log_rows(theta):
        return model_rows(model, layer, Parameters(1 / theta[0], theta[1], theta[2] ** -0.5)).log_rows

    current = model_rows(model, layer, PLANTED)
    slopes = score_slopes(model, layer, PLANTED, current)
    found = slopes - (current.rows * slopes).sum(-1, keepdims=True)
    for parameter, step in enumerate((1e-4, 1e-4, 1e-3)):
        if parameter == 1 and not model.weighted:
            continue
        shift = np.eye(3)[parameter] * step
        wanted = (log_rows(centre + shift) - log_rows(centre - shift)) / (2 * step)
        np.testing.assert_allclose(np.where(layer.words, found[parameter], 0), wanted, atol=2e-4)


@pytest.mark.parametrize("position", [False, True])
@pytest.mark.parametrize("name", list(MODELS))
def test_planted_parameters_are_found(name, position):
    model = MODELS[name]._replace(position=position)
    layer = cost_layer(40, seed=8)
    planted = layer._replace(rows=model_rows(model, layer, PLANTED).rows)
    found = fit(model, planted)
    assert found.loss < 1e-6
    assert found.error <= TOLERANCE
    assert found.parameters.reg == pytest.approx(0.5, rel=1e-2)
    assert found.parameters.weight == pytest.approx(0.6 * model.weighted, rel=2e-2)
    assert found.parameters.sd == (pytest.approx(0.3, rel=2e-2) if position else np.inf)


def test_fitting_is_no_worse_than_a_fine_grid(rng):
    layer = cost_layer(12, seed=9)
    noisy = layer._replace(rows=_noisy(model_rows(PLAN, layer, PLANTED).rows, rng))
    for model in (SIMILARITY, PLAN):
        grid = [
            score(model, noisy, Parameters(reg, weight)).mean()
            for reg in np.geomspace(0.3, 1.5, 12)
            for weight in np.linspace(-0.5, 1.5, 9)
        ]
        assert fit(model, noisy).loss <= min(grid) + 1e-7


def test_padding_order_and_company_change_nothing():
    layer = cost_layer(8, seed=10, pad=3)
    layer = layer._replace(rows=_noisy(model_rows(PLAN, layer, PLANTED).rows, np.random.default_rng(1)))
    smaller = layer.take(np.arange(8))
    assert smaller.rows.shape < layer.rows.shape
    one, other = fit(PLAN, layer), fit(PLAN, smaller.take(np.random.default_rng(0).permutation(8)))
    np.testing.assert_allclose(one[0], other[0], rtol=1e-5)
    assert one.loss == pytest.approx(other.loss, abs=1e-9)
    together = score(PLAN, layer, PLANTED)
    alone = [score(PLAN, layer.take(np.array([pair])), PLANTED)[0] for pair in range(8)]
    np.testing.assert_allclose(together, alone, atol=1e-8)


def test_flat_attention_takes_the_bound_and_no_model_can_be_told_apart():
    layer = cost_layer(20, seed=11)
    flat = layer._replace(rows=layer.words / np.maximum(layer.words.sum(2, keepdims=True), 1))
    found = fit(SIMILARITY, flat)
    assert found.parameters.reg == pytest.approx(1 / SHARPNESS[0])
    assert power(flat, found.parameters).mean() < 1e-4


def test_costs_have_unit_deviation_within_pairs(rng):
    words = np.zeros((2, 3, 4), dtype=bool)
    words[0, :2, :4] = words[1, :3, :3] = True
    cost = rng.random((2, 3, 4)) + np.array([5.0, 50.0])[:, None, None]
    scaled = scaled_cost(cost, words)
    apart = np.concatenate([part[mask] - part[mask].mean() for part, mask in zip(scaled, words, strict=True)])
    assert np.square(apart).mean() == pytest.approx(1)
    assert not scaled[~words].any()
    np.testing.assert_array_equal(scaled_cost(np.ones((1, 2, 2)), np.ones((1, 2, 2), dtype=bool)), 1)


def test_layers_are_laid_out_by_the_side_that_looks(rng):
    blocks, cost = rng.random((2, 3, 4)), rng.random((2, 3, 4))
    n_src, n_tgt = np.array([4, 2]), np.array([3, 3])
    tgt = Layer.of(blocks, cost, Geometry(n_src, n_tgt, "tgt"), np.ones((2, 4)))
    src = Layer.of(np.swapaxes(blocks, 1, 2), np.swapaxes(cost, 1, 2), Geometry(n_tgt, n_src, "src"), np.ones((2, 4)))
    for one, other in zip(tgt, src, strict=True):
        np.testing.assert_allclose(one, other)
    np.testing.assert_allclose(tgt.rows.sum(2), tgt.words.any(2))
    doubled = tgt._replace(tokens=np.array([[2.0, 1, 1, 1], [1, 1, 0, 0]])).mean_over_tokens()
    halved = tgt.rows[0] * [0.5, 1, 1, 1]
    np.testing.assert_allclose(doubled.rows[0], halved / halved.sum(1, keepdims=True))


def test_every_pair_is_judged_by_the_other_half(rng):
    """The first half is a plan of reg 0.4, the second of reg 1.2: each is judged by the other's parameters."""
    layer = cost_layer(24, seed=12)
    first, second = np.arange(12), np.arange(12, 24)
    rows = np.zeros_like(layer.rows)
    for half, reg in ((first, 0.4), (second, 1.2)):
        rows[half] = model_rows(PLAN, layer, Parameters(reg)).rows[half]
    compared = compare(layer._replace(rows=rows), (first, second))
    assert [found.parameters.reg for found in compared.fits["plan"]] == pytest.approx([0.4, 1.2], rel=1e-2)
    assert (compared.scores["plan"][second] > 0.01).mean() > 0.9
    wanted = score(PLAN, layer._replace(rows=rows), compared.fits["plan"][0].parameters)[second]
    np.testing.assert_allclose(compared.scores["plan"][second], wanted, atol=1e-8)
    assert (compared.power > 0).all()


def test_divergence_is_zero_of_itself_only():
    layer = cost_layer(5, seed=13)
    one, other = (model_rows(SOFTMAX, layer, Parameters(reg)) for reg in (0.5, 0.6))
    np.testing.assert_allclose(kl_rows(one.rows, one.log_rows), 0, atol=1e-12)
    assert (kl_rows(one.rows, other.log_rows) > 0).all()
