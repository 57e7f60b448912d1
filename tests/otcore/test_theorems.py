"""The constructed transformer against gradient descent, the theorems and the facts of docs/theory.md."""

import doctest
import importlib
import math
import pkgutil

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

import otcore
from otcore import (
    Duals,
    TransportTransformer,
    columns,
    constructed_weights,
    dual_gradient,
    dual_value,
    engineered_prompt,
    entropic_plan,
    exact_plan,
    gradient_descent,
    log_mass,
    plain_prompt,
    read_plan,
    sort,
    sorting_plan,
    squared_cost,
    zero_duals,
)
from otcore.hilbert import distance_to
from tests.otcore.problems import F64, clouds, grid


def memory_drift(marginals, memory_row, depth, reg=0.05, step=0.01, problem=None):
    """Return the largest |Z - gradient descent| after each layer."""
    x, y = problem or grid()
    n, at = x.shape[1], columns(x.shape[2])
    weights = constructed_weights(x.shape[2], reg=reg, step_size=step)
    model = TransportTransformer.constructed(weights, depth=depth, memory_row=memory_row)
    descent = gradient_descent(squared_cost(x, y), reg=reg, step_size=step, depth=depth, marginals=marginals)
    drift = []
    for layer, duals in zip(model.layers(engineered_prompt(x, y, marginals=marginals)), descent, strict=True):
        u, v = layer.state[:, :n, at.src_memory], layer.state[:, :n, at.tgt_memory]
        drift.append(max((u - duals.src).abs().max().item(), (v - duals.tgt).abs().max().item()))
    return drift, layer.state[0, n]


@pytest.mark.parametrize("marginals", ["unit", "uniform"])
def test_frozen_memory_row_is_gradient_descent_to_rounding(marginals):
    drift, _ = memory_drift(marginals, "frozen", 4000)
    assert max(drift) < 1e-14


@pytest.mark.parametrize("marginals", ["unit", "uniform"])
@pytest.mark.parametrize("dim", [1, 2, 5])
@pytest.mark.parametrize("n", [2, 3, 16, 64])
def test_theorem_3_1_over_sizes(n, dim, marginals):
    drift, _ = memory_drift(marginals, "frozen", 50, step=0.1, problem=clouds(n, dim, seed=n))
    assert max(drift) < 1e-13


def test_free_memory_row_drifts_as_measured_outside():
    """n = 7, lam = 0.05, gamma = 0.01: 0, 7.5e-4, 1.75e-2, 4.86e-2, 4.86e-2 after 1, 2, 10, 100, 4000 layers."""
    drift, _ = memory_drift("unit", "free", 4000)
    so_far = [max(drift[:depth]) for depth in (2, 10, 100, 4000)]
    assert drift[0] < 1e-15
    assert so_far == pytest.approx([7.5e-4, 1.75e-2, 4.86e-2, 4.86e-2], rel=0.01)


@pytest.mark.parametrize(("marginals", "power"), [("unit", 1), ("uniform", 2)])
def test_free_memory_row_settles_at_a_multiple_of_log_n(marginals, power):
    _, row = memory_drift(marginals, "free", 4000)
    memory = row[[columns(1).src_memory, columns(1).tgt_memory]]
    torch.testing.assert_close(memory, torch.full((2,), -power * 0.05 * math.log(7), dtype=F64))


def test_printed_sign_of_b_does_not_descend():
    x, y = clouds(8, 3, seed=0)
    at, ends = columns(3), {}
    for sign in (-1, +1):
        weights = constructed_weights(3, reg=0.05, step_size=0.05, sign=sign)
        state = TransportTransformer.constructed(weights, depth=400)(engineered_prompt(x, y)).state
        duals = Duals(state[:, :8, at.src_memory], state[:, :8, at.tgt_memory])
        ends[sign] = max(part.abs().max().item() for part in dual_gradient(squared_cost(x, y), duals, reg=0.05))
    assert ends[-1] < 1e-3
    assert ends[+1] > 0.5


