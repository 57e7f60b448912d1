"""Sorting by transport: a transformer that orders any list of numbers, without being trained.

In one dimension the cheapest way to move numbers x onto increasing targets y_i = i/n keeps their order: the
smallest x goes to y_0, the next to y_1, and so on. The plan is therefore the permutation that sorts, and
head 2 of the constructed transformer (rows y, columns x) multiplied with x is the sorted list, up to the
blur that reg leaves.

The paper's examples use one reg for all layers and x that are a permutation of the targets. That case is
easy: u = v = 0 is nearly optimal from the start. Numbers in general position need of the order of 1/reg
layers, unless reg starts large and shrinks from layer to layer; `sort` does that by default, with weights
that are the same for every list.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from otcore._checks import check_count, check_positive
from otcore._doors import takes_arrays
from otcore.construction import annealed, constructed_weights
from otcore.prompt import engineered_prompt
from otcore.terms import Marginals
from otcore.transformer import MemoryRow, TransportTransformer, read_plan


@takes_arrays(x="batch n")
def sort(
    x: Float[Tensor, "batch n"],
    *,
    reg: float = 1e-6,
    depth: int = 400,
    start_reg: float | None = 0.5,
    step_ratio: float = 2.0,
) -> Float[Tensor, "batch n"]:
    """Return the numbers in increasing order, as estimated by a constructed transformer.

    Parameters
    ----------
    x : list, array or tensor of numbers, shape (n,) or (batch, n)
        Finite, of any size and sign, ties allowed; float64 (what a list becomes) for small `reg`.
    reg : float
        Entropic weight of the last layer, for numbers rescaled to the range 0..1. Numbers closer than about
        n * reg blur.
    depth : int
        Number of layers.
    start_reg : float, optional
        Entropic weight of the first layer; None keeps `reg` in all layers, as the paper does.
    step_ratio : float
        step_size / reg of every layer.

    Raises
    ------
    TransportError
        If x holds no number or something else, or an option is out of range.

    References
    ----------
    Daneshmand, AISTATS 2026, section on sorting.

    Examples
    --------
    >>> import otcore
    >>> otcore.sort([3.5, -1.0, 20.0, 0.25]).round(3).tolist()
    [-1.0, 0.25, 3.5, 20.0]
    """
    check_count("depth", depth)
    check_positive("reg", reg, remedy="1e-6 sorts hundreds of numbers.")
    check_positive("step_ratio", step_ratio, remedy="2 is the fastest that is stable.")
    n = x.shape[1]
    low, high = x.amin(1, keepdim=True), x.amax(1, keepdim=True)
    span = torch.where(high > low, high - low, 1.0)
    unit = (x - low) / span * (n - 1) / n  # onto the range of the targets
    targets = (torch.arange(n, dtype=x.dtype, device=x.device) / n).expand_as(unit)
    regs = [reg] if start_reg is None else annealed(start_reg, reg, depth=depth)
    plan = sorting_plan(unit, targets, reg=regs, step_size=[step_ratio * value for value in regs], depth=depth)
    return (plan @ x[..., None])[..., 0]


@takes_arrays(x="batch n", targets="batch n")
def sorting_plan(
    x: Float[Tensor, "batch n"],
    targets: Float[Tensor, "batch n_targets"],
    *,
    reg: float | list[float],
    step_size: float | list[float],
    depth: int,
    marginals: Marginals = "unit",
    memory_row: MemoryRow = "frozen",
) -> Float[Tensor, "batch n n"]:
    """Return the plan that sorts: row i holds the shares of all numbers in place i, summing to 1.

    Parameters
    ----------
    x, targets : float tensor, shape (batch, n)
        The numbers, and the increasing places to which they are moved. Nothing is rescaled.
    reg, step_size : float, or list of one or `depth` floats
        As in `construction.constructed_weights`.
    depth : int
        Number of layers.
    marginals, memory_row
        As in `prompt.engineered_prompt` and `transformer.TransportTransformer`.

    Raises
    ------
    TransportError
        If shapes differ or an option is out of range.

    Examples
    --------
    >>> x = torch.tensor([[0.5, 0.0]], dtype=torch.float64)
    >>> targets = torch.tensor([[0.0, 0.5]], dtype=torch.float64)
    >>> plan = sorting_plan(x, targets, reg=0.02, step_size=0.02, depth=100)
    >>> plan[0].round(decimals=3).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    weights = constructed_weights(1, reg=reg, step_size=step_size, dtype=x.dtype, device=x.device)
    model = TransportTransformer.constructed(weights, depth=depth, memory_row=memory_row)
    with torch.no_grad():
        state = model(engineered_prompt(x[..., None], targets[..., None], marginals=marginals)).state
    return read_plan(state, weights.score[-1])[:, 1]
