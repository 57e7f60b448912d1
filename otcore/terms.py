"""Words that all modules share and that need no torch: the mass of a point, and the unknowns of the dual."""

from typing import Any, Literal, NamedTuple

from otcore._checks import check_choice

Array = Any
"""A NumPy array or a torch tensor."""
ArrayLike = Any
"""An `Array`, or nested lists of numbers."""

Marginals = Literal["unit", "uniform"]
MARGINALS: tuple[Marginals, ...] = ("unit", "uniform")


class Duals(NamedTuple):
    """The unknowns of the dual, in units of the cost.

    Attributes
    ----------
    src : float array or tensor, shape (batch, src), or (src,) of one problem
        u, one a row of the cost.
    tgt : float array or tensor, shape (batch, tgt), or (tgt,)
        v, one a column of the cost.
    """

    src: Array
    tgt: Array


def point_mass(n: int, marginals: Marginals) -> float:
    """Return m, what each row and each column of the plan sums to: 1 or 1/n.

    Raises
    ------
    TransportError
        If `marginals` is neither ``"unit"`` nor ``"uniform"``.

    Examples
    --------
    >>> point_mass(4, "uniform")
    0.25
    """
    check_choice("marginals", marginals, MARGINALS)
    return 1.0 if marginals == "unit" else 1.0 / n
