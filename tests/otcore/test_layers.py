"""Layers, schedules, reading the plan, padding, and solvers on batches."""

from itertools import permutations

import pytest
import torch

from otcore import (
    Duals,
    TransportTransformer,
    annealed,
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
    sinkhorn,
    softmax_attention,
    sort,
    squared_cost,
)
from otcore.plans.sweeps import Entropic
from tests.otcore.problems import F64, clouds


def constructed(dim, *, depth, reg=0.1, step_size=0.1, **kwargs):
    """Return the constructed transformer and its weights."""
    weights = constructed_weights(dim, reg=reg, step_size=step_size)
    return TransportTransformer.constructed(weights, depth=depth, **kwargs), weights


def test_a_schedule_gives_each_layer_its_own_reg_and_step():
    x, y = clouds(5, 2, seed=0)
    regs = annealed(1.0, 0.05, depth=12)
    model, _ = constructed(2, depth=12, reg=regs, step_size=[0.5 * reg for reg in regs])
    state, at = model(engineered_prompt(x, y)).state, columns(2)
    cost, duals = squared_cost(x, y), None
    for reg in regs:
        (duals,) = gradient_descent(cost, reg=reg, step_size=0.5 * reg, depth=1, start=duals)
    torch.testing.assert_close(Duals(state[:, :5, at.src_memory], state[:, :5, at.tgt_memory]), duals)


def test_equal_values_in_a_schedule_are_one_value():
    prompt = engineered_prompt(*clouds(4, 1, seed=1))
    one, _ = constructed(1, depth=7)
    many, _ = constructed(1, depth=7, reg=[0.1] * 7, step_size=[0.1] * 7)
    assert torch.equal(one(prompt).state, many(prompt).state)


def test_b_is_minus_the_step_times_identity():
    weights = constructed_weights(1, reg=0.1, step_size=[0.5, 0.25])
    torch.testing.assert_close(weights.B[1], -0.25 * torch.eye(11, dtype=F64))
    assert weights.V1.count_nonzero() == weights.V2.count_nonzero() == 1


def test_shared_weights_are_held_once_at_any_depth():
    model, _ = constructed(1, depth=4000)
    assert sum(parameter.numel() for parameter in model.parameters()) == 4 * 11 * 11
    pointers = {score.data_ptr() for score, _, _ in model._weights()}
    assert len(pointers) == 1


def test_only_the_recorded_layers_are_kept_and_layers_count_from_one():
    model, _ = constructed(1, depth=9)
    prompt = engineered_prompt(*clouds(3, 1, seed=2))
    output = model(prompt, record={1, 9})
    assert sorted(output.layers) == sorted(output.attention) == [1, 9]
    assert torch.equal(output.layers[1].before, prompt)
    assert torch.equal(output.layers[9].state, output.state)
    torch.testing.assert_close(output.attention[9].sum(-1), torch.ones(2, 2, 4, dtype=F64))


def test_the_last_layer_alone_gives_the_rest_of_a_run():
    prompt = engineered_prompt(*clouds(3, 1, seed=2))
    (whole, _), (half, _) = constructed(1, depth=8), constructed(1, depth=4)
    assert torch.equal(half(half(prompt).state).state, whole(prompt).state)


def test_plan_is_read_where_the_memory_row_has_taken_all_attention():
    """At lam = 1e-6 a softmax over all columns gives 0 to every point; over the points it is finite."""
    prompt = engineered_prompt(*clouds(6, 1, seed=3))
    _, weights = constructed(1, depth=1, reg=1e-6)
    assert (softmax_attention(prompt, weights.score[0])[:, :, :6, :6].sum(-1) == 0).any()
    plan = read_plan(prompt, weights.score[0])
    torch.testing.assert_close(plan.sum(-1), torch.ones(2, 2, 6, dtype=F64))


def test_plan_of_a_plain_prompt_and_of_padded_points():
    x, y = clouds(4, 1, seed=4)
    score = torch.zeros(1, 3, 3, dtype=F64)
    assert torch.equal(
        read_plan(plain_prompt(x, y), score, memory_row=False), torch.full((2, 1, 4, 4), 0.25, dtype=F64)
    )
    real = torch.tensor([[True] * 4, [True, True, False, False]])
    model, weights = constructed(1, depth=30)
    state = model(engineered_prompt(x, y, real=real), real=real).state
    plan = read_plan(state, weights.score[0], real=real)
    assert (plan[1, :, :, 2:] == 0).all()
    alone = read_plan(model(engineered_prompt(x[1:, :2], y[1:, :2])).state, weights.score[0])
    torch.testing.assert_close(plan[1, :, :2, :2], alone[0])


@pytest.mark.parametrize("marginals", ["unit", "uniform"])
def test_padding_under_both_marginals_leaves_the_duals(marginals):
    x, y = clouds(5, 2, seed=5)
    real = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    model, _ = constructed(2, depth=25)
    together = model(engineered_prompt(x, y, marginals=marginals, real=real), real=real).state
    alone = model(engineered_prompt(x[1:, :3], y[1:, :3], marginals=marginals)).state
    torch.testing.assert_close(together[1, :3], alone[0, :3])
    assert (together[1, 3:5] == 0).all()


def test_gradients_reach_weights_that_are_trained():
    generator = torch.Generator().manual_seed(0)
    score, value = 0.1 * torch.randn(2, 3, 2, 11, 11, generator=generator, dtype=F64)
    model = TransportTransformer(score, value, depth=3, memory_row="free")
    model(engineered_prompt(*clouds(4, 1, seed=6))).state.square().sum().backward()
    assert model.score.grad is not None
    assert (model.score.grad.abs().amax((1, 2, 3)) > 0).all()


