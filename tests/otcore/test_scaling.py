"""The kernel-domain iterations are those of `dual`, step by step."""

import pytest
import torch

F64 = torch.float64


@pytest.fixture
def cost():
    from otcore import squared_cost

    x, y = torch.randn(2, 3, 6, 2, dtype=F64, generator=torch.Generator().manual_seed(4)).unbind()
    return squared_cost(x, y)


def test_descend_is_gradient_descent(cost):
    from otcore import Duals, gradient_descent
    from otcore.hilbert import distance_to
    from otcore.scaling import descend, scaled_problems

    reg, ratios = 1.5, (0.5, 2.0)
    problems = scaled_problems(cost, reg=reg)
    optimum = Duals(problems.log_p * reg, problems.log_q * reg)
    distance = descend(problems, ratios, depth=40, rest_below=0.0)
    for k, ratio in enumerate(ratios):
        layers = gradient_descent(cost, reg=reg, step_size=ratio * reg, depth=40)
        expected = torch.stack([distance_to(duals, optimum, reg=reg) for duals in layers])
        torch.testing.assert_close(distance[:, k], expected, atol=1e-11, rtol=1e-9)


def test_sinkhorn_sweeps_are_those_of_the_dual(cost):
    from otcore import Duals, sinkhorn
    from otcore.hilbert import distance_to
    from otcore.scaling import scaled_problems, sinkhorn_sweeps

    reg = 1.5
    problems = scaled_problems(cost, reg=reg)
    optimum = Duals(problems.log_p * reg, problems.log_q * reg)
    distance = sinkhorn_sweeps(problems, depth=25, stop_below=0.0)
    expected = torch.stack([distance_to(duals, optimum, reg=reg) for duals in sinkhorn(cost, reg=reg, depth=25)])
    torch.testing.assert_close(distance, expected, atol=1e-11, rtol=1e-9)


def test_a_ratio_that_rests_keeps_its_distance_and_the_others_do_not_notice(cost):
    from otcore.scaling import descend, scaled_problems, sinkhorn_sweeps

    problems = scaled_problems(cost, reg=1.5)
    both = descend(problems, (0.5, 2.0), depth=400, rest_below=1e-6)
    alone = descend(problems, (0.5,), depth=400, rest_below=1e-6)
    torch.testing.assert_close(both[:, 0], alone[:, 0], atol=1e-12, rtol=0)
    assert len(both) < 400
    rests_at = int((both[:, 1] < 1e-6).all(1).nonzero()[0])
    assert (both[rests_at:, 1] == both[rests_at, 1]).all()
    sweeps = sinkhorn_sweeps(problems, depth=400, stop_below=1e-6)
    assert (sweeps[-1] < 1e-6).all()
    assert not (sweeps[-2] < 1e-6).all()


def test_refusals(cost):
    from otcore import TransportError
    from otcore.scaling import descend, scaled_problems, sinkhorn_sweeps

    problems = scaled_problems(cost, reg=1.5)
    with pytest.raises(TransportError, match=r"reg: must be a finite number greater than 0; got 0.0. The kernel"):
        scaled_problems(cost, reg=0.0)
    with pytest.raises(TransportError, match=r"cost: must be finite everywhere; got 108 NaN"):
        scaled_problems(cost / 0 * 0, reg=1.0)
    with pytest.raises(TransportError, match=r"depth: must be a whole number of at least 1; got 0"):
        descend(problems, (2.0,), depth=0, rest_below=0.0)
    with pytest.raises(TransportError, match=r"step_ratios: must be .*greater than 0; got -1.0. 2 is the fastest"):
        descend(problems, (-1.0,), depth=1, rest_below=0.0)
    with pytest.raises(TransportError, match=r"depth: must be a whole number of at least 1; got 0"):
        sinkhorn_sweeps(problems, depth=0, stop_below=0.0)
