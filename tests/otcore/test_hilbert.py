"""Hilbert's metric and what contracts in it: definitions by brute force, inequalities with their equality cases."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from otcore import Duals, hilbert_metric, log_phi
from otcore.dual import log_mass
from otcore.hilbert import Inequality, almost_stochastic_bound, contraction, distance_to, log_gap, scaling_bound
from tests.otcore.problems import F64, gaussian_cost, near_optimum

KERNEL = torch.tensor([[[1.0, 3.0], [2.0, 1.0]]], dtype=F64).log()  # phi = 3 * 2 / (1 * 1)


def normal(seed, *shapes):
    """Return normal tensors of the shapes, from one seed."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=generator, dtype=F64) for shape in shapes]


def brute_force_phi(log_kernel):
    """Return phi over all quadruples, as defined."""
    n, m = log_kernel.shape[1:]
    i, k, j, w = torch.meshgrid(*(torch.arange(size) for size in (n, m, n, m)), indexing="ij")
    q = log_kernel.exp()
    return (q[:, i, k] * q[:, j, w] / (q[:, j, k] * q[:, i, w])).flatten(1).amax(1)


def test_an_inequality_reports_its_largest_excess():
    sides = Inequality(torch.tensor([1.0, 5.0]), torch.tensor([4.0, 3.0]))
    assert sides.excess() == 2.0


@given(seed=st.integers(0, 200), factor=st.floats(-5, 5))
def test_axioms_and_scale_invariance(seed, factor):
    p, q, r = normal(seed, (4, 5), (4, 5), (4, 5))
    assert torch.equal(hilbert_metric(p, p), torch.zeros(4, dtype=F64))
    assert (hilbert_metric(p, q) > 0).all()
    torch.testing.assert_close(hilbert_metric(p, q), hilbert_metric(q, p))
    assert (hilbert_metric(p, r) <= hilbert_metric(p, q) + hilbert_metric(q, r) + 1e-12).all()
    torch.testing.assert_close(hilbert_metric(p + factor, q), hilbert_metric(p, q))


def test_the_metric_by_hand():
    """Quotients 6/2, 1/2 and 10/4: the largest over the smallest is 6."""
    p, q = torch.tensor([[6.0, 1.0, 10.0]], dtype=F64), torch.tensor([[2.0, 2.0, 4.0]], dtype=F64)
    assert hilbert_metric(p.log(), q.log()).item() == pytest.approx(math.log(6.0))


@pytest.mark.parametrize("side", [0, 1])
def test_distance_is_that_of_the_worse_side_in_units_of_reg(side):
    zero, off = torch.zeros(1, 2, dtype=F64), torch.tensor([[-0.3, 0.2]], dtype=F64)
    moved = Duals(off, 0.5 * off) if side == 0 else Duals(0.5 * off, off)
    assert distance_to(moved, Duals(zero, zero), reg=0.25).item() == pytest.approx(2.0)


