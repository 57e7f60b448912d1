"""Theorems 3.1 and 3.2 and what surrounds them, measured on the constructed transformer."""

import math
from functools import partial

import pandas as pd
import torch
from torch import Tensor

from otcore import (
    Duals,
    columns,
    dual_gradient,
    entropic_plan,
    gradient_descent,
    log_mass,
    read_plan,
    squared_cost,
)
from otcore.prompt import MARGINALS, Marginals
from otcore.transformer import MEMORY_ROWS, MemoryRow
from pipeline.synthetic.claims import Claim, Finding, Setting, claim, gaussian_clouds, grid_permutation
from pipeline.synthetic.construction import PAPERS, Construction

EXACT = 1e-12
EXACT_MARGINAL = 1e-6
GRID_DEPTH = 150
SIZES, DIMENSIONS = (2, 3, 8, 64), (1, 2, 5)
SMALL_STEP = 0.2  # gamma / lambda of the worked example: lambda = 0.05, gamma = 0.01
N_EXAMPLE = 7
PRINTED_SIGN_DEPTH = 100
PRECISION_N, PRECISION_DEPTH = 16, 500


def theorem_3_1(reg: float, *, step_ratio: float, depth: int, construction: Construction = PAPERS) -> Finding:
    """Return how far the layers are from gradient descent, under both rules for the memory row."""
    grid = partial(_drifts, construction, reg=reg, step=step_ratio * reg, depth=GRID_DEPTH, memory_row="frozen")
    frozen = max(float(grid(*gaussian_clouds(n, dim=dim, seeds=range(2))).max()) for n in SIZES for dim in DIMENSIONS)
    step = SMALL_STEP * reg
    paper_problem = partial(_drifts, construction, *grid_permutation(N_EXAMPLE), reg=reg, step=step, depth=depth)
    drift = {rule: paper_problem(memory_row=rule).amax(1) for rule in MEMORY_ROWS}
    example: dict[str, object] = {"n": N_EXAMPLE, "dim": 1, "reg": reg, "step_size": step, "depth": depth}
    rows = [
        {"layer": layer, "memory_row": rule, "drift": float(drift[rule][layer - 1])}
        for rule in MEMORY_ROWS
        for layer in sorted({1, 2, 3, 5, *(round(10 ** (k / 8)) for k in range(8, 40)), depth})
        if layer <= depth
    ]
    frozen_claim = claim(
        "theorem_3_1_frozen",
        "With the memory row frozen, every layer holds the iterate of gradient descent, to rounding.",
        reference="Theorem 3.1",
        group="paper",
        setting={
            "n": list(SIZES),
            "dim": list(DIMENSIONS),
            "marginals": list(MARGINALS),
            "depth": [GRID_DEPTH, depth],
            "reg": reg,
            "step_ratio": [step_ratio, SMALL_STEP],
        },
        value=max(frozen, float(drift["frozen"].max())),
        threshold=EXACT,
        seed=0,
    )
    claims = [frozen_claim, *_as_published(drift["free"], example), *_memory_row(reg, depth, example, construction)]
    return Finding(claims, {"drift": pd.DataFrame(rows)})


def _as_published(drift: Tensor, example: Setting) -> list[Claim]:
    """Return the verdicts on the layers whose memory row is updated as well."""
    statements = {
        "theorem_3_1_free": (
            "As published, with the memory row updated, every layer holds the iterate of gradient descent.",
            len(drift),
        ),
        "theorem_3_1_free_first_layer": ("As published, the first layer is exact: the drift starts at layer 2.", 1),
    }
    return [
        claim(
            name,
            statement,
            reference="Theorem 3.1",
            group="errata",
            setting={**example, "marginals": "unit", "depth": layers},
            value=float(drift[:layers].max()),
            threshold=EXACT,
        )
        for name, (statement, layers) in statements.items()
    ]


def _drifts(
    construction: Construction, x: Tensor, y: Tensor, *, reg: float, step: float, depth: int, memory_row: MemoryRow
) -> Tensor:
    """Return the largest |Z - gradient descent| of every layer and problem, shape (depth, 2 * batch or batch).

    Frozen rows are measured under both marginals, which differ in the prompt alone and so share a batch.
    """
    chosen: tuple[Marginals, ...] = MARGINALS if memory_row == "frozen" else ("unit",)
    cost, dim = squared_cost(x, y), x.shape[-1]
    n, at = x.shape[1], columns(dim)
    weights = construction.weights(dim, reg=reg, step_size=step)
    model = construction.model(weights, depth=depth, memory_row=memory_row)
    prompt = torch.cat([construction.prompt(x, y, marginals=marginals) for marginals in chosen])
    exact = [gradient_descent(cost, reg=reg, step_size=step, depth=depth, marginals=m) for m in chosen]
    drifts = []
    for layer, *iterates in zip(model.layers(prompt), *exact, strict=True):
        expected = torch.cat([torch.stack(duals, dim=-1) for duals in iterates])  # (b, n, 2): u and v
        difference = layer.state[:, :n, at.src_memory : at.tgt_memory + 1] - expected
        drifts.append(difference.abs().amax((1, 2)))
    return torch.stack(drifts)


