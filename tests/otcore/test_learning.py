"""Training transformers to transport: the compiled gradient, Adam, divergence, going on from a saved state, refusals."""

import inspect
import math
import warnings
from dataclasses import replace
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import softmax

import otcore.learning
from otcore import TransportError
from otcore.learning import PRESETS, State, evaluation, start, train
from otcore.learning.engine import pack
from otcore.learning.forward import TorchEngine, answer, states
from otcore.learning.presets import check_settings, hidden_points, reading_column, trainable
from otcore.learning.training import (
    PROBLEMS,
    draw_batch,
    draw_number,
    draw_training_batch,
    effective_weights,
    engine_of,
    generator,
    start,
)
from tests.otcore.learning_factory import settings

PROMPTS = ("engineered", "plain")
MISREAD = ("notebook", "plain_notebook")


def packed(run, dtype):
    """Return initial weights and problems of a run as the engines take them."""
    rngs = [generator(run.seed + index, PROBLEMS) for index in range(run.seeds)]
    drawn = [draw_batch(rng, run.preset, run.shape, run.samples) for rng in rngs]
    state = start(run)
    weights = effective_weights(state.weights, state.mixing).astype(dtype)
    return weights, pack([prompt for prompt, _ in drawn], [found.target for _, found in drawn], dtype=dtype)


def kernel(run, dtype):
    return engine_of(run, threads=1).evaluate(*packed(run, dtype))


def autograd(run):
    column, hidden = reading_column(run.preset, run.shape), hidden_points(run.shape)
    engine = TorchEngine(reads=PRESETS[run.preset].reading != "column", first_column=column, hidden=hidden)
    return engine.evaluate(*packed(run, np.float64))


def check_close(found, wanted, tolerance):
    """Compare loss and gradient of every seed, relative to the loss and to the largest entry."""
    np.testing.assert_allclose(found.loss, wanted.loss, rtol=tolerance)
    largest = np.abs(wanted.gradient).max((1, 2, 3))
    assert (np.abs(found.gradient - wanted.gradient).max((1, 2, 3)) < tolerance * largest).all()
    largest = np.abs(wanted.by_prompt).max((1, 2))
    assert (np.abs(found.by_prompt - wanted.by_prompt).max((1, 2)) < 10 * tolerance * largest).all()


