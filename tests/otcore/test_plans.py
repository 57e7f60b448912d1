"""Plans of every kind: closed forms, linear programmes, laws, batches, and costs of very different size."""

import subprocess
import sys

import numpy as np
import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

SOLVERS = {
    "exact": ("exact_plan", {}),
    "partial": ("partial_plan", {"share": 0.7}),
    "entropic": ("entropic_plan", {"reg": 0.05, "threshold": 1e-12}),
    "unbalanced": ("unbalanced_plan", {"reg": 0.05, "reg_marginal": 0.5, "threshold": 1e-12}),
}
sizes = st.integers(1, 6)
seeds = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=12)


def solve(kind, cost, **options):
    import otcore

    name, defaults = SOLVERS[kind]
    return getattr(otcore, name)(cost, **{"marginals": "uniform"} | defaults | options)


def linear_programme(cost, src_mass, tgt_mass, amount=None):
    """Return the least cost of moving everything, or an amount, by scipy's simplex."""
    n_src, n_tgt = cost.shape
    rows, columns = np.kron(np.eye(n_src), np.ones(n_tgt)), np.kron(np.ones(n_src), np.eye(n_tgt))
    sums, masses = np.vstack([rows, columns]), np.concatenate([src_mass, tgt_mass])
    if amount is None:
        return linprog(cost.ravel(), A_eq=sums, b_eq=masses).fun
    every = np.ones((1, cost.size))
    return linprog(cost.ravel(), A_ub=sums, b_ub=masses, A_eq=every, b_eq=[amount]).fun


def masses(n_src, n_tgt, seed):
    rng = np.random.default_rng(seed)
    src, tgt = rng.random(n_src) + 0.1, rng.random(n_tgt) + 0.1
    return src / src.sum(), tgt / tgt.sum()


@FEW
@given(st.integers(1, 30), st.integers(1, 30), seeds, st.sampled_from([2, 50, 10**6]))
def test_points_of_equal_mass_have_the_plan_of_a_network_simplex(n_src, n_tgt, seed, n_values):
    """Ties too: whole costs, few of them different. The potentials prove every plan, so nothing is solved twice."""
    from benchmarks.reference.transport import solve_each
    from otcore.plans import exact

    costs = np.random.default_rng(seed).integers(n_values, size=(3, n_src, n_tgt)).astype(float)
    result = exact._by_paths(costs, np.full((3, n_src), 1 / n_src), np.full((3, n_tgt), 1 / n_tgt), 1e-9)
    assert result.converged.all()
    for cost, plan, src, tgt, reference in zip(costs, result.plan, *result.potentials, solve_each(costs), strict=True):
        assert (plan * cost).sum() == pytest.approx((reference * cost).sum(), rel=1e-9, abs=1e-9)
        slack = cost - src[:, None] - tgt
        assert slack.min() >= -1e-9 * n_values
        assert np.abs(slack[plan > 0]).max() <= 1e-9 * n_values


def test_compiled_paths_leave_other_masses_and_huge_costs_to_other_solvers():
    from otcore.plans import exact

    costs = np.array([[[1.0, 0.0], [0.0, 1.0]], [[1e200, 0.0], [0.0, 1e200]], [[1.0, 0.0], [0.0, 1.0]]])
    masses = np.array([[0.5, 0.5], [0.5, 0.5], [0.3, 0.7]])
    found = exact._by_paths(costs, masses, masses, 1e-9)
    assert found.converged.tolist() == [True, False, False]
    assert (found.plan[1:] == 0).all() and np.isinf(found.potentials.src[1:]).all()
    assert solve("exact", costs, src_mass=masses, tgt_mass=masses).plan[1].tolist() == [[0.0, 0.5], [0.5, 0.0]]


