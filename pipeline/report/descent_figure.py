"""Is a trained layer a descent step: what dual gradients explain of it, and how near its weights are to Table 2."""

from collections.abc import Iterator
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.report.learning_figures import Learned, Picture
from pipeline.report.style import QUIET, RULE, TRAINED, Layout, draw, label_right, panels
from pipeline.report.wording import number

R2, COSINE = "R² of a step of descent on the dual", "cosine of P with Table 2"
LOOKS = {"untrained": (QUIET, 0.15, 0.9), "trained": (TRAINED, -0.15, 1.6)}  # colour, shift to the side, width


def descent_figure(learned: Learned) -> Picture:
    """Return R² of a descent step and cosine with the constructed weights, by layer, every seed, before and after training.

    Parameters
    ----------
    learned : mapping
        From `read_learned`, with the engineered prompt.
    """
    limit = next(float(claim.limit.threshold) for claim in learned["claims"] if claim.id == "learning_is_descent")
    rows = list(_rows(learned["prompts"]["engineered"]))
    frame = pd.DataFrame(rows, columns=["measure", "when", "seed", "layer", "part", "value"])

    def make(layout: Layout) -> Figure:
        figure, axes = panels(
            layout, 2, "1 is the construction; dots: u and v, or both heads, of every seed; lines: medians"
        )
        for panel, measure in zip(axes, (R2, COSINE), strict=True):
            panel.set(title=measure, ylim=(min(0.0, 1.05 * frame["value"].min()), 1.0))
            _panel(panel, frame[frame["measure"] == measure], limit, layout)
        return figure

    finding = _finding(frame)
    return Picture(draw("figure_learning_descent", make, alt=finding), frame, finding)


def _panel(panel: Axes, rows: pd.DataFrame, limit: float, layout: Layout) -> None:
    """Draw every value as a dot, the medians of the layers as lines, and the limit."""
    panel.axhline(limit, color=RULE, linewidth=1.0)
    labels = [(limit, " needed", QUIET)]
    for when, (colour, shift, width) in LOOKS.items():
        some = rows[rows["when"] == when]
        panel.plot(some["layer"] + shift, some["value"], ".", color=colour, alpha=0.5, markersize=5, mew=0)
        middle = some.groupby("layer")["value"].median()
        panel.plot(middle.index, middle, color=colour, linewidth=width)
        labels.append((middle.iloc[-1], f" {when}", colour))
    end = rows["layer"].max() + 0.5
    panel.set(xlabel="layer", ylabel="", xlim=(0.5, end))
    panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    label_right(panel, labels, x=end, font=layout.font)


def _rows(metrics: dict[str, Any]) -> Iterator[tuple[str, str, int, int, str, float]]:
    for when in LOOKS:
        for seed in metrics["seeds"]:
            if seed[when] is None:
                continue
            for layer, fits in enumerate(seed[when]["descent"], 1):
                yield from ((R2, when, seed["seed"], layer, side, fits[side]["r2"]) for side in ("u", "v"))
            for layer, heads in enumerate(seed[when]["weight_cosine"], 1):
                yield from ((COSINE, when, seed["seed"], layer, f"head {k}", heads[k - 1]) for k in (1, 2))


def _finding(frame: pd.DataFrame) -> str:
    middle = frame.groupby(["measure", "when"])["value"].median()
    highest = frame[frame["when"] == "trained"].groupby("measure")["value"].max()
    parts = [
        f"{measure} {number(middle[measure, 'trained'], 2)} (before training {number(middle[measure, 'untrained'], 2)}; "
        f"highest after it {number(highest[measure], 2)})"
        for measure in (R2, COSINE)
    ]
    fits = frame[(frame["when"] == "trained") & (frame["measure"] == R2)]["value"]
    return (
        f"Median over layers and seeds: {parts[0]}; {parts[1]}; 1 is the construction. "
        f"The share of trained fits that do not descend, and count as 0, is {number((fits == 0.0).mean(), 2)}."
    )
