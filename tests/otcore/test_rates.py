"""How fast the layers converge: the derivation of docs/theory.md, section 3, and the depths measured outside."""

import pytest
import torch

from otcore import entropic_plan, gradient_descent, log_mass, sinkhorn, squared_cost
from otcore.hilbert import distance_to
from tests.otcore.problems import gaussian_cost, grid


def distances(cost, *, reg, ratio, depth, marginals="unit"):
    """Return the Hilbert distance to the optimum after each layer, and the plan."""
    optimum = entropic_plan(cost, reg=reg, threshold=1e-13, max_sweeps=50_000, marginals=marginals)
    steps = gradient_descent(cost, reg=reg, step_size=ratio * reg, depth=depth, marginals=marginals)
    distance = torch.cat([distance_to(duals, optimum.potentials, reg=reg) for duals in steps])
    return distance, optimum.plan[0] / optimum.plan[0].sum(1, keepdim=True)


def layers_needed(distance, tolerance=1e-6):
    """Return the first layer (from 1) from which on the distance stays below the tolerance."""
    above = (distance >= tolerance).nonzero()
    return int(above[-1]) + 2 if len(above) else 1


def late_factor(distance):
    """Return the factor a layer between the distances 1e-4 and 1e-9, over an even number of layers."""
    inside = ((distance < 1e-4) & (distance > 1e-9)).nonzero().flatten()
    first, last = inside[0], inside[0] + 2 * ((inside[-1] - inside[0]) // 2)
    return float((distance[last] / distance[first]) ** (1.0 / (last - first)))


@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.5, 2.0])
def test_factor_a_layer_follows_from_the_second_singular_value(ratio):
    distance, plan = distances(gaussian_cost(8, 3, seed=1, batch=1), reg=0.1, ratio=ratio, depth=1500)
    second = float(torch.linalg.svdvals(plan)[1])
    predicted = max(abs(1 - ratio / 2 * (1 - second)), abs(1 - ratio / 2 * (1 + second)))
    assert late_factor(distance) == pytest.approx(predicted, rel=0.02)


def test_uniform_marginals_need_a_step_of_n_plus_one_reg():
    cost, n = gaussian_cost(8, 3, seed=1, batch=1), 8
    unit, plan = distances(cost, reg=0.1, ratio=2.0, depth=200)
    uniform, _ = distances(cost, reg=0.1, ratio=n + 1.0, depth=200, marginals="uniform")
    second = float(torch.linalg.svdvals(plan)[1])
    assert late_factor(uniform) == pytest.approx(second, rel=0.02)
    assert late_factor(unit) == pytest.approx(second, rel=0.02)


@pytest.mark.slow
def test_step_of_twice_reg_needs_the_fewest_layers_and_twice_as_many_as_sinkhorn_needs_sweeps():
    cost, reg = gaussian_cost(8, 3, seed=1, batch=1), 0.05
    needed = {ratio: layers_needed(distances(cost, reg=reg, ratio=ratio, depth=4000)[0]) for ratio in (0.1, 1, 1.5, 2)}
    assert needed[2] < needed[1.5] < needed[1] < needed[0.1]
    optimum = entropic_plan(cost, reg=reg, threshold=1e-13, max_sweeps=50_000).potentials
    sweeps = layers_needed(torch.cat([distance_to(d, optimum, reg=reg) for d in sinkhorn(cost, reg=reg, depth=800)]))
    assert needed[2] / sweeps == pytest.approx(2.0, rel=0.15)


def test_on_the_same_grid_a_smaller_step_settles_sooner():
    """Measured outside: lam = 0.005, gamma = lam needs 3 layers to 1e-6, gamma = 2 lam about 200."""
    _, y = grid()
    cost = squared_cost(y, y)
    at_one = layers_needed(distances(cost, reg=0.005, ratio=1.0, depth=600)[0])
    at_two = layers_needed(distances(cost, reg=0.005, ratio=2.0, depth=600)[0])
    assert at_one <= 6
    assert 50 <= at_two <= 500


def test_attention_becomes_the_plan_although_the_total_mass_still_swings():
    """At gamma = 2 lam the mass mode has the factor -1; softmax over the points does not see it."""
    cost, reg = gaussian_cost(6, 2, seed=3, batch=1), 0.1
    *_, before, last = gradient_descent(cost, reg=reg, step_size=2 * reg, depth=400)
    masses = [float(torch.exp(log_mass(cost, duals, reg=reg)).sum()) for duals in (before, last)]
    assert (masses[0] - 6) * (masses[1] - 6) < 0
    shares = torch.softmax(log_mass(cost, last, reg=reg), dim=2)
    torch.testing.assert_close(shares, entropic_plan(cost, reg=reg, threshold=1e-13).plan, atol=1e-10, rtol=0)
