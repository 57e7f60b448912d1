"""Figures of the certificate: attention becoming the plan, depth needed, bound, sorting, rank, memory row.

Each function takes one table that the stage `certify` wrote and draws it; nothing is computed here. Bands run from the
10th to the 90th percentile over random problems, lines are medians.
"""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from pipeline.report.plots import Maps, decades, grid, label_right, line_with_band
from pipeline.report.style import CMAP, QUIET, RANDOM, TRAINED, WIDE, Layout

PANEL_TITLES = {"plan": "plan P*"}
DEPTH_LIMITS = (5.0, 5000.0)
BOUND_TOP = 8.0  # log10: a larger bound is told in words, at this height
SORTING_PANELS = (
    ("permutation", "constant", "i/n permuted, λ fixed"),
    ("uniform", "constant", "any numbers, λ fixed"),
    ("uniform", "annealed", "any numbers, λ falling"),
)


def maps(table: pd.DataFrame, layout: Layout = WIDE) -> Figure:
    """Return Figure 3 or 4: attention at some layers beside the plan, one row of panels a size.

    Parameters
    ----------
    table : DataFrame
        `certificate_figure3.csv` or `certificate_figure4.csv`: n, layer, src, tgt, share in [0, 1].
    layout : Layout
        Panels of one n in one row where it is wide.
    """
    several = table["n"].nunique() > 1
    rows: dict[str, dict[str, np.ndarray]] = {}
    for (n, layer), cells in table.groupby(["n", "layer"], sort=False):  # type: ignore[misc]
        title = PANEL_TITLES.get(str(layer), f"layer {layer}")
        matrix = cells.pivot(index="src", columns="tgt", values="share").to_numpy()
        rows.setdefault(f"n = {n}" if several else "", {})[title] = matrix
    return Maps(rows, (4, 2), names=("point of y", "point of x")).draw(layout)


def depth_study(table: pd.DataFrame, layout: Layout = WIDE) -> Figure:
    """Return the layers needed over the step ratio, beside Sinkhorn's sweeps on the same problems.

    Parameters
    ----------
    table : DataFrame
        `certificate_depth.csv`: n, reg, method, step_ratio, low, median, high; empty where not enough were solved.
    layout : Layout
        Panels beside each other where it is wide.
    """
    groups = list(table.groupby(["n", "reg"], sort=False))
    ylabel = "layers (or sweeps) until the Hilbert distance is below 1e-6"
    figure, axes = grid(layout, len(groups), ylabel, names="row")
    for panel, ((n, reg), rows) in zip(axes, groups, strict=True):
        panel.set_title(f"n = {n}, λ = {reg:g}")
        panel.set(xlabel="step ratio γ/λ", yscale="log", ylim=DEPTH_LIMITS)
        panel.set_yticks([10, 100, 1000], ["10", "100", "1000"])
        panel.yaxis.set_minor_locator(NullLocator())
        # Where the depth was not enough for the upper tenth, the band is open to the top.
        steps = rows[rows["method"] == "gradient"].fillna({"high": DEPTH_LIMITS[1]})
        sweeps = rows[rows["method"] == "sinkhorn"].iloc[0]
        line_with_band(panel, steps["step_ratio"], steps, TRAINED, name="layers", marker="o")
        ends = (steps["step_ratio"].min(), steps["step_ratio"].max())
        panel.fill_between(ends, sweeps["low"], sweeps["high"], color=QUIET, alpha=0.2, linewidth=0)
        panel.plot(ends, [sweeps["median"]] * 2, color=QUIET, linestyle=(0, (5, 2)), label="Sinkhorn")
        panel.set_xticks([1, 2, 3])
    last = groups[-1][1].dropna(subset="median")
    for method, name, colour in (("gradient", "layers", TRAINED), ("sinkhorn", "Sinkhorn", QUIET)):
        ends_at = last[last["method"] == method]["median"]
        if len(ends_at):
            _name(axes[-1], ends_at.iloc[-1], name, colour, layout)
    return figure


def bound(table: pd.DataFrame, layout: Layout = WIDE) -> Figure:
    """Return the measured distance to the optimum over depth, beside what Theorem D.1 promises.

    Parameters
    ----------
    table : DataFrame
        `certificate_bound.csv`: reg, layer, low, median, high, log10_bound, log10_depth_condition.
    layout : Layout
        Panels beside each other where it is wide.
    """
    groups = list(table.groupby("reg", sort=False))
    figure, axes = grid(layout, len(groups), "Hilbert distance to the optimum, smallest so far", names="row")
    for panel, (reg, rows) in zip(axes, groups, strict=True):
        panel.set_title(f"λ = {reg:g}")
        panel.set(xlabel="layer", xscale="log", yscale="log", ylim=(1e-13, 1e14), xlim=(0.8, 1.2 * rows["layer"].max()))
        panel.set_yticks([1e-10, 1e-5, 1.0, 1e5, 1e10], ["1e-10", "1e-5", "1", "1e5", "1e10"])
        panel.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
        panel.xaxis.set_minor_locator(NullLocator())
        panel.yaxis.set_minor_locator(NullLocator())
        shown = rows[rows["high"] > 1e-13].clip(lower=1e-13)
        line_with_band(panel, shown["layer"], shown, TRAINED, name="measured")
        first = rows.iloc[0]
        applies = f"applies from 1e{first['log10_depth_condition']:.{1 if first['log10_depth_condition'] < 10 else 0}f}"
        if first["log10_bound"] < BOUND_TOP:
            heights = 10.0 ** rows["log10_bound"]
            panel.plot(rows["layer"], heights, color=QUIET, linestyle=(0, (5, 2)), label="Theorem D.1")
        else:
            applies = f"bound at 1e{first['log10_bound']:.0f},\n{applies}"
        panel.annotate(
            applies,
            (1.2, 10.0 ** min(first["log10_bound"], BOUND_TOP)),
            xytext=(0, 4),
            textcoords="offset points",
            va="bottom",
            color=QUIET,
            fontsize=layout.font,
        )
    _name(axes[-1], 10.0 ** groups[-1][1]["log10_bound"].iloc[-1], "Theorem D.1", QUIET, layout)
    _name(axes[-1], 1e-12, "measured", TRAINED, layout)
    return figure


