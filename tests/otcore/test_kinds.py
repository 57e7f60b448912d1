"""Lists, NumPy arrays and tensors, one problem or a batch: the same numbers, and back comes what went in."""

import subprocess
import sys

import numpy as np
import pytest
import torch

F64 = torch.float64
X, Y = np.random.default_rng(0).random((2, 3, 4, 2))
COST = np.random.default_rng(1).random((3, 4, 4))
U, V = np.random.default_rng(2).random((2, 3, 4))
PROMPT = np.random.default_rng(3).random((3, 5, 11))
SCORE = np.random.default_rng(4).random((2, 11, 11))


def _last(iterates):
    *_, last = iterates
    return last


# (name, arguments that hold a batch, arguments that do not, what to do with the result)
CALLS = [
    ("squared_cost", {"x": X, "y": Y}, {}),
    ("engineered_prompt", {"x": X, "y": Y}, {}),
    ("plain_prompt", {"x": X, "y": Y}, {}),
    ("zero_duals", {"cost": COST}, {}),
    ("log_mass", {"cost": COST, "duals": (U, V)}, {"reg": 0.5}),
    ("dual_value", {"cost": COST, "duals": (U, V)}, {"reg": 0.5}),
    ("dual_gradient", {"cost": COST, "duals": (U, V)}, {"reg": 0.5}),
    ("gradient_descent", {"cost": COST, "start": (U, V)}, {"reg": 0.5, "step_size": 0.5, "depth": 3}),
    ("sinkhorn", {"cost": COST}, {"reg": 0.5, "depth": 3}),
    ("hilbert_metric", {"log_p": U, "log_q": V}, {}),
    ("log_phi", {"log_kernel": COST}, {}),
    ("theorem_d1", {"cost": COST, "radius": U[:, 0]}, {"reg": 0.5, "depth": 3}),
    ("softmax_attention", {"state": PROMPT}, {"score": SCORE}),
    ("read_plan", {"state": PROMPT}, {"score": SCORE}),
    ("sort", {"x": U}, {"depth": 50}),
    ("sorting_plan", {"x": U, "targets": V}, {"reg": 0.1, "step_size": 0.2, "depth": 5}),
]
IDS = [name for name, *_ in CALLS]


def run(name, batched, others):
    import otcore

    result = getattr(otcore, name)(**batched, **others)
    return _last(result) if hasattr(result, "__next__") else result


def each(value, change):
    return tuple(change(part) for part in value) if isinstance(value, tuple) else change(value)


def flat(result):
    return list(result) if isinstance(result, tuple) else [result]


@pytest.mark.parametrize(("name", "batched", "others"), CALLS, ids=IDS)
def test_every_kind_gives_the_same_numbers_and_comes_back(name, batched, others):
    expected = flat(run(name, {k: each(v, torch.from_numpy) for k, v in batched.items()}, _tensors(others)))
    assert all(isinstance(part, torch.Tensor) and part.dtype == F64 for part in expected)
    for change in (np.asarray, np.ndarray.tolist):
        found = flat(run(name, {k: each(v, change) for k, v in batched.items()}, others))
        for one, other in zip(found, expected, strict=True):
            assert isinstance(one, np.ndarray)
            np.testing.assert_allclose(one, other.numpy(), rtol=1e-12)


@pytest.mark.parametrize(("name", "batched", "others"), CALLS, ids=IDS)
def test_one_problem_is_a_row_of_the_batch(name, batched, others):
    together = flat(run(name, batched, others))
    for row in range(3):
        alone = flat(run(name, {k: each(v, lambda part, row=row: part[row]) for k, v in batched.items()}, others))
        for one, whole in zip(alone, together, strict=True):
            np.testing.assert_allclose(one, whole[row], rtol=1e-12)


@pytest.mark.parametrize(("name", "batched", "others"), CALLS, ids=IDS)
def test_float32_stays(name, batched, others):
    single = {k: v.astype(np.float32) if isinstance(v, np.ndarray) else v for k, v in others.items()}
    found = flat(run(name, {k: each(v, np.float32) for k, v in batched.items()}, single))
    assert {part.dtype for part in found} == {np.dtype(np.float32)}


