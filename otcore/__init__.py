"""Transport inside softmax attention: a transformer that aligns points, and how to check that it does.

Read the modules in this order; together they explain the paper (Daneshmand, In-Context Learning for
Discrete Optimal Transport, AISTATS 2026). `docs/theory.md` has the derivation, and what is wrong in print.

1. `prompt`: points written as tokens (eq. 6, 11).
2. `construction`: the weights (Table 2).
3. `transformer`: the layers (eq. 7), their attention, and the memory row.
4. `dual`: what a layer computes: a step of gradient descent on the dual (eq. 4, 5); `scaling`: the same, fast.
5. `plans`: the plans themselves, exact (eq. 1), partial, entropic (eq. 3) and unbalanced, by classical means.
6. `hilbert`: how far from the optimum, and what brings scalings closer.
7. `bounds`: how fast, as the paper states it (Appendix D).
8. `sorting`: transport in one dimension sorts.
9. `features` and `tabulated`: the same layers under other costs.
10. `learning`: can training find such weights (eq. 8 to 10)?  `probes`: what can be read off states?

Conventions: `src` is x, `tgt` is y, `reg` is the paper's lambda and `step_size` its gamma. Axis order is
(batch, src, tgt) for costs and plans, (batch, head, query, key) for attention, (layers, head, width, width)
for weights; index 0 first, but layers of attention count from 1. Functions take lists, NumPy arrays or torch
tensors, one problem or a batch, and give back what they got: tensors on their device, NumPy arrays otherwise, in
the dtype of the input; float64 (what a list becomes) is what the claims are checked in. Arguments are checked at
the door: `TransportError` says which, the rule, what arrived and what to do.

Names are looked up when they are first used, so that plans of NumPy arrays need no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from otcore._checks import TransportError

if TYPE_CHECKING:
    from otcore.bounds import theorem_d1
    from otcore.construction import ConstructedWeights, annealed, constructed_weights
    from otcore.dual import (
        dual_gradient,
        dual_value,
        gradient_descent,
        log_mass,
        sinkhorn,
        squared_cost,
        zero_duals,
    )
    from otcore.hilbert import hilbert_metric, log_phi
    from otcore.plans import Padded, Plan, entropic_plan, exact_plan, pad_costs, partial_plan, unbalanced_plan
    from otcore.prompt import columns, engineered_prompt, plain_prompt
    from otcore.sorting import sort, sorting_plan
    from otcore.terms import Duals, point_mass
    from otcore.transformer import TransportTransformer, read_plan, softmax_attention

__all__ = [
    "ConstructedWeights",
    "Duals",
    "Padded",
    "Plan",
    "TransportError",
    "TransportTransformer",
    "annealed",
    "columns",
    "constructed_weights",
    "dual_gradient",
    "dual_value",
    "engineered_prompt",
    "entropic_plan",
    "exact_plan",
    "gradient_descent",
    "hilbert_metric",
    "log_mass",
    "log_phi",
    "pad_costs",
    "partial_plan",
    "plain_prompt",
    "point_mass",
    "read_plan",
    "sinkhorn",
    "softmax_attention",
    "sort",
    "sorting_plan",
    "squared_cost",
    "theorem_d1",
    "unbalanced_plan",
    "zero_duals",
]

_HOMES = {
    "bounds": ("theorem_d1",),
    "construction": ("ConstructedWeights", "annealed", "constructed_weights"),
    "dual": (
        "dual_gradient",
        "dual_value",
        "gradient_descent",
        "log_mass",
        "sinkhorn",
        "squared_cost",
        "zero_duals",
    ),
    "hilbert": ("hilbert_metric", "log_phi"),
    "plans": ("Padded", "Plan", "entropic_plan", "exact_plan", "pad_costs", "partial_plan", "unbalanced_plan"),
    "prompt": ("columns", "engineered_prompt", "plain_prompt"),
    "sorting": ("sort", "sorting_plan"),
    "terms": ("Duals", "point_mass"),
    "transformer": ("TransportTransformer", "read_plan", "softmax_attention"),
}


def __getattr__(name: str) -> Any:
    """Return a public name, or a module, imported at its first use."""
    for module, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"otcore.{module}"), name)
    if name in (*_HOMES, "features", "learning", "probes", "scaling", "tabulated"):
        return importlib.import_module(f"otcore.{name}")
    message = f"module 'otcore' has no attribute {name!r}"
    raise AttributeError(message)
