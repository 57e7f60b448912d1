"""Schedules of reg and step: what the layers of the construction do, Sinkhorn, and schedules that are trained."""

import numpy as np
import pytest
import torch

from otcore import (
    TransportError,
    TransportTransformer,
    constructed_weights,
    engineered_prompt,
    gradient_descent,
    sinkhorn,
    squared_cost,
)
from otcore.plans import entropic_plan
from otcore.prompt import columns
from otcore.schedules import (
    Schedule,
    annealed_sweeps,
    descend,
    log_attention,
    plan_error,
    schedule,
    train_schedule,
)


def problems(rng, batch=5, n=6):
    x, y = torch.from_numpy(rng.random((2, batch, n, 2)))
    return x, y, squared_cost(x, y)


def test_the_construction_with_this_schedule_holds_these_duals(rng):
    x, y, cost = problems(rng)
    layers = schedule(0.5, 0.05, depth=7, ratio=1.5)
    weights = constructed_weights(2, reg=layers.reg.tolist(), step_size=layers.step.tolist())
    state = TransportTransformer.constructed(weights, depth=7)(engineered_prompt(x, y)).state
    *_, duals = descend(cost, layers)
    at = columns(2)
    assert torch.allclose(state[:, :-1, at.src_memory], duals.src, atol=1e-12)
    assert torch.allclose(state[:, :-1, at.tgt_memory], duals.tgt, atol=1e-12)


def test_a_constant_schedule_is_gradient_descent_and_constant_sweeps_are_sinkhorn(rng):
    _, _, cost = problems(rng)
    constant = schedule(0.1, 0.1, depth=9)
    for ours, wanted in (
        (descend(cost, constant), gradient_descent(cost, reg=0.1, step_size=0.2, depth=9)),
        (annealed_sweeps(cost, constant.reg), sinkhorn(cost, reg=0.1, depth=9)),
    ):
        for one, other in zip(ours, wanted, strict=True):
            assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(one, other, strict=True))


def test_error_vanishes_at_the_plan_and_is_1_where_nothing_is_shared(rng):
    _, _, cost = problems(rng)
    plan = entropic_plan(cost, reg=0.1).plan
    *_, duals = sinkhorn(cost, reg=0.1, depth=2000)
    assert plan_error(cost, duals, plan, reg=0.1).max() < 1e-9
    assert torch.allclose(log_attention(cost, duals, reg=0.1).exp().sum(2), torch.ones(5, 6, dtype=torch.float64))
    apart = torch.tensor([[[0.0, 1e6], [0.0, 1e6]]], dtype=torch.float64)
    found = plan_error(
        apart,
        type(duals)(*torch.zeros(2, 1, 2, dtype=torch.float64)),
        torch.tensor([[[0.0, 1.0]] * 2], dtype=torch.float64),
        reg=0.1,
    )
    assert found.tolist() == [1.0]


def test_another_unit_of_cost_changes_nothing(rng):
    _, _, cost = problems(rng)
    layers = schedule(0.5, 0.05, depth=5)
    *_, one = descend(cost, layers)
    *_, other = descend(3.0 * cost, layers.times(3.0))
    assert torch.allclose(3.0 * one.tgt, other.tgt, atol=1e-12)


def test_training_lowers_the_error_on_problems_that_it_has_not_seen(rng):
    _, _, cost = problems(rng, batch=200)
    plan = entropic_plan(cost, reg=0.05).plan
    start = schedule(0.05, 0.05, depth=4)
    found = train_schedule(
        cost[:150], plan[:150], start, reg=0.05, steps=80, batch=32, generator=torch.Generator().manual_seed(1)
    )
    errors = [
        float(plan_error(cost[150:], list(descend(cost[150:], layers))[-1], plan[150:], reg=0.05).mean())
        for layers in (start, found)
    ]
    assert errors[1] < 0.8 * errors[0]
    again = train_schedule(
        cost[:150], plan[:150], start, reg=0.05, steps=80, batch=32, generator=torch.Generator().manual_seed(1)
    )
    assert all(torch.equal(a, b) for a, b in zip(found, again, strict=True))
    assert np.all(found.reg.numpy() > 0)


@pytest.mark.parametrize(
    ("reg", "step", "match"),
    [
        ([0.1, 0.1], [0.1], r"layers: must be as many steps as regs; got \(1,\) and \(2,\). Give both"),
        ([0.1, 0.0], [0.1, 0.1], r"reg: must be greater than 0 in every layer; got 0. Use a larger"),
        ([0.1, 0.1], [-1.0, 0.1], r"step: must be greater than 0 in every layer; got -1"),
    ],
)
def test_refusals(rng, reg, step, match):
    _, _, cost = problems(rng)
    with pytest.raises(TransportError, match=match):
        list(descend(cost, Schedule(*(torch.tensor(part, dtype=torch.float64) for part in (reg, step)))))


def test_numbers_out_of_range_are_refused(rng):
    _, _, cost = problems(rng)
    more = {"reg": 0.1, "steps": 1, "batch": 1, "generator": torch.Generator()}
    for wrong, match in (
        ({"steps": 0}, "steps: must be"),
        ({"batch": 0}, "batch: must be"),
        ({"reg": 0.0}, "reg: must be"),
    ):
        with pytest.raises(TransportError, match=match):
            train_schedule(cost, cost, schedule(1.0, 0.1, depth=2), **more | wrong)
    with pytest.raises(TransportError, match=r"ratio: must be"):
        schedule(1.0, 0.1, depth=2, ratio=0.0)
    with pytest.raises(TransportError, match=r"factor: must be"):
        schedule(1.0, 0.1, depth=2).times(0.0)