def _tensors(others):
    return {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in others.items()}


def test_lists_take_the_dtype_and_kind_of_the_array_beside_them():
    from otcore import squared_cost

    found = squared_cost(torch.ones(1, 2, 1), [[[0.0], [3.0]]])
    assert found.dtype == torch.float32
    assert found[0].tolist() == [[1.0, 4.0], [1.0, 4.0]]
    assert squared_cost([[[0], [3]]], [[[1], [3]]]).dtype == np.float64


def test_a_model_reads_lists_too():
    from otcore import TransportTransformer, constructed_weights, engineered_prompt

    weights = constructed_weights(1, reg=0.1, step_size=0.2)
    model = TransportTransformer.constructed(weights, depth=3)
    prompt = engineered_prompt([[0.5], [0.0]], [[0.0], [0.5]])
    assert isinstance(prompt, np.ndarray)
    output = model(prompt, record={2})
    expected = model(torch.from_numpy(prompt)[None], record={2})
    np.testing.assert_allclose(output.state, expected.state[0].numpy())
    np.testing.assert_allclose(output.attention[2], expected.attention[2][0].numpy())
    assert [layer.number for layer in model.layers(prompt)] == [1, 2, 3]


def test_padded_points_are_masked_in_lists_too():
    from otcore import engineered_prompt

    x, y = X[:1], Y[:1]
    real = [[True, True, True, False]]
    expected = engineered_prompt(torch.from_numpy(x), torch.from_numpy(y), real=torch.tensor(real))
    np.testing.assert_allclose(engineered_prompt(x.tolist(), y.tolist(), real=real), expected.numpy())


BAD = [
    ("abc", r"must be numbers: .*; got 'abc'. Give numbers in rows of equal length"),
    (None, r"must be numbers: .*; got None"),
    ([[[1.0], [1.0, 2.0]]], r"must be numbers: .*; got rows of unequal length"),
    (["1", "2"], r"must be numbers: .*; got entries of type <U1"),
    ([], r".*no axis empty; got shape \(0,\). Add or remove axes"),
    (1.0, r".*no axis empty; got shape \(\)"),
    (np.full((3, 4, 11), np.nan), r"must be finite everywhere; got 132 NaN|must be of shape"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "batched", "others"), CALLS, ids=IDS)
@pytest.mark.parametrize(("value", "text"), BAD)
def test_what_is_no_array_is_refused_with_its_name(name, batched, others, value, text):
    from otcore import TransportError

    first = next(iter(batched))
    with pytest.raises(TransportError, match=f"^{first}: ({text})"):
        run(name, batched | {first: value}, others)


def test_potentials_must_be_a_pair_of_arrays_without_nan():
    from otcore import TransportError, log_mass

    with pytest.raises(TransportError, match=r"duals: must be a pair \(src, tgt\); got 3 parts. Give one array a side"):
        log_mass(COST, (U, V, V), reg=0.5)
    with pytest.raises(TransportError, match=r"duals: must be a pair \(src, tgt\); got ndarray"):
        log_mass(COST, U, reg=0.5)
    with pytest.raises(TransportError, match=r"duals.tgt: must be finite everywhere; got 12 NaN"):
        log_mass(COST, (U, V * np.nan), reg=0.5)
    assert np.isneginf(log_mass(COST, (U, np.full_like(V, -np.inf)), reg=0.5)).all()
    with pytest.raises(TransportError, match=r"reg: must be .*; got 0.0. The mass divides by it"):
        log_mass(COST, (U, V), reg=0.0)


def test_names_are_found_without_importing_torch_before_its_time():
    code = (
        "import sys, otcore; assert 'torch' not in sys.modules; otcore.plans, otcore.exact_plan; "
        "assert 'torch' not in sys.modules; missing = [n for n in otcore.__all__ if not hasattr(otcore, n)]; "
        "assert not missing, missing; assert 'torch' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    import otcore

    with pytest.raises(AttributeError, match="module 'otcore' has no attribute 'sorted'"):
        otcore.sorted  # noqa: B018
