"""Hilbert's metric, and the inequalities that carry the proof of Theorem D.1."""

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.otcore.test_theorems import F64, clouds


class TestHilbert:
    @given(seed=st.integers(0, 200), factor=st.floats(-5, 5))
    def test_axioms_and_scale_invariance(self, seed, factor):
        from otcore import hilbert_metric

        p, q, r = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(seed), dtype=F64)
        assert torch.equal(hilbert_metric(p, p), torch.zeros(4, dtype=F64))
        torch.testing.assert_close(hilbert_metric(p, q), hilbert_metric(q, p))
        assert (hilbert_metric(p, r) <= hilbert_metric(p, q) + hilbert_metric(q, r) + 1e-12).all()
        torch.testing.assert_close(hilbert_metric(p + factor, q), hilbert_metric(p, q))

    def test_log_phi_is_its_definition(self):
        from otcore import log_phi

        q = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0), dtype=F64)
        i, k, j, m = torch.meshgrid(*(torch.arange(n) for n in (4, 3, 4, 3)), indexing="ij")
        brute = (q[:, i, k] + q[:, j, m] - q[:, j, k] - q[:, i, m]).flatten(1).amax(1)
        torch.testing.assert_close(log_phi(q), brute)

    @given(seed=st.integers(0, 200), scale=st.floats(0.01, 30))
    def test_a_positive_matrix_contracts(self, seed, scale):
        from otcore.hilbert import contraction

        generator = torch.Generator().manual_seed(seed)
        q, a, b = (scale * torch.randn(*shape, generator=generator, dtype=F64) for shape in ((2, 4, 5), (2, 5), (2, 5)))
        sides = contraction(q, a, b)
        assert (sides.left <= sides.right * (1 + 1e-12) + 1e-12).all()

    @given(seed=st.integers(0, 200), noise=st.floats(0.001, 2.0))
    def test_bounds_of_almost_doubly_stochastic_matrices(self, seed, noise):
        from otcore import Duals, entropic_plan, squared_cost
        from otcore.dual import log_mass
        from otcore.hilbert import almost_stochastic_bound, scaling_bound

        cost = squared_cost(*clouds(5, 2, seed))
        optimum = entropic_plan(cost, reg=0.1, threshold=1e-13, max_sweeps=100_000)
        generator = torch.Generator().manual_seed(seed)
        near = Duals(
            *(p + noise * 0.1 * torch.randn(p.shape, generator=generator, dtype=F64) for p in optimum.potentials)
        )
        for sides in almost_stochastic_bound(log_mass(cost, near, reg=0.1)):
            assert sides.excess() <= 1e-9
        assert scaling_bound(cost, near, optimum.potentials, reg=0.1).excess() <= 1e-6

    def test_theorem_d1_speaks_of_depths_that_no_computer_reaches(self):
        from otcore import squared_cost, theorem_d1

        cost = squared_cost(*clouds(8, 3, seed=0))
        promise = theorem_d1(cost, reg=0.005, depth=4000)
        assert torch.isfinite(promise.log_bound).all()
        torch.testing.assert_close(promise.log_depth, torch.full((2,), math.log(64 * 8) + 600, dtype=F64))
