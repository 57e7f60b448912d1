"""Sorting by transport: the printed examples, and how accuracy depends on n, on lambda and on the numbers."""

import math
from collections.abc import Callable

import pandas as pd
import torch
from torch import Tensor

from otcore import sort, sorting_plan
from otcore.prompt import Marginals
from pipeline.synthetic.claims import Claim, Finding, claim, grid_permutation

# The paper's two examples, with the values it prints; they are cut, not rounded, to as many digits as given here.
PRINTED = {
    4: ([0.5, 0.75, 0.25, 0.0], [0.018, 0.24, 0.50, 0.73], [3, 2, 2, 2]),
    8: (
        [0.375, 0.0, 0.875, 0.125, 0.625, 0.25, 0.75, 0.5],
        [0.02, 0.12, 0.25, 0.37, 0.5, 0.62, 0.75, 0.84],
        [2] * 8,
    ),
}
PRINTED_DEPTH: dict[Marginals, int] = {"unit": 2000, "uniform": 20_001}
LARGE_N = 1024
KINDS = ("permutation", "uniform", "normal", "ties")
SIZES = {8: KINDS, 64: KINDS, 256: KINDS[:2]}
REGS, LARGE_REGS = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6), (1e-2, 1e-4, 1e-6)
DEPTH, LARGE_DEPTH = 300, 10
GENERAL_N = 64


def sorting(*, sorter: Callable[..., Tensor] = sort, plan: Callable[..., Tensor] = sorting_plan) -> Finding:
    """Return the verdicts on sorting and the table of its accuracy."""
    claims = []
    for n in PRINTED:
        claims += _printed(n, plan)
    table = pd.DataFrame(
        [
            _row(sorter, n, kind, reg=reg, schedule=schedule, depth=DEPTH)
            for n, kinds in SIZES.items()
            for kind in kinds
            for reg in (REGS if n < max(SIZES) else LARGE_REGS)
            for schedule in ("constant", "annealed")
        ]
        + [_row(sorter, LARGE_N, "permutation", reg=reg, schedule="constant", depth=LARGE_DEPTH) for reg in LARGE_REGS]
    )
    return Finding([*claims, *_accuracy(table)], {"sorting": table})


def _printed(n: int, plan: Callable[..., Tensor]) -> list[Claim]:
    """Return whether the printed values come out of lambda = 0.1 with y = 0..n-1, and of the setting in print."""
    numbers, printed, digits = PRINTED[n]
    x = torch.tensor([numbers], dtype=torch.float64)
    places = torch.arange(n, dtype=torch.float64)[None]
    found = {
        marginals: plan(x, places, reg=0.1, step_size=0.05, depth=depth, marginals=marginals) @ x[0]
        for marginals, depth in PRINTED_DEPTH.items()
    }
    as_printed = plan(x, places / n, reg=0.005, step_size=0.01, depth=2000) @ x[0]
    order = f"The {n} printed sorted numbers"
    setting = {"numbers": numbers, "printed": printed, "reg": 0.1, "step_size": 0.05, "y": "0..n-1"}
    return [
        claim(
            f"sorting_printed_{n}",
            rf"{order} are those of $\lambda = 0.1$ with $y = 0, \ldots, n - 1$, cut to the digits printed (value: digits that "
            "differ).",
            reference="sorting example",
            group="errata",
            setting={**setting, "depth": PRINTED_DEPTH},
            value=float(sum(_differs(values[0], printed, digits) for values in found.values())),
            threshold=0.0,
        ),
        claim(
            f"sorting_printed_setting_{n}",
            rf"{order} are those of the setting in print, $\lambda = 0.005$ with $y_i = i/n$ (value: numbers that differ).",
            reference="sorting example",
            group="errata",
            setting={**setting, "reg": 0.005, "step_size": 0.01, "y": "i/n", "depth": 2000},
            value=float(_differs(as_printed[0], printed, digits)),
            threshold=0.0,
        ),
        claim(
            f"sorting_printed_setting_error_{n}",
            "The setting in print sorts better than the printed values (value: largest error).",
            reference="sorting example",
            group="errata",
            setting={**setting, "reg": 0.005, "step_size": 0.01, "y": "i/n", "depth": 2000},
            value=float((as_printed[0] - x[0].sort().values).abs().max()),
            threshold=float((torch.tensor(printed, dtype=x.dtype) - x[0].sort().values).abs().max()),
        ),
    ]