@pytest.mark.parametrize(("preset", "prompt"), [*product(PRESETS, PROMPTS), MISREAD])
def test_kernel_is_autograd_in_float64_with_lanes_left_empty(prompt, preset):
    run = settings(preset, prompt)
    check_close(kernel(run, np.float64), autograd(run), 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize(
    ("preset", "n", "dim"), [*((name, 7, 1) for name in PRESETS), ("paper", 3, 2), ("notebook", 3, 2)]
)
def test_kernel_is_autograd_over_sizes(preset, prompt, n, dim):
    run = settings(preset, prompt, n=n, dim=dim, seeds=3, batch=70)
    check_close(kernel(run, np.float64), autograd(run), 1e-12)
    check_close(kernel(run, np.float32), autograd(run), 2e-6)


@pytest.mark.parametrize("preset", PRESETS)
def test_kernel_in_float32_is_within_2e_6_of_float64(preset):
    run = settings(preset)
    check_close(kernel(run, np.float32), autograd(run), 2e-6)


@pytest.mark.gpu
@pytest.mark.parametrize(("preset", "prompt"), [("paper", "plain"), ("notebook", "engineered"), MISREAD])
def test_a_gpu_computes_what_the_kernel_computes(preset, prompt):
    """Also with other weights, on other problems (a graph is replayed) and with a model left out."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    run = settings(preset, prompt)
    on_gpu, on_cpu = engine_of(run, device="cuda"), engine_of(run)
    for other in (run, run, replace(run, seed=run.seed + 1)):
        weights, batch = packed(other, np.float32)
        for alive in (None, np.array([1])):
            check_close(on_gpu.evaluate(0.9 * weights, batch), on_cpu.evaluate(0.9 * weights, batch), 1e-5)
            found, wanted = (engine.evaluate(weights, batch, alive=alive) for engine in (on_gpu, on_cpu))
            np.testing.assert_allclose(found.loss, wanted.loss, rtol=1e-5)
            np.testing.assert_allclose(found.gradient, wanted.gradient, atol=1e-5 * np.abs(wanted.gradient).max())


def test_gradient_is_the_slope_of_the_loss(rng):
    run = settings("paper", depth=4)
    (weights, batch), engine, step = packed(run, np.float64), engine_of(run, threads=1), 1e-6
    direction = rng.standard_normal(weights.shape) * (np.abs(weights) > 0)
    up, down = (engine.evaluate(weights + sign * step * direction, batch).loss for sign in (1, -1))
    slope = (engine.evaluate(weights, batch).gradient * direction).sum((1, 2, 3))
    np.testing.assert_allclose((up - down) / (2 * step), slope, rtol=1e-6)


def last(run, *args, **kwargs):
    *_, state = train(run, *args, **kwargs)
    return state


def bytes_of(state, seeds=slice(None)):
    """Return the bytes of every array, of some seeds."""
    return {name: array[seeds].tobytes() for name, array in state.arrays().items() if name != "step"}


def test_seeds_side_by_side_are_seeds_alone():
    run = settings("notebook", seeds=3, steps=4)
    together = last(run)
    for index in range(3):
        alone = last(replace(run, seeds=1, seed=run.seed + index))
        assert bytes_of(together, slice(index, index + 1)) == bytes_of(alone)


def test_threads_do_not_change_a_byte():
    run = settings("notebook", steps=4, batch=100)
    assert bytes_of(last(run, threads=1)) == bytes_of(last(run, threads=2))


@pytest.mark.parametrize("factor", [30.0, math.nan])
def test_a_diverged_seed_is_frozen_and_the_others_never_notice(factor):
    run = settings(seeds=3, steps=5)
    spoilt = start(run)
    spoilt.weights[1] *= factor
    before = spoilt.weights[1].tobytes()
    found = last(run, spoilt)
    assert found.diverged_at.tolist() == [-1, 0, -1] and found.alive.tolist() == [True, False, True]
    assert found.weights[1].tobytes() == before and not found.first[1].any()
    assert not found.loss[1] <= run.diverged_above
    assert bytes_of(found, [0, 2]) == bytes_of(last(run), [0, 2])


def test_training_ends_when_every_seed_has_diverged():
    states = list(train(settings(diverged_above=1e-3)))
    assert len(states) == 1 and states[0].diverged_at.tolist() == [0, 0]


def torch_run(run, steps):
    """Return weights, mixings and last losses of torch's Adam on the mean squared error, in float64."""
    reads, width = PRESETS[run.preset].reading != "column", run.shape.width
    begin = start(run)
    w, b = (torch.from_numpy(part).double().requires_grad_() for part in (begin.weights, begin.mixing))
    adam = torch.optim.Adam([w, b] if run.mixing == "trained" else [w], lr=run.adam_rate)
    for part in adam.param_groups[0]["params"]:  # so that the counter can be moved
        zeros = {name: torch.zeros_like(part) for name in ("exp_avg", "exp_avg_sq")}
        adam.state[part] = {"step": torch.tensor(0.0), **zeros}
    falls = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 1.0 if run.schedule == "constant" else 0.0, run.steps)
    for step in range(steps):
        rngs = [generator(run.seed + index, PROBLEMS, draw_number(run, step)) for index in range(run.seeds)]
        drawn = [draw_batch(rng, run.preset, run.shape, run.samples) for rng in rngs]
        prompt = torch.stack([prompt for prompt, _ in drawn])
        target = torch.from_numpy(np.stack([found.target for _, found in drawn]))
        p1, v1, p2, v2 = w[:, : b.shape[1]].split(width, -1)
        merged = torch.cat([torch.cat([p1, v1 @ b[:, :, 0], p2, v2 @ b[:, :, 1]], -1), w[:, b.shape[1] :]], 1)
        *_, end = states(prompt, merged, reads=reads)
        column = reading_column(run.preset, run.shape)
        estimate = answer(end, merged, reads=reads, n=run.shape.n, dim=run.shape.dim, first_column=column)
        loss = (estimate - target).square().mean((1, 2, 3))
        adam.zero_grad()
        loss.sum().backward()
        w.grad *= torch.from_numpy(trainable(run.preset, run.shape))
        for part in adam.state.values():
            part["step"] += PRESETS[run.preset].counts_per_step - 1
        adam.step()
        falls.step()
    return w.detach().numpy(), b.detach().numpy(), loss.detach().numpy()


def check_same_training(run, found, wanted):
    """Compare weights in steps of Adam, which makes the rounding of a gradient near zero as large as a step."""
    weights, mixing, loss = wanted
    np.testing.assert_allclose(found.loss, loss, rtol=1e-5)
    for mine, theirs in ((found.weights, weights), (found.mixing, mixing)):
        off = np.sort(np.abs(mine - theirs), axis=None) / run.adam_rate
        assert off[-3] < 1e-3 and off[-1] < 0.05