@pytest.mark.parametrize("memory_row", ["frozen", "free"])
def test_theorem_3_2_attention_becomes_the_entropic_plan(memory_row):
    x, y = clouds(8, 3, seed=4)
    optimum = entropic_plan(squared_cost(x, y), reg=0.05, threshold=1e-13)
    assert optimum.converged.all()
    weights = constructed_weights(3, reg=0.05, step_size=0.1)
    model = TransportTransformer.constructed(weights, depth=3000, memory_row=memory_row)
    plans = read_plan(model(engineered_prompt(x, y)).state, weights.score[0])
    torch.testing.assert_close(plans[:, 0], optimum.plan, atol=1e-10, rtol=0)
    torch.testing.assert_close(plans[:, 1].mT, optimum.plan, atol=1e-10, rtol=0)


def test_scores_of_the_first_layer_are_log_m():
    x, y = clouds(5, 2, seed=1)
    prompt, weights = engineered_prompt(x, y), constructed_weights(2, reg=0.07, step_size=0.1)
    cost = squared_cost(x, y)
    expected = log_mass(cost, zero_duals(cost), reg=0.07)
    for matrix, wanted in ((weights.P1, expected), (weights.P2, expected.mT)):
        scores = prompt @ matrix @ prompt.mT
        torch.testing.assert_close(scores[:, :5, :5], wanted)
        torch.testing.assert_close(scores[:, :5, 5], torch.zeros(2, 5, dtype=F64))


def test_prompt_of_equation_6_by_hand():
    x, y = torch.tensor([[[1.0, 2.0], [0.0, 3.0]]]), torch.tensor([[[-1.0, 0.0], [2.0, 2.0]]])
    rows = [[1, 2, -1, 0, 5, 1, 1, 1, 1, 1, 0, 0, 0], [0, 3, 2, 2, 9, 8, 1, 1, 1, 1, 0, 0, 0]]
    for marginals, mass in (("unit", 1.0), ("uniform", 0.5)):
        last = [0] * 9 + [-mass] + [0] * 3
        expected = torch.tensor([[*rows, last]], dtype=x.dtype)
        torch.testing.assert_close(engineered_prompt(x, y, marginals=marginals), expected)
    torch.testing.assert_close(plain_prompt(x, y), torch.tensor([[[1.0, 2, -1, 0, 0], [0, 3, 2, 2, 0]]]))


def attention_after(x, y, depth=40, **kwargs):
    weights = constructed_weights(x.shape[2], reg=0.05, step_size=0.1, dtype=x.dtype)
    model = TransportTransformer.constructed(weights, depth=depth)
    return model(engineered_prompt(x, y, **kwargs), record={depth}, **kwargs).attention[depth]


@given(seed=st.integers(0, 50), n=st.integers(1, 9))
def test_permuting_points_permutes_attention(seed, n):
    x, y = clouds(n, 2, seed)
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.randperm(n, generator=generator), torch.randperm(n, generator=generator)
    plain, moved = attention_after(x, y), attention_after(x[:, a], y[:, b])
    torch.testing.assert_close(moved[:, 0, :n, :n], plain[:, 0, a][:, :, b])
    torch.testing.assert_close(moved[:, 1, :n, :n], plain[:, 1, b][:, :, a])


@given(seed=st.integers(0, 50))
def test_plans_do_not_change_when_both_clouds_turn_and_move(seed):
    x, y = clouds(6, 3, seed)
    generator = torch.Generator().manual_seed(seed)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=F64))
    move = torch.randn(3, generator=generator, dtype=F64)
    torch.testing.assert_close(attention_after(x @ turn + move, y @ turn + move), attention_after(x, y))


@given(seed=st.integers(0, 50))
def test_exchanging_the_sides_exchanges_the_heads(seed):
    x, y = clouds(5, 2, seed)
    torch.testing.assert_close(attention_after(y, x), attention_after(x, y).flip(1))


def test_padding_changes_nothing_and_a_batch_is_a_loop():
    x, y = clouds(6, 2, seed=3, batch=3)
    real = torch.tensor([[True] * 6, [True] * 4 + [False] * 2, [True] + [False] * 5])
    together = attention_after(x, y, real=real)
    for row, n in enumerate((6, 4, 1)):
        alone = attention_after(x[row : row + 1, :n], y[row : row + 1, :n])
        torch.testing.assert_close(together[row, :, :n, :n], alone[0, :, :n, :n])


