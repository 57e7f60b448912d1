"""Appendix D as printed: by hand, against brute force, and against the numbers measured outside of this project."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from otcore import Duals, entropic_plan, squared_cost, theorem_d1
from otcore.bounds import (
    dual_radius,
    lemma_d6,
    proposition_d4,
    proposition_d5,
    scaling_radius,
    sum_error,
)
from otcore.hilbert import log_gap, log_phi
from tests.otcore.problems import F64, gaussian_cost, near_optimum

ONE = torch.ones(1, dtype=F64)


def numpy_costs():
    """Return 20 problems of n = 8, drawn outside with NumPy, one generator each; the largest cost is 1."""
    costs = []
    for seed in range(20):
        generator = np.random.default_rng(seed)
        x, y = (torch.from_numpy(generator.normal(size=(1, 8, 3))) for _ in range(2))
        costs.append(squared_cost(x, y) / squared_cost(x, y).max())
    return torch.cat(costs)


def blocks(eps=1.0 / 7.0):
    """Return the matrix that f throws furthest: 4 rows of sum 1 - eps feed 3 columns of 1 + eps, and the reverse."""
    matrix = torch.full((7, 7), 1e-12, dtype=F64)
    matrix[:4, :3] = (1.0 - eps) / 3.0
    matrix[4:, 3:] = (1.0 + eps) / 4.0
    return matrix.log()[None]


def test_sum_error_is_the_worst_of_rows_and_columns():
    matrix = torch.tensor([[[0.5, 0.4], [0.5, 0.3]]], dtype=F64)
    assert sum_error(matrix.log()).item() == pytest.approx(0.3)  # the second column, 0.7
    assert sum_error(matrix.mT.log()).item() == pytest.approx(0.3)
    assert sum_error((3.0 * matrix).log()).item() == pytest.approx(2.0)


def test_d4_at_the_worst_matrix():
    """Columns become (1 + eps) / (1 - eps), so eps becomes 2 eps / (1 - eps): 7/3 of it at 1/7, 3 of it at 1/3."""
    sides = proposition_d4(blocks())
    assert sides.left.item() == pytest.approx(1.0 / 3.0, rel=1e-6)
    assert sides.right.item() == pytest.approx(3.0 / 7.0, rel=1e-6)
    torch.testing.assert_close(proposition_d4(blocks().mT).left, sides.left)


def test_d4_says_nothing_from_a_third_on_and_d5_from_a_quarter():
    for eps, fourth, fifth in ((0.24, 0.72, 0.96), (0.26, 0.78, math.inf), (0.34, math.inf, math.inf)):
        matrix = torch.tensor([[[0.5 - eps, 0.5], [0.5, 0.5]]], dtype=F64).log()
        assert proposition_d4(matrix).right.item() == pytest.approx(fourth)
        assert proposition_d5(matrix).right.item() == pytest.approx(fifth)


def test_d5_is_the_distance_to_the_next_scaling():
    cost = gaussian_cost(5, 2, seed=3)
    near, _ = near_optimum(cost, reg=0.2, seed=3, noise=0.02)
    p, kernel, q = (near.src / 0.2).exp(), torch.exp(-cost / 0.2 - 1.0), (near.tgt / 0.2).exp()
    next_q = 1.0 / (kernel.mT @ p[..., None])[..., 0]
    next_p = 1.0 / (kernel @ q[..., None])[..., 0]
    far = [(new / old).log() for new, old in ((next_p, p), (next_q, q))]
    expected = torch.maximum(*(part.amax(1) - part.amin(1) for part in far))
    matrix = p.log()[:, :, None] + kernel.log() + q.log()[:, None]
    torch.testing.assert_close(proposition_d5(matrix).left, expected)
    assert proposition_d5(matrix).excess() < 0


@pytest.mark.parametrize("reg", [0.05, 0.3, 3.0])
def test_radius_of_the_theorem_is_the_smallest_over_all_scalings_of_the_plan(reg):
    _, optimum = near_optimum(gaussian_cost(6, 2, seed=1), reg=reg, seed=0, noise=0.0)
    for problem, found in enumerate(scaling_radius(optimum, reg=reg).tolist()):
        log_p, log_q = (part[problem].numpy() / reg for part in optimum)

        def square(log_c, log_p=log_p, log_q=log_q):
            return np.square(np.exp(log_p + log_c) - 1).sum() + np.square(np.exp(log_q - log_c) - 1).sum()

        grid = np.linspace(-60.0, 60.0, 4001)
        start = grid[np.argmin([square(log_c) for log_c in grid])]
        best = minimize_scalar(square, bracket=(start - 0.03, start, start + 0.03), tol=1e-12).fun
        assert found == pytest.approx(2.0 * best**0.5, rel=1e-8)


def test_radius_of_the_theorem_does_not_see_the_constant_that_u_and_v_trade_nor_the_unit():
    _, optimum = near_optimum(gaussian_cost(6, 2, seed=1), reg=0.1, seed=0, noise=0.0)
    radius = scaling_radius(optimum, reg=0.1)
    traded = Duals(optimum.src + 0.7, optimum.tgt - 0.7)
    torch.testing.assert_close(scaling_radius(traded, reg=0.1), radius)
    torch.testing.assert_close(scaling_radius(Duals(5 * optimum.src, 5 * optimum.tgt), reg=0.5), radius)


def test_radius_of_the_proof_by_hand():
    """u* = (4, 0), v* = (1, 1): the nearest trade is c = -1/2, to (3.5, -0.5) and (1.5, 1.5)."""
    optimum = Duals(torch.tensor([[4.0, 0.0]], dtype=F64), torch.tensor([[1.0, 1.0]], dtype=F64))
    assert dual_radius(optimum).item() == pytest.approx(4.0 * (3.5**2 + 0.5**2 + 2 * 1.5**2) ** 0.5)
    traded = Duals(optimum.src + 3.0, optimum.tgt - 3.0)
    torch.testing.assert_close(dual_radius(traded), dual_radius(optimum))


def test_lemma_d6_by_hand():
    promise = lemma_d6(5, reg=0.5, radius=2.0 * ONE, depth=100)
    assert promise.log_step.exp().item() == pytest.approx(math.exp(-8.0) / 7.0)
    assert promise.log_eps.exp().item() == pytest.approx((3 * 5 * math.exp(12.0) * 2.0 / 100) ** 0.5)


def test_theorem_d1_by_hand():
    cost = torch.tensor([[[0.0, 2.0], [1.0, 0.0]]], dtype=F64)  # log phi = 3 / reg
    promise = theorem_d1(cost, reg=0.5, radius=2.0 * ONE, depth=100, tolerance=0.1)
    eta = math.tanh(6.0 / 4.0)
    at_one = 36.0 * 2**0.5 * math.exp(6.0) / (1.0 - eta)
    assert promise.log_bound.exp().item() == pytest.approx(at_one / 10.0)
    assert promise.log_depth.exp().item() == pytest.approx(64 * 2 * math.exp(12.0) * 2.0)
    assert promise.log_useful_depth.exp().item() == pytest.approx((at_one / 0.1) ** 2)
    assert log_gap(log_phi(-cost / 0.5)).exp().item() == pytest.approx(1.0 - eta)


def test_r_and_the_depth_condition_as_measured_outside():
    """n = 8, reg 0.05 of the largest cost: r 325 in the median, at most 1,530; at reg 3 about 10^4.5 layers."""
    cost = numpy_costs()
    found = {}
    for reg in (0.05, 3.0):
        optimum = entropic_plan(cost, reg=reg, threshold=1e-13, max_sweeps=100_000).potentials
        radius = scaling_radius(optimum, reg=reg)
        log_depth = theorem_d1(cost, reg=reg, radius=radius, depth=1).log_depth
        found[reg] = (radius.quantile(0.5).item(), radius.max().item(), log_depth.aminmax())
    median, largest, (low, high) = found[0.05]
    assert (round(median), round(largest, -1)) == (325, 1530)
    assert low.item() / math.log(10) == pytest.approx(584, abs=0.5)
    assert high.item() / math.log(10) == pytest.approx(39_980, abs=0.5)
    assert found[3.0][:2] == pytest.approx((3.1, 3.2), abs=0.02)
    assert found[3.0][2].min.item() / math.log(10) == pytest.approx(4.5, abs=0.05)
