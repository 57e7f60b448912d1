"""A value by layer with its interval, and its controls in the same axes: as a picture, as tables, in a sentence."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator

from pipeline.report.metrics import TranslatorMetrics
from pipeline.report.page import Picture, Table, csv
from pipeline.report.plots import grid, label_right
from pipeline.report.style import INK, QUIET, RANDOM, TRAINED, Layout, draw
from pipeline.report.wording import CONTROL_NOTES, CONTROLS, count, digits, listed, number, reason, with_interval

COLOURS = {"trained": TRAINED, "random_init": RANDOM}
MARKERS = {"trained": "o", "random_init": "s"}
# Grey lines are told apart by their dashes as well as by their names.
DASHES = {
    "uniform": (1, 1.5),
    "position": (5, 2),
    "mispaired": (5, 1.5, 1, 1.5),
    "shuffled_lexicon": (3, 1),
    "weight_shuffled": (8, 2),
    "chance": (1, 1.5),
}
MIN_LINKS = 8
"""Of the sentences behind the published values."""
PUBLISHED = json.loads((Path(__file__).parent / "published.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Curves:
    """What the panels of one figure show.

    Attributes
    ----------
    panels : dict of str to DataFrame
        By title; columns control, layer, value, low, high, and only rows to draw.
    ylabel, xlabel : str
        With units.
    floor : float or None
        Where the y axis begins, if it shall begin there.
    published : dict of str to dict
        By title: layer and published value, for open circles.
    """

    panels: dict[str, pd.DataFrame]
    ylabel: str
    xlabel: str = "layer"
    floor: float | None = 0.0
    published: Mapping[str, Mapping[int, float]] = field(default_factory=dict)

    def draw(self, layout: Layout) -> Figure:
        """Return the figure."""
        figure, axes = grid(layout, len(self.panels), self.ylabel)
        for panel, (title, rows) in zip(axes, self.panels.items(), strict=True):
            _lines(panel, rows)
            panel.set_title(title)
            panel.set(xlabel=self.xlabel, ylabel="")
            panel.xaxis.set_major_locator(MultipleLocator(1 if rows["layer"].max() <= 8 else 2))
            panel.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        self._finish(axes, layout)
        return figure

    def picture(self, stem: str, what: Mapping[str, str], data: pd.DataFrame) -> Picture:
        """Return the figure with its data; its finding is a sentence a panel, which begins with what is measured."""
        finding = " ".join(_finding(rows, what[title]) for title, rows in self.panels.items())
        return Picture(draw(stem, self.draw, alt=finding), csv(data), finding)

    def _finish(self, axes: list[Axes], layout: Layout) -> None:
        low, high = axes[0].get_ylim()
        axes[0].set_ylim(low if self.floor is None else min(self.floor, low), high)
        for panel, (title, rows) in zip(axes, self.panels.items(), strict=True):
            published = self.published.get(title, {})
            if published:
                _published(panel, published, layout.font)
            last = rows.dropna(subset="value").sort_values("layer").groupby("control").last()["value"].to_dict()
            labels = [
                (float(last[name]), f" {text}", COLOURS.get(name, QUIET))
                for name, text in CONTROLS.items()
                if name in last
            ]
            label_right(panel, labels, x=float(rows["layer"].max()), font=layout.font)


def _lines(panel: Axes, rows: pd.DataFrame) -> None:
    for name in reversed(CONTROLS):  # trained last, on top
        line = rows[rows["control"] == name]
        if line.empty:
            continue
        layer, value, low, high = (line[key].to_numpy(dtype=float) for key in ("layer", "value", "low", "high"))
        if name in COLOURS:
            style: dict = {"linewidth": 1.8, "markersize": 4, "label": CONTROLS[name]}
            panel.fill_between(layer, low, high, color=COLOURS[name], alpha=0.2, linewidth=0)
            panel.plot(layer, value, color=COLOURS[name], marker=MARKERS[name], **style)
        else:
            panel.plot(layer, value, color=QUIET, linewidth=1.1, linestyle=(0, DASHES[name]), label=CONTROLS[name])


def _published(panel: Axes, values: Mapping[int, float], font: float) -> None:
    layers = sorted(values)
    heights = [values[layer] for layer in layers]
    style: dict = {"linestyle": "", "marker": "o", "markersize": 6, "label": "published"}
    panel.plot(layers, heights, markerfacecolor="none", markeredgecolor=INK, **style)
    panel.annotate(
        "published", (layers[0], heights[0]), xytext=(4, 7), textcoords="offset points", fontsize=font, color=INK
    )
    low, high = panel.get_ylim()
    panel.set_ylim(min(low, *heights), max(high, 1.05 * max(heights)))


def published_values(t: TranslatorMetrics, figure: str) -> dict[int, float]:
    """Return the paper's own values by layer where they can be compared: its model, data and convention."""
    paper = PUBLISHED.get(figure, {})
    model = t.spec.model.removeprefix("google-bert/")
    its_data = (t.corpus.source, t.corpus.pair, t.summary["signature"]["min_links"]) == ("wmt14", "en-fr", MIN_LINKS)
    if not t.convention.compares_with_published or paper.get("model") != model or not its_data:
        return {}
    return dict(zip(paper["layers"], paper["values"], strict=True))


