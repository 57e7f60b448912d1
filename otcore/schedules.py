"""A reg and a step for every layer of the construction: two numbers a layer, fixed or trained.

u and v are in units of the cost whatever reg is, so each layer of Table 2 may have its own reg and step size; attention
is read with a reg of its own at the end. `descend` is what such layers do (the construction does it exactly, memory row
frozen), written so that it can be differentiated by the schedule; `train_schedule` looks for the schedule whose
attention after the last layer is nearest to given plans.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from otcore._checks import broken_rule, check_count, check_positive
from otcore.construction import annealed
from otcore.terms import Duals


class Schedule(NamedTuple):
    """Two positive numbers a layer.

    Attributes
    ----------
    reg : float64 tensor, shape (layer,)
        Entropic weight lam of each layer, in units of the cost.
    step : float64 tensor, shape (layer,)
        Step size gamma of each layer, in units of the cost.
    """

    reg: Float[Tensor, " layer"]
    step: Float[Tensor, " layer"]

    def times(self, factor: float) -> "Schedule":
        """Return the schedule for costs in another unit: both numbers times a factor."""
        check_positive("factor", factor, remedy="It is the new reg over the old one.")
        return Schedule(factor * self.reg, factor * self.step)


def schedule(start: float, end: float, *, depth: int, ratio: float = 2.0) -> Schedule:
    """Return the schedule whose reg falls from `start` to `end` in equal ratios, with steps of `ratio` times reg.

    Examples
    --------
    >>> schedule(1.0, 0.01, depth=3).step.tolist()
    [2.0, 0.2, 0.02]
    """
    check_positive("ratio", ratio, remedy="2 is best near the optimum.")
    reg = torch.tensor(annealed(start, end, depth=depth), dtype=torch.float64)
    return Schedule(reg, ratio * reg)


def descend(cost: Float[Tensor, "batch src tgt"], layers: Schedule) -> Iterator[Duals]:
    """Yield u and v after each layer of adaptive gradient descent (eq. 5, unit marginals), each with its reg and step.

    Parameters
    ----------
    cost : float64 tensor, shape (batch, src, tgt)
    layers : Schedule

    Raises
    ------
    TransportError
        If reg and step have different lengths or hold a number that is not greater than 0.
    """
    _check(layers)
    duals = Duals(torch.zeros_like(cost[:, :, 0]), torch.zeros_like(cost[:, 0]))
    for reg, step in zip(layers.reg, layers.step, strict=True):
        log_plan = (duals.src[:, :, None] + duals.tgt[:, None] - cost) / reg - 1.0
        duals = Duals(*(
            side - step * _excess(torch.logsumexp(log_plan, axis)) for side, axis in zip(duals, (2, 1), strict=True)
        ))  # fmt: skip
        yield duals


def annealed_sweeps(cost: Float[Tensor, "batch src tgt"], regs: Float[Tensor, " layer"]) -> Iterator[Duals]:
    """Yield u and v after each sweep of Sinkhorn (unit marginals), each sweep with its reg."""
    duals = Duals(torch.zeros_like(cost[:, :, 0]), torch.zeros_like(cost[:, 0]))
    for reg in regs:
        src = reg * (1.0 - torch.logsumexp((duals.tgt[:, None] - cost) / reg, 2))
        duals = Duals(src, reg * (1.0 - torch.logsumexp((src[:, :, None] - cost) / reg, 1)))
        yield duals


def log_attention(cost: Float[Tensor, "batch src tgt"], duals: Duals, *, reg: float) -> Float[Tensor, "batch src tgt"]:
    """Return the logarithm of the attention that u and v have with a reg: every row sums to 1 (u drops out)."""
    return torch.log_softmax((duals.tgt[:, None] - cost) / reg, dim=2)


def plan_error(
    cost: Float[Tensor, "batch src tgt"], duals: Duals, plan: Float[Tensor, "batch src tgt"], *, reg: float
) -> Float[Tensor, " batch"]:
    """Return how far attention is from a plan with rows of sum 1: half the summed difference a row, mean over rows."""
    return 0.5 * (log_attention(cost, duals, reg=reg).exp() - plan).abs().sum(2).mean(1)


def train_schedule(
    cost: Float[Tensor, "problem src tgt"],
    plan: Float[Tensor, "problem src tgt"],
    start: Schedule,
    *,
    reg: float,
    steps: int,
    batch: int,
    rate: float = 0.03,
    generator: torch.Generator,
) -> Schedule:
    """Return the schedule found by Adam, which moves the logarithms of its numbers.

    Parameters
    ----------
    cost, plan : float64 tensor, shape (problem, src, tgt)
        Training problems and the plans that attention should have, each row of sum 1.
    start : Schedule
        Where to begin; its length is the depth.
    reg : float
        With which attention is read after the last layer.
    steps, batch : int
        Of the optimiser, and problems a step, drawn anew each time.
    rate : float
        Adam's step size at the start; it falls to 0.
    generator : torch.Generator
        Draws the problems of each step.

    Raises
    ------
    TransportError
        If a number is out of range.
    """
    for name, value in (("steps", steps), ("batch", batch)):
        check_count(name, value)
    check_positive("reg", reg, remedy="Attention is read with it.")
    logs = torch.stack(start).log().requires_grad_()
    optimiser = torch.optim.Adam([logs], lr=rate)
    fall = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.0, total_iters=steps)
    for _ in range(steps):
        chosen = torch.randint(len(cost), (batch,), generator=generator)
        *_, duals = descend(cost[chosen], Schedule(*logs.exp()))
        loss = -(plan[chosen] * log_attention(cost[chosen], duals, reg=reg)).sum(2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        fall.step()
    return Schedule(*logs.detach().exp())


def _excess(log_sum: Tensor) -> Tensor:
    """Return (s - 1) / (s + 1) for s = exp(log_sum)."""
    return torch.tanh(0.5 * log_sum)


def _check(layers: Schedule) -> None:
    if layers.reg.shape != layers.step.shape:
        raise broken_rule(
            "layers", "as many steps as regs", f"{tuple(layers.step.shape)} and {tuple(layers.reg.shape)}", "Give both."
        )
    for name, values in zip(Schedule._fields, layers, strict=True):
        if not bool((values > 0.0).all()):
            raise broken_rule(name, "greater than 0 in every layer", f"{float(values.min()):g}", "Use a larger one.")