def _memory_row(reg: float, depth: int, example: Setting, construction: Construction) -> list[Claim]:
    """Return where the free memory row settles, and what that does to the marginals."""
    x, y = grid_permutation(N_EXAMPLE)
    cost, at, n = squared_cost(x, y), columns(1), N_EXAMPLE
    claims = []
    powers: dict[Marginals, int] = {"unit": 1, "uniform": 2}
    for marginals, power in powers.items():
        step = reg  # the example's is too short for the uniform row to settle within the depth
        weights = construction.weights(1, reg=reg, step_size=step)
        model = construction.model(weights, depth=depth, memory_row="free")
        state = model(construction.prompt(x, y, marginals=marginals)).state[0]
        memory, duals = state[:, at.src_memory : at.tgt_memory + 1], state[None, :n]
        plan = torch.exp(log_mass(cost, Duals(duals[..., at.src_memory], duals[..., at.tgt_memory]), reg=reg))
        setting = {**example, "step_size": step, "marginals": marginals}
        where = r"$-\lambda \log n$" if power == 1 else r"$-2\lambda \log n$"
        total = "$1/n$" if power == 1 else "$1/n^3$"
        claims += [
            claim(
                f"memory_row_settles_{marginals}",
                f"The free memory row settles at {where} with {marginals} marginals.",
                reference="Theorem 3.1, as published",
                group="errata",
                setting=setting,
                value=float((memory[n] + power * reg * math.log(n)).abs().max()),
                threshold=1e-9,
            ),
            claim(
                f"free_row_sums_{marginals}",
                f"With the free memory row and {marginals} marginals the rows of $M$ sum to {total} in the limit.",
                reference="Theorem 3.1, as published",
                group="errata",
                setting=setting,
                value=float((plan.sum((1, 2)) / n * float(n) ** (2 * power - 1) - 1.0).abs().max()),
                threshold=1e-6,
            ),
        ]
    return claims


def theorem_3_2(
    reg: float, *, step_ratio: float, depth: int, seeds: range, construction: Construction = PAPERS
) -> Finding:
    """Return how close row-normalised attention comes to the entropic plan, and what the printed sign of B does."""
    x, y = gaussian_clouds(8, dim=3, seeds=seeds)
    cost = squared_cost(x, y)
    optimum = entropic_plan(cost, reg=reg, threshold=1e-13, max_sweeps=100_000)
    prompt = construction.prompt(x, y)
    setting = {"n": 8, "dim": 3, "reg": reg, "step_ratio": step_ratio, "depth": depth, "problems": len(seeds)}
    weights = construction.weights(3, reg=reg, step_size=step_ratio * reg)
    errors = []
    for rule in MEMORY_ROWS:
        model = construction.model(weights, depth=depth, memory_row=rule)
        plans = read_plan(model(prompt).state, weights.score[0])
        errors.append((plans[:, 0] - optimum.plan).abs().max())
        errors.append((plans[:, 1].mT - optimum.plan).abs().max())
    limit = claim(
        "theorem_3_2_limit",
        "Row-normalised attention converges to the entropic plan, whether the memory row is frozen or free.",
        reference="Theorem 3.2",
        group="paper",
        setting={**setting, "memory_row": list(MEMORY_ROWS)},
        value=float(torch.stack(errors).max()),
        threshold=1e-9,
        seed=seeds.start,
    )
    weights = construction.weights(3, reg=reg, step_size=reg, sign=+1)
    state = construction.model(weights, depth=PRINTED_SIGN_DEPTH)(prompt).state
    return Finding([limit, _printed_sign(state, cost, reg, seeds)], {})


def _printed_sign(state: Tensor, cost: Tensor, reg: float, seeds: range) -> Claim:
    """Return the verdict on B = +gamma I: the largest error of a marginal after 100 layers."""
    at, n = columns(3), cost.shape[1]
    gradient = dual_gradient(cost, Duals(state[:, :n, at.src_memory], state[:, :n, at.tgt_memory]), reg=reg)
    return claim(
        "table_2_printed_sign",
        r"With $B = +\gamma I$, as printed, the layers meet the marginals (value: largest error of a sum, of mass 1).",
        reference="Table 2",
        group="errata",
        setting={"n": n, "dim": 3, "reg": reg, "step_ratio": 1.0, "depth": PRINTED_SIGN_DEPTH, "problems": len(seeds)},
        value=float(torch.cat(gradient, dim=1).abs().max()),
        threshold=EXACT_MARGINAL,
        seed=seeds.start,
    )


def precision(reg: float, *, step_ratio: float, seeds: range, construction: Construction = PAPERS) -> Finding:
    """Return the error of float32 and bfloat16 layers against float64 ones."""
    n, dim, depth = PRECISION_N, 3, PRECISION_DEPTH
    x, y = gaussian_clouds(n, dim=dim, seeds=seeds)
    plans = {}
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        weights = construction.weights(dim, reg=reg, step_size=step_ratio * reg, dtype=dtype)
        model = construction.model(weights, depth=depth)
        state = model(construction.prompt(x.to(dtype), y.to(dtype))).state
        plans[dtype] = read_plan(state, weights.score[0]).double()
    setting = {"n": n, "dim": dim, "reg": reg, "step_ratio": step_ratio, "depth": depth, "problems": len(seeds)}
    claims = []
    for name, dtype, threshold in (("float32", torch.float32, 1e-3), ("bfloat16", torch.bfloat16, 0.05)):
        claims.append(
            claim(
                f"precision_{name}",
                f"In {name} no share of attention differs by more than {threshold:g} from float64.",
                reference="not in the paper",
                group="software",
                setting=setting,
                value=_one_digit(float((plans[dtype] - plans[torch.float64]).abs().max())),
                threshold=threshold,
                seed=seeds.start,
            )
        )
    return Finding(claims, {})


def _one_digit(value: float) -> float:
    """Return the number to the one digit that does not depend on the processor's order of sums."""
    return float(f"{value:.0e}")
