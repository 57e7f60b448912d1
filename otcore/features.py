"""General costs: the construction of Table 2 on features of the points.

Attention scores are bilinear in the tokens, so Table 2 fits the squared distance. But a plan does not change when something that
depends on x_i alone, or on y_j alone, is added to its cost: u_i and v_j take it up. So every cost of the form

    c(x, y) = a(x) + b(y) - 2 phi(x) . psi(y)

with finitely many features has the plan of the squared distance |phi(x) - psi(y)|^2, and `engineered_prompt(phi, psi)` with
`constructed_weights(number of features)` solves it **exactly**. Bilinear, Mahalanobis (definite or not), cosine and polynomial costs
are of this form, and even powers of differences; so are dummy points, by which a share of unequal clouds is moved (`partial_features`).
Gaussian costs and odd powers are not; random features come near them (Rahimi and Recht 2007), with an error that falls as their
number to the power -1/2.

Every function returns a pair (features of x, features of y), shape (batch, n, feature), in the dtype of x.

References
----------
Daneshmand, AISTATS 2026, section 6 (general costs are left open); Rahimi and Recht, Random Features for Large-Scale Kernel Machines,
NeurIPS 2007; Schoenberg, Metric spaces and positive definite functions, 1938 (powers of distances).
"""

import math
from itertools import combinations_with_replacement
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from otcore._checks import broken_rule, check_count, check_points, check_positive
from otcore._doors import takes_arrays


class Features(NamedTuple):
    """Features of both clouds: the plan of a cost is that of their squared distance.

    Attributes
    ----------
    src, tgt : float tensor, shape (batch, n, feature)
    """

    src: Float[Tensor, "batch src feature"]
    tgt: Float[Tensor, "batch tgt feature"]


@takes_arrays(x="batch n dim", y="batch n dim", matrix="dim dim")
def bilinear_features(
    x: Float[Tensor, "batch n dim"], y: Float[Tensor, "batch tgt dim_y"], *, matrix: Float[Tensor, "dim_a dim_b"]
) -> Features:
    """Return features of the cost -x^T A y, A any `matrix`, shape (dim, dim).

    Raises
    ------
    TransportError
        If the clouds do not fit each other, or A is not square in their dimension.

    Examples
    --------
    >>> phi, psi = bilinear_features([[1.0, 2.0]], [[3.0, 4.0]], matrix=[[0.0, 1.0], [0.0, 0.0]])
    >>> (-2 * phi @ psi.T).item()    # -x_1 y_2
    -4.0
    """
    check_points("x", x, "y", y)
    _check_square(matrix, x.shape[2])
    return Features(0.5 * x @ matrix, y)


@takes_arrays(x="batch n dim", y="batch n dim", matrix="dim dim")
def mahalanobis_features(
    x: Float[Tensor, "batch n dim"], y: Float[Tensor, "batch tgt dim_y"], *, matrix: Float[Tensor, "dim_a dim_b"]
) -> Features:
    """Return features of the cost (x - y)^T A (x - y); A need be neither symmetric nor positive.

    Raises
    ------
    TransportError
        As `bilinear_features`.

    Examples
    --------
    >>> phi, psi = mahalanobis_features([[1.0, 2.0]], [[3.0, 4.0]], matrix=[[2.0, 0.0], [0.0, 1.0]])
    >>> (-2 * phi @ psi.T).item()    # -2 (2 * 1 * 3 + 2 * 4)
    -28.0
    """
    check_points("x", x, "y", y)
    _check_square(matrix, x.shape[2])
    return Features(x @ (0.5 * (matrix + matrix.mT)), y)


@takes_arrays(x="batch n dim", y="batch n dim")
def cosine_features(x: Float[Tensor, "batch n dim"], y: Float[Tensor, "batch tgt dim_y"]) -> Features:
    """Return features whose squared distance is 1 - cos(x, y).

    Raises
    ------
    TransportError
        If the clouds do not fit each other, or a point is 0, which has no direction.

    Examples
    --------
    >>> phi, psi = cosine_features([[2.0, 0.0]], [[0.0, 3.0]])
    >>> round(float(((phi - psi) ** 2).sum()), 12)
    1.0
    """
    check_points("x", x, "y", y)
    lengths = [part.norm(dim=-1, keepdim=True) for part in (x, y)]
    for name, length in zip(("x", "y"), lengths, strict=True):
        if bool((length == 0).any()):
            raise broken_rule(name, "of points other than 0", "a point at 0", "Drop it: it has no direction.")
    return Features(*(part / (math.sqrt(2.0) * length) for part, length in zip((x, y), lengths, strict=True)))