def test_plans_of_a_batch_are_those_of_a_loop_and_a_converged_problem_rests():
    cost = squared_cost(*clouds(6, 2, seed=7, batch=4)) * torch.tensor([0.01, 1.0, 5.0, 20.0], dtype=F64)[:, None, None]
    together = entropic_plan(cost, reg=0.1)
    alone = [entropic_plan(matrix[None], reg=0.1) for matrix in cost]
    torch.testing.assert_close(together.plan, torch.cat([result.plan for result in alone]), atol=1e-15, rtol=1e-12)
    assert together.iterations.tolist() == [int(result.iterations) for result in alone]
    assert len(set(together.iterations.tolist())) > 1
    assert together.converged.all()


def test_newton_step_is_that_of_the_dual_value_and_squares_the_error_near_the_optimum():
    cost, one = squared_cost(*clouds(5, 2, seed=4, batch=1)), torch.ones(1, 5, dtype=F64)
    optimum = entropic_plan(cost, reg=0.1, threshold=1e-14).potentials
    noise = 0.01 * torch.randn(2, 1, 5, generator=torch.Generator().manual_seed(1), dtype=F64)
    near = Duals(optimum.src + noise[0], optimum.tgt + noise[1])
    after = Entropic(cost, one, one, 0.1).newton_step(near)

    def value(flat):
        return dual_value(cost, Duals(flat[None, :5], flat[None, 5:]), reg=0.1)[0]

    flat = torch.cat([near.src[0], near.tgt[0]])
    curvature = torch.autograd.functional.hessian(value, flat)
    expected = -torch.linalg.pinv(curvature) @ torch.autograd.functional.jacobian(value, flat)
    moved = torch.cat([after.src[0], after.tgt[0]]) - flat
    constant = torch.cat([torch.ones(5), -torch.ones(5)]).double() / 10**0.5  # the direction that L does not see
    torch.testing.assert_close(moved - constant * (constant @ moved), expected, atol=1e-8, rtol=1e-6)
    errors = [max(g.abs().max().item() for g in dual_gradient(cost, d, reg=0.1)) for d in (near, after)]
    assert errors[1] < 3 * errors[0] ** 2


@pytest.mark.parametrize("solver", ["sweeps", "pot"])
def test_a_point_without_mass_is_padding(solver):
    cost = squared_cost(*clouds(4, 2, seed=8, batch=1))
    mass = torch.tensor([[1.0, 1.0, 1.0, 0.0]], dtype=F64)
    padded = entropic_plan(cost, reg=0.1, src_mass=mass, tgt_mass=mass, threshold=1e-12, solver=solver)
    alone = entropic_plan(cost[:, :3, :3], reg=0.1, threshold=1e-12)
    torch.testing.assert_close(padded.plan[:, :3, :3], alone.plan, atol=1e-10, rtol=0)
    assert (padded.plan[:, 3] == 0).all()
    assert (padded.plan[:, :, 3] == 0).all()
    assert padded.converged.all()
    assert padded.gap.abs().max() < 1e-9


def test_exact_plan_matches_brute_force_and_its_potentials_prove_it():
    cost = squared_cost(*clouds(5, 2, seed=9, batch=3))
    result = exact_plan(cost, marginals="uniform")
    best = [min(sum(float(c[i, j]) for i, j in enumerate(p)) for p in permutations(range(5))) / 5 for c in cost]
    torch.testing.assert_close((result.plan * cost).sum((1, 2)), torch.tensor(best, dtype=F64))
    slack = cost - result.potentials.src[:, :, None] - result.potentials.tgt[:, None]
    assert slack.min() > -1e-12
    assert result.gap.abs().max() < 1e-12
    assert result.converged.all()


def test_a_permutation_with_a_gap_is_found_at_reg_1e_4():
    order = torch.tensor([2, 0, 3, 1])
    y = torch.eye(4, dtype=F64)[None]
    regs = annealed(1.0, 1e-4, depth=200)
    weights = constructed_weights(4, reg=regs, step_size=[2 * reg for reg in regs])
    state = TransportTransformer.constructed(weights, depth=200)(engineered_prompt(y[:, order], y)).state
    torch.testing.assert_close(read_plan(state, weights.score[-1])[0, 0], torch.eye(4, dtype=F64)[order])


def test_sinkhorn_and_gradient_descent_end_at_the_same_plan():
    cost = squared_cost(*clouds(5, 3, seed=10))
    ends = [
        list(gradient_descent(cost, reg=0.2, step_size=0.2, depth=600))[-1],
        list(sinkhorn(cost, reg=0.2, depth=300))[-1],
    ]
    plans = [torch.exp(log_mass(cost, duals, reg=0.2)) for duals in ends]
    torch.testing.assert_close(plans[0], plans[1], atol=1e-9, rtol=0)
    torch.testing.assert_close(plans[1].sum(1), torch.ones(2, 5, dtype=F64))


@pytest.mark.gpu
def test_on_a_gpu_as_on_the_cpu():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    x, y = clouds(6, 2, seed=11)
    cost = squared_cost(x.cuda(), y.cuda())
    assert cost.is_cuda
    for solve in (lambda c: entropic_plan(c, reg=0.1), exact_plan):
        torch.testing.assert_close(solve(cost).plan.cpu(), solve(cost.cpu()).plan)
    numbers = torch.tensor([3.0, -1.0, 2.0], dtype=F64)
    torch.testing.assert_close(sort(numbers.cuda()).cpu(), sort(numbers))
