"""What breaks the construction: habits of usual transformers, rounding, ties, and sides of unequal size.

Claims, written down before the long run, are of two kinds. What should change nothing (repeated points, positions in columns of
their own, unequal sides and partial transport by dummy points) is held to `SOLVED` in the worst problem. What the construction was not
made for (layer norm, a causal mask, positions added to the tokens, 16-bit numbers) is held to `NEAR`: the share of mass in the
wrong place, mean over the problems of the worst seed. Layer norm is tried once more on **mirrored** tokens [z, -z, K, -K]: their mean
is 0 whatever z is, and their variance nearly that of K, so that layer norm is nearly a constant factor, which scores and values take
back. Its error should fall as 1/K^2.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from otcore import TransportTransformer, constructed_weights, engineered_prompt, read_plan, squared_cost
from otcore.construction import ConstructedWeights
from otcore.features import partial_features
from otcore.transformer import Habits, Norm
from pipeline.claims import Estimate
from pipeline.study_file import Chart, Line, Panel, StudyResult
from pipeline.synthetic.studies import StudySettings, decided
from pipeline.synthetic.studies.plan_errors import (
    STEP_RATIO,
    layers_plan,
    limit_claim,
    plan_error,
    scaled_clouds,
    true_plan,
)

NAME, QUESTION = "robustness", "What breaks the construction, and by how much?"
SOLVED, NEAR = 1e-6, 0.05
PENALTY = 3.0  # of two dummies, in largest squared distances
RUN: Mapping[str, dict[str, Any]] = {
    "long": {"problems": 16, "n": 8, "dim": 3, "reg": 0.05, "depth": 2000, "positions": [0.001, 0.01, 0.1, 1.0],
             "mirrors": [10.0, 100.0, 1000.0], "sides": [8, 5], "moved": 3},
    "demo": {"problems": 2, "n": 4, "dim": 2, "reg": 0.2, "depth": 30, "positions": [0.1], "mirrors": [100.0],
             "sides": [4, 3], "moved": 2},
}  # fmt: skip
HELD: Mapping[str, tuple[str, float, str]] = {
    "unchanged": ("as it is", SOLVED, "worst"),
    "ties": ("where every point is there twice", SOLVED, "worst"),
    "sides": ("between sides of unequal size, filled up with dummy points", SOLVED, "worst"),
    "partial": ("for partial transport, with dummy points on both sides", SOLVED, "worst"),
    "own_positions": ("with sinusoidal positions in columns of their own", SOLVED, "worst"),
    "positions": ("with sinusoidal positions of size 0.1 added to the tokens", NEAR, "error"),
    "norm_before": ("with layer norm of what heads read", NEAR, "error"),
    "norm_after": ("with layer norm of the stream", NEAR, "error"),
    "mirrored_before": ("with layer norm of what heads read, on mirrored tokens (K = 100)", NEAR, "error"),
    "mirrored_after": ("with layer norm of the stream, on mirrored tokens (K = 100)", NEAR, "error"),
    "causal": ("with a causal mask", NEAR, "error"),
    "float32": ("in float32", NEAR, "error"),
    "bfloat16": ("in bfloat16", NEAR, "error"),
    "bfloat16_products": ("with products in bfloat16 and the stream in float32", NEAR, "error"),
}
"""What is tried, in words, its limit, and which column is held to it."""
DECIDES = {"positions": 0.1, "mirrored_before": 100.0, "mirrored_after": 100.0}


def run(study: StudySettings) -> StudyResult:
    """Return the error of the plan under every change."""
    sizes = RUN[study.size]
    with torch.no_grad():
        rows = []
        for seed in range(study.seed, study.seed + study.seeds):
            study.say(f"{NAME}: seed {seed}")
            rows += list(_changes(seed, sizes))
    table = pd.DataFrame(rows)
    return StudyResult(
        name=NAME,
        question=QUESTION,
        size=study.size,
        seeds=study.seeds,
        settings={
            **sizes,
            "seed": study.seed,
            "step_ratio": STEP_RATIO,
            "penalty": PENALTY,
            "solved": SOLVED,
            "near": NEAR,
        },
        charts=[_ranking(table), _sizes(table)],
        claims=decided(list(estimates(table, sizes, study.seed)), study.size),
        findings=[f"{HELD[name][0]}: {_told(rows)}." for name, rows in _by_change(table)],
        tables={"errors": table},
    )


def _changes(seed: int, sizes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a row for every change: its size where it has one, mean error and that of the worst problem."""
    x, y = scaled_clouds(seed, n=sizes["n"], dim=sizes["dim"], batch=sizes["problems"])
    reg, depth = sizes["reg"], sizes["depth"]
    true = true_plan(squared_cost(x, y), reg)

    def row(change: str, found: Tensor, plan: Tensor = true, size: float = 0.0) -> dict[str, Any]:
        error = plan_error(found, plan)
        return {"change": change, "size": size, "seed": seed, "error": float(error.mean()), "worst": float(error.max())}

    yield row("unchanged", layers_plan(x, y, reg=reg, depth=depth))
    twice = [part[:, : sizes["n"] // 2].repeat(1, 2, 1) for part in (x, y)]
    yield row("ties", layers_plan(*twice, reg=reg, depth=depth), true_plan(squared_cost(*twice), reg))
    yield row("sides", *_partial(x, y, sizes, moved=min(sizes["sides"])))
    yield row("partial", *_partial(x, y, sizes, moved=sizes["moved"]))
    yield row("own_positions", _read(*_widened(x, y, sizes), sizes))
    prompt, weights = engineered_prompt(x, y), constructed_weights(x.shape[2], reg=reg, step_size=STEP_RATIO * reg)
    for size in sizes["positions"]:
        yield row("positions", _read(_positioned(prompt, size), weights, sizes), size=size)
    norms: tuple[Norm, ...] = ("before", "after")
    for norm in norms:
        yield row(f"norm_{norm}", _read(prompt, weights, sizes, Habits(norm=norm)))
        for size in sizes["mirrors"]:
            mirrored = mirror(prompt, weights, size=size, norm=norm)
            yield row(f"mirrored_{norm}", _read(*mirrored, sizes, Habits(norm=norm)), size=size)
    yield row("causal", _read(prompt, weights, sizes, Habits(causal=True)))
    for name, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        yield row(name, _rounded(prompt, weights, sizes, dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = _rounded(prompt, weights, sizes, torch.float32)
    yield row("bfloat16_products", mixed)


def _read(
    prompt: Tensor, weights: ConstructedWeights, sizes: Mapping[str, Any], habits: Habits | None = None
) -> Tensor:
    """Return what head 1 says of the plan after all layers, read as the layers read but without a causal mask."""
    habits = habits or Habits()
    state = TransportTransformer.constructed(weights, depth=sizes["depth"], habits=habits)(prompt).state
    if habits.norm == "before":
        state = torch.nn.functional.layer_norm(state, state.shape[-1:])
    return read_plan(state, weights.score[0])[:, 0]


def _rounded(prompt: Tensor, weights: ConstructedWeights, sizes: Mapping[str, Any], dtype: torch.dtype) -> Tensor:
    """Return the plan of layers in another dtype."""
    model = TransportTransformer.constructed(weights, depth=sizes["depth"]).to(dtype)
    return read_plan(model(prompt.to(dtype)).state, model.score[0].to(dtype))[:, 0]


def _partial(x: Tensor, y: Tensor, sizes: Mapping[str, Any], *, moved: int) -> tuple[Tensor, Tensor]:
    """Return the layers' plan of unequal sides with dummies, and the plan of the cost written out block by block."""
    n, m = sizes["sides"]
    x, y = x[:, :n], y[:, :m]
    cost = torch.zeros(len(x), n + m - moved, n + m - moved, dtype=x.dtype)
    cost[:, :n, :m] = squared_cost_between(x, y)
    cost[:, n:, m:] = PENALTY
    phi, psi = partial_features(x, y, moved=moved, penalty=PENALTY)
    return layers_plan(phi, psi, reg=sizes["reg"], depth=sizes["depth"]), true_plan(cost, sizes["reg"])


def squared_cost_between(x: Tensor, y: Tensor) -> Tensor:
    """Return squared distances of clouds of any sizes."""
    return (x[:, :, None] - y[:, None]).square().sum(-1)


def _waves(prompt: Tensor, size: float) -> Tensor:
    """Return sinusoidal positions of the points, as wide as the prompt; none for the memory row."""
    tokens, width = prompt.shape[1:]
    place = torch.arange(tokens - 1, dtype=prompt.dtype)[:, None]
    rate = 10_000.0 ** (-2.0 * (torch.arange(width, dtype=prompt.dtype) // 2) / width)
    angle = place * rate
    waves = torch.where(torch.arange(width) % 2 == 0, angle.sin(), angle.cos())
    return torch.cat([size * waves, torch.zeros_like(waves[:1])])


def _positioned(prompt: Tensor, size: float) -> Tensor:
    return prompt + _waves(prompt, size)


def _widened(x: Tensor, y: Tensor, sizes: Mapping[str, Any]) -> tuple[Tensor, ConstructedWeights]:
    """Return prompt and weights with columns for positions, which no weight reads."""
    prompt = engineered_prompt(x, y)
    weights = constructed_weights(x.shape[2], reg=sizes["reg"], step_size=STEP_RATIO * sizes["reg"])
    width = prompt.shape[-1]
    wide = torch.cat([prompt, _waves(prompt, 1.0).expand(len(prompt), -1, -1)], dim=-1)
    parts = (weights.P1, weights.P2, weights.V1, weights.V2)
    padded = [torch.nn.functional.pad(part, (0, width, 0, width)) for part in parts]
    return wide, ConstructedWeights(padded[0], padded[1], padded[2], padded[3], weights.steps)


def mirror(
    prompt: Tensor, weights: ConstructedWeights, *, size: float, norm: Norm
) -> tuple[Tensor, ConstructedWeights]:
    """Return prompt and weights on mirrored tokens [z, -z, K, -K], for which layer norm is nearly the factor 1/scale.

    With norm ``before`` the stream keeps its scale, and what heads read is 1/scale of it; with ``after`` the stream itself is.
    """
    width = prompt.shape[-1]
    scale = size / (width + 1) ** 0.5
    wide = torch.cat(
        [prompt, -prompt, torch.full_like(prompt[..., :1], size), torch.full_like(prompt[..., :1], -size)], -1
    )
    more = width + 2
    scores = [torch.nn.functional.pad(scale**2 * part, (0, more, 0, more)) for part in (weights.P1, weights.P2)]
    own = scale if norm == "before" else 1.0
    values = []
    for part in (weights.V1, weights.V2):
        both = torch.cat([own * part, -own * part], dim=1)
        values.append(torch.nn.functional.pad(both, (0, 2, 0, more)))
    return (wide if norm == "before" else wide / scale), ConstructedWeights(
        scores[0], scores[1], values[0], values[1], weights.steps
    )


def estimates(table: pd.DataFrame, sizes: Mapping[str, Any], seed: int) -> Iterator[Estimate]:
    """Yield the claims of the module's text."""
    for name, (words, limit, column) in HELD.items():
        own = _deciding(table, name)
        if len(own):
            how = "the worst problem" if column == "worst" else "mean over problems"
            yield limit_claim(
                f"{NAME}_{name}", f"The construction finds the plan {words} ({how}).", float(own[column].max()), limit,
                setting=sizes, seed=seed, figure=f"study_{NAME}_changes", n=len(own) * sizes["problems"],
            )  # fmt: skip


def _by_change(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the rows of every change, in the order of `HELD`."""
    for name in HELD:
        rows = table[table["change"] == name]
        if len(rows):
            yield name, rows


def _deciding(table: pd.DataFrame, name: str) -> pd.DataFrame:
    own = table[table["change"] == name]
    return own[own["size"] == DECIDES[name]] if name in DECIDES else own


def _told(rows: pd.DataFrame) -> str:
    means = {float(size): float(rows[rows["size"] == size]["error"].mean()) for size in rows["size"].unique()}
    sizes = [f"{mean:.2g}" + (f" (size {size:g})" if size else "") for size, mean in means.items()]
    return f"{', '.join(sizes)} of the mass in the wrong place"


def _ranking(table: pd.DataFrame) -> Chart:
    rows = {HELD[name][0]: _deciding(table, name)["error"] for name in HELD}
    ranked = sorted(((name, e) for name, e in rows.items() if len(e)), key=lambda one: -one[1].mean())
    floor = 1e-12
    lines = [Line(name, [], [max(e.mean(), floor)], [max(e.min(), floor)], [max(e.max(), floor)]) for name, e in ranked]
    worst = [f"{name}: {e.mean():.2g}" for name, e in ranked[:3]]
    return Chart(
        stem=f"study_{NAME}_changes",
        title="What breaks the construction",
        y="share of mass in the wrong place",
        panels=[Panel("", lines)],
        kind="ranking",
        logs=(False, True),
        mark=NEAR,
        caption=[
            "How far the plan of the constructed layers is from the entropic plan under each change, the worst first.",
            "A point is the mean over seeds, a line from the least to the greatest. The thin line is the limit of a claim.",
        ],
        finding=f"Largest: {'; '.join(worst)}.",
    )


def _sizes(table: pd.DataFrame) -> Chart:
    panels = []
    for title, names in (
        ("positions added, by size", ["positions"]),
        ("layer norm on mirrored tokens, by K", ["mirrored_before", "mirrored_after"]),
    ):
        lines = []
        for name in names:
            errors = table[table["change"] == name].groupby("size")["error"]
            middle, low, high = (
                part.clip(lower=1e-12).tolist() for part in (errors.mean(), errors.min(), errors.max())
            )
            lines.append(Line(name.replace("_", ", norm "), errors.mean().index.tolist(), middle, low, high))
        panels.append(Panel(title, lines))
    return Chart(
        stem=f"study_{NAME}_sizes",
        title="How much of it",
        x="size",
        y="share of mass in the wrong place",
        panels=panels,
        logs=(True, True),
        mark=NEAR,
        caption=[
            "The same errors against the size of what is added.",
            "Mean over seeds, band from the least to the greatest.",
        ],
        finding=" ".join(
            f"{HELD[name][0]}: {_told(table[table['change'] == name])}."
            for name in ("positions", "mirrored_before", "mirrored_after")
        ),
    )
