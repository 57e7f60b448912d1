"""Broken constructions, each of which some claim of the certificate must notice, and small sizes to run them at."""

from dataclasses import replace
from types import ModuleType

import pytest
import torch

from otcore import TransportTransformer, columns, constructed_weights, engineered_prompt
from pipeline.synthetic import appendix, maps, ordering, rates, theorems
from pipeline.synthetic.claims import Finding
from pipeline.synthetic.construction import PAPERS, Construction

SMALL: tuple[tuple[ModuleType, dict[str, object]], ...] = (
    (theorems, {"SIZES": (3,), "DIMENSIONS": (2,), "GRID_DEPTH": 20, "PRINTED_SIGN_DEPTH": 300}),
    (theorems, {"PRECISION_N": 6, "PRECISION_DEPTH": 60}),
    (rates, {"STUDIED": ((8, 2.0), (8, 1.0))}),
    (maps, {"SAME_WEIGHTS_N": (8, 128), "SAME_WEIGHTS_DEPTH": 60, "COUNTED_N": 512}),
    (maps, {"DIMENSIONS": (2,), "HIGHER_DEPTH": 300}),
    (ordering, {"LARGE_N": 64, "SIZES": {8: ("ties",), 16: ("permutation", "uniform", "normal")}, "GENERAL_N": 16}),
    (ordering, {"REGS": (1e-2, 1e-5), "LARGE_REGS": (1e-5,), "DEPTH": 100, "PRINTED_DEPTH": {"unit": 2000}}),
    (appendix, {"N_ALMOST": 500, "LEMMA_N": (3,)}),
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every problem of the certificate small enough for tests."""
    for module, constants in SMALL:
        for name, value in constants.items():
            monkeypatch.setattr(module, name, value)


def verdicts(finding: Finding) -> dict[str, str]:
    """Return the verdict of every claim."""
    return {claim.id: claim.verdict for claim in finding.claims}


def _other_sign(*args, sign=-1, **kwargs):
    return constructed_weights(*args, sign=-sign, **kwargs)


def _never_climbs(*args, sign=-1, **kwargs):
    return constructed_weights(*args, sign=-1, **kwargs)


def _half_step(*args, step_size, **kwargs):
    halves = [step / 2.0 for step in step_size] if isinstance(step_size, list) else step_size / 2.0
    return constructed_weights(*args, step_size=halves, **kwargs)


def _longer_step(*args, step_size, **kwargs):
    return constructed_weights(*args, step_size=1.5 * step_size, **kwargs)


def _other_product(dim, **kwargs):
    """1.8 x_i . y_j in the place of 2 x_i . y_j."""
    weights, at = constructed_weights(dim, **kwargs), columns(dim)
    first, second = weights.P1.clone(), weights.P2.clone()
    first[..., at.src, at.tgt] *= 0.9
    second[..., at.tgt, at.src] *= 0.9
    return replace(weights, P1=first, P2=second)


def _flat(dim, **kwargs):
    """All scores of points equal: attention is uniform."""
    weights = constructed_weights(dim, **kwargs)
    return replace(weights, P1=0.0 * weights.P1, P2=0.0 * weights.P2)


def _coarse(dim, *, reg, dtype=torch.float64, **kwargs):
    """Another lambda wherever numbers have fewer digits."""
    return constructed_weights(dim, reg=reg if dtype == torch.float64 else 0.8 * reg, dtype=dtype, **kwargs)


def _swapped_norms(x, y, **kwargs):
    """The columns of |x|^2 and |y|^2 exchanged."""
    prompt, at = engineered_prompt(x, y, **kwargs), columns(x.shape[-1])
    swapped = prompt.clone()
    swapped[..., at.src_norm], swapped[..., at.tgt_norm] = prompt[..., at.tgt_norm], prompt[..., at.src_norm]
    return swapped


def _half_mass(x, y, **kwargs):
    """-m/2 in the memory row."""
    prompt = engineered_prompt(x, y, **kwargs).clone()
    prompt[:, -1] *= 0.5
    return prompt


def _always_frozen(weights, *, depth, memory_row="frozen"):
    return TransportTransformer.constructed(weights, depth=depth)


def _one_layer(weights, *, depth, memory_row="frozen"):
    """All but the first layer do nothing."""
    steps = weights.steps * torch.ones(depth, dtype=weights.steps.dtype)
    steps[1:] = 0.0
    return TransportTransformer.constructed(replace(weights, steps=steps), depth=depth, memory_row=memory_row)


FAULTS: dict[str, Construction] = {
    "other sign": PAPERS._replace(weights=_other_sign),
    "never climbs": PAPERS._replace(weights=_never_climbs),
    "half step": PAPERS._replace(weights=_half_step),
    "longer step": PAPERS._replace(weights=_longer_step),
    "other product": PAPERS._replace(weights=_other_product),
    "flat": PAPERS._replace(weights=_flat),
    "coarse": PAPERS._replace(weights=_coarse),
    "swapped norms": PAPERS._replace(prompt=_swapped_norms),
    "half mass": PAPERS._replace(prompt=_half_mass),
    "always frozen": PAPERS._replace(model=_always_frozen),
    "one layer": PAPERS._replace(model=_one_layer),
}
