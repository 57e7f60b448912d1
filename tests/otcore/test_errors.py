"""Each refusal says which argument, the rule, what arrived and what to do."""

import pytest
import torch

import otcore
from otcore import Duals, TransportError, TransportTransformer, bounds, constructed_weights
from otcore._checks import check_choice

X = torch.zeros(1, 3, 2, dtype=torch.float64)
COST = torch.rand(1, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
MASS = torch.ones(1, 3, dtype=torch.float64)


def _weights(**kwargs):
    return constructed_weights(**({"dim": 1, "reg": 0.1, "step_size": 0.1} | kwargs))


def _model(**kwargs):
    weights = _weights()
    return TransportTransformer(weights.score, weights.value, **({"depth": 2} | kwargs))


def _call(name, *args, **kwargs):
    found = getattr(otcore, name, None) or getattr(bounds, name)
    result = found(*args, **kwargs)
    return list(result) if hasattr(result, "__next__") else result


def _choice():
    """Call the check itself: in tests a wrong name is stopped before by its type."""
    check_choice("marginals", "half", ("unit", "uniform"))


CASES = [
    (lambda: _weights(reg=0.0), r"reg: must be a finite number greater than 0; got 0.0. .*try 0.05"),
    (lambda: _weights(reg=float("nan")), r"reg: must be a finite number greater than 0; got nan"),
    (lambda: _weights(step_size=-0.1), r"step_size: must be .*greater than 0; got -0.1. Twice `reg`"),
    (lambda: _weights(reg=[]), r"reg: must be a number or one number a layer; got an empty sequence"),
    (lambda: _weights(dim=0), r"dim: must be a whole number of at least 1; got 0"),
    (lambda: _weights(sign=0), r"sign: must be -1 \(descends\) or \+1 .*; got 0. Leave it at -1"),
    (lambda: _call("annealed", 0.0, 1.0, depth=3), r"start: must be .*greater than 0; got 0.0"),
    (lambda: _call("engineered_prompt", X, X[:, :2]), r"x and y: must be of one shape .*\(1, 3, 2\) and \(1, 2, 2\)"),
    (lambda: _call("engineered_prompt", X, X.float()), r"x and y: must be of one dtype .*float64 .*float32"),
    (lambda: _call("engineered_prompt", X / 0, X), r"x: must be finite everywhere; got 6 NaN or infinite"),
    (_choice, r"marginals: must be one of 'unit', 'uniform'; got 'half'"),
    (
        lambda: _call("engineered_prompt", X, X, real=torch.zeros(1, 3, dtype=torch.bool)),
        r"real: must be True for at least one point a problem; got none in problem 0. Drop",
    ),
    (lambda: _call("plain_prompt", X[:, :0], X[:, :0]), r"x: must be of shape \(batch, n, dim\), no axis empty"),
    (lambda: _model(depth=0), r"depth: must be a whole number of at least 1; got 0"),
    (lambda: _model(steps=torch.ones(3)), r"steps: must be given for 1 layer \(shared\) or for 2.*; got 3 layers"),
    (lambda: _model()(torch.zeros(1, 4, 12, dtype=torch.float64)), r"prompt: must be of width 11.*; got width 12"),
    (
        lambda: _model()(torch.zeros(1, 4, 11, dtype=torch.float64), record={3}),
        r"record: must be layers from 1 to 2; got 3. Layers count from 1",
    ),
    (lambda: _call("gradient_descent", COST, reg=-1.0, step_size=1.0, depth=1), r"reg: must be .*; got -1.0. The dual"),
    (
        lambda: _call("gradient_descent", COST, reg=1.0, step_size=[1.0], depth=2),
        r"step_size: .*2 numbers.*; got 1 numb",
    ),
    (lambda: _call("sinkhorn", COST, reg=0.0, depth=1), r"reg: must be .*; got 0.0. Sinkhorn divides by it"),
    (
        lambda: _call("exact_plan", COST[:, :2]),
        r"cost: must be square.*; got 2 rows and 3 columns in problem 0. Pass the masses",
    ),
    (lambda: _call("exact_plan", COST, src_mass=MASS), r"src_mass and tgt_mass: must be given together; got only one"),
    (
        lambda: _call("entropic_plan", COST, reg=0.1, src_mass=MASS, tgt_mass=0.9 * MASS),
        r"of equal sums greater than 0 in every problem; got sums 3.0 and 2.7\d* in problem 0. Normalise",
    ),
    (
        lambda: _call("entropic_plan", COST, reg=0.1, src_mass=-MASS, tgt_mass=MASS),
        r"src_mass: must be finite and at least 0; got a negative",
    ),
    (
        lambda: _call("entropic_plan", COST, reg=0.1, src_mass=MASS[:, :2], tgt_mass=MASS),
        r"src_mass: must be of shape \(1, 3\); got shape \(1, 2\). Match the cost",
    ),
    (lambda: _call("entropic_plan", COST, reg=0.0), r"reg: must be .*; got 0.0. For the unregularised plan call"),
    (
        lambda: _call("hilbert_metric", MASS, MASS[:, :2]),
        r"log_p and log_q: must be of one shape .*\(1, 3\) and \(1, 2\)",
    ),
    (
        lambda: _call("theorem_d1", COST, reg=0.1, radius=MASS[:, 0], depth=0),
        r"depth: must be a whole number of at least 1; got 0",
    ),
    (
        lambda: _call("theorem_d1", COST, reg=0.0, radius=MASS[:, 0], depth=1),
        r"reg: must be .*; got 0.0. The bound divides by it",
    ),
    (
        lambda: _call("theorem_d1", COST, reg=0.1, radius=MASS[:, 0], depth=1, tolerance=-1.0),
        r"tolerance: must be .*; got -1.0. A Hilbert distance of 1",
    ),
    (lambda: _call("lemma_d6", 0, reg=0.1, radius=MASS[:, 0], depth=1), r"n: must be a whole number .*; got 0"),
    (
        lambda: _call("scaling_radius", Duals(MASS, MASS), reg=-0.1),
        r"reg: must be .*; got -0.1. Scalings are exp\(u/reg\)",
    ),
    (
        lambda: _call("sort", torch.zeros(0)),
        r"x: must be of shape \(n\), no axis empty; got shape \(0,\). Add or remove axes",
    ),
]


@pytest.mark.parametrize(("call", "text"), CASES)
def test_message(call, text):
    with pytest.raises(TransportError, match=text):
        call()