@FEW
@given(sizes, sizes, seeds, st.booleans())
def test_exact_is_the_linear_programme(n_src, n_tgt, seed, uniform):
    cost = np.random.default_rng(seed).normal(size=(n_src, n_tgt))
    src, tgt = (np.full(n_src, 1 / n_src), np.full(n_tgt, 1 / n_tgt)) if uniform else masses(n_src, n_tgt, seed)
    result = solve("exact", cost, src_mass=src, tgt_mass=tgt)
    assert (result.plan * cost).sum() == pytest.approx(linear_programme(cost, src, tgt), abs=1e-9)
    assert result.converged
    slack = cost - result.potentials.src[:, None] - result.potentials.tgt
    assert slack.min() > -1e-9
    assert np.abs(slack[result.plan > 1e-9]).max() < 1e-9


@FEW
@given(sizes, sizes, seeds, st.sampled_from([0.05, 0.5, 0.75, 0.8, 1.0]), st.sampled_from(["unit", "uniform", "own"]))
def test_partial_is_the_linear_programme_and_its_potentials_prove_it(n_src, n_tgt, seed, share, marginals):
    cost = np.random.default_rng(seed).normal(size=(n_src, n_tgt))
    if marginals == "own":
        src, tgt = masses(n_src, n_tgt, seed)
        result = solve("partial", cost, share=share, src_mass=src, tgt_mass=2 * tgt)
        tgt = 2 * tgt
    else:
        value = (1.0, 1.0) if marginals == "unit" else (1 / n_src, 1 / n_tgt)
        src, tgt = np.full(n_src, value[0]), np.full(n_tgt, value[1])
        result = solve("partial", cost, share=share, marginals=marginals)
    amount = share * min(src.sum(), tgt.sum())
    assert (result.plan * cost).sum() == pytest.approx(linear_programme(cost, src, tgt, amount), abs=1e-8)
    assert result.plan.sum() == pytest.approx(amount)
    assert result.converged
    assert abs(result.gap) < 1e-9
    if share < 1:
        assert max(result.potentials.src.max(), result.potentials.tgt.max()) < 1e-9


def test_partial_of_unit_masses_is_a_matching_of_that_many_points():
    cost = np.array([[0.0, 5, 5, 5], [5, 0.1, 5, 5], [5, 5, 0.2, 5]])
    assert np.argwhere(solve("partial", cost, share=2 / 3, marginals="unit").plan).tolist() == [[0, 0], [1, 1]]
    assert np.argwhere(solve("partial", cost, share=1.0, marginals="unit").plan).tolist() == [[0, 0], [1, 1], [2, 2]]


def test_entropic_of_two_points_in_closed_form():
    """P = [[p, 1-p], [1-p, p]] with p/(1-p) = exp(-(C11 + C22 - C12 - C21) / (2 lam))."""
    cost = [[0.3, 0.9], [0.2, 0.1]]
    odds = np.exp(-(0.3 + 0.1 - 0.9 - 0.2) / (2 * 0.2))
    share = odds / (1 + odds)
    plan = solve("entropic", cost, reg=0.2, marginals="unit", threshold=1e-13).plan
    np.testing.assert_allclose(plan, [[share, 1 - share], [1 - share, share]], atol=1e-11)


def test_unbalanced_of_one_point_in_closed_form():
    """With masses 1 the optimum of P (c + (reg + 2 price) (log P - 1)) is P = exp(-c / (reg + 2 price))."""
    result = solve("unbalanced", [[0.7]], reg=0.3, reg_marginal=0.5)
    assert result.plan.item() == pytest.approx(np.exp(-0.7 / 1.3), abs=1e-12)
    assert result.converged


@pytest.mark.parametrize(("reg", "price"), [(1.0, 1.0), (0.1, 1.0), (0.05, 0.2), (0.02, 5.0)])
def test_unbalanced_agrees_with_pot(reg, price, rng):
    cost = rng.random((5, 7))
    src, tgt = np.full(5, 0.2), np.full(7, 1 / 7)
    expected = ot.unbalanced.sinkhorn_unbalanced(src, tgt, cost, reg, price, numItermax=100_000, stopThr=1e-13)
    result = solve("unbalanced", cost, reg=reg, reg_marginal=price)
    np.testing.assert_allclose(result.plan, expected, atol=1e-8)
    assert result.converged
    assert abs(result.gap) < 1e-9