@pytest.mark.parametrize("shape", [(2, 4, 3), (2, 3, 5), (1, 1, 4), (1, 3, 1), (2, 2, 2)])
def test_phi_and_eta_by_brute_force_over_all_quadruples(shape):
    log_kernel, log_a, log_b = normal(0, shape, (shape[0], shape[2]), (shape[0], shape[2]))
    phi = brute_force_phi(log_kernel)
    eta = (phi.sqrt() - 1.0) / (phi.sqrt() + 1.0)
    torch.testing.assert_close(log_phi(log_kernel), phi.log(), atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(log_gap(phi.log()).exp(), 1.0 - eta)
    torch.testing.assert_close(contraction(log_kernel, log_a, log_b).right, eta * hilbert_metric(log_a, log_b))


def test_the_gap_keeps_its_digits_where_phi_overflows():
    log_phi_value = torch.tensor([4000.0], dtype=F64)
    torch.testing.assert_close(log_gap(log_phi_value), math.log(2.0) - log_phi_value / 2.0)


def test_contraction_by_hand():
    """a = (1, 4), b = (1, 1): Qa = (13, 6), Qb = (4, 3); phi = 6."""
    log_a = torch.tensor([[0.0, math.log(4.0)]], dtype=F64)
    sides = contraction(KERNEL, log_a, torch.zeros_like(log_a))
    assert sides.left.item() == pytest.approx(math.log(13.0 / 8.0))
    assert sides.right.item() == pytest.approx((6**0.5 - 1.0) / (6**0.5 + 1.0) * math.log(4.0))


@given(seed=st.integers(0, 200), scale=st.floats(0.01, 30))
def test_a_positive_matrix_contracts(seed, scale):
    q, a, b = (scale * part for part in normal(seed, (2, 4, 5), (2, 5), (2, 5)))
    sides = contraction(q, a, b)
    assert (sides.left <= sides.right * (1 + 1e-12) + 1e-12).all()


@pytest.mark.parametrize("size", [0.5, 2.0, 6.0])
def test_birkhoff_is_sharp(size):
    """[[1, e^k], [e^k, 1]] contracts a small difference around (1, 1) by eta = tanh(k/2)."""
    log_kernel = torch.tensor([[[0.0, size], [size, 0.0]]], dtype=F64)
    small = torch.tensor([[5e-5, -5e-5]], dtype=F64)
    sides = contraction(log_kernel, small, torch.zeros_like(small))
    assert sides.right.item() == pytest.approx(1e-4 * math.tanh(size / 2.0))
    assert sides.left.item() == pytest.approx(sides.right.item(), rel=1e-6)


def test_a_matrix_of_rank_one_brings_all_vectors_together():
    row, column, a, b = normal(3, (1, 1, 4), (1, 3, 1), (1, 4), (1, 4))
    sides = contraction(row + column, a, b)
    assert sides.right.item() == pytest.approx(0.0, abs=1e-12)
    assert sides.left.item() == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("mass", [1.0, 1.0 / 3.0])
def test_sums_bound_the_distance_by_hand(mass):
    """Rows sum to (0.8, 1.2, 1) of the mass, columns to (1, 1.1, 0.9); errors of equal size are the equality case."""
    matrix = mass * torch.tensor([[[0.4, 0.2, 0.2], [0.5, 0.5, 0.2], [0.1, 0.4, 0.5]]], dtype=F64)
    rows, columns = almost_stochastic_bound(matrix.log(), mass=mass)
    assert rows.left.item() == pytest.approx(math.log(1.2 / 0.8))
    assert rows.right.item() == pytest.approx(math.log(1.2 / 0.8))
    assert columns.left.item() == pytest.approx(math.log(1.1 / 0.9))
    assert columns.right.item() == pytest.approx(math.log(1.1 / 0.9))


def test_sums_far_off_bound_nothing():
    rows, columns = almost_stochastic_bound(torch.tensor([[[1.5, 1.0], [0.4, 0.1]]], dtype=F64).log())
    assert rows.right.item() == math.inf
    assert columns.right.item() == pytest.approx(math.log(1.9 / 0.1))


@pytest.mark.parametrize("marginals", ["unit", "uniform"])
@given(seed=st.integers(0, 200), noise=st.floats(0.001, 2.0))
def test_bounds_of_almost_doubly_stochastic_matrices(marginals, seed, noise):
    cost, mass = gaussian_cost(5, 2, seed), 1.0 if marginals == "unit" else 1.0 / 5.0
    near, optimum = near_optimum(cost, reg=0.1, seed=seed, noise=noise, marginals=marginals)
    for sides in almost_stochastic_bound(log_mass(cost, near, reg=0.1), mass=mass):
        assert sides.excess() <= 1e-9
        assert (sides.left > 0).all()
    sides = scaling_bound(cost, near, optimum, reg=0.1)
    assert sides.excess() <= 1e-6
    torch.testing.assert_close(sides.left, distance_to(near, optimum, reg=0.1))


@pytest.mark.parametrize("side", [0, 1])
def test_scalings_of_a_separable_cost_are_as_far_as_the_sums(side):
    """eta = 0: p is M1 up to a constant, so the bound is an equality on the side that is off."""
    a, b, off = normal(5, (1, 4, 1), (1, 1, 4), (1, 4))
    cost, reg = a + b, 0.5
    _, optimum = near_optimum(cost, reg=reg, seed=0, noise=0.0)
    moved = Duals(optimum.src + off, optimum.tgt) if side == 0 else Duals(optimum.src, optimum.tgt + off)
    sides = scaling_bound(cost, moved, optimum, reg=reg)
    torch.testing.assert_close(sides.left, (off.amax(1) - off.amin(1)) / reg)
    torch.testing.assert_close(sides.right, sides.left)


def test_scaling_bound_by_hand():
    """Q = ((1, 3), (2, 1)) / 3, p = q = 1: the sums are 4/3 and 1, 1 and 4/3; 1 / (1 - eta) is (sqrt(6) + 1) / 2."""
    zero = torch.zeros(1, 2, dtype=F64)
    log_kernel = KERNEL - math.log(3.0)
    sides = scaling_bound(-log_kernel - 1.0, Duals(zero, zero), Duals(zero, zero), reg=1.0)
    assert sides.left.item() == 0.0
    assert sides.right.item() == pytest.approx(math.log(4.0 / 3.0) * (6**0.5 + 1.0) / 2.0)