@pytest.mark.parametrize(
    ("preset", "more"),
    [
        ("paper", {}),
        ("paper", {"mixing": "trained"}),
        ("paper", {"schedule": "linear"}),
        ("notebook", {}),  # counts two for each step
        ("notebook", {"mixing": "trained"}),
        ("preprint", {}),
    ],
)
def test_training_is_adam(preset, more):
    run = settings(preset, steps=5, **more)
    check_same_training(run, last(run), torch_run(run, 5))


def adam_of_the_notebook(*, twice_on=None, steps=50, rate=5e-4):
    """Return the matrices of 20 layers, (80, 11, 11), after steps of torch's Adam on random gradients.

    With a device for `twice_on`, as the notebook lists and keeps them: float32, and the four matrices of each layer
    twice in turn. Otherwise in float64, listed once, with a counter that moves by two.
    """
    device, dtype = (twice_on, torch.float32) if twice_on else ("cpu", torch.float64)
    draws = torch.randn((steps + 1, 80, 11, 11), generator=torch.Generator().manual_seed(1)).to(device, dtype)
    layers = draws[0].reshape(20, 4, 11, 11).clone()
    matrices = [[matrix.clone().requires_grad_() for matrix in layer] for layer in layers]
    listed = [matrix for layer in matrices for matrix in (layer * 2 if twice_on else layer)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*duplicate parameters")
        adam = torch.optim.Adam(listed, lr=rate)
    if not twice_on:
        for matrix in listed:
            zeros = {name: torch.zeros_like(matrix) for name in ("exp_avg", "exp_avg_sq")}
            adam.state[matrix] = {"step": torch.tensor(1.0), **zeros}
    for draw in draws[1:]:
        for matrix, slope in zip((matrix for layer in matrices for matrix in layer), draw, strict=True):
            matrix.grad = slope
        adam.step()
        if not twice_on:
            for state in adam.state.values():
                state["step"] += 1
    return torch.stack([matrix.detach().cpu().double() for layer in matrices for matrix in layer])


@pytest.mark.parametrize(("device", "once"), [("cpu", (0, 0)), pytest.param("cuda", (70, 80), marks=pytest.mark.gpu)])
def test_adam_with_every_matrix_listed_twice_updates_once_on_a_gpu_only(device, once):
    """The notebook's optimiser (docs/theory.md, section 6), all but a few matrices: what torch does is a race."""
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    off = (adam_of_the_notebook(twice_on=device) - adam_of_the_notebook()).abs().amax((1, 2)) / 5e-4
    least, most = once
    assert least <= (off < 0.01).sum() <= most


def test_what_the_notebook_calls_plain_is_read_from_the_column_of_y_without_the_last_point():
    """Its own reading layer, head by head, on weights of one seed."""
    run = settings(*MISREAD, seeds=1, batch=3)
    state, batch = start(run), draw_training_batch(run, 0)
    (weights,) = effective_weights(state.weights, state.mixing).astype(np.float64)
    total, width, n = 0.0, run.shape.width, run.shape.n
    for z, sorted_x in zip(batch.prompt[0].T[:3].astype(np.float64), batch.target[0].T[:3, :, 0], strict=True):
        for layer in weights[:-1]:
            p1, v1, p2, v2 = np.split(layer, 4, axis=1)
            z = z + sum(softmax(z @ p @ z.T, axis=1) @ z @ v for p, v in ((p1, v1), (p2, v2)))
        scores = z @ weights[-1, :, :width] @ z.T
        scores[:, n - 1] = -np.inf
        total += np.square(softmax(scores, axis=1) @ z[:, 1] - sorted_x).mean()
    found = engine_of(run, threads=1).evaluate(effective_weights(state.weights, state.mixing), batch)
    np.testing.assert_allclose(found.loss, [total / 3], rtol=1e-5)


def test_what_is_fixed_is_not_trained():
    run = settings("notebook")
    before, after, width = start(run), last(run), run.shape.width
    assert np.array_equal(after.weights[:, -1, :, width:], before.weights[:, -1, :, width:])
    assert np.array_equal(after.mixing, before.mixing)
    assert (after.weights[:, :-1] != before.weights[:, :-1]).mean() > 0.9


@pytest.mark.parametrize("stop", [1, 50, 52])  # the notebook draws new problems after steps 0 and 50
def test_a_saved_state_goes_on_as_if_it_had_never_stopped(stop):
    run = settings("notebook", steps=54)
    halfway = next(state for state in train(run) if state.step == stop)
    saved = {name: array.copy() for name, array in halfway.arrays().items()}
    end = last(run, State.from_arrays(saved))
    assert end.step == 54 and bytes_of(end) == bytes_of(last(run))


@pytest.mark.parametrize(("preset", "redrawn"), [("paper", False), ("notebook", True), ("preprint", False)])
def test_problems_are_drawn_anew_after_steps_0_50_and_so_on_by_the_notebook_only(preset, redrawn):
    first, second, same, after = (draw_training_batch(settings(preset), step).prompt for step in (0, 1, 50, 51))
    assert np.array_equal(second, same)
    assert np.array_equal(first, second) is not redrawn
    assert np.array_equal(same, after) is not redrawn


def _checked(preset="paper", **sizes):
    """Call the check itself: in tests a wrong name is stopped before by its type."""
    inspect.unwrap(check_settings)(
        preset, SimpleNamespace(**({"n": 4, "dim": 1, "depth": 3, "prompt": "plain"} | sizes))
    )


def _mixing():
    run = settings()
    object.__setattr__(run, "mixing", "free")
    run.__post_init__()


def _engine(run, weights_of=None, dtype=np.float32):
    weights = start(weights_of or run).weights.astype(dtype)
    return engine_of(run, threads=1).evaluate(weights, draw_training_batch(run, 0))


def _learning(name, run, *args):
    found = getattr(otcore.learning, name, None) or getattr(evaluation, name)
    return found(run, *(args or (otcore.learning.start(run),)))


REFUSALS = [
    (lambda: _checked("thesis"), r"preset: must be one of 'paper', 'notebook', 'preprint'; got 'thesis'. Choose"),
    (
        lambda: _checked(prompt="prose"),
        r"prompt: must be one of 'engineered', 'plain', 'plain_notebook', 'learned'; got 'prose'. Choose",
    ),
    (lambda: settings(n=1), r"n: must be a whole number of at least 2; got 1"),
    (lambda: settings(dim=0), r"dim: must be a whole number of at least 1; got 0"),
    (lambda: settings(depth=1), r"depth: must be a whole number of at least 2; got 1"),
    (
        lambda: settings("paper", "plain_notebook"),
        r"prompt: must be engineered or plain, unless the preset is notebook; got plain_notebook. Use plain",
    ),
    (lambda: settings("notebook", n=51), r"n: must be at most 50, the distinct numbers .*; got 51. Use preset paper"),
    (lambda: settings("preprint", dim=2), r"dim: must be 1 under preset preprint.*; got 2. Use preset paper"),
    (lambda: settings(steps=0), r"steps: must be a whole number of at least 1; got 0"),
    (lambda: settings(seeds=0), r"seeds: must be a whole number of at least 1; got 0"),
    (lambda: settings(batch=0), r"batch: must be a whole number of at least 1; got 0"),
    (lambda: settings(rate=-1e-3), r"rate: must be a finite number greater than 0; got -0.001. The presets use 5e-4"),
    (lambda: settings(diverged_above=math.nan), r"diverged_above: must be .*greater than 0; got nan. The loss starts"),
    (lambda: settings(schedule="cosine"), r"schedule: must be one of 'constant', 'linear'; got 'cosine'"),
    (_mixing, r"mixing: must be one of 'fixed', 'trained'; got 'free'"),
    (
        lambda: _engine(settings(), settings(prompt="plain")),
        r"weights and batch: must be of width 11, 44 parts and 5 tokens; got weights \(2, 4, 3, 12\).* for one Shape",
    ),
    (
        lambda: _engine(settings(), dtype=np.float64),
        r"of one dtype, for as many models; got float64 for 2 and float32 for 2. Pack the batch with the dtype",
    ),
    (lambda: _engine(settings(), settings(seeds=3)), r"as many models; got float32 for 3 and float32 for 2. Pack"),
    (
        lambda: _learning("descent", settings(prompt="plain")),
        r"prompt: must be engineered and whole; got plain. Without memory",
    ),
    (
        lambda: _learning("weight_cosines", settings(prompt="plain")),
        r"must be engineered and whole; got plain. There is no cons",
    ),
    (lambda: _learning("check_sizes", settings("notebook"), (7, 60)), r"n: must be at most 50.*; got 60"),
]


@pytest.mark.parametrize(("call", "text"), REFUSALS)
def test_message(call, text):
    with pytest.raises(TransportError, match=text):
        call()