def test_unbalanced_with_dear_marginals_goes_to_the_balanced_plan(rng):
    """Between uniform masses the references 1 and a b^T give the same balanced plan."""
    cost = rng.random((4, 6))
    far = solve("unbalanced", cost, reg=0.1, reg_marginal=1e5, threshold=1e-9)
    np.testing.assert_allclose(far.plan, solve("entropic", cost, reg=0.1).plan, atol=1e-5)


@pytest.mark.parametrize("reg", [1e-2, 1e-4, 1e-6])
def test_small_regs_reach_the_exact_plan(reg, rng):
    cost = rng.random((6, 6))
    result = solve("entropic", cost, reg=reg, threshold=1e-9)
    assert result.converged
    assert np.abs(result.plan - solve("exact", cost).plan).sum() < 6 * reg + 1e-9
    for price in (1.0, 10.0):
        free = solve("unbalanced", cost, reg=10 * reg, reg_marginal=price, threshold=1e-9)
        assert free.converged
        assert abs(free.gap) < 1e-9


@pytest.mark.parametrize("kind", SOLVERS)
@FEW
@given(n_src=sizes, n_tgt=sizes, seed=seeds)
def test_marginals_hold_and_evidence_is_honest(kind, n_src, n_tgt, seed):
    cost = np.random.default_rng(seed).random((n_src, n_tgt))
    result = solve(kind, cost)
    assert result.converged
    assert result.plan.min() >= 0
    assert abs(result.gap) < 1e-8
    rows, columns = result.plan.sum(1), result.plan.sum(0)
    if kind in ("exact", "entropic"):
        error = np.abs(rows - 1 / n_src).sum() + np.abs(columns - 1 / n_tgt).sum()
        assert error == pytest.approx(float(result.marginal_error), abs=1e-15)
        assert error < 1e-9
    elif kind == "partial":
        assert rows.max() <= 1 / n_src + 1e-9
        assert columns.max() <= 1 / n_tgt + 1e-9
        assert result.plan.sum() == pytest.approx(0.7)
    else:
        u, v = result.potentials
        np.testing.assert_allclose(rows, np.exp(-u / 0.5) / n_src, atol=1e-9)
        np.testing.assert_allclose(columns, np.exp(-v / 0.5) / n_tgt, atol=1e-9)


@pytest.mark.parametrize("kind", SOLVERS)
@FEW
@given(n_src=sizes, n_tgt=sizes, seed=seeds)
def test_swapping_the_sides_transposes_the_plan(kind, n_src, n_tgt, seed):
    cost = np.random.default_rng(seed).random((n_src, n_tgt))
    np.testing.assert_allclose(solve(kind, cost.T).plan, solve(kind, cost).plan.T, atol=1e-9)


@pytest.mark.parametrize("kind", SOLVERS)
@FEW
@given(seed=seeds, factor=st.floats(0.1, 10.0))
def test_scaling_costs_with_the_weights_leaves_the_plan_and_a_shift_too_where_the_mass_is_fixed(kind, seed, factor):
    cost = np.random.default_rng(seed).random((4, 5))
    weights = {name: value * factor for name, value in SOLVERS[kind][1].items() if name.startswith("reg")}
    shift = 0.0 if kind == "unbalanced" else 3.0
    np.testing.assert_allclose(solve(kind, cost * factor + shift, **weights).plan, solve(kind, cost).plan, atol=1e-8)


