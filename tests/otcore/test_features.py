"""Features of general costs: their plans against plans of the costs themselves, and against exact solvers."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from otcore import (
    TransportError,
    TransportTransformer,
    constructed_weights,
    engineered_prompt,
    entropic_plan,
    exact_plan,
    partial_plan,
    read_plan,
    squared_cost,
)
from otcore.features import (
    bilinear_features,
    cosine_features,
    even_power_features,
    gaussian_features,
    mahalanobis_features,
    partial_features,
    polynomial_features,
    power_features,
)
from tests.otcore.problems import F64, clouds

MATRIX = torch.tensor([[1.0, 0.5], [-0.3, -0.7]], dtype=F64)


def _difference(x, y):
    return x[:, :, None] - y[:, None]


EXACT = {
    "bilinear": (
        lambda x, y: bilinear_features(x, y, matrix=MATRIX),
        lambda x, y: -torch.einsum("bik,kl,bjl->bij", x, MATRIX, y),
    ),
    "mahalanobis": (
        lambda x, y: mahalanobis_features(x, y, matrix=MATRIX),
        lambda x, y: torch.einsum("bijk,kl,bijl->bij", _difference(x, y), MATRIX, _difference(x, y)),
    ),
    "cosine": (cosine_features, lambda x, y: 1 - torch.cosine_similarity(x[:, :, None], y[:, None], dim=-1)),
    "polynomial": (
        lambda x, y: polynomial_features(x, y, degree=3, offset=0.5),
        lambda x, y: -2 * (x @ y.mT + 0.5) ** 3,
    ),
    "fourth power": (
        lambda x, y: even_power_features(x, y, power=4),
        lambda x, y: (_difference(x, y) ** 4).sum(-1),
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_features_have_the_plan_of_their_cost(name):
    features, cost = EXACT[name]
    x, y = clouds(6, 2, seed=1, batch=4)
    plan = entropic_plan(cost(x, y), reg=0.05).plan
    torch.testing.assert_close(entropic_plan(squared_cost(*features(x, y)), reg=0.05).plan, plan, atol=1e-7, rtol=0)
    exact = exact_plan(squared_cost(*features(x, y))).plan
    for matrix, found in zip(cost(x, y), exact, strict=True):
        assert linear_sum_assignment(matrix.numpy())[1].tolist() == found.argmax(1).tolist()


@pytest.mark.parametrize("name", EXACT)
def test_layers_on_features_solve_the_cost(name):
    features, cost = EXACT[name]
    x, y = clouds(5, 2, seed=2)
    phi, psi = features(x, y)
    weights = constructed_weights(phi.shape[-1], reg=0.2, step_size=0.3)
    state = TransportTransformer.constructed(weights, depth=1500)(engineered_prompt(phi, psi)).state
    plan = entropic_plan(cost(x, y), reg=0.2).plan
    torch.testing.assert_close(read_plan(state, weights.score[0])[:, 0], plan, atol=1e-8, rtol=0)


def test_cosine_and_polynomial_distances_are_those_of_their_kernels():
    x, y = clouds(4, 3, seed=3)
    torch.testing.assert_close(squared_cost(*cosine_features(x, y)), EXACT["cosine"][1](x, y))
    phi, psi = polynomial_features(x, y, degree=2, offset=0.0)
    assert phi.shape[-1] == 6
    torch.testing.assert_close(phi @ psi.mT, (x @ y.mT) ** 2)


@pytest.mark.parametrize("power", [0.5, 1.0, 1.5])
def test_random_features_of_a_power_have_its_mean(power):
    x, y = clouds(3, 2, seed=4, batch=1)
    cost = (_difference(x, y).abs() ** power).sum(-1)
    generator = torch.Generator().manual_seed(0)
    found = squared_cost(*power_features(x, y, power=power, n_frequencies=40_000, generator=generator, scale=0.3))
    torch.testing.assert_close(found, cost, rtol=0.03, atol=0.01)


def test_random_features_of_a_gaussian_have_its_mean():
    x, y = clouds(3, 2, seed=5, batch=1)
    cost = 1 - torch.exp(-squared_cost(x, y) / (2 * 0.4**2))
    generator = torch.Generator().manual_seed(0)
    found = squared_cost(*gaussian_features(x, y, width=0.4, n_frequencies=40_000, generator=generator))
    torch.testing.assert_close(found, cost, rtol=0, atol=0.02)


def test_the_error_of_random_features_falls_with_the_root_of_their_number():
    x, y = clouds(8, 2, seed=6, batch=16)
    cost = 1 - torch.exp(-squared_cost(x, y) / (2 * 0.3**2))
    generator, errors = torch.Generator().manual_seed(1), []
    for n in (100, 6400):
        found = squared_cost(*gaussian_features(x, y, width=0.3, n_frequencies=n, generator=generator))
        errors.append(float((found - cost).square().mean().sqrt()))
    assert errors[0] / errors[1] == pytest.approx(8.0, rel=0.4)


@given(st.integers(0, 1000), st.integers(2, 5), st.integers(2, 5), st.integers(1, 5))
def test_dummies_leave_the_cheapest_partial_plan(seed, n, m, moved):
    moved = min(moved, n, m)
    rng = np.random.default_rng(seed)
    x, y = rng.random((n, 2)), rng.random((m, 2))
    phi, psi = partial_features(x, y, moved=moved, penalty=10.0)
    assert phi.shape == psi.shape == (n + m - moved, 5)
    cost = -2 * phi @ psi.T
    np.testing.assert_allclose(cost[:n, :m], ((x[:, None] - y) ** 2).sum(-1), atol=1e-12)
    np.testing.assert_allclose(cost[n:, m:], 10.0)
    assert not cost[:n, m:].any()
    assert not cost[n:, :m].any()
    rows, columns = linear_sum_assignment(cost)
    real = (rows < n) & (columns < m)
    assert real.sum() == moved
    best = partial_plan(cost[:n, :m], src_mass=np.ones(n), tgt_mass=np.ones(m), share=moved / min(n, m))
    assert cost[rows, columns][real].sum() == pytest.approx(float((best.plan * cost[:n, :m]).sum()), abs=1e-9)


def test_lists_and_arrays_come_back_as_arrays():
    phi, psi = cosine_features([[1.0, 0.0]], np.array([[0.0, 1.0]]))
    assert isinstance(phi, np.ndarray)
    assert psi.shape == (1, 2)
    assert phi[0, 0] == pytest.approx(math.sqrt(0.5))


X = torch.ones(1, 3, 2, dtype=F64)
DRAW = torch.Generator()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: bilinear_features(X, X, matrix=torch.eye(3, dtype=F64)),
            r"matrix: must be of shape \(2, 2\).*\(3, 3\)",
        ),
        (lambda: cosine_features(X, 0 * X), r"y: must be of points other than 0; got a point at 0. Drop it"),
        (lambda: polynomial_features(X, X, degree=0), r"degree: must be a whole number of at least 1; got 0"),
        (
            lambda: polynomial_features(X, X, degree=2, offset=-1.0),
            r"offset: must be 0 or more.*; got -1.0. 1 is usual",
        ),
        (lambda: even_power_features(X, X, power=3), r"power: must be even; got 3. For powers below 2 call"),
        (
            lambda: power_features(X, X, power=2.0, n_frequencies=1, generator=DRAW),
            r"power: must be between 0 and 2, both excluded; got 2.0. For even powers call",
        ),
        (lambda: gaussian_features(X, X, width=0.0, n_frequencies=1, generator=DRAW), r"width: must be .*; got 0.0"),
        (lambda: partial_features(X, X, moved=4, penalty=1.0), r"moved: must be from 1 to 3.*; got 4. Move fewer"),
        (
            lambda: partial_features(X, X[:, :, :1], moved=1, penalty=1.0),
            r"x and y: must be as many problems of one dim",
        ),
    ],
)
def test_refusals_say_what_to_do(call, text):
    with pytest.raises(TransportError, match=text):
        call()