def with_published(rows: pd.DataFrame, values: Mapping[int, float], view: str | None) -> pd.DataFrame:
    """Return the data of a figure with the published values below it, if there are any."""
    if not values:
        return rows
    extra = pd.DataFrame({"control": "published", "layer": list(values), "value": list(values.values())})
    if view is not None:
        extra["view"] = view
    return pd.concat([rows, extra.astype({"layer": "Int64"})], ignore_index=True)


Cells = dict[tuple[int, str], tuple[float, float, float, int]]


def cells_of(frame: pd.DataFrame) -> Cells:
    """Return value, low, high and n by layer and control."""
    columns = (frame[name].tolist() for name in ("layer", "control", "value", "low", "high", "n_pairs"))
    return {
        (int(layer), control): (float(v), float(low), float(high), int(n))
        for layer, control, v, low, high, n in zip(*columns, strict=True)
    }


def decimals_of(cells: Cells, control: str) -> int:
    """Return the decimals of a column: those that its median interval supports."""
    widths = [high - low for (_, name), (_, low, high, _) in cells.items() if name == control]
    return digits(0.0, median(widths or [0.0]))


def cell(cells: Cells, layer: int, control: str, decimals: int, *, brackets: bool = True) -> str:
    """Return a value in print, with its interval in brackets; a dash where there is none."""
    if (layer, control) not in cells:
        return "–"
    value, low, high, _ = cells[layer, control]
    return with_interval(value, low, high, decimals=decimals) if brackets else number(value, decimals)


def controls_of(frame: pd.DataFrame) -> list[str]:
    """Return the controls that a table holds, in the order in which they are shown."""
    there = set(frame["control"])
    return [name for name in CONTROLS if name in there and name != "trained"]


def n_of(cells: Cells, layer: int) -> str:
    """Return the number of sentences behind a layer."""
    return count(cells[layer, "trained"][3]) if (layer, "trained") in cells else "–"


def all_layers(frame: pd.DataFrame, caption: str) -> Table:
    """Return a table of every layer and control."""
    controls, cells = ["trained", *controls_of(frame)], cells_of(frame)
    places = {name: decimals_of(cells, name) for name in controls}
    rows = [
        [str(layer), *(cell(cells, layer, name, places[name]) for name in controls), n_of(cells, layer)]
        for layer in sorted({layer for layer, _ in cells})
    ]
    return Table(["layer", *(CONTROLS[name] for name in controls), "n"], rows, caption=caption)


def with_columns(table: Table, **columns: list[str]) -> Table:
    """Return a table with columns at its right."""
    rows = [[*row, *more] for row, *more in zip(table.rows, *columns.values(), strict=True)]
    return Table([*table.head, *columns], rows, n_labels=table.n_labels, caption=table.caption)


def short(table: Table, shown: int) -> Table:
    """Return the rows of the first, the middle, the last and of one more layer, in their order."""
    places = sorted({0, (len(table.rows) - 1) // 2, len(table.rows) - 1, shown})
    return Table(table.head, [table.rows[k] for k in places], n_labels=table.n_labels, caption=table.caption)


def rests_on(t: TranslatorMetrics, n: int, frame: pd.DataFrame, **instead: str) -> str:
    """Return n, what was dropped, how intervals were made, and what each control is, `instead` of the usual words."""
    dropped = ", ".join(f"{count(number)} {reason(name)}" for name, number in t.dropped.items() if number)
    there = set(frame["control"])
    notes = {**CONTROL_NOTES, **instead}
    floors = " ".join(f"{CONTROLS[name].capitalize()}: {note}." for name, note in notes.items() if name in there)
    lost = f"dropped: {dropped}" if dropped else "none dropped"
    return f"n = {count(n)} sentences ({lost}); bands and brackets: {t.interval}. {floors}"


def _finding(rows: pd.DataFrame, what: str) -> str:
    """Return a sentence: first, highest and last value of the trained model, and the controls at the highest."""
    cells = {key: found for key, found in cells_of(rows).items() if not math.isnan(found[0])}
    layers = sorted(layer for layer, name in cells if name == "trained")
    if not layers:
        return f"{what}: no value."
    best = max(layers, key=lambda layer: cells[layer, "trained"][0])
    first, highest, last = (with_interval(*cells[layer, "trained"][:3]) for layer in (layers[0], best, layers[-1]))
    beside = [
        f"{text} {with_interval(*cells[best, name][:3])}"
        for name, text in CONTROLS.items()
        if name != "trained" and (best, name) in cells
    ]
    ends = f"highest in layer {best} with {highest} and {last} in layer {layers[-1]}"
    sentence = f"{what} is {first} in layer {layers[0]}, {ends}"
    return f"{sentence}; in layer {best} {listed(beside)}." if beside else f"{sentence}."
