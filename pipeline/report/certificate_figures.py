"""Figures of the certificate: attention becoming the plan, depth needed, bound, sorting, rank, memory row.

Each function takes one table that the stage `certify` wrote and draws it; nothing is computed here. Bands run from the
10th to the 90th percentile over random problems, lines are medians.
"""

import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from pipeline.report.style import CMAP, INK, QUIET, RANDOM, TRAINED, WIDE, Layout, label_right

PANEL_TITLES = {"plan": "plan P*"}
DEPTH_LIMITS = (5.0, 5000.0)
BOUND_TOP = 8.0  # log10: a larger bound is told in words, at this height
SORTING_PANELS = (
    ("permutation", "constant", "i/n permuted, λ fixed"),
    ("uniform", "constant", "any numbers, λ fixed"),
    ("uniform", "annealed", "any numbers, λ falling"),
)


def figure3(table: pd.DataFrame, layout: Layout = WIDE) -> Figure:
    """Return Figure 3: attention at layers 1, 300 and 600 beside the plan.

    Parameters
    ----------
    table : DataFrame
        `certificate_figure3.csv`: n, layer, src, tgt, share in [0, 1].
    layout : Layout
        Panels in one row where it is wide.
    """
    return _heatmaps(table, layout)


def figure4(table: pd.DataFrame, layout: Layout = WIDE) -> Figure:
    """Return Figure 4: the same weights on n = 8 and n = 4 points, one row of panels each.

    Parameters
    ----------
    table : DataFrame
        `certificate_figure4.csv`, columns as in `figure3`.
    layout : Layout
        Panels of one n in one row where it is wide.
    """
    return _heatmaps(table, layout)


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
    figure, axes = _grid(layout, len(groups), "layers (or sweeps) until the Hilbert distance is below 1e-6")
    for panel, ((n, reg), rows) in zip(axes, groups, strict=True):
        panel.set_title(f"n = {n}, λ = {reg:g}")
        panel.set(xlabel="step ratio γ/λ", yscale="log", ylim=DEPTH_LIMITS)
        panel.set_yticks([10, 100, 1000], ["10", "100", "1000"])
        panel.yaxis.set_minor_locator(NullLocator())
        # Where the depth was not enough for the upper tenth, the band is open to the top.
        steps = rows[rows["method"] == "gradient"].fillna({"high": DEPTH_LIMITS[1]})
        sweeps = rows[rows["method"] == "sinkhorn"].iloc[0]
        _band(panel, steps["step_ratio"], steps, TRAINED, marker="o")
        ends = (steps["step_ratio"].min(), steps["step_ratio"].max())
        panel.fill_between(ends, sweeps["low"], sweeps["high"], color=QUIET, alpha=0.2, linewidth=0)
        panel.plot(ends, [sweeps["median"]] * 2, color=QUIET, linestyle=(0, (5, 2)))
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
    figure, axes = _grid(layout, len(groups), "Hilbert distance to the optimum, smallest so far")
    for panel, (reg, rows) in zip(axes, groups, strict=True):
        panel.set_title(f"λ = {reg:g}")
        panel.set(xlabel="layer", xscale="log", yscale="log", ylim=(1e-13, 1e14), xlim=(0.8, 1.2 * rows["layer"].max()))
        panel.set_yticks([1e-10, 1e-5, 1.0, 1e5, 1e10], ["1e-10", "1e-5", "1", "1e5", "1e10"])
        panel.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1000"])
        panel.xaxis.set_minor_locator(NullLocator())
        panel.yaxis.set_minor_locator(NullLocator())
        shown = rows[rows["high"] > 1e-13].clip(lower=1e-13)
        _band(panel, shown["layer"], shown, TRAINED)
        first = rows.iloc[0]
        applies = f"applies from 1e{first['log10_depth_condition']:.{1 if first['log10_depth_condition'] < 10 else 0}f}"
        if first["log10_bound"] < BOUND_TOP:
            panel.plot(rows["layer"], 10.0 ** rows["log10_bound"], color=QUIET, linestyle=(0, (5, 2)))
        else:
            applies = f"bound at 1e{first['log10_bound']:.0f},\n{applies}"
        panel.annotate(
            applies,
            (1.2, 10.0 ** min(first["log10_bound"], BOUND_TOP)),
            xytext=(0, 4),
            textcoords="offset points",
            va="bottom",
            color=QUIET,
            fontsize=layout.font - 1,
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
    figure, axes = _grid(layout, len(SORTING_PANELS), "share of places right", between=0.75)
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
            panel.plot(line["reg"], line["right"], color=shade, marker="o", markersize=3.5)
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
    figure, (panel, *_) = _grid(layout, 1, "effective rank of attention, of at most n = 16")
    _band(panel, table["layer"], table, TRAINED)
    panel.axhline(table["plan"].iloc[0], color=QUIET, linestyle=(0, (5, 2)))
    panel.set(xlabel="layer", xscale="log", ylim=(0.0, 16.0))
    panel.axhline(1.0, color=QUIET, linestyle=(0, (1, 1.5)))
    _plain_decades(panel, float(table["layer"].max()))
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
    figure, (panel, *_) = _grid(layout, 1, "distance from gradient descent, in cost units")
    for rule, colour, name in (("frozen", TRAINED, "frozen row"), ("free", RANDOM, "as published")):
        rows = table[(table["memory_row"] == rule) & (table["drift"] > 0)]
        panel.plot(rows["layer"], rows["drift"], color=colour, marker="o", markersize=3)
        _name(panel, rows["drift"].iloc[-1], name, colour, layout)
    panel.set(xlabel="layer", xscale="log", yscale="log", ylim=(1e-18, 1.0))
    panel.set_yticks([1e-16, 1e-12, 1e-8, 1e-4, 1.0], ["1e-16", "1e-12", "1e-8", "1e-4", "1"])
    panel.yaxis.set_minor_locator(NullLocator())
    _plain_decades(panel, float(table["layer"].max()))
    return figure


def _heatmaps(table: pd.DataFrame, layout: Layout) -> Figure:
    """Return one row of panels an n (two where the layout is narrow), one colour scale and one colour bar."""
    groups = list(table.groupby(["n", "layer"], sort=False))
    columns = 2 if layout.stacked else 4
    n_rows = -(-len(groups) // columns)
    left, right, top, gap, below = 0.4, 0.7, 0.28, 0.2, 0.42
    side = min((layout.width - left - right - (columns - 1) * gap) / columns, 1.75)
    total = n_rows * (side + top) + (n_rows - 1) * 0.12 + below
    figure = Figure(figsize=(layout.width, total))
    several = table["n"].nunique() > 1
    for k, ((n, layer), cells) in enumerate(groups):
        row, column = divmod(k, columns)
        x, y = left + column * (side + gap), total - (row + 1) * (side + top) - row * 0.12
        panel = figure.add_axes((x / layout.width, y / total, side / layout.width, side / total))
        matrix = cells.pivot(index="src", columns="tgt", values="share").to_numpy()
        image = panel.imshow(matrix, vmin=0.0, vmax=1.0, cmap=CMAP, interpolation="none")
        title = PANEL_TITLES.get(str(layer), f"layer {layer}")
        panel.set_title(f"n = {n}, {title}" if several else title)
        panel.set_xticks([])
        panel.set_yticks([])
        if column == 0:
            panel.set_ylabel("point of x")
        if row == n_rows - 1:
            panel.set_xlabel("point of y")
    edge = left + columns * side + (columns - 1) * gap + 0.12
    bar = figure.add_axes((edge / layout.width, (total - top - side) / total, 0.12 / layout.width, side / total))
    figure.colorbar(image, cax=bar, ticks=[0, 0.25, 0.5, 0.75, 1], format=lambda value, _: f"{value:g}")
    bar.set_title("share", fontsize=layout.font - 1, fontweight="normal")
    bar.tick_params(labelsize=layout.font - 1)
    return figure


def _grid(layout: Layout, n_panels: int, ylabel: str, *, between: float = 0.3) -> tuple[Figure, list[Axes]]:
    """Return panels of one y axis with its name across the top and room for names of lines at the right of each row."""
    n_rows, n_columns = (n_panels, 1) if layout.stacked else (1, n_panels)
    left, right, top, gap, below, height = 0.62, 1.15, 0.62, 0.85, 0.5, 2.3
    if n_panels == 1:  # no title over the panel
        top = 0.36
    total = top + below + n_rows * height + (n_rows - 1) * gap
    width = (layout.width - left - right - (n_columns - 1) * between) / n_columns
    width = min(width, 5.0)
    figure = Figure(figsize=(layout.width, total))
    figure.text(0.0, 1.0 - 0.02 / total, ylabel, va="top", ha="left", fontsize=layout.font, color=INK)
    axes: list[Axes] = []
    for k in range(n_panels):
        row, column = divmod(k, n_columns)
        x, y = left + column * (width + between), below + (n_rows - 1 - row) * (height + gap)
        shared = axes[0] if axes else None
        panel = figure.add_axes((x / layout.width, y / total, width / layout.width, height / total), sharey=shared)
        panel.tick_params(labelleft=column == 0)
        panel.spines[["top", "right"]].set_visible(False)
        axes.append(panel)
    return figure, axes


def _band(panel: Axes, x: pd.Series, rows: pd.DataFrame, colour: str, *, marker: str = "") -> None:
    """Draw a median line with its interval."""
    panel.fill_between(x, rows["low"], rows["high"], color=colour, alpha=0.2, linewidth=0)
    panel.plot(x, rows["median"], color=colour, marker=marker, markersize=4)


def _plain_decades(panel: Axes, largest: float) -> None:
    """Write powers of ten as plain numbers, and no ticks between them."""
    ticks = [10**k for k in range(8) if 10**k <= largest]
    panel.set_xticks(ticks, [str(tick) for tick in ticks])
    panel.xaxis.set_minor_locator(NullLocator())


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
    """Return colours from dark to light that are all seen on white."""
    return [cmap(0.85 * k / max(count - 1, 1)) for k in range(count)]
