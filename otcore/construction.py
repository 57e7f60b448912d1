"""The weights that make softmax attention solve optimal transport (Table 2).

Head 1 compares x with y. Its scores are z_i^T P1 z_j; with the columns of the prompt this is, for two real
rows,

    ( 2 x_i.y_j - |y_j|^2 - |x_i|^2 + u_i + v_j ) / reg - 1  =  ( -C_ij + u_i + v_j ) / reg - 1  =  log M_ij,

term by term the six entries below. Head 2 does the same with x and y exchanged: log M^T. The memory row
scores 0 against every real row, so softmax divides by sum_j M_ij + 1: the "+1" of the adaptive step. V1 and
V2 copy the last column of ones (1 in the real rows, -m in the memory row) to the column of u and of v, so
head 1 writes

    (sum_j M_ij - m) / (sum_j M_ij + 1)  =  dL/du_i / (sum_j M_ij + 1),

and B = -step_size * I turns this into one step of adaptive gradient descent. In print B has a plus, which
climbs; the paper's own proof uses the minus, and so do we (`sign=+1` gives the printed one, to show that it
diverges).

The paper gives all layers one reg and one step size. Nothing forces that: u and v are in units of the cost
whatever reg is, so each layer may have its own. With `annealed` values the first layers settle the coarse
order and the last ones sharpen it, and general numbers are sorted in hundreds of layers instead of many
thousands (see `sorting`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from otcore._checks import broken_rule, check_count, check_positive
from otcore.prompt import columns


@dataclass(frozen=True)
class ConstructedWeights:
    """The weights of Table 2; they depend on dim, reg and step_size, never on n.

    Attributes
    ----------
    P1, P2 : float tensor, shape (width, width), or (depth, width, width) for a schedule of reg; width =
    2*dim+9
        Query-key products of head 1 (rows x, columns y) and head 2 (rows y, columns x).
    V1, V2 : float tensor, shape (width, width)
        Values: head 1 writes u, head 2 writes v.
    steps : float tensor, shape (1 or depth,)
        The factor of I in B, signed; one for all layers, or one a layer for a schedule.
    """

    P1: Float[Tensor, "*score_layers width width"]
    P2: Float[Tensor, "*score_layers width width"]
    V1: Float[Tensor, "width width"]
    V2: Float[Tensor, "width width"]
    steps: Float[Tensor, " layers"]

    @property
    def B(self) -> Float[Tensor, "layers width width"]:
        """The output products B_j = steps[layer] * I, the same for both heads."""
        return self.steps[:, None, None] * torch.eye(self.P1.shape[-1], dtype=self.P1.dtype, device=self.P1.device)

    @property
    def score(self) -> Float[Tensor, "layers 2 width width"]:
        """P1 and P2 stacked as `TransportTransformer` takes them: (layers, head, width, width)."""
        stacked = torch.stack([self.P1, self.P2], dim=-3)
        return stacked if stacked.ndim == 4 else stacked[None]

    @property
    def value(self) -> Float[Tensor, "1 2 width width"]:
        """V1 and V2 stacked: (layers, head, width, width)."""
        return torch.stack([self.V1, self.V2])[None]


def constructed_weights(
    dim: int,
    *,
    reg: float | Sequence[float],
    step_size: float | Sequence[float],
    sign: int = -1,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str | None = None,
) -> ConstructedWeights:
    """Return the weights with which every layer is one step of adaptive gradient descent.

    Parameters
    ----------
    dim : int
        Dimension d of the points, at least 1.
    reg : float or sequence of float
        Entropic weight lam, in units of the cost, greater than 0; a sequence gives each layer its own.
    step_size : float or sequence of float
        gamma of Theorem 3.1, greater than 0; a sequence gives each layer its own.
    sign : {-1, +1}
        Sign of B: -1 descends (the paper's proof), +1 is what its Table 2 prints.
    dtype, device
        Of the weights.

    Raises
    ------
    TransportError
        If `dim` is below 1, `reg` or a step is not greater than 0, or `sign` is neither -1 nor +1.

    References
    ----------
    Daneshmand, AISTATS 2026, Table 2 and Theorem 3.1.

    Examples
    --------
    >>> weights = constructed_weights(1, reg=0.5, step_size=0.1)
    >>> weights.P1.count_nonzero().item(), weights.B[0, 0, 0].item()
    (6, -0.1)
    """
    regs, steps = _per_layer(reg), _per_layer(step_size)
    _check(dim, regs, steps, sign)
    at = columns(dim)
    zero = torch.zeros(at.width, at.width, dtype=dtype, device=device)
    value1, value2 = zero.clone(), zero.clone()
    value1[at.ones.stop - 1, at.src_memory] = 1.0
    value2[at.ones.stop - 1, at.tgt_memory] = 1.0
    regs_of_layers = torch.tensor(regs, dtype=dtype, device=device)
    scores = [_score(zero, dim, regs=regs_of_layers, swap=swap) for swap in (False, True)]
    if isinstance(reg, int | float):
        scores = [score[0] for score in scores]
    return ConstructedWeights(
        P1=scores[0],
        P2=scores[1],
        V1=value1,
        V2=value2,
        steps=sign * torch.tensor(steps, dtype=dtype, device=device),
    )


def annealed(start: float, end: float, *, depth: int) -> list[float]:
    """Return `depth` values from `start` to `end` in equal ratios: a schedule of reg or of step sizes.

    Raises
    ------
    TransportError
        If `start` or `end` is not greater than 0, or `depth` is below 1.

    Examples
    --------
    >>> [round(reg, 3) for reg in annealed(1.0, 0.01, depth=3)]
    [1.0, 0.1, 0.01]
    """
    check_positive("start", start, remedy="Start near the largest cost.")
    check_positive("end", end, remedy="End where the plan is as sharp as you need.")
    check_count("depth", depth)
    return [start * (end / start) ** (layer / max(depth - 1, 1)) for layer in range(depth)]


def _score(zero: Tensor, dim: int, *, regs: Tensor, swap: bool) -> Tensor:
    """Return P1 (or P2, with x and y exchanged) of every layer: six groups of entries, one a term of log M."""
    at = columns(dim)
    sides = (
        (at.src, at.src_norm, at.src_memory),
        (at.tgt, at.tgt_norm, at.tgt_memory),
    )
    (query, query_norm, query_memory), (key, key_norm, key_memory) = sides[::-1] if swap else sides
    one_a, one_b, one_c = range(at.ones.start, at.ones.start + 3)
    scaled = zero.clone()  # reg * P
    scaled[query, key] = 2.0 * torch.eye(dim, dtype=zero.dtype, device=zero.device)  #  2 x_i . y_j
    scaled[one_a, key_norm] = -1.0  # -|y_j|^2
    scaled[query_norm, one_a] = -1.0  # -|x_i|^2
    scaled[query_memory, one_b] = 1.0  # +u_i
    scaled[one_c, key_memory] = 1.0  # +v_j
    score = scaled / regs[:, None, None]
    score[:, one_c, one_c] = -1.0  # -1
    return score


def _per_layer(value: float | Sequence[float]) -> list[float]:
    """Return the values as a list: one for all layers, or one a layer."""
    return [float(value)] if isinstance(value, int | float) else [float(part) for part in value]


def _check(dim: int, regs: list[float], steps: list[float], sign: int) -> None:
    """Refuse what no construction exists for."""
    check_count("dim", dim)
    remedies = {
        "reg": "The construction divides by it; try 0.05 of the largest cost.",
        "step_size": "Twice `reg` suits most problems.",
    }
    for name, values in (("reg", regs), ("step_size", steps)):
        if not values:
            raise broken_rule(name, "a number or one number a layer", "an empty sequence", "Pass a number.")
        for value in values:
            check_positive(name, value, remedy=remedies[name])
    if sign not in (-1, 1):
        raise broken_rule("sign", "-1 (descends) or +1 (as printed)", repr(sign), "Leave it at -1.")
