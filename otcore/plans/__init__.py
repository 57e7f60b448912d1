"""Transport plans by classical means, for points and words alike; each comes with its evidence.

The **exact** plan (eq. 1) is a permutation for equal masses (scipy's assignment solver) and a vertex of the transport
polytope for unequal ones (POT's network simplex). The **partial** plan moves only a share of the mass, exactly. The
**entropic** plan (eq. 3) and the **unbalanced** one, whose marginals may differ at a price, come from sweeps and Newton
steps in the log domain.

One problem, a list of rows or a batch; NumPy arrays, tensors or lists; problems of unequal size in one batch, padded
(`pad_costs`) and with masks or lengths. Everything is solved in float64, and comes back as it came in. torch is
imported for tensors only (POT, for exact plans between unequal masses, imports it by itself).

A result never has to be taken on trust: it carries the potentials, the marginal error and the gap of each problem,
measured at the end, and `converged`. Costs of very different size (1e32 among ones) are no special case. POT's own
batch solver is not used: in 0.9.7 it is wrong without an entropic term.
"""

from otcore.plans.entropic import entropic_plan, unbalanced_plan
from otcore.plans.exact import exact_plan, partial_plan
from otcore.plans.problems import Padded, Plan, pad_costs

__all__ = ["Padded", "Plan", "entropic_plan", "exact_plan", "pad_costs", "partial_plan", "unbalanced_plan"]
