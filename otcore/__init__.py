"""Transport inside softmax attention: a transformer that aligns points, and how to check that it does.

Read the modules in this order; together they explain the paper (Daneshmand, In-Context Learning for
Discrete Optimal Transport, AISTATS 2026). `docs/theory.md` has the derivation, and what is wrong in print.

1. `prompt`: points written as tokens (eq. 6, 11).
2. `construction`: the weights (Table 2).
3. `transformer`: the layers (eq. 7), their attention, and the memory row.
4. `dual`: what a layer computes: a step of gradient descent on the dual (eq. 4, 5).
5. `plans`: the plans themselves, exact (eq. 1) and entropic (eq. 3), by classical means.
6. `hilbert`: how far from the optimum, and what brings scalings closer.
7. `bounds`: how fast, as the paper states it (Appendix D).
8. `sorting`: transport in one dimension sorts.
9. `learning`: can training find such weights (eq. 8 to 10)?

Conventions: `src` is x, `tgt` is y, `reg` is the paper's lambda and `step_size` its gamma. Axis order is
(batch, src, tgt) for costs and plans, (batch, head, query, key) for attention, (layers, head, width, width)
for weights; index 0 first, but layers of attention count from 1. All results have the dtype and the device
of the input; float64 is what the claims are checked in. Arguments are checked at the door: `TransportError`
says which, the rule, what arrived and what to do.
"""

from otcore._checks import TransportError
from otcore.bounds import theorem_d1
from otcore.construction import ConstructedWeights, annealed, constructed_weights
from otcore.dual import (
    Duals,
    dual_gradient,
    dual_value,
    gradient_descent,
    log_mass,
    sinkhorn,
    squared_cost,
    zero_duals,
)
from otcore.hilbert import hilbert_metric, log_phi
from otcore.plans import Plan, entropic_plan, exact_plan
from otcore.prompt import columns, engineered_prompt, plain_prompt, point_mass
from otcore.sorting import sort, sorting_plan
from otcore.transformer import TransportTransformer, read_plan, softmax_attention

__all__ = [
    "ConstructedWeights",
    "Duals",
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
    "plain_prompt",
    "point_mass",
    "read_plan",
    "sinkhorn",
    "softmax_attention",
    "sort",
    "sorting_plan",
    "squared_cost",
    "theorem_d1",
    "zero_duals",
]