def _differs(values: Tensor, printed: list[float], digits: list[int]) -> int:
    """Return how many values, cut to their digits, are not the printed ones."""
    cut = [math.floor(value * 10**d + 1e-9) / 10**d for value, d in zip(values.tolist(), digits, strict=True)]
    return sum(abs(a - b) > 1e-9 for a, b in zip(cut, printed, strict=True))


def numbers_of(kind: str, n: int) -> Tensor:
    """Return n numbers: the paper's permutation of i/n, or uniform, normal (half of them negative), or with ties."""
    generator = torch.Generator().manual_seed(n)
    if kind == "permutation":
        return grid_permutation(n)[0].flatten()
    if kind == "uniform":
        return torch.rand(n, generator=generator, dtype=torch.float64)
    if kind == "normal":
        return torch.randn(n, generator=generator, dtype=torch.float64)
    return torch.randint(-3, 4, (n,), generator=generator).double()


def _row(
    sorter: Callable[..., Tensor], n: int, kind: str, *, reg: float, schedule: str, depth: int
) -> dict[str, object]:
    """Return the largest error, relative to the range of the numbers, and the share of places that are right."""
    x = numbers_of(kind, n)
    found = sorter(x, reg=reg, depth=depth, start_reg=None if schedule == "constant" else 0.5)
    truth = x.sort().values
    span = float(truth[-1] - truth[0])
    nearest = truth[(found[:, None] - truth).abs().argmin(1)]  # the number that each estimate stands for
    return {
        "n": n,
        "numbers": kind,
        "reg": reg,
        "schedule": schedule,
        "depth": depth,
        "error": float((found - truth).abs().max()) / span,
        "right": float((nearest == truth).double().mean()),
    }


def _accuracy(table: pd.DataFrame) -> list[Claim]:
    """Return the verdicts on large n, and on numbers that are not a permutation of the targets."""
    large = table[table["n"] == LARGE_N]
    general = table[
        (table["n"] == GENERAL_N) & (table["reg"] == REGS[-1]) & table["numbers"].isin(["uniform", "normal"])
    ]
    claims = [
        claim(
            "sorting_1024",
            "1,024 numbers, a permutation of $i/n$, come out in exact order (value: share of places right).",
            reference="section on sorting",
            group="paper",
            setting={"n": LARGE_N, "reg": float(large["reg"].min()), "depth": LARGE_DEPTH, "step_ratio": 2.0},
            value=float(large.sort_values("reg")["right"].iloc[0]),
            threshold=1.0,
            at_least=True,
            seed=LARGE_N,
        )
    ]
    for schedule in ("constant", "annealed"):
        chosen = general[general["schedule"] == schedule]
        claims.append(
            claim(
                f"sorting_general_{schedule}",
                f"{GENERAL_N} numbers in general position come out in exact order with $\\lambda$ {schedule} over the layers "
                "(value: smallest share of places right).",
                reference="not in the paper" if schedule == "annealed" else "section on sorting",
                group="follows" if schedule == "annealed" else "paper",
                setting={
                    "n": GENERAL_N,
                    "numbers": ["uniform", "normal"],
                    "reg": REGS[-1],
                    "depth": DEPTH,
                },
                value=float(chosen["right"].min()),
                threshold=1.0,
                at_least=True,
                seed=GENERAL_N,
            )
        )
    return claims
