"""What the page shows of the study of depth."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from pipeline.study_file import Chart, Line, Panel

FLOORS = ("sinkhorn", "annealed sinkhorn")
NAMES = {
    "constant": "constant reg",
    "annealed": "reg falling",
    "trained": "reg, step trained",
    "sinkhorn": "Sinkhorn",
    "annealed sinkhorn": "Sinkhorn, falling",
}


def charts(table: pd.DataFrame, loops: pd.DataFrame) -> list[Chart]:
    """Return error by depth, error elsewhere, and loss by loops."""
    return [_errors(table), _elsewhere(table), _loops(loops)]


def _own(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the training size and reg, which come first."""
    return table[(table["n"] == table["n"].iloc[0]) & (table["reg"] == table["reg"].iloc[0])]


def _line(name: str, rows: pd.DataFrame, x: str, y: str, *, floor: bool = False) -> Line:
    by_x = rows.groupby(x)[y]
    places = by_x.mean().index.astype(int).tolist()
    return Line(name, places, by_x.mean().tolist(), by_x.min().tolist(), by_x.max().tolist(), floor=floor)


def _errors(table: pd.DataFrame) -> Chart:
    own = _own(table)
    lines = [_line(NAMES[name], own[own["method"] == name], "depth", "error", floor=name in FLOORS) for name in NAMES]
    return Chart(
        stem="study_depth_errors",
        title="Error by depth",
        x="layers, or sweeps of Sinkhorn",
        y="distance of attention from the entropic plan, half the summed difference a row",
        panels=[Panel("", lines)],
        logs=(True, True),
        caption=[
            "The construction with one reg for all layers, with reg falling, and with reg and step of each layer trained; Sinkhorn beside it.",
            "Mean over seeds, band from the least to the greatest. Each depth has its own schedule.",
            "Fresh problems of the training size and reg; points on the unit square.",
        ],
        finding=" ".join(_depth_findings(table)),
    )


def _elsewhere(table: pd.DataFrame) -> Chart:
    depth = 20 if (table["depth"] == 20).any() else table["depth"].max()
    own = table[table["depth"] == depth]
    lines = []
    for (n, reg), rows in own.groupby(["n", "reg"], sort=False):  # type: ignore[misc]
        by_method = rows.pivot_table(index="seed", columns="method", values="error")
        for method in ("trained", "annealed sinkhorn"):
            ratio = by_method[method] / by_method["sinkhorn"]
            mean, low, high = ([float(part)] for part in (ratio.mean(), ratio.min(), ratio.max()))
            lines.append(Line(f"{NAMES[method]}, n = {n}, reg {reg:g}", [], mean, low, high, floor=method in FLOORS))
    return Chart(
        stem="study_depth_elsewhere",
        title="The trained schedule on other sizes and regs",
        y=f"error after {depth} layers, times that of Sinkhorn after {depth} sweeps",
        panels=[Panel("", lines)],
        kind="ranking",
        logs=(False, True),
        mark=1.0,
        caption=[
            "A schedule that was trained on one size and reg, on others; for another reg both numbers of a layer are rescaled.",
            "Left of the line it is nearer to the plan than Sinkhorn with one reg; grey: Sinkhorn whose reg falls.",
            "Mean over seeds, line from the least to the greatest.",
        ],
        finding=_elsewhere_finding(own),
    )


def _loops(loops: pd.DataFrame) -> Chart:
    panels = []
    for n, rows in loops.groupby("n"):
        tied, untied = (rows[rows["model"] == model] for model in ("tied", "untied"))
        floor = float(untied["loss"].mean())
        ends = sorted(set(tied["loops"]))
        panels.append(
            Panel(
                f"n = {n}",
                [
                    _line("one layer", tied, "loops", "loss"),
                    Line("layers apart", [int(ends[0]), int(ends[-1])], [floor, floor], floor=True),
                ],
            )
        )
    return Chart(
        stem="study_depth_loops",
        title="One layer run again and again",
        x="times that the layer is run",
        y="mean squared error on fresh problems",
        panels=panels,
        logs=(True, True),
        caption=[
            f"A model whose residual layers are one, trained with {loops['trained_loops'].iloc[0]} runs of it, with fewer and with more.",
            "Mean over seeds, band from the least to the greatest. Dashed: as many layers that were trained apart.",
            "Trained on problems of 7 points.",
        ],
        finding=" ".join(_loop_findings(loops)),
    )


def findings(table: pd.DataFrame, loops: pd.DataFrame, schedules: pd.DataFrame) -> Iterator[str]:
    """Yield what was found, in words."""
    yield from _depth_findings(table)
    yield _elsewhere_finding(table[table["depth"] == (20 if (table["depth"] == 20).any() else table["depth"].max())])
    yield from _schedule_findings(schedules)
    yield from _loop_findings(loops)


def _depth_findings(table: pd.DataFrame) -> Iterator[str]:
    own = _own(table)
    for depth, rows in own.groupby("depth"):
        means = rows.groupby("method")["error"].mean()
        yield f"Error after {depth!s} layers: {_listed(NAMES[name] + f' {means[name]:.2g}' for name in NAMES)}."


def _elsewhere_finding(own: pd.DataFrame) -> str:
    parts = []
    for (n, reg), rows in own.groupby(["n", "reg"], sort=False):  # type: ignore[misc]
        means = rows.groupby("method")["error"].mean()
        parts.append(f"{means['trained'] / means['sinkhorn']:.2g} (n = {n}, reg {reg:g})")
    return f"Error of the trained schedule, times that of Sinkhorn: {', '.join(parts)}."


def _schedule_findings(schedules: pd.DataFrame) -> Iterator[str]:
    deepest = schedules[schedules["depth"] == (20 if (schedules["depth"] == 20).any() else schedules["depth"].max())]
    last = deepest["layer"].max()
    shown = [int(layer) for layer in (1, last // 2, last) if layer >= 1]
    means = (
        deepest.assign(ratio=deepest["step"] / deepest["reg"])
        .groupby("layer")[["reg", "ratio"]]
        .mean()
        .to_dict("index")
    )
    told = [f"{means[k]['reg']:.2g} with steps of {means[k]['ratio']:.2g} reg (layer {k})" for k in shown]
    yield f"The reg of a trained schedule, mean over seeds: {', '.join(told)}."


def _loop_findings(loops: pd.DataFrame) -> Iterator[str]:
    lived = loops.groupby("model")["seed"].nunique()
    yield f"Runs that did not diverge: {lived.get('tied', 0)} of one layer, {lived.get('untied', 0)} of layers apart."
    for n, rows in loops.groupby("n"):
        tied = rows[rows["model"] == "tied"].groupby("loops")["loss"]
        apart = _geometric(rows[rows["model"] == "untied"]["loss"])
        told = _listed(f"{loss:.2g} at {count}" for count, loss in ((count, _geometric(part)) for count, part in tied))
        yield f"Loss of one layer by loops, n = {n!s}: {told}; layers apart {apart:.2g}."


def _geometric(values: pd.Series) -> float:
    return float(np.exp(np.mean(np.log(values)))) if len(values) else float("nan")


def _listed(parts: Iterator[str]) -> str:
    return ", ".join(parts)