def test_one_point_is_transported_to_the_other():
    cost = torch.tensor([[[3.0]]], dtype=F64)
    for result in (exact_plan(cost), entropic_plan(cost, reg=0.01)):
        assert result.plan.item() == pytest.approx(1.0)
        assert result.converged.all()


def test_two_points_in_closed_form():
    """P = [[p, 1-p], [1-p, p]] with p/(1-p) = exp(-(C11 + C22 - C12 - C21) / (2 lam))."""
    cost = torch.tensor([[[0.3, 0.9], [0.2, 0.1]]], dtype=F64)
    plan = entropic_plan(cost, reg=0.2, threshold=1e-13).plan[0]
    odds = math.exp(-(0.3 + 0.1 - 0.9 - 0.2) / (2 * 0.2))
    assert plan[0, 0].item() == pytest.approx(odds / (1 + odds), abs=1e-11)
    assert plan[0, 1].item() == pytest.approx(1 / (1 + odds), abs=1e-11)


@pytest.mark.parametrize("reg", [1.0, 0.05, 1e-2, 1e-3, 1e-4])
def test_our_plans_agree_with_pot_as_far_as_pot_has_converged(reg):
    cost = squared_cost(*clouds(6, 3, seed=0))
    ours, pots = (
        entropic_plan(cost, reg=reg, threshold=1e-12, max_sweeps=5_000, solver=solver) for solver in ("sweeps", "pot")
    )
    assert (ours.marginal_error < 1e-10).all()
    assert pots.marginal_error.max() < 1e-3
    apart = (ours.plan - pots.plan).abs().sum((1, 2))
    assert (apart <= 4 * pots.marginal_error + 1e-9).all()
    assert ours.gap.abs().max() < 1e-9


def test_reg_of_1e_4_does_not_overflow_and_finds_the_permutation():
    cost = squared_cost(*clouds(6, 2, seed=5, batch=1))
    result = entropic_plan(cost, reg=1e-4, max_sweeps=100_000, threshold=1e-6)
    assert torch.isfinite(result.plan).all()
    assert result.converged.all()
    torch.testing.assert_close(result.plan, exact_plan(cost).plan, atol=1e-3, rtol=0)


def test_too_few_sweeps_are_reported():
    result = entropic_plan(squared_cost(*clouds(12, 3, seed=2)), reg=1e-3, max_sweeps=2, threshold=1e-12)
    assert not result.converged.any()
    assert (result.marginal_error > 1e-12).all()


def test_exact_plan_of_unequal_masses_is_that_of_the_linear_programme():
    generator = torch.Generator().manual_seed(0)
    cost = torch.rand(1, 3, 4, generator=generator, dtype=F64)
    a, b = torch.tensor([[0.5, 0.0, 0.5]], dtype=F64), torch.tensor([[0.1, 0.2, 0.3, 0.4]], dtype=F64)
    result = exact_plan(cost, src_mass=a, tgt_mass=b)
    rows = [[float(i == r) for i in range(3) for _ in range(4)] for r in range(3)]
    columns = [[float(j == c) for _ in range(3) for j in range(4)] for c in range(4)]
    best = linprog(cost[0].ravel().numpy(), A_eq=rows + columns, b_eq=[*a[0].tolist(), *b[0].tolist()])
    assert (result.plan * cost).sum().item() == pytest.approx(best.fun, abs=1e-10)
    assert result.converged.all()
    assert result.plan[0, 1].sum() == 0


@given(seed=st.integers(0, 40), factor=st.floats(0.1, 10.0))
def test_scaling_the_cost_and_reg_together_and_shifting_the_cost_leave_the_plan(seed, factor):
    cost = squared_cost(*clouds(5, 2, seed))
    plan = entropic_plan(cost, reg=0.1, threshold=1e-12).plan
    scaled = entropic_plan(cost * factor + 3.0, reg=0.1 * factor, threshold=1e-12).plan
    torch.testing.assert_close(scaled, plan, atol=1e-9, rtol=0)
    torch.testing.assert_close(entropic_plan(cost.mT, reg=0.1, threshold=1e-12).plan.mT, plan, atol=1e-9, rtol=0)


