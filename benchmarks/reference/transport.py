"""Plans by POT, a problem at a time."""

from collections.abc import Sequence

import numpy as np


def solve_each(costs: Sequence[np.ndarray], *, reg: float | None = None) -> list[np.ndarray]:
    """Return the plan between points of equal weight of each cost, float64; with `reg` the entropic one.

    Parameters
    ----------
    costs : sequence of float arrays, shape (src, tgt)
    reg : float, optional
        Weight of the entropic term (POT's `reg_type="entropy"`, the term of eq. 3); none is the exact plan.
    """
    import ot

    if reg is None:
        return [ot.solve(cost).plan for cost in costs]
    entropy = {"reg": reg, "reg_type": "entropy", "max_iter": 10_000, "tol": 1e-9}
    return [ot.solve(cost, **entropy).plan for cost in costs]
