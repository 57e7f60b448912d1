"""What every solver reads and writes: problems with their masses, and plans with their evidence."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from otcore._arrays import as_array, as_double, as_mask, as_numpy, is_tensor, like, namespace
from otcore._checks import broken_rule, check_finite, check_shape
from otcore.terms import Array, ArrayLike, Duals, Marginals, point_mass


class Plan(NamedTuple):
    """A batch of plans and the evidence for them; of one problem, the same without the first axis.

    Arrays are of the kind, dtype and device of the cost. Numbers are measured in float64, before rounding to that
    dtype.

    Attributes
    ----------
    plan : float array, shape (batch, src, tgt)
        Masses, at least 0; 0 at padding.
    potentials : Duals
        u and v in units of the cost; -inf where a point has no mass. Where all mass moves, a constant may be taken
        from v and given to u.
    marginal_error : float array, shape (batch,)
        Sum of the absolute errors of what the solver promises about sums of rows and columns, in mass.
    gap : float array, shape (batch,)
        Primal minus dual objective, in units of cost times mass: 0 at the optimum, and never below but for rounding
        where the marginals hold.
    iterations : int array, shape (batch,)
        Sweeps used; 0 for an exact solver.
    converged : bool array, shape (batch,)
        Finite, and `marginal_error` (exact and unbalanced plans: also `gap`) within the threshold.
    """

    plan: Array
    potentials: Duals
    marginal_error: Array
    gap: Array
    iterations: Array
    converged: Array


class Padded(NamedTuple):
    """Problems of unequal size in one batch, to be given to a solver as its cost.

    Attributes
    ----------
    cost : float array, shape (batch, src, tgt)
        What stands at padding is not read, and neither are masses there.
    src_real, tgt_real : bool array, shape (batch, src) and (batch, tgt); or int array, shape (batch,); or None
        False at padding; or how many points are real, padding last; or all of them.
    """

    cost: ArrayLike
    src_real: ArrayLike | None = None
    tgt_real: ArrayLike | None = None


class Problems(NamedTuple):
    """Problems in a batch, float64, in the kind in which they came.

    Attributes
    ----------
    cost : float array, shape (batch, src, tgt)
        0 at padding.
    src_mass, tgt_mass : float array, shape (batch, src) and (batch, tgt)
        0 at padding.
    given : float array
        The cost as it came, for the way back.
    """

    cost: Array
    src_mass: Array
    tgt_mass: Array
    given: Array

    def give_back(self, result: Plan) -> Plan:
        """Return a result in the kind, dtype and device of the cost, without the batch if that had none."""

        def one(part: Array) -> Array:
            part = like(part, self.given)
            return part[0] if self.given.ndim == 2 else part

        plan, (src, tgt), *evidence = result
        return Plan(one(plan), Duals(one(src), one(tgt)), *(one(part) for part in evidence))


def read_problems(
    cost: ArrayLike | Padded,
    src_mass: ArrayLike | None,
    tgt_mass: ArrayLike | None,
    marginals: Marginals,
    *,
    equal_totals: bool,
) -> Problems:
    """Return checked problems.

    Parameters
    ----------
    cost, src_mass, tgt_mass, marginals
        As in `exact_plan`.
    equal_totals : bool
        Whether both sides must have the same total.

    Raises
    ------
    TransportError
        As `exact_plan`.
    """
    cost, src_real, tgt_real = cost if isinstance(cost, Padded) else Padded(cost)
    given = as_array("cost", cost)
    check_shape("cost", given, ("src", "tgt") if given.ndim == 2 else ("batch", "src", "tgt"))
    batch = given[None] if given.ndim == 2 else given
    src_real = _read_real("src_real", src_real, batch[:, :, 0], given)
    tgt_real = _read_real("tgt_real", tgt_real, batch[:, 0], given)
    xp = namespace(batch)
    batch = xp.where(src_real[:, :, None] & tgt_real[:, None], as_double(batch), 0.0)
    check_finite("cost", batch)
    if src_mass is None and tgt_mass is None:
        src, tgt = _equal_masses(src_real, tgt_real, marginals, square=equal_totals)
    elif src_mass is None or tgt_mass is None:
        raise broken_rule("src_mass and tgt_mass", "given together", "only one of them", "Pass both or none.")
    else:
        src = _read_mass("src_mass", src_mass, src_real, given)
        tgt = _read_mass("tgt_mass", tgt_mass, tgt_real, given)
    _check_totals(src, tgt, equal=equal_totals)
    return Problems(batch, src, tgt, given)


def _read_real(name: str, value: ArrayLike | None, side: Array, cost: Array) -> Array:
    """Return a mask of shape (batch, n) from a mask, from lengths or from nothing."""
    xp = namespace(side)
    n = side.shape[1]
    if value is None:
        return xp.isfinite(side) | True
    array = as_array(name, value)
    axes = cost.ndim - 1  # of a mask; lengths have one fewer
    lengths_given = array.ndim == axes - 1
    if lengths_given:
        array = as_numpy(array).reshape(-1)
        if array.shape != (len(side),) or not ((array == array.round()) & (array >= 1) & (array <= n)).all():
            raise broken_rule(
                name, f"lengths, one whole number from 1 to {n} a problem", repr(array.tolist()), "Count the points."
            )
        mask = np.arange(n) < array[:, None]
    else:
        mask = (
            np.reshape(as_numpy(as_mask(name, value)), (-1, n))
            if array.shape[-1:] == (n,)
            else np.zeros((0, n), dtype=bool)
        )
        if array.ndim != axes or mask.shape != tuple(side.shape):
            raise broken_rule(
                name,
                f"a mask of shape {tuple(side.shape[2 - axes :])}, or lengths",
                f"shape {tuple(array.shape)}",
                "Match the cost.",
            )
    if not mask.any(1).all():
        bad = int(np.flatnonzero(~mask.any(1))[0])
        raise broken_rule(name, "True for at least one point a problem", f"none in problem {bad}", "Drop that problem.")
    return like(mask, side)


def _equal_masses(src_real: Array, tgt_real: Array, marginals: Marginals, *, square: bool) -> tuple[Array, Array]:
    """Return the same mass for each real point of a side: 1, or 1 over their number."""
    xp = namespace(src_real)
    masses = []
    n_src, n_tgt = (as_numpy(real.sum(1)) for real in (src_real, tgt_real))
    if square and marginals == "unit" and (n_src != n_tgt).any():
        bad = int(np.flatnonzero(n_src != n_tgt)[0])
        raise broken_rule(
            "cost",
            "square, n rows and n columns, unless `src_mass` and `tgt_mass` are given",
            f"{n_src[bad]} rows and {n_tgt[bad]} columns in problem {bad}",
            "Pass the masses of both sides, or marginals='uniform' for 1/n each.",
        )
    for real, count in ((src_real, n_src), (tgt_real, n_tgt)):
        mass = np.array([point_mass(int(n), marginals) for n in count])
        doubles = xp.where(real, 1.0, 0.0) if xp is np else real.double()
        masses.append(doubles * like(mass, doubles)[:, None])
    return masses[0], masses[1]


def _read_mass(name: str, value: ArrayLike, real: Array, cost: Array) -> Array:
    """Return checked masses of shape (batch, n), 0 at padding."""
    mass = as_array(name, value)
    mass = mass[None] if cost.ndim == 2 and mass.ndim == 1 else mass
    if tuple(mass.shape) != tuple(real.shape):
        raise broken_rule(name, f"of shape {tuple(real.shape)}", f"shape {tuple(mass.shape)}", "Match the cost.")
    xp = namespace(real)
    mass = xp.where(real, like(as_double(mass), as_double(cost)), 0.0)
    if bool((mass < 0).any()) or not bool(xp.isfinite(mass).all()):
        raise broken_rule(name, "finite and at least 0", "a negative or non-finite mass", "Use 0 for padding.")
    return mass


def _check_totals(src: Array, tgt: Array, *, equal: bool) -> None:
    """Refuse a problem without mass, and (where they must be equal) one whose sides differ in total."""
    src_total, tgt_total = as_numpy(src.sum(1)), as_numpy(tgt.sum(1))
    wrong = (src_total <= 0) | (tgt_total <= 0)
    if equal:
        wrong |= np.abs(src_total - tgt_total) > 1e-6 * src_total
    if wrong.any():
        bad = int(np.flatnonzero(wrong)[0])
        raise broken_rule(
            "src_mass and tgt_mass",
            f"of {'equal ' if equal else ''}sums greater than 0 in every problem",
            f"sums {float(src_total[bad])} and {float(tgt_total[bad])} in problem {bad}",
            "Normalise both sides to the same total." if equal else "Drop that problem.",
        )


def pad_costs(costs: Sequence[ArrayLike]) -> Padded:
    """Return problems of unequal size as one batch: with masks of what is real.

    Parameters
    ----------
    costs : sequence of float arrays, shape (src, tgt) each
        At least one; padded with 0, which no solver reads.

    Returns
    -------
    Padded
        Of the kind and dtype of the first matrix; masks are boolean arrays.

    Raises
    ------
    TransportError
        If there is no matrix, or one of them is none.

    Examples
    --------
    >>> padded = pad_costs([[[1.0]], [[1.0, 2.0], [3.0, 4.0]]])
    >>> padded.cost[0].tolist(), padded.src_real.tolist()
    ([[1.0, 0.0], [0.0, 0.0]], [[True, False], [True, True]])
    """
    if isinstance(costs, str) or not isinstance(costs, Sequence) or not costs:
        raise broken_rule("costs", "a list of at least one matrix", repr(costs), "Give one matrix a problem.")
    matrices = [as_array(f"costs[{i}]", matrix) for i, matrix in enumerate(costs)]
    for i, matrix in enumerate(matrices):
        check_shape(f"costs[{i}]", matrix, ("src", "tgt"))
    n_src, n_tgt = (np.array(sizes) for sizes in zip(*(matrix.shape for matrix in matrices), strict=True))
    xp = namespace(matrices[0])
    model = matrices[0]
    cost = like(np.zeros((len(matrices), n_src.max(), n_tgt.max())), model)
    for i, matrix in enumerate(matrices):
        cost[i, : n_src[i], : n_tgt[i]] = xp.asarray(like(matrix if is_tensor(model) else as_numpy(matrix), model))
    real = [np.arange(n.max()) < n[:, None] for n in (n_src, n_tgt)]
    return Padded(cost, like(real[0], model), like(real[1], model))
