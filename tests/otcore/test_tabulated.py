"""A feed-forward sublayer that makes any cost bilinear: against plans of the cost itself and against interpolation."""

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from otcore import TransportError, TransportTransformer, entropic_plan, read_plan
from otcore.tabulated import tabulated_prompt, tabulated_weights
from tests.otcore.problems import F64


def _plans(table, knots, x, y, *, reg, depth, marginals="unit"):
    weights = tabulated_weights(table, knots=knots, reg=reg, step_size=2 * reg, depth=depth, dim=x.shape[2])
    prompt = tabulated_prompt(x, y, n_knots=len(knots), marginals=marginals)
    state = weights(prompt)
    return read_plan(state, weights.score[0]), prompt, weights


def _on_knots(n_knots, n, batch, seed, dim=1):
    rng = np.random.default_rng(seed)
    at = [np.stack([rng.permutation(n_knots)[:n] for _ in range(batch * dim)]) for _ in range(2)]
    return [torch.from_numpy(part.reshape(batch, dim, n).transpose(0, 2, 1).copy()) for part in at]


def test_any_table_of_costs_is_transported_exactly_on_its_knots():
    generator = torch.Generator().manual_seed(0)
    table = torch.rand(12, 12, generator=generator, dtype=F64)
    knots = torch.rand(12, generator=generator, dtype=F64).cumsum(0)
    a, b = _on_knots(12, 6, batch=5, seed=1)
    plans, *_ = _plans(table, knots, knots[a], knots[b], reg=0.05, depth=3000)
    cost = table[a, b.mT]
    best = entropic_plan(cost, reg=0.05).plan
    torch.testing.assert_close(plans[:, 0], best, atol=1e-7, rtol=0)
    torch.testing.assert_close(plans[:, 1], best.mT, atol=1e-7, rtol=0)


def test_a_sharp_plan_is_the_exact_assignment_under_a_cost_without_structure():
    generator = torch.Generator().manual_seed(3)
    table = torch.rand(9, 9, generator=generator, dtype=F64)
    knots = torch.linspace(0, 1, 9, dtype=F64)
    a, b = _on_knots(9, 5, batch=8, seed=2)
    plans, *_ = _plans(table, knots, knots[a], knots[b], reg=0.01, depth=6000)
    for cost, plan in zip(table[a, b.mT], plans[:, 0], strict=True):
        assert plan.argmax(1).tolist() == linear_sum_assignment(cost.numpy())[1].tolist()


def test_between_knots_the_scores_are_the_bilinear_interpolation():
    generator = torch.Generator().manual_seed(4)
    table, knots = torch.rand(7, 7, generator=generator, dtype=F64), torch.linspace(0, 1, 7, dtype=F64)
    x, y = torch.rand(2, 3, 5, 2, generator=generator, dtype=F64)
    _, prompt, weights = _plans(table, knots, x, y, reg=0.1, depth=2)
    state = weights(prompt)
    state[:, :, 10:12] = 0.0  # the memory of the first two layers
    found = -0.1 * ((state[:, :5] @ weights.score[0, 0]) @ state[:, :5].mT + 1.0)
    expected = torch.zeros(3, 5, 5, dtype=F64)
    for k in range(2):
        hats = [np.stack([np.interp(part[..., k], knots, row) for row in np.eye(7)], -1) for part in (x, y)]
        expected += torch.from_numpy(np.einsum("bik,kl,bjl->bij", hats[0], table, hats[1]))
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)


def test_a_smooth_cost_is_nearer_with_more_knots():
    generator = torch.Generator().manual_seed(5)
    x, y = torch.rand(2, 6, 7, 1, generator=generator, dtype=F64)
    best = entropic_plan((x - y.mT).abs() ** 3, reg=0.05).plan
    errors = []
    for n_knots in (5, 9, 17):
        knots = torch.linspace(0, 1, n_knots, dtype=F64)
        plans, *_ = _plans((knots[:, None] - knots).abs() ** 3, knots, x, y, reg=0.05, depth=400)
        errors.append(float((plans[:, 0] - best).abs().max()))
    assert errors[0] > 3 * errors[1] > 9 * errors[2]


def test_the_memory_row_keeps_its_prompt_and_uniform_marginals_have_the_same_plan():
    knots = torch.linspace(0, 1, 5, dtype=F64)
    a, b = _on_knots(5, 4, batch=2, seed=6)
    table = (knots[:, None] - knots).abs()
    unit, prompt, weights = _plans(table, knots, knots[a], knots[b], reg=0.2, depth=300)
    uniform, *_ = _plans(table, knots, knots[a], knots[b], reg=0.2, depth=3000, marginals="uniform")
    torch.testing.assert_close(unit, uniform, atol=1e-7, rtol=0)
    assert torch.equal(weights(prompt)[:, -1], prompt[:, -1])


def test_other_layers_without_the_sublayer_are_those_with_zero_weights():
    knots = torch.linspace(0, 1, 5, dtype=F64)
    a, b = _on_knots(5, 4, batch=2, seed=7)
    _, prompt, weights = _plans((knots[:, None] - knots).abs(), knots, knots[a], knots[b], reg=0.2, depth=9)
    every = torch.cat([weights.feed_forward, torch.zeros(8, *weights.feed_forward.shape[1:], dtype=F64)])
    model = TransportTransformer(
        weights.score,
        weights.value,
        depth=9,
        steps=torch.tensor([-0.4], dtype=F64),
        memory_row="frozen",
        feed_forward=every,
    )
    assert torch.equal(model(prompt).state, weights(prompt))


KNOTS = torch.linspace(0, 1, 4, dtype=F64)
GIVEN = {"knots": KNOTS, "reg": 0.1, "step_size": 0.1, "depth": 2}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"knots": KNOTS[:3]}, r"table and knots: must be of shapes .*; got \(4, 4\) and \(3,\). Give the cost"),
        ({"knots": KNOTS.flip(0)}, r"knots: must be ascending; got others. Sort them"),
        ({"reg": 0.0}, r"reg: must be a finite number greater than 0; got 0.0"),
        ({"step_size": -1.0}, r"step_size: must be .*greater than 0; got -1.0"),
        ({"depth": 1}, r"depth: must be a whole number of at least 2; got 1"),
        ({"dim": 0}, r"dim: must be a whole number of at least 1; got 0"),
    ],
)
def test_refusals_say_what_to_do(change, text):
    with pytest.raises(TransportError, match=text):
        tabulated_weights(torch.zeros(4, 4, dtype=F64), **(GIVEN | change))


def test_a_prompt_needs_three_knots():
    with pytest.raises(TransportError, match=r"n_knots: must be a whole number of at least 3; got 2"):
        tabulated_prompt(torch.zeros(1, 2, 1), torch.zeros(1, 2, 1), n_knots=2)