@pytest.mark.parametrize("kind", SOLVERS)
@pytest.mark.parametrize("as_tensor", [False, True])
def test_a_padded_batch_is_a_loop_over_its_problems(kind, as_tensor, rng):
    from otcore import Padded, pad_costs

    alone = [rng.random(shape) for shape in ((3, 5), (6, 2), (1, 1), (4, 4))]
    costs = [torch.from_numpy(cost) for cost in alone] if as_tensor else alone
    padded = pad_costs(costs)
    n_src, n_tgt = zip(*(one.shape for one in alone), strict=True)
    padded.cost[0, 3:] = float("nan")  # padding is not read
    by_mask = solve(kind, padded)
    by_length = solve(kind, Padded(padded.cost, n_src, n_tgt))
    for result in (by_mask, by_length):
        assert isinstance(result.plan, torch.Tensor) == as_tensor
        for row, one in enumerate(alone):
            expected = solve(kind, one)
            plan = np.asarray(result.plan[row])
            np.testing.assert_allclose(plan[: n_src[row], : n_tgt[row]], expected.plan, atol=1e-11)
            assert plan[n_src[row] :].sum() == plan[:, n_tgt[row] :].sum() == 0
            assert int(result.iterations[row]) == expected.iterations
            assert bool(result.converged[row])
            assert float(result.gap[row]) == pytest.approx(float(expected.gap), abs=1e-11)
            u, v = (np.asarray(part[row]) for part in result.potentials)
            sums = u[: n_src[row], None] + v[: n_tgt[row]]  # a constant may move from v to u
            np.testing.assert_allclose(sums, np.add.outer(*expected.potentials), atol=1e-8)
            assert (u[n_src[row] :] == -np.inf).all()
            assert (v[n_tgt[row] :] == -np.inf).all()


@pytest.mark.parametrize("kind", SOLVERS)
def test_numpy_and_tensors_give_the_same_numbers_in_their_own_kind(kind, rng):
    cost = rng.random((3, 4, 4))
    result, tensors, lists = solve(kind, cost), solve(kind, torch.from_numpy(cost)), solve(kind, cost.tolist())
    for name in ("plan", "marginal_error", "gap", "iterations", "converged"):
        one, other, third = (getattr(found, name) for found in (result, tensors, lists))
        assert isinstance(one, np.ndarray)
        assert isinstance(third, np.ndarray)
        assert isinstance(other, torch.Tensor)
        np.testing.assert_allclose(one.astype(float), other.double().numpy(), atol=1e-10)
    single = solve(kind, torch.from_numpy(cost[0]).float())
    assert single.plan.shape == (4, 4)
    assert single.plan.dtype == single.gap.dtype == torch.float32
    assert single.converged.shape == ()
    np.testing.assert_allclose(single.plan.numpy(), result.plan[0], atol=1e-4)
    assert solve(kind, cost.astype(np.float32)).plan.dtype == np.float32
    assert solve(kind, np.array([[1, 2], [3, 4]])).plan.dtype == np.float64


@pytest.mark.parametrize("kind", SOLVERS)
@FEW
@given(n_src=st.integers(2, 7), n_tgt=st.integers(2, 7), seed=seeds)
def test_a_cost_of_1e32_among_small_ones_is_a_link_that_is_not_used(kind, n_src, n_tgt, seed):
    rng = np.random.default_rng(seed)
    cost = rng.random((n_src, n_tgt))
    at = rng.integers(n_src), rng.integers(n_tgt)
    cost[at] = 50.0
    expected = solve(kind, cost)
    cost[at] = 1e32
    result = solve(kind, cost)
    if kind != "partial" and expected.plan[at] > 1e-12:
        return  # two rows, or columns, cannot do without it
    np.testing.assert_allclose(result.plan, expected.plan, atol=1e-7)
    assert result.converged


