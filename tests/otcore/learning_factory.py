"""Training runs small enough for tests, and a state that was written down instead of trained."""

import torch

from otcore import constructed_weights
from otcore.learning import Settings, Shape, start


def settings(preset="paper", prompt="engineered", *, n=4, dim=1, depth=3, without=(), **kwargs):
    """Return a run of few steps; the kernel is compiled for every (width, tokens, dtype), so keep to these sizes."""
    shape = Shape(n=n, dim=dim, depth=depth, prompt=prompt, without=without)
    return Settings(preset=preset, shape=shape, **({"steps": 20, "batch": 37, "seeds": 2} | kwargs))


def constructed(run, *, reg=0.1, swap=False):
    """Return a state whose residual layers are the construction, its heads exchanged or not."""
    state, table = start(run), constructed_weights(run.shape.dim, reg=reg, step_size=1.0)
    parts = [table.P1, table.V1, table.P2, table.V2]
    state.weights[:, : state.mixing.shape[1]] = torch.cat(parts[2:] + parts[:2] if swap else parts, 1).numpy()
    return state