def sorting(table: pd.DataFrame, layout: Layout = WIDE) -> Figure:
    """Return the share of places that are right over lambda, one line a list length.

    Parameters
    ----------
    table : DataFrame
        `certificate_sorting.csv`: n, numbers, reg, schedule, right in [0, 1].
    layout : Layout
        Panels beside each other where it is wide.
    """
    figure, axes = grid(layout, len(SORTING_PANELS), "share of places right")
    sizes = sorted(table["n"].unique())
    shades = _shades(colormaps[CMAP], len(sizes))
    for panel, (numbers, schedule, title) in zip(axes, SORTING_PANELS, strict=True):
        panel.set_title(title)
        panel.set(xlabel="λ of the last layer", xscale="log", ylim=(0.0, 1.04))
        rows = table[(table["numbers"] == numbers) & (table["schedule"] == schedule)]
        ends = []
        for n, shade in zip(sizes, shades, strict=True):
            line = rows[rows["n"] == n].sort_values("reg")
            if line.empty:
                continue
            panel.plot(line["reg"], line["right"], color=shade, marker="o", markersize=3.5, label=f"n = {n}")
            ends.append((float(line["right"].iloc[-1]), f" n = {n}", shade))
        panel.set_xticks([1e-6, 1e-4, 1e-2], ["1e-6", "1e-4", "0.01"])
        panel.xaxis.set_minor_locator(NullLocator())
        label_right(panel, ends, x=float(rows["reg"].max()), font=layout.font)
    return figure


def rank(table: pd.DataFrame, layout: Layout = WIDE) -> Figure:
    """Return the effective rank of attention over depth, beside that of the plan.

    Parameters
    ----------
    table : DataFrame
        `certificate_rank.csv`: layer, low, median, high, plan.
    layout : Layout
        Size of the figure.
    """
    figure, (panel,) = grid(layout, 1, "effective rank of attention, of at most n = 16", titled=False)
    line_with_band(panel, table["layer"], table, TRAINED, name="attention")
    panel.axhline(table["plan"].iloc[0], color=QUIET, linestyle=(0, (5, 2)))
    panel.set(xlabel="layer", xscale="log", ylim=(0.0, 16.0))
    panel.axhline(1.0, color=QUIET, linestyle=(0, (1, 1.5)))
    decades(panel, float(table["layer"].max()))
    _name(panel, table["plan"].iloc[0], "plan P*", QUIET, layout, up=6.0)
    _name(panel, table["median"].iloc[-1], "attention", TRAINED, layout, up=-6.0)
    _name(panel, 1.0, "rank one", QUIET, layout)
    return figure


def drift(table: pd.DataFrame, layout: Layout = WIDE) -> Figure:
    """Return how far the layers are from gradient descent, with the memory row frozen and free.

    Parameters
    ----------
    table : DataFrame
        `certificate_drift.csv`: layer, memory_row, drift.
    layout : Layout
        Size of the figure.
    """
    figure, (panel,) = grid(layout, 1, "distance from gradient descent, in cost units", titled=False)
    for rule, colour, name in (("frozen", TRAINED, "frozen row"), ("free", RANDOM, "as published")):
        rows = table[(table["memory_row"] == rule) & (table["drift"] > 0)]
        panel.plot(rows["layer"], rows["drift"], color=colour, marker="o", markersize=3, label=name)
        _name(panel, rows["drift"].iloc[-1], name, colour, layout)
    panel.set(xlabel="layer", xscale="log", yscale="log", ylim=(1e-18, 1.0))
    panel.set_yticks([1e-16, 1e-12, 1e-8, 1e-4, 1.0], ["1e-16", "1e-12", "1e-8", "1e-4", "1"])
    panel.yaxis.set_minor_locator(NullLocator())
    decades(panel, float(table["layer"].max()))
    return figure


def _name(panel: Axes, y: float, text: str, colour: str, layout: Layout, *, up: float = 0.0) -> None:
    """Write the name of a line at the right edge, at the height y, moved up by some points."""
    panel.annotate(
        text,
        (1.0, y),
        xycoords=("axes fraction", "data"),
        xytext=(4, up),
        textcoords="offset points",
        va="center",
        ha="left",
        color=colour,
        fontsize=layout.font,
        annotation_clip=False,
    )


def _shades(cmap: Colormap, count: int) -> list[tuple[float, ...]]:
    """Return colours of one scale that are all seen on white and on black: at least 3:1."""
    return [cmap(0.36 + 0.22 * k / max(count - 1, 1)) for k in range(count)]