def test_costs_over_sixty_orders_of_magnitude(rng):
    order = rng.permutation(6)
    cost = 10.0 ** rng.uniform(0, 30, (6, 6))
    cost[np.arange(6), order] = 10.0 ** rng.uniform(-30, 0, 6)
    expected = np.eye(6)[order] / 6
    for result in (
        solve("exact", cost),
        solve("exact", cost, src_mass=np.full(6, 1 / 6), tgt_mass=np.nextafter(np.full(6, 1 / 6), 1)),
        solve("entropic", cost, reg=1e-3),
    ):
        np.testing.assert_allclose(result.plan, expected, atol=1e-9)
        assert result.converged
    free = cost * (cost > 1)  # nothing need be paid
    np.testing.assert_allclose(
        solve("exact", free[:, :], src_mass=expected.sum(1), tgt_mass=1.0 * expected.sum(0)).plan, expected, atol=1e-9
    )


@pytest.mark.parametrize("kind", SOLVERS)
def test_ties_and_equal_costs_are_no_special_case(kind):
    for cost in (np.ones((3, 4)), np.zeros((3, 3)), np.kron(np.eye(2), np.ones((2, 2)))):
        result = solve(kind, cost)
        assert result.converged
        assert np.isfinite(result.plan).all()


def test_masses_of_sums_other_than_one_and_points_without_mass():
    cost = np.array([[1.0, 2.0, 9.0], [4.0, 0.0, 9.0]])
    result = solve("exact", cost, src_mass=[2.0, 4.0], tgt_mass=[3.0, 3.0, 0.0])
    np.testing.assert_allclose(result.plan, [[2.0, 0.0, 0.0], [1.0, 3.0, 0.0]])
    assert result.potentials.tgt[2] == -np.inf
    assert result.converged


def test_too_few_sweeps_are_reported(rng):
    cost = rng.random((12, 12))
    for kind in ("entropic", "unbalanced"):
        result = solve(kind, cost, reg=1e-4, max_sweeps=2)
        assert not result.converged
        assert result.iterations == 2


def test_singular_newton_systems_leave_the_others_alone():
    from otcore.plans.sweeps import _solved

    matrices = np.array([[[2.0, 0.0], [0.0, 4.0]], [[1.0, 1.0], [1.0, 1.0]]])
    found = _solved(matrices, np.ones((2, 2)))
    np.testing.assert_allclose(found[0], [0.5, 0.25])
    assert np.isnan(found[1]).all()