@takes_arrays(x="batch n dim", y="batch n dim")
def polynomial_features(
    x: Float[Tensor, "batch n dim"], y: Float[Tensor, "batch tgt dim_y"], *, degree: int, offset: float = 1.0
) -> Features:
    """Return features whose product is the kernel k = (x . y + offset)^degree; their squared distance is that of the kernel.

    There is one for every monomial of at most `degree` factors (of just as many where the offset is 0).

    Raises
    ------
    TransportError
        If the clouds do not fit each other, `degree` is below 1, or `offset` is negative.

    Examples
    --------
    >>> phi, psi = polynomial_features([[1.0, 2.0]], [[3.0, 1.0]], degree=2)
    >>> round((phi @ psi.T).item(), 9)    # (3 + 2 + 1)^2
    36.0
    """
    check_points("x", x, "y", y)
    check_count("degree", degree)
    if not offset >= 0:
        raise broken_rule("offset", "0 or more, so that the kernel has features", repr(offset), "1 is usual.")
    dim = x.shape[2]
    places = [*range(dim), *([dim] if offset > 0 else [])]
    wide = [torch.cat([part, torch.full_like(part[..., :1], math.sqrt(offset))], dim=-1) for part in (x, y)]
    monomials = list(combinations_with_replacement(places, degree))
    often = [math.factorial(degree) / math.prod(math.factorial(one.count(k)) for k in set(one)) for one in monomials]
    scale = torch.tensor(often, dtype=x.dtype, device=x.device).sqrt()
    at = torch.tensor(monomials, device=x.device)
    return Features(*(part[..., at].prod(-1) * scale for part in wide))


@takes_arrays(x="batch n dim", y="batch n dim")
def even_power_features(
    x: Float[Tensor, "batch n dim"], y: Float[Tensor, "batch tgt dim_y"], *, power: int
) -> Features:
    """Return features of the cost sum_k (x_k - y_k)^power, power even: dim * (power - 1) of them.

    Raises
    ------
    TransportError
        If the clouds do not fit each other, or `power` is not even and at least 2.

    Examples
    --------
    >>> phi, psi = even_power_features([[2.0]], [[1.0]], power=4)
    >>> (2.0**4 + 1.0**4 - 2 * phi @ psi.T).item()    # (2 - 1)^4
    1.0
    """
    check_points("x", x, "y", y)
    check_count("power", power, at_least=2)
    if power % 2:
        raise broken_rule("power", "even", repr(power), "For powers below 2 call `power_features`.")
    src = [x**j for j in range(1, power)]
    tgt = [-0.5 * math.comb(power, j) * (-1.0) ** j * y ** (power - j) for j in range(1, power)]
    return Features(torch.cat(src, dim=-1), torch.cat(tgt, dim=-1))


def gaussian_features(
    x: Float[Tensor, "batch n dim"],
    y: Float[Tensor, "batch tgt dim_y"],
    *,
    width: float,
    n_frequencies: int,
    generator: torch.Generator,
) -> Features:
    """Return random features whose squared distance has the mean 1 - exp(-|x - y|^2 / (2 width^2)): two a frequency.

    Raises
    ------
    TransportError
        If the clouds do not fit each other, `width` is not greater than 0, or there is no frequency.
    """
    check_points("x", x, "y", y)
    check_positive("width", width, remedy="A typical distance suits.")
    check_count("n_frequencies", n_frequencies)
    normal = torch.randn(x.shape[2], n_frequencies, generator=generator, dtype=torch.float64)
    return _waves(x, y, normal / width, torch.full((n_frequencies,), 1.0 / n_frequencies, dtype=torch.float64))


