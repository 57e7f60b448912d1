"""The plots of all figures: one grid of panels, one way to draw heat maps, lines with bands, names beside lines."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, SupportsFloat

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.figure import Figure
from matplotlib.text import Annotation
from matplotlib.ticker import NullLocator

from pipeline.report.style import QUIET, Colour, Layout

LARGEST_CELL = 0.21  # inches, of a map of words
LARGEST_MAP = 1.75  # inches, of a map of points
LONGEST_LABEL = 16  # letters of a word at an axis
ROOM = 1.16  # inches beside a panel for the names of its lines


def grid(
    layout: Layout, n_panels: int, ylabel: str, *, names: Literal["each", "row"] = "each", titled: bool = True
) -> tuple[Figure, list[Axes]]:
    """Return a figure with panels of one y axis, at most four beside each other.

    Margins are fixed rather than fitted: fitting draws every figure several times.

    Parameters
    ----------
    layout : Layout
        Panels stand below each other where it is narrow.
    n_panels : int
        At least 1.
    ylabel : str
        Name of the y axis with its unit; written across the top, where it can be read without turning one's head.
    names : {"each", "row"}
        Whether there is room for names of lines beside each panel, or only at the right of each row.
    titled : bool
        Whether panels have titles.
    """
    n_columns = 1 if layout.stacked else min(n_panels, 2 if names == "each" else 4)
    n_rows = -(-n_panels // n_columns)
    lines = textwrap.wrap(ylabel, int(layout.width * 72 / layout.font / 0.55))
    line = 1.3 * layout.font / 72
    left, height, below = 0.45, 1.9, 0.42
    between = left + ROOM if names == "each" else 0.22
    top = (0.38 if titled else 0.18) + len(lines) * line
    gap = below + (0.34 if titled else 0.2)
    total = top + below + n_rows * height + (n_rows - 1) * gap
    width = min((layout.width - left - ROOM - (n_columns - 1) * between) / n_columns, 4.0)
    figure = Figure(figsize=(layout.width, total))
    figure.text(0.0, 1.0 - 0.02 / total, "\n".join(lines), va="top", ha="left")
    axes: list[Axes] = []
    for k in range(n_panels):
        row, column = divmod(k, n_columns)
        x, y = left + column * (width + between), below + (n_rows - 1 - row) * (height + gap)
        place = (x / layout.width, y / total, width / layout.width, height / total)
        panel = figure.add_axes(place, sharey=axes[0] if axes else None)
        panel.tick_params(labelleft=names == "each" or column == 0)
        axes.append(panel)
    sns.despine(fig=figure)
    return figure, axes


def line_with_band(panel: Axes, x: pd.Series, rows: pd.DataFrame, colour: str, *, name: str, marker: str = "") -> None:
    """Draw a median with its interval, called `name` where its values are read: columns low, median, high."""
    panel.fill_between(x, rows["low"], rows["high"], color=colour, alpha=0.2, linewidth=0)
    panel.plot(x, rows["median"], color=colour, marker=marker, markersize=4, label=name)


def decades(panel: Axes, largest: float) -> None:
    """Write powers of ten along the x axis as plain numbers, and no ticks between them."""
    ticks = [10**k for k in range(8) if 10**k <= largest]
    panel.set_xticks(ticks, [str(tick) for tick in ticks])
    panel.xaxis.set_minor_locator(NullLocator())


@dataclass(frozen=True)
class Maps:
    """Heat maps that share one colour scale.

    Attributes
    ----------
    rows : mapping of str to mapping of str to array, shape (tgt, src)
        Panels by title, by heading of their row; an empty heading is not written.
    columns : (int, int)
        How many stand beside each other where it is wide, and where it is narrow.
    unit : str
        Name of the colour scale.
    across, down : sequence of str
        Words along a map; without them there are none.
    names : (str, str)
        What is along the x and the y axis, where there are no words.
    links : int array, shape (link, 2), or None
        Cells to ring: src, tgt.
    root : bool
        Whether the colour scale is stretched at its lower end (square root).
    """

    rows: Mapping[str, Mapping[str, np.ndarray]]
    columns: tuple[int, int]
    unit: str = "share"
    across: Sequence[str] = ()
    down: Sequence[str] = ()
    names: tuple[str, str] = ("", "")
    links: np.ndarray | None = None
    root: bool = False
    ticks: tuple[float, ...] = field(default=(0.0, 0.25, 0.5, 0.75, 1.0))

    def draw(self, layout: Layout) -> Figure:
        """Return the figure."""
        across, down = ([_short(word) for word in words] for words in (self.across, self.down))
        letters = 0.6 * layout.font / 72  # inches a letter, about
        left, below = (
            min(1.4, letters * max(map(len, words)) + 0.15) + 0.17 * bool(name) if words else 0.22 if name else 0.05
            for words, name in ((down, self.names[1]), (across, self.names[0]))
        )
        right, top, gap, heading = 0.62, 0.24, 0.14, 0.2
        n_columns = self.columns[layout.stacked]
        first = next(iter(next(iter(self.rows.values())).values()))
        room = (layout.width - left - right - (n_columns - 1) * gap) / n_columns
        width = min(room, LARGEST_CELL * len(across) if across else LARGEST_MAP)
        height = width * first.shape[0] / first.shape[1]
        lines = {name: -(-len(found) // n_columns) for name, found in self.rows.items()}
        total = sum(n * (height + top) + heading * bool(name) + 0.06 for name, n in lines.items()) + below + 0.02
        figure = Figure(figsize=(layout.width, total))
        norm = PowerNorm(0.5, 0.0, 1.0) if self.root else Normalize(0.0, 1.0)
        edge = total - 0.02
        for place, (name, found) in enumerate(self.rows.items()):
            if name:
                figure.text(left / layout.width, edge / total, name, va="top", fontweight="bold")
                edge -= heading
            for k, (title, block) in enumerate(found.items()):
                line, column = divmod(k, n_columns)
                x, y = left + column * (width + gap), edge - (line + 1) * (height + top)
                panel = figure.add_axes((x / layout.width, y / total, width / layout.width, height / total))
                panel.imshow(block, norm=norm, interpolation="none", aspect="auto")
                panel.set_title(title, fontweight="normal" if name else "bold", pad=3)
                lowest = place == len(lines) - 1 and k + n_columns >= len(found)
                self._axes(panel, (across, self.names[0]) if lowest else ([], ""),
                           (down, self.names[1]) if column == 0 else ([], ""))  # fmt: skip
                if self.links is not None:
                    _rings(panel, self.links, width / block.shape[1])
            edge -= lines[name] * (height + top) + 0.06
        self._bar(figure, norm, left + n_columns * (width + gap), top + heading * bool(next(iter(lines))), height)
        return figure

    def _axes(self, panel: Axes, across: tuple[list[str], str], down: tuple[list[str], str]) -> None:
        # A dollar sign of the corpus is a dollar sign, not the start of a formula.
        style: dict[str, Any] = {"parse_math": False}
        panel.set_xticks(range(len(across[0])), across[0], rotation=90, **style)
        panel.set_yticks(range(len(down[0])), down[0], **style)
        panel.set(xlabel=across[1], ylabel=down[1])
        panel.tick_params(length=0, pad=2)
        for spine in panel.spines.values():
            spine.set(visible=not self.across, color=QUIET)

    def _bar(self, figure: Figure, norm: Normalize, x: float, down: float, height: float) -> None:
        """Put one colour scale beside the first row."""
        width, total = figure.get_size_inches()
        height = min(height, 2.4)
        bar = figure.add_axes((x / width, (total - down - height) / total, 0.1 / width, height / total))
        figure.colorbar(ScalarMappable(norm), cax=bar, ticks=self.ticks, format=lambda value, _: f"{value:g}")
        bar.tick_params(length=2, pad=2)
        bar.set_title(self.unit, fontweight="normal", loc="left", pad=3)


def _short(word: str) -> str:
    return word if len(word) <= LONGEST_LABEL else f"{word[: LONGEST_LABEL - 1]}…"


def _rings(panel: Axes, links: np.ndarray, cell: float) -> None:
    """Ring the links twice over, dark and light, so that one of the two is seen on any colour."""
    size = (0.62 * cell * 72) ** 2
    for colour, width in (("#000000", 2.0), ("#fefefe", 0.9)):
        panel.scatter(links[:, 0], links[:, 1], s=size, facecolors="none", edgecolors=colour, linewidths=width)


def label_right(
    panel: Axes, labels: Sequence[tuple[SupportsFloat, str, Colour]], *, x: SupportsFloat, font: float
) -> list[Annotation]:
    """Write the names of lines beside their right ends, moved apart where they would overlap.

    Parameters
    ----------
    panel : Axes
        With its limits and scales set.
    labels : sequence of (y, text, colour)
        Where each line ends, in units of the data.
    x : float
        Where the lines end.
    font : float
        Size of the letters, in points.
    """
    figure = panel.get_figure()
    assert isinstance(figure, Figure)
    gap = 1.25 * font / (panel.get_position().height * figure.get_size_inches()[1] * 72)
    to_fraction = panel.transData + panel.transAxes.inverted()
    ends = [(to_fraction.transform((float(x), float(y)))[1], text, colour, float(y)) for y, text, colour in labels]
    ends.sort(key=lambda end: end[0])
    texts: list[Annotation] = []
    for (height, text, colour, y), place in zip(ends, spread([end[0] for end in ends], gap, 0.0, 1.0), strict=True):
        moved = abs(place - height) > 0.35 * gap
        line = {"arrowstyle": "-", "color": QUIET, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 2}
        texts.append(
            panel.annotate(
                text,
                xy=(float(x), y),
                xytext=(1.0, place),
                textcoords="axes fraction",
                va="center",
                ha="left",
                color=colour,
                fontsize=font,
                annotation_clip=False,
                arrowprops=line if moved else None,
            )
        )
    return texts


def spread(values: list[float], gap: float, low: float, high: float) -> list[float]:
    """Return ascending values moved as little as needed to be at least `gap` apart, kept between the ends if they fit.

    Examples
    --------
    >>> spread([0.1, 0.1, 0.9], 0.2, 0.0, 1.0)
    [0.0, 0.2, 0.9]
    """

    def inside(centre: float, size: int) -> tuple[float, int]:
        half = gap * (size - 1) / 2
        return min(max(centre, low + half), max(high - half, low + half)), size

    groups: list[tuple[float, int]] = []  # centre and number of labels that stand together
    for value in values:
        centre, size = inside(value, 1)
        while groups and centre - groups[-1][0] < gap * (size + groups[-1][1]) / 2 - 1e-12:
            other, n = groups.pop()
            centre, size = inside((centre * size + other * n) / (size + n), size + n)
        groups.append((centre, size))
    return [centre + gap * (k - (size - 1) / 2) for centre, size in groups for k in range(size)]