def test_gradient_is_that_of_the_dual_value():
    cost = squared_cost(*clouds(4, 2, seed=9))
    generator = torch.Generator().manual_seed(1)
    u, v = (0.1 * torch.randn(2, 2, 4, generator=generator, dtype=F64)).requires_grad_().unbind()
    value = dual_value(cost, Duals(u, v), reg=0.3, marginals="uniform").sum()
    for mine, autograd in zip(
        dual_gradient(cost, Duals(u, v), reg=0.3, marginals="uniform"), torch.autograd.grad(value, (u, v)), strict=True
    ):
        torch.testing.assert_close(mine, autograd)


def test_float32_follows_float64():
    x, y = clouds(8, 3, seed=6)
    gap = (attention_after(x.float(), y.float()).double() - attention_after(x, y)).abs().max()
    assert 0 < gap < 1e-4


def test_feed_forward_of_zeros_changes_nothing_and_of_ones_does():
    x, y = grid()
    weights = constructed_weights(1, reg=0.05, step_size=0.1)
    width = columns(1).width
    states = [
        TransportTransformer(weights.score, weights.value, depth=5, steps=weights.steps, feed_forward=extra)(
            engineered_prompt(x, y)
        ).state
        for extra in (None, torch.zeros(1, width, width, dtype=F64), torch.full((1, width, width), 0.01, dtype=F64))
    ]
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


class TestSorting:
    """The printed examples, at the settings that give them (docs/theory.md, errata)."""

    PRINTED = (
        ([0.5, 0.75, 0.25, 0.0], [0.018, 0.249, 0.501, 0.732]),
        (
            [0.375, 0.0, 0.875, 0.125, 0.625, 0.25, 0.75, 0.5],
            [0.026, 0.123, 0.250, 0.375, 0.500, 0.625, 0.752, 0.849],
        ),
    )

    @pytest.mark.parametrize(("numbers", "printed"), PRINTED)
    def test_printed_example(self, numbers, printed):
        x = torch.tensor([numbers], dtype=F64)
        y = torch.arange(len(numbers), dtype=F64)[None]
        estimate = sorting_plan(x, y, reg=0.1, step_size=0.05, depth=2000) @ x[0]
        torch.testing.assert_close(estimate[0], torch.tensor(printed, dtype=F64), atol=6e-4, rtol=0)

    @given(numbers=st.lists(st.integers(-50, 50), min_size=1, max_size=12))
    def test_any_list_with_ties_and_negative_numbers(self, numbers):
        x = torch.tensor(numbers, dtype=F64)
        torch.testing.assert_close(sort(x), x.sort().values, atol=0.05, rtol=0)

    def test_a_batch_is_a_loop(self):
        x = torch.rand(3, 6, generator=torch.Generator().manual_seed(0), dtype=F64)
        torch.testing.assert_close(sort(x), torch.stack([sort(row) for row in x]))


def test_measured_rate_is_geometric():
    cost = squared_cost(*clouds(8, 3, seed=1, batch=1))
    optimum = entropic_plan(cost, reg=0.1, threshold=1e-14, max_sweeps=100_000).potentials
    steps = gradient_descent(cost, reg=0.1, step_size=0.2, depth=60)
    distance = torch.tensor([distance_to(duals, optimum, reg=0.1).item() for duals in steps], dtype=F64)
    ratios = distance[11:31] / distance[10:30]
    assert ratios.max() < 0.9, "1/sqrt(l) would shrink by less than 5 % a layer here"
    assert distance[-1] < 1e-6


def _modules():
    return [name for _, name, _ in pkgutil.walk_packages(otcore.__path__, "otcore.")]


@pytest.mark.parametrize("name", _modules())
def test_examples_in_the_docstrings_run(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_everything_public_has_an_example():
    for name in otcore.__all__:
        thing = getattr(otcore, name)
        if callable(thing) and not isinstance(thing, type):
            assert ">>>" in (thing.__doc__ or ""), name