def test_plans_of_numpy_arrays_do_not_import_torch():
    code = (
        "import sys, numpy as np, otcore; cost = np.random.default_rng(0).random((4, 4)); "
        "otcore.exact_plan(cost); otcore.entropic_plan(cost, reg=0.1); otcore.partial_plan(cost[:3], share=1.0); "
        "otcore.unbalanced_plan(cost, reg=0.1, reg_marginal=1.0); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


BAD = [
    ("abc", r"cost: must be numbers: nested lists, .*; got 'abc'. Give numbers in rows of equal length"),
    (None, r"cost: must be numbers.*; got None. Give"),
    ([[1.0], [1.0, 2.0]], r"cost: must be numbers.*; got rows of unequal length.*`otcore.pad_costs` pads"),
    ([["a", "b"]], r"cost: must be numbers.*; got entries of type <U1"),
    ([[1j]], r"cost: must be numbers.*; got entries of type complex128"),
    ({"a": 1}, r"cost: must be numbers.*; got entries of type object"),
    (torch.ones(2, 2, dtype=torch.complex64), r"cost: must be numbers.*; got a tensor of torch.complex64"),
    (3.0, r"cost: must be of shape \(batch, src, tgt\), no axis empty; got shape \(\)"),
    ([1.0, 2.0], r"cost: must be of shape \(batch, src, tgt\), no axis empty; got shape \(2,\). Add or remove axes"),
    ([[]], r"cost: must be of shape \(src, tgt\), no axis empty; got shape \(1, 0\)"),
    ([], r"cost: must be of shape .*; got shape \(0,\)"),
    (np.zeros((1, 1, 1, 1)), r"cost: must be of shape .*; got shape \(1, 1, 1, 1\)"),
    ([[1.0, float("nan")], [2.0, float("inf")]], r"cost: must be finite everywhere; got 2 NaN or infinite values. Drop"),
]  # fmt: skip


@pytest.mark.parametrize("kind", SOLVERS)
@pytest.mark.parametrize(("cost", "text"), BAD)
def test_what_is_no_cost_is_refused(kind, cost, text):
    from otcore import TransportError

    with pytest.raises(TransportError, match=text):
        solve(kind, cost)


@pytest.mark.parametrize(
    ("kind", "options", "text"),
    [
        ("partial", {"share": 0.0}, r"share: must be a finite number greater than 0; got 0.0. 1 moves everything"),
        ("partial", {"share": 1.5}, r"share: must be in \(0, 1\]; got 1.5. 1 moves everything"),
        ("unbalanced", {"reg": -1.0}, r"reg: must be .*; got -1.0. 0.05 of the largest"),
        ("entropic", {"threshold": 0.0}, r"threshold: must be .*; got 0.0. 1e-9 suits"),
        ("unbalanced", {"reg_marginal": -1.0}, r"reg_marginal: must be .*; got -1.0. The largest cost is"),
        ("unbalanced", {"src_mass": [0.0, 0.0], "tgt_mass": [1.0, 1.0]}, r"of sums greater than 0 .*got sums 0.0 and 2.0 in problem 0. Drop"),
        ("exact", {"src_mass": [1.0, 1.0], "tgt_mass": [1.0, 2.0]}, r"of equal sums .*; got sums 2.0 and 3.0 in problem 0. Normalise"),
        ("exact", {"src_mass": [1.0], "tgt_mass": [1.0, 2.0]}, r"src_mass: must be of shape \(1, 2\); got shape \(1, 1\). Match"),
        ("exact", {"src_mass": [1.0, 1.0]}, r"src_mass and tgt_mass: must be given together; got only one"),
        ("exact", {"src_real": [True, False, True]}, r"src_real: must be a mask of shape \(2,\), or lengths; got shape \(3,\)"),
        ("exact", {"src_real": [False, False]}, r"src_real: must be True for at least one point .*; got none in problem 0"),
        ("exact", {"src_real": [0.5, 1]}, r"src_real: must be True \(a point\) or False \(padding\); got other values"),
        ("exact", {"tgt_real": 3}, r"tgt_real: must be lengths, one whole number from 1 to 2 a problem; got \[3.0\]. Count"),
        ("exact", {"src_real": "both"}, r"src_real: must be numbers.*; got 'both'"),
    ],
)  # fmt: skip
def test_options_out_of_range_are_refused(kind, options, text):
    from otcore import Padded, TransportError

    options = dict(options)

    sides = {name: options.pop(name) for name in ("src_real", "tgt_real") if name in options}
    with pytest.raises(TransportError, match=text):
        solve(kind, Padded([[1.0, 2.0], [3.0, 5.0]], **sides), **options)


@pytest.mark.parametrize("value", ["x", None, [1.0], float("inf"), 0])
def test_options_that_are_no_number_are_refused_like_others(value):
    """Call the checks themselves: in tests a wrong type is stopped before by its annotation."""
    from otcore import TransportError, _checks

    with pytest.raises(TransportError, match=r"reg: must be a finite number greater than 0; got .*. Raise it."):
        _checks.check_positive.__wrapped__("reg", value, remedy="Raise it.")
    with pytest.raises(TransportError, match=r"depth: must be a whole number of at least 1; got .*. Ask for more"):
        _checks.check_count.__wrapped__("depth", value)


def test_pad_costs_refuses_what_is_no_list_of_matrices():
    from otcore import TransportError, pad_costs

    with pytest.raises(
        TransportError, match=r"costs: must be a list of at least one matrix; got \[\]. Give one matrix"
    ):
        pad_costs([])
    with pytest.raises(TransportError, match=r"costs\[1\]: must be of shape \(src, tgt\).*got shape \(1,\)"):
        pad_costs([[[1.0]], [1.0]])
    with pytest.raises(TransportError, match=r"costs\[0\]: must be numbers.*got 'a'"):
        pad_costs(["a"])
