"""Probes against the normal equations, planted truth and pure noise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from otcore import TransportError
from otcore.probes import RIDGES, Ridge, explained


def _planted(seed, rows=400, features=5, noise=0.0):
    rng = np.random.default_rng(seed)
    states = rng.standard_normal((rows, features)) * np.arange(1, features + 1) + 3.0
    weight = rng.standard_normal((features, 2))
    return states, states @ weight - 7.0 + noise * rng.standard_normal((rows, 2)), weight


@given(st.integers(0, 10_000), st.sampled_from(RIDGES))
def test_a_probe_solves_the_normal_equations(seed, ridge):
    states, targets, _ = _planted(seed, rows=30, noise=1.0)
    standard = (states - states.mean(0)) / states.std(0)
    by_hand = np.linalg.solve(
        standard.T @ standard / len(states) + ridge * np.eye(5), standard.T @ (targets - targets.mean(0)) / len(states)
    )
    probe = Ridge(states, targets).probe(ridge)
    np.testing.assert_allclose(probe.weight, by_hand / states.std(0)[:, None], rtol=1e-7, atol=1e-10)
    np.testing.assert_allclose(probe(states).mean(0), targets.mean(0), rtol=1e-9)


def test_what_is_in_the_states_is_found_on_rows_that_were_not_fitted():
    states, targets, weight = _planted(0)
    probe = Ridge(states[:200], targets[:200]).chosen(states[200:300], targets[200:300])
    np.testing.assert_allclose(probe.weight, weight, rtol=1e-5)
    left = (probe(states[300:]) - targets[300:]) ** 2
    assert explained(left.T, ((targets[300:] - targets[:200].mean(0)) ** 2).T).min() > 1 - 1e-10


def test_what_is_not_in_the_states_is_not_found():
    rng = np.random.default_rng(1)
    states, targets = rng.standard_normal((5000, 40)), rng.standard_normal((5000, 1))
    probe = Ridge(states[:500], targets[:500]).chosen(states[500:1000], targets[500:1000])
    left = (probe(states[1000:]) - targets[1000:]) ** 2
    assert explained(left.T, (targets[1000:].T - targets[:500].mean()) ** 2)[0] < 0.02


def test_each_target_has_a_ridge_of_its_own():
    rng = np.random.default_rng(2)
    states = rng.standard_normal((90, 60))
    targets = np.stack([states[:, 0], rng.standard_normal(90)], axis=1)
    fit = Ridge(states[:70], targets[:70])
    both = fit.chosen(states[70:], targets[70:])
    for column in range(2):
        alone = Ridge(states[:70], targets[:70, [column]]).chosen(states[70:], targets[70:, [column]])
        np.testing.assert_allclose(both.weight[:, [column]], alone.weight, rtol=1e-9, atol=1e-12)
    assert np.linalg.norm(both.weight[:, 0]) > 0.9 > np.linalg.norm(both.weight[:, 1])


def test_a_constant_feature_has_no_weight_and_changes_nothing():
    states, targets, _ = _planted(3, noise=0.5)
    wide = np.concatenate([states, np.full((len(states), 1), 0.1)], axis=1)
    probe, plain = Ridge(wide, targets).probe(1e-8), Ridge(states, targets).probe(1e-8)
    assert not probe.weight[-1].any()
    np.testing.assert_allclose(probe.weight[:-1], plain.weight, rtol=1e-8)


def test_nothing_below_the_floor_explains_nothing():
    floor = np.array([[1.0, 3.0], [2.0, 2.0]])
    np.testing.assert_allclose(explained(floor, floor), [0.0, 0.0])
    assert explained(2 * floor, floor).tolist() == [-1.0, -1.0]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: Ridge(np.ones((3, 2)), np.ones((4, 1))),
            r"states and targets: must be as many rows.*; got 3 and 4. Give",
        ),
        (lambda: Ridge(np.full((3, 2), np.nan), np.ones((3, 1))), r"states: must be finite everywhere; got 6 NaN"),
        (lambda: Ridge(np.ones((3, 2)), np.ones((3, 0))), r"targets: must be of shape \(row, target\), no axis empty"),
        (lambda: Ridge(np.ones((3, 2)), np.ones((3, 1))).probe(0.0), r"ridge: must be .*greater than 0; got 0.0. 1e-8"),
    ],
)
def test_refusals_say_what_to_do(call, text):
    with pytest.raises(TransportError, match=text):
        call()