def power_features(
    x: Float[Tensor, "batch n dim"],
    y: Float[Tensor, "batch tgt dim_y"],
    *,
    power: float,
    n_frequencies: int,
    generator: torch.Generator,
    scale: float = 1.0,
) -> Features:
    """Return random features whose squared distance has the mean sum_k |x_k - y_k|^power, 0 < power < 2.

    |t|^p is a constant times the integral of (1 - cos wt) w^(-1-p) over w > 0. Frequencies w = r / scale are drawn with
    the density of r proportional to r^(1-p) below 1 and r^(-1-p) above, which is that of the integrand at both ends.

    Parameters
    ----------
    x, y : float tensor, shape (batch, n, dim)
    power : float
        Between 0 and 2, both excluded; even powers have features of their own.
    n_frequencies : int
        For each coordinate; two features each.
    generator : torch.Generator
    scale : float
        A typical difference of coordinates: it changes how the draws are spent, not the mean.

    Raises
    ------
    TransportError
        If the clouds do not fit each other, or a number is out of range.
    """
    check_points("x", x, "y", y)
    check_positive("scale", scale, remedy="A typical difference suits.")
    check_count("n_frequencies", n_frequencies)
    if not 0 < power < 2:
        raise broken_rule(
            "power", "between 0 and 2, both excluded", repr(power), "For even powers call `even_power_features`."
        )
    dim = x.shape[2]
    share = torch.rand(dim * n_frequencies, generator=generator, dtype=torch.float64)
    below, above = 1.0 / (2.0 - power), 1.0 / power  # masses of the two parts
    cut = below / (below + above)
    small = (share / cut).clamp(min=1e-300) ** (1.0 / (2.0 - power))
    large = ((1.0 - share) / (1.0 - cut)).clamp(min=1e-300) ** (-1.0 / power)
    r = torch.where(share < cut, small, large)
    integral = math.pi / (2.0 * math.gamma(power + 1.0) * math.sin(0.5 * math.pi * power))
    weight = scale**power * (below + above) / integral * torch.clamp(r, max=1.0) ** -2 / n_frequencies
    frequency = torch.zeros(dim, dim * n_frequencies, dtype=torch.float64)
    for k in range(dim):
        own = slice(k * n_frequencies, (k + 1) * n_frequencies)
        frequency[k, own] = r[own] / scale
    return _waves(x, y, frequency, weight)


@takes_arrays(x="batch src dim", y="batch tgt dim")
def partial_features(
    x: Float[Tensor, "batch src dim"], y: Float[Tensor, "batch_y tgt dim_y"], *, moved: int, penalty: float
) -> Features:
    """Return features of two clouds of any sizes, filled up with dummy points, of which `moved` points a side find each other.

    With n and m points there are n + m - moved rows a side: points first, dummies after them. A dummy costs nothing to a point and
    `penalty` to another dummy. All n of the smaller side (``moved=min(n, m)``) is transport of unequal sizes; fewer, partial transport.

    Parameters
    ----------
    x, y : float tensor, shape (batch, src, dim) and (batch, tgt, dim)
    moved : int
        From 1 to min(n, m).
    penalty : float
        Greater than the largest squared distance, by many times the entropic weight of the plan.

    Raises
    ------
    TransportError
        If `moved` or `penalty` is out of range, or the dimensions differ.

    Examples
    --------
    >>> phi, psi = partial_features([[0.0], [3.0]], [[1.0]], moved=1, penalty=100.0)
    >>> (phi.shape, psi.shape, (-2 * phi @ psi.T).round(6).tolist())    # |x - y|^2 = 1 and 4, a dummy 0
    ((2, 4), (2, 4), [[1.0, 0.0], [4.0, 0.0]])
    """
    (batch, n, dim), m = x.shape, y.shape[1]
    if y.shape[2] != dim or len(y) != batch:
        raise broken_rule(
            "x and y", "as many problems of one dimension", f"{tuple(x.shape)} and {tuple(y.shape)}", "Match them."
        )
    if not 1 <= moved <= min(n, m):
        raise broken_rule("moved", f"from 1 to {min(n, m)}, the smaller side", repr(moved), "Move fewer points.")
    check_positive("penalty", penalty, remedy="Take several times the largest squared distance.")
    rows = n + m - moved
    src, tgt = x.new_zeros(batch, rows, dim + 3), x.new_zeros(batch, rows, dim + 3)
    src[:, :n, :dim], tgt[:, :m, :dim] = x, y  # -2 x.y
    src[:, :n, dim], tgt[:, :m, dim] = x.square().sum(-1), -0.5  # |x|^2, for points y only
    src[:, :n, dim + 1], tgt[:, :m, dim + 1] = -0.5, y.square().sum(-1)  # |y|^2, for points x only
    src[:, n:, dim + 2], tgt[:, m:, dim + 2] = math.sqrt(0.5 * penalty), -math.sqrt(0.5 * penalty)
    return Features(src, tgt)


def _waves(x: Tensor, y: Tensor, frequency: Float[Tensor, "dim wave"], weight: Float[Tensor, " wave"]) -> Features:
    """Return sqrt(weight / 2) cos and sin of every frequency: their squared distance is sum weight (1 - cos(w . (x - y)))."""
    size = (0.5 * weight).sqrt().to(x)
    phases = [part @ frequency.to(x) for part in (x, y)]
    return Features(*(torch.cat([size * angle.cos(), size * angle.sin()], dim=-1) for angle in phases))


def _check_square(matrix: Tensor, dim: int) -> None:
    """Refuse a matrix that is not (dim, dim)."""
    if tuple(matrix.shape) != (dim, dim):
        raise broken_rule(
            "matrix",
            f"of shape ({dim}, {dim}), the points' dimension",
            f"shape {tuple(matrix.shape)}",
            "Match the points.",
        )
