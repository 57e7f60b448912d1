"""Is attention a plan, or a similarity? The test of claim 3 as it stands on the page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator

from pipeline.conventions import view_of
from pipeline.methods import PLAN_MARGIN
from pipeline.report.metrics import TranslatorMetrics
from pipeline.report.page import Block, Picture, Table, caption, csv, text
from pipeline.report.plots import grid, label_right
from pipeline.report.style import QUIET, RANDOM, TRAINED, Layout, draw
from pipeline.report.wording import number, reason, with_interval

MODELS = {
    "uniform": "uniform",
    "position_matched": "position, as flat",
    "softmax": "softmax of the cost",
    "uniform_plan": "plan b",
    "similarity": "similarity A",
    "plan": "plan D",
}
GAPS = {
    "gap_attention": "attention",
    "gap_permuted": "rows permuted",
    "gap_similarity": "fitted similarity",
    "gap_links": "links alone",
    "partial_position": "correlation, position out",
    "partial_cost": "position and cost out",
    "partial_similarity": "similarity out too",
}
CASES = {
    ("sum", False): "sums over tokens",
    ("mean", False): "means over tokens",
    ("sum", True): "sums, position",
    ("mean", True): "means, position",
}
"""How attention is read, and whether models have a position term."""
STYLES = {
    "similarity": (TRAINED, "-"),
    "plan": (RANDOM, "-"),
    "uniform_plan": (RANDOM, (0, (1, 1.5))),
    "softmax": (TRAINED, (0, (1, 1.5))),
    "uniform": (QUIET, (0, (1, 1.5))),
    "position_matched": (QUIET, (0, (5, 2))),
    ("sum", False): (TRAINED, "-"),
    ("mean", False): (RANDOM, "-"),
    ("sum", True): (TRAINED, (0, (5, 2))),
    ("mean", True): (RANDOM, (0, (5, 2))),
}


@dataclass(frozen=True)
class Lines:
    """Lines with bands by layer, a panel a view.

    Attributes
    ----------
    panels : dict of str to dict of line to DataFrame
        By title, then by what `STYLES` tells apart; columns layer, value, low, high.
    names : mapping of line to str
        Beside the lines.
    ylabel : str
        With its unit.
    marks : tuple of float
        Where grey lines cross the panels.
    top : float or None
        Where the y axis ends, if it shall end there: what is above is not of interest.
    """

    panels: Mapping[str, Mapping[Any, pd.DataFrame]]
    names: Mapping
    ylabel: str
    marks: tuple[float, ...] = ()
    top: float | None = None

    def draw(self, layout: Layout) -> Figure:
        """Return the figure."""
        figure, axes = grid(layout, len(self.panels), self.ylabel)
        for panel, (title, lines) in zip(axes, self.panels.items(), strict=True):
            for mark in self.marks:
                panel.axhline(mark, color=QUIET, linewidth=0.8)
            for line, rows in lines.items():
                colour, dashes = STYLES[line]
                panel.fill_between(rows["layer"], rows["low"], rows["high"], color=colour, alpha=0.15, linewidth=0)
                panel.plot(
                    rows["layer"], rows["value"], color=colour, linestyle=dashes, linewidth=1.4, label=self.names[line]
                )
            panel.set_title(title)
            panel.set(xlabel="layer", ylabel="")
            panel.xaxis.set_major_locator(MultipleLocator(1 if max(map(_last, lines.values())) <= 8 else 2))
            panel.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        if self.top is not None:
            axes[0].set_ylim(0, self.top)
        for panel, lines in zip(axes, self.panels.values(), strict=True):
            ends = [(float(rows["value"].iloc[-1]), line) for line, rows in lines.items()]
            labels = [
                (end, f" {self.names[line]}", STYLES[line][0])
                for end, line in ends
                if self.top is None or end <= self.top
            ]
            label_right(panel, labels, x=max(map(_last, lines.values())), font=layout.font)
        return figure


def _last(rows: pd.DataFrame) -> float:
    return float(rows["layer"].max())


def plan_block(t: TranslatorMetrics) -> Block | None:
    """Return how much worse than a similarity a plan fits attention, by layer; None where nothing was fitted."""
    rows = t.evidence["plan_test"]
    own = rows[(rows["split"] == "trained") & (rows["base"] == "words")]
    if own.empty:
        return None
    gain = own[own["quantity"] == "plan_minus_similarity"]
    panels = {
        view_of(view).label: {
            case: gain[(gain["view"] == view) & (gain["tokens"] == case[0]) & (gain["position"] == case[1])]
            for case in CASES
        }
        for view in t.views
    }
    lines = Lines(
        panels,
        CASES,
        "KL to the plan minus KL to the similarity, nats a word; below the line: a plan",
        (0.0, -PLAN_MARGIN),
    )
    finding = " ".join(
        f"{t.name}, {title}: plan minus similarity, "
        + "; ".join(
            f"layer {int(row['layer'])} {with_interval(row['value'], row['low'], row['high'], sign=True)}"
            for row in found["sum", False].to_dict("records")
        )
        + " nats (sums over tokens)."
        for title, found in panels.items()
    )
    stem = f"plan_test_{t.name}"
    n_pairs = t.summary["evidence"]["plan_pairs"]["trained"]
    words = [
        *caption("plan_test", name=t.name, margin=PLAN_MARGIN),
        text("plan_test", "n", n=n_pairs, interval=t.interval),
    ]
    return Block(
        f"Plan or similarity · {t.name}",
        Picture(draw(stem, lines.draw, alt=finding), csv(gain), finding),
        words,
        f"reports/metrics/translators/{t.name}/plan_test.csv",
        _power_table(t, own),
        [
            ("Fit of every model", _fit_tables(t, rows[rows["split"] == "trained"])),
            ("Gap from a balanced plan", _gap_tables(t)),
        ],
    )


def fit_block(t: TranslatorMetrics) -> Block | None:
    """Return how far attention is from each model, by layer; None where nothing was fitted."""
    rows = t.evidence["plan_test"]
    own = rows[(rows["split"] == "trained") & (rows["base"] == "words") & (rows["tokens"] == "sum") & ~rows["position"]]
    if own.empty:
        return None
    panels = {
        view_of(view).label: {model: own[(own["view"] == view) & (own["quantity"] == model)] for model in MODELS}
        for view in t.views
    }
    top = 1.15 * max(float(found["uniform"]["value"].max()) for found in panels.values())
    lines = Lines(panels, MODELS, "KL from attention to the model, nats a word", top=top)
    finding = " ".join(
        f"{t.name}, {title}: KL of "
        + ", ".join(f"{MODELS[model]} {number(float(found['value'].min()), 3)}" for model, found in models.items())
        + " at its lowest."
        for title, models in panels.items()
    )
    return Block(
        f"What fits attention · {t.name}",
        Picture(draw(f"plan_fit_{t.name}", lines.draw, alt=finding), csv(own), finding),
        caption("plan_fit", name=t.name),
        f"reports/metrics/translators/{t.name}/plan_test.csv",
    )


def _power_table(t: TranslatorMetrics, own: pd.DataFrame) -> Table:
    """Return the layer of each view that is most like a plan, with its power."""
    rows = []
    for view in t.views:
        part = own[own["view"] == view]
        gain = part[(part["quantity"] == "plan_minus_similarity") & (part["tokens"] == "sum") & ~part["position"]]
        best = int(gain.sort_values("value", kind="stable")["layer"].iloc[0])
        for case, name in CASES.items():
            at = part[(part["layer"] == best) & (part["tokens"] == case[0]) & (part["position"] == case[1])]
            found = {row["quantity"]: row for row in at.to_dict("records")}
            gained = found["plan_minus_similarity"]
            shown = with_interval(gained["value"], gained["low"], gained["high"], sign=True)
            rows.append([view_of(view).label, str(best), name, shown, number(found["power"]["value"], 4)])
    head = ["view", "layer", "read as", "D − A, nats", "power, nats"]
    return Table(head, rows, n_labels=3, caption=text("plan_test", "table"))


def _fit_tables(t: TranslatorMetrics, rows: pd.DataFrame) -> list[Table]:
    names = MODELS | {"plan_minus_similarity": "D − A", "power": "power"}
    tables = []
    for key, part in rows.groupby(["split", "view", "tokens", "base", "position"], sort=False):
        split, view, tokens, base, position = key  # type: ignore[misc]
        how = [reason(str(split)), view_of(str(view)).label, CASES[str(tokens), bool(position)]]
        how += ["tokens as base"] if base == "tokens" else []
        tables.append(_wide(part, names, 4, f"{', '.join(how)}: nats a word."))
    return tables


def _gap_tables(t: TranslatorMetrics) -> list[Table]:
    tables = []
    for key, part in t.evidence["gap"].groupby(["split", "view"], sort=False):
        split, view = map(str, key)  # type: ignore[arg-type]
        tables.append(_wide(part, GAPS, 3, f"{reason(split)}, {view_of(view).label}. {text('plan_test', 'gap')}"))
    return tables


def _wide(part: pd.DataFrame, names: Mapping[str, str], decimals: int, note: str) -> Table:
    """Return a table with a row a layer and a column a quantity."""
    found = {(row["layer"], row["quantity"]): row["value"] for row in part.to_dict("records")}
    layers = sorted({layer for layer, _ in found})
    there = [name for name in names if (layers[0], name) in found]
    body = [[str(layer), *(number(found[layer, name], decimals) for name in there)] for layer in layers]
    return Table(["layer", *(names[name] for name in there)], body, caption=note)
