"""Attention as it becomes the plan: Figures 3 and 4, larger n with the same weights, rank, and more dimensions."""

import math
from collections.abc import Callable, Iterator

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from otcore import (
    TransportTransformer,
    annealed,
    entropic_plan,
    exact_plan,
    read_plan,
    squared_cost,
)
from pipeline.synthetic.claims import Finding, claim, gaussian_clouds, spread
from pipeline.synthetic.construction import PAPERS, Construction

SHOWN_LAYERS = (1, 300, 600)  # the paper's Figure 3
FIGURE_REG, FIGURE_RATIO = 0.2, 0.3  # of the run's reg, and gamma / lambda: sharp, and slow enough to watch
RANK_REG = 0.4  # of the run's reg
FIGURE_SHIFT, FIGURE_NOISE = (1.0, -0.5), 0.2  # how y differs from x: nearest is not best
SAME_WEIGHTS_N, SAME_WEIGHTS_DEPTH = (16, 64, 256), 300
COUNTED_N = 1024  # one layer is enough to count its work
DIMENSIONS = (2, 5, 20)
HIGHER_DEPTH = 1000
CLOSE = 1e-6
Count = Callable[[TransportTransformer, Tensor], tuple[int, int]]


def figures_3_and_4(reg: float, *, construction: Construction = PAPERS) -> Finding:
    """Return attention at the shown layers beside the plan: n = 16 (Figure 3), n = 8 and 4 (Figure 4)."""
    weight = FIGURE_REG * reg
    weights = construction.weights(2, reg=weight, step_size=FIGURE_RATIO * weight)
    model = construction.model(weights, depth=max(SHOWN_LAYERS))
    tables = {}
    for name, sizes in (("figure3", (16,)), ("figure4", (8, 4))):
        rows: list[dict[str, object]] = []
        for n in sizes:
            x, y = _matched_clouds(n)
            seen = model(construction.prompt(x, y), record=SHOWN_LAYERS).layers
            shown = {str(layer): read_plan(seen[layer].before, weights.score[0])[0, 0] for layer in SHOWN_LAYERS}
            optimum = entropic_plan(squared_cost(x, y), reg=weight, threshold=1e-7, max_sweeps=5_000)
            shown["plan"] = optimum.plan[0]
            rows += [row for layer, shares in shown.items() for row in _cells(n, layer, shares)]
        tables[name] = pd.DataFrame(rows)
    return Finding([], tables)


def _matched_clouds(n: int) -> tuple[Tensor, Tensor]:
    """Return x and a shifted, noisy copy y, ordered so that the cheapest matching is the diagonal."""
    generator = torch.Generator().manual_seed(n)
    x, noise = torch.randn(2, 1, n, 2, generator=generator, dtype=torch.float64)
    y = x + torch.tensor(FIGURE_SHIFT, dtype=x.dtype) + FIGURE_NOISE * noise
    scale = squared_cost(x, y).amax().sqrt()
    return x / scale, y[:, exact_plan(squared_cost(x, y)).plan[0].argmax(1)] / scale


def _cells(n: int, layer: str, shares: Tensor) -> Iterator[dict[str, object]]:
    """Yield one row of a table a cell of a matrix."""
    for src, row in enumerate(shares.tolist()):
        for tgt, share in enumerate(row):
            yield {"n": n, "layer": layer, "src": src, "tgt": tgt, "share": share}


def same_weights(
    reg: float, *, step_ratio: float, construction: Construction = PAPERS, count: Count | None = None
) -> Finding:
    """Return the error of one set of weights at growing n, and how work and memory of a layer grow with n."""
    depth, rows, count = SAME_WEIGHTS_DEPTH, [], count or count_work
    weights = construction.weights(3, reg=reg, step_size=step_ratio * reg)
    model = construction.model(weights, depth=depth)
    one_layer = construction.model(weights, depth=1)
    for n in (*SAME_WEIGHTS_N, COUNTED_N):
        x, y = gaussian_clouds(n, dim=3, seeds=range(1))
        prompt = construction.prompt(x, y)
        products, largest = count(one_layer, prompt)
        error = math.nan
        if n in SAME_WEIGHTS_N:
            shares = read_plan(model(prompt).state, weights.score[0])[:, 0]
            optimum = entropic_plan(squared_cost(x, y), reg=reg, threshold=1e-12, max_sweeps=20_000)
            error = float((shares - optimum.plan).abs().max())
        rows.append({"n": n, "error": error, "products": products, "largest_tensor": largest})
    table = pd.DataFrame(rows)
    setting = {"n": list(SAME_WEIGHTS_N), "dim": 3, "reg": reg, "step_ratio": step_ratio, "depth": depth}
    claims = [
        claim(
            "same_weights_any_n",
            "The same weights solve problems of every size (value: largest difference of a share from the plan).",
            reference="Theorem 3.2; Figure 4",
            group="paper",
            setting=setting,
            value=float(table["error"].max()),
            threshold=CLOSE,
            seed=0,
        )
    ]
    for name, what in (("products", "Products"), ("largest_tensor", "The largest tensor")):
        claims.append(
            claim(
                f"scaling_quadratic_{name}",
                f"{what} of a layer, counted, grows as $n^2$ (value: distance of the exponent from 2 over the last two $n$).",
                reference="softmax attention",
                group="software",
                setting=setting,
                value=abs(_exponent(table["n"], table[name]) - 2.0),
                threshold=0.1,
                seed=0,
            )
        )
    return Finding(claims, {"growth": table})


