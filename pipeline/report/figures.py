"""Figures 5, 6, 7 and 9: a value by layer with its interval, and its controls in the same axes."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator

from pipeline.conventions import OUTPUT_STEP, SRC_TO_TGT, STATES_IN_WORDS, view_of
from pipeline.report.metrics import TranslatorMetrics
from pipeline.report.style import INK, QUIET, RANDOM, TRAINED, Drawing, Layout, draw, label_right, panels
from pipeline.report.tables import cells_of
from pipeline.report.wording import CONTROLS, SCORES, listed, with_interval

COLOURS = {"trained": TRAINED, "random_init": RANDOM}
MARKERS = {"trained": "o", "random_init": "s"}
# Grey lines are told apart by their dashes as well as by their names.
DASHES = {"uniform": (1, 1.5), "position": (5, 2), "mispaired": (5, 1.5, 1, 1.5), "chance": (1, 1.5)}
# The rows of the notebook's maps: for mBERT they are English words, which look at French ones.
PUBLISHED_VIEW = {"figure5": OUTPUT_STEP.name, "figure6": SRC_TO_TGT.name}
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
        figure, axes = panels(layout, len(self.panels), self.ylabel)
        for panel, (title, rows) in zip(axes, self.panels.items(), strict=True):
            _lines(panel, rows)
            panel.set_title(title)
            panel.set(xlabel=self.xlabel, ylabel="")
            panel.xaxis.set_major_locator(MultipleLocator(1))
            panel.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        self._finish(axes, layout)
        return figure

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
            panel.fill_between(layer, low, high, color=COLOURS[name], alpha=0.2, linewidth=0)
            panel.plot(layer, value, color=COLOURS[name], linewidth=1.8, marker=MARKERS[name], markersize=4.5)
        else:
            panel.plot(layer, value, color=QUIET, linewidth=1.1, linestyle=(0, DASHES[name]))


def _published(panel: Axes, values: Mapping[int, float], font: float) -> None:
    layers = sorted(values)
    heights = [values[layer] for layer in layers]
    panel.plot(layers, heights, linestyle="", marker="o", markerfacecolor="none", markeredgecolor=INK, markersize=6)
    panel.annotate(
        "published", (layers[0], heights[0]), xytext=(4, 7), textcoords="offset points", fontsize=font, color=INK
    )
    low, high = panel.get_ylim()
    panel.set_ylim(min(low, *heights), max(high, 1.05 * max(heights)))


def correspondence(t: TranslatorMetrics) -> tuple[Drawing, pd.DataFrame, str]:
    """Return Figure 5 (cross) or 6 (joint): attention on translations by layer, both views; its data; its finding."""
    rows = t.curves[t.curves["score"] == t.score]
    figure = "figure6" if t.spec.reads == "joint" else "figure5"
    published, beside = published_values(t, figure), PUBLISHED_VIEW[figure]
    titles = {view: view_of(view).label for view in t.views}
    curves = Curves(
        {title: rows[rows["view"] == view] for view, title in titles.items()},
        SCORES[t.score].axis,
        floor=None if t.score == "excess" else 0.0,
        published={titles[beside]: published} if published else {},
    )
    findings = [
        _finding(rows[rows["view"] == view], f"{t.name}, {title}: {SCORES[t.score].name}")
        for view, title in titles.items()
    ]
    alt = " ".join(findings)
    return draw(f"{figure}_{t.name}", curves.draw, alt=alt), _with_published(rows, published, beside), alt


def embedding_matches(t: TranslatorMetrics) -> tuple[Drawing, pd.DataFrame, str]:
    """Return Figure 7: the share of linked words that transport between word vectors matches; its data; its finding."""
    published = published_values(t, "figure7")
    there = set(t.matches["states"])
    titles = {kind: words for kind, words in STATES_IN_WORDS.items() if kind in there}
    read = titles[view_of(t.views[-1]).states]
    panels = {title: t.matches[t.matches["states"] == kind] for kind, title in titles.items()}
    curves = Curves(
        panels,
        "share of linked words that transport matches",
        xlabel="level (0: what enters layer 1)",
        published={read: published} if published else {},
    )
    findings = [
        _finding(rows, f"{t.name}, {title}: share of linked words matched by transport")
        for title, rows in panels.items()
    ]
    alt = " ".join(findings)
    return draw(f"figure7_{t.name}", curves.draw, alt=alt), _with_published(t.matches, published, None), alt


def plan_correlation(t: TranslatorMetrics) -> tuple[Drawing, pd.DataFrame, str]:
    """Return Figure 9: the correlation of attention with the transport plan by layer; its data; its finding."""
    rows = t.plan_correlation
    titles = {view: view_of(view).label for view in t.views}
    curves = Curves(
        {title: rows[rows["view"] == view] for view, title in titles.items()},
        "correlation of attention with the plan (Pearson, all word pairs)",
    )
    findings = [
        _finding(rows[rows["view"] == view], f"{t.name}, {title}: correlation with the plan")
        for view, title in titles.items()
    ]
    alt = " ".join(findings)
    return draw(f"figure9_{t.name}", curves.draw, alt=alt), rows, alt


def published_values(t: TranslatorMetrics, figure: str) -> dict[int, float]:
    """Return the paper's own values by layer where they can be compared: its model, data and convention."""
    paper = PUBLISHED.get(figure, {})
    model = t.spec.model.removeprefix("google-bert/")
    its_data = (t.corpus.source, t.corpus.pair, t.summary["signature"]["min_links"]) == ("wmt14", "en-fr", MIN_LINKS)
    if not t.convention.compares_with_published or paper.get("model") != model or not its_data:
        return {}
    return dict(zip(paper["layers"], paper["values"], strict=True))


def _with_published(rows: pd.DataFrame, values: Mapping[int, float], view: str | None) -> pd.DataFrame:
    if not values:
        return rows
    extra = pd.DataFrame({"control": "published", "layer": list(values), "value": list(values.values())})
    if view is not None:
        extra["view"] = view
    return pd.concat([rows, extra.astype({"layer": "Int64"})], ignore_index=True)


def _finding(rows: pd.DataFrame, what: str) -> str:
    """Return a sentence: first, highest and last value of the trained model, and the controls at the highest."""
    cells = {key: cell for key, cell in cells_of(rows).items() if not math.isnan(cell[0])}
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
    sentence = f"{what} is {first} in layer {layers[0]}, highest in layer {best} with {highest} and {last} in layer {layers[-1]}"
    return f"{sentence}; in layer {best} {listed(beside)}." if beside else f"{sentence}."