class _LargestTensor(TorchDispatchMode):
    """Remembers the size of the largest tensor that any operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, Tensor):
                self.largest = max(self.largest, tensor.numel())
        return out


def count_work(model: TransportTransformer, prompt: Tensor) -> tuple[int, int]:
    """Return the multiply-adds (times two) of a forward pass, and the elements of its largest tensor."""
    with FlopCounterMode(display=False) as flops, _LargestTensor() as memory:
        model(prompt)
    return flops.get_total_flops(), memory.largest


def _exponent(n: pd.Series, work: pd.Series) -> float:
    """Return the slope of log work over log n between the last two sizes."""
    return math.log(work.iloc[-1] / work.iloc[-2]) / math.log(n.iloc[-1] / n.iloc[-2])


def effective_rank(matrix: Float[Tensor, "batch n n_columns"]) -> Float[Tensor, " batch"]:
    """Return exp(entropy of the normalised singular values): 1 for rank one, n for a permutation.

    References
    ----------
    Roy and Vetterli, The effective rank: a measure of effective dimensionality, 2007.

    Examples
    --------
    >>> effective_rank(torch.eye(3)[None]).round(decimals=4).item()
    3.0
    """
    values = torch.linalg.svdvals(matrix)
    shares = values / values.sum(-1, keepdim=True)
    return torch.exp(-torch.xlogy(shares, shares).sum(-1))


def rank_over_depth(reg: float, *, depth: int, seeds: range, construction: Construction = PAPERS) -> Finding:
    """Return the effective rank of attention, layer by layer, beside that of the plan."""
    n, weight = 16, RANK_REG * reg
    x, y = gaussian_clouds(n, dim=3, seeds=seeds)
    weights = construction.weights(3, reg=weight, step_size=weight)
    model = construction.model(weights, depth=depth)
    shown = {round(10 ** (k / 8)) for k in range(40)} | {depth}
    plan = entropic_plan(squared_cost(x, y), reg=weight, threshold=1e-7, max_sweeps=5_000).plan
    target = effective_rank(plan)
    rows, ratio = [], torch.zeros(())
    for layer in model.layers(construction.prompt(x, y)):
        if layer.number not in shown:
            continue
        rank = effective_rank(read_plan(layer.before, weights.score[0])[:, 0])
        ratio = (rank / target).amin()
        rows.append({"layer": layer.number, **spread(rank), "plan": spread(target)["median"]})
    kept = claim(
        "rank_kept",
        "Attention does not collapse to rank one with depth (value: its effective rank at the last layer over that "
        "of the plan, smallest over problems).",
        reference="remark on rank collapse",
        group="paper",
        setting={"n": n, "dim": 3, "reg": weight, "step_ratio": 1.0, "depth": depth, "problems": len(seeds)},
        value=float(ratio),
        threshold=0.99,
        at_least=True,
        seed=seeds.start,
    )
    return Finding([kept], {"rank": pd.DataFrame(rows)})


def higher_dimension(reg: float, *, seeds: range, construction: Construction = PAPERS) -> Finding:
    """Return attention against POT's entropic plan and the exact permutation, for clouds in d = 2, 5 and 20."""
    n, depth, rows = 16, HIGHER_DEPTH, []
    for dim in DIMENSIONS:
        x, y = gaussian_clouds(n, dim=dim, seeds=seeds)
        cost = squared_cost(x, y)
        regs = annealed(1.0, reg, depth=depth // 2) + [reg] * (depth // 2)
        plan = _last_plan(construction, x, y, regs)
        pot = entropic_plan(cost, reg=reg, solver="pot", threshold=1e-12, max_sweeps=20_000)
        sharp = _last_plan(construction, x, y, annealed(1.0, 0.01 * reg, depth=depth))
        permutation = exact_plan(cost).plan.argmax(2)
        rows += [
            {"dim": dim, "seed": seed, "error": error, "matched": matched}
            for seed, error, matched in zip(
                seeds,
                (plan - pot.plan).abs().amax((1, 2)).tolist(),
                (sharp.argmax(2) == permutation).double().mean(1).tolist(),
                strict=True,
            )
        ]
    table = pd.DataFrame(rows)
    setting = {"n": n, "dim": list(DIMENSIONS), "depth": depth, "problems": len(seeds), "step_ratio": 2.0}
    claims = [
        claim(
            "higher_dimension",
            "In more dimensions attention is POT's entropic plan (value: largest difference of a share).",
            reference="Theorem 3.2",
            group="paper",
            setting={**setting, "reg": reg},
            value=float(table["error"].max()),
            threshold=CLOSE,
            seed=seeds.start,
        ),
        claim(
            "higher_dimension_exact",
            r"With a small $\lambda$, annealed over the layers, the largest share of each row is the exact matching "
            "(value: share of points matched).",
            reference="eq. 1",
            group="paper",
            setting={**setting, "reg": 0.01 * reg},
            value=float(table["matched"].mean()),
            threshold=0.95,
            at_least=True,
            seed=seeds.start,
        ),
    ]
    return Finding(claims, {"dimension": table})


def _last_plan(construction: Construction, x: Tensor, y: Tensor, regs: list[float]) -> Tensor:
    """Return row-normalised attention of head 1 at the last layer, with a reg for each layer and gamma twice that."""
    weights = construction.weights(x.shape[-1], reg=regs, step_size=[2.0 * value for value in regs])
    model = construction.model(weights, depth=len(regs))
    return read_plan(model(construction.prompt(x, y)).state, weights.score[-1])[:, 0]
